"""A torch module as a file records it: nested attributes, of which only tensors and plain settings count."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from draggan_widget.models.checkpoints.values import Record, Unreadable, describe

REBUILT = "_reconstruct_persistent_obj"
"""The function by which NVIDIA's programs have an object rebuilt from source text; its argument says the rest."""
DEEPEST = 12
"""Modules within modules; a generator has four."""
MOST = 20_000
"""Modules and tensors of a network, at most; parts that are shared count each time."""
LONGEST_NAME = 1000
"""Characters of a module's full name."""


@dataclasses.dataclass
class Module:
    """One module: its own tensors, the modules in it, and its other attributes, among them its settings."""

    own: dict[str, Any]
    children: dict[str, Module]
    attributes: Mapping[Any, Any]
    is_persistent: bool = False

    @classmethod
    def of(cls, value: Any) -> Module | None:
        """Return the module that a record stands for; None for anything else.

        :raises Unreadable: for modules nested without end.
        """
        return _module(value, 0, _Count())

    @classmethod
    def of_state_dict(cls, tensors: Mapping[str, Any]) -> Module:
        """Return a module that has nothing but tensors by their full names."""
        return cls(dict(tensors), {}, {})

    def tensors(self) -> dict[str, Any]:
        """Return all tensors by their full names, as in a state dict."""
        return {f"{path}{name}": tensor for path, module in self.modules() for name, tensor in module.own.items()}

    def modules(self, path: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all within it, each with the part that its names begin with, such as ``"mapping.fc0."``.

        :raises Unreadable: for names without end.
        """
        if len(path) > LONGEST_NAME:
            raise Unreadable("holds a network with parts of endless names; give a file as its program saved it")
        yield path, self
        for name, child in self.children.items():
            yield from child.modules(f"{path}{name}.")

    def part(self, prefix: str) -> Module:
        """Return the module that a prefix of names leads to, ``"decoder."``; ``""`` is this one."""
        if not prefix:
            return self
        name, _, rest = prefix.partition(".")
        if name in self.children:
            return self.children[name].part(rest)
        inside = {key[len(prefix) :]: tensor for key, tensor in self.own.items() if key.startswith(prefix)}
        return Module(inside, {}, {})

    def settings(self) -> dict[str, Any]:
        """Return the named arguments that the network was made with; empty if none are recorded."""
        return {str(name): value for name, value in items(self.attributes.get("_init_kwargs")).items()}

    def arguments(self) -> tuple[Any, ...]:
        """Return the unnamed arguments that the network was made with."""
        given = self.attributes.get("_init_args")
        return tuple(given) if isinstance(given, (tuple, list)) else ()


def is_module(value: Any) -> bool:
    """Return whether a value records a torch module, or an object that NVIDIA's programs rebuild from source text."""
    if not isinstance(value, Record):
        return False
    return value.name == REBUILT or bool({"_modules", "_parameters"} & items(value.state).keys())


class _Count:
    parts = 0

    def add(self, parts: int, depth: int) -> None:
        self.parts += parts
        if self.parts > MOST or depth > DEEPEST:
            raise Unreadable("holds a network whose parts are nested without end; give a file as its program saved it")


def _module(value: Any, depth: int, count: _Count) -> Module | None:
    if not isinstance(value, Record):
        return None
    persistent = value.name == REBUILT
    attributes = items(value.state)
    if persistent:
        given = value.args[0] if isinstance(value.args, tuple) and value.args else None
        attributes = items(items(given).get("state"))
    if "_modules" not in attributes and "_parameters" not in attributes:
        return Module({}, {}, {}, True) if persistent else None
    count.add(1 + sum(len(items(attributes.get(kind))) for kind in ("_parameters", "_buffers")), depth)
    passing = attributes.get("_non_persistent_buffers_set")
    left_out = passing if isinstance(passing, (set, frozenset)) else frozenset()
    own = {str(name): tensor for name, tensor in items(attributes.get("_parameters")).items() if tensor is not None}
    for name, tensor in items(attributes.get("_buffers")).items():
        if tensor is not None and name not in left_out:
            own[str(name)] = tensor
    children = {}
    for name, part in items(attributes.get("_modules")).items():
        if part is None:
            continue
        child = _module(part, depth + 1, count)
        if child is None:
            raise Unreadable(f"holds a network with {describe(part)} in it; give a file as its program saved it")
        children[str(name)] = child
    return Module(own, children, attributes, persistent)


def items(value: Any) -> Mapping[Any, Any]:
    """Return the content of a dict or of a record of a dict's subclass; empty for anything else."""
    content = value.items if isinstance(value, Record) else value
    return content if isinstance(content, dict) else {}


def is_off(value: Any) -> bool:
    """Return whether a setting is switched off: None, False, 0 or empty. An extension that is switched off draws
    nothing.
    """
    if isinstance(value, (str, list, tuple, dict)):
        return not value
    return value is None or value is False or (is_number(value) and value == 0)


def is_number(value: Any) -> TypeGuard[float]:
    """Return whether a value out of a file is a plain number that a float can hold."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -1e300 < value < 1e300
