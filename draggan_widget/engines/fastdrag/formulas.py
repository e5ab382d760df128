"""The formulas of FastDrag (Zhao et al., *FastDrag: Manipulate Anything in One Step*, NeurIPS 2024, section 3).

Places are (x, y) in cells of a noisy picture, whose middles are at integers. Content is stretched like a sheet that is
held at a circle: with q where the ray from a handle s through a place p leaves the circle,

    v(p) = Σ_i w_i · λ_i · (e_i - s_i),   λ_i = |p q_i| / |s_i q_i|,   w_i = (1 / |p s_i|) / Σ_k (1 / |p s_k|)

so a handle itself goes all the way to its target e, and what lies on the circle stays. What stood at p then stands at
p + v(p), in whole cells. Cells that nothing came to get their nearest neighbours to the left, right, above and below
that are not empty, weighted by 1 / distance.

The paper does not say what wins where two come to one cell; here it is what is pulled more strongly, the largest Σ w·λ.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

Circle = tuple[np.ndarray, float]
"""Its middle (2,) and its radius, in cells."""
EMPTY = -1
"""In the place of the number of a cell: nothing came."""


def circle_around(region: np.ndarray) -> Circle:
    """Return the circle around the cells of a region (h, w) that has some: about the middle of their bounding box."""
    rows, columns = np.nonzero(region)
    middle = np.array([(columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2])
    away = np.hypot(columns - middle[0], rows - middle[1])
    return middle, float(away.max()) + 0.5


def stretches(cells: np.ndarray, handle: np.ndarray, circle: Circle) -> np.ndarray:
    """Return λ (n,) of cells (n, 2): how much of a handle's way (2,) each goes along, 1 at it and 0 at the circle."""
    middle, radius = circle
    way = cells - handle
    away = np.hypot(*way.T)
    ahead = way / np.maximum(away, 1e-12)[:, None]
    along = ahead @ (handle - middle)
    inside = along**2 - ((handle - middle) @ (handle - middle) - radius**2)
    leaves = -along + np.sqrt(np.maximum(inside, 0))  # |s q|
    reached = np.where((inside >= 0) & (leaves > 0), leaves, 1.0)
    found = np.where((inside >= 0) & (leaves > 0), 1 - away / reached, 0.0)
    return np.asarray(np.where(away == 0, 1.0, np.clip(found, 0, 1)))


def shares(cells: np.ndarray, handles: np.ndarray) -> np.ndarray:
    """Return w (n, N) of cells (n, 2) and handles (N, 2): rows sum to 1. A cell at a handle is that one's alone."""
    away = np.hypot(*(cells[:, None] - handles).transpose(2, 0, 1))
    at = away == 0
    nearness = np.where(at.any(axis=1)[:, None], at, 1 / np.where(at, 1, away))
    return np.asarray(nearness / nearness.sum(axis=1, keepdims=True))


def moves(
    cells: np.ndarray, handles: np.ndarray, targets: np.ndarray, circles: list[Circle]
) -> tuple[np.ndarray, np.ndarray]:
    """Return v (n, 2) of cells (n, 2), and how strongly each is pulled (n,), Σ w·λ.

    :param handles: (N, 2). :param targets: (N, 2). :param circles: one for each handle.
    """
    pulled = shares(cells, handles) * np.stack(
        [stretches(cells, handle, circle) for handle, circle in zip(handles, circles, strict=True)], axis=1
    )
    return pulled @ (targets - handles), pulled.sum(axis=1)


def relocated(region: np.ndarray, cells: np.ndarray, ways: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Return which cell's content stands in each cell (h, w), by its number row by row; ``EMPTY`` where nothing came.

    :param region: (h, w), true of the cells that are warped; nothing leaves it. :param cells: (n, 2), all of them.
    :param ways: (n, 2). :param strength: (n,).
    """
    height, width = region.shape
    numbers = np.arange(height * width).reshape(height, width)
    found = np.where(region, EMPTY, numbers)
    onto = np.floor(cells + ways + 0.5).astype(int)
    inside = ((onto >= 0) & (onto < [width, height])).all(axis=1)
    for number in np.argsort(strength, kind="stable"):
        column, row = onto[number]
        if inside[number] and region[row, column]:
            found[row, column] = numbers[cells[number][1], cells[number][0]]
    return np.asarray(found)


def filled(values: Tensor, found: np.ndarray) -> Tensor:
    """Return what stands in each cell (N, C, h, w), of ``values`` of that shape, empty cells by their neighbours.

    :param found: see ``relocated``. A cell whose row and column are empty keeps what it had.
    """
    height, width = found.shape
    numbers, weights = neighbours(found)
    flat = values.flatten(2)
    taken = flat[:, :, torch.from_numpy(numbers).to(values.device)]  # (N, C, h·w, 4)
    made = (taken * torch.from_numpy(weights).to(values)).sum(dim=3)
    return made.view(*values.shape[:2], height, width)


def neighbours(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the cells (h·w, 4) that stand in each cell, and their weights, which sum to 1."""
    height, width = found.shape
    numbers = np.zeros((height, width, 4), dtype=np.int64)
    weights = np.zeros((height, width, 4))
    there = found != EMPTY
    numbers[..., 0] = np.where(there, found, 0)
    weights[..., 0] = there
    own = np.arange(height * width).reshape(height, width)
    for row, column in np.argwhere(~there):
        nearest = []
        for line in (
            found[row, :column][::-1],
            found[row, column + 1 :],
            found[:row, column][::-1],
            found[row + 1 :, column],
        ):
            full = np.flatnonzero(line != EMPTY)
            if len(full):
                nearest.append((line[full[0]], 1 / (full[0] + 1)))
        total = sum(weight for _, weight in nearest)
        for place, (number, weight) in enumerate(nearest or [(own[row, column], 1.0)]):
            numbers[row, column, place] = number
            weights[row, column, place] = weight / (total or 1.0)
    return numbers.reshape(-1, 4), weights.reshape(-1, 4)
