"""A real JupyterLab, started by the demo command, and a real Chromium to drive it: one of each for all tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from host import SHOW, Editor, Lab
from playwright.sync_api import expect, sync_playwright

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
TOKEN = "tok"
expect.set_options(timeout=20_000)  # the five seconds that are usual are short where other work is on the machine
FRESH = """
editor.stop()
editor.points = []
editor.mask = None
editor.config = fast
editor._session.new_image(seed=3, truncation=0.7)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = os.environ.get("DRAGGAN_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    # A skip would let the checks pass without the one thing they are for.
    assert found, "no Chromium found; run these tests by tests/run.py, which finds or installs one"
    return found


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def serving(home: Path):
    """The demo as a newcomer starts it, but with settings of its own under ``home``; yields its address and folder."""
    folder = home / "work"
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTERLAB_SETTINGS_DIR")
    environment = {name: str(home / name.lower()) for name in (*names, "JUPYTERLAB_WORKSPACES_DIR", "JUPYTER_PATH")}
    port = free_port()
    command = Path(sys.executable).parent / "draggan-widget"
    log = (home / "log").open("w")
    server = subprocess.Popen(
        [
            *(str(command), "demo", "--no-browser", "--port", str(port), "--token", TOKEN, "--dir", str(folder)),
            *("--", "--ServerApp.port_retries=0", "--JupyterNotebookApp.expose_app_in_browser=True"),
        ],
        env={**os.environ, **environment},
        cwd=home,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        wait_until_served(f"http://127.0.0.1:{port}/api", server, home / "log")
        yield f"http://127.0.0.1:{port}", folder
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, 15)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, 9)
        log.close()


class Stops:
    """How long *Stop* took in each host, for the summary at the end."""

    def __init__(self, record: Callable[[str, str], None]) -> None:
        self._record = record

    def add(self, host: str, editor: Editor, *, busy: bool = False) -> None:
        """Press *Stop* in a host, and note how long it took: no more than seconds, where no cell is ``busy``."""
        self._record(f"Stop in {host}", f"{editor.stop(20 if busy else 2):.0f} ms")


@pytest.fixture
def stops(record_property) -> Stops:
    return Stops(record_property)


@pytest.fixture(scope="session")
def lab(browser, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("lab")) as (url, folder):
        yield Lab(browser, url, TOKEN, folder)


@pytest.fixture(scope="module")
def opened(lab):
    notebook = lab.open(lab.write("editor.ipynb", SHOW), height=1300)
    notebook.run_all()
    notebook.editor()
    yield notebook
    lab.close_pages()


@pytest.fixture
def notebook(opened):
    """The notebook with an edit of its own: no points, no mask, nothing pulled, the page's tools as at the start."""
    opened.execute(FRESH)
    editor = opened.editor()
    editor.wait_for_exact_step(0)
    editor.expect_points(0)
    opened.wait_for_kernels_picture(editor)
    editor.root.locator(".dg-stage").focus()
    for key in ("Escape", "Escape", "Escape", "0", "p"):
        editor.page.keyboard.press(key)
    if editor.button("Hold").get_attribute("aria-pressed") == "true":
        editor.click("Hold")
    return opened


def wait_until_served(url: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2)
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the server did not come up:\n{log.read_text()}")
