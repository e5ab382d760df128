"""What the page asks for besides the edit itself: settings, the past, files; and their twins in Python."""

from __future__ import annotations

import gc
import io
import threading
import weakref

import numpy as np
import pytest
import traitlets
from page import Page
from PIL import Image
from planted import Planted

from draggan_widget import DragConfig, DragGAN
from draggan_widget.engines.draggan import BoundDragGAN

ENDLESS = DragConfig(learning_rate=0.02, tolerance=0.0, max_steps=None, stall_steps=None)


@pytest.fixture
def editor():
    made = DragGAN(Planted((32, 48)), seed=1, config=ENDLESS, points=[{"handle": [20, 15], "target": [40, 20]}])
    for _ in range(5):
        made.step_once()
    yield made
    made.close()


@pytest.fixture
def page(editor):
    made = Page(editor)
    made.say("ready", view="page")
    made.wait_for_state(step=5)
    return made


def test_a_setting_of_the_page_holds_from_the_next_step_on_and_can_be_the_models_own_again(editor, page):
    page.say("settings", values={"learning_rate": 0.01, "space": "w"})
    page.wait_for(lambda p: p.of("state")[-1]["settings"]["learning_rate"] == 0.01)
    assert (editor.config.learning_rate, editor.config.space) == (0.01, "w")
    page.say("settings", values={"learning_rate": None})
    own = editor.generator.drag_config.learning_rate
    page.wait_for(lambda p: p.of("state")[-1]["settings"]["learning_rate"] == own)
    assert page.of("state")[-1]["defaults"]["learning_rate"] == own


def test_a_bad_setting_is_told_and_nothing_changes(editor, page):
    page.say("settings", values={"block": 99})
    page.wait_for(lambda p: p.of("notice"))
    assert "this generator has blocks 1 to 3" in page.of("notice")[-1]["text"]
    assert editor.config == ENDLESS


def test_settings_are_traits(editor):
    editor.learning_rate = 0.5
    editor.speed = 20
    assert editor.config.learning_rate == 0.5
    with pytest.raises(traitlets.TraitError, match="this generator has rows 1 to 4"):
        editor.edit_layers = 99
    assert editor.config.edit_layers == ENDLESS.edit_layers
    editor.learning_rate = None
    editor.snapshot()  # waits for what was assigned
    assert editor.config.learning_rate == editor.generator.drag_config.learning_rate


def test_sliding_shows_the_past_and_going_on_begins_there(editor, page):
    page.say("look", step=2)
    state = page.wait_for_state(shown=2, step=5)
    page.wait_for(lambda p: p.of("frame")[-1]["step"] == 2)
    assert state["length"] == 6
    page.say("branch", step=2)
    page.wait_for_state(shown=None, step=2)
    page.say("undo")
    page.wait_for_state(step=5)


def test_the_course_and_thumbnails_of_an_edit_are_told_when_asked_for(page):
    page.say("course", since=-1)
    page.wait_for(lambda p: p.of("course"))
    course = page.of("course")[-1]
    assert course["steps"] == [0, 1, 2, 3, 4, 5]
    assert all(len(each) == 1 for each in course["distances"])
    page.say("thumbnails", steps=[0, 4])
    page.wait_for(lambda p: p.of("thumbnails"))
    (content, buffers) = next(each for each in page.told if each[0]["type"] == "thumbnails")
    assert content["steps"] == [0, 4]
    assert [Image.open(io.BytesIO(data)).height for data in buffers] == [64, 64]


def test_the_picture_that_the_edit_began_with_is_sent_exactly(editor, page):
    first = DragGAN(Planted((32, 48)), seed=1)
    page.say("before")
    page.wait_for(lambda p: p.of("before"))
    (_, (data,)) = next(each for each in page.told if each[0]["type"] == "before")
    assert Image.open(io.BytesIO(data)).tobytes() == first.image.tobytes()
    first.close()


def test_every_answer_says_of_which_edit_it_is(editor, page):
    state = page.wait_for_state(step=5)
    page.say("undo")
    undone = page.wait_for_state(undo="one step", redo="one step")
    assert undone["edit"] != state["edit"]
    editor._session.new_image(seed=4, truncation=0.7)
    page.say("undo")
    again = page.wait_for_state(redo="new image (seed 4)")
    for question, fields in (("course", {"since": -1}), ("thumbnails", {"steps": [0, 2]}), ("before", {})):
        page.say(question, **fields)
        page.wait_for(lambda p, kind=question: p.of(kind))
        assert page.of(question)[-1]["edit"] == again["edit"]


def test_all_settings_go_back_to_the_models_own_at_once(editor, page):
    editor.learning_rate, editor.speed = 0.5, 20
    page.wait_for(lambda p: p.of("state")[-1]["settings"]["speed"] == 20)
    page.say("reset_settings")
    page.wait_for(lambda p: p.of("state")[-1]["settings"] == p.of("state")[-1]["defaults"])
    editor.learning_rate = 0.5
    editor.reset_settings()
    own = editor.generator.drag_config
    assert (editor.config.learning_rate, editor.config.tolerance) == (own.learning_rate, own.tolerance)


def test_reset_in_the_page_takes_the_points_away(editor, page):
    page.say("reset")
    assert page.wait_for_state(step=0, redo="")["points"] == []
    editor.undo()
    assert len(page.wait_for_state(step=5)["points"]) == 1


@pytest.mark.parametrize("kind", ["png", "gif", "latent", "drag", "code"])
def test_the_page_gets_the_files_that_it_asks_for(page, kind):
    page.say("export", kind=kind, handles=True)
    page.wait_for(lambda p: p.of("export"))
    content, buffers = next(each for each in page.told if each[0]["type"] == "export")
    assert content["kind"] == kind
    assert content["name"].endswith({"latent": ".npz", "code": ".py"}.get(kind, f".{kind}"))
    page.wait_for_state(jobs=[])
    if kind == "code":
        assert "mapping(seed=1" in content["text"]
        assert not buffers
    else:
        assert len(buffers[0]) > 100


def test_an_export_that_is_cancelled_ends_without_a_file(editor, page):
    page.say("export", kind="gif", handles=False)
    page.wait_for(lambda p: p.of("state")[-1]["jobs"])
    (job,) = page.of("state")[-1]["jobs"]
    assert (job["what"], job["name"]) == ("gif", "")
    page.say("cancel", id=job["id"])
    page.wait_for_state(jobs=[])
    editor.snapshot()
    assert not page.of("export")


def test_python_writes_the_same_files(editor, tmp_path):
    for name in ("edit.png", "edit.gif", "edit.npz", "edit.npy", "edit.drag", "edit.py"):
        editor.export(tmp_path / name)
    picture = Image.open(tmp_path / "edit.png")
    assert "AI-generated" in picture.text["Description"]
    assert b"AI-generated" in (tmp_path / "edit.gif").read_bytes()
    np.testing.assert_array_equal(np.load(tmp_path / "edit.npy"), editor.latent)
    assert (tmp_path / "edit.py").read_text() == editor.code()
    editor.provenance = False
    editor.export(tmp_path / "edit.png")
    assert not Image.open(tmp_path / "edit.png").text
    editor.export(tmp_path / "edit.gif")
    assert b"AI-generated" not in (tmp_path / "edit.gif").read_bytes()
    with pytest.raises(ValueError, match="an edit can be written as"):
        editor.export(tmp_path / "edit.bmp")


def test_points_come_with_how_surely_they_are_followed_and_whether_their_place_is_flat(page):
    page.wait_for(lambda p: p.of("state")[-1]["points"][0]["texture"])
    (point,) = page.of("state")[-1]["points"]
    assert 0 <= point["confidence"] <= 1
    assert point["texture"]["flat"] in (True, False)


def test_a_point_that_is_pulled_is_not_looked_at_before_its_first_picture_is_there(editor, page, monkeypatch):
    shown = []

    def texture(bound, edit, memory, number):
        shown.append(page.of("frame")[-1]["step"])
        return True, None

    def known(page):
        return [point["id"] for point in page.of("state")[-1]["points"] if point["texture"]]

    page.wait_for(lambda p: known(p) == [1])
    monkeypatch.setattr(BoundDragGAN, "texture", texture)
    page.say("point", id=2, handle=[10, 10], target=[12, 12], pulling=True)
    page.say("start")
    page.wait_for(lambda p: known(p) == [1, 2])
    assert len(shown) == 1
    assert shown[0] > 5
    page.say("stop")
    page.say("point", id=3, handle=[30, 10], target=[30, 10], pulling=False)
    page.wait_for(lambda p: known(p) == [1, 2, 3])


def test_fifty_executions_of_a_cell_leave_one_widget_and_one_thread():
    generator = Planted((32, 32))
    made, threads = [], threading.active_count()
    for number in range(50):
        editor = DragGAN(generator, seed=number, config=ENDLESS)
        page = Page(editor)
        page.say("ready", view="page")
        page.wait_for_state(status="idle")
        made.append(weakref.ref(editor))
        editor.close()
        del editor, page
    gc.collect()
    assert sum(each() is not None for each in made) <= 1
    assert threading.active_count() <= threads + 1
