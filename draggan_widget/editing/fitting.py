"""A photograph takes the place of the edit: it is seen at once, better and better, and can be pulled meanwhile.

It is fitted and tuned in slices between the steps and commands of the edit, in the one thread that owns torch. While
somebody pulls, tuning waits: a pull has the weights that there are for as long as it goes on, and all of the processor.
A pull that begins while the latent is still being fitted ends the fit, for it needs one to begin from.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future, InvalidStateError
from typing import TYPE_CHECKING, Any

from PIL import Image

from draggan_widget.editing.beginnings import with_model
from draggan_widget.editing.jobs import Progress, Work, in_thread
from draggan_widget.editing.live_edit import LiveEdit
from draggan_widget.editing.model import Model
from draggan_widget.editing.packed_photo import PackedPhoto, without_copies
from draggan_widget.editing.sealed import Sealed, packing
from draggan_widget.editing.sentences import failed
from draggan_widget.editing.thread_tuner import Threads
from draggan_widget.inversion import Opened, Photo, Square, Stage, align, inverting, open_photo

if TYPE_CHECKING:
    from draggan_widget.editing.document import Document
    from draggan_widget.editing.undo import UndoStack

SHOW_EVERY = 0.8
"""Seconds between two pictures of how far it is."""
MOST_FACES = 6
"""Faces of one photograph that are offered for choice."""
GLANCE = 1024
"""Pixels of the longer side of the photograph as it is shown where somebody places the square."""
STAGES = ("placing", "pivot", "tuning")
"""Of what people are told: a square is waited for, the latent is fitted, weights are tuned."""


@dataclasses.dataclass(frozen=True, eq=False)
class Placing:
    """A photograph in which somebody may say where the model's picture lies."""

    glance: Image.Image
    """The photograph, small; RGB."""
    size: tuple[int, int]
    """(W, H) of the photograph itself, in whose pixels squares are."""
    shape: float
    """Of the model's pictures: width by height."""
    squares: tuple[Square, ...]
    """One for each face, the largest first; without any the middle."""
    note: str
    """What people should know, in a sentence or two."""


class Fitting:
    """A photograph that is being fitted; its ``work`` is a job. Of the worker's thread, but for ``enough``, ``place``.

    :param photo: as ``open_photo`` takes it. :param ask: told where the square may be placed.
    :param how: ``square``, ``face`` and ``settings``, as ``invert`` takes them; and ``wait``: for a square, unless
        just one face was found.
    """

    def __init__(
        self,
        live: LiveEdit,
        photo: Any,
        name: str,
        ask: Callable[[Placing], None] | None,
        how: Mapping[str, Any],
    ) -> None:
        self._live, self._photo, self.name, self._ask, self._how = live, photo, name, ask, dict(how)
        self._wait = self._how.pop("wait", False) and ask is not None
        self.placing: Placing | None = None
        """Where the square may be placed, once that is known."""
        self.stage = ""
        """One of ``STAGES``; empty where people can do nothing about it."""
        self._enough: set[str] = set()
        self._placed: Future[Square] = Future()
        self._again: Square | None = None
        self._free: Future[None] | None = None
        self._token = object()
        """Of the models that it comes to: not itself, or they would keep what it needed."""
        self._before: tuple[Document | Sealed, UndoStack] | None = None
        """What was there before; sealed, or there would be two tuned copies."""
        self._shown: Photo | None = None
        self._shown_at = 0.0
        self._threads = Threads()

    # --- what people may say meanwhile -------------------------------------------------------------------------------

    def enough(self, stage: str) -> None:
        """Take it that a stage has come far enough; "" means all of them."""
        self._enough |= {stage} if stage else set(STAGES)
        self._rouse()

    def place(self, square: Square) -> None:
        """Take a square that somebody placed: the one that is waited for, or another one, to begin again with."""
        if self.stage == "placing" and not self._placed.done():
            self._placed.set_result(square)
        else:
            self._again = square
            self._rouse()

    def _rouse(self) -> None:
        free = self._free
        if free is not None and not free.done():
            with contextlib.suppress(InvalidStateError):  # done in that very moment
                free.set_result(None)

    @property
    def seen(self) -> bool:
        """Whether it has taken the place of the edit."""
        return self._shown is not None

    # --- the work ----------------------------------------------------------------------------------------------------

    def work(self) -> Work[Model | None]:
        """Return the job. Its result is the tuned model; None where somebody has gone on to something else."""
        name, source = self.name, self._photo
        opened = (
            (yield from in_thread(lambda _: open_photo(source), f"Reading {name}"))
            if not isinstance(source, Opened)
            else source
        )
        self._photo = opened = dataclasses.replace(opened, name=name)
        now = self._live.now
        base = now.model.untuned or now.model
        if self._wait:
            yield from self._find(base, opened)
        label = now.label if base.classes else None
        while True:
            made = yield from self._fitted(inverting(base.generator, opened, label=label, **self._how), base)
            if self._again is None:
                return made
            self._how["square"], self._again = self._again, None
            self._begin_again()

    def _fitted(self, stages: Any, base: Model) -> Work[Model | None]:
        try:
            photo = yield from self._stages(stages, base)
        finally:
            stages.close()
            self.stage = ""
        if photo is None:
            return None
        packed = yield from in_thread(
            lambda _: PackedPhoto.of(photo, base.generator, self.name), f"Keeping {self.name}"
        )
        return dataclasses.replace(self._model(without_copies(photo), base), packed=packed)

    def _begin_again(self) -> None:
        """Go back to before the photograph, which is fitted in another square from now on."""
        self._enough.clear()
        if self._before is not None:
            self._live.drop_photo(*self._before, self._token, "")
        self._before = self._shown = None

    def _find(self, base: Model, opened: Opened) -> Work[None]:
        """Find where the model's picture may lie, and ask where that is not sure."""
        if self._how.get("square") is None:
            yield Progress(0.0, f"Looking for a face in {self.name}")
            found = align(opened.flat, base.generator)
            count = min(found.faces, MOST_FACES)
            others = [align(opened.flat, base.generator, number).square for number in range(1, count)]
            squares, sure = (found.square, *others), found.faces == 1
            note = f"{found.faces} faces were found: choose one." if count > 1 else " ".join(found.notes)
        else:
            squares, sure, note = (self._how["square"],), True, ""
        if not sure:
            self.stage = "placing"
        self._offer(base, squares, note)
        if not sure:
            yield Progress(0.0, f"Waiting for the square in {self.name}", stage=self.stage)
            self._live.audience.publish()  # for nothing else is told meanwhile
            yield self._placed
            self.stage = ""
        self._how["square"] = squares[0] if sure else self._placed.result()
        self._how.pop("face", None)

    def _offer(self, base: Model, squares: tuple[Square, ...], note: str) -> None:
        """Tell where the square may be placed."""
        if self._ask is None or not isinstance(self._photo, Opened):
            return
        glance = self._photo.flat.copy()
        glance.thumbnail((GLANCE, GLANCE))
        height, width = base.generator.resolution
        self.placing = Placing(glance, self._photo.picture.size, width / height, squares, note)
        self._ask(self.placing)

    def _stages(self, stages: Any, base: Model) -> Work[Photo | None]:
        enough: bool | None = None

        def further() -> Stage:
            stage: Stage = stages.send(enough)
            return stage

        while True:
            try:
                stage = self._threads(further)
            except StopIteration as end:
                photo: Photo = end.value
                return photo
            if self._left or self._again is not None:
                return None
            enough = yield from self._slice(stage, base)
            if self._left or self._again is not None:
                return None

    def _slice(self, stage: Stage, base: Model) -> Work[bool]:
        """Show how far it is, and wait while somebody pulls; return whether that stage is to end."""
        live, photo = self._live, stage.photo
        assert photo is not None
        self.stage = stage.what if stage.what in STAGES else ""
        if self._shown is None:
            self._open(photo, base)
        elif photo.model is not self._shown.model or (stage.what == "pivot" and stage.picture is not None):
            self._show(photo, base)
        elif stage.what == "pivot" and live.in_use:
            self._enough.add("pivot")
        elif stage.what == "tuning" and live.in_use:
            self._show(photo, base)
            free = self._free = live.free()
            if not free.done():
                yield Progress(stage.share, f"Tuning {self.name} waits while you pull", stage=self.stage)
                live.audience.publish()  # for nothing else may be told meanwhile
                yield free
        elif time.monotonic() - self._shown_at >= SHOW_EVERY:
            self._show(photo, base)
        doing = {"aligned": "Fitting", "pivot": "Fitting", "tuning": "Tuning"}.get(stage.what, "Looking at")
        yield Progress(stage.share, f"{doing} {self.name}", stage=self.stage)
        return stage.what in self._enough

    # --- the edit ----------------------------------------------------------------------------------------------------

    @property
    def _left(self) -> bool:
        """Whether somebody has gone on to something else than this photograph."""
        return self._shown is not None and self._live.now.model.opening is not self._token

    def _model(self, photo: Photo, base: Model) -> Model:
        return dataclasses.replace(base.tuned(photo, self.name), opening=self._token)

    def _open(self, photo: Photo, base: Model) -> None:
        live, model = self._live, self._model(photo, base)
        if self.placing is None:
            self._offer(base, (photo.square,), " ".join(photo.report.notes))
        before, undo = live.now, live.undo
        live.replace(with_model(before, model), f"opening of {model.title}")
        held = before if before.model.photo is None else Sealed.of(before, packing()(before.model))
        self._before = held, undo.sealed(live.now)[0]
        self._shown, self._shown_at = photo, time.monotonic()

    def _show(self, photo: Photo, base: Model) -> None:
        self._live.show_photo(self._model(photo, base))
        self._shown, self._shown_at = photo, time.monotonic()

    def keep(self, model: Model | None) -> None:
        """Go on with the tuned model."""
        live = self._live
        if model is None or self._left:
            live.audience.publish()
            return
        photo = model.photo
        assert photo is not None
        live.show_photo(model)
        near = photo.report.psnr.get("tuned", photo.report.psnr["pivot"])
        notes = " ".join([f"{model.title} is fitted, to {near:.1f} dB: press on it and pull.", *photo.report.notes])
        if live.runner.on:
            live.audience.publish()
        else:
            live.audience.set_status(live.audience.status, notes)

    def drop(self, error: BaseException) -> None:
        """Go back to what was there: it was cancelled, or has failed."""
        live, cancelled = self._live, isinstance(error, CancelledError)
        if self._before is not None:
            live.drop_photo(*self._before, self._token, f"Back at what was before {self.name}." if cancelled else "")
        if not cancelled:
            live.audience.trouble = failed(f"{self.name} was not opened", error)
        live.audience.publish()
