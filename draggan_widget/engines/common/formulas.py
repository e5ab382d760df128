"""The formulas on tensors of fixed shapes, looking at no value: a processor takes them singly, a GPU many at once.

Positions are picture pixels (x, y) of a frame. What lies outside the picture is read at its border and does not count.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from draggan_widget.engines.common.geometry import Frame, disc, square, thinning

Read = Callable[[Tensor], Tensor]
"""Positions (N, P, 2) → features (N, P, C) there, as if the map were upsampled to the picture."""

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
LARGEST_READ = 1 << 15
"""Positions read at once when tracking; bounds memory when many points have wide windows."""
MOST_TRACKED = 1 << 18
"""Places that tracking looks at for all points; for more, every few pixels first. 1,000 points of a search radius of 12
at 512 px look at 625,000, one of 128 at 66,000."""
FINE = 4
"""Places to a pixel, each way, at which a handle is looked for when the pixel is known."""


def adam(
    parameter: Tensor, gradient: Tensor, first: Tensor, second: Tensor, count: int | Tensor, rate: float | Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the parameter and the moments after a step down the gradient (Kingma and Ba, ICLR 2015, algorithm 1).

    :param count: of steps, with this one. It and ``rate`` may be tensors without dimensions.
    """
    first = first.lerp(gradient, 1 - BETA1)
    second = (second * BETA2).addcmul(gradient, gradient, value=1 - BETA2)
    scale = second.sqrt() / (1 - BETA2**count) ** 0.5 + EPSILON
    moved: Tensor = parameter - rate / (1 - BETA1**count) * (first / scale)
    return moved, first, second


def no_longer_than_1(ways: Tensor) -> Tensor:
    """Return ``ways`` (N, 2), those that are longer shortened to 1."""
    shortened: Tensor = ways / torch.linalg.vector_norm(ways, dim=1, keepdim=True).clamp(min=1)
    return shortened


def discs(handles: Tensor, frame: Frame, spacing: int = 1) -> tuple[Tensor, Tensor]:
    """Return the pixels (N, P, 2) of the disc around each handle (N, 2), every few, and which are in the
    picture (N, P).
    """
    here = handles[:, None] + _offsets("disc", frame.supervision, spacing, handles.dtype, handles.device)
    return here, inside(here, frame)


def shares(counted: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the weight of each place in a mean over its row of (N, P); 0 where it is not ``counted``."""
    counts = counted.to(dtype)
    return counts / counts.sum(dim=1, keepdim=True)


def pulled(now: Tensor, ahead: Tensor, shares: Tensor) -> Tensor:
    """Return Σ over pixels q of their ``shares`` (…) times the mean over channels of |F(q + d) - sg(F(q))|.

    :param now: F(q), (…, C). :param ahead: F(q + d), the same.
    """
    return ((ahead - now.detach()).abs().mean(dim=-1) * shares).sum()


def held(now: Tensor, base: Tensor, weights: Tensor) -> Tensor:
    """Return Σ over cells of their weight (n,) times the mean over channels of |F - F0|, both (n, C)."""
    return ((now - base).abs().mean(dim=1) * weights).sum()


def nearest(
    read: Read, middles: Tensor, reach: int, references: Tensor, frame: Frame, order: int
) -> tuple[Tensor, Tensor]:
    """Return where the features are nearest to each reference: the places (N, 2), whole steps from the middles (N, 2).

    Looked at are the places inside the picture at most ``reach`` pixels each way; of equally near ones the first
    counts, row by row. Where these are more than ``MOST_TRACKED`` for all points, every few pixels are looked at, and
    then all around the nearest of them: features lie farther apart than pixels, so that seldom misses the best.

    :param references: ``f_i`` (N, C). :param order: 1 or 2, the norm over channels.
    :returns: and how far they are (N,), NaN where features are NaN.
    """
    spacing = thinning(len(middles) * (2 * reach + 1) ** 2, MOST_TRACKED)
    places = middles[:, None] + _offsets("square", reach, spacing, middles.dtype, middles.device)
    found, least, _ = _least(places, _away(read, places, references, order), inside(places, frame))
    if spacing > 1:
        places = found[:, None] + _offsets("square", spacing - 1, 1, middles.dtype, middles.device)
        near = ((places - middles[:, None]).abs() <= reach).all(dim=2)
        found, least, _ = _least(places, _away(read, places, references, order), inside(places, frame) & near)
    return found, least


def finest(read: Read, pixels: Tensor, references: Tensor, frame: Frame, order: int) -> tuple[Tensor, Tensor]:
    """Return the places (N, 2) within a pixel of ``pixels`` (N, 2) nearest to the references, to less
    than ``1 / FINE``.

    That is the nearest of so many places to a pixel, then the lowest point of a parabola along each axis: the map is
    bilinear between its cells, so the squared distance is a parabola inside one. And how far they are, as ``nearest``.
    """
    side = 2 * FINE + 1
    places = pixels[:, None] + _offsets("square", FINE, 1, pixels.dtype, pixels.device) / FINE
    away = _away(read, places, references, order)
    found, least, lowest = _least(places, away, there := inside(places, frame))
    square_away = away.square().masked_fill(~there, torch.inf).view(-1, side, side)
    row, column = lowest // side, lowest % side
    by_columns = square_away.gather(1, row[:, None, None].expand(-1, 1, side))[:, 0]
    by_rows = square_away.gather(2, column[:, None, None].expand(-1, side, 1))[:, :, 0]
    return found + torch.stack([_valley(by_columns, column), _valley(by_rows, row)], dim=1) / FINE, least


def finite(found: Tensor, *least: Tensor) -> Tensor:
    """Return what was ``found`` (N, 2), NaN where one of the distances (N,) is not finite."""
    good = torch.stack([torch.isfinite(each) for each in least]).all(dim=0)
    return torch.where(good[:, None], found, torch.nan)


def step_rows(
    ws: Tensor,
    gradient: Tensor,
    first: Tensor,
    second: Tensor,
    count: int | Tensor,
    rate: float | Tensor,
    rows: int | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``adam`` on the first ``rows`` of ``ws``, the others and their moments stay; None: on what all have in
    common.
    """
    if rows is None:
        return adam(ws, gradient.sum(dim=1, keepdim=True).expand_as(ws), first, second, count, rate)
    stepped = adam(ws[:, :rows], gradient[:, :rows], first[:, :rows], second[:, :rows], count, rate)
    olds = (ws, first, second)
    ws, first, second = (torch.cat([new, old[:, rows:]], dim=1) for new, old in zip(stepped, olds, strict=True))
    return ws, first, second


def inside(xy: Tensor, frame: Frame) -> Tensor:
    """Return which of the positions (…, 2) lie between the picture's outermost pixel centres."""
    x, y = xy.unbind(dim=-1)
    return (x >= 0) & (y >= 0) & (x <= frame.width - 1) & (y <= frame.height - 1)


@functools.lru_cache(maxsize=64)
def _offsets(shape: str, radius: int, spacing: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Kept, for what is taken from the processor cannot be part of a graph."""
    return torch.tensor({"disc": disc, "square": square}[shape](radius, spacing), dtype=dtype, device=device)


def _away(read: Read, places: Tensor, references: Tensor, order: int) -> Tensor:
    """Return ‖F(q) - f_i‖ (N, P) for every q of ``places`` (N, P, 2), read in parts where these are many."""
    found = []
    at_once = max(1, LARGEST_READ // places.shape[1])
    for some, wanted in zip(torch.split(places, at_once), torch.split(references, at_once), strict=True):
        parts = torch.split(some, LARGEST_READ, dim=1)
        found.append([torch.linalg.vector_norm(read(part) - wanted[:, None], ord=order, dim=2) for part in parts])
    return torch.cat([torch.cat(each, dim=1) for each in found]).to(places)


def _least(places: Tensor, away: Tensor, counted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each point the nearest place that counts (N, 2), its distance (N,), and its number (N,)."""
    # NaN is the least of all, wherever it is.
    least, number = away.masked_fill(~counted & ~away.isnan(), torch.inf).min(dim=1)
    found = places.gather(1, number[:, None, None].expand(-1, 1, 2))[:, 0]
    return found, least, number


def _valley(heights: Tensor, lowest: Tensor) -> Tensor:
    """Return how far (N,) from entry ``lowest`` (N,) of ``heights`` (N, S) the parabola through its neighbours is
    lowest.
    """
    last = heights.shape[1] - 1
    three = torch.stack([(lowest + by).clamp(0, last) for by in (-1, 0, 1)], dim=1)
    before, here, after = heights.gather(1, three).unbind(dim=1)
    curvature = before - 2 * here + after
    good = (lowest > 0) & (lowest < last) & torch.isfinite(curvature) & (curvature > 0)
    return torch.where(good, (before - after) / (2 * torch.where(good, curvature, 1.0)), 0.0)
