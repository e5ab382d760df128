"""StyleGAN2, config F, in plain torch (Karras et al., *Analyzing and Improving the Image Quality of StyleGAN*, 2020).

Module and buffer names follow the state-dict layout in which people's checkpoints come, so those load unchanged.
Convolutions scale activations instead of weights (section 2.2 of the paper, equation 3, read from right to left): the
weights stay constant from picture to picture, and no weights per sample are made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from draggan_widget.config import DragConfig
from draggan_widget.generators.base import Generator

LEAKY_SLOPE = 0.2
LEAKY_GAIN = math.sqrt(2)
"""Keeps the variance of a leaky ReLU's output near that of its input."""
FIR = (1.0, 3.0, 3.0, 1.0)
"""The binomial low-pass filter of every change of resolution."""


class StyleGAN2(Generator):
    """A StyleGAN2 generator with skip connections to RGB and constant noise.

    :param resolution: picture size in pixels, a power of two from 32 to 1024; pictures are square.
    :param z_dim: width of the Gaussian input. :param w_dim: width of a latent row.
    :param c_dim: number of classes, 0 for none.
    :param img_channels: 1 (grey), 3 (RGB) or 4 (RGBA).
    :param channels: width of the maps at each size, ``{4: 512, 8: 512, …}``; by default ``min(32768 / size, 512)``.
    :param mapping_layers: depth of the mapping network.
    :param mapping_lr_multiplier: the factor by which its stored weights are to be multiplied when used.
    :param drag_config: the settings it drags best with; by default those of ``DragConfig``.
    :raises ValueError: for a resolution or widths that make no network.
    """

    def __init__(
        self,
        resolution: int,
        *,
        z_dim: int = 512,
        w_dim: int = 512,
        c_dim: int = 0,
        img_channels: int = 3,
        channels: Mapping[int, int] | None = None,
        mapping_layers: int = 8,
        mapping_lr_multiplier: float = 0.01,
        drag_config: DragConfig | None = None,
    ) -> None:
        super().__init__()
        if resolution not in (32, 64, 128, 256, 512, 1024):
            raise ValueError(f"resolution is {resolution!r}; StyleGAN2 makes 32, 64, 128, 256, 512 or 1024 px")
        sizes = [2**power for power in range(2, resolution.bit_length())]
        widths = {size: min(32768 // size, 512) for size in sizes} if channels is None else dict(channels)
        if sorted(widths) != sizes or min(widths.values()) < 1:
            raise ValueError(f"channels must give a width for each of the sizes {sizes}; got {channels!r}")
        self.resolution = (resolution, resolution)
        self.channels = img_channels
        self.num_ws = 2 * len(sizes)
        self.w_dim = w_dim
        self.z_dim = z_dim
        self.label_dim = c_dim
        self.blocks = tuple(range(1, len(sizes) + 1))
        self.drag_config = drag_config or DragConfig()
        self.config: dict[str, Any] = {
            "resolution": resolution,
            "z_dim": z_dim,
            "w_dim": w_dim,
            "c_dim": c_dim,
            "img_channels": img_channels,
            "channels": {str(size): widths[size] for size in sizes},
            "mapping_layers": mapping_layers,
            "mapping_lr_multiplier": mapping_lr_multiplier,
        }
        """The constructor's arguments as JSON, for ``save_generator``."""
        narrower = [widths[sizes[0]], *(widths[size] for size in sizes[:-1])]
        self.network = nn.ModuleDict(
            {
                "mapping": MappingNetwork(z_dim, c_dim, w_dim, mapping_layers, mapping_lr_multiplier),
                "synthesis": nn.ModuleDict(
                    {
                        f"b{size}": SynthesisBlock(before, widths[size], size, w_dim, img_channels)
                        for before, size in zip(narrower, sizes, strict=True)
                    }
                ),
            }
        )
        """Its ``state_dict()`` has the names of the checkpoints people have."""
        self.freeze()

    @classmethod
    def from_config(cls, config: Mapping[str, Any], drag_config: DragConfig | None = None) -> StyleGAN2:
        """The network that ``config`` describes, with random weights."""
        channels = {int(size): width for size, width in config["channels"].items()}
        return cls(**{**config, "channels": channels}, drag_config=drag_config)

    def map_latent(self, z: Tensor, labels: Tensor | None, truncation: float) -> Tensor:
        """See ``Generator``."""
        network = cast("MappingNetwork", self.network["mapping"])
        w = network.w_avg.lerp(network(z, labels), truncation)
        return w[:, None].repeat(1, self.num_ws, 1)

    def feature_maps(self, ws: Tensor, blocks: Sequence[int]) -> list[Tensor]:
        """See ``Generator``."""
        maps: dict[int, Tensor] = {}
        x: Tensor | None = None
        for block, layers in enumerate(self._synthesis_blocks()[: max(blocks)], start=1):
            x = layers.grow(x, ws[:, _rows(block)])
            maps[block] = x
        return [maps[block] for block in blocks]

    def synthesize(self, ws: Tensor) -> Tensor:
        """See ``Generator``."""
        x: Tensor | None = None
        picture: Tensor | None = None
        for block, layers in enumerate(self._synthesis_blocks(), start=1):
            rows = ws[:, _rows(block)]
            x = layers.grow(x, rows)
            picture = layers.paint(x, rows, picture)
        assert picture is not None
        return picture

    def _synthesis_blocks(self) -> list[SynthesisBlock]:
        return cast("list[SynthesisBlock]", list(cast("nn.ModuleDict", self.network["synthesis"]).values()))


def _rows(block: int) -> slice:
    """The rows of ``ws`` a block reads. Its last one, for RGB, is also the first of the next block."""
    return slice(0, 2) if block == 1 else slice(2 * block - 3, 2 * block)


class MappingNetwork(nn.Module):
    """z (and a class) → w: normalised inputs through equalised fully connected layers with leaky ReLUs."""

    w_avg: Tensor

    def __init__(self, z_dim: int, c_dim: int, w_dim: int, layers: int, lr_multiplier: float) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"mapping_layers is {layers!r}; it must be at least 1")
        self.layers = layers
        self.embed = FullyConnected(c_dim, w_dim) if c_dim else None
        width = z_dim + (w_dim if c_dim else 0)
        for index in range(layers):
            self.add_module(f"fc{index}", FullyConnected(width, w_dim, lr_multiplier=lr_multiplier))
            width = w_dim
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """``z`` (N, z_dim) and one-hot ``labels`` (N, c_dim) → w (N, w_dim)."""
        x = unit_second_moment(z)  # (N, z_dim)
        if self.embed is not None:
            x = torch.cat([x, unit_second_moment(self.embed(labels))], dim=1)  # (N, z_dim + w_dim)
        for index in range(self.layers):
            x = F.leaky_relu(self.get_submodule(f"fc{index}")(x), LEAKY_SLOPE) * LEAKY_GAIN
        return x  # (N, w_dim)


class SynthesisBlock(nn.Module):
    """One size of the pyramid: two modulated convolutions (one at 4×4), then the picture so far plus what it adds."""

    const: Tensor
    resample_filter: Tensor

    def __init__(self, in_channels: int, out_channels: int, size: int, w_dim: int, img_channels: int) -> None:
        super().__init__()
        self.is_first = size == 4
        self.register_buffer("resample_filter", _fir_kernel())
        if self.is_first:
            self.const = nn.Parameter(torch.randn(out_channels, 4, 4))
        else:
            self.conv0 = SynthesisLayer(in_channels, out_channels, size, w_dim, up=True)
        self.conv1 = SynthesisLayer(out_channels, out_channels, size, w_dim)
        self.torgb = ToRGB(out_channels, img_channels, w_dim)

    def grow(self, x: Tensor | None, ws: Tensor) -> Tensor:
        """The block's features (N, C, size, size) from those of the block before (None at 4×4)."""
        if x is None:
            x, last = self.const[None].expand(len(ws), -1, -1, -1), ws[:, 0]
        else:
            x, last = self.conv0(x, ws[:, 0]), ws[:, 1]
        grown: Tensor = self.conv1(x, last)
        return grown

    def paint(self, x: Tensor, ws: Tensor, picture: Tensor | None) -> Tensor:
        """The picture (N, channels, size, size) from the block's features and the picture of the block before."""
        added: Tensor = self.torgb(x, ws[:, -1])
        return added if picture is None else upsample(picture, self.resample_filter) + added


class SynthesisLayer(nn.Module):
    """A 3×3 convolution modulated by the latent, demodulated, with constant noise, bias and leaky ReLU."""

    noise_const: Tensor
    resample_filter: Tensor

    def __init__(self, in_channels: int, out_channels: int, size: int, w_dim: int, *, up: bool = False) -> None:
        super().__init__()
        self.up = up
        self.affine = FullyConnected(w_dim, in_channels, bias=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("resample_filter", _fir_kernel())
        self.register_buffer("noise_const", torch.randn(size, size))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """``x`` (N, C_in, h, w), latent rows ``w`` (N, w_dim) → (N, C_out, size, size)."""
        styles = self.affine(w)  # (N, C_in)
        norms = torch.rsqrt(styles.square() @ self.weight.square().sum(dim=(2, 3)).T + 1e-8)  # (N, C_out)
        x = x * styles[:, :, None, None]
        if self.up:
            # A zero-interleaved map convolved with the weight, then with the low-pass filter; the transposed
            # convolution leaves one extra row and column, which the filter's support takes up.
            x = F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2)  # (N, C_out, size + 1, size + 1)
            x = low_pass(x, self.resample_filter * 4)  # (N, C_out, size, size)
        else:
            x = F.conv2d(x, self.weight, padding=1)
        x = x * norms[:, :, None, None] + self.noise_const * self.noise_strength
        return F.leaky_relu(x + self.bias[:, None, None], LEAKY_SLOPE) * LEAKY_GAIN


class ToRGB(nn.Module):
    """A 1×1 convolution to picture channels, modulated but not demodulated."""

    def __init__(self, in_channels: int, img_channels: int, w_dim: int) -> None:
        super().__init__()
        self.affine = FullyConnected(w_dim, in_channels, bias=1.0)
        self.weight = nn.Parameter(torch.randn(img_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(img_channels))
        self.gain = 1 / math.sqrt(in_channels)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """``x`` (N, C, h, w), latent rows ``w`` (N, w_dim) → (N, img_channels, h, w)."""
        styles = self.affine(w) * self.gain
        return F.conv2d(x * styles[:, :, None, None], self.weight, self.bias)


class FullyConnected(nn.Module):
    """A linear layer whose stored weights have unit variance and are scaled when used (equalised learning rate)."""

    def __init__(self, in_features: int, out_features: int, *, bias: float = 0.0, lr_multiplier: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), bias / lr_multiplier))
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """``x`` (N, in_features) → (N, out_features)."""
        return F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)


def unit_second_moment(x: Tensor) -> Tensor:
    """Rows scaled to a mean square of 1."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def low_pass(x: Tensor, kernel: Tensor) -> Tensor:
    """``x`` (N, C, h, w) filtered per channel by ``kernel`` (4, 4) → (N, C, h - 1, w - 1)."""
    channels = x.shape[1]
    return F.conv2d(x, kernel.expand(channels, 1, 4, 4), padding=1, groups=channels)


def upsample(picture: Tensor, kernel: Tensor) -> Tensor:
    """A picture (N, C, h, w) at twice the size, through ``kernel`` (4, 4) with unit sum."""
    channels = picture.shape[1]
    return F.conv_transpose2d(picture, (kernel * 4).expand(channels, 1, 4, 4), stride=2, padding=1, groups=channels)


def _fir_kernel() -> Tensor:
    taps = torch.tensor(FIR)
    kernel = torch.outer(taps, taps)
    return kernel / kernel.sum()
