"""Files of NVIDIA's StyleGAN3: what is read from them draws what that program draws."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from nvidia_files import (
    REFERENCES,
    network_file,
)
from random_stylegan3 import fill, small_stylegan3

from draggan_widget.models.checkpoints import Unreadable, read_pickle
from draggan_widget.models.checkpoints.nvidia import recognise
from draggan_widget.models.stylegan3.network import StyleGAN3, stylegan3_config


def stylegan3_reference(name):
    """Settings, state dict and arrays of a reference of StyleGAN3."""
    with np.load(REFERENCES / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    settings = json.loads(str(arrays.pop("settings")))
    generator = StyleGAN3.from_config(stylegan3_config(settings["init_kwargs"]))
    fill(generator, settings["seed"])
    return settings, generator.network.state_dict(), arrays


def assert_draws_the_stylegan3_reference(translation, settings, arrays):
    assert translation.family == "stylegan3"
    generator = StyleGAN3.from_config(json.loads(json.dumps(translation.config)))
    generator.network.load_state_dict(translation.tensors)
    ws = generator.mapping(arrays["z"], label=settings["labels"], truncation=settings["truncation"])
    assert np.abs(ws.numpy() - arrays["w"][:, None]).max() < 1e-4
    picture = generator.synthesize(ws)[:, :, :: settings["stride"], :: settings["stride"]].numpy() / settings["std"]
    assert np.abs(picture - arrays["picture"]).max() < 0.01


@pytest.mark.parametrize(
    "name", [*("stylegan3_t_256", "stylegan3_r_classes_rgba_64", "stylegan3_t_grey_64"), "stylegan3_human_r_64"]
)
def test_a_pickle_of_stylegan3_draws_what_its_program_draws(name):
    settings, state, arrays = stylegan3_reference(name)
    translation = recognise(read_pickle(network_file(settings["init_kwargs"], state)))
    assert translation.config == stylegan3_config(settings["init_kwargs"])
    assert_draws_the_stylegan3_reference(translation, settings, arrays)


@pytest.mark.parametrize("name", ["stylegan3_t_classes_128", "stylegan3_human_t_128"])
def test_a_plain_state_dict_of_stylegan3_draws_what_its_program_draws(name):
    settings, state, arrays = stylegan3_reference(name)
    translation = recognise({"g_ema": {f"module.{name}": part for name, part in state.items()}})
    assert_draws_the_stylegan3_reference(translation, settings, arrays)
    assert "not recorded" in translation.notes["settings"]


def test_a_plain_state_dict_of_the_rotating_kind_has_its_settings():
    generator = small_stylegan3(64, num_layers=14, conv_kernel=1, use_radial_filters=True)
    translation = recognise(generator.network.state_dict())
    assert translation.config["use_radial_filters"] is True
    assert translation.config["conv_kernel"] == 1
    twin = StyleGAN3.from_config(translation.config)
    twin.network.load_state_dict(translation.tensors)
    ws = generator.mapping(seed=1)
    torch.testing.assert_close(twin.synthesize(twin.mapping(seed=1)), generator.synthesize(ws))


def test_a_plain_state_dict_of_an_unusual_stylegan3_asks_for_the_pickle():
    _, state, _ = stylegan3_reference("stylegan3_t_grey_64")
    with pytest.raises(Unreadable, match="bare weights of a StyleGAN3.*fit no usual settings; give the pickle"):
        recognise(state)


@pytest.mark.parametrize(
    "frozen", [{"freeze_layers": 0, "freeze_embed": False}, {"freeze_layers": 2, "freeze_embed": True}]
)
def test_what_was_trained_of_a_stylegan3_and_what_is_switched_off_changes_nothing(frozen):
    settings, state, arrays = stylegan3_reference("stylegan3_t_grey_64")
    kwargs = settings["init_kwargs"]
    kwargs = {**kwargs, "attention": False, "mapping_kwargs": {**kwargs.get("mapping_kwargs", {}), **frozen}}
    translation = recognise(read_pickle(network_file(kwargs, state)))
    assert_draws_the_stylegan3_reference(translation, settings, arrays)


def test_widths_that_the_weights_tell_need_not_be_recorded():
    settings, state, arrays = stylegan3_reference("stylegan3_t_grey_64")
    kwargs = {name: value for name, value in settings["init_kwargs"].items() if name not in ("z_dim", "w_dim", "c_dim")}
    translation = recognise(read_pickle(network_file(kwargs, state)))
    assert translation.config == stylegan3_config(settings["init_kwargs"])
    assert_draws_the_stylegan3_reference(translation, settings, arrays)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda kwargs, state: kwargs.update(attention=True), "attention = True"),
        (lambda kwargs, state: kwargs.update(square="no"), "square is no"),
        (lambda kwargs, state: kwargs.update(square=False), "missing"),
        (lambda kwargs, state: kwargs.update(w_dim=25), "wrong shape"),
        (lambda kwargs, state: kwargs.update(num_layers=9), "missing"),
        (lambda kwargs, state: state.pop("synthesis.input.freqs"), "'synthesis.input.freqs' is missing"),
        (lambda kwargs, state: state.update({"synthesis.extra": torch.ones(1)}), "'synthesis.extra' is too many"),
        (lambda kwargs, state: state["mapping.fc0.bias"].fill_(torch.inf), "'mapping.fc0.bias' is not made of finite"),
    ],
)
def test_a_stylegan3_that_cannot_be_taken_is_named(change, says):
    settings, state, _ = stylegan3_reference("stylegan3_t_grey_64")
    kwargs = dict(settings["init_kwargs"])
    state = {name: part.clone() for name, part in state.items()}
    change(kwargs, state)
    with pytest.raises(Unreadable, match=f"a StyleGAN3.*{says}.*; give"):
        recognise(read_pickle(network_file(kwargs, state)))
