"""Handles are followed to where the renderer says that the landmarks of a head truly went."""

from __future__ import annotations

import itertools

import numpy as np
from tracking import LOST, errors, heads_pairs


def test_landmarks_are_followed_nearer_to_the_truth_than_by_one_fixed_reference():
    farthest = itertools.islice(heads_pairs(), 3, None, 4)  # the first frame of each head and the last
    off = {}
    for name, _pair, _mark, _went, error in errors(farthest):
        off.setdefault(name, []).append(error)
    fixed, natural = (np.array(off[name]) for name in ("one fixed reference", "natural"))
    assert len(fixed) == len(natural) > 100
    assert natural.mean() < fixed.mean()
    assert np.median(natural) < 0.9 * np.median(fixed)
    assert (natural > LOST).mean() < 0.04
