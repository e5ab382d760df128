"""Answers to what a page asks about an edit: its course, small pictures of it, and the one it began with."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image

from draggan_widget.editing import Session, Snapshot
from draggan_widget.editing.chores import Chore
from draggan_widget.editing.history import at_step, later, thinned
from draggan_widget.widget import protocol
from draggan_widget.widget.stream import encode

Tell = Callable[[dict[str, Any], list[bytes]], None]
MOST_ENTRIES = 300
"""Of a course in one message."""


def course(session: Session, tell: Tell, since: int) -> None:
    """How the edit has gone after the step ``since``."""
    snapshot = session.latest
    records = later(snapshot.moment.records, since)
    message = protocol.course_message(since, thinned(records, MOST_ENTRIES), snapshot.edit)
    session.show(lambda: tell(message, []))


def thumbnails(session: Session, tell: Tell, steps: Sequence[int]) -> None:
    """Small pictures of steps, one after the other, so that the edit goes on between them."""
    session.chore(_thumbnails(session, tell, session.latest, steps))


def _thumbnails(session: Session, tell: Tell, snapshot: Snapshot, steps: Sequence[int]) -> Chore[None]:
    records = snapshot.moment.records
    done = []
    for number, step in enumerate(steps, start=1):
        if records:
            done.append((step, _jpeg(session.thumbnail(torch.from_numpy(records[at_step(records, step)].ws)))))
        yield number / len(steps)
    if done:
        tell(protocol.thumbnails_message([step for step, _ in done], snapshot.edit), [data for _, data in done])


def before(session: Session, tell: Tell) -> None:
    """The picture that the edit began with, exact to the bit."""

    def answer() -> None:
        picture, edit = session.before(), session.latest.edit
        encoding, data = encode(picture, lossless=True)
        tell(protocol.before_message(encoding, picture.size, edit), [data])

    session.show(answer)


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.convert("L" if picture.mode == "L" else "RGB").save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
