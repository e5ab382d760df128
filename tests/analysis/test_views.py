"""Replay, comparison and sheets: with ipycanvas, and where it cannot show."""

from __future__ import annotations

import base64
import io
import sys

import marimo
import numpy as np
import pytest
from PIL import Image
from planted import Planted

from draggan_widget.analysis import compare, contact_sheet, feature_map, replay, trajectories
from draggan_widget.dragging import drag_steps
from draggan_widget.editing import History

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def planted():
    return Planted((48, 40))


@pytest.fixture(scope="module")
def history(planted):
    ws = planted.mapping(seed=1)
    start = planted.centre(ws).numpy()
    return History.of(planted, drag_steps(planted, ws, [start], [start + np.array([6.0, 0])]))


@pytest.fixture
def no_canvas(monkeypatch):
    monkeypatch.setattr(marimo, "running_in_notebook", lambda: True)


def frames_of(data):
    with Image.open(io.BytesIO(data)) as film:
        frames = []
        for number in range(film.n_frames):
            film.seek(number)
            frames.append(film.convert("RGB").copy())
    return frames


def test_a_sheet_shows_the_first_and_the_last_step_and_no_more_than_asked(history):
    sheet = contact_sheet(history, count=5, columns=2, width=80)
    assert sheet.size == (2 * 80 + 6, 3 * 96 + 2 * 6)
    cells = [np.asarray(sheet.convert("RGB").crop((x, y, x + 80, y + 96))) for x, y in ((0, 0), (0, 204))]
    assert (cells[0] != cells[1]).any()
    assert sheet.getpixel((83, 10))[3] == 0  # the gap
    assert sheet.getpixel((120, 280))[3] == 0  # the place of a sixth


def test_ways_lead_from_the_first_place_of_the_handle_to_the_last(history):
    shown, plain = trajectories(history, width=200), history.picture().resize((200, 240), Image.Resampling.BICUBIC)
    changed = np.abs(np.asarray(shown, float) - np.asarray(plain, float)).max(axis=2) > 30
    columns = np.flatnonzero(changed.any(axis=0))
    first, last = ((history[k].handles[0, 0] + 0.5) * 5 for k in (0, -1))
    assert first - 12 < columns[0] < first
    assert last < columns[-1] < last + 20
    assert changed[:, round(first) : round(last)].any(axis=0).mean() > 0.8


def test_the_feature_map_is_bright_where_a_handle_holds(planted):
    ws = planted.mapping(seed=1)
    shown = np.asarray(feature_map(planted, ws).convert("RGB"), float)
    scale = 384 / 40
    x, y = ((planted.centre(ws).numpy() + 0.5) * scale).astype(int)
    assert shown[y, x - 50 : x + 50, 1].max() > shown[20, 20, 1] + 60
    with pytest.raises(ValueError, match="blocks 1 to 3"):
        feature_map(planted, ws, block=9)


@pytest.mark.parametrize("view", [trajectories, contact_sheet, replay])
def test_of_an_empty_history_there_is_nothing_to_show_and_it_says_so(view):
    with pytest.raises(ValueError, match="nothing was dragged yet"):
        view(History())


def test_a_replay_is_a_widget_with_a_still_picture_for_pages_without_a_kernel(history):
    bundle = replay(history)._repr_mimebundle_()
    assert bundle[WIDGET]["model_id"]
    still = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert still.width == 384


def test_marimo_imported_elsewhere_takes_no_canvas_away(history):
    assert "marimo" in sys.modules
    assert WIDGET in replay(history)._repr_mimebundle_()


def test_without_a_canvas_a_replay_is_a_film_whose_frames_differ(history, no_canvas):
    bundle = replay(history, width=120)._repr_mimebundle_()
    assert WIDGET not in bundle
    frames = frames_of(base64.b64decode(bundle["image/gif"]))
    assert len(frames) == len(history)
    assert (np.asarray(frames[0]) != np.asarray(frames[-1])).any()


def test_marimo_gets_a_picture_as_a_page(history):
    kind, page = replay(history, width=120)._mime_()
    assert kind == "text/html"
    assert "data:image/gif;base64," in page


def test_a_replay_is_saved_as_a_film_or_as_the_frame_that_is_shown(history, tmp_path):
    played = replay(history, width=120)
    played.save(tmp_path / "a.gif")
    assert len(frames_of((tmp_path / "a.gif").read_bytes())) == len(played)
    played.show(0)
    played.save(tmp_path / "first.png")
    played.show(len(played) - 1)
    played.save(tmp_path / "last.png")
    assert (tmp_path / "first.png").read_bytes() != (tmp_path / "last.png").read_bytes()
    with pytest.raises(ValueError, match=r"written as \.png or \.gif"):
        played.save(tmp_path / "a.mp4")
    with pytest.raises(ValueError, match=rf"no frame 99; there are 0 to {len(played) - 1}"):
        played.show(99)


def drawn(canvas, monkeypatch):
    """Collects the names of the commands that go to a layer."""
    told = []
    for name in ("draw_image", "sleep", "fill_circle", "clip"):
        monkeypatch.setattr(canvas, name, lambda *arguments, name=name, **_: told.append((name, *arguments)))
    return told


def test_playing_sends_all_frames_at_once_with_pauses_that_the_browser_keeps(history, monkeypatch):
    played = replay(history)
    played.widget()
    below, above = (drawn(played._canvas[layer], monkeypatch) for layer in (0, 1))
    played.play()
    assert len(below) == len(played)
    assert len({command[2:4] for command in below}) == len(played)  # each from another place of the sheet
    assert [command for command in above if command[0] == "sleep"] == [("sleep", played.milliseconds)] * (
        len(played) - 1
    )
    assert played.frame == len(played) - 1


def test_the_slider_scrubs(history, monkeypatch):
    played = replay(history)
    played.widget()
    below = drawn(played._canvas[0], monkeypatch)
    played._slider.value = 2
    assert played.frame == 2
    assert len(below) == 1


def test_a_canvas_that_comes_later_is_drawn_again(history, monkeypatch):
    played = replay(history)
    played.widget()
    below = drawn(played._canvas[0], monkeypatch)
    played._canvas[1]._handle_frontend_event(None, {"event": "client_ready"}, [])
    assert [command[0] for command in below] == ["draw_image"]


def test_comparison_shows_before_on_the_left_of_its_split_and_after_on_the_right(tmp_path):
    black, white = np.zeros((30, 40, 3), np.uint8), np.full((30, 40, 3), 255, np.uint8)
    both = compare(black, Image.fromarray(white), split=0.25, width=100)
    both.save(tmp_path / "both.png")
    row = np.asarray(Image.open(tmp_path / "both.png").convert("L"))[5]
    assert row[:23].max() == 0
    assert row[27:].min() == 255
    with pytest.raises(ValueError, match=r"written as \.png$"):
        both.save(tmp_path / "both.gif")


def test_the_split_follows_the_pointer_and_the_slider(history, monkeypatch):
    both = compare(history.picture(0), history.picture(), width=200)
    both.widget()
    above = drawn(both._canvas[1], monkeypatch)
    both._canvas[1]._handle_frontend_event(None, {"event": "mouse_move", "x": 50, "y": 3}, [])
    assert both.split == both._slider.value == 0.25
    both._slider.value = 0.75
    assert both.split == 0.75
    assert [name for name, *_ in above].count("clip") >= 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"after": Image.new("RGB", (9, 9))}, "give two of one size"),
        ({"split": 1.5}, "from 0 to 1"),
        ({"after": np.zeros((8, 8, 3))}, "float64; give a PIL image"),
    ],
)
def test_pictures_that_cannot_be_compared_are_named(arguments, says):
    picture = Image.new("RGB", (8, 8))
    with pytest.raises(ValueError, match=says):
        compare(**{"before": picture, "after": picture, **arguments})


def test_without_ipycanvas_the_widget_says_how_to_get_it(history, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipycanvas", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "draggan_widget\[canvas\]"'):
        replay(history).widget()
