"""Looking at the past of an edit, going on from there, thinning and scripts."""

from __future__ import annotations

import dataclasses
import gc

import numpy as np
import pytest
import torch
from planted import Planted

from draggan_widget import DragConfig
from draggan_widget.editing import Record, Session
from draggan_widget.editing.history import MOST_RECORDS, appended, at_step
from draggan_widget.editing.settings import with_settings
from draggan_widget.engines.draggan import engine

ENDLESS = DragConfig(learning_rate=0.02, tolerance=0.0, max_steps=None, stall_steps=None)


@pytest.fixture
def session():
    made = Session(Planted((32, 48)), seed=1, config=ENDLESS)
    made.put_point(1, handle=(20, 15), target=(40, 20))
    for _ in range(6):
        made.step_once()
    yield made
    made.close()


def latent(session):
    return session.now().drag.ws


def test_looking_shows_a_moment_of_the_past_and_changes_nothing_of_the_edit(session):
    newest = latent(session)
    session.look(2).result(30)
    snapshot = session.newest()
    assert (snapshot.shown, snapshot.step) == (2, 6)
    assert torch.equal(snapshot.seen.drag.ws, torch.from_numpy(snapshot.document.records[2].ws))
    assert torch.equal(latent(session), newest)
    session.look(None).result(30)
    assert session.newest().shown is None


def test_going_on_from_the_past_leads_where_it_led_before_and_undo_brings_back_what_came_after(session):
    newest = latent(session)
    session.branch(2).result(30)
    assert session.now().drag.step == 2
    for _ in range(4):
        session.step_once()
    assert torch.equal(latent(session), newest), "Adam's moments and references are those of that step"
    for _ in range(4):
        session.undo()
    session.undo().result(30)
    assert session.now().drag.step == 6
    assert torch.equal(latent(session), newest)


def test_a_pull_while_looking_at_the_past_goes_on_from_what_is_seen(session):
    session.look(3).result(30)
    session.put_point(1, target=(10, 10)).result(30)
    assert (session.now().drag.step, session.newest().shown) == (3, None)
    session.undo().result(30)
    assert session.now().drag.step == 6


def test_there_is_no_going_on_from_a_step_that_is_not_there_yet(session):
    with pytest.raises(ValueError, match="no step 9 yet; the edit has 6 steps"):
        session.branch(9).result(30)


def test_records_are_thinned_evenly_with_both_ends_kept():
    records: tuple[Record, ...] = ()
    for step in range(5000):
        records = appended(
            records, Record(step, 0.0, (), np.empty((0, 2)), np.empty((0, 2)), {}, np.empty(0), None), most=100
        )
        assert len(records) <= 101
    steps = [record.step for record in records]
    assert (steps[0], steps[-1]) == (0, 4999)
    assert len(set(np.diff(steps[:-1]))) == 1
    assert steps[at_step(records, 1000)] <= 1000


def test_a_run_of_thousands_of_steps_keeps_no_more_than_it_says_and_every_kept_one_can_be_gone_on_from(monkeypatch):
    def walk(_generator, drag, _at_most):
        latent = (drag.ws + 1e-4).requires_grad_()
        return [dataclasses.replace(drag, latent=latent, step=drag.step + 1)]

    monkeypatch.setattr(engine, "stride", walk)
    others = [each for each in gc.get_objects() if isinstance(each, Record)]
    session = Session(Planted((32, 48)), seed=1, config=ENDLESS.replace(max_steps=5000))
    try:
        session.put_point(1, handle=(20, 15), target=(40, 20))
        session.start()
        assert session.finished().result(60).reason == "capped"
        gc.collect()
        known = {id(each) for each in others}
        alive = [each for each in gc.get_objects() if isinstance(each, Record) and id(each) not in known]
        steps = [record.step for record in session.now().records]
        assert len(alive) == len(steps) <= MOST_RECORDS
        assert (steps[0], steps[-1]) == (0, 5000)
        assert set(np.diff(steps)) == {4}, "of 5,000 every 4th, since every 2nd would be too many"
        session.branch(2501).result(30)
        document = session.now()
        assert (document.drag.step, len(document.records)) == (2500, 626)
        assert ("steps", 2500) in document.script
    finally:
        session.close()


def test_settings_are_taken_one_by_one_and_none_is_the_generators_own():
    generator = Planted((32, 32))
    config, speed = with_settings(generator, ENDLESS, None, {"learning_rate": 0.5, "speed": 4, "space": "w"})
    assert (config.learning_rate, config.space, speed) == (0.5, "w", 4.0)
    config, speed = with_settings(generator, config, speed, {"learning_rate": None, "speed": None})
    assert (config.learning_rate, speed) == (generator.drag_config.learning_rate, None)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"learning_rate": -1}, "learning_rate is -1"),
        ({"block": 9}, "this generator has blocks 1 to 3"),
        ({"edit_layers": 99}, "this generator has rows 1 to 4"),
        ({"space": "z"}, "space is 'z'"),
        ({"speed": 0}, "speed is 0"),
        ({"colour": 1}, "there is no setting 'colour'"),
    ],
)
def test_a_setting_that_cannot_be_taken_is_named_with_what_can_be(values, told):
    with pytest.raises(ValueError, match=told):
        with_settings(Planted((32, 32)), ENDLESS, None, values)


def test_editing_in_w_moves_all_rows_alike(session):
    session.set_settings({"space": "w"})
    before = latent(session)
    session.step_once().result(30)
    change = latent(session) - before
    assert change.abs().max() > 0
    torch.testing.assert_close(change, change[:, :1].expand_as(change))


def test_undo_and_redo_say_what_they_would_take_back_and_do_again(session):
    names = lambda: (session.newest().undo, session.newest().redo)  # noqa: E731
    assert names() == ("one step", "")
    session.put_point(1, target=(30, 20))
    assert names() == ("move of target 1", "")
    session.put_point(2, handle=(5, 5), target=(9, 9), pulling=True)
    session.put_point(2, target=(12, 9), pulling=True)
    session.put_point(2)
    assert names() == ("pull of point 2", "")
    session.undo()
    assert names() == ("move of target 1", "pull of point 2")
    assert session.newest().message == "Undone: pull of point 2."
    session.redo()
    assert names() == ("pull of point 2", "")
    assert session.newest().message == "Redone: pull of point 2."
    session.remove_points([1, 2])
    session.set_mask(np.ones((32, 48)))
    session.set_mask(None)
    session.branch(3)
    session.new_image(seed=9, truncation=0.7)
    session.reset()
    session.newest()
    said = []
    while session.newest().can_undo:
        said.append(session.newest().undo)
        session.undo()
    assert said[:6] == [
        *("reset", "new image (seed 9)", "going back to step 3", "clearing of the mask", "mask", "removal of 2 points"),
    ]
    again = []
    while session.newest().can_redo:
        again.append(session.newest().redo)
        session.redo()
    assert again == said[::-1]


def test_what_was_undone_is_no_longer_said_when_something_else_is_done(session):
    session.undo()
    session.put_point(1, target=(30, 20))
    assert session.newest().message == "Ready. Press Start and the picture follows."
    session.undo()
    session.set_mask(np.ones((32, 48)))
    assert session.newest().message == ""


def test_the_edit_has_another_number_whenever_its_steps_are_other_pictures_and_else_the_same(session):
    def number():
        return session.newest().edit

    first = number()
    session.step_once()
    session.put_point(1, target=(30, 20))
    session.set_mask(np.ones((32, 48)))
    session.look(2)
    assert number() == first
    session.look(None)
    seen = [first]
    for change in (
        lambda: session.undo(),
        lambda: session.redo(),
        lambda: session.branch(2),
        lambda: session.new_image(seed=9, truncation=0.7),
        lambda: session.retruncate(0.5),
        lambda: session.undo(),
        lambda: session.set_latent(latent(session) + 0.1),
        lambda: session.reset(),
    ):
        change()
        assert number() not in seen
        seen.append(number())


def test_reset_keeps_points_or_takes_them_away_and_undo_brings_all_back(session):
    session.set_mask(np.ones((32, 48)))
    session.reset(keep_points=True)
    assert (session.now().drag.ids, session.now().drag.step) == ((1,), 0)
    session.undo()
    session.reset(keep_points=False)
    now = session.now()
    assert (now.drag.ids, now.drag.step, now.mask is None) == ((), 0, False)
    session.put_point(1, handle=(20, 15), target=(40, 20), pulling=True)
    session.start()
    assert session.newest().status == "running"
    session.stop()
    session.undo()
    session.undo()
    assert (session.now().drag.ids, session.now().drag.step) == ((1,), 6)


def test_undo_and_redo_lead_back_to_how_the_run_had_ended():
    session = Session(Planted((32, 48)), seed=1, config=dataclasses.replace(ENDLESS, max_steps=2))
    try:
        session.put_point(1, handle=(20, 15), target=(40, 20))
        session.start()
        assert session.finished().result(30).reason == "capped"
        session.set_mask(np.ones((32, 48), np.float32))
        session.undo().result(30)
        now = session.newest()
        assert (now.status, now.message, now.step) == ("capped", "Undone: mask.", 2)
        session.undo().result(30)
        assert session.newest().status == "idle"
        session.redo().result(30)
        assert session.newest().status == "capped"
    finally:
        session.close()
