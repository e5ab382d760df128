"""What Python draws, in JupyterLab and Chromium: an edit played again, and before and after."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.browser

EDIT = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
from planted import Planted
from draggan_widget.analysis import compare, replay
from draggan_widget.dragging import drag_steps
from draggan_widget.editing import History

planted = Planted((96, 96))
ws = planted.mapping(seed=1)
start = planted.centre(ws).numpy()
config = planted.drag_config.replace(learning_rate=0.02)
history = History.of(planted, drag_steps(planted, ws, [start], [[start[0] + 16, start[1]]], config=config))
"""


@pytest.fixture
def shown(lab):
    """A function that shows the last line of some code, and gives the page and the canvas in it."""

    def show(code):
        notebook = lab.open(lab.write("replay.ipynb", EDIT, code))
        notebook.run_all()
        canvas = notebook.page.locator(".jp-OutputArea-output canvas").first
        canvas.wait_for(timeout=60_000)
        return notebook, canvas

    yield show
    lab.close_pages()


def pixels(canvas):
    return np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("RGB"), dtype=float)


def wait_for(canvas, condition, timeout=20):
    """The pixels of a canvas as soon as they are as wanted."""
    deadline = time.monotonic() + timeout
    while not condition(found := pixels(canvas)):
        assert time.monotonic() < deadline, "the canvas does not show it"
        canvas.page.wait_for_timeout(30)
    return found


def bump(picture):
    """The column up to which the handle and its way reach, as the bump does; None while nothing is drawn."""
    rows = picture[: round(picture.shape[0] * 0.9)]
    red = (rows[..., 0] > 180) & (rows[..., 1] < 120) & (rows[..., 2] < 130)
    columns = np.flatnonzero(red.any(axis=0))
    return columns.max() if len(columns) else None


def test_a_replay_shows_its_last_frame_plays_and_scrubs(shown):
    notebook, canvas = shown("played = replay(history)\nplayed")
    last = wait_for(canvas, lambda picture: bump(picture) is not None)
    slider = notebook.page.locator(".jp-OutputArea-output [role=slider]").first
    slider.focus()
    slider.press("Home")
    first = wait_for(canvas, lambda picture: bump(picture) < bump(last) - 40)
    notebook.wait_for_output("print(played.frame)", "0")
    notebook.page.get_by_role("button", name="Play").click()
    middle = wait_for(canvas, lambda picture: bump(first) + 5 < bump(picture) < bump(last) - 5)
    assert (middle != first).any()
    wait_for(canvas, lambda picture: abs(bump(picture) - bump(last)) < 2)


def test_playing_goes_on_while_the_kernel_is_busy(shown):
    notebook, canvas = shown("played = replay(history)\nplayed")
    last = wait_for(canvas, lambda picture: bump(picture) is not None)
    code = "import time; played.play(); time.sleep(8)"
    notebook.page.evaluate(
        "code => void jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({code})", code
    )
    wait_for(canvas, lambda picture: bump(picture) < bump(last) - 40, timeout=7)
    wait_for(canvas, lambda picture: bump(last) - 40 < bump(picture) < bump(last) - 5, timeout=7)


def test_the_split_between_before_and_after_follows_the_pointer(shown):
    notebook, canvas = shown("both = compare(history.picture(0), history.picture())\nboth")

    def line(picture):
        white = (picture.min(axis=2) > 250).mean(axis=0)
        return int(white.argmax()) if white.max() > 0.9 else None

    before = wait_for(canvas, lambda picture: line(picture) is not None)
    width = before.shape[1]
    assert abs(line(before) - width / 2) < 3
    box = canvas.bounding_box()
    notebook.page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 50)
    wait_for(canvas, lambda picture: line(picture) is not None and abs(line(picture) - width / 4) < 4)
