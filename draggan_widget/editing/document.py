"""An edit at one time, as values: what undo goes back to, and what everybody but the worker sees."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from draggan_widget.editing.history import Record
from draggan_widget.editing.jobs import LOADING, PHOTO, Running
from draggan_widget.editing.model import Model
from draggan_widget.editing.script import Op, Script, written
from draggan_widget.engines import State


@dataclasses.dataclass(frozen=True)
class Document:
    """Everything of an edit at one time, as an immutable value: what undo goes back to and a `.drag` file holds."""

    model: Model
    """Whose pictures are edited."""
    drag: State
    mask: np.ndarray | None
    """(H, W) floats 0 … 1, 1 = may move; None = everything may."""
    seed: int | None
    """Of the picture the edit began with; None if it began with a latent of unknown origin."""
    truncation: float
    script: Script
    """All that was done."""
    records: tuple[Record, ...] = ()
    label: int | None = None
    """The class of the picture the edit began with; None where the generator has no classes, or where ``seed`` is."""
    first: Any = None
    """Settings of an engine that makes the first step of each run, a jump; None for no jump."""
    finish: tuple[str, ...] = ()
    """Names of what is done to its pictures after synthesis, in order; see ``finish``."""
    of_photo: bool = False
    """Whether it began with the photograph that its model was tuned for, and not with a seed or another latent."""

    @property
    def config(self) -> Any:
        """The settings of the engine that pulls."""
        return self.drag.config

    @property
    def seconds(self) -> float:
        """Time spent optimising."""
        return self.records[-1].seconds if self.records else 0.0

    def changed(self, *ops: Op, **changes: Any) -> Document:
        """Return another document. :param ops: what was done, in order, for the script. :param changes: of fields."""
        script = self.script
        for op in ops:
            script = written(script, op)
        return dataclasses.replace(self, **{"script": script, **changes})


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What everybody but the worker sees of a session. Publishing one costs nothing; a picture is made on demand."""

    status: str
    """"idle", "running", "paused", "arrived", "near", "stalled", "capped", "stopped" or "error"."""
    message: str
    """A sentence about it for people; for "error", what is wrong and what to do."""
    document: Document
    can_undo: bool
    can_redo: bool
    rate: float | None
    """Steps per second of the run, while one is on."""
    jobs: tuple[Running, ...] = ()
    """Long work that goes on beside the edit, which nothing of it changes before it is done."""
    look: Document | None = None
    """The moment that is looked at; None for the newest."""
    speed: float | None = None
    """Largest number of steps a second; None for no limit."""
    resting: bool = False
    """Whether a run has reached its targets and waits for the pointer that holds one of them to move on."""
    sliding: bool = False
    """Whether a slider of an attribute is held, so that pictures come and go."""
    held: bool = False
    """Whether a pointer holds a point, so that somebody is about to pull or does."""
    trouble: str = ""
    """Why the model that was asked for last could not be loaded; empty once anything else has happened."""
    undo: str = ""
    """What undo would take back, such as "pull of point 2"; empty where it can take back nothing."""
    redo: str = ""
    """What redo would do again; likewise."""
    edit: int = 0
    """Number of the course that ``document`` belongs to: while it stays, step n is the same picture."""

    @property
    def model(self) -> Model:
        """Whose pictures are edited."""
        return self.document.model

    @property
    def loading(self) -> str | None:
        """Name of the model, or the photograph, that is about to take the place of this one."""
        return next((job.name for job in self.jobs if job.what in (LOADING, PHOTO)), None)

    @property
    def settled(self) -> bool:
        """Whether the picture stays as it is until somebody acts."""
        return self.status != "running"

    @property
    def step(self) -> int:
        """Steps done since the edit began."""
        return self.document.drag.step

    @property
    def shown(self) -> int | None:
        """The step that is looked at; None for the newest."""
        return None if self.look is None else self.look.drag.step

    @property
    def length(self) -> int:
        """Moments on the timeline: steps 0 … length - 1 can be looked at."""
        return self.step + 1

    @property
    def seen(self) -> Document:
        """The moment that is to be shown."""
        return self.document if self.look is None else self.look

    def points(self, document: Document | None = None) -> list[dict[str, Any]]:
        """Return ``[{"id": 1, "handle": [x, y], "target": [x, y], "distance": d}, …]`` in image pixels, by default
        now.
        """
        drag = (document or self.document).drag
        return [
            {"id": number, "handle": handle.tolist(), "target": target.tolist(), "distance": float(distance)}
            for number, handle, target, distance in zip(
                drag.ids, drag.handles, drag.targets, drag.distances, strict=True
            )
        ]
