"""The project's own reading of the formulas: sub-pixel handles, steps that do not overshoot, masks that weigh."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from draggan_widget.engines.draggan import formulas
from draggan_widget.engines.draggan.geometry import Frame
from draggan_widget.engines.draggan.paper import place, pulled_apart
from draggan_widget.engines.draggan.sampling import Kept, Reader, checked, on_tensors

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["kept", "mask_loss", "motion_loss", "place", "tolerance", "track"]

NORM = 2
"""Of the distance between features when tracking."""


def motion_loss(read: Reader, handles: np.ndarray, targets: np.ndarray, frame: Frame) -> Tensor | None:
    """Return Σ_i mean over the disc of |F(q + d_i) - sg(F(q))|, where d_i is no longer than what remains to be gone."""
    return pulled_apart(read, handles, formulas.no_longer_than_1(torch.from_numpy(targets - handles)), frame)


def track(read: Reader, handles: np.ndarray, references: Sequence[Tensor], frame: Frame) -> np.ndarray:
    """Return ``follow`` (N, 2), from handles (N, 2). :raises DivergedError: if a distance is not finite."""
    return checked(follow(on_tensors(read), torch.from_numpy(handles), torch.stack(list(references)), frame))


def follow(read: formulas.Read, handles: Tensor, references: Tensor, frame: Frame) -> Tensor:
    """Return where within ±r2 of each handle (N, 2) the features are nearest to its reference, to a fraction of a
    pixel.

    The nearest whole pixel first, then the nearest place around it. NaN where features are not finite.
    """
    pixels, away = formulas.nearest(read, handles.round(), frame.tracking, references, frame, order=NORM)
    found, less = formulas.finest(read, pixels, references, frame, order=NORM)
    return formulas.finite(found, away, less)


def mask_loss(features: Tensor, base: Tensor, mask: Tensor) -> Tensor | None:
    """Return the mean of (1 - M)·|F - F0| over the cells that are to stay, however many these are; None if everything
    may move.

    So a dab holds its place as firmly as half a picture does, and a value of 0.5 half as firmly as a 0.
    """
    cells = kept(mask, (features.shape[2], features.shape[3]))
    change = (features - base).abs().mean(dim=1).flatten()[torch.from_numpy(cells.numbers)]
    return (change * torch.from_numpy(cells.weights).to(change)).sum() if len(cells.numbers) else None


@functools.lru_cache(maxsize=4)
def kept(mask: Tensor, size: tuple[int, int]) -> Kept:
    """Return the cells that are to stay; the mask is averaged over each cell of the map."""
    stay = 1 - F.adaptive_avg_pool2d(mask[None, None].double(), size)[0, 0].cpu().numpy()  # (h, w)
    (height, width), (rows, columns) = mask.shape, np.nonzero(stay > 0)
    middles = [(columns + 0.5) * (width / size[1]) - 0.5, (rows + 0.5) * (height / size[0]) - 0.5]
    # Cells count as far as they stay, compared with the firmest: a soft rim hardly thins out what it surrounds.
    weights = stay[rows, columns] * (stay.max() / max(stay.sum(), 1e-12))
    return Kept(rows * size[1] + columns, np.stack(middles, axis=1), weights)


def tolerance(_points: int, _frame: Frame) -> float:
    """Return the pixels to go within which a handle has arrived."""
    return 1.0
