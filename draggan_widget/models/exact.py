"""Products of matrices that come out the same to the bit, with any number of threads and any library.

How a sum is rounded depends on the order of its terms, which threads and libraries choose. Here there is nothing to
round: factors are rounded first, to whole numbers so small that float64 holds every sum of their products exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

DIGITS = 53
"""Binary digits of the whole numbers that float64 holds exactly."""


def exact_product(left: Tensor, right: Tensor) -> Tensor:
    """Return ``left @ right`` of float64 matrices (n, k) and (k, m), the same to the bit on every machine.

    Rows of ``left`` and columns of ``right`` are first rounded to whole multiples of a power of two; for k of 512 these
    have 22 binary digits, hardly fewer than float32's 24.
    """
    digits = (DIGITS - math.ceil(math.log2(max(2, left.shape[1])))) // 2
    return _rounded(left, 1, digits) @ _rounded(right, 0, digits)


def _rounded(matrix: Tensor, dim: int, digits: int) -> Tensor:
    """Return numbers rounded to so many digits below the largest along ``dim``: whole multiples of a power of two."""
    if not matrix.shape[dim]:
        return matrix
    least, most = torch.aminmax(matrix, dim=dim, keepdim=True)
    exponent = torch.frexp(torch.maximum(most, -least)).exponent
    # Next to this number float64 holds whole multiples of the unit and no others; so the sum is rounded to them.
    beside = torch.ldexp(torch.full_like(least, 1.5), exponent - digits + DIGITS - 1)
    return (matrix + beside).sub_(beside)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    product = exact_product(x, weight.T)
    return product if bias is None else product + bias


def _addmm(bias: Tensor, left: Tensor, right: Tensor) -> Tensor:
    return exact_product(left, right) + bias


PRODUCTS: Mapping[Any, Callable[..., Tensor]] = {
    F.linear: _linear,
    torch.addmm: _addmm,
    Tensor.addmm: _addmm,
    torch.mm: exact_product,
    Tensor.mm: exact_product,
    torch.matmul: exact_product,
    Tensor.matmul: exact_product,
    Tensor.__matmul__: exact_product,
}
"""What multiplies matrices, and what does so exactly."""


class ExactProducts(TorchFunctionMode):
    """Within this, products of float64 matrices are exact ones, in this thread."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        exact, given = PRODUCTS.get(func), [each for each in args if isinstance(each, Tensor) and each.ndim == 2]
        if exact is not None and len(given) == 2 and all(each.dtype == torch.float64 for each in given):
            return exact(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))
