"""The middle of a session: the edit as it is, the thread that owns it, who is told, and what undo goes back to."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from draggan_widget.editing.document import Document, Snapshot, fitting
from draggan_widget.editing.jobs import Job, Jobs
from draggan_widget.editing.model import Model, check_label
from draggan_widget.editing.pictures import Painter
from draggan_widget.editing.script import Op, written
from draggan_widget.editing.worker import Worker
from draggan_widget.engines import XY, DragRecord, DragResult, State, begin_with, to_image
from draggan_widget.models import Generator
from draggan_widget.texts import one_line

T = TypeVar("T")
log = logging.getLogger(__name__)
UNDO_DEPTH = 200
UNDO_BYTES = 256 << 20
"""Of the arrays that undo holds, masks and records included: as many of the oldest moments are given up as it takes."""


class Core:
    """What all parts of a session share. A part that pulls defines ``_work`` and ``_stop``."""

    def __init__(
        self,
        model: Generator | Model,
        *,
        seed: int = 0,
        truncation: float = 0.7,
        label: int | None = None,
        config: Any = None,
        speed: float | None = None,
        on_change: Callable[[Snapshot], None] = lambda snapshot: None,
        on_notice: Callable[[str], None] = lambda text: None,
        attended: Callable[[], bool] = lambda: True,
    ) -> None:
        self._model = model if isinstance(model, Model) else Model(model)
        self._config = config or self.generator.drag_config
        self._speed = speed
        self._on_change = on_change
        self._on_notice = on_notice
        self._attended = attended
        self._worker = Worker(self._work, "draggan")
        self._chores = Jobs()
        self._past: list[Document] = []
        self._future: list[Document] = []
        self._look: Document | None = None
        self._edit = 0
        self._pulling = False
        self._gesture = False
        self._waiting: list[Future[DragResult]] = []
        self._failure: BaseException | None = None
        self._loading: str | None = None
        self._progress: float | None = None
        self._trouble = ""
        self._resting = False
        self._painter: Painter | None = None
        self._step_seconds = 0.0
        self._now = first_document(self.generator, self._config, seed, truncation, label)
        self._status, self._message = "idle", ""
        self.latest = self._snapshot()
        """The newest snapshot, for any thread to read."""

    # --- reading ---------------------------------------------------------------------------------------------------

    @property
    def generator(self) -> Generator:
        """Whose latents are edited."""
        return self._model.generator

    @property
    def config(self) -> Any:
        """The settings of the engine that pulls."""
        return self._config

    @property
    def resting(self) -> bool:
        """Whether the session holds no thread at the moment."""
        return self._worker.resting

    def now(self) -> Document:
        """The edit as it is when all commands given so far are carried out; waits for them."""
        return self._worker.call(lambda: self._now)

    def newest(self) -> Snapshot:
        """The same with all that belongs to it."""
        return self._worker.call(lambda: self.latest)

    def picture(self, document: Document | None = None) -> Image.Image:
        """The picture of a moment, by default now; waits for commands given so far."""
        return self._worker.call(lambda: self._picture((document or self._now).drag.ws))

    def glimpse(self, document: Document, quick: bool) -> tuple[Image.Image, bool]:
        """The picture of a moment, a coarse one if it is to be ``quick`` and would be late; and whether it is whole."""

        def glimpse() -> tuple[Image.Image, bool]:
            ws, painter = document.drag.ws, self._painter_now()
            return painter.quick(ws, self._step_seconds) if quick else (painter.whole(ws), True)

        return self._worker.call(glimpse)

    def thumbnail(self, ws: Tensor) -> Image.Image:
        """A small picture of a latent (1, num_ws, w_dim), wherever that lies."""

        def thumbnail() -> Image.Image:
            return self._painter_now().thumbnail(ws.to(self._now.drag.w0))

        return self._worker.call(thumbnail)

    def before(self) -> Image.Image:
        """The picture that the edit began with."""
        return self._worker.call(lambda: self._picture(self._now.drag.w0))

    def read(self, question: Callable[[], T]) -> T:
        """What ``question`` answers in the worker's thread, after the commands given so far."""
        return self._worker.call(question)

    def turn(self, job: Callable[[], T]) -> T:
        """The same, for what has nothing to do with the edit itself; once the session is closed, in this thread."""
        return job() if self._worker.closed else self._worker.call(job)

    def soon(self, job: Callable[[], None]) -> None:
        """Run a job in the worker's thread: at once if this is that thread, or after the commands given so far."""
        if self._worker.closed or self._worker.here:
            job()
        else:
            self._worker.submit(job)

    def wait_for(self, command: Future[T]) -> bool:
        """Wait until a command is carried out. False in the worker's own thread, which must not wait for itself.

        :raises Exception: the one that the command raised.
        """
        if self._worker.here:
            return False
        command.result()
        return True

    @property
    def waiting(self) -> int:
        """How many commands wait to be carried out."""
        return self._worker.waiting

    def show(self, job: Callable[[], None], what: str | None = None) -> Future[None]:
        """Run a job that shows the edit, between two steps in the worker thread; its exceptions are published.

        :param what: it shows: of jobs that wait and show the same the newest is done.
        """

        def carry_out(_: Any = None) -> None:
            try:
                job()
            except BaseException as error:
                self._fail(error, "The picture could not be shown")
                raise

        return self._worker.submit(carry_out, kind=None if what is None else ("show", what))

    def chore(self, chore: Job[T], progress: Callable[[float], None] = lambda done: None) -> Future[T]:
        """Have long work done in the worker's thread, in slices between which the edit goes on."""
        done = self._chores.add(chore, progress)
        self._worker.submit(lambda: None)  # wakes it
        return done

    def finished(self) -> Future[DragResult]:
        """Resolves when no run is on: with the result so far, or with the exception that ended the last run.

        While somebody waits for it, a run goes on though no view looks.
        """
        done: Future[DragResult] = Future()

        def wait() -> None:
            self._waiting.append(done)
            if self._status == "paused":
                self._resume()
            elif not self._running():
                self._settle_waiting()

        def let_down(job: Future[None]) -> None:
            if (job.cancelled() or job.exception() is not None) and done.set_running_or_notify_cancel():
                done.set_exception(RuntimeError("the editor was closed"))

        self._worker.submit(wait).add_done_callback(let_down)
        return done

    @property
    def closed(self) -> bool:
        """Whether nothing can be done with the session any more."""
        return self._worker.closed

    def close(self) -> None:
        """Stop, and give the thread back. Nothing can be done with the session afterwards."""
        self._worker.close(timeout=5)
        self._chores.close("the editor was closed")
        self._failure = RuntimeError("the editor was closed")
        self._settle_waiting()

    # --- what other parts define -----------------------------------------------------------------------------------

    def _work(self) -> float | None:
        raise NotImplementedError

    def _running(self) -> bool:
        raise NotImplementedError

    def _resume(self) -> None:
        raise NotImplementedError

    def _stop(self) -> None:
        """End the run, if one is on."""
        raise NotImplementedError

    def _cut(self) -> None:
        """Drop the run without a word: something else is to be said."""
        raise NotImplementedError

    def _rate(self) -> float | None:
        raise NotImplementedError

    # --- in the worker thread --------------------------------------------------------------------------------------

    def _command(self, job: Callable[..., None], **order: Any) -> Future[None]:
        """Have a command carried out. :param order: as ``Worker.submit`` takes it."""
        meant = self._model

        def carry_out(*value: Any) -> None:
            before = self._now, self._look, list(self._past), list(self._future)
            try:
                if self._model is not meant:
                    raise ValueError(f"the picture is one of {self._model.title} by now; that was meant for another")
                self._trouble = ""
                job(*value)
            except ValueError as error:
                self._now, self._look, self._past[:], self._future[:] = before
                self._on_notice(one_line(error))
                raise
            except BaseException as error:
                self._now, self._look, self._past[:], self._future[:] = before
                self._fail(error, "That failed and the edit is as it was before")
                raise

        return self._worker.submit(carry_out, **order)

    def _fail(self, error: BaseException, what: str) -> None:
        self._cut()
        log.error("%s", what, exc_info=error)
        self._set_status("error", told(what, error), error)

    def _go_to(self, document: Document) -> None:
        """Make another moment the present: what is known of the steps before is of another course."""
        self._now = document
        self._edit += 1

    def _remember(self, done: str, document: Document | None = None) -> None:
        """Keep the present, or ``document``, for undo; ``done`` is what is about to be done, as undo names it."""
        self._past.append(dataclasses.replace(document or self._now, done=done))
        del self._past[:-UNDO_DEPTH]
        self._future.clear()
        del self._past[: -fitting(self._past, [self._now], UNDO_BYTES)]

    def _need_points(self) -> None:
        if not self._now.drag.ids:
            raise ValueError("there are no points yet; press on the picture and pull, or set points")

    def _change(self, *ops: Op, **changes: Any) -> None:
        """Another present; ``ops`` are what was done."""
        script = self._now.script
        for op in ops:
            script = written(script, op)
        self._now = dataclasses.replace(self._now, script=script, **changes)

    def _init(self, ws: Tensor, points: Sequence[tuple[int, XY, XY]], mask: np.ndarray | None) -> State:
        return begin_with(self.generator, ws, points, mask, self._config)

    def _painter_now(self) -> Painter:
        if self._painter is None or self._painter.generator is not self.generator:
            self._painter = Painter(self.generator)
        return self._painter

    def _picture(self, ws: Tensor) -> Image.Image:
        with torch.no_grad():
            return to_image(self.generator.synthesize(ws))

    # --- who is told -----------------------------------------------------------------------------------------------

    def _set_status(self, status: str, message: str, failure: BaseException | None = None) -> None:
        self._status, self._message, self._failure, self._trouble = status, message, failure, ""
        self._publish()
        if not self._running() and status != "paused":
            self._settle_waiting()

    def _settle_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            if not done.set_running_or_notify_cancel():
                continue
            if self._failure is not None:
                done.set_exception(self._failure)
            else:
                done.set_result(self._result())

    def _result(self) -> DragResult:
        history = [DragRecord(r.step, r.handles, r.distances, r.loss) for r in self._now.records]
        return DragResult(self.generator, self._now.drag, self._status, tuple(history))

    def _publish(self) -> None:
        """Tell everybody. Never raises: a listener that fails ends the run, which is told in turn."""
        self.latest = self._snapshot()
        try:
            self._on_change(self.latest)
        except BaseException as error:  # a sys.exit() of somebody's observer, too, must not end the worker
            log.exception("the picture could not be shown")
            self._cut()
            self._failure = error
            self._status = "error"
            self._message = told("The picture could not be shown", error)
            self.latest = self._snapshot()
            with contextlib.suppress(BaseException):
                self._on_change(self.latest)
            self._settle_waiting()

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            status=self._status,
            message=self._message,
            document=self._now,
            can_undo=bool(self._past),
            can_redo=bool(self._future),
            rate=self._rate(),
            model=self._model,
            loading=self._loading,
            progress=self._progress,
            trouble=self._trouble,
            look=self._look,
            speed=self._speed,
            resting=self._resting,
            held=self._gesture,
            undo=self._past[-1].done if self._past else "",
            redo=self._future[-1].done if self._future else "",
            edit=self._edit,
        )

    def _to_go(self) -> str:
        distances = self._now.drag.distances
        return f"{max(distances):.1f} px to go" if len(distances) else "no points"


def first_document(generator: Generator, config: Any, seed: int, truncation: float, label: int | None) -> Document:
    """An edit of the picture of a seed before anything was done. :raises ValueError: if there is no such class."""
    label = check_label(label, generator.label_dim)
    ws = generator.space.draw(seed=seed, label=label, truncation=truncation)
    drag = State.begin(generator, ws, config)
    return Document(drag, None, seed, truncation, (("config", config),), label=label)


def told(what: str, error: BaseException) -> str:
    """A sentence about an error."""
    return f"{what}: {one_line(error)}"
