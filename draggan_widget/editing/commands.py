"""Commands: what any thread may ask of an edit, carried out in order in the worker's thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from draggan_widget.editing.audience import NOT_SHOWN
from draggan_widget.editing.live_edit import LiveEdit
from draggan_widget.editing.worker import Worker
from draggan_widget.engines import DragResult
from draggan_widget.texts import one_line


class Commands:
    """Has commands carried out, each whole or not at all.

    :param on_notice: called in the worker's thread with a sentence when one could not be carried out.
    """

    def __init__(self, worker: Worker, live: LiveEdit, on_notice: Callable[[str], None]) -> None:
        self._worker, self._live, self._on_notice = worker, live, on_notice

    def submit(self, task: Callable[..., None], *, of_any_model: bool = False, **order: Any) -> Future[None]:
        """Have a command carried out; where it fails, the edit is as before.

        :param of_any_model: whether it means the same when another model has come. :param order: as ``Worker.submit``
            takes it.
        """
        live, meant = self._live, self._live.now.model

        def carry_out(*value: Any) -> None:
            before = live.saved
            try:
                if live.now.model is not meant and not of_any_model:
                    title = live.now.model.title
                    raise ValueError(f"the picture is one of {title} by now; that was meant for another")
                live.audience.trouble = ""
                task(*value)
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
