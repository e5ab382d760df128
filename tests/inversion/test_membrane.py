"""Where a pasted picture does not meet the photograph, the mismatch is spread over it, and no border shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from draggan_widget.inversion import Square, crop, open_photo, paste
from draggan_widget.inversion.membrane import membrane
from draggan_widget.inversion.pasting import BORDER

PORTRAIT = Path(__file__).parent.parent / "data" / "astronaut.jpg"


def test_a_membrane_is_harmonic_inside_and_the_mismatch_outside():
    random = np.random.RandomState(0)
    mismatch = torch.from_numpy(random.randn(3, 60, 75).astype(np.float32))
    region = torch.zeros(60, 75, dtype=torch.bool)
    region[12:50, 20:61] = True
    region[5:20, 30:35] = True
    found = membrane(mismatch, region)
    assert torch.equal(found[:, ~region], mismatch[:, ~region])
    inner = found[:, 1:-1, 1:-1]
    around = found[:, :-2, 1:-1] + found[:, 2:, 1:-1] + found[:, 1:-1, :-2] + found[:, 1:-1, 2:]
    assert ((4 * inner - around)[:, region[1:-1, 1:-1]]).abs().max() < 0.02
    assert found[:, region].abs().max() <= mismatch[:, ~region].abs().max()  # a harmonic function has no peak inside


def test_a_plane_is_spanned_to_the_edges_of_the_picture():
    y, x = np.mgrid[:64, :64].astype(np.float32)
    plane = torch.from_numpy(np.stack([x, y, x - y]))
    region = torch.zeros(64, 64, dtype=torch.bool)
    region[20:44, 16:48] = True
    broken = plane.clone()
    broken[:, region] = 1000
    assert (membrane(broken, region) - plane).abs().max() < 0.05
    assert not membrane(broken, torch.ones(64, 64, dtype=torch.bool)).any()
    assert torch.equal(membrane(broken, torch.zeros(64, 64, dtype=torch.bool)), broken)


@pytest.fixture(scope="module")
def portrait():
    return open_photo(PORTRAIT).picture


@pytest.mark.parametrize("darker", [30, 0])
def test_what_was_fitted_too_dark_shows_no_border_around_what_moved(portrait, darker):
    square = Square(220, 150, 256)
    true = np.asarray(crop(portrait, square, (256, 256))).astype(int)
    moved = true.copy()
    moved[100:110, 100:110] = 200
    fitted, edited = ((each - darker).clip(0, 255).astype(np.uint8) for each in (true, moved))
    pasted = paste(portrait, square, Image.fromarray(edited), Image.fromarray(fitted))
    wanted = paste(portrait, square, Image.fromarray(moved.astype(np.uint8)), Image.fromarray(true.astype(np.uint8)))
    away = np.abs(np.asarray(pasted).astype(int) - np.asarray(wanted))
    assert away.mean(axis=2).max() < (BORDER if darker else 1)
    mask = np.zeros((256, 256), np.float32)
    mask[90:120, 90:120] = 1
    masked = paste(portrait, square, Image.fromarray(edited), Image.fromarray(fitted), mask)
    outside = np.abs(np.asarray(masked).astype(int) - np.asarray(portrait))
    outside[112:142, 182:212] = 0
    assert not outside.any()


def test_a_crop_that_is_too_dark_is_pasted_whole_as_bright_as_the_photograph(portrait):
    square = Square(220, 150, 256)
    cut = np.asarray(crop(portrait, square, (256, 256))).astype(int)
    dark = Image.fromarray((cut - 30).clip(0, 255).astype(np.uint8))
    away = np.asarray(paste(portrait, square, dark)).astype(int) - np.asarray(portrait)
    assert abs(away[22:278, 92:348].mean()) < 6  # what was clipped to 0 stays lost
    assert not away[:21].any()
