"""Where handles are after a change of the latent that no engine made: their content is followed on the way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from draggan_widget.engines.edit import XY, EditPoint
from draggan_widget.engines.trackers import Features

if TYPE_CHECKING:
    from draggan_widget.models import Generator

WAYPOINTS = 8
"""Latents between which content goes no farther than a tracker looks, also where a head turns by a σ."""


def followed(
    model: Generator | Any,
    before: Tensor,
    after: Tensor,
    points: tuple[EditPoint, ...],
    place: Callable[[XY], XY],
) -> tuple[EditPoint, ...]:
    """Return points with their handles on the same content in the picture of another latent.

    Of a model that has no features to follow by, they are where they were. :param place: as ``Bound.place``.
    """
    if not points or not hasattr(model, "sample_features") or torch.equal(before, after):
        return points
    tracker = Features()
    tracker.begin(model, before, [point.handle for point in points])  # type: ignore[arg-type]
    found = None
    for number in range(1, WAYPOINTS + 1):
        found = tracker.track(model, before.lerp(after, number / WAYPOINTS))
    assert found is not None
    height, width = model.resolution
    places = found.clip(0, [width - 1, height - 1])
    return tuple(
        dataclasses.replace(point, handle=place((float(x), float(y))))
        for point, (x, y) in zip(points, places, strict=True)
    )
