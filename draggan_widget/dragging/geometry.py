"""Pixels around handles. Positions are picture pixels (x, y), x right, y down, pixel centres at integers."""

from __future__ import annotations

import dataclasses

import numpy as np

XY = tuple[float, float]


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
        nowhere to track to.
        """
        height, width = resolution
        scale = height / 512
        return cls(height, width, max(1, round(supervision_radius * scale)), max(1, round(tracking_radius * scale)))

    def clamp(self, xy: np.ndarray) -> np.ndarray:
        """Positions (…, 2) moved to the nearest pixel centre or point between pixel centres of the picture."""
        return np.asarray(np.clip(xy, 0, [self.width - 1, self.height - 1]))

    def contains(self, xy: np.ndarray) -> np.ndarray:
        """Which of the positions (P, 2) lie between the picture's outermost pixel centres: (P,) bools."""
        return np.asarray(((xy >= 0) & (xy <= [self.width - 1, self.height - 1])).all(axis=1))


def square(radius: int) -> np.ndarray:
    """Whole-pixel offsets (n, 2) with |x| and |y| up to ``radius``, row by row."""
    side = np.arange(-radius, radius + 1, dtype=np.float64)
    y, x = np.meshgrid(side, side, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1)


def disc(radius: int) -> np.ndarray:
    """Whole-pixel offsets (n, 2) no longer than ``radius``, row by row; (0, 0) is always one of them."""
    offsets = square(radius)
    return np.asarray(offsets[(offsets**2).sum(axis=1) <= radius**2])


def surroundings(handles: np.ndarray, reach: float, spacing: float, frame: Frame) -> np.ndarray:
    """Positions (n, 2) in the picture, in squares around all ``handles`` (N, 2) that reach ``reach`` pixels each way.

    They are no further apart than ``spacing``, and include the squares' edges.
    """
    count = max(2, int(np.ceil(2 * reach / spacing)) + 1)
    side = np.linspace(-reach, reach, count)
    y, x = np.meshgrid(side, side, indexing="ij")
    return frame.clamp((handles[:, None] + np.stack([x.ravel(), y.ravel()], axis=1)).reshape(-1, 2))


def lengths(vectors: np.ndarray) -> np.ndarray:
    """Euclidean lengths (N,) of vectors (N, 2)."""
    return np.asarray(np.hypot(vectors[:, 0], vectors[:, 1]))
