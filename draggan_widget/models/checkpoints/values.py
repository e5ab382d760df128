"""What a file's content becomes: plain Python values, tensors, arrays, and inert stand-ins for everything else."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from draggan_widget.texts import printable, quoted

MOST_NESTED = 200
"""Containers within containers, at most; a network of networks needs some fifty."""


class Unreadable(ValueError):  # noqa: N818 - it says a state of the file, and is a ValueError to catch
    """A file that cannot be taken. The text says what was found and what would work, and follows the file's name."""


@dataclasses.dataclass(frozen=True)
class Name:
    """A class, function or constant that a file names. It is never imported and never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclasses.dataclass(eq=False, repr=False)
class Record:
    """Something that a file wants constructed and that is nothing known here: only written down, never called.

    An object of a class has its ``__dict__`` (or whatever it was pickled with) as ``state``; a subclass of dict, as
    dnnlib's EasyDict, has its content in ``items``; a subclass of list in ``elements``. Records equal only themselves.
    """

    module: str
    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    state: Any = None
    items: dict[Any, Any] = dataclasses.field(default_factory=dict)
    elements: list[Any] = dataclasses.field(default_factory=list)

    def __repr__(self) -> str:
        # A record may hold itself, or megabytes of source text.
        return f"<Record of {printable(f'{self.module}.{self.name}')}>"


CONTAINERS = (dict, list, tuple, set, frozenset, Record)


def children(value: Any) -> list[Any]:
    """Return the values directly within a container or record; none for anything else."""
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if isinstance(value, Record):
        return [value.args, value.kwargs, value.state, value.items, value.elements]
    return []


def walk(value: Any) -> Iterator[Any]:
    """Yield ``value`` and everything within it, containers and records once, in no particular order; ends on cycles
    too.
    """
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, CONTAINERS):
            if id(current) in seen:
                continue
            seen.add(id(current))
            waiting += children(current)
        yield current


def check_nesting(value: Any) -> None:
    """:raises Unreadable: for containers nested deeper than ``MOST_NESTED``, however they share parts.

    Whoever goes through a value by recursion is safe after this, cycles aside.
    """
    heights: dict[int, int] = {}  # of those finished; those under way have 0, so that a cycle adds nothing
    waiting: list[tuple[Any, bool]] = [(value, False)]
    while waiting:
        current, finished = waiting.pop()
        if finished:
            within = [heights.get(id(child), 0) for child in children(current)]
            heights[id(current)] = 1 + max(within, default=0)
            if heights[id(current)] > MOST_NESTED:
                raise Unreadable(f"nests containers more than {MOST_NESTED} deep, as no model does")
        elif id(current) not in heights:
            heights[id(current)] = 0
            waiting.append((current, True))
            waiting += [(child, False) for child in children(current) if isinstance(child, CONTAINERS) and child]


def plain(value: Any, *, most: int = 100_000) -> Any:
    """Return a copy made of dict, list, str, int, float, bool and None only, as JSON takes: for settings out of a file.

    Tuples become lists, records with items (EasyDict) dicts, keys strings.

    :param most: values that the copy may have, all levels together.
    :raises Unreadable: for tensors, arrays, other records and names, for cycles, and for more than ``most`` values.
    """
    left = most

    def copy(part: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or depth > 50:
            raise Unreadable("holds settings that are nested without end")
        if part is None or isinstance(part, (bool, int, float, str)):
            return part
        if isinstance(part, (list, tuple)):
            return [copy(element, depth + 1) for element in part]
        if isinstance(part, Record) and not (part.args or part.state or part.elements):
            part = part.items
        if isinstance(part, dict):
            return {str(key): copy(element, depth + 1) for key, element in part.items()}
        raise Unreadable(f"holds {describe(part)} among its settings")

    return copy(value, 0)


def describe(value: Any) -> str:
    """Return a short phrase with an article for what was found in a file: "a dict with the keys 'G', 'D' and
    'G_ema'".
    """
    if isinstance(value, dict):
        if value and all(isinstance(part, Tensor) for part in value.values()):
            return f"{_count(len(value), 'tensor')} by name ({_listed([_named(key) for key in value])})"
        if not value:
            return "an empty dict"
        return f"a dict with the {'key' if len(value) == 1 else 'keys'} {_listed([_short(key) for key in value])}"
    if isinstance(value, Record):
        return f"an object of {printable(f'{value.module}.{value.name}')}"
    if isinstance(value, Name):
        return f"the name {printable(str(value))}"
    if isinstance(value, Tensor):
        return f"a single tensor of shape {tuple(value.shape)}"
    if isinstance(value, np.ndarray):
        return f"a single array of shape {value.shape}"
    if isinstance(value, (list, tuple, set, frozenset)):
        return f"a {type(value).__name__} of {_count(len(value), 'value')}"
    if isinstance(value, str):
        return f"the text {_short(value)}"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"a string of {_count(len(value), 'byte')}"
    if value is None:
        return "nothing (None)"
    if isinstance(value, (bool, int, float)):
        return f"the number {_short(value)}"
    return f"a {type(value).__name__}"


def _short(value: Any) -> str:
    return quoted(value, 41) if isinstance(value, (str, bool, int, float, type(None))) else describe(value)


def _named(key: Any) -> str:
    return printable(key) if isinstance(key, str) else _short(key)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _listed(names: list[str], most: int = 6) -> str:
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
