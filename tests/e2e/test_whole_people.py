"""The built-in figures in a page: a picture of 1:2 is laid out whole, pulled, and changed; a photograph is placed."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from test_attributes_drawer import SLOW, slide, slider
from test_photographs import choose

pytestmark = pytest.mark.browser

SHOW = """
from draggan_widget import Editor
from draggan_widget.inversion import Inversion

editor = Editor("figures", seed=6, models=".")
editor.inversion = Inversion(pivot_steps=2, tuning_steps=2)
editor
"""
WIDTHS = ("", "560px", "320px")
"""Of the editor: as wide as there is room, and as narrow as on a telephone."""


@pytest.fixture(scope="module")
def opened(lab):
    notebook = lab.open(lab.write("figures.ipynb", SHOW), height=1300)
    notebook.run_all()
    notebook.editor()
    yield notebook
    lab.close_pages()


@pytest.fixture
def editor(opened):
    editor = opened.editor()
    editor.wait_for_picture()
    return editor


@pytest.mark.parametrize("width", WIDTHS)
def test_the_whole_picture_is_seen_twice_as_high_as_wide(opened, editor, width):
    editor.root.evaluate("(root, width) => { root.style.width = width; }", width)
    try:
        editor.wait_until_drawn()  # the observers of sizes speak before
        box, room = editor.place(), editor.root.bounding_box()
        assert editor.canvas.evaluate("canvas => [canvas.width, canvas.height]") == [128, 256]
        assert box["height"] == pytest.approx(2 * box["width"], rel=0.02)
        assert box["width"] >= 100
        assert box["height"] <= opened.page.viewport_size["height"]
        assert room["x"] - 1 <= box["x"]
        assert box["x"] + box["width"] <= room["x"] + room["width"] + 1
    finally:
        editor.root.evaluate("root => { root.style.width = ''; }")


def test_it_is_in_the_list_of_models_and_a_place_is_pulled_where_it_is_pressed(opened, editor):
    expect(editor.button("Model").locator("option").get_by_text("figures", exact=True)).to_have_count(1)
    before = editor.picture()
    editor.pull((84, 110), (84, 98))
    editor.wait_for_status("arrived", "near", "stalled")
    editor.wait_for_other_picture(before)
    opened.wait_for_output("print([round(x) for x in editor.points[0]['target']])", "[84, 98]")
    editor.click("Undo")


def test_what_is_offered_moves_the_picture_by_a_slider(opened, editor):
    said, _ = opened.execute("print([each.label for each in editor.attributes.listed() if each.offered][0])", 60)
    editor.click("Attributes")
    drawer = editor.root.get_by_role("group", name="Attributes", exact=True)
    first = slider(drawer, said.strip())
    expect(first).to_be_visible(timeout=SLOW)
    before = editor.wait_for_lossless()
    slide(editor, first, 0.5, to=0.8)
    editor.wait_for_other_picture(before)
    editor.mouse.up()
    editor.click("Undo")
    editor.click("Attributes")


def test_a_photograph_is_placed_by_hand_in_a_frame_of_its_own_shape(editor):
    noise = np.random.RandomState(0).randint(0, 256, (30, 24, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((240, 300), Image.Resampling.BICUBIC).save(file, "PNG")
    choose(editor, "me.png", file.getvalue())
    placer = editor.root.get_by_role("dialog", name="Place the square")
    expect(placer).to_be_visible(timeout=SLOW)
    frame = placer.locator(".dg-square").bounding_box()
    assert frame["height"] == pytest.approx(2 * frame["width"], rel=0.05)
    assert placer.locator(".dg-face").count() == 0
    editor.click("Use this square")
    expect(editor.root.locator(".dg-about")).to_contain_text("me · ", timeout=SLOW)
    expect(editor.root.locator(".dg-job")).to_be_hidden(timeout=SLOW)
    assert editor.canvas.evaluate("canvas => [canvas.width, canvas.height]") == [128, 256]
