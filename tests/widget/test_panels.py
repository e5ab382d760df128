"""The panels of a page, played by messages: attributes slid, said, held and taught; engines side by side."""

from __future__ import annotations

import numpy as np
import pytest
from page import Page
from random_stylegan2 import small_stylegan2

from draggan_widget import Editor
from draggan_widget.editing import amounts_in
from draggan_widget.widget.panels import MORE


@pytest.fixture(scope="module")
def model():
    return small_stylegan2()


@pytest.fixture
def page(model):
    editor = Editor(model, seed=3)
    page = Page(editor)
    page.say("ready", view="page")
    page.wait_for(lambda page: page.of("frame"))
    yield page
    editor.close()


def values(page):
    page.editor.latent  # noqa: B018 - what was asked before is carried out, and told
    before = len(page.panel("values"))
    page.say("values")
    page.wait_for(lambda page: len(page.panel("values")) > before)
    return page.panel("values")[-1]


def attributes(page):
    page.say("attributes")
    page.wait_for(lambda page: page.panel("values"))
    return page.panel("attributes")[-1]


def test_the_code_of_the_panels_comes_when_it_is_asked_for(page):
    page.say("more")
    page.wait_for(lambda page: page.of("more"))
    (buffers,) = [buffers for content, buffers in page.told if content["type"] == "more"]
    assert buffers == [MORE]
    assert b"export default" in MORE


def test_a_slider_is_answered_each_time_and_is_one_step_of_undo(page):
    editor = page.editor
    name = attributes(page)["attributes"][0]["name"]
    before = editor.latent
    for number, value in enumerate((0.2, 0.5, 0.8), start=1):
        page.say("change", id=number, values={name: value}, pulling=True)
        assert page.answer(number) == {"id": number, "done": True, "notes": []}
        page.wait_for(lambda page: page.panel("values")[-1]["values"][name] == pytest.approx(value, abs=0.01))  # noqa: B023
    page.say("change", id=4, values={name: 1.0}, pulling=False)
    assert page.answer(4)["done"]
    assert values(page)["values"][name] == pytest.approx(1.0, abs=0.01)
    editor.undo()
    assert np.array_equal(editor.latent, before)


def test_while_a_slider_is_held_the_answer_for_which_the_next_value_waits_comes_before_all_values(page):
    name = attributes(page)["attributes"][0]["name"]
    for number, pulling in ((1, True), (2, False)):
        before = len(page.told)
        page.say("change", id=number, values={name: 0.3 * number}, pulling=pulling)
        page.answer(number)
        values(page)
        told = [content["panel"] for content, _ in page.told[before:] if content["type"] == "panel"]
        assert told[:2] == (["answer", "values"] if pulling else ["values", "answer"])


def test_while_a_slider_is_held_pictures_are_quick_and_the_last_is_exact(page):
    name = attributes(page)["attributes"][0]["name"]
    count = len(page.frames())
    page.say("change", id=1, values={name: 0.7}, pulling=True)
    page.wait_for(lambda page: len(page.frames()) > count)
    assert page.frames()[-1][0] == "jpeg"
    page.say("change", id=2, values={name: 0.8}, pulling=False)
    page.wait_for(lambda page: page.frames()[-1][0] == "png")


def test_amounts_are_told_with_the_state_for_the_timeline(page):
    name = attributes(page)["attributes"][0]["name"]
    now = values(page)["values"][name]
    page.say("change", id=1, values={name: now + 0.5}, pulling=False)
    page.answer(1)
    page.editor.latent  # noqa: B018 - until the page has been told
    page.wait_for(lambda page: page.of("state")[-1]["amounts"])
    ((step, words),) = page.of("state")[-1]["amounts"]
    assert step == 0
    assert words == f"{name} +0.5 σ"
    assert amounts_in(page.editor._session.latest.document)[0][name] == pytest.approx(0.5, abs=0.01)


def test_more_than_the_model_can_is_cut_and_said(page):
    name = attributes(page)["attributes"][0]["name"]
    page.say("change", id=1, values={name: 50.0}, pulling=False)
    said = page.answer(1)
    assert said["done"]
    assert "as far as" in said["notes"][0]


def test_words_are_answered_with_what_was_done_and_what_was_not_understood(page):
    listed = attributes(page)["attributes"]
    page.say("say", id=1, text="more principal 1, and some sparkels")
    said = page.answer(1)
    assert said["done"]
    assert said["notes"][0] == f"{listed[0]['label']} +1 σ"
    assert any("'sparkels' is not known" in note for note in said["notes"])
    before = page.editor.latent
    page.say("say", id=2, text="sparkels")
    said = page.answer(2)
    assert not said["done"]
    assert "'sparkels' is not known" in said["notes"][0]
    assert np.array_equal(page.editor.latent, before)


def test_a_name_that_is_none_is_said_and_changes_nothing(page):
    before = page.editor.latent
    page.say("change", id=1, values={"principle-1": 1.0}, pulling=False)
    said = page.answer(1)
    assert not said["done"]
    assert "the nearest is 'principal-1'" in said["notes"][0]
    assert np.array_equal(page.editor.latent, before)


def test_locks_hold_and_one_of_a_group_that_is_let_go_leaves_the_others(page):
    group = [each["name"] for each in attributes(page)["attributes"] if each["group"] == "principal"]

    def held(wanted):
        page.wait_for(lambda page: page.panel("values")[-1]["held"] == wanted)

    page.say("lock", name="principal", on=True)
    held(group)
    page.say("lock", name=group[1], on=False)
    held([group[0], *group[2:]])
    page.say("lock", name=group[1], on=True)
    held([group[0], *group[2:], group[1]])
    page.say("lock", name="principal", on=False)
    held([])
    assert page.editor.attributes.held == ()
    page.editor.undo()
    assert set(page.editor.attributes.held) == set(group)


def test_marked_pictures_teach_a_direction(page):
    editor = page.editor
    for seed in range(6):
        editor.seed = seed + 10
        page.say("mark", side="more" if seed % 2 else "less", number=None)
    page.say("mark", side="more", number=None)
    page.wait_for(lambda page: len((page.panel("marks") or [{"sides": []}])[-1]["sides"]) == 7)
    pictures = [buffers for content, buffers in page.told if content.get("panel") == "marks"][-1]
    assert len(pictures) == 7
    assert all(each.startswith(b"\xff\xd8") for each in pictures)
    page.say("mark", side=None, number=6)
    page.wait_for(lambda page: len(page.panel("marks")[-1]["sides"]) == 6)
    page.say("teach", id=1, name="  odd look ")
    said = page.answer(1)
    assert said["done"]
    assert "Odd look is among the taught ones" in said["notes"][0]
    assert [each["source"] for each in page.panel("attributes")[-1]["attributes"]][-1] == "taught"
    assert page.panel("marks")[-1]["sides"] == []
    assert "odd look" in editor.attributes.directions


def test_too_few_marks_are_said_and_stay(page):
    page.say("mark", side="more", number=None)
    page.say("teach", id=1, name="odd")
    said = page.answer(1)
    assert not said["done"]
    assert "mark at least 2 pictures of each" in said["notes"][0]
    page.say("attributes")
    page.wait_for(lambda page: page.panel("attributes"))
    assert page.panel("marks")[-1]["sides"] == ["more"]


def test_engines_are_listed_with_a_line_and_compared_and_one_is_taken(page):
    editor = page.editor
    page.say("engines")
    page.wait_for(lambda page: page.panel("engines"))
    listed = page.panel("engines")[-1]
    assert listed["present"] == "natural"
    assert all(each["help"] for each in listed["engines"])
    refusals = {each["name"]: each["refusal"] for each in listed["engines"] if each["refusal"]}
    assert list(refusals) == ["predicted"]
    assert "predictor" in refusals["predicted"]
    assert "dragdiffusion" not in {each["name"] for each in listed["engines"]}, "it is of another family"
    page.say("compare", engines=["natural", "draggan"])
    page.wait_for(lambda page: page.panel("refused"))
    assert "no pull to compare yet" in page.panel("refused")[-1]["why"]
    editor.points = [{"handle": [20, 20], "target": [26, 20]}]
    before = editor.latent
    page.say("compare", engines=["natural", "nobody", "freedrag"])
    page.wait_for(lambda page: len(ended(page)) == 3, timeout=60)
    assert ended(page) == {"natural": "done", "nobody": "failed", "freedrag": "done"}
    assert "no engine 'nobody'" in next(each["why"] for each in page.panel("compared") if each["status"] == "failed")
    assert np.array_equal(editor.latent, before)
    pictures = [
        buffers for content, buffers in page.told if content.get("panel") == "compared" and content["told"]["step"] > 0
    ]
    assert pictures[-1][0].startswith(b"\xff\xd8")
    page.say("take", engine="freedrag")
    page.wait_for_state(undo="pull by freedrag")
    editor.latent  # noqa: B018 - until the traits follow
    assert editor.engine == "freedrag"
    assert editor.step > 0
    editor.undo()
    assert editor.engine == "natural"
    assert np.array_equal(editor.latent, before)


def ended(page):
    over = ("done", "failed", "cancelled")
    return {each["engine"]: each["status"] for each in page.panel("compared") if each["status"] in over}


def test_a_view_that_comes_later_is_told_of_the_comparison(page):
    page.editor.points = [{"handle": [20, 20], "target": [24, 20]}]
    page.say("compare", engines=["natural"])
    page.wait_for(lambda page: ended(page), timeout=60)
    page.told.clear()
    page.say("engines")
    page.wait_for(lambda page: page.panel("compared"))
    assert page.panel("compared")[-1]["status"] == "done"


def test_one_that_is_cancelled_says_so_and_the_next_goes_on(page):
    page.editor.points = [{"handle": [20, 20], "target": [50, 20]}]
    page.say("compare", engines=["draggan", "freedrag"])
    page.wait_for(lambda page: any(job["name"] == "draggan" for s in page.of("state") for job in s["jobs"]), timeout=60)
    job = next(job for state in page.of("state") for job in state["jobs"] if job["name"] == "draggan")
    assert job["what"] == "compare"
    page.say("cancel", id=job["id"])
    page.wait_for(lambda page: len(ended(page)) == 2, timeout=60)
    assert ended(page)["draggan"] in ("cancelled", "done")
    assert ended(page)["freedrag"] == "done"


def test_a_comparison_goes_with_its_model(page):
    page.editor.points = [{"handle": [20, 20], "target": [24, 20]}]
    page.say("compare", engines=["natural"])
    page.wait_for(lambda page: ended(page), timeout=60)
    page.editor.load_model(small_stylegan2(seed=5))
    page.wait_for(lambda page: page.panel("round")[-1]["engines"] == [])
    before = page.editor.latent
    page.say("take", engine="natural")
    assert np.array_equal(page.editor.latent, before)
    assert page.editor._inbox.panels._compared == {}


def test_of_what_is_as_far_as_it_goes_no_more_is_said_to_be_done(page):
    name = attributes(page)["attributes"][0]["name"]
    page.say("change", id=1, values={name: 50.0}, pulling=False)
    page.answer(1)
    page.say("say", id=2, text="more principal 1")
    said = page.answer(2)
    assert said["notes"] == ["Component 1: +0 σ instead of +1 ('more'); it is as far as the model goes"]
    page.wait_for_state(message=f"{said['notes'][0]}.")
