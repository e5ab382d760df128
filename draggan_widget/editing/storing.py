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

from draggan_widget.dragging import DragState
from draggan_widget.dragging.state import Anchor

OWN = ("ws", "adam.first", "adam.second")
"""Of the tensors of a state, those that it shares with no other; their rows (1, num_ws, w_dim) are those edited."""


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

    def put_state(self, state: DragState) -> dict[str, Any]:
        """A state as values that JSON can hold, which name tensors by their numbers."""
        tensors, description = state.to_parts()
        bases = {"ws": tensors["w0"]}
        for name in OWN:
            changed = tensors[name] != bases.get(name, 0)
            edited = torch.nonzero(changed.any(dim=2).any(dim=0))
            tensors[name] = tensors[name][:, : int(edited[-1]) + 1 if len(edited) else 0]
        return {"state": description, "tensors": {name: self.put(tensor) for name, tensor in tensors.items()}}


class Stored:
    """What a ``Storage`` held, read again; states share what they shared.

    :param tensor: the tensor of a name. :param device: of the generator that is to go on.
    """

    def __init__(self, tensor: Callable[[str], Tensor], device: torch.device) -> None:
        self._read, self._device = tensor, device
        self._tensors: dict[int, Tensor] = {}
        self._arrays: dict[int, np.ndarray] = {}
        self._anchors: dict[int, Anchor] = {}

    def array(self, number: int) -> np.ndarray:
        """The array of that number. :raises LookupError: if there is none."""
        if number not in self._arrays:
            self._arrays[number] = self._read(_name(number)).numpy()
        return self._arrays[number]

    def state(self, entry: Mapping[str, Any]) -> DragState:
        """The state that ``Storage.put_state`` described. :raises ValueError: if something of it is missing."""
        numbers = entry["tensors"]
        tensors = {name: self._shared(number) for name, number in numbers.items() if name not in OWN}
        for name in OWN:
            rows = self._read(_name(numbers[name])).to(self._device)
            whole = tensors["w0"].clone() if name == "ws" else torch.zeros_like(tensors["w0"])
            if rows.dtype != whole.dtype or rows.shape != whole[:, : rows.shape[1]].shape:
                raise ValueError(f"{name} has rows {tuple(rows.shape)} of {rows.dtype}")
            whole[:, : rows.shape[1]] = rows
            tensors[name] = whole
        state = DragState.from_parts(tensors, entry["state"])
        anchor = self._anchors.setdefault(numbers["anchor"], state.anchor)
        # At the start both are one tensor, so that the generator computes one map for them.
        latent = anchor.latent if torch.equal(anchor.latent, state.latent) else state.latent
        return dataclasses.replace(state, anchor=anchor, latent=latent)

    def _shared(self, number: int) -> Tensor:
        if number not in self._tensors:
            self._tensors[number] = self._read(_name(number)).to(self._device)
        return self._tensors[number]


def _name(number: Any) -> str:
    if type(number) is not int:
        raise LookupError(f"no tensor {reprlib.repr(number)}")
    return str(number)
