"""Work in parts: a generator that yields after each part, so that it can be left there, and returns its result."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Generator as Work
from typing import TypeVar

S = TypeVar("S")
R = TypeVar("R")


def ended(work: Work[S, None, R], tell: Callable[[S], object] = lambda _: None) -> R:
    """Do all of some work, and return its result.

    :param tell: called with what it yields; what it raises ends the work there.
    """
    while True:
        try:
            part = next(work)
        except StopIteration as end:
            result: R = end.value
            return result
        tell(part)
