"""One thread that owns torch: jobs in, in order; between them it does the work at hand; without any it rests."""

from __future__ import annotations

import atexit
import logging
import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)
REST_AFTER = 10.0
"""Seconds without a job or work after which the thread ends; the next job starts a new one."""

_alive: weakref.WeakSet[Worker] = weakref.WeakSet()


class Worker:
    """Runs jobs one after another in a thread of its own, and ``work`` again and again while no job waits.

    :param work: does a small piece of work and says in how many seconds to ask again: 0 for at once, None for not
        before the next job. It is called when no job waits.
    :param name: of the thread.
    """

    def __init__(self, work: Callable[[], float | None], name: str) -> None:
        self._work = work
        self._name = name
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
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
        """Whether it takes no more jobs."""
        with self._lock:
            return self._closed

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Run ``job`` in the thread, after those that wait already. Its result or exception comes by the future."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("this editor is closed; make a new one")
            self._jobs.put((job, future))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        return future

    def call(self, job: Callable[[], T]) -> T:
        """Run ``job`` in the thread and wait for its result; called from the thread itself, run it at once."""
        if self.here:
            return job()
        return self.submit(job).result()

    def close(self, timeout: float | None = None) -> None:
        """End the thread after the piece of work in hand; jobs that wait are cancelled. May be called twice."""
        with self._lock:
            self._closed = True
            thread = self._thread
            self._jobs.put((lambda: None, Future()))  # wakes a thread that waits for a job
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _run(self) -> None:
        pause: float | None = 0.0
        while True:
            try:
                job, future = self._jobs.get(block=pause != 0, timeout=REST_AFTER if pause is None else pause)
            except queue.Empty:
                if pause is None and self._may_rest():
                    return
                pause = None if self._closed else self._do_work()
                continue
            if self._closed:
                future.cancel()
                if self._may_rest():
                    return
                continue
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(job())
                except BaseException as error:  # whoever waits for the job gets it, whatever it is
                    future.set_exception(error)
            # Neither may outlive the job: they would keep its widget alive while the thread waits for the next one.
            del job, future
            pause = 0.0

    def _do_work(self) -> float | None:
        try:
            return self._work()
        except BaseException:  # a thread that died would leave everybody waiting for it for ever
            log.exception("the work between jobs failed")
            return None

    def _may_rest(self) -> bool:
        # Under the lock, so that no job can slip in between the last look at the queue and the end of the thread.
        with self._lock:
            if not self._jobs.empty():
                return False
            self._thread = None
            return True


@atexit.register
def _close_all() -> None:
    # A thread that computes while the interpreter is taken down can crash it.
    for worker in list(_alive):
        worker.close(timeout=5)
