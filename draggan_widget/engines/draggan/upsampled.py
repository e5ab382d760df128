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
AT_HAND = 1 << 17
"""Numbers of the map looked at together, which a processor's nearer memory holds."""


def gradient_of_sum(x: Tensor, stay: Tensor) -> Tensor:
    """Return the gradient of Σ stay · |U x| by ``x``, of its shape.

    :param x: a map (1, C, h, w), without a graph. :param stay: (H, W), of numbers from 0 to 1.
    """
    scale = stay.shape[0] // x.shape[2]
    even = stay.shape == (scale * x.shape[2], scale * x.shape[3]) and scale % 2 == 0
    # Other devices are quicker at much of the same than at looking for what differs.
    return _by_gaps(x, stay, scale) if even and x.device.type == "cpu" else _by_pixels(x, stay)


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
    """A rectangle of the gaps between neighbouring cells, of which each has scale × scale pixels."""

    rows: tuple[int, int]
    """The first one and the one after the last; gap n lies before cell n."""
    columns: tuple[int, int]
    stay: Tensor
    """(rows · columns, scale²), how much each pixel stays; 0 outside the picture."""
    sums: Tensor
    """(4, rows, columns, 1), what the pixels that stay have of each corner together."""

    def corners(self, cells: Tensor) -> list[Tensor]:
        """Return the cells at the upper left, upper right, lower left and lower right, of ``cells`` (h + 2, w + 2,
        C).
        """
        (top, bottom), (left, right) = self.rows, self.columns
        return [cells[top + down : bottom + down, left + by : right + by] for down in (0, 1) for by in (0, 1)]


@functools.lru_cache(maxsize=4)
def _shares(scale: int, dtype: torch.dtype) -> Tensor:
    """Return (4, scale²), of each corner of a gap in each of its pixels."""
    across = (torch.arange(scale, dtype=dtype) + 0.5) / scale
    ends = torch.stack([1 - across, across])  # (2, scale)
    return (ends[:, None, :, None] * ends[None, :, None, :]).reshape(4, -1)


@functools.lru_cache(maxsize=4)
def _gaps(stay: Tensor, scale: int, channels: int) -> list[_Gaps]:
    """Return where something stays, in rectangles of so few gaps that processors keep them at hand."""
    # The middle of a gap is a corner of cells, and cells are as wide as gaps: so the picture is moved by half a cell.
    padded = F.pad(stay, [scale // 2] * 4)
    height, width = padded.shape[0] // scale, padded.shape[1] // scale
    pixels = padded.view(height, scale, width, scale).permute(0, 2, 1, 3).reshape(height, width, -1)
    busy = pixels.amax(dim=2) > 0
    shares, most = _shares(scale, stay.dtype), min(AT_HAND, LARGEST_UPSAMPLED // scale**2) // channels
    parts = []
    tall = max(1, most // width)
    for top in range(0, height, tall):
        bottom = min(top + tall, height)
        for first, last in _runs(busy[top:bottom].any(dim=0).tolist()):
            for left in range(first, last, max(1, most)):
                right = min(left + max(1, most), last)
                part = pixels[top:bottom, left:right].reshape(-1, scale**2)
                sums = (shares @ part.T).view(4, bottom - top, right - left, 1)
                parts.append(_Gaps((top, bottom), (left, right), part, sums))
    return parts


def _runs(flags: list[bool]) -> list[tuple[int, int]]:
    """Return where ``flags`` are set one after the other: the first one and the one after the last."""
    changes = [n for n, (a, b) in enumerate(zip([False, *flags], [*flags, False], strict=True)) if a != b]
    return list(zip(changes[::2], changes[1::2], strict=True))


def _by_gaps(x: Tensor, stay: Tensor, scale: int) -> Tensor:
    """Between cells of one sign by what is counted, between others by their pixels."""
    shares = _shares(scale, x.dtype)
    cells = F.pad(x, [1, 1, 1, 1], mode="replicate")[0].permute(1, 2, 0).contiguous()  # (h + 2, w + 2, C)
    gradient = torch.zeros_like(cells)
    for gaps in _gaps(stay, scale, x.shape[1]):
        corners = gaps.corners(cells)  # (rows, columns, C) each
        lowest = torch.minimum(torch.minimum(corners[0], corners[1]), torch.minimum(corners[2], corners[3]))
        highest = torch.maximum(torch.maximum(corners[0], corners[1]), torch.maximum(corners[2], corners[3]))
        differ = torch.minimum(highest, -lowest).view(-1).gt(0).nonzero()[:, 0]
        signs = highest.add_(lowest).sign_()
        values = torch.stack([each.reshape(-1).index_select(0, differ) for each in corners])  # (4, n)
        wide = (values.T @ shares).sign_()  # (n, scale²)
        wide *= gaps.stay.index_select(0, differ.div(x.shape[1], rounding_mode="floor"))
        found = shares @ wide.T  # (4, n)
        for corner, sums, mixed in zip(gaps.corners(gradient), gaps.sums, found, strict=True):
            corner += (signs * sums).view(-1).index_copy_(0, differ, mixed).view(signs.shape)
    # What was the border twice is one.
    gradient[1] += gradient[0]
    gradient[-2] += gradient[-1]
    gradient[:, 1] += gradient[:, 0]
    gradient[:, -2] += gradient[:, -1]
    return gradient[1:-1, 1:-1].permute(2, 0, 1)[None]
