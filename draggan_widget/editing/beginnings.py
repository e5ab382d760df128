"""Beginnings of edits, as functions of documents: another picture, class, model or latent, or the first one again."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

from torch import Tensor

from draggan_widget.editing.changes import first_of
from draggan_widget.editing.document import Document
from draggan_widget.editing.finishing import OF_A_PHOTOGRAPH
from draggan_widget.editing.model import Model, check_label
from draggan_widget.engines import State, begin_with, bind, default_config, engine_of
from draggan_widget.models import Generator


def first_document(
    model: Model, config: Any, seed: int, truncation: float, label: int | None = None, first: Any = None
) -> Document:
    """Return an edit of the picture of a seed before anything was done.

    :param config: settings of any engine; None for ``default_config`` of the model. :param label: class of the picture;
        None for the first one, where there are classes. :param first: settings of who makes the first jump, or None.
    :raises ValueError: if there is no such class, or if the engine cannot serve the model.
    """
    label = check_label(label, model.classes)
    ws = model.generator.space.draw(seed=seed, label=label, truncation=truncation)
    drag = State.begin(model.generator, ws, config)
    return Document(model, drag, None, seed, truncation, (("config", drag.config),), label=label, first=first)


def new_image(document: Document, seed: int, truncation: float) -> Document:
    """Return the beginning of an edit of the picture of ``seed``, of the same model, class and settings."""
    return first_document(document.model, document.config, seed, truncation, document.label, document.first)


def retruncated(document: Document, truncation: float) -> Document:
    """Return the beginning of an edit of the same seed at another truncation. :raises ValueError: without a seed."""
    return new_image(document, _seed_of(document, "truncation"), truncation)


def relabelled(document: Document, label: int) -> Document:
    """Return the beginning of an edit of the same seed in another class.

    :raises ValueError: if there is no such class, or without a seed. :raises TypeError: for no whole number.
    """
    checked = check_label(label, document.model.classes)
    seed = _seed_of(document, "class")
    return first_document(document.model, document.config, seed, document.truncation, checked, document.first)


def with_latent(document: Document, ws: Tensor) -> Document:
    """Return the beginning of an edit of the picture of ``ws`` (1, num_ws, w_dim), of the same model and settings."""
    drag = begin_with(document.model.generator, ws, [], None, document.config)
    script = (("config", document.config),)
    return Document(document.model, drag, None, None, document.truncation, script, first=document.first)


def with_model(document: Document, model: Model) -> Document:
    """Return the beginning of an edit with another model, as near to that of ``document`` as the model has it.

    Seed, truncation and class stay where the model has them, and settings that somebody chose where it has their
    blocks; the others are the model's own. A model that was tuned for a photograph, or knows a picture, begins with
    that.

    :raises ValueError: if its latents cannot be worked with.
    """
    config, first = _config_for(document, model.generator), _first_for(document, model.generator)
    label = document.label if document.label is not None and document.label < model.classes else None
    if model.photo is not None:
        drag = begin_with(model.generator, model.photo.latent, [], None, config)
        script = (("config", drag.config),)
        begun = Document(model, drag, None, None, document.truncation, script, label=label, first=first)
        return begun.changed(finish=OF_A_PHOTOGRAPH, of_photo=True)
    if model.begins is not None:
        drag = begin_with(model.generator, model.begins, [], None, config)
        return Document(model, drag, None, None, document.truncation, (("config", drag.config),), first=first)
    return first_document(model, config, document.seed or 0, document.truncation, label, first)


def tuned_further(document: Document, model: Model) -> Document:
    """Return the edit of a photograph as its model goes on: with other weights, or another latent of the photograph.

    Points stay where they are, and so does the latent once something was dragged; what the engine remembers of
    pictures it takes anew.
    """
    drag = document.drag
    assert model.photo is not None
    bound = bind(model.generator, drag.config)
    if drag.step or drag.edit.below:
        latent, origin = drag.edit.latent.clone(), drag.edit.origin.clone()
    else:
        latent = origin = model.photo.latent.clone()  # another tensor, for features are known by theirs
    below = tuple(
        dataclasses.replace(each, latent=origin if each.latent is drag.edit.origin else each.latent.clone())
        for each in drag.edit.below
    )
    edit = dataclasses.replace(drag.edit, latent=latent, origin=origin, below=below)
    return dataclasses.replace(document, model=model, drag=State(bound, edit, bound.begin(edit), drag.loss))


def started_over(document: Document, *, keep_points: bool) -> Document:
    """Return the edit at the latent that it began from; the mask stays, and what is held.

    :param keep_points: whether points stay, with their targets, and their handles where somebody put them.
    """
    drag, mask = document.drag, document.mask
    points = [(point.id, point.start, point.target) for point in drag.points if keep_points]
    script = (
        ("config", document.config),
        *(() if mask is None else (("mask", mask),)),
        *(("add", *point) for point in points),
        *(op for op in document.script[::-1] if op[0] == "hold" and op[2] is not None and op[2] is drag.edit.held),
    )
    held = drag.edit.held
    drag = begin_with(document.model.generator, drag.w0, points, mask, document.config)
    if held is not None:
        drag = drag.with_held(held)
    return dataclasses.replace(document, drag=drag, records=(), script=script)


def _seed_of(document: Document, what: str) -> int:
    if document.seed is None:
        raise ValueError(f"this picture did not come from a seed, so it has no {what}; set a seed first")
    return document.seed


def _config_for(document: Document, generator: Generator) -> Any:
    config, engine = document.config, engine_of(document.config)
    chosen = config != engine.defaults(document.model.generator)  # else each model has its own
    for asked in (config, engine.defaults(generator)) if chosen else (engine.defaults(generator),):
        with contextlib.suppress(ValueError):
            return bind(generator, asked).settings
    return default_config(generator)


def _first_for(document: Document, generator: Generator) -> Any:
    """Return who makes the first jump on another model: the same, if it can serve that one, else nobody."""
    with contextlib.suppress(ValueError):
        return first_of(generator, document.first)
    return None
