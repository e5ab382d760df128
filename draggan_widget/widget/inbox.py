"""What pages ask for: each message is checked and left to the worker, on whatever thread it came."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from draggan_widget.editing import LOADING, PHOTO, Model, Session
from draggan_widget.widget import exports, protocol
from draggan_widget.widget.attributes import Attributes
from draggan_widget.widget.hosts import answers
from draggan_widget.widget.model_list import ModelList
from draggan_widget.widget.panels import Panels
from draggan_widget.widget.uploads import Uploads
from draggan_widget.widget.views import Views

MOST_WAITING = 1000
"""Commands that may wait; what a page asks for beyond that is not done, but for Stop."""
MOST_EXPORTS = 8
"""Files that are made for pages at a time."""


class Inbox:
    """Takes the messages of pages. Nothing is computed here.

    :param model_list: models that a page may choose from; None for none. :param provenance: whether saved
        files say that they were made by a machine. :param on_left: called when no view is left. :param attributes: of
        the pictures.
    """

    def __init__(
        self,
        session: Session,
        views: Views,
        model_list: ModelList | None,
        provenance: Callable[[], bool],
        on_left: Callable[[], None],
        attributes: Attributes,
    ) -> None:
        self._session, self._views, self._model_list = session, views, model_list
        self._provenance, self._on_left = provenance, on_left
        self._exports: list[Future[bytes]] = []
        self.uploads = Uploads(session, views)
        """Photographs that come from pages."""
        self.panels = Panels(session, views.tell, attributes)

    def receive(self, _widget: Any, content: Any, buffers: list[Any]) -> None:
        """Check a message and leave it to the worker; say what is wrong with one that cannot be taken."""
        session, views = self._session, self._views
        try:
            message = protocol.read(content, buffers, session.latest.model.generator.resolution)
        except protocol.ProtocolError as error:
            views.notify(str(error))
            return
        if session.waiting >= MOST_WAITING and not isinstance(message, protocol.Sign | protocol.Ack | protocol.Command):
            views.notify("Too much at once: what was asked for last is not done. Wait a moment, or stop.")
            return
        match message:
            case protocol.Sign(kind, view):
                self._sign(kind, view)
            case protocol.Ack(view, seq, pull, move):
                if move is not None:
                    self._put_point(move)
                views.stream.acknowledge(view, seq, pull=pull)
                if pull and not views.outbox.collect(view):
                    session.show(views.welcome, "welcome")
                views.catch_up()
            case protocol.Point() as point:
                self._put_point(point)
            case protocol.Remove(numbers):
                session.remove_points(numbers)
            case protocol.Command("start"):
                session.start(by_view=True)
            case protocol.Command("reset"):
                session.reset(keep_points=False)
            case protocol.Command("before"):
                answers.before(session, views.tell)
            case protocol.Part() as part:
                self.uploads.take(part)
            case protocol.Place(square):
                self.uploads.place(square)
            case protocol.Enough(stage):
                session.enough(stage)
            case protocol.Cancel(number):
                session.cancel(number)
            case protocol.Export():
                self._export(message)
            case protocol.Command(name):
                getattr(session, name)()
            case protocol.Settings(values):
                session.set_settings(values)
            case protocol.Look(step):
                session.look(step)
            case protocol.Branch(step):
                session.branch(step)
            case protocol.Course(since):
                answers.course(session, views.tell, since)
            case protocol.Thumbnails(steps):
                answers.thumbnails(session, views.tell, steps)
            case protocol.NewImage(seed):
                seed = secrets.randbelow(100_000) if seed is None else seed
                session.new_image(seed=seed, truncation=session.latest.document.truncation)
            case protocol.Truncation(value):
                session.retruncate(value)
            case protocol.Label(value):
                session.relabel(value)
            case protocol.Schema():
                session.show(views.send_schema, "schema")  # whether a predictor serves the model takes a while
                views.stream.retell()  # an engine may have been added since, and the state says which is in use
            case protocol.Models():
                session.show(views.send_models, "models")
            case protocol.Load(name):
                self._load(name)
            case protocol.Mask(mask):
                session.set_mask(mask)
            case _:
                self.panels.take(message)

    def _put_point(self, point: protocol.Point) -> None:
        self._session.put_point(point.id, handle=point.handle, target=point.target, pulling=point.pulling)
        if point.start:
            self._session.start(by_view=True)

    def _export(self, asked: protocol.Export) -> None:
        self._exports = [export for export in self._exports if not export.done()]
        if len(self._exports) >= MOST_EXPORTS:
            self._views.notify(f"{MOST_EXPORTS} files are being made already; wait for one, or cancel them")
            return
        self._exports.append(exports.send(self._session, self._views.tell, asked, provenance=self._provenance()))

    def _load(self, name: str) -> None:
        """Load a listed model that was chosen in the page. Other names are looked up nowhere."""
        listed = self._model_list
        if listed is None:
            self._views.notify("this editor offers no models; give models=…, a folder, when you make it")
            return
        device = next(self._session.generator.parameters()).device
        for job in self._session.latest.jobs:
            if job.what in (LOADING, PHOTO):  # somebody has thought better of it
                self._session.cancel(job.id)
        self._session.load(name, lambda progress: Model.load(listed.find(name), "cpu", progress), device)

    def _sign(self, kind: str, view: str) -> None:
        session, views = self._session, self._views
        if kind == "bye":
            views.stream.left(view)
            if not views.stream.attended():
                session.let_go()
                self._on_left()
            return
        views.stream.seen(view)
        if session.latest.status == "paused":
            session.resume()
        views.send(protocol.pong_message(views.stream.sent, withheld=views.outbox.withheld))
        if kind == "ready":
            session.show(views.welcome, "welcome")
        else:
            views.catch_up()
