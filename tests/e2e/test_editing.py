"""The editor's parts in JupyterLab, by pointer and by keyboard: one notebook for all of them, a fresh edit for each."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path

import pytest
from host import PLACES
from PIL import Image
from playwright.sync_api import expect
from test_lab import TARGET

from draggan_widget.engines import engine_named, engine_names

pytestmark = pytest.mark.browser

POINTS = "print([[round(x) for part in ('handle', 'target') for x in p[part]] for p in editor.points])"
MASK = "m = editor.mask; print(None if m is None else [round(float(m[y, x]), 1) for x, y in ({})])"


def pulled(notebook, steps=6):
    """The editor after a run of so many steps at least, stopped."""
    editor = notebook.editor()
    notebook.execute("editor.config = endless")
    editor.pull((30, 30), (44, 30))
    editor.wait_for_step(steps)
    editor.click("Stop")
    editor.wait_for_status("stopped")
    return editor


def wheel(editor, at, delta, *, held=None):
    editor.page.mouse.move(*editor.at(at))
    if held:
        editor.page.keyboard.down(held)
    editor.page.mouse.wheel(0, delta)
    if held:
        editor.page.keyboard.up(held)


def expect_zoom(editor, pattern):
    expect(editor.root.locator(".dg-zoom-value")).to_have_text(pattern)


def test_points_are_exact_at_any_zoom_and_the_picture_is_moved_by_wheel_and_space(notebook):
    editor = notebook.editor()
    editor.click("Hold")
    for _ in range(5):
        wheel(editor, (20, 40), -200, held="Control")
    editor.page.wait_for_function("document.querySelector('.dg-zoom-value').value !== '100 %'")
    editor.pull((22, 41), (27, 38))
    notebook.wait_for_output(POINTS, "[[22, 41, 27, 38]]")
    before = editor.at((20, 40))
    wheel(editor, (20, 40), 60)
    editor.page.wait_for_function(
        "top => document.querySelector('canvas[data-layer=image]').getBoundingClientRect().top !== top", arg=before[1]
    )
    editor.page.keyboard.down("Space")
    here = editor.at((24, 44))
    editor.page.mouse.move(*here)
    editor.page.mouse.down()
    editor.page.mouse.move(here[0] + 40, here[1] + 15, steps=4)
    editor.page.mouse.up()
    editor.page.keyboard.up("Space")
    assert editor.at((24, 44)) == pytest.approx((here[0] + 40, here[1] + 15), abs=1)
    assert editor.status == "idle"  # Space held the picture, and started nothing
    notebook.wait_for_output(POINTS, "[[22, 41, 27, 38]]")
    editor.page.keyboard.press("0")
    box, stage = editor.canvas.bounding_box(), editor.root.locator(".dg-stage").bounding_box()
    assert box["width"] == pytest.approx(stage["width"], abs=1)


@pytest.fixture
def touch(notebook):
    """Fingers on the page: the kind of touch, and where each of them is."""
    page = notebook.page
    fingers = page.context.new_cdp_session(page)

    def touch(kind, *places):
        points = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(places)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    return touch


def test_one_finger_pulls_a_point(notebook, touch):
    editor = notebook.editor()
    editor.click("Hold")
    touch("touchStart", editor.at((20, 20)))
    for x in (24, 28, 32):
        touch("touchMove", editor.at((x, 24)))
    touch("touchEnd")
    notebook.wait_for_output(POINTS, "[[20, 20, 32, 24]]")


def test_a_pen_paints_thinner_where_it_is_pressed_less(notebook):
    editor = notebook.editor()
    editor.click("Brush")
    pen = editor.page.context.new_cdp_session(editor.page)
    for row, force in ((16, 0.05), (48, 1.0)):
        for kind, x in (("mousePressed", 20), ("mouseMoved", 30), ("mouseMoved", 40), ("mouseReleased", 40)):
            left, top = editor.at((x, row))
            about = {"type": kind, "x": left, "y": top, "button": "left", "clickCount": 1, "pointerType": "pen"}
            pen.send("Input.dispatchMouseEvent", {**about, "buttons": 1, "force": force})
    high = "m = editor.mask; thin, thick = (0, 0) if m is None else [(m[a : a + 32, 30] > 0.5).sum() for a in (0, 32)]"
    notebook.wait_for_output(f"{high}; print(0 < thin < thick / 2)", "True")


def test_two_fingers_zoom_and_pull_nothing(notebook, touch):
    editor = notebook.editor()
    x, y = editor.at((32, 32))
    touch("touchStart", (x - 40, y))
    touch("touchStart", (x - 40, y), (x + 40, y))
    for spread in (50, 60, 70, 80):
        touch("touchMove", (x - spread, y), (x + spread, y))
    touch("touchEnd")
    expect_zoom(editor, "200 %")
    editor.expect_points(0)
    assert notebook.execute(POINTS)[0].strip() == "[]"


def test_a_drag_that_ends_outside_of_the_page_is_over_and_escape_takes_one_back(notebook):
    editor = notebook.editor()
    editor.click("Hold")
    editor.pull((30, 30), (40, 30), release=False)
    editor.page.mouse.move(-40, -60)
    editor.page.mouse.up()
    notebook.wait_for_output(POINTS, "[[30, 30, 0, 0]]")
    editor.page.mouse.move(*editor.at((50, 50)), steps=4)
    notebook.wait_for_output(POINTS, "[[30, 30, 0, 0]]")
    editor.pull((50, 50), (60, 50), release=False)
    editor.page.keyboard.press("Escape")
    editor.page.mouse.up()
    notebook.wait_for_output(POINTS, "[[30, 30, 0, 0]]")


def test_rectangle_lasso_invert_and_clear_do_what_the_words_say_and_are_undone(notebook):
    editor = notebook.editor()
    inside_outside = MASK.format("(20, 20), (50, 50)")
    editor.click("Rectangle")
    words = editor.root.locator(".dg-mask")
    expect(words).to_contain_text("Painted may move; with nothing painted everything may move.")
    editor.pull((10, 10), (30, 30))
    notebook.wait_for_output(inside_outside, "[1.0, 0.0]")
    editor.click("Invert mask")
    notebook.wait_for_output(inside_outside, "[0.0, 1.0]")
    editor.page.keyboard.press("Control+z")
    notebook.wait_for_output(inside_outside, "[1.0, 0.0]")
    editor.click("Lasso")
    editor.page.mouse.move(*editor.at((42, 42)))
    editor.page.mouse.down()
    for place in ((58, 42), (58, 58), (42, 58)):
        editor.page.mouse.move(*editor.at(place), steps=5)
    editor.page.mouse.up()
    notebook.wait_for_output(inside_outside, "[1.0, 1.0]")
    editor.page.keyboard.down("Alt")
    editor.page.mouse.move(*editor.at((5, 5)))
    editor.page.mouse.down()
    for place in ((35, 5), (35, 35), (5, 35)):
        editor.page.mouse.move(*editor.at(place), steps=5)
    editor.page.mouse.up()
    editor.page.keyboard.up("Alt")
    notebook.wait_for_output(inside_outside, "[0.0, 1.0]")
    editor.click("Clear mask")
    notebook.wait_for_output(inside_outside, "None")


def test_a_mask_is_suggested_from_the_points_and_taken_back(notebook):
    editor = notebook.editor()
    editor.click("Hold")
    editor.pull((20, 20), (30, 20))
    editor.click("Brush")
    editor.click("Suggest mask")
    notebook.wait_for_output(MASK.format("(25, 20), (60, 60)"), "[1.0, 0.0]")
    veil = "canvas => canvas.getContext('2d').getImageData(60, 60, 1, 1).data[3] > 0"
    layer = editor.root.locator('canvas[data-layer="mask"]')
    editor.page.wait_for_function(veil, arg=layer.element_handle())
    editor.click("Undo")
    notebook.wait_for_output(MASK.format("(25, 20)"), "None")


def test_a_soft_brush_leaves_values_between_and_its_ring_is_as_big_as_its_stroke(notebook):
    editor = notebook.editor()
    editor.click("Brush")
    editor.root.get_by_label("Soft edge").fill("1")
    editor.page.mouse.move(*editor.at((32, 32)))
    editor.wait_until_drawn()
    ring = editor.root.locator(".dg-ring").bounding_box()
    assert ring["width"] == pytest.approx(48, abs=3)
    editor.page.mouse.down()
    editor.page.mouse.up()
    notebook.wait_for_output("m = editor.mask; print(bool(((m > 0.2) & (m < 0.8)).sum() > 8))", "True")
    editor.root.get_by_label("Soft edge").fill("0")


def test_a_point_is_made_moved_and_deleted_without_a_mouse_and_no_key_leaks(notebook):
    editor = notebook.editor()
    keyboard = editor.page.keyboard
    cells = "jupyterapp.shell.currentWidget.content.widgets.length"
    before = editor.page.evaluate(cells)
    editor.click("Hold")
    editor.root.locator(".dg-stage").focus()
    keyboard.press("ArrowRight")  # the cross appears in the middle
    keyboard.press("Shift+ArrowLeft")
    keyboard.press("Enter")
    for _ in range(3):
        keyboard.press("ArrowUp")
    keyboard.press("Enter")
    notebook.wait_for_output(
        "print(len(editor.points), editor.points[0]['handle'][1] - editor.points[0]['target'][1])", "1 3.0"
    )
    expect(editor.button("Point 1 target")).to_be_focused()
    keyboard.press("n")
    expect(editor.button("Point 1 handle")).to_be_focused()
    keyboard.press("Shift+N")
    expect(editor.button("Point 1 target")).to_be_focused()
    before_target = notebook.execute(TARGET)[0].strip()
    keyboard.press("Shift+ArrowRight")
    x, y = (int(part) for part in before_target.strip("[]").split(","))
    notebook.wait_for_output(TARGET, f"[{x + 10}, {y}]")
    for key in "abdxynmzlr":
        keyboard.press(key)
    assert editor.page.evaluate(cells) == before
    keyboard.press("p")
    editor.button("Point 1 handle").focus()
    keyboard.press("Delete")
    notebook.wait_for_output("print(editor.points)", "[]")


def test_sliding_on_the_timeline_shows_the_past_and_one_goes_on_from_there(notebook):
    editor = pulled(notebook, steps=8)
    newest = editor.wait_for_lossless()
    steps = editor.step
    slider = editor.button("Timeline")
    expect(slider).to_have_attribute("max", str(steps))
    slider.focus()
    editor.page.keyboard.press("Home")
    first = editor.wait_for_other_picture(newest)
    for _ in range(3):
        editor.page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", f"step 3 of {steps}")
    editor.page.wait_for_function("canvas => canvas.dataset.step === '3'", arg=editor.canvas.element_handle())
    assert editor.picture().tobytes() not in (first.tobytes(), newest.tobytes())
    expect(editor.sentence).to_contain_text("Looking at step 3")
    assert notebook.execute("print(editor.step)")[0].strip() == str(steps)  # looking changes nothing
    editor.page.keyboard.press("Escape")
    assert editor.wait_for_lossless().tobytes() == newest.tobytes()
    slider.fill("3")
    editor.click("Go on from here")
    editor.wait_for_exact_step(3)
    stage = editor.root.locator(".dg-stage")
    expect(stage).to_be_focused()  # what had the focus is gone
    notebook.wait_for_output("print(editor.step)", "3")
    stage.focus()
    editor.page.keyboard.press("Control+z")
    editor.wait_for_exact_step(steps)


def test_before_and_after_by_a_held_key_and_by_a_split(notebook):
    editor = pulled(notebook)
    curtain = editor.root.locator(".dg-curtain")
    editor.root.locator(".dg-stage").focus()
    editor.page.keyboard.down("o")
    expect(curtain).to_be_visible()
    editor.page.keyboard.up("o")
    expect(curtain).to_be_hidden()
    editor.click("Before and after")
    expect(curtain).to_be_visible()
    x, y = editor.at((32, 32))
    editor.page.mouse.move(x, y)
    editor.page.mouse.down()
    editor.page.mouse.move(x + 60, y, steps=4)
    editor.page.mouse.up()
    share = float(editor.button("Split").input_value())
    width = editor.root.locator(".dg-stage").bounding_box()["width"]
    assert share == pytest.approx(0.5 + 60 / width, abs=0.03)
    editor.expect_points(2)  # the bar was pulled, and nothing else


def test_results_are_a_picture_with_its_provenance_films_and_the_code_that_makes_it_again(notebook):
    editor = pulled(notebook)
    with editor.page.expect_download() as download:
        editor.click("Save image")
    saved = Image.open(download.value.path())
    assert saved.format == "PNG"
    assert "AI" in " ".join(map(str, saved.info.values()))
    editor.click("Results")
    with editor.page.expect_download(timeout=60_000) as download:
        editor.click("Film as GIF")
    film = Image.open(io.BytesIO(download.value.path().read_bytes()))
    assert film.format == "GIF"
    assert film.n_frames > 3
    editor.click("Show code")
    code = editor.root.locator(".dg-code")
    code.wait_for()
    expect(code).to_contain_text("generator.mapping(seed=3")
    editor.page.keyboard.press("Escape")
    expect(code).to_be_hidden()


def test_settings_take_effect_and_go_back_to_the_generators_own(notebook):
    editor = notebook.editor()
    editor.click("All settings")
    rate = editor.button("Learning rate")
    rate.fill("0.03")
    rate.press("Enter")
    notebook.wait_for_output("print(editor.config.learning_rate)", "0.03")
    rate.fill("-1")
    rate.press("Enter")
    expect(rate).to_have_attribute("aria-invalid", "true")
    assert notebook.execute("print(editor.config.learning_rate)")[0].strip() == "0.03"
    editor.click("Reset Learning rate")
    notebook.wait_for_output("print(editor.config.learning_rate == editor.generator.drag_config.learning_rate)", "True")
    editor.click("All settings")


def test_each_point_says_how_far_it_has_to_go(notebook):
    editor = notebook.editor()
    editor.click("Hold")
    editor.pull((20, 20), (26, 28))
    editor.pull((40, 40), (44, 40))
    way = math.hypot(6, 8)
    expect(editor.root.locator(".dg-way").first).to_contain_text(f"{way:.0f}.")
    editor.root.get_by_label("Delete point 1").click()
    notebook.wait_for_output(POINTS, "[[40, 40, 44, 40]]")


def test_nothing_moves_about_while_a_run_is_on(notebook):
    editor = notebook.editor()
    notebook.execute("editor.config = endless")
    before = editor.root.evaluate(PLACES)
    editor.pull((30, 30), (44, 30))
    editor.wait_for_step(5)
    assert editor.root.evaluate(PLACES) == before
    expect(editor.root.locator(".dg-about")).to_contain_text("steps/s")
    editor.click("Stop")


def test_at_full_screen_points_zoom_and_mask_are_exact_and_escape_leaves_nothing_but_full_screen(notebook):
    editor = notebook.editor()
    full = editor.button("Full screen")
    before = editor.place()["width"]
    editor.click("Hold")
    editor.root.locator(".dg-stage").focus()
    editor.page.keyboard.press("f")
    editor.page.wait_for_function("document.fullscreenElement?.matches('.draggan-widget')")
    expect(full).to_have_attribute("aria-pressed", "true")
    assert editor.place()["width"] > 1.5 * before
    room = editor.root.bounding_box()
    assert (room["width"], room["height"]) == tuple(editor.page.viewport_size.values())
    editor.pull((22, 41), (27, 38))
    notebook.wait_for_output(POINTS, "[[22, 41, 27, 38]]")
    wheel(editor, (22, 41), -200, held="Control")
    expect_zoom(editor, re.compile("^1[1-9]"))
    editor.pull((40, 30), (44, 33))
    notebook.wait_for_output(POINTS, "[[22, 41, 27, 38], [40, 30, 44, 33]]")
    editor.page.keyboard.press("r")
    editor.pull((30, 20), (40, 50))
    notebook.wait_for_output(MASK.format("(31, 21), (39, 49), (28, 30), (42, 30)"), "[1.0, 1.0, 0.0, 0.0]")
    editor.page.keyboard.press("p")
    editor.pull((50, 50), (55, 50), release=False)
    editor.page.keyboard.press("Escape")
    editor.page.mouse.up()
    notebook.wait_for_output(POINTS, "[[22, 41, 27, 38], [40, 30, 44, 33]]")
    expect(full).to_have_attribute("aria-pressed", "true")
    editor.page.keyboard.press("Escape")
    editor.page.wait_for_function("document.fullscreenElement === null")
    expect(full).to_have_attribute("aria-pressed", "false")
    expect_zoom(editor, re.compile("^1[1-9]"))
    editor.page.keyboard.press("0")
    assert editor.place()["width"] == pytest.approx(before, abs=1)
    notebook.wait_for_output(POINTS, "[[22, 41, 27, 38], [40, 30, 44, 33]]")


def test_a_pull_under_way_is_taken_back_when_the_browser_leaves_full_screen(notebook):
    editor = notebook.editor()
    editor.click("Hold")
    editor.pull((20, 20), (30, 20))
    editor.click("Full screen")
    editor.page.wait_for_function("document.fullscreenElement !== null")
    editor.pull((40, 40), (50, 40), release=False)
    editor.page.evaluate("document.exitFullscreen()")
    expect(editor.button("Full screen")).to_have_attribute("aria-pressed", "false")
    editor.page.mouse.move(*editor.at((10, 60)), steps=3)
    editor.page.mouse.up()
    notebook.wait_for_output(POINTS, "[[20, 20, 30, 20]]")


NUDGE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent.parent / "engines")!r})
from test_an_engine_of_ones_own import Nudge, NudgeEngine
from draggan_widget.engines import register, unregister
register(NudgeEngine())
"""
USED = "print(editor.engine, editor.config.pace if editor.engine == 'nudge' else editor.config.max_steps)"


def fields(editor):
    """The names of the settings that the drawer shows, in their order."""
    return editor.root.locator(".dg-setting .dg-name:visible")


def test_an_engine_that_a_cell_registers_is_chosen_in_the_drawer_set_pulled_with_and_undone(notebook):
    editor = notebook.editor()
    editor.click("All settings")
    expect(editor.button("Learning rate")).to_be_visible()
    expect(editor.button("Engine").locator("option")).to_have_text(list(engine_names("gan")))
    editor.click("All settings")
    notebook.execute(NUDGE)
    try:
        editor.click("All settings")
        engine = editor.button("Engine")
        expect(engine).to_have_value("draggan")
        expect(engine.locator("option")).to_have_text([*engine_names("gan"), "nudge"])
        told = editor.root.locator(".dg-setting:has([aria-label=Engine]) small")
        expect(told).to_have_text(f"{engine_named('draggan').help}.")
        first = editor.picture()
        engine.focus()
        engine.select_option("nudge")
        expect(editor.button("Pace")).to_have_value("0.25")
        expect(fields(editor)).to_have_text(["Engine", "First jump", "Pace", "Patience", "Speed"])
        expect(told).not_to_contain_text("Motion supervision")
        expect(engine).to_be_focused()  # the field in use is not made anew
        expect(editor.root.locator(".dg-about")).to_contain_text("nudge")
        expect(engine).to_have_value("nudge")
        expect(editor.root.get_by_text("How much of the way a step goes.")).to_be_visible()
        pace = editor.button("Pace")
        pace.fill("2")
        pace.press("Enter")
        expect(editor.root.get_by_role("alert").filter(has_text="A number above 0 and up to 1.")).to_be_visible()
        pace.fill("0.5")
        pace.press("Enter")
        notebook.wait_for_output(USED, "nudge 0.5")
        editor.pull((20, 20), (40, 20))
        editor.wait_for_status("arrived")
        assert 3 <= editor.step <= 20
        assert editor.wait_for_other_picture(first).tobytes() != first.tobytes()
        expect(editor.button("Undo")).to_have_attribute("title", re.compile("^Undo: pull of point 1 "))
        editor.click("Undo")
        editor.wait_for_exact_step(0)
        notebook.wait_for_output(POINTS, "[]")
        expect(editor.button("Undo")).to_have_attribute("title", re.compile("^Undo: engine nudge "))
        editor.click("Undo")
        expect(editor.button("Learning rate")).to_have_value("0.05")
        expect(engine).to_have_value("draggan")
        expect(fields(editor).filter(has_text=re.compile("^Pace$"))).to_have_count(0)
        notebook.wait_for_output(USED, "draggan 40")
        editor.click("Redo")
        expect(editor.button("Pace")).to_be_visible()
        expect(engine).to_have_value("nudge")
    finally:
        notebook.execute("editor.engine = 'draggan'; editor._session.now(); unregister('nudge')")
        editor.click("All settings")
