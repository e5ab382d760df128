"""How handles are followed: the spot around each, as it was grabbed and as it was seen last, is looked for.

Both count. What was grabbed keeps the handle from drifting; what was seen last is more like what is to be found when
the content has changed on a long way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.draggan.geometry import Frame, Grid, disc
from draggan_widget.engines.draggan.sampling import LARGEST_READ, DivergedError, Reader

LATEST = 0.5
"""How much the spot as it was seen last counts; what remains is for the spot as it was grabbed."""
FINE = 0.25
"""Pixels between neighbours of the last search, whose lowest point is then told by a parabola."""


def spot(radius: int) -> np.ndarray:
    """Return whole-pixel offsets (K, 2) from a handle at which its spot is read; the first is the handle itself.

    :param radius: pixels that the spot reaches each way; 0 for the handle alone.
    """
    spacing = max(1, radius // 2)
    offsets = disc(radius, spacing)
    return np.asarray(offsets[np.argsort(np.square(offsets).sum(axis=1), kind="stable")])


def read_spots(read: Reader, places: np.ndarray, offsets: np.ndarray, frame: Frame) -> Tensor:
    """Return the features (N, K, C) of the spots around ``places`` (N, 2)."""
    around = frame.clamp(places[:, None] + offsets)
    found = read(around.reshape(-1, 2))
    return found.view(len(places), len(offsets), -1)


def find_spots(
    read: Reader,
    expected: np.ndarray,
    first: Sequence[Tensor],
    latest: Sequence[Tensor],
    offsets: np.ndarray,
    frame: Frame,
) -> np.ndarray:
    """Return where within ±r2 of each expected place (N, 2) the features are nearest to a spot, to part of a pixel.

    The nearest whole pixel first, then the nearest quarter of a pixel around it, then the lowest point of a parabola.

    :param first: per point, the features (K, C) of the spot as it was grabbed. :param latest: as it was seen last.
    :raises DivergedError: if a distance is not finite.
    """
    found = []
    for middle, grabbed, seen in zip(expected, first, latest, strict=True):
        wide = Grid.around(np.round(middle), frame.tracking, 1, frame)
        pixel = wide.nearest(_distances(read, wide, grabbed, seen, offsets, frame))
        fine = Grid.around(pixel, round(1 / FINE), FINE, frame)
        found.append(fine.lowest(_distances(read, fine, grabbed, seen, offsets, frame)))
    return np.stack(found)


def _distances(
    read: Reader, grid: Grid, grabbed: Tensor, seen: Tensor, offsets: np.ndarray, frame: Frame
) -> np.ndarray:
    """Return how far (rows · columns,) the spots at the places of a grid are from both, root mean square."""
    places = frame.clamp(grid.positions()[:, None] + offsets).reshape(-1, 2)
    # Neighbouring spots share places; each is read once.
    single, which = np.unique(places, axis=0, return_inverse=True)
    parts = np.array_split(single, -(-len(single) // LARGEST_READ))
    features = torch.cat([read(part).detach() for part in parts])  # (Q, C)
    wanted = torch.stack([grabbed, seen])  # (2, K, C)
    weights = features.new_tensor([1 - LATEST, LATEST])
    # |F - f|², of every place to every part of both spots; differences from the middle lose no digits.
    middle = grabbed[:1]
    features, wanted = features - middle, wanted - middle
    squares = (
        features.square().sum(dim=1)[:, None, None]
        - 2 * torch.einsum("qc,skc->qsk", features, wanted)
        + wanted.square().sum(dim=2)
    ).clamp(min=0)
    weighed = (squares * weights[:, None]).sum(dim=1).double().cpu().numpy()  # (Q, K)
    numbers = np.asarray(which).reshape(-1, len(offsets))
    found = np.sqrt(weighed[numbers, np.arange(len(offsets))].mean(axis=1))
    if not np.isfinite(found).all():
        raise DivergedError("the features of the new latent are not finite; the latent before it is kept")
    return np.asarray(found)
