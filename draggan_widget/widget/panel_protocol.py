"""The messages of the panels that a page opens beside the picture: attributes, and engines side by side.

``protocol`` reads them with its own; ``js/src/protocol.ts`` and ``js/src/more/told.ts`` are the other half. To the page
they all are of the type "panel", for the page hands them to what it loads when the first of its panels is opened.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from draggan_widget.settings import as_number, check_whole
from draggan_widget.texts import one_line

LONGEST = 1000
"""Characters of a sentence that asks for something."""
MOST_NAMES = 200
"""Names in a message: more than there are attributes, or engines."""


@dataclasses.dataclass(frozen=True)
class More:
    """The code of the panels is wanted."""


@dataclasses.dataclass(frozen=True)
class Ask:
    """What is there: which attributes, how much of each the picture has, or which engines."""

    what: Literal["attributes", "values", "engines"]


@dataclasses.dataclass(frozen=True)
class ChangeTo:
    """Bring attributes to values in σ above the mean. ``pulling``: the slider is still held."""

    id: int
    values: Mapping[str, float]
    pulling: bool


@dataclasses.dataclass(frozen=True)
class Say:
    """Do what a text asks for."""

    id: int
    text: str


@dataclasses.dataclass(frozen=True)
class Prompt:
    """Make the picture of another prompt, of the same seed."""

    id: int
    text: str


@dataclasses.dataclass(frozen=True)
class Lock:
    """Hold an attribute, a group or a set such as "identity", or hold it no longer."""

    name: str
    on: bool


@dataclasses.dataclass(frozen=True)
class Mark:
    """Mark the picture that is shown as more or less of something, or take the mark of a number away."""

    side: Literal["more", "less"] | None
    number: int | None


@dataclasses.dataclass(frozen=True)
class Teach:
    """Find what the marked pictures differ in, and give it a name."""

    id: int
    name: str


@dataclasses.dataclass(frozen=True)
class Compare:
    """Do the pull by these engines, beside the edit."""

    engines: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Take:
    """Go on from what that engine has come to."""

    engine: str


Panel = More | Ask | ChangeTo | Say | Prompt | Lock | Mark | Teach | Compare | Take


def read_panel(message: Mapping[str, Any]) -> Panel | None:
    """Return a message of a panel, checked; None for one of another type.

    :raises ValueError: saying what is wrong with it. :raises KeyError: naming a field that is missing.
    """
    match message["type"]:
        case "more":
            return More()
        case "attributes" | "values" | "engines" as what:
            return Ask(what)
        case "change":
            return ChangeTo(_id(message), _values(message["values"]), bool(message["pulling"]))
        case "say":
            return Say(_id(message), _text("text", message["text"]))
        case "prompt":
            return Prompt(_id(message), _text("text", message["text"]))
        case "lock":
            return Lock(_text("name", message["name"]), bool(message["on"]))
        case "mark":
            side, number = message["side"], message["number"]
            if side not in ("more", "less", None) or (side is None) == (number is None):
                raise ValueError('a mark is "more" or "less", or the number of one to take away')
            return Mark(side, None if number is None else check_whole("the number of a mark", number))
        case "teach":
            return Teach(_id(message), _text("name", message["name"]))
        case "compare":
            names = message["engines"]
            if not isinstance(names, list) or not 0 < len(names) <= MOST_NAMES:
                raise ValueError("choose at least one engine to compare")
            return Compare(tuple(_text("engine", name) for name in names))
        case "take":
            return Take(_text("engine", message["engine"]))
        case _:
            return None


def panel_message(panel: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a panel is told."""
    return {"type": "panel", "panel": panel, "told": dict(told)}


def answer_message(number: int, notes: Sequence[str], *, done: bool = True) -> dict[str, Any]:
    """Return the answer to a message of that id: whether it was done, and what there is to say about it."""
    return panel_message("answer", {"id": number, "done": done, "notes": [one_line(note) for note in notes]})


def _id(message: Mapping[str, Any]) -> int:
    return check_whole("id", message["id"])


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST:
        raise ValueError(f"{name} must be a text of at most {LONGEST} characters")
    return value


def _values(values: Any) -> dict[str, float]:
    if not isinstance(values, Mapping) or not 0 < len(values) <= MOST_NAMES:
        raise ValueError("values must be names with numbers of σ")
    checked = {}
    for name, value in values.items():
        number = as_number(value)
        if number is None:
            raise ValueError(f"the value of {name!r} must be a number of σ")
        checked[str(name)] = number
    return checked
