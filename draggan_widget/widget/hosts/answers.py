"""Answers to what a page asks about an edit: its course, small pictures of it, and the one it began with."""

from __future__ import annotations

import collections
import io
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from draggan_widget.editing import Progress, Session, Snapshot, Work, at_step, later, thinned
from draggan_widget.engines import blend_of
from draggan_widget.widget import protocol
from draggan_widget.widget.stream import encode

Tell = Callable[[dict[str, Any], list[bytes]], None]
_lock = threading.Lock()
_wanted: weakref.WeakKeyDictionary[Session, collections.deque[tuple[Snapshot, int]]] = weakref.WeakKeyDictionary()
"""Steps whose small pictures are still to be made, each of the edit that was there when they were asked for."""
MOST_ENTRIES = 300
"""Of a course in one message."""


def course(session: Session, tell: Tell, since: int) -> None:
    """Send how the edit has gone after the step ``since``."""
    snapshot = session.latest
    records = later(snapshot.document.records, since)
    message = protocol.course_message(since, thinned(records, MOST_ENTRIES), snapshot.edit)
    session.show(lambda: tell(message, []), f"course since {since}")


def thumbnails(session: Session, tell: Tell, steps: Sequence[int]) -> None:
    """Send small pictures of steps, made one after the other, so that the edit goes on between them.

    Steps that are asked for meanwhile join the queue, which holds no more than one message may ask for, the newest.
    """
    snapshot = session.latest
    with _lock:
        wanted = _wanted.get(session)
        begin = wanted is None
        if wanted is None:
            wanted = _wanted[session] = collections.deque(maxlen=protocol.MOST_THUMBNAILS)
        known = {(each.edit, step) for each, step in wanted}
        wanted.extend((snapshot, step) for step in steps if (snapshot.edit, step) not in known)
    if begin:
        session.run_job(_thumbnails(weakref.ref(session), tell, wanted)).add_done_callback(lambda _: _forget(session))


def _forget(session: Session) -> None:
    with _lock:
        _wanted.pop(session, None)


def _thumbnails(
    reference: weakref.ref[Session], tell: Tell, wanted: collections.deque[tuple[Snapshot, int]]
) -> Work[None]:
    made: dict[tuple[int, int], bytes] = {}
    number = 0
    while (session := reference()) is not None:
        with _lock:
            if not wanted:
                _wanted.pop(session, None)
                break
            snapshot, step = wanted.popleft()
        records = snapshot.document.records
        if records and (snapshot.edit, step) not in made:
            record, generator = records[at_step(records, step)], snapshot.model.generator
            layers = record.kept.layers(generator, record.ws, blend_of(snapshot.document.config))
            made[snapshot.edit, step] = _jpeg(session.thumbnail(snapshot.document, layers))
        number += 1
        share = number / (number + len(wanted))
        del session, snapshot, records
        yield Progress(share)
    newest = list(made.items())[-protocol.MOST_THUMBNAILS :]
    for edit in dict.fromkeys(edit for (edit, _), _ in newest):
        done = [(step, data) for (of, step), data in newest if of == edit]
        tell(protocol.thumbnails_message([step for step, _ in done], edit), [data for _, data in done])


def before(session: Session, tell: Tell) -> None:
    """Send the picture that the edit began with, exact to the bit."""

    def answer() -> None:
        picture, edit = session.before(), session.latest.edit
        encoding, data = encode(picture, lossless=True)
        tell(protocol.before_message(encoding, picture.size, edit), [data])

    session.show(answer, "before")


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.convert("L" if picture.mode == "L" else "RGB").save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
