"""What is put around a bound engine, such as a tracker: most questions are still the engine's to answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from draggan_widget.engines.base import Bound, M

if TYPE_CHECKING:
    from draggan_widget.engines.edit import XY, Edit


class Around(Bound[M]):
    """A bound engine with something around it. Its memories are dataclasses whose ``own`` is the engine's.

    :param own: the engine, bound, perhaps with something else around it.
    """

    def __init__(self, own: Bound[Any]) -> None:
        super().__init__(own.model, own.settings)
        self.own = own

    def preparing(self, edit: Edit, memory: Any) -> Iterator[float] | None:
        """Return what the engine has to do once before the next step."""
        return self.own.preparing(edit, memory.own)

    def place(self, handle: XY) -> XY:
        """Return the handle where the engine can have it."""
        return self.own.place(handle)

    def expand(self, edit: Edit, kept: Any) -> M:
        """Return the memory again, with the engine's as that says."""
        memory: M = dataclasses.replace(kept, own=self.own.expand(edit, kept.own))
        return memory

    def texture(self, edit: Edit, memory: Any, number: int) -> tuple[bool, XY | None]:
        """Return what the engine says."""
        return self.own.texture(edit, memory.own, number)

    def content(self, edit: Edit, memory: Any, number: int) -> object | None:
        """Return what the engine says."""
        return self.own.content(edit, memory.own, number)

    def confidence(self, edit: Edit, memory: Any) -> dict[int, float]:
        """Return what the engine says, by its own features."""
        return self.own.confidence(edit, memory.own)
