"""What an edit says about how it goes: how surely each point is followed, and what goes wrong and what to try."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from draggan_widget.editing.diagnostics import warning
from draggan_widget.engines import XY

if TYPE_CHECKING:
    from draggan_widget.editing.document import Document
    from draggan_widget.engines import EditPoint, State
    from draggan_widget.models import Generator

AT_ONCE = 4
"""Points whose surroundings are measured before commands have their turn; each takes a processor 57 ms."""
MOST = 64
"""Points whose surroundings are measured at all: nobody reads the marks of more."""


@dataclasses.dataclass(frozen=True)
class Texture:
    """What is around a handle."""

    flat: bool
    """Too even to be told from its surroundings, so that it is likely to be lost."""
    better: XY | None
    """The nearest spot that is not, in picture pixels; None where there is none or none is needed."""


@dataclasses.dataclass(frozen=True)
class Feedback:
    """How the points of an edit do, by their ids."""

    confidence: Mapping[int, float]
    """0 … 1, how surely the content was found; nothing for points that were not looked for yet."""
    texture: Mapping[int, Texture]
    warning: str = ""
    """What goes wrong and what to try, in words; empty if nothing."""

    def of(self, number: int) -> dict[str, Any]:
        """Return ``{"confidence": c or None, "texture": {"flat": …, "better": [x, y] or None} or None}`` of a point."""
        texture = self.texture.get(number)
        better = None if texture is None or texture.better is None else list(texture.better)
        return {
            "confidence": self.confidence.get(number),
            "texture": None if texture is None else {"flat": texture.flat, "better": better},
        }


NO_FEEDBACK = Feedback({}, {})


@dataclasses.dataclass
class _Measured:
    """A texture, and what it was measured of."""

    point: EditPoint
    content: object | None
    """What the point is followed by; None if that is yet to be taken."""
    config: Any
    w0: Tensor
    ws: Tensor
    texture: Texture

    @classmethod
    def of(cls, point: EditPoint, state: State, found: Texture) -> _Measured:
        return cls(point, state.content(point.id), state.config, state.w0, state.ws, found)

    def serves(self, point: EditPoint, state: State) -> bool:
        """Return whether it is that of ``point``: the same place in the same picture, or the same content on its
        way.
        """
        if _read_by(self.config) != _read_by(state.config):
            return False
        if self.point.start != point.start or self.w0 is not state.w0:
            return False
        content = state.content(point.id)
        if self.content is None and content is None:
            return torch.equal(self.ws, state.ws)
        return self.content is None or self.content is content


def _read_by(config: Any) -> tuple[Any, ...]:
    """Return the settings that say what is read around a handle."""
    return type(config), getattr(config, "tracking_radius", None), getattr(config, "block", None)


class Observer:
    """Watches an edit: what was measured once is not measured again, so it may be asked often.

    It belongs to one thread, the one that drags: it reads features of the generator.
    """

    def __init__(self) -> None:
        self._generator: weakref.ref[Generator] | None = None
        self._textures: dict[int, _Measured] = {}
        self._found: tuple[State, dict[int, float]] | None = None

    def observe(self, generator: Generator, document: Document, status: str) -> Feedback:
        """Return how the points of ``document`` do, and what goes wrong; of their textures, what ``look`` has found.

        Confidences are measured when there is another latent. Nothing that the generator remembers for the next step
        is touched.

        :param status: of the session.
        """
        self._begin(generator)
        state = document.drag
        textures = {number: measured.texture for number, measured in self._known(state).items()}
        found = dict(self._confidence(state))
        return Feedback(found, textures, warning(generator, document, found, status))

    def look(self, generator: Generator, document: Document) -> bool:
        """Measure the textures of some points that were not seen before, where their handles are now.

        It takes longer than a step, so it is to be done when nobody waits for one; of many points ``AT_ONCE`` are
        looked at, and of very many only the first ``MOST`` ever. :returns: whether there were any.
        """
        self._begin(generator)
        state = document.drag
        known = self._known(state)
        new = [point for point in state.points[:MOST] if point.id not in known][:AT_ONCE]
        for point in new:
            known[point.id] = _Measured.of(point, state, Texture(*state.texture(point.id)))
        return bool(new)

    def _begin(self, generator: Generator) -> None:
        if self._generator is None or self._generator() is not generator:
            self._generator, self._textures, self._found = weakref.ref(generator), {}, None

    def _known(self, state: State) -> dict[int, _Measured]:
        kept: dict[int, _Measured] = {}
        for point in state.points:
            before = self._textures.get(point.id)
            if before is not None and before.serves(point, state):
                # From the first step on, a point is known by its reference.
                kept[point.id] = _Measured.of(point, state, before.texture) if before.content is None else before
        self._textures = kept
        return kept

    def _confidence(self, state: State) -> dict[int, float]:
        if self._found is not None:
            before, found = self._found
            same = before.points == state.points and before.config == state.config
            if same and before.ws is state.ws and before.memory is state.memory:
                return found
        found = state.confidence
        self._found = state, found
        return found
