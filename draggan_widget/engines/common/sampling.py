"""What the three readings of the formulas share: reading features, and comparing them."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.common import formulas
from draggan_widget.engines.common.formulas import MOST_TRACKED
from draggan_widget.engines.common.geometry import Frame

if TYPE_CHECKING:
    from draggan_widget.models import Generator

Reader = Callable[[np.ndarray], Tensor]
"""Picture positions (P, 2) → features (P, C) there, as if the map were upsampled to the picture, differentiable."""

MOST_PULLED = 1 << 16
"""Pixels of all discs that supervision reads; of more, every few. All of them have a graph, so they bound memory."""

_channels: weakref.WeakKeyDictionary[Generator, dict[tuple[int, ...], int]] = weakref.WeakKeyDictionary()
"""Of each model, how many features its blocks have together: asked once, however many settings an edit had."""


def channel_count(model: Generator, blocks: tuple[int, ...]) -> int:
    """Return how many features are read at a place of some blocks together."""
    known = _channels.setdefault(model, {})
    if blocks not in known:
        nowhere = next(model.parameters()).new_zeros(1, model.num_ws, model.w_dim)
        with torch.no_grad():
            known[blocks] = model.sample_features(nowhere, blocks, torch.zeros(1, 2, dtype=torch.float64)).shape[1]
    return known[blocks]


class DivergedError(FloatingPointError):
    """The optimisation produced NaN or infinity. The state it was asked to step from is unharmed."""


@dataclasses.dataclass(frozen=True)
class Kept:
    """Cells of a map that are to stay as they were."""

    numbers: np.ndarray
    """(n,), counted row by row."""
    positions: np.ndarray
    """(n, 2), their middles in picture pixels (x, y)."""
    weights: np.ndarray
    """(n,), of the mean change of each over its channels."""


def mean_per_disc(differences: Tensor, counts: Sequence[int]) -> Tensor:
    """Return Σ over discs of the mean over each disc of ``differences`` (P,), whose first ``counts[0]`` are disc 0's,
    etc.
    """
    share = np.repeat(1 / np.asarray(counts, dtype=np.float64), counts)
    return (differences * torch.from_numpy(share).to(differences)).sum()


def unthinned(points: int, frame: Frame) -> bool:
    """Return whether so many points can all be tracked and pulled pixel by pixel."""
    tracked, pulled = (points * (2 * radius + 1) ** 2 for radius in (frame.tracking, frame.supervision))
    return tracked <= MOST_TRACKED and pulled <= MOST_PULLED


def nearest_places(
    read: Reader, middles: np.ndarray, reach: int, references: Sequence[Tensor], frame: Frame, order: int
) -> np.ndarray:
    """Return ``formulas.nearest`` (N, 2), from middles (N, 2). :raises DivergedError: if a distance is not finite."""
    wanted = torch.stack(list(references))
    return checked(
        formulas.finite(*formulas.nearest(on_tensors(read), torch.from_numpy(middles), reach, wanted, frame, order))
    )


def on_tensors(read: Reader) -> formulas.Read:
    """Return the reader as formulas want it, without a graph."""
    return lambda xy: read(xy.reshape(-1, 2).numpy()).detach().view(*xy.shape[:-1], -1)


def checked(handles: Tensor) -> np.ndarray:
    """Return handles (N, 2) that were found. :raises DivergedError: if one is NaN."""
    found = handles.numpy()
    if not np.isfinite(found).all():
        raise DivergedError(
            "the features of the new latent are not finite; the latent before it is kept. Lower learning_rate or "
            "mask_weight, or begin from another latent"
        )
    return found
