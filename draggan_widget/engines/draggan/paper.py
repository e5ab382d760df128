"""The formulas as the paper prints them (Pan et al. 2023, section 3.2, equations 1 and 2), with means for sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from draggan_widget.engines.common import formulas
from draggan_widget.engines.common.geometry import Frame, disc, thinning
from draggan_widget.engines.common.sampling import MOST_PULLED, Kept, Reader, nearest_places

if TYPE_CHECKING:
    from collections.abc import Sequence


def place(handles: np.ndarray, frame: Frame) -> np.ndarray:
    """Return handles (N, 2) as they are, but inside the picture."""
    return frame.clamp(handles)


def motion_loss(read: Reader, handles: np.ndarray, targets: np.ndarray, frame: Frame) -> Tensor | None:
    """Equation 1, first term: Σ_i mean over q ∈ Ω1(p_i, r1) of |F(q + d_i) - sg(F(q))|, d_i of unit length.

    A handle exactly on its target has no direction and adds nothing.
    """
    to_go = targets - handles
    distances = np.hypot(to_go[:, :1], to_go[:, 1:])
    steps = np.divide(to_go, distances, out=np.zeros_like(to_go), where=distances > 0)
    return pulled_apart(read, handles, torch.from_numpy(steps), frame)


def track(read: Reader, handles: np.ndarray, references: Sequence[Tensor], frame: Frame) -> np.ndarray:
    """Equation 2: the nearest features in L1 among whole-pixel steps with |x| and |y| < r2 from each handle."""
    return nearest_places(read, handles, max(1, frame.tracking - 1), references, frame, order=1)


def mask_loss(features: Tensor, base: Tensor, mask: Tensor) -> Tensor | None:
    """Equation 1, second term: mean of |(F - F0)·(1 - M)| over the map's cells, the mask averaged over each cell.

    None if everything may move.
    """
    if mask.min() == 1:
        return None
    stay = 1 - F.adaptive_avg_pool2d(mask[None, None], (features.shape[2], features.shape[3]))  # (1, 1, h, w)
    return ((features - base) * stay).abs().mean()


def kept(_mask: Tensor, _size: tuple[int, int]) -> Kept | None:
    """None: the mask term is taken of the whole map."""
    return None


def tolerance(points: int, _frame: Frame) -> float:
    """Return the pixels to go within which a handle has arrived (section 4.1)."""
    return 1.0 if points <= 5 else 2.0


def pulled_apart(read: Reader, handles: np.ndarray, steps: Tensor, frame: Frame) -> Tensor:
    """Return Σ_i mean over the disc ``≤ r1`` around handle i of |F(q + step_i) - sg(F(q))|.

    Pixels of a disc that are outside the picture have no content to pull and do not count; ``q + step_i`` outside
    reads the border. Of more pixels than ``MOST_PULLED`` in all discs every second is read, across and down, or every
    third, and so on.
    """
    spacing = thinning(len(handles) * len(disc(frame.supervision)), MOST_PULLED)
    here, counted = formulas.discs(torch.from_numpy(handles), frame, spacing)  # (N, P, 2), (N, P)
    shares = formulas.shares(counted, here.dtype)[counted]  # (Q,)
    both = torch.stack([here, here + steps[:, None]])[:, counted]  # (2, Q, 2)
    now, ahead = read(both.view(-1, 2).numpy()).view(2, len(shares), -1)  # (Q, C) each
    return formulas.pulled(now, ahead, shares.to(ahead))
