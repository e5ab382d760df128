"""A generator in the wrappings that people make: each holds the same weights, and is the same generator."""

from __future__ import annotations

import sys
import time
import types
from collections import OrderedDict

import numpy as np
import pytest
import torch
from models.layouts import Global, Object, dump
from nvidia_checks import assert_draws_the_reference
from nvidia_files import network_file, persistent, stored, tree, with_filters
from seeded import Reference
from test_rosinality import parts

from draggan_widget.models import StyleGAN2
from draggan_widget.models.checkpoints import Record, Unreadable, nvidia, read_pickle, rosinality
from draggan_widget.models.checkpoints.holdings import holdings
from draggan_widget.models.checkpoints.load import CheckpointError, load_generator, read_checkpoint

MODULE = types.ModuleType("a_module_of_a_test")


class Generator(torch.nn.Module):
    """A module like theirs."""


@pytest.fixture
def class_of_theirs(monkeypatch):
    """A class that is there while files are written, and nowhere to be found when they are read."""
    monkeypatch.setitem(sys.modules, MODULE.__name__, MODULE)
    monkeypatch.setattr(Generator, "__module__", MODULE.__name__)
    MODULE.Generator = Generator
    return Generator


def whole(kind, state):
    """A module tree with these tensors as parameters."""
    root = kind()
    for name, tensor in state.items():
        at = root
        *path, last = name.split(".")
        for step in path:
            if step not in at._modules:
                at.add_module(step, torch.nn.Module())
            at = at._modules[step]
        at.register_parameter(last, torch.nn.Parameter(tensor, requires_grad=False))
    return root


WHOLE = {
    "alone": (lambda module, mean: module, False),
    "as g_ema": (lambda module, mean: {"g_ema": module, "latent_avg": mean}, True),
    "in DataParallel": (lambda module, mean: torch.nn.DataParallel(module), False),
    "averaged by torch": (lambda module, mean: torch.optim.swa_utils.AveragedModel(module), False),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_module_is_taken_without_its_class(name, class_of_theirs, tmp_path):
    wrap, has_mean = WHOLE[name]
    reference = Reference("rosinality_64")
    state, mean = parts(reference)
    torch.save(wrap(whole(class_of_theirs, state), mean), tmp_path / "a.pt")
    translation = read_checkpoint(tmp_path / "a.pt")
    assert_same(translation, state)
    if has_mean:
        reference.check(translation)


def assert_same(translation, state):
    assert translation is not None
    assert torch.equal(translation.tensors["synthesis.b64.conv1.bias"], state["convs.7.activate.bias"])
    assert torch.equal(translation.tensors["mapping.fc0.weight"], state["style.1.weight"])


def arrays(state):
    return {name: tensor.numpy() for name, tensor in state.items()}


WRAPPINGS = {
    "under a name of one's own": lambda state, mean: {"netG_ema": state, "latent_avg": mean},
    "deeper": lambda state, mean: {"checkpoint": {"models": {"generator_smooth": state}}, "w_avg": mean},
    "in a list": lambda state, mean: [{**state, "latent_avg": mean}],
    "in a tuple with its step": lambda state, mean: (3, {"weights": state, "mean_latent": mean}),
    "numpy arrays": lambda state, mean: {"g_ema": arrays(state), "latent_avg": mean.numpy()},
    "the mean latent as an array": lambda state, mean: {"g_ema": state, "latent_avg": mean.numpy()},
    "counters of a profiler": lambda state, mean: {
        "g_ema": {**state, "total_ops": torch.zeros(1), "style.1.total_params": torch.zeros(1, dtype=torch.float64)},
        "latent_avg": mean,
    },
    "an averaging wrapper": lambda state, mean: {
        "initted": torch.tensor(True),
        "step": torch.tensor(9),
        **{f"online_model.{name}": tensor * 2 for name, tensor in state.items()},
        **{f"ema_model.{name}": tensor for name, tensor in state.items()},
        "latent_avg": mean,
    },
    "next to optimisers and discriminators": lambda state, mean: {
        "d_ema": {**state, "convs.7.activate.bias": state["convs.7.activate.bias"] * 2},
        "g_optim": {
            "state": {k: {"step": 3, "exp_avg": torch.ones(2)} for k in range(50)},
            "param_groups": [{"lr": 1}],
        },
        "discriminator": {"convs.0.0.weight": torch.ones(1)},
        "generator": state,
        "latent_avg": mean,
    },
    "a trainer": lambda state, mean: Object(
        Global("trainer", "Trainer"), state={"epoch": 3, "nets": {"G": state}, "latent_avg": mean}, new=True
    ),
}


@pytest.mark.parametrize("name", WRAPPINGS)
def test_a_state_dict_is_found_in_whatever_it_lies(name):
    reference = Reference("rosinality_64")
    value = WRAPPINGS[name](*parts(reference))
    reference.check(rosinality.recognise(read_pickle(dump(value)) if isinstance(value, Object) else value))


def test_arrays_under_nvidias_names_are_taken_with_numbers_among_them():
    _, state, _ = stored("stylegan2_shallow")
    content = arrays(with_filters(state))
    content["synthesis.b4.conv1.noise_strength"] = float(content["synthesis.b4.conv1.noise_strength"])
    assert_draws_the_reference(nvidia.recognise({"model": content}), "stylegan2_shallow")


def test_a_module_of_nvidias_within_another_keeps_its_settings():
    settings, state, _ = stored("stylegan2_resnet")  # whose clamp only its settings tell
    inner = persistent(tree(with_filters(state), settings["init_kwargs"]))
    outer = {"_modules": OrderedDict(module=inner), "_parameters": {}, "_buffers": {}, "training": False}
    value = read_pickle(dump({"ema": Object(Global("torch.nn.parallel", "DataParallel"), state=outer, new=True)}))
    translation = nvidia.recognise(value)
    assert_draws_the_reference(translation, "stylegan2_resnet")
    assert translation.notes["weights"] == "'ema', names after 'module.'"


@pytest.mark.parametrize(
    ("keys", "first"),
    [
        (("g", "g_ema"), "g_ema"),
        (("discriminator_ema", "generator"), "generator"),
        (("G", "D", "G_ema"), "G_ema"),
        (("schematic", "netGEMA"), "netGEMA"),
        (("generator", "generator_smooth"), "generator_smooth"),
        (("semantic", "shadow_params"), "shadow_params"),
        (("model", "params"), "model"),
    ],
)
def test_of_several_networks_an_averaged_generator_comes_first(keys, first):
    value = {key: {"a.weight": torch.full((2,), float(place))} for place, key in enumerate(keys)}
    assert holdings(value)[0].key == first


def test_values_that_hold_themselves_end():
    value: dict = {"a": torch.zeros(3)}
    value["again"] = [value, {"more": value}]
    assert [holding.key for holding in holdings(value)] == [None]


def test_one_module_of_many_names_and_modules_that_share_parts_cost_little():
    big = Record("a", "B", state={"_modules": {}, "_parameters": {f"p{k}": torch.zeros(1) for k in range(15_000)}})
    sharing = [Record("a", "S", state={"_modules": {"big": big}, "_parameters": {}}) for _ in range(2_000)]
    value = {"all": [big] * 20_000, "sharing": sharing}
    before = time.process_time()
    for recognise in (nvidia.recognise, rosinality.recognise):
        assert recognise(value) is None
    assert time.process_time() - before < 5


# --- parts of other models -------------------------------------------------------------------------------------------

PLANES = {"z_dim": 8, "w_dim": 8, "c_dim": 25, "img_channels": 96, "channels": {4: 6, 8: 6, 16: 4}, "mapping_layers": 2}


def planes(**changes):
    """The tensors of a network such as EG3D's, whose StyleGAN2 makes planes of features."""
    state = StyleGAN2(16, **{**PLANES, **changes}).network.state_dict()
    return {f"backbone.{name}": tensor for name, tensor in state.items()} | {
        "decoder.net.0.weight": torch.zeros(64, 32),
        "superresolution.block0.conv0.weight": torch.zeros(8, 32, 3, 3),
    }


@pytest.mark.parametrize("pickled", [False, True])
def test_a_part_of_a_3d_gan_is_refused_as_what_it_is(pickled):
    state = planes()
    value = read_pickle(network_file({"z_dim": 8, "c_dim": 25, "w_dim": 8}, state)) if pickled else state
    with pytest.raises(
        Unreadable, match="whose maps have 96 channels and are no pictures.*'decoder', 'superresolution'"
    ):
        nvidia.recognise(value)


def test_a_generator_whose_neighbours_go_on_with_its_pictures_is_refused_by_their_names():
    with pytest.raises(Unreadable, match="a part of another model, whose 'decoder', 'superresolution' go on with"):
        nvidia.recognise(planes(img_channels=3, c_dim=0))


def test_a_generator_next_to_its_encoder_and_losses_is_no_part_of_another_model():
    reference = Reference("rosinality_64")
    state, mean = parts(reference)
    beside = {"encoder.body.0.weight": torch.ones(1), "id_loss.net.0.weight": torch.ones(1), "latent_avg": mean}
    reference.check(rosinality.recognise({"state_dict": beside | {f"decoder.{k}": v for k, v in state.items()}}))


# --- large companions ------------------------------------------------------------------------------------------------


def test_a_discriminator_of_thousands_of_modules_next_to_a_generator_does_no_harm(tmp_path):
    part = [torch.nn.Sequential(torch.nn.Conv2d(2, 2, 1), torch.nn.BatchNorm2d(2), torch.nn.SiLU()) for _ in range(450)]
    backbone = torch.nn.Sequential(*part)
    assert sum(1 for _ in backbone.modules()) > 1800
    settings, state, _ = stored("stylegan2_shallow")
    generator = persistent(tree(with_filters(state), settings["init_kwargs"]))
    path = tmp_path / "a.pkl"
    path.write_bytes(dump({"D": backbone, "G_ema": generator}))
    assert_draws_the_reference(read_checkpoint(path), "stylegan2_shallow")


# --- 2048 px ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["NVIDIA", "rosinality"])
def test_a_picture_of_2048_px_loads(layout, tmp_path):
    widths = {4 << step: 2 for step in range(10)}
    made = StyleGAN2(2048, z_dim=4, w_dim=4, channels=widths, mapping_layers=1)
    ours = made.network.state_dict()
    torch.save(ours if layout == "NVIDIA" else rosinalitys(ours), tmp_path / "a.pt")
    generator = load_generator(tmp_path / "a.pt", "cpu")
    assert generator.resolution == (2048, 2048)
    ws = made.mapping(seed=1)
    picture = generator.synthesize(ws)
    assert picture.shape == (1, 3, 2048, 2048)
    torch.testing.assert_close(picture, made.synthesize(ws), rtol=0, atol=1e-5)


def test_a_picture_larger_than_2048_px_is_refused_by_its_size(tmp_path):
    _, state, _ = stored("stylegan2_shallow")
    state["synthesis.b4096.torgb.bias"] = torch.ones(3)
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="4096 and 2 mapping layers; give a whole one of 8 to 2048 px"):
        load_generator(tmp_path / "a.pt")


def rosinalitys(ours):
    """A state dict of ours under rosinality's names."""
    state = {"style.1.weight": ours["mapping.fc0.weight"], "style.1.bias": ours["mapping.fc0.bias"]}
    state["input.input"] = ours["synthesis.b4.const"][None]
    blocks = sorted({int(name.split(".")[1][1:]) for name in ours if name.startswith("synthesis.b")})
    convolutions = [(f"b{blocks[0]}.conv1", "conv1")]
    for size in blocks[1:]:
        convolutions += [
            (f"b{size}.{part}", f"convs.{len(convolutions) - 1 + k}") for k, part in enumerate(("conv0", "conv1"))
        ]
    colours = [(f"b{size}.torgb", f"to_rgbs.{k - 1}" if k else "to_rgb1") for k, size in enumerate(blocks)]
    for block, theirs in convolutions + colours:
        at = {name.rpartition(f"{block}.")[2]: part for name, part in ours.items() if f".{block}." in name}
        state |= {
            f"{theirs}.conv.weight": at["weight"][None],
            f"{theirs}.conv.modulation.weight": at["affine.weight"],
            f"{theirs}.conv.modulation.bias": at["affine.bias"],
        }
        if block.endswith("torgb"):
            state[f"{theirs}.bias"] = at["bias"].reshape(1, -1, 1, 1)
        else:
            state[f"{theirs}.activate.bias"] = at["bias"]
            state[f"{theirs}.noise.weight"] = at["noise_strength"].reshape(1)
            state[f"noises.noise_{[b for b, _ in convolutions].index(block)}"] = at["noise_const"][None, None]
    return state


def test_a_float_among_other_things_is_no_tensor_of_a_table():
    held = holdings({"state": {"loss": 0.5, "a.weight": np.ones(2, np.float32), "a.gain": 0.25}})[0]
    assert held.tensors["loss"] == 0.5
    assert torch.equal(held.tensors["a.gain"].float(), torch.tensor(0.25))
