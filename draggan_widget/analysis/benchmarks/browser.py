"""Measures what a person sees: in JupyterLab as ``draggan-widget demo`` starts it, a real Chromium, and a pointer.

Times are taken in the page: from the pointer event that the widget hears to the moment at which it has drawn on its
image canvas, whose ``data-step`` says which step's picture is there.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
TOKEN = "bench"
SEED = 9
MOUTH = (0.40, 0.68)
"""Where the pulls begin, as parts of the picture: a corner of the mouth of most faces."""
GESTURES = 5
PULL = 0.05
ROUND = 0.06
"""Radius of the circle along which the pointer pulls, as a part of the picture."""
WATCH = """([root, canvas]) => {
    const watch = {moves: [], draws: [], states: []};
    window.bench = watch;
    root.addEventListener('pointermove', event => watch.moves.push(performance.now()), {capture: true});
    new MutationObserver(() => {
        const {step, seq} = canvas.dataset;
        watch.draws.push({at: performance.now(), step: Number(step), seq: Number(seq)});
    }).observe(canvas, {attributes: true, attributeFilter: ['data-seq']});
    new MutationObserver(() => {
        watch.states.push({at: performance.now(), status: root.dataset.status, step: Number(root.dataset.step)});
    }).observe(root, {attributes: true, attributeFilter: ['data-status', 'data-step']});
}"""


class NoBrowserError(RuntimeError):
    """Something that the measurement needs is not there; the text says what, and how to get it."""


def measure(model: str, seconds: float, device: str = "cpu") -> dict[str, Any]:
    """Return what a person sees who pulls a picture of ``model``; see ``frames.measure`` for the figures.

    ``first_frame_s`` is counted from the first pointer move after which the widget pulls. In addition
    ``resume_first_frame_s``, from a move while a run has nothing left to do.

    :param seconds: how long is pulled. :raises NoBrowserError: without JupyterLab, playwright or Chromium.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise NoBrowserError("the browser: playwright is not installed; run: pip install playwright") from None
    chromium = os.environ.get("DRAGGAN_CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM)), None)
    if chromium is None:
        raise NoBrowserError("the browser: no Chromium found; install one, or name it in DRAGGAN_CHROMIUM")
    with (
        tempfile.TemporaryDirectory(prefix="draggan-bench-") as home,
        served(Path(home)) as url,
        sync_playwright() as playwright,
    ):
        _write_notebook(Path(home) / "work" / "bench.ipynb", model, device)
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        try:
            page = browser.new_page(viewport={"width": 1100, "height": 1000})
            return _Pulls(page, url).measure(seconds)
        finally:
            browser.close()


@contextlib.contextmanager
def served(home: Path) -> Iterator[str]:
    """JupyterLab with settings of its own on ``home/work``, and its address.

    :raises NoBrowserError: where it does not come up.
    """
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTERLAB_SETTINGS_DIR")
    settings = {name: str(home / name.lower()) for name in (*names, "JUPYTERLAB_WORKSPACES_DIR")}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "draggan_widget", "demo", "--no-browser", "--port", str(port)]
    command += ["--token", TOKEN, "--dir", str(home / "work")]
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            command, env={**os.environ, **settings}, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            url = f"http://127.0.0.1:{port}"
            if not _answers(f"{url}/api", server):
                said = (home / "log").read_text(errors="replace").strip().splitlines()[-3:]
                raise NoBrowserError("the browser: JupyterLab does not come up: " + " ".join(said))
            yield url
        finally:
            # The kernels are its children, in its session.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


def _answers(url: str, server: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2)
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.1)
        else:
            return True
    return False


def _write_notebook(path: Path, model: str, device: str) -> None:
    source = f"from draggan_widget import Editor\neditor = Editor({model!r}, seed={SEED}, device={device!r})\neditor"
    cell: dict[str, Any] = {"cell_type": "code", "id": "bench", "metadata": {}, "execution_count": None, "outputs": []}
    spec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": [{**cell, "source": source}], "metadata": {"kernelspec": spec}}
    path.write_text(json.dumps({**notebook, "nbformat": 4, "nbformat_minor": 5}), encoding="utf-8")


class _Pulls:
    """A page with one widget in it, and the pulls that are measured on it."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        page.goto(f"{url}/lab/tree/bench.ipynb?reset&token={TOKEN}")
        page.wait_for_function(
            "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel", timeout=60_000
        )
        page.evaluate("void jupyterapp.commands.execute('notebook:run-all-cells')")
        self.root = page.locator(".draggan-widget").first
        self.root.wait_for(timeout=120_000)
        self.canvas = self.root.locator('canvas[data-layer="image"]')
        page.wait_for_function("canvas => canvas.dataset.seq", arg=self.canvas.element_handle(), timeout=120_000)
        page.evaluate(WATCH, [self.root.element_handle(), self.canvas.element_handle()])

    def measure(self, seconds: float) -> dict[str, Any]:
        waits = [self.first_frame() for _ in range(GESTURES + 1)]
        pulled = self.pull(seconds)
        resumed = [self.resume() for _ in range(GESTURES)]
        self.page.mouse.up()
        self.start_anew()
        return {
            "cold_first_frame_s": waits[0],
            "first_frame_s": statistics.median(waits[1:]),
            "all_first_frames_s": waits,
            "resume_first_frame_s": statistics.median(resumed),
            **pulled,
            **self.arrive(),
        }

    def first_frame(self) -> float:
        """Return the seconds from the first move of a new pull to the first picture that its run has changed."""
        self.start_anew()
        self.press()
        self.forget()
        self.page.mouse.move(*self.at(MOUTH[0] - 0.04, MOUTH[1] - 0.02))
        taken = self.seconds_to_step(1)
        self.page.mouse.up()
        return taken

    def pull(self, seconds: float) -> dict[str, float]:
        """Return pictures and steps a second while the pointer goes round and round where it pressed; it stays
        pressed.
        """
        self.start_anew()
        self.press()
        self.page.mouse.move(*self.at(MOUTH[0] + ROUND, MOUTH[1]))
        self.seconds_to_step(1)
        self.forget()
        (left, top), (right, bottom) = self.at(0, 0), self.at(1, 1)  # asked now, for to ask costs the page time
        began = time.perf_counter()
        while (now := time.perf_counter() - began) < seconds:
            x, y = MOUTH[0] + ROUND * math.cos(1.5 * now), MOUTH[1] + ROUND * math.sin(1.5 * now)
            self.page.mouse.move(left + x * (right - left), top + y * (bottom - top))
            time.sleep(1 / 60)
        seen = self.seen()
        steps = [draw["step"] for draw in seen["draws"]]
        return {
            "frames_a_second": len(set(steps)) / now,
            "steps_a_second": (max(steps) - min(steps) + 1) / now if steps else 0.0,
            "moves_a_second": len(seen["moves"]) / now,
        }

    def resume(self) -> float:
        """Return the seconds from a move to the next picture that differs, while the pointer pulls on and its run is
        under way.
        """
        at = int(self.canvas.get_attribute("data-step"))
        self.forget()
        self.page.mouse.move(*self.at(MOUTH[0] + 0.03 * math.cos(at), MOUTH[1] + 0.03 * math.sin(at)))
        return self.seconds_to_step(at + 1)

    def arrive(self) -> dict[str, Any]:
        """Time a pull of 5 %, from its first move to the end of its run."""
        self.press()
        self.forget()
        self.page.mouse.move(*self.at(MOUTH[0] - 0.8 * PULL, MOUTH[1] - 0.6 * PULL), steps=4)
        self.page.mouse.up()
        ended = "['arrived', 'near', 'stalled', 'capped'].includes(root.dataset.status)"
        self.page.wait_for_function(f"root => {ended}", arg=self.root.element_handle(), timeout=300_000)
        seen = self.seen()
        last = seen["states"][-1]
        return {
            "arrival_s": (last["at"] - seen["moves"][0]) / 1000,
            "arrival_steps": last["step"],
            "arrival_reason": last["status"],
        }

    def start_anew(self) -> None:
        """Go back to the picture of the seed, without points."""
        self.page.evaluate(
            """async code => {
                const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                await kernel.requestExecute({code, store_history: false}).done;
            }""",
            "editor.stop(); editor.reset(); editor.points = []; editor.image; pass",
        )
        self.page.wait_for_function(
            "([root, canvas]) => canvas.dataset.format === 'png' && root.dataset.step === '0' && "
            "canvas.dataset.step === '0' && root.querySelectorAll('[aria-label^=\"Point \"]').length === 0",
            arg=[self.root.element_handle(), self.canvas.element_handle()],
            timeout=20_000,
        )

    def press(self) -> None:
        self.page.mouse.move(*self.at(*MOUTH))
        self.page.mouse.down()

    def at(self, x: float, y: float) -> tuple[float, float]:
        box = self.canvas.bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def forget(self) -> None:
        self.page.evaluate("bench.moves.length = bench.draws.length = bench.states.length = 0")

    def seen(self) -> dict[str, Any]:
        seen: dict[str, Any] = self.page.evaluate("bench")
        return seen

    def seconds_to_step(self, step: int) -> float:
        """Return the seconds from the first move since ``forget`` to the first picture after it of at least that
        step.
        """
        found = "bench.draws.find(draw => draw.step >= step && draw.at >= bench.moves[0])"
        self.page.wait_for_function(f"step => {found}", arg=step, timeout=120_000)
        return float(self.page.evaluate(f"step => {found}.at - bench.moves[0]", step)) / 1000
