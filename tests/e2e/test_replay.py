"""What Python draws, in JupyterLab and Chromium: an edit played again, and before and after."""

from __future__ import annotations

import base64
import io
import itertools
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

EDIT = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
from planted import Planted
from draggan_widget.analysis import compare, replay
from draggan_widget.engines import drag_steps
from draggan_widget.editing import History

planted = Planted((96, 96))
ws = planted.mapping(seed=1)
start = planted.centre(ws).numpy()
config = planted.drag_config.replace(learning_rate=0.02, on_stall="stop")  # many small steps, to the end
history = History.of(planted, drag_steps(planted, ws, [start], [[start[0] + 16, start[1]]], config=config))
played = replay(history)
"""
OUTPUT = ".jp-OutputArea-output"


def show(lab, name, code):
    """Shows the last line of some code; gives the notebook and the canvas in it."""
    notebook = lab.open(lab.write(f"{name}.ipynb", EDIT, code))
    notebook.run_all()
    canvas = notebook.page.locator(f"{OUTPUT} canvas").first
    canvas.wait_for(timeout=60_000)
    return notebook, canvas


def pixels(canvas):
    """Those of the canvas that shows at this moment."""
    url = canvas.page.evaluate("selector => document.querySelector(selector).toDataURL()", f"{OUTPUT} canvas")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB"), dtype=float)


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


class Film:
    """A replay as a page shows it."""

    def __init__(self, notebook, canvas):
        self.page, self.notebook, self.canvas = notebook.page, notebook, canvas
        output = self.page.locator(OUTPUT)
        self.slider = output.get_by_role("slider", name="Frame")
        self.slider.wait_for()
        self.last = int(self.slider.get_attribute("max"))
        self.shown = {self.frame: wait_for(canvas, lambda picture: bump(picture) is not None)}
        """Pixels by frames."""

    def button(self, name):
        return self.page.locator(OUTPUT).get_by_role("button", name=name, exact=True)

    @property
    def frame(self):
        return int(self.slider.input_value())

    def drawn(self, picture):
        """A picture of the kernel's, as Pillow draws it."""
        printed, _ = self.notebook.execute(
            f"import base64, io; file = io.BytesIO(); {picture}.convert('RGB').save(file, 'PNG')\n"
            "print(base64.b64encode(file.getvalue()).decode())"
        )
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(printed))), dtype=float)

    def learn(self, *frames):
        """What these look like, at rest: the slider is at one before its canvas shows."""
        for frame in frames:
            self.notebook.execute(f"played.show({frame})")
            expect(self.slider).to_have_value(str(frame))
            own, *others = (
                self.drawn(f"played._drawn({each})") for each in (frame, frame - 1, frame + 1) if 0 <= each <= self.last
            )

            def is_it(picture, own=own, others=others):
                off = [np.abs(picture - each).mean() if picture.shape == each.shape else 255 for each in (own, *others)]
                return off[0] < 3 and off[0] == min(off)

            self.shown[frame] = wait_for(self.canvas, is_it)

    def shows(self, frame, timeout=20):
        wait_for(self.canvas, lambda picture: np.abs(picture - self.shown[frame]).mean() < 0.1, timeout)

    def wait_until(self, condition, timeout=20):
        self.page.wait_for_function(
            f"slider => {{ const frame = Number(slider.value); return {condition}; }}",
            arg=self.slider.element_handle(),
            timeout=timeout * 1000,
        )

    def stays(self, frame):
        self.page.wait_for_timeout(700)
        assert self.frame == frame
        self.shows(frame)

    def pace(self, speed):
        """Play that many times as fast; slow films can be caught in their midst however busy the machine is."""
        listed = self.page.get_by_label("Speed")
        for now in (0.5, speed):  # one that is not listed is seen by the list being at none
            self.notebook.execute(f"played.widget().children[1].speed = {now}")
            expect(listed).to_have_value(f"{now:g}" if now in (0.5, 1, 2) else "")

    def log(self):
        """From now on, note each frame of the slider with its time."""
        self.slider.evaluate(
            """slider => {
                const seen = window.frames_seen = [];
                const look = () => {
                    if (window.frames_seen !== seen) return;
                    requestAnimationFrame(look);
                    const frame = Number(slider.value);
                    if (seen.at(-1)?.[0] !== frame) seen.push([frame, performance.now()]);
                };
                look();
            }"""
        )

    def logged(self):
        return self.page.evaluate("window.frames_seen")

    def milliseconds(self):
        """Of each frame as it was logged: the median, which a moment of standing still does not change."""
        pairs = itertools.combinations(self.logged()[1:], 2)
        return np.median([(late - soon) / (after - before) for (before, soon), (after, late) in pairs])


@pytest.fixture(scope="module")
def playing(lab):
    notebook, canvas = show(lab, "replay", "played")
    yield Film(notebook, canvas)
    lab.close_pages()


@pytest.fixture
def film(playing):
    """The film at its end, as it is first shown."""
    playing.pace(1)
    playing.learn(playing.last)
    return playing


def test_a_replay_shows_its_last_frame_plays_and_scrubs(film):
    last = film.shown[film.last]
    film.slider.focus()
    film.slider.press("Home")
    first = wait_for(film.canvas, lambda picture: bump(picture) < bump(last) - 40)
    film.notebook.wait_for_output("print(played.frame)", "0")
    film.pace(0.3)
    film.button("Play").click()
    middle = wait_for(film.canvas, lambda picture: bump(first) + 5 < bump(picture) < bump(last) - 5)
    assert (middle != first).any()
    film.pace(1)
    wait_for(film.canvas, lambda picture: abs(bump(picture) - bump(last)) < 2)


def test_frames_in_the_page_are_those_that_pillow_draws(film):
    for frame in (0, film.last // 2, film.last):
        film.learn(frame)
        film.notebook.wait_for_output("print(played.frame)", str(frame))
        drawn = film.drawn("played.picture()")
        assert drawn.shape == film.shown[frame].shape
        assert np.abs(drawn - film.shown[frame]).mean() < 3


def test_scrubbing_stops_the_film_at_the_frame_that_was_scrubbed_to(film):
    film.learn(2)
    film.pace(0.3)
    box = film.slider.bounding_box()
    film.button("Play").click()
    film.wait_until("frame > 5")
    film.page.mouse.move(box["x"] + 8 + (box["width"] - 16) * 2 / film.last, box["y"] + box["height"] / 2)
    film.page.mouse.down()
    film.shows(2)
    film.stays(2)  # grabbed and held
    film.page.mouse.up()
    film.stays(2)
    film.button("Play").wait_for()
    film.notebook.wait_for_output("print(played.frame)", "2")


def test_it_plays_and_pauses_by_keys_alone_and_goes_on_from_there(film):
    film.pace(0.2)
    active = film.page.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex")
    film.button("Play").focus()
    film.page.keyboard.press("Space")
    expect(film.button("Pause")).to_have_attribute("title", "Pause here")
    film.wait_until("frame > 3")
    film.page.keyboard.press("Space")
    expect(film.button("Play")).to_be_focused()
    paused = film.frame
    assert 3 < paused < film.last
    film.pace(1)
    film.page.wait_for_timeout(500)
    assert film.frame == paused
    film.page.keyboard.press("Tab")
    expect(film.slider).to_be_focused()
    film.page.keyboard.press("ArrowDown")
    expect(film.slider).to_have_value(str(paused - 1))
    film.page.keyboard.press("Shift+Tab")
    film.log()
    film.page.keyboard.press("Enter")
    film.wait_until(f"frame === {film.last}")
    assert film.logged()[0][0] >= paused - 1
    film.shows(film.last)
    assert film.page.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex") == active


def test_a_film_takes_its_time_and_no_click_queues_another(film):
    film.pace(0.5)
    length = int(film.notebook.execute("print(played.milliseconds)")[0])
    film.log()
    film.button("Play").click()
    film.button("Pause").click()
    film.button("Play").click()
    film.wait_until(f"frame === {film.last}")
    film.page.wait_for_timeout(500)
    seen = [frame for frame, _ in film.logged()][1:]
    assert seen == sorted(seen)  # once from the start to the end
    assert len(seen) > 0.6 * film.last
    assert film.milliseconds() == pytest.approx(length / 0.5, rel=0.2)
    film.notebook.execute("played.play(); played.play()")
    film.wait_until("frame < 15")
    film.wait_until(f"frame === {film.last}")
    film.stays(film.last)
    film.button("Play").wait_for()


def test_twice_as_fast_takes_half_the_time(film):
    length = int(film.notebook.execute("print(played.milliseconds)")[0])
    film.page.get_by_label("Speed").select_option("2")
    film.log()
    film.button("Play").click()
    film.wait_until(f"frame === {film.last} && window.frames_seen.length > 5")
    assert film.milliseconds() == pytest.approx(length / 2, rel=0.25)


def test_it_plays_pauses_and_scrubs_while_the_kernel_is_busy(film):
    film.learn(2, film.last)
    film.pace(0.5)
    film.notebook.occupy("import time; played.play(); time.sleep(12)")
    film.wait_until("frame > 3 && frame < 15")
    film.button("Pause").click()
    paused = film.frame
    film.page.wait_for_timeout(400)
    assert film.frame == paused
    film.slider.focus()
    film.slider.press("Home")
    film.slider.press("ArrowRight")
    film.slider.press("ArrowRight")
    film.shows(2)
    film.button("Play").click()
    film.wait_until(f"frame === {film.last}")
    film.shows(film.last)
    assert not film.page.evaluate("window.cellDone")
    film.page.wait_for_function("window.cellDone", timeout=30_000)


def test_the_kernel_has_the_last_word_while_a_film_plays(film):
    for frame in (3, 1, 4, 2, 5):
        film.notebook.execute("played.play()")
        film.wait_until("frame > 5")
        film.notebook.execute(f"played.show({frame})")
        expect(film.slider).to_have_value(str(frame))
        film.page.wait_for_timeout(200)
        assert film.frame == frame
        assert film.notebook.execute("print(played.frame)")[0].strip() == str(frame)


def test_other_canvases_are_drawn_while_a_film_plays(film):
    film.pace(0.1)
    film.button("Play").click()
    film.wait_until("frame > 1")
    film.notebook.execute(
        "import ipycanvas; other = ipycanvas.Canvas(width=10, height=10, sync_image_data=True)\n"
        "other.fill_rect(0, 0, 10, 10)"
    )
    film.notebook.wait_for_output("print(other.image_data is not None)", "True")
    assert film.frame < film.last


def test_a_page_that_comes_later_shows_the_frame_that_was_left(film, lab):
    film.learn(2)
    film.page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    film.page.wait_for_timeout(500)
    notebook = lab.open("replay.ipynb", page=film.page)
    again = Film(notebook, notebook.page.locator(f"{OUTPUT} canvas").first)
    expect(again.slider).to_have_value("2")
    again.shown = film.shown
    again.shows(2)


def test_the_split_between_before_and_after_follows_the_pointer(lab):
    notebook, canvas = show(lab, "compare", "both = compare(history.picture(0), history.picture())\nboth")

    def line(picture):
        white = (picture.min(axis=2) > 250).mean(axis=0)
        return int(white.argmax()) if white.max() > 0.9 else None

    before = wait_for(canvas, lambda picture: line(picture) is not None)
    width = before.shape[1]
    assert abs(line(before) - width / 2) < 3
    box = canvas.bounding_box()
    notebook.page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 50)
    wait_for(canvas, lambda picture: line(picture) is not None and abs(line(picture) - width / 4) < 4)
