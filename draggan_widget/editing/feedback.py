"""What an edit says about how it goes: how surely each point is followed, and what goes wrong and what to try."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from draggan_widget.dragging import XY


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
        """``{"confidence": c or None, "texture": {"flat": …, "better": [x, y] or None} or None}`` of a point."""
        texture = self.texture.get(number)
        better = None if texture is None or texture.better is None else list(texture.better)
        return {
            "confidence": self.confidence.get(number),
            "texture": None if texture is None else {"flat": texture.flat, "better": better},
        }


NO_FEEDBACK = Feedback({}, {})
