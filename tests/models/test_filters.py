"""Filters against scipy's and against what they are for; resampling against zeros put in and samples thrown away."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch
import torch.nn.functional as F

from draggan_widget.models.stylegan3 import filters
from draggan_widget.models.stylegan3.filters import LANES, Resampler, jinc_low_pass, kaiser_beta, sinc_low_pass

DESIGNS = [(12, 16.0, 8.5, 128.0), (24, 22.6, 9.4, 256.0), (12, 128.0, 29.6, 512.0), (15, 3.0, 4.0, 48.0)]


def response(kernel, frequency, rate, angle=0.0):
    """How much of a wave of that frequency and direction a filter (T,) or (T, T) passes."""
    square = kernel if kernel.ndim == 2 else torch.outer(kernel, kernel)
    times = (np.arange(len(square)) - (len(square) - 1) / 2) / rate
    along = np.cos(angle) * times[None] + np.sin(angle) * times[:, None]
    return float((square.double().numpy() * np.cos(2 * np.pi * frequency * along)).sum())


@pytest.mark.parametrize(("taps", "cutoff", "half_width", "rate"), DESIGNS)
def test_the_window_and_the_taps_are_those_of_scipy(taps, cutoff, half_width, rate):
    beta = scipy.signal.kaiser_beta(scipy.signal.kaiser_atten(taps, 2 * half_width / (rate / 2)))
    assert kaiser_beta(taps, half_width, rate) == pytest.approx(beta)
    expected = scipy.signal.firwin(taps, cutoff, width=2 * half_width, fs=rate)
    np.testing.assert_allclose(sinc_low_pass(taps, cutoff, half_width, rate).numpy(), expected, atol=1e-7)


def test_a_wide_transition_needs_no_window():
    assert kaiser_beta(2, 1.0, 100.0) == 0
    assert kaiser_beta(40, 20.0, 100.0) > kaiser_beta(12, 10.0, 100.0) > 0


@pytest.mark.parametrize("design", [sinc_low_pass, jinc_low_pass])
def test_a_filter_passes_what_is_below_the_cutoff_and_stops_what_is_above(design):
    kernel = design(12, 16.0, 18.0, 128.0)
    assert response(kernel, 0.0, 128.0) == pytest.approx(1, abs=1e-6)
    assert response(kernel, 4.0, 128.0) > 0.9
    assert abs(response(kernel, 40.0, 128.0)) < 0.02


def test_the_radial_filter_treats_all_directions_alike_and_the_separable_one_does_not():
    angles = np.linspace(0, np.pi / 2, 9)
    straight, round_ = (
        np.ptp([response(design(12, 16.0, 18.0, 128.0), 24.0, 128.0, angle) for angle in angles])
        for design in (sinc_low_pass, jinc_low_pass)
    )
    assert round_ < straight / 5


@pytest.mark.parametrize("taps", [11, 12])
def test_the_radial_filter_is_finite_and_symmetric_with_and_without_a_middle(taps):
    kernel = jinc_low_pass(taps, 5.0, 4.0, 48.0)
    assert torch.isfinite(kernel).all()
    for same in (kernel.T, kernel.flip(0), kernel.flip(1)):
        torch.testing.assert_close(kernel, same)


def long_way(x, out_shape, up, down, up_taps, down_taps, slope, gain, clamp):
    """Zeros in between, pads that keep the middle in the middle, filters, and samples thrown away."""
    channels = x.shape[1]

    def filtered(x, taps):
        square = taps if taps.ndim == 2 else torch.outer(taps, taps)
        return F.conv2d(x, square.expand(channels, 1, *square.shape), groups=channels)

    wide = x.new_zeros(*x.shape[:2], x.shape[2] * up, x.shape[3] * up)
    wide[:, :, ::up, ::up] = x
    pads = []
    for size, wanted in zip(x.shape[2:], out_shape, strict=True):
        # The high-rate samples around the middle that the output needs, and those that the filters use up.
        needed = (wanted - 1) * down + 1 + len(up_taps) + len(down_taps) - 2
        before = ((needed - 1) - (size - 1) * up + 1) // 2
        pads = [before, needed - size * up - before, *pads]
    wide = F.pad(wide, pads)
    y = F.leaky_relu(filtered(wide, up_taps) * up**2, slope) * gain
    y = y if clamp is None else y.clamp(-clamp, clamp)
    return filtered(y, down_taps)[:, :, ::down, ::down]


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("clamp", [None, 0.7])
@pytest.mark.parametrize("radial", [False, True])
@pytest.mark.parametrize(
    ("size", "out_size", "up", "down", "taps"),
    [(38, 36, 2, 2, 6), (38, 52, 4, 2, 6), (36, 52, 4, 2, 6), (38, 16, 2, 2, 6), (22, 40, 2, 1, 6), (20, 20, 3, 3, 5),
     (21, 20, 6, 3, 5), (18, 16, 8, 2, 4), (20, 20, 1, 1, 6)],
)  # fmt: skip
def test_resampling_at_the_low_rate_is_the_same_as_the_long_way(
    size, out_size, up, down, taps, radial, clamp, narrow, monkeypatch
):
    torch.manual_seed(0)
    up_taps = torch.randn(taps * up if up > 1 else 1) / taps
    down_taps = torch.randn(*[taps * down if down > 1 else 1] * (1 + radial)) / taps
    monkeypatch.setattr(filters, "GROUP", 1)
    shape, out_shape = ((size, size // 2 + 1), (out_size, out_size // 2)) if narrow else ((size,) * 2, (out_size,) * 2)
    x = torch.randn(2, LANES + 3, *shape, requires_grad=True)
    resampler = Resampler(shape, out_shape, up, down, len(up_taps), len(down_taps))
    spans = (resampler.columns, resampler.rows)
    read = F.pad(x, [pad for span in spans for pad in (-span.start, span.stop - span.size)])
    found = resampler(read, up_taps, down_taps, 0.2, 1.4, clamp)
    expected = long_way(x, out_shape, up, down, up_taps, down_taps, 0.2, 1.4, clamp)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    weights = torch.randn_like(expected)
    gradients = [torch.autograd.grad((made * weights).sum(), x)[0] for made in (found, expected)]
    torch.testing.assert_close(*gradients, atol=1e-3, rtol=1e-3)
    with torch.no_grad():
        torch.testing.assert_close(resampler(read, up_taps, down_taps, 0.2, 1.4, clamp), expected, atol=1e-4, rtol=1e-4)
