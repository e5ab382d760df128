"""Points as people and programs give them to an editor, checked before they reach the edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from draggan_widget.engines import check_xy
from draggan_widget.settings import as_whole, check_whole


def check_points(points: Any, resolution: tuple[int, int]) -> list[dict[str, Any]]:
    """Return points as ``[{"id": 1, "handle": [x, y], "target": [x, y]}, …]``, with ids given to those without one.

    :raises ValueError: naming the point and what is wrong with it.
    """
    if isinstance(points, (str, bytes, Mapping)) or not isinstance(points, Sequence):
        raise ValueError('points must be a list of {"handle": [x, y], "target": [x, y]}')
    given = [point.get("id") for point in points if isinstance(point, Mapping) and point.get("id") is not None]
    free = max((whole for number in given if (whole := as_whole(number)) is not None), default=0)
    checked, used = [], set()
    for place, point in enumerate(points, start=1):
        if not isinstance(point, Mapping) or not {"handle", "target"} <= point.keys():
            raise ValueError(f'point {place} is {point!r}; give {{"handle": [x, y], "target": [x, y]}}')
        number = point.get("id")
        if number is None:
            number = free = free + 1
        number = check_whole(f"the id of point {place}", number, 1)
        if number in used:
            raise ValueError(f"two points have the id {number}; give each its own, or none")
        used.add(number)
        handle = check_xy(f"the handle of point {number}", point["handle"], resolution)
        target = check_xy(f"the target of point {number}", point["target"], resolution)
        checked.append({"id": number, "handle": list(handle), "target": list(target)})
    return checked
