"""A diffusion model is a generator: its latents, its way down, its features, and what it shares with its source."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from random_diffusion import QUICK, small_pixels

from draggan_widget.engines import bind
from draggan_widget.models import Generator, fingerprint
from draggan_widget.models.diffusion import Diffusion, Sampling

pytest.importorskip("diffusers")


def pulled(model, latent, by=0.3):
    """A latent whose noisy picture is not its source any more."""
    other = latent.clone()
    torch.manual_seed(5)
    other[:, : model.depth] += by * torch.randn_like(model.moving(latent))
    return other


def test_it_has_the_sizes_of_its_parts(stable, pixels):
    assert isinstance(stable, Generator)
    assert (stable.resolution, stable.channels, stable.space.shape) == ((32, 32), 3, (1, 8, 16, 16))
    assert (pixels.resolution, pixels.channels, pixels.space.shape) == ((16, 16), 3, (1, 6, 16, 16))
    assert [stable.map_size(block) for block in stable.blocks] == [(4, 4), (8, 8), (16, 16), (16, 16)]
    assert (stable.default_block(), pixels.default_block()) == (3, 2)


def test_a_seed_is_the_noise_of_numpy_brought_down_to_the_level_of_latents_as_diffusers_does(stable):
    from diffusers import DDIMScheduler

    latent = stable.mapping(seed=3)
    scheduler = DDIMScheduler.from_config(stable.scheduler.config)
    scheduler.set_timesteps(QUICK.steps)
    noisy = torch.from_numpy(np.random.RandomState(3).randn(1, stable.z_dim)).float().view(1, 4, 16, 16)
    words = stable.text(QUICK.prompt)
    with torch.no_grad():
        for number, time in enumerate(scheduler.timesteps):
            if number == QUICK.steps - stable.level:
                torch.testing.assert_close(latent[:, :4], noisy, atol=1e-5, rtol=1e-5)
                assert torch.equal(latent[:, :4], latent[:, 4:])
            said = stable.unet(noisy, time, encoder_hidden_states=words).sample
            noisy = scheduler.step(said, time, noisy).prev_sample
        picture = stable.vae.decode(noisy / stable.vae.config.scaling_factor).sample
    torch.testing.assert_close(stable.synthesize(latent), picture, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_its_steps_are_those_of_diffusers_whatever_the_network_predicts(prediction):
    from diffusers import DDIMScheduler

    model = small_pixels(prediction=prediction, sampling=Sampling(prompt="old", steps=10))
    scheduler = DDIMScheduler.from_config(model.scheduler.config)
    scheduler.set_timesteps(model.sampling.steps)
    torch.manual_seed(1)
    noisy, said = torch.randn(2, 1, 3, 16, 16).unbind()
    for level, time in zip(range(model.sampling.steps, 0, -1), scheduler.timesteps, strict=True):
        wanted = scheduler.step(said, time, noisy).prev_sample
        torch.testing.assert_close(model.schedule.move(noisy, said, level, level - 1), wanted, atol=1e-3, rtol=1e-3)


def test_what_a_perfect_network_says_splits_into_picture_and_noise_again(pixels):
    schedule = pixels.schedule
    torch.manual_seed(2)
    picture, noise = torch.randn(2, 1, 3, 4, 4).double().unbind()
    for level in range(1, schedule.steps):
        noisy = schedule.join(picture, noise, level)
        found = schedule.split(noisy, schedule.said(picture, noise, level), level)
        torch.testing.assert_close(torch.stack(found), torch.stack([picture, noise]))


def test_features_are_those_of_the_hooked_block_and_can_be_differentiated(stable):
    latent = stable.mapping(seed=1)
    seen = {}
    with torch.no_grad():
        hook = stable.unet.up_blocks[1].register_forward_hook(lambda module, args, output: seen.update(map=output))
        time = stable.schedule.times[stable.level - 1]
        stable.unet(latent[:, :4], time, encoder_hidden_states=stable.text(QUICK.prompt))
        hook.remove()
    assert torch.equal(stable.features(latent, 3), seen["map"])
    leaf = latent.clone().requires_grad_()
    stable.sample_features(leaf, 3, torch.tensor([[3.0, 4.0]])).sum().backward()
    assert leaf.grad[:, :4].abs().sum() > 0
    assert leaf.grad[:, 4:].abs().sum() == 0
    assert not any(module._forward_hooks for module in stable.unet.modules())


def test_features_and_the_next_step_come_of_one_pass(stable):
    noisy = stable.moving(stable.mapping(seed=1))
    with torch.no_grad():
        (features,), step = stable.features_and_step(noisy, [3])
        assert torch.equal(features, stable.features(stable.paired(noisy), 3))
        assert torch.equal(step, stable.down(noisy, stable.level))


def test_a_pulled_picture_looks_at_the_keys_and_values_of_its_source_from_the_tenth_of_sixteen_layers_on(stable):
    from diffusers.models.attention_processor import AttnProcessor

    class Mutual(AttnProcessor):
        """MasaCtrl written as a processor of diffusers: the second picture's keys and values are the first's."""

        def __call__(self, attn, hidden_states, encoder_hidden_states=None, **more):
            source = hidden_states[:1].expand(2, -1, -1)
            return super().__call__(attn, hidden_states, encoder_hidden_states=source)

    latent = pulled(stable, stable.mapping(seed=1))
    before = dict(stable.unet.attn_processors)
    names = [name for part in ("down", "mid", "up") for name in before if name.startswith(part) and "attn1" in name]
    words = stable.text(QUICK.prompt).expand(2, -1, -1)
    noisy = torch.cat([stable.source(latent), stable.moving(latent)])
    try:
        mutual = {name: Mutual() for name in names[int(np.ceil(len(names) * 10 / 16)) :]}
        stable.unet.set_attn_processor({**before, **mutual})
        with torch.no_grad():
            for level in range(stable.level, 0, -1):
                said = stable.unet(noisy, stable.schedule.times[level - 1], encoder_hidden_states=words).sample
                noisy = stable.schedule.move(noisy, said, level, level - 1)
    finally:
        stable.unet.set_attn_processor(before)
    torch.testing.assert_close(list(stable.denoising(latent))[-1], noisy[1:], atol=1e-5, rtol=1e-5)
    alone = list(stable.denoising(stable.paired(stable.moving(latent))))[-1]
    assert (alone - noisy[1:]).abs().max() > 1e-4


def test_a_picture_whose_source_is_itself_is_the_same_as_with_sharing(pixels):
    latent = pixels.mapping(seed=1)
    nearly = latent.clone()
    nearly[0, 0, 0, 0] += 1e-6  # so that it is not known to be the same
    torch.testing.assert_close(pixels.synthesize(nearly), pixels.synthesize(latent), atol=1e-3, rtol=0)


def test_denoising_can_be_left_after_any_step(pixels):
    way = pixels.denoising(pulled(pixels, pixels.mapping(seed=1)))
    next(way)
    way.close()
    assert not any(module._forward_hooks for module in pixels.unet.modules())


def test_guidance_moves_away_from_no_prompt_by_the_formula(stable):
    guided = stable.sampled(guidance=3.0)
    noisy = stable.moving(stable.mapping(seed=1))
    with torch.no_grad():
        time = stable.schedule.times[stable.level - 1]
        ask = [stable.unet(noisy, time, encoder_hidden_states=stable.text(each)).sample for each in ("", QUICK.prompt)]
        torch.testing.assert_close(guided.said(noisy, stable.level), ask[0] + 3 * (ask[1] - ask[0]))


def test_another_prompt_is_another_model_of_the_same_weights(stable):
    other = stable.sampled(prompt="red")
    latent = stable.mapping(seed=1)
    assert (other.sampling.prompt, stable.sampling.prompt) == ("red", "photo of face")
    assert next(other.unet.parameters()).data_ptr() == next(stable.unet.parameters()).data_ptr()
    assert fingerprint(other) == fingerprint(stable)
    assert (other.synthesize(latent) - stable.synthesize(latent)).abs().max() > 1e-6


def test_a_map_of_a_word_is_the_share_of_attention_that_it_gets(stable):
    from diffusers.models.attention_processor import AttnProcessor

    found = []

    class Watching(AttnProcessor):
        """What diffusers itself computes as the attention of each place."""

        def __call__(self, attn, hidden_states, encoder_hidden_states=None, **more):
            query = attn.head_to_batch_dim(attn.to_q(hidden_states))
            key = attn.head_to_batch_dim(attn.to_k(encoder_hidden_states))
            found.append(attn.get_attention_scores(query, key).mean(dim=0))
            return super().__call__(attn, hidden_states, encoder_hidden_states=encoder_hidden_states)

    latent, before = stable.mapping(seed=1), dict(stable.unet.attn_processors)
    try:
        watching = {name: Watching() if "attn2" in name else each for name, each in before.items()}
        stable.unet.set_attn_processor(watching)
        with torch.no_grad():
            stable.said(stable.moving(latent), stable.level)
    finally:
        stable.unet.set_attn_processor(before)
    total = torch.zeros(1, 1, 32, 32)
    for each in found:
        side = int(len(each) ** 0.5)
        place = each[:, 3].view(1, 1, side, side)  # <start> photo of face
        total += torch.nn.functional.interpolate(place, (32, 32), mode="bilinear", align_corners=False)
    wanted = (total - total.min()) / (total.max() - total.min())
    torch.testing.assert_close(stable.word_maps(latent, "face"), wanted, atol=1e-4, rtol=1e-4)
    with pytest.raises(
        ValueError, match=r"^'dog' is not in the prompt, which says photo, of, face; name a word of it$"
    ):
        stable.word_maps(latent, "dog")


def test_a_word_that_the_tokenizer_takes_apart_has_all_its_parts(stable):
    assert stable.text.places("photo of xa face", "xa") == [3, 4]
    assert stable.text.places("photo of xa face", "of xa") == [2, 3, 4]


@pytest.mark.parametrize("engine", ["natural", "draggan", "freedrag", "stabledrag", "gooddrag"])
def test_engines_for_gans_say_why_they_cannot_serve_it(pixels, engine):
    from draggan_widget.engines import engine_named

    with pytest.raises(
        ValueError, match=rf"^the engine {engine} needs .*a latent of rows, which a model of the kind Diff"
    ):
        bind(pixels, engine_named(engine).Settings())


def test_latents_that_cannot_be_worked_with_are_refused(pixels):
    space = pixels.space
    with pytest.raises(ValueError, match=r"^the latent has shape \(1, 3, 16, 16\); this model drags one of \(1, 6, 16"):
        space.check(torch.zeros(1, 3, 16, 16))
    with pytest.raises(ValueError, match="NaN or infinite"):
        space.check(torch.full((1, 6, 16, 16), torch.nan))
    with pytest.raises(TypeError, match="the latent is a str"):
        space.check("noise")
    with pytest.raises(ValueError, match="no metric of its latents; choose the engine dragdiffusion"):
        space.metric()
    latent = pixels.mapping(seed=2)
    assert torch.equal(space.unpack(*space.pack(latent)), latent)
    with pytest.raises(ValueError, match="at level 35 of 50"):
        pixels.sampled(steps=50).space.unpack(*space.pack(latent))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"prompt": "old dragon"},
            r"^this model does not know the word 'dragon'; it knows old, young, smiling, beard$",
        ),
        ({"prompt": "old " * 30}, "^the prompt has 30 words, and this model reads 24; shorten it$"),
        ({"steps": 0}, "^steps is 0; it must be a whole number from 1 to 1,000$"),
        ({"strength": 0}, "^strength is 0; it must be a number above 0 and up to 1$"),
        ({"guidance": float("nan")}, "^guidance is nan; it must be a number from 0 to 30$"),
    ],
)
def test_samplings_that_cannot_be_are_refused_and_the_model_stays(pixels, changes, said):
    with pytest.raises(ValueError, match=said):
        pixels.sampled(**changes)
    assert pixels.sampling == Sampling(prompt="young smiling", steps=6)


def test_a_prompt_is_refused_by_a_model_that_reads_none_and_one_that_is_too_long_by_clip(stable):
    with pytest.raises(ValueError, match="^this model reads no prompts; leave the prompt empty$"):
        small_pixels(words=False).sampled(prompt="old")
    with pytest.raises(
        ValueError, match="^the prompt has 40 words and parts of words, and this model reads 14; shorten"
    ):
        stable.sampled(prompt="face " * 40)


def test_a_network_for_inpainting_is_refused():
    from diffusers import DDIMScheduler, UNet2DModel

    blocks = {"block_out_channels": (8,), "down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",)}
    unet = UNet2DModel(sample_size=8, in_channels=9, out_channels=4, norm_num_groups=4, **blocks)
    with pytest.raises(ValueError, match="^its UNet takes 9 channels and gives 4, as models for inpainting"):
        Diffusion(unet, DDIMScheduler())


def test_the_side_of_the_package_that_knows_gans_imports_no_diffusers():
    code = (
        "import sys, draggan_widget.widget, draggan_widget.models.diffusion, draggan_widget.engines\n"
        "from draggan_widget import load_generator\n"
        "load_generator('faces')\n"
        "print(sorted({'diffusers', 'transformers', 'peft', 'huggingface_hub'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
