"""`.drag` files: an edit on disk, from which it goes on exactly as if never interrupted.

A safetensors file: the tensors of the drag state, the mask and the history, and under one key of the header, as JSON,
everything else. Nothing in it is executed when it is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from draggan_widget.dragging import DragState, check_mask, check_ws, check_xy
from draggan_widget.editing.history import Record
from draggan_widget.editing.model import check_label
from draggan_widget.editing.moment import Moment
from draggan_widget.editing.script import Script, from_json, to_json
from draggan_widget.generators import Generator
from draggan_widget.generators.base import check_seed
from draggan_widget.generators.checkpoints import write_tensors

HEADER = "draggan_edit"
FORMAT = 1


class DragFileError(ValueError):
    """A `.drag` file that cannot be taken; the message names the file, the reason and the remedy."""


def save_drag(path: str | os.PathLike[str], moment: Moment, generator: Generator, source: str | None) -> None:
    """Write an edit, whole or not at all.

    :param source: the name or path the generator was loaded from; None if it was given as an object.
    :raises FileNotFoundError: if there is no such folder.
    """
    drag_tensors, drag_fields = moment.drag.to_tensors()
    tensors = {f"drag.{name}": tensor for name, tensor in drag_tensors.items()}
    if moment.mask is not None:
        tensors["mask"] = torch.from_numpy(moment.mask)
    records = []
    for index, record in enumerate(moment.records):
        for name in ("handles", "targets", "ws"):
            tensors[f"history.{index}.{name}"] = torch.from_numpy(getattr(record, name))
        records.append({"step": record.step, "seconds": record.seconds, "ids": record.ids, "loss": record.loss})
    script: list[Any] | None = None
    if moment.script is not None:
        script, masks = to_json(moment.script)
        tensors.update({f"script.mask.{number}": torch.from_numpy(mask) for number, mask in enumerate(masks)})
    header = {
        "format": FORMAT,
        "generator": {"source": source, "fingerprint": fingerprint(generator)},
        "seed": moment.seed,
        "truncation": moment.truncation,
        "label": moment.label,
        "drag": drag_fields,
        "records": records,
        "script": script,
    }
    # Tensors may share memory, which the format does not allow, and may lie on another device.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_tensors(path, tensors, {HEADER: json.dumps(header)})


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
        drag_tensors = {
            name.removeprefix("drag."): tensor for name, tensor in tensors.items() if name.startswith("drag.")
        }
        like = next(generator.parameters())
        drag = DragState.from_tensors(drag_tensors, header["drag"], device=like.device)
        mask = check_mask(tensors.get("mask"), generator.resolution)
        seed, truncation = header["seed"], float(header["truncation"])
        _check(drag, generator)
        records = tuple(_record(index, fields, tensors) for index, fields in enumerate(header["records"]))
        seed = None if seed is None else check_seed(seed)
        label = header.get("label")  # files from before there were classes have none
        label = None if label is None else check_label(label, generator.label_dim)
        return Moment(drag, mask, seed, truncation, records, label, _script(header, tensors))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DragFileError(f"{os.fspath(path)} is incomplete or altered ({error!r}); save the edit again") from error


def _check(drag: DragState, generator: Generator) -> None:
    """That the state is one of this generator's. :raises ValueError: if it is not."""
    if drag.resolution != generator.resolution:
        raise ValueError(f"it is for pictures of {drag.resolution}, not {generator.resolution}")
    for tensor in (drag.latent, drag.w0, drag.anchor.latent, drag.moments.first, drag.moments.second):
        check_ws(generator, tensor)
    for point in drag.points:
        for part in ("handle", "target", "start"):
            check_xy(f"the {part} of point {point.id}", getattr(point, part), drag.resolution)


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


def _script(header: dict[str, Any], tensors: dict[str, Tensor]) -> Script | None:
    values = header.get("script")  # files from before there were scripts have none
    if values is None:
        return None
    count = sum(name.startswith("script.mask.") for name in tensors)
    return from_json(values, [tensors[f"script.mask.{number}"].numpy() for number in range(count)])


def _record(index: int, fields: dict[str, Any], tensors: dict[str, Tensor]) -> Record:
    arrays: dict[str, np.ndarray] = {
        name: tensors[f"history.{index}.{name}"].numpy() for name in ("handles", "targets", "ws")
    }
    handles, targets, ws = arrays["handles"], arrays["targets"], arrays["ws"]
    return Record(fields["step"], fields["seconds"], tuple(fields["ids"]), handles, targets, fields["loss"], ws)
