"""Attributes and engines in JupyterLab: slid, said, held, searched, taught; a pull by several engines side by side."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

AMOUNTS = "from draggan_widget.editing import amounts_in; print(amounts_in(editor._session.now()))"
HELD = "print(editor.attributes.held)"
UNDO = "print(len(editor._session._live.undo.past) - undone)"
SLOW = 60_000
"""Milliseconds that the slowest machine of the checks is given for an answer."""


@pytest.fixture
def editor(notebook):
    notebook.execute(
        "editor.release() if editor.attributes.held else None\nundone = len(editor._session._live.undo.past)"
    )
    editor = notebook.editor()
    for name in ("Attributes", "All settings"):  # what another test has left open
        if editor.button(name).get_attribute("aria-pressed") == "true":
            editor.click(name)
    return editor


@pytest.fixture
def drawer(editor):
    editor.click("Attributes")
    drawer = editor.root.get_by_role("group", name="Attributes", exact=True)
    expect(drawer).to_be_visible(timeout=SLOW)
    expect(slider(drawer)).to_be_visible(timeout=SLOW)
    drawer.get_by_label("Search attributes").fill("")
    return drawer


def slider(drawer, label="Component 1"):
    return drawer.get_by_role("slider", name=label, exact=True)


def slide(editor, element, share, *, to, steps=6):
    """Pulls a slider's knob from one share of its width to another, and holds it there."""
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    y = box["y"] + box["height"] / 2
    editor.mouse.move(box["x"] + share * box["width"], y)
    editor.mouse.down()
    editor.mouse.move(box["x"] + to * box["width"], y, steps=steps)


def test_a_slider_answers_while_it_is_held_and_is_one_step_of_undo(notebook, editor, drawer):
    before = editor.wait_for_lossless()
    slide(editor, slider(drawer), 0.5, to=0.8)
    held = editor.wait_for_other_picture(before)
    slide(editor, slider(drawer), 0.8, to=0.2)
    editor.wait_for_other_picture(held)
    editor.mouse.up()
    after = editor.wait_for_lossless()
    assert after.tobytes() != before.tobytes()
    notebook.wait_for_output(UNDO, "1")
    expect(editor.root.locator(".dg-timeline")).to_contain_text("principal-1 -")
    expect(drawer.get_by_label("Reset Component 1", exact=True)).to_be_visible()
    editor.click("Undo")
    assert editor.wait_for_other_picture(after).size == before.size
    notebook.wait_for_output(AMOUNTS, "{}")
    expect(drawer.get_by_label("Reset Component 1", exact=True)).to_be_hidden()


def test_arrow_keys_slide_and_keys_in_a_row_are_one_step_of_undo(notebook, editor, drawer):
    element = slider(drawer)
    value = re.compile(r"^[+−]?\d\.\d σ, (towards (less|more)|as most are)$")
    expect(element).to_have_attribute("aria-valuetext", value)
    said = element.get_attribute("aria-valuetext")
    element.focus()
    for _ in range(8):
        editor.page.keyboard.press("ArrowRight")
    expect(element).not_to_have_attribute("aria-valuetext", said)
    notebook.wait_for_output("print(list(editor._session.now().script[-1][1])[0][0])", "principal-1")
    editor.page.keyboard.press("Tab")
    notebook.wait_for_output(UNDO, "1")
    editor.page.keyboard.press("Control+z")
    notebook.wait_for_output(AMOUNTS, "{}")


def test_words_are_done_and_answered_and_unknown_ones_named(notebook, editor, drawer):
    words = drawer.get_by_label("Say what should change")
    words.fill("more principal 2, and sparkels")
    editor.page.keyboard.press("Enter")
    said = drawer.get_by_role("status")
    expect(said).to_contain_text("Component 2 +1 σ.", timeout=SLOW)
    expect(said).to_contain_text("'sparkels' is not known")
    notebook.wait_for_output(AMOUNTS, "{0: {'principal-2': 1.0}}")
    words.fill("sparkels")
    drawer.get_by_role("button", name="Change", exact=True).click()
    expect(said).to_have_text(re.compile("^'sparkels' is not known"), timeout=SLOW)
    notebook.wait_for_output(AMOUNTS, "{0: {'principal-2': 1.0}}")


def test_locks_hold_and_say_so_and_a_group_holds_all_of_it(notebook, editor, drawer):
    one = drawer.get_by_role("button", name="Hold Component 3", exact=True)
    one.click()
    expect(one).to_have_attribute("aria-pressed", "true", timeout=SLOW)
    notebook.wait_for_output(HELD, "('principal-3',)")
    group = drawer.get_by_role("button", name="Hold all of Components")
    expect(group).to_have_attribute("aria-pressed", "false")
    group.click()
    expect(group).to_have_attribute("aria-pressed", "true", timeout=SLOW)
    one.click()
    expect(group).to_have_attribute("aria-pressed", "false", timeout=SLOW)
    notebook.wait_for_output("print('principal-3' in editor.attributes.held, len(editor.attributes.held))", "False 9")


def test_search_shows_what_is_looked_for_and_escape_all_again(editor, drawer):
    search = drawer.get_by_label("Search attributes")
    search.fill("sefa 2")
    expect(drawer.get_by_role("slider")).to_have_count(1)
    search.fill("beard")
    expect(drawer.get_by_text("No attribute is called that.")).to_be_visible()
    search.focus()
    editor.page.keyboard.press("Escape")
    expect(slider(drawer)).to_be_visible()
    expect(drawer).to_be_visible()


def test_what_is_marked_can_be_taught(notebook, editor, drawer):
    drawer.get_by_role("button", name="Teach your own").click()
    teach = drawer.get_by_role("button", name="Teach", exact=True)
    name = drawer.get_by_label("Name of what you teach")
    expect(drawer.get_by_role("button", name="New image").get_by_text("New image")).to_be_visible()
    beside_the_seed = editor.root.get_by_label("New image", exact=True).and_(editor.root.locator(".dg-field + button"))
    expect(beside_the_seed.get_by_text("New image")).to_be_hidden()  # there is no room for it
    for number, side in enumerate(("More", "Less", "More", "Less")):
        notebook.execute(f"editor.seed = {20 + number}; editor.latent")
        drawer.get_by_role("button", name=side, exact=True).click()
        marks = drawer.get_by_role("group", name="Marked pictures").get_by_role("button")
        expect(marks).to_have_count(number + 1, timeout=SLOW)
    expect(teach).to_have_attribute("aria-disabled", "true")
    name.fill("odd look")
    expect(teach).to_have_attribute("aria-disabled", "false")
    editor.page.keyboard.press("Enter")
    expect(drawer.get_by_role("status")).to_contain_text("Odd look is among the taught ones", timeout=SLOW)
    drawer.get_by_label("Search attributes").fill("odd")
    expect(slider(drawer, "Odd look")).to_be_visible()


def test_the_same_pull_by_several_engines_and_one_is_gone_on_from(notebook, editor):
    editor.click("Hold")
    editor.pull((20, 20), (28, 20))
    editor.click("All settings")
    editor.click("Compare engines")
    panel = editor.root.get_by_role("group", name="Engines", exact=True)
    boxes = panel.get_by_role("checkbox")
    expect(boxes.first).to_be_visible(timeout=SLOW)
    lines = panel.locator(".dg-engine small")
    expect(lines).to_have_count(boxes.count())
    expect(lines).to_have_text([re.compile(".{21,}")] * boxes.count())
    expect(panel.get_by_role("button", name="Use draggan")).to_have_text("In use")
    for name in ("stabledrag", "gooddrag"):
        panel.get_by_label(f"Compare {name}").uncheck()
    panel.get_by_role("button", name="Compare", exact=True).click()
    tiles = panel.locator("figure")
    expect(tiles).to_have_count(3, timeout=SLOW)
    for tile in tiles.all():
        expect(tile).to_have_attribute("data-status", "done", timeout=SLOW)
        expect(tile.locator("canvas")).to_have_js_property("width", 64)
    notebook.wait_for_output("print(editor.step, editor.engine)", "0 draggan")
    panel.get_by_role("button", name="Go on from freedrag").click()
    notebook.wait_for_output("print(editor.engine, editor.step > 0)", "freedrag True")
    expect(editor.button("Undo")).to_have_attribute("title", "Undo: pull by freedrag (Ctrl+Z)")
    editor.click("Undo")
    notebook.wait_for_output("print(editor.step, editor.engine)", "0 draggan")
    expect(tiles).to_have_count(3)
    panel.get_by_role("button", name="Close engines").click()
    expect(panel).to_be_hidden()


def test_one_that_is_cancelled_leaves_the_others(notebook, editor):
    notebook.execute("editor.config = endless")
    editor.click("Hold")
    editor.pull((20, 20), (50, 40))
    editor.click("All settings")
    editor.click("Compare engines")
    panel = editor.root.get_by_role("group", name="Engines", exact=True)
    fold = panel.get_by_role("button", name="Which engines")
    expect(fold).to_be_visible(timeout=SLOW)
    if fold.get_attribute("aria-expanded") == "false":
        fold.click()
    expect(panel.get_by_role("checkbox").first).to_be_visible(timeout=SLOW)
    for name in ("natural", "stabledrag", "gooddrag"):
        panel.get_by_label(f"Compare {name}").uncheck()
    panel.get_by_role("button", name="Compare", exact=True).click()
    tile = panel.locator("figure", has_text="draggan")
    expect(tile).to_have_attribute("data-status", "runs", timeout=SLOW)
    expect(editor.root.locator(".dg-status")).to_contain_text("Pulling with draggan…")
    panel.get_by_role("button", name="Cancel draggan").click()
    expect(tile).to_have_attribute("data-status", "cancelled", timeout=SLOW)
    expect(panel.locator("figure", has_text="freedrag")).to_have_attribute("data-status", "done", timeout=SLOW)
    expect(panel.get_by_role("button", name="Go on from draggan")).to_be_visible()
    editor.click("Close engines")


FACES = """
from draggan_widget import Editor
editor = Editor("faces", seed=9)
editor
"""
WATCH = """canvas => {
    window.answers = [];
    let since = null;
    document.addEventListener("input", () => { since ??= performance.now(); }, true);
    const draw = CanvasRenderingContext2D.prototype.drawImage;
    CanvasRenderingContext2D.prototype.drawImage = function (...what) {
        draw.apply(this, what);
        if (this.canvas !== canvas || since === null) return;
        window.answers.push(performance.now() - since);
        since = null;
    };
}"""
"""Notes the milliseconds from a move of a slider to the picture that answers it."""


def test_a_slider_of_the_built_in_faces_answers_soon_with_a_whole_picture(lab, record_property):
    notebook = lab.open(lab.write("faces.ipynb", FACES), height=1300)
    notebook.run_all()
    editor = notebook.editor()
    editor.click("Attributes")
    age = slider(editor.root.get_by_role("group", name="Attributes", exact=True), "Age")
    expect(age).to_be_visible(timeout=SLOW)
    editor.canvas.evaluate(WATCH)
    slide(editor, age, 0.5, to=0.52, steps=1)
    box = age.bounding_box()
    for number in range(1, 9):
        answered = editor.page.evaluate("answers.length")
        editor.mouse.move(box["x"] + (0.52 + 0.04 * number) * box["width"], box["y"] + box["height"] / 2)
        editor.page.wait_for_function("count => answers.length > count", arg=answered, timeout=SLOW)
    assert editor.canvas.evaluate("canvas => [canvas.width, canvas.height]") == [256, 256]
    editor.mouse.up()
    took = sorted(editor.page.evaluate("answers"))
    record_property("A slider of faces answers in", f"{took[len(took) // 2]:.0f} ms, at most {took[-1]:.0f} ms")
    assert took[len(took) // 2] < 2000  # 200 on a machine that does nothing else
    lab.pages.remove(notebook.page)
    notebook.page.context.close()
