"""What of the picture is to stay: all outside the mask."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from draggan_widget.models import Generator

HELD = 1 / 8
"""Of the picture's height, how many cells high the map that is held is at least: 32 of 256."""
PROBES = 6
"""Random sums of what is held, by whose gradients it is estimated how much each row changes it."""


def held_block(model: Generator, reading: int) -> int:
    """Return the block whose map is held: a coarse one, whose passes are cheap, and none beyond block ``reading``."""
    least = HELD * model.resolution[0]
    enough = (block for block in model.blocks if model.map_size(block)[0] >= least and rows_of(model, block))
    return min(next(enough, reading), reading)


def rows_of(model: Generator, block: int) -> int:
    """Return how many rows of a latent, from the first one, a block's map depends on; 0 where that is not known."""
    return sum(model.block_of_row(row) <= block for row in range(model.num_ws))


def firmness(model: Generator, block: int, mask: np.ndarray | None, mask_weight: float) -> np.ndarray | None:
    """Return (h, w), how firmly each cell of a block's map is held; None if everything may move.

    :param mask: (H, W), 1 = may move.
    """
    if mask is None or mask_weight <= 0 or not (mask < 1).any():
        return None
    whole = torch.from_numpy(np.asarray(mask, np.float64))[None, None]
    return np.asarray(mask_weight * (1 - F.adaptive_avg_pool2d(whole, model.map_size(block))[0, 0].numpy()))


@dataclasses.dataclass(frozen=True, eq=False)
class Held:
    """How the features of a block were, and how firmly they are to stay so.

    A change costs the mean over cells and channels of its square, in standard deviations over the map, times firmness.
    """

    block: int
    """Whose map it is."""
    before: Tensor
    """(1, C, h, w)."""
    weights: Tensor
    """(h, w), of the square of a change of one number."""
    stiffness: Tensor
    """(num_ws,), what a change of a row costs on the average of directions, in the metric of the latents."""

    @classmethod
    def of(cls, model: Generator, latent: Tensor, block: int, firm: np.ndarray, covariance: Tensor) -> Held:
        """Return what is held of the picture of ``latent``.

        :param firm: (h, w), as ``firmness`` gives it. :param covariance: (w_dim, w_dim), of the model's latents.
        """
        leaf = latent.detach().clone().requires_grad_()
        with torch.enable_grad():
            (features,) = model.feature_maps(leaf, [block])
        before = features.detach()
        variance = before.var().clamp(min=torch.finfo(before.dtype).tiny)
        weights = torch.from_numpy(firm).to(before) / (variance * before.numel())
        signs = torch.from_numpy(np.random.RandomState(0).choice([-1.0, 1.0], (PROBES, *before.shape))).to(before)
        probes = torch.stack(
            [torch.autograd.grad(features, leaf, each * weights.sqrt(), retain_graph=True)[0][0] for each in signs]
        )
        work = torch.einsum("krd,de,kre->r", probes, covariance, probes) / PROBES
        directions = covariance.diagonal().sum().square() / covariance.square().sum()
        return cls(block, before, weights, work / directions)

    def change(self, now: Tensor) -> float:
        """Return how much has changed, as it is weighed: of the features ``now`` (1, C, h, w), of the same block."""
        with torch.no_grad():
            return float(((now - self.before).square() * self.weights).sum())
