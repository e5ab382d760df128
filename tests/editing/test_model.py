"""Classes and other models in a session; the widget's tests have them from Python and from the page."""

from __future__ import annotations

import dataclasses
import gc
import json
import threading
import time
import types
import weakref

import numpy as np
import pytest
import safetensors.torch
import torch
from planted import Planted
from random_stylegan2 import small_stylegan2

from draggan_widget.config import DragConfig
from draggan_widget.editing import (
    DragFileError,
    Model,
    Session,
    check_label,
    film,
    finish,
    jobs,
    load_drag,
    save_drag,
)
from draggan_widget.models import CheckpointError, save_generator

ENDLESS = DragConfig(learning_rate=0.05, tolerance=0.0, stall_steps=None, max_steps=None)


@pytest.fixture
def make():
    made = []

    def make(model, **settings):
        made.append(Session(model, **settings))
        return made[-1]

    yield make
    for session in made:
        session.close()


def test_a_model_is_called_after_its_file_and_without_one_after_its_kind():
    plain = Planted((32, 32))
    assert (Model(plain).name, Model(plain).title) == ("Planted", "Planted")
    model = Model(plain, "some/where/network-snapshot.pkl")
    assert (model.name, model.title) == ("network-snapshot.pkl", "network-snapshot")


@pytest.mark.parametrize(("label", "classes", "checked"), [(None, 0, None), (None, 5, 0), (4, 5, 4)])
def test_a_class_that_there_is_is_taken_and_none_is_the_first(label, classes, checked):
    assert check_label(label, classes) == checked


@pytest.mark.parametrize(
    ("label", "classes", "error", "says"),
    [
        (5, 5, ValueError, "label is 5; this generator has the classes 0 to 4"),
        (-1, 5, ValueError, "0 to 4"),
        (True, 5, TypeError, "whole number from 0 to 4"),
        (1.0, 5, TypeError, "whole number from 0 to 4"),
        (0, 0, ValueError, "has no classes; leave it out"),
    ],
)
def test_other_classes_are_refused_naming_the_range(label, classes, error, says):
    with pytest.raises(error, match=says):
        check_label(label, classes)


def test_another_class_begins_a_new_edit_and_undo_brings_the_old_one_back(make):
    generator = small_stylegan2(32, c_dim=4)
    session = make(generator, seed=3, truncation=0.7, label=1)
    session.put_point(1, handle=(9, 9), target=(20, 9))
    before = session.now()
    session.relabel(2)
    assert torch.equal(session.now().drag.ws, generator.mapping(seed=3, label=2, truncation=0.7))
    assert session.now().drag.ids == ()
    session.undo()
    assert session.now().label == 1
    assert torch.equal(session.now().drag.ws, before.drag.ws)
    with pytest.raises(ValueError, match="0 to 3"):
        session.relabel(4).result(30)
    assert session.now().label == 1


def test_another_model_takes_the_place_of_one_and_what_fails_changes_nothing(make):
    published, notices = [], []
    session = make(Planted((32, 32)), seed=3, on_change=published.append, on_notice=notices.append)
    session.put_point(1, handle=(9, 9), target=(20, 9))
    before = session.newest()

    def open_when_that_is_told(progress):
        until(lambda: published[-1].loading == "a.pkl")
        open_on_a_bad_disk()

    with pytest.raises(OSError, match="the disk is gone"):
        session.load("a.pkl", open_when_that_is_told).result(30)
    assert [(s.loading, s.trouble) for s in published[-2:]] == [
        ("a.pkl", ""),
        (None, "a.pkl was not loaded: the disk is gone"),
    ]
    after = session.newest()
    assert (after.document, after.model, after.status) == (before.document, before.model, before.status)
    assert after.can_undo
    other = Model(Planted((64, 32), channels=1), "b.pkl")
    session.load("b.pkl", lambda progress: other).result(30)
    now = session.newest()
    assert (now.model, now.loading, now.trouble, now.undo, now.can_redo) == (other, None, "", "model b", False)
    assert (now.document.drag.resolution, now.document.seed, session.generator) == ((64, 32), 3, other.generator)
    assert notices == []


def model(name, **settings):
    return Model(Planted((32, 32), **settings), name)


def load(session, given):
    """Have a model loaded, and wait for it."""
    session.load(given.name, lambda progress: given).result(20)


def test_undo_goes_back_over_a_model_with_latent_points_mask_and_settings_and_redo_forward(make):
    first, second = model("a.pkl"), model("b.pkl", classes=4)
    session = make(first, seed=3, config=ENDLESS)
    mask = np.ones((32, 32), np.float32)
    session.set_mask(mask)
    session.put_point(1, handle=(9, 9), target=(20, 9))
    session.step_once()
    before = session.newest()
    load(session, second)
    assert (session.newest().undo, session.newest().message) == ("model b", "b is loaded.")
    session.set_config(ENDLESS.replace(learning_rate=0.5))
    session.put_point(4, handle=(5, 5), target=(9, 5))
    session.step_once().result(20)
    after = session.newest()
    for _ in range(2):
        session.undo()
    session.undo().result(20)
    back = session.newest()
    assert (back.model, back.document.label, back.message) == (first, None, "Undone: model b.")
    assert session.generator is first.generator
    assert torch.equal(back.document.drag.ws, before.document.drag.ws)
    assert back.points() == before.points()
    assert back.document.mask is mask
    assert session.config == ENDLESS
    assert [record.step for record in back.document.records] == [0, 1]
    for _ in range(2):
        session.redo()
    session.redo().result(20)
    again = session.newest()
    assert (again.model, again.document.label, again.can_redo) == (second, 0, False)
    assert torch.equal(again.document.drag.ws, after.document.drag.ws)
    assert again.points() == after.points()
    assert session.config == ENDLESS.replace(learning_rate=0.5)
    for _ in range(2):
        session.undo()
    session.undo().result(20)
    session.step_once().result(20)
    assert session.newest().step == 2, "it goes on from there"


def test_undo_keeps_two_models_alive_besides_the_present_one_and_then_ends(make):
    models = [model(f"{name}.pkl") for name in "abcd"]
    alive = [weakref.ref(each.generator) for each in models]
    session = make(models[0])
    session.put_point(1, handle=(9, 9), target=(20, 9))
    for each in models[1:]:
        load(session, each)
        session.put_point(1, handle=(9, 9), target=(20, 9)).result(20)
    del models, each
    gc.collect()
    assert [held() is not None for held in alive] == [False, True, True, True]
    said = []
    while session.newest().can_undo:
        said.append(session.newest().undo)
        session.undo()
    assert said == ["pull of point 1", "model d", "pull of point 1", "model c", "pull of point 1"]
    assert session.newest().model.name == "b.pkl"
    with pytest.raises(ValueError, match="nothing to undo"):
        session.undo().result(30)
    while session.newest().can_redo:
        session.redo()
    assert session.newest().model.name == "d.pkl"
    session.undo()
    session.undo().result(30)
    session.set_mask(None).result(30)  # and what was undone is forgotten, its model with it
    gc.collect()
    assert [held() is not None for held in alive] == [False, True, True, False]


def test_an_edit_that_is_restored_under_the_same_generator_keeps_the_models_name_and_takes_commands_at_once(make):
    mine = model("a.pkl")
    session = make(mine)
    document = dataclasses.replace(session.now(), model=Model(mine.generator))
    session.restore(document)
    session.put_point(1, handle=(9, 9), target=(20, 9)).result(20)
    assert session.newest().model is mine
    other = make(model("b.pkl"))
    other.restore(document).result(20)
    assert other.newest().model is document.model, "the model of a document comes with it"
    assert other.generator is mine.generator


def test_a_picture_of_the_past_is_painted_by_its_own_model(make):
    session = make(model("a.pkl"), seed=3)
    document, picture = session.now(), session.picture()
    load(session, Model(Planted((64, 32), channels=1), "b.pkl"))
    assert (session.picture().size, session.picture(document).size) == ((32, 64), (32, 32))
    assert session.picture(document).tobytes() == picture.tobytes()
    assert session.glimpse(document, quick=True)[0].size == (32, 32)
    assert session.thumbnail(document).size == (64, 64)


# --- a model that is read beside the edit ----------------------------------------------------------------------------


def watched(job, tell):
    """The same job, of whose progress somebody is told."""
    while True:
        try:
            told = next(job)
        except StopIteration as end:
            return end.value
        tell(told)
        yield told


class Slow:
    """A file that is read as slowly as the test likes."""

    def __init__(self, given):
        self.given, self.begun, self.go = given, threading.Event(), threading.Event()
        self.stopped = False

    def __call__(self, progress):
        self.begun.set()
        while not self.go.wait(0.005):
            try:
                progress(0.5)
            except BaseException:
                self.stopped = True
                raise
        return self.given


def until(condition, timeout=20.0):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.005)


def running(session):
    """A session that pulls, and goes on until it is stopped."""
    session.put_point(1, handle=(9, 9), target=(20, 9))
    session.start().result(20)


def goes_on(session):
    """Waits until a run has gone on for some steps."""
    step = session.latest.step
    until(lambda: session.latest.step >= step + 3)


def test_a_run_a_film_and_a_model_that_is_read_go_on_at_once(make):
    session = make(model("a.pkl"), config=ENDLESS)
    running(session)
    goes_on(session)
    slow, shares = Slow(model("b.pkl")), []
    loaded = session.load("b.pkl", slow)
    assert slow.begun.wait(20)
    document = session.now()
    film_made = session.run_job(watched(film("gif", document, document.model.generator), shares.append), what="gif")
    goes_on(session)
    session.put_point(1, target=(22, 12), pulling=True).result(20)
    goes_on(session)
    assert session.newest().points()[0]["target"] == [22, 12], "the pull is obeyed"
    assert film_made.result(20).startswith(b"GIF89a")
    assert len(shares) > 2
    until(lambda: [job.share for job in session.latest.jobs] == [0.5])
    goes_on(session)
    now = session.latest
    assert (now.status, now.loading, now.model.name, loaded.done()) == ("running", "b.pkl", "a.pkl", False)
    slow.go.set()
    loaded.result(20)
    assert (session.newest().model.name, session.newest().status, session.newest().loading) == ("b.pkl", "idle", None)
    session.undo().result(20)
    assert session.newest().step >= now.step, "undo brings the run back, with all it did while the model was read"


def test_a_film_that_is_made_while_another_model_comes_is_of_the_edit_it_was_begun_with(make):
    session = make(model("a.pkl"), config=ENDLESS)
    session.put_point(1, handle=(9, 9), target=(20, 9))
    for _ in range(3):
        session.step_once()
    document = session.now()
    alone = finish(film("gif", document, document.model.generator))
    first, go = threading.Event(), threading.Event()
    made = session.run_job(
        watched(film("gif", document, document.model.generator), lambda _: (first.set(), go.wait(20)))
    )
    assert first.wait(20)
    loaded = session.load("b.pkl", lambda progress: model("b.pkl"))
    go.set()
    assert made.result(20) == alone
    loaded.result(20)


def test_a_load_that_is_cancelled_ends_at_once_and_changes_nothing(make):
    session = make(model("a.pkl"), config=ENDLESS)
    running(session)
    slow = Slow(model("b.pkl"))
    loaded = session.load("b.pkl", slow)
    assert slow.begun.wait(20)
    until(lambda: session.latest.loading == "b.pkl")
    assert loaded.cancel()
    until(lambda: session.latest.loading is None)
    until(lambda: slow.stopped)
    goes_on(session)
    now = session.newest()
    assert (now.status, now.model.name, now.trouble, now.undo) == ("running", "a.pkl", "", "run")
    load(session, model("c.pkl"))
    assert session.newest().model.name == "c.pkl"


def test_a_load_that_fails_leaves_a_run_as_it_is(make):
    session = make(model("a.pkl"), config=ENDLESS)
    running(session)
    with pytest.raises(OSError, match="the disk is gone"):
        session.load("b.pkl", lambda progress: open_on_a_bad_disk()).result(20)
    assert session.latest.trouble == "b.pkl was not loaded: the disk is gone"
    goes_on(session)
    assert (session.newest().status, session.newest().undo) == ("running", "run")


@pytest.mark.parametrize(
    ("bad", "told"), [({"learning_rate": 50}, "learning_rate is 50"), ({"stall_steps": -1}, "stall_steps is -1")]
)
def test_a_checkpoint_with_settings_out_of_bounds_is_refused_by_name_and_nothing_is_lost(make, tmp_path, bad, told):
    path = tmp_path / "bad.safetensors"
    save_generator(path, small_stylegan2(32))
    with safetensors.safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["draggan_widget"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header["drag_config"].update(bad)
    safetensors.torch.save_file(tensors, path, metadata={"draggan_widget": json.dumps(header)})
    content = path.read_bytes()
    session = make(model("a.pkl"), config=ENDLESS)
    running(session)
    with pytest.raises(CheckpointError, match=rf"bad.* has settings that cannot be dragged with: {told}"):
        session.load("bad", lambda progress: Model.load(path, "cpu", progress)).result(20)
    assert f"has settings that cannot be dragged with: {told}" in session.latest.trouble
    goes_on(session)
    now = session.newest()
    assert (now.status, now.model.name, now.undo, session.config) == ("running", "a.pkl", "run", ENDLESS)
    assert path.read_bytes() == content


def test_models_that_are_asked_for_together_come_one_after_another_and_each_can_be_undone(make):
    session = make(model("a.pkl"))
    one, two = Slow(model("b.pkl")), Slow(model("c.pkl"))
    first, second = session.load("b.pkl", one), session.load("c.pkl", two)
    assert one.begun.wait(20)
    until(lambda: session.latest.loading == "b.pkl")
    assert not two.begun.is_set()
    one.go.set()
    first.result(20)
    assert two.begun.wait(20)
    until(lambda: session.latest.loading == "c.pkl")
    two.go.set()
    second.result(20)
    session.undo()
    assert session.newest().model.name == "b.pkl"


def test_a_session_that_closes_while_a_model_is_read_lets_go_of_it(make):
    session = make(model("a.pkl"))
    slow = Slow(model("b.pkl"))
    loaded = session.load("b.pkl", slow)
    assert slow.begun.wait(20)
    session.close()
    with pytest.raises(RuntimeError, match="closed"):
        loaded.result(20)
    until(lambda: slow.stopped)
    with pytest.raises(RuntimeError, match="closed"):
        session.load("b.pkl", slow)


def test_what_was_meant_for_a_picture_of_the_model_before_is_refused(make):
    notices = []
    session = make(model("a.pkl"), on_notice=notices.append)
    slow = Slow(model("b.pkl"))
    loaded = session.load("b.pkl", slow)
    assert slow.begun.wait(20)
    busy, go = threading.Event(), threading.Event()
    session.show(lambda: busy.set() or go.wait(20))
    assert busy.wait(20)
    slow.go.set()
    until(lambda: session._jobs._lanes["load"][0].waits.done())
    session.show(lambda: finish_slices(session))
    late = session.put_point(1, handle=(9, 9), target=(20, 9))
    go.set()
    loaded.result(20)
    with pytest.raises(ValueError, match="one of b by now; that was meant for another"):
        late.result(20)
    assert session.newest().points() == []


def finish_slices(session):
    while session._jobs.advance():
        pass


def test_how_much_of_a_model_is_read_is_told_now_and_then(make, monkeypatch):
    published = []
    session = make(Planted((32, 32)), on_change=published.append)
    clock = iter(range(100))
    monkeypatch.setattr(jobs, "TELL_EVERY", 2)
    monkeypatch.setattr(jobs, "time", types.SimpleNamespace(monotonic=lambda: next(clock) / 2))

    def is_told(share):  # nothing may be published yet: reading begins before the worker tells of it
        return bool(published) and [job.share for job in published[-1].jobs] == [share]

    def read(progress):
        for part in range(10):
            progress(part / 10)
            given_up = time.monotonic() + 0.3  # the worker may need so long to tell those that are told
            while not is_told(part / 10) and time.monotonic() < given_up:
                time.sleep(0.01)
        return Model(Planted((32, 32)))

    session.load("b.pkl", read).result(30)
    told = [snapshot.jobs[0].share for snapshot in published if snapshot.loading == "b.pkl"]
    assert told[0] is None
    assert told[1:] == sorted(told[1:])
    assert 2 <= len(told[1:]) <= 4
    assert published[-1].jobs == ()


def open_on_a_bad_disk():
    raise OSError("the disk is gone")


def test_a_gesture_under_way_ends_with_its_model(make):
    session = make(Planted((32, 32)), config=ENDLESS)
    session.put_point(1, handle=(9, 9), target=(20, 9), pulling=True)
    session.start(by_view=True)
    session.load("b.pkl", lambda progress: Model(Planted((32, 32)))).result(20)
    session.put_point(1, handle=(9, 9), target=(20, 9))
    session.put_point(1, target=(12, 9))
    session.undo()
    assert session.newest().points()[0]["target"] == [20, 9]


def test_a_mask_of_another_shape_leaves_no_trace_in_undo(make):
    session = make(Planted((64, 32)))
    with pytest.raises(ValueError, match=r"needs \(64, 32\)"):
        session.set_mask(torch.ones(32, 64).numpy()).result(30)
    assert not session.newest().can_undo


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("resolution", [(64, 32), (32, 64)])
def test_a_drag_file_keeps_shape_and_class(make, tmp_path, resolution, channels):
    generator = Planted(resolution, channels, classes=4)
    session = make(generator, seed=3, label=2)
    session.put_point(1, handle=(9, 9), target=(20, 9))
    session.step_once()
    save_drag(tmp_path / "a.drag", session.now(), generator, None)
    again = load_drag(tmp_path / "a.drag", generator)
    assert (again.label, again.drag.resolution) == (2, resolution)
    assert torch.equal(again.drag.ws, session.now().drag.ws)
    with pytest.raises(DragFileError):
        load_drag(tmp_path / "a.drag", Planted(resolution[::-1], channels, classes=4))
