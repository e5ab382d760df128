"""Low-pass filters, and leaky ReLUs that make no aliases (Karras et al., *Alias-Free Generative Adversarial Networks*).

A signal of sampling rate s may hold frequencies up to s / 2. A leaky ReLU makes new ones without end, so it is applied
at a multiple of the rate, and what does not fit the rate of its output is filtered away (sections 2.1 and 3.2 of the
paper). Rates and frequencies are in cycles per width of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

LANES = 16
"""Channels that the fastest kernels of CPUs filter at a time, if they lie next to each other in memory."""
GROUP = 1 << 18
"""Cells of all channels together that are filtered at a time on a CPU. The maps at the high rate, several times the
size of the map itself, then stay within the cache."""


def kaiser_beta(taps: int, half_width: float, rate: float) -> float:
    """Return the shape of Kaiser's window that gets the most attenuation out of ``taps`` (J. F. Kaiser, 1974; appendix
    C).

    :param half_width: half of the transition band, between passing and stopping.
    """
    attenuation = 2.285 * (taps - 1) * 2 * math.pi * (2 * half_width / rate) + 7.95  # decibels
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation > 21:
        return float(0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21))
    return 0.0


def sinc_low_pass(taps: int, cutoff: float, half_width: float, rate: float) -> Tensor:
    """Taps (taps,) of a windowed ideal low-pass filter for rows and columns in turn; their sum is 1 (appendix C)."""
    times = (np.arange(taps) - (taps - 1) / 2) / rate
    kernel = np.sinc(2 * cutoff * times) * np.kaiser(taps, kaiser_beta(taps, half_width, rate))
    return torch.from_numpy(kernel / kernel.sum()).to(torch.get_default_dtype())


def jinc_low_pass(taps: int, cutoff: float, half_width: float, rate: float) -> Tensor:
    """Taps (taps, taps) of a low-pass filter that treats all directions alike; their sum is 1 (appendix C).

    The ideal filter of a disc of frequencies is f_c · J1(2π f_c r) / r at the distance r.
    """
    times = (np.arange(taps) - (taps - 1) / 2) / rate
    angles = 2 * np.pi * cutoff * np.hypot(times[:, None], times)
    at_zero = angles == 0
    ideal = torch.special.bessel_j1(torch.from_numpy(angles)).numpy() / np.where(at_zero, 1, angles)
    window = np.kaiser(taps, kaiser_beta(taps, half_width, rate))
    kernel = np.where(at_zero, 0.5, ideal) * np.outer(window, window)
    return torch.from_numpy(kernel / kernel.sum()).to(torch.get_default_dtype())


class Span:
    """Which cells of its input a filtered leaky ReLU reads, along rows or along columns.

    :param size: cells of the input in this direction. :param out_size: of the output. The middle stays the middle.
    :param up: the high rate as a multiple of the input's. :param down: of the output's; ``up`` is a multiple of it.
    :param up_taps: of the first filter, a multiple of ``up``. :param down_taps: of the second.
    """

    def __init__(self, size: int, out_size: int, up: int, down: int, up_taps: int, down_taps: int) -> None:
        self.size, self.out_size, self.grow = size, out_size, up // down
        # Count high-rate samples from the first that the second filter reads. Where, then, is the input's first?
        lead = ((out_size - 1) * down + up_taps + down_taps - 2 - (size - 1) * up + 1) // 2
        # Begin a little earlier, so that all phases of one index read the same cells of the input.
        self.early = (up - 1 - lead) % up
        self.start = -((lead + self.early) // up)
        """The first cell of the input that is read; negative ones lie before it and are zeros."""
        self.reach = math.ceil(((self.grow - 1) * down + self.early + down_taps) / up)
        """Taps per phase of the second filter."""
        self.stop = self.start + math.ceil(out_size / self.grow) + self.reach + up_taps // up - 2
        """One after the last cell of the input that is read."""


class Resampler:
    """A filtered leaky ReLU between two maps: rate × ``up``, filter, leaky ReLU, filter, rate / ``down``.

    Both filters are computed at the input's own rate, which is the lowest: the signal at the high rate is held as
    ``up`` × ``up`` maps, each of the samples at one position between those of the input ("polyphase"). Neither zeros
    that are put in between nor samples that are thrown away are ever computed.

    :param shape: rows and columns of the input. :param out_shape: of the output; for the others see ``Span``.
    """

    def __init__(
        self, shape: tuple[int, int], out_shape: tuple[int, int], up: int, down: int, up_taps: int, down_taps: int
    ) -> None:
        self.up, self.down, self.grow, self.down_taps = up, down, up // down, down_taps
        self.rows, self.columns = (
            Span(size, out_size, up, down, up_taps, down_taps) for size, out_size in zip(shape, out_shape, strict=True)
        )

    def up_kernel(self, taps: Tensor) -> Tensor:
        """Return the filter ``taps`` (T,) as one small filter per phase: (up², 1, T / up, T / up)."""
        phases = taps.view(-1, self.up).flip(1).T * self.up  # (up, T / up); their sum was that of zeros in between
        return torch.einsum("ya,xb->yxab", phases, phases).flatten(0, 1)[:, None]

    def down_kernel(self, taps: Tensor) -> Tensor:
        """Return the filter ``taps`` (T,) or (T, T), per phase of output and input: (grow², up², rows' and columns'
        reach).
        """
        square = taps if taps.ndim == 2 else torch.outer(taps, taps)
        kernels = []
        for row in range(self.grow):
            for column in range(self.grow):
                top, bottom = self._around(self.rows, row)
                left, right = self._around(self.columns, column)
                spread = F.pad(square, [left, right, top, bottom])
                spread = spread.view(self.rows.reach, self.up, self.columns.reach, self.up)
                kernels.append(spread.permute(1, 3, 0, 2).flatten(0, 1))  # (up², reach, reach)
        return torch.stack(kernels)

    def _around(self, span: Span, phase: int) -> tuple[int, int]:
        """Zeros before and after the second filter's taps, for one phase of the output."""
        before = phase * self.down + span.early
        return before, span.reach * self.up - before - self.down_taps

    def __call__(
        self, x: Tensor, up_taps: Tensor, down_taps: Tensor, slope: float, gain: float, clamp: float | None
    ) -> Tensor:
        """Return the filtered leaky ReLU (figure 4b of the paper).

        :param x: (N, C, h, w), the cells that ``rows`` and ``columns`` say, from ``start`` to ``stop``.
        :param slope: for negative values. :param gain: for all, after that. :param clamp: the largest magnitude, after
            that; None: any. :returns: (N, C, *out_shape).
        """
        up_kernel, down_kernel = self.up_kernel(up_taps), self.down_kernel(down_taps) * gain
        limit = None if clamp is None else clamp / gain
        groups: Sequence[Tensor] = (x,)
        if x.device.type == "cpu":
            several = max(GROUP // (LANES * x.shape[2] * x.shape[3]), 1) * LANES
            groups = [group.contiguous(memory_format=torch.channels_last) for group in torch.split(x, several, dim=1)]
        done = [self._filter(group, up_kernel, down_kernel, slope, limit) for group in groups]
        return done[0] if len(done) == 1 else torch.cat(done, dim=1)

    def _filter(self, x: Tensor, up_kernel: Tensor, down_kernel: Tensor, slope: float, limit: float | None) -> Tensor:
        sums: list[Tensor] = []
        for phase, kernel in enumerate(up_kernel):
            y = F.leaky_relu_(_each_channel(x, kernel[0]), slope)
            if limit is not None:
                # Autograd keeps what leaky_relu_ left, so only without it may that be overwritten.
                y = F.hardtanh(y, -limit, limit, inplace=not y.requires_grad)
            parts = [_each_channel(y, kernels[phase]) for kernels in down_kernel]
            sums = [before.add_(part) for before, part in zip(sums, parts, strict=True)] if sums else parts
        if self.grow == 1:
            return sums[0]
        z = F.pixel_shuffle(torch.stack(sums, dim=2).flatten(1, 2), self.grow)
        return z[:, :, : self.rows.out_size, : self.columns.out_size]


def _each_channel(x: Tensor, kernel: Tensor) -> Tensor:
    """Return each channel of ``x`` (N, C, h, w) correlated with ``kernel`` (a, b) → (N, C, h - a + 1, w - b + 1)."""
    channels = x.shape[1]
    return F.conv2d(x, kernel.expand(channels, 1, *kernel.shape).contiguous(), groups=channels)
