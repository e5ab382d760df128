"""How far the latents of a model reach in each direction: the metric in which a natural drag takes the least way.

A mapping network fills only a part of W, and that unevenly. Its covariance says in which directions latents differ, and
so which changes look like another sample and which like none. Rows of W+ are all the same in a mapped latent; how much
they may differ is a matter of taste, said by two numbers: the variance they have in common, and each for itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import os
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from draggan_widget.files import write_whole
from draggan_widget.models import fingerprint_of

if TYPE_CHECKING:
    from draggan_widget.models import Generator

SAMPLES = 6000
AT_ONCE = 500
"""Latents mapped at once: the same sums in the same order, whatever memory there is."""
PER_CLASS = 16
"""Latents of each class, by whose mean it is known."""
FLOOR = 1e-5
"""Of the mean variance: what a direction has at least, so that the metric can be inverted."""
FORMAT = 1
"""Of the cached files; another one has other names."""
CACHE = "DRAGGAN_WIDGET_CACHE"
"""The environment variable that names the cache folder."""

SAME = (
    "the latents of this model do not differ or are not finite, so nothing says which changes are natural; "
    "choose the engine draggan"
)
_differ: weakref.WeakSet[Generator] = weakref.WeakSet()
"""Models two of whose latents were seen to differ."""
_known: weakref.WeakKeyDictionary[Generator, tuple[object, dict[object, np.ndarray]]] = weakref.WeakKeyDictionary()


@dataclasses.dataclass(frozen=True, eq=False)
class Metric:
    """The prior covariance of a latent ``ws`` (1, num_ws, w_dim), as a product of rows and columns."""

    columns: Tensor
    """(w_dim, w_dim), the covariance of mapped latents."""
    rows: Tensor
    """(num_ws, num_ws), what rows have in common and on their own."""

    @classmethod
    def of(cls, covariance: Tensor, num_ws: int, own_rows: int, own: float, common: float) -> Metric:
        """Return the metric in which the first ``own_rows`` rows have variance ``own`` each, and all rows ``common``.

        :param own: 0 for W, in which all rows change alike. :param common: 0 for rows with nothing in common.
        """
        rows = covariance.new_full((num_ws, num_ws), common)
        rows.diagonal()[:own_rows] += own
        return cls(covariance, rows)

    def stiffened(self, stiffness: Tensor) -> Metric:
        """Return the metric in which a row that may change alone costs so many times more (num_ws,) on top."""
        scale = (1 + stiffness.to(self.rows) * self.rows.diagonal()).rsqrt()
        return Metric(self.columns, scale[:, None] * self.rows * scale)

    def spread(self, directions: Tensor) -> Tensor:
        """Return the covariance applied to ``directions`` (K, num_ws, w_dim)."""
        return self.rows @ (directions @ self.columns)

    def dual(self, change: Tensor) -> Tensor:
        """Return the inverse applied to a change (num_ws, w_dim) of rows that may change."""
        inner: Tensor = torch.linalg.solve(self.columns.double(), change.double().T).T
        dual: Tensor = torch.linalg.pinv(self.rows.double()) @ inner
        return dual.to(change)

    def known(self, change: Tensor) -> Tensor:
        """Return the part of a change (num_ws, w_dim) that the metric allows: its rows as far as they may change."""
        rows = self.rows.double()
        known: Tensor = rows @ torch.linalg.pinv(rows) @ change.double()
        return known.to(change)

    def distance(self, change: Tensor) -> float:
        """Return the squared length of a change (num_ws, w_dim): how unlike another sample it is."""
        return float((change * self.dual(change)).double().sum())


def mahalanobis(covariance: Tensor, change: Tensor, rows: int = 6) -> float:
    """Return the squared Mahalanobis distance of a change (1, num_ws, w_dim), the mean over the first ``rows``.

    For two samples of a model it is about twice the number of directions in which its latents differ.
    """
    moved = change[0, :rows].double().cpu()
    return float((moved * torch.linalg.solve(covariance.double().cpu(), moved.T).T).sum(dim=1).mean())


def covariance_of(model: Generator, label: int | None = None) -> Tensor:
    """Return the covariance (w_dim, w_dim) of a model's mapped latents, of one class where it has some.

    From a fixed seed and in one thread, so that it is the same to the bit whatever number of threads there are.
    It is computed once: later it comes from memory, or from a file in the user's cache folder (``cache_folder``).

    :raises ValueError: if the latents of the model do not differ, or are not finite.
    """
    like = next(model.parameters())
    return torch.from_numpy(_once(model, ("covariance", label), lambda: _covariance(model, label))).to(like)


def check_latents(model: Generator) -> None:
    """Check by two latents whether a model has a covariance, which takes long to compute.

    :raises ValueError: if they do not differ or are not finite.
    """
    if model in _differ:
        return
    if model.z_dim:
        z = np.random.RandomState(0).randn(2, model.z_dim)
        w = _mapped(model, [(z, 0 if model.label_dim else None)])
    else:
        w = _mapped(model, [(np.zeros((1, 0)), number) for number in range(model.label_dim)])
    if not np.isfinite(w).all() or not np.ptp(w, axis=0).any():
        raise ValueError(SAME)
    _differ.add(model)


def class_of(model: Generator, latent: Tensor) -> int | None:
    """Return the class whose mean is nearest to the rows of a latent (1, num_ws, w_dim); None without classes."""
    if not model.label_dim:
        return None
    means = _once(model, ("classes", None), lambda: _class_means(model))
    here = latent[0].double().mean(dim=0).cpu().numpy()
    return int(np.square(means - here).sum(axis=1).argmin())


def cache_folder() -> Path:
    """Return the folder for what can be computed again: of ``DRAGGAN_WIDGET_CACHE``, or the system's own for that."""
    if own := os.environ.get(CACHE):
        return Path(own).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "draggan_widget"


def _once(model: Generator, what: tuple[str, int | None], compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Return what ``compute`` gives, from memory or a file where it was computed before."""
    weights = _mapping_weights(model)
    state = tuple(weight._version for _, weight in weights)
    made_of, found = _known.get(model, (None, {}))
    if made_of != state:
        found = {}
        _known[model] = state, found
    if what not in found:
        name = f"{what[0]}-{FORMAT}-{fingerprint_of(weights)[:32]}{'' if what[1] is None else f'-{what[1]}'}"
        stored = _read(name, model.w_dim)
        if stored is None:
            stored = compute()
            _write(name, stored)
        found[what] = stored
    return found[what]


def _mapping_weights(model: Generator) -> list[tuple[str, Tensor]]:
    """Return what the latents of a model depend on, by name: its mapping network, or all of it where none is named."""
    everything = sorted({**dict(model.named_parameters()), **dict(model.named_buffers())}.items())
    return [(name, weight) for name, weight in everything if "mapping" in name] or everything


def _read(name: str, w_dim: int) -> np.ndarray | None:
    """Return what a file of the cache holds; None where there is none, or it is broken."""
    try:
        data = (cache_folder() / f"{name}.npy").read_bytes()
        if hashlib.sha256(data[32:]).digest() != data[:32]:
            return None
        found = np.load(io.BytesIO(data[32:]), allow_pickle=False)
    except (OSError, ValueError, RuntimeError):
        return None
    fits = found.dtype == np.float64 and found.ndim == 2 and found.shape[1] == w_dim and np.isfinite(found).all()
    return found if fits else None


def _write(name: str, array: np.ndarray) -> None:
    file = io.BytesIO()
    np.save(file, array)
    data = file.getvalue()
    # Without a folder to write to it is computed again next time.
    with contextlib.suppress(OSError, RuntimeError):
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / f"{name}.npy", hashlib.sha256(data).digest() + data)


def _covariance(model: Generator, label: int | None) -> np.ndarray:
    if model.z_dim:
        z = np.random.RandomState(0).randn(SAMPLES, model.z_dim)
        parts = np.split(z, range(AT_ONCE, SAMPLES, AT_ONCE))
        w = _mapped(model, [(part, label) for part in parts])
    else:  # a generator of classes alone: these are all the latents there are
        w = _mapped(model, [(np.zeros((1, 0)), number) for number in range(model.label_dim)])
    w = w - w.mean(axis=0)
    with _one_thread():
        covariance = (torch.from_numpy(w).T @ torch.from_numpy(w)).numpy() / len(w)
    variance = float(covariance.diagonal().mean())
    if not np.isfinite(covariance).all() or not variance > 0:
        raise ValueError(SAME)
    return np.asarray(covariance + FLOOR * variance * np.eye(len(covariance)))


def _class_means(model: Generator) -> np.ndarray:
    z = np.random.RandomState(1).randn(PER_CLASS, model.z_dim)
    return np.stack([_mapped(model, [(z, label)]).mean(axis=0) for label in range(model.label_dim)])


def _mapped(model: Generator, parts: list[tuple[np.ndarray, int | None]]) -> np.ndarray:
    """Return mapped latents (n, w_dim) in 64 bits, of ``z`` and class each."""
    with _one_thread():
        return np.concatenate(
            [model.mapping(z=z, label=label, truncation=1.0)[:, 0].double().cpu().numpy() for z, label in parts]
        )


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
