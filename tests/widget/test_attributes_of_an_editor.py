"""Attributes from Python: changed, said, held and taught in an editor of the built-in faces."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest

from draggan_widget import Editor
from draggan_widget.directions import Direction


@pytest.fixture(scope="module")
def shared():
    editor = Editor("faces", seed=7)
    yield editor
    editor.close()


@pytest.fixture
def editor(shared):
    shared.latent = shared.generator.space.draw(seed=7, truncation=0.7)
    return shared


def value(editor, name):
    return editor.attributes.directions.measure(editor.latent, [name])[name]


def moved(editor, before):
    after = editor.attributes.directions.measure(editor.latent)
    return {name: after[name] - before[name] for name in after}


def test_a_change_is_one_step_of_undo(editor):
    before = value(editor, "smile")
    assert editor.change("smile", +1) == []
    assert value(editor, "smile") == pytest.approx(before + 1, abs=0.01)
    editor.undo()
    assert value(editor, "smile") == pytest.approx(before, abs=1e-4)


def test_a_sentence_is_one_step_of_undo_and_what_is_not_understood_is_told(editor):
    before = editor.attributes.directions.measure(editor.latent)
    notes = editor.say("older, turned left a bit, with sparkels")
    change = moved(editor, before)
    assert change["age"] == pytest.approx(1, abs=0.01)
    assert change["yaw"] == pytest.approx(-0.5, abs=0.01)
    assert len(notes) == 1
    assert "'sparkels' is not known" in notes[0]
    editor.undo()
    assert value(editor, "age") == pytest.approx(before["age"], abs=1e-4)


def test_more_than_the_model_can_is_cut_and_the_picture_stays_in_range(editor):
    notes = editor.change({"smile": 50, "age": -50})
    assert len(notes) == 2
    for name in ("smile", "age"):
        direction = editor.attributes.directions[name]
        assert direction.least - 0.01 <= value(editor, name) <= direction.most + 0.01
    assert np.isfinite(np.asarray(editor.image)).all()


def test_a_pull_changes_nothing_that_is_held(editor):
    editor.hold("identity", "smile")
    before = editor.attributes.directions.measure(editor.latent)
    editor.points = [{"id": 1, "handle": [128, 140], "target": [146, 140]}]
    editor.start()
    for _ in range(600):
        if editor.status != "running":
            break
        time.sleep(0.1)
    assert editor.status == "arrived"
    change = moved(editor, before)
    assert abs(change["yaw"]) > 0.2
    held = editor.attributes.directions.resolve(["identity", "smile"])
    assert max(abs(change[name]) for name in held) < 1e-3
    assert editor.attributes.held == ("identity", "smile")
    editor.release("identity")
    assert editor.attributes.held == ("smile",)
    editor.release()
    assert editor.attributes.held == ()


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda editor: editor.change("smlie", 1), "the nearest is 'smile'"),
        (lambda editor: editor.change("smile", "much"), "the amount of 'smile' is 'much'"),
        (lambda editor: editor.change("smile"), "the amount of 'smile' is None"),
        (lambda editor: editor.change({}), "nothing was named to change"),
        (lambda editor: editor.hold(), "nothing was named to hold"),
        (lambda editor: editor.say("older and younger"), "'older' and 'younger' contradict"),
        (lambda editor: editor.say("qwrtz"), "'qwrtz' is not known"),
        (lambda editor: editor.hold("smile", "foo"), "no attribute"),
        (lambda editor: editor.release("smile"), "'smile' is not held; nothing is held"),
        (lambda editor: editor.attributes.teach("x", [editor.latent], []), "taught with 1 of more and 0 of less"),
        (lambda editor: editor.attributes.teach(" ", [], []), "cannot be one"),
        (lambda editor: editor.attributes.teach("x", [editor.latent], [editor.latent]), "mark at least 2"),
        (lambda editor: editor.change("glasses", 1), "this model has no attribute 'glasses'"),
        (lambda editor: editor.change("smile", float("inf")), "the amount of 'smile' is"),
        (lambda editor: editor.say("long and short hair"), "contradict each other; leave one of them out"),
        (lambda editor: editor.say(""), "the text is empty"),
        (lambda editor: editor.say("older " * 1000), "say it in at most"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(editor, ask, error):
    before = editor.latent
    with pytest.raises(ValueError, match=error):
        ask(editor)
    assert np.array_equal(editor.latent, before)
    assert editor.attributes.held == ()


def in_range(editor):
    """Whether the picture is one, and no attribute of it is beyond what the model's own pictures show."""
    picture = np.asarray(editor.image)
    values = editor.attributes.directions.measure(editor.latent)
    ends = {name: (each.least, each.most) for name, each in editor.attributes.directions.items()}
    kept = all(ends[name][0] - 0.05 <= value <= ends[name][1] + 0.05 for name, value in values.items())
    return kept and picture.dtype == np.uint8 and 5 < picture.std() < 120


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda editor: editor.change("smile", 1e300), "Smile: "),
        (lambda editor: editor.change({"age": -1e9, "yaw": 1e9, "hair_length": 40}), "Age: "),
        (lambda editor: editor.say("extremely old, extremely bald, extremely wide smile"), "as far as it goes"),
        (lambda editor: editor.attributes.set({"smile": -99}), "instead of"),
    ],
)
def test_more_than_the_model_can_is_a_sentence_and_a_picture_in_range(editor, ask, told):
    editor.latent = editor.generator.space.draw(seed=7, truncation=0.5)
    notes = ask(editor)
    assert any(told in note for note in notes)
    assert in_range(editor)
    for _ in range(3):
        again = ask(editor)
    assert any("as far as" in note for note in again)
    assert in_range(editor)


def test_all_80_attributes_as_far_as_they_go_are_a_picture_in_range(editor):
    editor.latent = editor.generator.space.draw(seed=7, truncation=0.5)
    signs = np.random.RandomState(0).choice([-1, 1], 80)
    directions = editor.attributes.directions
    notes = editor.change({name: 99.0 * sign for name, sign in zip(directions, signs, strict=True)})
    assert len([note for note in notes if " σ instead of " in note]) == 80
    doubted = [note for note in notes if "does not show reliably" in note]
    assert len(doubted) == sum(not each.offered for each in directions.values()) == len(notes) - 80
    assert in_range(editor)


def test_a_direction_of_another_model_is_refused_by_an_editor_and_changes_nothing(editor, tmp_path):
    from random_stylegan2 import small_stylegan2

    from draggan_widget.directions import principal

    principal(small_stylegan2(), 1)[0].save(tmp_path / "strange.safetensors")
    before = editor.latent
    with pytest.raises(ValueError, match="'principal-1' is for another model, as its weights tell"):
        editor.attributes.add(Direction.load(tmp_path / "strange.safetensors"))
    assert np.array_equal(editor.latent, before)
    assert "principal-1" not in editor.attributes.directions


def test_words_for_what_does_not_show_in_pictures_are_done_and_that_is_said(editor, monkeypatch):
    directions = editor.attributes.directions
    hidden = dataclasses.replace(directions["freckles"], offered=False)
    monkeypatch.setitem(directions._all, "freckles", hidden)
    before = value(editor, "freckles")
    notes = editor.say("more freckles, older")
    assert value(editor, "freckles") > before + 0.5
    assert [note for note in notes if "does not show reliably" in note] == [
        "Freckles: in pictures of this model it does not show reliably, or not alone; see what changed"
    ]
    assert any("does not show reliably" in note for note in editor.change("freckles", -0.2))


def test_a_taught_direction_is_changed_by_its_name_said_and_shared_as_a_file(editor, tmp_path):
    space = editor.generator.space
    latents = [space.draw(seed=seed).numpy() for seed in range(30)]
    directions = editor.attributes.directions
    smiles = [directions.measure(latent, ["smile"])["smile"] for latent in latents]
    order = np.argsort(smiles)
    learned = editor.attributes.teach(
        "joyful look", [latents[place] for place in order[-10:]], [latents[place] for place in order[:10]]
    )
    assert learned.score > 0.9
    before = value(editor, "smile")
    editor.say("a bit more joyful look")
    assert value(editor, "smile") > before + 0.2
    learned.save(tmp_path / "joy.safetensors")
    other = Editor(editor.generator, seed=1)
    try:
        other.attributes.add(Direction.load(tmp_path / "joy.safetensors"))
        other.change("joyful look", -0.5)
        assert "joyful look" in {each.name for each in other.attributes.listed()}
    finally:
        other.close()


def test_a_slider_goes_to_a_value(editor):
    editor.attributes.set({"yaw": 0.4}, sliding=True)
    editor.attributes.set({"yaw": -0.7})
    assert value(editor, "yaw") == pytest.approx(-0.7, abs=0.01)
    editor.undo()
    assert value(editor, "yaw") != pytest.approx(-0.7, abs=0.1)
