"""Every engine in a real browser: chosen, pulled with, undone, done again, saved, and opened to go on."""

from __future__ import annotations

import numpy as np
import pytest
from host import SHOW
from playwright.sync_api import expect

from draggan_widget.engines import engine_named, engine_names
from draggan_widget.settings import TRACKERS

pytestmark = pytest.mark.browser

PLACE = "import ipywidgets\nplace = ipywidgets.VBox()\nplace"
"""A cell under the editor, in which opened files are shown."""
SETTLED = ("arrived", "near", "stalled", "capped")
PATIENCE = 240
"""Seconds that a run may take on a machine with much other work."""
QUICK = "editor.settings.update({name: 12 for name in ('max_steps',) if name in editor.settings})"
SAVE = "editor.save('pulled.drag')"
OPEN = "opened = DragGAN.load('pulled.drag', model=generator)\nplace.children = [opened]"
CLOSE = "place.children = []\nopened.close()"
TOLD = "print(opened.engine, opened.step, [[round(float(x), 3) for x in p['handle']] for p in opened.points])"


@pytest.fixture(scope="module")
def opened(lab):
    notebook = lab.open(lab.write("engines.ipynb", SHOW, PLACE), height=1600)
    notebook.run_all()
    notebook.editor()
    yield notebook
    lab.close_pages()


def shown(editor, label):
    """A setting's field, among all settings or the more of them."""
    editor.click("All settings")
    found = editor.button(label)
    if not found.is_visible():
        editor.root.get_by_text("More settings").click()
    expect(found).to_be_visible()
    return found


def choose(editor, label, value):
    """Choose from a list among all settings."""
    chosen = shown(editor, label)
    chosen.focus()
    chosen.select_option(value)
    expect(chosen).to_have_value(value)
    editor.click("All settings")


def same(one, other):
    """Whether two pictures are the same, but for what the way to the page may lose."""
    return np.abs(np.asarray(one, float) - np.asarray(other, float)).mean() < 2


def pulled(editor):
    """The steps and the picture of a pull that came to its end."""
    editor.pull((30, 30), (40, 30))
    editor.wait_for_status(*SETTLED, timeout=PATIENCE)
    return editor.step, editor.wait_for_lossless()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("engine", [name for name in engine_names("gan") if not engine_named(name).jumps])
def test_an_engine_pulls_is_undone_done_again_saved_and_opened_and_goes_on(notebook, engine):
    editor = notebook.editor()
    if notebook.execute("print(editor.engine)")[0].strip() != engine:
        choose(editor, "Engine", engine)
    notebook.wait_for_output("print(editor.engine)", engine)
    notebook.execute(QUICK)
    before = editor.wait_for_lossless()
    steps, after = pulled(editor)
    assert steps >= 1
    assert not same(before, after) or engine == "natural", "the pull changed nothing"
    editor.click("Undo")
    editor.wait_for_exact_step(0)
    assert same(editor.wait_for_lossless(), before)
    editor.click("Redo")
    editor.wait_for_exact_step(steps)
    assert editor.wait_for_lossless().tobytes() == after.tobytes()
    handles = notebook.execute(TOLD.replace("opened", "editor"))[0].strip()
    notebook.execute(SAVE)
    try:
        notebook.execute(OPEN)
        again = notebook.editor(1)
        again.wait_for_exact_step(steps)
        assert again.wait_for_lossless().tobytes() == after.tobytes()
        assert notebook.execute(TOLD)[0].strip() == handles
        again.pull((20, 44), (26, 44))
        again.wait_for_step(steps + 1, timeout=PATIENCE)
        again.wait_for_status(*SETTLED, timeout=PATIENCE)
        again.click("Undo")
        again.wait_for_exact_step(steps)
    finally:
        notebook.execute(CLOSE)


@pytest.mark.timeout(900)
def test_a_tracker_is_chosen_among_all_settings_and_one_that_cannot_be_had_is_refused(notebook):
    editor = notebook.editor()
    options = shown(editor, "Tracking").locator("option")
    expect(options.filter(has_text="features of block 3")).to_have_count(1)
    assert options.all_inner_texts()[: len(TRACKERS)] == list(TRACKERS.values())
    editor.click("All settings")
    choose(editor, "Tracking", "features:3")
    notebook.wait_for_output("print(editor.tracker, editor.config.tracker)", "features:3 features:3")
    steps, _ = pulled(editor)
    assert steps >= 1
    tracking = shown(editor, "Tracking")
    tracking.select_option("metric")
    told = editor.root.locator(".dg-sentence")
    expect(told).to_contain_text("tracker is metric: the metric in faces_metric", timeout=30_000)
    expect(tracking).to_have_value("features:3", timeout=30_000)
    editor.click("All settings")
    notebook.wait_for_output("print(editor.config.tracker)", "features:3")
