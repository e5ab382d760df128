"""How a picture moved into another one, and what tuning left of a photograph carried along with that.

The motion is Lucas and Kanade's (1981), from coarse pictures to fine ones, in torch alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from draggan_widget.inversion.membrane import membrane

COARSEST, FINEST = 16, 256
"""Pixels of the smaller side of the coarsest pictures that are compared, and of the finest, about."""
ITERATIONS = 6
"""At each size."""
WINDOW = 7
"""Pixels each way over which a motion is taken to be the same, about."""
FIRM = 1e-3
"""Added to squared differences of neighbouring pixels (of [-1, 1]): where there are none, nothing moves."""
FARTHEST = 1.0
"""Pixels of a size by which one iteration moves anything at most."""
QUICK, FEW = 64, 3
"""As ``FINEST`` and ``ITERATIONS``, where somebody waits."""
AROUND = 9
"""Pixels of such small pictures over which colours are averaged in place of a membrane."""
SURE, UNSURE = 10 / 127.5, 30 / 127.5
"""Differences of the picture that was carried to that which it should be, up to which it is taken to have moved so, and
from which on not."""


def motion(before: Tensor, after: Tensor, iterations: int = ITERATIONS) -> Tensor:
    """Return (N, 2, H, W): how far from each pixel of ``after`` it was in ``before``, as x and y in pixels.

    :param before: (N, C, H, W) in [-1, 1], as ``after``. :param iterations: at each size.
    """
    flow = before.new_zeros(len(before), 2, 1, 1)
    whole = (before.shape[2], before.shape[3])
    sizes = [whole]
    while min(sizes[-1]) >= 2 * COARSEST:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    for size in [size for size in reversed(sizes) if min(size) <= FINEST] or sizes[-1:]:
        one, other = (F.interpolate(each, size=size, mode="area") for each in (before, after))
        grown = 1.0 if flow.shape[2] == 1 else size[1] / flow.shape[3]
        flow = F.interpolate(flow, size=size, mode="bilinear", align_corners=False) * grown
        for _ in range(iterations):
            flow = _averaged(flow + _step(moved(one, flow), other), 3)
    if flow.shape[3] != whole[1]:
        flow = F.interpolate(flow * (whole[1] / flow.shape[3]), size=whole, mode="bilinear", align_corners=False)
    return flow


def moved(picture: Tensor, flow: Tensor) -> Tensor:
    """Return a picture (N, C, H, W) read where each pixel was: as it is after a motion (N, 2, H, W)."""
    height, width = picture.shape[2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=picture.device), torch.arange(width, device=picture.device), indexing="ij"
    )
    there = torch.stack([x, y]) + flow + 0.5
    grid = torch.stack([there[:, 0] * (2 / width) - 1, there[:, 1] * (2 / height) - 1], dim=-1).to(picture)
    return F.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=False)


def carried(left: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Return what tuning ``left`` of a photograph, (N, C, H, W), where it belongs after an edit.

    Where the picture after the edit is not the one before in another place, such as teeth that came to light, there are
    no details of it, but its colours as they are all around.

    :param left: the photograph less the model's picture. :param before: that picture before the edit, of that shape, in
        [-1, 1]. :param after: the one after it.
    """
    flow = motion(before, after)
    sure = _sure(before, after, flow)
    there = moved(left, flow)
    plain = torch.stack([membrane(one, share[0] < 1) for one, share in zip(there, sure, strict=True)])
    return plain.lerp(there, sure)


def carried_quickly(left: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Return about what ``carried`` does, from pictures of some ``QUICK`` pixels: for while an edit moves."""
    height, width = whole = (before.shape[2], before.shape[3])
    share = min(1.0, QUICK / min(whole))
    size = (max(1, round(height * share)), max(1, round(width * share)))
    few, one, other = (F.interpolate(each, size=size, mode="area") for each in (left, before, after))
    flow = motion(one, other, FEW)
    sure = _sure(one, other, flow)
    surely = sure * moved(few, flow)
    plain = _averaged(surely, AROUND) / _averaged(sure, AROUND).clamp(min=1e-3)
    flow = flow * (flow.new_tensor([width / size[1], height / size[0]]).view(1, 2, 1, 1))
    flow, sure, plain = (
        F.interpolate(each, size=whole, mode="bilinear", align_corners=False) for each in (flow, sure, plain)
    )
    return plain.lerp(moved(left, flow), sure)


def _sure(before: Tensor, after: Tensor, flow: Tensor) -> Tensor:
    """Return (N, 1, H, W): 1 where ``after`` is surely ``before`` in another place, 0 where it is not."""
    apart = _averaged((moved(before, flow) - after).abs().mean(dim=1, keepdim=True), 5)
    return ((UNSURE - apart) / (UNSURE - SURE)).clamp(0, 1)


def _step(here: Tensor, wanted: Tensor) -> Tensor:
    """Return by how much (N, 2, H, W) to read ``here`` elsewhere so that it is nearer to ``wanted``."""
    padded = F.pad(here, (1, 1, 1, 1), mode="replicate")
    across = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
    down = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
    away = wanted - here
    products = [across * across, across * down, down * down, across * away, down * away]
    summed = _averaged(torch.cat([each.mean(dim=1, keepdim=True) for each in products], dim=1), WINDOW)
    xx, xy, yy, xt, yt = (summed[:, number : number + 1] for number in range(len(products)))
    xx, yy = xx + FIRM, yy + FIRM
    found = torch.cat([yy * xt - xy * yt, xx * yt - xy * xt], dim=1) / (xx * yy - xy * xy)
    return found.clamp(-FARTHEST, FARTHEST)


def _averaged(values: Tensor, width: int) -> Tensor:
    for _ in range(2):
        values = F.avg_pool2d(values, width, stride=1, padding=width // 2, count_include_pad=False)
    return values
