"""The layers of StyleGAN2 (Karras et al., *Analyzing and Improving the Image Quality of StyleGAN*, 2020).

Module and buffer names follow the state-dict layout in which people's checkpoints come, so those load unchanged.
Convolutions scale activations instead of weights (section 2.2 of the paper, equation 3, read from right to left): the
weights stay constant from picture to picture, and no weights per sample are made. Where a single picture's map has more
numbers than the weights, these are scaled (``folds``).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from draggan_widget.texts import quoted

LEAKY_SLOPE = 0.2
LEAKY_GAIN = math.sqrt(2)
"""Keeps the variance of a leaky ReLU's output near that of its input."""
FIR = (1.0, 3.0, 3.0, 1.0)
"""The binomial low-pass filter of every change of resolution."""
ARCHITECTURES = ("skip", "resnet", "orig")
"""How blocks reach the picture (figure 7 of the paper): each adds to it, each adds to its input, or plainly stacked."""


WIDEST = 8192
"""Numbers of a latent, and of what lies between layers of a mapping network; the usual ones have 512."""
MOST_CLASSES = 1 << 16
"""ImageNet's larger part has 21,841."""


class MappingNetwork(nn.Module):
    """z (and a class) → w: normalised inputs through equalised fully connected layers with leaky ReLUs.

    ``hidden`` is the width between the layers and ``embedding`` that of a class, both ``w_dim`` by default.
    With ``z_dim`` 0 the class alone is mapped. ``joint`` scales input and class to a mean square of 1 together, as the
    first program of the paper did, and not each. With ``means`` each class has a mean latent of its own.
    """

    w_avg: Tensor

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        layers: int,
        lr_multiplier: float,
        *,
        hidden: int | None = None,
        embedding: int | None = None,
        joint: bool = False,
        means: bool = False,
    ) -> None:
        super().__init__()
        if isinstance(layers, bool) or not isinstance(layers, int) or not 1 <= layers <= 64:
            raise ValueError(f"mapping_layers is {quoted(layers)}; it must be from 1 to 64")
        check_whole("z_dim", z_dim, 0, WIDEST)
        check_whole("w_dim", w_dim, 1, WIDEST)
        check_whole("c_dim", c_dim, 0, MOST_CLASSES)
        for name, width in (("layer_features", hidden), ("embed_features", embedding)):
            if width is not None:
                check_whole(name, width, 1, WIDEST)
        embedding = (w_dim if embedding is None else embedding) if c_dim else 0
        if z_dim + embedding < 1:
            raise ValueError("z_dim is 0 and there are no classes; the mapping network needs one of them")
        self.layers = layers
        self.joint = joint
        self.embed = FullyConnected(c_dim, embedding) if c_dim else None
        between = [w_dim if hidden is None else hidden] * (layers - 1)
        widths = [z_dim + embedding, *between, w_dim]
        for index in range(layers):
            layer = FullyConnected(widths[index], widths[index + 1], lr_multiplier=lr_multiplier)
            self.add_module(f"fc{index}", layer)
        self.register_buffer("w_avg", torch.zeros((c_dim, w_dim) if c_dim and means else w_dim))

    def forward(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Map ``z`` (N, z_dim) and one-hot ``labels`` (N, c_dim) → w (N, w_dim)."""
        parts = [z] if self.embed is None else [z, self.embed(labels)]
        if self.joint:
            x = unit_second_moment(torch.cat(parts, dim=1))  # (N, z_dim + embedding)
        else:
            x = torch.cat([unit_second_moment(part) if part.shape[1] else part for part in parts], dim=1)
        for index in range(self.layers):
            x = F.leaky_relu(self.get_submodule(f"fc{index}")(x), LEAKY_SLOPE) * LEAKY_GAIN
        return x  # (N, w_dim)

    def truncated(self, z: Tensor, labels: Tensor | None, truncation: float) -> Tensor:
        """w (N, w_dim), ``truncation`` of the way from the mean latent, of the class where each has one, to itself."""
        mean = self.w_avg if labels is None or self.w_avg.ndim == 1 else labels @ self.w_avg
        return mean.lerp(self(z, labels), truncation)


@dataclasses.dataclass(frozen=True)
class BlockSettings:
    """What the blocks of one network have in common; see ``StyleGAN2``."""

    w_dim: int
    img_channels: int
    architecture: str = "skip"
    conv_clamp: float | None = None
    use_noise: bool = True
    resample_filter: Sequence[float] | Sequence[Sequence[float]] = FIR


class SynthesisBlock(nn.Module):
    """One size of the pyramid: two modulated convolutions (one at the first), and its way to the picture.

    ``in_channels`` is None for the first block, which starts from a learned constant. ``size`` is (H, W).
    """

    const: Tensor
    resample_filter: Tensor

    def __init__(
        self, in_channels: int | None, out_channels: int, size: tuple[int, int], is_last: bool, settings: BlockSettings
    ) -> None:
        super().__init__()
        residual = settings.architecture == "resnet" and in_channels is not None
        # Halving the variance of both summands keeps that of a residual block's sum.
        gain = math.sqrt(0.5) if residual else 1.0
        self.is_first = in_channels is None
        self.size = size
        self.register_buffer("resample_filter", fir_kernel(settings.resample_filter))
        if in_channels is None:
            self.const = nn.Parameter(normal_numbers(out_channels, *size))
        else:
            self.conv0 = SynthesisLayer(in_channels, out_channels, size, settings, up=True)
        self.conv1 = SynthesisLayer(out_channels, out_channels, size, settings, gain=gain)
        self.torgb: ToRGB | None = None
        if is_last or settings.architecture == "skip":
            self.torgb = ToRGB(out_channels, settings.img_channels, settings.w_dim, settings.conv_clamp)
        self.skip: Shortcut | None = None
        if residual:
            assert in_channels is not None
            self.skip = Shortcut(in_channels, out_channels, gain, settings.resample_filter)

    def grow(self, x: Tensor | None, rows: Sequence[Tensor]) -> Tensor:
        """Return the block's features (N, C, H, W) from those of the block before (None at the first).

        :param rows: of the latent, (N, w_dim) each, those of the block.
        """
        if x is None:
            start = self.const[None].expand(len(rows[0]), -1, -1, -1)
            if start.device.type == "cpu":
                # All that follows stays so: there, transposed convolutions are several times quicker channels last.
                start = start.contiguous(memory_format=torch.channels_last)
            first: Tensor = self.conv1(start, rows[0])
            return first
        grown: Tensor = self.conv1(self.conv0(x, rows[0]), rows[1])
        if self.skip is not None:
            grown = grown + self.skip(x)
        return grown

    def paint(self, x: Tensor, rows: Sequence[Tensor], picture: Tensor | None) -> Tensor | None:
        """Return the picture (N, channels, H, W) from the block's features and the picture of the block before.

        None from a block that has no part in the picture: all but the last of ``resnet`` and ``orig``.
        """
        if self.torgb is None:
            return None
        added: Tensor = self.torgb(x, rows[-1])
        return added if picture is None else upsample(picture, self.resample_filter).add_(added)


class SynthesisLayer(nn.Module):
    """A 3×3 convolution modulated by the latent, demodulated, with constant noise, bias and leaky ReLU.

    ``gain`` scales what comes out, and the clamp with it.
    """

    noise_const: Tensor
    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: tuple[int, int],
        settings: BlockSettings,
        *,
        up: bool = False,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.up = up
        self.gain = LEAKY_GAIN * gain
        self.clamp = None if settings.conv_clamp is None else settings.conv_clamp * gain
        self.use_noise = settings.use_noise
        self.affine = FullyConnected(settings.w_dim, in_channels, bias=1.0)
        self.weight = nn.Parameter(normal_numbers(out_channels, in_channels, 3, 3))
        if self.use_noise:
            self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("resample_filter", fir_kernel(settings.resample_filter))
        if self.use_noise:
            self.register_buffer("noise_const", normal_numbers(*size))
        self.operands: torch.dtype | None = None
        """What the convolution's factors are rounded to, its sums and all else being of the map's type; None: nothing.
        """
        self._kept: dict[str, tuple[object, Tensor]] = {}

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Map ``x`` (N, C_in, h, w), latent rows ``w`` (N, w_dim) → (N, C_out, H, W)."""
        styles = self.affine(w)  # (N, C_in)
        if self.operands is not None:
            # Demodulation undoes any scale of the styles; this one keeps products within the narrow range of halves.
            styles = styles / styles.abs().amax(dim=1, keepdim=True)
        # A leaky ReLU lets a factor above 0 through, so the gain may come before it.
        norms = torch.rsqrt((styles.square() @ self._energies().T).add_(1e-8 / self.gain**2))  # (N, C_out), with it
        bias = self._lasting("bias", lambda bias: bias * self.gain, self.bias)
        if folds(x, self.weight, styles):
            x = self._convolve(x, (norms[0, :, None] * styles[0])[:, :, None, None], bias)
        else:
            x = self._convolve(x * styles[:, :, None, None])
            x = (x * norms[:, :, None, None]).add_(bias[:, None, None])
        if self.use_noise:
            x.add_(self._lasting("noise", self._scaled_noise, self.noise_const, self.noise_strength))
        x = F.leaky_relu_(x, LEAKY_SLOPE)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)

    def _convolve(self, x: Tensor, factors: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """Return a map (N, C_in, h, w) convolved with the weights times ``factors``, plus ``bias``: (N, C_out, H,
        W).
        """
        kind = x.dtype
        at_once = self.up and self.operands is not None and len(self.resample_filter) == 4
        weight = self._factor(in_phases=at_once)
        if factors is not None:
            weight = (weight * (factors.repeat_interleave(4, dim=0) if at_once else factors)).to(weight.dtype)
        if self.operands is not None:
            x = x.to(self.operands, memory_format=torch.channels_last)
        added = None if bias is None else bias.to(x.dtype)
        if not self.up:
            return F.conv2d(x, weight, added, padding=1).to(kind)
        if at_once:
            added = None if added is None else added.repeat_interleave(4)
            return F.pixel_shuffle(F.conv2d(x, weight, added, padding=1), 2).to(kind)
        # A zero-interleaved map convolved with the weight, then with the low-pass filter; the transposed convolution
        # leaves one extra row and column, which the filter's support takes up.
        turned = weight.transpose(0, 1)
        if weight is self.weight and x.device.type == "cpu":  # where it would be copied at every pass, and back again
            turned = self._lasting("turned", _turned, weight)
        x = F.conv_transpose2d(x, turned, stride=2)  # (N, C_out, H + 1, W + 1)
        return low_pass(x.to(kind), self.resample_filter * 4, bias)

    def _factor(self, *, in_phases: bool) -> Tensor:
        """Return the weights (C_out, C_in, 3, 3) in the type of the operands; or (4 · C_out, C_in, 3, 3), see
        ``phases``.
        """
        kind = self.operands
        if not in_phases and kind is None:
            return self.weight

        def factor(weight: Tensor) -> Tensor:
            found = phases(weight, self.resample_filter * 4) if in_phases else weight
            return found if kind is None else found.to(kind, memory_format=torch.channels_last)

        return self._lasting(f"weight in {kind}, {in_phases}", factor, self.weight)

    def _energies(self) -> Tensor:
        """Sums of the squares of the weights over their taps (C_out, C_in), divided so that norms have the gain."""
        return self._lasting("energies", lambda weight: weight.square().sum(dim=(2, 3)) / self.gain**2, self.weight)

    def _scaled_noise(self, noise: Tensor, strength: Tensor) -> Tensor:
        return noise * (strength * self.gain)

    def _lasting(self, name: str, make: Callable[..., Tensor], *sources: Tensor) -> Tensor:
        """Return what ``make`` makes of ``sources``, kept under this name while they stay."""
        if any(source.requires_grad for source in sources):
            return make(*sources)
        if self._kept.get(name, (None,))[0] != _states(sources):
            with torch.inference_mode(mode=False):  # or no gradient could ever be taken through what is kept
                lay_out(self.weight)
                self._kept[name] = _states(sources), make(*sources)
        return self._kept[name][1]

    def derived(self) -> list[Tensor]:
        """Return what was made of the weights, and serves as long as they stay: copies of the layer may share it."""
        return [tensor for _, tensor in self._kept.values()]


def _turned(weight: Tensor) -> Tensor:
    return weight.transpose(0, 1).contiguous(memory_format=torch.channels_last)


def _states(tensors: Sequence[Tensor]) -> object:
    """Changes when one of ``tensors`` does: when it is written, moved or cast."""
    return [(tensor._version, tensor.data_ptr(), tensor.dtype) for tensor in tensors]


def phases(weight: Tensor, kernel: Tensor) -> Tensor:
    """Return the weights (4 · C_out, C_in, 3, 3) of a convolution that doubles and filters at once, up to
    ``pixel_shuffle``.

    What lies between: a transposed convolution of stride 2 by ``weight`` (C_out, C_in, 3, 3), filtered by ``kernel``
    (4, 4), is one by their convolution (6, 6), of which each of four neighbouring pixels sees every second row and
    column. It is four times the arithmetic, which is little to a GPU in halves; passes over the map cost it more.
    """
    whole = F.pad(torch.zeros_like(weight), [0, 3, 0, 3])  # (C_out, C_in, 6, 6)
    for row, factors in enumerate(kernel.tolist()):
        for column, factor in enumerate(factors):
            whole[:, :, row : row + 3, column : column + 3] += factor * weight
    # Pixel 2q + p gets of cell q + d, for d = -1, 0, 1, what the tap 2 + p - 2d gives.
    taps = torch.tensor([[4, 2, 0], [5, 3, 1]], device=weight.device)
    seen = whole[:, :, taps[:, None, :, None], taps[None, :, None, :]]  # (C_out, C_in, 2, 2, 3, 3)
    return seen.permute(0, 2, 3, 1, 4, 5).flatten(0, 2).contiguous()


class Shortcut(nn.Module):
    """The 1×1 convolution past a residual block, to twice the size, times ``gain``."""

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        gain: float,
        resample_filter: Sequence[float] | Sequence[Sequence[float]],
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal_numbers(out_channels, in_channels, 1, 1))
        self.gain = gain / math.sqrt(in_channels)
        self.register_buffer("resample_filter", fir_kernel(resample_filter))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (N, C_in, h, w) → (N, C_out, 2h, 2w)."""
        # Filtering is the same for all channels, so it may come after the (cheaper) convolution at the smaller size.
        return upsample(F.conv2d(x, self.weight * self.gain), self.resample_filter)


class ToRGB(nn.Module):
    """A 1×1 convolution to picture channels, modulated but not demodulated."""

    def __init__(self, in_channels: int, img_channels: int, w_dim: int, clamp: float | None = None) -> None:
        super().__init__()
        self.clamp = clamp
        self.affine = FullyConnected(w_dim, in_channels, bias=1.0)
        self.weight = nn.Parameter(normal_numbers(img_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(img_channels))
        self.gain = 1 / math.sqrt(in_channels)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Map ``x`` (N, C, h, w), latent rows ``w`` (N, w_dim) → (N, img_channels, h, w)."""
        styles = self.affine(w) * self.gain
        if folds(x, self.weight, styles):
            x = F.conv2d(x, self.weight * styles[:, :, None, None], self.bias)
        else:
            x = F.conv2d(x * styles[:, :, None, None], self.weight, self.bias)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class FullyConnected(nn.Module):
    """A linear layer whose stored weights have unit variance and are scaled when used (equalised learning rate)."""

    def __init__(self, in_features: int, out_features: int, *, bias: float = 0.0, lr_multiplier: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal_numbers(out_features, in_features, deviation=1 / lr_multiplier))
        self.bias = nn.Parameter(torch.full((out_features,), bias / lr_multiplier))
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (N, in_features) → (N, out_features)."""
        return F.linear(x * self.weight_gain, self.weight, self.bias * self.bias_gain)


def lay_out(weight: nn.Parameter) -> None:
    """Have the frozen weights of a convolution lie channels last on a processor, as all that computes with them wants.

    It is done before anything is computed, since products of another layout are rounded in another way.
    """
    if weight.device.type == "cpu":
        weight.data = weight.data.contiguous(memory_format=torch.channels_last)


def folds(x: Tensor, weight: Tensor, styles: Tensor) -> bool:
    """Return whether a modulated convolution of ``x`` by ``weight`` had better scale the weights than what goes in and
    out.

    It had where nobody asks for gradients of them, for a single picture whose map has more numbers than they have.
    """
    asked = torch.is_grad_enabled() and any(each.requires_grad for each in (x, weight, styles))
    return len(x) == 1 and not asked and weight.numel() < 2 * x.numel()


def unit_second_moment(x: Tensor) -> Tensor:
    """Return rows scaled to a mean square of 1."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def low_pass(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Filter ``x`` (N, C, h, w) per channel by ``kernel`` (T, T), plus ``bias`` (C,) → (N, C, h - 1, w - 1)."""
    channels, taps = x.shape[1], len(kernel)
    # A filter is convolved with: mirrored, for torch's conv2d correlates.
    weight = kernel.flip([0, 1]).expand(channels, 1, taps, taps)
    if taps % 2 == 0:
        return F.conv2d(x, weight, bias, padding=taps // 2 - 1, groups=channels)
    before, after = (taps + 1) // 2 - 1, (taps - 2) // 2
    return F.conv2d(F.pad(x, [before, after, before, after]), weight, bias, groups=channels)


def upsample(picture: Tensor, kernel: Tensor) -> Tensor:
    """Return a picture (N, C, h, w) at twice the size, through ``kernel`` (T, T) with unit sum."""
    channels, taps = picture.shape[1], len(kernel)
    weight = (kernel * 4).expand(channels, 1, taps, taps)
    if taps % 2 == 0:
        return F.conv_transpose2d(picture, weight, stride=2, padding=taps // 2 - 1, groups=channels)
    wide = F.conv_transpose2d(picture, weight, stride=2, groups=channels)  # (N, C, 2h + taps - 2, 2w + taps - 2)
    before = (taps - 3) // 2
    after = taps - 2 - before
    return F.pad(wide, [-before, -after, -before, -after])


def check_whole(name: str, value: object, least: int, most: int) -> None:
    """:raises ValueError: naming the setting, if it is no whole number from ``least`` to ``most``."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} is {quoted(value)}; it must be a whole number of at least {least} and at most {most}")


def normal_numbers(*shape: int, deviation: float = 1.0) -> Tensor:
    """Normal numbers of that shape; on the meta device, where a network has shapes only, nothing but the shape."""
    # Asked for random numbers there, torch imports its compiler first, which takes seconds.
    empty = torch.empty(shape)
    if empty.is_meta:
        return empty
    numbers = torch.randn(shape)
    return numbers if deviation == 1 else numbers * deviation


def fir_kernel(taps: Sequence[float] | Sequence[Sequence[float]]) -> Tensor:
    """Return the filter (T, T) with unit sum: ``taps`` (T, T) themselves, or the outer product of ``taps`` (T,).

    :raises ValueError: for taps that make no square filter of 1 to 64 taps with a finite sum other than 0.
    """
    if not 1 <= len(taps) <= 64:
        raise ValueError(f"resample_filter has {len(taps)} taps; it must have 1 to 64, or be a square of them")
    kernel = torch.tensor(taps, dtype=torch.float64, device="cpu")
    if kernel.ndim == 1:
        kernel = torch.outer(kernel, kernel)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1]:
        raise ValueError(f"resample_filter is {quoted(taps)}; it must be 1 to 64 taps, or a square of them")
    total = float(kernel.sum())
    if not math.isfinite(total) or total == 0:
        raise ValueError(f"resample_filter is {quoted(taps)}; its taps must be finite and their sum other than 0")
    return (kernel / total).to(torch.get_default_dtype())
