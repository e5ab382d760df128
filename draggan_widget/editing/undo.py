"""What undo goes back to and redo forward to: documents, within bounds of number, memory and models."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from draggan_widget.editing.document import Document
from draggan_widget.editing.model import Model
from draggan_widget.editing.packed_photo import PackedPhoto
from draggan_widget.editing.sealed import Sealed, packing
from draggan_widget.engines import Bound

DEPTH = 200
"""Entries that undo holds."""
MOST_BYTES = 256 << 20
"""Of the arrays that undo holds, masks and records included: as many of the oldest entries are given up as it takes."""
OTHER_MODELS = 2
"""Models that undo keeps alive besides the present one: weights are large."""
MOST_PHOTO_BYTES = 200_000_000
"""Of the photographs that undo can reach, packed: the oldest are given up with all that was done to them."""

AS_IT_BEGAN = "nothing to undo yet: the edit is as it began"
NOTHING = {
    "undo": "nothing to undo: what was done before this is not kept; reset leads back to the first picture",
    "redo": "nothing to redo: the last thing done was no undo",
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A document, and what was done on from it or had led there, such as "pull of point 2"."""

    document: Document | Sealed
    """Sealed where it is of a photograph that is not open."""
    done: str


@dataclasses.dataclass(frozen=True)
class UndoStack:
    """The past and the future of a document, as an immutable value."""

    past: tuple[Entry, ...] = ()
    """The newest is last."""
    future: tuple[Entry, ...] = ()
    """The next one is last."""

    @property
    def undo_name(self) -> str:
        """What undo would take back; empty where it can take back nothing."""
        return self.past[-1].done if self.past else ""

    @property
    def redo_name(self) -> str:
        """What redo would do again; likewise."""
        return self.future[-1].done if self.future else ""

    def remembering(self, document: Document, done: str, now: Document | None = None) -> UndoStack:
        """Return the stack on which undo leads back to ``document``, and redo nowhere.

        The oldest entries go where there are too many, where their arrays are too large together, or where they are of
        more models than may be kept.

        :param done: what is done on from ``document``. :param now: the document that takes its place, if it is known.
        """
        now = document if now is None else now
        past = (*self.past, Entry(document, done))[-DEPTH:]
        past = past[_first_of_few_models(past, now) :]
        return UndoStack(past[len(past) - fitting([entry.document for entry in past], [now], MOST_BYTES) :])

    def changed(self, change: Callable[[Document], Document]) -> UndoStack:
        """Return the stack of changed documents; those that are sealed stay as they are."""

        def each(entry: Entry) -> Entry:
            held = entry.document
            return entry if isinstance(held, Sealed) else Entry(change(held), entry.done)

        return UndoStack(tuple(map(each, self.past)), tuple(map(each, self.future)))

    def sealed(self, now: Document) -> tuple[UndoStack, list[str]]:
        """Return the stack in which no photograph but that of ``now`` is open, and the names of those given up for it.

        Where they are too large together, what lies before the end of the oldest goes.
        """
        pack = packing()

        def each(entry: Entry) -> Entry:
            held = entry.document
            if isinstance(held, Sealed) or held.model.photo is None or held.model.generator is now.model.generator:
                return entry
            return Entry(Sealed.of(held, pack(held.model)), entry.done)

        past, future, gone = tuple(map(each, self.past)), tuple(map(each, self.future)), []
        while (photos := _photos((*past, *future))) and sum(each.nbytes for each in photos) > MOST_PHOTO_BYTES:
            of_oldest = [
                place
                for place, entry in enumerate(past)
                if isinstance(entry.document, Sealed) and entry.document.photo is photos[0]
            ]
            if of_oldest:
                past = past[of_oldest[-1] + 1 :]
            else:  # the next to be redone is last
                future = future[next(n for n, e in enumerate(future, 1) if isinstance(e.document, Sealed)) :]
            gone.append(photos[0].name)
        return UndoStack(past, future), gone

    def back(self, now: Document) -> tuple[UndoStack, Entry]:
        """Return the stack after an undo from ``now``, and where that leads.

        :raises ValueError: if there is nothing to undo.
        """
        if not self.past:
            raise ValueError(NOTHING["undo"] if now.drag.step else AS_IT_BEGAN)
        *past, entry = self.past
        return UndoStack(tuple(past), (*self.future, Entry(now, entry.done))), entry

    def forward(self, now: Document) -> tuple[UndoStack, Entry]:
        """Return the stack after a redo from ``now``, and where that leads.

        :raises ValueError: if there is nothing to redo.
        """
        if not self.future:
            raise ValueError(NOTHING["redo"])
        *future, entry = self.future
        return UndoStack((*self.past, Entry(now, entry.done)), tuple(future)), entry


def _first_of_few_models(past: Sequence[Entry], now: Document) -> int:
    """Return the place of the oldest entry from which on there are no more models than may be kept."""
    others: set[tuple[int, ...]] = set()
    present = now.model.generator
    here = present.weights_key
    for place in range(len(past) - 1, -1, -1):
        held = past[place].document
        generator = None if isinstance(held, Sealed) else held.model.generator
        if generator is not None and generator is not present and (key := generator.weights_key) != here:
            others.add(key)
        if len(others) > OTHER_MODELS:
            return place + 1
    return 0


def _photos(entries: Iterable[Entry]) -> list[PackedPhoto]:
    """Return the packed photographs of entries, each once, in their order."""
    found = [entry.document.photo for entry in entries if isinstance(entry.document, Sealed)]
    return list(dict.fromkeys(found))


def fitting(past: Sequence[Document | Sealed], others: Iterable[Document], most: int) -> int:
    """Return how many of the newest of ``past``, one at least, hold no more than ``most`` bytes of arrays with
    ``others``.

    Every array that a document reaches counts, once however many documents and records share it; models do not.
    """
    seen: dict[int, Any] = {}  # the values are kept along, or another could come to have the id of one that has gone
    total = sum(_new_bytes(document, seen) for document in others)
    for number, document in enumerate(reversed(past)):
        total += _new_bytes(document, seen)
        if total > most and number > 0:
            return number
    return len(past)


def _new_bytes(value: Any, seen: dict[int, Any]) -> int:
    """Return the bytes of the arrays in a value that are not in ``seen`` yet."""
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
