"""An engine written here, in some forty lines, runs in the session, undo, timeline and files, with nothing changed."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from draggan_widget import DragConfig, DragGAN, drag
from draggan_widget.editing import Session
from draggan_widget.engines import Bound, Engine, Step, engine_names, register, unregister
from draggan_widget.settings import Settings, number, whole


@dataclasses.dataclass(frozen=True)
class Nudge(Settings):
    """Settings of the engine below."""

    pace: float = number(0.25, "Pace", "How much of the way a step goes.", above=True, most=1)
    patience: int = whole(20, "Patience", "Steps at most.", least=1, most=1000)


class BoundNudge(Bound[int]):
    """Moves the latent a little and the handles along the way. What it remembers is the step its run began at."""

    def begin(self, edit):
        return edit.step

    def advance(self, edit, memory, at_most=1):
        pace = self.settings.pace
        points = tuple(
            dataclasses.replace(
                point, handle=tuple(h + pace * (t - h) for h, t in zip(point.handle, point.target, strict=True))
            )
            for point in edit.points
        )
        moved = dataclasses.replace(edit, latent=edit.latent + 0.01 * pace, points=points, step=edit.step + 1)
        return [Step(moved, memory, {"left": float(moved.distances.max())})]

    def verdict(self, edit, memory):
        if edit.distances.max() <= 1:
            return "arrived"
        return "capped" if edit.step - memory >= self.settings.patience else None

    def pack(self, memory):
        return {}, {"began": memory}

    def unpack(self, edit, tensors, values):
        return int(values["began"])


class NudgeEngine(Engine):
    name = "nudge"
    help = "A test's"
    Settings = Nudge

    def bind(self, model, settings):
        if model.channels != 3:
            raise ValueError("nudge needs colours; choose draggan")
        return BoundNudge(model, settings)


@pytest.fixture(autouse=True)
def nudge():
    register(NudgeEngine())
    yield
    unregister("nudge")


def points(editor):
    return [(point["handle"], point["target"]) for point in editor.points]


def test_it_drags_without_an_editor(generator):
    result = drag(generator, generator.mapping(seed=1), [(20, 20)], [(30, 20)], config=Nudge(pace=0.5))
    assert (result.reason, result.steps) == ("arrived", 4)
    assert "left" in result.history[-1].loss
    capped = drag(generator, generator.mapping(seed=1), [(20, 20)], [(30, 20)], config=Nudge(patience=2))
    assert (capped.reason, capped.steps) == ("capped", 2)


def test_it_runs_in_the_session_with_undo_timeline_and_code(generator):
    session = Session(generator, seed=3, config=Nudge(pace=0.5))
    try:
        session.put_point(1, handle=(20, 20), target=(30, 20))
        session.start()
        assert session.finished().result(20).reason == "arrived"
        after = session.now()
        assert [record.step for record in after.records] == [0, 1, 2, 3, 4]
        session.branch(2).result(30)
        assert session.now().drag.handles.tolist() == [[27.5, 20.0]]
        session.undo().result(30)
        assert torch.equal(session.now().drag.ws, after.drag.ws)
        session.undo().result(30)
        assert session.now().drag.step == 0
        session.redo().result(30)
        assert session.now().drag.config == Nudge(pace=0.5)
    finally:
        session.close()


def test_it_is_chosen_by_name_in_one_step_of_undo_and_keeps_points_and_latent(generator):
    editor = DragGAN(generator, seed=3, config=DragConfig(learning_rate=0.01, tolerance=0.0, max_steps=3))
    try:
        editor.points = [{"handle": [20, 20], "target": [40, 20]}]
        editor.step_once()
        before, latent = points(editor), editor.latent
        editor.engine = "nudge"
        assert editor.engine == "nudge"
        assert editor.config == Nudge()
        assert points(editor) == before
        assert (editor.latent == latent).all()
        editor.undo()
        assert (editor.engine, editor.config.learning_rate) == ("draggan", 0.01)
        assert points(editor) == before
        editor.redo()
        assert editor.engine == "nudge"
        with pytest.raises(
            Exception,
            match="there is no engine 'magic'; choose one of natural, draggan, .*fastdrag, nudge",
        ):
            editor.engine = "magic"
    finally:
        editor.close()


def test_its_file_goes_on_exactly_and_without_it_is_refused_in_a_sentence(generator, tmp_path):
    path = tmp_path / "a.drag"
    editor = DragGAN(generator, seed=3, config=Nudge(pace=0.125))
    editor.points = [{"handle": [20, 20], "target": [40, 20]}]
    editor.step_once()
    editor.step_once()
    editor.save(path)
    editor.step_once()
    there = editor.latent
    editor.close()
    again = DragGAN.load(path, model=generator)
    assert (again.engine, again.config, again.step) == ("nudge", Nudge(pace=0.125), 2)
    again.step_once()
    assert (again.latent == there).all()
    again.close()
    unregister("nudge")
    with pytest.raises(ValueError, match="there is no engine 'nudge'"):
        DragGAN.load(path, model=generator)
    register(NudgeEngine())


def test_its_settings_are_in_the_schema_that_the_page_draws(generator):
    from draggan_widget.widget.protocol import schema_message

    session = Session(generator, config=Nudge())
    try:
        fields = {field["name"]: field for field in schema_message(session.latest.document)["fields"]}
        assert list(fields) == ["engine", "first", "pace", "patience", "speed"]
        assert fields["engine"]["choices"] == [[name, name] for name in engine_names("gan")]
        session.set_settings({"pace": 0.75}).result(30)
        assert session.config == Nudge(pace=0.75)
        with pytest.raises(
            ValueError,
            match="the engine nudge has no setting 'learning_rate'; draggan, freedrag, stabledrag, gooddrag have it",
        ):
            session.set_settings({"learning_rate": 0.1}).result(30)
        with pytest.raises(ValueError, match="pace is 3; it must be a number above 0 and up to 1"):
            session.set_settings({"pace": 3}).result(30)
    finally:
        session.close()
