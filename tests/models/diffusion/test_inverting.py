"""A picture becomes a latent by DDIM inversion, and is itself again on the way down."""

from __future__ import annotations

import pytest
import torch
from random_diffusion import small_pixels, small_stable_diffusion

from draggan_widget.models.diffusion import inverted, inverting

pytest.importorskip("diffusers")


@pytest.fixture(scope="module")
def stable(tmp_path_factory):
    return small_stable_diffusion(tmp_path_factory.mktemp("words")).sampled(steps=50)


def picture(model, seed=0):
    torch.manual_seed(seed)
    return torch.rand(1, model.channels, *model.resolution) * 2 - 1


def in_doubles(model, wanted):
    """DDIM inversion as it is written, in float64, with nothing of ours but the network."""
    scheduler, level = model.scheduler, model.level
    unet, words = model.unet.double(), model.text.double()(model.sampling.prompt)
    vae = model.vae.double()
    with torch.no_grad():
        noisy = vae.encode(wanted.double()).latent_dist.mode() * vae.config.scaling_factor
        scheduler.set_timesteps(model.sampling.steps)
        times = [int(time) for time in scheduler.timesteps][::-1][:level]
        alphas = [float(scheduler.final_alpha_cumprod), *(float(scheduler.alphas_cumprod[time]) for time in times)]
        for time, here, above in zip(times, alphas[:-1], alphas[1:], strict=True):
            noise = unet(noisy, time, encoder_hidden_states=words).sample
            clean = (noisy - (1 - here) ** 0.5 * noise) / here**0.5
            noisy = above**0.5 * clean + (1 - above) ** 0.5 * noise
    return noisy


def test_inversion_agrees_with_a_float64_reference_to_a_ten_thousandth(tmp_path):
    model = small_stable_diffusion(tmp_path).sampled(steps=50)
    wanted = picture(model)
    latent = inverted(model, wanted)
    assert torch.equal(model.moving(latent), model.source(latent))
    reference = in_doubles(model, wanted)
    assert (model.moving(latent).double() - reference).abs().max() < 1e-4


def test_inversion_is_that_of_diffusers_own_inverse_scheduler(stable):
    from diffusers import DDIMInverseScheduler

    scheduler = DDIMInverseScheduler.from_config(stable.scheduler.config)
    scheduler.set_timesteps(50)
    words = stable.text(stable.sampling.prompt)
    wanted = picture(stable)
    with torch.no_grad():
        noisy = stable.encode(wanted)
        for time in scheduler.timesteps[: stable.level]:
            said = stable.unet(noisy, time, encoder_hidden_states=words).sample
            noisy = scheduler.step(said, time, noisy).prev_sample
    torch.testing.assert_close(stable.moving(inverted(stable, wanted)), noisy, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["stable", "pixels"])
def test_down_again_it_is_the_same_picture_the_nearer_the_more_it_was_refined(stable, kind):
    model = (stable if kind == "stable" else small_pixels()).sampled(steps=20)
    wanted = picture(model)
    clean = model.encode(wanted)
    away = []
    for refine in (0, 3, 12):
        back = list(model.denoising(inverted(model, wanted, refine=refine)))[-1]
        away.append(float((back - clean).abs().max()))
    assert away[0] > away[1] > away[2]
    assert away[2] < 0.1 * away[0]


def test_it_goes_level_by_level_and_can_be_left_at_any(stable):
    work = inverting(stable, picture(stable))
    assert [next(work) for _ in range(3)] == [(1, 35), (2, 35), (3, 35)]
    work.close()


def test_guidance_is_put_aside_on_the_way_up(stable):
    wanted = picture(stable)
    assert torch.equal(inverted(stable.sampled(guidance=4.0), wanted), inverted(stable, wanted))


def test_pictures_that_cannot_be_inverted_are_refused(stable):
    with pytest.raises(
        ValueError, match=r"^the picture has shape \(1, 3, 8, 8\); this model inverts \(1, 3, 32, 32\)$"
    ):
        inverted(stable, torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match="NaN or infinite"):
        inverted(stable, torch.full((1, 3, 32, 32), torch.nan))
    with pytest.raises(ValueError, match="refine is -1"):
        inverted(stable, picture(stable), refine=-1)
