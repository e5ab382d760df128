"""Which of the numbers of a built-in model say who or what is shown, and not how it is held or what it does."""

from __future__ import annotations

import functools
import importlib.resources
import json
from typing import TYPE_CHECKING, Any

from draggan_widget.models.mapped import mapping_fingerprint

if TYPE_CHECKING:
    from draggan_widget.models.base import Generator


def lasting(model: Generator) -> list[int]:
    """Return which numbers of ``z`` last while somebody moves: sex, shape, colours; nothing of a model of others.

    The file of attributes beside a built-in model names them: ``lasting`` lists attributes and groups of attributes.
    """
    known = _shipped(model.z_dim)
    return known.get(mapping_fingerprint(model), []) if known else []


@functools.cache
def _shipped(count: int) -> dict[str, list[int]]:
    """Return which numbers last by fingerprint, of the built-in models that have so many numbers."""
    folder = importlib.resources.files("draggan_widget.models") / "builtin"
    files = [file for file in folder.iterdir() if file.name.endswith("_attributes.json")]
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    alike = [values for values in found if len(values["attributes"]) == count]
    return {print_: _of(values) for values in alike for print_ in values["mapping"]}


def _of(values: dict[str, Any]) -> list[int]:
    names = set(values.get("lasting", ()))
    return [number for number, each in enumerate(values["attributes"]) if {each["name"], each["group"]} & names]
