"""Long work in slices: lanes, cancelling, work in threads of its own, and what fails."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError, Future

import pytest

from draggan_widget.editing import GivenUpError, Progress, finish, jobs
from draggan_widget.editing.jobs import Jobs, Running, in_thread


def counting(upto, done=None, log=None):
    """A job of so many slices."""
    for number in range(upto):
        if log is not None:
            log.append(done)
        yield Progress(number / upto, "counting")
    return done


def drive(jobs, condition, timeout=20.0):
    """Does slices until a condition holds."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not come"
        if not jobs.advance():
            time.sleep(0.005)


def test_jobs_of_different_lanes_go_on_side_by_side_and_of_one_lane_one_after_another():
    made, order = Jobs(), []
    for lane, name in (("film", "a"), ("film", "b"), ("model", "c"), (None, "d"), (None, "e")):
        made.add(counting(3, name, order), lane=lane)
    while made.advance():
        pass
    assert order == list("acdeacdeacdebbb")
    assert len(made) == 0


def test_the_result_comes_by_the_future_and_progress_is_told_on_the_way():
    made, told = Jobs(), []
    done = made.add(counting(4, "result"), progress=told.append)
    while made.advance():
        pass
    assert done.result(0) == "result"
    assert told == [Progress(share, "counting") for share in (0.0, 0.25, 0.5, 0.75)]


def test_people_are_told_of_the_jobs_that_say_what_they_make_and_how_far_they_are():
    made = Jobs()
    assert made.running() == ()
    done = made.add(counting(2), lane="load", what="load", name="cats")
    made.add(counting(2), lane="load", what="load", name="dogs")
    made.add(counting(2))
    assert made.running() == (Running(1, "load", "cats", None), Running(2, "load", "dogs", None))
    made.advance()
    assert made.running()[0] == Running(1, "load", "cats", 0.0, "counting")
    drive(made, done.done)
    assert [job.name for job in made.running()] == ["dogs"]


def test_a_job_is_cancelled_by_its_id_and_is_gone_at_once_wherever_it_stands():
    made, order = Jobs(), []
    first = made.add(counting(1000), lane="film", what="gif")
    second = made.add(counting(2, "b", order), lane="film", what="mp4")
    made.cancel(7)  # never there
    made.cancel(2)
    assert [job.what for job in made.running()] == ["gif"]
    made.cancel(1)
    assert made.running() == ()
    drive(made, lambda: len(made) == 0)
    assert (first.cancelled(), second.cancelled(), order) == (True, True, [])
    made.cancel(1)  # over


def test_one_of_several_jobs_is_cancelled_at_once_and_the_others_go_on():
    made, closed = Jobs(), []

    def careful():
        try:
            yield from counting(1000)
        finally:
            closed.append(True)

    first, second = made.add(careful(), lane="film"), made.add(counting(3, "second"), lane="film")
    made.advance()
    assert first.cancel()
    drive(made, second.done)
    assert (second.result(0), closed) == ("second", [True])
    with pytest.raises(CancelledError):
        first.result(0)


def test_a_job_that_is_cancelled_before_its_turn_never_begins():
    made, order = Jobs(), []
    first = made.add(counting(2, "a", order), lane="film")
    second = made.add(counting(2, "b", order), lane="film")
    assert second.cancel()
    drive(made, lambda: len(made) == 0)
    assert (first.done(), order) == (True, ["a", "a"])


@pytest.mark.parametrize("error", [OSError("the disk is full"), KeyboardInterrupt(), SystemExit(1)])
def test_what_a_job_raises_comes_by_its_future_and_the_lane_goes_on(error):
    made, heard = Jobs(), []

    def failing():
        yield Progress(0.0)
        raise error

    failed = made.add(failing(), lane="film", otherwise=heard.append)
    after = made.add(counting(2, "after"), lane="film")
    drive(made, after.done)
    assert failed.exception(0) is error
    assert heard == [error]
    assert after.result(0) == "after"


def test_a_job_that_says_itself_that_it_was_cancelled_is():
    made = Jobs()

    def gives_up():
        yield Progress(0.0)
        raise CancelledError

    done = made.add(gives_up())
    drive(made, done.done)
    assert done.cancelled()


def test_what_follows_a_job_sees_it_gone_from_its_lane_and_makes_the_result():
    made, seen = Jobs(), []
    done = made.add(counting(2, 20), what="gif", then=lambda result: (seen.append(made.running()), result + 1)[1])
    drive(made, done.done)
    assert (done.result(0), seen) == (21, [()])
    done = made.add(counting(2, 20), then=lambda result: result / 0, otherwise=seen.append)
    drive(made, done.done)
    assert isinstance(done.exception(0), ZeroDivisionError)
    assert isinstance(seen[-1], ZeroDivisionError)


def test_work_in_a_thread_of_its_own_costs_no_slices_while_it_has_no_news(monkeypatch):
    monkeypatch.setattr(jobs, "TELL_EVERY", 0.0)
    woken, go = threading.Event(), threading.Event()
    made, told = Jobs(woken.set), []

    def work(tell):
        tell(0.5)
        assert go.wait(20)
        return threading.current_thread()

    done = made.add(in_thread(work, "reading", (0.2, 0.6)), progress=told.append)
    drive(made, lambda: told)
    assert told[0] == Progress(pytest.approx(0.4), "reading")
    while made.advance():
        pass
    woken.clear()
    assert not woken.wait(0.1), "nobody is woken for nothing"
    assert not made.advance()
    go.set()
    assert woken.wait(20)
    drive(made, done.done)
    assert done.result(0) is not threading.current_thread()


def test_work_in_a_thread_of_its_own_hears_when_it_is_cancelled_and_is_not_waited_for():
    made, began, ended = Jobs(), threading.Event(), threading.Event()
    deaf = threading.Event()

    def work(tell):
        began.set()
        assert deaf.wait(20)  # where nothing is told, nothing can be heard either
        try:
            while True:
                tell(0.1)
        except CancelledError:
            ended.set()
            raise

    done, after = made.add(in_thread(work), lane="model"), made.add(counting(2, "after"), lane="model")
    drive(made, began.is_set)
    assert done.cancel()
    drive(made, after.done)
    assert after.result(0) == "after"
    deaf.set()
    assert ended.wait(20)


def test_what_fails_in_a_thread_of_its_own_fails_the_job():
    made = Jobs()
    done = made.add(in_thread(lambda tell: 1 / 0))
    drive(made, done.done)
    assert isinstance(done.exception(0), ZeroDivisionError)


def test_a_job_can_be_done_all_at_once_in_ones_own_thread():
    def both():
        first = yield from counting(3, 1)
        second = yield from in_thread(lambda tell: (tell(0.5), time.sleep(0.02), 2)[-1])
        return first + second

    assert finish(both()) == 3


def test_jobs_that_are_given_up_say_why_and_end_their_threads():
    made, began, ended = Jobs(), threading.Event(), threading.Event()

    def work(tell):
        began.set()
        try:
            while True:
                tell(0.5)
                time.sleep(0.005)
        finally:
            ended.set()

    def endless():
        yield Future()  # or it would be over, were the thread slow to begin

    waits = [made.add(in_thread(work)), made.add(endless(), lane="film"), made.add(counting(3), lane="film")]
    drive(made, began.is_set)
    made.close("the editor was closed")
    for done in waits:
        with pytest.raises(GivenUpError, match="the editor was closed"):
            done.result(0)
    assert ended.wait(20)
    assert not made.advance()
    with pytest.raises(GivenUpError, match="the editor was closed"):
        made.add(counting(3))
