"""Masked pulls of the built-in faces: little changes outside the mask, nothing a cell away, and there is no seam."""

from __future__ import annotations

import numpy as np
import pytest
from masked_pulls import MOST_OUTSIDE, PULLS, faded, mask_of, outside, pictures, run, seam, wider

from draggan_widget import load_generator

FEW = [pull for pull in PULLS if pull["percent"] == 3][:3]


@pytest.fixture(scope="module")
def faces():
    return load_generator("faces", "cpu")


def test_there_are_24_pulls_of_every_part_size_and_brush_within_their_masks():
    assert len(PULLS) == len({(pull["region"], pull["percent"], pull["mask"]) for pull in PULLS}) == 24
    for pull in PULLS:
        mask = mask_of(pull)
        assert 0.015 < mask.mean() < 0.2
        for x, y in (pull["handle"], pull["target"]):
            assert mask[y, x] == 1
        way = np.hypot(*np.subtract(pull["target"], pull["handle"])) / 256
        assert abs(100 * way - pull["percent"]) < 0.5 or 0 in pull["target"] or 255 in pull["target"]


@pytest.mark.parametrize("pull", FEW, ids=lambda pull: f"{pull['region']} {pull['mask']}")
def test_a_masked_pull_arrives_and_changes_at_most_1_5_of_255_outside_its_mask(faces, pull):
    result, mask = run(faces, pull), mask_of(pull)
    before, pulled, blended = pictures(faces, result)
    assert result.reason in ("arrived", "near")
    assert result.image.tobytes() == blended.tobytes()
    assert result.before.tobytes() == before.tobytes()
    assert outside(mask, before, blended) <= MOST_OUTSIDE / 5
    assert outside(mask, before, pulled) > outside(mask, before, blended)
    assert outside(wider(mask, 8), before, blended) == 0
    assert np.abs(np.asarray(blended, float) - np.asarray(before))[mask == 1].mean() > 2
    assert seam(mask, before, pulled, blended) < 0.1
    assert seam(mask, before, pulled, faded(faces, result, mask)) < 0.2
