"""The term that keeps features outside a mask as they were, and the cells that it reads."""

from __future__ import annotations

import functools

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from draggan_widget.engines.common.sampling import Kept

MASKS = 8
"""Masks that are remembered as tensors, so that the states of one edit share them."""


class MaskTensors:
    """Masks (H, W) as tensors, the same tensor for the very same mask."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[np.ndarray, Tensor]] = {}

    def of(self, mask: np.ndarray, like: Tensor) -> Tensor:
        """Return a mask in the dtype and on the device of ``like``."""
        known = self._known.get(id(mask))
        if known is None or known[0] is not mask:
            known = mask, torch.tensor(mask, dtype=like.dtype, device=like.device)
            self._known[id(mask)] = known
            while len(self._known) > MASKS:
                del self._known[next(iter(self._known))]
        return known[1]


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
