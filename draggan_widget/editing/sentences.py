"""What a session says of an edit, in sentences for people."""

from __future__ import annotations

import numpy as np

from draggan_widget.editing.document import Document
from draggan_widget.texts import one_line

NEARER = 0.8
"""Of the way that is left: a moment of the run at which less was left is worth going back to."""
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
        "near": f"As near as it gets: {furthest(document):.1f} px.",
        "stalled": f"No nearer than this, after {steps}: {to_go(document)}. {_advice(document)}",
        "capped": f"Reached {most} steps, {to_go(document)}. Start goes on.",
    }[reason]


def _advice(document: Document) -> str:
    """Return what to try where a run came no nearer: of what can be changed, what is likely to help."""
    tries = ["a nearer target"]
    if len(document.drag.ids) > 1:
        tries.append("fewer points")
    if document.mask is not None:
        tries.append("a larger mask")
    if getattr(document.config, "locality", 0):
        tries.append("less locality")
    *others, last = tries
    words = f"{', '.join(others)} or {last}" if others else last
    best = min(document.records, key=lambda record: _most(record.distances), default=None)
    if best is None or best.ids != document.drag.ids or not np.array_equal(best.targets, document.drag.targets):
        return f"Try {words}."
    left = _most(best.distances)
    if left > NEARER * furthest(document):
        return f"Try {words}."
    return f"Try {words}. It was nearest at step {best.step} ({left:.1f} px), where the timeline leads back to."


def failed(what: str, error: BaseException) -> str:
    """Return a sentence about an error."""
    return f"{what}: {one_line(error)}"


def count(steps: int) -> str:
    """Return a number of steps in words."""
    return "1 step" if steps == 1 else f"{steps} steps"


def to_go(document: Document) -> str:
    """Return how far the furthest handle is from its target, in words."""
    return f"{furthest(document):.1f} px to go" if document.drag.ids else "no points"


def furthest(document: Document) -> float:
    """Return how far the furthest handle is from its target, in pixels; 0 without points."""
    return _most(document.drag.distances)


def _most(distances: np.ndarray) -> float:
    return float(max(distances, default=0.0))
