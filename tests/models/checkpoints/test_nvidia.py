"""Files of NVIDIA's PyTorch programs: what is read from them draws what those programs draw."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from models.layouts import dump
from nvidia_checks import assert_draws_the_reference, build, shallow
from nvidia_files import (
    REFERENCES,
    easy,
    persistent,
    stored,
    stylegan2_file,
    taps_of,
    tree,
    with_filters,
)

from draggan_widget.models import StyleGAN2
from draggan_widget.models.checkpoints import read_pickle
from draggan_widget.models.checkpoints.nvidia import recognise

NAMES = sorted(path.stem for path in REFERENCES.glob("stylegan2_*.npz"))
CLAMPED = {"stylegan2_resnet", "stylegan2_rgba"}
"""Networks whose clamps are so low that they show."""


@pytest.mark.parametrize("name", NAMES)
def test_a_pickle_draws_what_its_program_draws(name):
    settings, state, _ = stored(name)
    translation = recognise(read_pickle(stylegan2_file(settings["init_kwargs"], state)))
    assert translation.family == "stylegan2"
    assert_draws_the_reference(translation, name)


@pytest.mark.parametrize("name", sorted(set(NAMES) - CLAMPED))
def test_a_plain_state_dict_draws_what_its_program_draws(name):
    settings, state, _ = stored(name)
    translation = recognise(with_filters(state, taps_of(settings["init_kwargs"])))
    assert_draws_the_reference(translation, name)
    assert translation.notes["conv_clamp"] == "not recorded; none"


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"g_ema": state, "d": {"b4.fc.weight": torch.ones(2)}},
        lambda state: {"epoch": 3, "state_dict": {f"module.{name}": part for name, part in state.items()}},
        lambda state: {
            **{f"G.{name}": torch.zeros_like(part) for name, part in state.items()},
            **{f"G_ema.{name}": part for name, part in state.items()},
        },
        lambda state: {"model": {"G_ema": {"generator.module." + name: part for name, part in state.items()}}},
    ],
    ids=["g_ema", "module", "several", "nested"],
)
def test_a_plain_state_dict_is_found_in_what_programs_wrap_it_in(wrap):
    _, state, _ = stored("stylegan2_shallow")
    assert_draws_the_reference(recognise(wrap(with_filters(state))), "stylegan2_shallow")


def test_references_cover_what_the_programs_can_make():
    kwargs = [stored(name)[0]["init_kwargs"] for name in NAMES]
    flat = [{**k, **k.get("synthesis_kwargs", {}), **k["mapping_kwargs"]} for k in kwargs]
    assert {k.get("architecture", "skip") for k in flat} == {"skip", "resnet", "orig"}
    assert {k["img_channels"] for k in flat} == {1, 3, 4}
    assert {k["img_resolution"] for k in flat} == {16, 32, 64, 256}
    assert {0, 3, 5} == {k["c_dim"] for k in flat}
    assert any(k.get("num_fp16_res") == 4 and k["conv_clamp"] == 256 for k in flat)
    assert any(k.get("square") is False for k in flat)
    assert any(k["z_dim"] == 0 for k in flat)
    assert all((REFERENCES / f"{name}.npz").stat().st_size < 100_000 for name in NAMES)


def test_the_shape_of_a_picture_of_people_is_read_off_its_weights():
    settings, state, _ = stored("stylegan2_human")
    translation = recognise(read_pickle(stylegan2_file(settings["init_kwargs"], state)))
    assert translation.config["resolution"] == [64, 32]
    generator = build(translation)
    ws = generator.mapping(seed=1)
    assert generator.resolution == (64, 32)
    assert generator.synthesize(ws).shape == (1, 3, 64, 32)
    assert generator.features(ws, generator.default_block()).shape[2:] == (32, 16)


@pytest.mark.parametrize("multiplier", [0.01, 0.1, 1.0])
def test_bare_weights_tell_their_multiplier_by_the_mean_latent(multiplier):
    generator = StyleGAN2(16, z_dim=16, w_dim=16, mapping_layers=4, mapping_lr_multiplier=multiplier)
    state = generator.network.state_dict()
    for index in range(4):
        # Weights that no longer have the size they began with, as after a long training.
        state[f"mapping.fc{index}.weight"].mul_(4)
        state[f"mapping.fc{index}.bias"].fill_(0.1 / multiplier)
    z = torch.randn(20_000, 16)
    state["mapping.w_avg"].copy_(generator.network["mapping"](z, None).mean(dim=0))
    translation = recognise({"g_ema": state})
    assert translation.config["mapping_lr_multiplier"] == multiplier
    assert "recorded mean" in translation.notes["mapping_lr_multiplier"]


# --- what a file says besides ----------------------------------------------------------------------------------------


def test_the_averaged_generator_is_preferred_and_a_lone_one_taken():
    assert recognise(shallow()).notes["weights"] == "'G_ema'"
    assert recognise(shallow(keys=("G", "D"))).notes["weights"] == "'G'"
    assert recognise(shallow(keys=("G_ema",))).notes["weights"] == "'G_ema'"


def test_a_network_that_is_the_whole_file_is_taken():
    settings, state, _ = stored("stylegan2_shallow")
    network = persistent(tree(with_filters(state), settings["init_kwargs"]))
    assert_draws_the_reference(recognise(read_pickle(dump(network))), "stylegan2_shallow")


def test_data_set_and_licence_are_noted_without_the_folder_they_were_in():
    notes = recognise(shallow(license="CC BY-NC 4.0")).notes
    assert notes["dataset"] == "afhqcat.zip"
    assert notes["licence"] == "CC BY-NC 4.0"


@pytest.mark.parametrize(
    ("path", "rate"),
    [
        ("/data/ffhq-256x256.zip", 2e-3),
        ("C:\\data\\afhqcat512.zip", 2e-3),
        ("stanford_cars", 2e-3),
        ("afhqdog.zip", 1e-3),
        ("/faces/lsunhorse", 1e-3),
        ("carpets", 1e-3),
    ],
)
def test_steps_are_those_of_the_paper_for_what_the_pictures_are_of(path, rate):
    translation = recognise(shallow(training_set_kwargs=easy({"path": path})))
    assert translation.drag_config().learning_rate == rate


def test_without_a_data_set_the_usual_settings_stay():
    translation = recognise(shallow(training_set_kwargs=None))
    assert "dataset" not in translation.notes
    assert translation.drag_config() == type(translation.drag_config())()


def test_half_precision_weights_become_float32():
    settings, state, _ = stored("stylegan2_shallow")
    halved = {name: part.half() for name, part in state.items()}
    translation = recognise(read_pickle(stylegan2_file(settings["init_kwargs"], halved)))
    assert {part.dtype for part in translation.tensors.values()} == {torch.float32}
    assert torch.equal(translation.tensors["synthesis.b4.const"], halved["synthesis.b4.const"].float())


def test_weights_are_not_copied_when_they_are_float32_already():
    _, state, _ = stored("stylegan2_shallow")
    translation = recognise(with_filters(state))
    assert translation.tensors["synthesis.b4.const"].data_ptr() == state["synthesis.b4.const"].data_ptr()


def test_settings_may_have_been_given_without_names():
    def unnamed(path, usual):
        return usual | {"_init_args": (16, 0, 24), "_init_kwargs": {}} if path == "" else usual

    assert_draws_the_reference(recognise(shallow(attributes=unnamed)), "stylegan2_shallow")


def test_layers_that_record_nothing_leave_it_to_the_settings():
    settings, state, _ = stored("stylegan2_resnet")

    def silent(path, usual):
        return usual if path == "" else {}

    translation = recognise(read_pickle(stylegan2_file(settings["init_kwargs"], state, attributes=silent)))
    assert_draws_the_reference(translation, "stylegan2_resnet")


def test_a_missing_mean_latent_is_made_up_for():
    settings, state, _ = stored("stylegan2_classes")
    del state["mapping.w_avg"]
    translation = recognise(read_pickle(stylegan2_file(settings["init_kwargs"], state)))
    assert translation.notes["w_avg"].startswith("not recorded")
    generator = build(translation)
    z = np.random.RandomState(0).randn(3000, 16)
    mean = torch.cat([generator.mapping(z, label=label)[:, 0] for label in range(5)]).mean(dim=0)
    torch.testing.assert_close(translation.tensors["mapping.w_avg"], mean, atol=0.1, rtol=0)


def test_missing_low_pass_filters_are_the_usual_ones():
    _, state, _ = stored("stylegan2_shallow")
    assert_draws_the_reference(recognise(state), "stylegan2_shallow")
