"""Files of the rosinality layout against pictures of the public implementations."""

from __future__ import annotations

import argparse
from collections import OrderedDict

import pytest
import torch
from random_stylegan2 import small_stylegan2
from seeded import Reference

from draggan_widget.models.checkpoints import Unreadable, read_file
from draggan_widget.models.checkpoints.rosinality import recognise
from draggan_widget.models.stylegan2.network import MappingNetwork

NAMES = ["rosinality_64", "rosinality_256", "rosinality_human_64", "rosinality_basicsr_32"]


def parts(reference):
    """The state dict and the mean latent, if there is one."""
    state = OrderedDict((name, torch.from_numpy(array)) for name, array in reference.weights.items())
    return state, state.pop("latent_avg", None)


@pytest.fixture
def state():
    return parts(Reference("rosinality_64"))[0]


def checkpoint(state, mean, key="g_ema"):
    return {"g": {"other": torch.zeros(1)}, key: state, **({} if mean is None else {"latent_avg": mean})}


@pytest.mark.parametrize("name", NAMES)
def test_latents_and_pictures_equal_those_of_the_public_implementation(name):
    reference = Reference(name)
    translation = recognise(checkpoint(*parts(reference)))
    reference.check(translation)
    assert translation.notes["layout"] == "rosinality"
    assert ("w_avg" in translation.notes) == ("latent_avg" not in reference.weights)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_as_the_program_saves_it_is_read(tmp_path, zipped):
    reference = Reference("rosinality_64")
    state, mean = parts(reference)
    content = {**checkpoint(state, mean), "d": {"convs.0.0.weight": torch.ones(1)}, "args": argparse.Namespace(n_mlp=8)}
    content["g_optim"] = {"state": {0: {"step": 3, "exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.002}]}
    torch.save(content, tmp_path / "model.pt", _use_new_zipfile_serialization=zipped)
    reference.check(recognise(read_file(tmp_path / "model.pt")))


def prefixed(state, prefix):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    ("wrap", "weights"),
    [
        (lambda state, mean: {**state, "latent_avg": mean}, "the file itself"),
        (lambda state, mean: {"params_ema": state, "latent_avg": mean[None]}, "'params_ema'"),
        (lambda state, mean: {"g": state, "mean_latent": mean}, "'g'"),
        (lambda state, mean: {"g": prefixed(state, "x."), "g_ema": state, "latent_avg": mean}, "'g_ema'"),
        (
            lambda state, mean: {"g_ema": prefixed(state, "module."), "latent_avg": mean},
            "'g_ema', names after 'module.'",
        ),
        (
            lambda state, mean: {
                "state_dict": {"encoder.body.0.weight": mean, **prefixed(state, "decoder.")},
                "latent_avg": mean.repeat(10, 1),
                "opts": {},
            },
            "'state_dict', names after 'decoder.'",
        ),
        (
            lambda state, mean: {
                "state_dict": {**prefixed(state, "G."), **prefixed(state, "G_ema."), "latent_avg": mean},
                "latent_avg": mean,
            },
            "'state_dict', names after 'G_ema.'",
        ),
    ],
)
def test_forks_with_other_keys_and_prefixes_are_read(wrap, weights):
    reference = Reference("rosinality_64")
    translation = recognise(wrap(*parts(reference)))
    reference.check(translation)
    assert translation.notes["weights"] == weights


def test_without_a_mean_latent_the_seeded_mean_of_many_latents_stands_in(state):
    first, second = recognise({"g_ema": dict(state)}), recognise({"g_ema": dict(state)})
    mean = first.tensors["mapping.w_avg"]
    assert torch.equal(mean, second.tensors["mapping.w_avg"])
    mapping = MappingNetwork(16, 0, 16, 8, 0.01)
    mapping.load_state_dict({name[8:]: first.tensors[name] for name in first.tensors if name.startswith("mapping.")})
    with torch.no_grad():
        latents = mapping(torch.randn(4000, 16, generator=torch.Generator().manual_seed(5)), None)
    assert (latents.mean(dim=0) - mean).abs().max() < 5 * float(latents.std()) / 4000**0.5
    assert "10,000 latents of seed 0" in first.notes["w_avg"]


def test_without_noise_normal_numbers_stand_in_and_that_is_said(state):
    kept = {name: tensor for name, tensor in state.items() if not name.startswith("noises.")}
    translation = recognise(kept)
    assert "not recorded" in translation.notes["noise"]
    assert translation.tensors["synthesis.b64.conv1.noise_const"].shape == (64, 64)
    assert abs(float(translation.tensors["synthesis.b64.conv1.noise_const"].std()) - 1) < 0.05


def test_half_precision_becomes_float32(state):
    translation = recognise({"g_ema": {name: tensor.half() for name, tensor in state.items()}})
    assert {tensor.dtype for tensor in translation.tensors.values()} == {torch.float32}
    assert translation.config["resample_filter"] == [1, 3, 3, 1]


def test_a_mapping_network_without_a_small_learning_rate_is_known_by_its_weights(state):
    plain = {name: tensor * (0.01 if name.startswith("style.") else 1) for name, tensor in state.items()}
    translation = recognise(plain)
    assert translation.config["mapping_lr_multiplier"] == 1
    assert "not recorded" in translation.notes["mapping_lr_multiplier"]


def test_another_low_pass_filter_is_kept(state):
    box = torch.zeros(4, 4)
    box[1:3, 1:3] = 1
    translation = recognise({name: box if name.endswith("kernel") else tensor for name, tensor in state.items()})
    assert translation.config["resample_filter"] == (box / 4).tolist()
    torch.testing.assert_close(translation.tensors["synthesis.b8.resample_filter"], box / 4)


def without(state, *names):
    return {name: tensor for name, tensor in state.items() if name not in names}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: without(s, "conv1.conv.weight"), "'conv1.conv.weight' is missing; give a whole checkpoint"),
        (
            lambda s: without(s, "input.input", "convs.2.noise.weight"),
            "'input.input' and 'convs.2.noise.weight' are mis",
        ),
        (lambda s: without(s, *(n for n in s if n.startswith("to_rgbs.1"))), "1 more are missing"),
        (lambda s: without(s, *(n for n in s if n.startswith("style."))), "0 mapping layers"),
        (lambda s: without(s, *(n for n in s if n.startswith("convs."))), "0 convolutions"),
        (lambda s: without(s, "noises.noise_3"), "'noises.noise_3' is missing"),
        (lambda s: {**s, "attention.weight": torch.ones(3)}, "'attention.weight' is too many: another architecture"),
        (lambda s: {**s, "convs.998.conv.weight": torch.ones(3)}, "999 convolutions"),
        (lambda s: {**s, "conv1.conv.weight": torch.ones(16, 16, 3, 3)}, "conv1.conv.weight' has the shape"),
        (
            lambda s: {**s, "conv1.conv.weight": torch.ones(1, 16, 16, 5, 5)},
            "'conv1.conv.weight' is of the wrong shape",
        ),
        (lambda s: {**s, "convs.1.conv.weight": torch.ones(1, 9, 9, 3, 3)}, "of the wrong shape"),
        (lambda s: {**s, "conv1.noise.weight": torch.ones(16)}, "conv1.noise.weight' has the shape"),
        (lambda s: {**s, "input.input": torch.ones(16, 4, 4)}, "input.input' has the shape"),
        (lambda s: {**s, "input.input": torch.ones(1, 16, 4, 0)}, "input.input' has the shape"),
        (lambda s: {**s, "input.input": torch.ones(1, 16, 4, 8)}, "of the wrong shape"),
        (lambda s: {**s, "style.1.weight": torch.ones(16, 9000)}, "takes 9000 numbers"),
        (lambda s: {**s, "style.2.bias": torch.full((16,), torch.nan)}, "'style.2.bias' is not made of finite numbers"),
        (lambda s: {**s, "style.2.bias": torch.ones(16, dtype=torch.int64)}, "'style.2.bias' is not made of floats"),
        (lambda s: {**s, "latent_avg": torch.ones(15)}, "'latent_avg' is of the wrong shape"),
        (lambda s: {**s, "latent_avg": torch.tensor(1.0)}, "'latent_avg' is of the wrong shape"),
        (lambda s: {**s, "to_rgbs.0.upsample.kernel": torch.ones(4, 4)}, "low-pass filters of different kinds"),
        (lambda s: {n: torch.ones(0) if n.endswith("kernel") else t for n, t in s.items()}, "low-pass filters"),
    ],
)
def test_a_damaged_or_changed_checkpoint_is_named(state, change, says):
    with pytest.raises(Unreadable, match=f"rosinality layout.*{says}"):
        recognise({"g_ema": change(dict(state))})


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        7,
        {"g_ema": 3},
        {"g_ema": {}},
        {3: torch.ones(2), "state_dict": {"conv1.conv.weight": torch.ones(3)}},
        {"params_ema": {"conv_body.weight": torch.ones(3), None: None}},
    ],
)
def test_a_file_of_another_kind_is_left_to_others(value):
    assert recognise(value) is None


def test_a_state_dict_of_the_nvidia_layout_is_left_to_others():
    assert recognise(small_stylegan2(32).network.state_dict()) is None
