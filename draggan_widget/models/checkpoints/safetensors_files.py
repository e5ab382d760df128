"""safetensors files: the length of a JSON header, the header, then the bytes it points into."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from draggan_widget.models.checkpoints.budget import Budget
from draggan_widget.models.checkpoints.filebytes import Data
from draggan_widget.models.checkpoints.tensors import storage_of, tensor_of
from draggan_widget.models.checkpoints.values import Unreadable
from draggan_widget.texts import quoted, read_json

LONGEST_HEADER = 4 << 20
"""Bytes. That of the largest model has some hundred thousand; a value of it may take fifty times as many in memory."""
LONGEST_KNOWN = 32 << 20
"""Bytes of a header by which a file is still told to be of this kind."""
METADATA = "__metadata__"
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C64": torch.complex64,
}


def looks_like_safetensors(head: bytes | memoryview, size: int) -> bool:
    """Return whether the first bytes of a file of ``size`` bytes are those of a header, whole or not."""
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and 2 <= length <= LONGEST_KNOWN and head[8:9] == b"{" and size > 8


def read_safetensors(data: Data, budget: Budget) -> dict[str, Tensor]:
    """Return the tensors by name. :raises Unreadable: if it is damaged or cut short."""
    header, start = _header(data, budget)
    named: dict[str, Tensor] = {}
    for name, entry in header.items():
        if name == METADATA:
            continue
        budget.spend_steps(10)
        try:
            dtype = DTYPES.get(entry["dtype"])
            shape = tuple(entry["shape"])
            begin, end = entry["data_offsets"]
            there = len(data) - start
            if dtype is None:
                raise Unreadable(f"holds a tensor of the unknown kind {quoted(entry['dtype'], 40)} ({quoted(name)})")
            if type(begin) is not int or type(end) is not int or not 0 <= begin <= end:
                raise Unreadable(f"is a damaged safetensors file: {quoted(name)} lies nowhere in it")
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, Unreadable):
                raise
            raise Unreadable(f"is a damaged safetensors file: {quoted(name)} is not described in full") from error
        if end > there:
            raise Unreadable(
                f"is a safetensors file cut short: {quoted(name)} should end {end - there:,} bytes after it does; get "
                "it again"
            )
        budget.spend_copying(end - begin)
        storage = storage_of(data[start + begin : start + end], dtype, budget)
        named[name] = tensor_of(storage, dtype, 0, shape, _row_major(shape), budget)
        if named[name].nbytes != end - begin:
            raise Unreadable(f"is a damaged safetensors file: {quoted(name)} has another size than its shape")
    return named


def read_metadata(data: Data, budget: Budget) -> dict[str, str]:
    """Return the free text in the header, by key. :raises Unreadable: if it is damaged or cut short."""
    texts = _header(data, budget)[0].get(METADATA, {})
    return {key: text for key, text in texts.items() if isinstance(text, str)} if isinstance(texts, dict) else {}


def _header(data: Data, budget: Budget) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(data[:8], "little")
    if 8 + length > len(data):
        raise Unreadable(f"is a safetensors file cut short: its header alone needs {length:,} bytes; get it again")
    if length > LONGEST_HEADER:
        raise Unreadable(f"is a safetensors file with a header of {length:,} bytes, as no model has")
    budget.spend_copying(length)
    try:
        header = read_json(data[8 : 8 + length])
    except ValueError as error:
        raise Unreadable(f"is a damaged safetensors file: its header is {quoted(str(error))[1:-1]}") from error
    if not isinstance(header, dict):
        raise Unreadable("is a damaged safetensors file: its header lists no tensors")
    return header, 8 + length


def _row_major(shape: tuple[Any, ...]) -> tuple[int, ...]:
    strides: list[int] = []
    step = 1
    for length in reversed(shape[:64]):
        strides.append(step)
        step *= max(1, length) if type(length) is int and abs(length) < 2**48 else 1
    return tuple(reversed(strides))
