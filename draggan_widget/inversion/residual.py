"""What the fit left of a photograph, carried along with an edit and added to the model's picture of it.

At the latent that the fit came to, the picture then is the photograph itself; after an edit hair and glints are where
what they belong to has gone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from draggan_widget.inversion.alignment import as_tensor
from draggan_widget.inversion.motion import carried, carried_quickly
from draggan_widget.models import plain_torch

HALF = 127.5
"""Of the span of a picture's numbers, so that they are 2 wide, as where motions are looked for."""
CELL, NEAR = 4, 3
"""Pixels each way of a cell, and cells each way around what has changed in which something may have moved; elsewhere
nothing is carried anywhere."""
REMEMBERED = 4
"""Sizes of pictures for which it is kept: that of the model, and those of small pictures."""


class Residual:
    """What a model's picture lacks of a photograph. One may be used by several threads."""

    def __init__(self, wanted: Image.Image, fitted: Image.Image) -> None:
        """Take it as the difference of two pictures.

        :param wanted: what was cut of the photograph. :param fitted: the model's picture of it, of that size and kind.
        :raises ValueError: if they differ in size or kind.
        """
        if (wanted.size, wanted.mode) != (fitted.size, fitted.mode):
            raise ValueError(
                f"the photograph's part is {wanted.size}, {wanted.mode}, the model's picture of it {fitted.size}, "
                f"{fitted.mode}; give two alike"
            )
        self._wanted, self.fitted = wanted, fitted
        self._sizes: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def added(self, picture: Image.Image, *, quick: bool = False) -> Image.Image:
        """Return a picture of an edit with it.

        Where the edit changed nothing, that is the photograph to the bit.

        :param picture: by the same model, of any size in the model's shape, and of the kind that it had here.
        :param quick: whether the motion is looked for in small pictures alone, which takes a few milliseconds.
        :raises ValueError: for a picture of another kind.
        """
        if picture.mode != self.fitted.mode:
            raise ValueError(f"the picture is {picture.mode}, the fitted one {self.fitted.mode}; give two alike")
        with plain_torch(), torch.no_grad():
            before, left = self._at(picture.size)
            after = as_tensor(picture) / HALF
            found, changed = left, (after != before).any(dim=1, keepdim=True)
            if bool(changed.any()):
                found = left.lerp((carried_quickly if quick else carried)(left, before, after), _around(changed))
            pixels = ((after + found) * HALF).round().clamp(0, 255).to(torch.uint8)[0].permute(1, 2, 0).numpy()
        return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)

    def _at(self, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Return the fitted picture and what it lacks, both (1, C, H, W), 2 wide, for pictures (W, H) of a size."""
        known = self._sizes.get(size)
        if known is None:
            wanted, fitted = (
                as_tensor(each if each.size == size else each.resize(size, Image.Resampling.LANCZOS)) / HALF
                for each in (self._wanted, self.fitted)
            )
            known = fitted, wanted - fitted
            if len(self._sizes) < REMEMBERED:
                self._sizes[size] = known
        return known


def _around(changed: Tensor) -> Tensor:
    """Return (1, 1, H, W): 0 where nothing near has changed by a bit, 1 where something has, softly."""
    cells = F.max_pool2d(changed.float(), CELL, ceil_mode=True)
    grown = F.max_pool2d(cells, 2 * NEAR + 1, stride=1, padding=NEAR)
    size = (changed.shape[2], changed.shape[3])
    return F.interpolate(grown, size=size, mode="bilinear", align_corners=False)
