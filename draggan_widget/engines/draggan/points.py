"""Points to be dragged, and the checks that what people give as points, masks and latents can be worked with."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.draggan.methods import frame_of, method_of
from draggan_widget.settings import as_whole, shown

if TYPE_CHECKING:
    from draggan_widget.config import DragConfig
    from draggan_widget.engines.edit import XY
    from draggan_widget.models import Model


@dataclasses.dataclass(frozen=True, eq=False)
class Point:
    """One handle and its target; positions are picture pixels (x, y), pixel centres at integers."""

    id: int
    handle: XY
    """Where the handle is now."""
    target: XY
    start: XY
    """Where somebody put the handle."""
    seen: XY
    """The middle of what was read of the latent around it: where the handle was before it was tracked."""
    reference: Tensor | None = None
    """Features (C,) that tracking looks for. None: to be taken at the handle, from the latent of the next step."""


def make_points(points: Any, config: DragConfig, resolution: tuple[int, int]) -> tuple[Point, ...]:
    """``(id, handle, target)`` each, put where the method wants handles, their references yet to be taken.

    :raises ValueError: for an id that is no whole number or given twice, or a position outside the picture.
    """
    made: list[Point] = []
    used: set[int] = set()
    for number, handle, target in points:
        whole = as_whole(number)
        if whole is None:
            raise ValueError(f"the id of a point is {shown(number)}; it must be a whole number")
        number = whole
        if number in used:
            raise ValueError(f"two points have the id {number}; give each its own")
        start = place(check_xy(f"the handle of point {number}", handle, resolution), config, resolution)
        end = check_xy(f"the target of point {number}", target, resolution)
        made.append(Point(number, start, end, start, start))
        used.add(number)
    return tuple(made)


def place(handle: XY, config: DragConfig, resolution: tuple[int, int]) -> XY:
    """Where the method puts a handle that somebody set."""
    ((x, y),) = method_of(config).place(np.array([handle]), frame_of(config, resolution))
    return float(x), float(y)


def check_pairs(handles: Any, targets: Any) -> list[tuple[int, XY, XY]]:
    """Two lists of N positions → ``[(1, handle, target), (2, …), …]``.

    :raises ValueError: for another shape than (N, 2), or handles and targets of different number.
    """
    starts, ends = _positions("handles", handles), _positions("targets", targets)
    if len(starts) != len(ends):
        raise ValueError(f"there are {len(starts)} handles and {len(ends)} targets; give each handle one target")
    return [(n, (a[0], a[1]), (b[0], b[1])) for n, (a, b) in enumerate(zip(starts, ends, strict=True), start=1)]


def _positions(name: str, values: Any) -> list[list[float]]:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a list of (x, y) in picture pixels; got {values!r}") from error
    if array.size == 0:
        return []
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"{name} has shape {array.shape}; give a list of (x, y), that is (N, 2)")
    return [[float(x), float(y)] for x, y in array]


def check_xy(name: str, value: Any, resolution: tuple[int, int]) -> XY:
    """``value`` as (x, y) inside a picture of ``resolution`` (H, W).

    :raises ValueError: naming ``name``, if it is no pair of finite numbers or lies outside the picture, whose
        outermost pixels reach half a pixel beyond their centres.
    """
    height, width = resolution
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError("text is no position")
        x, y = (float(number) for number in value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is {value!r}; give (x, y) in picture pixels") from error
    if not np.isfinite([x, y]).all():
        raise ValueError(f"{name} is ({x:g}, {y:g}); both numbers must be finite")
    if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
        raise ValueError(
            f"{name} is outside the picture: ({x:g}, {y:g}); pixels go from 0 to {width - 1} in x, {height - 1} in y"
        )
    return x, y


def check_mask(mask: Any, resolution: tuple[int, int]) -> np.ndarray | None:
    """A mask (H, W) of bools or numbers 0 … 1, 1 = may move → an array of floats of its own.

    None stays None: everything may move.

    :raises ValueError: for another shape, NaN, or numbers outside 0 … 1. :raises TypeError: if it holds no numbers.
    """
    if mask is None:
        return None
    array = mask.detach().cpu().numpy() if isinstance(mask, Tensor) else np.asarray(mask)
    if array.dtype.kind not in "buif":
        raise TypeError(f"mask holds {array.dtype}; give bools or numbers from 0 (must stay) to 1 (may move)")
    if array.shape != tuple(resolution):
        raise ValueError(f"mask has shape {array.shape}; this picture needs {tuple(resolution)}, (height, width)")
    if not np.isfinite(array).all():
        raise ValueError("mask holds NaN or infinite numbers; give numbers from 0 (must stay) to 1 (may move)")
    if array.min() < 0 or array.max() > 1:
        raise ValueError(
            f"mask holds numbers from {array.min():g} to {array.max():g}; scale them to 0 (must stay) … 1 (may move)"
        )
    return array.astype(array.dtype if array.dtype.kind == "f" else np.float32)


def mask_tensor(mask: Any, resolution: tuple[int, int], like: Tensor) -> Tensor | None:
    """``check_mask`` as a tensor of the dtype and device of ``like``."""
    array = check_mask(mask, resolution)
    return None if array is None else torch.tensor(array, dtype=like.dtype, device=like.device)


def check_ws(model: Model, ws: Any) -> Tensor:
    """Return a copy of a latent in the model's dtype and on its device. It is ``model.space.check``.

    :raises ValueError: for another shape, NaN or infinity. :raises TypeError: if it is no array of real numbers.
    """
    return model.space.check(ws)
