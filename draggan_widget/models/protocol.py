"""What a model is, to everything above: latent → features → picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from draggan_widget.models.space import Space


class Model(Protocol):
    """A frozen network that makes pictures of latents. Engines ask for no more, unless they say so in ``needs``.

    Layers are counted coarse to fine, the first is 1. Positions are picture pixels (x, y), x to the right and y down,
    pixel centres at integers. Weights take no gradients; latents may.
    """

    @property
    def resolution(self) -> tuple[int, int]:
        """(H, W) of a picture, in pixels."""

    @property
    def channels(self) -> int:
        """Channels of a picture: 1 (grey), 3 (RGB) or 4 (RGBA)."""

    @property
    def space(self) -> Space:
        """Its latents: how they are drawn, checked, stored, and how far they reach."""

    def features(self, latent: Tensor, layer: int, /) -> Tensor:
        """Return the feature map (1, C, h, w) after one layer, differentiable in the latent."""

    def sample_features(self, latent: Tensor, layers: int | Sequence[int], xy: Tensor, /) -> Tensor:
        """Return features (P, C) at picture positions ``xy`` (P, 2), as if maps were upsampled to the picture."""

    def synthesize(self, latent: Tensor, /) -> Tensor:
        """Return the picture (1, channels, H, W) of a latent, nominally in [-1, 1], not clamped."""

    def preview(self, latent: Tensor, layer: int, /) -> Tensor:
        """Return a coarse picture (1, channels, h, w). :raises ValueError: by a model that has none."""
