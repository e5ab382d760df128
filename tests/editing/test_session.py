from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch
from random_stylegan2 import small_stylegan2

from draggan_widget import dragging
from draggan_widget.config import DragConfig
from draggan_widget.editing import Session, load_drag, runner, save_drag, worker
from draggan_widget.engines.draggan import captured_steps as strides

FAST = DragConfig(learning_rate=0.05, max_steps=60)
NEVER = FAST.replace(tolerance=0.0, stall_steps=None, max_steps=None)
"""A run that goes on until it is stopped."""


class Log:
    """Collects what a session publishes, and waits for it."""

    def __init__(self):
        self.snapshots, self.notices = [], []
        self.changed = threading.Condition()

    def __call__(self, snapshot):
        with self.changed:
            self.snapshots.append(snapshot)
            self.changed.notify_all()

    def wait_for(self, condition):
        with self.changed:
            assert self.changed.wait_for(lambda: self.snapshots and condition(self.snapshots[-1]), timeout=20)
        return self.snapshots[-1]

    @property
    def statuses(self):
        """Statuses in order, repetitions left out."""
        found = [snapshot.status for snapshot in self.snapshots]
        return [status for place, status in enumerate(found) if place == 0 or found[place - 1] != status]


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def make(generator, log):
    """A function that makes sessions of the shared generator, which are closed in the end."""
    made = []

    def make(config=FAST, **settings):
        settings = {"on_change": log, "on_notice": log.notices.append, **settings}
        made.append(Session(generator, seed=3, truncation=0.7, config=config, **settings))
        return made[-1]

    yield make
    for session in made:
        session.close()


def latent(session):
    return session.now().drag.ws


def pull(session, number=1, handle=(30, 30), target=(36, 30), **settings):
    return session.put_point(number, handle=handle, target=target, **settings)


def test_a_run_goes_from_idle_through_steps_to_arrived_and_says_so(make, log):
    session = make()
    pull(session)
    session.start()
    result = session.finished().result(30)
    assert log.statuses == ["idle", "running", "arrived"]
    assert result.reason == "arrived"
    assert result.distances.max() <= 1
    assert result.steps == session.latest.step > 0
    assert log.snapshots[-1].message == f"Arrived after {result.steps} steps."
    steps = [snapshot.step for snapshot in log.snapshots]
    assert steps == sorted(steps)
    assert set(range(result.steps + 1)) <= set(steps)


def test_the_session_does_exactly_what_drag_does(make, generator):
    session = make()
    pull(session)
    session.start()
    ours = session.finished().result(30)
    alone = dragging.drag(generator, generator.mapping(seed=3, truncation=0.7), [(30, 30)], [(36, 30)], config=FAST)
    assert torch.equal(ours.ws, alone.ws)
    assert (ours.steps, ours.reason) == (alone.steps, alone.reason)
    np.testing.assert_array_equal(ours.handles, alone.handles)


def test_history_has_the_start_and_every_step(make):
    session = make()
    pull(session)
    session.start()
    steps = session.finished().result(30).steps
    records = session.now().records
    assert [record.step for record in records] == list(range(steps + 1))
    assert records[0].loss == {}
    assert records[1].loss["motion"] > 0
    assert records[-1].distances[0] < records[0].distances[0] == pytest.approx(6)
    np.testing.assert_array_equal(records[-1].ws, latent(session).numpy())


def test_stop_ends_a_run_that_would_go_on_and_start_takes_it_up_again(make, log):
    session = make(NEVER)
    pull(session)
    session.start()
    log.wait_for(lambda s: s.step >= 3)
    session.stop()
    stopped = session.finished().result(20)
    assert stopped.reason == "stopped"
    session.start()
    log.wait_for(lambda s: s.step >= stopped.steps + 2)
    session.stop().result(20)


def test_the_cap_counts_each_run_anew(make):
    session = make(NEVER.replace(max_steps=4))
    pull(session)
    for number in (1, 2):
        session.start()
        result = session.finished().result(20)
        assert (result.reason, result.steps) == ("capped", 4 * number)
    assert "Reached 4 steps" in session.latest.message


def test_while_pulling_a_run_waits_at_the_target_and_follows_it_further(make, log):
    session = make(FAST.replace(tolerance=3.0))
    pull(session, pulling=True, target=(31, 30))
    session.start(by_view=True)
    assert session.now().drag.step == 0  # it is there already, so it waits
    assert session.latest.status == "running"
    session.put_point(1, target=(34, 30), pulling=True)
    log.wait_for(lambda s: s.points()[0]["target"] == [34, 30] and s.points()[0]["distance"] <= 3)
    assert session.latest.status == "running"
    session.put_point(1, target=(35, 30), pulling=False)
    assert session.finished().result(20).reason == "arrived"
    assert session.latest.points()[0]["target"] == [35, 30]
    assert session.latest.step > 0


def test_a_run_whose_pointer_keeps_still_comes_to_rest_until_that_moves_on(make, log):
    session = make(FAST.replace(tolerance=3.0))
    pull(session, pulling=True, target=(34, 30))
    session.start(by_view=True)
    rested = log.wait_for(lambda s: s.resting)
    assert rested.status == "running"
    assert rested.step > 0
    session.put_point(1, target=(35, 31), pulling=True)
    again = log.wait_for(lambda s: s.resting and s.step > rested.step)
    between = [s for s in log.snapshots if rested.step < s.step <= again.step and not s.resting]
    assert between, "on its way it does not rest"


def test_a_hand_that_pulls_slowly_is_not_at_rest_between_its_moves(make, log, monkeypatch):
    monkeypatch.setattr(runner, "RESTS_AFTER", 1000)
    session = make(FAST.replace(tolerance=3.0))
    pull(session, pulling=True, target=(34, 30))
    session.start(by_view=True)
    for target in ((34, 30), (35, 31), (34, 31)):
        session.put_point(1, target=target, pulling=True)
        log.wait_for(lambda s, t=target: s.step and s.points()[0]["target"] == [*t] and s.points()[0]["distance"] <= 3)
    assert not any(snapshot.resting for snapshot in log.snapshots)


def test_one_undo_takes_back_a_gesture_with_its_run_and_redo_brings_it_again(make):
    session = make()
    before = session.now()
    pull(session, pulling=True, target=(31, 30))
    session.start(by_view=True)
    session.put_point(1, target=(35, 30), pulling=True)
    session.put_point(1, target=(35, 30), pulling=False)
    session.finished().result(20)
    after = session.now()
    session.undo()
    assert torch.equal(latent(session), before.drag.ws)
    assert session.latest.points() == []
    assert (session.latest.status, session.latest.can_undo, session.latest.can_redo) == ("idle", False, True)
    session.redo()
    assert torch.equal(latent(session), after.drag.ws)
    np.testing.assert_array_equal(session.now().drag.handles, after.drag.handles)
    assert len(session.now().records) == len(after.records)


def test_undo_in_mid_run_stops_it(make, log):
    session = make(NEVER)
    pull(session)
    session.start()
    log.wait_for(lambda s: s.step >= 2)
    session.undo()
    assert session.finished().result(20).steps == 0
    assert [point["id"] for point in session.latest.points()] == [1]


def test_points_are_added_moved_and_removed_in_mid_run_and_others_keep_their_reference(make, log):
    session = make(NEVER)
    pull(session)
    session.start()
    log.wait_for(lambda s: s.step >= 2)
    reference = session.now().drag.content(1)
    pull(session, 2, (20, 40), (20, 44))
    log.wait_for(lambda s: s.step >= 4 and len(s.points()) == 2)
    session.put_point(2, target=(24, 40))
    assert torch.equal(session.now().drag.content(1), reference)
    assert session.now().drag.point(2).target == (24, 40)
    session.remove_points([2, 99])
    assert session.now().drag.ids == (1,)
    assert session.latest.status == "running"
    session.remove_points([1])
    assert session.finished().result(20).reason == "stopped"


def test_a_point_that_is_not_whole_is_refused_before_a_run_stops_or_undo_remembers(make, log):
    session = make(NEVER)
    pull(session)
    session.start()
    log.wait_for(lambda s: s.step >= 3)
    session.look(1).result(30)
    name = session.latest.undo
    with pytest.raises(ValueError, match="there is no point 2; give its handle and its target"):
        session.put_point(2, target=(24, 40)).result(30)
    assert (session.latest.status, session.latest.shown, session.latest.undo) == ("running", 1, name)


def test_set_points_applies_differences_only(make):
    session = make()
    before = [{"id": 1, "handle": [30.0, 30.0], "target": [36.0, 30.0]}]
    session.set_points([], before)
    session.step_once()
    tracked, reference = session.now().drag.point(1), session.now().drag.content(1)
    after = [{"id": 1, "handle": [30.0, 30.0], "target": [30.0, 36.0]}, {"id": 4, "handle": [9, 9], "target": [9, 12]}]
    session.set_points(before, after)
    point = session.now().drag.point(1)
    assert (point.handle, point.target) == (tracked.handle, (30, 36))
    assert torch.equal(session.now().drag.content(1), reference)
    assert session.now().drag.ids == (1, 4)


def test_reset_goes_back_to_the_first_latent_and_the_first_handles_and_can_be_undone(make, generator):
    session = make()
    pull(session)
    session.start()
    arrived = session.finished().result(20)
    session.reset()
    assert torch.equal(latent(session), generator.mapping(seed=3, truncation=0.7))
    np.testing.assert_array_equal(session.now().drag.handles, [[30, 30]])
    np.testing.assert_array_equal(session.now().drag.targets, [[36, 30]])
    assert (session.latest.status, session.latest.step) == ("idle", 0)
    session.undo()
    assert torch.equal(latent(session), arrived.ws)


def test_a_new_image_begins_a_new_edit_and_undo_brings_the_old_one_back(make, generator):
    session = make()
    pull(session)
    session.step_once()
    old = latent(session)
    session.new_image(seed=9, truncation=0.5)
    assert torch.equal(latent(session), generator.mapping(seed=9, truncation=0.5))
    assert session.latest.points() == []
    session.retruncate(0.2)
    assert torch.equal(latent(session), generator.mapping(seed=9, truncation=0.2))
    session.undo()
    session.undo()
    assert torch.equal(latent(session), old)
    assert session.now().seed == 3


def test_a_latent_of_ones_own_begins_an_edit_without_a_seed(make, log):
    session = make()
    ws = latent(session) + 0.1
    session.set_latent(ws)
    assert torch.equal(latent(session), ws)
    with pytest.raises(ValueError, match="did not come from a seed"):
        session.retruncate(0.5).result(30)
    assert "did not come from a seed" in log.notices[0]


def test_the_mask_is_obeyed_and_follows_undo(make):
    mask = np.zeros((64, 64), np.float32)
    mask[20:44, 20:44] = 1
    results = {}
    for name, given in (("masked", mask), ("free", None)):
        session = make(FAST.replace(max_steps=8, tolerance=0.0, stall_steps=None))
        session.set_mask(given)
        pull(session)
        session.start()
        results[name] = session.finished().result(20)
        assert (session.now().mask is None) == (given is None)
    assert not torch.equal(results["masked"].ws, results["free"].ws)
    session = make()
    session.set_mask(mask)
    session.undo()
    assert session.now().mask is None
    assert session.now().drag.mask is None


def test_other_settings_hold_from_the_next_step_on_and_survive_undo(make):
    session = make()
    pull(session)
    session.step_once()
    before = latent(session)
    session.set_config(FAST.replace(learning_rate=0.01)).result(30)
    session.step_once()
    assert float((latent(session) - before).abs().max()) < 0.02
    session.undo()
    assert session.now().drag.config.learning_rate == 0.01
    assert session.config.learning_rate == 0.01


def test_a_start_without_points_is_a_notice_and_changes_nothing(make, log):
    session = make()
    with pytest.raises(ValueError, match="no points yet"):
        session.start(by_view=True).result(30)
    assert "no points yet" in log.notices[0]
    assert session.latest.status == "idle"
    with pytest.raises(ValueError, match="nothing to undo"):
        session.undo().result(30)


def test_an_exception_in_the_worker_is_published_and_raised_by_finished_and_the_edit_is_kept(make, monkeypatch):
    session = make(NEVER)
    pull(session)
    session.step_once()
    before = latent(session)
    real, fails = dragging.step, threading.Event()

    def step(generator, state):
        if fails.is_set():
            raise RuntimeError("out of memory")
        return real(generator, state)

    monkeypatch.setattr(strides, "step", step)
    fails.set()
    session.start()
    with pytest.raises(RuntimeError, match="out of memory"):
        session.finished().result(20)
    assert session.latest.status == "error"
    assert "out of memory" in session.latest.message
    assert torch.equal(latent(session), before)
    fails.clear()
    session.set_config(FAST)
    session.start()
    assert session.finished().result(20).reason == "arrived"


def test_a_run_of_a_view_pauses_when_nobody_looks_and_goes_on_when_somebody_does(make, log):
    looking = threading.Event()
    looking.set()
    session = make(NEVER, attended=looking.is_set)
    pull(session)
    session.start(by_view=True)
    log.wait_for(lambda s: s.step >= 2)
    looking.clear()
    paused = log.wait_for(lambda s: s.status == "paused")
    looking.set()
    session.resume()
    log.wait_for(lambda s: s.step > paused.step + 1)
    session.stop().result(20)


def test_a_run_of_python_goes_on_though_nobody_looks(make):
    session = make(attended=lambda: False)
    pull(session)
    session.start()
    assert session.finished().result(20).reason == "arrived"


def test_a_paused_run_goes_on_while_somebody_waits_for_its_end(make, log):
    session = make(attended=lambda: False)
    pull(session)
    session.start(by_view=True)
    log.wait_for(lambda s: s.status == "paused")
    assert session.finished().result(20).reason == "arrived"


def test_closing_in_mid_run_ends_it_and_whoever_waits_is_told(make, log):
    session = make(NEVER)
    pull(session)
    session.start()
    log.wait_for(lambda s: s.step >= 1)
    waiting = session.finished()
    session.now()
    session.close()
    with pytest.raises(RuntimeError, match="closed"):
        waiting.result(30)


def test_a_drag_file_goes_on_exactly_as_if_never_interrupted(make, generator, tmp_path):
    mask = np.ones((64, 64), np.float32)
    mask[:, 32:] = 0.25
    config = FAST.replace(max_steps=5, tolerance=0.0, stall_steps=None)
    whole, first = make(config), make(config)
    for session in (whole, first):
        session.set_mask(mask)
        pull(session)
        pull(session, 2, (20, 40), (20, 44))
        session.start()
        session.finished().result(30)
    path = tmp_path / "edit.drag"
    save_drag(path, first.now(), generator, "small")
    again = make()
    again.restore(load_drag(path, small_stylegan2())).result(30)
    for session in (whole, again):
        session.put_point(2, target=(22, 44))
        session.start()
        session.finished().result(30)
    ours, theirs = again.now(), whole.now()
    assert torch.equal(ours.drag.ws, theirs.drag.ws)
    np.testing.assert_array_equal(ours.drag.handles, theirs.drag.handles)
    np.testing.assert_array_equal(ours.mask, mask)
    assert (ours.seed, ours.truncation, again.config) == (3, 0.7, config)
    assert [r.step for r in ours.records] == [r.step for r in theirs.records]
    for mine, other in zip(ours.records, theirs.records, strict=True):
        np.testing.assert_array_equal(mine.ws, other.ws)
        assert mine.loss == other.loss


def test_the_thread_is_released_a_while_after_the_last_work_though_a_view_is_there(make, log, monkeypatch):
    asked = []
    session = make(attended=lambda: asked.append(True) or True)
    monkeypatch.setattr(worker, "REST_AFTER", 0.2)
    pull(session)
    session.start(by_view=True)
    arrived = log.wait_for(lambda s: s.status == "arrived")
    assert asked, "a view is there"
    thread = session.read(threading.current_thread)
    until = time.monotonic() + 10
    while not session.resting:
        assert time.monotonic() < until, "the thread was not released"
        time.sleep(0.01)
    thread.join(30)
    assert not thread.is_alive()
    assert session.latest is arrived, "the edit stays"
    session.put_point(1, target=(30, 34))
    session.start(by_view=True)
    assert session.finished().result(20).steps > arrived.step, "and the next command brings another thread"


# --- what must never hang --------------------------------------------------------------------------------------------


def test_settings_that_end_a_run_in_mid_run_end_it(make, log):
    session = make(NEVER)
    pull(session)
    session.start()
    log.wait_for(lambda s: s.step >= 3)
    session.set_config(NEVER.replace(max_steps=1))
    assert session.finished().result(20).reason == "capped"


def test_a_run_that_paused_and_is_over_by_now_ends_when_resumed(make, log):
    session = make(NEVER, attended=lambda: False)
    pull(session)
    session.start(by_view=True)
    log.wait_for(lambda s: s.status == "paused")
    session.set_config(NEVER.replace(tolerance=50.0))
    assert session.finished().result(20).reason == "arrived"


def test_a_view_that_dies_in_mid_pull_does_not_hold_the_run(make, log):
    looking = threading.Event()
    looking.set()
    session = make(FAST.replace(tolerance=50.0), attended=looking.is_set)
    pull(session, pulling=True)
    session.start(by_view=True)
    log.wait_for(lambda s: s.status == "running")
    session.let_go()
    assert session.finished().result(20).reason == "arrived"
    session.put_point(1, target=(36, 31), pulling=True)
    session.start(by_view=True)
    looking.clear()
    log.wait_for(lambda s: s.status == "paused")
    assert session.finished().result(20).reason == "arrived"


def test_a_listener_that_fails_ends_the_run_with_an_error_and_the_session_lives_on(make, generator, caplog):
    fails = threading.Event()

    def listen(snapshot):
        if fails.is_set():
            raise RuntimeError("no memory for the picture")

    session = make(NEVER, on_change=listen)
    pull(session)
    session.now()
    fails.set()
    session.start()
    with pytest.raises(RuntimeError, match="no memory for the picture"):
        session.finished().result(20)
    assert session.latest.status == "error"
    assert "could not be shown" in session.latest.message
    fails.clear()
    session.set_config(FAST.replace(max_steps=3, tolerance=0.0))
    session.start()
    assert session.finished().result(20).reason == "capped"


def test_waiting_for_the_end_of_a_session_that_closes_at_that_moment_is_told(generator):
    session = Session(generator, seed=3)
    busy = threading.Event()
    session.show(lambda: busy.wait(10) and None)
    waiting = session.finished()
    threading.Timer(0.1, busy.set).start()
    session.close()
    with pytest.raises(RuntimeError, match="closed"):
        waiting.result(30)


def test_somebody_who_stopped_waiting_does_not_keep_an_unattended_run_going(make, log):
    looking = threading.Event()
    looking.set()
    session = make(NEVER, attended=looking.is_set)
    pull(session)
    session.start(by_view=True)
    waiting = session.finished()
    log.wait_for(lambda s: s.step >= 2)
    looking.clear()
    step = session.now().drag.step
    log.wait_for(lambda s: s.step >= step + 3)
    assert waiting.cancel()
    log.wait_for(lambda s: s.status == "paused")


# --- what one undo takes back ----------------------------------------------------------------------------------------


def test_a_gesture_in_which_the_run_was_stopped_is_still_one_undo(make, log):
    session = make(NEVER)
    pull(session, pulling=True)
    session.start(by_view=True)
    log.wait_for(lambda s: s.step >= 2)
    session.stop()
    session.put_point(1, target=(40, 30), pulling=True)
    session.put_point(1, target=(40, 30), pulling=False)
    session.undo()
    assert session.now().drag.ids == ()
    assert session.now().drag.step == 0


def test_a_step_that_fails_leaves_no_trace_in_undo(make, monkeypatch):
    session = make()
    pull(session)
    session.step_once()
    session.undo()
    assert session.now().drag.step == 0

    def step(generator, state):
        raise RuntimeError("no memory")

    monkeypatch.setattr(strides, "step", step)
    with pytest.raises(RuntimeError, match="no memory"):
        session.step_once().result(20)
    assert session.latest.can_redo


def test_the_start_of_a_paused_run_is_the_same_run(make, log):
    session = make(attended=lambda: False)
    pull(session)
    session.start(by_view=True)
    log.wait_for(lambda s: s.status == "paused")
    session.start()
    session.finished().result(20)
    session.undo()
    assert session.now().drag.step == 0
    assert session.now().drag.ids == (1,)


def test_reset_puts_handles_where_somebody_put_them_in_official_too(make):
    session = make(DragConfig.official(learning_rate=0.05, max_steps=5))
    pull(session)
    session.start()
    session.finished().result(20)
    pull(session, 2, (20, 40), (20, 44))
    session.step_once()
    session.reset()
    np.testing.assert_array_equal(session.now().drag.handles, [[30, 30], [20, 40]])
