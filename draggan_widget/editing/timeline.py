"""The timeline of an edit, as functions of documents: any step of it, and going on from there."""

from __future__ import annotations

from typing import Any

from draggan_widget.editing.changes import with_config
from draggan_widget.editing.document import Document
from draggan_widget.editing.history import at_step
from draggan_widget.editing.script import until
from draggan_widget.engines import blend_of, engine_of


def at(document: Document, step: int) -> Document:
    """Return the edit as it was after ``step``, or the nearest step before it that is kept."""
    if not document.records:
        return document
    place = at_step(document.records, step)
    record, records = document.records[place], document.records[: place + 1]
    drag = record.kept.state(document.model.generator, record.ws, blend_of(document.config))
    script = until(document.script, record.step)
    return document.changed(drag=drag, mask=drag.edit.mask, records=records, script=script)


def taken_up(document: Document, config: Any) -> Document:
    """Return a document of the past to go on from, with the settings ``config`` and at the beginning of a run."""
    document = with_config(document, config)
    return document.changed(drag=document.drag.begin_run())


def config_in(document: Document, now: Document) -> Any:
    """Return the settings with which undo and redo lead from ``now`` to ``document``.

    Settings stay as they are now, but for those of another engine or another model, which come back with it.
    """
    same = document.model is now.model and engine_of(document.config) is engine_of(now.config)
    return now.config if same else document.config


def first_in(document: Document, now: Document) -> Any:
    """Return who makes the first jump when undo and redo lead from ``now`` to ``document``: as now, on one model."""
    return now.first if document.model is now.model else document.first


def status_of(document: Document, now: Document) -> str:
    """Return the status of ``document`` when it is gone back to as ``now``: how its run had ended, if it had."""
    if not document.drag.step:
        return "idle"
    ended = document.drag.verdict if document.drag.ids and document.config == now.config else None
    return ended or "stopped"
