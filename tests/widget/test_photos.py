"""A photograph in the editor: opened beside the edit, cancelled, undone, and put back."""

from __future__ import annotations

import gc
import time
import weakref

import numpy as np
import pytest
from page import Page
from PIL import Image
from random_stylegan2 import small_stylegan2

from draggan_widget import DragConfig, Editor
from draggan_widget.inversion import Inversion, open_photo
from draggan_widget.models import fingerprint

NEVER = DragConfig(learning_rate=0.05, tolerance=0.0, stall_steps=None, max_steps=None)
QUICK = Inversion(pivot_steps=6, tuning_steps=6)
SLOW = Inversion(pivot_steps=10_000)
POINT = {"handle": [9, 9], "target": [14, 9]}


@pytest.fixture(scope="module")
def photo():
    """A photograph of 90 × 80 px in which a picture of 32 px lies in the middle."""
    noise = np.random.RandomState(0).randint(0, 256, (20, 22, 3)).astype(np.uint8)
    return Image.fromarray(noise).resize((90, 80), Image.Resampling.BICUBIC)


@pytest.fixture
def make():
    made = []

    def make(**settings):
        made.append(Editor(small_stylegan2(32), **{"seed": 3, **settings}))
        return made[-1]

    yield make
    for editor in made:
        editor.close()


def until(true, timeout=20):
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_photograph_is_opened_pulled_put_back_undone_and_done_again(make, photo):
    editor = make(points=[POINT])
    before = editor.generator
    editor.open_photo(photo, square=(44.5, 39.5, 40), settings=QUICK)
    assert (editor.model, editor.points, editor.status) == ("photograph", [], "idle")
    assert editor.photo.report.steps == 5
    assert editor.image.tobytes() == editor.photo.fitted.tobytes()
    assert editor.photograph().tobytes() == photo.tobytes()  # to the bit: nothing was edited
    editor.points = [POINT]
    editor.start()
    until(lambda: editor.status != "running")
    edited = np.asarray(editor.photograph()).astype(int) - np.asarray(photo)
    assert np.abs(edited).max() > 3
    assert not edited[:19].any()
    editor.mask = np.zeros((32, 32))
    assert editor.photograph().tobytes() == photo.tobytes()
    assert np.abs(np.asarray(editor.photograph(whole=True)).astype(int) - np.asarray(photo)).max() == 0
    while editor.generator is not before:
        editor.undo()
    assert (editor.model, len(editor.points), editor.photo) == ("StyleGAN2", 1, None)
    with pytest.raises(ValueError, match=r"not of a photograph; open one by editor.open_photo"):
        editor.photograph()
    editor.redo()
    assert editor.photo is not None


def test_a_run_goes_on_while_it_is_fitted_and_the_page_hears_of_it_and_cancels(make, photo):
    editor = make(config=NEVER, points=[POINT])
    page = Page(editor)
    page.say("ready", view="page")
    page.wait_for(lambda p: p.of("state") and p.of("mask"))
    editor.start()
    waiting = editor._session.open_photo(open_photo(photo), settings=SLOW)
    page.wait_for(lambda p: [j["name"] for j in p.of("state")[-1]["jobs"]] == ["photograph"])
    step = editor._session.newest().step
    page.wait_for(lambda p: p.of("state")[-1]["step"] > step + 2)
    (job,) = page.of("state")[-1]["jobs"]
    page.say("cancel", id=job["id"])
    page.wait_for_state(jobs=[], status="running")
    assert waiting.cancelled()
    assert editor.photo is None
    editor.stop()


def test_the_constructor_takes_one_and_does_not_wait_but_says_at_once_what_is_wrong_with_it(make, photo, tmp_path):
    path = tmp_path / "me at sea.png"
    photo.save(path)
    editor = make(photo=path)
    assert editor.photo is None
    assert editor._session.latest.loading == "me at sea.png"
    with pytest.raises(ValueError, match="nothing is fetched"):
        make(photo="https://example.org/me.png")
    with pytest.raises(FileNotFoundError, match="no file"):
        make(photo=tmp_path / "none.png")


def test_of_two_photographs_both_are_of_the_model_as_it_came_and_the_first_copy_is_let_go_of(make, photo):
    editor = make()
    base = editor.generator
    editor.open_photo(photo, settings=QUICK)
    first = weakref.ref(editor.generator)
    for _ in range(3):
        editor.open_photo(photo, settings=QUICK)
    assert editor.photo.tuned.base == fingerprint(base)
    assert editor._session.newest().model.untuned.generator is base
    until(lambda: gc.collect() is not None and first() is None)


def test_what_cannot_be_used_leaves_the_edit_and_a_run_as_they_are(make, photo):
    editor = make(config=NEVER, points=[POINT])
    editor.start()
    with pytest.raises(ValueError, match="beside the photograph"):
        editor.open_photo(photo, square=(900, 900, 40))
    assert editor.status == "running"
    assert editor.photo is None
    editor.stop()
