"""The history of an editor as a list whose selected row the editor shows, and the other way round."""

from __future__ import annotations

from typing import Any

MOST_ROWS = 500


def history_list(editor: Any, *, rows: int = 10) -> Any:
    """A widget that lists the steps of an edit; selecting one shows it in the editor, and scrubbing there selects it.

    It follows the edit as it goes on. Made of ipywidgets alone, so it shows wherever these do.

    :param editor: a ``DragGAN``. :param rows: that are seen at once.
    """
    import ipywidgets

    choice: Any = ipywidgets.Select(
        options=_options(editor), rows=rows, description="history", layout={"width": "26em"}
    )

    def follow(_change: Any = None) -> None:
        options = _options(editor)
        if [step for _, step in options] != [step for _, step in choice.options]:
            # What is selected meanwhile is no wish of anybody's.
            choice.unobserve(look, "value")
            choice.options = options
            choice.observe(look, "value")
        mark()

    def mark(_change: Any = None) -> None:
        steps = [step for _, step in choice.options]
        wanted = steps[-1] if editor.shown is None else max((s for s in steps if s <= editor.shown), default=steps[0])
        choice.unobserve(look, "value")
        choice.value = wanted
        choice.observe(look, "value")

    def look(change: Any) -> None:
        newest = choice.options[-1][1]
        editor.shown = None if change["new"] == newest else change["new"]

    follow()
    editor.observe(follow, ["step", "status"])
    editor.observe(mark, "shown")
    return choice


def _options(editor: Any) -> list[tuple[str, int]]:
    from draggan_widget.editing.history import thinned

    records = thinned(editor.history, MOST_ROWS)
    if not records:
        return [("step 0", 0)]
    return [
        (f"step {record.step}  {record.distances.max(initial=0.0):6.1f} px to go  {record.seconds:5.1f} s", record.step)
        for record in records
    ]
