"""The setting ``tracker``: every tracker in every engine that tracks, in steps, undo, files, changes and bad input."""

from __future__ import annotations

import copy
import dataclasses
import sys

import numpy as np
import pytest
import torch
from followers import pips_checkout, raft_weights
from planted import Planted, Textured

from draggan_widget import DragConfig, Editor, drag
from draggan_widget.analysis.experiments.ways import Way
from draggan_widget.editing import Session
from draggan_widget.engines import (
    BoundTracked,
    EditPoint,
    FreeDrag,
    GoodDrag,
    Natural,
    StableDrag,
    State,
    bind,
    engine_named,
    engine_names,
    search_of,
)
from draggan_widget.engines.losing import BoundWatched
from draggan_widget.engines.trackers import bringing, make, metric
from draggan_widget.models import StyleGAN2
from draggan_widget.models.stylegan2.sparse_forward import Windows
from draggan_widget.settings import TRACKERS, Limits, SettingError, settings_in

SETTINGS = [
    DragConfig(learning_rate=0.05, block=2),
    StableDrag(block=2, learning_rate=0.05, supervision_radius=24.0, tracking_radius=48.0),
    GoodDrag(block=2, learning_rate=0.05, supervision_radius=24.0, tracking_radius=48.0),
    Natural(tracking_radius=48.0),
]
NAMES = ["features", "features:2+3", "metric", "flow", "raft", "pips"]
each = pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: type(settings).__name__)


@pytest.fixture(scope="module")
def planted():
    return Textured((128, 136))


@pytest.fixture(scope="module", autouse=True)
def weights(planted, tmp_path_factory):
    """Weights of all trackers that need some, made for the model of this file."""
    folder, patch = tmp_path_factory.mktemp("weights"), pytest.MonkeyPatch()
    layer = torch.randn(metric.WIDTH, 6, generator=torch.Generator().manual_seed(0))
    metric.save(folder / "metric.safetensors", layer, planted, (2, 3))
    patch.setattr(metric, "SHIPPED", folder / "metric.safetensors")
    patch.setattr(bringing, "_brought", {})
    bringing.bring(raft=raft_weights(folder / "raft.pth"), pips=pips_checkout(folder / "pips"))
    yield
    patch.undo()


def begun(planted, settings, by=(7.0, -4.0)):
    """A state with one point on the bump."""
    ws = planted.mapping(seed=1)
    start = planted.centre(ws).double().numpy()
    return State.begin(planted, ws, settings).add_point(1, tuple(start), tuple(start + np.array(by)))


# --- in every engine -------------------------------------------------------------------------------------------------


def test_what_is_around_an_engine_lets_it_prepare(planted):
    class Preparing(type(bind(planted, DragConfig(block=2)))):
        def preparing(self, edit, memory):
            assert isinstance(memory, type(self.begin(edit)))
            return iter([0.5])

    own = Preparing(planted, DragConfig(block=2))
    around = BoundWatched(BoundTracked(own, "features", make("features", own.settings)), (2,))
    edit = begun(planted, DragConfig(block=2)).edit
    assert list(around.preparing(edit, around.begin(edit))) == [0.5]


@pytest.mark.parametrize("watched", [{}, {"on_lost": "stop"}], ids=["", "watched"])
@pytest.mark.parametrize(
    "settings",
    [DragConfig(block=4, learning_rate=0.01), GoodDrag(block=4, pulls=1), StableDrag(block=4)],
    ids=lambda settings: type(settings).__name__,
)
def test_a_tracker_and_a_watch_read_what_the_engine_has_computed_already(generator, settings, watched, monkeypatch):
    computed = []
    evaluate, maps = Windows.evaluate, StyleGAN2.feature_maps
    monkeypatch.setattr(Windows, "evaluate", lambda self, *of: computed.append(1) or evaluate(self, *of))
    monkeypatch.setattr(StyleGAN2, "feature_maps", lambda self, *of: computed.append(1) or maps(self, *of))

    def counts(settings):
        state = State.begin(generator, generator.mapping(seed=3), settings).add_point(1, (20, 30), (32, 36)).steps(2)
        computed.clear()
        state.steps(3)
        return len(computed)

    assert counts(settings.replace(tracker="features:4", **watched)) == counts(settings)


@pytest.mark.parametrize("name", NAMES)
@each
def test_handles_are_where_the_tracker_finds_them_in_the_picture_of_each_step(planted, settings, name):
    state = begun(planted, settings.replace(tracker=name))
    other = make(name, search_of(planted, settings))
    other.begin(planted, state.ws, state.handles)
    compared = 0
    for number in range(1, 7):
        before, (state,) = state, state.advance()
        if torch.equal(state.ws, before.ws):  # natural does not take a step that brings nothing
            assert state.handles.tolist() == before.handles.tolist()
            continue
        found = np.clip(other.track(planted, state.ws), 0, [135, 127])
        if not isinstance(settings, GoodDrag) or number % settings.pulls == 0:
            np.testing.assert_allclose(state.handles, found, atol=1e-4)
            compared += 1
    assert compared or name == "raft", "this compares nothing"  # RAFT's weights are random, and lead nowhere


@pytest.mark.parametrize("name", ["features", "features:2+3", "flow", "pips"])
@each
def test_a_drag_by_a_tracker_that_sees_well_arrives(planted, settings, name):
    state = begun(planted, settings, by=(4.0, -3.0))
    result = drag(planted, state.ws, state.handles, state.targets, config=settings.replace(tracker=name))
    assert result.reason in ("arrived", "near")
    assert planted.centre(result.ws).numpy() == pytest.approx(state.targets[0], abs=2)


def test_an_engine_that_tracks_has_the_setting_and_one_that_does_not_has_not():
    for name in engine_names():
        engine = engine_named(name)
        assert ("tracker" in settings_in(engine.Settings)) == engine.takes_trackers, name
    assert engine_named("freedrag").takes_trackers is False


@each
def test_without_another_tracker_nothing_is_wrapped(planted, settings):
    assert type(bind(planted, settings)) is type(engine_named(engine_of(settings)).bind(planted, settings))


def engine_of(settings):
    return {"DragConfig": "draggan"}.get(type(settings).__name__, type(settings).__name__.lower())


# --- undo, history, files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@each
def test_a_packed_and_a_compact_memory_go_on_exactly(planted, settings, name):
    state = begun(planted, settings.replace(tracker=name), by=(14.0, -9.0)).steps(4)
    bound = state.bound
    tensors, values = bound.pack(state.memory)
    again = bound.unpack(state.edit, {key: tensor.clone() for key, tensor in tensors.items()}, values)
    kept = bound.expand(state.edit, bound.compact(state.memory))
    there = state.steps(5)
    for memory in (again, kept):
        after = dataclasses.replace(state, memory=memory).steps(5)
        assert torch.equal(after.ws, there.ws)
        assert after.handles.tolist() == there.handles.tolist()


@pytest.mark.parametrize("name", ["features", "flow", "pips"])
@each
def test_undo_and_the_timeline_find_the_tracker_of_before(planted, settings, name):
    session = Session(planted, seed=1, config=settings.replace(tracker=name, max_steps=6))
    try:
        start = planted.centre(session.now().drag.ws).numpy()
        session.put_point(1, handle=tuple(start), target=(start[0] + 14, start[1] - 9))
        session.start()
        session.finished().result(60)
        after = session.now().drag
        assert after.step >= 2
        session.branch(1).result(20)
        assert session.now().drag.step == 1
        session.start()
        session.finished().result(60)
        again = session.now()
        where = [record.step for record in again.records].index(after.step)
        # A run that begins anew weighs the rest of the picture anew, with natural.
        close = 0.01 if isinstance(settings, Natural) else 0
        np.testing.assert_allclose(again.records[where].handles, after.handles, rtol=0, atol=close)
        session.undo().result(20)
        session.undo().result(20)
        assert torch.equal(session.now().drag.ws, after.ws)
    finally:
        session.close()


@pytest.mark.parametrize("name", ["features:2+3", "metric", "flow", "pips"])
@each
def test_a_file_goes_on_exactly(planted, settings, name, tmp_path):
    editor = Editor(planted, seed=1, config=settings)
    start = planted.centre(torch.from_numpy(editor.latent)).numpy()
    editor.tracker = name
    editor.points = [{"handle": start.tolist(), "target": [start[0] + 14, start[1] - 9]}]
    for _ in range(3):
        editor.step_once()
    editor.save(path := tmp_path / "a.drag")
    editor.step_once()
    there, points = editor.latent, editor.points
    editor.close()
    again = Editor.load(path, model=planted)
    assert (again.tracker, again.step) == (name, 3)
    again.step_once()
    assert (again.latent == there).all()
    assert again.points == points
    again.close()


def test_a_memory_that_is_damaged_or_of_another_edit_is_refused(planted):
    state = begun(planted, Natural(tracker="flow")).steps(2)
    bound, edit = state.bound, state.edit
    tensors, values = bound.pack(state.memory)
    ((ids, seen),) = values["tracks"]
    latents = tensors["tracker.0"]
    other = [
        (tensors, {**values, "tracker": "features"}),
        (tensors, {**values, "tracks": None}),
        (tensors, {**values, "tracks": []}),
        (tensors, {**values, "tracks": [[[9], seen]]}),
        (tensors, {**values, "tracks": [[ids, [[[1, 2, 3]]]]]}),
        (tensors, {**values, "tracks": [[ids, [[["a", 2]]]]]}),
        (tensors, {**values, "tracks": [[ids, [[[float("nan"), 2]]]]]}),
        (tensors, {**values, "tracks": [[ids, []]]}),
        (tensors, {**values, "tracks": [[ids, seen], [ids, seen]]}),
        (tensors, {name: value for name, value in values.items() if name != "own"}),
        ({**tensors, "tracker.1": latents}, {**values, "tracks": [[ids, seen], [ids, seen]]}),
        ({**tensors, "tracker.0": latents[:, :, :2]}, values),
        ({**tensors, "tracker.1": latents}, values),
        ({name: tensor for name, tensor in tensors.items() if name != "tracker.0"}, values),
    ]
    for some, told in other:
        with pytest.raises(ValueError, match="^what the tracker remembers is incomplete, or of another edit$"):
            bound.unpack(edit, some, told)
    with pytest.raises(ValueError, match="is said to have seen 2 pictures; it goes on from 1 to 1$"):
        bound.unpack(
            edit, {**tensors, "tracker.0": latents.repeat(2, 1, 1, 1)}, {**values, "tracks": [[ids, seen * 2]]}
        )
    with pytest.raises(ValueError, match="finite"):
        bound.unpack(edit, {**tensors, "tracker.0": latents * torch.nan}, values)


# --- changes on the way -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["features", "flow"])
@each
def test_other_settings_and_another_target_keep_what_is_followed(planted, settings, name):
    state = begun(planted, settings.replace(tracker=name), by=(14.0, -9.0)).steps(3)
    ((_, place),) = state.memory.tracks[0].tracker.seen()[:1]
    for after in (
        state.with_config(state.config.replace(max_steps=77)),
        state.move_target(1, (60.0, 70.0)),
        state.begin_run(),
    ):
        assert after.memory.tracks[0].ids == (1,)
        assert after.memory.tracks[0].tracker.seen()[0][1] is place
        after.steps(1)


@each
def test_a_tracker_takes_over_from_the_engine_and_gives_back(planted, settings):
    state = begun(planted, settings, by=(14.0, -9.0)).steps(2)
    flow = state.with_config(settings.replace(tracker="flow"))
    assert flow.memory.tracks == ()
    there = flow.steps(2)
    assert there.memory.tracks[0].tracker.seen()[0][0] is not there.ws
    back = there.with_config(settings.replace(tracker="features"))
    assert back.memory.tracks == ()
    own = back.steps(1).with_config(settings)
    assert type(own.memory) is type(state.memory)
    assert own.steps(1).step == 6


@each
def test_a_point_that_is_added_put_elsewhere_or_taken_away_is_taken_anew_alone(planted, settings):
    state = begun(planted, settings.replace(tracker="features"), by=(14.0, -9.0)).steps(2)
    two = state.add_point(2, (40.0, 40.0), (44.0, 42.0)).steps(1)
    assert [track.ids for track in two.memory.tracks] == [(1,), (2,)]
    put = two.move_handle(1, (70.0, 70.0))
    assert [track.ids for track in put.memory.tracks] == [(2,)]
    assert sorted(number for track in put.steps(1).memory.tracks for number in track.ids) == [1, 2]
    gone = two.remove_point(1)
    assert [track.ids for track in gone.memory.tracks] == [(2,)]
    again = gone.add_point(1, (70.0, 70.0), (72.0, 70.0)).steps(1)
    assert [track.ids for track in again.memory.tracks] == [(2,), (1,)]


@each
def test_one_of_several_points_begun_together_may_go(planted, settings):
    state = begun(planted, settings.replace(tracker="features"), by=(14.0, -9.0))
    state = state.add_point(2, (40.0, 40.0), (44.0, 42.0)).steps(1)
    assert [track.ids for track in state.memory.tracks] == [(1, 2)]
    gone = state.remove_point(1).steps(1)
    assert [track.ids for track in gone.memory.tracks] == [(None, 2)]
    tensors, values = gone.bound.pack(gone.memory)
    assert gone.bound.unpack(gone.edit, tensors, values).tracks[0].ids == (None, 2)
    assert gone.handles.shape == (1, 2)


def test_a_step_that_is_not_taken_leaves_the_tracker_where_it_was(planted):
    state = begun(planted, Natural(tracker="raft"), by=(20.0, 0.0))
    for _ in range(6):
        before, (state,) = state, state.advance()
        if torch.equal(before.ws, state.ws) and before.memory.tracks:
            assert state.memory.tracks[0].tracker.seen() == before.memory.tracks[0].tracker.seen()
            return
    pytest.fail("random weights brought the handle nearer every time")


def test_a_point_put_where_it_is_already_is_on_other_content(planted):
    state = begun(planted, Natural(tracker="flow"), by=(14.0, -9.0)).steps(2)
    point = state.edit.point(1)
    put = state.edit.with_point(EditPoint(1, point.handle, point.target, point.handle))
    assert state.bound.adapt(state.edit, put, state.memory).tracks == ()


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["magic", "features:", "features:0", "features:2+", "raft:w.pth", "pips:a:b", 3, None]
)
def test_a_tracker_there_is_none_of_and_one_that_names_files_is_no_setting(value):
    with pytest.raises(
        SettingError,
        match=r"^tracker is .*; it must be one of own, features, metric, flow, raft, pips, or features of blocks such "
        r"as features:4\+5$",
    ):
        Natural(tracker=value)


def test_the_page_chooses_from_a_list_of_trackers_and_of_the_models_blocks():
    schema = settings_in(Natural)["tracker"].schema(Limits(4, (1, 2, 3)))
    assert schema["kind"] == "choice"
    assert [value for value, _ in schema["choices"]] == [*TRACKERS, "features:1", "features:2", "features:3"]
    with pytest.raises(SettingError, match="^tracker is 9; this generator has blocks 1 to 3$"):
        settings_in(Natural)["tracker"].check("features:9", Limits(4, (1, 2, 3)))
    assert settings_in(Natural)["tracker"].check("features:2+3", Limits(4, (1, 2, 3))) == "features:2+3"


@each
def test_a_tracker_that_cannot_be_had_or_cannot_serve_the_model_is_refused_in_a_sentence(
    planted, settings, monkeypatch, tmp_path
):
    other = Planted((64, 64))
    with torch.no_grad():
        other.scale.mul_(1.5)
    said = {
        "features:2+9": r"^tracker is features:2\+9: the tracker reads block 2\+9; this generator has blocks 1 to 3$",
        "metric": "^tracker is metric: the metric in metric.safetensors was trained on another model; track by "
        "features, or train one for it$",
        "raft": "^tracker is raft: RAFT needs pictures of at least 128 pixels each way, and these have 64×64",
    }
    for name, told in said.items():
        with pytest.raises(ValueError, match=told):
            bind(other, settings.replace(tracker=name))
    monkeypatch.setattr(bringing, "_brought", {})
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("raft", "pips"):
        with pytest.raises(ValueError, match=f"^tracker is {name}: the tracker {name} needs its .*: bring"):
            bind(planted, settings.replace(tracker=name))
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ValueError, match=r'^tracker is flow: optical flow needs OpenCV: pip install "draggan_widget'):
        bind(planted, settings.replace(tracker="flow"))


def test_an_editor_refuses_such_a_tracker_and_stays_as_it_is(planted, monkeypatch, tmp_path):
    monkeypatch.setattr(bringing, "_brought", {})
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    editor = Editor(planted, seed=1, config=Natural())
    with pytest.raises(Exception, match="tracker is raft: the tracker raft needs its file of weights"):
        editor.tracker = "raft"
    assert editor.tracker == "own"
    assert editor.config == Natural()
    editor.close()


def test_a_file_whose_tracker_is_not_here_says_so(planted, monkeypatch, tmp_path):
    editor = Editor(planted, seed=1, config=Natural(tracker="pips"))
    editor.save(path := tmp_path / "a.drag")
    editor.close()
    monkeypatch.setattr(bringing, "_brought", {})
    with pytest.raises(
        ValueError, match="cannot go on here: its engine natural cannot serve this model: tracker is pips"
    ):
        Editor.load(path, model=planted)


@each
def test_a_tracker_that_gives_no_places_is_told_from_the_engine(planted, settings, monkeypatch):
    state = begun(planted, settings.replace(tracker="flow", **({"pulls": 1} if hasattr(settings, "pulls") else {})))
    monkeypatch.setattr(type(state.bound._tracker), "track", lambda self, model, latent: np.array([[np.nan, 1.0]]))
    with pytest.raises(ValueError, match=r"must give 1 finite \(x, y\)"):
        state.advance()


def test_a_tuned_copy_is_followed_by_the_metric_of_its_model():
    from draggan_widget import load_generator
    from draggan_widget.models import difference

    monkey = pytest.MonkeyPatch()
    monkey.setattr(metric, "SHIPPED", metric.Path(metric.__file__).parent / "faces_metric.safetensors")
    faces = load_generator("faces")
    changed = copy.deepcopy(faces)
    with torch.no_grad():
        next(changed.parameters()).add_(1e-3)
    tuned = difference(faces, changed).apply(faces)
    assert bind(tuned, Natural(tracker="metric")).settings.tracker == "metric"
    monkey.undo()


# --- evaluate ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: type(settings).__name__)
def test_a_way_with_a_tracker_is_the_drag_with_that_setting(planted, settings):
    state = begun(planted, settings)
    way = Way("by flow", settings, "flow")
    there = way.drag(planted, state.ws, state.handles, state.targets, 20, {})
    plain = drag(planted, state.ws, state.handles, state.targets, config=settings.replace(tracker="flow", max_steps=20))
    assert torch.equal(there.ws, plain.ws)
    assert "tracker" not in way.to_dict()["config"]  # as rows of before there was the setting have it


def test_a_way_whose_engine_tracks_nothing_takes_no_tracker():
    with pytest.raises(ValueError, match="but the engine freedrag tracks nothing; choose another engine"):
        Way("free", FreeDrag(), "flow")
