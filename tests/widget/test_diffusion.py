"""An editor of a diffusion model: points, prompt, undo, settings, code and files, as of any other model."""

from __future__ import annotations

from concurrent.futures import CancelledError

import numpy as np
import pytest
from PIL import Image
from random_diffusion import small_pixels
from random_stylegan2 import small_stylegan2

from draggan_widget import Editor, load_generator
from draggan_widget.editing import Model, knowing, settings_for
from draggan_widget.engines import DragDiffusion, Natural
from draggan_widget.models.diffusion import Identity, identity_of, save_diffusion

pytest.importorskip("diffusers")


@pytest.fixture
def editor():
    made = Editor(small_pixels(), seed=3, max_steps=2, tolerance=0.0)
    yield made
    made.close()


def test_it_is_pulled_and_its_prompt_changed_each_one_step_of_undo(editor):
    assert (editor.engine, editor.prompt) == ("dragdiffusion", "young smiling")
    before = np.asarray(editor.image)
    editor.points = [{"handle": [4, 8], "target": [12, 8]}]
    editor.step_once()
    pulled = np.asarray(editor.image)
    assert (editor.step, (pulled != before).any()) == (1, True)
    editor.prompt = "old beard"
    assert (editor.prompt, editor.step, editor.seed) == ("old beard", 0, 3)
    assert (np.asarray(editor.image) != before).any()
    editor.undo()
    assert (editor.prompt, editor.step) == ("young smiling", 1)
    assert (np.asarray(editor.image) == pulled).all()


def test_words_that_it_does_not_know_are_refused_and_the_edit_stays(editor):
    with pytest.raises(ValueError, match="this model does not know the word 'dragon'"):
        editor.prompt = "dragon"
    assert editor.prompt == "young smiling"
    with pytest.raises(ValueError, match="a diffusion model has no attributes; change its prompt, or pull points"):
        editor.say("older")
    with pytest.raises(ValueError, match="a photograph is not fitted to a diffusion model"):
        editor.open_photo(np.zeros((32, 32, 3), np.uint8), square=(0, 0, 32))


def test_a_picture_of_ones_own_is_learnt_and_pulled_and_undo_leads_back_in_one_step(editor, tmp_path):
    picture = np.zeros((80, 40, 3), np.uint8)
    picture[10:70] = (200, 30, 90)  # the middle
    middle = picture[32:48, :16].astype(int)
    before = np.abs(np.asarray(editor.image) - middle).mean()
    editor.learn(picture, Identity(steps=2, rank=2))
    assert (editor.step, editor.seed, editor.prompt) == (0, None, "young smiling")
    assert len(identity_of(editor.generator)) > 0
    assert np.abs(np.asarray(editor.image) - middle).mean() < 0.2 * before
    editor.points = [{"handle": [4, 8], "target": [12, 8]}]
    editor.step_once()
    editor.save(tmp_path / "a.drag")
    again = Editor.load(tmp_path / "a.drag", model=small_pixels())
    assert (np.asarray(again.image) == np.asarray(editor.image)).all()
    again.close()
    editor.undo()
    editor.undo()
    editor.undo()
    assert (editor.seed, identity_of(editor.generator)) == (3, {})
    with pytest.raises(FileNotFoundError):
        editor.learn("gone.png")


def test_learning_is_left_within_one_step_when_it_is_cancelled():
    generator, told = small_pixels(), []

    def cancelled(share):
        told.append(share)
        if len(told) == 2:
            raise CancelledError

    with pytest.raises(CancelledError):
        knowing(Model(generator), generator, Image.new("RGB", (16, 16)), cancelled, Identity(steps=10, rank=2))
    assert told == pytest.approx([0.08, 0.16])
    made = knowing(Model(generator), generator, Image.new("RGB", (16, 16)), told.append, Identity(steps=2, rank=2))
    assert made.begins is not None
    assert told[-1] == pytest.approx(1.0)


def test_an_editor_of_a_gan_learns_nothing(tmp_path):
    editor = Editor(small_stylegan2(), seed=1)
    try:
        with pytest.raises(ValueError, match="StyleGAN2 is no diffusion model; open_photo"):
            editor.learn(np.zeros((40, 40, 3), np.uint8))
    finally:
        editor.close()


def test_it_is_offered_no_engines_for_gans_and_a_gan_none_for_it(editor):
    assert "engine" not in settings_for(DragDiffusion())  # there is but one
    assert "dragdiffusion" not in [value for value, _ in settings_for(Natural())["engine"].choices]
    assert "engine" not in editor.settings


def test_an_editor_of_a_gan_has_no_prompt_and_goes_on_to_a_diffusion_model_and_back():
    editor = Editor(small_stylegan2(), seed=1)
    try:
        assert editor.prompt is None
        with pytest.raises(ValueError, match="StyleGAN2 reads no prompts; load a diffusion model, or use say"):
            editor.prompt = "old"
        editor.load_model(small_pixels())
        assert (editor.engine, editor.prompt) == ("dragdiffusion", "young smiling")
        editor.undo()
        assert editor.engine == "natural"
    finally:
        editor.close()


def test_the_code_of_an_edit_makes_its_latent_again(tmp_path):
    save_diffusion(tmp_path / "model", small_pixels())
    editor = Editor(str(tmp_path / "model"), seed=5, max_steps=2, tolerance=0.0)
    try:
        editor.load_model(load_generator(tmp_path / "model").sampled(steps=4))
        editor.undo()
        editor.prompt = "beard"
        editor.points = [{"handle": [4, 8], "target": [12, 8]}]
        editor.step_once()
        code, latent = editor.code(), editor.latent
    finally:
        editor.close()
    assert "generator = generator.sampled(prompt='beard', steps=50, strength=0.7, guidance=1.0)" in code
    space: dict = {}
    exec(code, space)
    assert np.abs(space["ws"].numpy() - latent).max() < 1e-5
