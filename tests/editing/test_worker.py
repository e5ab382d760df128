from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time

import pytest

from draggan_widget.editing import worker as worker_module
from draggan_widget.editing.worker import Worker


def until(condition, timeout=30.0):
    """Waits for a condition; fails if it does not come."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.005)


def test_jobs_run_in_order_on_one_thread_that_is_not_the_callers():
    worker, ran = Worker(lambda: None, "test"), []
    futures = [worker.submit(lambda n=n: ran.append((n, threading.current_thread().name))) for n in range(20)]
    for future in futures:
        future.result(30)
    assert ran == [(n, "test") for n in range(20)]
    worker.close()


def test_work_goes_on_between_jobs_and_stops_when_there_is_none():
    left = [3]

    def work():
        left[0] -= 1
        return 0.0 if left[0] > 0 else None

    worker = Worker(work, "test")
    worker.submit(lambda: None).result(30)
    until(lambda: left[0] == 0)
    time.sleep(0.05)
    assert left[0] == 0
    worker.close()


def test_work_that_asks_for_a_pause_is_asked_again_after_it_and_keeps_the_thread(monkeypatch):
    monkeypatch.setattr(worker_module, "REST_AFTER", 0.02)
    asked = []

    def work():
        asked.append(time.monotonic())
        return 0.1 if len(asked) < 4 else None

    worker = Worker(work, "test")
    thread = worker.call(threading.current_thread)
    until(lambda: len(asked) == 4)
    assert all(later - earlier >= 0.09 for earlier, later in itertools.pairwise(asked))
    assert thread.is_alive()
    worker.close()


def test_work_that_raises_does_not_end_the_thread(caplog):
    worker = Worker(lambda: 1 / 0, "test")
    worker.call(lambda: None)
    until(lambda: "failed" in caplog.text)
    assert worker.call(lambda: "alive") == "alive"
    worker.close()


def test_an_exception_of_a_job_reaches_who_waits_for_it_and_the_next_job_runs():
    worker = Worker(lambda: None, "test")
    with pytest.raises(ZeroDivisionError):
        worker.submit(lambda: 1 / 0).result(30)
    assert worker.call(lambda: 42) == 42
    worker.close()


def test_a_call_from_the_thread_itself_does_not_wait_for_itself():
    worker = Worker(lambda: None, "test")
    assert worker.submit(lambda: worker.call(lambda: "inner")).result(30) == "inner"
    worker.close()


def test_an_idle_thread_is_given_back_and_the_next_job_starts_a_new_one(monkeypatch):
    monkeypatch.setattr(worker_module, "REST_AFTER", 0.05)
    worker = Worker(lambda: None, "test")
    first = worker.call(threading.current_thread)
    until(lambda: worker.resting)
    first.join(30)
    assert not first.is_alive()
    assert worker.call(threading.current_thread) is not first
    worker.close()


def test_closing_ends_the_thread_cancels_what_waits_and_refuses_more():
    worker, go = Worker(lambda: None, "test"), threading.Event()
    worker.submit(go.wait)
    waiting = worker.submit(lambda: "never")
    threading.Timer(0.05, go.set).start()
    worker.close(timeout=30)
    until(lambda: worker.resting)
    assert waiting.cancelled()
    with pytest.raises(RuntimeError, match="closed; make a new one"):
        worker.submit(lambda: None)


def test_the_interpreter_ends_while_a_worker_works():
    code = (
        "from draggan_widget.editing.worker import Worker\n"
        "w = Worker(lambda: 0.0, 'endless')\n"
        "w.submit(lambda: None).result()\n"
        "print('over')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "over\n", "")
