"""What the three readings of the formulas share: reading features, and comparing them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

Reader = Callable[[np.ndarray], Tensor]
"""Picture positions (P, 2) → features (P, C) there, as if the map were upsampled to the picture, differentiable."""

LARGEST_READ = 1 << 15
"""Positions read at once when tracking; bounds memory when many points have wide windows."""


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
    """Σ over discs of the mean over each disc of ``differences`` (P,), whose first ``counts[0]`` are disc 0's, etc."""
    share = np.repeat(1 / np.asarray(counts, dtype=np.float64), counts)
    return (differences * torch.from_numpy(share).to(differences)).sum()


def distances_to_references(
    read: Reader, windows: Sequence[np.ndarray], references: Sequence[Tensor], order: int
) -> list[np.ndarray]:
    """‖F(q) - f_i‖ for every q of each point's window.

    :param windows: per point, positions (n_i, 2). :param references: per point, ``f_i`` (C,).
    :param order: 1 or 2, the norm over channels. :returns: per point, distances (n_i,).
    :raises DivergedError: if a distance is not finite.
    """
    distances: list[np.ndarray] = []
    start = 0
    while start < len(windows):
        stop, total = start + 1, len(windows[start])
        while stop < len(windows) and total + len(windows[stop]) <= LARGEST_READ:
            total += len(windows[stop])
            stop += 1
        counts = [len(window) for window in windows[start:stop]]
        features = read(np.concatenate(windows[start:stop])).detach()  # (P, C)
        wanted = torch.stack(tuple(references[start:stop]))  # (n, C)
        repeats = torch.tensor(counts, device=wanted.device)
        difference = features - wanted.repeat_interleave(repeats, dim=0)
        found = torch.linalg.vector_norm(difference, ord=order, dim=1).cpu().numpy()
        if not np.isfinite(found).all():
            raise DivergedError(
                "the features of the new latent are not finite; the latent before it is kept. Lower learning_rate or "
                "mask_weight, or begin from another latent"
            )
        distances += np.split(found, np.cumsum(counts)[:-1])
        start = stop
    return distances
