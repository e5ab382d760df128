"""The history of an editor as a list whose selected row the editor shows, and the other way round."""

from __future__ import annotations

import time
from typing import Any

from draggan_widget.editing.history import at_step, thinned

MOST_ROWS = 500
RENEW_EVERY = 1.0
"""Seconds between lists while a run is on."""


def history_list(editor: Any, *, rows: int = 10) -> Any:
    """A widget that lists the steps of an edit; selecting one shows it in the editor, and scrubbing there selects it.

    It follows the edit as it goes on. Made of ipywidgets alone, so it shows wherever these do.

    :param editor: a ``DragGAN``. :param rows: that are seen at once.
    """
    return _HistoryList(editor, rows).choice


class _HistoryList:
    def __init__(self, editor: Any, rows: int) -> None:
        import ipywidgets

        self._editor = editor
        self._mine = False
        """Whether it is this class that selects a row, and nobody's wish."""
        self._renewed = 0.0
        self._records: list[Any] = []
        self.choice: Any = ipywidgets.Select(rows=rows, description="history", layout={"width": "26em"})
        self._renew()
        self.choice.observe(self._look, "value")
        editor.observe(self._follow, ["step", "status"])
        editor.observe(lambda _change: self._mark(), "shown")

    def _follow(self, change: Any) -> None:
        # A short run may begin and end between two looks at it, with the same status before and after.
        over = self._editor.status != "running"
        if over or change["name"] == "status" or time.monotonic() - self._renewed >= RENEW_EVERY:
            self._renew()

    def _renew(self) -> None:
        self._renewed = time.monotonic()
        self._records = thinned(self._editor.history, MOST_ROWS)
        options = [(_row(record), record.step) for record in self._records] or [("step 0", 0)]
        if options != list(self.choice.options):
            self._mine = True
            try:
                self.choice.options = options
            finally:
                self._mine = False
        self._mark()

    def _mark(self) -> None:
        steps, shown = [step for _, step in self.choice.options], self._editor.shown
        known = shown is not None and self._records
        self._mine = True
        try:
            self.choice.value = steps[at_step(self._records, shown)] if known else steps[-1]
        finally:
            self._mine = False

    def _look(self, change: Any) -> None:
        if not self._mine and change["new"] is not None:
            self._editor.shown = None if change["new"] == self.choice.options[-1][1] else change["new"]


def _row(record: Any) -> str:
    return f"step {record.step}  {record.distances.max(initial=0.0):6.1f} px to go  {record.seconds:5.1f} s"
