"""Tensors and JSON as one file: safetensors with a checksum, read within bounds whatever the file claims.

The JSON is one text of the safetensors header. It begins with ``{"checksum": "…"``, the SHA-256 of the whole file in
which the checksum itself is 64 zeros; so a change of any byte is noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from draggan_widget.files import begins
from draggan_widget.texts import read_json

LONGEST_TEXT = 48 << 20
LONGEST_HEADER = 96 << 20
"""Bytes; safetensors itself reads no more than 100 MB."""
MOST_VALUES = 4_000_000
"""Numbers, lists and objects in the JSON."""
DEEPEST = 100
"""Lists and objects within one another: what an engine remembers may have many."""
MOST_TENSORS = 100_000
MOST_BYTES = 2 << 30
CHECKSUM = "checksum"
BLANK = "0" * 64
METADATA = "__metadata__"


class IncompleteError(ValueError):
    """A file that is no such container, or not a whole one."""


class ForeignError(ValueError):
    """A container of something else."""


def fits(tensors: dict[str, Tensor], values: dict[str, Any]) -> bool:
    """Return whether ``unpacked`` would take what ``packed`` makes of these."""
    text = json.dumps(values)
    count = sum(text.count(each) for each in ",[{") + 8 * len(tensors)
    size = sum(tensor.nbytes for tensor in tensors.values()) + len(text)
    return len(text) < LONGEST_TEXT and count < MOST_VALUES and len(tensors) < MOST_TENSORS and size < MOST_BYTES


def packed(key: str, tensors: dict[str, Tensor], values: dict[str, Any]) -> bytes:
    """Return the bytes of a file with these. :param key: of the header, under which the values stand."""
    data = bytearray(safetensors.torch.save(tensors, {key: json.dumps({CHECKSUM: BLANK, **values})}))
    place = _place(data, key)
    data[place : place + len(BLANK)] = _digest(data, place)
    return bytes(data)


def unpacked(path: Path, key: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the values of a file; without a checksum where it has none, as files of before.

    :raises IncompleteError: if it is cut short or no such file. :raises ForeignError: if nothing stands under ``key``.
    :raises ValueError: if it was altered, or claims more than it may. :raises OSError: if it cannot be read.
    """
    data, header = _read(path)
    text = header[METADATA].get(key) if isinstance(header.get(METADATA), dict) else None
    if text is None:
        raise ForeignError("nothing stands under its key")
    values = read_json(text, most_values=MOST_VALUES, deepest=DEEPEST, any_number=True)
    if not isinstance(values, dict):
        raise ValueError("its JSON is no object")
    stated = values.pop(CHECKSUM, None)
    place = _place(data, key)
    if (stated is not None or place >= 0) and (place < 0 or stated != _digest(data, place).decode()):
        raise ValueError("its checksum does not fit: it was changed after it was saved")
    try:
        return safetensors.torch.load(data), values
    except SafetensorError as error:
        raise IncompleteError(str(error)) from error


def is_one(path: Path, key: str) -> bool:
    """Return whether a file looks like one of these, whole or not."""
    return begins(path, f'{{"{METADATA}":{{"{key}":"'.encode(), 8)


def _read(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Return all of a file, copied since it may change or shrink meanwhile, and its header."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MOST_BYTES:
            raise ValueError(f"it has {size:,} bytes, far more than an edit")
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > size - 8:
            raise IncompleteError(f"a file of {size:,} bytes, which is too short for its header")
        if length > LONGEST_HEADER:
            raise ValueError(f"its header claims {length:,} bytes")
        head = file.read(length)
        header = read_json(head, most_values=MOST_VALUES + 8 * MOST_TENSORS, any_number=True)
        if not isinstance(header, dict) or len(header) > MOST_TENSORS:
            raise IncompleteError("its header lists no tensors")
        there = sum(_length(entry) for name, entry in header.items() if name != METADATA)
        if there != size - 8 - length:
            raise IncompleteError(f"it holds {size - 8 - length:,} bytes, its header says {there:,}")
        data = start + head + file.read(there)
    if len(data) != size:
        raise IncompleteError("it was cut short while it was read")
    return data, header


def _length(entry: Any) -> int:
    begin, end = entry["data_offsets"]
    if type(begin) is not int or type(end) is not int or not 0 <= begin <= end:
        raise ValueError("a tensor lies nowhere in it")
    return end - begin


def _place(data: bytes | bytearray, key: str) -> int:
    """Return where the checksum stands; -1 if there is none."""
    mark = f'"{key}":"{{\\"{CHECKSUM}\\": \\"'.encode()
    found = data.find(mark, 8, 8 + int.from_bytes(data[:8], "little"))
    return -1 if found < 0 else found + len(mark)


def _digest(data: bytes | bytearray, place: int) -> bytes:
    view = memoryview(data)
    digest = hashlib.sha256(view[:place])
    digest.update(BLANK.encode())
    digest.update(view[place + len(BLANK) :])
    return digest.hexdigest().encode()
