"""The project's own reading of the formulas: sub-pixel handles, steps that do not overshoot, masks that weigh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.common import formulas
from draggan_widget.engines.common.geometry import Frame
from draggan_widget.engines.common.sampling import Reader, checked, on_tensors
from draggan_widget.engines.common.staying import kept, mask_loss
from draggan_widget.engines.draggan.paper import place, pulled_apart

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


def tolerance(_points: int, _frame: Frame) -> float:
    """Return the pixels to go within which a handle has arrived."""
    return 1.0
