"""StyleGAN2 of other architectures, shapes and filters than the usual ones. Whole pictures: see ``reading``."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F
from random_stylegan2 import small_stylegan2

from draggan_widget import DragConfig, drag
from draggan_widget.models import StyleGAN2, load_generator, save_generator
from draggan_widget.models.base import sample_map
from draggan_widget.models.stylegan2 import layers as stylegan2_layers
from draggan_widget.models.stylegan2.layers import fir_kernel, low_pass, upsample

VARIANTS = {
    "resnet": {"architecture": "resnet"},
    "orig": {"architecture": "orig", "use_noise": False},
    "portrait": {"resolution": (64, 32), "img_channels": 4},
    "landscape": {"resolution": (32, 56), "img_channels": 1},
    "clamped": {"architecture": "resnet", "conv_clamp": 0.5},
    "classes": {"c_dim": 3, "z_dim": 0, "layer_features": 9, "embed_features": 5},
    "filtered": {"resample_filter": [1, 2, 3]},
}


def variant(name):
    settings = dict(VARIANTS[name])
    resolution = settings.pop("resolution", 32)
    height = resolution if isinstance(resolution, int) else resolution[0]
    channels = {2**power: 6 for power in range(2, height.bit_length())}
    return (
        small_stylegan2(32, **{"channels": channels, **settings}) if resolution == 32 else made(resolution, **settings)
    )


def made(resolution, **settings):
    channels = {2**power: 6 for power in range(2, resolution[0].bit_length())}
    torch.manual_seed(0)
    return StyleGAN2(resolution, z_dim=16, w_dim=16, channels=channels, mapping_layers=2, **settings)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_comes_back_from_its_config_and_its_file(name, tmp_path):
    generator = variant(name)
    twin = StyleGAN2.from_config(json.loads(json.dumps(generator.config)))
    twin.network.load_state_dict(generator.network.state_dict())
    label = 1 if generator.label_dim else None
    ws = generator.mapping(seed=2, label=label)
    picture = generator.synthesize(ws)
    assert torch.equal(twin.synthesize(twin.mapping(seed=2, label=label)), picture)
    save_generator(tmp_path / "g.safetensors", generator)
    assert torch.equal(load_generator(tmp_path / "g.safetensors", "cpu").synthesize(ws), picture)
    assert picture.shape == (1, generator.channels, *generator.resolution)


@pytest.mark.parametrize("name", VARIANTS)
def test_features_of_every_block_have_the_shape_of_the_picture_and_gradients(name):
    generator = variant(name)
    height, width = generator.resolution
    ws = generator.mapping(seed=2, label=0 if generator.label_dim else None).requires_grad_()
    for block, features in zip(generator.blocks, generator.feature_maps(ws, generator.blocks), strict=True):
        scale = height // (2 ** (block + 1))
        assert features.shape == (1, 6, height // scale, width // scale)
    assert torch.autograd.grad(features.sum(), ws)[0].abs().sum() > 0


@pytest.mark.parametrize("name", VARIANTS)
def test_a_single_picture_without_gradients_is_that_with_them_though_its_weights_are_scaled(name, monkeypatch):
    generator = variant(name).double()
    ws = generator.mapping(seed=2, label=0 if generator.label_dim else None)
    ways = []

    def spied(*tensors, folds=stylegan2_layers.folds):
        ways.append(folds(*tensors))
        return ways[-1]

    monkeypatch.setattr(stylegan2_layers, "folds", spied)
    scaled = generator.synthesize(ws)
    assert any(ways)
    ways.clear()
    plain = generator.synthesize(ws.clone().requires_grad_())
    assert ways
    assert not any(ways)
    torch.testing.assert_close(scaled, plain.detach(), rtol=1e-10, atol=1e-10)


def test_a_config_of_before_the_variants_makes_the_usual_network():
    generator = small_stylegan2(32)
    usual = ("resolution", "z_dim", "w_dim", "c_dim", "img_channels", "channels", "mapping_layers")
    config = {name: generator.config[name] for name in (*usual, "mapping_lr_multiplier")}
    assert StyleGAN2.from_config(config).config == generator.config


def test_clamped_layers_stay_within_the_clamp():
    clamped, free = variant("clamped"), variant("resnet")
    ws = free.mapping(seed=2)
    # The first block has no shortcut; residual blocks clamp before they add.
    assert clamped.features(ws, 1).abs().max() == 0.5
    assert clamped.synthesize(ws).abs().max() <= 0.5
    assert free.synthesize(ws).abs().max() > 0.5


def test_a_network_without_weights_has_the_shapes_and_takes_weights_as_they_are():
    generator = small_stylegan2(64)
    with torch.device("meta"):
        skeleton = StyleGAN2.from_config(generator.config)
    assert all(parameter.is_meta for parameter in skeleton.parameters())
    skeleton.network.load_state_dict(generator.network.state_dict(), assign=True)
    ws = generator.mapping(seed=2)
    assert torch.equal(skeleton.synthesize(skeleton.mapping(seed=2)), generator.synthesize(ws))


@pytest.mark.parametrize(
    "taps", [[1], [1, 2], [1, 2, 3], [1, 3, 3, 1], [5, 3, 2, 1], [1, 2, 3, 4, 5], list(range(1, 9))]
)
def test_filters_of_any_length_are_convolved_with_zeros_around_the_picture(taps):
    kernel = fir_kernel(taps).double()
    count = len(taps)
    picture = torch.randn(1, 2, 5, 7, dtype=torch.float64)
    wide = picture.new_zeros(1, 2, 10, 14)
    wide[:, :, ::2, ::2] = picture
    before, after = (count + 1) // 2, (count - 2) // 2

    def convolve(x, before, after):
        x = F.pad(x, [before, after, before, after])
        return F.conv2d(x.transpose(0, 1), kernel.flip([0, 1])[None, None]).transpose(0, 1)

    torch.testing.assert_close(upsample(picture, kernel), 4 * convolve(wide, before, after))
    torch.testing.assert_close(low_pass(picture, kernel), convolve(picture, before - 1, after))
    assert low_pass(picture, kernel).shape == (1, 2, 4, 6)


def test_a_filter_may_be_given_as_a_square():
    square = torch.outer(torch.tensor([1.0, 2, 3]), torch.tensor([3.0, 1, 1]))
    torch.testing.assert_close(fir_kernel(square.tolist()), square / 30)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"resolution": 4}, "resolution is 4; StyleGAN2 makes pictures of a height of 8, 16,"),
        ({"resolution": 4096}, "resolution is 4096"),
        ({"resolution": (64, 40)}, "width must be a multiple of a quarter of its height"),
        ({"resolution": (64,)}, "resolution"),
        ({"resolution": (66, 40), "channels": {4: 6, 8: 6, 16: 6}}, "must be a multiple of 4, its height too"),
        ({"resolution": (512, 40), "channels": {4: 6, 8: 6}}, "up to 64 times that"),
        ({"resolution": (64, 40), "channels": {4: 6}}, "channels are for 1 blocks; StyleGAN2 has 2 to 10"),
        ({"resolution": (20, 12)}, "or of another one where it is .H, W. and channels say how many blocks"),
        ({"resolution": (64, 0)}, "resolution"),
        ({"resolution": (64, 64 * 1000)}, "resolution"),
        ({"architecture": "unet"}, "architecture is 'unet'; it must be one of skip, resnet, orig"),
        ({"conv_clamp": 0}, "conv_clamp is 0"),
        ({"conv_clamp": float("nan")}, "conv_clamp is nan"),
        ({"z_dim": 0}, "z_dim is 0 and there are no classes"),
        ({"z_dim": -1}, "at least"),
        ({"img_channels": 0}, "at least 1"),
        ({"mapping_layers": 10**9}, "mapping_layers is 1000000000; it must be from 1 to 64"),
        ({"resample_filter": []}, "resample_filter"),
        ({"resample_filter": [1, -1]}, "sum other than 0"),
        ({"resample_filter": [[1, 2]]}, "resample_filter"),
    ],
)
def test_settings_that_make_no_network_are_named(settings, says):
    with pytest.raises(ValueError, match=says):
        StyleGAN2(**{"resolution": 32, "z_dim": 8, "w_dim": 8, **settings})


def rectangle():
    """A network whose input is of 5 × 3: pictures of 40 × 24, as forks with other first sizes make them."""
    torch.manual_seed(4)
    made = StyleGAN2((40, 24), z_dim=8, w_dim=8, channels={4: 6, 8: 6, 16: 4, 32: 4}, mapping_layers=2)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(0.3)
    return made


def test_a_network_whose_input_has_any_shape_doubles_it(tmp_path):
    made = rectangle()
    assert [made.map_size(block) for block in made.blocks] == [(5, 3), (10, 6), (20, 12), (40, 24)]
    assert made.default_block() == 3
    ws = made.mapping(seed=1)
    picture = made.synthesize(ws)
    assert picture.shape == (1, 3, 40, 24)
    save_generator(tmp_path / "a.safetensors", made)
    again = load_generator(tmp_path / "a.safetensors", device="cpu")
    assert again.resolution == (40, 24)
    assert torch.equal(again.synthesize(ws), picture)


def test_features_of_single_positions_are_those_of_whole_maps_whatever_the_input_is():
    made = rectangle().double()
    ws = made.mapping(seed=1)
    xy = torch.tensor([[3.2, 30.5], [23.0, 39.0], [0.0, 0.0], [11.5, 20.1]], dtype=torch.float64)
    for block in made.blocks:
        wanted = sample_map(made.feature_maps(ws, [block])[0], xy, made.resolution)
        torch.testing.assert_close(made.sample_features(ws.clone(), block, xy), wanted)


def test_a_picture_of_no_square_can_be_dragged():
    made = rectangle()
    config = DragConfig(max_steps=5, learning_rate=0.01, supervision_radius=2, tracking_radius=2)
    result = drag(made, made.mapping(seed=1), [(12, 20)], [(15, 24)], config=config)
    assert result.steps == 5
    assert result.image.size == (24, 40)


def test_a_large_input_that_doubles_but_twice_has_a_block_to_drag_with():
    made = StyleGAN2((256, 192), z_dim=4, w_dim=4, channels={4: 2, 8: 2, 16: 2}, mapping_layers=1)
    assert [made.map_size(block) for block in made.blocks] == [(64, 48), (128, 96), (256, 192)]
    assert made.default_block() == 2
    assert (
        StyleGAN2(2048, z_dim=4, w_dim=4, channels={4 << k: 1 for k in range(10)}, mapping_layers=1).default_block()
        == 6
    )
