"""The network against the paper's equations, written out the long way."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from random_stylegan2 import generator_of, small_stylegan2

from draggan_widget.models import StyleGAN2

KERNEL = torch.outer(torch.tensor([1.0, 3.0, 3.0, 1.0]), torch.tensor([1.0, 3.0, 3.0, 1.0])).double() / 64


def linear(state, name, x, lr_multiplier=1.0):
    weight = state[f"{name}.weight"] * (lr_multiplier / math.sqrt(x.shape[1]))
    return x @ weight.T + state[f"{name}.bias"] * lr_multiplier


def lrelu(x):
    return torch.where(x >= 0, x, 0.2 * x) * math.sqrt(2)


def zero_interleave(x):
    wide = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    wide[:, :, ::2, ::2] = x
    return wide


def fir(x, pad, gain):
    """Per channel, with ``pad`` = (before, after) in both directions."""
    x = F.pad(x, [*pad, *pad])
    return F.conv2d(x.flatten(0, 1)[:, None], KERNEL[None, None] * gain)[:, 0].unflatten(0, x.shape[:2])


def layer(state, name, x, w, up):
    """Equations 1 to 3 of Karras et al. 2020 with weights made for the sample; up-sampling by zero-interleaving."""
    styles = linear(state, f"{name}.affine", w)[0]
    weight = state[f"{name}.weight"] * styles[None, :, None, None]
    weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
    if up:
        # A true convolution (flipped kernel) of the zero-interleaved map, then the low-pass filter.
        wide = F.conv2d(F.pad(zero_interleave(x), [2, 2, 2, 2]), weight.flip([2, 3]))
        x = fir(wide[:, :, :-1, :-1], (1, 1), gain=4)
    else:
        x = F.conv2d(x, weight, padding=1)
    x = x + state[f"{name}.noise_const"] * state[f"{name}.noise_strength"]
    return lrelu(x + state[f"{name}.bias"][:, None, None])


def reference(generator, ws):
    """Features per block and the picture, for one latent."""
    state = {name: tensor.double() for name, tensor in generator.network.state_dict().items()}
    maps, x, picture, row = {}, None, None, 0
    for block in generator.blocks:
        name = f"synthesis.b{2 ** (block + 1)}"
        if block == 1:
            x = state[f"{name}.const"][None]
        else:
            x = layer(state, f"{name}.conv0", x, ws[:, row], up=True)
            row += 1
        x = layer(state, f"{name}.conv1", x, ws[:, row], up=False)
        row += 1
        styles = linear(state, f"{name}.torgb.affine", ws[:, row])[0] / math.sqrt(x.shape[1])
        added = F.conv2d(x, state[f"{name}.torgb.weight"] * styles[None, :, None, None])
        added = added + state[f"{name}.torgb.bias"][:, None, None]
        picture = added if picture is None else fir(zero_interleave(picture), (2, 1), gain=4) + added
        maps[block] = x
    return maps, picture


@pytest.mark.parametrize("resolution", [32, 128])
def test_picture_and_features_equal_the_papers_equations(resolution):
    generator = small_stylegan2(resolution).double()
    ws = generator.mapping(seed=3) + 0.1 * torch.arange(generator.num_ws)[:, None]
    maps, picture = reference(generator, ws)
    torch.testing.assert_close(generator.synthesize(ws), picture, rtol=1e-9, atol=1e-9)
    for block in generator.blocks:
        torch.testing.assert_close(generator.features(ws, block), maps[block], rtol=1e-9, atol=1e-9)


def test_mapping_normalises_runs_the_layers_and_truncates_towards_the_mean():
    generator = small_stylegan2(32, mapping_layers=3, mapping_lr_multiplier=0.01).double()
    state = generator.network.state_dict()
    z = torch.randn(2, 16, dtype=torch.float64)
    w = z / (z.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()
    for index in range(3):
        w = lrelu(linear(state, f"mapping.fc{index}", w, 0.01))
    torch.testing.assert_close(generator.mapping(z), w[:, None].expand(-1, generator.num_ws, -1))
    mean = state["mapping.w_avg"]
    torch.testing.assert_close(generator.mapping(z, truncation=0.3)[:, 5], mean + 0.3 * (w - mean))


def test_a_label_is_embedded_normalised_and_appended():
    generator = small_stylegan2(32, c_dim=4).double()
    state = generator.network.state_dict()
    z = torch.randn(1, 16, dtype=torch.float64)
    label = linear(state, "mapping.embed", torch.eye(4, dtype=torch.float64)[2:3])
    w = torch.cat([x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt() for x in (z, label)], dim=1)
    for index in range(2):
        w = lrelu(linear(state, f"mapping.fc{index}", w))
    torch.testing.assert_close(generator.mapping(z, label=2)[:, 0], w)
    assert not torch.equal(generator.mapping(z, label=1), generator.mapping(z, label=2))


def test_a_seed_is_the_normal_numbers_of_numpys_random_state(generator):
    z = np.random.RandomState(7).randn(1, generator.z_dim)
    assert torch.equal(generator.mapping(seed=7), generator.mapping(z))


@pytest.mark.parametrize("resolution", [32, 64, 128, 256, 512, 1024])
def test_every_resolution_has_its_rows_blocks_and_picture(resolution):
    sizes = [2**power for power in range(2, resolution.bit_length())]
    generator = small_stylegan2(resolution, channels=dict.fromkeys(sizes, 2))
    ws = generator.mapping(seed=0)
    assert ws.shape == (1, 2 * len(sizes), 16)
    assert generator.synthesize(ws).shape == (1, 3, resolution, resolution)
    assert generator.blocks == tuple(range(1, len(sizes) + 1))
    size = generator.features(ws, generator.default_block()).shape[-1]
    assert size == (128 if resolution >= 256 else resolution // 2)


def test_widths_of_config_f_are_the_default():
    generator = StyleGAN2(256)
    assert generator.config["channels"] == {"4": 512, "8": 512, "16": 512, "32": 512, "64": 512, "128": 256, "256": 128}
    assert (generator.num_ws, generator.w_dim, generator.z_dim) == (14, 512, 512)


def test_parameters_have_the_names_of_the_checkpoints_people_have():
    names = set(small_stylegan2(32, c_dim=2).network.state_dict())
    layer_names = {"affine.weight", "affine.bias", "weight", "bias", "noise_const", "noise_strength", "resample_filter"}
    expected = {f"mapping.{part}.{kind}" for part in ("embed", "fc0", "fc1") for kind in ("weight", "bias")}
    expected |= {"mapping.w_avg", "synthesis.b4.const"}
    for size in (4, 8, 16, 32):
        block = f"synthesis.b{size}"
        expected |= {f"{block}.resample_filter"}
        expected |= {f"{block}.torgb.{name}" for name in ("affine.weight", "affine.bias", "weight", "bias")}
        expected |= {f"{block}.{conv}.{name}" for conv in ("conv0", "conv1") for name in layer_names}
    assert names == {name for name in expected if not name.startswith("synthesis.b4.conv0")}


def test_features_compute_nothing_above_their_block(generator):
    ran = []
    hooks = [
        block.conv1.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, block in generator.network["synthesis"].items()
    ]
    generator.features(generator.mapping(seed=0), 3)
    for hook in hooks:
        hook.remove()
    assert ran == ["b4", "b8", "b16"]


def test_sampled_features_equal_the_upsampled_map_at_pixels_and_read_the_border_outside(generator):
    ws = generator.mapping(seed=1)
    wide = F.interpolate(generator.features(ws, 4), size=(64, 64), mode="bilinear", align_corners=False)[0]
    xy = torch.tensor([[0.0, 0.0], [63, 0], [5, 40], [31, 32], [63, 63], [-5, 10], [70, 90]])
    at = [(0, 0), (0, 63), (40, 5), (32, 31), (63, 63), (10, 0), (63, 63)]
    expected = torch.stack([wide[:, row, column] for row, column in at])
    torch.testing.assert_close(generator.sample_features(ws, 4, xy), expected)


def test_sampled_features_between_cells_are_bilinear_and_several_blocks_follow_one_another(generator):
    ws = generator.mapping(seed=1)
    # At block 4 (32×32) a cell's centre lies at 2·j + 0.5; this is a quarter of the way from cell 10 to 11, row 3.
    xy = torch.tensor([[21.0, 6.5]])
    cells = generator.features(ws, 4)[0, :, 3]
    sampled = generator.sample_features(ws, [4, 5], xy)
    torch.testing.assert_close(sampled[0, :4], 0.75 * cells[:, 10] + 0.25 * cells[:, 11])
    torch.testing.assert_close(sampled[:, 4:], generator.sample_features(ws, 5, xy))


def test_the_same_latent_tensor_is_computed_once_until_a_gradient_is_taken_or_it_changes(generator):
    ws = generator.mapping(seed=2).requires_grad_()
    first = generator.features(ws, 3)
    assert generator.features(ws, 3) is first
    assert not generator.sample_features(ws.detach(), 3, torch.zeros(1, 2)).requires_grad
    first = generator.features(ws, 3)
    for _ in range(2):  # a second gradient through a remembered map would raise
        torch.autograd.grad(generator.features(ws, 3).sum(), ws)
    assert generator.features(ws, 3) is not first
    before = generator.features(ws, 3).detach()
    with torch.no_grad():
        assert not generator.features(ws, 3).requires_grad
        ws += 1
    assert not torch.equal(generator.features(ws, 3), before)


def test_a_map_made_without_a_graph_does_not_serve_where_one_is_needed(generator):
    ws = generator.mapping(seed=2).requires_grad_()
    with torch.no_grad():
        generator.features(ws, 3)
    assert torch.autograd.grad(generator.features(ws, 3).sum(), ws)[0].abs().sum() > 0


def test_weights_are_frozen_and_collect_no_gradients(generator):
    ws = generator.mapping(seed=0).requires_grad_()
    generator.synthesize(ws).square().sum().backward()
    assert ws.grad.abs().sum() > 0
    assert not generator.training
    assert all(not parameter.requires_grad and parameter.grad is None for parameter in generator.parameters())


def test_a_copy_has_its_own_weights_and_no_remembered_maps(generator):
    generator.features(generator.mapping(seed=0).requires_grad_(), 2)
    twin = copy.deepcopy(generator)
    assert twin._latest is None
    assert torch.equal(twin.synthesize(twin.mapping(seed=5)), generator.synthesize(generator.mapping(seed=5)))


def test_several_latents_make_the_pictures_each_makes_alone(generator):
    ws = torch.cat([generator.mapping(seed=seed) for seed in (1, 2)])
    together = generator.synthesize(ws)
    for index in range(2):
        torch.testing.assert_close(together[index : index + 1], generator.synthesize(ws[index : index + 1]))


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({}, TypeError, "either z or seed"),
        ({"seed": 1, "z": torch.zeros(1, 16)}, TypeError, "not both"),
        ({"seed": 1.5}, TypeError, "seed is 1.5; it must be a whole number"),
        ({"seed": True}, TypeError, "whole number"),
        ({"seed": -1}, ValueError, "from 0 to 4294967295"),
        ({"z": torch.zeros(1, 15)}, ValueError, r"takes \(N, 16\)"),
        ({"z": torch.full((1, 16), math.nan)}, ValueError, "NaN"),
        ({"seed": 1, "truncation": math.nan}, ValueError, "truncation"),
        ({"seed": 1, "label": 0}, ValueError, "no classes"),
    ],
)
def test_bad_arguments_of_mapping_are_named(generator, arguments, error, says):
    with pytest.raises(error, match=says):
        generator.mapping(**arguments)


def test_a_missing_or_unknown_label_is_named():
    generator = small_stylegan2(32, c_dim=4)
    with pytest.raises(ValueError, match="4 classes; give label=0 to 3"):
        generator.mapping(seed=0)
    with pytest.raises(ValueError, match="from 0 to 3"):
        generator.mapping(seed=0, label=4)


def test_latents_and_blocks_that_do_not_fit_are_named(generator):
    with pytest.raises(ValueError, match="no synthesis block 9; this generator has 1 to 5"):
        generator.features(generator.mapping(seed=0), 9)
    with pytest.raises(ValueError, match=r"takes \(N, 10, 16\)"):
        generator.features(torch.zeros(1, 9, 16), 2)


@pytest.mark.parametrize("settings", [{"resolution": 48}, {"channels": {4: 8}}, {"mapping_layers": 0}])
def test_settings_that_make_no_network_are_refused(settings):
    with pytest.raises(ValueError, match="resolution|channels|mapping_layers"):
        StyleGAN2(**{"resolution": 32, **settings})


def test_a_preview_is_the_picture_of_the_blocks_up_to_it():
    generator = generator_of(64)
    ws = generator.mapping(seed=4)
    torch.testing.assert_close(generator.preview(ws, generator.blocks[-1]), generator.synthesize(ws))
    coarse = generator.preview(ws, 3)
    assert coarse.shape == (1, 3, 16, 16)


def test_only_stacks_whose_blocks_each_add_to_the_picture_have_previews():
    torch.manual_seed(0)
    generator = StyleGAN2(32, z_dim=4, w_dim=8, channels=dict.fromkeys((4, 8, 16, 32), 4), architecture="orig")
    assert not generator.has_previews
    with pytest.raises(ValueError, match="no coarse pictures"):
        generator.preview(generator.mapping(seed=0), 2)
