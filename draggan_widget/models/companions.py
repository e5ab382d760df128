"""Networks that were trained for one model, such as its encoder, and their files: safetensors in half precision."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import nn

from draggan_widget.files import readable, write_whole
from draggan_widget.texts import one_line, read_json, shown_path

N = TypeVar("N", bound=nn.Module)


def save_companion(network: nn.Module, path: str | os.PathLike[str], header: str, told: Mapping[str, Any]) -> None:
    """Write a network, whole or not at all. :raises OSError: if it cannot be written.

    :param header: the key under which the file says what it is. :param told: what it says, with its ``format``.
    """
    tensors = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().contiguous().clone()
        for name, tensor in network.state_dict().items()
    }
    write_whole(path, safetensors.torch.save(tensors, {header: json.dumps(told)}))


def load_companion(path: str | os.PathLike[str], what: str, made: Callable[[Path], N]) -> N:
    """Return the network of a file, in float32 and for use.

    :param what: with its article, for messages. :param made: makes the untrained network that a file tells of.
    :raises FileNotFoundError: if there is none. :raises ValueError: if it is damaged, or something else.
    """
    found = readable(path, what)
    try:
        network = made(found)
        network.load_state_dict(safetensors.torch.load(found.read_bytes()))
        network.float()
        if not all(bool(torch.isfinite(tensor).all()) for tensor in network.state_dict().values()):
            raise ValueError("it holds NaN or infinite numbers")
    except Exception as error:
        kind, reason = what.partition(" ")[2], one_line(error, 120)
        raise ValueError(f"{shown_path(path)} is no {kind} that can be used ({reason}); train it again") from error
    network.eval().requires_grad_(False)
    return network


def told_by(file: Path, header: str, form: int) -> dict[str, Any]:
    """Return what a file says of itself, but for its ``format``.

    :raises ValueError: if that is not what ``save_companion`` writes.
    """
    try:
        with safetensors.safe_open(file, "pt") as opened:
            described = (opened.metadata() or {}).get(header)
    except safetensors.SafetensorError as error:
        raise ValueError("it is damaged") from error
    if described is None:
        raise ValueError("it is something else")
    told = read_json(described)
    if not isinstance(told, dict) or told.pop("format", None) != form:
        raise ValueError("it is of another format")
    return told
