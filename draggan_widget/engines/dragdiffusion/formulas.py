"""The formulas of DragDiffusion (Shi et al., CVPR 2024, equations 3 to 5), on features of places of a grid.

Positions are picture pixels (x, y). Places of the grid are a quarter of a cell of the noisy picture apart: for Stable
Diffusion, whose cells are eight pixels, these are the paper's two pixels, and its grid of half the picture's side.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Read = Callable[[np.ndarray], Tensor]
"""Places (…, 2) → features (…, C) there, differentiable; outside the picture its border is read."""
PER_CELL = 4
"""Places between two cells of a noisy picture."""


def square(radius: int, spacing: float) -> np.ndarray:
    """Return the offsets (n, 2) of the places around one, row by row, in pixels; (0, 0) is the middle one.

    :param spacing: pixels between two places.
    """
    line = np.arange(-radius, radius + 1) * spacing
    return np.array([[x, y] for y in line for x in line])


def motion(read: Read, handles: np.ndarray, targets: np.ndarray, radius: int, spacing: float) -> Tensor:
    """Return Σ_i Σ_q mean over channels of |F(q + d_i) - sg(F(q))|: the first term of equation 3.

    :param handles: (N, 2). :param targets: (N, 2). d_i is a place long, towards the target, or as long as what is left.
    :param spacing: pixels between two places.
    """
    way = targets - handles
    left = np.linalg.norm(way, axis=1, keepdims=True)
    ahead = way * np.minimum(1, spacing / np.maximum(left, 1e-12))
    here = handles[:, None] + square(radius, spacing)
    differences = read(here + ahead[:, None]) - read(here).detach()
    return differences.abs().mean(dim=2).sum()


def staying(step: Tensor, before: Tensor, stay: Tensor) -> Tensor:
    """Return the sum of what the next noisy picture (1, C, h, w) changes where it is to stay: the second term.

    :param before: (1, C, h, w), the next one of the picture that nothing was pulled of. :param stay: (h, w), 1 - M.
    """
    return ((step - before).abs() * stay).sum()


def tracked(
    read: Read, handles: np.ndarray, references: Tensor, radius: int, size: tuple[int, int], spacing: float
) -> np.ndarray:
    """Return the places (N, 2) around handles whose features are nearest to the references (N, C) in L1: equation 5.

    :param size: (H, W) of the picture, outside of which no place counts. Of equally near places the first is taken.
    :param spacing: pixels between two places.
    """
    height, width = size
    places = handles[:, None] + square(radius, spacing)
    inside = ((places >= 0) & (places <= [width - 1, height - 1])).all(axis=2)
    with torch.no_grad():
        away = (read(places) - references[:, None]).abs().sum(dim=2)
    away = away.masked_fill(~torch.from_numpy(inside).to(away.device), torch.inf)
    # A handle is always at a place of its own, so one at least is inside.
    return np.asarray(places[np.arange(len(places)), away.argmin(dim=1).cpu().numpy()])
