"""The latents of a model, as an object of its own: drawn, checked, stored, and how far they reach.

``model.space`` is one. That of a StyleGAN is ``WPlus``: latents ``ws`` (1, num_ws, w_dim), a row for each modulated
layer.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import math
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.models.exact import ExactProducts, exact_product
from draggan_widget.models.guard import guarded
from draggan_widget.models.lasting import lasting
from draggan_widget.settings import as_number, as_whole, shown

if TYPE_CHECKING:
    from draggan_widget.models.base import Generator

SAMPLES = 6000
"""Latents that a metric is taken of."""
AT_ONCE = 500
"""Of these, mapped at once: a network of many classes takes much memory for each."""
SEED, OTHERS = 0, 2
"""Of their ``z``, and of that of others that differ from them in some numbers alone."""
FLOOR = 1e-5
"""Variance that every direction has at least, as a part of the mean one: so the covariance can be inverted."""
STILL = 1e-12
"""Variance up to which latents do not vary, as a part of their mean square."""
PER_CLASS = 16
"""Latents of each class, by whose mean it is known."""


@dataclasses.dataclass(frozen=True, eq=False)
class Metric:
    """How far latents reach in each direction: the covariance of those that a mapping network makes.

    That of a whole latent is the product of two: how its rows vary together (``rows``), and how the numbers of a row do
    (``covariance``). Tensors are float64, on the processor.
    """

    mean: Tensor
    """(w_dim,), the mean of mapped latents."""
    covariance: Tensor
    """(w_dim, w_dim), symmetric, every eigenvalue above 0."""
    num_ws: int
    """Rows of a latent."""

    def rows(self, own: float = 1.0, common: float = 0.05, own_rows: int = 8) -> Tensor:
        """Return how rows vary together: (num_ws, num_ws).

        :param common: the part of all rows in common, which is W. :param own: the part that each of the first
            ``own_rows`` has for itself. ``own=0, common=1`` is W alone.
        :raises ValueError: for parts below 0, for none above 0, or for fewer than no rows.
        """
        each, shared, count = as_number(own), as_number(common), as_whole(own_rows)
        if each is None or shared is None or min(each, shared) < 0 or not each + shared:
            raise ValueError(
                f"own is {shown(own)} and common {shown(common)}; both must be at least 0, and one of them above it"
            )
        if count is None or count < 0:
            raise ValueError(f"own_rows is {shown(own_rows)}; it must be a whole number of at least 0")
        together = torch.full((self.num_ws, self.num_ws), shared, dtype=torch.float64)
        together.diagonal()[:count] += each
        return together

    def times(self, directions: Tensor, rows: Tensor) -> Tensor:
        """Return the covariance of whole latents, times each of ``directions`` (n, num_ws, w_dim).

        :param rows: (num_ws, num_ws), from ``rows``. :returns: the shape, dtype and device of ``directions``.
        """
        return torch.einsum("rs,kse,ed->krd", rows.to(directions), directions, self.covariance.to(directions))


class Space(abc.ABC):
    """The latents of one model."""

    @abc.abstractmethod
    def draw(self, *, seed: int, label: int | None = None, truncation: float = 1.0) -> Tensor:
        """Return the latent of a seed.

        :raises ValueError: for a seed or truncation out of bounds, or a label that is missing or unknown.
        :raises TypeError: for a seed that is no whole number.
        """

    @abc.abstractmethod
    def check(self, latent: Any) -> Tensor:
        """Return a copy of a latent in the model's dtype and on its device.

        :raises ValueError: for another shape, NaN or infinity. :raises TypeError: for what is no array of real numbers.
        """

    @abc.abstractmethod
    def pack(self, latent: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return a latent as tensors by name, on the processor, and values that JSON can hold. Raises as ``check``."""

    @abc.abstractmethod
    def unpack(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Tensor:
        """Return the latent that ``pack`` took apart, the same to the bit.

        :raises ValueError: if something is missing, or is of another space or model.
        """

    @abc.abstractmethod
    def metric(self, label: int | None = None) -> Metric:
        """Return how far latents reach, those of a class or of all. Computed once a model and class.

        :raises ValueError: for an unknown class, or if latents do not vary or are not finite.
        """

    def within(self, label: int | None = None) -> Tensor | None:  # noqa: ARG002 - for those that know
        """Return the covariance (w_dim, w_dim) of latents of one and the same person or thing, in float64.

        None of a model of which nobody knows what says who or what is shown; else as ``metric``, and raises as it does.
        """
        return None

    @abc.abstractmethod
    def check_metric(self) -> None:
        """Check by a few latents whether there is a metric, which takes longer. :raises ValueError: as ``metric``."""

    @abc.abstractmethod
    def label_of(self, latent: Tensor) -> int | None:
        """Return the class whose metric is that around a latent; None where all have one in common."""


class WPlus(Space):
    """The latents of a StyleGAN: ``ws`` (1, num_ws, w_dim)."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    @property
    def shape(self) -> tuple[int, int, int]:
        """(1, num_ws, w_dim)."""
        return 1, self._generator.num_ws, self._generator.w_dim

    def draw(self, *, seed: int, label: int | None = None, truncation: float = 1.0) -> Tensor:
        """See ``Space``. It is ``generator.mapping`` of that seed."""
        return self._generator.mapping(seed=seed, label=label, truncation=truncation)

    @guarded
    def check(self, latent: Any) -> Tensor:
        """See ``Space``."""
        if not isinstance(latent, (Tensor, np.ndarray)):
            kind = type(latent).__name__
            raise TypeError(f"ws is a {kind}; give a tensor or array, such as generator.mapping(seed=7)")
        try:
            given = latent if isinstance(latent, Tensor) else torch.from_numpy(np.ascontiguousarray(latent))
        except TypeError as error:  # of texts, objects, and numbers of 128 bits
            raise TypeError(f"ws holds {latent.dtype}; give real numbers, as generator.mapping does") from error
        if given.is_complex():
            raise TypeError(f"ws holds {latent.dtype}; give real numbers, as generator.mapping does")
        if tuple(given.shape) != self.shape:
            raise ValueError(f"ws has shape {tuple(given.shape)}; this generator drags one latent of {self.shape}")
        like = next(self._generator.parameters())
        given = given.detach().to(device=like.device, dtype=like.dtype, copy=True)
        if not torch.isfinite(given).all():
            raise ValueError("ws holds NaN or infinite numbers; give a latent from generator.mapping")
        return given

    def pack(self, latent: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """See ``Space``."""
        return {"ws": self.check(latent).cpu()}, {"space": "w+", "shape": list(self.shape)}

    def unpack(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Tensor:
        """See ``Space``."""
        if set(tensors) != {"ws"} or dict(values) != {"space": "w+", "shape": list(self.shape)}:
            raise ValueError(f"what is stored is no latent of this model, which has one of {self.shape} in w+")
        wanted = next(self._generator.parameters()).dtype
        if tensors["ws"].dtype != wanted:
            raise ValueError(f"the latent that is stored holds {tensors['ws'].dtype} where {wanted} is needed")
        return self.check(tensors["ws"])

    def metric(self, label: int | None = None) -> Metric:
        """See ``Space``. Of a model with classes and no ``label``, classes are taken in turn.

        It is of ``SAMPLES`` latents of a fixed seed, in float64 on the processor, and the same to the bit with any
        number of threads. Without ``z`` there is one latent a class, and a metric of all of them alone. It is computed
        once: later it comes from memory, or from a file in the user's cache folder.
        """
        generator = self._generator
        if label is not None:
            generator.one_hot(label, torch.zeros(1, 0))
        name = "metric" if label is None else f"metric-{int(label)}"
        found = generator.mapped.get(generator, name, lambda: self._measured(label))
        return Metric(found[0], found[1:], generator.num_ws)

    def within(self, label: int | None = None) -> Tensor | None:
        """See ``Space``: half of that of differences between latents whose lasting numbers are the same.

        Which these are is known of the built-in models alone (``lasting``).
        """
        generator, numbers = self._generator, lasting(self._generator)
        if not numbers:
            return None
        name = f"within{zlib.crc32(bytes(numbers)):08x}" + ("" if label is None else f"-{int(label)}")
        return generator.mapped.get(generator, name, lambda: self._measured_within(label, numbers))

    @guarded
    def samples(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return normal numbers ``z`` (n, z_dim) of a seed and the latents ``w`` (n, w_dim) they are mapped to.

        Both are float64, on the processor; ``w`` is the same to the bit on every machine. Of a model with classes,
        these are taken in turn.

        :raises ValueError: if latents are not finite, or all the same.
        """
        z = self._z(seed, count)
        return z, self._checked(self._mapped(z, None), None)

    @guarded
    def check_metric(self) -> None:
        """See ``Space``."""
        generator = self._generator

        def two() -> Tensor:
            label = 0 if generator.label_dim and generator.z_dim else None
            return self._checked(self._mapped(self._z(SEED, 2), label), label)

        generator.mapped.get(generator, "two", two, on_disk=False)

    def label_of(self, latent: Tensor) -> int | None:
        """See ``Space``. It is the class whose mean is nearest to the mean of the rows of a latent."""
        generator = self._generator
        if not generator.label_dim or not generator.z_dim:
            return None
        means = generator.mapped.get(generator, "classes", self._class_means)
        here = latent.detach()[0].cpu().double().mean(dim=0)
        return int((means - here).square().sum(dim=1).argmin())

    @guarded
    def _measured(self, label: int | None) -> Tensor:
        """Return the mean and the covariance of mapped latents (1 + w_dim, w_dim)."""
        w = self._checked(self._mapped(self._z(SEED, SAMPLES), label), label)
        with one_thread():
            mean = exact_product(torch.ones_like(w[:, :1]).T, w) / len(w)
            apart = w - mean
            covariance = exact_product(apart.T, apart) / len(w)
        return torch.cat([mean, _with_floor(covariance)])

    @guarded
    def _measured_within(self, label: int | None, numbers: list[int]) -> Tensor:
        """Return half the covariance of differences (w_dim, w_dim) of latents that have ``numbers`` of z in common."""
        z, other = self._z(SEED, SAMPLES), self._z(OTHERS, SAMPLES)
        other[:, numbers] = z[:, numbers]
        one, two = (self._checked(self._mapped(each, label), label) for each in (z, other))
        with one_thread():
            apart = one - two
            covariance = exact_product(apart.T, apart) / (2 * len(one))
        return _with_floor(covariance)

    @guarded
    def _class_means(self) -> Tensor:
        classes = self._generator.label_dim
        z = self._z(SEED + 1, PER_CLASS).repeat(classes, 1)
        w = self._mapped(z, np.arange(classes).repeat(PER_CLASS))
        return w.view(classes, PER_CLASS, -1).sum(dim=1) / PER_CLASS

    def _z(self, seed: int, count: int) -> Tensor:
        """Return ``z`` (n, z_dim); where that is nothing, as many as there are classes."""
        generator = self._generator
        count = count if generator.z_dim else max(1, generator.label_dim)
        return torch.from_numpy(np.random.RandomState(seed).randn(count, generator.z_dim))

    def _mapped(self, z: Tensor, label: np.ndarray | int | None) -> Tensor:
        """Return exactly mapped latents (n, w_dim) of ``z`` (n, z_dim) in float64.

        :param label: one for all, or (n,); None for classes in turn, where there are some.
        """
        generator = self._generator
        if label is None and generator.label_dim:
            label = np.arange(len(z)) % generator.label_dim
        parts = []
        with torch.no_grad(), ExactProducts(), one_thread():
            mapped = generator.mapper()
            for first in range(0, len(z), AT_ONCE):
                some = z[first : first + AT_ONCE]
                classes = label[first : first + AT_ONCE] if isinstance(label, np.ndarray) else label
                parts.append(mapped(some, generator.one_hot(classes, some)))
        return torch.cat(parts)

    def _checked(self, w: Tensor, label: int | None) -> Tensor:
        """Return latents (n, w_dim). :raises ValueError: if they are not finite, or do not differ."""
        whose = "this model" if label is None else f"class {label}"
        if not torch.isfinite(w).all():
            raise ValueError(
                f"the mapping network of {whose} makes latents that are not finite, so nothing says which changes are "
                "natural; choose the engine draggan, or get the file of the model again"
            )
        # Of equal numbers the variance is nothing but how their mean is rounded.
        if bool(w.var(dim=0, correction=0).mean() <= STILL * w.square().mean()):
            raise ValueError(
                f"the mapping network of {whose} makes the same latent of every seed, so nothing says which changes "
                "are natural; choose the engine draggan"
            )
        return w


def _with_floor(covariance: Tensor) -> Tensor:
    """Return a covariance, changed in place, in which every direction has some variance."""
    variances = covariance.diagonal().tolist()
    covariance.diagonal().add_(FLOOR * math.fsum(variances) / len(variances))
    return covariance


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Have torch compute in one thread, which on a machine that is busy is much faster than in several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
