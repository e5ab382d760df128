"""Which cells of every layer's map are needed for some cells of a block's map, and how they are summed up.

A 3×3 convolution reads one more cell on each side; a doubling of the size reads half as many cells and two more. So a
few cells of a fine map need a few cells of every coarser one, and the rest of these maps need not be computed at all.
Cells are numbered row by row; a set of them is a sorted array of numbers. Nothing here knows any weights.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

WORTH_IT = 0.5
"""From this share of a map on, all of it is taken: what repeats every time is planned once."""


@dataclasses.dataclass(frozen=True)
class Sums:
    """Rows that are weighted sums of rows of a table: a sparse matrix, and its transpose for gradients.

    Entries ``index[offsets[i]:offsets[i + 1]]`` are the rows of the table that row i sums, and ``weights`` their
    factors (None: all 1).
    """

    index: Tensor
    offsets: Tensor
    weights: Tensor | None

    @classmethod
    def of(
        cls, rows: np.ndarray, index: np.ndarray, weights: np.ndarray | None, count: int, dtype: torch.dtype
    ) -> Sums:
        """Entry k adds row ``index[k]`` of the table, times ``weights[k]``, to row ``rows[k]`` of ``count``."""
        if len(rows) > 1 and (rows[1:] < rows[:-1]).any():
            order = np.argsort(rows, kind="stable")
            rows, index, weights = rows[order], index[order], None if weights is None else weights[order]
        offsets = np.searchsorted(rows, np.arange(count))
        factors = None if weights is None else torch.from_numpy(weights).to(dtype)
        return cls(torch.from_numpy(index), torch.from_numpy(offsets), factors)

    def __call__(self, table: Tensor) -> Tensor:
        """Map ``table`` (n, C) → (count, C)."""
        return F.embedding_bag(self.index, table, self.offsets, mode="sum", per_sample_weights=self.weights)


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A 3×3 convolution with a border of zeros, from the cells ``source`` to others."""

    source: np.ndarray
    gather: Tensor
    """(cells · 9,) rows of the source that a cell's taps read, row by row; its length stands for a row of zeros."""
    scatter: Sums
    """From the gradients (9 · cells, C) of taps, tap by tap, to those of the source."""

    @classmethod
    def of(cls, cells: np.ndarray, size: tuple[int, int], dtype: torch.dtype) -> Convolution:
        """To ``cells`` of a map of ``size`` (h, w)."""
        height, width = size
        y, x = np.divmod(cells, width)
        ys = y[:, None, None] + np.array([-1, 0, 1])[:, None]  # (n, 3, 1)
        xs = x[:, None, None] + np.array([-1, 0, 1])  # (n, 1, 3)
        inside = ((ys >= 0) & (ys < height) & (xs >= 0) & (xs < width)).reshape(len(cells), 9)
        read = np.where(inside, (ys * width + xs).reshape(len(cells), 9), height * width)
        source, place = _gathered(read, height * width, filled=True)
        cell, tap = np.nonzero(inside)
        rows = place[read[cell, tap]]
        scatter = Sums.of(rows, tap * len(cells) + cell, None, len(source), dtype)
        return cls(source, torch.from_numpy(place[read].ravel()), scatter)


@dataclasses.dataclass(frozen=True)
class Doubling:
    """A 3×3 convolution transposed, of stride 2, and the low-pass filter after it: from ``source`` cells to finer ones.

    Between the two is a map of 2h + 1 by 2w + 1 cells, of which ``wide`` many are needed.
    """

    source: np.ndarray
    spread: Sums
    """From what the source sends (9 · n, C), tap by tap, to the wide map."""
    smooth: Sums
    """From the wide map through the filter to the cells."""
    unsmooth: Sums
    """From gradients of the cells to those of the wide map, whose last row is one of zeros."""
    collect: Tensor
    """(9 · n,) cells of the wide map that a source's taps reach, tap by tap; ``wide`` for those nobody needs."""
    wide: int

    @classmethod
    def of(
        cls, cells: np.ndarray, size: tuple[int, int], kernel: np.ndarray, also: np.ndarray, dtype: torch.dtype
    ) -> Doubling:
        """To ``cells`` of a map of ``size`` (2h, 2w), with a filter ``kernel`` (T, T) that is convolved with.

        :param also: further cells of the coarse map that are to be in ``source``.
        """
        height, width = size[0] // 2, size[1] // 2
        taps = len(kernel)
        before = taps // 2 - 1 if taps % 2 == 0 else (taps + 1) // 2 - 1
        y, x = np.divmod(cells, size[1])
        offsets = np.arange(taps) - before
        vs = (y[:, None] + offsets)[:, :, None]  # (n, T, 1)
        us = (x[:, None] + offsets)[:, None, :]  # (n, 1, T)
        across = 2 * width + 1
        inside = (vs >= 0) & (vs <= 2 * height) & (us >= 0) & (us < across)
        cell, row, column = np.nonzero(inside)
        reached = (vs * across + us)[cell, row, column]
        middle, place = _gathered(reached, (2 * height + 1) * across)
        through = kernel[::-1, ::-1][row, column]
        smooth = Sums.of(cell, place[reached], through, len(cells), dtype)
        unsmooth = Sums.of(place[reached], cell, through, len(middle) + 1, dtype)

        v, u = np.divmod(middle, across)
        ks = np.arange(3)
        ys, xs = (v[:, None] - ks)[:, :, None], (u[:, None] - ks)[:, None, :]  # twice the source's position
        inside = (ys % 2 == 0) & (xs % 2 == 0) & (ys >= 0) & (ys < 2 * height) & (xs >= 0) & (xs < 2 * width)
        target, row, column = np.nonzero(inside)
        origin = (ys // 2 * width + xs // 2)[target, row, column]
        source, position = _gathered(np.concatenate([origin, also]), height * width, filled=True)
        tap = row * 3 + column
        spread = Sums.of(target, tap * len(source) + position[origin], None, len(middle), dtype)
        y, x = np.divmod(source, width)
        aims = (2 * y + ks[:, None, None]) * across + (2 * x + ks[:, None])  # (3, 3, n)
        return cls(source, spread, smooth, unsmooth, torch.from_numpy(place[aims].ravel()), len(middle))


@dataclasses.dataclass(frozen=True)
class Past:
    """The way past a residual block: a map at twice its size through the low-pass filter, and gradients back."""

    source: np.ndarray
    up: Sums
    down: Sums

    @classmethod
    def of(
        cls, cells: np.ndarray, size: tuple[int, int], kernel: np.ndarray, source: np.ndarray | None, dtype: torch.dtype
    ) -> Past:
        """To ``cells`` of a map of ``size`` (2h, 2w). ``source``: the cells that are there; None: those needed."""
        height, width = size[0] // 2, size[1] // 2
        taps = len(kernel)
        before = taps // 2 - 1 if taps % 2 == 0 else (taps - 3) // 2
        y, x = np.divmod(cells, size[1])
        ks = np.arange(taps)
        ys, xs = (y[:, None] + before - ks)[:, :, None], (x[:, None] + before - ks)[:, None, :]
        inside = (ys % 2 == 0) & (xs % 2 == 0) & (ys >= 0) & (ys < 2 * height) & (xs >= 0) & (xs < 2 * width)
        target, row, column = np.nonzero(inside)
        origin = (ys // 2 * width + xs // 2)[target, row, column]
        found, position = _gathered(origin if source is None else source, height * width)
        through = kernel[row, column]
        up = Sums.of(target, position[origin], through, len(cells), dtype)
        down = Sums.of(position[origin], target, through, len(found), dtype)
        return cls(found, up, down)


@dataclasses.dataclass(frozen=True)
class BlockPlan:
    """The cells that one block computes, and from which."""

    cells: np.ndarray
    """Of the block's features."""
    first: Doubling | None
    """None for the block that starts from a constant."""
    second: Convolution
    past: Past | None
    """Only in a residual block."""

    @property
    def source(self) -> np.ndarray:
        """Cells of the block before, or of the constant."""
        return self.second.source if self.first is None else self.first.source


@dataclasses.dataclass(frozen=True)
class Stage:
    """What planning must know of a block."""

    size: tuple[int, int]
    """(h, w) of its map."""
    kernel: np.ndarray
    """Its low-pass filter (T, T), with a sum of 4."""
    doubles: bool
    residual: bool


NONE = np.empty(0, dtype=np.int64)


class Planner:
    """Makes plans for the stages of one network, and remembers the latest of each."""

    def __init__(self, stages: Sequence[Stage], dtype: torch.dtype, remembered: int = 64) -> None:
        self._stages = stages
        self._dtype = dtype
        self._remembered = remembered
        self._plans: dict[tuple[int, bytes, bytes], BlockPlan] = {}

    def plan(self, wanted: Mapping[int, np.ndarray]) -> list[BlockPlan] | None:
        """Plans of the blocks from the first one up, by which the ``wanted`` cells of blocks are computed.

        None if they are so many that the whole maps may as well be.
        """
        wanted = {block: np.unique(cells) for block, cells in wanted.items()}
        last = max(wanted)
        if len(wanted[last]) >= WORTH_IT * np.prod(self._stages[last - 1].size):
            return None
        plans: list[BlockPlan] = []
        for block in range(last, 0, -1):
            cells = plans[-1].source if plans else wanted[last]
            plans.append(self._block(block, cells, wanted.get(block - 1, NONE)))
        return plans[::-1]

    def _block(self, block: int, cells: np.ndarray, also: np.ndarray) -> BlockPlan:
        key = (block, cells.tobytes(), also.tobytes())
        plan = self._plans.pop(key, None)
        if plan is None:
            plan = self._make(self._stages[block - 1], cells, also)
            if len(self._plans) >= self._remembered:
                del self._plans[next(iter(self._plans))]
        self._plans[key] = plan  # the last one now: those not asked for in a long time go first
        return plan

    def _make(self, stage: Stage, cells: np.ndarray, also: np.ndarray) -> BlockPlan:
        second = Convolution.of(cells, stage.size, self._dtype)
        if not stage.doubles:
            return BlockPlan(cells, None, second, None)
        if stage.residual:
            also = np.union1d(also, Past.of(cells, stage.size, stage.kernel, None, self._dtype).source)
        first = Doubling.of(second.source, stage.size, stage.kernel, also, self._dtype)
        past = Past.of(cells, stage.size, stage.kernel, first.source, self._dtype) if stage.residual else None
        return BlockPlan(cells, first, second, past)


def _gathered(numbers: np.ndarray, count: int, *, filled: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return the different ones of ``numbers`` below ``count``, sorted, and a table of where each number stands among
    them.

    If ``filled``, many of them become all there are. The table has ``count + 1`` entries; it says how many there are
    for a number that is not among them.
    """
    there = np.zeros(count + 1, dtype=bool)
    there[numbers] = True
    there[count] = False
    found = np.flatnonzero(there)
    if filled and len(found) >= WORTH_IT * count:
        found = np.arange(count)
    place = np.full(count + 1, len(found))
    place[found] = np.arange(len(found))
    return found, place


def corners(xy: np.ndarray, size: tuple[int, int], resolution: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the four cells (P, 4) of a map of ``size`` around picture positions ``xy`` (P, 2), and their weights
    (P, 4).

    The map is read as if it were upsampled to ``resolution`` with ``align_corners=False``; outside the picture, its
    border is read.
    """
    height, width = size
    x = ((xy[:, 0] + 0.5) * (width / resolution[1]) - 0.5).clip(0, width - 1)
    y = ((xy[:, 1] + 0.5) * (height / resolution[0]) - 0.5).clip(0, height - 1)
    left, top = np.floor(x), np.floor(y)
    a, b = x - left, y - top
    i, j = left.astype(np.int64), top.astype(np.int64)
    right, below = np.minimum(i + 1, width - 1), np.minimum(j + 1, height - 1)
    cells = np.stack([j * width + i, j * width + right, below * width + i, below * width + right], axis=1)
    weights = np.stack([(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b], axis=1)
    return cells, weights
