"""What tuning left of a photograph is carried with the motion of an edit, and left out where something new came up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from draggan_widget.inversion import Square, carried, crop, open_photo, paste
from draggan_widget.inversion.motion import motion, moved

DATA = Path(__file__).parent.parent / "data"


def as_tensor(picture):
    return torch.from_numpy(np.array(picture.convert("RGB"), dtype=np.float32)).permute(2, 0, 1)[None] / 127.5 - 1


@pytest.fixture(scope="module")
def portrait():
    return as_tensor(crop(open_photo(DATA / "astronaut.jpg").picture, Square(220, 130, 220), (256, 256)))


def bent(size=(256, 256), most=6.0):
    """A smooth motion (1, 2, H, W), nothing at the edges."""
    y, x = torch.meshgrid(*(torch.linspace(0, 1, n) for n in size), indexing="ij")
    bump = torch.sin(torch.pi * x) * torch.sin(torch.pi * y)
    return most * torch.stack([bump, -0.5 * bump])[None]


def test_a_smooth_motion_is_found(portrait):
    true = bent()
    found = motion(portrait, moved(portrait, true))
    away = (found - true).square().sum(dim=1).sqrt()[0, 40:-40, 40:-40]
    assert away.median() < 0.4
    assert not motion(portrait, portrait).any()


@pytest.mark.parametrize("name", ["turn", "tilt"])
def test_landmarks_of_a_head_that_moves_are_followed(name):
    head = next(each for each in json.loads((DATA / "heads/heads.json").read_text())["heads"] if each["name"] == name)
    first, second = head["frames"][2:4]
    flow = motion(*(as_tensor(Image.open(DATA / "heads" / frame["file"])) for frame in (first, second)))
    seen = np.array(first["visible"]) & np.array(second["visible"])
    was, now = (np.array(frame["points"])[seen] for frame in (first, second))
    x, y = now.round().astype(int).clip(0, 255).T
    back = now + flow[0, :, y, x].T.numpy()
    apart, unmoved = np.hypot(*(back - was).T), np.hypot(*(now - was).T)
    assert np.median(apart) < 0.4 * np.median(unmoved)


def test_what_was_left_goes_along_and_is_left_out_where_something_new_is(portrait):
    random = torch.Generator().manual_seed(0)
    left = F.avg_pool2d(torch.randn(1, 3, 256, 256, generator=random), 5, 1, 2) * 0.2
    after = moved(portrait, bent())
    wanted = moved(left, bent())
    found = carried(left, portrait, after)
    inner = (..., slice(40, 216), slice(40, 216))
    assert (found - wanted)[inner].abs().mean() < 0.5 * (left - wanted)[inner].abs().mean()
    after[..., 100:130, 100:130] = 1.0
    assert carried(left, portrait, after)[..., 110:120, 110:120].abs().max() < 0.3 * left.abs().max()


def test_a_large_model_is_compared_at_most_at_256_px_and_gives_as_large_a_motion(portrait):
    large = F.interpolate(portrait, size=(512, 512), mode="bilinear")
    found = motion(large, moved(large, bent((512, 512), 12.0)))
    assert found.shape == (1, 2, 512, 512)
    assert (found - bent((512, 512), 12.0))[..., 80:-80, 80:-80].abs().median() < 1


def test_hair_that_the_model_could_not_fit_is_in_the_photograph_again_where_it_moved_to(portrait):
    photo = open_photo(DATA / "astronaut.jpg").picture
    square = Square(220, 130, 220)
    soft = F.avg_pool2d(portrait, 7, 1, 3, count_include_pad=False)  # as of a poor fit
    flow = bent()
    fitted, edited = (
        Image.fromarray(((each[0].permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy())
        for each in (soft, moved(soft, flow))
    )
    pasted = as_tensor(crop(paste(photo, square, edited, fitted), square, (256, 256)))
    wanted = moved(portrait, flow)
    inner = (..., slice(40, 216), slice(40, 216))
    assert (pasted - wanted)[inner].abs().mean() < 0.6 * (as_tensor(edited) - wanted)[inner].abs().mean()
