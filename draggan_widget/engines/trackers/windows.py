"""Search windows that are as large as the pace of a handle asks for: a small one keeps to what is near.

The window reaches ``r = clip(r2/4 + 2·v, r2/3, r2)`` each way, with ``v`` the running mean (a half for the newest) of
how far the handle went in its last steps; for r2 = 12 that is ``clip(3 + 2·v, 4, 12)`` pixels of a picture of 512.
Where the best place is hardly better than another one, which is elsewhere, it may be neither: then up to 1.5 times as
far is looked, and 4/3 of r2 at most. Of the first step, whose pace is not known, it is all of r2.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

import numpy as np

from draggan_widget.engines.common.geometry import Frame, lengths, square

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from draggan_widget.engines.common.sampling import Reader
    from draggan_widget.engines.draggan.methods import Method

LOOKED_BACK = 4
"""Places of a handle that its pace is known from: three steps, the newest counting twice as much as the one before."""
BASE, PER_PIXEL, LEAST = 1 / 4, 2.0, 1 / 3
"""Of r2, pixels to a pixel of pace, and of r2 again: what the window reaches at least."""
ALIKE, WIDER, MOST = 0.9, 1.5, 4 / 3
"""A best place whose distance is more than so much of the next one's; how much farther is looked then; of r2, at most
how far."""
ELSEWHERE = 3 / 512
"""Of the picture's height: as far apart, and at least a cell of the map, two places are not the same."""


def pace(course: Sequence[np.ndarray]) -> np.ndarray | None:
    """Return how far handles went in a step, as a running mean (N,) in pixels; None of a course of one picture.

    :param course: (N, 2) each, oldest first; the last ``LOOKED_BACK`` count.
    """
    last = list(course)[-LOOKED_BACK:]
    ways = [lengths(after - before) for before, after in itertools.pairwise(last)]
    if not ways:
        return None
    weights = 0.5 ** np.arange(len(ways))[::-1]
    return np.asarray(np.tensordot(weights / weights.sum(), np.stack(ways), axes=1))


def reach(speed: float | None, radius: float) -> int:
    """Return how far a window reaches each way. :param speed: pixels a step. :param radius: r2, in pixels."""
    if speed is None:
        return max(1, round(radius))
    return max(1, round(float(np.clip(BASE * radius + PER_PIXEL * speed, LEAST * radius, radius))))


def found_in_windows(
    method: Method,
    read: Reader,
    course: Sequence[np.ndarray],
    references: Sequence[Tensor],
    frame: Frame,
    cell: float,
) -> np.ndarray:
    """Return where handles are (N, 2), as ``method`` tracks within a window of each one's own.

    :param course: where they were, (N, 2) each, oldest first. :param cell: pixels of a cell of the finest map.
    :raises DivergedError: if features are not finite.
    """
    speeds, found = pace(course), []
    apart = max(ELSEWHERE * frame.height, cell)
    for number, (handle, reference) in enumerate(zip(course[-1], references, strict=True)):
        side = reach(None if speeds is None else float(speeds[number]), frame.tracking)
        if likeness(read, handle, reference, side, frame, apart) > ALIKE:
            side = max(side, min(round(WIDER * side), round(MOST * frame.tracking)))
        here = dataclasses.replace(frame, tracking=side)
        found.append(method.track(read, handle[None], [reference], here)[0])
    return np.stack(found)


def likeness(read: Reader, handle: np.ndarray, reference: Tensor, side: int, frame: Frame, apart: float) -> float:
    """Return how near the best place of a window is to the reference, as a part of how near the next one is that lies
    ``apart`` from it: 1 where both are alike, and 0 where there is no other.
    """
    window = np.round(handle) + square(side)
    window = window[frame.contains(window)]
    away = (read(window).detach() - reference).norm(dim=1).double().cpu().numpy()
    best = int(away.argmin())
    other = away[lengths(window - window[best]) >= apart]
    return float(away[best] / max(float(other.min()), 1e-30)) if len(other) else 0.0
