"""StyleGAN3 against pictures of the public implementation, and what dragging needs of it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from random_stylegan3 import fill, small_stylegan3, upright_stylegan3

from draggan_widget import drag
from draggan_widget.config import DragConfig
from draggan_widget.models.checkpoints import Unreadable
from draggan_widget.models.stylegan3.network import StyleGAN3, stylegan3_config

REFERENCES = sorted((Path(__file__).parents[1] / "data" / "references").glob("stylegan3_*.npz"))
T_1024 = {"L0_36_512", "L1_36_512", "L2_52_512", "L3_52_512", "L4_84_512", "L5_148_512", "L6_148_512", "L7_276_323",
          "L8_276_203", "L9_532_128", "L10_1044_81", "L11_1044_51", "L12_1044_32", "L13_1024_32",
          "L14_1024_3"}  # fmt: skip


@pytest.fixture(scope="module")
def generator():
    return small_stylegan3(64)


def has_settings(path):
    with np.load(path) as file:
        return json.loads(str(file["settings"]))


@pytest.mark.parametrize("path", REFERENCES, ids=lambda path: path.stem)
def test_latents_and_pictures_are_those_of_the_public_implementation(path):
    settings = has_settings(path)
    generator = StyleGAN3.from_config(json.loads(json.dumps(stylegan3_config(settings["init_kwargs"]))))
    fill(generator, settings["seed"])
    with np.load(path) as file:
        z, w, picture = file["z"], file["w"], file["picture"]
    ws = generator.mapping(z, label=settings["labels"], truncation=settings["truncation"])
    assert ws.shape == (len(z), generator.num_ws, generator.w_dim)
    assert np.abs(ws.numpy() - w[:, None]).max() < 1e-4
    stride = settings["stride"]
    made = generator.synthesize(ws)[:, :, ::stride, ::stride].numpy() / settings["std"]
    assert made.shape == picture.shape
    assert np.abs(made - picture).max() < 0.01  # of the picture's standard deviation


def test_there_are_references_of_both_families_with_classes_and_of_other_channels():
    recorded = [has_settings(path)["init_kwargs"] for path in REFERENCES]
    assert {settings.get("use_radial_filters", False) for settings in recorded} == {False, True}
    assert {settings["img_channels"] for settings in recorded} == {1, 3, 4}
    assert any(settings["c_dim"] for settings in recorded)


def test_parameters_have_the_names_and_shapes_of_published_checkpoints():
    with torch.device("meta"):
        state = StyleGAN3(1024).network.state_dict()
    layers = {name.split(".")[1] for name in state if name.startswith("synthesis.L")}
    assert layers == T_1024
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert shapes["mapping.fc1.weight"] == (512, 512)
    assert shapes["mapping.w_avg"] == (512,)
    assert shapes["synthesis.input.transform"] == (3, 3)
    assert shapes["synthesis.input.freqs"] == (512, 2)
    assert shapes["synthesis.L2_52_512.up_filter"] == (24,)
    assert shapes["synthesis.L2_52_512.down_filter"] == (12,)
    assert shapes["synthesis.L14_1024_3.weight"] == (3, 32, 1, 1)
    assert "synthesis.L14_1024_3.up_filter" not in shapes
    assert shapes["synthesis.L14_1024_3.magnitude_ema"] == ()


def test_a_rotation_equivariant_network_has_radial_filters_but_in_its_critical_layers():
    with torch.device("meta"):
        state = StyleGAN3(
            256, channel_base=65536, channel_max=1024, conv_kernel=1, use_radial_filters=True
        ).network.state_dict()
    filters = {name.split(".")[1]: tensor.ndim for name, tensor in state.items() if name.endswith("down_filter")}
    assert list(filters.values()) == [2] * 12 + [1] * 2
    assert state["synthesis.L11_276_362.weight"].shape == (362, 512, 1, 1)


def test_a_narrow_network_has_the_names_of_stylegan_human_and_maps_without_their_margins():
    with torch.device("meta"):
        state = StyleGAN3((512, 256)).network.state_dict()
    assert {"synthesis.L0_18_512.weight", "synthesis.L13_256_64.weight", "synthesis.L14_256_3.bias"} <= state.keys()
    generator = small_stylegan3((64, 32))
    ws = generator.mapping(seed=0)
    assert generator.synthesize(ws).shape == (1, 3, 64, 32)
    for block in generator.blocks:
        rate = generator.signals[block - 1].rate
        assert generator.features(ws, block).shape == (1, 16, rate, rate // 2)


def test_a_generator_comes_back_from_its_config():
    generator = small_stylegan3(32, c_dim=3, conv_kernel=1, use_radial_filters=True, conv_clamp=None, img_channels=4)
    twin = StyleGAN3.from_config(json.loads(json.dumps(generator.config)), DragConfig(block=3))
    twin.network.load_state_dict(generator.network.state_dict())
    ws = generator.mapping(seed=1, label=2)
    assert torch.equal(twin.synthesize(twin.mapping(seed=1, label=2)), generator.synthesize(ws))
    assert twin.drag_config.block == 3
    assert twin.config == generator.config


def test_several_latents_make_the_pictures_each_makes_alone(generator):
    ws = torch.cat([generator.mapping(seed=seed) for seed in (1, 2)])
    together = generator.synthesize(ws)
    for index in range(2):
        torch.testing.assert_close(together[index : index + 1], generator.synthesize(ws[index : index + 1]))


def test_truncation_to_nothing_gives_the_mean_latent(generator):
    mean = generator.network["mapping"].w_avg
    assert torch.equal(generator.mapping(seed=3, truncation=0.0)[0, 4], mean)


# --- features -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 3, 8])
def test_features_compute_nothing_above_their_block_and_have_gradients(block):
    generator = small_stylegan3(64)
    above = list(generator.network["synthesis"].values())[block + 1 :]

    def refuse(*_):
        raise AssertionError("computed")

    for layer in above:
        layer.register_forward_pre_hook(refuse)
    ws = generator.mapping(seed=0).requires_grad_()
    features = generator.features(ws, block)
    rate = generator.signals[block - 1].rate
    assert features.shape == (1, 16, rate, rate)
    gradient = torch.autograd.grad(features.square().sum(), ws)[0][0].abs().sum(dim=1)
    assert (gradient[: block + 1] > 0).all()
    assert (gradient[block + 1 :] == 0).all()
    with pytest.raises(AssertionError, match="computed"):
        generator.synthesize(ws)


def test_gradients_of_the_picture_are_those_of_finite_differences():
    generator = small_stylegan3(16, num_layers=3, channel_max=4).double()
    ws = generator.mapping(seed=0)
    torch.autograd.gradcheck(lambda ws: generator.synthesize(ws)[:, :, ::5, ::5], ws.requires_grad_(), fast_mode=True)


def test_several_blocks_are_read_together(generator):
    ws = generator.mapping(seed=0)
    xy = torch.tensor([[10.0, 20.0], [33.5, 7.25]])
    both = generator.sample_features(ws, (2, 5), xy)
    alone = [generator.sample_features(ws, block, xy) for block in (2, 5)]
    torch.testing.assert_close(both, torch.cat(alone, dim=1))


@pytest.mark.parametrize(
    ("resolution", "layers", "rate"), [(16, 6, 8), (64, 14, 32), (128, 14, 64), (256, 14, 128), (1024, 14, 128)]
)
def test_the_default_block_has_half_the_picture_and_128_cells_from_256_px_on(resolution, layers, rate):
    with torch.device("meta"):
        generator = StyleGAN3(resolution, num_layers=layers, first_cutoff=1.0, first_stopband=2.0)
    assert generator.signals[generator.default_block() - 1].rate == rate
    assert generator.default_block() in generator.blocks


# --- positions ----------------------------------------------------------------------------------------------------


def centre_of(difference):
    """The middle (x, y) of what differs, in cells of the map (h, w), centres at integers."""
    weight = difference.square()
    rows, columns = (torch.arange(size).to(weight) for size in weight.shape)
    return np.array([(weight.sum(0) * columns).sum() / weight.sum(), (weight.sum(1) * rows).sum() / weight.sum()])


@pytest.mark.parametrize("width", [64, 32])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("block", [2, 4, 5, 6, 8])
@pytest.mark.parametrize("place", [(0.5, 0.5), (0.35, 0.6)])
def test_a_bump_in_a_map_appears_in_the_picture_where_the_map_says_it_is(block, place, kernel, width):
    generator = small_stylegan3((64, width), conv_kernel=kernel, channel_max=4)
    layers = list(generator.network["synthesis"].values())
    state = generator.network.state_dict()
    for name, weight in state.items():
        if name.endswith(".weight") and weight.ndim == 4:  # a lopsided kernel moves what it sees
            weight.copy_((weight + weight.flip(2) + weight.flip(3) + weight.flip(2, 3)) / 4)
        elif name.endswith("freqs"):  # and so does what lies around
            weight.zero_()
    ws = generator.mapping(seed=0)

    def plant(_layer, _inputs, output):
        signal = generator.signals[block - 1]
        x = signal.margins[1] + int(signal.rate * width / 64 * place[0])
        y = signal.margins[0] + int(signal.rate * place[1])
        bumped = output.clone()
        bumped[:, :, y - 1 : y + 2, x - 1 : x + 2] += 0.05
        return bumped

    before = [generator.features(ws, block), generator.synthesize(ws)]
    layers[block].register_forward_hook(plant)
    ws = ws.clone()  # another tensor, of which no map is remembered
    after = [generator.features(ws, block), generator.synthesize(ws)]
    in_map, in_picture = (
        centre_of((new - old)[0].square().sum(0).sqrt()) for old, new in zip(before, after, strict=True)
    )
    scale = 64 / before[0].shape[2]  # pixels per cell
    seen = (in_map + 0.5) * scale - 0.5  # how sample_map takes positions
    assert np.abs(in_picture - seen).max() < scale / 2


@pytest.mark.parametrize("block", [3, 4, 5, 6, 8])
def test_features_move_as_far_as_the_picture_does(block):
    generator = upright_stylegan3(64)
    moved = small_stylegan3(64)
    shift = torch.tensor([6.0, -4.0])
    transform = moved.network.state_dict()["synthesis.input.transform"]
    transform.copy_(torch.eye(3))
    transform[:2, 2] = -shift / 64  # where in the input a position of the picture lies
    ws = generator.mapping(seed=5)
    start = torch.tensor([[30.0, 34.0]])
    wanted = generator.sample_features(ws, block, start)
    offsets = torch.cartesian_prod(torch.arange(-10.0, 10.5, 0.5), torch.arange(-10.0, 10.5, 0.5))
    found = moved.sample_features(ws.clone(), block, start + offsets)
    nearest = offsets[(found - wanted).square().sum(dim=1).argmin()]
    assert (nearest - shift).abs().max() <= max(1.0, 32 / generator.signals[block - 1].rate)
    pictures = [made.synthesize(ws)[0] for made in (generator, moved)]
    there, here = pictures[1][:, 20:40, 30:50], pictures[0][:, 24:44, 24:44]
    assert (there - here).std() < 0.25 * here.std()


@pytest.mark.parametrize("width", [64, 32])
@pytest.mark.parametrize("radial", [False, True])
def test_a_drag_arrives_or_stalls(radial, width):
    generator = small_stylegan3((64, width), use_radial_filters=radial, conv_kernel=1 if radial else 3)
    ws = generator.mapping(seed=0)
    result = drag(generator, ws, [(14.0, 30.0)], [(20.0, 33.0)], config=DragConfig(max_steps=60))
    assert result.reason in ("arrived", "stalled")
    assert result.steps > 0
    assert not torch.equal(result.ws, ws)
    assert result.image.size == (width, 64)


# --- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"resolution": 48}, "resolution is 48; it must be a power of two from 16 to 2048"),
        ({"resolution": True}, "resolution is True"),
        ({"resolution": (64, 16)}, r"resolution is \(64, 16\); .* a W of the same or half of it"),
        ({"resolution": (64, 32), "margin_size": 9}, "margin_size is 9; it must be even for pictures half as wide"),
        ({"resolution": 64.0}, "resolution is 64.0"),
        ({"img_channels": 2}, "img_channels is 2; it must be 1, 3 or 4"),
        ({"num_layers": 0}, "num_layers is 0; it must be a whole number from 2 to 64"),
        ({"num_layers": True}, "num_layers is True"),
        ({"num_critical": 14}, "num_critical is 14; it must be less than num_layers, which is 14"),
        ({"mapping_layers": 0}, "mapping_layers is 0"),
        ({"channel_base": 0}, "channel_base is 0; it must be a finite number above 0"),
        ({"channel_base": 8}, "in 0 channels"),
        ({"first_cutoff": float("nan")}, "first_cutoff is nan"),
        ({"first_cutoff": 30.0}, "must lie above the cutoffs"),
        ({"first_stopband": 1.5}, "first_stopband and last_stopband_rel must lie above the cutoffs"),
        ({"last_stopband_rel": 0.4}, "must lie above the cutoffs"),
        ({"output_scale": "much"}, "output_scale is 'much'; it must be a finite number"),
        ({"conv_clamp": -1}, "conv_clamp is -1; it must be a finite number above 0, or None"),
        ({"use_radial_filters": 1}, "use_radial_filters is 1; it must be True or False"),
    ],
)
def test_settings_that_make_no_network_are_named(settings, says):
    with pytest.raises(ValueError, match=says):
        StyleGAN3(**{"resolution": 64, **settings})


RECORDED = {"z_dim": 512, "c_dim": 0, "w_dim": 512, "img_resolution": 256, "img_channels": 3}


def test_recorded_settings_become_arguments_and_those_of_training_are_left_out():
    recorded = {
        **RECORDED,
        "mapping_kwargs": {"num_layers": 4, "lr_multiplier": 0.02, "w_avg_beta": 0.99},
        "num_fp16_res": 4,
        "magnitude_ema_beta": 0.9988,
        "channel_base": np.int64(16384),
        "conv_clamp": None,
    }
    config = stylegan3_config(recorded)
    assert config["resolution"] == 256
    assert (config["mapping_layers"], config["mapping_lr_multiplier"]) == (4, 0.02)
    assert config["channel_base"] == 16384
    assert config["conv_clamp"] is None
    assert json.loads(json.dumps(config)) == config
    with torch.device("meta"):
        assert StyleGAN3.from_config(config).config == config


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rgb_frequency": 2}, "setting rgb_frequency = 2, which this version does not know"),
        ({"mapping_kwargs": {"rand_embedding": True}}, r"setting mapping_kwargs\.rand_embedding"),
        ({"mapping_kwargs": [1]}, "mapping_kwargs are list"),
        ({"img_resolution": 100}, "make no network: resolution is 100"),
        ({"num_layers": "many"}, "num_layers is 'many'"),
        ({"first_stopband": 0.1}, "make no network: layer 0 would pass 2 and stop 0.1 cycles"),
    ],
)
def test_recorded_settings_that_cannot_be_followed_are_named(changes, says):
    with pytest.raises(Unreadable, match=says):
        stylegan3_config({**RECORDED, **changes})


SIGNALS = [[16, 2.0, 6.0, 10, 4], [32, 6.0, 10.0, 10, 4], [64, 32.0, 7.0, 0, 4], [64, 32.0, 7.0, 0, 3]]


@pytest.mark.parametrize(
    ("place", "signal", "says"),
    [
        (0, [4, 2.0, 6.0, 10, 4], None),
        (0, [15, 2.0, 6.0, 10, 4], "a map of 15 cells"),
        (0, [16, -2.0, 6.0, 10, 4], "which make no map"),
        (0, [16, 2.0, 6.0, 1000, 4], "a margin of 1000"),
        (1, [32, 6.0, 10.0], "five numbers for each"),
        (1, [8, 6.0, 10.0, 10, 4], "do not grow to the picture's 64"),
        (3, [64, 32.0, 7.0, 10, 3], "do not end with the picture"),
        (3, [64, 32.0, 7.0, 0, 1], "do not end with the picture"),
    ],
)
def test_signals_that_make_no_network_are_named(place, signal, says):
    signals = [*SIGNALS[:place], signal, *SIGNALS[place + 1 :]]
    with torch.device("meta"), pytest.raises(ValueError, match=says) if says else contextlib.nullcontext():
        StyleGAN3(64, z_dim=4, w_dim=4, num_layers=3, signals=signals)


def test_a_signal_that_is_far_finer_than_the_one_before_is_refused():
    with torch.device("meta"), pytest.raises(ValueError, match="more than 8 times as many in one step"):
        StyleGAN3(64, z_dim=4, w_dim=4, num_layers=3, signals=[[4, 1.0, 1.0, 10, 4], *SIGNALS[2:3] * 2, SIGNALS[3]])


def test_missing_settings_are_named():
    with pytest.raises(Unreadable, match="without the settings w_dim, img_resolution"):
        stylegan3_config({"z_dim": 4, "c_dim": 0, "img_channels": 3})


def test_latents_and_blocks_that_do_not_fit_are_named(generator):
    with pytest.raises(ValueError, match="no synthesis block 9; this generator has 1 to 8"):
        generator.features(generator.mapping(seed=0), 9)
    with pytest.raises(ValueError, match=r"takes \(N, 10, 16\)"):
        generator.features(torch.zeros(1, 9, 16), 2)


def test_a_missing_label_is_named():
    with pytest.raises(ValueError, match="3 classes; give label=0 to 2"):
        small_stylegan3(32, c_dim=3).mapping(seed=0)


def test_weights_of_another_shape_are_named(generator):
    other = small_stylegan3(64, w_dim=8)
    with pytest.raises(RuntimeError, match=r"mapping\.fc0\.weight"):
        generator.network.load_state_dict(other.network.state_dict())
