"""Arrays of a script as text, in files and in code."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

MOST_BYTES = 64 << 20
"""Of one array; that of the largest model takes less than a thousandth."""


def packed(array: np.ndarray | None) -> list[Any] | None:
    """Return an array (n, k) of float32 as values that JSON can hold: rows that are all alike are one."""
    if array is None:
        return None
    rows = array[:1] if bool((array == array[:1]).all()) else array
    text = base64.b64encode(zlib.compress(np.ascontiguousarray(rows, dtype="<f4").tobytes(), 9)).decode()
    return [len(array), len(rows), text]


def unpacked(values: Any) -> np.ndarray | None:
    """Return the array again. :raises ValueError: if it is none."""
    if values is None:
        return None
    match values:
        case [int(count), int(rows), str(text)] if 0 < rows <= count <= 1 << 16 and rows in (1, count):
            unpacker = zlib.decompressobj()
            try:
                data = unpacker.decompress(base64.b64decode(text, validate=True), MOST_BYTES)
            except (ValueError, zlib.error) as error:
                raise ValueError("an array of its script is damaged") from error
            numbers = np.frombuffer(data[: len(data) // 4 * 4], "<f4")
            if unpacker.eof and len(numbers) and len(numbers) % rows == 0 and np.isfinite(numbers).all():
                return np.repeat(numbers.reshape(rows, -1), count // rows, axis=0).astype(np.float32)
    raise ValueError("an array of its script is none")
