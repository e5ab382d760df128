"""What was done in an edit, in order: enough to do it again, which is how an edit becomes code.

A script is a tuple of ops, each a tuple that begins with its name:

``("config", DragConfig)``, ``("mask", array (H, W) or None)``, ``("add", id, handle, target)``,
``("handle", id, xy)``, ``("target", id, xy)``, ``("remove", id)`` and ``("steps", n)``. What no step has seen is not
kept: of a hundred moves of a target between two steps the last.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from draggan_widget.config import DragConfig

Op = tuple[Any, ...]
Script = tuple[Op, ...]


def written(script: Script, op: Op) -> Script:
    """The script and one more op."""
    name, last = op[0], script[-1] if script else ("",)
    if name == "steps" and last[0] == "steps":
        return (*script[:-1], ("steps", last[1] + op[1]))
    if name == "mask" and last[0] == "mask":
        return (*script[:-1], op)
    if name == "config" and last[0] == "config" and (last[1].method, last[1].block) == (op[1].method, op[1].block):
        return (*script[:-1], op)
    if name in ("handle", "target"):
        return _moved(script, op)
    return (*script, op)


def _moved(script: Script, op: Op) -> Script:
    """With a point moved, in the op that set it if no step was done since."""
    name, number, xy = op
    for place in range(len(script) - 1, -1, -1):
        earlier = script[place]
        if earlier[0] not in ("add", "handle", "target"):
            break
        if earlier[1] != number:
            continue
        if earlier[0] == "add":
            handle, target = earlier[2:]
            moved = ("add", number, *((xy, target) if name == "handle" else (handle, xy)))
        elif earlier[0] == name:
            moved = op
        else:
            continue
        return (*script[:place], moved, *script[place + 1 :])
    return (*script, op)


def until(script: Script, steps: int) -> Script:
    """As much of it as led to the state after so many steps, which nothing has changed since."""
    kept: list[Op] = []
    done = 0
    for op in script:
        if op[0] == "steps":
            if done + op[1] >= steps:
                return (*kept, ("steps", steps - done)) if steps > done else tuple(kept)
            done += op[1]
        kept.append(op)
    return tuple(kept)


def to_json(script: Script) -> tuple[list[Any], list[np.ndarray]]:
    """The script as values that JSON can hold, and its masks, to which it refers by number."""
    masks: list[np.ndarray] = []
    values: list[Any] = []
    for op in script:
        if op[0] == "config":
            values.append(["config", op[1].to_dict()])
        elif op[0] == "mask" and op[1] is not None:
            values.append(["mask", len(masks)])
            masks.append(op[1])
        else:
            values.append(list(op))
    return values, masks


def from_json(values: Iterable[Any], masks: list[np.ndarray]) -> Script:
    """The way back. :raises ValueError: for what is no script."""
    ops: list[Op] = []
    for value in values:
        match value:
            case ["config", dict(fields)]:
                ops.append(("config", DragConfig.from_dict(fields)))
            case ["mask", None]:
                ops.append(("mask", None))
            case ["mask", int(number)]:
                ops.append(("mask", masks[number]))
            case ["add", int(number), [x, y], [to_x, to_y]]:
                ops.append(("add", number, (float(x), float(y)), (float(to_x), float(to_y))))
            case ["handle" | "target" as name, int(number), [x, y]]:
                ops.append((name, number, (float(x), float(y))))
            case ["remove" | "steps" as name, int(number)]:
                ops.append((name, number))
            case _:
                raise ValueError(f"{value!r} is nothing that can be done in an edit")
    return tuple(ops)
