"""The project's own reading of the formulas: sub-pixel handles, steps that do not overshoot, masks that weigh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from draggan_widget.dragging.geometry import Frame, square
from draggan_widget.dragging.paper import place, pulled_apart
from draggan_widget.dragging.sampling import Reader, distances_to_references

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["mask_loss", "motion_loss", "place", "tolerance", "track"]

NORM = 2
"""Of the distance between features when tracking."""


def motion_loss(read: Reader, handles: np.ndarray, targets: np.ndarray, frame: Frame) -> Tensor | None:
    """Σ_i mean over the disc of |F(q + d_i) - sg(F(q))|, where d_i is no longer than what remains to be gone."""
    to_go = targets - handles
    distances = np.hypot(to_go[:, :1], to_go[:, 1:])
    return pulled_apart(read, handles, to_go / np.maximum(distances, 1), frame)


def track(read: Reader, handles: np.ndarray, references: Sequence[Tensor], frame: Frame) -> np.ndarray:
    """Where within ±r2 of each handle the features are nearest to its reference, to a fraction of a pixel."""
    windows, shapes = [], []
    for handle in np.round(handles):
        window = handle + square(frame.tracking)
        window = window[frame.contains(window)]
        columns = int(window[-1, 0] - window[0, 0]) + 1
        windows.append(window)
        shapes.append((len(window) // columns, columns))
    distances = distances_to_references(read, windows, references, order=NORM)
    return np.stack([_lowest(*found) for found in zip(windows, distances, shapes, strict=True)])


def mask_loss(features: Tensor, base: Tensor, mask: Tensor) -> Tensor | None:
    """Mean of (1 - M)·|F - F0| over the cells that are to stay, however many these are.

    The mask is averaged over each cell of the map. So a dab holds its place as firmly as half a picture does, and a
    value of 0.5 half as firmly as a 0. None if everything may move.
    """
    stay = 1 - F.adaptive_avg_pool2d(mask[None, None], (features.shape[2], features.shape[3]))  # (1, 1, h, w)
    firmest = stay.max()
    if firmest == 0:
        return None
    # Cells count as far as they stay, compared with the firmest: a soft rim hardly thins out what it surrounds.
    cells = stay.sum() / firmest
    return ((features - base).abs() * stay).sum() / (cells * features.shape[1])


def tolerance(_points: int, _frame: Frame) -> float:
    """Pixels to go within which a handle has arrived."""
    return 1.0


def _lowest(window: np.ndarray, distances: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The lowest point of a window's distances, by a parabola along each axis through the least and its neighbours."""
    grid = distances.reshape(shape).astype(np.float64) ** 2  # quadratic near the minimum
    row, column = divmod(int(distances.argmin()), shape[1])
    best = window[row * shape[1] + column]
    return np.asarray(best + np.array([_valley(grid[row], column), _valley(grid[:, column], row)]))


def _valley(heights: np.ndarray, lowest: int) -> float:
    """Offset, within half a step, of the minimum of the parabola through ``heights`` around ``lowest``."""
    if not 0 < lowest < len(heights) - 1:
        return 0.0
    before, here, after = heights[lowest - 1 : lowest + 2]
    curvature = before - 2 * here + after
    return float((before - after) / (2 * curvature)) if curvature > 0 else 0.0
