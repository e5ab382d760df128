"""Other versions of some packages in front of the installed ones, without an environment of their own for torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

NEEDED = {"ipykernel==6": ["nest_asyncio"], "ipywidgets==7": ["ipython_genutils"]}
"""What old versions import that newer ones do not need."""


def make_overlay(folder: Path, *packages: str) -> Path:
    """A folder with just these packages (``name==version``), to be put in front by ``PYTHONPATH``."""
    more = [each for package in packages for start, each in NEEDED.items() if package.startswith(start)]
    wanted = [*packages, *(name for names in more for name in names)]
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-compile",
        "--target",
        str(folder),
        *wanted,
    ]
    subprocess.run(command, check=True, timeout=240)
    return folder


def environment_of(*folders: Path) -> dict[str, str]:
    """This process's environment with those folders in front."""
    paths = [*map(str, folders), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
