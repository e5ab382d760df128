"""Pictures as those networks take them that read numbers or places off pictures."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def as_input(pictures: np.ndarray) -> Tensor:
    """Pictures ``(n, h, w, 3)`` uint8 as the network takes them."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def roughened(pictures: Tensor, draw: np.random.Generator) -> Tensor:
    """Pictures a little blurred and lighter or darker: a generator's are never quite as sharp as renders."""
    if draw.random() < 0.6:
        share = float(draw.random())
        pictures = pictures.lerp(F.avg_pool2d(pictures, 3, 1, 1, count_include_pad=False), share)
    shift = torch.from_numpy(draw.normal(0, 0.02, (len(pictures), 3, 1, 1)).astype("f4"))
    return pictures + shift + 0.02 * torch.randn_like(pictures)
