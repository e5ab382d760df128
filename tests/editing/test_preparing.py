"""What must be done once before a model is pulled: told of if it takes long, waited for, and cancelled."""

from __future__ import annotations

import threading
import time

import pytest
from random_stylegan2 import small_stylegan2

from draggan_widget.editing import Session, session
from draggan_widget.engines.natural.engine import BoundNatural

PARTS = 5


@pytest.fixture
def slow(monkeypatch):
    """Makes the first preparation of a session wait in its middle until it is let go; tells which parts were done."""
    go, done = threading.Event(), []

    def preparing(self, edit, memory):
        if done or not edit.points:
            return None
        return parts()

    def parts():
        for number in range(PARTS):
            if number >= 2:
                while not go.is_set():
                    time.sleep(0.01)
                    yield number / PARTS
            done.append(number)
            yield (number + 1) / PARTS

    monkeypatch.setattr(session, "UNTOLD", 0.0)
    monkeypatch.setattr(BoundNatural, "preparing", preparing)
    return go, done


@pytest.fixture
def pulled(slow):
    """A session whose run waits for what is prepared."""
    made = Session(small_stylegan2(), seed=1)
    made.put_point(1, handle=(30, 30), target=(36, 30)).result()
    made.start().result()
    until(lambda: made.latest.jobs)
    yield made
    slow[0].set()
    made.close()


def until(condition, timeout=20.0):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_run_waits_for_what_is_prepared_and_people_are_told(slow, pulled):
    go, done = slow
    (job,) = pulled.latest.jobs
    assert (job.what, job.note) == ("preparing", "finding how this model moves, once")
    until(lambda: pulled.latest.jobs[0].share >= 2 / PARTS)
    assert pulled.latest.status == "running"
    assert pulled.latest.document.drag.step == 0
    go.set()
    until(lambda: pulled.latest.document.drag.step > 0)
    assert done == list(range(PARTS))
    until(lambda: not pulled.latest.jobs)


def test_commands_are_done_while_it_is_prepared(pulled):
    pulled.put_point(2, handle=(10, 10), target=(12, 10)).result(timeout=20)
    assert pulled.latest.document.drag.ids == (1, 2)


def test_who_cancels_it_stops_the_run_and_loses_nothing(slow, pulled):
    pulled.cancel(pulled.latest.jobs[0].id)
    until(lambda: pulled.latest.status == "stopped")
    assert pulled.latest.document.drag.step == 0
    assert pulled.latest.document.drag.ids == (1,)
    slow[0].set()
    pulled.start().result()
    until(lambda: pulled.latest.document.drag.step > 0)


def test_a_run_that_is_stopped_meanwhile_stays_so(slow, pulled):
    pulled.stop().result()
    slow[0].set()
    until(lambda: not pulled.latest.jobs)
    assert pulled.latest.status == "stopped"
    assert pulled.latest.document.drag.step == 0
