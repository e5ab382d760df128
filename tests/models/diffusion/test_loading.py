"""Diffusion models come from folders as diffusers writes them; what cannot be taken is said in one sentence."""

from __future__ import annotations

import importlib.util
import json

import pytest
import torch
from random_diffusion import saved_stable_diffusion, small_pixels, small_stable_diffusion

from draggan_widget import CheckpointError, Editor, load_generator
from draggan_widget.analysis import drag_many
from draggan_widget.models import fingerprint
from draggan_widget.models.checkpoints import load
from draggan_widget.models.diffusion import Sampling, checks, is_diffusion_folder, load_diffusion, save_diffusion

pytest.importorskip("diffusers")


@pytest.fixture
def folder(tmp_path):
    """A Stable Diffusion as diffusers' own pipeline saves it, with a safety checker named in its index."""
    saved_stable_diffusion(tmp_path / "sd")
    return tmp_path / "sd"


def test_a_folder_that_diffusers_wrote_makes_the_pictures_that_diffusers_makes(folder):
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    model = load_generator(folder, "cpu").sampled(steps=5, prompt="red face", guidance=3.0)
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    torch.manual_seed(1)
    noise = torch.randn(1, 4, 16, 16)
    theirs = pipeline(
        "red face", num_inference_steps=5, guidance_scale=3.0, latents=noise, output_type="pt", eta=0.0
    ).images
    ours = model.synthesize(model.mapping(noise.reshape(1, -1)))
    torch.testing.assert_close((ours / 2 + 0.5).clamp(0, 1), theirs, atol=1e-3, rtol=0)


def test_a_safety_checker_is_not_read(folder):
    index = json.loads((folder / "model_index.json").read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "safety_checker").mkdir()
    (folder / "safety_checker" / "model.safetensors").write_bytes(b"nothing that can be read")
    assert load_diffusion(folder, "cpu").resolution == (32, 32)


@pytest.mark.parametrize("words", [True, False])
def test_a_model_of_pixels_is_saved_and_read_again(tmp_path, words):
    model = small_pixels(words=words)
    save_diffusion(tmp_path / "made", model)
    again = load_generator(str(tmp_path / "made"), "cpu")
    assert fingerprint(again) == fingerprint(model)
    assert again.sampling == model.sampling
    latent = model.mapping(seed=1)
    torch.testing.assert_close(again.synthesize(latent), model.synthesize(latent))


def test_a_folder_that_says_how_it_samples_in_terms_that_are_not_known_is_refused(tmp_path):
    save_diffusion(tmp_path, small_pixels())
    for stored, said in (
        ({"pace": 3}, "its model_index.json does not say how it samples in terms that are known"),
        ({"steps": 0}, "steps is 0; it must be a whole number"),
        ({"prompt": "beards"}, "does not know the word 'beards'"),
    ):
        told = {**json.loads((tmp_path / "model_index.json").read_text()), "sampling": stored}
        (tmp_path / "model_index.json").write_text(json.dumps(told))
        with pytest.raises(CheckpointError, match=said):
            load_generator(tmp_path, "cpu")
    assert load_diffusion(tmp_path, "cpu", sampling=Sampling(steps=4)).sampling.steps == 4


def test_a_stable_diffusion_is_saved_and_read_again(tmp_path):
    model = small_stable_diffusion(tmp_path / "words")
    save_diffusion(tmp_path / "made", model)
    again = load_diffusion(tmp_path / "made", "cpu", sampling=model.sampling)
    assert again.sampling == model.sampling
    assert torch.equal(again.mapping(seed=4), model.mapping(seed=4))


def index(folder, **values):
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline", **values}))


def test_models_of_other_kinds_are_named(folder):
    for kind, said in (
        ("StableDiffusionXLPipeline", "Stable Diffusion XL"),
        ("FluxPipeline", "Flux"),
        ("StableDiffusionInpaintPipeline", "a model for inpainting"),
        ("MusicPipeline", "a MusicPipeline"),
    ):
        index(folder, _class_name=kind)
        with pytest.raises(
            CheckpointError, match=f" is {said}; what can be read are folders of Stable Diffusion 1 and 2"
        ):
            load_generator(folder)


def test_a_folder_that_is_no_model_says_what_is_missing(tmp_path, folder):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CheckpointError, match=r"holds no model \(model_index.json is missing\); what can be read are"):
        load_diffusion(empty)
    with pytest.raises(FileNotFoundError, match="no folder '.*gone'; give one that holds a diffusion model"):
        load_diffusion(tmp_path / "gone")
    (empty / "model_index.json").write_text("[1, 2]")
    with pytest.raises(CheckpointError, match="has an model_index.json that describes no model"):
        load_diffusion(empty)
    index(empty)
    with pytest.raises(CheckpointError, match="has no folder unet"):
        load_diffusion(empty)


def test_names_that_no_file_can_have_are_no_folders_of_models():
    for name in ("~nobody-of-that-name/model", "a" * 5000, "a\0b", "faces"):
        assert not is_diffusion_folder(name)


def test_weights_that_could_run_code_or_are_damaged_are_not_read(folder):
    weights = next((folder / "unet").glob("*.safetensors"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    with pytest.raises(CheckpointError, match="is damaged"):
        load_diffusion(folder, "cpu")
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(CheckpointError, match=r"no weights as .safetensors \(.*bin\); save it again with safe_seriali"):
        load_diffusion(folder, "cpu")


def test_weights_that_are_not_finite_are_refused(tmp_path):
    model = small_pixels()
    with torch.no_grad():
        model.unet.conv_in.weight[0] = torch.nan
    save_diffusion(tmp_path, model)
    with pytest.raises(CheckpointError, match=r"has weights that are not finite \('unet.conv_in.weight'\)"):
        load_diffusion(tmp_path, "cpu")


def test_words_that_do_not_fit_their_vectors_are_refused(tmp_path):
    save_diffusion(tmp_path, small_pixels())
    (tmp_path / "words.json").write_text('["old"]')
    with pytest.raises(CheckpointError, match="its words and their vectors do not fit together"):
        load_diffusion(tmp_path, "cpu")


def test_half_precision_on_a_processor_is_refused(folder):
    with pytest.raises(ValueError, match=r"^half precision \(float16\) is slower than float32 on a processor"):
        load_diffusion(folder, "cpu", dtype=torch.float16)


def test_networks_may_compute_in_bfloat16_while_latents_stay_float32(folder):
    model = load_diffusion(folder, "cpu", dtype=torch.bfloat16, sampling=Sampling(steps=4))
    latent = model.mapping(seed=1)
    picture = model.synthesize(latent)
    assert (latent.dtype, picture.dtype, model.unet.dtype) == (torch.float32, torch.float32, torch.bfloat16)
    exact = load_diffusion(folder, "cpu", sampling=Sampling(steps=4))
    assert (picture - exact.synthesize(latent)).abs().max() < 0.1


def test_too_little_memory_is_said_before_anything_is_read(folder, monkeypatch):
    monkeypatch.setattr(checks, "free_memory", lambda device: 10_000)
    with pytest.raises(CheckpointError, match=r"needs about 0.0 GB of memory, and 0.0 GB are free; close other"):
        load_diffusion(folder, "cpu")


def test_without_diffusers_it_is_said_what_to_install(folder, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None)
    with pytest.raises(
        ModuleNotFoundError, match=r"need diffusers and transformers; pip install 'draggan_widget\[diff"
    ):
        load_diffusion(folder, "cpu")


def test_a_built_in_one_is_a_folder_and_is_offered_where_it_can_run(tmp_path, monkeypatch):
    monkeypatch.setattr(load, "BUILTIN", tmp_path)
    save_diffusion(tmp_path / "faces-diffusion", small_pixels())
    assert load.builtin_names() == load.builtin_names(older=False) == load.offered_names() == ["faces-diffusion"]
    assert load_generator("faces-diffusion", "cpu").resolution == (16, 16)
    with pytest.raises(CheckpointError, match="^faces-diffusion is a diffusion model, which is no file; take it by"):
        load.find_checkpoint("faces-diffusion")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None)
    assert (load.builtin_names(), load.offered_names()) == (["faces-diffusion"], [])
    with pytest.raises(ModuleNotFoundError, match=r"need diffusers; pip install 'draggan_widget\[diffusion\]'$"):
        load_generator("faces-diffusion", "cpu")


def test_jobs_take_a_folder(tmp_path):
    save_diffusion(tmp_path / "mine", small_pixels())
    pull = {"seed": 1, "handles": [[4, 8]], "targets": [[9, 8]], "engine": "fastdrag"}
    (outcome,) = drag_many(tmp_path / "mine", [pull])
    assert (outcome.error, outcome.reason) == (None, "arrived")


def test_an_edit_of_the_built_in_one_is_taken_up_from_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(load, "BUILTIN", tmp_path)
    save_diffusion(tmp_path / "faces-diffusion", small_pixels())
    editor = Editor("faces-diffusion", seed=2)
    editor.prompt = "beard"
    editor.save(tmp_path / "a.drag")
    again = Editor.load(tmp_path / "a.drag")
    assert (again.prompt, again.seed) == ("beard", 2)
    assert "load_generator('faces-diffusion'" in again.code().replace('"', "'")
    for each in (editor, again):
        each.close()
