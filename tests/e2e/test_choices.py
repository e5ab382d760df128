"""Choosing a class and a model in JupyterLab, and pictures of other shapes and channels."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from draggan_widget.models import offered_names

pytestmark = pytest.mark.browser

SMALL = """
import torch
from pathlib import Path
from draggan_widget import DragGAN
from draggan_widget.models import StyleGAN2, save_generator

torch.set_num_threads(1)

def small(seed, **settings):
    torch.manual_seed(seed)
    widths = {4: 16, 8: 16, 16: 8, 32: 8, 64: 4}
    return StyleGAN2(64, z_dim=16, w_dim=16, channels=widths, mapping_layers=2, mapping_lr_multiplier=1.0, **settings)
"""
MODELS = """
folder = Path("checkpoints")
folder.mkdir(exist_ok=True)
save_generator(folder / "cats.safetensors", small(1))
save_generator(folder / "digits.safetensors", small(2, c_dim=1000))
(folder / "broken.pkl").write_bytes(b"no model")
editor = DragGAN(small(0), seed=3, models=folder)
editor
"""
CLASSES = """
editor = DragGAN(small(0, c_dim=1000), seed=3, label=5)
editor
"""
NAMED = """
named = small(0, c_dim=3)
named.class_names = ["cat", "dog", "horse"]
editor = DragGAN(named, seed=3)
editor
"""
SLOWLY = """
import time
from draggan_widget.editing import Model

read = Model.load

def slowly(source, device=None, progress=None):
    for part in range(100):
        progress(part / 100)
        time.sleep(0.3)
    return read(source, device, progress)

Model.load = staticmethod(slowly)
"""
PLANTED = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
from planted import Planted
from draggan_widget import DragGAN
"""


@pytest.fixture
def show(lab):
    """A function that runs cells in a fresh notebook."""

    def show(*cells, **settings):
        notebook = lab.open(lab.write("choices.ipynb", *cells), **settings)
        notebook.run_all()
        return notebook

    yield show
    lab.close_pages()


def said(editor, pattern):
    editor.page.wait_for_function(
        "([root, words]) => root.querySelector('.dg-sentence').innerText.includes(words)",
        arg=[editor.root.element_handle(), pattern],
        timeout=20_000,
    )


def test_a_class_is_typed_stepped_and_undone_and_a_wrong_one_is_refused(show):
    notebook = show(SMALL, CLASSES)
    editor = notebook.editor()
    field = editor.button("Class")
    expect(field).to_have_value("5")
    first = editor.picture()
    field.fill("281")
    field.press("Enter")
    editor.wait_for_other_picture(first)
    notebook.wait_for_output("print(editor.label, editor.seed)", "281 3")
    for _ in range(3):
        editor.click("Next class")
    editor.click("Previous class")
    notebook.wait_for_output("print(editor.label)", "283")
    field.press("ArrowUp")
    notebook.wait_for_output("print(editor.label)", "284")
    field.fill("1000")
    field.press("Enter")
    said(editor, "from 0 to 999")
    expect(field).to_have_attribute("aria-invalid", "true")
    field.press("Escape")
    expect(field).to_have_value("284")
    for _ in range(6):
        editor.click("Undo")
    notebook.wait_for_output("print(editor.label)", "5")
    expect(field).to_have_value("5")
    editor.wait_for_that_picture(first)


def test_classes_with_names_are_a_list_of_them(show):
    notebook = show(SMALL, NAMED)
    editor = notebook.editor()
    field = editor.root.locator('select[aria-label="Class"]')
    expect(field.locator("option")).to_have_text(["cat · 0", "dog · 1", "horse · 2"])
    field.select_option(label="horse · 2")
    notebook.wait_for_output("print(editor.label)", "2")
    expect(editor.button("Next class")).to_have_attribute("aria-disabled", "true")


def test_where_there_is_no_choice_none_is_shown(show):
    editor = show(SMALL, "editor = DragGAN(small(0)); editor").editor()
    for name in ("Class", "Model", "Next class"):
        expect(editor.root.get_by_label(name, exact=True).locator("visible=true")).to_have_count(0)


def test_a_model_is_chosen_and_one_that_cannot_be_loaded_leaves_everything_as_it_is(show):
    notebook = show(SMALL, MODELS)
    editor = notebook.editor()
    chooser = editor.button("Model")
    expect(chooser.locator("option")).to_have_text(
        ["StyleGAN2", *offered_names(), "broken.pkl", "cats.safetensors", "digits.safetensors"]
    )
    first = editor.picture()
    chooser.select_option("cats.safetensors")
    editor.wait_for_other_picture(first)
    said(editor, "cats is loaded")
    second = editor.wait_for_lossless()
    notebook.wait_for_output("print(editor.model, editor.seed)", "cats.safetensors 3")
    editor.click("Hold")
    editor.pull((20, 20), (30, 20))
    chooser.select_option("broken.pkl")
    said(editor, "broken.pkl was not loaded")
    expect(editor.root).to_have_attribute("data-trouble", "")
    expect(chooser).to_have_value("cats.safetensors")
    assert editor.picture().tobytes() == second.tobytes()
    editor.expect_points(2)
    chooser.select_option("digits.safetensors")
    editor.button("Class").wait_for()
    editor.wait_for_other_picture(second)
    third = editor.wait_for_lossless()
    notebook.wait_for_output("print(editor.model, editor.label, editor.points)", "digits.safetensors 0 []")
    editor.expect_points(0)
    editor.click("Undo")
    said(editor, "Undone: model digits")
    editor.wait_for_that_picture(second)
    expect(chooser).to_have_value("cats.safetensors")
    expect(editor.button("Class")).to_be_hidden()
    editor.expect_points(2)
    editor.click("Redo")
    said(editor, "Redone: model digits")
    editor.wait_for_that_picture(third)
    expect(chooser).to_have_value("digits.safetensors")
    editor.button("Class").wait_for()
    editor.expect_points(0)


def test_a_file_that_has_come_is_listed_when_the_list_is_opened(show):
    notebook = show(SMALL, MODELS)
    editor = notebook.editor()
    notebook.execute("save_generator(folder / 'dogs.safetensors', small(4))")
    editor.button("Model").focus()
    expect(editor.button("Model").locator("option")).to_have_count(5 + len(offered_names()))


def test_by_key_only_the_model_that_is_stayed_at_is_loaded(show):
    notebook = show(SMALL, MODELS)
    editor = notebook.editor()
    notebook.execute(
        "loads = []; import draggan_widget.editing.model as module; real = module.load_generator\n"
        "module.load_generator = lambda source, *rest: loads.append(source) or real(source, *rest)"
    )
    editor.button("Model").focus()
    for _ in range(3 + len(offered_names())):
        editor.page.keyboard.press("ArrowDown")
        editor.page.wait_for_timeout(60)
    notebook.wait_for_output("print(editor.model)", "digits.safetensors")
    assert notebook.execute("print(len(loads))")[0].strip() == "1"


@pytest.mark.parametrize("resolution", [(64, 32), (32, 64), (128, 64)])
@pytest.mark.parametrize("channels", [1, 4])
def test_content_follows_the_pointer_in_pictures_that_are_no_squares(show, resolution, channels):
    height, width = resolution
    made = f"editor = DragGAN(Planted({resolution}, {channels}), truncation=0); editor"
    notebook = show(PLANTED, made, height=560)
    editor = notebook.editor()
    box = editor.place()
    assert box["width"] / box["height"] == pytest.approx(width / height, rel=0.01)
    assert box["height"] <= 0.8 * 560 + 1
    start, end = (width // 2, height // 2), (width // 2 + 5, height // 2 - 4)
    editor.pull(start, end)
    editor.wait_for_status("arrived", "stalled", "capped")
    picture = np.asarray(editor.wait_for_lossless()).sum(axis=2)
    y, x = np.unravel_index(picture.argmax(), picture.shape)
    assert abs(x - end[0]) <= 2.5
    assert abs(y - end[1]) <= 2.5
    # The dot that is shown stands on the content.
    editor.wait_until_drawn()
    dot = editor.button("Point 1 handle").bounding_box()
    middle = dot["x"] + dot["width"] / 2, dot["y"] + dot["height"] / 2
    assert middle == pytest.approx(editor.at((x, y)), abs=1.5 * box["width"] / width + 1)


def test_a_mask_is_painted_where_the_pointer_is_in_a_tall_picture(show):
    notebook = show(PLANTED, "editor = DragGAN(Planted((64, 32)), truncation=0); editor")
    editor = notebook.editor()
    editor.click("Brush")
    editor.pull((6, 50), (26, 50))
    places = "((8, 50), (24, 50), (16, 20))"
    at = f"m = editor.mask; print(None if m is None else [bool(m[y, x] > 0.9) for x, y in {places}])"
    notebook.wait_for_output(at, "[True, True, False]")


def test_what_is_transparent_shows_a_checkerboard_and_is_saved_as_it_is(show):
    notebook = show(PLANTED, "editor = DragGAN(Planted((64, 64), 4), truncation=0); editor")
    editor = notebook.editor()
    expect(editor.root.locator(".dg-stage")).to_have_attribute("data-alpha", "")
    back = "e => getComputedStyle(e.querySelector('.dg-stage')).backgroundImage"
    assert "conic-gradient" in editor.root.evaluate(back)
    corner = "c => c.getContext('2d').getImageData(0, 0, 1, 1).data[3]"
    assert editor.canvas.evaluate(corner) < 20
    with editor.page.expect_download() as download:
        editor.click("Save image")
    saved = Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert (saved.mode, saved.size) == ("RGBA", (64, 64))
    notebook.execute("editor.load_model(Planted((64, 64), 3))")
    editor.page.wait_for_function("!document.querySelector('.dg-stage').hasAttribute('data-alpha')")


def test_while_a_model_loads_slowly_one_pulls_on_and_cancel_leaves_all_as_it_is(show):
    notebook = show(SMALL, MODELS, SLOWLY)
    editor = notebook.editor()
    first = editor.picture()
    editor.button("Model").select_option("cats.safetensors")
    work = editor.root.locator(".dg-job")
    expect(work).to_contain_text("Loading cats.safetensors…")
    expect(work).to_contain_text(re.compile("[1-9] %"))
    editor.pull((20, 20), (30, 20))
    pulled = editor.wait_for_other_picture(first)
    expect(work).to_contain_text("Loading cats.safetensors…")
    expect(editor.button("Model")).to_have_value("cats.safetensors")
    work.get_by_role("button", name="Cancel").click()
    expect(work).to_be_hidden()
    expect(editor.button("Model")).to_have_value("")
    notebook.wait_for_output(
        "editor.stop(); print(editor.model, len(editor.points), editor.step > 0)", "StyleGAN2 1 True"
    )
    assert pulled.tobytes() != first.tobytes()
    assert editor.root.get_attribute("data-trouble") is None
