"""StyleGAN2 weights under other programs' names → ours, by a table that says where each of our tensors comes from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from draggan_widget.models.checkpoints.translation import fitted, shapes_only
from draggan_widget.models.checkpoints.values import Unreadable
from draggan_widget.models.stylegan2.network import SIZES, StyleGAN2
from draggan_widget.texts import quoted

MOST_BLOCKS = len(SIZES) + 1
"""Of 4 px to the largest size."""


@dataclasses.dataclass(frozen=True)
class From:
    """Where a tensor comes from: its name in the file, and what turns the file's layout into ours."""

    name: str
    change: Callable[[Tensor], Tensor] = lambda tensor: tensor


Table = dict[str, From]
"""Our names (of ``StyleGAN2.network.state_dict()``) → where from. Low-pass filters follow from the settings instead."""


def rows(ours: str, theirs: Mapping[str, From]) -> Table:
    """Return the rows of one layer: ``theirs`` by the last part of our names."""
    return {f"{ours}.{part}": origin for part, origin in theirs.items()}


def first_axes_dropped(number: int) -> Callable[[Tensor], Tensor]:
    """Return a change that drops leading dimensions of length 1, and leaves longer ones, which then do not fit."""
    return lambda tensor: tensor.reshape(tensor.shape[number:]) if set(tensor.shape[:number]) == {1} else tensor


def names_in(table: Table) -> list[str]:
    """Return the names in the file that a table asks for."""
    return [origin.name for origin in table.values()]


def translated(found: Mapping[str, Tensor], table: Table, config: dict[str, Any], *, kind: str) -> dict[str, Tensor]:
    """Return the whole state dict of ``StyleGAN2.from_config(config).network`` in float32, taken from ``found`` by the
    table.

    :param found: must have all ``names_in`` the table.
    :raises Unreadable: for settings that make no network, and for wrong shapes, numbers that are no floats, NaN and
        infinity, under the file's own names.
    """
    with shapes_only(kind, "StyleGAN2"):
        skeleton = StyleGAN2.from_config(config).network.state_dict()
    changed = {}
    for origin in table.values():
        tensor = found[origin.name]
        try:
            changed[origin.name] = origin.change(tensor)
        except (RuntimeError, IndexError) as error:
            shape = tuple(tensor.shape)
            raise Unreadable(
                f"is {kind}, but {quoted(origin.name)} has the shape {shape}; give it unchanged"
            ) from error
    tensors = fitted(changed, {origin.name: skeleton[ours] for ours, origin in table.items()}, kind=kind)
    return {ours: tensors[table[ours].name] if ours in table else like for ours, like in skeleton.items()}
