"""Texts that come out of files: shown shortened and escaped, read as JSON within bounds.

Whoever made a file chose its texts. They reach terminals, pages and notebooks, so each is cut to a length that can be
read, and what is no character to look at (escape sequences, line breaks, lone surrogates) is written as an escape.
"""

from __future__ import annotations

import json
import math
import os
import re
from typing import Any

LONGEST_NAME = 80
"""Characters of a name that are shown."""
FEW = 8
"""Numbers and words of a list that is shown as it is."""
LONGEST_PATH = 160
LONGEST_MESSAGE = 1000
MOST_VALUES = 200_000
"""Values that a JSON text may have. A model's header has some hundreds."""
DEEPEST = 32
"""Lists and objects within one another; a header has four."""
LONGEST_WHOLE = 20
"""Characters of a whole number: 64 bits."""


def printable(text: str, most: int = LONGEST_NAME) -> str:
    """Return ``text`` with at most ``most`` characters of it, and escapes for those that are not printable."""
    kept = text if len(text) <= most else f"{text[: most - 1]}…"
    if kept.isprintable():
        return kept
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in kept
    )


def quoted(value: object, most: int = LONGEST_NAME) -> str:
    """Return any value out of a file as a short phrase: texts in quotes, numbers as such, else the kind of value.

    Containers of more than a few numbers are not gone into: a thousand times the same long text costs nothing.
    """
    if isinstance(value, str):
        return repr(value if len(value) <= most else f"{value[: most - 1]}…")
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return f"a whole number of {value.bit_length():,} bits"
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)) and len(value) <= FEW and all(_is_short(part) for part in value):
        return repr(value)
    if isinstance(value, (list, tuple, dict, set, frozenset, bytes, bytearray)):
        return f"a {type(value).__name__} of {len(value):,}"
    return f"a {type(value).__name__}"


def _is_short(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= FEW
    return value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 10**FEW)


def shown_path(path: str | os.PathLike[str]) -> str:
    """Return a path to show: escaped, and where it is very long its beginning and its end."""
    text = os.fspath(path)
    if len(text) > LONGEST_PATH:
        text = f"{text[: LONGEST_PATH // 2 - 1]}…{text[-LONGEST_PATH // 2 :]}"
    return printable(text, LONGEST_PATH)


def one_line(error: BaseException | str, most: int = LONGEST_MESSAGE) -> str:
    """Return what an error says, as one line to show."""
    text = error if isinstance(error, str) else (str(error) or type(error).__name__)
    return printable(" ".join(text[: 2 * most].split()) if len(text) <= most else text, most)


def read_json(
    text: bytes | memoryview | str,
    *,
    most_values: int = MOST_VALUES,
    deepest: int = DEEPEST,
    any_number: bool = False,
) -> Any:
    """Return the value of a JSON text that somebody else wrote.

    :param any_number: whether numbers beyond 64 bits, infinity and NaN are taken, which ``json.dumps`` writes as well.
    :raises ValueError: and nothing else, for what is no JSON; for more than ``most_values`` values, or more than about
        ``deepest`` within one another; for names that an object has twice, and for numbers that are not taken.
    """
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
    if sum(content.count(mark) for mark in (b",", b"[", b"{")) > most_values:
        raise ValueError(f"JSON of more than {most_values:,} values")
    # Looked at first, since the reader of the standard library goes as deep as the text does.
    structure = STRING.sub(b"", content.replace(b"\\\\", b"").replace(b'\\"', b"")).translate(None, NO_BRACKETS)
    for _ in range(deepest):
        structure = structure.replace(b"[]", b"").replace(b"{}", b"")
    if structure:
        raise ValueError(f"no JSON, or nested more than {deepest} deep")
    numbers: dict[str, Any] = (
        {} if any_number else {"parse_int": _whole, "parse_float": _finite, "parse_constant": _finite}
    )
    try:
        return json.loads(content, object_pairs_hook=_once, **numbers)
    except (RecursionError, MemoryError) as error:
        raise ValueError("JSON that is too large") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("JSON with an object that has a name twice")
    return made


def _whole(digits: str) -> int:
    if len(digits) > LONGEST_WHOLE:
        raise ValueError(f"JSON with a number of {len(digits):,} digits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits) if len(digits) <= 400 else math.inf
    if not math.isfinite(number):
        raise ValueError(f"JSON with the number {digits[:20]}")
    return number


STRING = re.compile(rb'"[^"]*"')
NO_BRACKETS = bytes(sorted(set(range(256)) - set(b"[]{}")))
