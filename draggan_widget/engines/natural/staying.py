"""What else of the picture may change: the mask, and the wish for local changes, as one term."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from draggan_widget.models import Generator

SKETCHED = 48
"""Random projections of what is to stay."""
LOCAL = 3e4
"""Weight of what else would change, at a locality of 1."""
NEARBY = 0.06
"""Of the picture's height: as far around a handle, about, everything may change however local it is to be."""


def stiffness(
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


def projections(model: Generator, latent: Tensor, block: int, held: np.ndarray) -> Tensor:
    """Return S (m, num_ws, w_dim), random projections of how the features of a block change with the latent.

    For any change of the latent, ``‖S·change‖²`` is on average the mean of the squared changes of the features, in
    standard deviations over the map, times ``held`` (Johnson and Lindenstrauss 1984). They are always the same ones.

    :param held: (h, w), the weight of each cell.
    """
    leaf = latent.detach().clone().requires_grad_()
    random = np.random.RandomState(0)
    with torch.enable_grad():
        (feature_map,) = model.feature_maps(leaf, [block])
        features = feature_map[0]
        spread = features.detach().std().clamp(min=torch.finfo(features.dtype).tiny)
        each = torch.from_numpy(np.sqrt(held / SKETCHED / features[0].numel())).to(features) / spread
        rows = []
        for number in range(SKETCHED):
            signs = torch.from_numpy(random.choice(np.array([-1, 1], np.int8), size=tuple(features.shape))).to(features)
            rows.append(torch.autograd.grad(features, leaf, signs * each, retain_graph=number < SKETCHED - 1)[0][0])
    return torch.stack(rows)
