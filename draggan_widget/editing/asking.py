"""What is asked of an edit beside its points: attributes by some amounts, and attributes that no step may change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from draggan_widget.editing.document import Document
from draggan_widget.editing.history import Record


@dataclasses.dataclass(frozen=True, eq=False)
class Asked:
    """A change of the latent by names."""

    amounts: Mapping[str, float]
    """Name → σ."""
    change: np.ndarray
    """(num_ws, w_dim) float32, what is added to the latent."""
    notes: tuple[str, ...] = ()
    """Sentences for people, such as that an amount was more than the model can."""

    @property
    def done(self) -> str:
        """What it does, as undo names it."""
        names = [name.replace("_", " ") for name in self.amounts]
        few = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
        return f"change of {few}" if names else "change of nothing"


Asking = Callable[[Document], Asked]
"""Makes a change of a document, in the thread that owns its model."""


def with_change(document: Document, asked: Asked, *, follow: bool = True) -> Document:
    """Return the edit with a change of its latent. The newest record is the one of now, so the timeline shows it.

    :param follow: whether handles follow their content; see ``State.with_wish``.
    :raises ValueError: for a change of another model's latents, or one that is not finite.
    """
    drag = document.drag.with_wish(asked.change, follow=follow)
    op = ("change", tuple(asked.amounts.items()), np.array(asked.change, dtype=np.float32))
    return _recorded(document.changed(op, drag=drag))


def with_held(document: Document, names: tuple[str, ...], held: np.ndarray | None) -> Document:
    """Return the edit in which no step changes some attributes. :param names: as somebody gave them.

    :param held: ``Edit.held`` of these; None for none.
    """
    drag = document.drag.with_held(held)
    return _recorded(document.changed(("hold", names, drag.edit.held), drag=drag))


def held_in(document: Document) -> tuple[str, ...]:
    """Return the names of what is held, as somebody gave them."""
    for op in reversed(document.script):
        if op[0] == "hold":
            names: tuple[str, ...] = op[1]
            return names
    return ()


def amounts_in(document: Document) -> dict[int, dict[str, float]]:
    """Return after which step attributes were changed, in their order: step → name → σ, all of that step together."""
    found: dict[int, dict[str, float]] = {}
    done = 0
    for op in document.script:
        if op[0] == "steps":
            done += op[1]
        elif op[0] == "change":
            there = found.setdefault(done, {})
            for name, amount in op[1]:
                there[name] = there.get(name, 0.0) + float(amount)
    return found


def _recorded(document: Document) -> Document:
    if not document.records:
        return document
    *before, last = document.records
    now = Record.of(document.drag, last.seconds, document.mask)
    return dataclasses.replace(document, records=(*before, now))
