"""Pixels around handles. Positions are picture pixels (x, y), x right, y down, pixel centres at integers."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Frame:
    """A picture's size, and the two radii of the algorithm in its pixels."""

    height: int
    width: int
    supervision: int
    """r1, the radius of the disc around a handle whose content is pulled."""
    tracking: int
    """r2, half the side of the square in which a handle is looked for."""

    @classmethod
    def of(cls, resolution: tuple[int, int], supervision_radius: float, tracking_radius: float) -> Frame:
        """Scales radii given for 512 px (H counts) and rounds them.

        Both are at least 1: rounding to 0 at 64 px and below would leave nothing to pull, whose mean is NaN, and
        nowhere to track to. Neither is longer than the picture, beyond which there is nothing.
        """
        height, width = resolution
        radii = (round(radius * height / 512) for radius in (supervision_radius, tracking_radius))
        return cls(height, width, *(max(1, min(radius, max(height, width))) for radius in radii))

    def clamp(self, xy: np.ndarray) -> np.ndarray:
        """Return positions (…, 2) moved to the nearest pixel centre or point between pixel centres of the picture."""
        return np.asarray(np.clip(xy, 0, [self.width - 1, self.height - 1]))

    def contains(self, xy: np.ndarray) -> np.ndarray:
        """Return which of the positions (P, 2) lie between the picture's outermost pixel centres: (P,) bools."""
        return np.asarray(((xy >= 0) & (xy <= [self.width - 1, self.height - 1])).all(axis=1))


def square(radius: int, spacing: int = 1) -> np.ndarray:
    """Return whole-pixel offsets (n, 2) with |x| and |y| up to ``radius``, row by row; (0, 0) is always one of them."""
    reach = radius // spacing
    side = np.arange(-reach, reach + 1, dtype=np.float64) * spacing
    y, x = np.meshgrid(side, side, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1)


def disc(radius: int, spacing: int = 1) -> np.ndarray:
    """Return whole-pixel offsets (n, 2) no longer than ``radius``, row by row; (0, 0) is always one of them."""
    offsets = square(radius, spacing)
    return np.asarray(offsets[(offsets**2).sum(axis=1) <= radius**2])


def thinning(places: int, most: int) -> int:
    """Return the pixels between neighbours, across and down, at which so many ``places`` are about ``most``; 1 for
    all.
    """
    return max(1, int(np.ceil((places / most) ** 0.5)))


def surroundings(handles: np.ndarray, reach: float, size: tuple[int, int], frame: Frame) -> np.ndarray:
    """Return positions (n, 2) around which everything lies that can be read of a map of ``size`` (h, w), bilinearly, in
    the squares around all ``handles`` (N, 2) that reach ``reach`` pixels each way.

    There is one for each cell at most, however many handles there are and however far they reach.
    """
    (height, width), scale = size, np.array([size[1] / frame.width, size[0] / frame.height])
    low, high = (
        np.floor(np.clip((frame.clamp(handles + by) + 0.5) * scale - 0.5, 0, [width - 1, height - 1])).astype(int)
        for by in (-reach, reach)
    )
    # Each square adds 1 from its first to its last cell, told by the differences at its four corners.
    changes = np.zeros((height + 1, width + 1), dtype=int)
    for columns, rows, change in (
        (low[:, 0], low[:, 1], 1),
        (high[:, 0] + 1, high[:, 1] + 1, 1),
        (low[:, 0], high[:, 1] + 1, -1),
        (high[:, 0] + 1, low[:, 1], -1),
    ):
        np.add.at(changes, (rows, columns), change)
    rows, columns = np.nonzero(changes.cumsum(axis=0).cumsum(axis=1)[:height, :width])
    # A little past the middle of a cell, so that it and the next ones are what is read there.
    return np.asarray(np.stack([columns + 0.75, rows + 0.75], axis=1) / scale - 0.5)


def lengths(vectors: np.ndarray) -> np.ndarray:
    """Return the Euclidean lengths (N,) of vectors (N, 2)."""
    return np.asarray(np.hypot(vectors[:, 0], vectors[:, 1]))
