from __future__ import annotations

import pytest
from random_stylegan2 import generator_of

from draggan_widget.editing import pictures
from draggan_widget.editing import thread_tuner as threads
from draggan_widget.editing.pictures import LATE, Painter
from draggan_widget.engines import to_image
from draggan_widget.models import Layer


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
        self.now += 0.6 * self.seconds
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


@pytest.fixture
def layers(ws):
    return [Layer(ws)]


def quick(painter, layers, times):
    """Whether each of some pictures is the whole one."""
    return [painter.quick(layers)[1] for _ in range(times)]


def test_pictures_of_a_moving_edit_are_whole_and_the_same_as_at_rest(layers, slow):
    painter = Painter(slow(0.9 * LATE))
    whole = painter.whole(layers)
    picture, is_whole, _ = painter.quick(layers)
    assert is_whole
    assert picture.tobytes() == whole.tobytes()
    assert all(quick(painter, layers, 40))


def test_where_whole_pictures_are_late_those_of_a_moving_edit_have_half_the_side_blown_up(layers, slow):
    generator = slow(1.1 * LATE)
    painter = Painter(generator)
    painter.whole(layers)
    assert painter.quick(layers)[1], "the first one of all says little about how long others take"
    picture, is_whole, _ = painter.quick(layers)
    assert not is_whole
    assert picture.size == (64, 64)
    expected = to_image(generator_of(64).preview(layers[0].latent, generator.blocks[-2]))
    assert expected.size == (32, 32)
    assert picture.tobytes() == expected.resize((64, 64), 3).tobytes()


def test_who_is_busy_for_a_while_gets_fewer_pictures_and_no_coarser_ones(layers, slow):
    generator = slow(0.5 * LATE)
    painter = Painter(generator)
    assert all(quick(painter, layers, 4))
    generator.seconds *= 10
    assert all(quick(painter, layers, 40))


def test_sharpness_never_goes_to_and_fro_however_times_change(layers, slow):
    generator = slow(4 * LATE)
    painter = Painter(generator)
    painter.whole(layers)
    seen = []
    for seconds in (4, 3, 0.5, 4, 0.5, 8):
        generator.seconds = seconds * LATE
        painter.whole(layers)  # at rest, between two runs
        seen += quick(painter, layers, 5)
    assert seen == [False] * 10 + [True] * 20, "once a whole one was in time they stay whole"


def test_a_generator_without_coarse_pictures_shows_whole_ones(layers, slow):
    painter = Painter(slow(2 * LATE, has_previews=False))
    assert all(quick(painter, layers, 5))


@pytest.mark.parametrize(("share", "glanced"), [(0.5, True), (0.9, False)])
def test_what_is_less_exact_is_shown_in_a_run_only_where_it_is_clearly_quicker_and_never_at_rest(
    layers, slow, monkeypatch, share, glanced
):
    generator = slow(0.9 * LATE)
    quicker = Slow(share * generator.seconds)
    quicker.synthesize = lambda ws: (
        setattr(generator, "now", generator.now + quicker.seconds),
        -ws.new_ones(1, 3, 64, 64),
    )[1]
    monkeypatch.setattr(pictures, "for_glances", lambda _: quicker)
    painter = Painter(generator)
    exact = painter.whole(layers)
    assert painter.quick(layers)[1], "how long exact ones take is not known yet"
    quick(painter, layers, 3)
    picture, is_exact, is_sharp = painter.quick(layers)
    assert (is_exact, picture.getpixel((3, 3)) == (0, 0, 0)) == (not glanced, glanced)
    assert is_sharp
    assert painter.whole(layers).tobytes() == exact.tobytes()
