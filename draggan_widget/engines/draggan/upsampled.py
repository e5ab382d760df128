"""Σ stay · |U x| over the pixels of a picture, where U upsamples a map bilinearly: its gradient without the picture.

The sum is linear in x wherever the signs of U x stay. Between four neighbouring cells all signs are equal unless those
of the cells differ. So only between cells of different signs are there pixels to look at; all others are counted once
a mask.
"""

from __future__ import annotations

import dataclasses
import functools

import torch
import torch.nn.functional as F
from torch import Tensor

LARGEST_UPSAMPLED = 1 << 24
"""Numbers of the upsampled map held at once (64 MiB in float32)."""


def gradient_of_sum(x: Tensor, stay: Tensor) -> Tensor:
    """The gradient of Σ stay · |U x| by ``x``, of its shape.

    :param x: a map (1, C, h, w), without a graph. :param stay: (H, W), of numbers from 0 to 1.
    """
    scale = stay.shape[0] // x.shape[2]
    even = stay.shape == (scale * x.shape[2], scale * x.shape[3]) and scale % 2 == 0
    # Other devices are quicker at much of the same than at looking for what differs.
    return _by_gaps(x, _gaps(stay, scale)) if even and x.device.type == "cpu" else _by_pixels(x, stay)


def _by_pixels(x: Tensor, stay: Tensor) -> Tensor:
    """By upsampling a few channels at a time."""
    parts = []
    for part in torch.split(x, max(1, LARGEST_UPSAMPLED // stay.numel()), dim=1):
        part = part.detach().requires_grad_()
        with torch.enable_grad():
            wide = F.interpolate(part, size=stay.shape, mode="bilinear", align_corners=False)
            total = (wide * stay).abs().sum()
        parts.append(torch.autograd.grad(total, part)[0])
    return torch.cat(parts, dim=1)


@dataclasses.dataclass(frozen=True, eq=False)
class _Gaps:
    """The pixels between neighbouring cells, scale × scale a gap; outside its border the picture does not stay."""

    busy: Tensor
    """(h + 1, w + 1, 1), where something stays."""
    stay: Tensor
    """((h + 1) · (w + 1), scale²), how much each pixel does."""
    shares: Tensor
    """(4, scale²), of each corner in each pixel: upper left, upper right, lower left, lower right."""
    sums: Tensor
    """(4, h + 1, w + 1, 1), what the pixels that stay have of each corner together."""


@functools.lru_cache(maxsize=4)
def _gaps(stay: Tensor, scale: int) -> _Gaps:
    # The middle of a gap is a corner of cells, and cells are as wide as gaps: so the picture is moved by half a cell.
    padded = F.pad(stay, [scale // 2] * 4)
    height, width = padded.shape[0] // scale, padded.shape[1] // scale
    pixels = padded.view(height, scale, width, scale).permute(0, 2, 1, 3).reshape(height * width, -1).contiguous()
    across = (torch.arange(scale, dtype=stay.dtype) + 0.5) / scale
    ends = torch.stack([1 - across, across])  # (2, scale)
    shares = torch.einsum("ay,bx->abyx", ends, ends).reshape(4, -1)
    sums = (shares @ pixels.T).view(4, height, width, 1)
    return _Gaps((pixels.amax(dim=1) > 0).view(height, width, 1), pixels, shares, sums)


def _by_gaps(x: Tensor, gaps: _Gaps) -> Tensor:
    """Between cells of one sign by what is counted, between others by their pixels."""
    height, width, channels = x.shape[2], x.shape[3], x.shape[1]
    cells = F.pad(x, [1, 1, 1, 1], mode="replicate")[0].permute(1, 2, 0)  # (h + 2, w + 2, C), the border twice
    corners = [cells[row : height + 1 + row, column : width + 1 + column] for row in (0, 1) for column in (0, 1)]
    lowest = torch.minimum(torch.minimum(corners[0], corners[1]), torch.minimum(corners[2], corners[3]))
    highest = torch.maximum(torch.maximum(corners[0], corners[1]), torch.maximum(corners[2], corners[3]))
    differ = ((lowest < 0) & (highest > 0) & gaps.busy).contiguous()
    numbers = differ.view(-1).nonzero()[:, 0]
    signs = lowest.add_(highest).sign_().contiguous()  # (h + 1, w + 1, C)
    found = torch.empty(4, len(numbers), dtype=x.dtype)
    values = [each.reshape(-1)[numbers] for each in corners]
    step = max(1, LARGEST_UPSAMPLED // gaps.shares.shape[1])
    for begin in range(0, len(numbers), step):
        part = slice(begin, begin + step)
        wide = torch.stack([each[part] for each in values], dim=1) @ gaps.shares  # (n, scale²)
        wide = wide.sign_().mul_(gaps.stay[numbers[part] // channels])
        found[:, part] = gaps.shares @ wide.T
    gradient = torch.zeros_like(cells)
    for number, (row, column) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        of_corner = signs * gaps.sums[number]
        of_corner.view(-1)[numbers] = found[number]
        gradient[row : height + 1 + row, column : width + 1 + column] += of_corner
    # What was the border twice is one.
    gradient[1] += gradient[0]
    gradient[-2] += gradient[-1]
    gradient[:, 1] += gradient[:, 0]
    gradient[:, -2] += gradient[:, -1]
    return gradient[1:-1, 1:-1].permute(2, 0, 1)[None]
