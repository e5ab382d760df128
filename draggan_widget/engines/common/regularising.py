"""What keeps a latent among those that the model knows, as settings that several engines share.

Engines that step by Adam leave that region: nothing in their loss says what a picture of the model is. Each of these
holds them back at the price of shorter drags, so all are off by default. ``natural`` needs none of them, for its steps
are the least in the metric of the model's latents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from draggan_widget.models import Generator


class Regularised(Protocol):
    """The settings that are read here."""

    @property
    def stay_near(self) -> float:
        """Weight of the mean of |w - w0| over the edited rows."""

    @property
    def truncate(self) -> float:
        """κ, which part of its way from the mean a latent gives back in each step."""

    @property
    def typical(self) -> float | None:
        """τ, the largest mean square of a row, whitened; None for any."""


def check_regularised(model: Generator, settings: Regularised) -> None:
    """Check that a model has what the settings need. :raises ValueError: if its latents do not differ."""
    if settings.truncate or settings.typical is not None:
        model.space.check_metric()


def near_the_start(latent: Tensor, origin: Tensor, rows: int | None, settings: Regularised) -> Tensor | None:
    """Return ``stay_near`` times the mean of |w - w0| over the first ``rows``; None where it is 0.

    :param latent: (1, num_ws, w_dim). :param rows: None for all.
    """
    if not settings.stay_near:
        return None
    return settings.stay_near * (latent - origin)[:, :rows].abs().mean()


def held_back(model: Generator, latent: Tensor, origin: Tensor, rows: int | None, settings: Regularised) -> Tensor:
    """Return a latent after a step as ``truncate`` and then ``typical`` leave it; other rows than the first stay.

    ``truncate``: ``w ← w̄ + (1 - κ)(w - w̄)``. ``typical``, a trust region: with ``v = Λ^(-½)Uᵀ(w - w̄)`` of a row, by
    which a row of the model's own has a mean square of about 1, a row with more than τ is scaled back to it,
    ``w ← w̄ + (w - w̄)·√(τ / mean v²)``. A row that was farther out where the edit began may be as far as that.

    :param latent: (1, num_ws, w_dim). :param origin: likewise, where the edit began. :param rows: None for all.
    """
    if not settings.truncate and settings.typical is None:
        return latent
    space = model.space
    mean = space.metric(space.label_of(latent)).mean.to(latent)
    edited = latent[:, :rows]
    if settings.truncate:
        edited = mean + (1 - settings.truncate) * (edited - mean)
    if settings.typical is not None:
        size, began = (mean_squares(model, each[:, :rows]) for each in (edited, origin))
        most = began.clamp(min=settings.typical)
        share = (most / size.clamp(min=1e-30)).clamp(max=1).sqrt().to(latent)
        edited = mean + share[:, None] * (edited - mean)
    return edited if rows is None else torch.cat([edited, latent[:, rows:]], dim=1)


def mean_squares(model: Generator, latent: Tensor) -> Tensor:
    """Return mean(v²) of each row of a latent (1, rows, w_dim), whitened by the model's own: (rows,) in float64.

    A row of a picture of the model's own has about 1, one truncated by ψ about ψ². Much more means that the latent has
    left what the model knows.

    :raises ValueError: if the latents of the model do not differ.
    """
    space = model.space
    metric = space.metric(space.label_of(latent))
    away = latent[0].detach().double().cpu() - metric.mean
    solved = torch.linalg.solve(metric.covariance, away.T).T
    found: Tensor = (away * solved).mean(dim=1)
    return found
