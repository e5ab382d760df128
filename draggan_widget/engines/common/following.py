"""How handles are followed: the spot around each, as it was grabbed and as it was seen last, is looked for.

Both count. What was grabbed keeps the handle from drifting; what was seen last is more like what is to be found when
the content has changed on a long way. A place farther from where the handle is expected must look more like them:
along an edge all places look alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.common import formulas
from draggan_widget.engines.common.formulas import LARGEST_READ
from draggan_widget.engines.common.geometry import Frame, disc
from draggan_widget.engines.common.sampling import Reader, checked

LATEST = 0.5
"""How much the spot as it was seen last counts; what remains is for the spot as it was grabbed."""
OFF, OFF_BY_STEP = 0.25, 0.7
"""How far from where it is expected a handle may well be: so much of r2, and so much of the way it should have gone."""
STRAY = 0.2
"""Of the variance of a spot: what a place so far off costs. Without it handles wander along edges."""


def spot(radius: int) -> np.ndarray:
    """Return whole-pixel offsets (K, 2) from a handle at which its spot is read; the first is the handle itself.

    :param radius: pixels that the spot reaches each way; 0 for the handle alone.
    """
    spacing = max(1, radius // 2)
    offsets = disc(radius, spacing)
    return np.asarray(offsets[np.argsort(np.square(offsets).sum(axis=1), kind="stable")])


def read_spots(read: Reader, places: np.ndarray, offsets: np.ndarray, frame: Frame) -> Tensor:
    """Return the features (N, K, C) of the spots around ``places`` (N, 2)."""
    around = frame.clamp(places[:, None] + offsets)
    found = read(around.reshape(-1, 2))
    return found.view(len(places), len(offsets), -1)


def find_spots(
    read: Reader,
    expected: np.ndarray,
    first: Sequence[Tensor],
    latest: Sequence[Tensor],
    offsets: np.ndarray,
    frame: Frame,
    ways: np.ndarray,
) -> np.ndarray:
    """Return where within ±r2 of each expected place (N, 2) the features are nearest to a spot, to part of a pixel.

    The nearest whole pixel first, then the nearest quarter of a pixel around it, then the lowest point of a parabola.
    For the pixel, a place ``off`` pixels from the expected one is farther, squared, by
    ``STRAY · s² · (off / (OFF · r2 + OFF_BY_STEP · way))²``, with s² the variance of the spot as it was grabbed.

    :param first: per point, the features (K, C) of the spot as it was grabbed. :param latest: as it was seen last.
    :param ways: (N,), pixels that each handle should have gone.
    :raises DivergedError: if a distance is not finite.
    """
    found = []
    for middle, grabbed, seen, way in zip(expected, first, latest, ways, strict=True):
        variance = float((grabbed - grabbed.mean(dim=0)).square().sum(dim=1).mean())
        stray = STRAY * variance / (OFF * frame.tracking + OFF_BY_STEP * way) ** 2
        # (1 - s)|F - a|² + s|F - b|² is least where |F - ((1 - s)a + sb)|² is.
        away = _away(read, grabbed.lerp(seen, LATEST), offsets, frame)
        nothing = torch.zeros(1, 1, dtype=torch.float64)
        rounded = torch.from_numpy(np.round(middle))[None]
        strayed = _strayed(away, middle, stray)
        pixel, least = formulas.nearest(strayed, rounded, frame.tracking, nothing, frame, 2)
        place, finest = formulas.finest(away, pixel, nothing, frame, 2)
        found.append(checked(formulas.finite(place, least, finest)))
    return np.concatenate(found)


def _strayed(away: formulas.Read, expected: np.ndarray, stray: float) -> formulas.Read:
    """Return ``away`` to whose square ``stray`` comes for each squared pixel from the ``expected`` place (2,)."""
    return lambda places: (
        away(places).square() + stray * (places - torch.from_numpy(expected)).square().sum(dim=-1, keepdim=True)
    ).sqrt()


def _away(read: Reader, wanted: Tensor, offsets: np.ndarray, frame: Frame) -> formulas.Read:
    """Return what tells how far, root mean square, the spots at places (…, 2) are from ``wanted`` (K, C), as a feature.

    As a feature of one channel, (…, 1), whose reference is 0, it is told without a copy of the features for each spot.
    """
    origin, numbers = wanted[:1], np.arange(len(offsets))
    centred = wanted - origin  # |F - f|² as products: differences from one of them lose no digits

    def away(places: Tensor) -> Tensor:
        around = frame.clamp(places.numpy()[..., None, :] + offsets)
        # Neighbouring spots share places; each is read once.
        single, which = np.unique(around[..., 0] + 1j * around[..., 1], return_inverse=True)
        parts = np.array_split(np.stack([single.real, single.imag], axis=1), -(-len(single) // LARGEST_READ))
        features = torch.cat([read(part).detach() for part in parts]) - origin  # (Q, C)
        squares = features.square().sum(dim=1)[:, None] - 2 * features @ centred.T + centred.square().sum(dim=1)
        found = squares.double().cpu().numpy()[which.reshape(around.shape[:-1]), numbers]
        return torch.from_numpy(np.sqrt(found.clip(min=0).mean(axis=-1, keepdims=True)))

    return away
