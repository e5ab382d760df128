"""A person's own photograph in a real page: opened, placed, pulled while it is tuned, ended, saved; cancelled; lost."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from host import SHOW
from PIL import Image
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

LONG = """

from draggan_widget.inversion import Inversion
editor.inversion = Inversion(pivot_steps=4, tuning_steps=10_000, enough=100)
editor.config = endless
"""

UNDONE = "print(len(editor._session._live.undo.past))"
COPIES = """
import gc
gc.collect()
print(sum(isinstance(each, type(editor.generator)) for each in gc.get_objects()), "models")
"""


@pytest.fixture(scope="module")
def photo():
    """A photograph of 180 × 160 px, soft noise; its pixels and its bytes as a file."""
    noise = np.random.RandomState(0).randint(0, 256, (20, 22, 3)).astype(np.uint8)
    picture, file = Image.fromarray(noise).resize((180, 160), Image.Resampling.BICUBIC), io.BytesIO()
    picture.save(file, "PNG")
    return np.asarray(picture), file.getvalue()


@pytest.fixture(scope="module")
def opened(lab):
    notebook = lab.open(lab.write("photos.ipynb", SHOW, LONG), height=1300)
    notebook.run_all()
    notebook.editor()
    yield notebook
    lab.close_pages()


def choose(editor, name, data):
    with editor.page.expect_file_chooser() as chooser:
        editor.click("Open photo")
    chooser.value.set_files({"name": name, "mimeType": "image/png", "buffer": data})


def give(editor, kind, **data):
    """Drop on the picture, or paste there, what a person would: a file of bytes, or text."""
    editor.root.evaluate(
        """(root, [kind, {name, bytes, text}]) => {
            const data = new DataTransfer();
            if (bytes) data.items.add(new File([new Uint8Array(bytes)], name, {type: 'image/png'}));
            if (text) data.setData('text/plain', text);
            const target = root.querySelector('.dg-stage');
            const init = {bubbles: true, cancelable: true};
            target.dispatchEvent(kind === 'paste' ? new ClipboardEvent('paste', {...init, clipboardData: data})
                : new DragEvent('drop', {...init, dataTransfer: data}));
        }""",
        [kind, data],
    )


def undo_photographs(opened, editor):
    """Until the edit is of the model's own picture, and the page says so. Each press is answered before the next."""
    while opened.execute("print(editor.photo is None)")[0].strip() != "True":
        left = int(opened.execute(UNDONE)[0])
        editor.click("Undo")
        opened.wait_for_output(UNDONE, str(left - 1))
    expect(editor.root.locator(".dg-about")).to_have_text(re.compile("^StyleGAN2"))


def test_a_photograph_is_opened_placed_pulled_while_it_is_tuned_ended_and_saved(opened, photo):
    editor, (pixels, data) = opened.editor(), photo
    placer, job = editor.root.get_by_role("dialog", name="Place the square"), editor.root.locator(".dg-job")
    choose(editor, "me.png", data)
    expect(placer).to_be_visible(timeout=30_000)
    expect(placer).to_contain_text("nowhere else")
    square = placer.locator(".dg-square").bounding_box()
    for name, presses in (("Size", 3), ("Across", 2)):
        editor.button(name).focus()
        for _ in range(presses):
            editor.page.keyboard.press("PageDown")
    editor.wait_until_drawn()
    assert placer.locator(".dg-square").bounding_box()["width"] < 0.9 * square["width"]
    editor.click("Use this square")
    expect(placer).to_be_hidden()
    expect(job).to_contain_text("Tuning me.png", timeout=30_000)
    editor.wait_for_picture()
    before = editor.picture()
    editor.pull((20, 20), (40, 24), release=False)
    editor.wait_for_step(3)
    expect(job).to_contain_text("waits while you pull")
    editor.mouse.up()
    editor.stop()
    editor.wait_for_other_picture(before)
    expect(job).not_to_contain_text("waits")
    editor.click("Good enough")
    expect(job).to_be_hidden(timeout=30_000)
    editor.expect_points(2)
    expect(editor.button("Save image")).to_have_attribute(
        "title", "Save the photograph, in full size, with the edit in it"
    )
    with editor.page.expect_download() as download:
        editor.click("Save image")
    assert download.value.suggested_filename == "me-edited.png"
    saved = np.asarray(Image.open(download.value.path()).convert("RGB"))
    changed = (saved != pixels).any(axis=2)
    assert saved.shape == pixels.shape
    assert changed.any()
    assert not changed[:4].any()
    undo_photographs(opened, editor)


def test_cancel_leads_back_and_nothing_is_fetched_or_too_large(opened, photo):
    editor, (_, data) = opened.editor(), photo
    line, job = editor.root.locator(".dg-sentence"), editor.root.locator(".dg-job")
    opened.wait_for_kernels_picture(editor)
    before = editor.picture()
    give(editor, "drop", text="https://example.org/me.jpg")
    expect(line).to_contain_text("Nothing is fetched")
    give(editor, "paste", text="https://example.org/me.jpg")
    expect(line).to_contain_text("Nothing is fetched")
    give(editor, "drop", name="notes.txt", bytes=list(b"no picture"))
    expect(line).to_contain_text("notes.txt was not opened", timeout=20_000)
    give(editor, "paste", name="me.png", bytes=list(data))
    editor.button("Use this square").click(timeout=30_000)
    expect(job).to_contain_text("Tuning me.png", timeout=30_000)
    job.get_by_label("Cancel").click()
    expect(job).to_be_hidden(timeout=30_000)
    editor.wait_for_that_picture(before)  # it follows the line


def test_of_two_photographs_one_after_the_other_one_copy_of_the_weights_is_left(opened, photo):
    editor, (_, data) = opened.editor(), photo
    job, about = editor.root.locator(".dg-job"), editor.root.locator(".dg-about")
    opened.execute("usual, editor.inversion = editor.inversion, Inversion(pivot_steps=2, tuning_steps=2)")
    for name in ("one.png", "two.png"):
        choose(editor, name, data)
        editor.button("Use this square").click(timeout=30_000)
        expect(about).to_contain_text(f"{name.removesuffix('.png')} · ", timeout=60_000)
        expect(job).to_be_hidden(timeout=60_000)
    opened.wait_for_output(COPIES, "2 models", timeout=60)  # as it came, and tuned for the second photograph
    opened.execute("editor.inversion = usual")
    undo_photographs(opened, editor)


def test_a_kernel_that_is_started_again_in_the_midst_of_it_is_noticed(opened, photo):
    editor, (_, data) = opened.editor(), photo
    choose(editor, "me.png", data)
    editor.button("Use this square").click(timeout=30_000)
    expect(editor.root.locator(".dg-job")).to_contain_text("Tuning me.png", timeout=30_000)
    opened.page.evaluate("jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    editor.expect_status("disconnected")
    expect(editor.root.locator(".dg-job")).to_be_hidden()
