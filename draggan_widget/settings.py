"""What a setting is: its name, its kind, its label and help for people, and the values that it may have.

A setting is declared once, as a field of a frozen dataclass that inherits from ``Settings``, by ``number``, ``whole``,
``choice``, ``rows``, ``blocks`` or ``tracker``. From there come the checks, the traits of the editor, the fields of the
page's drawer, and the help of the command line. Nothing here needs torch or numpy.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar

Kind = Literal["number", "whole", "choice", "rows", "blocks", "tracker"]
OWN = "own"
"""The tracker of an engine itself."""
TRACKERS = {
    OWN: "the engine's own",
    "features": "nearest features",
    "metric": "learned metric",
    "flow": "optical flow",
    "raft": "RAFT",
    "pips": "PIPs",
}
"""Who may say where handles are, and what the page calls them; besides these, features of certain blocks."""
OF_BLOCKS = re.compile(r"features:([1-9]\d?(?:\+[1-9]\d?)*)")
LONGEST_SHOWN = 60
"""Characters of a refused value that an error shows."""


class SettingError(ValueError):
    """A setting with a value that it may not have; the text names both, and what may be given."""


def as_number(value: Any) -> float | None:
    """Return ``value`` as a float if it is one finite real number of any kind, else None.

    Numbers are those of Python, numpy and torch (scalars, and arrays of no dimension), fractions and decimals. A bool
    is none, nor is text.
    """
    value = _plain(value)
    if value is None:
        return None
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def as_whole(value: Any) -> int | None:
    """Return ``value`` as an int if it is one whole number of any kind, else None. See ``as_number``.

    30.0 is a real number and no whole one, as in Python itself; a fraction whose denominator is 1 is one.
    """
    value = _plain(value)
    return int(value.numerator) if isinstance(value, numbers.Rational) and value.denominator == 1 else None


def shown(value: Any) -> str:
    """Return ``value`` as an error shows it: in one short line, whatever it is."""
    try:
        text = repr(value)
    except Exception:  # of a number with too many digits, or of somebody else's class
        return f"a {type(value).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def check_whole(name: str, value: Any, least: int = 0, most: int | None = None) -> int:
    """Return ``value`` as an int. :raises SettingError: if it is no whole number from ``least`` to ``most``."""
    number = as_whole(value)
    if number is None or number < least or (most is not None and number > most):
        wanted = f"of at least {least}" if most is None else f"from {least:,} to {most:,}"
        raise SettingError(f"{name} is {shown(value)}; it must be a whole number {wanted}")
    return number


def _plain(value: Any) -> Any:
    """Return a real number as it is, or taken out of an array of no dimension; None for anything else."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        try:
            value = value.item()
        except Exception:  # a tensor without values
            return None
    real = isinstance(value, numbers.Number) and not isinstance(value, (bool, complex))
    return value if real else None


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a model has, as far as settings depend on it."""

    rows: int
    """Rows of its latent."""
    blocks: tuple[int, ...]
    """Synthesis blocks whose features can be read, coarse to fine."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """One setting."""

    name: str
    kind: Kind
    label: str
    """What it is called in the page."""
    help: str
    """A sentence or two for people."""
    least: float = 0
    most: float = math.inf
    above: bool = False
    """Whether ``least`` itself is too little."""
    none: str | None = None
    """What None means, in a word or two; without it the setting may not be None."""
    choices: tuple[tuple[str, str], ...] = ()
    """Of a choice: value and text of each."""
    advanced: bool = False
    """Whether it is for people who know the method."""

    @property
    def wanted(self) -> str:
        """What may be given, to go on after "it must be"."""
        if self.kind == "choice":
            return f"one of {', '.join(value for value, _ in self.choices)}"
        if self.kind == "blocks":
            return "a whole number of at least 1 or None"
        if self.kind == "tracker":
            return f"one of {', '.join(TRACKERS)}, or features of blocks such as features:4+5"
        kind = "a number" if self.kind == "number" else "a whole number"
        span = f"above {self.least:,g} and up to {self.most:,g}" if self.above else ""
        return f"{kind} {span or f'from {self.least:,g} to {self.most:,g}'}{', or None' if self.none else ''}"

    def check(self, value: Any, limits: Limits | None = None) -> Any:
        """Return ``value`` as Python's own int, float, str, tuple or None.

        :param limits: of the model that it is for, where that is known.
        :raises SettingError: if the setting may not have that value.
        """
        if self.kind == "choice":
            if not isinstance(value, str) or value not in dict(self.choices):
                wanted = f"choose {self.wanted}"
                raise SettingError(f"{self.name} is {shown(value)}; {wanted}")
            return str(value)
        if value is None and self.none:
            return None
        if self.kind == "tracker":
            return self._check_tracker(value, limits)
        if self.kind == "blocks":
            return self._check_blocks(value, limits)
        number = as_number(value) if self.kind == "number" else as_whole(value)
        if number is None or number > self.most or (number <= self.least if self.above else number < self.least):
            raise SettingError(f"{self.name} is {shown(value)}; it must be {self.wanted}")
        if self.kind == "rows" and limits is not None and number > limits.rows:
            raise SettingError(f"{self.name} is {number}; this generator has rows 1 to {limits.rows}")
        return number

    def _check_blocks(self, value: Any, limits: Limits | None) -> int | tuple[int, ...]:
        """Return one block as it is; several, from whatever held them, as a tuple in rising order."""
        several = isinstance(value, (list, tuple))
        found = []
        for each in value if several else [value]:
            number = as_whole(each)
            if number is None or number < 1:
                raise SettingError(f"{self.name} is {shown(each)}; it must be {self.wanted}")
            found.append(number)
        if not found or len(set(found)) < len(found):
            example = "name one block, or several different ones, such as (5, 6)"
            raise SettingError(f"{self.name} is {shown(value)}; {example}")
        if limits is not None and not set(found) <= set(limits.blocks):
            told = shown(tuple(found) if several else found[0])
            first, last = limits.blocks[0], limits.blocks[-1]
            raise SettingError(f"{self.name} is {told}; this generator has blocks {first} to {last}")
        return tuple(sorted(found)) if len(found) > 1 else found[0]

    def _check_tracker(self, value: Any, limits: Limits | None) -> str:
        found = OF_BLOCKS.fullmatch(value) if isinstance(value, str) else None
        if found is None and (not isinstance(value, str) or value not in TRACKERS):
            raise SettingError(f"{self.name} is {shown(value)}; it must be {self.wanted}")
        if found is not None and limits is not None:
            numbers = [int(block) for block in found.group(1).split("+")]
            self._check_blocks(numbers if len(numbers) > 1 else numbers[0], limits)
        return str(value)

    def schema(self, limits: Limits) -> dict[str, Any]:
        """Return all of it as JSON, with what a model of these ``limits`` has: the page draws its field from this."""
        most: float | None = limits.rows if self.kind == "rows" else self.most
        choices = [list(choice) for choice in self.choices]
        if self.kind == "blocks":
            choices = [[str(block), str(block)] for block in limits.blocks]
        if self.kind == "tracker":
            choices = [[value, text] for value, text in TRACKERS.items()]
            choices += [[f"features:{block}", f"features of block {block}"] for block in limits.blocks]
        return {
            "name": self.name,
            "kind": "choice" if self.kind == "tracker" else self.kind,
            "label": self.label,
            "help": self.help,
            "least": self.least,
            "most": most if most is not None and math.isfinite(most) else None,
            "above": self.above,
            "none": self.none,
            "choices": choices,
            "advanced": self.advanced,
        }


def number(
    default: float | None,
    label: str,
    help: str,
    *,
    least: float = 0,
    most: float,
    above: bool = False,
    none: str | None = None,
    advanced: bool = False,
) -> Any:
    """Return a field for a real number from ``least`` to ``most``. The other arguments are those of ``Setting``."""
    return _field(default, "number", label, help, least=least, most=most, above=above, none=none, advanced=advanced)


def whole(
    default: int | None,
    label: str,
    help: str,
    *,
    least: int = 0,
    most: int,
    none: str | None = None,
    advanced: bool = False,
) -> Any:
    """Return a field for a whole number from ``least`` to ``most``."""
    return _field(default, "whole", label, help, least=least, most=most, none=none, advanced=advanced)


def choice(default: str, label: str, help: str, choices: Mapping[str, str], *, advanced: bool = False) -> Any:
    """Return a field for one of ``choices``, a text for each value."""
    return _field(default, "choice", label, help, choices=tuple(choices.items()), advanced=advanced)


def blend(default: str) -> Any:
    """A field that several engines have: what shows outside the mask, ``"features"``, ``"picture"`` or ``"none"``."""
    return choice(
        default,
        "Outside the mask",
        "What shows there: the picture as it was when the mask was set, joined to the pulled one without a seam or "
        "faded into it, or all that the pull has changed.",
        {"features": "as it was", "picture": "as it was, faded", "none": "as pulled"},
    )


def tolerance(default: float | None = 1.0, help: str | None = None, *, none: str | None = None) -> Any:
    """A field that all engines have: how near its target a handle has arrived.

    :param help: where it is not pixels. :param none: as that of ``Setting``.
    """
    told = help or "A handle has arrived when it is so near its target, in pixels."
    return number(default, "Arrived within", told, most=1000, none=none, advanced=True)


def max_steps(default: int, *, none: str | None = "no cap") -> Any:
    """A field that several engines have: how many steps a run may take. :param none: "" where there must be a cap."""
    return whole(default, "Step cap", "A run ends after so many steps.", least=1, most=100_000, none=none or None)


def stall_steps(default: int, counted: str = "trackings") -> Any:
    """A field that several engines have: how long a run goes on that brings no handle nearer. :param counted: what."""
    return whole(
        default,
        "Patience",
        f"A run ends when no handle has come nearer for so many {counted}.",
        least=1,
        most=100_000,
        none="endless",
        advanced=True,
    )


def several_blocks() -> Any:
    """A field that several engines have: how the features of several blocks are weighed against each other."""
    return choice(
        "joined",
        "Several blocks",
        "How the features of several blocks count: as large as they are, or each block as much as the others.",
        {"joined": "as they are", "scaled": "all alike"},
        advanced=True,
    )


def window() -> Any:
    """A field that several engines have: whether all of the search radius is looked through after each step."""
    return choice(
        "fixed",
        "Search window",
        "All of the search radius, or less of it while the handle goes slowly and is told from what is around it.",
        {"fixed": "fixed", "adaptive": "as the handle goes"},
        advanced=True,
    )


def on_lost() -> Any:
    """A field that several engines have: what is done when a handle is no longer found."""
    return choice(
        "go_on",
        "When a handle is lost",
        "Whether a run ends, with the best state so far, when what is found is not what was grabbed.",
        {"go_on": "go on", "stop": "stop, keep the best"},
        advanced=True,
    )


def rows(default: int, label: str, help: str, *, most: int, advanced: bool = False) -> Any:
    """Return a field for a number of rows of the latent, from 1 on. More than a model has are refused for it."""
    return _field(default, "rows", label, help, least=1, most=most, advanced=advanced)


def blocks(default: int | tuple[int, ...] | None, label: str, help: str, *, advanced: bool = False) -> Any:
    """Return a field for one or several synthesis blocks, or None for those that suit a model."""
    return _field(default, "blocks", label, help, least=1, none="the model's own", advanced=advanced)


def stay_near() -> Any:
    """A field that several engines have: the weight of keeping the latent near where the edit began."""
    return number(
        0.0,
        "Pull to the start",
        "How strongly the latent is kept near where the edit began.",
        most=10_000,
        advanced=True,
    )


def truncate() -> Any:
    """A field that several engines have: which part of its way from the mean a latent gives back in each step."""
    return number(
        0.0,
        "Pull to the mean",
        "Which part of its way from the model's mean the latent gives back in each step.",
        most=0.1,
        advanced=True,
    )


def typical() -> Any:
    """A field that several engines have: how far from the mean rows of a latent may go."""
    return number(
        None,
        "Kept typical",
        "How far out a row of the latent may go, as a mean square in which the model's own are about 1.",
        above=True,
        most=1000,
        none="as far as it goes",
        advanced=True,
    )


def tracker() -> Any:
    """A field that several engines have: who says where the handles are after a step."""
    return _field(
        OWN,
        "tracker",
        "Tracking",
        "Who says where the handles are after a step; RAFT and PIPs need weights that you bring.",
        advanced=True,
    )


def _field(default: Any, kind: Kind, label: str, help: str, **more: Any) -> Any:
    return dataclasses.field(default=default, metadata={"setting": Setting("", kind, label, help, **more)})


def settings_in(cls: Any) -> dict[str, Setting]:
    """Return the settings that are declared in a dataclass, by name and in their order."""
    return {
        field.name: dataclasses.replace(field.metadata["setting"], name=field.name)
        for field in dataclasses.fields(cls)
        if "setting" in field.metadata
    }


S = TypeVar("S", bound="Settings")


@dataclasses.dataclass(frozen=True)
class Settings:
    """A base for the settings of an engine: frozen dataclasses, whose fields are declared as above.

    Values are checked when the settings are made, and become Python's own numbers whatever kind of number they were.

    :raises SettingError: for the first field that has a value it may not have; the text names the field, the value and
        what may be given.
    """

    KIND: ClassVar[str] = "settings"
    """What errors call them."""
    FORMER: ClassVar[Mapping[str, Any]] = {}
    """What fields hold that are missing from a file because it was written before there were any such."""

    def __post_init__(self) -> None:
        for name, setting in settings_in(type(self)).items():
            object.__setattr__(self, name, setting.check(getattr(self, name)))

    def replace(self: S, **changes: Any) -> S:
        """Return a copy with some fields changed and checked."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as values that JSON can hold; ``from_dict`` is the way back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls: type[S], fields: Mapping[str, Any]) -> S:
        """Return the settings of ``to_dict``; fields left out have what ``FORMER`` says, or their defaults.

        :raises ValueError: for a field that this version does not know.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(fields) - known):
            raise ValueError(f"unknown {cls.KIND} {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        return cls(**{**cls.FORMER, **fields})


def help_text(settings: Sequence[Setting], defaults: Mapping[str, Any], width: int = 79) -> str:
    """Return the settings as lines for a terminal: what each does, what may be given, and what holds without it."""
    paragraphs = []
    for setting in settings:
        default = defaults[setting.name]
        said = setting.none if default is None else default
        about = f"{setting.help} {setting.wanted[0].upper()}{setting.wanted[1:]}; {said} by default."
        paragraphs += [
            f"  {setting.name}",
            textwrap.fill(about, width, initial_indent=" " * 6, subsequent_indent=" " * 6),
        ]
    return "\n".join(paragraphs)
