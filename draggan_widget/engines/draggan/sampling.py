"""What the three readings of the formulas share: reading features, and comparing them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.draggan.geometry import Frame, Grid, thinning

Reader = Callable[[np.ndarray], Tensor]
"""Picture positions (P, 2) → features (P, C) there, as if the map were upsampled to the picture, differentiable."""

LARGEST_READ = 1 << 15
"""Positions read at once when tracking; bounds memory when many points have wide windows."""
MOST_TRACKED = 1 << 18
"""Places that tracking looks at for all points; for more, every few pixels first. 1,000 points of a search radius of 12
at 512 px look at 625,000, one of 128 at 66,000."""
MOST_PULLED = 1 << 16
"""Pixels of all discs that supervision reads; of more, every few. All of them have a graph, so they bound memory."""


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


def unthinned(points: int, frame: Frame) -> bool:
    """Whether so many points can all be tracked and pulled pixel by pixel."""
    tracked, pulled = (points * (2 * radius + 1) ** 2 for radius in (frame.tracking, frame.supervision))
    return tracked <= MOST_TRACKED and pulled <= MOST_PULLED


def nearest_places(
    read: Reader, middles: np.ndarray, reach: int, references: Sequence[Tensor], frame: Frame, order: int
) -> np.ndarray:
    """Where the features are nearest to each reference: the places (N, 2), whole steps from the middles (N, 2).

    Looked at are the places inside the picture at most ``reach`` pixels each way; of equally near ones the first
    counts, row by row. Where these are more than ``MOST_TRACKED`` for all points, every few pixels are looked at, and
    then all around the nearest of them: features lie farther apart than pixels, so that seldom misses the best.

    :param references: per point, ``f_i`` (C,). :param order: 1 or 2, the norm over channels.
    """
    spacing = thinning(len(middles) * (2 * reach + 1) ** 2, MOST_TRACKED)
    grids = [Grid.around(middle, reach // spacing, spacing, frame) for middle in middles]
    distances = distances_to_references(read, [grid.positions() for grid in grids], references, order)
    places = [grid.nearest(found) for grid, found in zip(grids, distances, strict=True)]
    if spacing > 1:
        around = (Grid.around(place, spacing - 1, 1, frame) for place in places)
        grids = [grid.within(middle, reach) for grid, middle in zip(around, middles, strict=True)]
        distances = distances_to_references(read, [grid.positions() for grid in grids], references, order)
        places = [grid.nearest(found) for grid, found in zip(grids, distances, strict=True)]
    return np.stack(places)


def distances_to_references(
    read: Reader, windows: Sequence[np.ndarray], references: Sequence[Tensor], order: int
) -> list[np.ndarray]:
    """‖F(q) - f_i‖ for every q of each point's window.

    :param windows: per point, positions (n_i, 2). :param references: per point, ``f_i`` (C,).
    :param order: 1 or 2, the norm over channels. :returns: per point, distances (n_i,).
    :raises DivergedError: if a distance is not finite.
    """
    # A window that is larger than what is read at once is cut.
    parts = [
        (number, part)
        for number, window in enumerate(windows)
        for part in np.array_split(window, -(-len(window) // LARGEST_READ))
    ]
    distances: list[list[np.ndarray]] = [[] for _ in windows]
    start = 0
    while start < len(parts):
        stop, total = start + 1, len(parts[start][1])
        while stop < len(parts) and total + len(parts[stop][1]) <= LARGEST_READ:
            total += len(parts[stop][1])
            stop += 1
        numbers, read_now = zip(*parts[start:stop], strict=True)
        counts = [len(part) for part in read_now]
        features = read(np.concatenate(read_now)).detach()  # (P, C)
        wanted = torch.stack([references[number] for number in numbers])  # (n, C)
        repeats = torch.tensor(counts, device=wanted.device)
        difference = features - wanted.repeat_interleave(repeats, dim=0)
        found = torch.linalg.vector_norm(difference, ord=order, dim=1).cpu().numpy()
        if not np.isfinite(found).all():
            raise DivergedError(
                "the features of the new latent are not finite; the latent before it is kept. Lower learning_rate or "
                "mask_weight, or begin from another latent"
            )
        for number, part in zip(numbers, np.split(found, np.cumsum(counts)[:-1]), strict=True):
            distances[number].append(part)
        start = stop
    return [np.concatenate(each) for each in distances]
