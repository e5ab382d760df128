"""torch storages and tensors in files: bytes first, then checked views of them."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.models.checkpoints.arrays import element_count, short_shape
from draggan_widget.models.checkpoints.budget import Budget
from draggan_widget.models.checkpoints.unpickler import Constructor
from draggan_widget.models.checkpoints.values import Name, Record, Unreadable
from draggan_widget.texts import quoted

DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}
"""Type of the elements by the class of the storage."""
STORAGE_MODULES = ("torch", "torch.cuda", "torch.storage")
NUMBERS = {str(dtype).removeprefix("torch."): dtype for dtype in DTYPES.values() if dtype != torch.bool}
"""Types by torch's name, for tensors that reinterpret a storage of bytes."""
FEW = 4096
"""Elements that a tensor may have without bytes of its own, by repeating some (strides of 0)."""


@dataclasses.dataclass(eq=False, repr=False)
class Storage:
    """Bytes (N,) in this machine's order, and the type of the numbers they are. Tensors of one storage share it."""

    content: Tensor
    dtype: torch.dtype

    def typed(self, dtype: torch.dtype, budget: Budget) -> Tensor:
        """Return all of it as numbers (N / size,)."""
        if self.content.data_ptr() % dtype.itemsize:  # only where a tensor takes another type than its storage says
            budget.spend_copying(len(self.content))
            self.content = self.content.clone()  # new memory suits every type, so that this happens once
        return self.content[: len(self.content) // dtype.itemsize * dtype.itemsize].view(dtype)


def storage_dtype(named: Any) -> torch.dtype:
    """Return the type of a storage class that a file names. :raises Unreadable: if it is none."""
    if isinstance(named, Name) and named.module in STORAGE_MODULES and named.name in DTYPES:
        return DTYPES[named.name]
    raise Unreadable(f"holds tensors of the unknown kind {quoted(str(named)) if isinstance(named, Name) else '?'}")


def storage_of(content: memoryview | bytes, dtype: torch.dtype, budget: Budget, *, big_endian: bool = False) -> Storage:
    """Return bytes of a file as a storage: a view where they are writable, aligned and in order, else a copy."""
    number = len(content) // dtype.itemsize * dtype.itemsize
    if not number:
        return Storage(torch.empty(0, dtype=torch.uint8), dtype)
    source = np.frombuffer(content, np.uint8, number)
    as_it_is = dtype is not torch.bool and big_endian == (sys.byteorder == "big")
    if as_it_is and source.flags.writeable and not source.ctypes.data % dtype.itemsize:
        storage = Storage(torch.from_numpy(source), dtype)
    else:
        budget.spend_copying(number)
        storage = Storage(torch.empty(number, dtype=torch.uint8), dtype)
        storage.content.numpy()[:] = source
    _settle(storage, big_endian)
    return storage


def empty_storage(number: int, dtype: torch.dtype) -> Storage:
    """Return a storage of ``number`` elements whose bytes come later, by ``fill``."""
    return Storage(torch.empty(number * dtype.itemsize, dtype=torch.uint8), dtype)


def fill(storage: Storage, content: memoryview, *, big_endian: bool = False) -> None:
    """Give an empty storage its bytes, exactly as many as it has."""
    if len(content):
        storage.content.numpy()[:] = np.frombuffer(content, np.uint8)
        _settle(storage, big_endian)


def _settle(storage: Storage, big_endian: bool) -> None:
    if storage.dtype is torch.bool:
        storage.content.ne_(0)  # other bytes than 0 and 1 are no truth values
    width = storage.dtype.itemsize // (2 if storage.dtype.is_complex else 1)
    if big_endian != (sys.byteorder == "big") and width > 1:
        numbers = storage.content.numpy().view(f"u{width}")
        numbers.byteswap(inplace=True)


def tensor_of(storage: Any, dtype: torch.dtype, offset: Any, shape: Any, strides: Any, budget: Budget) -> Tensor:
    """Return a tensor within a storage; offset and strides count elements.

    :raises Unreadable: if it reaches beyond the storage, or repeats elements to be larger than the storage.
    """
    if not isinstance(storage, Storage):
        raise Unreadable("holds a tensor without a storage")
    count = element_count(shape)
    if not isinstance(strides, tuple) or len(strides) != len(shape):
        raise Unreadable(f"holds a tensor of shape {short_shape(shape)} whose strides do not fit it")
    if not all(type(number) is int and 0 <= number <= sys.maxsize for number in (offset, *strides)):
        raise Unreadable(f"holds a tensor of shape {short_shape(shape)} with impossible strides")
    there = len(storage.content) // dtype.itemsize
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    if count and (last >= there or count > max(there, FEW)):
        raise Unreadable(
            f"claims a tensor of shape {short_shape(shape)}, but holds {there:,} numbers for it: damaged or cut short"
        )
    budget.spend_bytes(count * dtype.itemsize, "tensors")
    if not count:
        return torch.empty(shape, dtype=dtype)
    whole = storage.typed(dtype, budget)
    return torch.as_strided(whole, shape, strides, whole.storage_offset() + offset)


def _rebuilt(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """Return ``_rebuild_tensor_v2(storage, offset, shape, strides, …)``; what follows (gradients, hooks) is left
    out.
    """
    if len(arguments) < 4 or not isinstance(arguments[0], Storage):
        raise Unreadable("holds a tensor without a storage")
    storage, offset, shape, strides = arguments[:4]
    return tensor_of(storage, storage.dtype, offset, shape, strides, budget)


def _rebuilt_as(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """Return ``_rebuild_tensor_v3(storage, offset, shape, strides, gradients, hooks, dtype, …)``."""
    if len(arguments) < 7 or not isinstance(arguments[6], Name):
        raise Unreadable("holds a tensor without a type of numbers")
    dtype = NUMBERS.get(arguments[6].name) if arguments[6].module == "torch" else None
    if dtype is None:
        return Record("torch._utils", "_rebuild_tensor_v3", arguments)
    storage, offset, shape, strides = arguments[:4]
    return tensor_of(storage, dtype, offset, shape, strides, budget)


def _parameter(arguments: tuple[Any, ...], _budget: Budget) -> Any:
    """Make ``_rebuild_parameter(tensor, …)``: the plain tensor; nothing that is read takes gradients."""
    if arguments and isinstance(arguments[0], Tensor):
        return arguments[0]
    raise Unreadable("holds a parameter without a tensor")


def _subclassed(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """Return ``_rebuild_from_type_v2(function, class, arguments, state)``: the tensor without class and state."""
    if len(arguments) == 4 and isinstance(arguments[0], Name) and isinstance(arguments[2], tuple):
        constructor = ALLOWED.get((arguments[0].module, arguments[0].name))
        if constructor is not None and constructor is not _subclassed:
            return constructor(arguments[2], budget)
    return Record("torch._tensor", "_rebuild_from_type_v2", arguments)


def _shape(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """Make ``torch.Size(lengths)``: a tuple."""
    if len(arguments) != 1 or not isinstance(arguments[0], (tuple, list)):
        raise Unreadable("holds a shape without lengths")
    budget.spend_steps(len(arguments[0]))
    return tuple(arguments[0])


ALLOWED: dict[tuple[str, str], Constructor] = {
    ("torch._utils", "_rebuild_tensor"): _rebuilt,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuilt,
    ("torch._utils", "_rebuild_tensor_v3"): _rebuilt_as,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch.nn.parameter", "Parameter"): _parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _subclassed,
    ("torch", "Size"): _shape,
}
