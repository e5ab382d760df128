"""What a Python has of Jupyter. Run as a file in other Pythons too, so it imports nothing of ours and nothing heavy."""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = (
    *("draggan_widget", "torch", "anywidget", "ipywidgets", "ipykernel", "jupyterlab", "notebook"),
    *("numpy", "pillow", "safetensors"),
)
MANAGER = os.path.join("@jupyter-widgets", "jupyterlab-manager")


def probe() -> dict[str, Any]:
    """Return the versions of ``PACKAGES`` (None: not installed), JupyterLab's extensions that concern widgets, and
    kernels.

    ``extensions`` has the version of ``MANAGER`` and ``anywidget`` (None: not there, "disabled": switched off);
    ``kernels`` has the command of each Python kernel; both are empty where Jupyter is not installed.
    """
    return {
        "python": sys.executable,
        "release": ".".join(map(str, sys.version_info[:3])),
        "versions": {name: _version(name) for name in PACKAGES},
        "extensions": _extensions(),
        "kernels": _kernels(),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _extensions() -> dict[str, str | None]:
    try:
        from jupyter_core.paths import jupyter_config_path, jupyter_path
    except ImportError:
        return {}
    off = set()
    for folder in (*jupyter_config_path(), *jupyter_path("lab", "settings")):
        for config in (os.path.join(folder, "labconfig", "page_config.json"), os.path.join(folder, "page_config.json")):
            said = _json(config).get("disabledExtensions", {})
            off |= {name for name, disabled in said.items() if disabled} if isinstance(said, dict) else set(said)
    found: dict[str, str | None] = {}
    for name in (MANAGER, "anywidget"):
        files = (os.path.join(folder, name, "package.json") for folder in jupyter_path("labextensions"))
        there = next((_json(file) for file in files if os.path.isfile(file)), None)
        disabled = any(each.split(":")[0] == name.replace(os.sep, "/") for each in off)
        found[name] = None if there is None else "disabled" if disabled else str(there.get("version"))
    return found


def _kernels() -> dict[str, list[str]]:
    try:
        from jupyter_client.kernelspec import KernelSpecManager
    except ImportError:
        return {}
    specs = KernelSpecManager().get_all_specs()
    return {name: each["spec"]["argv"] for name, each in specs.items() if each["spec"].get("language") == "python"}


def _json(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


if __name__ == "__main__":
    print(json.dumps(probe()))
