"""Long work that must not hold up an edit: done in slices, between which steps and commands get their turn.

A job is work in a lane, and work is a generator. It yields ``Progress`` after each slice, or a future: then it is not
asked again before that is done, and costs nothing meanwhile; so ``in_thread`` does what cannot be sliced, such as
reading a file, in a thread of its own. Jobs of one lane are done one after another, those of different lanes side by
side. Each can be cancelled.
"""

from __future__ import annotations

import atexit
import collections
import contextlib
import dataclasses
import itertools
import threading
import time
import weakref
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, Future, wait
from typing import Any, Generic, TypeVar

from PIL import Image

from draggan_widget.models import ended

T = TypeVar("T")
R = TypeVar("R")
LOADING = "load"
"""What a job makes, and the name of its lane, that reads a model to take the place of the present one."""
PHOTO = "opening"
"""What a job makes that fits a photograph, in the lane of the former: one of them at a time takes the edit's place."""
COMPARING = "compare"
"""What a job makes that does the pull with another engine, and the name of the lane of these."""
TELL_EVERY = 0.2
"""Seconds between two reports of how far work is."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a job is."""

    share: float
    """Of the whole, 0 … 1."""
    note: str = ""
    """What is being done, in a few words for people."""
    preview: Image.Image | None = None
    """What there is to see of it already."""
    stage: str = ""
    """Which part of it that is, where people can say something about it."""


@dataclasses.dataclass(frozen=True)
class Running:
    """A job that people are told of while it is not over."""

    id: int
    what: str
    """What it makes: ``LOADING``, ``PHOTO``, ``COMPARING``, or the kind of a file."""
    name: str
    """Of what, for people."""
    share: float | None
    """How much is done, 0 … 1; None while that is not known."""
    note: str = ""
    """What is being done, in a few words for people; empty where ``what`` and ``name`` say it all."""
    stage: str = ""
    """See ``Progress``."""


Work = Generator[Progress | Future[Any], None, T]
"""Yields ``Progress`` after each slice, or a future to wait for, and returns its result."""


class GivenUpError(RuntimeError):
    """Work that was begun is not carried on; the text says why."""


def finish(job: Work[T]) -> T:
    """Return the result of a job, all of which is done at once, in this thread."""
    return ended(job, lambda told: wait([told]) if isinstance(told, Future) else None)


def in_thread(
    work: Callable[[Callable[[float], None]], T], note: str = "", span: tuple[float, float] = (0.0, 1.0)
) -> Work[T]:
    """Return a job that is one long call, done in a thread of its own while the edit goes on.

    :param work: is called with a function that takes how much is done, 0 … 1; that raises ``CancelledError`` once the
        job was cancelled, which ends the work. What it raises the job raises. :param note: see ``Progress``.
    :param span: the shares of the whole job at which the call begins and ends.
    """
    call = _Call(work)
    first, last = span
    try:
        while not call.result.done():
            yield call.news
            call.renew()  # before a look at what is new, or what comes between the two would be missed
            if call.share is not None and not call.result.done():
                yield Progress(first + (last - first) * call.share, note)
        return call.result.result()
    finally:
        call.stopped = True


class _Call(Generic[T]):
    """A call in a thread of its own, and the news of it."""

    def __init__(self, work: Callable[[Callable[[float], None]], T]) -> None:
        self.result: Future[T] = Future()
        self.share: float | None = None
        """How much is done; None while that is not known."""
        self.stopped = False
        self.news: Future[None] = Future()
        """Done as soon as there is something to tell that was not told before."""
        self._told_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, args=(work,), name="draggan-job", daemon=True)
        _threads.add(self)
        self._thread.start()

    def renew(self) -> None:
        """Wait for other news than up to now."""
        self.news = Future()

    def end(self, timeout: float) -> None:
        """Stop the call as soon as it tells how far it is, and wait for its end, if not for longer than said."""
        self.stopped = True
        self._thread.join(timeout)

    def _run(self, work: Callable[[Callable[[float], None]], T]) -> None:
        try:
            result = work(self._tell)
        except BaseException as error:  # whatever it is, whoever waits for the job gets it
            self.result.set_exception(error)
        else:
            self.result.set_result(result)
        self._wake()

    def _tell(self, share: float) -> None:
        if self.stopped:
            raise CancelledError
        self.share = share
        if time.monotonic() - self._told_at >= TELL_EVERY:
            self._told_at = time.monotonic()
            self._wake()

    def _wake(self) -> None:
        news = self.news
        if not news.done():
            news.set_result(None)


_threads: weakref.WeakSet[_Call[Any]] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    # A thread that computes while the interpreter is taken down can crash it.
    for call in list(_threads):
        call.end(timeout=5)


@dataclasses.dataclass(eq=False)
class _Entry:
    """A job that is not over."""

    id: int
    job: Work[Any]
    what: str
    name: str
    tell: Callable[[Progress], None]
    then: Callable[[Any], Any]
    otherwise: Callable[[BaseException], None]
    future: Future[Any] = dataclasses.field(default_factory=Future)
    waits: Future[Any] | None = None
    newest: Progress | None = None

    @property
    def ready(self) -> bool:
        """Whether there is something to do for it."""
        return self.waits is None or self.waits.done() or self.future.cancelled()


def _told(newest: Progress | None) -> tuple[float | None, str, str]:
    return (None, "", "") if newest is None else (newest.share, newest.note, newest.stage)


class Jobs:
    """Jobs in lanes. ``add`` may be called from any thread, ``advance`` from one, and futures cancelled in any.

    :param wake: called, in any thread, when there is something to do again; then ``advance`` is to be called.
    """

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._lanes: dict[Any, collections.deque[_Entry]] = {}
        self._closed: str | None = None
        self._ids = itertools.count(1)

    def __len__(self) -> int:
        return sum(len(lane) for lane in self._lanes.values())

    def add(
        self,
        job: Work[T],
        *,
        lane: str | None = None,
        what: str = "",
        name: str = "",
        first: Progress | None = None,
        progress: Callable[[Progress], None] = lambda progress: None,
        then: Callable[[T], Any] = lambda result: result,
        otherwise: Callable[[BaseException], None] = lambda error: None,
    ) -> Future[Any]:
        """Have a job done. Its future may be cancelled, whereupon it ends at once.

        :param lane: jobs of one lane are done one after another; None: a lane of its own. :param what: it makes;
            jobs that say it are ``running`` for people. :param name: likewise. :param first: how far it is at first.
        :param progress: called with what it yields. :param then: called with its result once it has left its lane,
            and makes of it that of the future. :param otherwise: called instead, likewise, where it fails or was
            cancelled. All three are called in the thread of ``advance``.
        :raises GivenUpError: once all were given up.
        """
        entry = _Entry(next(self._ids), job, what, name, progress, then, otherwise, newest=first)
        with self._lock:
            if self._closed is not None:
                raise GivenUpError(self._closed)
            self._lanes.setdefault(object() if lane is None else lane, collections.deque()).append(entry)
        entry.future.add_done_callback(lambda done: self._wake() if done.cancelled() else None)
        self._wake()
        return entry.future

    def running(self) -> tuple[Running, ...]:
        """Return the jobs that people are told of, oldest first: those that say what they make."""
        with self._lock:
            entries = [entry for lane in self._lanes.values() for entry in lane if entry.what]
        return tuple(
            Running(entry.id, entry.what, entry.name, *_told(entry.newest))
            for entry in sorted(entries, key=lambda entry: entry.id)
            if not entry.future.cancelled()
        )

    def cancel(self, number: int) -> None:
        """Cancel the job of that id; one that is over, or was never there, is ignored."""
        with self._lock:
            entries = [entry for lane in self._lanes.values() for entry in lane if entry.id == number]
        for entry in entries:
            entry.future.cancel()

    def advance(self) -> bool:
        """Do a slice of the job whose turn it is; return whether there is more to do at once.

        Never raises: what fails is told by its future.
        """
        entry = self._take_turn()
        if entry is None:
            return False
        try:
            if entry.future.cancelled():
                raise CancelledError
            told = next(entry.job)
            if isinstance(told, Future):
                entry.waits = told
                told.add_done_callback(lambda _: self._wake())
            else:
                entry.waits, entry.newest = None, told
                entry.tell(told)
        except StopIteration as end:
            self._succeed(entry, end.value)
        except BaseException as error:  # whoever waits for it gets it, whatever it is
            self._fail(entry, error)
        with self._lock:
            return any(lane[0].ready for lane in self._lanes.values())

    def close(self, reason: str) -> None:
        """Give all up, and take no more, for a reason that those hear who wait for them."""
        with self._lock:
            lanes, self._lanes = self._lanes, {}
            self._closed = self._closed or reason
        for entry in (entry for lane in lanes.values() for entry in lane):
            with contextlib.suppress(ValueError):  # its slice is under way: it is the last one
                entry.job.close()
            if entry.future.set_running_or_notify_cancel():
                entry.future.set_exception(GivenUpError(reason))

    def _take_turn(self) -> _Entry | None:
        """Return the job whose turn it is, if one is ready, and let other lanes go first the next time."""
        with self._lock:
            for name, lane in self._lanes.items():
                if lane[0].ready:
                    self._lanes[name] = self._lanes.pop(name)
                    return lane[0]
        return None

    def _succeed(self, entry: _Entry, result: Any) -> None:
        if not self._leave(entry):
            return
        if not entry.future.set_running_or_notify_cancel():
            entry.otherwise(CancelledError())
            return
        try:
            result = entry.then(result)
        except BaseException as error:
            entry.otherwise(error)
            entry.future.set_exception(error)
        else:
            entry.future.set_result(result)

    def _fail(self, entry: _Entry, error: BaseException) -> None:
        if not self._leave(entry):
            return
        if isinstance(error, CancelledError):
            entry.future.cancel()
        cancelled = not entry.future.set_running_or_notify_cancel()
        entry.otherwise(CancelledError() if cancelled else error)
        if not cancelled:
            entry.future.set_exception(error)

    def _leave(self, entry: _Entry) -> bool:
        """Take a job off its lane; return whether it was there, and not given up meanwhile."""
        with self._lock:
            for name, lane in self._lanes.items():
                if entry in lane:
                    lane.remove(entry)
                    if not lane:
                        del self._lanes[name]
                    break
            else:
                return False
        entry.job.close()
        return True
