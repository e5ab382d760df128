"""Whether a handle can be told from what is around it, and how surely a tracked one was found.

Tracking looks for the features of a handle within r2 of it. Where these are nearly the same all around, as on a cheek
or a plain background, any place there will do as well, and the handle is lost. Both measures here compare distances
between features, so they have no units and mean the same for every generator.
"""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.common.scaling import scales_of
from draggan_widget.engines.draggan.methods import blocks_of, frame_of

if TYPE_CHECKING:
    from draggan_widget.engines.common.geometry import Frame
    from draggan_widget.engines.draggan.state import DragState
    from draggan_widget.engines.edit import XY
    from draggan_widget.models import Generator

FLAT = 0.09
"""Distinctness below which a place is flat.

Measured on 30 of the built-in faces, 10th, 50th and 90th percentiles: background 0.01, 0.03, 0.04; foreheads 0.06,
0.08, 0.09; jaws 0.07, 0.09, 0.12; chins 0.08, 0.10, 0.13; cheeks 0.08, 0.10, 0.13; mouth corners 0.18, 0.20, 0.23;
nostrils 0.21, 0.23, 0.25; outer eye corners 0.32, 0.36, 0.38.

How well such places are tracked was measured by tracking them to another face and back, 16 latents on the way, and
looking how far from the beginning they end: 36 faces, 20 places of each. More than 3 px (of 256) off were 38 % of those
below 0.09, 16 % from 0.09 to 0.13, 8 % from 0.13 to 0.16, and 1 % above.
"""
CLEAR = 0.16
"""Distinctness above which a place is offered instead of a flat one.

On 60 faces, tracked as above, 25 % of the flat places of the head and none of those offered for them ended more than
3 px off, in the background 74 % and none; of the places of the head that were not flat, 5 %.
"""
DIRECTIONS = 16
"""Places on the ring around a handle."""
STEP = 2 / 3
"""In r2: how far apart the rings are on which a better spot is looked for."""
RINGS = (0, 3, 6, 15)
"""Up to which of them one is looked for at once; beyond, only where there is none so near. The last is 10·r2 away.

For the 153 flat ones of 540 places of the head, on 60 of the built-in faces, a better spot was found within 2, 4, 5, 6,
8 and 10·r2 for 10, 73, 86, 99, 100 and 100 %; for 180 of the background for 0, 0, 0, 1, 3 and 21 %, since there is
seldom one near. A look takes a processor 57 ms, instead of 51 where the handle is not flat.
"""
TINY = 1e-30
"""Distances between features below it are none."""
PAIRS = 128
"""Pairs of random places by which the typical difference of a picture is found."""


def texture(generator: Generator, state: DragState, number: int) -> tuple[bool, XY | None]:
    """Return whether the handle of point ``number`` sits where the features are too even, and the nearest spot that is
    better.

    :returns: flat, and the nearest place (x, y) in picture pixels within 10·r2 of the handle that is clearly not flat,
        of those on rings 2/3·r2 apart; None if there is none, or if none is needed. :raises ValueError: for an unknown
        number.
    """
    handle = np.array(state.point(number).handle)
    typical = _typical(generator, state)
    if float(_apart(generator, state, handle[None])[0]) >= FLAT * typical:
        return False, None
    frame = frame_of(state.config, state.resolution)
    for inner, outer in itertools.pairwise(RINGS):
        lengths = STEP * frame.tracking * np.arange(inner + 1, outer + 1)
        around = (handle + lengths[:, None, None] * _circle()).reshape(-1, 2)  # nearest first
        around = around[frame.contains(around)]
        if not len(around):
            break
        good = np.flatnonzero(_apart(generator, state, around) >= CLEAR * typical)
        if len(good):
            x, y = around[good[0]]
            return True, (float(x), float(y))
    return True, None


def distinctness(generator: Generator, state: DragState, xy: np.ndarray) -> np.ndarray:
    """Return how much features at places ``xy`` (P, 2) differ from those around them: (P,), 0 where they do not at all.

    It is the least ‖F(q) - F(p)‖₂ on a ring of radius r2 around p, divided by the picture's typical difference: a place
    that is like another one near it, along an outline say, is taken for that one sooner or later. Typical is the root
    mean square of ‖F(a) - F(b)‖₂ over random pairs of places (a median would be next to nothing where most of the
    picture is plain). F is read as tracking reads it, from the latent of ``state``.
    """
    return _apart(generator, state, np.asarray(xy, dtype=np.float64)) / _typical(generator, state)


def _apart(generator: Generator, state: DragState, middles: np.ndarray) -> np.ndarray:
    """Return the least ‖F(q) - F(p)‖₂ on the ring around each p of ``middles`` (P, 2): (P,)."""
    frame = frame_of(state.config, state.resolution)
    around = frame.clamp(middles[:, None] + frame.tracking * _circle())  # (P, DIRECTIONS, 2)
    features = _read(generator, state, np.concatenate([middles[:, None], around], axis=1).reshape(-1, 2))
    features = features.view(len(middles), 1 + DIRECTIONS, -1)
    return np.asarray((features[:, 1:] - features[:, :1]).norm(dim=2).amin(dim=1).numpy())


def _typical(generator: Generator, state: DragState) -> float:
    """Return the root mean square of ‖F(a) - F(b)‖₂ over random pairs of places; above 0."""
    frame = frame_of(state.config, state.resolution)
    features = _read(generator, state, _pairs() * [frame.width - 1, frame.height - 1])
    typical = (features[:PAIRS] - features[PAIRS:]).square().sum(dim=1).mean().sqrt()
    # A picture that is the same everywhere has no texture at all, rather than any.
    return max(float(typical), TINY)


def confidence(generator: Generator, state: DragState) -> dict[int, float]:
    """Per id, how surely the tracked handle is the content that was grabbed: 0 … 1.

    It is 1 - d(p) / D, at least 0, where d(q) = ‖F(q) - f‖₂ is the distance of the features at q from the point's
    reference f, p is the handle, and D the median of d over the edge of the square of ±r2 that tracking looks through:
    1 if the content looks as it did when it was grabbed, 0 if the handle is no more like it than its surroundings are.
    Points whose reference is yet to be taken are left out. After a step this reads what the step left with the
    generator, and costs next to nothing.
    """
    points = [point for point in state.points if point.reference is not None]
    if not points:
        return {}
    frame = frame_of(state.config, state.resolution)
    middles = frame.clamp(np.array([point.handle for point in points]))
    edge = frame.clamp(middles[:, None] + _edge(frame))  # (N, n, 2)
    places = np.concatenate([middles[:, None], edge], axis=1)
    features = _read(generator, state, places.reshape(-1, 2)).view(*places.shape[:2], -1)
    references = torch.stack([point.reference for point in points if point.reference is not None])
    references = references.cpu().double()
    away = (features - references[:, None]).norm(dim=2)
    here, typical = away[:, 0], away[:, 1:].quantile(0.5, dim=1)
    # In a picture that is the same everywhere nothing is found surely.
    sure = (1 - here / typical.clamp(min=TINY)).clamp(0, 1) * (typical > 0)
    return {point.id: float(each) for point, each in zip(points, sure, strict=True)}


def _read(generator: Generator, state: DragState, xy: np.ndarray) -> Tensor:
    """Return features (P, C) of the state's latent at places (P, 2), on the processor, without a graph."""
    # Without one, what the generator remembers for the next step stays as it is, to the last bit.
    with torch.inference_mode(mode=False), torch.no_grad():
        blocks = blocks_of(generator, state.config)
        features = generator.sample_features(state.latent, blocks, torch.from_numpy(np.ascontiguousarray(xy)))
        scales = scales_of(generator, state.w0, blocks, state.config.several_blocks)
        features = features if scales is None else features * scales.tracked
    return features.cpu().double()


@functools.cache
def _circle() -> np.ndarray:
    """Return (DIRECTIONS, 2) of length 1."""
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


@functools.cache
def _pairs() -> np.ndarray:
    """Return (2 · PAIRS, 2) in 0 … 1, always the same."""
    return np.random.RandomState(0).rand(2 * PAIRS, 2)


def _edge(frame: Frame) -> np.ndarray:
    """Return offsets (16, 2) along the edge of the square of ±r2."""
    circle = _circle()
    return np.asarray(frame.tracking * circle / np.abs(circle).max(axis=1, keepdims=True))
