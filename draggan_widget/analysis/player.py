"""A button, a slider and a speed by which a film is played, paused and scrubbed in the browser."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

HERE = Path(__file__).parent


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

    def go(self, frame: int, *, playing: bool) -> None:
        """Go to a frame, and play on from there or stay."""
        with self.hold_sync():
            self.frame, self.playing = frame, playing
        # While the kernel was busy it did not hear what the page did: the values may be old news only to the kernel.
        self.send_state(["frame", "playing"])
