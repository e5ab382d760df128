"""How local a pull is: what else moves costs as well, as far as the local way stays a plausible one.

Of all changes that move a lip, the least one often lowers the head, or lets a beard grow. So how the rest of the
picture would change is part of what a change costs: ``xᵀΣ⁻¹x + λ|Px|²``, with the rows of P the motion of places all
over the picture, read in the mean picture of the model once and for all, but for those around the handles, and below
them how pictures come to look another (``looks``). It is a term of low rank, so that a step costs hardly more with it
than without it (Woodbury).

How much it weighs, λ, is found for each pull. A brow that goes up alone costs little more than one that takes the head
along; a nose that goes far across the face alone is like no face at all. So λ is the largest one with which the change
stays within a budget in the model's own metric, and with which what is spared is worth what it costs.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.common.geometry import Frame
from draggan_widget.engines.natural import looks
from draggan_widget.engines.natural.metric import Metric, Sparing
from draggan_widget.engines.natural.motion import Motion, Reading
from draggan_widget.engines.natural.staying import rows_of
from draggan_widget.models import Generator, all_weights, guarded, one_thread

PLACES = 8
"""Places of the picture each way whose motion is known."""
CELLS = 32
"""Cells that the map in which it is read is high at least: enough to tell a lid from a brow, and cheap."""
RADII = 12.0, 24.0
"""Pixels of a picture of 512, as the settings have them."""
NEARBY = 0.06
"""Of the picture's height: as far around a handle, about, all may move however local a pull is to be."""
BUDGET, TIMES = 13.0, 6.0
"""At a locality of one half: what a change may cost to be local, for each handle, in the metric: so much on the
geometric mean of what it costs anyway and of what it costs to be local, and so many times what it costs anyway."""
DEARER, GAIN = 0.3, 0.3
"""By what part a change that costs more than that all the same may become dearer to be local, at a locality of one
half, and by how much of what it brings: if half as much else moves, by no more than a factor of 2 to that power."""
FLAT, SHARE = 0.15, 1.3
"""By what part the product of what a change costs and of how much else moves, to the power of the latter, may be above
its least, where the one has grown as much as the other has shrunk; likewise. A change may become dearer by the former
whatever it brings."""
WEIGHTS, FINER = np.geomspace(0.01, 100.0, 33), 9
"""λ that are tried, where 1 makes what else moves cost as much as the metric; and how many between two of them."""


def places(resolution: tuple[int, int]) -> np.ndarray:
    """Return the places (N, 2) in a picture (H, W) whose motion is known, in picture pixels."""
    height, width = resolution
    shares = (np.arange(PLACES) + 0.5) / PLACES
    x, y = np.meshgrid(shares * width - 0.5, shares * height - 0.5)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def reading_block(model: Generator, finest: int) -> int:
    """Return the block in which the motion of the rest is read: a coarse one, none beyond ``finest``."""
    enough = (block for block in model.blocks if model.map_size(block)[0] >= CELLS)
    return min(next(enough, finest), finest)


def rest_of(model: Generator, label: int | None, finest: int) -> Tensor:
    """Return how places of the model's mean picture move with the latent, and how pictures come to look another.

    It is (2N + M, rows, w_dim) in float64; M is 0 for models without coarse pictures, in which looks are read. They
    are scaled so as to count as much more than motion as ``looks.DEAR`` says, and motion by what there is to see: a
    place with nothing on it moves as it likes, and counts the less for it. It is computed once a model (and class),
    and later comes from memory or from a file in the user's cache folder. A tuned copy has that of the model it was
    made of, for the faces around its pivot move alike, and it would be another one with each step of tuning.
    """
    for _ in prepared(model, label, finest):
        pass
    model, block, rows = _read_of(model, finest)
    found = model.mapped.known(model, rest_name(block, label), weights=all_weights)
    assert found is not None
    return found.view(-1, rows, model.w_dim)


def prepared(model: Generator, label: int | None, finest: int) -> Iterator[float]:
    """Do what ``rest_of`` does the first time, and yield after each part of it how much is done, 0 … 1.

    Nothing is yielded where it is known already. It may be left at any part, and is then begun anew.
    """
    model, block, rows = _read_of(model, finest)
    name = rest_name(block, label)
    if model.mapped.known(model, name, weights=all_weights) is not None:
        return
    parts = []
    for share, part in _measured(model, label, block, rows):
        parts.append(part)
        yield share
    made = _scaled(torch.stack(parts), model.space.metric(label).covariance)
    found = made if bool(torch.isfinite(made).all()) else torch.zeros_like(made)
    model.mapped.get(model, name, lambda: found.view(-1, model.w_dim), weights=all_weights)


def _scaled(rows: Tensor, covariance: Tensor) -> Tensor:
    """Return rows, of which those of looks count as they should beside the mean of what places move."""
    with one_thread():
        spread = (rows @ covariance * rows).sum(dim=(1, 2))
    motion, seen = float(spread[: 2 * PLACES**2].sum()) / PLACES**2, float(spread[2 * PLACES**2 :].sum())
    scale = looks.DEAR * (motion / seen) ** 0.5 if motion > 0 and seen > 0 else 0.0
    return torch.cat([rows[: 2 * PLACES**2], scale * rows[2 * PLACES**2 :]])


def _read_of(model: Generator, finest: int) -> tuple[Generator, int, int]:
    """Return whose motion it is, the block that it is read in, and how many rows of the latent come there."""
    model = model.mapped.untuned(model)
    block = reading_block(model, finest)
    return model, block, rows_of(model, block) or model.num_ws


def rest_name(block: int, label: int | None = None) -> str:
    """Return the name of the array that ``rest_of`` gives, of a block and class."""
    return f"rest{PLACES}-{looks.LOOKS}-{block}" + ("" if label is None else f"-{label}")


def _measured(model: Generator, label: int | None, block: int, rows: int) -> Iterator[tuple[float, Tensor]]:
    """Yield how much is done, and the next rows (rows, w_dim): what all places do, and then how pictures look."""
    motion, counts = _reading(model, label, block)
    ways: list[Tensor] = []
    whole = len(counts) + (looks.LOOKS if model.has_previews else 0)
    for number, count in enumerate(counts):
        ways.append(_way(motion, number, rows))
        yield len(ways) / whole, count * ways[-1]
    if model.has_previews:
        seen = looks.measured(model, label, block, torch.stack(ways).view(-1, 2, rows, model.w_dim), PLACES)
        for number in range(looks.LOOKS):
            yield (len(ways) + number + 1) / whole, _next(seen)


@guarded
def _reading(model: Generator, label: int | None, block: int) -> tuple[Motion, Tensor]:
    """Return the motion of all places of the mean picture, and how much each row of it counts (2N,)."""
    like = next(model.parameters())
    mean = model.space.metric(label).mean.to(like).expand(1, model.num_ws, -1)
    where = places(model.resolution)
    with one_thread():
        leaf = mean.clone().requires_grad_()
        model.maps(leaf, (block,))
        reading = Reading(model, block, Frame.of(model.resolution, *RADII))
        motion = reading.motion(leaf, where, reading.ahead(where))
        texture = motion.texture.double().cpu()
        tiny = torch.finfo(torch.float32).tiny
        return motion, (texture / (texture + texture.median() + tiny)).sqrt().repeat_interleave(2)


@guarded
def _way(motion: Motion, number: int, rows: int) -> Tensor:
    with one_thread():
        return motion.jacobian(number, number + 1)[0, :rows].double().cpu()


@guarded
def _next(seen: Iterator[Tensor]) -> Tensor:
    with one_thread():
        return next(seen)


@dataclasses.dataclass(frozen=True, eq=False)
class Rest:
    """What else moves, besides what is around some handles, in a metric."""

    metric: Metric
    rows: Tensor
    """(2N + M, rows, w_dim), of ``rest_of``."""
    resolution: tuple[int, int]
    starts: np.ndarray
    """(M, 2), where handles were put, in picture pixels."""

    @functools.cached_property
    def sparing(self) -> Sparing:
        """The term of the metric, before it is weighed."""
        where, height = places(self.resolution), self.resolution[0]
        away = np.hypot(*(where[:, None] - self.starts).transpose(2, 0, 1)).min(axis=1)
        counts = np.sqrt((1 - np.exp(-0.5 * (away / (NEARBY * height)) ** 2)) / len(where))
        counts = np.pad(np.repeat(counts, 2), (0, len(self.rows) - 2 * len(where)), constant_values=1.0)
        return Sparing.of(self.metric, self.rows * torch.from_numpy(counts).to(self.rows)[:, None, None])

    def weight(self, jacobian: Tensor, wanted: Tensor, locality: float, damping: float, room: float = 1.0) -> float:
        """Return λ: as local as a pull may be.

        :param jacobian: J (2M, num_ws, w_dim) of the handles. :param wanted: (2M,), how far the whole change takes
            them, in float64. :param locality: from 0, for none; above one half it is as there. :param room: how many
            times as much it may cost as the metric of all latents lets it.
        """
        if not locality:
            return 0.0
        spread = self.metric.spread(jacobian)
        system = torch.einsum("krd,lrd->kl", spread, jacobian).double()
        seen = torch.einsum("krd,lrd->kl", self.sparing.directions, jacobian.to(self.sparing.directions)).double()
        values = self.sparing.values

        def costs(weights: Tensor) -> tuple[Tensor, Tensor]:
            """Return what changes with each of the weights (L,) cost in the metric, and how much else moves."""
            factors = 1 + weights[:, None] * values
            systems = system - torch.einsum("ki,lk,kj->lij", seen, weights[:, None] / factors, seen)
            ridges = damping * systems.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None]
            solved = torch.linalg.solve(systems + ridges * torch.eye(len(system)).to(system), wanted)
            moved = solved @ seen.T
            spared = ((1 - factors**-2) / values * moved.square()).sum(dim=1)
            whole = torch.einsum("li,ij,lj->l", solved, system, solved)
            return whole - spared, (moved / factors).square().sum(dim=1)

        nothing = torch.zeros(1).to(system)
        cost, rest = (float(each) for each in costs(nothing))
        if not (rest > 0 and cost > 0 and np.isfinite(cost / rest)):
            return 0.0
        odds = min(room * locality / (1 - min(locality, 0.5)), 1.0)
        budget, dearer, flat = BUDGET * odds * len(wanted) / 2, 1 + DEARER * odds, 1 + FLAT * odds
        most = min(budget**2 / cost, (1 + (TIMES - 1) * odds) * cost)
        best, least, tried = 0.0, cost * rest**SHARE, torch.from_numpy(WEIGHTS).to(system) * (cost / rest)
        for _ in range(2):
            dear, moves = costs(tried)
            products = dear * moves**SHARE
            leasts = torch.cummin(torch.cat([nothing + least, products]), dim=0).values[1:]
            worth = cost * ((rest / moves) ** (GAIN * odds)).clamp(max=dearer)
            fine = (
                torch.isfinite(products)
                & ((dear <= most) | (dear <= worth) | (dear <= flat * cost))
                & (products <= flat * leasts)
            )
            count = int(fine.int().cumprod(dim=0).sum())
            if count == len(tried):
                return float(tried[-1])
            if count:
                best, least = float(tried[count - 1]), float(leasts[count - 1])
            tried = torch.linspace(best, float(tried[count]), FINER + 1)[1:].to(system)
        return best
