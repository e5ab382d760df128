"""Cells computed on their own equal those of the whole maps, and so do gradients."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from random_stylegan2 import generator_of

from draggan_widget import DragConfig
from draggan_widget.engines import drag_steps
from draggan_widget.models.stylegan2.cells import corners
from draggan_widget.models.stylegan2.network import StyleGAN2
from draggan_widget.models.stylegan2.sparse_forward import Windows

WIDTHS = {4: 6, 8: 5, 16: 7, 32: 6, 64: 5, 128: 4}
KINDS = {
    "skip": {},
    "resnet": {"architecture": "resnet", "conv_clamp": 2.0},
    "orig": {"architecture": "orig", "use_noise": False},
    "wide": {"resolution": (128, 224)},
    "three_taps": {"architecture": "resnet", "resample_filter": (1.0, 2.0, 1.0)},
    "one_tap": {"architecture": "resnet", "resample_filter": (1.0,)},
    "lopsided": {"architecture": "resnet", "resample_filter": ((1.0, 2.0, 3.0), (2.0, 5.0, 4.0), (0.0, 1.0, 2.0))},
    "six_taps": {"resample_filter": (1.0, 2.0, 5.0, 2.5, 3.0, 1.0)},
}
PLACES = {"corner": (0, 0), "other_corner": (-1, -1), "edge": (-1, 40), "middle": (50, 61)}


@pytest.fixture(params=KINDS)
def generator(request):
    torch.manual_seed(0)
    settings = {"resolution": 128, "channels": WIDTHS, "w_dim": 12, "z_dim": 8, "mapping_layers": 1}
    made = StyleGAN2(**{**settings, **KINDS[request.param]}).double()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if name.endswith(("noise_strength", "conv0.bias", "conv1.bias")):
                weight.normal_()
    return made


def around(place, size):
    """Numbers of a 5×5 square of cells at a place of a map of ``size``, negative numbers counting from the end."""
    y, x = (range(at % side - 2, at % side + 3) for at, side in zip(place, size, strict=True))
    rows, columns = (np.clip(list(side), 0, most - 1) for side, most in zip((y, x), size, strict=True))
    return np.unique(rows[:, None] * size[1] + columns)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("blocks", [(6,), (4, 6), (1,)], ids=str)
def test_cells_and_the_gradient_of_the_latent_equal_those_of_whole_maps(generator, blocks, place):
    ws = generator.mapping(seed=3).requires_grad_()
    maps = generator.feature_maps(ws, blocks)
    wanted = {block: around(PLACES[place], generator.map_size(block)) for block in blocks}
    if blocks == (1,):
        wanted = {1: np.array([5])}
    generator.sample_features(ws, blocks, torch.zeros(1, 2))
    cells, features = generator._windows.evaluate(ws, wanted)
    whole, alone = 0, 0
    for block, feature_map in zip(blocks, maps, strict=True):
        assert feature_map.shape[2:] == generator.map_size(block)
        assert set(wanted[block]) <= set(cells[block])
        expected = feature_map[0].flatten(1).T[torch.from_numpy(cells[block])]
        torch.testing.assert_close(features[block], expected, rtol=1e-11, atol=1e-11)
        pattern = torch.randn_like(expected)
        whole, alone = whole + (expected * pattern).sum(), alone + (features[block] * pattern).sum()
    torch.testing.assert_close(
        torch.autograd.grad(alone, ws)[0], torch.autograd.grad(whole, ws)[0], rtol=1e-10, atol=1e-10
    )


def test_in_32_bits_they_agree_to_rounding():
    torch.manual_seed(1)
    generator = StyleGAN2(256, channels={4: 64, 8: 64, 16: 64, 32: 64, 64: 48, 128: 32, 256: 16}, w_dim=64, z_dim=64)
    ws = generator.mapping(seed=0).requires_grad_()
    (whole,) = generator.feature_maps(ws, [6])
    generator.sample_features(ws, 6, torch.zeros(1, 2))
    cells, features = generator._windows.evaluate(ws, {6: around((64, 127), (128, 128))})
    expected = whole[0].flatten(1).T[torch.from_numpy(cells[6])]
    assert (features[6] - expected).abs().max() < 1e-5 * expected.std()
    (exact,), (found,) = (torch.autograd.grad(each.square().sum(), ws) for each in (expected, features[6]))
    assert (found - exact).norm() < 1e-5 * exact.norm()


@pytest.mark.parametrize("method", ["default", "paper", "official"])
@pytest.mark.parametrize("masked", [False, True], ids=["without_mask", "with_mask"])
def test_a_drag_goes_the_same_way_whether_windows_or_whole_maps_are_computed(method, masked, monkeypatch):
    generator = generator_of(128)
    config = DragConfig(method=method, learning_rate=2e-2, max_steps=6)
    mask = np.zeros((128, 128)) if masked else None
    if masked:
        mask[30:90, 30:90] = 1
        mask[50:60, 50:60] = 0.5
    ways = []
    for evaluate in (True, False):
        monkeypatch.setattr(Windows, "can_evaluate", lambda ws, evaluate=evaluate: evaluate)
        points = [(40, 50), (127, 0)], [(60, 40), (110, 6)]
        ways.append(list(drag_steps(generator, generator.mapping(seed=2), *points, mask=mask, config=config)))
    assert len(ways[0]) == len(ways[1])
    for one, other in zip(*ways, strict=True):
        np.testing.assert_allclose(one.handles, other.handles, atol=1e-7)
        torch.testing.assert_close(one.ws, other.ws, rtol=1e-9, atol=1e-9)


def test_only_a_small_part_of_a_large_map_is_computed(monkeypatch):
    generator = generator_of(128)
    planned = []
    evaluate = Windows.evaluate
    monkeypatch.setattr(
        Windows, "evaluate", lambda self, ws, wanted: planned.append(evaluate(self, ws, wanted)) or planned[-1]
    )
    monkeypatch.setattr(StyleGAN2, "feature_maps", None)
    xy = torch.tensor([[70.0, 20.0], [71.0, 20.0]])
    generator.sample_features(generator.mapping(seed=0), 6, xy)
    ((cells, _),) = planned
    assert len(cells[6]) == 6


def test_where_windows_cover_most_of_the_map_the_whole_is_computed(monkeypatch):
    generator = generator_of(64)
    generator._latest = generator._rows = None
    ws = generator.mapping(seed=0)
    size = generator.map_size(5)
    y, x = np.meshgrid(np.arange(size[0]), np.arange(size[1] * 3 // 4), indexing="ij")
    xy = torch.from_numpy(np.stack([x.ravel(), y.ravel()], axis=1).astype(float))
    generator.sample_features(ws, 5, xy)
    assert generator._latest is not None
    assert generator._rows is None


def test_what_will_be_read_next_is_computed_along_and_not_again(monkeypatch):
    generator = generator_of(128)
    ws = generator.mapping(seed=0).requires_grad_()
    here, there = torch.tensor([[30.0, 30.0]]), torch.tensor([[90.5, 64.25]])
    ahead = {6: torch.cat([here, there])}
    first = generator.sample_features(ws, 6, here, ahead)
    rows = generator._rows
    second = generator.sample_features(ws, 6, there, ahead)
    assert generator._rows is rows
    whole = generator_of(128)
    monkeypatch.setattr(Windows, "can_evaluate", lambda ws: False)
    torch.testing.assert_close(torch.cat([first, second]), whole.sample_features(ws, 6, torch.cat([here, there])))
    torch.autograd.grad(first.sum() + second.sum(), ws)
    assert generator._rows is None, "its graph is spent"


def test_changed_weights_are_noticed_and_the_names_of_weights_stay():
    generator = copy.deepcopy(generator_of(64))
    ws, xy = generator.mapping(seed=0), torch.tensor([[20.0, 30.0]])
    before = generator.sample_features(ws, 4, xy)
    names = list(generator.state_dict())
    generator.load_state_dict({name: tensor * 1.5 for name, tensor in generator.state_dict().items()})
    assert list(generator.state_dict()) == names
    assert not torch.allclose(before, generator.sample_features(ws, 4, xy))
    generator.float()
    assert generator.sample_features(ws.float(), 4, xy).dtype == torch.float32


def test_looking_at_another_latent_does_not_forget_the_one_that_is_dragged():
    generator = generator_of(64)
    ws, xy = generator.mapping(seed=0).requires_grad_(), torch.tensor([[20.0, 30.0]])
    generator.sample_features(ws, 4, xy)
    rows = generator._rows
    with torch.no_grad():
        generator.sample_features(generator.mapping(seed=1), 4, xy)
    assert generator._rows is rows


def test_corners_read_the_border_outside_the_picture():
    cells, weights = corners(np.array([[-9.0, -9.0], [300.0, 300.0], [3.5, 1.5]]), (4, 8), (8, 16))
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert cells[0][weights[0] > 0].tolist() == [0]
    assert set(cells[1][weights[1] > 0].tolist()) == {31}
    assert weights[2].tolist() == [0.0625 * share for share in (1, 3, 3, 9)] or weights[2].tolist() == [0.25] * 4
