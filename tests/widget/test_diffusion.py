"""An editor of a diffusion model: points, prompt, undo, settings, code and files, as of any other model."""

from __future__ import annotations

import importlib.util
import io
from concurrent.futures import CancelledError

import numpy as np
import pytest
from page import Page
from PIL import Image
from random_diffusion import KNOWN, small_pixels
from random_stylegan2 import small_stylegan2

from draggan_widget import Editor, load_generator
from draggan_widget.editing import Model, commands, knowing, settings_for
from draggan_widget.editing import jobs as jobs_room
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


def test_it_is_offered_the_engines_for_such_models_and_a_gan_none_of_them(editor):
    assert [value for value, _ in settings_for(DragDiffusion())["engine"].choices] == ["dragdiffusion", "fastdrag"]
    assert not {"dragdiffusion", "fastdrag"} & {value for value, _ in settings_for(Natural())["engine"].choices}
    editor.points = [{"handle": [4, 8], "target": [12, 8]}]
    editor.engine = "fastdrag"
    editor.step_once()
    assert (editor.engine, editor.step, tuple(editor.points[0]["handle"])) == ("fastdrag", 1, (12, 8))


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
    assert "generator = generator.sampled(prompt='beard', steps=6, strength=0.7, guidance=1.0)" in code
    space: dict = {}
    exec(code, space)
    assert np.abs(space["ws"].numpy() - latent).max() < 1e-5


@pytest.fixture
def page(editor):
    page = Page(editor)
    page.say("ready", view="page")
    page.wait_for(lambda page: page.of("frame"))
    return page


def test_a_page_is_told_of_the_prompt_and_its_words_and_changes_it(page):
    page.say("attributes")
    page.wait_for(lambda page: page.panel("prompt"))
    page.editor._session.now()  # once the worker has told all of it
    assert page.panel("prompt") == [{"prompt": "young smiling", "words": [*KNOWN], "learnt": False}], "once"
    assert page.panel("attributes")[-1]["attributes"] == []
    before = page.frames()[-1]
    page.say("prompt", id=1, text="old beard")
    assert page.answer(1) == {"id": 1, "done": True, "notes": []}
    assert page.panel("prompt")[-1]["prompt"] == page.editor.prompt == "old beard"
    page.wait_for(lambda page: page.frames()[-1] != before)
    state = page.wait_for_state(undo="prompt 'old beard'", can_undo=True)
    assert (state["message"], state["seed"], state["step"]) == ("The prompt is 'old beard'.", 3, 0)
    page.say("undo")
    page.wait_for_state(redo="prompt 'old beard'")
    page.say("values")
    page.wait_for(lambda page: page.panel("prompt")[-1]["prompt"] == "young smiling")
    assert page.editor.prompt == "young smiling"


def test_a_page_hears_why_a_prompt_cannot_be_and_everything_stays(page):
    page.say("prompt", id=2, text="old dragon")
    refused = page.answer(2)
    assert not refused["done"]
    assert refused["notes"][0].startswith("this model does not know the word 'dragon'; it knows old, young")
    page.say("prompt", id=3, text="old " * 25)
    assert page.answer(3)["notes"] == ["the prompt has 25 words, and this model reads 24; shorten it"]
    assert (page.editor.prompt, page.of("state")[-1]["trouble"]) == ("young smiling", "")
    with pytest.raises(TypeError, match=r"identity is a dict; give draggan_widget.models.diffusion.Identity\("):
        page.editor.identity = {"steps": 3}


def test_undo_leads_back_through_many_prompts_since_they_share_their_weights(editor):
    for prompt in ("old", "beard", "young", "smiling", ""):
        editor.prompt = prompt
    for prompt in ("smiling", "young", "beard", "old", "young smiling"):
        editor.undo()
        assert editor.prompt == prompt


def test_the_prompt_of_a_page_is_in_the_file_and_in_the_code(page, tmp_path):
    page.say("prompt", id=1, text="beard")
    assert page.answer(1)["done"]
    page.editor.save(tmp_path / "a.drag")
    again = Editor.load(tmp_path / "a.drag", model=small_pixels())
    assert (again.prompt, again.code()) == ("beard", page.editor.code())
    assert "sampled(prompt='beard'" in again.code()
    again.close()


def test_a_gan_has_no_prompt_to_a_page():
    editor = Editor(small_stylegan2(), seed=1)
    try:
        page = Page(editor)
        page.say("ready", view="page")
        page.say("attributes")
        page.wait_for(lambda page: page.panel("prompt"))
        assert page.panel("prompt") == [{"prompt": None, "words": [], "learnt": False}]
        page.say("prompt", id=1, text="old")
        assert page.answer(1)["notes"] == ["StyleGAN2 reads no prompts; load a diffusion model, or use say(…)"]
    finally:
        editor.close()


def photo(page, colour=(200, 30, 90)):
    """A page opens a photograph of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (40, 40), colour).save(file, "PNG")
    data = file.getvalue()
    page.say("photo", [data], view="page", name="me.png", size=len(data), at=0)


def jobs(page):
    return [state["jobs"] for state in page.of("state")]


def test_a_photograph_that_a_page_opens_is_learnt_as_a_job_that_tells_how_far_it_is(page, monkeypatch):
    page.editor.identity = Identity(steps=4, rank=2)
    monkeypatch.setattr(jobs_room, "TELL_EVERY", 0.0)
    monkeypatch.setattr(commands, "TELL_EVERY", 0.0)
    photo(page)
    state = page.wait_for_state(undo="learning of a picture")
    assert (state["message"], state["seed"], state["jobs"]) == ("The picture is learnt: pull its points.", None, [])
    notes = {job["note"] for each in jobs(page) for job in each}
    assert notes == {"Learning me.png"}
    shares = [job["progress"] for each in jobs(page) for job in each]
    assert shares == sorted(shares)
    assert any(0 < share < 1 for share in shares)
    page.say("attributes")
    page.wait_for(lambda page: page.panel("prompt"))
    assert page.panel("prompt")[-1]["learnt"]
    assert len(identity_of(page.editor.generator)) > 0
    page.say("undo")
    page.wait_for_state(redo="learning of a picture", seed=3)
    assert identity_of(page.editor.generator) == {}


def test_learning_is_cancelled_from_a_page_and_the_edit_stays(page):
    page.editor.identity = Identity(steps=10_000, rank=2)
    photo(page)
    page.wait_for(lambda page: any(jobs(page)))
    (job,) = next(each for each in jobs(page) if each)
    page.say("cancel", id=job["id"])
    page.wait_for(lambda page: not page.of("state")[-1]["jobs"])
    state = page.of("state")[-1]
    assert (state["trouble"], state["can_undo"], page.editor.seed) == ("", False, 3)


def test_without_peft_a_page_hears_what_to_install(page, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "peft" else found(name, *rest))
    photo(page)
    page.wait_for(lambda page: "PEFT" in page.of("state")[-1]["trouble"])
    assert "pip install 'draggan_widget[diffusion]'" in page.of("state")[-1]["trouble"]


def test_an_editor_begins_with_a_photograph_that_its_diffusion_model_learns():
    editor = Editor(small_pixels(), photo=np.full((40, 40, 3), 90, np.uint8))
    try:
        page = Page(editor)
        page.say("ready", view="page")
        page.wait_for(lambda page: any(jobs(page)))
        assert "Learning photograph" in [job["note"] for each in jobs(page) for job in each]
    finally:
        editor.close()


def test_an_object_is_moved_and_other_words_are_said_in_one_step_of_undo(page, tmp_path):
    editor, mask = page.editor, np.zeros((16, 16))
    mask[4:8, 4:8] = 1
    before = np.asarray(editor.image)
    editor.instruct(mask, by=(4, 0), prompt="old beard")
    after = np.asarray(editor.image)
    assert (editor.prompt, editor.step, editor.seed) == ("old beard", 0, None)
    assert (after != before).any()
    state = page.wait_for_state(undo="move of an object")
    assert state["message"] == "Done: move of an object."
    editor.save(tmp_path / "a.drag")
    again = Editor.load(tmp_path / "a.drag", model=small_pixels())
    assert (np.asarray(again.image) == after).all()
    again.close()
    editor.undo()
    assert (editor.prompt, editor.seed) == ("young smiling", 3)
    assert (np.asarray(editor.image) == before).all()


def test_instructions_that_cannot_be_leave_the_edit_as_it_is(editor):
    before = np.asarray(editor.image)
    with pytest.raises(ValueError, match="'beard' is not in the prompt"):
        editor.instruct("beard", by=(4, 0))
    with pytest.raises(ValueError, match="does not know the word 'dragon'"):
        editor.instruct("young", by=(4, 0), prompt="dragon")
    gan = Editor(small_stylegan2(), seed=1)
    try:
        with pytest.raises(ValueError, match="StyleGAN2 reads no prompts"):
            gan.instruct("young", by=(4, 0))
    finally:
        gan.close()
    assert (np.asarray(editor.image) == before).all()
