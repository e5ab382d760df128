"""The same pull by several engines, beside the edit: each is a job of its own, and its end a document to go on from."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from draggan_widget.editing.beginnings import started_over
from draggan_widget.editing.changes import with_config, with_steps
from draggan_widget.editing.document import Document
from draggan_widget.editing.jobs import Progress, Work
from draggan_widget.engines import State, engine_named, engine_of

Beside = Callable[[Callable[[], list[State]]], list[State]]
"""Does work with as many threads as steps are."""
NO_POINTS = "there is no pull to compare yet; press on the picture and pull, or set points"


@dataclasses.dataclass(frozen=True)
class Pulled:
    """How far an engine has come with a pull."""

    engine: str
    document: Document
    """The edit by then: what people go on from."""
    reason: str | None
    """"arrived", "near", "stalled" or "capped"; None while it pulls."""
    seconds: float
    """Spent pulling."""

    @property
    def distance(self) -> float:
        """Image pixels that are left on the mean of the points."""
        return float(np.mean(self.document.drag.distances))

    @property
    def step(self) -> int:
        """Steps done since the edit began."""
        return self.document.drag.step


def pull_of(document: Document) -> Document:
    """Return the edit at the beginning of its pull: as it is, or where something was pulled already from the picture
    before the edit, with the same points and mask. :raises ValueError: without points.
    """
    if not document.drag.ids:
        raise ValueError(NO_POINTS)
    return started_over(document, keep_points=True) if document.drag.step else document


def pulled_by(
    begun: Document, engine: str, beside: Beside, tell: Callable[[Pulled], Any] = lambda pulled: None
) -> Work[Pulled]:
    """Return a job that does a pull with an engine to its end, a step a slice.

    The engine in use keeps its settings, others have those that suit the model best.

    :param begun: what ``pull_of`` returned. :param tell: called after each slice.
    :raises ValueError: by the job, in one sentence, if the engine cannot serve the model, or of an unknown name.
    """
    method = engine_named(engine)
    yield Progress(0.0)
    config = begun.config if engine_of(begun.config) is method else method.defaults(begun.model.generator)
    document = with_config(begun, config)
    document = document.changed(drag=document.drag.begin_run())
    far = max(float(np.mean(document.drag.distances)), 1e-6)
    seconds, most = 0.0, getattr(config, "max_steps", None)
    while (reason := document.drag.verdict) is None:
        began = time.perf_counter()
        states = beside(lambda: document.drag.advance(1))  # noqa: B023 - called at once
        took = time.perf_counter() - began
        document, seconds = with_steps(document, states, took), seconds + took
        pulled = Pulled(engine, document, None, seconds)
        tell(pulled)
        way = 1 - pulled.distance / far
        share = max(way, pulled.step / most if most else 0.0)
        yield Progress(min(max(share, 0.0), 0.99), f"Pulling with {engine}")
    return Pulled(engine, document, reason, seconds)
