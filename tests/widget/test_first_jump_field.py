"""The page offers the first jumps that there are for the model, says why there are no others, and takes a choice."""

from __future__ import annotations

import predictors
import pytest
from page import Page
from predictors import Roaming
from random_stylegan2 import small_stylegan2

from draggan_widget import Editor, load_generator
from draggan_widget.editing import jump_setting, jump_told
from draggan_widget.engines import DragConfig, Natural, Predicted, engine_named
from draggan_widget.engines.predicted import METHODS, Predictor, give
from draggan_widget.models import fingerprints

AUTO, USER = METHODS.values()


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page of a model with a predictor of Auto DragGAN, which says nothing, and none of the other."""
    monkeypatch.setenv("DRAGGAN_WIDGET_CACHE", str(tmp_path))
    model = Roaming()
    give(model, predictors.speechless(model))
    editor = Editor(model, seed=3, config=DragConfig(max_steps=3))
    page = Page(editor)
    page.say("ready", view="page")
    page.wait_for(lambda page: page.of("frame"))
    yield page
    editor.close()


def field(page):
    page.say("schema")
    page.wait_for(lambda page: page.of("schema"))
    return next(each for each in page.of("schema")[-1]["fields"] if each["name"] == "first")


def choose(page, label):
    page.say("settings", values={"first": label})
    page.wait_for(lambda page: page.of("state")[-1]["settings"]["first"] == label)


def test_only_methods_with_a_predictor_are_offered_and_of_others_it_says_why(page):
    found = field(page)
    assert (found["label"], found["kind"], found["none"]) == ("First jump", "choice", "no jump")
    assert found["choices"] == [["", "no jump"], [AUTO, AUTO]]
    assert found["help"].endswith(
        "There is no predictor of UserControllableLT for this model; train one: draggan-widget train predictor MODEL "
        "--method usercontrollable."
    )
    bare = jump_setting(small_stylegan2(32), DragConfig(), None)
    assert [value for value, _ in bare.choices] == [""]
    assert all(f"no predictor of {label}" in bare.help for label in METHODS.values())


def test_what_serves_a_model_is_told_from_the_heads_of_files_and_its_weights_are_hashed_once(monkeypatch):
    faces, hashed = load_generator("faces", "cpu"), []
    monkeypatch.setattr(Predictor, "load", lambda path: pytest.fail(f"{path} was loaded"))
    hash_of = fingerprints.fingerprint_of
    monkeypatch.setattr(fingerprints, "fingerprint_of", lambda weights: hashed.append(1) or hash_of(weights))
    for _ in range(2):
        assert [value for value, _ in jump_setting(faces, Natural(), None).choices] == ["", AUTO, USER]
    assert len(hashed) == 1


def test_a_choice_holds_for_the_document_and_is_taken_away_again(page):
    editor = page.editor
    choose(page, AUTO)
    assert editor._session.now().first == Predicted()
    editor.latent  # noqa: B018 - until the traits follow
    assert editor.first == "predicted"
    choose(page, "")
    assert editor._session.now().first is None
    choose(page, AUTO)
    page.say("reset_settings")
    page.wait_for(lambda page: page.of("state")[-1]["settings"] == page.of("state")[-1]["defaults"])
    assert editor._session.now().first is None


def test_what_was_set_in_python_of_a_jump_holds_when_it_is_chosen_again(page):
    page.editor.first = Predicted(nearer=0.5)
    choose(page, AUTO)
    assert page.editor._session.now().first == Predicted(nearer=0.5)


def test_what_is_none_and_what_is_not_there_are_refused_in_a_sentence_and_nothing_changes(page):
    choose(page, AUTO)
    for wrong, said in (
        (USER, "there is no predictor of UserControllableLT for this model"),
        ("magic", f"the first jump is 'magic'; choose one of {AUTO}, {USER}"),
        (7, f"the first jump is 7; choose one of {AUTO}, {USER}"),
    ):
        page.say("settings", values={"first": wrong})
        page.wait_for(lambda page, said=said: any(said in each["text"] for each in page.of("notice")))
        assert page.editor._session.now().first == Predicted()


def test_other_settings_that_come_along_are_taken_too(page):
    page.say("settings", values={"first": AUTO, "max_steps": 7})
    page.wait_for(lambda page: page.of("state")[-1]["settings"]["max_steps"] == 7)
    assert page.editor._session.now().first == Predicted()
    assert page.editor._session.now().config.max_steps == 7


def test_the_field_is_not_there_beside_engines_for_which_nothing_jumps(page):
    diffusion = engine_named("dragdiffusion").Settings()
    assert jump_setting(page.editor.generator, diffusion, None) is None
    assert jump_told(diffusion, None) == {}
