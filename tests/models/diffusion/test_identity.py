"""An identity is learnt step by step beside a model that stays as it is."""

from __future__ import annotations

import gc
import importlib.util
import weakref

import pytest
import torch
from random_diffusion import small_pixels, small_stable_diffusion

from draggan_widget.models import fingerprint
from draggan_widget.models.diffusion import Identity, bare, identity_of, inverted, learning, with_identity
from draggan_widget.models.diffusion.identity import with_adapter

peft = pytest.importorskip("peft")
QUICK = Identity(steps=30, rank=4, rate=0.02, batch=2)


def learnt(model, picture, settings=QUICK):
    work, lessons = learning(model, picture, settings), []
    while True:
        try:
            lessons.append(next(work))
        except StopIteration as end:
            return end.value, lessons


def picture(model):
    rows = torch.linspace(-1, 1, model.resolution[0])
    return rows[None, None, :, None].expand(1, model.channels, *model.resolution).contiguous()


@pytest.fixture(params=["stable", "pixels", "without words"])
def model(request, tmp_path):
    if request.param == "stable":
        return small_stable_diffusion(tmp_path)
    return small_pixels(words=request.param == "pixels")


def test_the_model_knows_the_picture_better_and_the_one_it_was_made_of_stays(model):
    before, latent = fingerprint(model), model.mapping(seed=1)
    drawn = model.synthesize(latent)
    knowing, lessons = learnt(model, picture(model))
    assert [lesson.step for lesson in lessons] == list(range(1, 31))
    assert sum(lesson.loss for lesson in lessons[-10:]) < sum(lesson.loss for lesson in lessons[:10])
    assert fingerprint(model) == before
    assert torch.equal(model.synthesize(latent), drawn)
    assert (knowing.synthesize(latent) - drawn).abs().max() > 1e-3
    assert not any(weight.requires_grad for weight in knowing.parameters())
    assert knowing.unet.conv_in.weight.data_ptr() == model.unet.conv_in.weight.data_ptr()


def test_whoever_draws_random_numbers_meanwhile_gets_their_own_and_the_matrices_are_the_same(monkeypatch):
    model, inject, drawn = small_pixels(), peft.inject_adapter_in_model, []
    alone = identity_of(with_adapter(model, 4))

    def with_others(*arguments):
        drawn.append(torch.rand(1))  # as another thread does
        made = inject(*arguments)
        drawn.append(torch.rand(1))
        return made

    monkeypatch.setattr(peft, "inject_adapter_in_model", with_others)
    torch.manual_seed(7)
    made = identity_of(with_adapter(model, 4))
    drawn.append(torch.rand(1))
    torch.manual_seed(7)
    assert torch.equal(torch.cat(drawn), torch.cat([torch.rand(1) for _ in range(3)]))
    assert made.keys() == alone.keys()
    assert all(torch.equal(made[name], alone[name]) for name in alone)


def test_it_is_kept_as_small_matrices_from_which_it_comes_back_to_the_bit(model):
    knowing, _ = learnt(model, picture(model), QUICK.replace(steps=3))
    matrices, latent = identity_of(knowing), inverted(knowing, picture(model))
    again = with_identity(model, matrices)
    assert torch.equal(again.synthesize(latent), knowing.synthesize(latent))
    assert identity_of(model) == {}
    assert fingerprint(bare(knowing)) == fingerprint(model)
    assert with_identity(model, {}) is model
    renewed = with_identity(knowing, matrices)  # in the place of what it has, not beside it
    assert torch.equal(renewed.synthesize(latent), knowing.synthesize(latent))


def test_the_loss_is_the_mean_square_of_what_is_said_wrongly(model):
    settings = QUICK.replace(steps=1, batch=1)
    _, (lesson,) = learnt(model, picture(model), settings)
    draw = torch.Generator().manual_seed(0)
    level = int(torch.randint(1, 1001, (1,), generator=draw))
    clean = model.encode(picture(model))
    noise = torch.randn(clean.shape, generator=draw)
    alpha = float(model.scheduler.alphas_cumprod[level - 1])
    a, s = alpha**0.5, (1 - alpha) ** 0.5
    wanted = noise if model.schedule.prediction == "epsilon" else a * noise - s * clean
    with torch.no_grad():
        said = model.asked(a * clean + s * noise, level - 1, model.prompt_vectors)
    assert lesson.loss == pytest.approx(float((said - wanted).square().mean()), rel=1e-4)


def test_it_can_be_left_after_any_step_and_gives_its_memory_back(model):
    work = learning(model, picture(model), QUICK)
    next(work)
    learner = weakref.ref(work.gi_frame.f_locals["learner"])
    work.close()
    del work
    gc.collect()
    assert learner() is None


def test_matrices_of_another_model_are_refused(model):
    knowing, _ = learnt(model, picture(model), QUICK.replace(steps=1))
    matrices = identity_of(knowing)
    name = next(iter(matrices))
    with pytest.raises(ValueError, match="it is of another model$"):
        with_identity(model, {key: each for key, each in matrices.items() if key != name})
    with pytest.raises(ValueError, match="it is of another model$"):
        with_identity(model, {**matrices, "lora_A.elsewhere": matrices[name]})
    with pytest.raises(ValueError, match="it is of another model$"):
        with_identity(model, {**matrices, name: torch.full_like(matrices[name], torch.nan)})
    with pytest.raises(ValueError, match="^these matrices are no identity of a model; learn it again$"):
        with_identity(model, {"weight": torch.zeros(2)})


def test_without_peft_it_is_said_what_to_install_and_no_steps_need_none(model, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "peft" else find(name, *more))
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'draggan_widget\[diffusion\]', or ask for no identity"):
        next(learning(model, picture(model), QUICK))
    assert learnt(model, picture(model), QUICK.replace(steps=0)) == (model, [])
