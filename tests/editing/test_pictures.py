from __future__ import annotations

import time

import pytest
from random_stylegan2 import generator_of

from draggan_widget.dragging import to_image
from draggan_widget.editing.pictures import QUICK, Painter


class Slow:
    """The generator of 64 px whose work takes a given time."""

    def __init__(self, seconds, *, has_previews=True):
        self._generator, self._seconds, self.has_previews = generator_of(64), seconds, has_previews

    def __getattr__(self, name):
        return getattr(self._generator, name)

    def synthesize(self, ws):
        time.sleep(self._seconds)
        return self._generator.synthesize(ws)

    def preview(self, ws, block):
        time.sleep(self._seconds * self.share(block))
        return self._generator.preview(ws, block)


@pytest.fixture
def ws():
    return generator_of(64).mapping(seed=3)


def test_where_there_is_time_for_it_the_whole_picture_is_shown(ws):
    painter = Painter(Slow(0.0))
    whole = painter.whole(ws)
    picture, is_whole = painter.quick(ws)
    assert is_whole
    assert picture.tobytes() == whole.tobytes()


def test_while_an_edit_moves_a_picture_that_takes_too_long_is_a_coarse_one_of_the_same_size(ws):
    slow = Slow(4 * QUICK)
    painter = Painter(slow)
    assert painter.quick(ws)[1], "how long it takes is not known yet"
    began = time.perf_counter()
    picture, is_whole = painter.quick(ws)
    assert time.perf_counter() - began < 3 * QUICK
    assert not is_whole
    assert picture.size == (64, 64)
    expected = to_image(generator_of(64).preview(ws, 4)).resize((64, 64), 3)
    assert picture.tobytes() == expected.tobytes()


def test_a_picture_may_take_as_long_as_a_step(ws):
    painter = Painter(Slow(2 * QUICK))
    painter.whole(ws)
    assert painter.quick(ws, step_seconds=3 * QUICK)[1]
    assert not painter.quick(ws, step_seconds=QUICK)[1]


def test_a_generator_without_coarse_pictures_shows_whole_ones(ws):
    painter = Painter(Slow(2 * QUICK, has_previews=False))
    painter.whole(ws)
    assert painter.quick(ws)[1]
