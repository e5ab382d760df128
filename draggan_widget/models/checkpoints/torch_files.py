"""What ``torch.save`` writes: the zip layout since torch 1.6, and the legacy one, which pickled storages keep inside.

Both pickle the object with every storage as a persistent id ``("storage", class, key, device, elements)``. In the zip
layout the bytes of a storage are the entry ``data/<key>``; in the legacy one (a magic number, a version, facts about
the machine, the object, the keys in order, all of them pickles) they follow, each after its number of elements.
"""

from __future__ import annotations

import re
from typing import Any

from draggan_widget.models.checkpoints import arrays, constructors, tensors
from draggan_widget.models.checkpoints.archives import Archive
from draggan_widget.models.checkpoints.budget import Budget
from draggan_widget.models.checkpoints.filebytes import Data
from draggan_widget.models.checkpoints.tensors import Storage, empty_storage, fill, storage_dtype, storage_of
from draggan_widget.models.checkpoints.unpickler import Constructor, Machine, Persistent, Progress
from draggan_widget.models.checkpoints.values import Unreadable
from draggan_widget.texts import quoted

LEGACY_START = re.compile(rb"\x80[\x02-\x05](?:\x95.{8})?\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19\.", re.DOTALL)
"""The magic number 0x1950a86a20f9469cfc6c, as the pickle that legacy files begin with."""
LONGEST_START = 32
LEGACY_VERSION = 1001
PICKLE = "data.pkl"


def run_pickle(
    data: Data,
    budget: Budget,
    *,
    start: int = 0,
    persistent: Persistent | None = None,
    progress: Progress | None = None,
) -> tuple[Any, int]:
    """Read one pickle. Return its value and the position after it."""
    machine = Machine(data, budget, ALLOWED, arrays.build_array, start=start, persistent=persistent, progress=progress)
    return machine.run(), machine.position


def torch_root(archive: Archive) -> str | None:
    """Return the folder that a torch file keeps its entries in ("archive/"); None if an archive is no torch file."""
    roots = [name.removesuffix(PICKLE) for name in archive.entries if name.endswith(f"/{PICKLE}") or name == PICKLE]
    return min(roots, key=len) if roots else None


def read_zip_layout(archive: Archive, root: str, budget: Budget, progress: Progress | None = None) -> Any:
    """Return the object in a torch file of the zip layout. Each storage is read once, when it is met.

    :raises Unreadable: for TorchScript, for storages that are missing or too short, and for what ``Machine`` refuses.
    """
    if f"{root}constants.pkl" in archive.entries:
        raise Unreadable("is a TorchScript program, which holds code, not only weights; give the original checkpoint")
    order = f"{root}byteorder"
    big_endian = order in archive.entries and archive.head(order, 8).strip() == b"big"
    storages: dict[str, Storage] = {}

    def storage(described: Any) -> Storage:
        kind, key, elements = _described(described)
        if key not in storages:
            name = f"{root}data/{key}"
            if name not in archive.entries:
                raise Unreadable(f"is a torch file without the storage {quoted(key)} that it mentions; get it again")
            dtype = storage_dtype(kind)
            content = archive.read(name)
            if elements * dtype.itemsize != len(content):
                raise Unreadable(
                    f"claims a storage of {elements:,} numbers, but holds {len(content):,} bytes for it: damaged"
                )
            storages[key] = storage_of(content, dtype, budget, big_endian=big_endian)
        return storages[key]

    value, _ = run_pickle(archive.read(f"{root}{PICKLE}"), budget, persistent=storage, progress=progress)
    return value


def read_legacy_layout(data: Data, budget: Budget, progress: Progress | None = None) -> Any:
    """Return the object in a torch file of the legacy layout. Storages are copied, once.

    :raises Unreadable: if it is cut short, and for what ``Machine`` refuses.
    """
    begin = LEGACY_START.match(data[:LONGEST_START])
    if begin is None:
        raise Unreadable("is no torch file of the legacy layout")
    at = begin.end()
    version, at = run_pickle(data, budget, start=at)
    if version != LEGACY_VERSION:
        raise Unreadable("is a torch file of an unknown version of the legacy layout; save it again with a newer torch")
    machine, at = run_pickle(data, budget, start=at)
    big_endian = isinstance(machine, dict) and machine.get("little_endian") is False
    storages: dict[str, Storage] = {}
    views: dict[str, Storage] = {}
    claimed = 0

    def storage(described: Any) -> Any:
        nonlocal claimed
        if isinstance(described, tuple) and len(described) == 4 and described[0] == "module":
            return described[1]  # a class; its file and its source text come with it, and stay unread
        kind, key, elements = _described(described)
        if key not in storages:
            dtype = storage_dtype(kind)
            claimed += elements * dtype.itemsize
            if claimed > len(data):
                raise Unreadable(
                    f"claims storages of {claimed:,} bytes, but has only {len(data):,} bytes: damaged or cut short"
                )
            budget.spend_bytes(elements * dtype.itemsize, "storages")
            storages[key] = empty_storage(elements, dtype)
        if len(described) > 5 and described[5] is not None:
            return _view(storages[key], described[5], views)
        return storages[key]

    value, at = run_pickle(data, budget, start=at, persistent=storage)
    keys, at = run_pickle(data, budget, start=at)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise Unreadable("is a torch file without the list of its storages: damaged")
    unfilled = dict(storages)
    for key in keys:
        target = unfilled.pop(key, None)
        if target is None:
            raise Unreadable(f"is a torch file with a storage {quoted(key)} that it does not mention: damaged")
        # The number of elements comes first; it is known already.
        number = int.from_bytes(data[at : at + 8], "big" if big_endian else "little", signed=True)
        at += 8
        length = len(target.content)
        if number * target.dtype.itemsize != length or at + length > len(data):
            raise Unreadable(f"is a torch file that breaks off within its storage {quoted(key)}; get it again")
        budget.spend_copying(length)
        fill(target, data[at : at + length], big_endian=big_endian)
        at += length
        if progress is not None:
            progress(at / max(1, len(data)))
    if unfilled:
        raise Unreadable(f"is a torch file without the bytes of {len(unfilled)} of its storages: damaged or cut short")
    return value


def _described(described: Any) -> tuple[Any, str, int]:
    """Return (class, key, elements) of a persistent id."""
    if not isinstance(described, tuple) or not 5 <= len(described) <= 6 or described[0] != "storage":
        raise Unreadable("is a torch file that refers to something other than storages")
    kind, key, _, elements = described[1:5]
    if not isinstance(key, str) or len(key) > 1000 or type(elements) is not int or not 0 <= elements < 2**48:
        raise Unreadable("is a torch file with a storage that has no name or no size: damaged")
    return kind, key, elements


def _view(root: Storage, described: Any, views: dict[str, Storage]) -> Storage:
    """Return a part of a storage, ``(key, offset, elements)``, as torch before 0.4 wrote it."""
    if not isinstance(described, tuple) or len(described) != 3:
        raise Unreadable("is a torch file with a storage that has no name or no size: damaged")
    key, offset, elements = described
    size = root.dtype.itemsize
    numbers = type(offset) is int and type(elements) is int and min(offset, elements) >= 0
    if not isinstance(key, str) or not numbers or (offset + elements) * size > len(root.content):
        raise Unreadable("is a torch file with a part of a storage that reaches beyond it: damaged")
    if key not in views:
        views[key] = Storage(root.content[offset * size : (offset + elements) * size], root.dtype)
    return views[key]


def load_from_bytes(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """Make ``torch.storage._load_from_bytes(bytes)``: a pickled storage, as a torch file within the pickle."""
    if len(arguments) != 1 or not isinstance(arguments[0], (bytes, memoryview)):
        raise Unreadable("holds a storage without bytes")
    return read_torch(memoryview(arguments[0]), budget)


def read_torch(data: memoryview, budget: Budget) -> Any:
    """Return a torch file of either layout within another file. :raises Unreadable: if it is neither."""
    budget.enter()
    if LEGACY_START.match(data[:LONGEST_START]):
        value = read_legacy_layout(data, budget)
    else:
        archive = Archive(data, budget)
        root = torch_root(archive)
        if root is None:
            raise Unreadable("holds a storage that is no torch file")
        value = read_zip_layout(archive, root, budget)
    budget.leave()
    return value


ALLOWED: dict[tuple[str, str], Constructor] = {
    **constructors.ALLOWED,
    **arrays.ALLOWED,
    **tensors.ALLOWED,
    ("torch.storage", "_load_from_bytes"): load_from_bytes,
}
