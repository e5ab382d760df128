"""An edit at one time, as values: what undo goes back to, and what everybody but the worker sees."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from draggan_widget.editing.history import Record
from draggan_widget.editing.model import Model
from draggan_widget.editing.script import Script
from draggan_widget.engines import Bound, State


@dataclasses.dataclass(frozen=True)
class Document:
    """Everything of an edit at one time, as an immutable value: what undo goes back to and a `.drag` file holds."""

    drag: State
    mask: np.ndarray | None
    """(H, W) floats 0 … 1, 1 = may move; None = everything may."""
    seed: int | None
    """Of the picture the edit began with; None if it began with a latent of unknown origin."""
    truncation: float
    script: Script
    """All that was done."""
    records: tuple[Record, ...] = ()
    label: int | None = None
    """The class of the picture the edit began with; None where the generator has no classes, or where ``seed`` is."""
    done: str = ""
    """What was done on from here, or had led here, as undo and redo name it; only of meaning on their stacks."""

    @property
    def seconds(self) -> float:
        """Time spent optimising."""
        return self.records[-1].seconds if self.records else 0.0


def fitting(past: Sequence[Document], others: Iterable[Document], most: int) -> int:
    """How many of the newest of ``past``, one at least, hold no more than ``most`` bytes of arrays with ``others``.

    Every array that a moment reaches counts, once however many moments and records share it.
    """
    seen: dict[int, Any] = {}  # the values are kept along, or another could come to have the id of one that has gone
    total = sum(_new_bytes(document, seen) for document in others)
    for number, document in enumerate(reversed(past)):
        total += _new_bytes(document, seen)
        if total > most and number > 0:
            return number
    return len(past)


def _new_bytes(value: Any, seen: dict[int, Any]) -> int:
    """Bytes of the arrays in a value that are not in ``seen`` yet."""
    total, waiting = 0, [value]
    while waiting:
        each = waiting.pop()
        if each is None or isinstance(each, (bool, int, float, str, Model)) or id(each) in seen:
            continue
        seen[id(each)] = each
        if isinstance(each, torch.Tensor):
            storage = each.untyped_storage()
            if (address := storage.data_ptr()) not in seen:
                seen[address] = each
                total += storage.nbytes()
        elif isinstance(each, np.ndarray):
            if each.base is None:
                total += each.nbytes
            else:
                waiting.append(each.base)
        elif isinstance(each, (tuple, list)):
            waiting.extend(each)
        elif isinstance(each, Mapping):
            waiting.extend(each.values())
        elif not isinstance(each, (Bound, torch.nn.Module)) and hasattr(each, "__dict__"):
            waiting.extend(vars(each).values())
    return total


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What everybody but the worker sees of a session. Publishing one costs nothing; a picture is made on demand."""

    status: str
    """"idle", "running", "paused", "arrived", "stalled", "capped", "stopped" or "error"."""
    message: str
    """A sentence about it for people; for "error", what is wrong and what to do."""
    document: Document
    can_undo: bool
    can_redo: bool
    rate: float | None
    """Steps per second of the run, while one is on."""
    model: Model
    """Whose pictures are edited."""
    loading: str | None = None
    """Name of the model that is about to take its place; until then this one is untouched."""
    progress: float | None = None
    """How much of it has been read, 0 … 1; None while that is not known."""
    look: Document | None = None
    """The moment that is looked at; None for the newest."""
    speed: float | None = None
    """Largest number of steps a second; None for no limit."""
    resting: bool = False
    """Whether a run has reached its targets and waits for the pointer that holds one of them to move on."""
    held: bool = False
    """Whether a pointer holds a point, so that somebody is about to pull or does."""
    trouble: str = ""
    """Why the model that was asked for last could not be loaded; empty once anything else has happened."""
    undo: str = ""
    """What undo would take back, such as "pull of point 2"; empty where it can take back nothing."""
    redo: str = ""
    """What redo would do again; likewise."""
    edit: int = 0
    """Number of the course that ``document`` belongs to: while it stays, step n is the same picture."""

    @property
    def settled(self) -> bool:
        """Whether the picture stays as it is until somebody acts."""
        return self.status != "running"

    @property
    def step(self) -> int:
        """Steps done since the edit began."""
        return self.document.drag.step

    @property
    def shown(self) -> int | None:
        """The step that is looked at; None for the newest."""
        return None if self.look is None else self.look.drag.step

    @property
    def length(self) -> int:
        """Moments on the timeline: steps 0 … length - 1 can be looked at."""
        return self.step + 1

    @property
    def seen(self) -> Document:
        """The moment that is to be shown."""
        return self.document if self.look is None else self.look

    def points(self, document: Document | None = None) -> list[dict[str, Any]]:
        """``[{"id": 1, "handle": [x, y], "target": [x, y], "distance": d}, …]`` in image pixels, by default now."""
        drag = (document or self.document).drag
        return [
            {"id": number, "handle": handle.tolist(), "target": target.tolist(), "distance": float(distance)}
            for number, handle, target, distance in zip(
                drag.ids, drag.handles, drag.targets, drag.distances, strict=True
            )
        ]
