"""Environments with other versions of some packages than this one has; all else they take from this one."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

NEEDED = {"ipykernel==6": ["nest_asyncio"], "ipywidgets==7": ["ipython_genutils"]}
"""What old versions import that newer ones do not need."""


def make_environment(folder: Path, *packages: str) -> Path:
    """An environment with just these packages (``name==version``) of its own; returns its Python.

    :raises subprocess.SubprocessError: a package cannot be had.
    """
    more = [each for package in packages for start, each in NEEDED.items() if package.startswith(start)]
    wanted = [*packages, *(name for names in more for name in names)]
    venv.create(folder)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    # By the pip of here: to put one there would take longer than all the rest.
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", *wanted]
    subprocess.run(install, check=True, timeout=240)
    behind = sorted({sysconfig.get_path(name) for name in ("purelib", "platlib")})
    place = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (place / "behind.pth").write_text("".join(f"import site; site.addsitedir({each!r})\n" for each in behind))
    return python
