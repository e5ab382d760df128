"""An edit as it goes on: the present document, what undo goes back to, the run that is on, and who is told of it."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np

from draggan_widget.editing import changes, sentences, timeline
from draggan_widget.editing.asking import Asking, with_change, with_held
from draggan_widget.editing.audience import Audience
from draggan_widget.editing.beginnings import tuned_further, with_model
from draggan_widget.editing.document import Document, Snapshot
from draggan_widget.editing.finishing import finished
from draggan_widget.editing.jobs import COMPARING, Running
from draggan_widget.editing.model import Model
from draggan_widget.editing.prompting import taking
from draggan_widget.editing.runner import LOOK_EVERY, Runner
from draggan_widget.editing.sealed import Sealed
from draggan_widget.editing.settings import Choice, choice_of, usual_choice
from draggan_widget.editing.undo import Entry, UndoStack
from draggan_widget.engines import DivergedError, DragRecord, DragResult, engine_of
from draggan_widget.settings import check_whole

log = logging.getLogger(__name__)
FAR = 0.03
"""Of the picture's height: a way that is shorter needs no first jump."""
Saved = tuple[Document, Document | None, UndoStack]


class LiveEdit:
    """What a session does, in the worker's thread alone. Methods publish a snapshot of what they led to.

    Looking at the past changes nothing, and a run that is on goes on behind what is looked at. What changes the edit
    meanwhile, a pull or a start say, goes on from the document that is shown, as if that had been asked for first: what
    one sees is what one edits. Undo brings back what came after it.

    :param speed: largest number of steps a second; None for no limit. :param on_change: called with every snapshot.
    :param attended: whether anybody looks; a run that a view started pauses when not. :param jobs: the long work that
        goes on beside it.
    """

    def __init__(
        self,
        document: Document,
        *,
        speed: float | None,
        on_change: Callable[[Snapshot], None],
        attended: Callable[[], bool],
        jobs: Callable[[], tuple[Running, ...]],
    ) -> None:
        self.now = document
        self.runner = Runner(speed)
        self.undo = UndoStack()
        self._look: Document | None = None
        self._edit = 0
        self._pulling = self._gesture = False
        self._jump_due = False
        self._slide: Document | None = None
        self._attended, self._jobs = attended, jobs
        self._free: Future[None] | None = None
        self.audience = Audience(on_change, self._snapshot, self._result, self._cut)
        self.latest = self._snapshot()
        """The newest snapshot, for any thread to read."""

    @property
    def saved(self) -> Saved:
        """What a command that fails must leave as it was."""
        return self.now, self._look, self.undo

    @saved.setter
    def saved(self, saved: Saved) -> None:
        self.now, self._look, self.undo = saved

    # --- runs --------------------------------------------------------------------------------------------------------

    def start(self, *, by_view: bool) -> None:
        """Begin a run, or go on with one that paused. :raises ValueError: without points."""
        if self._look is not None:
            self._need_points()
            self._begin_edit("run")
        self.resume()
        if self.runner.on:
            self.runner.join(by_view=by_view)
            return
        self._need_points()
        if not self._gesture:
            self._remember("run")
        self.now = self.now.changed(drag=self.now.drag.begin_run())
        self._jump_due = self.now.first is not None
        self._go(by_view=by_view)
        self._end_if_over()

    def stop(self) -> None:
        """End the run, if one is on or paused."""
        self._pulling = False
        if self.runner.on or self.audience.status == "paused":
            self.runner.end()
            self.audience.set_status("stopped", sentences.stopped(self.now))

    def resume(self) -> None:
        """Go on with a run that paused."""
        if self.audience.status == "paused" and not self.runner.on:
            self._go(by_view=True)

    def step_once(self) -> None:
        """Take one step, whether or not the handles have arrived. :raises ValueError: without points."""
        self._need_points()
        self.stop()
        before = self.now
        self._take_up(self._look)
        self.now = self.runner.step(self.now)
        self._remember("one step", before)
        self.audience.set_status("stopped", sentences.stepped(self.now))

    def let_go(self) -> None:
        """Take it that the pointer that was down is no longer there."""
        self._gesture = self._pulling = False
        self._slide = None
        self._end_if_over()
        self._tell_free()

    def pull(self) -> float | None:
        """Take a step of the run, if one is on and has somewhere to go; return when to ask again, in seconds."""
        run = self.runner
        if not run.on:
            return None
        try:
            if run.by_view and not self.audience.awaited and not self._attended():
                run.end()
                self._gesture = self._pulling = False
                self.audience.set_status("paused", sentences.PAUSED)
            elif self.now.drag.verdict is not None:
                if not self._end_if_over():
                    return self._rest()
            elif (early := run.early) > 0:
                return early
            else:
                self._go_on()
                if not self._end_if_over():
                    self.audience.publish()
        except BaseException as error:  # whatever it is must reach the person, not end the thread
            self.fail(error, "The step failed and the edit is as it was before")
        return 0.0 if run.on else None

    def _go_on(self) -> None:
        """Take the next step: a jump, where one is due and there is some way to go; else one of the engine.

        A jump that cannot be made is said, and the engine goes on without it.
        """
        due, self._jump_due = self._jump_due, False
        far = sentences.furthest(self.now) >= FAR * self.now.model.generator.resolution[0]
        before = self.now
        if due and far and self.now.first is not None:
            try:
                self.now = self.runner.go_on(self.now, jump=True)
            except (DivergedError, ValueError) as error:
                self.audience.message = sentences.failed("No first jump", error)
        if self.now is before:
            self.now = self.runner.go_on(self.now)

    def _rest(self) -> float:
        """While the pointer is down, a run that has arrived waits for it to move on."""
        if not self.runner.resting and (early := self.runner.restless) > 0:
            return early
        if not self.runner.resting:
            self.runner.resting = True
            self.audience.publish()
        return LOOK_EVERY

    # --- the timeline ------------------------------------------------------------------------------------------------

    def go_back(self) -> None:
        """Undo one gesture or one run. :raises ValueError: if there is nothing to undo."""
        self._travel(*self.undo.back(self.now), "Undone")

    def go_forward(self) -> None:
        """Redo it. :raises ValueError: if there is nothing to redo."""
        self._travel(*self.undo.forward(self.now), "Redone")

    def look(self, step: int | None) -> None:
        """Show the edit after that step, or the nearest before it that is kept; None: the newest."""
        shown = None if step is None or step >= self.now.drag.step else timeline.at(self.now, step)
        if (shown and shown.drag.step) == (self._look and self._look.drag.step):
            return
        self._look = shown
        self.audience.publish()

    def branch(self, to: int) -> None:
        """Go on from that step. :raises ValueError: if there is none."""
        step = check_whole("step", to, 0)
        if step > self.now.drag.step:
            raise ValueError(f"there is no step {step} yet; the edit has {sentences.count(self.now.drag.step)}")
        self.stop()
        self._gesture = False
        if step < self.now.drag.step:
            document = timeline.at(self.now, step)
            self._remember(f"going back to step {document.drag.step}")
            self._take_up(document)
        self._look = None
        steps = self.now.drag.step
        self.audience.set_status("stopped" if steps else "idle", f"Back at step {steps}; Undo brings the rest back.")

    def _travel(self, stack: UndoStack, entry: Entry, said: str) -> None:
        self.stop()
        self.undo, self._look = stack, None
        held = entry.document
        document = held.opened(self.now.model) if isinstance(held, Sealed) else held
        if document.model.opening is not None and document.model.goes_on_as(self.now.model):
            document = tuned_further(document, self.now.model)
        first = timeline.first_in(document, self.now)
        self._go_to(changes.with_config(document, timeline.config_in(document, self.now)).changed(first=first))
        gone = self._seal()
        self.audience.set_status(timeline.status_of(document, self.now), f"{said}: {entry.done}.{gone}")

    # --- changes and beginnings --------------------------------------------------------------------------------------

    def put_point(self, move: changes.Move) -> None:
        """Set or move a point. :raises ValueError: for a new one of which a part is missing."""
        number, handle, target = move.number, move.handle, move.target
        shown = self.now if self._look is None or self._gesture else self._look
        known = number in shown.drag.ids
        if not known:
            changes.whole_point(number, handle, target)  # before anything is stopped or remembered
        if not self._gesture:
            self._begin_edit(move.done(known=known))
        self._look = None
        self._gesture = self._pulling = move.pulling
        self.now = changes.with_point(self.now, number, handle, target)
        # While the pointer is down the predictor answers its moves, where they have left the handle behind.
        self._jump_due |= move.pulling and self.runner.on and self.now.first is not None
        self._say_ready()

    def remove_points(self, numbers: Iterable[int]) -> None:
        """Delete points; numbers that are not there are ignored."""
        gone = [number for number in numbers if number in (self._look or self.now).drag.ids]
        if not gone:
            return
        self._gesture = False
        self._begin_edit(f"removal of {f'point {gone[0]}' if len(gone) == 1 else f'{len(gone)} points'}")
        self._pulling = False
        self._drop_points(gone)
        self.audience.publish()
        self._end_if_over()

    def set_points(self, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> None:
        """Apply what differs between two lists of checked points."""
        kept = {point["id"] for point in after}
        if {point["id"]: point for point in before} == {point["id"]: point for point in after}:
            return
        self._begin_edit("points")
        self._drop_points([number for number in self.now.drag.ids if number not in kept])
        self.now = changes.with_points(self.now, before, after)
        self._say_ready()

    def set_mask(self, mask: np.ndarray | None, done: str) -> None:
        """Take a mask. :param done: what undo would take back."""
        self._begin_edit(done)
        self.now = changes.with_mask(self.now, mask)
        self.audience.publish()

    def suggest_mask(self) -> None:
        """Take the mask that the points suggest. :raises ValueError: without points."""
        self.set_mask(changes.suggested_mask(self._look or self.now), "suggested mask")

    def change(self, asking: Asking, *, sliding: bool = False) -> tuple[str, ...]:
        """Change attributes; return sentences about what could not be had. :raises ValueError: if nothing can.

        :param sliding: whether a slider is still held: all that is asked till it is let go counts from where the edit
            was when it was taken hold of, and is one step of undo. Handles follow their content when it is let go.
        """
        if self._slide is not None and self._slide.drag.step == self.now.drag.step:
            asked = asking(self._slide)
            self.now = with_change(self._slide, asked, follow=not sliding)
        else:
            shown = self.now if self._look is None else self._look
            asked = asking(shown)
            self._begin_edit(asked.done)
            self._slide = self.now
            self.now = with_change(self.now, asked, follow=not sliding)
        if not sliding:
            self._slide = None
        self.audience.message = " ".join(f"{note.rstrip('.')}." for note in asked.notes)
        self.audience.publish()
        return asked.notes

    def hold(self, names: tuple[str, ...], held: np.ndarray | None) -> None:
        """Hold attributes from the next step on, and no others. :raises ValueError: for those of another model."""
        self._begin_edit(f"hold of {', '.join(names)}" if names else "release")
        self.now = with_held(self.now, names, held)
        self.audience.publish()

    def set_config(self, config: Any) -> None:
        """Take other settings, of this engine or another. :raises ValueError: if it cannot serve the model."""
        self._take_config(config)
        self.audience.publish()

    def set_first(self, first: Any) -> None:
        """Take settings of who makes the first jump of runs, or None. :raises ValueError: if it cannot, or cannot serve
        the model.
        """
        self.now = self.now.changed(first=changes.first_of(self.now.model.generator, first))
        self.audience.publish()

    def set_settings(self, values: Mapping[str, Any]) -> None:
        """Take some settings by name. :raises ValueError: naming one that cannot be taken; then none is."""
        self._take(choice_of(self.now, self.runner.speed, values))

    def reset_settings(self) -> None:
        """Take all settings of the engine as the model has them, and no first jump."""
        self._take(usual_choice(self.now))

    def _take(self, choice: Choice) -> None:
        self._take_config(choice.config)  # which may be refused
        self._take_finish(choice.finish)
        if choice.first != self.now.first:
            self.now = self.now.changed(first=choice.first)
        self.runner.speed = choice.speed
        self.audience.publish()

    def replace(self, document: Document, done: str, message: str = "") -> None:
        """Go on with another edit, to which ``done`` has led; undo brings the one before back."""
        self.stop()
        self.undo = self.undo.remembering(self.now, done, document)
        self._look = None
        self._go_to(document)
        message = f"{message}{self._seal()}".strip()
        self.audience.set_status("stopped" if document.drag.step else "idle", message)

    def take_model(self, model: Model) -> None:
        """Go on with another model. :raises ValueError: if its latents cannot be worked with."""
        document = with_model(self.now, model)
        self.replace(document, *taking(self.now.model, model))

    def restore(self, document: Document) -> None:
        """Go on with a document of elsewhere, as if the session had begun with it."""
        self.stop()
        self.undo, self._look = UndoStack(), None
        if document.model.generator is self.now.model.generator:  # which has a name and a source here
            document = document.changed(model=self.now.model)
        self._go_to(document)
        status = timeline.status_of(document, self.now)
        over = status not in ("stopped", "idle")
        self.audience.set_status(status, sentences.ended(self.now, status) if over else "")

    # --- a photograph that is fitted and tuned meanwhile -------------------------------------------------------------

    @property
    def in_use(self) -> bool:
        """Whether somebody pulls, compares or looks at the past, so that the model must stay as it is."""
        comparing = any(job.what == COMPARING for job in self._jobs())
        return self.runner.on or self._gesture or self._pulling or comparing or self._look is not None

    def free(self) -> Future[None]:
        """Return a future of the time when it is not in use any more."""
        if self._free is None or self._free.done():
            self._free = Future()
        self._tell_free()
        return self._free

    def show_photo(self, model: Model) -> None:
        """Go on with the photograph that is open as it is by now: fitted nearer, or by other weights.

        Points, mask, steps and a gesture stay, and so does what undo leads back to.
        """

        def further(document: Document) -> Document:
            return tuned_further(document, model) if document.model.goes_on_as(model) else document

        self.now, self.undo = further(self.now), self.undo.changed(further)
        self.audience.publish()

    def drop_photo(self, held: Document | Sealed, undo: UndoStack, opening: object, message: str) -> None:
        """Go back to what was there before a photograph was opened, unless somebody has left it already."""
        if self.now.model.opening is not opening:
            self.audience.publish()
            return
        self.stop()
        document = held.opened(self.now.model) if isinstance(held, Sealed) else held
        self.undo, self._look = undo, None
        self._go_to(document)
        self.audience.set_status(timeline.status_of(document, self.now), message)

    def _seal(self) -> str:
        """Let go of photographs that are not open; return a sentence where undo does not lead back to some any more."""
        self.undo, gone = self.undo.sealed(self.now)
        return f" Undo no longer leads back to {' and '.join(gone)}: there is no room for so many." if gone else ""

    def _tell_free(self) -> None:
        if self._free is not None and not self._free.done() and not self.in_use:
            self._free.set_result(None)

    # --- who is told -------------------------------------------------------------------------------------------------

    def wait(self, done: Future[DragResult]) -> None:
        """Resolve a future when no run is on. A run that paused goes on for it."""
        self.audience.wait(done)
        if self.audience.status == "paused":
            self.resume()
        elif not self.runner.on:
            self.audience.settle()

    def fail(self, error: BaseException, what: str) -> None:
        """End the run because of an error, and say so."""
        self._cut()
        log.error("%s", what, exc_info=error)
        self.audience.set_status("error", sentences.failed(what, error), error)

    def _snapshot(self) -> Snapshot:
        self.latest = Snapshot(
            status=self.audience.status,
            message=self.audience.message,
            document=self.now,
            can_undo=bool(self.undo.past),
            can_redo=bool(self.undo.future),
            rate=self.runner.rate,
            jobs=self._jobs(),
            trouble=self.audience.trouble,
            look=self._look,
            speed=self.runner.speed,
            resting=self.runner.resting,
            held=self._gesture,
            sliding=self._slide is not None,
            undo=self.undo.undo_name,
            redo=self.undo.redo_name,
            edit=self._edit,
        )
        self._tell_free()
        return self.latest

    def _result(self, reason: str) -> DragResult:
        history = [DragRecord(r.step, r.handles, r.distances, r.loss) for r in self.now.records]
        finish = functools.partial(finished, self.now)
        return DragResult(self.now.model.generator, self.now.drag, reason, tuple(history), finish)

    # --- in parts ----------------------------------------------------------------------------------------------------

    def _go_to(self, document: Document) -> None:
        """Make another document the present: what is known of the steps before is of another course."""
        if document.model is not self.now.model:
            self._gesture = False  # it was on a picture of the model before
        self.now, self._slide = document, None
        self._edit += 1

    def _remember(self, done: str, document: Document | None = None) -> None:
        """Keep the present, or ``document``, for undo; ``done`` is what is about to be done, as undo names it."""
        self._slide = None
        self.undo = self.undo.remembering(document or self.now, done, self.now)

    def _begin_edit(self, done: str) -> None:
        """Keep the present for undo before something is ``done``, and go on from what is shown."""
        if self._look is not None and not self._gesture:
            self.stop()
        self._remember(done)
        self._hush()
        shown, self._look = self._look, None
        if not self._gesture:
            self._take_up(shown)

    def _hush(self) -> None:
        """Leave out what is told of the edit, since it is of what was done before."""
        if not self.runner.on and self.audience.status not in ("error", "paused"):
            self.audience.message = ""

    def _take_up(self, shown: Document | None) -> None:
        """Go on from a document of the past, with the settings that hold now."""
        self._look = None
        if shown is not None and shown is not self.now:
            self._go_to(timeline.taken_up(shown, self.now.config).changed(first=self.now.first))

    def _take_config(self, config: Any) -> None:
        before = self.now
        taken = changes.with_config(before, config)  # before anything is stopped, since it may refuse
        if engine_of(config) is not engine_of(before.config):
            self.stop()
            self._begin_edit(f"engine {engine_of(config).name}")
        self.now = taken if self.now is before else changes.with_config(self.now, config)

    def _take_finish(self, finish: tuple[str, ...]) -> None:
        """Have other things done to all pictures of the edit, whichever of them is looked at; its course stays."""
        if finish == self.now.finish:
            return
        self._remember("details of the photograph" if finish else "details left out")
        self._hush()
        self.now = self.now.changed(finish=finish)
        self._look = None if self._look is None else self._look.changed(finish=finish)
        self._edit += 1  # since the pictures of all steps are others now

    def _drop_points(self, numbers: Iterable[int]) -> None:
        self.now = changes.without_points(self.now, numbers)
        if not self.now.drag.ids:
            self.stop()

    def _say_ready(self) -> None:
        """Say that the points are ready, unless a run is on, and end the run if they are all at their targets."""
        if self.now.drag.ids and not self.runner.on and self.audience.status not in ("error", "paused"):
            self.audience.message = sentences.READY
        self.audience.publish()
        self._end_if_over()

    def _need_points(self) -> None:
        if not self.now.drag.ids:
            raise ValueError("there are no points yet; press on the picture and pull, or set points")

    def _go(self, *, by_view: bool) -> None:
        self.runner.begin(self.now.drag.step, by_view=by_view)
        self.audience.set_status("running", "")

    def _end_if_over(self) -> bool:
        """Settle the run if its state says so, unless a pointer still holds a target."""
        reason = None if not self.runner.on or self._pulling else self.now.drag.verdict
        if reason is None:
            return False
        self.runner.end()
        self.audience.set_status(reason, sentences.ended(self.now, reason))
        return True

    def _cut(self) -> None:
        """Drop the run without a word: something else is to be said."""
        self.runner.end()
        self._pulling = False
