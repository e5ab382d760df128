"""An edit as a file: made in slices in the worker's thread, for the page and for Python alike."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np

from draggan_widget.editing import (
    FILES,
    Kind,
    Progress,
    Session,
    Work,
    check_drag_path,
    code_of,
    drag_job,
    film,
    in_thread,
    is_code,
    latent_bytes,
    pasted,
    png,
    provenance_of,
)
from draggan_widget.files import begins, check_replaced, shown
from draggan_widget.widget import protocol

SUFFIXES: dict[str, Kind] = {suffix: kind for kind, (suffix, _) in FILES.items() if kind != "photo"}
SUFFIXES[".npy"] = "latent"
"""Ending of a file → what it holds. A photograph is written by ``editor.photograph().save(…)``."""


BEGINNINGS: dict[str, tuple[bytes, int]] = {
    ".png": (b"\x89PNG\r\n\x1a\n", 0),
    ".gif": (b"GIF8", 0),
    ".mp4": (b"ftyp", 4),
    ".npz": (b"PK\x03\x04", 0),
    ".npy": (b"\x93NUMPY", 0),
}
"""By which files of a kind are known: bytes, and where they stand."""


def kind_of(path: str | os.PathLike[str]) -> Kind:
    """Return the kind of file that a name asks for, once it is sure that it can be written there.

    :raises ValueError: for an ending that means nothing here. :raises FileExistsError: if there is a file of another
        kind; of ``.drag`` and ``.py``, one that no editor wrote. :raises OSError: if it cannot be a file's name.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{shown(path)} ends in {shown(suffix)!r}; an edit can be written as {', '.join(SUFFIXES)}")
    if suffix == ".drag":
        check_drag_path(path)
    elif suffix == ".py":
        check_replaced(path, is_code, "code that an editor wrote")
    else:
        check_replaced(path, lambda file: begins(file, *BEGINNINGS[suffix]), f"a {suffix} file")
    return SUFFIXES[suffix]


def make(session: Session, kind: Kind, *, handles: bool, provenance: bool, bare: bool = False) -> Work[bytes]:
    """Return a job that makes a file of that kind of what is shown when it begins.

    :param handles: whether films show handles and targets. :param provenance: whether pictures and films say how they
        were made.
    :param bare: whether a latent is ``.npy``, ``ws`` alone.
    """
    snapshot = session.latest
    document = snapshot.seen
    model = document.model
    said = provenance_of(document, model) if provenance else None
    if kind == "gif" or kind == "mp4":
        return (yield from film(kind, document, model.generator, handles=handles, provenance=said))
    yield Progress(0.0)
    if kind == "photo":
        paste = pasted(document, session.picture(document, bare=True))
        # Beside the edit: a photograph may have a hundred times the pixels of the model's picture.
        return (yield from in_thread(lambda _: png(paste(), provenance=said), "Pasting"))
    if kind == "png":
        return png(session.picture(document), provenance=said)
    if kind == "drag":
        return (yield from drag_job(document, model.generator, model.source))
    if kind == "code":
        return code_of(document, model).encode()
    if not bare:
        return latent_bytes(document)
    file = io.BytesIO()
    np.save(file, document.drag.ws.cpu().numpy())
    return file.getvalue()


def send(
    session: Session,
    tell: Callable[[dict[str, Any], list[bytes]], None],
    asked: protocol.Export,
    *,
    provenance: bool,
) -> Future[bytes]:
    """Make the file that a page asked for and send it, or a notice of why not. The future may be cancelled."""
    kind = asked.kind
    ending, mime = FILES[kind]
    document = session.latest.seen
    begun = "latent" if document.seed is None else f"seed{document.seed}"
    title = session.latest.model.title or "edit"
    name = f"{title}-edited{ending}" if kind == "photo" else f"{title}-{begun}-step{document.drag.step}{ending}"
    name = name.replace("/", "-")

    def ended(done: Future[bytes]) -> None:
        if done.cancelled():
            return
        if (error := done.exception()) is not None:
            tell(protocol.notice_message(f"{kind} was not made: {error}"), [])
        elif kind == "code":
            tell(protocol.export_message(kind, name, mime, done.result().decode()), [])
        else:
            tell(protocol.export_message(kind, name, mime), [done.result()])

    job = make(session, kind, handles=asked.handles, provenance=provenance)
    # A short one does not wait for a film; of films that are asked for at once, one is made after the other.
    future = session.run_job(job, lane=kind, what=kind)
    future.add_done_callback(ended)
    return future
