"""What takes long to compute of a model, mostly of its mapping network: kept in memory, and in the user's cache folder.

It is kept for the very weights that it was computed of, and computed anew when these have changed.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from draggan_widget.files import write_whole
from draggan_widget.models.fingerprints import fingerprint_of

if TYPE_CHECKING:
    from draggan_widget.models.base import Generator

CACHE = "DRAGGAN_WIDGET_CACHE"
"""The environment variable that names the cache folder."""
FORMAT = 2
"""Of the cached files; those of another one have other names."""
KEPT = (np.float64, np.float32)
"""Numbers of such a file; those that come with the package are of half the size."""
SHIPPED = Path(__file__).parent / "builtin" / "computed"
"""The folder of what comes with the package."""
MOST = 8
"""Arrays that a model keeps in memory, those of some classes; one of a w_dim of 512 takes 2 to 4 MB."""


class Mapped:
    """Arrays (n, w_dim) in float64, computed of one generator's weights, by name."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[tuple[object, ...], Tensor]] = {}
        self._untuned: Generator | None = None

    def copy(self, untuned: Generator | None = None) -> Mapped:
        """Return another one that knows the same so far.

        :param untuned: the model of which one that is to have it is a tuned copy.
        """
        made = copy.copy(self)
        made._found = dict(self._found)
        made._untuned = self._untuned or untuned
        return made

    def __deepcopy__(self, _memo: object) -> Mapped:
        return self.copy()

    def untuned(self, model: Generator) -> Generator:
        """Return the model that ``model``, whose arrays these are, is a tuned copy of; itself where it is none."""
        return self._untuned or model

    def get(
        self,
        model: Generator,
        name: str,
        compute: Callable[[], Tensor],
        *,
        on_disk: bool = True,
        weights: Callable[[Generator], list[tuple[str, Tensor]]] | None = None,
    ) -> Tensor:
        """Return what ``compute`` gives, from memory or a file where it was computed of the same weights before.

        :param name: of a file too, so of letters, digits and "-".
        :param weights: what it is computed of, ``mapping_weights`` unless told otherwise.
        """
        known, file = self._found_in(model, name, on_disk, weights)
        if known is not None:
            return known
        made, made_of = compute(), (weights or mapping_weights)(model)
        if file:
            store(file, made)
        return self._keep(name, made_of, made)  # after a first use, which may lay weights out anew

    def known(
        self,
        model: Generator,
        name: str,
        *,
        on_disk: bool = True,
        weights: Callable[[Generator], list[tuple[str, Tensor]]] | None = None,
    ) -> Tensor | None:
        """Return what ``get`` would without computing it; None where it has to be computed."""
        return self._found_in(model, name, on_disk, weights)[0]

    def _found_in(
        self,
        model: Generator,
        name: str,
        on_disk: bool,
        weights: Callable[[Generator], list[tuple[str, Tensor]]] | None,
    ) -> tuple[Tensor | None, str]:
        """Return what is known, and the name of its file, for which weights are hashed; "" where they were not."""
        made_of = (weights or mapping_weights)(model)
        state = tuple(_state(weight) for _, weight in made_of)
        if name in self._found and self._found[name][0] == state:
            return self._found[name][1], ""
        if not on_disk:
            return None, ""
        file = file_name(model, name, made_of)
        made = stored(file, model.w_dim)
        return None if made is None else self._keep(name, made_of, made), file

    def _keep(self, name: str, made_of: list[tuple[str, Tensor]], made: Tensor) -> Tensor:
        self._found.pop(name, None)
        while len(self._found) >= MOST:
            self._found.pop(next(iter(self._found)), None)
        self._found[name] = tuple(_state(weight) for _, weight in made_of), made
        return made


def file_name(model: Generator, name: str, made_of: list[tuple[str, Tensor]]) -> str:
    """Return the name of the file of an array that is computed of these weights."""
    return f"{name}-{FORMAT}-{type(model).__name__}-{fingerprint_of(made_of)[:32]}.npy"


def all_weights(model: Generator) -> list[tuple[str, Tensor]]:
    """Return what the pictures of a model depend on, by name."""
    return sorted({**dict(model.named_parameters()), **dict(model.named_buffers())}.items())


def mapping_weights(model: Generator) -> list[tuple[str, Tensor]]:
    """Return what the latents of a model depend on, by name: its mapping network, or all of it where none is named."""
    everything = all_weights(model)
    return [(name, weight) for name, weight in everything if "mapping" in name] or everything


def mapping_fingerprint(model: Generator) -> str:
    """Return a hash of what latents depend on: the same for a model and for its copies tuned for photographs."""
    return fingerprint_of(mapping_weights(model))[:32]


def _state(weight: Tensor) -> tuple[object, ...]:
    """Return what changes when a weight is changed in place, or has another tensor's place."""
    return weight.data_ptr(), weight.dtype, 0 if weight.is_inference() else weight._version


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


def stored(name: str, columns: int) -> Tensor | None:
    """Return what a file of the cache holds, (n, columns) of float64; None where there is none, or it is broken.

    What built-in models need comes with the package, and is looked for there first.
    """
    found = _read(SHIPPED / name, columns)
    if found is None:
        with contextlib.suppress(RuntimeError):  # of a home that nobody has
            found = _read(cache_folder() / name, columns)
    return found


def _read(path: Path, columns: int) -> Tensor | None:
    try:
        data = path.read_bytes()
        if hashlib.sha256(data[32:]).digest() != data[:32]:
            return None
        found = np.load(io.BytesIO(data[32:]), allow_pickle=False)
    except (OSError, ValueError, RuntimeError):
        return None
    fits = found.dtype in KEPT and found.ndim == 2 and found.shape[1] == columns and np.isfinite(found).all()
    return torch.from_numpy(found.astype(np.float64)) if fits else None


def store(name: str, array: Tensor) -> None:
    """Keep an array (n, columns) of float64 in a file of the cache, from which ``stored`` takes it."""
    data = packed(array.numpy())
    # Without a folder to write to it is computed again next time.
    with contextlib.suppress(OSError, RuntimeError):
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / name, data)


def packed(array: np.ndarray) -> bytes:
    """Return the file of an array (n, columns): a hash of what follows, and that in NumPy's format."""
    made = io.BytesIO()
    np.save(made, array)
    return hashlib.sha256(made.getvalue()).digest() + made.getvalue()
