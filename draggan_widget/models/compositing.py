"""A picture of several latents: each shows inside its mask, over those before it, joined in the features of one block.

Two pictures that are blended pixel by pixel show seams, and things twice, where they differ along the mask's border.
Blended in the features of a coarse block, they are one picture from there on: the finer blocks draw what is on both
sides of the border as one thing. Beyond the mask by one cell of that block, the picture is that of below, to the bit. A
layer can ask to be faded into what is below without that, at the price of these seams.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from draggan_widget.models.base import Change, Generator

COARSE = 1 / 8
"""Of the picture's height, how many cells high the map at least is in which pictures are blended: 32 of 256. On coarser
ones what is below shows through; on finer ones, seams do."""
WIDER, FEATHER = 4 / 256, 6 / 256
"""Of the picture's height: how far a layer that is faded in reaches beyond its mask, and how far it fades from there,
half inwards and half outwards."""
REMEMBERED = 3
"""Pictures below others that are kept."""


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """A latent, and where its picture shows over those below."""

    latent: Tensor
    """Of the model's own shape; for a StyleGAN ``ws`` (1, num_ws, w_dim)."""
    mask: np.ndarray | None = None
    """(H, W) numbers 0 … 1, 1 = shows; None: everywhere."""
    faded: bool = False
    """Whether its picture is faded into the one below along the mask, features and all else left alone."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Made:
    """A picture, and what there was on the way to it."""

    features: Tensor | None
    """(1, C, h, w) after the block that is blended in, with its margin; None where a model lets nobody see them."""
    coarse: Tensor | None
    """(1, channels, h, w), the picture so far; None where there is none."""
    picture: Tensor
    """(1, channels, H, W)."""


class Compositor:
    """Makes pictures of layers by one model, and remembers what was below the topmost layer."""

    def __init__(self, model: Generator) -> None:
        self._model = model
        self._below: list[tuple[Sequence[Layer], int | None, _Made]] = []
        self._shares: tuple[np.ndarray, bool, Shares] | None = None

    def picture(self, layers: Sequence[Layer], upto: int | None = None, by: Generator | None = None) -> Tensor:
        """Return the picture (1, channels, H, W), nominally in [-1, 1], not clamped.

        :param layers: from the lowest, which shows everywhere, up. :param upto: a block, for the picture of its size
            that ``preview`` gives; None for the whole one. :param by: what makes the topmost layer, a copy of the
            model that is quicker say.
        """
        return self._made(layers, upto, by or self._model).picture

    def _made(self, layers: Sequence[Layer], upto: int | None, by: Generator) -> _Made:
        *lower, top = layers
        block = blended_block(self._model)
        seen: list[tuple[Tensor, Tensor | None]] = []
        below = None if top.mask is None or not lower else self._remembered(lower, upto)
        shares = None if below is None or top.mask is None else self._shares_of(top, block)

        def mix(features: Tensor, coarse: Tensor | None) -> tuple[Tensor, Tensor | None]:
            if below is not None and shares is not None and shares.features is not None and below.features is not None:
                features = torch.lerp(below.features, features, shares.like(features))
                if coarse is not None and below.coarse is not None:
                    coarse = torch.lerp(below.coarse, coarse, shares.features)
            seen[:] = [(features, coarse)]
            return features, coarse

        picture = by.paint(top.latent, Change(block, mix), upto)
        if below is not None and shares is not None:
            share = shares.picture
            if share.shape[2:] != picture.shape[2:]:
                share = F.adaptive_avg_pool2d(share, (picture.shape[2], picture.shape[3]))
            picture = torch.lerp(below.picture, picture, share)
        features, coarse = seen[0] if seen else (None, None)
        return _Made(features, coarse, picture)

    def _shares_of(self, top: Layer, block: int) -> Shares:
        assert top.mask is not None
        if self._shares is None or self._shares[0] is not top.mask or self._shares[1] != top.faded:
            made = (
                Shares.fading(self._model, top.mask, top.latent)
                if top.faded
                else Shares.of(self._model, block, top.mask, top.latent)
            )
            self._shares = top.mask, top.faded, made
        return self._shares[2]

    def _remembered(self, layers: Sequence[Layer], upto: int | None) -> _Made:
        for known, size, made in self._below:
            if size == upto and len(known) == len(layers) and all(map(_same, known, layers)):
                return made
        made = self._made(layers, upto, self._model)
        self._below = [*self._below[1 - REMEMBERED :], (tuple(layers), upto, made)]
        return made


def _same(one: Layer, other: Layer) -> bool:
    return one.latent is other.latent and one.mask is other.mask and one.faded == other.faded


def blended_block(model: Generator) -> int:
    """Return the block in whose features layers are blended: the first whose map is high enough, see ``COARSE``."""
    least = COARSE * model.resolution[0]
    return next((block for block in model.blocks if model.map_size(block)[0] >= least), model.blocks[-1])


@dataclasses.dataclass(frozen=True, eq=False)
class Shares:
    """How much of a layer shows, in features and in the picture; 1 inside its mask, 0 farther than a cell from it."""

    features: Tensor | None
    """(1, 1, h, w); None of a layer whose features are left alone."""
    picture: Tensor
    """(1, 1, H, W)."""

    @classmethod
    def of(cls, model: Generator, block: int, mask: np.ndarray, like: Tensor) -> Shares:
        """Return those of a mask (H, W). :param like: of whose type, and where, they are."""
        size = model.map_size(block)
        half = model.resolution[0] // size[0] // 2  # of a cell, in pixels
        wide = _dilated(mask, half, like)
        return cls(F.adaptive_avg_pool2d(wide, size), _smoothed(wide, half))

    @classmethod
    def fading(cls, model: Generator, mask: np.ndarray, like: Tensor) -> Shares:
        """Return those by which pictures alone are joined: 1 inside the mask, 0 farther than ``WIDER`` and half of
        ``FEATHER`` from it. See ``of``.
        """
        height = model.resolution[0]
        wide, half = (max(1, round(part * height)) for part in (WIDER, FEATHER / 2))
        return cls(None, _smoothed(_dilated(mask, wide, like), half))

    def like(self, features: Tensor) -> Tensor:
        """Return those of a map (1, C, h, w) that may have a margin around the picture."""
        assert self.features is not None
        sides = zip(features.shape[2:], self.features.shape[2:], strict=True)
        rows, columns = ((there - own) // 2 for there, own in sides)
        if not rows and not columns:
            return self.features
        return F.pad(self.features, [columns, columns, rows, rows], mode="replicate")


def _dilated(mask: np.ndarray, by: int, like: Tensor) -> Tensor:
    """Return (1, 1, H, W): of each pixel the most of a mask (H, W) within so many pixels each way."""
    wide, taps = torch.from_numpy(np.asarray(mask, np.float32)).to(like)[None, None], 2 * by + 1
    return F.max_pool2d(F.max_pool2d(wide, (taps, 1), 1, (by, 0)), (1, taps), 1, (0, by))


def _smoothed(wide: Tensor, by: int) -> Tensor:
    """Return (1, 1, H, W) as a window of Hann that reaches so many pixels each way leaves it."""
    smooth = torch.hann_window(2 * by + 3, periodic=False, dtype=wide.dtype, device=wide.device)[1:-1]
    smooth = smooth / smooth.sum()
    padded = F.pad(wide, [by] * 4, mode="replicate")
    soft = F.conv2d(F.conv2d(padded, smooth.view(1, 1, -1, 1)), smooth.view(1, 1, 1, -1))
    return soft.clamp(0, 1)
