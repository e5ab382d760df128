"""A file of whatever kind → inert values. Kinds are told apart by content, never by name."""

from __future__ import annotations

import os
from typing import Any

from draggan_widget.models.checkpoints.archives import END, LOCAL, Archive
from draggan_widget.models.checkpoints.budget import Budget
from draggan_widget.models.checkpoints.file_kinds import name_stranger
from draggan_widget.models.checkpoints.filebytes import Data, opened
from draggan_widget.models.checkpoints.safetensors_files import looks_like_safetensors, read_metadata, read_safetensors
from draggan_widget.models.checkpoints.torch_files import (
    LEGACY_START,
    read_legacy_layout,
    read_zip_layout,
    run_pickle,
    torch_root,
)
from draggan_widget.models.checkpoints.unpickler import Progress
from draggan_widget.models.checkpoints.values import Unreadable
from draggan_widget.texts import quoted

HEAD = 1024
"""Bytes by which kinds are told apart."""
PROTOCOL = 0x80
"""The first byte of pickles of protocol 2 and later."""
OLD_PICKLE_STARTS = b"(]}cdilISVKMJFGNTUX0"
"""First bytes of older pickles."""


def read_file(path: str | os.PathLike[str], *, progress: Progress | None = None) -> Any:
    """Return what a checkpoint file holds, as inert values; nothing that it names is imported or called.

    Kinds: plain pickles (protocols 0 to 5, Python 2's too, as dict, list, tuple, set, numbers, str, bytes, numpy
    arrays, torch tensors, ``Name`` and ``Record``), torch files of both layouts, safetensors (a dict of tensors), and
    a zip archive with one of these in it. Tensors take no gradients and are on the CPU, in memory of
    their own: whatever becomes of the file, they stay. Text that Python 2 called str is str, read as Latin-1; byte
    strings of more than 64 KiB are memoryviews. A value may hold itself.

    :param progress: called with how much has been read, 0 to 1.
    :raises Unreadable: for everything else, saying what was found; for a file that is changed meanwhile too.
    :raises OSError: if the file cannot be opened.
    """
    with opened(path) as (data, filled):
        return _read(data, Budget.of(filled), progress)


def read_pickle(data: bytes | bytearray | memoryview, *, progress: Progress | None = None) -> Any:
    """Return what one plain pickle holds, as ``read_file``. :raises Unreadable: if it is none, or holds what is
    refused.
    """
    view = memoryview(data).cast("B")
    return run_pickle(view, Budget.of(len(view)), progress=progress)[0]


def safetensors_metadata(path: str | os.PathLike[str]) -> dict[str, str] | None:
    """Return the free text of a safetensors header by key, empty if it has none; None for a file of another kind.

    :raises Unreadable: if it is a damaged safetensors file. :raises OSError: if the file cannot be opened.
    """
    with opened(path) as (data, filled):
        return read_metadata(data, Budget.of(filled)) if looks_like_safetensors(data[:HEAD], len(data)) else None


def _read(data: Data, budget: Budget, progress: Progress | None) -> Any:
    head = bytes(data[:HEAD])
    if head.startswith((LOCAL, END)):
        return _read_archive(Archive(data, budget), budget, progress)
    if looks_like_safetensors(head, len(data)):
        tensors = read_safetensors(data, budget)
        if progress is not None:
            progress(1.0)
        return tensors
    if LEGACY_START.match(head):
        return read_legacy_layout(data, budget, progress)
    if head[0] not in (PROTOCOL, *OLD_PICKLE_STARTS):
        raise Unreadable(name_stranger(head, len(data)) or _unknown(head))
    try:
        return run_pickle(data, budget, progress=progress)[0]
    except Unreadable as error:
        if head[0] == PROTOCOL:
            raise
        # Old pickles begin with letters, as texts and pictures do.
        told = f"{_unknown(head)}; taken for an old pickle, it {error}"
        raise Unreadable(name_stranger(head, len(data)) or told) from error


def _unknown(head: bytes) -> str:
    return f"is no file of a kind known here, or damaged: it begins with the bytes {head[:8]!r}"


def _read_archive(archive: Archive, budget: Budget, progress: Progress | None) -> Any:
    root = torch_root(archive)
    if root is not None:
        return read_zip_layout(archive, root, budget, progress)
    models = [name for name in archive.entries if _looks_like_model(archive, name, budget)]
    if len(models) == 1:
        budget.enter()
        content = archive.read(models[0])
        try:
            return _read(content, budget, progress)
        finally:
            budget.leave()
    if len(models) > 1:
        listed = ", ".join(quoted(name) for name in models[:5])
        raise Unreadable(f"is an archive of {len(models)} files that may be models ({listed}); unpack the one you mean")
    if archive.entries and all(name.endswith(".npy") for name in archive.entries):
        raise Unreadable("is an archive of numpy arrays (.npz), not a model")
    listed = ", ".join(quoted(name) for name in list(archive.entries)[:5]) or "nothing"
    raise Unreadable(f"is an archive without a model in it; it holds {listed}")


def _looks_like_model(archive: Archive, name: str, budget: Budget) -> bool:
    size = archive.entries[name].size
    budget.spend_steps(10)
    if size < 16 or name.endswith("/"):
        return False
    head = archive.head(name, HEAD)
    return (
        (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05")
        or head.startswith(LOCAL)
        or looks_like_safetensors(head, size)
    )
