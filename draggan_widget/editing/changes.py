"""Changes of an edit, as functions of documents: points, mask, settings, steps. Each is written into the script."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from draggan_widget.editing.automask import suggest_mask
from draggan_widget.editing.document import Document
from draggan_widget.editing.history import Record, appended
from draggan_widget.editing.script import Op
from draggan_widget.engines import XY, State, bind, check_jump, engine_named
from draggan_widget.models import Generator

FLOOD = 64
"""Waiting commands from which on also moves are taken together that are gestures of their own."""


@dataclasses.dataclass(frozen=True)
class Move:
    """What somebody does to a point; while ``pulling``, the pointer is still down."""

    number: int
    handle: XY | None
    target: XY | None
    pulling: bool

    def done(self, *, known: bool) -> str:
        """Return what it does, as undo names it. :param known: whether the point is there already."""
        if not known:
            return f"pull of point {self.number}"
        return f"move of {'target' if self.handle is None else 'handle'} {self.number}"

    def joined(self, later: Move, waiting: int) -> Move | None:
        """Return both as one, where they are of one gesture, or where far too many commands are ``waiting``."""
        if not self.pulling and (later.pulling or waiting < FLOOD):
            return None
        return dataclasses.replace(later, handle=later.handle or self.handle, target=later.target or self.target)


def whole_point(number: int, handle: XY | None, target: XY | None) -> tuple[XY, XY]:
    """Return handle and target of a new point. :raises ValueError: if one of them is missing."""
    if handle is None or target is None:
        raise ValueError(f"there is no point {number}; give its handle and its target")
    return handle, target


def with_point(document: Document, number: int, handle: XY | None, target: XY | None) -> Document:
    """Return the edit with a new point, or with what is given of the one numbered ``number`` put elsewhere.

    :raises ValueError: for a new one of which a part is missing, or a place outside the picture.
    """
    drag = document.drag
    if number not in drag.ids:
        handle, target = whole_point(number, handle, target)
        return document.changed(("add", number, handle, target), drag=drag.add_point(number, handle, target))
    if handle is not None:
        document = document.changed(("handle", number, handle), drag=drag.move_handle(number, handle))
    if target is not None:
        document = document.changed(("target", number, target), drag=document.drag.move_target(number, target))
    return document


def without_points(document: Document, numbers: Iterable[int]) -> Document:
    """Return the edit without these points. :raises ValueError: if one of them is not there."""
    for number in numbers:
        document = document.changed(("remove", number), drag=document.drag.remove_point(number))
    return document


def with_points(
    document: Document, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> Document:
    """Return the edit with what differs between two lists of checked points; what is the same stays as it is tracked.

    :raises ValueError: for a place outside the picture.
    """
    old = {point["id"]: point for point in before}
    new = {point["id"]: point for point in after}
    document = without_points(document, [number for number in document.drag.ids if number not in new])
    for number, point in new.items():
        same = old.get(number, {}) if number in document.drag.ids else {}
        handle, target = (
            None if point[part] == same.get(part) else tuple(point[part]) for part in ("handle", "target")
        )
        document = with_point(document, number, handle, target)
    return document


def with_mask(document: Document, mask: np.ndarray | None) -> Document:
    """Return the edit with another mask (H, W), 1 = may move; None: everything may. :raises ValueError: for no mask."""
    return document.changed(("mask", mask), drag=document.drag.with_mask(mask), mask=mask)


def suggested_mask(document: Document) -> np.ndarray:
    """Return the mask (H, W) that the points suggest; see ``automask``. :raises ValueError: without points."""
    drag = document.drag
    if not drag.ids:
        raise ValueError("there are no points yet, so no mask can be suggested; set some first")
    starts = np.array([point.start for point in drag.points])
    return suggest_mask(starts, drag.handles, drag.targets, document.model.generator.resolution)


def with_config(document: Document, config: Any) -> Document:
    """Return the edit with other settings, of this engine or another. :raises ValueError: as ``State.with_config``."""
    drag = document.drag.with_config(config)
    return document if drag is document.drag else document.changed(("config", config), drag=drag)


def first_of(model: Generator, value: Any) -> Any:
    """Return the settings of who makes the first jump. :param value: its engine's name, or settings of it, or None.

    :raises ValueError: if the engine makes no jumps, there is none of the name, or it cannot serve the model.
    :raises TypeError: for something else.
    """
    if value is None:
        return None
    settings = check_jump(engine_named(value).defaults(model) if isinstance(value, str) else value)
    bind(model, settings)
    return settings


def with_jump(document: Document, seconds: Callable[[], float]) -> Document:
    """Return the edit after a jump of the engine that makes the first step; the very same where it is dropped.

    :param seconds: asked afterwards, that it took. :raises ValueError: as ``State.jump``.
    :raises DivergedError: likewise.
    """
    state = document.drag.jump(document.first)
    if state is document.drag:
        return document
    return _recorded(document, ("jump", document.first), [state], seconds())


def with_steps(document: Document, states: Sequence[State], seconds: float) -> Document:
    """Return the edit after the steps that led through ``states``, which took ``seconds`` together."""
    return _recorded(document, ("steps", len(states)), states, seconds)


def _recorded(document: Document, op: Op, states: Sequence[State], seconds: float) -> Document:
    mask, before = document.mask, document.seconds
    records = document.records or (Record.of(document.drag, 0.0, mask),)
    for number, state in enumerate(states, start=1):
        records = appended(records, Record.of(state, before + seconds * number / len(states), mask))
    return document.changed(op, drag=states[-1], records=records)
