"""How handles are followed: the spot around each, as it was grabbed and as it was seen last, is looked for.

Both count. What was grabbed keeps the handle from drifting; what was seen last is more like what is to be found when
the content has changed on a long way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.draggan.formulas import LARGEST_READ
from draggan_widget.engines.draggan.geometry import Frame, disc
from draggan_widget.engines.draggan.sampling import DivergedError, Reader

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
        wide = _Grid.around(np.round(middle), frame.tracking, 1, frame)
        pixel = wide.nearest(_distances(read, wide, grabbed, seen, offsets, frame))
        fine = _Grid.around(pixel, round(1 / FINE), FINE, frame)
        found.append(fine.lowest(_distances(read, fine, grabbed, seen, offsets, frame)))
    return np.stack(found)


def _distances(
    read: Reader, grid: _Grid, grabbed: Tensor, seen: Tensor, offsets: np.ndarray, frame: Frame
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


@dataclasses.dataclass(frozen=True)
class _Grid:
    """Positions in rows and columns, inside the picture."""

    x: np.ndarray
    y: np.ndarray

    @classmethod
    def around(cls, middle: np.ndarray, reach: int, spacing: float, frame: Frame) -> _Grid:
        """Return up to ``reach`` rows and columns each way from ``middle`` (2,), ``spacing`` pixels apart."""
        offsets = np.arange(-reach, reach + 1) * spacing
        x, y = middle[0] + offsets, middle[1] + offsets
        return cls(x[(x >= 0) & (x <= frame.width - 1)], y[(y >= 0) & (y <= frame.height - 1)])

    def positions(self) -> np.ndarray:
        """Return all places (rows · columns, 2), row by row."""
        x, y = np.meshgrid(self.x, self.y)
        return np.stack([x.ravel(), y.ravel()], axis=1)

    def nearest(self, distances: np.ndarray) -> np.ndarray:
        """Return the position (2,) of the least of ``distances`` (rows · columns,), of equal ones the first."""
        row, column = divmod(int(distances.argmin()), len(self.x))
        return np.array([self.x[column], self.y[row]])

    def lowest(self, distances: np.ndarray) -> np.ndarray:
        """Return the same, moved by less than one spacing to the lowest point of a parabola along each axis."""
        heights = distances.reshape(len(self.y), len(self.x)).astype(np.float64) ** 2
        row, column = divmod(int(distances.argmin()), len(self.x))
        return np.array([_valley(self.x, heights[row], column), _valley(self.y, heights[:, column], row)])


def _valley(places: np.ndarray, heights: np.ndarray, lowest: int) -> float:
    """Return the minimum of the parabola through ``heights`` at ``lowest`` and its neighbours, evenly spaced."""
    if 0 < lowest < len(heights) - 1:
        before, here, after = heights[lowest - 1 : lowest + 2]
        curvature = before - 2 * here + after
        if curvature > 0:
            spacing = places[lowest + 1] - places[lowest]
            return float(places[lowest] + spacing * (before - after) / (2 * curvature))
    return float(places[lowest])
