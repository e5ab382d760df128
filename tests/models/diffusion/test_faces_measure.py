"""What the small diffusion model of faces is measured by: pulls of known motion, and how much of them was done."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("diffusers")
FILE = Path(__file__).parents[3] / "examples/generators/faces_diffusion/measure.py"


@pytest.fixture(scope="module")
def measure():
    """The command as a module, by its path: another recipe has one of that name."""
    import sys

    spec = importlib.util.spec_from_file_location("measure_faces_diffusion", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclass looks for its names
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_there_are_fifty_pulls_of_all_kinds_whose_points_lie_in_the_picture(measure):
    found = measure.pulls(measure.HEADS, 64)
    chosen = measure.spread(found, 50)
    assert len(chosen) == len({pull.name for pull in chosen}) == 50
    assert {"turn", "open"} <= {pull.name.split()[0] for pull in chosen}
    for pull in chosen:
        handles, targets = np.array(pull.handles), np.array(pull.targets)
        assert handles.shape == targets.shape == (len(pull.numbers), 2)
        assert 1 <= len(handles) <= 3
        assert min(handles.min(), targets.min()) >= 0
        assert max(handles.max(), targets.max()) <= 63
        assert np.hypot(*(targets - handles).T).min() >= 0.025 * 64
        assert pull.picture.exists()


def test_landmarks_of_a_picture_lie_where_dlib_finds_them(measure):
    pytest.importorskip("dlib")
    pull = next(pull for pull in measure.pulls(measure.HEADS, 64) if pull.name == "open 1 to 4")
    seen = measure.Landmarks()(np.asarray(measure.Image.open(pull.picture).convert("RGB"))) / 4
    away = np.hypot(*(seen[list(pull.numbers)] - np.array(pull.handles)).T)
    assert away.max() < 4  # of 64 pixels: the same landmark, by another's taste


def test_what_is_left_is_counted_from_where_dlib_sees_a_landmark_before(measure):
    pull = measure.Pull("a", Path("a"), (8, 30), ((10.0, 10.0), (20.0, 20.0)), ((14.0, 10.0), (20.0, 26.0)))
    before = np.zeros((68, 2))
    before[8], before[30] = (11, 9), (21, 21)
    after = before.copy()
    assert measure.left_to_go(before, after, pull) == (5.0, 5.0)
    after[8], after[30] = (15, 9), (21, 24)
    assert measure.left_to_go(before, after, pull) == (5.0, 1.5)
