"""What makes pictures of a generator as various as photographs, so that an encoder trained on them works on these.

Light, white balance, contrast, blur, noise, JPEG, other backgrounds, things before the face, and a crop that is a
little off. Nothing that the latent tells of the face's place or turn is changed by more than alignment errs.
"""

from __future__ import annotations

import io
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

SHARE = 0.35
"""Of the pictures, to which each of the rarer things happens."""
OFF, TURNED, SCALED = 0.03, 2.0, 0.03
"""Half of the side, degrees, and share of the size by which a crop is off at most, about."""
LIGHT, TINT, CONTRAST, COLOUR = 0.12, 0.06, 0.2, 0.25
"""Deviation of brightness, of each colour, and of the logarithms of contrast and saturation."""
JPEG = (35, 95)


def augmented(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Return pictures (N, 3, H, W) in [-1, 1], each changed in its own way."""
    pictures = _placed(pictures, random)
    pictures = _before(_behind(pictures, random), random)
    pictures = _coloured(pictures, random)
    pictures = _blurred(pictures, random)
    noise = _some(len(pictures), random) * torch.rand(len(pictures), generator=random) * 0.12
    pictures = pictures + noise.view(-1, 1, 1, 1) * torch.randn(pictures.shape, generator=random)
    return _compressed(pictures.clamp(-1, 1), random)


def _some(count: int, random: torch.Generator) -> Tensor:
    return (torch.rand(count, generator=random) < SHARE).float()


def _normal(*shape: int, random: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=random).clamp(-2, 2)


def _placed(pictures: Tensor, random: torch.Generator) -> Tensor:
    count = len(pictures)
    angle = math.radians(TURNED / 2) * _normal(count, random=random)
    size = 1 + SCALED / 2 * _normal(count, random=random)
    moved = OFF / 2 * _normal(count, 2, 1, random=random)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(-1, 2, 2)
    grid = F.affine_grid(torch.cat([size.view(-1, 1, 1) * turn, moved], dim=2), list(pictures.shape), False)
    return F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)


def _behind(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Put something else where the head is not, in some."""
    count, _, height, width = pictures.shape
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    shape = torch.tensor([0.74, 0.92]) + 0.06 * _normal(count, 2, random=random)
    across, down = (shape[:, k].view(-1, 1, 1) for k in (0, 1))
    apart = (x / across).square() + (y.clamp(max=0.1) / down).square()  # below, neck and shoulders belong to it
    share = (8 * (apart - 1)).sigmoid()[:, None] * _some(count, random).view(-1, 1, 1, 1)
    coarse = torch.rand(count, 3, 3, 3, generator=random) * 2 - 1
    other = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False)
    other = 0.7 * other + 0.3 * pictures.roll(1, dims=0)
    return pictures.lerp(other, share)


def _before(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Put a plain box before a part of some."""
    count, _, height, width = pictures.shape
    middle = torch.rand(count, 2, 1, 1, generator=random) * 2 - 1
    reach = 0.08 + 0.25 * torch.rand(count, 2, 1, 1, generator=random)
    y, x = torch.linspace(-1, 1, height)[:, None], torch.linspace(-1, 1, width)[None]
    inside = ((x - middle[:, 0]).abs() < reach[:, 0]) & ((y - middle[:, 1]).abs() < reach[:, 1])
    share = (inside.float() * _some(count, random).view(-1, 1, 1))[:, None]
    return pictures.lerp((torch.rand(count, 3, 1, 1, generator=random) * 2 - 1).expand_as(pictures), share)


def _coloured(pictures: Tensor, random: torch.Generator) -> Tensor:
    count = len(pictures)
    contrast, colour = ((deviation * _normal(count, 1, 1, 1, random=random)).exp() for deviation in (CONTRAST, COLOUR))
    grey = pictures.mean(dim=1, keepdim=True)
    pictures = grey + colour * (pictures - grey)
    light = LIGHT * _normal(count, 1, 1, 1, random=random) + TINT * _normal(count, 3, 1, 1, random=random)
    return contrast * pictures + light


def _blurred(pictures: Tensor, random: torch.Generator) -> Tensor:
    soft = F.avg_pool2d(pictures, 3, stride=1, padding=1, count_include_pad=False)
    share = _some(len(pictures), random) * torch.rand(len(pictures), generator=random)
    sharper = 0.6 * (torch.rand(len(pictures), generator=random) < SHARE / 2).float()  # as cameras do
    return pictures.lerp(soft, (share - sharper * (share == 0)).view(-1, 1, 1, 1))


def _compressed(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Compress some as JPEG."""
    chosen = _some(len(pictures), random).nonzero()[:, 0].tolist()
    qualities = torch.randint(*JPEG, (len(pictures),), generator=random).tolist()
    for number in chosen:
        array = ((pictures[number].permute(1, 2, 0) + 1) * 127.5).round().to(torch.uint8).numpy()
        file = io.BytesIO()
        Image.fromarray(array).save(file, "JPEG", quality=qualities[number])
        pictures[number] = torch.from_numpy(np.array(Image.open(file), np.float32)).permute(2, 0, 1) / 127.5 - 1
    return pictures
