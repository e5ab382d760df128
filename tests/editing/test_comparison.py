"""The same pull by several engines, beside an edit: what they come to, in what order, and what goes wrong with one."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError

import numpy as np
import pytest
from random_stylegan2 import small_stylegan2

from draggan_widget.editing import COMPARING, Model, Session, pull_of, pulled_by
from draggan_widget.engines import DragConfig, Natural, engine_named, register, unregister


@pytest.fixture(scope="module")
def model():
    return small_stylegan2()


@pytest.fixture
def session(model):
    made = Session(model, seed=2, config=Natural(max_steps=6))
    yield made
    made.close()


def begun(session, target=(26, 20)):
    session.put_point(1, handle=(20, 20), target=target)
    return session.read(lambda: pull_of(session.latest.document))


def test_each_engine_pulls_to_its_end_and_the_edit_stays_as_it_is(session):
    beginning = begun(session)
    told = []
    before = session.now()
    ends = {name: session.pull_by(beginning, name, told.append) for name in ("natural", "draggan", "freedrag")}
    pulled = {name: end.result(60) for name, end in ends.items()}
    assert session.now() is before
    assert all(each.reason in ("arrived", "near", "stalled", "capped") for each in pulled.values())
    assert all(each.document.drag.step == each.step > 0 for each in pulled.values())
    order = [each.engine for each in told]
    assert order == sorted(order, key=["natural", "draggan", "freedrag"].index), "one after another"
    latents = [each.document.drag.ws.numpy() for each in pulled.values()]
    assert not np.allclose(latents[0], latents[1])


def test_the_engine_in_use_keeps_its_settings_and_others_have_the_models(session, model):
    beginning = begun(session)
    mine = session.pull_by(beginning, "natural").result(60)
    other = session.pull_by(beginning, "draggan").result(60)
    assert mine.document.config == Natural(max_steps=6)
    assert other.document.config == engine_named("draggan").defaults(model)
    assert isinstance(other.document.config, DragConfig)


def test_an_end_is_gone_on_from_with_its_engine_and_undo_leads_back(session):
    beginning = begun(session)
    before = session.now()
    pulled = session.pull_by(beginning, "draggan").result(60)
    session.take(pulled).result(20)
    now = session.now()
    assert now.config == pulled.document.config
    assert np.array_equal(now.drag.ws, pulled.document.drag.ws)
    assert session.newest().undo == "pull by draggan"
    assert ("steps", pulled.step) in now.script, "code and .drag files make it again"
    session.undo().result(20)
    assert np.array_equal(session.now().drag.ws, before.drag.ws)
    assert type(session.config) is Natural


def test_a_pull_that_is_done_begins_again_with_the_picture_before_the_edit(session):
    begun(session)
    session.step_once().result(60)
    done = session.now()
    assert done.drag.step == 1
    again = session.read(lambda: pull_of(session.latest.document))
    assert again.drag.step == 0
    assert np.array_equal(again.drag.ws, done.drag.w0)
    assert [(point.start, point.target) for point in again.drag.points] == [((20, 20), (26, 20))]


def test_without_points_there_is_nothing_to_compare(session):
    with pytest.raises(ValueError, match="no pull to compare yet"):
        session.read(lambda: pull_of(session.latest.document))


def test_one_that_fails_or_is_cancelled_leaves_the_others(session):
    class Failing(type(engine_named("draggan"))):
        name, help = "failing", "Fails"

        class Settings(DragConfig):
            pass

        def bind(self, model, settings):
            raise ValueError("this engine needs a tripod; give it one")

        def defaults(self, model):
            return self.Settings()

    register(Failing())
    try:
        beginning = begun(session, target=(50, 20))
        slow = session.pull_by(beginning, "draggan")
        failing = session.pull_by(beginning, "failing")
        unknown = session.pull_by(beginning, "nobody")
        last = session.pull_by(beginning, "natural")
        limit = time.monotonic() + 60
        while not (jobs := [job for job in session.latest.jobs if job.what == COMPARING]):
            assert time.monotonic() < limit
        assert jobs[0].name in ("draggan", "natural")
        session.cancel(next((job.id for job in jobs if job.name == "draggan"), 0))
        with pytest.raises(ValueError, match="needs a tripod"):
            failing.result(60)
        with pytest.raises(ValueError, match="no engine 'nobody'"):
            unknown.result(60)
        assert last.result(60).reason
        assert slow.done()
        if slow.cancelled():
            with pytest.raises(CancelledError):
                slow.result()
    finally:
        unregister("failing")


def test_progress_is_told_after_each_step(session):
    beginning = begun(session)
    told = []
    work = pulled_by(beginning, "freedrag", lambda step: step(), told.append)
    shares = []
    try:
        while True:
            shares.append(next(work).share)
    except StopIteration as end:
        pulled = end.value
    assert shares[0] == 0
    assert all(0 <= share < 1 for share in shares)
    assert len(shares) == len(told) + 1 == pulled.step + 1
    assert max(shares) > 0.3
    assert told[-1].seconds == pytest.approx(pulled.seconds)
    assert told[0].distance > 0


def test_what_an_engine_came_to_on_another_models_picture_is_refused(session):
    beginning = begun(session)
    pulled = session.pull_by(beginning, "natural").result(60)
    session.load("other", lambda progress: small_model()).result(60)
    with pytest.raises(ValueError, match="another model's picture; compare again"):
        session.take(pulled).result(20)


def small_model():
    return Model(small_stylegan2(seed=5))
