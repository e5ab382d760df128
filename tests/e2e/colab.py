"""A stand-in for Colab on a real kernel with Colab's old packages; ``colab_host.js`` says what is like Colab in it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from environments import make_environment
from host import Lab
from standin import Standin

PACKAGES = ("ipykernel==6.31.0", "ipywidgets==7.7.1", "anywidget==0.9.21")
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


class Colab(Standin):
    """A notebook there."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab, "colab_host.js", "colab")

    @property
    def withheld(self) -> int:
        """Messages that a page of today's hosts would have got."""
        return self.page.evaluate("host.withheld")
