"""A cell that is run again makes another editor; this lets go of the one that it made before.

A notebook keeps every widget for good, and every value that a cell ended with, so a cell that is run fifty times would
leave fifty editors with their generators. An editor whose cell has made another one, and which no page shows any more,
is therefore taken out of the notebook's own lists. If it is still there after a collection, somebody holds it: it is
put back, and stays. Else its thread ends and its model leaves the page. Outside of IPython nothing of this happens.
"""

from __future__ import annotations

import asyncio
import gc
import re
import sys
import weakref
from typing import TYPE_CHECKING, Any

import ipywidgets.widgets.widget as registry

if TYPE_CHECKING:
    from draggan_widget.widget.editor import DragGAN

    Reference = weakref.ref[DragGAN]

SOON = 0.2
"""Seconds after which a view that has left is through with its message, and holds its editor no longer."""
OUTPUT_NAME = re.compile(r"_+|_\d+")

_made: list[Reference] = []
"""By the cell that is running."""
_of_cell: dict[str, list[Reference]] = {}
_replaced: list[Reference] = []


def note(editor: DragGAN) -> None:
    """The cell that is running has made an editor."""
    if (shell := _shell()) is not None:
        _made.append(weakref.ref(editor))
        shell.events.register("post_run_cell", _cell_ended)


def view_left(loop: asyncio.AbstractEventLoop | None) -> None:
    """A page shows an editor no longer; called from any thread, while the message of its view is handled."""
    if _replaced and loop is not None and not loop.is_closed():
        loop.call_soon_threadsafe(loop.call_later, SOON, _sweep)


def _cell_ended(result: Any) -> None:
    # Some notebooks do not say which cell it is; to them the same text is the same cell.
    cell = getattr(result.info, "cell_id", None) or result.info.raw_cell
    if _made:
        _replaced.extend(_of_cell.get(cell, ()))
        _of_cell[cell] = _made.copy()
        _made.clear()
    _sweep()


def _sweep() -> None:
    """Let go of the editors that were replaced, that no page shows and that nobody holds."""
    partings = []
    for reference in _replaced.copy():
        editor = reference()
        if editor is None or editor.comm is None:
            _replaced.remove(reference)
        elif not editor._attended():
            _replaced.remove(reference)
            partings.append(_Parting(editor))
        del editor  # or this function would be who holds it
    if partings:
        gc.collect()
    for parting in partings:
        parting.settle()


class _Parting:
    """An editor out of the notebook's lists, and back in them if somebody holds it all the same."""

    def __init__(self, editor: DragGAN) -> None:
        self._session = editor._session
        self._widgets = [(weakref.ref(widget), widget.comm) for widget in (editor, editor.layout)]
        self._kept = _kept(editor)
        for names, name in self._kept:
            names[name] = None
        for _, comm in self._widgets:
            registry._instances.pop(comm.comm_id, None)
            comm.on_msg(None)

    def settle(self) -> None:
        for reference, comm in self._widgets:
            if (widget := reference()) is None:
                comm.close()
            else:
                registry._instances[comm.comm_id] = widget
                comm.on_msg(widget._handle_msg)
        if (editor := self._widgets[0][0]()) is None:
            self._session.close()
        else:
            for names, name in self._kept:
                names[name] = editor


def _kept(value: object) -> list[tuple[dict[Any, Any], Any]]:
    """Where IPython keeps what a cell ended with: in ``Out``, and under the names ``_``, ``_3`` and so on."""
    if (shell := _shell()) is None:
        return []
    spaces = (shell.user_ns, shell.user_ns_hidden, vars(shell.displayhook))
    places = [(space, name) for space in spaces for name in space if OUTPUT_NAME.fullmatch(name)]
    places += [(shell.user_ns["_oh"], number) for number in shell.user_ns["_oh"]]
    return [(names, name) for names, name in places if names[name] is value]


def _shell() -> Any:
    # What was not imported is not running.
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()
