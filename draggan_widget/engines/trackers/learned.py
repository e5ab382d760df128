"""Networks for tracking, with weights that you bring: RAFT and PIPs, which the paper compares with."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.trackers.base import FromFirst, Sight, check_seen, picture, places
from draggan_widget.engines.trackers.raft import LEAST, RaftNetwork

if TYPE_CHECKING:
    from draggan_widget.models import Model

MULTIPLE = 8
"""Sides of pictures must be multiples of so many pixels, for both networks."""
LARGE = 64
"""Channels of the first layer of ``raft_large``; ``raft_small`` has fewer."""
FRAMES = 8
"""Pictures that PIPs was made to look at together."""
PACKAGES = ("nets", "utils")
"""What the packages of a checkout of PIPs are called."""


class Raft(FromFirst):
    """Flow from the first picture to the present one by RAFT (Teed and Deng 2020); see ``trackers.raft``.

    :param weights: a file of the state dict of torchvision's ``raft_large`` or ``raft_small``, such as
        ``raft_large_C_T_SKHT_V2-ff5fadd5.pth`` or ``raft_small_C_T_V2-01064c6d.pth``.
    :raises FileNotFoundError: without that file. :raises ValueError: if it holds something else.
    """

    def __init__(self, weights: str | os.PathLike[str]) -> None:
        super().__init__()
        self._network = _raft(*_file(weights, "RAFT"))

    def check(self, model: Model) -> None:
        """See ``Tracker``."""
        height, width = model.resolution
        if min(height, width) < LEAST:
            raise ValueError(
                f"RAFT needs pictures of at least {LEAST} pixels each way, and these have {height}×{width}; track by "
                "features or flow"
            )

    def flow(self, first: np.ndarray, now: np.ndarray) -> np.ndarray:
        """See ``FromFirst``."""
        with torch.no_grad():
            found = self._network(*(_input(image) / 127.5 - 1 for image in (first, now)))
        return np.asarray(found[0].permute(1, 2, 0).numpy())


class Pips:
    """Persistent independent particles (Harley, Fang and Fragkiadaki 2022) over the last eight pictures.

    Written for that program as it is since 2023-01-30 (commit bde038a of ``nets/pips.py``), by its interface: ``Pips(S,
    stride)`` called with places, pictures and ``iters``, which gives its refinements first.

    :param checkout: a checkout of github.com/aharley/pips, whose ``nets/pips.py`` is imported.
    :param weights: its checkpoint, ``reference_model/model-000200000.pth``.
    :raises FileNotFoundError: without them. :raises ValueError: if the file holds something else.
    :raises ModuleNotFoundError: without a package that its program needs, such as einops.
    """

    def __init__(self, checkout: str, weights: str) -> None:
        folder = Path(checkout).expanduser().resolve()
        if not (folder / "nets" / "pips.py").is_file():
            raise FileNotFoundError(f"no nets/pips.py in {folder}; give a checkout of github.com/aharley/pips")
        path, _ = _file(weights, "PIPs")
        self._network: Any = _program(folder).Pips(S=FRAMES, stride=4)
        load(self._network, path, "PIPs")
        self._seen: tuple[Sight, ...] = ()
        self._pictures: tuple[np.ndarray, ...] = ()
        """The last pictures, one for each that was seen."""

    def check(self, model: Model) -> None:
        """See ``Tracker``."""

    def begin(self, model: Model, latent: Tensor, handles: np.ndarray) -> None:
        """See ``Tracker``."""
        self._seen, self._pictures = ((latent.detach(), places(handles)),), (picture(model, latent),)

    def track(self, model: Model, latent: Tensor) -> np.ndarray:
        """See ``Tracker``. While there are fewer pictures than it looks at, the newest is repeated."""
        now = picture(model, latent)
        seen, pictures = self._seen[-(FRAMES - 1) :], self._pictures[-(FRAMES - 1) :]
        place = len(pictures)
        shown = (*pictures, *[now] * (FRAMES - place))
        film = torch.cat([_input(each) for each in shown])[None]  # (1, FRAMES, 3, H, W)
        start = torch.from_numpy(seen[0][1]).float()[None]  # (1, N, 2)
        with torch.no_grad(), _gpu_or_not():
            ways = self._network(start, film, iters=6)[0][-1]  # (1, FRAMES, N, 2), the last refinement
        handles = np.asarray(ways[0, place].double().numpy())
        self._seen, self._pictures = (*seen, (latent.detach(), handles)), (*pictures, now)
        return np.array(handles)

    def seen(self) -> tuple[Sight, ...]:
        """See ``Tracker``: the last pictures."""
        return self._seen

    def resume(self, model: Model, seen: Sequence[Sight]) -> None:
        """See ``Tracker``."""
        check_seen(seen, FRAMES)
        self._seen = tuple((latent.detach(), places(handles)) for latent, handles in seen)
        self._pictures = tuple(picture(model, latent) for latent, _ in seen)


def _program(folder: Path) -> Any:
    """Return the module ``nets.pips`` of a checkout, imported beside packages of the same names that are there."""

    def loaded() -> list[str]:
        return [name for name in sys.modules if name.partition(".")[0] in PACKAGES]

    others = {name: sys.modules.pop(name) for name in loaded()}
    for name in PACKAGES:  # by the path, or a regular package of that name would come first wherever it is
        package = types.ModuleType(name)
        package.__path__ = [str(folder / name)]
        sys.modules[name] = package
    try:
        return importlib.import_module("nets.pips")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"the program of PIPs needs {error.name}: pip install {error.name}") from error
    finally:
        for name in loaded():
            del sys.modules[name]
        sys.modules.update(others)


@contextlib.contextmanager
def _gpu_or_not() -> Iterator[None]:
    """Let the program of PIPs run where there is no GPU: it puts a number on one that is only for its training."""
    if torch.cuda.is_available():
        yield
        return
    kept = Tensor.cuda
    Tensor.cuda = lambda tensor, *_arguments, **_more: tensor  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Tensor.cuda = kept  # type: ignore[method-assign]


@functools.lru_cache(maxsize=2)
def _raft(path: str, _changed: int) -> RaftNetwork:
    """Return the network of a file, the same one until that file changes."""
    state = read_weights(path, "RAFT")
    first = state.get("feature_encoder.convnormrelu.0.weight")
    network = RaftNetwork(small=isinstance(first, Tensor) and len(first) < LARGE)
    fill(network, state, path, "RAFT")
    return network


def _file(weights: str | os.PathLike[str], name: str) -> tuple[str, int]:
    """Return the path of a file of weights, and when it was changed. :raises FileNotFoundError: if it is not there."""
    path = Path(weights).expanduser().absolute()
    if not path.is_file():
        raise FileNotFoundError(f"no weights of {name} at {path}")
    return str(path), path.stat().st_mtime_ns


def load(network: Any, weights: str | os.PathLike[str], name: str) -> None:
    """Give a network the weights in a file, for use without gradients.

    :raises FileNotFoundError: without that file. :raises ValueError: if it holds something else.
    """
    fill(network, read_weights(weights, name), weights, name)


def read_weights(weights: str | os.PathLike[str], name: str) -> Mapping[str, Any]:
    """Return the state dict in a file. :raises FileNotFoundError: as ``load``. :raises ValueError: likewise."""
    path, _ = _file(weights, name)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        return dict(found.get("model_state_dict", found))
    except Exception as error:  # torch.load raises all kinds
        said = str(error).partition("\n")[0] or "it is cut short or empty"
        raise ValueError(f"{path} does not hold weights of {name}: {said}") from error


def fill(network: Any, state: Mapping[str, Any], weights: str | os.PathLike[str], name: str) -> None:
    """Give a network the weights that were read of a file. :raises ValueError: if they are of another network."""
    try:
        network.load_state_dict(state)
    except Exception as error:  # of keys, of shapes, of values that are no tensors
        said = str(error).partition("\n")[0]
        raise ValueError(f"{Path(weights).expanduser()} does not hold weights of {name}: {said}") from error
    network.eval().requires_grad_(False)


def _input(image: np.ndarray) -> Tensor:
    """Return (1, 3, H, W) in 0 … 255, grown at the right and below to sides that the networks take."""
    colours = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image[..., :3]
    batch = torch.from_numpy(colours.copy()).permute(2, 0, 1)[None].float()
    height, width = batch.shape[2:]
    return torch.nn.functional.pad(batch, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
