"""Classes and other models in a session; the widget's tests have them from Python and from the page."""

from __future__ import annotations

import pytest
import torch
from planted import Planted
from random_stylegan2 import small_stylegan2

from draggan_widget.config import DragConfig
from draggan_widget.editing import DragFileError, Model, Session, beginnings, check_label, load_drag, save_drag

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
        session.relabel(4).result(5)
    assert session.now().label == 1


def test_another_model_takes_the_place_of_one_and_what_fails_changes_nothing(make):
    published, notices = [], []
    session = make(Planted((32, 32)), seed=3, on_change=published.append, on_notice=notices.append)
    session.put_point(1, handle=(9, 9), target=(20, 9))
    before = session.newest()
    with pytest.raises(OSError, match="the disk is gone"):
        session.load("a.pkl", lambda progress: open_on_a_bad_disk()).result(5)
    assert [(s.loading, s.trouble) for s in published[-2:]] == [
        ("a.pkl", ""),
        (None, "a.pkl was not loaded: the disk is gone"),
    ]
    after = session.newest()
    assert (after.document, after.model, after.status) == (before.document, before.model, before.status)
    assert after.can_undo
    other = Model(Planted((64, 32), channels=1), "b.pkl")
    session.load("b.pkl", lambda progress: other).result(5)
    now = session.newest()
    assert (now.model, now.loading, now.trouble, now.can_undo, now.can_redo) == (other, None, "", False, False)
    assert (now.document.drag.resolution, now.document.seed, session.generator) == ((64, 32), 3, other.generator)
    assert notices == []


def test_how_much_of_a_model_is_read_is_told_now_and_then(make, monkeypatch):
    published = []
    session = make(Planted((32, 32)), on_change=published.append)
    clock = iter(range(100))
    monkeypatch.setattr(beginnings, "TELL_EVERY", 2)
    monkeypatch.setattr(beginnings.time, "monotonic", lambda: next(clock) / 2)

    def read(progress):
        for part in range(10):
            progress(part / 10)
        return Model(Planted((32, 32)))

    session.load("b.pkl", read).result(5)
    told = [snapshot.progress for snapshot in published if snapshot.loading == "b.pkl"]
    assert told[0] is None
    assert told[1:] == sorted(told[1:])
    assert 2 <= len(told[1:]) <= 4
    assert published[-1].progress is None


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
        session.set_mask(torch.ones(32, 64).numpy()).result(5)
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
