"""The history of an editor as a list whose selected row the editor shows, and the other way round."""

from __future__ import annotations

import bisect
import time
import weakref
from typing import Any

from draggan_widget.editing import thinned

MOST_ROWS = 500
RENEW_EVERY = 1.0
"""Seconds between lists while a run is on."""


def history_list(editor: Any, *, rows: int = 10) -> Any:
    """Return a widget that lists the steps of an edit; selecting one shows it in the editor, and scrubbing there
    selects it.

    It follows the edit as it goes on. Made of ipywidgets alone, so it shows wherever these do.

    :param editor: an ``Editor``. :param rows: that are seen at once.
    """
    return _HistoryList(editor, rows).choice


class _HistoryList:
    def __init__(self, editor: Any, rows: int) -> None:
        import ipywidgets

        # The notebook keeps every widget, this list too; an editor whose cell is run again must be free to go.
        self._editor = weakref.ref(editor)
        self._mine = False
        """Whether it is this class that selects a row, and nobody's wish."""
        self._renewed = 0.0
        self.choice: Any = ipywidgets.Select(rows=rows, description="history", layout={"width": "26em"})
        self._renew(editor)
        self.choice.observe(self._look, "value")
        editor.observe(self._follow, ["step", "status"])
        editor.observe(lambda change: self._mark(change["owner"]), "shown")

    def _follow(self, change: Any) -> None:
        # A short run may begin and end between two looks at it, with the same status before and after.
        editor = change["owner"]
        over = editor.status != "running"
        if over or change["name"] == "status" or time.monotonic() - self._renewed >= RENEW_EVERY:
            self._renew(editor)

    def _renew(self, editor: Any) -> None:
        self._renewed = time.monotonic()
        records = thinned(editor.history, MOST_ROWS)
        options = [(_row(record), record.step) for record in records] or [("step 0", 0)]
        if options != list(self.choice.options):
            self._mine = True
            try:
                self.choice.options = options
            finally:
                self._mine = False
        self._mark(editor)

    def _mark(self, editor: Any) -> None:
        steps, shown = [step for _, step in self.choice.options], editor.shown
        self._mine = True
        try:
            self.choice.value = steps[-1 if shown is None else max(0, bisect.bisect_right(steps, shown) - 1)]
        finally:
            self._mine = False

    def _look(self, change: Any) -> None:
        editor = self._editor()
        if editor is not None and not self._mine and change["new"] is not None:
            editor.shown = None if change["new"] == self.choice.options[-1][1] else change["new"]


def _row(record: Any) -> str:
    return f"step {record.step}  {record.distances.max(initial=0.0):6.1f} px to go  {record.seconds:5.1f} s"
