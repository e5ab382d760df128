"""The settings of a drag: a plain value without torch, which every room of the package may hold.

A generator carries the settings it drags best with, ``dragging`` obeys them, the widget shows them and a `.drag` file
keeps them; so they live below all four.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, cast

METHODS = ("default", "paper", "official")
SPACES = ("w_plus", "w")


@dataclasses.dataclass(frozen=True)
class DragConfig:
    """How points are pulled (Pan et al., *Drag Your GAN*, SIGGRAPH 2023, section 3.2).

    Radii are given in pixels of a picture of 512 px and scaled to the picture at hand, as in the paper; tolerances are
    pixels of the picture itself. Values are checked when the config is made; a bad one raises ``ValueError`` naming
    the field, and an unknown field ``TypeError``.
    """

    method: Literal["default", "paper", "official"] = "default"
    """Which reading of the paper's formulas is used; see ``draggan_widget.dragging.methods``."""
    block: int | tuple[int, ...] | None = None
    """Synthesis block whose features are read, the 4×4 block being 1; or several, whose channels are then read
    together, as in the paper's ablation ("5+6"). None: 128×128 for pictures of 256 px and more, half the picture below
    that."""
    edit_layers: int = 6
    """The first so many rows of ``ws`` are optimised, the others stay."""
    space: Literal["w_plus", "w"] = "w_plus"
    """What is optimised: these rows, each on its own (W+), or all rows as one (W, which ignores ``edit_layers``). W
    stays nearer to what the generator has learned, and changes more of the picture."""
    learning_rate: float = 2e-3
    """Step size of Adam, > 0."""
    supervision_radius: float = 3.0
    """r1, in pixels of a 512 px picture, >= 0."""
    tracking_radius: float = 12.0
    """r2, in pixels of a 512 px picture, >= 0."""
    mask_weight: float = 20.0
    """λ, the weight of keeping features outside the mask, >= 0."""
    tolerance: float | None = 1.0
    """A handle within so many picture pixels of its target has arrived. None: the method's own rule."""
    max_steps: int | None = 300
    """Adam steps after which a run is ``capped``. None: no cap."""
    stall_steps: int | None = 10
    """A run is ``stalled`` when no handle has come nearer for so many trackings. None: never."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method is {self.method!r}; choose one of {', '.join(METHODS)}")
        if self.space not in SPACES:
            raise ValueError(f"space is {self.space!r}; choose one of {', '.join(SPACES)}")
        object.__setattr__(self, "block", _check_block(self.block))
        _check_int("edit_layers", self.edit_layers, 1)
        _check_int("max_steps", self.max_steps, 0, optional=True)
        _check_int("stall_steps", self.stall_steps, 1, optional=True)
        _check_real("learning_rate", self.learning_rate, positive=True)
        _check_real("supervision_radius", self.supervision_radius)
        _check_real("tracking_radius", self.tracking_radius)
        _check_real("mask_weight", self.mask_weight)
        _check_real("tolerance", self.tolerance, optional=True)

    @classmethod
    def paper(cls, **changes: Any) -> DragConfig:
        """The formulas as the paper prints them, with means for sums (a literal sum lets the mask swamp the motion)."""
        return cls(**{"method": "paper", "tolerance": None, **changes})

    @classmethod
    def official(cls, **changes: Any) -> DragConfig:
        """The formulas as the authors' published program behaves: the yardstick for speed and quality."""
        settings = {"method": "official", "learning_rate": 1e-3, "tolerance": None, "max_steps": None}
        return cls(**{**settings, "stall_steps": None, **changes})

    def replace(self, **changes: Any) -> DragConfig:
        """A copy with some fields changed and checked."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-able values; ``DragConfig.from_dict`` is the way back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> DragConfig:
        """A config from the fields of ``to_dict``; those left out keep their defaults.

        Raises ``ValueError`` for a field this version does not know.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(fields) - known):
            raise ValueError(f"unknown drag settings {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        return cls(**fields)


def _check_block(value: Any) -> int | tuple[int, ...] | None:
    """One block or None as it is; several, from whatever held them, as a tuple in rising order."""
    if not isinstance(value, (list, tuple)):
        _check_int("block", value, 1, optional=True)
        return cast("int | None", value)
    for block in value:
        _check_int("block", block, 1)
    if not value or len(set(value)) < len(value):
        raise ValueError(f"block is {value!r}; name one block, or several different ones, such as (5, 6)")
    return tuple(sorted(value)) if len(value) > 1 else value[0]


def _check_int(name: str, value: Any, low: int, *, optional: bool = False) -> None:
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        wanted = f"a whole number of at least {low}" + (" or None" if optional else "")
        raise ValueError(f"{name} is {value!r}; it must be {wanted}")


def _check_real(name: str, value: Any, *, optional: bool = False, positive: bool = False) -> None:
    if value is None and optional:
        return
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0 or (positive and value == 0):
        wanted = f"a finite number {'above' if positive else 'of at least'} 0" + (" or None" if optional else "")
        raise ValueError(f"{name} is {value!r}; it must be {wanted}")
