"""A generator of one bump whose place is known, in pictures of any shape and channels: to see where a drag ends."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from draggan_widget.config import DragConfig
from draggan_widget.models import Generator

REACH = 8.0
"""Pixels that the bump moves for each unit of the latent."""


class Planted(Generator):
    """A bright bump on dark ground, at the middle of the picture plus ``REACH`` times the mean row of ``ws``.

    :param resolution: (H, W). :param channels: 1, 3 or 4; with 4, what is far from the bump is transparent.
    :param classes: how many; each moves the bump a pixel further to the right.
    """

    def __init__(self, resolution: tuple[int, int], channels: int = 3, classes: int = 0) -> None:
        super().__init__()
        self.resolution, self.channels, self.label_dim = resolution, channels, classes
        self.num_ws, self.w_dim, self.z_dim = 4, 2, 2
        self.blocks = (1, 2, 3)
        self.drag_config = DragConfig(learning_rate=0.05, max_steps=200)
        self.scale = nn.Parameter(torch.ones(1))
        self.freeze()

    def map_latent(self, z: Tensor, labels: Tensor | None, truncation: float) -> Tensor:
        w = truncation * z.clamp(-0.5, 0.5)
        if labels is not None:
            w = w + torch.tensor([1 / REACH, 0.0]) * labels.argmax(dim=1, keepdim=True)
        return w[:, None].repeat(1, self.num_ws, 1)

    def centre(self, ws: Tensor) -> Tensor:
        """Where the bump is: (2,), x and y in picture pixels."""
        height, width = self.resolution
        return torch.tensor([width / 2, height / 2]) + REACH * ws.mean(dim=(0, 1)) * self.scale

    def feature_maps(self, ws: Tensor, blocks: Sequence[int]) -> list[Tensor]:
        return [self._bumps(ws, 2 ** (3 - block), (4.0, 7.0, 12.0)) for block in blocks]

    def synthesize(self, ws: Tensor) -> Tensor:
        bright, wide = (2 * self._bumps(ws, 1, (width,)) - 1 for width in (3.0, 9.0))
        colour = bright.repeat(1, 3 if self.channels == 4 else self.channels, 1, 1)
        return torch.cat([colour, wide], dim=1) if self.channels == 4 else colour

    def _bumps(self, ws: Tensor, shrink: int, widths: Sequence[float]) -> Tensor:
        height, width = (side // shrink for side in self.resolution)
        x, y = self.centre(ws)
        rows = (torch.arange(height) + 0.5) * shrink - 0.5 - y
        columns = (torch.arange(width) + 0.5) * shrink - 0.5 - x
        square = rows[:, None] ** 2 + columns[None] ** 2
        maps = [torch.exp(-square / (2 * each**2)) for each in widths]
        return torch.stack(maps)[None]


class Textured(Planted):
    """The bump on a ground whose pattern moves with it, which flow can see."""

    def synthesize(self, ws: Tensor) -> Tensor:
        x, y = self.centre(ws)
        height, width = self.resolution
        rows = torch.arange(height)[:, None] - y
        columns = torch.arange(width)[None] - x
        return super().synthesize(ws) * 0.7 + 0.3 * (torch.sin(rows / 2.5) * torch.cos(columns / 3.1))[None, None]


class Vanishing(Planted):
    """The bump looks a little different as it goes, and is another thing altogether once it is 3 px to the right."""

    def feature_maps(self, ws: Tensor, blocks: Sequence[int]) -> list[Tensor]:
        gone = float(self.centre(ws.detach())[0] - self.centre(torch.zeros_like(ws))[0]) > 3
        looks = -2.0 if gone else 1 + 0.002 * float(ws.sum().detach())
        return [looks * each for each in super().feature_maps(ws, blocks)]
