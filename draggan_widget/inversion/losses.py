"""How unlike two pictures are, without a network: what inversion makes small, and what it reports.

Pictures are (1, C, H, W) in [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

EVEN = {1: 1.0, 2: 1.0, 4: 1.0, 8: 1.0, 16: 1.0}
"""Pixels that are averaged before pictures are compared, and how much that counts: where things are matters as much as
what they look like."""
FINE = {1: 2.0, 2: 1.0, 4: 0.5, 8: 0.5}
"""The same where all is in its place already, and details are wanted."""
EDGES_UP_TO = 4
"""Of these pixels, up to which neighbouring ones' differences count too."""
EDGES = 0.5
"""How much such a difference counts."""
WINDOW, SIGMA = 11, 1.5
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of MS-SSIM's scales (Wang, Simoncelli and Bovik, 2003)."""


def unlikeness(picture: Tensor, wanted: Tensor, scales: Mapping[int, float] = EVEN) -> Tensor:
    """Return the mean absolute difference, summed over ``scales``, and that of neighbouring pixels' differences.

    It is no perceptual distance: it asks for the colours first, then for edges where they are.

    :param scales: pixels that are averaged → how much their differences count, the finest first.
    """
    total = picture.new_zeros(())
    for scale, weight in scales.items():
        if min(picture.shape[2:]) < 2 * scale:
            break
        one, other = (F.avg_pool2d(each, scale) if scale > 1 else each for each in (picture, wanted))
        away = one - other
        total = total + weight * away.abs().mean()
        if scale <= EDGES_UP_TO:
            total = total + weight * EDGES * (away.diff(dim=2).abs().mean() + away.diff(dim=3).abs().mean())
    return total


def psnr(picture: Tensor, wanted: Tensor) -> float:
    """Return the peak signal to noise ratio in dB, the peak being 2; clamped to [-1, 1] first."""
    error = float((picture.clamp(-1, 1) - wanted.clamp(-1, 1)).double().square().mean())
    return 10 * math.log10(4 / max(error, 1e-12))


def ms_ssim(picture: Tensor, wanted: Tensor) -> float:
    """Return the multi-scale structural similarity, at most 1 (Wang, Simoncelli and Bovik, 2003).

    Scales at which the window does not fit are left out, and the weights of the others add up to 1.
    """
    one, other = ((each.clamp(-1, 1).double() + 1) / 2 for each in (picture, wanted))
    places = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    bell = torch.exp(-places.square() / (2 * SIGMA**2))
    bell = (bell / bell.sum()).to(one.device)
    terms, weights = [], []
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            one, other = F.avg_pool2d(one, 2), F.avg_pool2d(other, 2)
        if min(one.shape[2:]) < WINDOW:
            break
        luminance, contrast = _ssim(one, other, bell)
        last = scale == len(WEIGHTS) - 1 or min(one.shape[2:]) // 2 < WINDOW
        terms.append((luminance * contrast if last else contrast).mean().clamp(min=1e-6))
        weights.append(weight)
    if not terms:
        raise ValueError(f"pictures of {picture.shape[3]} × {picture.shape[2]} px are too small for MS-SSIM")
    return float(
        torch.stack([term ** (weight / sum(weights)) for term, weight in zip(terms, weights, strict=True)]).prod()
    )


def _ssim(one: Tensor, other: Tensor, bell: Tensor) -> tuple[Tensor, Tensor]:
    """Return the terms of luminance, and of contrast and structure, of pictures in [0, 1]."""
    channels = one.shape[1]

    def blurred(values: Tensor) -> Tensor:
        rows = bell.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
        columns = bell.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
        return F.conv2d(F.conv2d(values, rows, groups=channels), columns, groups=channels)

    mean, mean2 = blurred(one), blurred(other)
    variance, variance2 = blurred(one * one) - mean**2, blurred(other * other) - mean2**2
    together = blurred(one * other) - mean * mean2
    few, some = 0.01**2, 0.03**2
    luminance = (2 * mean * mean2 + few) / (mean**2 + mean2**2 + few)
    return luminance, (2 * together + some) / (variance + variance2 + some)
