"""The layers of StyleGAN3 (Karras et al., *Alias-Free Generative Adversarial Networks*, 2021).

Module and buffer names follow the state-dict layout in which people's checkpoints come, so those load unchanged.
As in ``stylegan2_layers``, convolutions scale activations instead of weights.
"""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from draggan_widget.models.stylegan2.layers import LEAKY_GAIN, LEAKY_SLOPE, FullyConnected, normal_numbers
from draggan_widget.models.stylegan3.filters import Resampler, jinc_low_pass, sinc_low_pass


@dataclasses.dataclass(frozen=True)
class Signal:
    """What passes between two layers: a map that covers the picture and a margin around it.

    Rates are in cells, and frequencies in cycles, per height of the picture (figure 4c of the paper; pictures there are
    square).
    """

    rate: int
    """s, cells per height of the picture."""
    cutoff: float
    """f_c, up to which frequencies pass."""
    half_width: float
    """f_h, half of the transition band around the cutoff."""
    shape: tuple[int, int]
    """Rows and columns, margin included."""
    margins: tuple[int, int]
    """Cells outside of the picture: above and below it each, left and right of it each."""
    channels: int


@dataclasses.dataclass(frozen=True)
class LayerSettings:
    """What the layers of one network have in common; see ``StyleGAN3``."""

    w_dim: int
    conv_kernel: int = 3
    filter_size: int = 6
    lrelu_upsampling: int = 2
    conv_clamp: float | None = 256.0


class FourierFeatures(nn.Module):
    """The input: waves of fixed frequencies, turned and shifted as the latent says (section 3.2, config H).

    ``transform`` (3, 3) is the user's own: it takes homogeneous positions (x, y, 1), in heights of the picture from
    its middle, to those at which the input is read, so it does to the picture the inverse of what it says.
    """

    transform: Tensor
    freqs: Tensor
    phases: Tensor

    def __init__(self, w_dim: int, signal: Signal) -> None:
        super().__init__()
        self.signal = signal
        self.weight = nn.Parameter(normal_numbers(signal.channels, signal.channels))
        self.affine = FullyConnected(w_dim, 4)
        with torch.no_grad():
            self.affine.weight.zero_()
            self.affine.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        # Evenly from the disc of frequencies that pass.
        # See normal_numbers. On the meta device none are drawn: loading a file uses up no random numbers.
        drawn = torch.zeros if self.weight.is_meta else torch.rand
        random = drawn(3, signal.channels, device="cpu", dtype=torch.float32)
        radii, angles = signal.cutoff * random[0].sqrt(), 2 * math.pi * random[1]
        self.register_buffer("transform", torch.eye(3, device="cpu"))
        self.register_buffer("freqs", torch.stack([radii * angles.cos(), radii * angles.sin()], dim=1))
        self.register_buffer("phases", random[2] - 0.5)

    def forward(self, w: Tensor) -> Tensor:
        """Latent rows ``w`` (N, w_dim) → (N, C, h, w)."""
        rate, cutoff = self.signal.rate, self.signal.cutoff
        # The latent gives a direction and a shift, both in units of the direction's length. The shift comes first.
        turn, shift = torch.split(self.affine(w), 2, dim=1)  # (N, 2) each
        length = torch.linalg.vector_norm(turn, dim=1, keepdim=True)
        (cos, sin), shift = (turn / length).unbind(dim=1), shift / length
        rotation = torch.stack([cos, -sin, sin, cos], dim=1).view(-1, 2, 2)  # (N, 2, 2)
        motion = torch.cat([rotation, -rotation @ shift[:, :, None]], dim=2) @ self.transform  # (N, 2, 3)
        # To move the plane below a wave is to change its frequency and its phase.
        waves = self.freqs @ motion  # (N, C, 3): the frequency along x and y, and what the phase gains
        freqs, phases = waves[:, :, :2], self.phases + waves[:, :, 2]
        # The user's transform may shrink the waves; they fade out towards the highest frequency that the rate allows.
        speed = torch.linalg.vector_norm(freqs, dim=2)  # (N, C)
        fade = ((rate / 2 - speed) / (rate / 2 - cutoff)).clamp(0, 1)
        # Cell centres, from the middle.
        y, x = (
            (torch.arange(cells, device=w.device, dtype=w.dtype) + (0.5 - cells / 2)) / rate
            for cells in self.signal.shape
        )
        along_x = x[:, None] * freqs[:, None, :, 0]  # (N, w, C)
        along_y = y[:, None] * freqs[:, None, :, 1] + phases[:, None]  # (N, h, C)
        waving = torch.sin(2 * math.pi * (along_y[:, :, None] + along_x[:, None]))  # (N, h, w, C)
        mixed: Tensor = (waving * fade[:, None, None]) @ (self.weight / math.sqrt(len(self.weight))).T
        # Channels stay last in memory where convolutions of few channels are fastest so.
        mixed = mixed.permute(0, 3, 1, 2)
        return mixed if mixed.device.type == "cpu" else mixed.contiguous()


class SynthesisLayer(nn.Module):
    """A modulated convolution, a bias and a filtered leaky ReLU between two signals (figure 4b).

    :param radial: whether the filter of the output treats all directions alike (config R).
    """

    magnitude_ema: Tensor
    up_filter: Tensor | None
    down_filter: Tensor | None

    def __init__(self, before: Signal, after: Signal, settings: LayerSettings, *, radial: bool) -> None:
        super().__init__()
        self.kernel, self.clamp = settings.conv_kernel, settings.conv_clamp
        self.affine = FullyConnected(settings.w_dim, before.channels, bias=1.0)
        self.weight = nn.Parameter(normal_numbers(after.channels, before.channels, self.kernel, self.kernel))
        self.bias = nn.Parameter(torch.zeros(after.channels))
        self.register_buffer("magnitude_ema", torch.ones([]))
        high = max(before.rate, after.rate) * settings.lrelu_upsampling
        up, down = high // before.rate, high // after.rate
        # Without a change of rate there is nothing to filter.
        up_taps, down_taps = (settings.filter_size * factor if factor > 1 else 1 for factor in (up, down))
        up_filter = sinc_low_pass(up_taps, before.cutoff, before.half_width, high) if up > 1 else None
        design = jinc_low_pass if radial else sinc_low_pass
        down_filter = design(down_taps, after.cutoff, after.half_width, high) if down > 1 else None
        self.register_buffer("up_filter", up_filter)
        self.register_buffer("down_filter", down_filter)
        # The convolution reads beyond the map, where there are zeros, so that nothing it learned is cut off.
        rows, columns = (cells + self.kernel - 1 for cells in before.shape)
        self.resampler = Resampler((rows, columns), after.shape, up, down, up_taps, down_taps)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Map ``x`` (N, C_in, h, w), latent rows ``w`` (N, w_dim) → (N, C_out, H, W)."""
        styles, norms = demodulate(self.weight, self.affine(w))
        # Only those cells of the convolution are computed that the filters read; what they read beyond it is zero.
        spans = (self.resampler.rows, self.resampler.columns)
        inside = [(max(span.start, 0), min(span.stop, span.size)) for span in spans]
        x = window(x, *((first - self.kernel + 1, last) for first, last in inside))
        x = F.conv2d(x * scale(styles * self.magnitude_ema.rsqrt()), self.weight) * scale(norms)
        x = x + self.bias[:, None, None]
        x = window(
            x, *((span.start - first, span.stop - first) for span, (first, _) in zip(spans, inside, strict=True))
        )
        one = x.new_ones(1)
        up_filter, down_filter = (one if taps is None else taps for taps in (self.up_filter, self.down_filter))
        return self.resampler(x, up_filter, down_filter, LEAKY_SLOPE, LEAKY_GAIN, self.clamp)


class ToRGB(nn.Module):
    """A 1×1 convolution to picture channels, modulated but not demodulated."""

    magnitude_ema: Tensor

    def __init__(self, before: Signal, after: Signal, settings: LayerSettings) -> None:
        super().__init__()
        self.clamp = settings.conv_clamp
        self.affine = FullyConnected(settings.w_dim, before.channels, bias=1.0)
        self.weight = nn.Parameter(normal_numbers(after.channels, before.channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(after.channels))
        self.register_buffer("magnitude_ema", torch.ones([]))
        self.gain = 1 / math.sqrt(before.channels)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Map ``x`` (N, C, h, w), latent rows ``w`` (N, w_dim) → (N, channels, h, w)."""
        styles = self.affine(w) * (self.gain * self.magnitude_ema.rsqrt())
        x = F.conv2d(x * scale(styles), self.weight, self.bias)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


def demodulate(weight: Tensor, styles: Tensor) -> tuple[Tensor, Tensor]:
    """Factors for the input (N, C_in) and the output (N, C_out) of a convolution that keep the variance at 1.

    Those of StyleGAN2 (equation 3 of its paper), after both ``weight`` (C_out, C_in, k, k) and ``styles`` (N, C_in)
    were brought to a mean square of 1. Here this is done latent by latent, so that each makes its picture whatever
    comes with it in a batch; all that it can change is the weight of the 1e-8 that guards the division.
    """
    energies = torch.linalg.vector_norm(weight, dim=(2, 3)).square()  # (C_out, C_in)
    means = energies.mean(dim=1) / weight[0, 0].numel()  # (C_out,)
    styles = styles * torch.rsqrt(styles.square().mean(dim=1, keepdim=True))
    norms = torch.rsqrt(styles.square() @ (energies / means[:, None]).T + 1e-8) * torch.rsqrt(means)
    return styles, norms


def window(x: Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    """Return the cells of ``x`` (N, C, h, w) from the first of ``rows`` and ``columns`` up to the second; zeros outside
    it.
    """
    (top, bottom), (left, right) = rows, columns
    return F.pad(x, [-left, right - x.shape[3], -top, bottom - x.shape[2]])


def scale(factors: Tensor) -> Tensor:
    """Factors (N, C) as something that maps (N, C, h, w) can be multiplied by."""
    return factors[:, :, None, None]
