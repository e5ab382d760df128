"""What views are told of an edit: its state, its picture and its mask, and what there is to choose from."""

from __future__ import annotations

import contextlib
import time
import weakref
from typing import Any

import numpy as np
from anywidget import AnyWidget
from PIL import Image

from draggan_widget.editing import NO_FEEDBACK, Document, Model, Observer, Session, Snapshot
from draggan_widget.models import offered_names
from draggan_widget.widget import protocol
from draggan_widget.widget.model_list import ModelList
from draggan_widget.widget.outbox import Outbox
from draggan_widget.widget.stream import FrameStream

PREVIEW = 512
"""Longest side in pixels of a moving picture for views that ask, which are told everything over the network."""
OBSERVE_EVERY = 0.5
"""Seconds between looks at how points do while a run is on, and from its beginning to the first one at new points."""
MOST_NOTICES = 20
"""In a second: nobody reads more."""


class Views:
    """The views of a widget, which show a session's edit. ``publish`` and ``welcome`` belong to the worker thread.

    :param widget: that is not kept alive. :param model_list: models that are offered for choice; None for none.
    """

    def __init__(self, widget: AnyWidget, session: Session, model_list: ModelList | None) -> None:
        self._widget = weakref.ref(widget)
        self._session = session
        self._model_list = model_list
        self.stream = FrameStream(self.tell, self.describe, self.glimpse, self.catch_up)
        self.outbox = Outbox(self.send, self.stream.views)
        self._noticed: list[float] = []
        self._observer, self._feedback, self._observed_at = Observer(), NO_FEEDBACK, 0.0
        self._still_at = 0.0
        self._mask: np.ndarray | None = None
        """The mask that was sent last; likewise the next two."""
        self._model = session.latest.model
        self._schema = _settings_of(session.latest.document)
        self._entry = self._entry_of(self._model)
        self.stream.offer(session.latest)

    # --- what is new -------------------------------------------------------------------------------------------------

    def publish(self, snapshot: Snapshot) -> None:
        """Send what a new snapshot changes."""
        if snapshot.model is not self._model:
            self._model = snapshot.model
            self._entry = self._entry_of(snapshot.model)
            self._send_classes()
            self.send_schema()
        elif _settings_of(snapshot.document) != self._schema:
            self.send_schema()
        self.stream.offer(snapshot)
        # After the state: what is being painted on a picture that is no more must be dropped before.
        if snapshot.document.mask is not self._mask:
            self._send_mask(snapshot.document.mask)
        self._look_closer(snapshot)

    def notify(self, text: str) -> None:
        """Send a sentence for people, unless there were too many in the last second."""
        now = time.monotonic()
        self._noticed = [at for at in self._noticed if now - at < 1.0]
        if len(self._noticed) >= MOST_NOTICES:
            return
        self._noticed.append(now)
        self.tell(protocol.notice_message(text))

    def send(self, message: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        """Send a message at once, on the thread that calls."""
        widget = self._widget()
        if widget is not None and widget.comm is not None:
            widget.send(message, buffers)

    def tell(self, message: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        """Send a message to all views, or keep it for those that ask."""
        self.outbox.put(message, buffers)

    def welcome(self) -> None:
        """Send everything that a new view lacks."""
        self.stream.again()
        self.stream.pump()
        self._send_mask(self._session.latest.document.mask)
        if self._model.classes:
            self._send_classes()
        self.send_models()
        fitting = self._session.fitting
        if fitting is not None and fitting.placing is not None:
            self.tell(*protocol.placing_message(fitting.placing))
        self._look_closer(self._session.latest)

    def catch_up(self) -> None:
        """Have what views lack sent soon. May be called from any thread."""
        if self.stream.behind():
            with contextlib.suppress(RuntimeError):  # closed meanwhile
                self._session.show(self.stream.pump, "newest")

    def send_schema(self) -> None:
        """Send what settings there are of the engine in use, and which engines there are."""
        document = self._session.latest.document
        self._schema = _settings_of(document)
        self.tell(protocol.schema_message(document))

    def send_models(self) -> None:
        """Send the names of the models that are offered, if any are."""
        if self._model_list is not None:
            self.tell(protocol.models_message(offered_names(), self._model_list.files()))

    def _send_mask(self, mask: np.ndarray | None) -> None:
        self._mask = mask
        self.tell(*protocol.mask_message(mask, self._session.latest.model.generator.resolution))

    def _send_classes(self) -> None:
        self.tell(protocol.classes_message(self._model.class_names))

    def _entry_of(self, model: Model) -> str | None:
        return None if self._model_list is None else self._model_list.entry(model)

    # --- states and pictures -----------------------------------------------------------------------------------------

    def describe(self, snapshot: Snapshot) -> dict[str, Any]:
        """Return the state message of a snapshot, after a look at how its points do where that is due."""
        if snapshot.settled or time.monotonic() - self._observed_at >= OBSERVE_EVERY:
            self._feedback = self._observer.observe(snapshot.model.generator, snapshot.seen, snapshot.status)
            self._observed_at = time.monotonic()
        return protocol.state_message(snapshot, self._entry, self._feedback)

    def glimpse(self, document: Document, quick: bool) -> tuple[Image.Image, bool]:
        """Return the picture of a document and whether it is the whole one; where it is ``quick`` it may be smaller."""
        picture, whole, _ = self._session.glimpse(document, quick)
        if quick and self.outbox.asked and max(picture.size) > PREVIEW:
            picture.thumbnail((PREVIEW, PREVIEW))
            whole = False
        return picture, whole

    def _look_closer(self, snapshot: Snapshot) -> None:
        """Measure what is around new points and send it, unless somebody waits for the first picture of a pull."""
        now = time.monotonic()
        if snapshot.settled:
            self._still_at = now
        waited_for = snapshot.held if snapshot.settled else now - self._still_at < OBSERVE_EVERY
        if waited_for or not self.stream.attended():
            return
        if self._session.beside(lambda: self._observer.look(snapshot.model.generator, snapshot.seen)):
            self._observed_at = 0.0
            self.stream.retell()
            if snapshot.settled:  # in a run the next step leads here again
                self._session.show(self._look_again)

    def _look_again(self) -> None:
        self._look_closer(self._session.latest)


def _settings_of(document: Document) -> tuple[type, bool]:
    """Return what it hangs on which settings there are for an edit, but for its model."""
    return type(document.config), document.of_photo
