"""The formulas as the authors' program (Pan et al. 2023) behaves, oddities included: the yardstick for all else.

Handles live on whole pixels and features are read in two stages: the map bilinearly upsampled to whole pixels, then
bilinearly between those pixels, which blurs a little more than one reading between the map's own cells.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.common.geometry import Frame, lengths, square, thinning
from draggan_widget.engines.common.sampling import MOST_PULLED, Kept, Reader, mean_per_disc, nearest_places
from draggan_widget.engines.draggan.upsampled import gradient_of_sum

if TYPE_CHECKING:
    from collections.abc import Sequence

CORNERS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.float64)


def place(handles: np.ndarray, frame: Frame) -> np.ndarray:
    """Return handles (N, 2) on whole pixels; halves go to the even one, as Python rounds."""
    return frame.clamp(np.round(handles))


def motion_loss(read: Reader, handles: np.ndarray, targets: np.ndarray, frame: Frame) -> Tensor | None:
    """Return Σ_i mean over q of |F(q + d_i) - sg(F(q))|, d_i of unit length; None if no handle has more than 1 px to
    go.

    ``q + d_i`` may stand outside the picture, where pixels read zero. Of very many pixels some are left out, as in
    ``paper.pulled_apart``.
    """
    discs, ahead = [], []
    spacing = thinning(len(handles) * len(square(frame.supervision)), MOST_PULLED)
    for handle, to_go in zip(handles, targets - handles, strict=True):
        distance = np.hypot(*to_go)
        if distance > 1:
            discs.append(_disc(handle, frame, spacing))
            ahead.append(discs[-1] + to_go / distance)
    if not discs:
        return None
    here = np.concatenate(discs)  # (P, 2)
    there, weights = _between_pixels(np.concatenate(ahead), frame)  # (P, 4, 2), (P, 4)
    features = read(np.concatenate([here, there.reshape(-1, 2)]))
    now = features[: len(here)].detach()  # (P, C)
    corners = features[len(here) :].reshape(len(here), 4, -1)  # (P, 4, C)
    pulled = (corners * torch.from_numpy(weights).to(corners)[:, :, None]).sum(dim=1)  # (P, C)
    return mean_per_disc((pulled - now).abs().mean(dim=1), [len(pixels) for pixels in discs])


def track(read: Reader, handles: np.ndarray, references: Sequence[Tensor], frame: Frame) -> np.ndarray:
    """Return the pixels (N, 2) within ±r2 of each handle whose features are nearest to its reference in L2.

    Of equally near ones the first, counting row by row.
    """
    return nearest_places(read, handles, frame.tracking, references, frame, order=2)


def mask_loss(features: Tensor, base: Tensor, mask: Tensor) -> Tensor | None:
    """Return the mean of |(F - F0)·(1 - M)| over all channels and pixels of the upsampled map.

    None, no term, unless the mask (H, W) holds both a 0 and a 1. The term is linear in F - F0 wherever signs stay, so
    it equals the product of F - F0 with its own gradient, for which nothing needs to be upsampled at once.
    """
    if not _holds_both(mask):
        return None
    return cast("Tensor", _Held.apply(features, base, mask))  # type: ignore[no-untyped-call]


class _Held(torch.autograd.Function):
    """(F, F0, M) → the mask term."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, base: Tensor, mask: Tensor) -> Tensor:
        change = features - base  # (1, C, h, w)
        gradient, ctx.numbers = gradient_of_sum(change, _stay(mask)), change.shape[1] * mask.numel()
        ctx.save_for_backward(gradient)
        mean: Tensor = change.mul_(gradient).sum() / ctx.numbers
        return mean

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, factor: Tensor) -> tuple[Tensor, None, None]:
        gradient: Tensor
        (gradient,) = ctx.saved_tensors
        gradient = gradient * (factor / ctx.numbers)
        return gradient, None, None


@functools.lru_cache(maxsize=4)
def _holds_both(mask: Tensor) -> bool:
    return bool(mask.min() == 0 and mask.max() == 1)


@functools.lru_cache(maxsize=4)
def _stay(mask: Tensor) -> Tensor:
    return 1 - mask


def kept(_mask: Tensor, _size: tuple[int, int]) -> Kept | None:
    """None: the mask term is taken of the whole map."""
    return None


def tolerance(_points: int, frame: Frame) -> float:
    """Return the pixels to go within which a handle has arrived."""
    return max(2.0, 2 / 512 * frame.height)


def _disc(handle: np.ndarray, frame: Frame, spacing: int) -> np.ndarray:
    """Return the pixels (n, 2) nearer than r1 to the handle when pixel j of n stands at j·n/(n - 1), up to 1 px too far
    on.
    """
    pixels = np.round(handle) + square(frame.supervision + 1, spacing)
    pixels = pixels[frame.contains(pixels)]
    size = np.array([frame.width, frame.height])
    return np.asarray(pixels[lengths(pixels * size / (size - 1) - handle) < frame.supervision])


def _between_pixels(xy: np.ndarray, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Return the four pixels (P, 4, 2) around positions (P, 2), and their bilinear weights (P, 4), zero outside the
    picture.

    Pixels outside are moved to the border, to be readable.
    """
    low = np.floor(xy)
    pixels = low[:, None] + CORNERS  # (P, 4, 2)
    weights = (1 - np.abs(pixels - xy[:, None])).prod(axis=2)  # (P, 4)
    inside = frame.contains(pixels.reshape(-1, 2)).reshape(weights.shape)
    return frame.clamp(pixels), weights * inside
