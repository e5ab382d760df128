"""The widget in JupyterLab, with the mouse and keyboard of a person. The pictures are a small random network's."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re

import pytest
from host import BUSY, SHOW
from PIL import Image
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

TARGET = "print([round(x) for x in editor.points[0]['target']] if editor.points else None)"


@pytest.fixture
def notebook(lab):
    notebook = lab.open(lab.write("widget.ipynb", SHOW))
    notebook.run_all()
    yield notebook
    lab.close_pages()


def endless(notebook):
    """Runs no longer end by themselves."""
    notebook.execute("editor.config = endless")


def test_pull_stop_start_undo_redo_reset_with_the_mouse(notebook):
    editor = notebook.editor()
    first = editor.picture()
    endless(notebook)
    editor.pull((30, 30), (40, 30))
    editor.wait_for_step(5)
    assert editor.status == "running"
    editor.click("Stop")
    editor.wait_for_status("stopped")
    expect(editor.said).to_contain_text("Stopped after")
    editor.expect_points(2)
    editor.wait_for_other_picture(first)
    stopped_at = editor.step
    editor.click("Start")
    editor.wait_for_step(stopped_at + 3)
    editor.click("Stop")
    editor.wait_for_status("stopped")
    editor.click("Undo")
    editor.wait_for_exact_step(stopped_at)
    editor.click("Undo")
    editor.wait_for_exact_step(0)
    editor.expect_points(0)
    editor.wait_for_that_picture(first)
    editor.click("Redo")
    editor.wait_for_exact_step(stopped_at)
    editor.click("Reset")
    editor.wait_for_status("idle")
    expect(editor.button("Point 1 handle")).to_have_count(0)
    editor.click("Undo")
    editor.wait_for_exact_step(stopped_at)
    editor.expect_points(2)


def test_the_settled_picture_is_the_kernels_to_the_bit(notebook):
    editor = notebook.editor()
    editor.pull((30, 30), (34, 30))
    editor.wait_for_status("arrived", "stalled", "capped")
    picture = editor.wait_for_lossless()
    digest = "import hashlib; print(hashlib.md5(editor.image.tobytes()).hexdigest())"
    assert notebook.execute(digest)[0].strip() == hashlib.md5(picture.tobytes()).hexdigest()


def test_with_hold_points_are_set_first_and_start_runs_them(notebook):
    editor = notebook.editor()
    editor.click("Hold")
    editor.pull((20, 20), (24, 20))
    editor.pull((40, 40), (44, 40))
    editor.expect_points(4)
    assert (editor.status, editor.step) == ("idle", 0)
    endless(notebook)
    editor.click("Start")
    editor.wait_for_step(2)
    editor.click("Stop")
    editor.wait_for_status("stopped")


def test_a_target_is_dragged_elsewhere_and_a_point_deleted(notebook):
    editor = notebook.editor()
    editor.click("Hold")
    editor.pull((20, 20), (40, 20))
    editor.pull((40, 20), (40, 50))
    editor.expect_points(2)
    notebook.wait_for_output(TARGET, "[40, 50]")
    editor.button("Point 1 handle").focus()
    editor.page.keyboard.press("Delete")
    editor.page.wait_for_function("!document.querySelector('[aria-label=\"Point 1 handle\"]')")
    notebook.wait_for_output("print(editor.points)", "[]")


def test_everything_by_keyboard_moves_and_runs_and_keys_stay_in_the_widget(notebook):
    editor = notebook.editor()
    editor.click("Hold")
    editor.pull((20, 20), (30, 20))
    editor.button("Point 1 target").focus()
    for key in ("ArrowDown", "ArrowDown", "Shift+ArrowRight"):
        editor.page.keyboard.press(key)
    notebook.wait_for_output(TARGET, "[40, 22]")
    assert editor.status == "idle"
    cells = "jupyterapp.shell.currentWidget.content.widgets.length"
    before = editor.page.evaluate(cells)
    endless(notebook)
    editor.page.keyboard.press("Space")
    editor.wait_for_step(2)
    editor.page.keyboard.press("Space")
    editor.wait_for_status("stopped")
    editor.page.keyboard.press("b")  # would add a cell below, were it to reach the notebook
    assert editor.page.evaluate(cells) == before
    editor.page.keyboard.press("Control+z")
    editor.wait_for_exact_step(0)


def test_a_brushed_mask_reaches_the_kernel_and_clearing_it_too(notebook):
    editor = notebook.editor()
    editor.click("Brush")
    editor.pull((20, 20), (40, 20))
    at = "m = editor.mask; print(None if m is None else [bool(m[20, x] > 0.9) for x in (22, 38, 60)])"
    notebook.wait_for_output(at, "[True, True, False]")
    editor.click("Eraser")
    editor.pull((38, 20), (44, 20))
    notebook.wait_for_output(at, "[True, False, False]")
    editor.click("Undo")
    notebook.wait_for_output(at, "[True, True, False]")
    editor.click("Undo")
    notebook.wait_for_output(at, "None")


def test_a_new_image_by_button_and_by_seed(notebook):
    editor = notebook.editor()
    first = editor.picture()
    editor.click("New image")
    editor.wait_for_other_picture(first)
    editor.button("Seed").fill("3")
    editor.button("Seed").press("Enter")
    editor.wait_for_that_picture(first)
    notebook.wait_for_output("print(editor.seed)", "3")


def test_python_and_page_see_the_same_edit(notebook):
    editor = notebook.editor()
    notebook.execute("editor.points = [{'handle': [20, 20], 'target': [26, 20]}]")
    editor.button("Point 1 target").wait_for(state="attached")
    notebook.execute("editor.start()")
    status = editor.wait_for_status("arrived", "stalled", "capped")
    notebook.wait_for_output("print(editor.status)", status)
    said = notebook.execute("r = await editor.finished(); print(r.reason, r.steps == editor.step)")[0].strip()
    assert said == f"{status} True"


def test_bad_input_in_a_cell_is_an_error_there_and_one_in_the_page_a_line_in_the_status(notebook):
    editor = notebook.editor()
    said = notebook.execute("editor.points = [{'handle': [200, 20], 'target': [26, 20]}]")[0]
    assert "TraitError: the handle of point 1 is outside the picture" in said
    expect(editor.button("Start")).to_have_attribute("aria-disabled", "true")  # there is nothing to pull
    editor.button("Seed").fill("99999999999")
    editor.button("Seed").press("Enter")
    editor.page.wait_for_function("/4294967295/.test(document.querySelector('.draggan-widget [aria-live]').innerText)")
    assert editor.status == "idle"
    assert notebook.execute("print(editor.seed)")[0].strip() == "3"


def test_an_exception_in_the_worker_is_seen_in_the_page_and_by_finished(notebook):
    editor = notebook.editor()
    notebook.execute("from draggan_widget.engines.draggan import engine; engine.stride = None")
    editor.pull((30, 30), (40, 30))
    editor.wait_for_status("error")
    expect(editor.said).to_contain_text("failed")
    assert "TypeError: 'NoneType' object is not callable" in notebook.execute("await editor.finished()")[0]


def test_other_cells_answer_at_once_during_a_run_and_stop_is_quick(notebook, stops):
    editor = notebook.editor()
    endless(notebook)
    editor.pull((30, 30), (40, 30))
    editor.wait_for_step(3)
    said, seconds = notebook.execute("print(6 * 7)")
    assert said.strip() == "42"
    assert seconds < 1
    assert editor.status == "running"
    stops.add("JupyterLab", editor)


@pytest.mark.parametrize("how", BUSY)
def test_the_picture_follows_and_stop_works_while_a_cell_is_busy(notebook, stops, how):
    editor = notebook.editor()
    endless(notebook)
    editor.pull((30, 30), (40, 30))
    editor.wait_for_step(3)
    notebook.occupy(BUSY[how])
    before = editor.step
    editor.wait_for_step(before + 3)
    assert not editor.page.evaluate("window.cellDone")
    stops.add(f"JupyterLab while a cell {how}", editor, busy=True)
    assert notebook.wait_for_cell() == "stopped"


def test_a_reopened_page_gets_the_edit_back(notebook, lab):
    editor = notebook.editor()
    endless(notebook)
    editor.pull((30, 30), (40, 30))
    editor.wait_for_step(3)
    editor.click("Stop")
    editor.wait_for_status("stopped")
    picture, step = editor.wait_for_lossless(), editor.step
    editor.page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    editor.page.evaluate(
        """async () => {
            const panel = jupyterapp.shell.currentWidget;
            panel.close();
            await jupyterapp.commands.execute('docmanager:open', {path: 'widget.ipynb'});
        }"""
    )
    editor.page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel")
    notebook.wait_for_output("print(editor.step)", str(step))
    editor.page.evaluate(
        """() => {
            const panel = jupyterapp.shell.currentWidget;
            panel.content.activeCell.model.sharedModel.setSource('editor');
            return jupyterapp.commands.execute('notebook:run-cell');
        }"""
    )
    again = notebook.editor()
    again.wait_for_exact_step(step)
    assert again.wait_for_lossless().tobytes() == picture.tobytes()


def test_the_saved_picture_is_the_kernels_png(notebook):
    editor = notebook.editor()
    with editor.page.expect_download() as download:
        editor.click("Save image")
    assert download.value.suggested_filename.endswith("-seed3-step0.png")
    saved = Image.open(download.value.path())
    assert (saved.format, saved.size) == ("PNG", (64, 64))
    assert saved.convert("RGB").tobytes() == editor.picture().tobytes()


def test_the_overlay_is_drawn_in_device_pixels_and_never_into_the_picture(lab):
    notebook = lab.open(lab.write("sharp.ipynb", SHOW), scale=2)
    notebook.run_all()
    editor = notebook.editor()
    before = editor.picture()
    editor.click("Hold")
    editor.pull((20, 20), (40, 40))
    editor.wait_until_drawn()
    overlay = editor.root.locator('canvas[data-layer="overlay"]')
    assert overlay.evaluate("c => c.width / c.getBoundingClientRect().width") == pytest.approx(2, rel=0.02)
    drawn = "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].some(value => value > 0)"
    editor.page.wait_for_function(f"c => ({drawn})(c)", arg=overlay.element_handle())
    assert editor.picture().tobytes() == before.tobytes()
    lab.close_pages()


def test_it_takes_the_colours_of_the_light_and_the_dark_theme(notebook):
    editor = notebook.editor()
    style = "e => { const s = getComputedStyle(e); return [s.backgroundColor, s.color]; }"

    def lightness(colour):
        return sum(float(part) for part in re.findall(r"[\d.]+", colour)[:3]) / 3

    for theme, is_dark in (("JupyterLab Light", False), ("JupyterLab Dark", True)):
        notebook.set_theme(theme)
        back, text = editor.root.evaluate(style)
        assert (lightness(back) < lightness(text)) == is_dark
        assert abs(lightness(back) - lightness(text)) > 100
    notebook.set_theme("JupyterLab Light")


def test_two_views_of_one_editor_show_the_same(lab):
    notebook = lab.open(lab.write("two.ipynb", SHOW, "editor"))
    notebook.run_all()
    one, two = notebook.editor(0), notebook.editor(1)
    one.click("Hold")
    one.pull((30, 30), (34, 30))
    two.button("Point 1 target").wait_for(state="attached")
    two.click("Start")
    status = one.wait_for_status("arrived", "stalled", "capped")
    two.wait_for_status(status)
    assert one.wait_for_lossless().tobytes() == two.wait_for_lossless().tobytes()
    lab.close_pages()


RESTART = """root => new Promise(resolve => {
    const {kernel} = jupyterapp.shell.currentWidget.sessionContext.session;
    const sentence = root.querySelector('.dg-sentence');
    let lastStep = performance.now();
    new MutationObserver(() => {
        if (/does not answer|Disconnected/.test(sentence.textContent)) resolve(performance.now() - lastStep);
        else lastStep = performance.now();
    }).observe(root, {subtree: true, childList: true, characterData: true, attributes: true});
    window.restarted = kernel.restart();
})"""
"""Restarts the kernel; the milliseconds from the last thing that moved to the word that it does not answer."""


def test_a_restarted_kernel_is_noticed(notebook):
    editor = notebook.editor()
    notebook.execute("editor.config = endless")
    editor.pull((30, 30), (44, 30))
    editor.wait_for_step(3)
    assert editor.root.evaluate(RESTART) < 2000
    editor.page.evaluate("window.restarted")
    editor.wait_for_status("disconnected", timeout=30)
    expect(editor.said).to_contain_text("run the cell again", ignore_case=True)
    with editor.page.expect_download() as download:
        editor.root.get_by_role("button", name="Save picture").click()
    assert Image.open(download.value.path()).size == (64, 64)


@pytest.mark.parametrize("classic", [False, True], ids=["JupyterLab", "Notebook 7"])
def test_a_notebook_of_somebody_else_shows_the_picture_without_its_kernel(lab, classic):
    notebook = lab.open(lab.write("kept.ipynb", SHOW))
    notebook.run_all()
    notebook.editor()
    notebook.page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    lab.close_pages()
    saved = json.loads((lab.folder / "kept.ipynb").read_text())
    # What was changed outside is not trusted here, as what comes from others.
    saved["metadata"] = {"kernelspec": {"name": "elsewhere", "language": "elsewhere", "display_name": "Elsewhere"}}
    (lab.folder / "kept.ipynb").write_text(json.dumps(saved))
    page = lab.open_without_kernel("kept.ipynb", classic=classic)
    picture = page.locator(".jp-OutputArea img")
    picture.wait_for(timeout=30_000)
    assert picture.evaluate("img => img.decode().then(() => img.naturalWidth)") == 512
    seen = Image.open(io.BytesIO(picture.screenshot())).convert("RGB").resize((16, 16))
    kept = base64.b64decode(saved["cells"][0]["outputs"][0]["data"]["image/jpeg"])
    expected = Image.open(io.BytesIO(kept)).convert("RGB").resize((16, 16))
    assert len(expected.getcolors(256)) > 50
    assert max(abs(a - b) for a, b in zip(seen.tobytes(), expected.tobytes(), strict=True)) < 20
    lab.close_pages()
