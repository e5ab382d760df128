"""A diffusion model in a real page: its prompt said, undone, refused; a picture that it learns, and one cancelled."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from host import SHOW
from PIL import Image
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SLOW = 60_000
"""Milliseconds that the slowest machine of the checks is given for an answer."""
DIFFUSION = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
from random_diffusion import small_pixels
from draggan_widget.models.diffusion import Identity
editor.load_model(small_pixels())
editor.identity = Identity(steps=4, rank=2)
"""
PROMPT = "print(editor.prompt)"


@pytest.fixture(scope="module")
def notebook(lab):
    pytest.importorskip("diffusers")
    notebook = lab.open(lab.write("prompt.ipynb", SHOW), height=1300)
    notebook.run_all()
    notebook.editor()
    notebook.execute(DIFFUSION, timeout=120)
    yield notebook
    lab.close_pages()


@pytest.fixture
def drawer(notebook):
    editor = notebook.editor()
    if editor.button("Attributes").get_attribute("aria-pressed") != "true":
        editor.click("Attributes")
    drawer = editor.root.get_by_role("group", name="Attributes", exact=True)
    expect(drawer.get_by_label("Prompt", exact=True)).to_be_visible(timeout=SLOW)
    return drawer


def photo(notebook):
    """Opens a photograph of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (60, 40), (200, 30, 90)).save(file, "PNG")
    editor = notebook.editor()
    with editor.page.expect_file_chooser() as chooser:
        editor.click("Open photo")
    chooser.value.set_files({"name": "me.png", "mimeType": "image/png", "buffer": file.getvalue()})


def test_the_prompt_is_said_in_words_and_undone(notebook, drawer):
    editor, field = notebook.editor(), drawer.get_by_label("Prompt", exact=True)
    expect(field).to_have_value("young smiling", timeout=SLOW)
    for label in ("Say what should change", "Search attributes", "Teach your own"):  # of attributes, which it has not
        expect(drawer.get_by_label(label)).to_be_hidden()
    before = editor.wait_for_lossless()
    words = drawer.get_by_role("group", name="Words of the prompt")
    expect(words.get_by_role("button", name="smiling", exact=True)).to_have_attribute("aria-pressed", "true")
    words.get_by_role("button", name="smiling", exact=True).click()
    words.get_by_role("button", name="beard", exact=True).click()
    expect(field).to_have_value("young beard")
    drawer.get_by_role("button", name="Make", exact=True).click()
    editor.wait_for_other_picture(before)
    notebook.wait_for_output(PROMPT, "young beard")
    expect(editor.button("Undo")).to_have_attribute("title", re.compile("prompt 'young beard'"), timeout=SLOW)
    editor.click("Undo")
    notebook.wait_for_output(PROMPT, "young smiling")
    expect(field).to_have_value("young smiling", timeout=SLOW)


def test_a_word_that_the_model_does_not_know_is_named_and_escape_leads_back(notebook, drawer):
    field = drawer.get_by_label("Prompt", exact=True)
    field.fill("old dragon")
    notebook.editor().page.keyboard.press("Enter")
    expect(drawer.get_by_role("status")).to_contain_text("does not know the word 'dragon'", timeout=SLOW)
    notebook.wait_for_output(PROMPT, "young smiling")
    field.focus()
    notebook.editor().page.keyboard.press("Escape")
    expect(field).to_have_value("young smiling")


def test_a_photograph_is_learnt_and_pulled_and_learning_is_cancelled(notebook, drawer):
    editor = notebook.editor()
    photo(notebook)
    expect(drawer.get_by_text("The model has learnt the picture that was opened.")).to_be_visible(timeout=SLOW)
    expect(editor.root.locator(".dg-sentence")).to_contain_text("The picture is learnt")
    editor.pull((4, 8), (10, 8))
    editor.wait_for_status("arrived", "stalled", "capped", "near")
    notebook.execute("editor.identity = Identity(steps=10000, rank=2)")
    photo(notebook)
    line = editor.root.locator(".dg-job")
    expect(line).to_contain_text("Learning me.png", timeout=SLOW)
    line.get_by_role("button", name="Cancel").click()
    expect(line).to_be_hidden(timeout=SLOW)
    expect(drawer.get_by_text("The model has learnt the picture that was opened.")).to_be_visible()
