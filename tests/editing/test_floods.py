"""More than can be done at once: Stop goes first, the newest of a kind is done, and memory stays within bounds."""

from __future__ import annotations

import dataclasses
import os
import threading

import numpy as np
import pytest
import torch

from draggan_widget import drag, load_generator
from draggan_widget.editing import Progress, Session, pictures
from draggan_widget.editing.undo import MOST_BYTES, fitting
from draggan_widget.editing.worker import Worker


@pytest.fixture
def session(generator):
    made = Session(generator, seed=3)
    yield made
    made.close()


def held(session):
    """The worker, kept busy until the event it returns is set."""
    go, began = threading.Event(), threading.Event()
    session._worker.submit(lambda: (began.set(), go.wait(20)))
    assert began.wait(20)
    return go


def test_of_ten_thousand_moves_that_wait_one_is_done_and_it_is_the_newest(session):
    session.put_point(1, handle=(10, 10), target=(20, 20)).result()
    go = held(session)
    for number in range(10_000):
        session.put_point(1, target=(number % 60, 30), pulling=True)
        session.set_settings({"max_steps": number + 1})
    assert session.waiting == 2
    go.set()
    assert session.now().drag.targets.tolist() == [[9999 % 60, 30]]
    assert session.config.max_steps == 10_000


def test_gestures_that_wait_stay_steps_of_undo_of_their_own(session):
    go = held(session)
    session.put_point(1, handle=(10, 10), target=(20, 20))
    session.put_point(1, target=(30, 30))
    go.set()
    session.undo().result()
    assert session.now().drag.targets.tolist() == [[20, 20]]


def test_stop_does_not_wait_behind_what_was_asked_for_before_and_ends_a_run_that_was_to_start(session):
    session.put_point(1, handle=(10, 10), target=(40, 40)).result()
    go = held(session)
    session.start()
    for step in range(500):
        session.remove_points([step + 2])
    stop = session.stop()
    assert session._worker._tasks[0].future is stop
    go.set()
    assert session.now().drag.step == 0
    assert session.latest.status == "stopped"


def test_short_work_does_not_wait_for_long_work(session):
    def long():
        for number in range(10_000):
            yield Progress(number / 10_000)

    def short():
        yield Progress(0.5)
        return "done"

    waits = session.run_job(long())
    assert session.run_job(short()).result(20) == "done"
    assert not waits.done()
    waits.cancel()


def test_two_hundred_masks_of_1024_pixels_stay_within_the_bound_of_undo(session):
    mask = np.ones((64, 64), np.float32)
    session.set_mask(mask).result()
    document = session.now()

    def painted():
        return dataclasses.replace(document, mask=np.ones((1024, 1024), np.float32))

    past = [painted() for _ in range(200)]
    assert fitting(past, [document], MOST_BYTES) == MOST_BYTES // (4 << 20) - 1
    shared = past[0]
    assert fitting([shared] * 200, [document], MOST_BYTES) == 200


def test_a_forked_child_is_told_that_the_editor_is_not_its_own():
    worker = Worker(lambda: None, "test")
    worker.submit(lambda: 1).result()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            worker.call(lambda: 1)
        except RuntimeError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.close(write)
    said = os.read(read, 1000).decode()
    os.waitpid(child, 0)
    worker.close()
    assert "forked copy" in said


@pytest.mark.parametrize(
    "mode",
    [
        torch.inference_mode,
        torch.no_grad,
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        lambda: torch.device("meta"),
    ],
    ids=["inference_mode", "no_grad", "autocast", "device"],
)
def test_what_a_notebook_has_set_for_itself_changes_no_drag(mode):
    def go():
        generator = load_generator("faces", "cpu")
        ws = generator.mapping(seed=9, truncation=0.7)
        config = generator.drag_config.replace(max_steps=2)
        return drag(generator, ws, [(98, 174)], [(82, 163)], config=config).ws

    plain = go()
    with mode():
        assert torch.equal(go(), plain)


def test_pictures_of_one_generator_capture_its_graph_once(generator, monkeypatch):
    captures = []

    def capture(compute):
        captures.append(compute)
        found = tuple(each.clone() for each in compute())

        def replay():
            for mine, new in zip(found, compute(), strict=True):
                mine.copy_(new)

        return replay, found

    monkeypatch.setattr(pictures, "captured", capture)
    one, two = (generator.mapping(seed=seed) for seed in (1, 2))
    with torch.no_grad():
        replay = pictures._Replay(generator, one)
        first, second = replay(one), replay(two)
        assert torch.equal(first, generator.synthesize(one))
        assert torch.equal(second, generator.synthesize(two))
    assert len(captures) == 1
