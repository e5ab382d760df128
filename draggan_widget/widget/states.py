"""The states of an edit as they come, for whoever iterates over them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Callable
from typing import Any

import numpy as np

from draggan_widget.editing import Session, Snapshot


@dataclasses.dataclass(frozen=True, eq=False)
class EditState:
    """The edit at one time, as ``Editor.states`` yields it."""

    status: str
    """See the trait of that name."""
    step: int
    ws: np.ndarray
    """(1, num_ws, w_dim)"""
    handles: np.ndarray
    """(N, 2) image pixels (x, y)."""
    distances: np.ndarray
    """(N,) image pixels still to go."""

    @classmethod
    def of(cls, snapshot: Snapshot) -> EditState:
        """Return the state of a snapshot."""
        drag = snapshot.document.drag
        return cls(snapshot.status, snapshot.step, drag.ws.cpu().numpy().copy(), drag.handles, drag.distances)


class States:
    """Yields the states of a session's edit to any number of loops. ``wake`` belongs to the worker thread."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._listeners: list[Callable[[], Any]] = []

    def wake(self) -> None:
        """Tell those who iterate that there is a new snapshot."""
        for wake in list(self._listeners):
            with contextlib.suppress(RuntimeError):  # its loop was closed
                wake()

    async def until_ended(self) -> AsyncGenerator[EditState, None]:
        """Yield the newest state until the run ends. See ``Editor.states``."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        wake = lambda: loop.call_soon_threadsafe(changed.set)  # noqa: E731 - one object, to be taken off the list again
        self._listeners.append(wake)
        try:
            end = asyncio.ensure_future(asyncio.wrap_future(self._session.finished()))
            end.add_done_callback(lambda _end: changed.set())
            seen: Snapshot | None = None
            while True:
                changed.clear()
                ended, newest = end.done(), self._session.latest
                if newest is not seen:
                    seen = newest
                    yield EditState.of(newest)
                elif ended:
                    end.result()
                    return
                else:
                    await changed.wait()
        finally:
            self._listeners.remove(wake)
