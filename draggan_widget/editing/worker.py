"""One thread that owns torch: tasks in, in order; between them it does the work at hand; without any it rests."""

from __future__ import annotations

import atexit
import collections
import logging
import os
import threading
import weakref
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

from draggan_widget.models import plain_torch

T = TypeVar("T")
log = logging.getLogger(__name__)
REST_AFTER = 10.0
"""Seconds without a task or work after which the thread ends; the next task starts a new one."""

FORKED = (
    "this editor was made by another process, of which this one is a forked copy; the thread that computes for it is "
    "not here. Make a new editor here, or fork before you make one (multiprocessing: start method 'spawn')"
)

_alive: weakref.WeakSet[Worker] = weakref.WeakSet()


class _Task:
    """A task that waits. One of a kind takes in what is asked for later, so that only the newest of a kind is done.

    :param kind: (family, …): tasks of one family may change places; None: nothing passes this one.
    """

    def __init__(self, do: Callable[..., Any], kind: tuple[Hashable, ...] | None, value: Any) -> None:
        self.do = do
        self.kind = kind
        self.value = value
        self.future: Future[Any] = Future()


class Worker:
    """Runs tasks one after another in a thread of its own, and ``work`` again and again while no task waits.

    :param work: does a small piece of work and says in how many seconds to ask again: 0 for at once, None for not
        before the next task. It is called when no task waits.
    :param name: of the thread.
    """

    def __init__(self, work: Callable[[], float | None], name: str) -> None:
        self._work = work
        self._name = name
        self._tasks: collections.deque[_Task] = collections.deque()
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._process = os.getpid()
        self._thread: threading.Thread | None = None
        self._closed = False
        _alive.add(self)

    @property
    def resting(self) -> bool:
        """Whether no thread is held at the moment."""
        with self._lock:
            return self._thread is None

    @property
    def here(self) -> bool:
        """Whether this is its thread."""
        return threading.current_thread() is self._thread

    @property
    def closed(self) -> bool:
        """Whether it takes no more tasks."""
        with self._lock:
            return self._closed

    @property
    def waiting(self) -> int:
        """How many tasks wait."""
        return len(self._tasks)

    def submit(
        self,
        task: Callable[..., T],
        *,
        kind: tuple[Hashable, ...] | None = None,
        value: Any = None,
        join: Callable[[Any, Any], Any] = lambda earlier, later: later,
        first: bool = False,
    ) -> Future[T]:
        """Run ``task`` in the thread, after those that wait already. Its result or exception comes by the future.

        :param kind: (family, …); the task is then called with ``value``. If one of that kind waits, and behind it none
            but of the same family, it is called once for both, with what ``join`` makes of the two values, and they
            have one future; unless that is None. :param first: run it before all that wait.
        :raises RuntimeError: if it is closed, or in a forked copy of the process that made it.
        """
        self._check_process()
        with self._lock:
            if self._closed:
                raise RuntimeError("this editor is closed; make a new one")
            for waiting in reversed(self._tasks):
                if kind is None or waiting.kind is None or waiting.kind[0] != kind[0]:
                    break
                if waiting.kind == kind:
                    joined = join(waiting.value, value)
                    if joined is None or waiting.future.cancelled():
                        break
                    waiting.do, waiting.value = task, joined
                    return waiting.future
            new = _Task(task, kind, value)
            if first:
                self._tasks.appendleft(new)
            else:
                self._tasks.append(new)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._news.notify()
        return new.future

    def _check_process(self) -> None:
        # Before the lock, which a thread that is not here may have held.
        if os.getpid() != self._process:
            raise RuntimeError(FORKED)

    def call(self, task: Callable[[], T]) -> T:
        """Run ``task`` in the thread and wait for its result; called from the thread itself, run it at once."""
        self._check_process()
        if self.here:
            return task()
        return self.submit(task).result()

    def close(self, timeout: float | None = None) -> None:
        """End the thread after the piece of work in hand; tasks that wait are cancelled. May be called twice."""
        if os.getpid() != self._process:
            return
        with self._lock:
            self._closed = True
            thread = self._thread
            self._news.notify()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _run(self) -> None:
        pause: float | None = 0.0
        while True:
            task = self._next(REST_AFTER if pause is None else pause)
            if task is None:
                if (pause is None or self._closed) and self._may_rest():
                    return
                pause = None if self._closed else self._do_work()
                continue
            if self._closed:
                task.future.cancel()
                continue
            if task.future.set_running_or_notify_cancel():
                try:
                    with plain_torch():
                        task.future.set_result(task.do() if task.kind is None else task.do(task.value))
                except BaseException as error:  # whoever waits for the task gets it, whatever it is
                    task.future.set_exception(error)
            # It may not outlive its turn: it would keep its widget alive while the thread waits for the next one.
            del task
            pause = 0.0

    def _next(self, patience: float) -> _Task | None:
        with self._news:
            if not self._tasks and patience and not self._closed:
                self._news.wait_for(lambda: self._tasks or self._closed, patience)
            return self._tasks.popleft() if self._tasks else None

    def _do_work(self) -> float | None:
        try:
            with plain_torch():
                return self._work()
        except BaseException:  # a thread that died would leave everybody waiting for it for ever
            log.exception("the work between tasks failed")
            return None

    def _may_rest(self) -> bool:
        # Under the lock, so that no task can slip in between the last look at the queue and the end of the thread.
        with self._lock:
            if self._tasks:
                return False
            self._thread = None
            return True


@atexit.register
def _close_all() -> None:
    # A thread that computes while the interpreter is taken down can crash it.
    for worker in list(_alive):
        worker.close(timeout=5)
