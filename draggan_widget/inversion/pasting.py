"""An edited picture back into the photograph that it was cut from.

Where nothing moved the photograph keeps its own pixels, plus what the edit changed: so what the model could not
fit stays as it was. Where something moved, the model's picture is taken whole, and what it could not fit is carried
along. If the two do not meet along the border, it is pasted in the gradient domain, so that none shows.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from draggan_widget.inversion.alignment import Square, as_tensor, crop, sample, samples_for
from draggan_widget.inversion.membrane import membrane
from draggan_widget.inversion.motion import carried

EDGE = 0.06
"""Of the side: how wide the seam at a crop's edge is."""
MOVED = 8.0
"""Of 255: by how much a pixel changes, averaged over colours, where something has moved."""
BORDER = 4.0
"""Of 255: the mean mismatch along a border from which on it would show."""
AVERAGED = 5
"""Pixels each way over which a mismatch is averaged, so that single hairs are none."""
REACH, SOFT = 0.03, 0.025
"""Of the side: how far around such a pixel the model's picture is taken, and how soft that ends."""


def paste(
    photo: Image.Image,
    square: Square,
    edited: Image.Image,
    unedited: Image.Image | None = None,
    mask: np.ndarray | None = None,
    *,
    residual: bool = True,
) -> Image.Image:
    """Return the photograph with an edited crop in its place. Where the edit changed nothing it is the same to the bit.

    :param photo: RGB. :param square: where the crop was cut. :param edited: of the model's size.
    :param unedited: the model's picture before the edit, of that size. None: the edited crop is pasted whole.
    :param mask: (H, W) of the model's size, 0 … 1, 1 = may change; outside it no pixel does.
    :param residual: carry along, where something moved, what the unedited picture lacks of the photograph.
    :raises ValueError: for pictures or a mask of different sizes.
    """
    size = edited.size
    height, width = size[1], size[0]
    if unedited is not None and unedited.size != size:
        raise ValueError(
            f"the edited picture is {_said(size)} and the unedited one {_said(unedited.size)}; give two alike"
        )
    may = torch.ones(height, width) if mask is None else torch.as_tensor(np.asarray(mask), dtype=torch.float32)
    if tuple(may.shape) != (height, width):
        raise ValueError(
            f"the mask is {_said((may.shape[-1], may.shape[0]))}, the picture {_said(size)}; give two alike"
        )
    after = as_tensor(edited.convert("RGB"))[0]
    # A pixel next to one that must not change has none of the weight, or resampling would carry it across.
    may = -F.max_pool2d(-may.clamp(0, 1)[None], 3, stride=1, padding=1)[0]
    weight = _seam(height, width) * may
    if unedited is None:
        change, whole = torch.zeros_like(after), weight.new_ones(height, width)
        after = after + _joined(as_tensor(crop(photo, square, size[::-1]))[0] - after, may)
    else:
        change = after - as_tensor(unedited.convert("RGB"))[0]
        whole = _around_moved(change)
        if bool(whole.any()):
            there = as_tensor(crop(photo, square, size[::-1]))[0]
            before = after - change
            if residual:
                after = after + 127.5 * carried(*((each / 127.5)[None] for each in (there - before, before, after)))[0]
            after = after + _joined(there - (after - change), whole * may)
    left, upper, right, lower = _box(square, photo.size, (height, width))
    if left >= right or upper >= lower:
        return photo.copy()
    fine = samples_for(height / square.size)
    x, y = np.meshgrid(
        left - 0.5 + (np.arange((right - left) * fine) + 0.5) / fine,
        upper - 0.5 + (np.arange((lower - upper) * fine) + 0.5) / fine,
    )
    there = torch.from_numpy(_in_crop(np.stack([x, y], axis=-1), square, (height, width))).float()
    # Weights are read bilinearly: what is outside the mask stays 0 to the bit.
    weight, whole = sample(torch.stack([weight, whole])[None], there, "zeros", "bilinear")[0]
    change, after = sample(torch.stack([change, after]), there, "reflection")
    terms = torch.cat([(weight * whole)[None], weight * ((1 - whole) * change + whole * after)])  # (1 + 3, h, w)
    terms = F.avg_pool2d(terms, fine)
    here = as_tensor(photo.crop((left, upper, right, lower)))[0]
    made = here * (1 - terms[:1]) + terms[1:]
    pixels = made.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    result = photo.copy()
    result.paste(Image.fromarray(pixels), (left, upper))
    return result


def _in_crop(xy: np.ndarray, square: Square, resolution: tuple[int, int]) -> np.ndarray:
    """Return where positions (…, 2) of the photograph are in a crop of ``resolution`` (H, W)."""
    height, width = resolution
    turn = height / square.size * np.exp(-1j * np.radians(square.angle))
    away = ((xy - [square.x, square.y]) @ np.array([1, 1j])) * turn
    return np.stack([away.real + (width - 1) / 2, away.imag + (height - 1) / 2], axis=-1)


def _box(square: Square, size: tuple[int, int], resolution: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the pixels of the photograph that a crop touches: left, upper, right, lower."""
    corners = square.corners(resolution)
    (left, upper), (right, lower) = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0)) + 1
    return max(0, int(left)), max(0, int(upper)), min(size[0], int(right)), min(size[1], int(lower))


def _seam(height: int, width: int) -> Tensor:
    """Return (H, W) weights: 1 inside, softly 0 at the edges."""
    reach = max(1.0, EDGE * min(height, width))
    near = [torch.minimum(torch.arange(n) + 0.5, n - 0.5 - torch.arange(n)) / reach for n in (height, width)]
    down, across = ((n.clamp(0, 1) ** 2) * (3 - 2 * n.clamp(0, 1)) for n in near)
    return down[:, None] * across[None]


def _around_moved(change: Tensor) -> Tensor:
    """Return (H, W), softly 1 where and around where a change (C, H, W) is large."""
    side = min(change.shape[1:])
    moved = (change.abs().mean(dim=0) > MOVED).float()[None, None]
    reach, soft = max(1, round(REACH * side)), max(1, round(SOFT * side))
    grown = F.max_pool2d(moved, 2 * reach + 1, stride=1, padding=reach)
    for _ in range(2):
        grown = F.avg_pool2d(grown, 2 * soft + 1, stride=1, padding=soft, count_include_pad=False)
    return grown[0, 0]


def _joined(mismatch: Tensor, taken: Tensor) -> Tensor:
    """Return what to add to a picture that is ``taken`` (H, W) so that it meets the photograph; often nothing.

    :param mismatch: (C, H, W), by how much the photograph is more than it, where nothing moved.
    """
    region = taken > 0
    edges = torch.ones_like(region)
    edges[1:-1, 1:-1] = False
    region &= ~edges  # or a picture that is taken whole would have no border
    border = (F.max_pool2d(region.float()[None], 3, stride=1, padding=1)[0] > 0) & ~region
    if not bool(border.any()):
        return torch.zeros_like(mismatch)
    pads = AVERAGED // 2
    mismatch = F.avg_pool2d(mismatch[None], AVERAGED, stride=1, padding=pads, count_include_pad=False)[0]
    if float(mismatch[:, border].abs().mean()) <= BORDER:
        return torch.zeros_like(mismatch)
    return membrane(mismatch, region)


def _said(size: tuple[int, int]) -> str:
    return f"{size[0]} × {size[1]}"
