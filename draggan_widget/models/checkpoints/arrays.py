"""numpy arrays and scalars in pickles. The classes are numpy's; the bytes are looked at before any array is made."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from draggan_widget.models.checkpoints.budget import Budget
from draggan_widget.models.checkpoints.constructors import coded_bytes
from draggan_widget.models.checkpoints.unpickler import Constructor, PendingArray
from draggan_widget.models.checkpoints.values import Name, Record, Unreadable
from draggan_widget.texts import quoted

SIZES = {
    "b1": 1, "i1": 1, "i2": 2, "i4": 4, "i8": 8, "u1": 1, "u2": 2, "u4": 4, "u8": 8, "f2": 2, "f4": 4, "f8": 8,
    "c8": 8, "c16": 16,
}  # fmt: skip
"""Bytes of an element by numpy's code: numbers of a known size, which cannot hold objects."""
OBJECTS = ("O", "V")
MOST_AXES = 32
MOST_NUMBERS = 2**48
MOST_BESIDE_NOTHING = 2**24
"""Product of the other lengths where one is 0: a sum along that axis has as many numbers."""

Bytes = (bytes, memoryview)


def build_array(state: Any, budget: Budget) -> Any:
    """Return the array of ``numpy.ndarray.__setstate__((version, shape, dtype, by columns, bytes))``; views where it
    can.

    Arrays of text or dates stay records. :raises Unreadable: for arrays of objects, and for too few bytes.
    """
    if not isinstance(state, tuple) or len(state) not in (4, 5):
        raise Unreadable("holds an array without a shape")
    shape, dtype, by_columns, content = state[-4:]
    return _array(content, dtype, shape, "F" if by_columns else "C", budget)


def _pending(arguments: tuple[Any, ...], _budget: Budget) -> Any:
    """Make ``_reconstruct(numpy.ndarray, (0,), b"b")``: an empty array, to be given its state next."""
    if arguments and arguments[0] == Name("numpy", "ndarray"):
        return PendingArray("numpy", "ndarray", arguments)
    return Record("numpy.core.multiarray", "_reconstruct", arguments)


def _from_buffer(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """Make ``numpy.core.numeric._frombuffer(bytes, dtype, shape, order)`` of protocol 5."""
    if len(arguments) != 4:
        raise Unreadable("holds an array without a shape")
    content, dtype, shape, order = arguments
    return _array(content, dtype, shape, "F" if order == "F" else "C", budget)


def _scalar(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """Make ``numpy.core.multiarray.scalar(dtype, bytes)``: a plain number of Python."""
    if len(arguments) != 2:
        raise Unreadable("holds a number without a value")
    made = _array(arguments[1], arguments[0], (), "C", budget)
    return made.item() if isinstance(made, np.ndarray) else made


def _array(content: Any, described: Any, shape: Any, order: str, budget: Budget) -> Any:
    dtype = dtype_of(described)
    if isinstance(content, str):  # Python 2 knew no bytes
        budget.spend_bytes(len(content), "arrays")
        content = coded_bytes(content)
    if dtype is None:
        return Record("numpy", "ndarray", (shape, described), state=content)
    if not isinstance(content, Bytes):
        raise Unreadable(f"holds an array whose content is a {type(content).__name__}, not bytes")
    count = element_count(shape)
    if count * dtype.itemsize != len(content):
        raise Unreadable(
            f"claims an array of shape {short_shape(shape)} with {dtype.itemsize} bytes an element, "
            f"but holds {len(content):,} bytes for it"
        )
    budget.spend_bytes(len(content), "arrays")
    flat = np.frombuffer(content, dtype) if count else np.zeros(0, dtype)
    if dtype.kind == "b":
        flat = np.frombuffer(content, np.uint8) != 0  # other bytes than 0 and 1 are no truth values
    elif not flat.flags.aligned or not flat.flags.writeable or not dtype.isnative:
        # One copy, so that whoever takes the array (torch, say) need not care.
        flat = flat.astype(dtype.newbyteorder("="), copy=True)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def dtype_of(described: Any) -> np.dtype[Any] | None:
    """Return the type of ``numpy.dtype(code, …)`` and its state; None for text and dates.

    :raises Unreadable: for types that hold objects or fields, and for what is no type.
    """
    if not isinstance(described, Record) or (described.module, described.name) != ("numpy", "dtype"):
        raise Unreadable("holds an array without a type of numbers")
    code = described.args[0] if described.args else None
    if isinstance(code, bytes):
        code = code.decode("latin-1")
    if not isinstance(code, str) or not 1 <= len(code) <= 16:
        raise Unreadable("holds an array without a type of numbers")
    state = described.state
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
    order = order.decode("latin-1") if isinstance(order, bytes) else order
    if code[0] in OBJECTS or (isinstance(state, tuple) and any(part is not None for part in state[2:5])):
        raise Unreadable(f"holds an array of objects or records (numpy's {quoted(code)}), which are not read")
    if code not in SIZES:
        return None
    if order not in ("<", ">", "=", "|"):
        raise Unreadable(f"holds an array of the unknown byte order {quoted(order, 10)}")
    return np.dtype(f"{order}{code}")


def element_count(shape: Any) -> int:
    """Return the product of a shape. :raises Unreadable: if it is none, or one that no memory could hold."""
    if not isinstance(shape, tuple) or len(shape) > MOST_AXES:
        raise Unreadable("holds an array without a shape")
    if not all(type(length) is int and 0 <= length <= sys.maxsize for length in shape):
        raise Unreadable(f"holds an array of the impossible shape {short_shape(shape)}")
    count = math.prod(shape)
    if count > MOST_NUMBERS or (count == 0 and math.prod(max(1, length) for length in shape) > MOST_BESIDE_NOTHING):
        raise Unreadable(f"holds an array of the impossible shape {short_shape(shape)}")
    return count


def short_shape(shape: Any) -> str:
    """Return a shape as text, whatever it is."""
    return " × ".join(f"{length:,}" if type(length) is int else "?" for length in shape[:MOST_AXES]) or "()"


_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
ALLOWED: dict[tuple[str, str], Constructor] = {
    **{(module, "_reconstruct"): _pending for module in _MODULES},
    **{(module, "scalar"): _scalar for module in _MODULES},
    **{(module, "_frombuffer"): _from_buffer for module in ("numpy.core.numeric", "numpy._core.numeric")},
}
