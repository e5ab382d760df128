"""Replay, comparison and sheets: with ipycanvas, and where it cannot show."""

from __future__ import annotations

import base64
import dataclasses
import io
import sys

import marimo
import numpy as np
import pytest
from PIL import Image
from planted import Planted

from draggan_widget.analysis import compare, contact_sheet, feature_map, replay, trajectories
from draggan_widget.editing import History, Record
from draggan_widget.engines import drag_steps

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def planted():
    return Planted((48, 40))


@pytest.fixture(scope="module")
def history(planted):
    ws = planted.mapping(seed=1)
    start = planted.centre(ws).numpy()
    steps = drag_steps(
        planted, ws, [start], [start + np.array([6.0, 0])], config=planted.drag_config
    )  # many small ones
    return History.of(planted, steps)


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


def commands(canvas, monkeypatch):
    """Collects the names of the commands that go to a canvas."""
    told = []
    for name in ("draw_image", "clip"):
        monkeypatch.setattr(canvas, name, lambda *arguments, name=name, **_: told.append((name, *arguments)))
    return told


def frames_in(played):
    """What a page with a canvas has to draw."""
    stack, player = played.widget().children
    told = []
    with pytest.MonkeyPatch.context() as patch:
        for canvas in stack.children:
            patch.setattr(canvas, "draw_image", lambda image, *_: told.append(image.value))
            canvas._handle_frontend_event(None, {"event": "client_ready"}, [])
    assert len(told) == len(stack.children) == len(player.labels)
    return [Image.open(io.BytesIO(data)).convert("RGB") for data in told]


def test_playing_starts_a_clock_in_the_page_from_the_first_frame(history):
    played = replay(history)
    _, player = played.widget().children
    assert (played.frame, player.playing) == (len(played) - 1, False)
    for _ in range(2):
        played.play()
        assert (played.frame, player.playing) == (0, True)
    played.show(3)
    assert (played.frame, player.playing) == (3, False)


def test_a_frame_scrubbed_to_in_the_page_is_the_one_that_is_shown(history):
    played = replay(history)
    _, player = played.widget().children
    player.set_state({"frame": 2, "playing": False})
    assert played.frame == 2
    assert played.picture().tobytes() == played._drawn(2).tobytes()


def test_frames_that_a_page_played_before_it_heard_of_another_are_not_taken(history):
    played = replay(history)
    _, player = played.widget().children
    played.play()
    player.set_state({"frame": 2, "said": [1, 2, True]})
    assert (played.frame, player.playing) == (2, True)
    played.show(4)
    player.set_state({"frame": 3})  # by what is linked to it
    player.set_state({"frame": 3, "said": [1, 3, True]})
    assert (played.frame, player.playing) == (4, False)
    player.set_state({"frame": 3, "said": [2, 4, False]})  # sent late with what the page has become since
    assert (played.frame, player.playing) == (4, False)
    player.set_state({"frame": 1, "playing": True, "said": [2, 1, True]})
    assert (played.frame, player.playing) == (1, True)


def test_nothing_that_a_page_says_comes_between_a_frame_that_is_asked_for_and_its_telling(history):
    played = replay(history)
    _, player = played.widget().children
    played.play()
    # As where the page is heard in another thread, which runs while this one is at it.
    player.observe(lambda _: player.set_state({"frame": 2, "said": [1, 2, True]}), "playing")
    played.show(4)
    assert (played.frame, player.playing) == (4, False)


def test_the_slider_names_the_steps(history):
    played = replay(history)
    assert played.widget().children[1].labels[:2] == ["step 0", "step 1"]


def close(picture, other):
    return np.abs(np.asarray(picture, float) - np.asarray(other.convert("RGB"), float)).mean() < 2.5


def pulls(planted):
    """A history in which a point comes, one goes, and a second edit goes on where the first one ended."""
    ws = planted.mapping(seed=1)
    start = planted.centre(ws).numpy()
    elsewhere = np.array([6.0, 6.0])
    config = planted.drag_config.replace(tolerance=0.0, stall_steps=None, max_steps=4)
    records = []
    for handles, ids in (([start], (1,)), ([start, elsewhere], (1, 2)), ([elsewhere], (2,))):
        targets = [handle + np.array([6.0, 0]) for handle in handles]
        for state in drag_steps(planted, ws, handles, targets, config=config):
            record = Record.of(state, 0.0, None)
            records.append(dataclasses.replace(record, step=len(records), ids=ids))
        ws = state.ws
    return History(records, planted)


def test_canvas_and_pillow_draw_the_same_at_every_frame(planted):
    played = replay(pulls(planted))
    assert len(played) == 15
    frames = frames_in(played)
    assert all(close(frame, played._drawn(number)) for number, frame in enumerate(frames))
    assert not close(frames[0], played._drawn(14))


def test_no_frame_draws_the_way_that_a_late_point_has_yet_to_go(planted):
    course = pulls(planted)
    played = replay(course)
    frame = np.asarray(frames_in(played)[6], float)
    alone = replay(course[:7])
    assert np.abs(frame - np.asarray(frames_in(alone)[6], float)).mean() < 1


def test_wide_replays_have_fewer_frames_so_that_a_browser_can_keep_them(history, monkeypatch):
    monkeypatch.setattr("draggan_widget.analysis.replaying.MOST_PIXELS", 4 * 96 * 80)
    played = replay(history, width=80)
    assert [record.step for record in played.records][:: len(played) - 1] == [0, history[-1].step]
    assert len(played) == 4


def test_a_canvas_that_comes_later_is_drawn_again(history, monkeypatch):
    played = replay(history)
    canvas = played.widget().children[0].children[2]
    told = commands(canvas, monkeypatch)
    canvas._handle_frontend_event(None, {"event": "client_ready"}, [])
    assert [command[0] for command in told] == ["draw_image"]


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
    above = commands(both._canvas[1], monkeypatch)
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
