"""`.drag` files: an edit on disk, from which it goes on exactly as if never interrupted.

A safetensors file: numbered tensors, and under one key of the header, as JSON, everything else, which refers to them.
It holds the state after every step that the history has, so an edit goes on exactly from each of them as well. Nothing
in it is executed when it is read.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from draggan_widget.dragging import DragState, check_mask, check_ws, check_xy
from draggan_widget.editing.history import Record
from draggan_widget.editing.model import check_label
from draggan_widget.editing.moment import Moment
from draggan_widget.editing.script import from_json, to_json
from draggan_widget.editing.storing import Storage, Stored
from draggan_widget.generators import Generator
from draggan_widget.generators.base import check_seed
from draggan_widget.generators.checkpoints import write_tensors
from draggan_widget.settings import SettingError

HEADER = "draggan_edit"
FORMAT = 2


class DragFileError(ValueError):
    """A `.drag` file that cannot be taken; the message names the file, the reason and the remedy."""


def save_drag(path: str | os.PathLike[str], moment: Moment, generator: Generator, source: str | None) -> None:
    """Write an edit, whole or not at all.

    :param source: the name or path the generator was loaded from; None if it was given as an object.
    :raises FileNotFoundError: if there is no such folder.
    """
    storage = Storage()

    def mask_number(mask: np.ndarray | None) -> int | None:
        return None if mask is None else storage.put(mask)

    records = [
        {
            **storage.put_state(record.kept.state(record.ws)),
            "seconds": record.seconds,
            "mask": mask_number(record.kept.mask),
        }
        for record in moment.records
    ]
    script, masks = to_json(moment.script)
    header = {
        "format": FORMAT,
        "generator": {"source": source, "fingerprint": fingerprint(generator)},
        "seed": moment.seed,
        "truncation": moment.truncation,
        "label": moment.label,
        "drag": storage.put_state(moment.drag),
        "mask": mask_number(moment.mask),
        "records": records,
        "script": script,
        "script_masks": [storage.put(mask) for mask in masks],
    }
    write_tensors(path, storage.tensors, {HEADER: json.dumps(header)})


def read_source(path: str | os.PathLike[str]) -> str | None:
    """The name or path of the generator an edit was made with. :raises DragFileError: if the file cannot be taken."""
    with _opened(path) as file:
        source = _header(path, file)["generator"]["source"]
    return None if source is None else str(source)


def load_drag(path: str | os.PathLike[str], generator: Generator) -> Moment:
    """The edit in a file, to go on with under ``generator``.

    :raises FileNotFoundError: if there is no such file. :raises DragFileError: if it cannot be taken, or was made
        with a generator of other weights.
    """
    with _opened(path) as file:
        header = _header(path, file)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if header["generator"]["fingerprint"] != fingerprint(generator):
        raise DragFileError(
            f"{os.fspath(path)} was made with another generator ({header['generator']['source']}); "
            "load it with that one: DragGAN.load(path, model=…)"
        )
    try:
        stored = Stored(tensors.__getitem__, next(generator.parameters()).device)

        @functools.cache
        def mask_of(number: int | None) -> np.ndarray | None:
            return None if number is None else check_mask(stored.array(number), generator.resolution)

        drag = _checked(stored.state(header["drag"]), generator)
        records = tuple(
            Record.of(_checked(stored.state(entry), generator), float(entry["seconds"]), mask_of(entry["mask"]))
            for entry in header["records"]
        )
        seed = None if header["seed"] is None else check_seed(header["seed"])
        label = None if header["label"] is None else check_label(header["label"], generator.label_dim)
        script = from_json(header["script"], [stored.array(number) for number in header["script_masks"]])
        truncation = float(header["truncation"])
        return Moment(drag, mask_of(header["mask"]), seed, truncation, script, records, label)
    except SettingError as error:
        raise DragFileError(f"{os.fspath(path)} has settings that cannot be dragged with: {error}") from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DragFileError(f"{os.fspath(path)} is incomplete or altered ({error!r}); save the edit again") from error


def _checked(drag: DragState, generator: Generator) -> DragState:
    """The state, if it is one of this generator's. :raises ValueError: if it is not."""
    if drag.resolution != generator.resolution:
        raise ValueError(f"it is for pictures of {drag.resolution}, not {generator.resolution}")
    for tensor in (drag.latent, drag.w0, drag.anchor.latent, drag.moments.first, drag.moments.second):
        check_ws(generator, tensor)
    for point in drag.points:
        for part in ("handle", "target", "start"):
            check_xy(f"the {part} of point {point.id}", getattr(point, part), drag.resolution)
    return drag


def fingerprint(generator: Generator) -> str:
    """A hash of a generator's weights, the same for the same network wherever its file lies."""
    digest = hashlib.sha256()
    for name, tensor in sorted(generator.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {os.fspath(path)}")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise DragFileError(f"{os.fspath(path)} cannot be read ({error}); give a .drag file, whole") from error


def _header(path: str | os.PathLike[str], file: Any) -> dict[str, Any]:
    text = (file.metadata() or {}).get(HEADER)
    if text is None:
        raise DragFileError(f"{os.fspath(path)} holds no edit; give a file that editor.save() wrote")
    try:
        header: dict[str, Any] = json.loads(text)
        found, _ = header["format"], (header["generator"]["fingerprint"], header["generator"]["source"])
    except (ValueError, KeyError, TypeError) as error:
        raise DragFileError(f"{os.fspath(path)} is incomplete or altered ({error!r}); save the edit again") from error
    if found != FORMAT:
        raise DragFileError(
            f"{os.fspath(path)} has format {found!r}, this version reads {FORMAT}; update draggan_widget"
        )
    return header
