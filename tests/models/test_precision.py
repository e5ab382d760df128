"""Halves are taken only where they are exact and quick enough; and they are made to be exact."""

from __future__ import annotations

import pytest
import torch
from random_stylegan2 import small_stylegan2

from draggan_widget.models import for_glances, load_generator, precision
from draggan_widget.models.stylegan2.layers import phases


def features_and_gradient(generator, operands, scale=1.0):
    generator.operands = operands
    ws = generator.mapping(seed=3).requires_grad_()
    (feature_map,) = generator.feature_maps(ws, [4])
    (gradient,) = torch.autograd.grad(feature_map.abs().mean() * scale, ws)
    return feature_map.detach(), gradient / scale


def error(found, expected):
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_halves_change_features_and_gradients_by_little_and_stay_float32_outside(architecture):
    generator = small_stylegan2(architecture=architecture)
    exact = features_and_gradient(generator, None)
    halves = features_and_gradient(generator, torch.float16)
    for found, expected, most in zip(halves, exact, (5e-3, 2e-2), strict=True):
        assert found.dtype == torch.float32
        assert 0 < error(found, expected) < most
    assert 0 < error(generator.synthesize(generator.mapping(seed=3)), _picture(generator)) < 5e-3


def _picture(generator):
    generator.operands = None
    return generator.synthesize(generator.mapping(seed=3))


def test_gradients_too_small_for_halves_do_not_vanish():
    generator = small_stylegan2()
    _, expected = features_and_gradient(generator, None, scale=1e-5)
    _, found = features_and_gradient(generator, torch.float16, scale=1e-5)
    assert error(found, expected) < 2e-2


def test_styles_too_large_for_halves_do_not_overflow():
    generator = small_stylegan2()
    for name, weight in generator.named_parameters():
        if "conv" in name and "affine" in name:
            weight.mul_(1e5)
    exact, halves = (features_and_gradient(generator, kind)[0] for kind in (None, torch.float16))
    assert error(halves, exact) < 5e-3


@pytest.mark.parametrize("taps", [(1, 3, 3, 1), (1, 2, 5, 4)])
def test_doubling_and_filtering_at_once_is_what_it_is_in_turn(taps):
    layer = small_stylegan2(resample_filter=taps).double().network["synthesis"]["b16"].conv0
    x = torch.randn(2, layer.weight.shape[1], 8, 4, dtype=torch.float64)
    four = torch.nn.functional.conv2d(x, phases(layer.weight, layer.resample_filter * 4), padding=1)
    torch.testing.assert_close(torch.nn.functional.pixel_shuffle(four, 2), layer._convolve(x), rtol=1e-12, atol=1e-12)


def test_weights_that_change_are_rounded_anew():
    generator = small_stylegan2()
    before, _ = features_and_gradient(generator, torch.float16)
    generator.network["synthesis"]["b8"].conv0.weight.mul_(torch.linspace(0.5, 2, 3))
    after, _ = features_and_gradient(generator, torch.float16)
    exact, _ = features_and_gradient(generator, None)
    assert error(after, before) > 0.01
    assert error(after, exact) < 5e-3


def test_halves_are_chosen_where_they_are_quicker():
    generator = small_stylegan2(architecture="resnet")
    assert precision.compare(generator, lambda asked: 2.0 if asked.operands is None else 1.0) is torch.float16
    assert generator.operands is torch.float16


def test_halves_are_not_chosen_where_float32_is_as_quick():
    generator = small_stylegan2(architecture="resnet")
    assert precision.compare(generator, lambda asked: 1.0) is None
    assert generator.operands is None


def test_halves_are_not_chosen_where_they_are_not_exact(monkeypatch):
    monkeypatch.setattr(precision, "LARGEST_ERROR", 1e-6)
    generator = small_stylegan2()
    assert precision.compare(generator, lambda asked: 2.0 if asked.operands is None else 1.0) is None
    # A sum beyond the largest half.
    generator.network["synthesis"]["b4"].const.mul_(1e6)
    monkeypatch.setattr(precision, "LARGEST_ERROR", 1.0)
    assert precision.compare(generator, lambda asked: 2.0 if asked.operands is None else 1.0) is None


def test_on_a_processor_nothing_is_asked():
    generator = load_generator("faces", device="cpu")
    assert precision.choose(generator) is None
    assert generator.operands is None


def test_a_copy_for_glances_shares_the_weights_and_leaves_exact_pictures_as_they_are(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    generator = small_stylegan2(64)
    ws = generator.mapping(seed=3)
    exact = generator.synthesize(ws)
    glances = for_glances(generator)
    assert [weight.data_ptr() for weight in glances.parameters()] == [w.data_ptr() for w in generator.parameters()]
    glanced = glances.synthesize(ws)
    assert not torch.equal(glanced, exact)
    assert (glanced - exact).abs().mean() < 0.01 * exact.abs().mean()
    assert torch.equal(generator.synthesize(ws), exact)
    assert generator.operands is None


def test_where_halves_are_slow_or_mean_something_else_there_is_no_copy_for_glances(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    assert for_glances(small_stylegan2(32).double()) is None
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert for_glances(small_stylegan2(32)) is None
