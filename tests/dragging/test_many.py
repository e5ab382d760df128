"""Radii and numbers of points that ask for very much: memory and time stay in proportion."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from random_stylegan2 import generator_of

from draggan_widget.config import DragConfig
from draggan_widget.engines.common import formulas
from draggan_widget.engines.common.geometry import Frame, disc, surroundings
from draggan_widget.engines.common.sampling import nearest_places
from draggan_widget.engines.draggan import init, step
from draggan_widget.models.stylegan2.cells import corners

FRAME = Frame.of((64, 64), 3 * 8, 12 * 8)
RANDOM = np.random.RandomState(0)


def test_no_radius_is_longer_than_the_picture():
    frame = Frame.of((64, 48), 1e9, 20_000)
    assert (frame.supervision, frame.tracking) == (64, 64)


@pytest.mark.parametrize("size", [(16, 16), (64, 64), (9, 13)])
def test_surroundings_are_the_cells_that_any_position_in_the_squares_reads_and_no_others(size):
    frame = Frame.of((64, 48), 3, 12)
    handles = RANDOM.rand(5, 2) * [47, 63]
    fine = np.arange(-7, 7.001, 0.125)
    y, x = np.meshgrid(fine, fine, indexing="ij")
    inside = frame.clamp((handles[:, None] + np.stack([x.ravel(), y.ravel()], axis=1)).reshape(-1, 2))
    wanted, _ = corners(inside, size, (64, 48))
    found, _ = corners(surroundings(handles, 7, size, frame), size, (64, 48))
    assert set(found.ravel()) == set(wanted.ravel())


@pytest.mark.parametrize("count", [1, 100, 10_000])
def test_surroundings_are_no_more_than_there_are_cells(count):
    found = surroundings(RANDOM.rand(count, 2) * 63, 1e6, (16, 16), FRAME)
    assert len(found) == 16 * 16


def smooth_reader(largest):
    """Features that are places themselves; no more than ``largest`` may be read at once."""

    def read(xy):
        assert len(xy) <= largest
        return torch.from_numpy(np.asarray(xy))

    return read


@pytest.mark.parametrize("most", [1 << 18, 500, 40])
def test_the_nearest_place_is_found_though_not_all_are_looked_at(monkeypatch, most):
    monkeypatch.setattr(formulas, "MOST_TRACKED", most)
    middles = np.array([[20.0, 20.0], [0.0, 63.0], [40.0, 9.0]])
    wanted = np.array([[27.0, 13.0], [5.0, 60.0], [52.0, 9.0]])
    looked = []

    def read(xy):
        looked.append(len(xy))
        return torch.from_numpy(np.asarray(xy))

    found = nearest_places(read, middles, 12, list(torch.from_numpy(wanted)), FRAME, order=2)
    np.testing.assert_array_equal(found, wanted)
    assert sum(looked) <= 3 * (2 * 12 + 1) ** 2
    assert most > 500 or sum(looked) < 3 * most + 3 * 20**2


def test_a_window_larger_than_what_is_read_at_once_is_cut():
    wide = Frame.of((512, 512), 3, 128)
    (found,) = nearest_places(
        smooth_reader(formulas.LARGEST_READ),
        np.array([[250.0, 250]]),
        128,
        [torch.tensor([300.0, 260.0])],
        wide,
        order=2,
    )
    np.testing.assert_array_equal(found, [300, 260])


def test_a_disc_that_is_thinned_keeps_its_middle_and_its_extent():
    for spacing in (2, 3, 5):
        offsets = disc(30, spacing)
        assert [0, 0] in offsets.tolist()
        assert len(offsets) == pytest.approx(len(disc(30)) / spacing**2, rel=0.15)
        assert np.abs(offsets).max() > 30 - spacing


@pytest.mark.parametrize("method", ["default", "paper", "official"])
def test_points_and_radii_that_are_thinned_still_pull_to_their_targets(method, monkeypatch):
    monkeypatch.setattr(formulas, "MOST_TRACKED", 200)
    for module in ("paper", "official"):
        monkeypatch.setattr(f"draggan_widget.engines.draggan.{module}.MOST_PULLED", 60)
    config = DragConfig(method=method, learning_rate=2e-2, supervision_radius=40, tracking_radius=60)
    medium = generator_of(64)
    state = init(medium, medium.mapping(seed=3), [(1, (20, 20), (28, 24))], None, config)
    for _ in range(12):
        state = step(medium, state)
    assert state.distances[0] < 0.8 * np.hypot(8, 4)


SCRIPT = """
import resource, sys
import numpy as np
from random_stylegan2 import small_stylegan2
from draggan_widget import DragConfig, dragging
generator = small_stylegan2(64)
places = np.random.RandomState(0).rand(1000, 4) * 63
points = [(number, tuple(each[:2]), tuple(each[2:])) for number, each in enumerate(places.tolist(), start=1)]
ws = generator.mapping(seed=9, truncation=0.7)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
config = DragConfig(supervision_radius=128, tracking_radius=128)
state = dragging.step(generator, dragging.init(generator, ws, points, None, config))
assert np.isfinite(state.handles).all()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_thousand_points_of_the_largest_radii_take_little_memory_and_time():
    tests = str(Path(__file__).parent.parent)
    path = os.pathsep.join([tests, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert int(done.stdout) < 400, "megabytes"
