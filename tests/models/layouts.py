"""Writers of the file layouts that checkpoints have: pickles that name anything, torch files, archives."""

from __future__ import annotations

import dataclasses
import io
import pickle
import struct
import zipfile
from typing import Any, ClassVar

import numpy as np
import torch

MAGIC = 0x1950A86A20F9469CFC6C


@dataclasses.dataclass(frozen=True)
class Global:
    """A name that the pickle mentions; nothing of that name need exist."""

    module: str
    name: str


@dataclasses.dataclass(eq=False)
class Object:
    """Something that the pickle has constructed: a call of ``callee`` (or ``new``), then state and items."""

    callee: Any
    args: tuple = ()
    state: Any = None
    items: dict | None = None
    elements: list | None = None
    new: bool = False


@dataclasses.dataclass(eq=False)
class Persistent:
    """A persistent id."""

    id: Any


def dump(value: Any, protocol: int = 4, *, python2: bool = False) -> bytes:
    """A pickle of ``value``, in which ``Global``, ``Object`` and ``Persistent`` stand for what cannot be pickled here.

    :param python2: as Python 2 wrote it (protocol 2 at most): texts and bytes alike as strings of bytes.
    """
    buffer = io.BytesIO()
    writer = _Python2Writer(buffer, min(protocol, 2)) if python2 else _Writer(buffer, protocol)
    writer.dump(value)
    return buffer.getvalue()


class _Writer(pickle._Pickler):
    def persistent_id(self, obj):
        return obj.id if isinstance(obj, Persistent) else None

    def save(self, obj, save_persistent_id=True):
        known = self.memo.get(id(obj))
        if known is not None:
            self.write(self.get(known[0]))
        elif isinstance(obj, Global):
            self.save_name(obj, obj.module, obj.name)
        elif isinstance(obj, Object):
            self.save_object(obj)
        else:
            super().save(obj, save_persistent_id)

    def save_name(self, obj, module, name):
        if self.proto >= 4:
            super().save(module)
            super().save(name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(obj)

    def save_object(self, obj):
        self.save(obj.callee)
        self.save(obj.args)
        self.write(pickle.NEWOBJ if obj.new else pickle.REDUCE)
        self.memoize(obj)
        if obj.items is not None:
            self._batch_setitems(obj.items.items(), *([obj] if self._batch_setitems.__code__.co_argcount > 2 else []))
        if obj.elements is not None:
            self._batch_appends(obj.elements, *([obj] if self._batch_appends.__code__.co_argcount > 2 else []))
        if obj.state is not None:
            self.save(obj.state)
            self.write(pickle.BUILD)


class _Python2Writer(_Writer):
    def save(self, obj, save_persistent_id=True):
        known = self.memo.get(id(obj))
        if known is None and type(obj) in (str, bytes):
            content = obj.encode("latin-1") if isinstance(obj, str) else obj
            if len(content) < 256:
                self.write(pickle.SHORT_BINSTRING + bytes([len(content)]) + content)
            else:
                self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)
            self.memoize(obj)
        else:
            super().save(obj, save_persistent_id)

    def save_global(self, obj, name=None):
        name = name or getattr(obj, "__qualname__", obj.__name__)
        module = obj.__module__.replace("numpy._core", "numpy.core").replace("builtins", "__builtin__")
        self.save_name(obj, module, name)

    dispatch: ClassVar[dict] = {**_Writer.dispatch, type: save_global, type(dump): save_global, type(len): save_global}


def legacy_torch(value: Any, storages: dict[str, tuple[int, bytes]], *, little_endian: bool = True) -> bytes:
    """A torch file of the legacy layout, of (number of elements, bytes) by key."""
    system = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    parts = [dump(part, 2) for part in (MAGIC, 1001, system, value, list(storages))]
    order = "<q" if little_endian else ">q"
    return b"".join(parts) + b"".join(struct.pack(order, count) + content for count, content in storages.values())


def zip_torch(
    value: Any, storages: dict[str, bytes], *, method: int = zipfile.ZIP_STORED, byteorder: str = "little", pad: int = 0
) -> bytes:
    """A torch file of the zip layout, of bytes by key; ``pad`` bytes are put before, so that nothing is aligned."""
    entries = {"archive/data.pkl": dump(value, 2), "archive/byteorder": byteorder.encode(), "archive/version": b"3\n"}
    if pad:
        entries = {"x" * pad: b"", **entries}
    return zipped({**entries, **{f"archive/data/{key}": content for key, content in storages.items()}}, method)


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive of contents by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def storage_id(
    key: str, count: int, kind: str = "FloatStorage", *, view: tuple | None = None, legacy=False
) -> Persistent:
    """The persistent id of a storage of ``count`` elements."""
    named = ("storage", Global("torch", kind), key, "cpu", count)
    return Persistent((*named, view) if legacy else named)


def tensor(storage: Any, shape: tuple, strides: tuple | None = None, offset: int = 0) -> Object:
    """A tensor within a storage; row-major unless ``strides`` are given."""
    if strides is None:
        strides = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))
    arguments = (storage, offset, shape, strides, False, Object(Global("collections", "OrderedDict")))
    return Object(Global("torch._utils", "_rebuild_tensor_v2"), arguments)


def pickled_storage(content: bytes, count: int, kind: str = "FloatStorage") -> Object:
    """A storage within a plain pickle: a torch file of the legacy layout in it."""
    inner = legacy_torch(storage_id("0", count, kind, legacy=True), {"0": (count, content)})
    return Object(Global("torch.storage", "_load_from_bytes"), (inner,))


def pickled_tensor(values: torch.Tensor) -> Object:
    """A float tensor within a plain pickle."""
    flat = values.float().contiguous()
    return tensor(pickled_storage(flat.numpy().tobytes(), flat.numel()), tuple(flat.shape))


def persistent_object(class_name: str, state: dict, source: str = "raise SystemExit") -> Object:
    """An object as NVIDIA's programs pickle it: source text to rebuild its class from, and its ``__dict__``."""
    meta = Object(
        Global("dnnlib.util", "EasyDict"),
        items={"type": "class", "version": 6, "module_src": source, "class_name": class_name, "state": state},
        new=True,
    )
    return Object(Global("torch_utils.persistence", "_reconstruct_persistent_obj"), (meta,))


def array(content: bytes, shape: Any, code: str = "f4", order: str = "<", *, columns: bool = False) -> Object:
    """A numpy array as numpy pickles it, of whatever bytes, shape and type."""
    dtype = Object(Global("numpy", "dtype"), (code, False, True), state=(3, order, None, None, None, -1, -1, 0))
    empty = (Global("numpy", "ndarray"), (0,), b"b")
    return Object(Global("numpy.core.multiarray", "_reconstruct"), empty, state=(1, shape, dtype, columns, content))
