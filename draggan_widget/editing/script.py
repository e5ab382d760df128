"""What was done in an edit, in order: enough to do it again, which is how an edit becomes code.

A script is a tuple of ops, each a tuple that begins with its name:

``("config", settings of an engine)``, ``("mask", array (H, W) or None)``, ``("add", id, handle, target)``,
``("handle", id, xy)``, ``("target", id, xy)``, ``("remove", id)``, ``("steps", n)``, ``("jump", settings of an
engine)``, which is a step too, ``("change", ((name, amount), …),
array (num_ws, w_dim))`` and ``("hold", names, array (n, numbers of a latent) or None)``. What no step has seen is not
kept: of a hundred moves of a target between two steps the last.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from draggan_widget.config import DragConfig
from draggan_widget.editing.compact_files import settings_of
from draggan_widget.editing.packing import packed, unpacked
from draggan_widget.engines import XY, check_jump, check_xy, engine_of
from draggan_widget.engines.draggan import LARGEST_WHOLE

ASKING = ("change", "hold")
"""Ops that change the state between two steps, which its record then shows."""
Op = tuple[Any, ...]
Script = tuple[Op, ...]


def written(script: Script, op: Op) -> Script:
    """Return the script and one more op."""
    name, last = op[0], script[-1] if script else ("",)
    if name == "steps" and last[0] == "steps":
        return (*script[:-1], ("steps", last[1] + op[1]))
    if name == "mask" and last[0] == "mask":
        return (*script[:-1], op)
    if name == "config" and last[0] == "config" and _alike(last[1], op[1]):
        return (*script[:-1], op)
    if name in ("handle", "target"):
        return _moved(script, op)
    return (*script, op)


def _alike(one: Any, other: Any) -> bool:
    """Return whether settings put handles at the same places and take the same features, so that only the later ones
    count.
    """
    return type(one) is type(other) and all(
        getattr(one, name, None) == getattr(other, name, None) for name in ("method", "block")
    )


def _moved(script: Script, op: Op) -> Script:
    """Return the script with a point moved, in the op that set it if no step was done since."""
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
    """Return the part of a script that led to the state after so many steps, which nothing has changed since."""
    kept: list[Op] = []
    done = 0
    for op in script:
        if op[0] == "steps":
            taken = min(op[1], steps - done)
            if taken:
                kept.append(("steps", taken))
            done += taken
            if taken < op[1]:
                break
        elif op[0] == "jump":
            if done == steps:
                break
            kept.append(op)
            done += 1
        elif done < steps or not done or op[0] in ASKING:
            kept.append(op)
        else:
            break
    return tuple(kept)


def to_json(script: Script) -> tuple[list[Any], list[np.ndarray]]:
    """Return the script as values that JSON can hold, and its masks, to which it refers by number."""
    masks: list[np.ndarray] = []
    values: list[Any] = []
    for op in script:
        if op[0] in ("config", "jump"):
            values.append([op[0], engine_of(op[1]).name, op[1].to_dict()])
        elif op[0] == "mask" and op[1] is not None:
            values.append(["mask", len(masks)])
            masks.append(op[1])
        elif op[0] in ASKING:
            values.append([op[0], [list(each) if op[0] == "change" else each for each in op[1]], packed(op[2])])
        else:
            values.append(list(op))
    return values, masks


def from_json(values: Any, masks: Sequence[np.ndarray | None], resolution: tuple[int, int]) -> Script:
    """Return the way back, to a script that can be carried out on pictures of ``resolution`` (H, W).

    :param masks: of these pictures, as ``check_mask`` leaves them.
    :raises ValueError: for what is no script. :raises TypeError: for settings of other fields. :raises EngineError: for
        an engine that is not there.
    """
    if not isinstance(values, list):
        raise ValueError(f"a script is {reprlib.repr(values)}; it must be a list")
    ops: list[Op] = []
    ids: set[int] = set()
    for value in values:
        op = _op(value, masks, resolution)
        if op[0] in ("add", "handle", "target", "remove") and (op[1] in ids) == (op[0] == "add"):
            there = "a point of that id already" if op[1] in ids else "no such point"
            raise ValueError(f"{reprlib.repr(value)} cannot be done: there is {there}")
        ids ^= {op[1]} if op[0] in ("add", "remove") else set()
        ops.append(op)
    if not ops or ops[0][0] != "config":
        raise ValueError("a script begins with settings")
    return tuple(ops)


def _op(value: Any, masks: Sequence[np.ndarray | None], resolution: tuple[int, int]) -> Op:
    match value:
        case ["config", dict(fields)]:  # of format 2, which knew no other engine
            return "config", DragConfig.from_dict(fields)
        case ["config", str(name), dict(fields)]:
            return "config", settings_of(name, fields)
        case ["jump", str(name), dict(fields)]:
            return "jump", check_jump(settings_of(name, fields))
        case ["mask", None]:
            return "mask", None
        case ["mask", int(number)] if _whole(number, 0, len(masks) - 1):
            return "mask", masks[number]
        case ["change", [*amounts], array] if array is not None and all(map(_is_amount, amounts)):
            return "change", tuple((name, float(amount)) for name, amount in amounts), unpacked(array)
        case ["hold", [*names], array] if all(isinstance(name, str) for name in names):
            return "hold", tuple(names), unpacked(array)
        case ["add", int(number), handle, target] if _whole(number, 1):
            return "add", number, _xy(number, handle, resolution), _xy(number, target, resolution)
        case ["handle" | "target" as name, int(number), xy] if _whole(number, 1):
            return name, number, _xy(number, xy, resolution)
        case ["remove" | "steps" as name, int(number)] if _whole(number, 1):
            return name, number
    raise ValueError(f"{reprlib.repr(value)} is nothing that can be done in an edit")


def _is_amount(value: Any) -> bool:
    match value:
        case [str(), int() | float() as amount]:
            return not isinstance(amount, bool) and math.isfinite(amount)
    return False


def _whole(number: Any, least: int, most: int = LARGEST_WHOLE) -> bool:
    return not isinstance(number, bool) and least <= number <= most


def _xy(number: int, xy: Any, resolution: tuple[int, int]) -> XY:
    if not isinstance(xy, list) or any(isinstance(each, bool) or not isinstance(each, (int, float)) for each in xy):
        raise ValueError(f"a place of point {number} is {reprlib.repr(xy)}; it must be [x, y]")
    return check_xy(f"a place of point {number}", xy, resolution)
