"""A cell that is run again makes another editor; this lets go of the one that it made before.

A notebook keeps every widget for good, and every value that a cell ended with, so a cell that is run fifty times would
leave fifty editors with their generators. An editor whose cell has made another one, and which no page shows any more,
is therefore taken out of the notebook's own lists. If it is still there after a collection, somebody holds it: it is
put back as it was. Else its thread ends and its model leaves the page. Outside of IPython nothing of this happens.
"""

from __future__ import annotations

import gc
import re
import sys
import weakref
from typing import TYPE_CHECKING, Any

import ipywidgets.widgets.widget as registry

if TYPE_CHECKING:
    from draggan_widget.widget.editor import DragGAN

SOON = 0.2
"""Seconds after which nobody is in the middle of a message of a view that has left, and holds its editor by that."""
TRIES = 3
"""So often an editor may be found to be held: by then it is not by chance."""
OUTPUT_NAME = re.compile(r"_+|_\d+")

_made: weakref.WeakSet[DragGAN] = weakref.WeakSet()
"""By the cell that is running."""
_of_cell: dict[str, weakref.WeakSet[DragGAN]] = {}
_replaced: weakref.WeakKeyDictionary[DragGAN, int] = weakref.WeakKeyDictionary()
"""With the tries that are left."""


def note(editor: DragGAN) -> None:
    """The cell that is running has made an editor."""
    if (shell := _shell()) is not None:
        _made.add(editor)
        shell.events.register("post_run_cell", _cell_ended)


def left(editor: DragGAN) -> bool:
    """No page shows that editor any more; if it was replaced, it goes soon. Called from any thread.

    :returns: False where there is no loop to wait in.
    """
    loop = editor._loop
    if loop is None or loop.is_closed():
        return False
    if editor in _replaced:
        # What waits in its worker holds it, too.
        done = editor._session.show(lambda: None)
        done.add_done_callback(lambda _: loop.is_closed() or loop.call_soon_threadsafe(loop.call_later, SOON, _sweep))
    return True


def _cell_ended(result: Any) -> None:
    # Some notebooks do not say which cell it is; to them the same text is the same cell.
    cell = getattr(result.info, "cell_id", None) or result.info.raw_cell
    if _made:
        _replaced.update((editor, TRIES) for editor in _of_cell.get(cell, ()))
        _of_cell[cell] = _made.copy()
        _made.clear()
    # In functions of their own, which hold no editor once they are through.
    if not all(left(editor) for editor in _unattended()):
        _sweep()


def _unattended() -> list[DragGAN]:
    return [editor for editor in list(_replaced) if editor.comm is not None and not editor._attended()]


def _sweep() -> None:
    """Let go of the editors that were replaced, that no page shows and that nobody holds."""
    partings = [_Parting(editor) for editor in _unattended()]
    if partings:
        gc.collect()
    for parting in partings:
        parting.settle()


class _Parting:
    """An editor out of the notebook's lists, and back in them if somebody holds it all the same."""

    def __init__(self, editor: DragGAN) -> None:
        self._editor = weakref.ref(editor)
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
        if (editor := self._editor()) is None:
            self._session.close()
            return
        for names, name in self._kept:
            names[name] = editor
        _replaced[editor] -= 1
        if _replaced[editor] == 0:
            del _replaced[editor]


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
