"""Runs: step after step while no command waits, until the handles have arrived or somebody says stop."""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from draggan_widget.editing.core import Core, T
from draggan_widget.editing.history import Record, appended
from draggan_widget.editing.thread_tuner import Threads

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


class Runs(Core):
    """Start, stop, single steps, and what happens between them."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        self._run: _Run | None = None
        self._stops = 0
        self._threads = Threads()
        super().__init__(*arguments, **settings)

    def start(self, *, by_view: bool = False) -> Future[None]:
        """Pull the handles to their targets until arrived, stalled, capped or stopped."""

        stops = self._stops

        def start() -> None:
            pull()
            if self._stops != stops:
                self._stop()  # it was asked for later, and came first

        def pull() -> None:
            if self._look is not None:
                self._need_points()
                self._begin_edit("run")
            if self._run is None and self._status == "paused":
                self._resume()
            if self._run is not None:
                self._run.by_view &= by_view
                return
            self._need_points()
            if not self._gesture:
                self._remember("run")
            self._change(drag=self._now.drag.begin_run())
            self._go(by_view=by_view)
            self._end_if_over()

        return self._command(start)

    def stop(self) -> Future[None]:
        """End the run after the step in hand, whatever else waits to be done: also one that was to start before."""
        self._stops += 1
        return self._command(self._stop, first=True)

    def resume(self) -> Future[None]:
        """Go on with a run that paused because nobody looked."""
        return self._command(self._resume)

    def step_once(self) -> Future[None]:
        """One step, whether or not the handles have arrived."""

        def step_once() -> None:
            self._need_points()
            self._stop()
            before = self._now
            self._take_up(self._look)
            self._step()
            self._remember("one step", before)
            self._set_status("stopped", f"One step: {self._to_go()}.")

        return self._command(step_once)

    def let_go(self) -> Future[None]:
        """The pointer that was down is no longer there."""

        def let_go() -> None:
            self._gesture = self._pulling = False
            self._end_if_over()

        return self._command(let_go)

    def beside(self, work: Callable[[], T]) -> T:
        """What ``work`` returns, done with as many threads as steps are. To be called in the worker thread."""
        return self._threads.aside(work)

    # --- in the worker thread --------------------------------------------------------------------------------------

    def _begin_edit(self, done: str) -> None:
        """Something is about to be ``done``: keep what is, for undo, and go on from what is shown."""
        raise NotImplementedError

    def _take_up(self, shown: Any) -> None:
        raise NotImplementedError

    def _work(self) -> float | None:
        """A step of the run, if one is on, and a slice of a chore; when to ask again, as ``Worker`` wants it."""
        busy = self._chores.advance()
        pause = self._pull()
        return 0.0 if busy else pause

    def _pull(self) -> float | None:
        """One step of the run, if one is on and has somewhere to go."""
        run = self._run
        if run is None:
            return None
        try:
            if run.by_view and not self._awaited() and not self._attended():
                self._run = None
                self._gesture = self._pulling = False
                self._set_status("paused", "Paused, because nobody was looking.")
            elif self._now.drag.verdict is not None:
                if not self._end_if_over():
                    # While the pointer is down, a run waits for it to move on.
                    if not self._resting and (early := run.rests_at - time.perf_counter()) > 0:
                        return min(early, LOOK_EVERY)
                    if not self._resting:
                        self._resting = True
                        self._publish()
                    return LOOK_EVERY
            elif (early := run.due - time.perf_counter()) > 0:
                return min(early, LOOK_EVERY)
            else:
                self._resting = False
                began = time.perf_counter()
                self._step(None if self._speed is None else 1)
                ended = time.perf_counter()
                run.ends.append((ended, self._now.drag.step))
                run.rests_at = ended + RESTS_AFTER
                run.due = 0.0 if self._speed is None else began + 1 / self._speed
                if not self._end_if_over():
                    self._publish()
        except BaseException as error:  # whatever it is must reach the person, not end the thread
            self._fail(error, "The step failed and the edit is as it was before")
        return None if self._run is None else 0.0

    def _awaited(self) -> bool:
        return any(not done.cancelled() for done in self._waiting)

    def _step(self, at_most: int | None = 1) -> None:
        began = time.perf_counter()
        mask = self._now.mask
        records = self._now.records or (Record.of(self._now.drag, 0.0, mask),)
        drags = self._threads(lambda: self._now.drag.advance(at_most))
        seconds, spent = self._now.seconds, time.perf_counter() - began
        for number, drag in enumerate(drags, start=1):
            records = appended(records, Record.of(drag, seconds + spent * number / len(drags), mask))
        self._step_seconds = spent / len(drags)
        self._change(("steps", len(drags)), drag=drags[-1], records=records)

    def _end_if_over(self) -> bool:
        """Settle the run if its state says so, unless a pointer still holds a target."""
        reason = None if self._run is None or self._pulling else self._now.drag.verdict
        if reason is None:
            return False
        self._run = None
        self._set_ended(reason)
        return True

    def _set_ended(self, reason: str) -> None:
        steps = count(self._now.drag.step)
        most = getattr(self._config, "max_steps", None) or "the most"
        sentences = {
            "arrived": f"Arrived after {steps}.",
            "near": f"As near as it gets, after {steps}: {self._to_go()}.",
            "stalled": f"Stalled after {steps}, {self._to_go()}: try a nearer target.",
            "capped": f"Reached {most} steps, {self._to_go()}. Start goes on.",
        }
        self._set_status(reason, sentences[reason])

    def _running(self) -> bool:
        return self._run is not None

    def _stop(self) -> None:
        self._pulling = False
        if self._run is not None or self._status == "paused":
            self._run = None
            self._set_status("stopped", f"Stopped after {count(self._now.drag.step)}, {self._to_go()}.")

    def _cut(self) -> None:
        self._run, self._pulling = None, False

    def _resume(self) -> None:
        if self._status == "paused":
            self._go(by_view=True)

    def _go(self, *, by_view: bool) -> None:
        self._run = _Run(by_view, collections.deque([(time.perf_counter(), self._now.drag.step)], RATE_WINDOW + 1))
        self._set_status("running", "")

    def _rate(self) -> float | None:
        ends = [] if self._run is None else list(self._run.ends)
        if len(ends) < 2:
            return None
        (began, before), (ended, after) = ends[0], ends[-1]
        return (after - before) / (ended - began)


def count(steps: int) -> str:
    """A number of steps in words."""
    return "1 step" if steps == 1 else f"{steps} steps"
