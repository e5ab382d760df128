"""The states of an edit in few tensors: what they share is stored once, rows that were never edited not at all.

So a state takes, besides some hundred bytes, three times the rows that are edited: of the latent and of Adam's two
moments. With 6 rows of 18 that is as much as the latent alone. The file of 2,000 steps is of 80 MB at 1024 px (18 rows
of 512), and of 51 MB with the built-in faces; of 60 steps, 6.5 and 1.8 MB.
"""

from __future__ import annotations

import dataclasses
import hashlib
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines import (
    Bound,
    Edit,
    EditPoint,
    State,
    bind,
    check_mask,
    check_xy,
    engine_named,
    engine_names,
    engine_of,
)
from draggan_widget.engines.draggan import Anchor, BoundDragGAN, DragState, real_number, whole_number
from draggan_widget.files import shown
from draggan_widget.models import Generator, Layer

FIELDS = {
    *("engine", "settings", "points", "step", "latent", "origin", "mask", "held", "wish"),
    *("memory", "tensors", "loss"),
}
"""Of a state as ``Storage.put_state`` describes it."""
BELOW = "below"
"""The same, where a mask was set after steps: the layers that show outside of it."""
OWN = ("ws", "adam.first", "adam.second")
"""Of the tensors of a state in format 2, those that it shares with no other, of which the edited rows are stored."""


class EngineError(ValueError):
    """An engine that a file names cannot go on here: it is not there, or the model cannot serve it."""


class Storage:
    """Tensors by number, each value once."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        """Number → tensor, on the processor, none of which shares memory with another."""
        self._numbers: dict[bytes, int] = {}
        self._seen: dict[int, tuple[Any, int]] = {}

    def put(self, value: Tensor | np.ndarray) -> int:
        """The number of a tensor or array, which is stored if it is new."""
        if id(value) not in self._seen:
            tensor = (torch.from_numpy(value) if isinstance(value, np.ndarray) else value).detach().cpu().contiguous()
            bytes_ = tensor.view(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
            key = hashlib.sha256(f"{tuple(tensor.shape)} {tensor.dtype} ".encode() + bytes_).digest()
            if key not in self._numbers:
                self._numbers[key] = len(self._numbers)
                self.tensors[str(self._numbers[key])] = tensor.clone()
            # The value is kept along with its number, or another could come to have its id.
            self._seen[id(value)] = value, self._numbers[key]
        return self._seen[id(value)][1]

    def put_state(self, state: State, mask: np.ndarray | None) -> dict[str, Any]:
        """A state as values that JSON can hold, which name tensors by their numbers.

        :param mask: (H, W) of the edit, or None, as it was given.
        """
        edit = state.edit
        tensors, memory = state.bound.pack(state.memory)
        below = [[self.put(each.latent), None if each.mask is None else self.put(each.mask)] for each in edit.below]
        return {
            **({BELOW: below} if below else {}),
            "engine": engine_of(state.config).name,
            "settings": state.config.to_dict(),
            "points": [[point.id, list(point.handle), list(point.target), list(point.start)] for point in edit.points],
            "step": edit.step,
            "latent": self.put(_changed_rows(edit.latent, edit.origin)),
            "origin": self.put(edit.origin),
            "mask": None if mask is None else self.put(mask),
            "held": None if edit.held is None else self.put(edit.held),
            "wish": None if edit.wish is None else self.put(edit.wish),
            "memory": memory,
            "tensors": {name: self.put(tensor) for name, tensor in tensors.items()},
            "loss": dict(state.loss),
        }


def _changed_rows(latent: Tensor, origin: Tensor) -> Tensor:
    """The first rows (1, n, …) of a latent, up to the last that is not that of the origin."""
    if latent.ndim < 3 or latent.shape != origin.shape:
        return latent
    changed = torch.nonzero((latent != origin).flatten(2).any(dim=2).any(dim=0))
    return latent[:, : int(changed[-1]) + 1 if len(changed) else 0]


class Stored:
    """What a ``Storage`` held, read again; states share what they shared.

    :param tensor: the tensor of a name. :param model: that is to go on.
    """

    def __init__(self, tensor: Callable[[str], Tensor], model: Generator) -> None:
        self._read, self._model = tensor, model
        self._like = next(model.parameters())
        self._tensors: dict[str, Tensor] = {}
        self._masks: dict[str, np.ndarray | None] = {}
        self._bounds: dict[tuple[str, str], Bound[Any]] = {}
        self._anchors: dict[int, Anchor] = {}

    def masks(self, numbers: Any) -> list[np.ndarray | None]:
        """The masks of a list of numbers, the same array for the same number.

        :raises ValueError: if one is no mask of the model's pictures, or if it is no list. :raises TypeError: if one
            holds no numbers. :raises LookupError: if there is none of a number.
        """
        if not isinstance(numbers, list):
            raise ValueError("the numbers of its masks are no list")
        if None in numbers:
            raise LookupError("no tensor None")
        return [self._mask(number) for number in numbers]

    def state(self, entry: Mapping[str, Any]) -> tuple[State, np.ndarray | None]:
        """The state that ``Storage.put_state`` described, and its mask.

        :raises ValueError: if something of it is missing, or does not fit the model or its engine. :raises LookupError:
            likewise. :raises EngineError: if its engine is not there, or cannot serve the model.
        """
        if set(entry) - {BELOW} != FIELDS:
            raise ValueError("a state has other fields than it needs")
        bound = self._bound(entry["engine"], entry["settings"])
        mask, origin = self._mask(entry["mask"]), self._shared(entry["origin"])
        latent = self._with_rows("its latent", entry["latent"], origin)
        self._model.space.check(origin)
        self._model.space.check(latent)
        held, wish = (None if entry[name] is None else self._asked(name, entry[name]) for name in ("held", "wish"))
        if held is not None and (held.ndim != 2 or held.shape[1] != latent.numel()):
            raise ValueError(f"held has shape {held.shape}; it must be (n, {latent.numel()})")
        if wish is not None and wish.size != latent.numel():
            raise ValueError(f"wish has shape {wish.shape}; its latent has {tuple(latent.shape)}")
        points = tuple(self._point(point) for point in entry["points"])
        if len({point.id for point in points}) < len(points):
            raise ValueError("two points have one id")
        below = self._layers(entry.get(BELOW, []), origin)
        edit = Edit(latent, origin, points, mask, whole_number("step", entry["step"]), held, wish, below)
        tensors = {str(name): self._shared(number) for name, number in entry["tensors"].items()}
        memory = bound.unpack(edit, tensors, entry["memory"])
        loss = {str(name): real_number(f"loss {name}", value) for name, value in entry["loss"].items()}
        return State(bound, edit, memory, loss), mask

    def old_state(self, entry: Mapping[str, Any]) -> tuple[State, np.ndarray | None]:
        """The same of a file of format 2, which knew DragGAN alone."""
        numbers, mask = entry["tensors"], self._mask(entry["mask"])
        if ("mask" in numbers) != (mask is not None):
            raise ValueError("the mask of a state is not that of its edit")
        tensors = {name: self._shared(number) for name, number in numbers.items() if name not in OWN}
        for name in OWN:
            unedited = tensors["w0"] if name == "ws" else torch.zeros_like(tensors["w0"])
            tensors[name] = self._with_rows(name, numbers[name], unedited)
        state = DragState.from_parts(tensors, entry["state"])
        anchor = self._anchors.setdefault(numbers["anchor"], state.anchor)
        # At the start both are one tensor, so that the generator computes one map for them.
        latent = anchor.latent if torch.equal(anchor.latent, state.latent) else state.latent
        state = dataclasses.replace(state, anchor=anchor, latent=latent)
        bound = self._bound("draggan", state.config.to_dict())
        if not isinstance(bound, BoundDragGAN):
            raise ValueError("its settings are of a later format")
        step = bound.adopt(bound.check(state), mask)
        return State(bound, step.edit, step.memory, step.loss), mask

    def _bound(self, name: Any, settings: Any) -> Bound[Any]:
        if not isinstance(name, str) or not isinstance(settings, dict):
            raise ValueError("its engine is no text, or the settings of it are no dict")
        key = name, repr(settings)
        if key not in self._bounds:
            made = settings_of(name, settings)
            try:
                self._bounds[key] = bind(self._model, made)
            except ValueError as error:
                text = f"its engine {name} cannot serve this model: {error}"
                raise EngineError(text) from error
        return self._bounds[key]

    def _with_rows(self, what: str, number: Any, unedited: Tensor) -> Tensor:
        """Return a tensor of which the first rows are stored, and the others are those of ``unedited``."""
        rows = self._read(_name(number)).to(self._like.device)
        whole = unedited.clone()
        edited = whole if rows.ndim < 3 else whole[:, : rows.shape[1]]
        if whole.dtype != self._like.dtype or rows.dtype != whole.dtype or rows.shape != edited.shape:
            raise ValueError(f"{what} has rows {tuple(rows.shape)} of {rows.dtype}")
        edited.copy_(rows)
        return whole

    def _mask(self, number: Any) -> np.ndarray | None:
        if number is None:
            return None
        if (name := _name(number)) not in self._masks:
            self._masks[name] = check_mask(self._read(name).numpy(), self._model.resolution)
        return self._masks[name]

    def _layers(self, entries: Any, origin: Tensor) -> tuple[Layer, ...]:
        """The layers that show outside a mask. :raises ValueError: if they are none."""
        if not isinstance(entries, list) or not all(isinstance(each, list) and len(each) == 2 for each in entries):
            raise ValueError("what shows outside the mask is no list of latents and masks")
        layers = []
        for latent, mask in entries:
            shared = self._shared(latent)
            self._model.space.check(shared)
            layers.append(Layer(origin if torch.equal(shared, origin) else shared, self._mask(mask)))
        return tuple(layers)

    def _asked(self, what: str, number: Any) -> np.ndarray:
        """An array of finite numbers. :raises ValueError: if it is none."""
        array = self._read(_name(number)).numpy()
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ValueError(f"{what} holds {array.dtype}, or numbers that are not finite")
        return array

    def _point(self, values: Any) -> EditPoint:
        number, *places = values
        number = whole_number("the id of a point", number, 1)
        handle, target, start = (
            check_xy(
                f"a place of point {number}", [real_number("a place", each) for each in place], self._model.resolution
            )
            for place in places
        )
        return EditPoint(number, handle, target, start)

    def _shared(self, number: Any) -> Tensor:
        if (name := _name(number)) not in self._tensors:
            self._tensors[name] = self._read(name).to(self._like.device)
        return self._tensors[name]


def settings_of(name: str, fields: dict[str, Any]) -> Any:
    """The settings of an engine out of a file.

    :raises EngineError: if there is no such engine. :raises ValueError: if it cannot have them.
    """
    if name not in engine_names():
        known = ", ".join(engine_names())
        text = f"there is no engine {shown(repr(name))} here, only {known}; register it or update draggan_widget"
        raise EngineError(text)
    settings: Any = engine_named(name).Settings
    return settings.from_dict(fields)


def _name(number: Any) -> str:
    if type(number) is not int:
        raise LookupError(f"no tensor {reprlib.repr(number)}")
    return str(number)
