"""Adaptive search windows: how far they reach, whom they do not take for the handle, and when they are widened."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from test_gooddrag import tracked

from draggan_widget.engines import BoundTracked, DragConfig, GoodDrag, State, bind
from draggan_widget.engines.common.geometry import Frame
from draggan_widget.engines.draggan import default
from draggan_widget.engines.trackers.windows import found_in_windows, likeness, pace, reach

FRAME = Frame(512, 512, 3, 12)
HANDLES, TARGETS = [(20.3, 30.6), (44.0, 18.5)], [(32.0, 36.0), (36.0, 24.0)]


def course(*xs):
    """Where one handle was, on a row of the picture."""
    return [np.array([[x, 100.0]]) for x in xs]


def dips(*places):
    """Features (P, 1) that are 0 where the reference is, and lowest at places (x, depth) of a row."""

    def read(xy):
        away = [depth + np.hypot(xy[:, 0] - x, xy[:, 1] - 100.0) / 10 for x, depth in places]
        return torch.from_numpy(np.minimum.reduce([np.ones(len(xy)), *away]))[:, None]

    return read


REFERENCE = [torch.zeros(1, dtype=torch.float64)]


def found(read, path):
    return found_in_windows(default, read, path, REFERENCE, FRAME, 4.0)[0]


def test_a_window_reaches_as_far_as_the_pace_asks_for_within_its_bounds():
    assert [reach(speed, 12) for speed in (0.0, 0.5, 1.0, 2.0, 4.5, 9.0)] == [4, 4, 5, 7, 12, 12]
    assert reach(None, 12) == 12
    assert [reach(speed, 6) for speed in (0.0, 1.0, 9.0)] == [2, 4, 6]
    assert reach(0.0, 1) == 1


def test_the_pace_is_a_mean_in_which_the_newest_step_counts_twice_as_much_as_the_one_before():
    assert pace(course(0.0)) is None
    assert pace(course(0.0, 3.0)) == pytest.approx([3.0])
    assert pace(course(0.0, 4.0, 5.0, 8.0)) == pytest.approx([(4 * 3 + 2 * 1 + 1 * 4) / 7])
    assert pace(course(90.0, 0.0, 4.0, 5.0, 8.0)) == pytest.approx([(4 * 3 + 2 * 1 + 1 * 4) / 7])


def test_a_slow_handle_is_not_taken_for_a_like_place_far_off_as_it_is_by_a_fixed_window():
    read, path = dips((101.0, 0.3), (109.0, 0.1)), course(97.0, 98.0, 99.0, 100.0)
    np.testing.assert_allclose(found(read, path), [101.0, 100.0], atol=0.3)
    far = default.track(read, path[-1], REFERENCE, FRAME)[0]
    np.testing.assert_allclose(far, [109.0, 100.0], atol=0.3)


def test_a_window_in_which_two_places_are_alike_is_widened():
    path = course(97.0, 98.0, 99.0, 100.0)
    twins = dips((96.0, 0.3), (104.0, 0.3))
    side = reach(1.0, 12)
    assert likeness(twins, path[-1][0], REFERENCE[0], side, FRAME, 4.0) > 0.9
    read = dips((96.0, 0.3), (104.0, 0.3), (108.0, 0.0))
    np.testing.assert_allclose(found(read, path), [108.0, 100.0], atol=0.3)
    alone = dips((101.0, 0.3), (107.0, 0.0))
    assert likeness(alone, path[-1][0], REFERENCE[0], side, FRAME, 4.0) < 0.9


@pytest.mark.parametrize(
    "settings",
    [
        DragConfig(learning_rate=0.05, block=4, tracking_radius=48.0, window="adaptive"),
        GoodDrag(learning_rate=0.05, block=4, tracking_radius=48.0, supervision_radius=24.0, window="adaptive"),
    ],
    ids=lambda settings: type(settings).__name__,
)
def test_handles_are_where_a_plain_reference_in_float64_finds_them(generator, settings):
    double = copy.deepcopy(generator).double()
    state = State.begin(double, double.mapping(seed=3), settings)
    assert isinstance(state.bound, BoundTracked)
    for number, pair in enumerate(zip(HANDLES, TARGETS, strict=True), start=1):
        state = state.add_point(number, *pair)

    class Way:
        """What the plain tracking reads of."""

        def __init__(self, ws):
            self.generator, self.ws = double, ws

        def read(self, xy):
            places = torch.from_numpy(np.asarray(xy, dtype=float))
            return double.sample_features(self.ws, (4,), places).detach()

    r2, first = round(48 * 64 / 512), Way(state.ws)
    references = [first.read([handle])[0] for handle in state.handles]
    paths, sizes = [[np.array(handle)] for handle in state.handles], set()
    for number in range(1, 10):
        (state,) = state.advance()
        way = Way(state.ws)
        for path, reference in zip(paths, references, strict=True):
            ways = [float(np.hypot(*(path[n + 1] - path[n]))) for n in range(max(0, len(path) - 4), len(path) - 1)]
            radius = r2
            if ways:
                weights = [0.5 ** (len(ways) - 1 - n) for n in range(len(ways))]
                speed = sum(w * each for w, each in zip(weights, ways, strict=True)) / sum(weights)
                radius = max(1, round(min(max(r2 / 4 + 2 * speed, r2 / 3), r2)))
            steps = range(-radius, radius + 1)
            window = np.round(path[-1]) + np.array([[x, y] for y in steps for x in steps])
            window = window[((window >= 0) & (window <= 63)).all(axis=1)]
            away = (way.read(window) - reference).norm(dim=1).numpy()
            best = int(away.argmin())
            other = away[np.hypot(*(window - window[best]).T) >= 2.0]  # a cell of 32 in 64 px
            if len(other) and away[best] > 0.9 * other.min():
                radius = max(radius, min(round(1.5 * radius), round(4 / 3 * r2)))
            sizes.add(radius)
            path.append(tracked(way, path[-1], reference, radius))
        if not isinstance(settings, GoodDrag) or number % settings.pulls == 0:
            np.testing.assert_allclose(state.handles, [path[-1] for path in paths], atol=1e-6)
    assert len(sizes) > 1, "all windows are alike"


def test_a_file_goes_on_exactly_in_the_middle_of_a_run(generator):
    settings = DragConfig(learning_rate=0.05, window="adaptive")
    state = State.begin(generator, generator.mapping(seed=3), settings).add_point(1, HANDLES[0], TARGETS[0]).steps(6)
    tensors, values = state.bound.pack(state.memory)
    again = State(state.bound, state.edit, state.bound.unpack(state.edit, tensors, values))
    for _ in range(4):
        (state,), (again,) = state.advance(), again.advance()
        assert state.handles.tolist() == again.handles.tolist()
        assert torch.equal(state.ws, again.ws)


def test_a_tracker_that_goes_on_obeys_the_settings_of_now(generator):
    before = DragConfig(learning_rate=0.05, tracker="features")
    state = State.begin(generator, generator.mapping(seed=3), before).add_point(1, HANDLES[0], TARGETS[0]).steps(2)
    after = state.with_config(before.replace(tracking_radius=100.0, window="adaptive"))
    (track,) = after.steps(1).memory.tracks
    assert track.tracker.config.tracking_radius == 100.0
    assert track.tracker.config.window == "adaptive"
    assert not isinstance(bind(generator, before.replace(tracker="own")), BoundTracked)
