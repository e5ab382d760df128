"""Points and masks as people and programs give them, checked before they reach an edit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

XY = tuple[float, float]


def check_xy(name: str, value: Any, resolution: tuple[int, int]) -> XY:
    """``value`` as (x, y) inside a picture of ``resolution`` (H, W).

    :raises ValueError: naming ``name``, if it is no pair of finite numbers or lies outside the picture.
    """
    height, width = resolution
    try:
        x, y = (float(number) for number in value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r}; give [x, y] in image pixels") from None
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError(f"{name} is {value!r}; both numbers must be finite")
    if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
        raise ValueError(
            f"{name} is outside the picture: [{x:g}, {y:g}]; x goes from 0 to {width - 1}, y from 0 to {height - 1}"
        )
    return x, y


def check_points(points: Any, resolution: tuple[int, int]) -> list[dict[str, Any]]:
    """Points as ``[{"id": 1, "handle": [x, y], "target": [x, y]}, …]``, with ids given to those without one.

    :raises ValueError: naming the point and what is wrong with it.
    """
    if isinstance(points, (str, bytes, Mapping)) or not isinstance(points, Sequence):
        raise ValueError('points must be a list of {"handle": [x, y], "target": [x, y]}')
    given = [point.get("id") for point in points if isinstance(point, Mapping) and point.get("id") is not None]
    free = max((number for number in given if isinstance(number, int)), default=0)
    checked, used = [], set()
    for place, point in enumerate(points, start=1):
        if not isinstance(point, Mapping) or not {"handle", "target"} <= point.keys():
            raise ValueError(f'point {place} is {point!r}; give {{"handle": [x, y], "target": [x, y]}}')
        number = point.get("id")
        if number is None:
            number = free = free + 1
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"the id of point {place} is {number!r}; it must be a whole number of at least 1")
        if number in used:
            raise ValueError(f"two points have the id {number}; give each its own, or none")
        used.add(number)
        handle = check_xy(f"the handle of point {number}", point["handle"], resolution)
        target = check_xy(f"the target of point {number}", point["target"], resolution)
        checked.append({"id": number, "handle": list(handle), "target": list(target)})
    return checked


def check_mask(mask: Any, resolution: tuple[int, int]) -> np.ndarray | None:
    """A mask as (H, W) float32 in 0 … 1, where 1 may move and 0 must stay; None for None: everything may move.

    :raises ValueError: if it has another shape, holds NaN, or numbers outside 0 … 1.
    """
    if mask is None:
        return None
    array = np.asarray(mask)
    if array.dtype.kind not in "buif":
        raise ValueError("mask must hold bools or numbers from 0 to 1 (1 = may move)")
    if array.shape != tuple(resolution):
        raise ValueError(f"mask has shape {array.shape}; this picture needs {tuple(resolution)} (height, width)")
    array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError("mask holds NaN or infinite numbers; give numbers from 0 (must stay) to 1 (may move)")
    if array.min() < 0 or array.max() > 1:
        raise ValueError(
            f"mask holds numbers from {array.min():g} to {array.max():g}; give 0 (must stay) to 1 (may move)"
        )
    return array
