"""How a run goes: whether one is on, when its next step may begin, how fast it goes, and whether it rests."""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable
from typing import TypeVar

from draggan_widget.editing.changes import with_jump, with_steps
from draggan_widget.editing.document import Document
from draggan_widget.editing.thread_tuner import Threads

T = TypeVar("T")
RATE_WINDOW = 10
"""Steps, or times that several are taken at once, over which the step rate is averaged."""
RESTS_AFTER = 0.2
"""Seconds without a step after which a run that waits for the pointer is resting: a hand that pulls slowly is not."""
LOOK_EVERY = 1.0
"""Seconds between looks at whether somebody is still there, while a run waits at its target for the pointer."""


@dataclasses.dataclass
class _Run:
    by_view: bool
    ends: collections.deque[tuple[float, int]]
    """When steps ended, several of which may end at once, and how many of the drag's were done then."""
    due: float = 0.0
    """When the next step may begin, where the speed is limited."""
    rests_at: float = 0.0
    """When it counts as resting unless there is another step."""


class Runner:
    """Takes steps of documents. It belongs to the thread that drags, and decides nothing: not even when a run ends.

    :param speed: largest number of steps a second; None for no limit.
    """

    def __init__(self, speed: float | None = None) -> None:
        self.resting = False
        """Whether the run has reached its targets and waits for the pointer that holds one of them to move on."""
        self._speed = speed
        self._run: _Run | None = None
        self._threads = Threads()

    @property
    def on(self) -> bool:
        """Whether a run is on."""
        return self._run is not None

    @property
    def by_view(self) -> bool:
        """Whether the run that is on is one that only a view has started."""
        return self._run is not None and self._run.by_view

    @property
    def rate(self) -> float | None:
        """Steps per second of the run, while one is on and has taken some."""
        ends = [] if self._run is None else list(self._run.ends)
        if len(ends) < 2:
            return None
        (began, before), (ended, after) = ends[0], ends[-1]
        return (after - before) / (ended - began)

    @property
    def speed(self) -> float | None:
        """Largest number of steps a second; None for no limit."""
        return self._speed

    @speed.setter
    def speed(self, speed: float | None) -> None:
        self._speed = speed
        if self._run is not None:
            self._run.due = 0.0
            self._run.ends.clear()

    def begin(self, step: int, *, by_view: bool) -> None:
        """Begin a run after ``step`` steps of the edit."""
        self._run = _Run(by_view, collections.deque([(time.perf_counter(), step)], RATE_WINDOW + 1))

    def join(self, *, by_view: bool) -> None:
        """Have somebody else start the run that is on already: it is Python's as soon as Python wants it."""
        if self._run is not None:
            self._run.by_view &= by_view

    def end(self) -> None:
        """End the run, if one is on."""
        self._run = None

    @property
    def early(self) -> float:
        """Seconds until the next step of the run may begin, but no more than until somebody must look again."""
        return 0.0 if self._run is None else min(self._run.due - time.perf_counter(), LOOK_EVERY)

    @property
    def restless(self) -> float:
        """Seconds until the run is resting unless there is another step, likewise."""
        return 0.0 if self._run is None else min(self._run.rests_at - time.perf_counter(), LOOK_EVERY)

    def go_on(self, document: Document, *, jump: bool = False) -> Document:
        """Return the document after the next step of the run, or steps where the device likes several at once.

        :param jump: whether it is the jump of ``document.first``; one that is dropped leaves the very same document.
        """
        self.resting = False
        began = time.perf_counter()
        document = self.jump(document) if jump else self.step(document, None if self._speed is None else 1)
        ended = time.perf_counter()
        if self._run is not None:
            self._run.ends.append((ended, document.drag.step))
            self._run.rests_at = ended + RESTS_AFTER
            self._run.due = 0.0 if self._speed is None else began + 1 / self._speed
        return document

    def step(self, document: Document, at_most: int | None = 1) -> Document:
        """Return the document after a step, or up to ``at_most``; None for as many as the device likes at once.

        :raises ValueError: without points. :raises draggan_widget.engines.DivergedError: if the step is not finite.
        """
        began = time.perf_counter()
        states = self._threads(lambda: document.drag.advance(at_most))
        return with_steps(document, states, time.perf_counter() - began)

    def jump(self, document: Document) -> Document:
        """Return the document after the jump of ``document.first``. Raises as ``with_jump``."""
        began = time.perf_counter()
        return self.beside(lambda: with_jump(document, lambda: time.perf_counter() - began))

    def beside(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, done with as many threads as steps are."""
        return self._threads.aside(work)
