"""In JupyterLab: points and mask shown, hidden, saved and loaded; undo in words; the pan tool; pens."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from test_editing import MASK, POINTS, pulled, wheel

pytestmark = pytest.mark.browser

VEIL = "canvas[data-layer=mask]"
PAINT = "m = np.zeros((64, 64)); m[20:40, 20:40] = 1; editor.mask = m"


@pytest.fixture
def editor(notebook):
    """With everything shown, however the test before left it."""
    editor = notebook.editor()
    editor.click("Show and hide")
    for name in ("Show points", "Show mask"):
        box(editor, name).check()
    box(editor, "Mask opacity").fill("0.6")
    editor.page.keyboard.press("Escape")
    return editor


def box(editor, name):
    """A control of the card."""
    return editor.root.get_by_role("dialog", name="Points and mask").get_by_label(name, exact=True)


DARKENED = """canvas => {
    if (getComputedStyle(canvas).display === 'none') return [0, false];
    const {data} = canvas.getContext('2d').getImageData(42, 2, 16, 1);
    const opacity = Number(getComputedStyle(canvas).opacity);
    const pixels = Array.from({length: 16}, (_, n) => [...data.slice(4 * n, 4 * n + 4)]);
    return [Math.max(...pixels.map(each => opacity * each[3] / 255)), new Set(pixels.map(([red]) => red)).size > 1];
}"""
"""How much darker the veil makes a white picture where all must stay, 0 … 1, and whether it is striped."""


def expect_darkened(editor, share, *, striped):
    """Waits until the veil is as dark as that, and striped or not."""
    editor.page.wait_for_function(
        f"""([canvas, share, striped]) => {{
            const [dark, stripes] = ({DARKENED})(canvas);
            return Math.abs(dark - share) < 0.01 && stripes === striped;
        }}""",
        arg=[editor.root.locator(VEIL).element_handle(), share, striped],
    )


def test_reset_takes_the_points_away_and_the_same_pull_starts_again(notebook, editor):
    pulled(notebook)
    editor.click("Reset")
    editor.wait_for_exact_step(0)
    expect(editor.button("Point 1 handle")).to_have_count(0)
    editor.pull((30, 30), (44, 30))
    editor.wait_for_step(3)
    assert editor.status == "running"
    editor.expect_points(2)
    editor.click("Stop")
    editor.wait_for_status("stopped")
    for _ in range(2):  # the pull, the reset
        editor.click("Undo")
    expect(editor.button("Point 1 handle")).to_have_count(1)
    notebook.wait_for_output("print(editor.step > 0, len(editor.points))", "True 1")


def test_a_mask_is_a_light_tint_outside_its_tools_in_a_run_and_after_it(notebook, editor):
    notebook.execute(f"import numpy as np; {PAINT}; editor.config = endless")
    expect_darkened(editor, 0.18, striped=False)
    editor.pull((30, 30), (36, 30))
    editor.wait_for_step(3)
    expect_darkened(editor, 0.18, striped=False)
    editor.click("Stop")
    editor.page.keyboard.press("b")
    expect_darkened(editor, 0.6, striped=True)
    editor.click("Show and hide")
    box(editor, "Mask opacity").fill("0.9")
    expect_darkened(editor, 0.9, striped=True)
    box(editor, "Show mask").uncheck()
    expect_darkened(editor, 0, striped=False)
    editor.page.keyboard.press("Escape")
    editor.page.keyboard.press("m")
    expect_darkened(editor, 0.9, striped=True)
    editor.page.keyboard.press("m")
    expect_darkened(editor, 0, striped=False)
    editor.pull((10, 10), (12, 10))  # nobody paints what they do not see
    expect_darkened(editor, 0.9, striped=True)


def test_points_are_hidden_from_eye_and_pointer_and_shown_again_by_the_next_pull(notebook, editor):
    editor.click("Hold")
    editor.pull((20, 20), (30, 20))
    inked = (
        "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(each => each > 0)"
    )
    overlay = editor.root.locator("canvas[data-layer=overlay]")
    editor.page.wait_for_function(inked, arg=overlay.element_handle())
    editor.page.keyboard.press("v")
    editor.page.wait_for_function(f"canvas => !({inked})(canvas)", arg=overlay.element_handle())
    expect(editor.button("Point 1 handle")).to_be_hidden()
    editor.pull((40, 40), (50, 40))
    expect(editor.button("Point 1 handle")).to_be_visible()
    expect(editor.button("Point 2 target")).to_be_visible()
    notebook.wait_for_output(POINTS, "[[20, 20, 30, 20], [40, 40, 50, 40]]")


def test_a_mask_goes_into_a_file_and_comes_back_from_it(notebook, editor):
    notebook.execute(f"import numpy as np; {PAINT}")
    editor.click("Show and hide")
    save = box(editor, "Save mask")
    expect(save).to_have_attribute("aria-disabled", "false")
    with editor.page.expect_download() as download:
        save.click()
    assert download.value.suggested_filename.endswith("-seed3-mask.png")
    data = download.value.path().read_bytes()
    saved = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    assert (saved.shape, saved[30, 30], saved[5, 5]) == ((64, 64), 255, 0)
    notebook.execute("editor.mask = None")

    def load(name, content):
        with editor.page.expect_file_chooser() as chooser:
            box(editor, "Load mask").click()
        chooser.value.set_files({"name": name, "mimeType": "image/png", "buffer": content})

    load("mask.png", data)
    inside_outside = MASK.format("(30, 30), (5, 5)")
    notebook.wait_for_output(inside_outside, "[1.0, 0.0]")
    line = editor.root.locator(".dg-sentence")
    wide = io.BytesIO()
    Image.new("L", (64, 48), 255).save(wide, "PNG")
    load("wide.png", wide.getvalue())
    expect(line).to_contain_text("64 × 48 and the picture 64 × 64, another shape")
    load("words.png", b"no picture")
    expect(line).to_contain_text("no picture that this browser can read")
    black = io.BytesIO()
    Image.new("L", (64, 64)).save(black, "PNG")
    load("black.png", black.getvalue())
    expect(line).to_contain_text("white nowhere")
    notebook.wait_for_output(inside_outside, "[1.0, 0.0]")
    editor.page.keyboard.press("Escape")
    editor.click("Undo")
    notebook.wait_for_output(inside_outside, "None")


def test_undo_and_redo_say_what_they_do_before_and_after(notebook, editor):
    undo, redo = editor.button("Undo"), editor.button("Redo")
    editor.click("Hold")
    editor.pull((20, 20), (30, 20))
    expect(undo).to_have_attribute("title", "Undo: pull of point 1 (Ctrl+Z)")
    editor.pull((30, 20), (34, 24))
    expect(undo).to_have_attribute("title", "Undo: move of target 1 (Ctrl+Z)")
    editor.click("Undo")
    expect(editor.root.locator(".dg-sentence")).to_have_text("Undone: move of target 1.")
    expect(redo).to_have_attribute("title", "Redo: move of target 1 (Ctrl+Shift+Z)")
    editor.page.keyboard.press("b")
    editor.pull((40, 40), (50, 40))
    expect(undo).to_have_attribute("title", "Undo: mask (Ctrl+Z)")
    expect(editor.root.locator(".dg-sentence")).not_to_contain_text("Undone")


def test_the_pan_tool_moves_a_picture_that_is_near_and_pulls_no_point(notebook, editor):
    for _ in range(5):
        wheel(editor, (32, 32), -200, held="Control")
    editor.click("Pan")
    here = editor.at((32, 32))
    editor.page.mouse.move(*here)
    editor.page.mouse.down()
    editor.page.mouse.move(here[0] + 40, here[1] + 15, steps=4)
    editor.page.mouse.up()
    assert editor.at((32, 32)) == pytest.approx((here[0] + 40, here[1] + 15), abs=1)
    editor.expect_points(0)
    editor.page.keyboard.press("0")
    expect(editor.button("Pan")).to_have_attribute("aria-pressed", "true")  # what is in the hand is seen
    editor.page.keyboard.press("g")
    editor.page.keyboard.press("p")
    expect(editor.button("Pan")).to_be_hidden()


def test_a_pen_leaves_no_blot_where_it_is_lifted_and_its_other_end_rubs_out(notebook, editor):
    editor.click("Brush")
    pen = editor.page.context.new_cdp_session(editor.page)
    for kind, x, force in (("mousePressed", 20, 0.1), ("mouseMoved", 40, 0.1), ("mouseReleased", 40, 0)):
        left, top = editor.at((x, 32))
        about = {"type": kind, "x": left, "y": top, "button": "left", "clickCount": 1, "pointerType": "pen"}
        pen.send("Input.dispatchMouseEvent", {**about, "buttons": 1, "force": force})
    high = "m = editor.mask; print(m is not None and [int((m[:, x] > 0.5).sum()) for x in (30, 40)])"
    notebook.wait_for_output("m = editor.mask; print(m is not None)", "True")
    middle, end = eval(notebook.execute(high)[0])
    assert 0 < end <= middle + 1
    left, top = editor.at((30, 32))
    editor.root.locator(".dg-stage").evaluate(
        """(stage, [clientX, clientY]) => {
            const about = {clientX, clientY, pointerType: 'pen', pointerId: 7, button: 5, pressure: 1, bubbles: true};
            stage.dispatchEvent(new PointerEvent('pointerdown', {...about, buttons: 32}));
            stage.dispatchEvent(new PointerEvent('pointerup', {...about, buttons: 0}));
        }""",
        [left, top],
    )
    notebook.wait_for_output("m = editor.mask; print(m is not None and float(m[32, 30]))", "0.0")
