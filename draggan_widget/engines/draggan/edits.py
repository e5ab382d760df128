"""Points of a drag, and its changes between two steps, as functions from state to state.

A change begins a new run: stalling and the cap are counted from it. The latent, Adam's moments and the references of
points that are not touched stay, with one exception: in ``official``, as in the authors' program, another number of
points takes all references, and the features that the mask keeps, anew from the present latent.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.common.running import Anchor, Course
from draggan_widget.engines.draggan.methods import blocks_of, frame_of, method_of
from draggan_widget.engines.draggan.state import DragState, Point
from draggan_widget.engines.edit import check_mask, check_xy
from draggan_widget.models import guarded
from draggan_widget.settings import as_whole, shown

if TYPE_CHECKING:
    from draggan_widget.config import DragConfig
    from draggan_widget.engines.edit import XY
    from draggan_widget.models import Generator


def make_points(points: Any, config: DragConfig, resolution: tuple[int, int]) -> tuple[Point, ...]:
    """Return ``(id, handle, target)`` each, put where the method wants handles, their references yet to be taken.

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
    """Return where the method puts a handle that somebody set."""
    ((x, y),) = method_of(config).place(np.array([handle]), frame_of(config, resolution))
    return float(x), float(y)


def mask_tensor(mask: Any, resolution: tuple[int, int], like: Tensor) -> Tensor | None:
    """Return ``check_mask`` as a tensor of the dtype and device of ``like``."""
    array = check_mask(mask, resolution)
    return None if array is None else torch.tensor(array, dtype=like.dtype, device=like.device)


def begin_run(state: DragState) -> DragState:
    """Return the same state at the beginning of a new run: stalling and the cap are counted from here."""
    return dataclasses.replace(state, course=Course(first_step=state.step))


def add_point(generator: Generator, state: DragState, number: int, handle: Any, target: Any) -> DragState:
    """Return the state with a further point, whose reference is taken from the present latent.

    :param number: its id. :param handle: (x, y) in picture pixels. :param target: the same.
    :raises ValueError: for an id that is taken, or a position that is none or outside the picture.
    """
    if number in state.ids:
        raise ValueError(f"there is a point {number} already; give the new one another id")
    added = make_points([(number, handle, target)], state.config, generator.resolution)
    return _renumbered(dataclasses.replace(state, points=(*state.points, *added)))


def remove_point(generator: Generator, state: DragState, number: int) -> DragState:  # noqa: ARG001 - as add_point
    """Return the state without that point. :raises ValueError: if there is none of that id."""
    gone = state.point(number)
    state = _unread(state)
    return _renumbered(dataclasses.replace(state, points=tuple(p for p in state.points if p is not gone)))


def move_target(state: DragState, number: int, target: Any) -> DragState:
    """Return the state with another target of a point.

    :raises ValueError: for an unknown id, or a position outside the picture.
    """
    point = state.point(number)
    moved = check_xy(f"the target of point {number}", target, state.resolution)
    return _with_point(state, dataclasses.replace(point, target=moved))


def move_handle(generator: Generator, state: DragState, number: int, handle: Any) -> DragState:
    """Return the state with a point put on other content, whose reference is taken there, from the present latent.

    :raises ValueError: for an unknown id, or a position outside the picture.
    """
    point = state.point(number)
    (moved,) = make_points([(number, handle, point.target)], state.config, generator.resolution)
    return _with_point(state, moved)


def with_mask(state: DragState, mask: Any) -> DragState:
    """Return the state with another mask (H, W), 1 = may move, or None.

    What must stay is kept as it was at the start, ``w0``.

    :raises ValueError: for another shape, NaN, or numbers outside 0 … 1. :raises TypeError: if it holds no numbers.
    """
    return begin_run(dataclasses.replace(_unread(state), mask=mask_tensor(mask, state.resolution, state.w0)))


def with_config(generator: Generator, state: DragState, config: DragConfig) -> DragState:
    """Return the state with other settings, which hold from the next step on.

    References stay unless the method or the block changes: another method looks for something else, and other
    features are needed for another block, so they are taken anew from the present latent.

    :raises ValueError: if the generator does not have ``config.block``.
    """
    blocks = blocks_of(generator, config)
    if config == state.config:
        return state
    known = (state.config.method, blocks_of(generator, state.config), state.config.several_blocks)
    if (config.method, blocks, config.several_blocks) != known:
        state = dataclasses.replace(state, points=_taken_anew(state.points, config, state.resolution))
    return begin_run(dataclasses.replace(_unread(state), config=config))


@guarded
def _unread(state: DragState) -> DragState:
    """Return the state with a copy of its latent, of which nothing was read: less will be, and so rounded otherwise."""
    latent = state.latent.detach().clone().requires_grad_()
    anchor = Anchor(latent) if state.anchor.latent is state.latent else state.anchor
    return dataclasses.replace(state, latent=latent, anchor=anchor)


def _with_point(state: DragState, changed: Point) -> DragState:
    points = tuple(changed if point.id == changed.id else point for point in state.points)
    return begin_run(dataclasses.replace(state, points=points))


def _renumbered(state: DragState) -> DragState:
    """Return the state as another number of points makes it."""
    if state.config.method == "official":
        points = _taken_anew(state.points, state.config, state.resolution)
        state = dataclasses.replace(state, points=points, anchor=Anchor(state.latent))
    return begin_run(state)


def _taken_anew(points: tuple[Point, ...], config: DragConfig, resolution: tuple[int, int]) -> tuple[Point, ...]:
    """Return the points with references to be taken from the present latent."""
    placed = (place(point.handle, config, resolution) for point in points)
    return tuple(
        dataclasses.replace(point, handle=handle, seen=handle, reference=None)
        for point, handle in zip(points, placed, strict=True)
    )
