"""From a photograph to a tuned copy of a model, and what stays as it was."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from PIL import Image
from random_stylegan2 import small_stylegan2
from random_stylegan3 import upright_stylegan3

from draggan_widget import cli, drag
from draggan_widget.engines import to_image
from draggan_widget.inversion import (
    Inversion,
    Photo,
    Square,
    Tuner,
    fit_pivot,
    invert,
    inverting,
    ms_ssim,
    psnr,
)
from draggan_widget.inversion import tuning as tuning_file
from draggan_widget.models import StyleGAN2, fingerprint, save_generator

QUICK = Inversion(pivot_steps=40, tuning_steps=30, enough=100.0)


def photograph(model, seed=5, **drawn):
    """A picture of a latent of the model, in the middle of a larger grey photograph, with noise that it cannot make."""
    height, width = model.resolution
    with torch.no_grad():
        seen = to_image(model.synthesize(model.space.draw(seed=seed, **drawn))).convert("RGB")
    array = np.full((height + 40, width + 60, 3), 128, np.uint8)
    noise = np.random.RandomState(0).randint(-12, 13, (height, width, 3))
    array[20:-20, 30:-30] = (np.asarray(seen).astype(int) + noise).clip(0, 255)
    return Image.fromarray(array)


def middle(model):
    height, width = model.resolution
    return Square(width / 2 + 29.5, height / 2 + 19.5, height)


def narrow():
    """A random StyleGAN2 of 64 × 32 px."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return StyleGAN2((64, 32), z_dim=16, w_dim=16, channels=dict.fromkeys((4, 8, 16, 32, 64), 8), mapping_layers=2)


def as_tensor(picture):
    return torch.from_numpy(np.atleast_3d(np.array(picture, dtype=np.float32))).permute(2, 0, 1)[None] / 127.5 - 1


MODELS = {
    "StyleGAN2": lambda: (small_stylegan2(), {}),
    "1:2": lambda: (narrow(), {}),
    "grey": lambda: (small_stylegan2(img_channels=1), {}),
    "classes": lambda: (small_stylegan2(c_dim=3), {"label": 1}),
    "StyleGAN3": lambda: (upright_stylegan3(64), {}),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_photograph_comes_nearer_by_the_pivot_and_nearer_still_by_tuning(name):
    model, drawn = MODELS[name]()
    before = fingerprint(model)
    photo = invert(model, photograph(model, **drawn), square=middle(model), settings=QUICK, **drawn)
    mean = model.synthesize(model.space.draw(seed=0, truncation=0.0, **drawn))
    wanted = as_tensor(photo.crop)
    assert photo.report.psnr["pivot"] > psnr(mean, wanted) + 1
    assert photo.report.psnr["tuned"] > photo.report.psnr["pivot"] + 0.5
    assert fingerprint(model) == before
    assert not any(weight.requires_grad for weight in model.parameters())
    assert photo.tuned.base == before
    assert photo.crop.size == model.resolution[::-1]
    assert not any(weight.requires_grad for weight in photo.model.parameters())
    assert psnr(photo.model.synthesize(photo.latent), wanted) == pytest.approx(photo.report.psnr["tuned"])


@pytest.fixture(scope="module")
def photo(generator):
    return invert(generator, photograph(generator), square=middle(generator), settings=QUICK)


def test_the_same_photograph_gives_the_same_numbers(generator, photo):
    again = invert(generator, photograph(generator), square=middle(generator), settings=QUICK)
    assert torch.equal(again.latent, photo.latent)
    assert fingerprint(again.model) == fingerprint(photo.model)


def test_it_can_be_dragged_and_goes_back_into_the_photograph(photo):
    assert photo.paste(photo.fitted).tobytes() == photo.picture.tobytes()
    result = drag(photo.model, photo.latent, [(30, 30)], [(34, 30)])
    edited = photo.paste(result.image)
    assert edited.size == photo.picture.size
    assert edited.tobytes() == photo.paste(result.ws).tobytes()
    away = np.abs(np.asarray(edited).astype(int) - np.asarray(photo.picture))
    assert away[20:-20, 30:-30].max() > 8
    assert not away[:19].any()
    assert not away[:, :29].any()
    mask = np.zeros(photo.model.resolution)
    assert photo.paste(result.image, mask=mask).tobytes() == photo.picture.tobytes()


def test_it_is_saved_and_loaded_to_the_bit_and_another_model_is_refused(photo, generator, tmp_path):
    photo.save(tmp_path / "me")
    again = Photo.load(tmp_path / "me", generator)
    assert torch.equal(again.latent, photo.latent)
    assert again.square == photo.square
    assert again.fitted.tobytes() == photo.fitted.tobytes()
    assert again.picture.tobytes() == photo.picture.tobytes()
    assert again.crop.tobytes() == photo.crop.tobytes()
    assert again.report == photo.report
    with pytest.raises(ValueError, match="made of another model"):
        Photo.load(tmp_path / "me", small_stylegan2(seed=1))
    (tmp_path / "me" / "photo.json").write_text("{}")
    with pytest.raises(ValueError, match="holds no photograph that can be read"):
        Photo.load(tmp_path / "me", generator)
    with pytest.raises(FileNotFoundError):
        Photo.load(tmp_path / "none", generator)


def test_alpha_comes_back_with_the_photograph(generator):
    seen = photograph(generator).convert("RGBA")
    seen.putalpha(Image.linear_gradient("L").resize(seen.size))
    quick = dataclasses.replace(QUICK, pivot_steps=2, tuning_steps=0)
    photo = invert(generator, seen, square=middle(generator), settings=quick)
    made = photo.paste(photo.fitted)
    assert made.mode == "RGBA"
    assert made.tobytes() == seen.tobytes()
    assert photo.tuned.changes == {}
    assert "tuned" not in photo.report.psnr
    assert photo.report.steps == 0


def test_progress_grows_and_what_it_raises_ends_the_work(generator):
    shares = []
    invert(
        generator,
        photograph(generator),
        square=middle(generator),
        settings=QUICK,
        progress=lambda s: shares.append(s.share),
    )
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) > 60

    def end(stage):
        if stage.what == "tuning":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        invert(generator, photograph(generator), square=middle(generator), settings=QUICK, progress=end)
    assert not any(weight.requires_grad for weight in generator.parameters())


def test_one_may_stop_at_any_step_of_the_tuning_and_go_on_from_there(generator, photo):
    wanted = as_tensor(photo.crop)
    tuner = Tuner(generator, photo.latent, wanted, settings=QUICK)
    first = None
    for tuning in tuner.steps():
        first = tuning.psnr if first is None else first
        if tuning.step == 9:
            break
    made = tuner.copy().apply(generator)
    assert psnr(made.synthesize(photo.latent), wanted) > first


def test_tuning_ends_where_it_is_near_enough(generator):
    settings = dataclasses.replace(QUICK, enough=1.0)
    like = Image.new("RGB", (64, 64), (128, 128, 128))
    wanted = as_tensor(like)
    with torch.no_grad():
        latent = generator.space.draw(seed=1)
        tuner = Tuner(generator, latent, generator.synthesize(latent).clamp(-1, 1), settings=settings)
    assert [tuning.step for tuning in tuner.steps()] == [0]
    assert tuner.copy().changes == {}
    assert [
        t.step for t in Tuner(generator, latent, wanted, settings=dataclasses.replace(settings, enough=90)).steps()
    ][-1] == 29


def test_fine_maps_alone_are_tuned_and_what_latents_mean_to_a_layer_stays():
    def tuned(model, **settings):
        quick = dataclasses.replace(QUICK, tuning_steps=3, **settings)
        tuner = Tuner(model, model.space.draw(seed=1), torch.zeros(1, 3, 64, 64), settings=quick)
        for _ in tuner.steps():
            pass
        names = [name.removeprefix("network.synthesis.") for name in tuner.copy().changes]
        return {name.split(".")[0] for name in names}, any(".affine." in name for name in names)

    model = small_stylegan2()
    fine = {"b8", "b16", "b32", "b64"}
    assert tuned(model) == tuned(model, tuned_from=1024) == (fine, False)  # an eighth of its pictures, which are small
    assert tuned(model, tuned_from=4) == (fine | {"b4"}, False)
    layers, styles = tuned(upright_stylegan3(64))
    assert styles  # of these nothing is known to be better left alone than what says where things are
    assert {name[0] for name in layers} == {"L"}  # and not its input
    assert len(layers) == len(upright_stylegan3(64).blocks) + 1  # which makes the picture


def test_neighbours_are_nearer_to_what_the_models_own_motion_makes_of_the_photograph(generator):
    latent = generator.space.draw(seed=1)
    wanted = as_tensor(photograph(generator, seed=2).crop((30, 20, 94, 84)))
    away = []
    for neighbours in (0.0, 1.0):
        settings = dataclasses.replace(QUICK, locality=0.0, neighbours=neighbours)
        tuner = Tuner(generator, latent, wanted, settings=settings)
        for _ in tuner.steps():
            pass
        with torch.no_grad():
            away.append(sum(float(tuner._moved_otherwise(seed)) for seed in range(900, 908)))
    assert away[1] < 0.95 * away[0]
    steps = [tuner._step_aside(seed) for seed in range(20)]
    assert {tuple(step.shape) for step in steps} == {tuple(latent.shape)}
    spread = torch.linalg.inv(torch.linalg.cholesky(generator.space.metric().covariance)).T
    first, last = (torch.stack([each[0, row].double() @ spread for each in steps]).std() for row in (0, -1))
    assert 0.15 < first < 0.5
    assert last < first or generator.num_ws <= 8


def test_held_pictures_change_less_than_without(generator):
    latent, other = generator.space.draw(seed=1), generator.space.draw(seed=9)
    wanted = torch.zeros(1, 3, 64, 64)
    away = []
    for locality in (0.0, 3.0):
        tuner = Tuner(generator, latent, wanted, settings=dataclasses.replace(QUICK, locality=locality))
        for _ in tuner.steps():
            pass
        with torch.no_grad():
            around = latent + 0.5 * (other - latent)
            away.append(float((tuner.model.synthesize(around) - generator.synthesize(around)).abs().mean()))
    assert away[1] < 0.8 * away[0]


def test_the_fit_keeps_the_best_and_stays_among_the_models_latents(generator):
    wanted = generator.synthesize(generator.space.draw(seed=3)).detach()
    *_, latent = fit_pivot(generator, wanted, settings=dataclasses.replace(QUICK, pivot_steps=150))
    assert psnr(generator.synthesize(latent).detach(), wanted) > 25
    metric = generator.space.metric()
    away = (latent[0].double() - metric.mean) @ torch.linalg.inv(torch.linalg.cholesky(metric.covariance)).T
    assert float(away.square().mean().sqrt()) < 3


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m: invert(m, "https://a.b/c.jpg"), "nothing is fetched"),
        (lambda m: invert(m, photograph(m), square=(1, 2)), "give its x, y, size and perhaps angle"),
        (lambda m: invert(m, photograph(m), square=(-900, 0, 64)), "beside the photograph"),
        (
            lambda m: invert(small_stylegan2(c_dim=3), photograph(m)),
            "this model has 3 classes; give label=0 to 2",
        ),
        (lambda m: next(fit_pivot(m, torch.zeros(1, 3, 32, 32))), "this model makes .*so crop it to that"),
        (lambda m: next(fit_pivot(m, torch.full((1, 3, 64, 64), math.nan))), "holds NaN"),
        (lambda m: Inversion(pivot_steps=-1), "pivot_steps"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work(generator, call, said):
    with pytest.raises(ValueError, match=said):
        call(generator)


def test_it_works_whatever_torch_is_set_to(generator):
    quick = dataclasses.replace(QUICK, pivot_steps=3, tuning_steps=2)
    with torch.inference_mode():
        photo = invert(generator, photograph(generator), square=middle(generator), settings=quick)
    assert photo.report.psnr["tuned"] > 0
    stages = [
        stage.what for stage in inverting(generator, photograph(generator), square=middle(generator), settings=quick)
    ]
    assert stages[0] == "aligned"
    assert stages[-1] == "done"
    assert {"pivot", "tuning"} <= set(stages)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate")],
)
def test_where_memory_runs_out_while_it_is_tuned_a_sentence_says_so_and_the_model_stays(generator, monkeypatch, error):
    before = fingerprint(generator)

    def steps(self):
        yield tuning_file.Tuning(0, torch.zeros(1, 3, 64, 64), 5.0)
        raise error

    monkeypatch.setattr(Tuner, "steps", steps)
    with pytest.raises(MemoryError, match="not enough memory to tune a copy of this model; close other notebooks"):
        invert(generator, photograph(generator), square=middle(generator), settings=QUICK)
    assert fingerprint(generator) == before


def test_another_error_of_torch_is_told_as_it_is(generator, monkeypatch):
    def steps(self):
        yield tuning_file.Tuning(0, torch.zeros(1, 3, 64, 64), 5.0)
        raise RuntimeError("a product of other shapes")

    monkeypatch.setattr(Tuner, "steps", steps)
    with pytest.raises(RuntimeError, match="a product of other shapes"):
        invert(generator, photograph(generator), square=middle(generator), settings=QUICK)


def test_what_is_shown_while_it_is_tuned_is_of_the_models_size_though_it_begins_coarse():
    model = small_stylegan2(128)
    quick = dataclasses.replace(QUICK, pivot_steps=2, tuning_steps=10)
    sizes = [
        stage.picture.size
        for stage in inverting(model, photograph(model), square=middle(model), settings=quick)
        if stage.picture is not None
    ]
    assert set(sizes) == {(128, 128)}
    latent = model.space.draw(seed=1)
    tuner = Tuner(model, latent, torch.zeros(1, 3, 128, 128), settings=quick)
    assert [step.picture.shape[2] for step in tuner.steps()] == [64] * 4 + [128] * 6


def test_the_measures_are_right():
    one = torch.zeros(1, 3, 256, 256)
    assert psnr(one, one + 0.2) == pytest.approx(20.0, abs=1e-4)
    assert ms_ssim(one, one) == pytest.approx(1.0)
    noisy = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert ms_ssim(noisy, torch.rand(1, 3, 256, 256) * 2 - 1) < 0.3
    assert ms_ssim(noisy, noisy.clone()) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="too small"):
        ms_ssim(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(generator, tmp_path_factory):
    """A model and a photograph as files, and the options of a quick inversion of it."""
    folder = tmp_path_factory.mktemp("invert")
    save_generator(folder / "model.safetensors", generator)
    photograph(generator).save(folder / "me.png")
    quick = ["--pivot-steps", "6", "--tuning-steps", "4", "--square", "61.5,51.5,64"]
    return folder, ["invert", str(folder / "me.png"), "--model", str(folder / "model.safetensors"), *quick]


def test_the_command_writes_a_folder_that_python_goes_on_with(files, generator, capsys):
    folder, command = files
    out = folder / "a" / "me"
    assert cli.main([*command, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "square 61.5,51.5,64.0,0.00" in said
    assert "pivot: " in said
    assert "tuned: " in said
    photo = Photo.load(out, generator)
    assert photo.fitted.tobytes() == Image.open(out / "fitted.png").tobytes()
    assert photo.crop.tobytes() == Image.open(out / "crop.png").tobytes()
    assert cli.main([*command, "--out", str(out)]) == 1
    assert "holds a photograph already; give --force" in capsys.readouterr().err
    assert cli.main([*command, "--out", str(out), "--force"]) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--square", "1,2,x"], "is not X,Y,SIZE or X,Y,SIZE,ANGLE; give numbers"),
        (["--square", "1,2"], "give its x, y, size"),
        (["--square", "9000,0,64"], "beside the photograph"),
        (["--label", "2"], "has no classes"),
        (["--model", "nothing.pkl"], "nothing.pkl"),
        (["--pivot-steps", "-1"], "pivot_steps"),
    ],
)
def test_the_command_says_what_is_wrong_and_writes_nothing(files, capsys, change, said):
    folder, command = files
    out = folder / "none"
    assert cli.main([*command, "--out", str(out), *change]) == 1
    assert said in capsys.readouterr().err
    assert not (out / "photo.json").exists()
