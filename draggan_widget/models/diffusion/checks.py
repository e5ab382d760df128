"""What is asked before a diffusion model is read, and how it is said what is wrong with one."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import struct
from pathlib import Path
from typing import Any

import torch

from draggan_widget.models.checkpoints.load import CheckpointError
from draggan_widget.texts import one_line, shown_path

FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""Bytes of the numbers in safetensors files."""
SPARE = 1.25
"""Memory that reading takes, as a multiple of the weights."""
LONGEST_HEADER = 100 << 20


def check_precision(dtype: torch.dtype, device: torch.device) -> None:
    """Check that a device computes in a precision. :raises ValueError: for half precision on a processor."""
    if dtype == torch.float16 and device.type == "cpu":
        raise ValueError("half precision (float16) is slower than float32 on a processor; leave dtype out there")


def check_memory(what: Path, needed: float, device: torch.device) -> None:
    """Check that there is room for ``needed`` bytes. :raises CheckpointError: if not, with how much there is."""
    free = free_memory(device)
    if free is not None and needed > free:
        raise CheckpointError(
            f"{shown_path(what)} needs about {needed / 2**30:.1f} GB of memory, and {free / 2**30:.1f} GB are free; "
            "close other notebooks, or give dtype=torch.float16 on a GPU"
        )


def check_packages(*names: str) -> None:
    """Check that packages are installed. :raises ModuleNotFoundError: if not, saying how to get them."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"diffusion models need {' and '.join(missing)}; pip install 'draggan_widget[diffusion]'", name=missing[0]
        )


def numbers_of(file: Path, prefixes: tuple[str, ...] = ("",)) -> int:
    """Return how many numbers a safetensors file holds, from its header alone.

    :param prefixes: of the names that count. :raises CheckpointError: for a damaged file.
    """
    try:
        counted = [each for name, each in header_of(file).items() if name.startswith(prefixes)]
        spans = [each["data_offsets"] for each in counted]
        widths = [FLOATS.get(each["dtype"], 4) for each in counted]
        return sum((last - first) // width for (first, last), width in zip(spans, widths, strict=True))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{shown_path(file)} is damaged ({one_line(error, 100)}); get it again") from error


def header_of(file: Path) -> dict[str, Any]:
    """Return what a safetensors file says of its tensors, by their names.

    :raises OSError: if it cannot be read. :raises ValueError: if it is no such file, or damaged.
    """
    with file.open("rb") as stream:
        try:
            (length,) = struct.unpack("<Q", stream.read(8))
        except struct.error as error:
            raise ValueError("it is shorter than any header") from error
        if length > min(LONGEST_HEADER, file.stat().st_size):
            raise ValueError("its header is longer than itself")
        header = json.loads(stream.read(length))
    if not isinstance(header, dict):
        raise ValueError("its header is no table")
    return {name: each for name, each in header.items() if name != "__metadata__"}


def free_memory(device: torch.device) -> int | None:
    """Return how many bytes are free on a device; None where nobody says."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    with contextlib.suppress(OSError, ValueError, LookupError):
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines() if ":" in line)
        return int(lines["MemAvailable"].split()[0]) * 1024
    return None
