"""How a picture comes to look another while nothing moves: a beard grows, hair turns grey, light comes from elsewhere.

Latents in which a mouth opens and latents in which a beard grows are near each other where the faces that a model
learned from had both. To a metric of latents they cost the same, to a person they do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from draggan_widget.models import Generator

LOOKS = 64
"""Samples of a model, of each of which one random sum of how it looks is followed."""
TRUNCATION = 0.7
"""Theirs: nearer to the mean than some, since more extreme ones look unlike what is edited."""
SEED = 50_000
"""Of the first of them."""
DEAR = 5.0
"""How much more it counts how a picture looks than how the rest of it moves, of changes as the metric has them."""


def measured(model: Generator, label: int | None, block: int, motion: Tensor, cells: int) -> Iterator[Tensor]:
    """Yield ``LOOKS`` rows (rows, w_dim) in float64: how random sums of colours change with the latent.

    Colours are those of coarse pictures, smoothed by windows at the middles of ``cells`` × ``cells`` parts of it. What
    of their change comes of motion, by the slope of colours there, is taken out. Added up, the squares of what rows
    say of a change are, about, the mean over samples of the square of how all colours change.

    :param block: whose coarse pictures. :param motion: (cells², 2, rows, w_dim), how these places move, in pixels.
    """
    random = np.random.RandomState(SEED)
    rows, classes = motion.shape[2], model.label_dim if label is None else 0
    like = next(model.parameters())
    for number in range(LOOKS):
        signs = torch.from_numpy(random.choice([-1.0, 1.0], (model.channels, cells, cells))).to(like)
        kind = number % classes if classes else label
        leaf = model.space.draw(seed=SEED + number, label=kind, truncation=TRUNCATION).detach().clone().requires_grad_()
        with torch.enable_grad():
            _, picture = model.views(leaf, block)
        assert picture is not None
        drawn = picture.detach()
        (down, down_slope), (across, across_slope) = (_windows(size, cells, drawn) for size in drawn.shape[2:])
        (change,) = torch.autograd.grad(picture, leaf, torch.einsum("cyx,yi,xj->cij", signs, down, across)[None])
        scales = [own / whole for own, whole in zip(drawn.shape[2:], model.resolution, strict=True)]
        slopes = torch.stack(
            [
                torch.einsum("cyx,yi,cij,xj->yx", signs, down, drawn[0], across_slope) * scales[1],
                torch.einsum("cyx,yi,cij,xj->yx", signs, down_slope, drawn[0], across) * scales[0],
            ],
            dim=-1,
        )
        moved = torch.einsum("ni,nird->rd", slopes.view(-1, 2).double().cpu(), motion)
        yield change[0, :rows].double().cpu() + moved


def _windows(size: int, cells: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return smooth windows (cells, size) along a side of a picture, each of sum 1, and how these change as they move.

    The latter is by their middle, in pixels: what it gives of a picture is the slope of what the former gives.
    """
    middles = (torch.arange(cells).to(like) + 0.5) * (size / cells) - 0.5
    away = torch.arange(size).to(like) - middles[:, None]
    width = size / cells / 2
    windows = torch.exp(-0.5 * (away / width).square())
    windows = windows / windows.sum(dim=1, keepdim=True)
    return windows, windows * away / width**2
