from __future__ import annotations

import pytest
from random_stylegan2 import generator_of

from draggan_widget.editing import pictures
from draggan_widget.editing import thread_tuner as threads
from draggan_widget.editing.pictures import LIVELY, Painter
from draggan_widget.engines import to_image


class Slow:
    """The generator of 64 px whose whole picture takes so many seconds, by a clock that nothing else advances."""

    def __init__(self, seconds, *, has_previews=True):
        self._generator, self.seconds, self.has_previews = generator_of(64), seconds, has_previews
        self.now = 0.0

    def __getattr__(self, name):
        return getattr(self._generator, name)

    def perf_counter(self):
        return self.now

    def synthesize(self, ws):
        self.now += self.seconds
        return self._generator.synthesize(ws)

    def preview(self, ws, block):
        self.now += self.seconds * self.share(block)
        return self._generator.preview(ws, block)


@pytest.fixture
def slow(monkeypatch):
    def make(seconds, **settings):
        made = Slow(seconds, **settings)
        for module in (pictures, threads):
            monkeypatch.setattr(module, "time", made)
        return made

    return make


@pytest.fixture
def ws():
    return generator_of(64).mapping(seed=3)


def test_where_there_is_time_for_it_the_whole_picture_is_shown(ws, slow):
    painter = Painter(slow(0.9 * LIVELY))
    whole = painter.whole(ws)
    picture, is_whole = painter.quick(ws)
    assert is_whole
    assert picture.tobytes() == whole.tobytes()


def test_while_an_edit_moves_a_picture_that_takes_too_long_is_a_coarse_one_of_the_same_size(ws, slow):
    generator = slow(4 * LIVELY)
    painter = Painter(generator)
    assert painter.quick(ws)[1], "how long it takes is not known yet"
    painter.whole(ws)
    began = generator.now
    picture, is_whole = painter.quick(ws)
    assert generator.now - began < LIVELY
    assert not is_whole
    assert picture.size == (64, 64)
    expected = to_image(generator_of(64).preview(ws, 4)).resize((64, 64), 3)
    assert picture.tobytes() == expected.tobytes()


def test_what_a_step_takes_is_not_left_for_the_picture(ws, slow):
    painter = Painter(slow(0.9 * LIVELY))
    painter.whole(ws)
    assert painter.quick(ws)[1]
    assert not painter.quick(ws, step_seconds=0.4 * LIVELY)[1]


def test_a_picture_may_take_as_long_as_a_step(ws, slow):
    painter = Painter(slow(2 * LIVELY))
    painter.whole(ws)
    assert painter.quick(ws, step_seconds=3 * LIVELY)[1]
    assert not painter.quick(ws, step_seconds=LIVELY)[1]


def test_pictures_that_turn_out_slower_become_coarser_and_finer_again(ws, slow):
    generator = slow(0.9 * LIVELY)
    painter = Painter(generator)
    assert all(painter.quick(ws)[1] for _ in range(4))
    generator.seconds *= 8
    assert not any([painter.quick(ws)[1] for _ in range(12)][4:])
    generator.seconds /= 8
    assert painter.whole(ws)
    assert all([painter.quick(ws)[1] for _ in range(20)][16:])


def test_a_generator_without_coarse_pictures_shows_whole_ones(ws, slow):
    painter = Painter(slow(2 * LIVELY, has_previews=False))
    painter.whole(ws)
    assert painter.quick(ws)[1]
