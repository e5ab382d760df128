"""A cell that is run again makes another editor; this lets go of the one that it made before.

A notebook keeps every widget, and every value that a cell ended with. So a cell that is run fifty times would leave
fifty editors with their generators. This takes an editor out of the notebook's own lists once its cell has made another
one and no page shows it. If it is still there after a collection, somebody holds it, and it is put back as it was. Else
its thread ends and its model leaves the page. marimo closes the comms of a cell's widgets itself, which has the same
effect. In other hosts nothing of this happens.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import re
import sys
import weakref
from typing import TYPE_CHECKING, Any

import ipywidgets.widgets.widget as registry

from draggan_widget.widget.stream import AWAY_AFTER
from draggan_widget.widget.traits import weakly

if TYPE_CHECKING:
    from draggan_widget.widget.editor import Editor

DELAYS = (0.2, 1.0, 5.0, 20.0)
"""Seconds after which it is tried, and tried again: by the last time nobody holds the editor by chance."""
OUTPUT_NAME = re.compile(r"_+|_\d+")

_made: weakref.WeakSet[Editor] = weakref.WeakSet()
"""By the cell that is running."""
_of_cell: dict[str, weakref.WeakSet[Editor]] = {}
_replaced: weakref.WeakSet[Editor] = weakref.WeakSet()
"""And not tried to let go of since."""


def note(editor: Editor) -> None:
    """Note that the cell that is running has made an editor."""
    if (shell := _shell()) is not None:
        _made.add(editor)
        shell.events.register("post_run_cell", _cell_ended)
    elif getattr(editor.comm, "kernel", None) == "marimo":
        _watch(editor)


def left(editor: Editor) -> None:
    """Let go of an editor that no page shows any more, if another has replaced it. Called from any thread."""
    if editor in _replaced:
        _try_later(weakref.ref(editor), DELAYS)


def _watch(editor: Editor) -> None:
    """Let go of an editor when marimo closes its comm, because its cell runs again or is no more."""
    close, reference = editor.comm.close, weakref.ref(editor)

    def closing(*args: Any, **options: Any) -> None:
        close(*args, **options)
        editor = reference()
        if editor is None or editor._session.closed:
            return
        editor._views.stream.left_by_all()  # no view can say so any more
        # Its elements hold their widgets, and marimo keeps those of widgets that a cell ended with.
        elements = getattr(sys.modules.get("marimo._plugins.ui._impl.from_anywidget"), "_cache", None)
        getattr(elements, "_data", {}).pop(id(editor), None)
        del editor
        _try_later(reference, DELAYS)

    editor.comm.close = closing


def _cell_ended(result: Any) -> None:
    # Some notebooks do not say which cell it is; to them the same text is the same cell.
    cell = getattr(result.info, "cell_id", None) or result.info.raw_cell
    if _made:
        _replaced.update(_of_cell.get(cell, ()))
        _of_cell[cell] = _made.copy()
        _made.clear()
    for reference, shown in [(weakref.ref(editor), editor._attended()) for editor in _replaced]:
        if shown:
            _ask(reference)
        else:
            _try_later(reference, DELAYS)


def _ask(reference: weakref.ref[Editor]) -> None:
    """Send the picture of an editor once more, to find out whether a page still acknowledges it."""
    editor = reference()
    if editor is None or editor._loop is None or editor._loop.is_closed() or editor._session.closed:
        return
    editor._session.show(weakly(editor._views.welcome))

    def look() -> None:
        editor = reference()
        if editor is not None and not editor._attended():
            left(editor)

    editor._loop.call_soon_threadsafe(editor._loop.call_later, AWAY_AFTER + 1, look)


def _try_later(reference: weakref.ref[Editor], delays: tuple[float, ...]) -> None:
    """Let go of an editor after the first delay. If somebody holds it then, try again after the others."""
    editor = reference()
    if editor is None or editor.comm is None:
        return
    _replaced.discard(editor)
    loop, session = editor._loop, editor._session
    del editor  # from here on nobody here holds it
    if loop is None or loop.is_closed():
        _let_go(reference)
        return

    def try_now() -> None:
        editor = reference()
        if editor is not None and editor._attended():
            _replaced.add(editor)  # a page shows it again
            return
        del editor
        if not _let_go(reference) and delays[1:]:
            _try_later(reference, delays[1:])

    def wait(_: object) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(loop.call_later, delays[0], try_now)

    # What waits in its worker holds it, too.
    session.show(lambda: None).add_done_callback(wait)


def _let_go(reference: weakref.ref[Editor]) -> bool:
    """Have an editor collected. Return False if somebody holds it."""
    parting = _part(reference)
    if parting is None:
        return True
    gc.collect()
    gone = parting.settle()
    del parting
    if gone:
        gc.collect()  # the session and its generator, which went only now
        _trim()
    return gone


def _part(reference: weakref.ref[Editor]) -> _Parting | None:
    editor = reference()
    return None if editor is None or editor.comm is None else _Parting(editor)


def _trim() -> None:
    """Give the memory that malloc keeps back to the system, where it can: generators are large and seldom freed."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # other systems have no such call, and no such need
        ctypes.CDLL(None).malloc_trim(0)


class _Parting:
    """An editor out of the notebook's lists, and back in them if somebody holds it all the same."""

    def __init__(self, editor: Editor) -> None:
        self._editor = weakref.ref(editor)
        self._session = editor._session
        self._widgets = [(weakref.ref(widget), widget.comm) for widget in (editor, editor.layout)]
        self._kept = _kept(editor)
        for names, name in self._kept:
            names[name] = None
        for _, comm in self._widgets:
            _registered().pop(comm.comm_id, None)
            comm.on_msg(None)

    def settle(self) -> bool:
        """Put the editor back if it is still there. Return whether it has gone."""
        for reference, comm in self._widgets:
            if (widget := reference()) is None:
                comm.close()
            else:
                _registered()[comm.comm_id] = widget
                comm.on_msg(widget._handle_msg)
        if (editor := self._editor()) is None:
            self._session.close()
            return True
        for names, name in self._kept:
            names[name] = editor
        return False


def _registered() -> dict[str, Any]:
    """Return the widgets by their comms, as the notebook keeps them; ipywidgets 7 does so on the class."""
    widgets: dict[str, Any] = registry._instances if hasattr(registry, "_instances") else registry.Widget.widgets
    return widgets


def _kept(value: object) -> list[tuple[dict[Any, Any], Any]]:
    """Return where IPython keeps what a cell ended with: in ``Out``, and under the names ``_``, ``_3`` and so on."""
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
