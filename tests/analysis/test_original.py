from __future__ import annotations

import numpy as np
import pytest
import torch
from random_stylegan2 import generator_of, small_stylegan2

from draggan_widget.analysis.benchmarks.original import OriginalDrag, synthesize
from draggan_widget.config import DragConfig
from draggan_widget.engines.draggan import init, step

STEPS = 50


def half_mask(size: int) -> torch.Tensor:
    mask = torch.ones(size, size, dtype=torch.float64)
    mask[:, : size // 3] = 0
    return mask


@pytest.mark.parametrize("masked", [False, True], ids=["without_mask", "with_mask"])
@pytest.mark.parametrize("size", [64, 256])
def test_the_originals_way_goes_where_official_goes(size, masked):
    generator = generator_of(size, 8)
    ws = generator.mapping(seed=3)
    handles = np.array([[0.47, 0.5], [0.7, 0.65]]) * size
    targets = handles + np.array([[0.3, -0.12], [-0.2, 0.2]]) * size
    mask = half_mask(size) if masked else None
    settings = {"learning_rate": 1e-2, "mask_weight": 0.1}
    original = OriginalDrag(generator, ws, handles.tolist(), targets.tolist(), mask, **settings)
    points = [(number, *pair) for number, pair in enumerate(zip(handles, targets, strict=True), start=1)]
    state = init(generator, ws, points, mask, DragConfig.official(**settings))
    for _ in range(STEPS):
        # The original tracks before it supervises, we after: its handles are those of the state before.
        assert original.step()
        assert np.abs(np.array(original.handles) - state.handles).max() <= 1
        state = step(generator, state)
        assert (original.ws - state.ws).norm() <= 0.01 * (state.ws - ws).norm()
    moved = np.abs(state.handles - handles).max()
    assert moved >= 0.03 * size, "the handles hardly move, so this compares nothing"


def test_the_originals_way_makes_the_same_picture_and_the_same_map():
    generator = small_stylegan2(64, conv_clamp=256.0)
    ws = generator.mapping(seed=3)
    picture, native = synthesize(generator, ws, 4)
    assert torch.allclose(picture, generator.synthesize(ws), atol=1e-5)
    assert torch.allclose(native, generator.features(ws, 4), atol=1e-5)


def test_the_originals_way_keeps_a_gradient_for_every_weight_below_the_map_and_none_on_ours():
    generator = generator_of(64, 8)
    original = OriginalDrag(generator, generator.mapping(seed=3), [(20, 20)], [(40, 40)])
    original.step()
    layer = original.generator.network["synthesis"]["b8"].conv1
    assert layer.weight.grad is not None
    assert not any(weight.requires_grad for weight in generator.parameters())


def test_the_originals_way_takes_no_step_once_all_handles_have_arrived():
    generator = generator_of(64, 8)
    ws = generator.mapping(seed=3)
    original = OriginalDrag(generator, ws, [(20, 20)], [(21, 20)])
    assert not original.step()
    assert torch.equal(original.ws, ws)


def test_a_network_of_another_kind_is_refused():
    generator = small_stylegan2(32, architecture="resnet")
    with pytest.raises(ValueError, match="skip networks, not resnet"):
        OriginalDrag(generator, generator.mapping(seed=3), [(20, 20)], [(21, 20)])
