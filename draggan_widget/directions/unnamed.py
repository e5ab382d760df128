"""Directions of any model, found without data: of its weights, and of how its latents differ.

Both have no meaning that is known beforehand: look what they do, and teach or rename what is of use.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from draggan_widget.directions.direction import Direction, Source, check_name
from draggan_widget.models import guarded, mapping_fingerprint
from draggan_widget.settings import check_whole

if TYPE_CHECKING:
    from draggan_widget.models import Generator, Metric

COUNT = 10
REACH = 3.0
"""σ to both sides that these are offered for."""


@guarded
def principal(model: Generator, count: int = COUNT) -> list[Direction]:
    """Return the directions in which a model's latents differ most: their principal components, the largest first.

    Härkönen et al., *GANSpace*, 2020, here from the covariance of ``model.space.metric()``.

    :raises ValueError: for a count below 1, or if the model's latents do not differ.
    """
    metric = model.space.metric()
    values, vectors = torch.linalg.eigh(metric.covariance)
    order = values.argsort(descending=True)[: check_whole("count", count, 1)]
    return [
        _direction(model, metric, "principal", f"principal-{rank}", f"Component {rank}", vectors[:, number])
        for rank, number in enumerate(order.tolist(), start=1)
    ]


@guarded
def sefa(model: Generator, count: int = COUNT) -> list[Direction]:
    """Return the directions that change the styles of a model's layers most, by its weights alone.

    Shen and Zhou, *Closed-Form Factorization of Latent Semantics in GANs*, 2021: the eigenvectors of ``AᵀA``, where A
    (styles, w_dim) are the weights of all affine layers, each row of unit length.

    :raises ValueError: for a count below 1, or a model without affine layers.
    """
    asked = check_whole("count", count, 1)
    gram = torch.zeros(model.w_dim, model.w_dim, dtype=torch.float64)
    for weight in affine_weights(model):
        gram += weight.T @ weight
    if not bool((gram != 0).any()):
        raise ValueError(f"a {type(model).__name__} has no affine layers that take its latents; use principal(model)")
    values, vectors = torch.linalg.eigh(gram)
    metric = model.space.metric()
    return [
        _direction(model, metric, "sefa", f"sefa-{rank}", f"SeFa {rank}", vectors[:, number])
        for rank, number in enumerate(values.argsort(descending=True)[:asked].tolist(), start=1)
    ]


def affine_weights(model: Generator) -> list[Tensor]:
    """Return the weights (styles, w_dim) in float64 of the layers that turn a latent into styles, rows at length 1."""
    found = []
    for name, weight in sorted(model.named_parameters()):
        if "affine" in name and name.endswith("weight") and weight.ndim == 2 and weight.shape[1] == model.w_dim:
            whole = weight.detach().cpu().double()
            found.append(whole / whole.norm(dim=1, keepdim=True).clamp_min(1e-12))
    return found


def _direction(model: Generator, metric: Metric, source: Source, name: str, label: str, along: Tensor) -> Direction:
    # Of the two signs the one whose largest number is above 0, so that it is the same on every machine.
    along = along * along[along.abs().argmax()].sign()
    spread = float(along @ metric.covariance @ along) ** 0.5
    reading = along / spread
    return Direction(
        name,
        label,
        source,
        (along * spread).float().expand(model.num_ws, -1).contiguous(),
        reading,
        float(metric.mean @ reading),
        source,
        None,
        -REACH,
        REACH,
        mapping_fingerprint(model),
    )


def renamed(direction: Direction, name: str, label: str | None = None) -> Direction:
    """Return a direction under another name, once somebody has seen what it does."""
    name = check_name(name)
    return dataclasses.replace(direction, name=name, label=label or name.replace("_", " ").capitalize())
