"""What is added to a pasted region so that no border shows: gradient-domain pasting (Pérez et al., 2003).

Pasting the gradients of a picture g into a photograph f asks for ∇²h = ∇²g inside and h = f on the border. With
h = g + m that is ∇²m = 0 inside and m = f - g on the border: m is a membrane, spanned over the region by the mismatch
along its border.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SMALLEST = 8
"""Pixels of a side, below which no coarser solution is looked for first."""
STEPS = 60
"""Of conjugate gradients at each size, of which each begins at the solution of half the size."""
ENOUGH = 1e-3
"""What is left of the equation's error, squared and summed, as a part of that at the beginning, where it ends."""


def membrane(mismatch: Tensor, region: Tensor) -> Tensor:
    """Return (C, H, W): ``mismatch`` outside a region, and inside it the smoothest thing that joins it.

    The picture's edges are free: there the membrane ends flat.

    :param mismatch: (C, H, W); inside the region it is not looked at. :param region: (H, W) of bool.
    """
    if not bool(region.any()):
        return mismatch.clone()
    if bool(region.all()):
        return torch.zeros_like(mismatch)
    begin = _begun(mismatch, region)
    inside = region.to(mismatch)
    found = torch.where(region, begin, mismatch)
    # Conjugate gradients for the negative Laplacian inside; outside nothing moves.
    left = inside * -_negative_laplacian(found)
    direction, size = left.clone(), _sum(left * left)
    first = size.clone()
    for _ in range(STEPS):
        if bool((size <= ENOUGH**2 * first.clamp(min=1e-12)).all()):
            break
        moved = inside * _negative_laplacian(direction)
        rate = size / _sum(direction * moved).clamp(min=1e-20)
        found = found + rate * direction
        left = left - rate * moved
        now = _sum(left * left)
        direction, size = left + now / size.clamp(min=1e-20) * direction, now
    return found


def _begun(mismatch: Tensor, region: Tensor) -> Tensor:
    """Return the membrane of half the size, enlarged; where that is too small, the mean of what is outside."""
    outside = (~region).to(mismatch)[None]
    if min(region.shape) < 2 * SMALLEST:
        mean = _sum(mismatch * outside) / _sum(outside).clamp(min=1)
        return mean.expand_as(mismatch)
    seen = F.avg_pool2d(outside, 2, ceil_mode=True)
    coarse = F.avg_pool2d(mismatch * outside, 2, ceil_mode=True) / seen.clamp(min=1e-6)
    found = membrane(coarse, seen[0] == 0)
    height, width = region.shape
    return F.interpolate(found[None], scale_factor=2, mode="bilinear", align_corners=False)[0, :, :height, :width]


def _negative_laplacian(values: Tensor) -> Tensor:
    padded = F.pad(values[None], (1, 1, 1, 1), mode="replicate")[0]
    around = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    return 4 * values - around


def _sum(values: Tensor) -> Tensor:
    return values.sum(dim=(1, 2), keepdim=True)
