"""Directions that are taught: somebody marks latents as more or less of something, and what tells them apart is found.

Where a model's attributes are known, few of them explain what people mark, so a sparse classifier in these is found
from twenty examples. Else it is one of ridge regression, in the latents whitened by their own covariance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.directions.direction import Direction, DirectionError, Source, check_name
from draggan_widget.models import guarded, mapping_fingerprint
from draggan_widget.texts import quoted

if TYPE_CHECKING:
    from draggan_widget.models import Generator

FEWEST = 2
"""Examples of each side."""
FOLDS = 20
"""Parts in which examples are left out in turn; with no more examples than that, each alone."""
STRENGTHS, SWEEPS = 25, 150
"""Penalties that are tried, and steps towards the solution of each."""
WEAKEST = 0.03
"""The weakest penalty, as a part of the one at which nothing is left."""
THIN = 1e-4
"""Variance, as a part of the largest, below which nothing is learned of a component of the latents."""
REACH = 3.0


@guarded
def taught(
    model: Generator,
    name: str,
    more: Any,
    less: Any,
    *,
    basis: Mapping[str, Direction] | None = None,
    label: str | None = None,
) -> Direction:
    """Return the direction in which latents that were marked as "more" differ from those marked as "less".

    :param more: latents (n, num_ws, w_dim), (n, w_dim), or a list of latents (1, num_ws, w_dim). :param less: likewise.
    :param basis: known directions, of few of which it is made; None for one of the latents as they are.
    :param label: for people; None for the name.
    :returns: a direction whose ``score`` is the area under the curve (AUC) of examples that were left out in turn: 0.5
        is chance. With few examples that is a rough figure.
    :raises DirectionError: for fewer than two examples of a side, or of a name that cannot be one.
    :raises ValueError: for latents of another model, or that are not finite.
    """
    name = check_name(name)
    above, below = _examples(model, "more", more), _examples(model, "less", less)
    if min(len(above), len(below)) < FEWEST:
        raise DirectionError(
            f"{quoted(name)} was taught with {len(above)} of more and {len(below)} of less; mark at least {FEWEST} "
            "pictures of each, better ten"
        )
    w = torch.cat([above, below])
    marks = torch.cat([torch.ones(len(above)), -torch.ones(len(below))]).double()
    if bool((w - w[:1]).abs().max() < 1e-9):
        raise DirectionError(f"all examples of {quoted(name)} are the same picture; mark different ones")
    metric = model.space.metric()
    if basis:
        reading, change, score = _of_known(w, marks, list(basis.values()))
    else:
        reading, change, score = _of_latents(w, marks, metric.mean, metric.covariance)
    return learned(model, "taught", name, label, change, reading, score)


def learned(
    model: Generator, source: Source, name: str, label: str | None, change: Tensor, reading: Tensor, score: float
) -> Direction:
    """Return the direction that was learned of examples. :param source: its group too.

    :param change: of one σ, (w_dim,). :param reading: (w_dim,), by which a latent is read in σ.
    """
    return Direction(
        name,
        label or name.replace("_", " ").capitalize(),
        source,
        change.float().expand(model.num_ws, -1).contiguous(),
        reading,
        float(model.space.metric().mean @ reading),
        source,
        round(score, 4),
        -REACH,
        REACH,
        mapping_fingerprint(model),
    )


def whitened(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Return what latents are multiplied by to be white (w_dim, K), and back (w_dim, K): without what hardly varies."""
    values, vectors = torch.linalg.eigh(covariance)
    thick = values > THIN * values[-1]
    return vectors[:, thick] / values[thick].sqrt(), vectors[:, thick] * values[thick].sqrt()


def _of_known(w: Tensor, marks: Tensor, basis: list[Direction]) -> tuple[Tensor, Tensor, float]:
    """Return reading (w_dim,), change (w_dim,) and score of a sparse sum of known directions."""
    values = torch.stack([w @ each.reading - each.zero for each in basis], dim=1)
    weights, score = sparse(values, marks)
    if not bool((weights != 0).any()):  # no attribute tells the examples apart better than chance
        weights = torch.linalg.lstsq(values, marks[:, None]).solution[:, 0]
    weights = weights / weights.norm()  # attributes have σ 1 and are hardly correlated, so their sum has so too
    reading = sum((weight * each.reading for weight, each in zip(weights, basis, strict=True)), torch.zeros(w.shape[1]))
    change = sum(
        (float(weight) * each.change[0].double() for weight, each in zip(weights, basis, strict=True)),
        torch.zeros(w.shape[1]),
    )
    return reading.double(), change, score


def _of_latents(w: Tensor, marks: Tensor, mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor, float]:
    """Return the same of ridge regression in the whitened latents; the change is the least in their metric."""
    white, _ = whitened(covariance)
    x = (w - mean) @ white
    weights, score = ridge(x, marks)
    reading = white @ weights
    reading = reading / (reading @ covariance @ reading).sqrt()
    return reading, covariance @ reading, score


def sparse(x: Tensor, marks: Tensor) -> tuple[Tensor, float]:
    """Return weights (K,) of a classifier of which most are 0, and its AUC on examples that were left out.

    The lasso (Tibshirani 1996) on the marks, by accelerated proximal steps (Beck and Teboulle 2009), of all folds
    together. The strongest penalty counts whose AUC is as good as the best.

    :param x: (n, K), in σ. :param marks: (n,), 1 and -1.
    """
    out = _folds(marks)
    kept = torch.cat([~out, torch.ones(1, len(marks), dtype=torch.bool)]).to(x)  # the last fold leaves nothing out
    count = kept.sum(dim=1)
    middle = torch.einsum("fn,nk->fk", kept, x) / count[:, None]
    level = kept @ marks / count
    y = (marks - level[:, None]) * kept
    gram = torch.einsum("fn,nk,nl->fkl", kept, x, x) / count[:, None, None] - middle[:, :, None] * middle[:, None, :]
    pull = torch.einsum("fn,nk->fk", y, x) / count[:, None]
    strongest = pull.abs().amax(dim=1)
    pace = 1 / torch.linalg.matrix_norm(gram, 2).clamp_min(1e-12)
    weights = torch.zeros_like(pull)
    tried: list[tuple[float, Tensor]] = []
    for part in np.geomspace(0.95, WEAKEST, STRENGTHS):
        ahead, momentum = weights, 1.0
        for _ in range(SWEEPS):
            slope = torch.einsum("fkl,fl->fk", gram, ahead) - pull
            moved = ahead - pace[:, None] * slope
            after = moved.sign() * (moved.abs() - (pace * part * strongest)[:, None]).clamp_min(0)
            following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            ahead = after + (momentum - 1) / following * (after - weights)
            weights, momentum = after, following
        said = torch.einsum("nk,fk->fn", x, weights[:-1]) - (middle[:-1] * weights[:-1]).sum(dim=1)[:, None]
        said = said + level[:-1, None]
        tried.append((auc((said * out).sum(dim=0), marks), weights[-1].clone()))
    best = max(score for score, _ in tried)
    return next((found, score) for score, found in tried if score >= best - 1e-9)


def ridge(x: Tensor, marks: Tensor) -> tuple[Tensor, float]:
    """Return weights (K,) of ridge regression on marks, with the penalty of the best AUC, and that AUC.

    What a fit says of an example that it has not seen follows from the whole fit (Allen 1974): ``(ŷ - h·y) / (1 - h)``.
    """
    centred, y = x - x.mean(dim=0), marks - marks.mean()
    kernel = centred @ centred.T
    best: tuple[float, Tensor] | None = None
    for part in np.geomspace(30, 0.03, STRENGTHS):
        penalty = part * kernel.diagonal().mean() * torch.eye(len(kernel)).to(kernel)
        inverse = torch.linalg.inv(kernel + penalty)
        hat = kernel @ inverse + 1 / len(kernel)
        said = (hat @ y - hat.diagonal() * y) / (1 - hat.diagonal()).clamp_min(1e-9)
        score = auc(said, marks)
        if best is None or score > best[0] + 1e-9:
            best = score, centred.T @ (inverse @ y)
    assert best is not None
    return best[1], best[0]


def auc(values: Tensor, marks: Tensor) -> float:
    """Return the area under the curve: how often a value of mark 1 is above one of mark -1, ties counted half."""
    apart = values[marks > 0][:, None] - values[marks < 0][None]
    return float(((apart > 0).double() + 0.5 * (apart == 0).double()).mean())


def _folds(marks: Tensor) -> Tensor:
    """Return which examples are left out together (F, n), both sides spread evenly."""
    order = torch.cat([torch.nonzero(marks > 0)[:, 0], torch.nonzero(marks < 0)[:, 0]])
    number = torch.empty(len(marks), dtype=torch.long)
    number[order] = torch.arange(len(marks)) % min(FOLDS, len(marks))
    return number[None] == torch.arange(int(number.max()) + 1)[:, None]


def _examples(model: Generator, side: str, given: Any) -> Tensor:
    """Return marked latents as (n, w_dim) in float64: the mean of the rows of each."""
    if isinstance(given, (list, tuple)):
        parts = [_examples(model, side, each) for each in given]
        return torch.cat(parts) if parts else torch.zeros(0, model.w_dim, dtype=torch.float64)
    try:
        array = torch.as_tensor(given).detach().cpu().double()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{side} is {type(given).__name__}; give latents, such as editor.latent") from error
    if array.ndim == 3 and array.shape[1:] == (model.num_ws, model.w_dim):
        array = array.mean(dim=1)
    if array.ndim == 1 and array.shape[0] == model.w_dim:
        array = array[None]
    if array.ndim != 2 or array.shape[1] != model.w_dim:
        raise ValueError(
            f"{side} has shape {tuple(array.shape)}; latents of this model are (n, {model.num_ws}, {model.w_dim}) or "
            f"(n, {model.w_dim})"
        )
    if not bool(torch.isfinite(array).all()):
        raise ValueError(f"{side} holds NaN or infinite numbers; give latents of pictures")
    return array
