"""The widget where the kernel's messages come only while a cell runs, or as the answer to one of the page."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from colab import Colab, install_kernel
from host import BUSY, SHOW
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "colab.ipynb"
ENDLESS = SHOW.replace("config=fast", "config=endless")


@pytest.fixture(scope="module")
def kernel(lab, tmp_path_factory):
    install_kernel(lab, tmp_path_factory.mktemp("colab") / "packages")


@pytest.fixture
def colab(lab, kernel):
    notebook = Colab(lab)
    yield notebook
    notebook.close()


def test_the_old_packages_are_in_use(colab):
    said = colab.run(
        "import ipykernel, ipywidgets, anywidget\nfor m in (ipykernel, ipywidgets, anywidget): print(m.__version__)"
    )
    assert said.split() == ["6.31.0", "7.7.1", "0.9.21"]


def test_the_picture_follows_after_the_cell_has_ended_and_stop_is_heard(colab, stops):
    assert colab.run(ENDLESS) == ""
    editor = colab.editor()
    first = editor.picture()
    editor.pull((30, 30), (40, 30))
    editor.wait_for_step(5)
    editor.wait_for_other_picture(first)
    stops.add("Colab (stand-in)", editor)
    settled = editor.wait_for_lossless()
    assert colab.withheld > 0, "a page that waits to be told would have seen none of it"
    assert colab.run("print(editor.status, editor.step)", 2).split() == ["stopped", str(editor.step)]
    kernels = colab.run("import hashlib; print(hashlib.md5(editor.image.tobytes()).hexdigest())", 2).strip()
    assert kernels == hashlib.md5(settled.tobytes()).hexdigest()


def test_attributes_come_and_are_slid_after_the_cell_has_ended(colab):
    colab.run(SHOW)
    editor = colab.editor()
    first = editor.wait_for_lossless()
    editor.click("Attributes")
    slider = editor.root.get_by_role("slider", name="Component 1", exact=True)
    expect(slider).to_be_visible(timeout=60_000)
    slider.focus()
    for _ in range(12):
        editor.root.page.keyboard.press("ArrowRight")
    editor.wait_for_other_picture(first)
    expect(slider).to_be_focused()


@pytest.mark.parametrize("how", BUSY)
def test_while_a_cell_is_busy_the_picture_follows_and_stop_is_done_at_its_end(colab, stops, how):
    colab.run(ENDLESS)
    editor = colab.editor()
    editor.pull((30, 30), (40, 30))
    editor.wait_for_step(3)
    colab.occupy(BUSY[how])
    before = editor.step
    editor.wait_for_step(before + 3)
    assert not colab.page.evaluate("window.cellDone")
    stops.add(f"Colab (stand-in) while a cell {how}", editor, busy=True)
    assert colab.wait_for_cell() == "running"


def test_the_same_editor_in_two_outputs_is_one_edit_and_cells_may_be_run_again(colab):
    colab.run(ENDLESS)
    colab.run("editor", 2)
    one, two = colab.editor(0), colab.editor(1)
    one.click("Hold")
    one.pull((30, 30), (34, 30))
    two.button("Point 1 target").wait_for(state="attached")
    two.click("Start")
    one.wait_for_step(3)
    one.stop()
    two.wait_for_status("stopped")
    assert one.wait_for_lossless().tobytes() == two.wait_for_lossless().tobytes()
    colab.run("editor", 2)
    again = colab.editor(1)
    again.wait_for_exact_step(one.step)
    assert again.wait_for_lossless().tobytes() == one.picture().tobytes()
    colab.run(ENDLESS)
    colab.editor(1).wait_for_exact_step(0)


def test_the_example_installs_edits_and_goes_on_with_the_result(colab):
    cells = [
        "".join(cell["source"]) for cell in json.loads(EXAMPLE.read_text())["cells"] if cell["cell_type"] == "code"
    ]
    installing = [cell for cell in cells if "%pip install" in cell]
    assert installing == cells[:1]
    # No network here, and the package is installed.
    without = cells[0].replace("%pip install -q {source}", "print('installs', source)")
    assert "enable_custom_widget_manager" in without
    assert "into SOURCE, or upload a wheel" in colab.run(without, 0)
    without = without.replace('SOURCE = ""', 'SOURCE = "git+https://example.org/x"')
    assert colab.run(without, 0) == "installs git+https://example.org/x\n"
    assert colab.run(cells[1], 1) == ""
    editor = colab.editor()
    editor.pull((98, 174), (90, 168))
    editor.wait_for_status("arrived", "stalled", "capped", timeout=120)
    for number, cell in enumerate(cells[2:], start=2):
        said = colab.run(cell, number)
        assert "Error" not in said
    assert colab.run("print(result.steps, result.reason)", 99).split() == [str(editor.step), editor.status]
