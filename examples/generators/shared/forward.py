"""The forward pass of a StyleGAN2 for training on a processor: the product's own modules, in halves.

The parameters belong to a ``draggan_widget.models.StyleGAN2``, so nothing has to be translated on export; only the
arithmetic differs (half precision, channels last, stopping at a lower resolution).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from draggan_widget.models.stylegan2.network import (
    LEAKY_GAIN,
    LEAKY_SLOPE,
    StyleGAN2,
    SynthesisLayer,
    ToRGB,
    low_pass,
    upsample,
)


def quick_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the ``device`` has units for products of it, else float32.

    Without them bfloat16 is many times slower than float32.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    units = (getattr(torch.cpu, f"_is_{name}_supported", bool) for name in ("amx_tile", "avx512_bf16"))
    return torch.bfloat16 if device.type == "cpu" and any(unit() for unit in units) else torch.float32


def _sums(weights: Tensor, x: Tensor) -> Tensor:
    """Sums over positions: ``weights`` (K, H·W) and ``x`` (N, C, H, W), channels last → (N, K, C).

    As a matrix product, since a plain sum of bfloat16 in this layout is several times slower.
    """
    flat = x.permute(0, 2, 3, 1).flatten(1, 2)  # (N, H·W, C)
    return torch.matmul(weights.to(x.dtype), flat)


class _Modulate(torch.autograd.Function):
    """``x · styles``, (N, C, H, W) and (N, C)."""

    @staticmethod
    def forward(context, x: Tensor, styles: Tensor) -> Tensor:
        context.save_for_backward(x, styles)
        return x * styles[:, :, None, None]

    @staticmethod
    def backward(context, gradient: Tensor):
        x, styles = context.saved_tensors
        ones = gradient.new_ones(1, x[0, 0].numel())
        return gradient * styles[:, :, None, None], _sums(ones, gradient * x)[:, 0]


class _Finish(torch.autograd.Function):
    """Everything after a convolution: demodulation, constant noise, bias and activation (without its gain).

    ``x`` (N, C, H, W), ``norms`` (N, C), ``noise`` (H, W), ``strength`` (), ``bias`` (C,).
    """

    @staticmethod
    def forward(context, x: Tensor, norms: Tensor, noise: Tensor, strength: Tensor, bias: Tensor) -> Tensor:
        y = torch.addcmul((noise * strength)[None, None], x, norms[:, :, None, None])
        y = F.leaky_relu_(y.add_(bias[None, :, None, None]), LEAKY_SLOPE)
        context.save_for_backward(x, norms, noise, y)
        return y

    @staticmethod
    def backward(context, gradient: Tensor):
        x, norms, noise, y = context.saved_tensors
        # The sign of the result is that of the argument.
        gradient = torch.ops.aten.leaky_relu_backward(gradient, y, LEAKY_SLOPE, True)
        ones = torch.ones_like(noise)
        by_bias, by_strength = _sums(torch.stack([ones, noise]).flatten(1), gradient).float().sum(0)
        by_norms = _sums(ones.flatten()[None], gradient * x)[:, 0]
        by_x = gradient.mul_(norms[:, :, None, None])
        return by_x, by_norms, None, by_strength.sum().to(x.dtype), by_bias.to(x.dtype)


class TrainingForward:
    """Pictures of latents in training precision.

    With ``centred``, styles are computed from ``w - w_avg``, which lets their weights learn without their biases
    having to follow; ``fold_centre`` makes an ordinary network of it.
    """

    def __init__(self, generator: StyleGAN2, dtype: torch.dtype = torch.bfloat16, centred: bool = False) -> None:
        self.network = generator.network
        self.dtype = dtype
        self.centred = centred

    def mapping(self, z: Tensor) -> Tensor:
        """``z`` (N, z_dim) → ``w`` (N, w_dim) in float32."""
        return self.network["mapping"](z, None)

    def __call__(self, w: Tensor, size: int) -> Tensor:
        """The picture (N, 3, size, wide) in float32, of the blocks up to ``size`` only."""
        x = picture = None
        if self.centred:
            w = w - self.network["mapping"].w_avg
        for name, block in self.network["synthesis"].items():
            resolution = int(name[1:])
            if resolution > size:
                break
            if x is None:
                x = block.const[None].expand(len(w), -1, -1, -1).to(self.dtype)
                x = x.contiguous(memory_format=torch.channels_last)
            else:
                x = self._layer(block.conv0, x, w)
            x = self._layer(block.conv1, x, w)
            added = self._to_rgb(block.torgb, x, w)
            picture = added if picture is None else upsample(picture, block.resample_filter) + added
        assert picture is not None
        return picture

    def _layer(self, layer: SynthesisLayer, x: Tensor, w: Tensor) -> Tensor:
        # Stored weights have unit variance; the gain keeps half-precision sums near 1. Demodulation cancels it.
        weight = layer.weight / math.sqrt(layer.weight[0].numel())
        styles = layer.affine(w)
        norms = LEAKY_GAIN * torch.rsqrt(styles.square() @ weight.square().sum(dim=(2, 3)).T + 1e-8)
        x = _Modulate.apply(x, styles.to(self.dtype))
        weight = weight.to(self.dtype)
        if layer.up:
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            x = low_pass(x, (layer.resample_filter * 4).to(self.dtype))
        else:
            x = F.conv2d(x, weight, padding=1)
        # The activation's gain goes through it: it is positive.
        noise = layer.noise_const.to(self.dtype)
        strength, bias = (LEAKY_GAIN * layer.noise_strength).to(self.dtype), (LEAKY_GAIN * layer.bias).to(self.dtype)
        return _Finish.apply(x, norms.to(self.dtype), noise, strength, bias)

    def _to_rgb(self, layer: ToRGB, x: Tensor, w: Tensor) -> Tensor:
        # As a matrix product of each picture: three output channels are too few for a convolution kernel.
        styles = layer.affine(w) * layer.gain
        weight = layer.weight[:, :, 0, 0] * styles[:, None]  # (N, 3, C)
        flat = torch.bmm(weight.to(self.dtype), x.flatten(2))  # (N, 3, H·W)
        return flat.float().view(len(x), -1, *x.shape[2:]) + layer.bias[:, None, None]


@torch.no_grad()
def fold_centre(generator: StyleGAN2) -> None:
    """Make the plain network draw what the centred one does, in place."""
    centre = generator.network["mapping"].w_avg
    for block in generator.network["synthesis"].values():
        for layer in block.children():
            affine = layer.affine
            affine.bias -= affine.weight @ centre * (affine.weight_gain / affine.bias_gain)


@torch.no_grad()
def unfold_centre(generator: StyleGAN2) -> None:
    """Undo :func:`fold_centre`, in place: the centred network draws what the plain one did."""
    centre = generator.network["mapping"].w_avg
    for block in generator.network["synthesis"].values():
        for layer in block.children():
            affine = layer.affine
            affine.bias += affine.weight @ centre * (affine.weight_gain / affine.bias_gain)
