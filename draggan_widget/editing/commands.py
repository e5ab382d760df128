"""What any thread may ask of an edit: commands, carried out in order in the worker's thread, and work beside them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

import torch

from draggan_widget.editing.audience import NOT_SHOWN
from draggan_widget.editing.fitting import Fitting, Placing
from draggan_widget.editing.jobs import LOADING, PHOTO, TELL_EVERY, Jobs, Progress, Work, in_thread
from draggan_widget.editing.live_edit import LiveEdit
from draggan_widget.editing.model import Model, OnProgress
from draggan_widget.editing.sentences import failed
from draggan_widget.editing.worker import Worker
from draggan_widget.engines import DragResult
from draggan_widget.texts import one_line

T = TypeVar("T")
log = logging.getLogger(__name__)


class Commands:
    """Has commands carried out, each whole or not at all, and long work done, of which snapshots tell.

    :param on_notice: called in the worker's thread with a sentence when a command could not be carried out.
    """

    def __init__(self, worker: Worker, live: LiveEdit, jobs: Jobs, on_notice: Callable[[str], None]) -> None:
        self._worker, self._live, self._jobs, self._on_notice = worker, live, jobs, on_notice
        self.fitting: Fitting | None = None
        """The photograph that is being fitted."""
        self._photos: list[tuple[Fitting, Future[None]]] = []

    def submit(self, task: Callable[..., T], *, of_any_model: bool = False, **order: Any) -> Future[T]:
        """Have a command carried out; where it fails, the edit is as before.

        :param of_any_model: whether it means the same when another model has come. :param order: as ``Worker.submit``
            takes it.
        """
        live, meant = self._live, self._live.now.model

        def carry_out(*value: Any) -> T:
            before = live.saved
            try:
                if not live.now.model.goes_on_as(meant) and not of_any_model:
                    title = live.now.model.title
                    raise ValueError(f"the picture is one of {title} by now; that was meant for another")
                live.audience.trouble = ""
                return task(*value)
            except ValueError as error:
                live.saved = before
                self._on_notice(one_line(error))
                raise
            except BaseException as error:
                live.saved = before
                live.fail(error, "That failed and the edit is as it was before")
                raise

        return self._worker.submit(carry_out, **order)

    def show(self, task: Callable[[], None], what: str | None) -> Future[None]:
        """Have a task done that shows the edit; where it fails, that ends the run and is said. See ``Session.show``."""

        def carry_out(_: Any = None) -> None:
            try:
                task()
            except BaseException as error:
                self._live.fail(error, NOT_SHOWN)
                raise

        return self._worker.submit(carry_out, kind=None if what is None else ("show", what))

    def finished(self) -> Future[DragResult]:
        """Return a future of the end of the run. See ``Session.finished``."""
        done: Future[DragResult] = Future()

        def let_down(task: Future[None]) -> None:
            if (task.cancelled() or task.exception() is not None) and done.set_running_or_notify_cancel():
                done.set_exception(RuntimeError("the editor was closed"))

        self._worker.submit(lambda: self._live.wait(done)).add_done_callback(let_down)
        return done

    def work(
        self, job: Work[T], *, lane: str | None, what: str, name: str = "", first: Progress | None = None
    ) -> Future[T]:
        """Have long work done that people are told of. See ``Session.run_job``."""

        def then(made: T) -> T:
            self._live.audience.publish()
            return made

        return self._begun(
            self._jobs.add(
                job,
                lane=lane,
                what=what,
                name=name,
                first=first,
                progress=self._teller(time.monotonic()),
                then=then,
                otherwise=lambda _: self._live.audience.publish(),
            )
        )

    def load(
        self, name: str, read: Callable[[OnProgress], Model], device: torch.device | None, note: str = ""
    ) -> Future[None]:
        """Have a model read, and the edit go on with it. See ``Session.load``."""

        def reading() -> Work[Model]:
            model = yield from in_thread(read, note)
            # Here, in the worker's thread: a GPU that takes steps is not to be shared with another thread.
            return model if device is None else model.on(device)

        self._make_way()
        return self._taken(reading(), name, Progress(0.0, note) if note else None)

    def open_photo(
        self, photo: Any, name: str, ask: Callable[[Placing], None] | None, how: Mapping[str, Any]
    ) -> Future[None]:
        """Have a photograph fitted, and the edit go on with it. See ``Session.open_photo``."""
        self._make_way()
        fitting = Fitting(self._live, photo, name, ask, how)

        def work() -> Work[Model | None]:
            self.fitting = fitting
            return (yield from fitting.work())

        def ended(then: Callable[[Any], None]) -> Callable[[Any], None]:
            def end(result: Any) -> None:
                if self.fitting is fitting:
                    self.fitting = None
                then(result)

            return end

        opened = self._jobs.add(
            work(),
            lane=LOADING,
            what=PHOTO,
            name=name,
            progress=self._teller(0.0),
            then=ended(fitting.keep),
            otherwise=ended(fitting.drop),
        )
        self._photos.append((fitting, opened))
        return self._begun(opened)

    def _make_way(self) -> None:
        """Have photographs end that somebody would wait for: those that are seen stay as they are, others go."""
        for fitting, opened in self._photos:
            if fitting.seen:
                fitting.enough("")
            else:
                opened.cancel()
        self._photos = [(fitting, opened) for fitting, opened in self._photos if not opened.done()]

    def _taken(self, work: Work[Model], name: str, first: Progress | None) -> Future[None]:
        """Have the edit go on with the model that ``work`` makes."""
        live = self._live

        def not_loaded(error: BaseException) -> None:
            if not isinstance(error, CancelledError):
                log.info("%s was not loaded", name, exc_info=error)
                live.audience.trouble = failed(f"{name} was not loaded", error)
            live.audience.publish()

        return self._begun(
            self._jobs.add(
                work,
                lane=LOADING,
                what=LOADING,
                name=name,
                first=first,
                progress=self._teller(0.0),
                then=live.take_model,
                otherwise=not_loaded,
            )
        )

    def _teller(self, told_at: float) -> Callable[[Progress], None]:
        """Return what tells of how far work is, not too often. :param told_at: when that was told last."""

        def tell(_: Progress) -> None:
            nonlocal told_at
            if time.monotonic() - told_at >= TELL_EVERY:
                self._live.audience.publish()
                told_at = time.monotonic()

        return tell

    def cancel(self, number: int) -> None:
        """Cancel the long work of that id. See ``Session.cancel``."""
        self._jobs.cancel(number)
        self._worker.submit(self._live.audience.publish)  # one that waits for its turn goes at once

    def _begun(self, done: Future[T]) -> Future[T]:
        """Tell of long work that has begun."""
        self._worker.submit(self._live.audience.publish)
        return done
