"""Networks for tracking, with weights that you bring: RAFT and PIPs, which the paper compares with."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.trackers.base import picture, places, sampled

if TYPE_CHECKING:
    from draggan_widget.models import Model

MULTIPLE = 8
"""Sides of pictures must be multiples of so many pixels, for both networks."""
LARGE = 64
"""Channels of the first layer of ``raft_large``; ``raft_small`` has fewer."""
FRAMES = 8
"""Pictures that PIPs was made to look at together."""


class Raft:
    """Flow from the first picture to the present one by RAFT (Teed and Deng 2020), as torchvision has it.

    :param weights: a file of the state dict of ``raft_large`` or ``raft_small``, such as
        ``raft_large_C_T_SKHT_V2-ff5fadd5.pth`` or ``raft_small_C_T_V2-01064c6d.pth``.
    :raises ModuleNotFoundError: without torchvision. :raises FileNotFoundError: without that file.
    :raises ValueError: if it holds something else.
    """

    def __init__(self, weights: str) -> None:
        try:
            from torchvision.models.optical_flow import raft_large, raft_small
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("RAFT needs torchvision: pip install torchvision") from error
        except RuntimeError as error:  # of a torchvision that was built for another torch
            raise ModuleNotFoundError(
                f"RAFT needs a torchvision that fits torch {torch.__version__}; the one here does not load: {error}"
            ) from error
        state = read_weights(weights, "RAFT")
        first = state.get("feature_encoder.convnormrelu.0.weight")
        small = first is not None and len(first) < LARGE
        self._network: Any = (raft_small if small else raft_large)(weights=None, progress=False)
        fill(self._network, state, weights, "RAFT")
        self._first = torch.empty(0)
        self._handles = np.zeros((0, 2))

    def begin(self, model: Model, latent: Tensor, handles: np.ndarray) -> None:
        """See ``Tracker``."""
        self._first, self._handles = _input(picture(model, latent)), places(handles)

    def track(self, model: Model, latent: Tensor) -> np.ndarray:
        """See ``Tracker``."""
        now = _input(picture(model, latent))
        with torch.no_grad():
            flow = self._network(self._first / 127.5 - 1, now / 127.5 - 1)[-1]  # (1, 2, H, W), the last refinement
        return np.asarray(self._handles + sampled(flow[0].permute(1, 2, 0).numpy(), self._handles))


class Pips:
    """Persistent independent particles (Harley, Fang and Fragkiadaki 2022) over the last eight pictures.

    :param checkout: a checkout of github.com/aharley/pips, whose ``nets/pips.py`` is imported.
    :param weights: its checkpoint, ``reference_model/model-000200000.pth``.
    :raises FileNotFoundError: without them. :raises ValueError: if the file holds something else.
    """

    def __init__(self, checkout: str, weights: str) -> None:
        folder = Path(checkout).expanduser().resolve()
        if not (folder / "nets" / "pips.py").is_file():
            raise FileNotFoundError(f"no nets/pips.py in {folder}; give a checkout of github.com/aharley/pips")
        sys.path.insert(0, str(folder))
        try:
            module = importlib.import_module("nets.pips")
        finally:
            sys.path.remove(str(folder))
        self._network: Any = module.Pips(S=FRAMES, stride=4)
        load(self._network, weights, "PIPs")
        self._seen: list[tuple[Tensor, np.ndarray]] = []
        """The last pictures, and where the handles were in each."""

    def begin(self, model: Model, latent: Tensor, handles: np.ndarray) -> None:
        """See ``Tracker``."""
        self._seen = [(_input(picture(model, latent)), places(handles))]

    def track(self, model: Model, latent: Tensor) -> np.ndarray:
        """See ``Tracker``. While there are fewer pictures than it looks at, the newest is repeated."""
        now = _input(picture(model, latent))
        self._seen = self._seen[-(FRAMES - 1) :]
        pictures = [seen for seen, _ in self._seen]
        place = len(pictures)
        film = torch.cat([*pictures, *[now] * (FRAMES - place)])[None]  # (1, FRAMES, 3, H, W)
        start = torch.from_numpy(self._seen[0][1]).float()[None]  # (1, N, 2)
        with torch.no_grad():
            ways = self._network(start, film, iters=6)[0][-1]  # (1, FRAMES, N, 2), the last refinement
        handles = np.asarray(ways[0, place].double().numpy())
        self._seen.append((now, handles))
        return handles


def load(network: Any, weights: str | os.PathLike[str], name: str) -> None:
    """Give a network the weights in a file, for use without gradients.

    :raises FileNotFoundError: without that file. :raises ValueError: if it holds something else.
    """
    fill(network, read_weights(weights, name), weights, name)


def read_weights(weights: str | os.PathLike[str], name: str) -> Mapping[str, Any]:
    """Return the state dict in a file. :raises FileNotFoundError: as ``load``. :raises ValueError: likewise."""
    path = Path(weights).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no weights of {name} at {path}")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        return dict(found.get("model_state_dict", found))
    except Exception as error:  # torch.load raises all kinds
        said = str(error).partition("\n")[0]
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
