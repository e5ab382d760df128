"""Beginnings: another picture, another class, another model, another latent, or the first picture again."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from torch import Tensor

from draggan_widget.editing.core import first_document, told
from draggan_widget.editing.document import Document
from draggan_widget.editing.model import Model, Progress, check_label
from draggan_widget.editing.timeline import Timeline
from draggan_widget.engines import engine_of
from draggan_widget.models import Generator

log = logging.getLogger(__name__)
TELL_EVERY = 0.2
"""Seconds between snapshots while a model is read."""


class Beginnings(Timeline):
    """What begins an edit anew. Undo brings the one before back, but for another model."""

    def reset(self, *, keep_points: bool = True) -> Future[None]:
        """Back to the latent the edit began with; the mask stays.

        Points go, or if ``keep_points`` keep their targets, and handles go back to where they were.
        """

        def reset() -> None:
            self._stop()
            self._look = None
            self._remember("reset")
            drag, mask = self._now.drag, self._now.mask
            points = [(point.id, point.start, point.target) for point in drag.points if keep_points]
            script = (
                ("config", self._config),
                *(() if mask is None else (("mask", mask),)),
                *(("add", *point) for point in points),
            )
            self._change(drag=self._init(drag.w0, points, mask), records=())
            self._go_to(dataclasses.replace(self._now, script=script))
            self._set_status("idle", "Back at the start; Undo brings the edit back.")

        return self._command(reset)

    def new_image(self, *, seed: int, truncation: float) -> Future[None]:
        """Begin a new edit with the picture of ``seed``, of the same class; undo brings the old one back."""

        def new_image() -> None:
            self._replace_edit(self._begin_at(seed, truncation, self._now.label), f"new image (seed {seed})")

        return self._command(new_image)

    def retruncate(self, truncation: float) -> Future[None]:
        """Begin a new edit with the same seed at another truncation."""

        def retruncate() -> None:
            seed = self._need_seed("truncation")
            self._replace_edit(self._begin_at(seed, truncation, self._now.label), f"truncation {truncation:g}")

        return self._command(retruncate)

    def relabel(self, label: int) -> Future[None]:
        """Begin a new edit with the same seed in another class."""

        def relabel() -> None:
            checked = check_label(label, self.generator.label_dim)
            seed = self._need_seed("class")
            self._replace_edit(self._begin_at(seed, self._now.truncation, checked), f"class {checked}")

        return self._command(relabel)

    def set_latent(self, ws: Tensor) -> Future[None]:
        """Begin a new edit with the picture of ``ws`` (1, num_ws, w_dim)."""

        def set_latent() -> None:
            drag = self._init(ws, [], None)
            self._replace_edit(
                Document(drag, None, None, self._now.truncation, (("config", self._config),)), "new latent"
            )

        return self._command(set_latent)

    def restore(self, document: Document) -> Future[None]:
        """Go on with a moment of elsewhere, one read from a file say, as if the session had begun with it.

        Where its run had come to an end of its own, the status says which: "arrived", "stalled" or "capped".
        """

        def restore() -> None:
            self._config = document.drag.config
            self._replace_edit(document, "loading")
            self._past.clear()
            reason = document.drag.verdict if document.drag.step else None
            if reason is None:
                self._publish()
            else:
                self._set_ended(reason)

        return self._command(restore)

    def load(self, name: str, read: Callable[[Progress], Model]) -> Future[None]:
        """Go on with another model, which ``read`` makes in the worker's thread, and a new edit.

        The edit begins with the same seed, truncation and class as the present one, where the new model has them, and
        keeps settings that somebody chose, where it has their blocks. Undo begins anew. Whatever goes wrong, the
        present model and edit, a run included, stay as they are; the exception comes by the future, its text with
        snapshots.

        :param name: what the new model is called while it is not there yet. :param read: makes it, and may call what it
            is given with how much is done.
        """
        told_at = 0.0

        def tell(progress: float | None) -> None:
            nonlocal told_at
            if progress is None or time.monotonic() - told_at >= TELL_EVERY:
                self._progress, told_at = progress, time.monotonic()
                self._publish()

        def load() -> None:
            self._trouble, self._loading = "", name
            tell(None)
            try:
                model = read(tell)
                config = self._config_for(model.generator)
                document = self._document_for(model.generator, config)
            except Exception as error:
                log.info("%s was not loaded", name, exc_info=error)
                self._trouble = told(f"{name} was not loaded", error)
                raise
            finally:
                self._loading = self._progress = None
                if self._trouble:
                    self._publish()
            self._stop()
            self._gesture = False
            self._look = None
            # What was to be made of the edit before can be made of it no longer.
            self._chores.close(f"{model.title} was loaded meanwhile; ask again, now for a file of its edit")
            self._model, self._config = model, config
            self._go_to(document)
            self._past.clear()
            self._future.clear()
            self._set_status("idle", f"{model.title} is loaded.")

        return self._worker.submit(load)

    # --- in the worker thread --------------------------------------------------------------------------------------

    def _replace_edit(self, document: Document, done: str) -> None:
        self._stop()
        self._remember(done)
        self._look = None
        self._go_to(document)
        self._set_status("stopped" if document.drag.step else "idle", "")

    def _need_seed(self, what: str) -> int:
        if self._now.seed is None:
            raise ValueError(f"this picture did not come from a seed, so it has no {what}; set a seed first")
        return self._now.seed

    def _begin_at(self, seed: int, truncation: float, label: int | None) -> Document:
        return first_document(self.generator, self._config, seed, truncation, label)

    def _document_for(self, generator: Generator, config: Any) -> Document:
        """The beginning of an edit with another generator, as near to that of the present one as it has it."""
        now, classes = self._now, generator.label_dim
        label = now.label if now.label is not None and now.label < classes else None
        return first_document(generator, config, now.seed or 0, now.truncation, label)

    def _config_for(self, generator: Generator) -> Any:
        engine = engine_of(self._config)
        if self._config == engine.defaults(self.generator):
            return engine.defaults(generator)  # nobody chose: each has its own
        try:
            engine.bind(generator, self._config)
        except ValueError:
            return engine.defaults(generator)
        return self._config
