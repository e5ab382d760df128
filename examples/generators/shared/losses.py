"""How far a picture is from its render."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def picture_loss(made: Tensor, true: Tensor, weights: Tensor, finest_edges: bool = True) -> Tensor:
    """Mean absolute differences of pixels at four scales and of neighbouring pixels at two.

    :param finest_edges: whether neighbouring pixels of the whole size count too. They make edges crisp; but where a
        hair lies beside its place they count it twice, so beside an adversary they would keep hair smooth.
    """
    difference = made - true
    total = (difference.abs() * weights).mean()
    if finest_edges:
        total = total + _edges(difference, weights)
    for scale in (2, 4, 8):
        difference, weights = F.avg_pool2d(difference, 2), F.avg_pool2d(weights, 2)
        total = total + (difference.abs() * weights).mean()
        if scale == 2:
            total = total + _edges(difference, weights)
    return total


def _edges(difference: Tensor, weights: Tensor) -> Tensor:
    down = (difference[:, :, 1:] - difference[:, :, :-1]).abs() * weights[:, :, 1:]
    right = (difference[..., 1:] - difference[..., :-1]).abs() * weights[..., 1:]
    return 2 * (down.mean() + right.mean())
