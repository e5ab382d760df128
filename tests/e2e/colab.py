"""A stand-in for Colab on a real kernel with Colab's old packages; ``colab_host.js`` says what is like Colab in it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from environments import make_environment
from host import EDITOR, Editor, Lab

PACKAGES = ("ipykernel==6.31.0", "ipywidgets==7.7.1", "anywidget==0.9.21")
HOST = Path(__file__).parent / "colab_host.js"
OUTPUT = """
class _widgets:
    _installed_url = None

def enable_custom_widget_manager():
    _widgets._installed_url = "https://elsewhere/manager.js"
"""


def install_kernel(lab: Lab, folder: Path) -> None:
    """A kernel named "colab" for the server: with the old packages, and ``google.colab`` imported as there."""
    python = make_environment(folder / "environment", *PACKAGES)
    package = folder / "google" / "colab"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from google.colab import output\n")
    (package / "output.py").write_text(OUTPUT)
    code = "import google.colab, sys; from ipykernel.kernelapp import launch_new_instance; launch_new_instance()"
    spec = {
        "argv": [str(python), "-c", code, "-f", "{connection_file}"],
        "display_name": "Colab",
        "language": "python",
        "env": {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))},
    }
    place = lab.share / "kernels" / "colab"
    place.mkdir(parents=True)
    (place / "kernel.json").write_text(json.dumps(spec))


class Colab:
    """A notebook there, with a kernel of its own."""

    def __init__(self, lab: Lab) -> None:
        self.page = lab.browser.new_context(viewport={"width": 900, "height": 1300}).new_page()
        lab.pages.append(self.page)
        # A page of the server, emptied: one that is only made up may not talk to this machine.
        self.page.goto(f"{lab.url}/login")
        self.page.set_content("<!doctype html>")
        self.page.add_script_tag(content=HOST.read_text(), type="module")
        self.page.wait_for_function("window.colab")
        self.page.evaluate("token => colab.connect('colab', token)", lab.token)

    def run(self, code: str, cell: int = 1) -> str:
        """Run a cell, and wait for its end; what it printed."""
        return self.page.evaluate("([cell, code]) => colab.run(cell, code)", [cell, code])

    def occupy(self, code: str) -> None:
        """Begin a cell that takes its time, and set ``cellDone`` at its end."""
        script = "code => { window.cellDone = false; void colab.run(9, code).then(() => { window.cellDone = true; }); }"
        self.page.evaluate(script, code)

    def wait_for_cell(self) -> None:
        """Until the cell that was begun has ended."""
        self.page.wait_for_function("window.cellDone", timeout=30_000)

    @property
    def withheld(self) -> int:
        """Messages that a page of today's hosts would have got."""
        return self.page.evaluate("colab.withheld")

    def editor(self, index: int = 0) -> Editor:
        """The view in an output, once it shows a picture."""
        element = self.page.locator("iframe").nth(index)
        element.wait_for(timeout=30_000)
        frame = element.element_handle().content_frame()
        root = frame.locator(EDITOR)
        root.wait_for(timeout=60_000)
        editor = Editor(frame, root)
        editor.wait_for_picture()
        return editor
