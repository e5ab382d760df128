"""Photographs that pages open: their bytes come in parts, each asked for when the one before is here."""

from __future__ import annotations

from draggan_widget.editing import Placing, Session
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
            self._session.open_own(data, name=part.name, ask=self.ask, wait=True)

    def place(self, square: Square) -> None:
        """Take a square: the one that is waited for, or another one for the photograph that is being opened."""
        if not self._session.place(square):
            self._views.notify("no photograph is being opened in which a square could be placed")

    def ask(self, placing: Placing) -> None:
        """Tell pages where a square may be placed."""
        self._views.tell(*protocol.placing_message(placing))
