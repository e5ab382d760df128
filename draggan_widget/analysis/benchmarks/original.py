"""The yardstick of speed: a drag made the way the authors' program makes it, written from the equations.

Nothing is saved here that the original does not save. Every step synthesises the whole picture with a graph, makes the
modulated weights of every layer, keeps a gradient for every weight, blows the feature map up to picture size, and
compares all of it where a mask says what must stay. The course is that of ``DragConfig.official()``; what differs is
what it costs.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from draggan_widget.models.stylegan2 import (
    LEAKY_SLOPE,
    SynthesisBlock,
    SynthesisLayer,
    ToRGB,
    low_pass,
    upsample,
)

if TYPE_CHECKING:
    from torch import nn

    from draggan_widget.models import StyleGAN2

XY = tuple[float, float]


class OriginalDrag:
    """One drag of one picture; ``step`` does one iteration.

    :param generator: a skip network; it is copied, since its copy's weights collect gradients.
    :param ws: (1, num_ws, w_dim). :param handles: (x, y) in picture pixels. :param targets: one for each handle.
    :param mask: (H, W), 1 = may move; None: everything may. It counts only if it holds both a 0 and a 1.
    :raises ValueError: for a network whose blocks do not each add to the picture.
    """

    def __init__(
        self,
        generator: StyleGAN2,
        ws: Tensor,
        handles: Sequence[XY],
        targets: Sequence[XY],
        mask: Tensor | None = None,
        *,
        learning_rate: float = 1e-3,
        mask_weight: float = 20.0,
        supervision_radius: float = 3.0,
        tracking_radius: float = 12.0,
        edit_layers: int = 6,
    ) -> None:
        if generator.config["architecture"] != "skip":
            raise ValueError(f"the original's way is written for skip networks, not {generator.config['architecture']}")
        self.generator = copy.deepcopy(generator)
        self.generator.network["synthesis"].requires_grad_(True)
        self.block = generator.default_block()
        self.edit_layers = edit_layers
        self.mask_weight = mask_weight
        self.targets = [(float(x), float(y)) for x, y in targets]
        self.handles = [(round(x), round(y)) for x, y in handles]
        height, width = generator.resolution
        self._supervision = max(1, round(supervision_radius / 512 * height))
        self._tracking = max(1, round(tracking_radius / 512 * height))
        self._rest = ws[:, edit_layers:].detach().clone()
        self._latent = ws.detach().clone().requires_grad_()
        self._optimizer = torch.optim.Adam([self._latent], lr=learning_rate)
        grid = [torch.linspace(0, size, size, dtype=ws.dtype, device=ws.device) for size in (height, width)]
        self._rows, self._columns = torch.meshgrid(*grid, indexing="ij")  # (H, W) each
        usable = mask is not None and bool(mask.min() == 0) and bool(mask.max() == 1)
        self._stay = (1 - mask.to(ws)) if mask is not None and usable else None
        self._references: list[Tensor] | None = None
        self._base: Tensor | None = None

    @property
    def ws(self) -> Tensor:
        """The latent (1, num_ws, w_dim) as it is now."""
        return self._latent.detach()

    def step(self) -> bool:
        """Track, supervise, and one Adam step; False, and no step, where every handle has arrived."""
        height, width = self.generator.resolution
        latent = torch.cat([self._latent[:, : self.edit_layers], self._rest], dim=1)
        # The picture stays in hand during the step, as it does where it is to be shown.
        _picture, native = synthesize(self.generator, latent, self.block)
        wide = F.interpolate(native, size=(height, width), mode="bilinear", align_corners=False)  # (1, C, H, W)
        if self._references is None or self._base is None:
            self._references = [wide[0, :, y, x].detach() for x, y in self.handles]
            self._base = wide.detach()
        with torch.no_grad():
            self.handles = [self._track(wide, *pair) for pair in zip(self.handles, self._references, strict=True)]
        pairs = list(zip(self.handles, self.targets, strict=True))
        if all(math.dist(*pair) <= max(2.0, 2 / 512 * height) for pair in pairs):
            return False
        loss = 0 * native.sum()
        for handle, target in pairs:
            if math.dist(handle, target) > 1:
                loss = loss + self._pull(wide, handle, target)
        if self._stay is not None:
            loss = loss + self.mask_weight * F.l1_loss(wide * self._stay, self._base * self._stay)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return True

    def _track(self, wide: Tensor, handle: tuple[int, int], reference: Tensor) -> tuple[int, int]:
        x, y = handle
        left, top = max(x - self._tracking, 0), max(y - self._tracking, 0)
        patch = wide[0, :, top : y + self._tracking + 1, left : x + self._tracking + 1]
        away = (patch - reference[:, None, None]).norm(dim=0)
        row, column = divmod(int(away.argmin()), away.shape[1])
        return left + column, top + row

    def _pull(self, wide: Tensor, handle: XY, target: XY) -> Tensor:
        (x, y), (target_x, target_y) = handle, target
        height, width = wide.shape[2:]
        length = math.dist(handle, target)
        away = (self._rows - y).square() + (self._columns - x).square()
        rows, columns = torch.where(away < self._supervision**2)
        ahead_x = (columns + (target_x - x) / length) / (width - 1) * 2 - 1
        ahead_y = (rows + (target_y - y) / length) / (height - 1) * 2 - 1
        grid = torch.stack([ahead_x, ahead_y], dim=-1)[None, None].to(wide)  # (1, 1, P, 2)
        pulled = F.grid_sample(wide, grid, padding_mode="zeros", align_corners=True)[0, :, 0]  # (C, P)
        return F.l1_loss(pulled, wide[0, :, rows, columns].detach())


def synthesize(generator: StyleGAN2, ws: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Return the picture (1, channels, H, W) and the map (1, C, h, w) of a block, from weights made for this very
    latent.

    :param ws: (1, num_ws, w_dim).
    """
    picture: Tensor | None = None
    kept: Tensor | None = None
    blocks = cast("nn.ModuleDict", generator.network["synthesis"]).values()
    x = cast("SynthesisBlock", next(iter(blocks))).const[None]
    row = 0
    for number, layers in enumerate(cast("list[SynthesisBlock]", list(blocks)), start=1):
        if not layers.is_first:
            x = _convolve(layers.conv0, x, ws[:, row])
            row += 1
        x = _convolve(layers.conv1, x, ws[:, row])
        row += 1
        if number == block:
            kept = x
        assert layers.torgb is not None
        added = _paint(layers.torgb, x, ws[:, row])
        picture = added if picture is None else upsample(picture, layers.resample_filter) + added
    assert picture is not None
    assert kept is not None
    return picture, kept


def _convolve(layer: SynthesisLayer, x: Tensor, w: Tensor) -> Tensor:
    weight = _modulated(layer.weight, layer.affine(w))
    weight = weight * torch.rsqrt(weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8)
    if layer.up:
        x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        x = low_pass(x, layer.resample_filter * 4)
    else:
        x = F.conv2d(x, weight, padding=1)
    if layer.use_noise:
        x = x + layer.noise_const * layer.noise_strength
    x = F.leaky_relu(x + layer.bias[:, None, None], LEAKY_SLOPE) * layer.gain
    return x if layer.clamp is None else x.clamp(-layer.clamp, layer.clamp)


def _paint(layer: ToRGB, x: Tensor, w: Tensor) -> Tensor:
    x = F.conv2d(x, _modulated(layer.weight, layer.affine(w) * layer.gain), layer.bias)
    return x if layer.clamp is None else x.clamp(-layer.clamp, layer.clamp)


def _modulated(weight: Tensor, styles: Tensor) -> Tensor:
    """Weights (C_out, C_in, k, k) for the styles (1, C_in) of one picture."""
    return weight * styles[0, :, None, None]
