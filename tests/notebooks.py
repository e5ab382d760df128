"""Runs every example notebook in a real browser, to be looked at: ``python tests/notebooks.py FOLDER [NAME …]``.

JupyterLab and Chromium are driven as in the tests. Each notebook is run from top to bottom by what this environment
has, and then photographed whole, in light and in dark, on a page of 1200 pixels and on a narrow one. What failed in a
cell, and what the browser complained of, is printed; the pictures, which no program can judge, lie in the folder.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
sys.path[:0] = [str(Path(__file__).parent / "e2e")]

from conftest import FLAGS, TOKEN, chromium, serving  # noqa: E402 - of the folder beside this file
from host import Lab  # noqa: E402
from playwright.sync_api import Page, sync_playwright  # noqa: E402

WIDE, NARROW = 1200, 700
"""Pixels of the page; JupyterLab has its bars beside the notebook."""
THEMES = ("JupyterLab Light", "JupyterLab Dark")
TALLEST = 14_000
"""Pixels of a picture: browsers make no larger ones."""
CELLS = """() => jupyterapp.shell.currentWidget.content.widgets
    .filter(cell => cell.model.type === 'code').map(cell => ({
    source: cell.model.sharedModel.source.split('\\n')[0],
    ran: cell.model.executionCount !== null,
    outputs: cell.model.outputs.toJSON().map(({output_type, name, ename, evalue, text}) =>
        ({kind: name ?? output_type, said: ename ? `${ename}: ${evalue}` : text})),
}))"""
TO_THE_TOP = """() => {
    jupyterapp.shell.currentWidget.content.activeCellIndex = 0;
    document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0;
}"""
HEIGHT = """() => {
    const outer = document.querySelector('.jp-WindowedPanel-outer');
    return outer.scrollHeight + outer.getBoundingClientRect().top + 60;
}"""


def main() -> int:
    """Run and photograph; returns 1 if a cell failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where pictures go")
    parser.add_argument("names", nargs="*", help="notebooks without their ending; none: all of examples/")
    parser.add_argument("--minutes", type=float, default=15, help="that a notebook may take (default: %(default)s)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    names = options.names or sorted(path.stem for path in EXAMPLES.glob("*.ipynb"))
    failed = []
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as home, serving(Path(home)) as (url, folder):
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        lab = Lab(browser, url, TOKEN, folder)
        for name in names:
            shutil.copyfile(EXAMPLES / f"{name}.ipynb", folder / f"{name}.ipynb")
            wrong = run(lab, name, options.folder, options.minutes)
            failed += [name] if wrong else []
            print("\n".join(f"  {line}" for line in wrong), end="\n" if wrong else "", flush=True)
            lab.close_pages()
        browser.close()
    print(f"failed: {', '.join(failed)}" if failed else f"all cells ran; look at the pictures in {options.folder}")
    return int(bool(failed))


def run(lab: Lab, name: str, folder: Path, minutes: float) -> list[str]:
    """Run a notebook and photograph it; return a line for each thing that went wrong."""
    page, complaints = lab.browser.new_context(viewport={"width": WIDE, "height": 1000}).new_page(), []
    page.set_default_timeout(60_000 * minutes)
    lab.pages.append(page)
    notebook = lab.open(f"{name}.ipynb", page=page, timeout=60 * minutes)
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    began = time.monotonic()
    page.evaluate("jupyterapp.shell.collapseLeft()")
    page.evaluate("() => jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_timeout(2000)  # the last picture of an editor, the small ones of its timeline
    print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    for theme in THEMES:
        notebook.set_theme(theme)
        for width in (WIDE, NARROW):
            photograph(page, width, folder / f"{name}-{theme.split()[1].lower()}-{width}.png")
    cells = page.evaluate(CELLS)
    wrong = [f"not run: {cell['source']}" for cell in cells if not cell["ran"]]
    said = [(cell["source"], each) for cell in cells for each in cell["outputs"] if each["kind"] in ("error", "stderr")]
    wrong += [f"{each['kind']} in {source!r}: {each['said']}" for source, each in said]
    return [*wrong, *(f"the browser: {each}" for each in dict.fromkeys(complaints))]


def photograph(page: Page, width: int, path: Path) -> None:
    """Write a picture of a whole notebook."""
    page.set_viewport_size({"width": width, "height": 1000})
    for _ in range(3):  # what was out of sight is drawn only now, and may be taller than was thought
        page.wait_for_timeout(1000)
        page.set_viewport_size({"width": width, "height": min(TALLEST, round(page.evaluate(HEIGHT)))})
    page.evaluate(TO_THE_TOP)
    page.wait_for_timeout(1000)
    page.screenshot(path=path, animations="disabled")


if __name__ == "__main__":
    sys.exit(main())
