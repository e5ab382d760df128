"""`.drag` files: an edit on disk, from which it goes on exactly as if never interrupted.

A safetensors file: numbered tensors, and under one key of the header, as JSON, everything else, which refers to them,
and a checksum of the file (see ``container``). It holds the state after every step that the history has, so an edit
goes on exactly from each of them as well. Nothing in it is executed when it is read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import reprlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.editing import container, history
from draggan_widget.editing.compact_files import EngineError, Storage, Stored, settings_of
from draggan_widget.editing.document import Document
from draggan_widget.editing.finishing import OF_A_PHOTOGRAPH, checked_finish
from draggan_widget.editing.history import Record, thinned
from draggan_widget.editing.jobs import Progress, Work, finish, in_thread
from draggan_widget.editing.model import Model, check_label
from draggan_widget.editing.packed_photo import PackedPhoto
from draggan_widget.editing.script import from_json, to_json
from draggan_widget.editing.sealed import packing
from draggan_widget.engines import State, check_jump, engine_of
from draggan_widget.files import check_replaced, expanded, readable, shown, write_whole
from draggan_widget.models import (
    Diffusion,
    Generator,
    builtin_base,
    builtin_edition,
    builtin_names,
    check_seed,
    fingerprint,
)
from draggan_widget.models.diffusion import KEPT, bare, kept_of, with_kept
from draggan_widget.settings import SettingError

HEADER = "draggan_edit"
FORMAT = 3
"""Which names the engine, and keeps of its memory what it packs; so a further engine needs no new format."""
OLD_FORMAT = 2
"""Which knew DragGAN alone; it is read, with and without a checksum, and goes on exactly."""
SUFFIX = ".drag"
SLICE = 0.03
"""Seconds of work on a file between which an edit goes on."""
FIELDS = {
    FORMAT: {"format", "model", "origin", "state", "records", "script", "script_masks", "finish"},
    OLD_FORMAT: {
        *("format", "generator", "seed", "truncation", "label"),
        *("drag", "mask", "records", "script", "script_masks"),
    },
}
MADE_WITH = {
    FORMAT: ("model", {"source", "fingerprint", "resolution", "changes"}),
    OLD_FORMAT: ("generator", {"source", "fingerprint"}),
}
"""Where a format says which model an edit was made with, and in which fields."""
FIRST = "first"
"""A field that only files have whose edit has a first jump."""
ORIGIN = {"seed", "truncation", "label"}
LARGEST_TRUNCATION = 2.0
PHOTO = {"name", "square", "report", "arrays"}
"""What a file says of a photograph."""


class DragFileError(ValueError):
    """A `.drag` file that cannot be taken; the message names the file, the reason and the remedy."""


def save_drag(path: str | os.PathLike[str], document: Document, generator: Generator, source: str | None) -> None:
    """Write an edit, whole or not at all; see ``check_drag_path`` for where it can be written.

    :param source: the name or path the generator was loaded from; None if it was given as an object.
    :raises ValueError: if the name does not end in ``.drag``. :raises FileExistsError: if there is a file that is no
        edit. :raises OSError: if it cannot be written, a full disk say; the file that was there stays.
    """
    check_drag_path(path)
    write_whole(path, drag_bytes(document, generator, source))


def check_drag_path(path: str | os.PathLike[str]) -> None:
    """Raise what ``save_drag`` raises for a name that ends in something else, or that another kind of file has."""
    suffix = expanded(path).suffix
    if suffix.lower() != SUFFIX:
        ends = f"ends in {shown(suffix)}" if suffix else "has no ending"
        name = shown(expanded(path).with_suffix(SUFFIX).name) if expanded(path).name else f"smile{SUFFIX}"
        raise ValueError(f"{shown(path)} {ends}; an edit is saved as {SUFFIX}, such as {name}")
    check_replaced(path, lambda file: container.is_one(file, HEADER), "an edit")


def drag_bytes(document: Document, generator: Generator, source: str | None) -> bytes:
    """Return what ``save_drag`` writes.

    Of an edit too large to be read again, it leaves out records between the ends.
    """
    return finish(drag_job(document, generator, source))


def drag_job(document: Document, generator: Generator, source: str | None) -> Work[bytes]:
    """Return a job that makes the same, so that the edit can go on meanwhile."""
    records: Sequence[Record] = document.records
    tensors, values = yield from _parts(document, records, generator, source)
    while len(records) > 2 and not container.fits(tensors, values):
        records = thinned(records, max(2, len(records) // 2))
        tensors, values = yield from _parts(document, records, generator, source)
    return (yield from in_thread(lambda _: container.packed(HEADER, tensors, values), "packing", (0.9, 1.0)))


def _parts(
    document: Document, records: Sequence[Record], generator: Generator, source: str | None
) -> Work[tuple[dict[str, Tensor], dict[str, Any]]]:
    storage, told, slice_began = Storage(), [], time.monotonic()
    for number, record in enumerate(records):
        state = storage.put_state(record.kept.state(generator, record.ws), record.kept.mask)
        told.append({**state, "seconds": record.seconds})
        if time.monotonic() - slice_began >= SLICE:
            yield Progress(0.9 * number / len(records), "collecting steps")
            slice_began = time.monotonic()
    script, masks = to_json(document.script)
    model, changes = document.model, None
    if model.photo is not None and model.untuned is not None:
        changes, generator, source = _photo(model, storage), model.untuned.generator, model.untuned.source
    elif isinstance(generator, Diffusion):
        sampling, identity = kept_of(generator)
        changes = {"sampling": sampling, "identity": {name: storage.put(each) for name, each in identity.items()}}
    values = {
        "format": FORMAT,
        "model": {
            "source": source,
            "fingerprint": fingerprint(_untuned(generator)),
            "resolution": list(generator.resolution),
            "changes": changes,
        },
        "origin": {"seed": document.seed, "truncation": document.truncation, "label": document.label},
        "state": storage.put_state(document.drag, document.mask),
        "records": told,
        "script": script,
        "script_masks": [storage.put(mask) for mask in masks],
        "finish": list(document.finish),
    }
    if document.first is not None:
        values[FIRST] = [engine_of(document.first).name, document.first.to_dict()]
    return storage.tensors, values


def _untuned(generator: Generator) -> Generator:
    """Return a generator without the identity that it may have learnt, which files keep by itself."""
    return bare(generator) if isinstance(generator, Diffusion) else generator


def _photo(model: Model, storage: Storage) -> dict[str, Any]:
    """Return what a file says of the photograph for which a model was tuned."""
    about, arrays = packing()(model).parts()
    return {**about, "arrays": {name: storage.put(array) for name, array in arrays.items()}}


def load_drag(path: str | os.PathLike[str], model: Generator | Model) -> Document:
    """Return the edit in a file, to go on with under ``model``.

    :raises FileNotFoundError: if there is no such file. :raises DragFileError: if it cannot be taken, or was made
        with a generator of other weights.
    """
    return DragFile.read(path).document(model)


@dataclasses.dataclass(frozen=True, eq=False)
class DragFile:
    """What a `.drag` file holds, before it is known whether it fits a generator."""

    name: str
    """For messages."""
    source: str | None
    """The name or path of the generator the edit was made with; None if it was given as an object."""
    _tensors: dict[str, Tensor] = dataclasses.field(repr=False)
    _values: dict[str, Any] = dataclasses.field(repr=False)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> DragFile:
        """Read the file of a path.

        :raises FileNotFoundError: if there is no such file. :raises DragFileError: if it holds no edit.
        """
        name, found = shown(path), readable(path, f"a {SUFFIX} file")
        try:
            with _telling(name):
                tensors, values = container.unpacked(found, HEADER)
                version = values["format"]
                known = type(version) is int and version in FIELDS
                made, fields = MADE_WITH.get(version if known else FORMAT, MADE_WITH[FORMAT])
                if known and (set(values) - {FIRST} != FIELDS[version] or set(values[made]) != fields):
                    raise ValueError("it has other fields than an edit")
                source = values[made]["source"] if known else None
                if not (source is None or isinstance(source, str)):
                    raise ValueError("the source of its generator is no text")
        except container.ForeignError as error:
            raise DragFileError(f"{name} holds no edit; give a file that editor.save() wrote") from error
        except (container.IncompleteError, OSError) as error:
            raise DragFileError(f"{name} cannot be read ({shown(error)}); give a {SUFFIX} file, whole") from error
        if not known:
            said = shown(repr(version)) if isinstance(version, (int, str, float)) else "none"
            older = type(version) is int and version < OLD_FORMAT
            remedy = "draggan_widget 0.1 of before reads it" if older else "update draggan_widget"
            raise DragFileError(f"{name} has format {said}, this version reads {OLD_FORMAT} and {FORMAT}; {remedy}")
        return cls(name, source, tensors, values)

    def document(self, model: Generator | Model) -> Document:
        """Return the edit, to go on with under ``model``.

        :raises DragFileError: if it was made with a generator of other weights, or does not fit together.
        """
        model = Model.of(model)
        model = model.untuned or model
        if not self.is_of(model.generator):
            raise DragFileError(self._of_another())
        if self._newer():
            raise DragFileError(f"{self.name} has what only a newer version can do; update draggan_widget")
        with _telling(self.name):
            return self._document(model)

    @property
    def builtin(self) -> str | None:
        """The built-in name of the weights that the edit was made with; None where these are no built-in ones.

        It is ``faces-1`` for edits of the first edition, that call it ``faces``.
        """
        named = self.source is not None and builtin_base(self.source) in builtin_names()
        return builtin_edition(self.source, self._fingerprint) if self.source is not None and named else None

    def is_of(self, generator: Generator) -> bool:
        """Return whether the edit was made with these very weights."""
        return self._fingerprint == fingerprint(_untuned(generator))

    @property
    def _fingerprint(self) -> object:
        return self._values[MADE_WITH[self._values["format"]][0]]["fingerprint"]

    def _of_another(self) -> str:
        """Say of which model the edit is, and what to do."""
        if (name := self.builtin) is not None:
            return f"{self.name} was made with the built-in {name}; load it with that one: Editor.load(path)"
        if self.source in builtin_names():
            return (
                f"{self.name} was made with another edition of {self.source} than this version has "
                f"({', '.join(builtin_names())}); open it with the version of draggan_widget that saved it"
            )
        return (
            f"{self.name} was made with another generator ({shown(self.source)}); "
            "load it with that one: Editor.load(path, model=…)"
        )

    def _newer(self) -> bool:
        """Return whether it has what this version knows by its place alone: another finish, or other changes of the
        model, than those for a photograph.
        """
        if self._values["format"] == OLD_FORMAT:
            return False
        finish, changes = self._values["finish"], self._values["model"]["changes"]
        known = not isinstance(changes, dict) or set(changes) in (PHOTO, KEPT)
        return (isinstance(finish, list) and not set(map(str, finish)) <= set(OF_A_PHOTOGRAPH)) or not known

    def _document(self, model: Model) -> Document:
        values = self._values
        old = values["format"] == OLD_FORMAT
        changes = None if old else values["model"]["changes"]
        if not (changes is None or isinstance(changes, dict)):
            raise ValueError("the changes of its model are no dict")
        done = () if old else checked_finish(values["finish"], of_photo=changes is not None and set(changes) == PHOTO)
        if changes is not None and set(changes) == KEPT:
            if not isinstance(model.generator, Diffusion):
                raise ValueError("what its model samples so is no diffusion model")
            identity = {str(name): self._tensors[str(number)] for name, number in changes["identity"].items()}
            made = with_kept(model.generator, changes["sampling"], identity)
            model = model if made is model.generator else dataclasses.replace(model, generator=made)
        elif changes is not None:
            arrays = {str(name): self._tensors[str(number)] for name, number in changes["arrays"].items()}
            model = PackedPhoto.of_parts(changes, arrays).open(model)
        generator = model.generator
        if not old and values["model"]["resolution"] != list(generator.resolution):
            wanted = reprlib.repr(values["model"]["resolution"])
            raise ValueError(f"it is for pictures of {wanted}, not {list(generator.resolution)}")
        stored = Stored(self._tensors.__getitem__, generator)
        read = stored.old_state if old else stored.state
        entries = values["records"]
        if not isinstance(entries, list) or len(entries) > history.MOST_RECORDS + 2:
            raise ValueError("its records are no list, or more than an edit keeps")
        origin = values if old else values["origin"]
        if not old and set(origin) != ORIGIN:
            raise ValueError("it has other fields of its origin than an edit")
        seed = None if origin["seed"] is None else check_seed(origin["seed"])
        label = None if origin["label"] is None else check_label(origin["label"], generator.label_dim)
        truncation = _number("truncation", origin["truncation"], LARGEST_TRUNCATION)
        script = from_json(values["script"], stored.masks(values["script_masks"]), generator.resolution)
        drag, mask = read({**values["drag"], "mask": values["mask"]} if old else values["state"])
        records = tuple(_record(read, entry) for entry in entries)
        steps = [record.step for record in records]
        if any(later <= earlier for earlier, later in zip(steps, [*steps[1:], drag.step + 1], strict=False)):
            raise ValueError("its records are not in the order of their steps")
        first = None if old or FIRST not in values else _first(values[FIRST])
        photo = model.photo if seed is None else None
        of_photo = photo is not None and (bool(done) or torch.equal(drag.w0, photo.latent))
        return Document(model, drag, mask, seed, truncation, script, records, label, first, done, of_photo)


def _first(value: Any) -> Any:
    match value:
        case [str(name), dict(fields)]:
            return check_jump(settings_of(name, fields))
    raise ValueError(f"who makes the first jump is {reprlib.repr(value)}")


def _record(read: Callable[[dict[str, Any]], tuple[State, np.ndarray | None]], entry: Mapping[str, Any]) -> Record:
    rest = {**entry}
    seconds = _number("seconds", rest.pop("seconds"))
    drag, mask = read(rest)
    return Record.of(drag, seconds, mask)


def _number(name: str, value: Any, most: float = math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most or value == math.inf:
        raise ValueError(f"{name} is {reprlib.repr(value)}; it must be a number of at least 0")
    return float(value)


@contextlib.contextmanager
def _telling(name: str) -> Iterator[None]:
    """Turn what goes wrong with a file's content into a ``DragFileError`` that names the file."""
    try:
        yield
    except (container.ForeignError, container.IncompleteError, OSError):
        raise
    except SettingError as error:
        raise DragFileError(f"{name} has settings that cannot be dragged with: {shown(error)}") from error
    except EngineError as error:
        raise DragFileError(f"{name} cannot go on here: {shown(error)}") from error
    except Exception as error:  # a file may hold anything, and an engine of somebody else raise anything
        reason = shown(f"{type(error).__name__}: {error}")
        raise DragFileError(f"{name} is incomplete or altered ({reason}); save the edit again") from error
