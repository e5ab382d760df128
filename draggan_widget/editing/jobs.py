"""Long work that must not hold up an edit: done in slices, between which steps and commands get their turn."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

T = TypeVar("T")
Job = Generator[float, None, T]
"""Yields how much is done, 0 … 1, after each slice, and returns its result."""


def finish(chore: Job[T]) -> T:
    """All of a chore at once, in this thread."""
    while True:
        try:
            next(chore)
        except StopIteration as end:
            result: T = end.value
            return result


class GivenUpError(RuntimeError):
    """Work that was begun is not carried on; the text says why."""


class Jobs:
    """Chores side by side, a slice of each in turn, so that a short one need not wait for a long one.

    ``add`` and ``cancel`` may be called from any thread, ``advance`` from one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: collections.deque[tuple[Job[Any], Future[Any], Callable[[float], None]]] = collections.deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, chore: Job[T], progress: Callable[[float], None] = lambda done: None) -> Future[T]:
        """Have it done. The future may be cancelled as long as it has no result: then no further slice is done."""
        done: Future[T] = Future()
        with self._lock:
            self._waiting.append((chore, done, progress))
        return done

    def advance(self) -> bool:
        """One slice of the first one; whether there is more to do. Never raises: what fails is told by its future."""
        with self._lock:
            first = self._waiting[0] if self._waiting else None
        if first is None:
            return False
        chore, done, progress = first
        try:
            if done.cancelled():
                raise CancelledError
            progress(next(chore))
            with self._lock:
                if self._waiting and self._waiting[0][0] is chore:
                    self._waiting.rotate(-1)
            return True
        except StopIteration as end:
            result = end.value
            self._settle(lambda: done.set_result(result), chore, done)
        except CancelledError:
            self._settle(lambda: None, chore, done)
        except BaseException as error:  # whoever waits for it gets it, whatever it is
            told = error
            self._settle(lambda: done.set_exception(told), chore, done)
        return bool(self._waiting)

    def close(self, reason: str) -> None:
        """Give all up, for a reason that those hear who wait for them."""
        with self._lock:
            waiting, self._waiting = list(self._waiting), collections.deque()
        for chore, done, _ in waiting:
            chore.close()
            if done.set_running_or_notify_cancel():
                done.set_exception(GivenUpError(reason))

    def _settle(self, settle: Callable[[], None], chore: Job[Any], done: Future[Any]) -> None:
        with self._lock:
            self._waiting = collections.deque(each for each in self._waiting if each[0] is not chore)
        chore.close()
        # Between the last slice and now somebody may have cancelled it, which then counts.
        if not done.cancelled() and done.set_running_or_notify_cancel():
            settle()
