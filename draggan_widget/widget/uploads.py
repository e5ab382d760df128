"""Photographs that pages open: their bytes come in parts, each asked for when the one before is here."""

from __future__ import annotations

from typing import Any

from draggan_widget.editing import PHOTO, Placing, Session
from draggan_widget.inversion import Square
from draggan_widget.widget import protocol
from draggan_widget.widget.views import Views


class Uploads:
    """Puts photographs together, one at a time, and has the session open them. Nothing is computed here."""

    def __init__(self, session: Session, views: Views) -> None:
        self._session, self._views = session, views
        self._of: tuple[str, str, int] | None = None
        """The view, the name and the size of the one that comes."""
        self._parts = bytearray()
        self._last: tuple[bytes, str] | None = None
        """What is being opened, for a square that is placed anew."""

    def take(self, part: protocol.Part) -> None:
        """Take a part; once it is the last one, the photograph is opened."""
        of = part.view, part.name, part.size
        if part.at == 0:
            self._of, self._parts = of, bytearray()
        if self._of != of or part.at != len(self._parts):
            self._views.tell(protocol.part_message(part.view, -1))  # another view has opened one meanwhile
            return
        self._parts += part.data
        self._views.tell(protocol.part_message(part.view, len(self._parts)))
        if len(self._parts) == part.size:
            data, self._of, self._parts = bytes(self._parts), None, bytearray()
            self._open(data, part.name)

    def place(self, square: Square) -> None:
        """Take a square: that is waited for, or another one for the photograph that was opened last."""
        fitting = self._session.fitting
        if fitting is not None and fitting.place(square):
            return
        if self._last is None:
            self._views.notify("no photograph is being opened in which a square could be placed")
            return
        data, name = self._last
        self._cancel()
        self._open(data, name, square)

    def _open(self, data: bytes, name: str, square: Square | None = None) -> None:
        self._last = last = data, name

        def forget(_: Any) -> None:
            if self._last is last:
                self._last = None

        self._session.open_photo(data, name=name, ask=self._ask, square=square).add_done_callback(forget)

    def _ask(self, placing: Placing) -> None:
        self._views.tell(*protocol.placing_message(placing))

    def _cancel(self) -> None:
        for job in self._session.latest.jobs:
            if job.what == PHOTO:
                self._session.cancel(job.id)
