"""The way out of every message: pushed when there is something to say, or kept until a view asks.

Most hosts deliver what a kernel sends at any time. Some do so only while a cell runs. Once it has ended, they deliver
what is sent while a message of their page is handled, and lose the rest. A view that finds this out asks with its
acknowledgements. From its first ask on, messages for it are kept, the newest of each kind, and the handler of an ask
sends them. If its asks stop, a cell runs and keeps the kernel from hearing them: then messages are pushed as well.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

Send = Callable[[dict[str, Any], list[bytes]], None]
NEWEST_ONLY = ("state", "frame", "mask", "classes", "models", "before", "schema", "part", "placing", "more")
"""Kinds of messages of which an older one is worth nothing."""
MOST_KEPT = 100
"""Messages of other kinds for a view that does not ask; the oldest go."""
SILENT_AFTER = 0.5
"""Seconds without an ask after which messages are pushed as well."""


class Outbox:
    """The way of messages to views: some are sent to at once, others have to ask.

    :param send: takes a message and its buffers. :param views: names the views that are there.
    """

    def __init__(self, send: Send, views: Callable[[], Collection[str]]) -> None:
        self._send = send
        self._views = views
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._asked_at = 0.0

    @property
    def withheld(self) -> bool:
        """Whether this host is known to withhold what is not asked for. Of others than Colab each view finds out."""
        return "google.colab" in sys.modules

    @property
    def asked(self) -> bool:
        """Whether some view asks instead of being told."""
        return bool(self._kept)

    def put(self, message: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        """Send a message to all views, or keep it for those that ask."""
        here = self._views()
        with self._lock:
            self._kept = {view: kept for view, kept in self._kept.items() if view in here}
            for kept in self._kept.values():
                kept.add(message, buffers or [])
            silent = time.monotonic() - self._asked_at >= SILENT_AFTER
            push = silent or not all(view in self._kept for view in here)
        if push:
            self._send(message, buffers or [])

    def collect(self, view: str) -> bool:
        """Send what is kept for a view that asks, on the thread of its message.

        :returns: False if it asks for the first time, so that nothing was kept.
        """
        if view not in self._views():
            return True  # it was given up; when it says that it is there, its next ask is its first
        with self._lock:
            self._asked_at = time.monotonic()
            known = view in self._kept
            messages = self._kept.setdefault(view, _Kept()).take()
        for message, buffers in messages:
            self._send(message, buffers)
        return known


class _Kept:
    """What waits for one view, in the order of its coming."""

    def __init__(self) -> None:
        self._messages: dict[Any, tuple[dict[str, Any], list[bytes]]] = {}
        self._number = 0

    def add(self, message: dict[str, Any], buffers: list[bytes]) -> None:
        self._number += 1
        key = message["type"] if message["type"] in NEWEST_ONLY else self._number
        self._messages.pop(key, None)
        self._messages[key] = (message, buffers)
        numbered = [key for key in self._messages if isinstance(key, int)]
        for old in numbered[:-MOST_KEPT]:
            del self._messages[old]

    def take(self) -> list[tuple[dict[str, Any], list[bytes]]]:
        messages, self._messages = self._messages, {}
        return list(messages.values())
