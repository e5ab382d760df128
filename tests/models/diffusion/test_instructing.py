"""An object is moved and other words are said of it in one edit: regions, energies and steps by plain references."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_diffusion import small_pixels, small_stable_diffusion

from draggan_widget.models.diffusion import Instructing, ended, instructing
from draggan_widget.models.diffusion.instructions import REFINE, Regions, energy, led, moved_noise, shifted

pytest.importorskip("diffusers")
OBJECT = (slice(2, 6), slice(3, 7))
"""Rows and columns of the object, of 16."""


@pytest.fixture(scope="module")
def model(pixels):
    return pixels


@pytest.fixture(scope="module")
def latent(model):
    return model.mapping(seed=1)


@pytest.fixture
def mask():
    found = torch.zeros(16, 16)
    found[OBJECT] = 1
    return found


def test_each_cell_is_edited_uncovered_or_kept(model, mask):
    regions = Regions.of(model, mask, (3.0, 2.0))
    expected = {(row, column) for row in range(4, 8) for column in range(6, 10)}
    found = lambda region: {(int(row), int(column)) for row, column in region[0, 0].nonzero()}  # noqa: E731
    assert found(regions.edited) == expected
    assert found(regions.uncovered) == found(regions.old) - expected
    assert torch.equal(regions.edited + regions.uncovered + regions.kept, torch.ones(1, 1, 16, 16))
    assert regions.by == (3, 2)
    still = Regions.of(model, mask, (0.2, -0.3))
    assert torch.equal(still.edited, still.old)
    assert not still.uncovered.any()


def test_maps_are_shifted_without_coming_in_at_the_other_side():
    maps = torch.arange(12.0).view(1, 1, 3, 4)
    assert shifted(maps, (1, -1))[0, 0].tolist() == [[0, 4, 5, 6], [0, 8, 9, 10], [0, 0, 0, 0]]
    assert shifted(maps, (0, 0)).equal(maps)
    assert not shifted(maps, (4, 0)).any()
    assert not shifted(maps, (0, -3)).any()


def test_objects_that_are_nowhere_or_leave_the_picture_are_refused(model, mask):
    with pytest.raises(ValueError, match="nothing of the picture is of that object"):
        Regions.of(model, torch.zeros(16, 16), (1.0, 0.0))
    with pytest.raises(ValueError, match="the object is out of the picture; move it less"):
        Regions.of(model, mask, (14.0, 0.0))
    with pytest.raises(ValueError, match=r"the mask has shape \(4, 4\); this model's pictures have \(16, 16\)"):
        Regions.of(model, torch.ones(4, 4), (1.0, 0.0))


def cosine(one, other):
    return float(one @ other / (one.norm() * other.norm()))


def test_the_energy_is_that_of_the_formula_place_by_place(model, mask):
    torch.manual_seed(0)
    now, was = torch.randn(1, 5, 16, 16), torch.randn(1, 5, 16, 16)
    regions, settings = Regions.of(model, mask, (3.0, 2.0)), Instructing(edited=2.0, uncovered=0.5, kept=0.25)
    sums = {"edited": [], "uncovered": [], "kept": []}
    for row in range(16):
        for column in range(16):
            here = cosine(now[0, :, row, column], was[0, :, row, column])
            if regions.edited[0, 0, row, column]:
                sums["edited"].append(1 - cosine(now[0, :, row, column], was[0, :, row - 2, column - 3]))
            elif regions.uncovered[0, 0, row, column]:
                sums["uncovered"].append(max(0.0, here))
            else:
                sums["kept"].append(1 - here)
    means = {name: np.mean(each) for name, each in sums.items()}
    expected = 2 * means["edited"] + 0.5 * means["uncovered"] + 0.25 * means["kept"]
    assert float(energy(now, was, regions, settings)) == pytest.approx(expected, rel=1e-5)


def told(model, noisy):
    """What the network says of noisy pictures at the level of a latent."""
    with torch.no_grad():
        return model.said(noisy, model.level)


def test_the_noise_of_the_object_is_moved_and_the_rest_keeps_its_own(model, latent, mask):
    noisy, regions = model.moving(latent), Regions.of(model, mask, (3.0, 2.0))
    made = moved_noise(model, noisy, told(model, noisy), regions)
    assert torch.equal(made[:, :, 4:8, 6:10], noisy[:, :, 2:6, 3:7])
    kept = regions.kept[0, 0].bool()
    assert torch.equal(made[..., kept], noisy[..., kept])
    with torch.no_grad():
        picture, noise = model.schedule.split(noisy, model.said(noisy, model.level), model.level)
    a, s = model.schedule.parts(model.level)
    uncovered = regions.uncovered[0, 0].bool()
    wanted = a * picture[..., kept].mean(dim=2)[..., None] + s * noise[..., uncovered]
    torch.testing.assert_close(made[..., uncovered], wanted)


def test_a_led_step_is_that_of_the_formula_with_numbers_of_double_length(mask):
    model = small_pixels().double()
    latent = model.mapping(seed=2)
    noisy, regions = model.moving(latent), Regions.of(model, mask.double(), (3.0, 2.0))
    level, settings, block = model.level, Instructing(weight=0.4), model.default_block()
    (before,), _ = model.features_and_said(noisy, (block,), level)
    start = moved_noise(model, noisy, told(model, noisy), regions)
    found = led(model, start, before, regions, level, settings)
    step = 1e-6

    def energy_at(noisy):
        with torch.no_grad():
            return float(energy(model.feature_maps(noisy, (block,))[0], before, regions, settings))

    asked = start.clone().requires_grad_()
    value = energy(model.feature_maps(asked, (block,))[0], before, regions, settings)
    (gradient,) = torch.autograd.grad(value, asked)
    way = torch.randn(start.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    slope = (energy_at(start + step * way) - energy_at(start - step * way)) / (2 * step)
    assert slope == pytest.approx(float((gradient * way).sum()), rel=1e-3, abs=1e-7)
    with torch.no_grad():
        said = model.said(start, level)
    alpha, below = model.schedule.alphas[level], model.schedule.alphas[level - 1]
    noise = (1 - alpha) ** 0.5 * start + alpha**0.5 * said  # of v
    noise = noise + 0.4 * (1 - alpha) ** 0.5 * gradient * noise.norm() / gradient.norm()
    picture = (start - (1 - alpha) ** 0.5 * noise) / alpha**0.5
    torch.testing.assert_close(found, below**0.5 * picture + (1 - below) ** 0.5 * noise, atol=1e-9, rtol=1e-7)


def test_leading_lowers_the_energy(model, latent, mask):
    noisy, regions = model.moving(latent), Regions.of(model, mask, (3.0, 2.0))
    block, level = model.default_block(), model.level
    with torch.no_grad():
        (before,), _ = model.features_and_said(noisy, (block,), level)
    start = moved_noise(model, noisy, told(model, noisy), regions)

    def left(weight):
        settings = Instructing(weight=weight)
        with torch.no_grad():
            (was,), _ = model.features_and_said(model.down(noisy, level), (block,), level - 1)
        after = led(model, start, before, regions, level, settings)
        with torch.no_grad():
            (now,), _ = model.features_and_said(after, (block,), level - 1)
        return float(energy(now, was, regions, settings))

    assert left(0.3) < left(0.0)


@pytest.mark.parametrize("kind", ["pixels", "stable diffusion"])
def test_an_object_is_moved_and_other_words_are_said_while_the_rest_stays(tmp_path, kind, mask):
    if kind == "pixels":
        model, prompt = small_pixels(), "old beard"
    else:
        model, prompt = small_stable_diffusion(tmp_path), "photo of smile"
    size = model.resolution[0]
    painted = torch.nn.functional.interpolate(mask[None, None], (size, size))[0, 0]
    latent = model.mapping(seed=1)
    by = (3 * size / 16, 2 * size / 16)
    told = []
    changed, made = ended(instructing(model, latent, painted, by, prompt=prompt), told.append)
    assert changed.sampling.prompt == prompt != model.sampling.prompt
    assert [each.level for each in told] == [*range(1, 2 * model.level + 1)]
    regions = Regions.of(model, painted, by)
    clean = [list(each.denoising(which))[-1] for each, which in ((model, latent), (changed, made))]
    kept = regions.kept[0, 0].bool()
    away = (clean[1] - clean[0]).abs().mean(dim=1)[0]
    assert float(away[kept].mean()) < 0.05 * float(clean[0].std())
    assert float(away[~kept].mean()) > 5 * float(away[kept].mean())
    assert torch.equal(changed.moving(made), changed.source(made))


def test_the_network_is_asked_no_more_often_than_there_are_noisy_pictures_to_ask_of(model, latent, mask):
    asked = []
    hook = model.unet.register_forward_hook(lambda *call: asked.append(call[0]))
    ended(instructing(model, latent, mask, (3.0, 2.0), prompt="old beard"))
    hook.remove()
    # Down: of the unpulled and of the pulled picture at each level. Up again: once, and as often as is refined.
    assert len(asked) == (2 + 1 + REFINE) * model.level


def test_a_word_of_the_prompt_is_the_object_and_an_unknown_one_is_refused(model, latent):
    settings = Instructing(least=0.4)
    changed, made = ended(instructing(model, latent, "smiling", (1.0, 0.0), settings=settings))
    assert made.shape == latent.shape
    assert changed is model
    with pytest.raises(ValueError, match="'beard' is not in the prompt, which says young, smiling; name a word of it"):
        ended(instructing(model, latent, "beard", (1.0, 0.0)))
    with pytest.raises(ValueError, match="give two numbers, pixels to the right and down"):
        ended(instructing(model, latent, "smiling", (1.0,)))
