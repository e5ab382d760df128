"""What the fit left of a photograph is added to the model's pictures of its edit, where it has moved to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from draggan_widget.inversion import Residual
from draggan_widget.inversion.motion import moved


def bent(picture, most=5.0):
    """A picture after a smooth motion, nothing at its edges."""
    array = np.atleast_3d(np.asarray(picture, np.float32))
    height, width = array.shape[:2]
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    flow = most * (torch.sin(torch.pi * x) * torch.sin(torch.pi * y))[None, None].repeat(1, 2, 1, 1)
    there = moved(torch.from_numpy(array).permute(2, 0, 1)[None], flow)[0].permute(1, 2, 0).numpy()
    return Image.fromarray(there.round().astype(np.uint8).squeeze())


def cloud(size, mode="RGB", seed=0):
    """A photograph of blots of all sizes."""
    channels = len(mode)
    random = np.random.RandomState(seed)
    parts = [
        np.asarray(
            Image.fromarray(random.randint(0, 256, (n, n, channels)).astype(np.uint8).squeeze()).resize(size, 3), float
        )
        for n in (5, 12, 60)
    ]
    return Image.fromarray((0.5 * parts[0] + 0.3 * parts[1] + 0.2 * parts[2]).astype(np.uint8))


def apart(one, other):
    inner = (slice(30, -30), slice(30, -30))
    return np.abs(np.asarray(one, float)[inner] - np.asarray(other, float)[inner]).mean()


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_of_the_fit_itself_it_makes_the_photograph_to_the_bit(mode):
    photo = cloud((96, 64), mode)
    fitted = photo.filter(ImageFilter.GaussianBlur(3))
    residual = Residual(photo, fitted)
    assert residual.added(fitted).tobytes() == photo.tobytes()
    assert residual.added(fitted, quick=True).tobytes() == photo.tobytes()
    small = residual.added(fitted.resize((48, 32), Image.Resampling.LANCZOS))
    assert small.tobytes() == photo.resize((48, 32), Image.Resampling.LANCZOS).tobytes()


@pytest.mark.parametrize("quick", [False, True])
def test_it_goes_where_the_picture_has_moved_to(quick):
    photo = cloud((160, 160))
    fitted = photo.filter(ImageFilter.GaussianBlur(3))
    residual, wanted, edited = Residual(photo, fitted), bent(photo), bent(fitted)
    stays = np.asarray(edited, float) + np.asarray(photo, float) - np.asarray(fitted, float)
    found = residual.added(edited, quick=quick)
    assert apart(found, wanted) < 0.6 * apart(edited, wanted)
    assert apart(found, wanted) < 0.6 * apart(stays.clip(0, 255), wanted)


def test_where_nothing_near_has_changed_it_is_the_photograph_to_the_bit():
    photo = cloud((128, 128))
    fitted = photo.filter(ImageFilter.GaussianBlur(3))
    edited = fitted.copy()
    edited.paste(bent(fitted.crop((0, 0, 64, 128))), (0, 0))
    for quick in (False, True):
        found = np.asarray(Residual(photo, fitted).added(edited, quick=quick))
        assert np.array_equal(found[:, 88:], np.asarray(photo)[:, 88:])
        assert not np.array_equal(found[:, :64], np.asarray(photo)[:, :64])


def test_pictures_of_other_kinds_are_refused():
    photo = cloud((32, 32))
    with pytest.raises(ValueError, match="give two alike"):
        Residual(photo, photo.convert("L"))
    with pytest.raises(ValueError, match="give two alike"):
        Residual(photo, photo.resize((16, 16)))
    with pytest.raises(ValueError, match="give two alike"):
        Residual(photo, photo).added(photo.convert("L"))
