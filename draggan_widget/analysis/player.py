"""A button, a slider and a speed by which a film is played, paused and scrubbed in the browser."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import anywidget
import traitlets

HERE = Path(__file__).parent
AT = ("frame", "playing")


class Player(anywidget.AnyWidget):
    """Counts through the frames of a film; what shows them is linked to ``frame``.

    The browser keeps the time. At the end it stops, and plays from the start when it is asked to again.
    """

    _esm = (HERE / "player.js").read_text(encoding="utf-8")
    _css = (HERE / "player.css").read_text(encoding="utf-8")

    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    """Of the frames."""
    milliseconds = traitlets.Int(100).tag(sync=True)
    """Of each frame, at speed 1."""
    frame = traitlets.Int(0).tag(sync=True)
    """The one that is shown, from 0."""
    playing = traitlets.Bool(False).tag(sync=True)
    speed = traitlets.Float(1.0).tag(sync=True)

    asked = traitlets.Int(0).tag(sync=True)
    """How often ``go`` was called."""
    said = traitlets.List([0]).tag(sync=True)
    """By the page: of ``asked``, what it had heard when it said this; its frame; whether it plays."""

    def __init__(self, **traits: Any) -> None:
        self._turn = 0
        self._lock = threading.RLock()  # a kernel hears its page in another thread than that of its cells
        super().__init__(**traits)

    def go(self, frame: int, *, playing: bool) -> None:
        """Go to a frame, and play on from there or stay."""
        with self._lock, self.hold_sync():
            self._turn += 1  # before all else: from now on, what the page says is old
            self.frame, self.playing = frame, playing
        # While the kernel was busy it did not hear what the page did: the values may be old news only to the kernel.
        self.send_state(["frame", "playing"])
        self.asked = self._turn  # and sent last: a page that has heard of it has heard the others

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take what a page says, but not the frames of a film that went on until it heard of ``go``."""
        with self._lock:
            heard, *at = sync_data.get("said", self.said)
            if heard != self._turn:
                sync_data = {name: value for name, value in sync_data.items() if name not in AT}
            elif "said" in sync_data:
                # What is set here is echoed to the page, so no name is added.
                sync_data = sync_data | {name: now for name, now in zip(AT, at, strict=True) if name in sync_data}
            super().set_state(sync_data)
