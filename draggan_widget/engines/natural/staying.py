"""What of the picture is to stay: what is outside the mask, and for a pull that is to be very local all far from it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from draggan_widget.models import Generator

LOCAL = 3e3
"""Weight of what else would change, at a locality of 1."""
NEARBY = 0.06
"""Of the picture's height: as far around a handle, about, everything may change however local it is to be."""
HELD, MASKED = 1 / 8, 1 / 4
"""Of the picture's height, how many cells high the map that is held is at least: 32 of 256; and 64 for a mask, where
the model has coarse pictures, which are held with it: features alone do not tell which of their changes will be seen,
so that finer ones bring nothing."""
PROBES = 6
"""Random sums of what is held, by whose gradients it is estimated how much each row changes it."""


def held_block(model: Generator, reading: int, *, masked: bool) -> int:
    """Return the block whose map is held: a coarse one, whose passes are cheap, and none beyond block ``reading``.

    :param masked: whether it is for a mask, or else for a pull that is to be local.
    """
    least = (MASKED if masked and model.has_previews else HELD) * model.resolution[0]
    enough = (block for block in model.blocks if model.map_size(block)[0] >= least and rows_of(model, block))
    return min(next(enough, reading), reading)


def rows_of(model: Generator, block: int) -> int:
    """Return how many rows of a latent, from the first one, a block's map depends on; 0 where that is not known."""
    return sum(model.block_of_row(row) <= block for row in range(model.num_ws))


def firmness(
    model: Generator, block: int, handles: np.ndarray, mask: np.ndarray | None, locality: float, mask_weight: float
) -> np.ndarray | None:
    """Return (h, w), how firmly each cell of a block's map is held; None if everything may move.

    :param handles: (N, 2) picture pixels, around which all may move that the mask leaves free.
    :param mask: (H, W), 1 = may move.
    """
    masked = mask is not None and mask_weight > 0 and bool((mask < 1).any())
    if not masked and not locality:
        return None
    (height, width), (rows, columns) = model.resolution, model.map_size(block)
    y, x = (np.arange(rows) + 0.5) * (height / rows) - 0.5, (np.arange(columns) + 0.5) * (width / columns) - 0.5
    away = np.hypot(x[None, None] - handles[:, 0, None, None], y[None, :, None] - handles[:, 1, None, None]).min(axis=0)
    held = LOCAL * locality**3 * (1 - np.exp(-0.5 * (away / (NEARBY * height)) ** 2))
    if masked:
        stays = 1 - F.adaptive_avg_pool2d(torch.from_numpy(np.asarray(mask, np.float64))[None, None], (rows, columns))
        held = np.maximum(held, mask_weight * stays[0, 0].numpy())
    return np.asarray(held)


def view(model: Generator, latent: Tensor, block: int) -> Tensor:
    """Return what is held of a picture (1, C, h, w): a block's features, and then its coarse picture if there is one.

    It is differentiable in ``latent`` (1, num_ws, w_dim).
    """
    features, picture = model.views(latent, block)
    return features if picture is None else torch.cat([features, picture], dim=1)


@dataclasses.dataclass(frozen=True, eq=False)
class Held:
    """How the features of a block and its coarse picture were, and how firmly they are to stay so.

    A change of either costs the mean over cells and channels of its square, in standard deviations over the map, times
    firmness; a change of both costs the mean of the two.
    """

    block: int
    """Whose view it is."""
    before: Tensor
    """(1, C, h, w), as ``view`` gives it."""
    weights: Tensor
    """(C, h, w), of the square of a change of one number."""
    stiffness: Tensor
    """(num_ws,), what a change of a row costs on the average of directions, in the metric of the latents."""

    @classmethod
    def of(cls, model: Generator, latent: Tensor, block: int, firm: np.ndarray, covariance: Tensor) -> Held:
        """Return what is held of the picture of ``latent``.

        :param firm: (h, w), as ``firmness`` gives it. :param covariance: (w_dim, w_dim), of the model's latents.
        """
        leaf = latent.detach().clone().requires_grad_()
        with torch.enable_grad():
            seen = view(model, leaf, block)
        before = seen.detach()
        drawn = model.channels if model.has_previews else 0
        parts = [part for part in torch.split(before, [before.shape[1] - drawn, drawn], dim=1) if part.numel()]
        tiny = torch.finfo(before.dtype).tiny
        counts = [part.new_full((part.shape[1],), 1 / part.numel()) / part.var().clamp(min=tiny) for part in parts]
        weights = torch.cat(counts)[:, None, None] / len(parts) * torch.from_numpy(firm).to(before)
        signs = torch.from_numpy(np.random.RandomState(0).choice([-1.0, 1.0], (PROBES, *before.shape))).to(before)
        probes = torch.stack(
            [torch.autograd.grad(seen, leaf, each * weights.sqrt(), retain_graph=True)[0][0] for each in signs]
        )
        work = torch.einsum("krd,de,kre->r", probes, covariance, probes) / PROBES
        directions = covariance.diagonal().sum().square() / covariance.square().sum()
        return cls(block, before, weights, work / directions)

    def change(self, now: Tensor) -> float:
        """Return how much has changed, as it is weighed, of ``now`` (1, C, h, w): the same view of another latent."""
        with torch.no_grad():
            return float(((now - self.before).square() * self.weights).sum())
