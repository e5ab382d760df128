"""With how many threads work is quickest, learned from the work itself.

At the end of each of its many small parts, the threads of an operation wait for the last of them, spinning. Where all
processors are free that is the quickest way. Where a browser or anybody else needs one of them, each such wait lasts
until the system lets the last thread go on: the same work then takes up to ten times as long as with one thread alone,
and keeps the browser from showing it.
"""

from __future__ import annotations

import collections
import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

T = TypeVar("T")
NEWEST = 0.3
"""Weight of the newest measurement of time in their mean."""
AGAIN = 16
"""Pieces of work after which the other way is tried again."""
AT_LAST = 512
"""The same for threads that are slower time after time: each time twice as many."""
SURPRISE = 1.5
"""A piece of work that takes so many times as long as usual has one thread tried at once."""


class Threads:
    """Does one kind of work, piece by piece, with all of torch's threads or with one: whichever is the quicker.

    Between pieces torch has as many threads as before.
    """

    def __init__(self) -> None:
        self._seconds: dict[bool, float] = {}
        """Of a piece: alone (True) and with all threads."""
        self._trials = collections.deque([False, True, False])
        self._warm = False
        self._until_trial = AGAIN
        self._patience = AGAIN

    def __call__(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns."""
        threads = torch.get_num_threads()
        alone = threads == 1 or (self._trials.popleft() if self._trials else self._alone())
        began = time.perf_counter()
        with _threads(1 if alone else threads):
            done = work()
        if self._warm:  # the first piece prepares what the others find ready
            self._learn(alone, time.perf_counter() - began)
        self._warm = True
        return done

    def aside(self, work: Callable[[], T]) -> T:
        """Return what another kind of work returns, done with as many threads; its time teaches nothing."""
        with _threads(1 if self._alone() else torch.get_num_threads()):
            return work()

    def _alone(self) -> bool:
        return self._seconds.get(True, math.inf) < self._seconds.get(False, math.inf)

    def _learn(self, alone: bool, seconds: float) -> None:
        before = self._seconds.get(alone)
        if before is None or alone != self._alone():
            self._seconds[alone] = seconds
            # All threads, where they are slow, cost much to try; one never more than as many times.
            failed = not alone and self._alone()
            self._patience = min(2 * self._patience, AT_LAST) if failed else AGAIN
            self._until_trial = self._patience
            return
        self._seconds[alone] = before + NEWEST * (seconds - before)
        self._until_trial -= 1
        if not self._trials and (self._until_trial <= 0 or (not alone and seconds > SURPRISE * before)):
            self._trials.append(not alone)


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
