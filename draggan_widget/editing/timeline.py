"""The timeline of an edit: undo and redo, looking at any moment of it, and going on from there."""

from __future__ import annotations

import dataclasses
from concurrent.futures import Future

from draggan_widget.editing.document import Document
from draggan_widget.editing.history import at_step
from draggan_widget.editing.runs import Runs, count
from draggan_widget.editing.script import until, written
from draggan_widget.engines import engine_of
from draggan_widget.settings import check_whole

AS_IT_BEGAN = "nothing to undo yet: the edit is as it began"
NOTHING = {
    "undo": "nothing to undo: what was done before this is not kept; reset leads back to the first picture",
    "redo": "nothing to redo: the last thing done was no undo",
}


class Timeline(Runs):
    """Looking changes nothing of the edit, and a run that is on goes on behind what is looked at.

    What changes the edit meanwhile, a pull or a start say, goes on from the moment that is shown, as if that had been
    asked for first: what one sees is what one edits. Undo brings back what came after it.
    """

    _asked = 0
    """How often somebody wanted to look: of many that were asked for in a hurry, the last one counts."""

    def undo(self) -> Future[None]:
        """Back by one gesture or one run."""
        return self._command(lambda: self._travel(self._past, self._future, "undo"))

    def redo(self) -> Future[None]:
        """Forward again by one gesture or one run."""
        return self._command(lambda: self._travel(self._future, self._past, "redo"))

    def look(self, step: int | None) -> Future[None]:
        """Show the picture and the handles after that step, or the nearest before it that is kept; None: the newest."""
        self._asked += 1
        mine = self._asked

        def look() -> None:
            if self._asked != mine:
                return  # somebody scrubs, and is elsewhere by now
            shown = None if step is None or step >= self._now.drag.step else self._document_at(step)
            if (shown and shown.drag.step) == (self._look and self._look.drag.step):
                return
            self._look = shown
            self._publish()

        return self._command(lambda _: look(), kind=("look",))

    def branch(self, to: int) -> Future[None]:
        """Go on from the moment after that step, 0 or more; what came after it stays reachable by undo."""

        def branch() -> None:
            step = check_whole("step", to, 0)
            if step > self._now.drag.step:
                raise ValueError(f"there is no step {step} yet; the edit has {count(self._now.drag.step)}")
            self._stop()
            self._gesture = False
            if step < self._now.drag.step:
                document = self._document_at(step)
                self._remember(f"going back to step {document.drag.step}")
                self._take_up(document)
            self._look = None
            steps = self._now.drag.step
            self._set_status("stopped" if steps else "idle", f"Back at step {steps}; Undo brings the rest back.")

        return self._command(branch)

    # --- in the worker thread --------------------------------------------------------------------------------------

    def _begin_edit(self, done: str) -> None:
        if self._look is not None and not self._gesture:
            self._stop()
        self._remember(done)
        if not self._running() and self._status not in ("error", "paused"):
            self._message = ""  # it told of what was done before
        shown, self._look = self._look, None
        if not self._gesture:
            self._take_up(shown)

    def _take_up(self, shown: Document | None) -> None:
        """Go on from a moment of the past, with the settings that hold now."""
        self._look = None
        if shown is None or shown is self._now:
            return
        drag = shown.drag.with_config(self._config)
        script = shown.script
        if shown.drag.config != self._config:
            script = written(script, ("config", self._config))
        self._go_to(dataclasses.replace(shown, drag=drag.begin_run(), script=script, done=""))

    def _document_at(self, step: int) -> Document:
        """The edit as it was after ``step``, or the nearest step before it that is kept."""
        now = self._now
        if not now.records:
            return now
        place = at_step(now.records, step)
        record, records = now.records[place], now.records[: place + 1]
        drag = record.kept.state(self.generator, record.ws)
        return dataclasses.replace(
            now, drag=drag, mask=drag.edit.mask, records=records, script=until(now.script, record.step)
        )

    def _travel(self, source: list[Document], other: list[Document], name: str) -> None:
        if not source:
            raise ValueError(NOTHING[name] if self._now.drag.step or name == "redo" else AS_IT_BEGAN)
        self._stop()
        self._look = None
        document = source.pop()
        other.append(dataclasses.replace(self._now, done=document.done))
        if engine_of(document.drag.config) is not engine_of(self._config):
            self._config = document.drag.config  # settings stay as they are now, but those of another engine
        self._take_up(document)
        what = f"{'Undone' if name == 'undo' else 'Redone'}: {document.done or 'the last change'}."
        self._set_status("stopped" if self._now.drag.step else "idle", what)
