"""What a session says of an edit, in sentences for people."""

from __future__ import annotations

from draggan_widget.editing.document import Document
from draggan_widget.engines import XY
from draggan_widget.texts import one_line

READY = "Ready. Press Start and the picture follows."
PAUSED = "Paused, because nobody was looking."


def stopped(document: Document) -> str:
    """Return what is said when somebody has stopped the run."""
    return f"Stopped after {count(document.drag.step)}, {to_go(document)}."


def stepped(document: Document) -> str:
    """Return what is said after one step."""
    return f"One step: {to_go(document)}."


def ended(document: Document, reason: str) -> str:
    """Return what is said when a run has come to an end of its own; ``reason`` is the engine's verdict."""
    steps = count(document.drag.step)
    most = getattr(document.config, "max_steps", None) or "the most"
    return {
        "arrived": f"Arrived after {steps}.",
        "near": f"As near as it gets, after {steps}: {to_go(document)}.",
        "stalled": f"Stalled after {steps}, {to_go(document)}: try a nearer target.",
        "capped": f"Reached {most} steps, {to_go(document)}. Start goes on.",
    }[reason]


def gesture(number: int, handle: XY | None, *, known: bool) -> str:
    """Return what a gesture does to a point, as undo names it."""
    if not known:
        return f"pull of point {number}"
    return f"move of handle {number}" if handle is not None else f"move of target {number}"


def failed(what: str, error: BaseException) -> str:
    """Return a sentence about an error."""
    return f"{what}: {one_line(error)}"


def count(steps: int) -> str:
    """Return a number of steps in words."""
    return "1 step" if steps == 1 else f"{steps} steps"


def to_go(document: Document) -> str:
    """Return how far the furthest handle is from its target, in words."""
    distances = document.drag.distances
    return f"{max(distances):.1f} px to go" if len(distances) else "no points"
