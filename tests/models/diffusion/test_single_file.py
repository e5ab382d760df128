"""Stable Diffusion comes from one file, with a folder that describes it; what cannot be taken is said."""

from __future__ import annotations

import argparse
import json
import shutil

import pytest
import safetensors.torch
import torch
from random_diffusion import original_layout, saved_stable_diffusion

from draggan_widget import CheckpointError, load_generator
from draggan_widget.models.diffusion import Sampling, checks, load_diffusion
from draggan_widget.models.diffusion.single_file import kind_of_file

pytest.importorskip("diffusers")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a Stable Diffusion as diffusers saves it, ``sd``, and the same weights in one file, by their
    makers' names.
    """
    folder = tmp_path_factory.mktemp("made")
    parts = saved_stable_diffusion(folder / "sd")
    weights = original_layout(parts)
    weights["model_ema.decay"] = torch.ones(())  # which is not read
    safetensors.torch.save_file(weights, str(folder / "sd.safetensors"))
    torch.save({"state_dict": weights, "epoch": 3}, folder / "sd.ckpt")
    return folder


@pytest.fixture
def alone(tmp_path, made):
    """The file of weights, without anything beside it."""
    return shutil.copy(made / "sd.safetensors", tmp_path / "sd.safetensors")


def without_weights(folder, into):
    """Copy what says what networks look like, and the tokenizer."""
    shutil.copytree(folder, into, ignore=lambda _, names: [each for each in names if each.endswith(".safetensors")])
    return into


@pytest.mark.parametrize("name", ["sd.safetensors", "sd.ckpt"])
def test_a_file_makes_the_pictures_that_the_folder_makes(made, name):
    how = Sampling(prompt="red face", steps=4)
    one, other = (load_diffusion(made / each, "cpu", sampling=how) for each in (name, "sd"))
    assert [*one.state_dict()] == [*other.state_dict()]
    for key, weight in one.state_dict().items():
        assert torch.equal(weight, other.state_dict()[key]), key
    latent = other.mapping(seed=2)
    # Not to the bit: where weights lie in memory, products are summed in another order.
    torch.testing.assert_close(one.synthesize(latent), other.synthesize(latent), atol=1e-5, rtol=1e-5)


def test_no_weights_and_no_network_are_needed_beside_the_file(made, alone, tmp_path, monkeypatch):
    import socket

    def refused(*args, **more):
        raise AssertionError("a network was asked")

    without_weights(made / "sd", tmp_path / "sd")
    monkeypatch.setattr(socket.socket, "connect", refused)
    assert load_generator(str(alone), "cpu").resolution == (32, 32)


def test_the_folder_is_told_or_is_that_of_the_file_itself(made, alone, tmp_path):
    described = without_weights(made / "sd", tmp_path / "elsewhere")
    assert load_diffusion(alone, "cpu", config=described).resolution == (32, 32)
    within = shutil.copy(alone, described / "v1.safetensors")
    assert load_generator(str(within), "cpu").resolution == (32, 32)


def test_without_a_description_it_is_said_what_is_needed_and_where_it_is_looked_for(made, alone, tmp_path):
    with pytest.raises(CheckpointError, match=r"holds weights alone, .*give config=…, or put beside it the folder sd "):
        load_generator(str(alone), "cpu")
    described = without_weights(made / "sd", tmp_path / "sd")
    shutil.rmtree(described / "tokenizer")
    (described / "scheduler" / "scheduler_config.json").unlink()
    with pytest.raises(CheckpointError, match="but lacks scheduler/scheduler_config.json, tokenizer; copy it from the"):
        load_generator(str(alone), "cpu")


def test_a_description_of_another_model_is_refused(made, alone, tmp_path):
    described = without_weights(made / "sd", tmp_path / "sd")
    config = json.loads((described / "unet" / "config.json").read_text())
    config["layers_per_block"] = 2
    (described / "unet" / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"has no 'unet\..*that .*sd. describes|cannot be taken|is damaged"):
        load_generator(str(alone), "cpu")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["conditioner.embedders.0.transformer.a", "model.diffusion_model.input_blocks.0.0.weight"], "Diffusion XL"),
        (["model.diffusion_model.double_blocks.0.img_attn.qkv.weight"], "Flux"),
        (["double_blocks.0.img_attn.qkv.weight"], "Flux"),
        (["joint_blocks.0.context_block.mlp.fc1.weight"], "Stable Diffusion 3"),
        (["lora_unet_down_blocks_0.lora_up.weight"], "a LoRA, which is small changes of another model"),
        (["control_model.input_blocks.0.0.weight"], "a ControlNet"),
    ],
)
@pytest.mark.parametrize("ending", ["safetensors", "ckpt"])
def test_files_of_other_kinds_are_named(tmp_path, names, said, ending):
    path, weights = tmp_path / f"a.{ending}", {name: torch.ones(2, 4, 3, 3) for name in names}
    if ending == "ckpt":
        torch.save({"state_dict": weights}, path)
    else:
        safetensors.torch.save_file(weights, str(path))
    with pytest.raises(
        CheckpointError, match=f"is .*{said}; what can be read in one file are Stable Diffusion 1 and 2"
    ):
        load_generator(path, "cpu")


def test_models_for_inpainting_and_parts_of_models_are_named(tmp_path, made):
    weights = safetensors.torch.load_file(str(made / "sd.safetensors"))
    first = "model.diffusion_model.input_blocks.0.0.weight"
    path = tmp_path / "a.safetensors"
    safetensors.torch.save_file({**weights, first: torch.ones(8, 9, 3, 3)}, str(path))
    with pytest.raises(CheckpointError, match="takes 9 channels, as models for inpainting or upscaling do"):
        load_generator(path, "cpu")
    network = {name: weight for name, weight in weights.items() if name.startswith("model.diffusion_model.")}
    safetensors.torch.save_file(network, str(path))
    with pytest.raises(CheckpointError, match=r"has no VAE \(no weight is called first_stage_model.…\)"):
        load_generator(path, "cpu")


def test_too_little_memory_is_said_before_anything_is_read(made, monkeypatch):
    monkeypatch.setattr(checks, "free_memory", lambda device: 10_000)
    for name in ("sd.safetensors", "sd.ckpt"):
        with pytest.raises(CheckpointError, match=r"needs about 0.0 GB of memory, and 0.0 GB are free; close other"):
            load_diffusion(made / name, "cpu")


def test_half_precision_on_a_processor_is_refused(made):
    with pytest.raises(ValueError, match=r"^half precision \(float16\) is slower than float32 on a processor"):
        load_diffusion(made / "sd.safetensors", "cpu", dtype=torch.float16)


def test_a_damaged_file_and_one_that_would_run_code_are_refused(made, tmp_path):
    data = (made / "sd.safetensors").read_bytes()
    (tmp_path / "sd.safetensors").write_bytes(data[: len(data) // 2])
    without_weights(made / "sd", tmp_path / "sd")
    with pytest.raises(CheckpointError, match="cannot be taken|is damaged"):
        load_generator(tmp_path / "sd.safetensors", "cpu")
    weights = {name: torch.ones(2) for name in safetensors.torch.load(data)}
    torch.save({"state_dict": weights, "code": argparse.Namespace(a=1)}, tmp_path / "sd.ckpt")
    with pytest.raises(CheckpointError, match="cannot be taken"):
        load_generator(tmp_path / "sd.ckpt", "cpu")


def test_files_of_generators_are_none_of_diffusion_models(tmp_path):
    torch.save({"g_ema": {"style.1.weight": torch.ones(2)}}, tmp_path / "a.ckpt")
    safetensors.torch.save_file({"synthesis.b4.const": torch.ones(2)}, str(tmp_path / "a.safetensors"))
    (tmp_path / "b.safetensors").write_bytes(b"\0" * 4)
    (tmp_path / "b.ckpt").write_bytes(b"no archive")
    for name in ("a.ckpt", "a.safetensors", "b.ckpt", "b.safetensors"):
        assert kind_of_file(tmp_path / name) is None, name
