"""A small network guesses the latent of a picture: for the weights it was trained on, and no others."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from random_stylegan2 import small_stylegan2

from draggan_widget import load_generator
from draggan_widget.inversion import Encoder, encoder, encoder_for, first_guess, invert, psnr
from draggan_widget.inversion.encoder import Shape, seen
from draggan_widget.inversion.settings import Inversion
from draggan_widget.models import fingerprint

SMALL = Shape(w_dim=16, coordinates=8, size=32, widths=(8, 16), hidden=24)


def made(model, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = Encoder(SMALL, fingerprint(model))
    encoder.mean.fill_(0.5)
    encoder.axes.normal_(generator=torch.Generator().manual_seed(1))
    return encoder.eval()


def test_what_is_saved_guesses_the_same_but_for_halves(generator, tmp_path):
    first = made(generator)
    first.save(tmp_path / "a.safetensors")
    again = Encoder.load(tmp_path / "a.safetensors")
    assert (again.shape, again.base) == (SMALL, fingerprint(generator))
    pictures = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    assert torch.allclose(again.guess(pictures), first.guess(pictures), atol=0.02)
    assert not any(weight.requires_grad for weight in again.parameters())
    with torch.inference_mode():
        assert again.guess(pictures).shape == (2, 16)


def test_pictures_of_any_size_and_channels_are_seen():
    for shape in ((1, 1, 64, 32), (2, 3, 256, 256), (1, 4, 48, 48)):
        assert seen(torch.zeros(shape), 32).shape == (shape[0], 3, 32, 32)


def test_the_encoder_of_the_very_weights_is_found_and_others_and_damaged_ones_are_passed_by(generator, tmp_path):
    assert encoder_for(generator, [tmp_path, tmp_path / "none"]) is None
    made(small_stylegan2(seed=1)).save(tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes(b"nothing")
    assert encoder_for(generator, [tmp_path]) is None
    made(generator).save(tmp_path / "c.safetensors")
    found = encoder_for(generator, [tmp_path])
    assert found is not None
    assert found.base == fingerprint(generator)


def test_an_encoder_of_other_weights_is_refused(generator):
    picture = torch.zeros(1, 3, 64, 64)
    assert first_guess(generator, None, picture, made(generator)).shape == generator.space.shape
    with pytest.raises(ValueError, match="trained for other weights; give the model it is for"):
        first_guess(generator, None, picture, made(small_stylegan2(seed=1)))


def test_files_that_are_no_encoders_are_refused_with_a_sentence(tmp_path, generator):
    with pytest.raises(FileNotFoundError):
        Encoder.load(tmp_path / "none.safetensors")
    first = made(generator)
    first.told[0].weight.data[0, 0] = float("nan")
    first.save(tmp_path / "nan.safetensors")
    (tmp_path / "text.safetensors").write_bytes(b"a text that calls itself an encoder")
    for name in ("nan", "text"):
        with pytest.raises(ValueError, match="is no encoder that can be used .*; train it again"):
            Encoder.load(tmp_path / f"{name}.safetensors")


def test_without_an_encoder_the_fit_begins_at_the_mean_and_says_so(generator):
    photo = invert(
        generator,
        np.full((64, 64, 3), 128, np.uint8),
        square=(31.5, 31.5, 64),
        settings=Inversion(pivot_steps=2, tuning_steps=0),
    )
    assert any("begins" in note or "began at the mean" in note for note in photo.report.notes)
    mean = generator.synthesize(first_guess(generator)).detach()
    assert photo.report.psnr["guess"] == pytest.approx(psnr(mean, torch.full_like(mean, 128 / 127.5 - 1)))


def test_the_encoder_in_the_package_is_for_the_faces_in_it_and_guesses_far_better_than_the_mean():
    faces = load_generator("faces")
    found = encoder_for(faces)
    assert found is not None
    assert found.base == fingerprint(faces)
    better = []
    for seed in range(970_000, 970_006):
        with torch.no_grad():
            wanted = faces.synthesize(faces.space.draw(seed=seed))
            guess = faces.synthesize(first_guess(faces, None, wanted, found))
            mean = faces.synthesize(first_guess(faces))
        better.append(psnr(guess, wanted) - psnr(mean, wanted))
    assert np.mean(better) > 5
    assert min(better) > 0


def test_the_recipe_learns_goes_on_where_it_was_and_refuses_samples_of_other_weights(
    generator, tmp_path, monkeypatch, capsys
):
    import encode

    from draggan_widget.models import save_generator

    monkeypatch.setattr(encode, "PART", 60)
    monkeypatch.setattr(encode, "LOOK_EVERY", 5)
    for seed in (0, 1):
        save_generator(tmp_path / f"{seed}.safetensors", small_stylegan2(seed=seed))
    command = ["encode.py", str(tmp_path / "0.safetensors"), "--out", str(tmp_path / "out"), "--samples", "240"]
    monkeypatch.setattr(sys, "argv", [*command, "--minutes", "0.08"])
    assert encode.main() == 0
    first = capsys.readouterr().out
    assert "held-out samples" in first
    made = Encoder.load(tmp_path / "out" / "encoder.safetensors")
    assert made.base == fingerprint(generator)
    assert encoder_for(generator, [tmp_path / "out"]) is not None
    begun = torch.load(tmp_path / "out" / "encoder.pt", weights_only=True)["step"]
    monkeypatch.setattr(sys, "argv", [*command, "--minutes", "0.16"])
    assert encode.main() == 0
    assert torch.load(tmp_path / "out" / "encoder.pt", weights_only=True)["step"] > begun
    monkeypatch.setattr(sys, "argv", ["encode.py", str(tmp_path / "1.safetensors"), "--out", str(tmp_path / "out")])
    assert encode.main() == 1
    assert "samples of another edition of the weights" in capsys.readouterr().err


def test_what_augments_pictures_changes_every_one_and_keeps_their_range(generator):
    from augment import augmented

    pictures = torch.rand(32, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    changed = augmented(pictures.clone(), torch.Generator().manual_seed(1))
    assert changed.shape == pictures.shape
    assert changed.abs().max() <= 1
    assert (changed - pictures).abs().mean(dim=(1, 2, 3)).min() > 0.01
    again = augmented(pictures.clone(), torch.Generator().manual_seed(1))
    assert torch.equal(again, changed)


def test_names_of_the_package_s_folder_are_what_is_looked_through():
    assert encoder.FOLDER.is_dir()
    assert (encoder.FOLDER / "faces.safetensors").stat().st_size < 8_000_000
