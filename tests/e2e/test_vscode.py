"""The widget in a stand-in for VS Code: whose keys are whose, the focus, its themes, and slow messages."""

from __future__ import annotations

import hashlib

import pytest
from host import BUSY, SHOW
from playwright.sync_api import expect
from vscode import VSCode

pytestmark = pytest.mark.browser

ENDLESS = SHOW.replace("config=fast", "config=endless")


@pytest.fixture(scope="module")
def opened(lab):
    notebook = VSCode(lab)
    assert notebook.run(ENDLESS) == ""
    yield notebook
    notebook.close()


@pytest.fixture
def vscode(opened):
    """With an edit of its own."""
    opened.run("editor.stop(); editor.points = []; editor._session.new_image(seed=3, truncation=0.7)", 2)
    editor = opened.editor()
    editor.wait_for_exact_step(0)
    editor.root.locator(".dg-stage").focus()
    for key in ("Escape", "Escape", "Escape", "0", "p"):
        opened.page.keyboard.press(key)
    if editor.button("Hold").get_attribute("aria-pressed") == "true":
        editor.click("Hold")
    opened.forget_keys()
    return opened


def focused(vscode):
    """What has the focus: in the webview, or of the notebook."""
    name = "document.activeElement.getAttribute('aria-label') || document.activeElement.className"
    inside = vscode.editor().page.evaluate(f"document.hasFocus() && ({name})")
    return inside or vscode.page.evaluate("document.activeElement.id")


def test_the_picture_follows_a_pull_in_order_over_a_slow_way_and_stop_is_heard(vscode, stops):
    editor = vscode.editor()
    vscode.page.evaluate("host.delay = [60, 60]")
    first = editor.picture()
    editor.canvas.evaluate(
        """canvas => {
            window.drawn = [];
            new MutationObserver(() => window.drawn.push([canvas.dataset.seq, canvas.dataset.step].map(Number)))
                .observe(canvas, {attributes: true, attributeFilter: ['data-seq', 'data-step']});
        }"""
    )
    editor.pull((30, 30), (40, 30))
    editor.wait_for_step(8)
    editor.wait_for_other_picture(first)
    stops.add("VS Code (stand-in)", editor)
    settled = editor.wait_for_lossless()
    drawn = editor.page.evaluate("window.drawn")
    assert len({seq for seq, _ in drawn}) > 2
    assert drawn == sorted(drawn)
    said = vscode.run("import hashlib; print(editor.step, hashlib.md5(editor.image.tobytes()).hexdigest())", 2)
    assert said.split() == [str(editor.step), hashlib.md5(settled.tobytes()).hexdigest()]
    vscode.page.evaluate("host.delay = [30, 60]")


@pytest.mark.parametrize("how", BUSY)
def test_while_a_cell_is_busy_the_picture_follows_and_stop_waits_for_one_that_blocks(vscode, stops, how):
    editor = vscode.editor()
    editor.pull((30, 30), (40, 30))
    editor.wait_for_step(3)
    vscode.occupy(BUSY[how])
    editor.wait_for_step(editor.step + 3)
    assert not vscode.page.evaluate("window.cellDone")
    stops.add(f"VS Code (stand-in) while a cell {how}", editor, busy=True)
    # VS Code is taken to have no subshells: what comes during a blocking cell waits for its end.
    assert vscode.wait_for_cell() == ("running" if how == "blocks" else "stopped")


def test_a_cell_run_again_shows_a_new_editor(vscode):
    vscode.editor().pull((30, 30), (40, 30))
    vscode.editor().wait_for_step(3)
    assert vscode.run(ENDLESS) == ""
    vscode.editor().wait_for_exact_step(0)
    expect(vscode.page.locator("iframe")).to_have_count(1)


def test_each_key_of_the_widget_acts_and_none_comes_to_the_notebook(vscode):
    editor = vscode.editor()
    press = vscode.page.keyboard.press
    editor.click("Hold")
    editor.pull((20, 20), (30, 20))
    editor.button("Point 1 target").focus()
    for key, held in (("ArrowDown", None), ("Shift+ArrowRight", None), ("h", "false"), ("h", "true")):
        press(key)
        if held:
            expect(editor.button("Hold")).to_have_attribute("aria-pressed", held)
    for key, tool in (("b", "Brush"), ("e", "Eraser"), ("r", "Rectangle"), ("l", "Lasso"), ("p", "Points")):
        press(key)
        expect(editor.button(tool)).to_have_attribute("aria-pressed", "true")
    for key in ("a", "c", "d", "d", "j", "k", "m", "m", "v", "v", "x", "y", "z", "[", "]", "+", "-", "0"):
        press(key)
    press("?")
    expect(editor.root.get_by_role("dialog", name="Gestures and keys")).to_be_visible()
    press("Escape")
    editor.root.locator(".dg-stage").focus()
    press("Space")
    editor.wait_for_step(2)
    press("Space")
    editor.wait_for_status("stopped")
    press("Control+z")
    editor.wait_for_exact_step(0)
    press("Control+y")
    editor.wait_for_step(2)
    editor.button("Point 1 target").focus()
    press("Delete")
    editor.button("Point 1 target").wait_for(state="detached")
    expect(vscode.page.locator("iframe")).to_have_count(1)
    vscode.expect_keys()


def test_keys_in_a_field_stay_there_and_those_of_a_slider_too(vscode):
    editor = vscode.editor()
    seed = editor.button("Seed")
    seed.fill("")
    for key in ("1", "2", "Backspace", "7", "Enter"):
        vscode.page.keyboard.press(key)
    expect(seed).to_have_value("17")
    slider = editor.button("Truncation")
    slider.focus()
    for _ in range(3):  # each goes on from the one before, though none was answered yet
        vscode.page.keyboard.press("ArrowUp")
        vscode.page.wait_for_timeout(40)
    expect(slider).to_have_value("0.85")
    vscode.expect_keys()
    vscode.wait_for_output("print(editor.seed, editor.truncation)", "17 0.85")


def test_keys_that_the_widget_does_not_use_are_the_notebooks(vscode):
    vscode.editor().root.locator(".dg-stage").focus()
    for key in ("Control+s", "Control+Enter", "Shift+Enter", "F1", "Control+f"):
        vscode.page.keyboard.press(key)
    vscode.expect_commands("save", "run", "run", "commands", "find")


def test_the_focus_leaves_by_escape_when_nothing_is_left_to_end_and_by_tab(vscode):
    editor = vscode.editor()
    editor.click("Help")
    vscode.page.keyboard.press("Escape")
    vscode.expect_commands()
    assert focused(vscode) != "cell"
    editor.root.locator(".dg-stage").focus()
    vscode.page.keyboard.press("Escape")
    vscode.page.wait_for_function("document.activeElement.id === 'cell'")
    vscode.expect_commands("leave output")
    vscode.page.keyboard.press("b")
    vscode.expect_keys("Escape")  # the notebook has its own keys again, not through the webview
    vscode.page.keyboard.press("Tab")
    assert focused(vscode) != "cell"
    for _ in range(60):
        vscode.page.keyboard.press("Tab")
        if not vscode.editor().page.evaluate("document.hasFocus()"):
            break
    assert not editor.page.evaluate("document.hasFocus()")


def test_the_button_that_was_pressed_keeps_the_focus(vscode):
    editor = vscode.editor()
    editor.click("Hold")
    editor.pull((20, 20), (30, 20))
    editor.click("Start")
    editor.wait_for_step(2)
    expect(editor.button("Stop")).to_be_focused()
    vscode.page.keyboard.press("Enter")
    editor.wait_for_status("stopped")
    expect(editor.button("Start")).to_be_focused()
    assert focused(vscode) == "Start"  # of the two documents it is the webview that has it
    vscode.expect_keys()


@pytest.mark.parametrize("theme", ["light", "dark", "high-contrast", "high-contrast-light"])
def test_it_takes_the_colours_of_the_theme(vscode, theme):
    editor = vscode.editor()
    vscode.set_theme(theme)
    editor.page.wait_for_function("name => document.body.classList.contains(`vscode-${name}`)", arg=theme)
    style = "e => { const s = getComputedStyle(e); return [s.backgroundColor, s.colorScheme]; }"
    surface, scheme = editor.root.evaluate(style)
    expected = {"light": "rgb(255, 255, 255)", "dark": "rgb(31, 31, 31)", "high-contrast": "rgb(0, 0, 0)"}
    assert surface == expected.get(theme, "rgb(255, 255, 255)")
    assert scheme == ("light" if "light" in theme else "dark")


def test_full_screen_fills_the_webview_where_the_screen_is_refused(vscode):
    editor = vscode.editor()
    editor.click("Full screen")
    expect(editor.sentence).to_contain_text("the editor fills the page")
    vscode.page.keyboard.press("Escape")
    expect(editor.button("Full screen")).to_have_attribute("aria-pressed", "false")
    vscode.expect_commands()


def test_attributes_are_loaded_in_the_webview_and_what_is_typed_there_is_the_editors(vscode):
    editor = vscode.editor()
    first = editor.picture()
    editor.click("Attributes")
    words = editor.root.get_by_label("Say what should change")
    expect(words).to_be_visible(timeout=60_000)
    words.focus()
    vscode.page.keyboard.type("more principal 1")
    vscode.page.keyboard.press("Enter")
    said = editor.root.get_by_role("group", name="Attributes", exact=True).get_by_role("status")
    expect(said).to_contain_text("Component 1 +1 σ.", timeout=60_000)
    editor.wait_for_other_picture(first)
    editor.click("Attributes")
