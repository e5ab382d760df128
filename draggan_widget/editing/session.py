"""One edit over time: points, mask and latent, runs that pull, undo and redo; all of it on one worker thread.

Every method that changes the edit may be called from any thread: it leaves a job for the worker and returns its
future. The worker applies jobs in order, between two steps of a run, and publishes an immutable ``Snapshot`` after
every change and every step.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from draggan_widget import dragging
from draggan_widget.config import DragConfig
from draggan_widget.dragging import XY, DragRecord, DragResult, DragState
from draggan_widget.editing.history import Record
from draggan_widget.editing.model import Model, Progress, check_label
from draggan_widget.editing.moment import Moment, Snapshot
from draggan_widget.editing.worker import Worker
from draggan_widget.generators import Generator

log = logging.getLogger(__name__)
UNDO_DEPTH = 200
TELL_EVERY = 0.2
"""Seconds between snapshots while a model is read."""
RATE_WINDOW = 10
"""Steps over which the step rate is averaged."""
LOOK_EVERY = 1.0
"""Seconds between looks at whether somebody is still there, while a run waits at its target for the pointer."""


@dataclasses.dataclass
class _Run:
    by_view: bool
    ends: collections.deque[float]


class Session:
    """An edit of one generator's pictures. See the module's docstring for threads.

    :param model: the generator whose latents are edited, or a ``Model``, which has a name; from now on only the worker
        uses it.
    :param seed: of the first picture. :param truncation: of the first picture. :param label: its class; None for the
        first one, where there are classes. :param config: settings of the drag; None for the generator's own.
    :param on_change: called in the worker thread with every new snapshot.
    :param on_notice: called in the worker thread with a sentence when a command could not be carried out.
    :param attended: whether anybody looks; asked in the worker thread. A run that a view started pauses when not.
    """

    def __init__(
        self,
        model: Generator | Model,
        *,
        seed: int = 0,
        truncation: float = 0.7,
        label: int | None = None,
        config: DragConfig | None = None,
        on_change: Callable[[Snapshot], None] = lambda snapshot: None,
        on_notice: Callable[[str], None] = lambda text: None,
        attended: Callable[[], bool] = lambda: True,
    ) -> None:
        self._model = model if isinstance(model, Model) else Model(model)
        self._config = config or self.generator.drag_config
        self._on_change = on_change
        self._on_notice = on_notice
        self._attended = attended
        self._worker = Worker(self._work, "draggan")
        self._past: list[Moment] = []
        self._future: list[Moment] = []
        self._run: _Run | None = None
        self._pulling = False
        self._gesture = False
        self._waiting: list[Future[DragResult]] = []
        self._failure: BaseException | None = None
        self._loading: str | None = None
        self._progress: float | None = None
        self._trouble = ""
        self._now = self._begin_at(seed, truncation, label)
        self._status, self._message = "idle", ""
        self.latest = self._snapshot()
        """The newest snapshot, for any thread to read."""

    # --- reading ---------------------------------------------------------------------------------------------------

    @property
    def generator(self) -> Generator:
        """Whose latents are edited."""
        return self._model.generator

    def now(self) -> Moment:
        """The edit as it is when all commands given so far are carried out; waits for them."""
        return self._worker.call(lambda: self._now)

    def newest(self) -> Snapshot:
        """The same with all that belongs to it."""
        return self._worker.call(lambda: self.latest)

    def picture(self, moment: Moment | None = None) -> Image.Image:
        """The picture of a moment, by default now; waits for commands given so far."""

        def picture() -> Image.Image:
            with torch.no_grad():
                return dragging.to_image(self.generator.synthesize((moment or self._now).drag.ws))

        return self._worker.call(picture)

    @property
    def config(self) -> DragConfig:
        """The settings of the drag."""
        return self._config

    @property
    def resting(self) -> bool:
        """Whether the session holds no thread at the moment."""
        return self._worker.resting

    def show(self, job: Callable[[], None]) -> Future[None]:
        """Run a job that shows the edit, between two steps in the worker thread; its exceptions are published."""

        def carry_out() -> None:
            try:
                job()
            except Exception as error:
                self._fail(error, "The picture could not be shown")
                raise

        return self._worker.submit(carry_out)

    def finished(self) -> Future[DragResult]:
        """Resolves when no run is on: with the result so far, or with the exception that ended the last run.

        While somebody waits for it, a run goes on though no view looks.
        """
        done: Future[DragResult] = Future()

        def wait() -> None:
            self._waiting.append(done)
            if self._status == "paused":
                self._resume()
            elif self._run is None:
                self._settle_waiting()

        def let_down(job: Future[None]) -> None:
            if (job.cancelled() or job.exception() is not None) and done.set_running_or_notify_cancel():
                done.set_exception(RuntimeError("the editor was closed"))

        self._worker.submit(wait).add_done_callback(let_down)
        return done

    def close(self) -> None:
        """Stop, and give the thread back. Nothing can be done with the session afterwards."""
        self._worker.close(timeout=5)
        self._failure = RuntimeError("the editor was closed")
        self._settle_waiting()

    # --- commands --------------------------------------------------------------------------------------------------

    def start(self, *, by_view: bool = False) -> Future[None]:
        """Pull the handles to their targets until arrived, stalled, capped or stopped."""

        def start() -> None:
            if self._run is None and self._status == "paused":
                self._resume()
            if self._run is not None:
                self._run.by_view &= by_view
                return
            self._need_points()
            if not self._gesture:
                self._remember()
            self._change(drag=dragging.begin_run(self._now.drag))
            self._go(by_view=by_view)
            self._end_if_over()

        return self._command(start)

    def stop(self) -> Future[None]:
        """End the run after the step in hand."""
        return self._command(self._stop)

    def resume(self) -> Future[None]:
        """Go on with a run that paused because nobody looked."""
        return self._command(self._resume)

    def step_once(self) -> Future[None]:
        """One step, whether or not the handles have arrived."""

        def step_once() -> None:
            self._need_points()
            self._stop()
            before = self._now
            self._step()
            self._remember(before)
            self._set_status("stopped", f"One step: {self._to_go()}.")

        return self._command(step_once)

    def reset(self) -> Future[None]:
        """Back to the latent the edit began with; points keep their targets, handles go back to where they were."""

        def reset() -> None:
            self._stop()
            self._remember()
            drag = self._now.drag
            points = [(point.id, point.start, point.target) for point in drag.points]
            self._change(drag=self._init(drag.w0, points, self._now.mask), records=())
            self._set_status("idle", "Back at the start; Undo brings the edit back.")

        return self._command(reset)

    def undo(self) -> Future[None]:
        """Back by one gesture or one run."""
        return self._command(lambda: self._travel(self._past, self._future, "undo"))

    def redo(self) -> Future[None]:
        """Forward again by one gesture or one run."""
        return self._command(lambda: self._travel(self._future, self._past, "redo"))

    def new_image(self, *, seed: int, truncation: float) -> Future[None]:
        """Begin a new edit with the picture of ``seed``, of the same class; undo brings the old one back."""

        def new_image() -> None:
            self._replace_edit(self._begin_at(seed, truncation, self._now.label))

        return self._command(new_image)

    def retruncate(self, truncation: float) -> Future[None]:
        """Begin a new edit with the same seed at another truncation."""

        def retruncate() -> None:
            seed = self._need_seed("truncation")
            self._replace_edit(self._begin_at(seed, truncation, self._now.label))

        return self._command(retruncate)

    def relabel(self, label: int) -> Future[None]:
        """Begin a new edit with the same seed in another class."""

        def relabel() -> None:
            checked = check_label(label, self.generator.label_dim)
            seed = self._need_seed("class")
            self._replace_edit(self._begin_at(seed, self._now.truncation, checked))

        return self._command(relabel)

    def load(self, name: str, read: Callable[[Progress], Model]) -> Future[None]:
        """Go on with another model, which ``read`` makes in the worker's thread, and a new edit.

        The edit begins with the same seed, truncation and class as the present one, where the new model has them, and
        keeps settings that somebody chose, where it has their blocks. Undo begins anew. Whatever goes wrong, the
        present model and edit, a run included, stay as they are; the exception comes by the future, its text with
        snapshots.

        :param name: what the new model is called while it is not there yet. :param read: makes it, and may call what it
            is given with how much is done.
        """
        told = 0.0

        def tell(progress: float | None) -> None:
            nonlocal told
            if progress is None or time.monotonic() - told >= TELL_EVERY:
                self._progress, told = progress, time.monotonic()
                self._publish()

        def load() -> None:
            self._trouble, self._loading = "", name
            tell(None)
            try:
                model = read(tell)
                config = self._config_for(model.generator)
                moment = self._moment_for(model.generator, config)
            except Exception as error:
                log.info("%s was not loaded", name, exc_info=error)
                self._trouble = _told(f"{name} was not loaded", error)
                raise
            finally:
                self._loading = self._progress = None
                if self._trouble:
                    self._publish()
            self._stop()
            self._gesture = False
            self._model, self._config, self._now = model, config, moment
            self._past.clear()
            self._future.clear()
            self._set_status("idle", f"{model.title} is loaded. Press on the picture and pull.")

        return self._worker.submit(load)

    def set_latent(self, ws: Tensor) -> Future[None]:
        """Begin a new edit with the picture of ``ws`` (1, num_ws, w_dim)."""

        def set_latent() -> None:
            self._replace_edit(self._begin(ws, None, self._now.truncation))

        return self._command(set_latent)

    def restore(self, moment: Moment) -> Future[None]:
        """Go on with a moment of elsewhere, one read from a file say, as if the session had begun with it."""

        def restore() -> None:
            self._config = moment.drag.config
            self._replace_edit(moment)
            self._past.clear()
            self._publish()

        return self._command(restore)

    def put_point(
        self, number: int, *, handle: XY | None = None, target: XY | None = None, pulling: bool = False
    ) -> Future[None]:
        """Set a point: a new one from ``handle`` and ``target``, or what is given of the one numbered ``number``.

        While ``pulling``, a run waits at the target instead of ending; all that happens from the first such call to
        the first one without it is one step of undo.
        """

        def put_point() -> None:
            known = number in self._now.drag.ids
            if not known and (handle is None or target is None):
                raise ValueError(f"there is no point {number}; give its handle and its target")
            if not self._gesture:
                self._remember()
            self._gesture = self._pulling = pulling
            self._apply_point(number, handle, target, known=known)
            self._publish()
            self._end_if_over()

        return self._command(put_point)

    def let_go(self) -> Future[None]:
        """The pointer that was down is no longer there."""

        def let_go() -> None:
            self._gesture = self._pulling = False
            self._end_if_over()

        return self._command(let_go)

    def remove_points(self, numbers: Iterable[int]) -> Future[None]:
        """Delete points; numbers that are not there are ignored."""

        def remove_points() -> None:
            gone = [number for number in numbers if number in self._now.drag.ids]
            if not gone:
                return
            self._remember()
            self._gesture = self._pulling = False
            self._drop_points(gone)
            self._publish()
            self._end_if_over()

        return self._command(remove_points)

    def set_points(self, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Future[None]:
        """Apply what differs between two lists of checked points; what is the same stays as it is tracked."""

        def set_points() -> None:
            old = {point["id"]: point for point in before}
            new = {point["id"]: point for point in after}
            if old == new:
                return
            self._remember()
            self._drop_points([number for number in self._now.drag.ids if number not in new])
            for number, point in new.items():
                known = number in self._now.drag.ids
                same = old.get(number, {}) if known else {}
                handle, target = (
                    None if point[part] == same.get(part) else tuple(point[part]) for part in ("handle", "target")
                )
                self._apply_point(number, handle, target, known=known)
            self._publish()
            self._end_if_over()

        return self._command(set_points)

    def set_mask(self, mask: np.ndarray | None) -> Future[None]:
        """Take a checked mask (H, W), 1 = may move; None = everything may."""

        def set_mask() -> None:
            drag = dragging.with_mask(self._now.drag, mask)
            self._remember()
            self._change(drag=drag, mask=mask)
            self._publish()

        return self._command(set_mask)

    def set_config(self, config: DragConfig) -> Future[None]:
        """Other settings, from the next step on."""

        def set_config() -> None:
            self._change(drag=dragging.with_config(self.generator, self._now.drag, config))
            self._config = config
            self._publish()

        return self._command(set_config)

    # --- in the worker thread --------------------------------------------------------------------------------------

    def _command(self, job: Callable[[], None]) -> Future[None]:
        meant = self._model

        def carry_out() -> None:
            try:
                if self._model is not meant:
                    raise ValueError(f"the picture is one of {self._model.title} by now; that was meant for another")
                self._trouble = ""
                job()
            except ValueError as error:
                self._on_notice(str(error))
                raise
            except Exception as error:
                self._fail(error, "That failed and the edit is as it was before")
                raise

        return self._worker.submit(carry_out)

    def _work(self) -> float | None:
        """One step of the run, if one is on and has somewhere to go; when to ask again, as ``Worker`` wants it."""
        run = self._run
        if run is None:
            return None
        try:
            if run.by_view and not self._awaited() and not self._attended():
                self._run = None
                self._gesture = self._pulling = False
                self._set_status("paused", "Paused, because nobody was looking.")
            elif dragging.terminate(self._now.drag) is not None:
                if not self._end_if_over():
                    return LOOK_EVERY  # while the pointer is down, a run waits for it to move on
            else:
                self._step()
                run.ends.append(time.perf_counter())
                if not self._end_if_over():
                    self._publish()
        except Exception as error:  # whatever it is must reach the person, not end the thread
            self._fail(error, "The step failed and the edit is as it was before")
        return None if self._run is None else 0.0

    def _awaited(self) -> bool:
        return any(not done.cancelled() for done in self._waiting)

    def _step(self) -> None:
        began = time.perf_counter()
        records = self._now.records or (self._record(self._now.drag, 0.0),)
        drag = dragging.step(self.generator, self._now.drag)
        record = self._record(drag, self._now.seconds + time.perf_counter() - began)
        self._change(drag=drag, records=(*records, record))

    def _end_if_over(self) -> bool:
        """Settle the run if its state says so, unless a pointer still holds a target."""
        reason = None if self._run is None or self._pulling else dragging.terminate(self._now.drag)
        if reason is None:
            return False
        steps = _count(self._now.drag.step)
        sentences = {
            "arrived": f"Arrived after {steps}.",
            "stalled": f"Stalled after {steps}, {self._to_go()}: try a nearer target.",
            "capped": f"Reached {self._config.max_steps} steps, {self._to_go()}. Start goes on.",
        }
        self._run = None
        self._set_status(reason, sentences[reason])
        return True

    def _stop(self) -> None:
        self._pulling = False
        if self._run is not None or self._status == "paused":
            self._run = None
            self._set_status("stopped", f"Stopped after {_count(self._now.drag.step)}, {self._to_go()}.")

    def _resume(self) -> None:
        if self._status == "paused":
            self._go(by_view=True)

    def _go(self, *, by_view: bool) -> None:
        self._run = _Run(by_view, collections.deque([time.perf_counter()], RATE_WINDOW + 1))
        self._set_status("running", "")

    def _fail(self, error: BaseException, what: str) -> None:
        self._run, self._pulling = None, False
        log.error("%s", what, exc_info=error)
        self._set_status("error", _told(what, error), error)

    def _remember(self, moment: Moment | None = None) -> None:
        self._past.append(moment or self._now)
        del self._past[:-UNDO_DEPTH]
        self._future.clear()

    def _travel(self, source: list[Moment], other: list[Moment], name: str) -> None:
        if not source:
            raise ValueError(f"there is nothing to {name}")
        self._stop()
        other.append(self._now)
        moment = source.pop()
        drag = dragging.with_config(self.generator, moment.drag, self._config)
        self._now = dataclasses.replace(moment, drag=drag)
        self._set_status("stopped" if drag.step else "idle", "Undone." if name == "undo" else "Redone.")

    def _replace_edit(self, moment: Moment) -> None:
        self._stop()
        self._remember()
        self._now = moment
        self._set_status("stopped" if moment.drag.step else "idle", "")

    def _need_points(self) -> None:
        if not self._now.drag.ids:
            raise ValueError("there are no points yet; press on the picture and pull, or set points")

    def _need_seed(self, what: str) -> int:
        if self._now.seed is None:
            raise ValueError(f"this picture did not come from a seed, so it has no {what}; set a seed first")
        return self._now.seed

    def _begin_at(self, seed: int, truncation: float, label: int | None) -> Moment:
        return _first_moment(self.generator, self._config, seed, truncation, label)

    def _moment_for(self, generator: Generator, config: DragConfig) -> Moment:
        """The beginning of an edit with another generator, as near to that of the present one as it has it."""
        now, classes = self._now, generator.label_dim
        label = now.label if now.label is not None and now.label < classes else None
        return _first_moment(generator, config, now.seed or 0, now.truncation, label)

    def _config_for(self, generator: Generator) -> DragConfig:
        if self._config == self.generator.drag_config:
            return generator.drag_config  # nobody chose: each has its own
        asked = self._config.block
        blocks = () if asked is None else (asked,) if isinstance(asked, int) else asked
        return self._config if set(blocks) <= set(generator.blocks) else generator.drag_config

    def _begin(self, ws: Tensor, seed: int | None, truncation: float) -> Moment:
        return Moment(self._init(ws, [], None), None, seed, truncation)

    def _init(self, ws: Tensor, points: Sequence[tuple[int, XY, XY]], mask: np.ndarray | None) -> DragState:
        return dragging.init(self.generator, ws, points, mask, self._config)

    def _apply_point(self, number: int, handle: XY | None, target: XY | None, *, known: bool) -> None:
        drag = self._now.drag
        if not known:
            assert handle is not None
            assert target is not None
            drag = dragging.add_point(self.generator, drag, number, handle, target)
        else:
            if handle is not None:
                drag = dragging.move_handle(self.generator, drag, number, handle)
            if target is not None:
                drag = dragging.move_target(drag, number, target)
        self._change(drag=drag)

    def _drop_points(self, numbers: Iterable[int]) -> None:
        drag = self._now.drag
        for number in numbers:
            drag = dragging.remove_point(self.generator, drag, number)
        self._change(drag=drag)
        if not drag.ids:
            self._stop()

    def _change(self, **changes: Any) -> None:
        self._now = dataclasses.replace(self._now, **changes)

    def _set_status(self, status: str, message: str, failure: BaseException | None = None) -> None:
        self._status, self._message, self._failure, self._trouble = status, message, failure, ""
        self._publish()
        if self._run is None and status != "paused":
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
        return dragging.make_result(self.generator, self._now.drag, self._status, history)

    def _publish(self) -> None:
        """Tell everybody. Never raises: a listener that fails ends the run, which is told in turn."""
        self.latest = self._snapshot()
        try:
            self._on_change(self.latest)
        except Exception as error:
            log.exception("the picture could not be shown")
            self._run, self._pulling, self._failure = None, False, error
            self._status = "error"
            self._message = _told("The picture could not be shown", error)
            self.latest = self._snapshot()
            with contextlib.suppress(Exception):
                self._on_change(self.latest)
            self._settle_waiting()

    def _snapshot(self) -> Snapshot:
        ends = [] if self._run is None else list(self._run.ends)
        rate = (len(ends) - 1) / (ends[-1] - ends[0]) if len(ends) > 1 else None
        return Snapshot(
            self._status,
            self._message,
            self._now,
            bool(self._past),
            bool(self._future),
            rate,
            self._model,
            self._loading,
            self._progress,
            trouble=self._trouble,
        )

    def _to_go(self) -> str:
        distances = self._now.drag.distances
        return f"{max(distances):.1f} px to go" if len(distances) else "no points"

    @staticmethod
    def _record(drag: DragState, seconds: float) -> Record:
        ws = drag.ws.cpu().numpy().copy()
        return Record(drag.step, seconds, tuple(drag.ids), drag.handles, drag.targets, dict(drag.loss), ws)


def _first_moment(generator: Generator, config: DragConfig, seed: int, truncation: float, label: int | None) -> Moment:
    label = check_label(label, generator.label_dim)
    ws = generator.mapping(seed=seed, label=label, truncation=truncation)
    return Moment(dragging.init(generator, ws, [], None, config), None, seed, truncation, label=label)


def _told(what: str, error: BaseException) -> str:
    return f"{what}: {str(error) or type(error).__name__}"


def _count(steps: int) -> str:
    return "1 step" if steps == 1 else f"{steps} steps"
