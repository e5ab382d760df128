"""What an engine that steps by Adam remembers between two steps, and how a file keeps it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from draggan_widget.engines.common.running import Course, Moments
from draggan_widget.engines.edit import XY, Edit, check_xy
from draggan_widget.models import Generator
from draggan_widget.settings import shown

VALUES = {"blocks", "turn", "first_step", "nearest", "idle", "adam_steps", "seen", "spots"}
FIRST, SECOND = "adam.first", "adam.second"
INCOMPLETE = "what the engine remembers is incomplete, or of another edit"
S = TypeVar("S", bound="Spot")


@dataclasses.dataclass(frozen=True, eq=False)
class Spot:
    """What an engine knows of one point: a base of frozen dataclasses, whose fields are tensors, floats and bools."""

    def tensors(self) -> dict[str, Tensor]:
        """Return the fields that are tensors, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}

    def values(self) -> dict[str, float | bool]:
        """Return the other fields, by name."""
        return {name: value for name, value in vars(self).items() if not isinstance(value, Tensor)}


@dataclasses.dataclass(frozen=True, eq=False)
class Memory(Generic[S]):
    """What is remembered between two steps."""

    blocks: tuple[int, ...]
    """Whose features the spots are made of."""
    moments: Moments
    """Of the edited rows (1, rows, w_dim)."""
    course: Course
    """How the run has gone."""
    spots: Mapping[int, S]
    """Point → what is known of it; taken at the first step after it was put."""
    seen: Mapping[int, XY]
    """Point → the middle of what was read of the latent around it."""
    turn: int = 0
    """Steps since handles were last looked for."""
    leaf: Tensor | None = None
    """The latent of the edit as the tensor that features were read of; no file keeps it."""
    several: str = "joined"
    """How several blocks are weighed in the features of spots; see the setting ``several_blocks``."""

    def pack(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return it as tensors by name and values that JSON can hold."""
        kept = {
            f"{name}.{number}": each for number, spot in self.spots.items() for name, each in spot.tensors().items()
        }
        values = {
            "blocks": list(self.blocks),
            "turn": self.turn,
            "first_step": self.course.first_step,
            "nearest": list(self.course.nearest),
            "idle": self.course.idle,
            "adam_steps": self.moments.count,
            "seen": [[number, *xy] for number, xy in sorted(self.seen.items())],
            "spots": [[number, spot.values()] for number, spot in sorted(self.spots.items())],
        }
        if self.several != "joined":
            values["several"] = self.several
        return {FIRST: self.moments.first, SECOND: self.moments.second, **kept}, values

    @classmethod
    def unpack(
        cls,
        model: Generator,
        edit: Edit,
        blocks: tuple[int, ...],
        rows: int,
        kind: type[S],
        shapes: Mapping[str, tuple[int, ...]],
        tensors: Mapping[str, Tensor],
        values: Mapping[str, Any],
    ) -> Memory[S]:
        """Return the memory of a file.

        :param kind: of its spots. :param shapes: of their tensors, by name.
        :raises ValueError: if something is missing or does not fit the edit or the model.
        """
        several = values.get("several", "joined")
        if (
            set(values) - {"several"} != VALUES
            or values["blocks"] != list(blocks)
            or not isinstance(values["spots"], list)
        ):
            raise ValueError(INCOMPLETE)
        moments = (1, rows, model.w_dim)
        like = next(model.parameters())
        expected: dict[str, tuple[int, ...]] = {FIRST: moments, SECOND: moments}
        spots: dict[int, S] = {}
        for entry in values["spots"]:
            number, known = _spot(entry, edit)
            taken = {name: tensors.get(f"{name}.{number}") for name in shapes}
            expected.update({f"{name}.{number}": shape for name, shape in shapes.items()})
            _check_values(known, kind, shapes)
            spots[number] = kind(**{name: _placed(each, like) for name, each in taken.items()}, **known)
        if set(tensors) != set(expected):
            raise ValueError(INCOMPLETE)
        for name, tensor in tensors.items():
            if tuple(tensor.shape) != expected[name] or tensor.dtype != like.dtype or not torch.isfinite(tensor).all():
                raise ValueError(f"{name} has {tuple(tensor.shape)} numbers of {tensor.dtype}, or some not finite")
        if tensors[SECOND].numel() and tensors[SECOND].min() < 0:
            raise ValueError("a mean of squares is negative")
        turn, idle, count = (_whole(name, values[name]) for name in ("turn", "idle", "adam_steps"))
        first = _whole("first_step", values["first_step"])
        if first > edit.step:
            raise ValueError("the run began after the step that it is at")
        return cls(
            blocks,
            Moments(tensors[FIRST].to(like.device), tensors[SECOND].to(like.device), count),
            Course(first, _nearest(values["nearest"], edit), idle),
            spots,
            _places(values["seen"], edit, model),
            turn,
            several=several,
        )


def _spot(entry: Any, edit: Edit) -> tuple[int, dict[str, Any]]:
    if not isinstance(entry, (list, tuple)) or len(entry) != 2 or not isinstance(entry[1], dict):
        raise ValueError(INCOMPLETE)
    number, known = entry
    if type(number) is not int or number not in edit.ids:
        raise ValueError("what the engine remembers is of another edit")
    return number, known


def _check_values(known: Mapping[str, Any], kind: type[Spot], shapes: Mapping[str, Any]) -> None:
    named = {field.name: field.type for field in dataclasses.fields(kind) if field.name not in shapes}
    if set(known) != set(named):
        raise ValueError(INCOMPLETE)
    for name, value in known.items():
        good = type(value) is bool if named[name] == "bool" else type(value) in (int, float) and math.isfinite(value)
        if not good:
            raise ValueError(f"{name} of a point is {shown(value)}; it must be a {named[name]}")


def _placed(tensor: Tensor | None, like: Tensor) -> Tensor:
    if tensor is None:
        raise ValueError(INCOMPLETE)
    return tensor.to(like.device)


def _whole(name: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is {shown(value)}; it must be a whole number from 0 on")
    return value


def _nearest(values: Any, edit: Edit) -> tuple[float, ...]:
    good = isinstance(values, list) and len(values) in (0, len(edit.points))
    if not good or not all(type(each) in (int, float) and math.isfinite(each) for each in values):
        raise ValueError("it has not one nearest distance for each point")
    return tuple(float(each) for each in values)


def _places(entries: Any, edit: Edit, model: Generator) -> dict[int, XY]:
    if not isinstance(entries, list) or not all(isinstance(entry, list) and len(entry) == 3 for entry in entries):
        raise ValueError("the places of points are no list of numbers and places")
    if not {entry[0] for entry in entries} <= set(edit.ids):
        raise ValueError("what the engine remembers is of another edit")
    return {entry[0]: check_xy(f"the place of point {entry[0]}", entry[1:], model.resolution) for entry in entries}
