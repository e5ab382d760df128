"""A learned metric: one 1×1 layer over features, trained so that the same point looks alike in two pictures.

It costs next to nothing at drag time, and can be trained for any model of which it is known what moved where. That of
the built-in faces comes with the package. A file is of one model's weights, and refused for another's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor

from draggan_widget.config import DragConfig
from draggan_widget.engines.base import check_blocks, check_parts
from draggan_widget.engines.trackers.base import Features
from draggan_widget.files import write_whole
from draggan_widget.models import base_fingerprint, fingerprint

if TYPE_CHECKING:
    from draggan_widget.models import Generator

SHIPPED = Path(__file__).parent / "faces_metric.safetensors"
"""The file of the built-in faces."""
WIDTH = 32
"""Numbers that features are turned into."""
TEMPERATURE = 0.07
"""Of InfoNCE (van den Oord et al. 2018)."""
WINDOW = 24
"""Pixels of a picture of 256 around the right place, each way, in which wrong ones lie."""
WRONG = 24
"""Wrong places to a right one."""
RATE, STEPS, AT_ONCE = 3e-3, 400, 2


class LearnedMetric(Features):
    """The nearest features as a learned metric sees them.

    :param weights: a file that ``train`` and ``save`` made; None for the one that comes with the package.
    :param config: of the drag, for its method and radius; None for the settings that the model carries.
    :raises FileNotFoundError: without that file. :raises ValueError: if it holds something else.
    """

    weighs_blocks = False  # the layer was trained on features as they are

    def __init__(self, weights: str | os.PathLike[str] | None = None, config: DragConfig | None = None) -> None:
        path = SHIPPED if weights is None else Path(weights).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"no weights of a metric at {path}")
        try:
            with safe_open(path, "pt") as file:
                said = file.metadata() or {}
                self._layer: Tensor = file.get_tensor("layer").float()
            blocks = tuple(int(block) for block in said["blocks"].split("+"))
            self._model = said["fingerprint"]
        except (SafetensorError, LookupError, ValueError) as error:
            raise ValueError(f"{path} does not hold a metric: {error}") from error
        super().__init__(*blocks, config=config)
        self._path = path

    def check(self, model: Any) -> None:
        """See ``Tracker``. A tuned copy of the model that it was trained on will do.

        :raises ValueError: for a model that it was not trained on.
        """
        check_parts(model, ("sample_features", "blocks"), "the tracker", "track by flow")
        if base_fingerprint(model) != self._model:
            raise ValueError(
                f"the metric in {self._path.name} was trained on another model; track by features, or train one for it"
            )
        super().check(model)

    def _read(self, model: Any, latent: Tensor, xy: np.ndarray) -> Tensor:
        return projected(super()._read(model, latent, xy), self._layer)


def projected(features: Tensor, layer: Tensor) -> Tensor:
    """Return features (…, C) as unit vectors (…, WIDTH) of a layer (WIDTH, C)."""
    return F.normalize(features @ layer.to(features).T, dim=-1)


def info_nce(anchors: Tensor, right: Tensor, wrong: Tensor) -> Tensor:
    """Return the mean of -log(e^(a·r/τ) / (e^(a·r/τ) + Σ e^(a·w/τ))).

    :param anchors: unit vectors (P, W). :param right: the same points in the other picture, (P, W).
    :param wrong: other places there, (P, N, W).
    """
    good = (anchors * right).sum(dim=1, keepdim=True)
    bad = torch.einsum("pw,pnw->pn", anchors, wrong)
    scores = torch.cat([good, bad], dim=1) / TEMPERATURE
    return F.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.long))


def train(
    model: Generator,
    blocks: tuple[int, ...],
    latents: np.ndarray,
    points: np.ndarray,
    seen: np.ndarray,
    seed: int = 0,
) -> Iterator[tuple[float, Tensor]]:
    """Train a layer on pairs of pictures; yield the loss of every step and the layer (WIDTH, C) as it is then.

    :param latents: ``z`` (N, 2, z_dim) of the pairs. :param points: (N, 2, K, 2), where the same points are in both
        pictures, in their pixels (x, y). :param seen: (N, K) bools, which of them can be seen in both.
    :raises ValueError: if the model lacks a block, or nothing can be seen.
    """
    check_blocks(model, blocks, f"the metric reads block {'+'.join(map(str, blocks))}")
    if not seen.any():
        raise ValueError("no point can be seen in both pictures of a pair; give others")
    random = np.random.default_rng(seed)
    pairs = [
        read_pair(model, blocks, *each, random) for each in zip(latents, points, seen, strict=True) if each[2].any()
    ]
    channels = pairs[0][0].shape[1]
    scale = torch.cat([first.float() for first, _, _ in pairs]).std(dim=0).clamp(min=1e-6)
    torch_random = torch.Generator().manual_seed(seed)
    # Channels differ much in size, so the layer is learned for ones of unit size.
    even = (torch.randn(WIDTH, channels, generator=torch_random) / channels**0.5).requires_grad_()
    adam = torch.optim.Adam([even], lr=RATE)
    for _ in range(STEPS):
        chosen = [pairs[k] for k in random.choice(len(pairs), min(AT_ONCE, len(pairs)), replace=False)]
        losses = [info_nce(*(projected(part.float(), even / scale) for part in each)) for each in chosen]
        loss = torch.stack(losses).mean()
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        yield float(loss.detach()), (even / scale).detach()


def read_pair(
    model: Generator,
    blocks: tuple[int, ...],
    latents: np.ndarray,
    points: np.ndarray,
    seen: np.ndarray,
    random: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the features of points in the first picture (P, C), in the second, and of wrong places there (P, N, C).

    A wrong place is at least two pixels of a picture of 256 from the right one.
    """
    height, width = model.resolution
    pixel = height / 256
    first, second = points[0][seen], points[1][seen]
    by = random.uniform(-WINDOW, WINDOW, (len(second), WRONG, 2))
    near = np.hypot(by[..., 0], by[..., 1]) < 2
    by[near] += np.sign(by[near] + 1e-9) * 2
    wrong = np.clip(second[:, None] + by * pixel, 0, [width - 1, height - 1])

    def read(latent: np.ndarray, places: np.ndarray) -> Tensor:
        with torch.no_grad():
            ws = model.mapping(latent[None])
            found: Tensor = model.sample_features(
                ws, blocks, torch.from_numpy(places.reshape(-1, 2).astype(np.float64))
            )
        return found.half().view(*places.shape[:-1], -1)

    both = np.concatenate([second[:, None], wrong], axis=1)
    there = read(latents[1], both)
    return read(latents[0], first), there[:, 0], there[:, 1:]


def save(path: str | os.PathLike[str], layer: Tensor, model: Generator, blocks: tuple[int, ...]) -> None:
    """Write a layer (WIDTH, C) with the fingerprint of the model that it was trained on."""
    said = {"blocks": "+".join(map(str, blocks)), "fingerprint": fingerprint(model)}
    write_whole(path, safetensors.torch.save({"layer": layer.detach().half().contiguous()}, said))
