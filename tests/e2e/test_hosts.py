"""The widget in hosts other than JupyterLab: Notebook 7, Voila, and marimo as an editor and as an app."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
from pathlib import Path

import marimo as marimo_package
import pytest
from conftest import free_port, wait_until_served
from host import BUSY, EDITOR, SHOW, STATUS, Editor
from playwright.sync_api import TimeoutError as Late
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

ENDLESS = SHOW.replace("config=fast", "config=endless")


def follows_and_stops(editor, stops, host):
    """Pulls after the cell has ended: the picture follows, *Stop* ends it, and the last picture comes whole."""
    first = editor.picture()
    editor.pull((30, 30), (40, 30))
    editor.wait_for_step(5)
    editor.wait_for_other_picture(first)
    stops.add(host, editor)
    editor.wait_for_lossless()


# --- Notebook 7 ------------------------------------------------------------------------------------------------------


@pytest.fixture
def classic(lab):
    notebook = lab.open(lab.write("classic.ipynb", ENDLESS), classic=True)
    notebook.run_all()
    yield notebook
    lab.close_pages()


def test_in_notebook_7_it_follows_stops_and_survives_a_busy_kernel_a_cell_run_again_and_a_page_opened_again(
    classic, lab, stops
):
    editor = classic.editor()
    follows_and_stops(editor, stops, "Notebook 7")
    for how, cell in BUSY.items():
        editor.click("Start")
        editor.wait_for_step(editor.step + 1)
        classic.occupy(cell)
        editor.wait_for_step(editor.step + 3)
        stops.add(f"Notebook 7 while a cell {how}", editor, busy=True)
        assert classic.wait_for_cell() == "stopped"
    classic.run_all()
    editor.wait_for_exact_step(0)
    follows_and_stops(classic.editor(), stops, "Notebook 7, cell run again")
    step, picture = editor.step, editor.wait_for_lossless()
    again = lab.open("classic.ipynb", classic=True, page=classic.page)
    again.page.evaluate("jupyterapp.shell.currentWidget.content.widgets[0].model.sharedModel.setSource('editor')")
    again.run_all()
    editor = again.editor()
    editor.wait_for_exact_step(step)
    assert editor.wait_for_lossless().tobytes() == picture.tobytes()
    editor.click("Start")
    editor.wait_for_step(step + 3)


# --- Voila -----------------------------------------------------------------------------------------------------------


def test_in_voila_it_follows_and_stops_and_each_page_has_an_edit_of_its_own(lab, stops):
    lab.write("app.ipynb", ENDLESS)
    page = lab.browser.new_context(viewport={"width": 1000, "height": 1200}).new_page()
    page.goto(f"{lab.url}/voila/render/app.ipynb?token={lab.token}", timeout=60_000)
    try:
        follows_and_stops(first_editor(page), stops, "Voila")
        page.reload(timeout=60_000)
        editor = first_editor(page)
        editor.wait_for_exact_step(0)
        editor.pull((30, 30), (40, 30))
        editor.wait_for_step(3)
    finally:
        page.context.close()


# --- marimo ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def marimo(mode, folder, *cells):
    """A marimo server on a notebook of those cells; yields its address."""
    file = folder / "notebook.py"
    cells = [
        f"@app.cell\n{'async ' if 'await ' in code else ''}def _({names}):\n{textwrap.indent(code.strip(), '    ')}"
        for names, code in cells
    ]
    body = "\n\n".join(cells)
    file.write_text(f"import marimo\n\napp = marimo.App()\n\n\n{body}\n\n\nif __name__ == '__main__':\n    app.run()\n")
    (folder / "pyproject.toml").write_text("[tool.marimo.runtime]\nauto_instantiate = true\n")
    port = free_port()
    where = ["--headless", "--no-token", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "marimo", mode, str(file), *where], stdout=log, stderr=subprocess.STDOUT, cwd=folder
        )
        try:
            wait_until_served(f"http://127.0.0.1:{port}/health", server, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(20)


def when_pressed(how):
    """A cell that is busy when its button is pressed, and says so, and at its end what the edit is doing."""
    begun, ended = (f"mo.output.replace(mo.md('{how} ' + {said}))" for said in ("'now'", f"'no more: ' + {STATUS}"))
    busy = [begun, BUSY[how], ended]
    return f"editor, {how}, mo", f"if {how}.value:\n" + textwrap.indent("\n".join(busy), "    ") + "\nreturn"


CELLS = [
    ("", "import marimo as mo\nreturn (mo,)"),
    (
        "mo",
        "again, awaits, blocks = (mo.ui.run_button(label=name) for name in ('again', 'awaits', 'blocks'))\n"
        "mo.hstack([again, awaits, blocks])\nreturn again, awaits, blocks",
    ),
    *map(when_pressed, BUSY),
    (
        "again, mo",
        "again\n"
        + ENDLESS.replace("\neditor\n", "\nshown = mo.ui.anywidget(editor)\nshown\n").strip()
        + "\nreturn editor, shown",
    ),
    (
        "mo, shown",
        "mo.md('the value says ' + shown.value['status'] + ' and ' + str(len(shown.value['points'])))\nreturn",
    ),
]


@pytest.fixture(params=["run", "edit"])
def marimo_page(browser, tmp_path, request):
    page = browser.new_context(viewport={"width": 1000, "height": 1400}).new_page()
    page.mode = request.param
    with marimo(page.mode, tmp_path, *CELLS) as url:
        page.goto(url, timeout=60_000)
        yield page
        page.context.close()


def test_in_marimo_it_follows_stops_and_comes_again_and_its_value_is_known_to_other_cells(marimo_page, stops):
    page = marimo_page
    editor = first_editor(page)
    follows_and_stops(editor, stops, f"marimo {page.mode}")
    page.get_by_text("the value says stopped and 1").wait_for(timeout=20_000)
    for how in BUSY:
        editor.click("Start")
        editor.wait_for_step(editor.step + 1)
        page.get_by_role("button", name=how, exact=True).click()
        page.get_by_text(f"{how} now").wait_for(timeout=20_000)
        editor.wait_for_step(editor.step + 3)
        assert not page.get_by_text(f"{how} no more").count()
        stops.add(f"marimo {page.mode} while a cell {how}", editor, busy=True)
        page.get_by_text(f"{how} no more: running").wait_for(timeout=20_000)  # it was heard after the cell
    step, picture = editor.step, editor.wait_for_lossless()
    page.reload()
    editor = first_editor(page)
    if page.mode == "edit":
        editor.wait_for_exact_step(step)
        assert editor.wait_for_lossless().tobytes() == picture.tobytes()
    else:  # each page is an edit of its own
        editor.wait_for_exact_step(0)
        editor.expect_points(0)
        editor.pull((30, 30), (40, 30))
        editor.wait_for_step(3)
        editor.stop()
    page.get_by_role("button", name="again", exact=True).click()
    editor.wait_for_exact_step(0)
    follows_and_stops(first_editor(page), stops, f"marimo {page.mode}, cell run again")


def test_in_marimo_runs_of_the_cell_leave_one_editor_and_one_thread(browser, tmp_path):
    making = "again\n" + SHOW.replace("\neditor\n", "\nmade.append(weakref.ref(editor))\neditor\n").strip()
    cells = [
        ("", "import gc, threading, weakref\nimport marimo as mo\nmade = []\nreturn gc, made, mo, threading, weakref"),
        (
            "mo",
            "again, look = (mo.ui.run_button(label=name) for name in ('again', 'look'))\n"
            "mo.hstack([again, look])\nreturn again, look",
        ),
        ("again, made, mo, weakref", f"{making}\nreturn (editor,)"),
        ("editor, made, mo", "editor.seed\nmo.md(f'run {len(made)}.')\nreturn"),
        (
            "gc, look, made, mo, threading",
            "look\ngc.collect()\nthreads = [each for each in threading.enumerate() if each.name == 'draggan']\n"
            "mo.md(f'{sum(each() is not None for each in made)} of {len(made)}, {len(threads)}')\nreturn",
        ),
    ]
    page = browser.new_context(viewport={"width": 1000, "height": 1400}).new_page()
    with marimo("edit", tmp_path, *cells) as url:
        page.goto(url, timeout=60_000)
        for run in range(1, 6):
            page.get_by_text(f"run {run}.").wait_for(timeout=60_000)
            if run < 5:
                page.get_by_role("button", name="again", exact=True).click()
        said = page.get_by_text("1 of 5, 1")
        for _ in range(30):  # what was replaced goes within some seconds
            page.get_by_role("button", name="look", exact=True).click()
            with contextlib.suppress(Late):
                said.wait_for(timeout=1_000)
                break
        assert said.count(), page.get_by_text(" of 5, ").all_inner_texts()
        page.context.close()


def test_an_export_of_marimo_shows_the_picture_with_its_points_and_no_editor_that_nobody_answers(browser, tmp_path):
    body = "    import marimo as mo\n" + textwrap.indent(SHOW.strip(), "    ")
    shown = "    editor.points = [{'handle': [10, 32], 'target': [50, 32]}]\n    editor\n    return"
    text = f"import marimo\n\napp = marimo.App()\n\n\n@app.cell\ndef _():\n{body}\n{shown}\n"
    (tmp_path / "notebook.py").write_text(text)
    command = [sys.executable, "-m", "marimo", "export", "html", "notebook.py", "-o", "page.html"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    page = browser.new_context(viewport={"width": 1000, "height": 1000}).new_page()

    def of_marimo(route):
        """An export fetches marimo itself from the network; here, from the installed package."""
        file = Path(marimo_package.__file__).parent / "_static" / route.request.url.partition("/dist/")[2]
        headers = {"access-control-allow-origin": "*"}
        route.fulfill(path=file, headers=headers) if file.is_file() else route.abort()

    page.route("https://cdn.jsdelivr.net/npm/@marimo-team/**", of_marimo)
    page.route("http://exported.test/**", lambda route: route.fulfill(path=tmp_path / "page.html"))
    page.goto("http://exported.test/")
    still = page.get_by_role("img", name="A still picture of the edit")
    still.wait_for(timeout=60_000)
    expect(page.get_by_role("button", name="Start")).to_be_hidden()
    expect(still).to_have_js_property("width", 512)
    width, height = still.evaluate("canvas => [canvas.width, canvas.height]")
    assert (width, height > width) == (512, True), "a picture with words below it"
    middle = still.evaluate("canvas => [...canvas.getContext('2d').getImageData(0, 260, 512, 1).data]")
    other = still.evaluate("canvas => [...canvas.getContext('2d').getImageData(0, 200, 512, 1).data]")
    assert sum(abs(a - b) > 60 for a, b in zip(middle, other, strict=True)) > 300, "the way from handle to target"
    page.context.close()


def first_editor(page):
    root = page.locator(EDITOR).first
    root.wait_for(timeout=90_000)
    editor = Editor(page, root)
    editor.wait_for_picture()
    return editor
