"""The widget without a browser: its Python face, and its page played by a list of messages."""

from __future__ import annotations

import asyncio
import gc
import io
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest
import torch
import traitlets
from page import Page, until
from PIL import Image
from random_stylegan2 import small_stylegan2

from draggan_widget import CheckpointError, DragConfig, DragGAN, dragging
from draggan_widget.editing import DragFileError, worker
from draggan_widget.engines.draggan import captured_steps as strides
from draggan_widget.models import save_generator
from draggan_widget.widget import stream

FAST = DragConfig(learning_rate=0.05, max_steps=60)
NEVER = FAST.replace(tolerance=0.0, stall_steps=None, max_steps=None)
POINT = {"handle": [30, 30], "target": [36, 30]}


@pytest.fixture
def make(generator):
    made = []

    def make(model=generator, seed=3, config=FAST, **settings):
        made.append(DragGAN(model, seed=seed, config=config, **settings))
        return made[-1]

    yield make
    for editor in made:
        editor.close()


def finish(editor):
    return asyncio.run(editor.finished())


def test_an_edit_from_python_needs_no_browser(make):
    editor = make()
    before = editor.image
    editor.points = [POINT]
    editor.start()
    result = finish(editor)
    assert result.reason == editor.status == "arrived"
    assert editor.step == result.steps > 0
    assert len(editor.history) == result.steps + 1
    assert (editor.image.size, editor.image.mode) == ((64, 64), "RGB")
    assert editor.image.tobytes() != before.tobytes()
    np.testing.assert_array_equal(editor.latent, result.ws.numpy())
    assert editor.points[0]["id"] == 1
    assert editor.points[0]["target"] == [36, 30]
    assert abs(editor.points[0]["handle"][0] - 36) <= 1


def test_traits_in_a_notebook_are_set_on_the_loops_thread_only(generator):
    threads = set()

    async def cell():
        editor = DragGAN(generator, seed=3, config=FAST)
        editor.observe(lambda change: threads.add(threading.current_thread()), ["step", "status", "points"])
        editor.points = [POINT]
        editor.start()
        result = await editor.finished()
        await until(lambda: (editor.status, editor.step) == (result.reason, result.steps))
        editor.close()

    asyncio.run(cell())
    assert threads == {threading.main_thread()}


def test_the_loop_runs_on_while_an_edit_does(generator):
    async def cell():
        editor = DragGAN(generator, seed=3, config=NEVER)
        editor.points = [POINT]
        editor.start()
        longest, last = 0.0, time.monotonic()
        for _ in range(50):
            await asyncio.sleep(0.005)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        editor.stop()
        result = await editor.finished()
        editor.close()
        return longest, result

    longest, result = asyncio.run(cell())
    assert longest < 1
    assert (result.reason, result.steps > 1) == ("stopped", True)


def test_the_picture_is_that_of_seed_and_truncation_and_follows_them(make, generator):
    editor = make()

    def expected(seed, truncation):
        return dragging.to_image(generator.synthesize(generator.mapping(seed=seed, truncation=truncation))).tobytes()

    assert editor.image.tobytes() == expected(3, 0.7)
    editor.seed = 8
    assert editor.image.tobytes() == expected(8, 0.7)
    editor.truncation = 0.3
    assert editor.image.tobytes() == expected(8, 0.3)
    editor.undo()
    editor.undo()
    assert editor.image.tobytes() == expected(3, 0.7)
    assert (editor.seed, editor.truncation) == (3, 0.7)


def test_undo_redo_reset_and_a_latent_of_ones_own(make):
    editor = make()
    start = editor.latent
    editor.points = [POINT]
    editor.step_once()
    moved = editor.latent
    assert not np.array_equal(start, moved)
    editor.undo()
    np.testing.assert_array_equal(editor.latent, start)
    editor.redo()
    np.testing.assert_array_equal(editor.latent, moved)
    editor.reset()
    np.testing.assert_array_equal(editor.latent, start)
    editor.latent = moved
    np.testing.assert_array_equal(editor.latent, moved)
    assert editor.seed is None
    for bad in (moved[:, :2], np.full_like(moved, np.nan)):
        with pytest.raises(ValueError, match=r"one latent of \(1, 10, 16\)|NaN"):
            editor.latent = bad


def test_a_mask_is_saved_and_loaded_again_and_a_bad_file_changes_nothing(make, tmp_path):
    editor = make()
    mask = np.zeros((64, 64), np.float32)
    mask[10:20, 30:50] = 1
    editor.mask = mask
    editor.save_mask(tmp_path / "mask.png")
    editor.mask = None
    with pytest.raises(ValueError, match="there is no mask to save"):
        editor.save_mask(tmp_path / "other.png")
    editor.load_mask(tmp_path / "mask.png")
    np.testing.assert_array_equal(editor.mask, mask)
    Image.new("L", (64, 64)).save(tmp_path / "black.png")
    with pytest.raises(ValueError, match="white nowhere"):
        editor.load_mask(tmp_path / "black.png")
    np.testing.assert_array_equal(editor.mask, mask)
    editor.undo()
    assert editor._session.now().mask is None


def test_reset_begins_afresh_and_keeps_points_only_where_that_is_asked_for(make):
    editor = make()
    start = editor.latent
    editor.points = [POINT]
    editor.step_once()
    editor.reset(keep_points=True)
    assert editor._session.now().drag.ids == (1,)
    editor.step_once()
    editor.reset()
    assert editor._session.now().drag.ids == ()
    np.testing.assert_array_equal(editor.latent, start)


def test_settings_change_in_mid_run_and_must_be_a_config(make):
    editor = make(config=NEVER)
    editor.points = [POINT]
    editor.start()
    editor.config = FAST
    assert finish(editor).reason == "arrived"
    with pytest.raises(TypeError, match="is no engine.s settings; give one of Natural, DragConfig"):
        editor.config = {"learning_rate": 1}
    with pytest.raises(ValueError, match="no synthesis block|block"):
        editor.config = FAST.replace(block=9)
    assert editor.config == FAST


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("points", [{"handle": [30, 64], "target": [1, 1]}], "outside the picture"),
        ("points", [{"handle": [30, float("nan")], "target": [1, 1]}], "finite"),
        ("mask", np.ones((32, 32)), r"this picture needs \(64, 64\)"),
        ("mask", np.full((64, 64), np.nan), "NaN"),
        ("seed", -1, "from 0 to"),
        ("seed", "seven", "seed"),
        ("truncation", 9.0, "from 0 to 2"),
    ],
)
def test_a_bad_trait_is_refused_by_name_and_the_edit_stays(make, name, value, says):
    editor = make()
    editor.points = [POINT]
    editor.step_once()
    latent, points = editor.latent, editor.points
    with pytest.raises(traitlets.TraitError, match=says):
        setattr(editor, name, value)
    np.testing.assert_array_equal(editor.latent, latent)
    assert editor.points == points


def test_bad_constructor_arguments_are_named(generator, tmp_path):
    with pytest.raises(FileNotFoundError, match="no generator 'fases'"):
        DragGAN("fases")
    (tmp_path / "model.pkl").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match=r"model\.pkl is no file of a kind known here"):
        DragGAN(tmp_path / "model.pkl")
    with pytest.raises(TypeError, match="seed is 'x'"):
        DragGAN(generator, seed="x")
    with pytest.raises(ValueError, match="truncation"):
        DragGAN(generator, truncation=-1)


def test_starting_without_points_is_an_error_in_the_cell(make):
    editor = make()
    for method in (editor.start, editor.step_once):
        with pytest.raises(ValueError, match="no points yet"):
            method()


def test_an_edit_is_saved_and_goes_on_in_another_editor(make, generator, tmp_path):
    editor = make()
    editor.points = [POINT]
    editor.mask = np.ones((64, 64), bool)
    editor.step_once()
    editor.save(tmp_path / "a.drag")
    again = DragGAN.load(tmp_path / "a.drag", model=generator)
    np.testing.assert_array_equal(again.latent, editor.latent)
    assert (again.seed, again.step, again.config) == (3, 1, FAST)
    assert [p["id"] for p in again.points] == [1]
    np.testing.assert_array_equal(again.mask, np.ones((64, 64)))
    for one in (editor, again):
        one.start()
    assert torch.equal(finish(editor).ws, finish(again).ws)
    again.close()
    with pytest.raises(traitlets.TraitError, match="seed is None"):
        editor.seed = None
    with pytest.raises(ValueError, match="give it as model"):
        DragGAN.load(tmp_path / "a.drag")
    with pytest.raises(DragFileError, match="another generator"):
        DragGAN.load(tmp_path / "a.drag", model=small_stylegan2(seed=5))


def test_a_file_whose_checkpoint_was_moved_says_how_to_load_it_all_the_same(generator, tmp_path):
    save_generator(tmp_path / "g.safetensors", generator)
    editor = DragGAN(tmp_path / "g.safetensors")
    editor.save(tmp_path / "a.drag")
    editor.close()
    DragGAN.load(tmp_path / "a.drag").close()
    (tmp_path / "g.safetensors").rename(tmp_path / "h.safetensors")
    with pytest.raises(FileNotFoundError, match="give model="):
        DragGAN.load(tmp_path / "a.drag")
    DragGAN.load(tmp_path / "a.drag", model=tmp_path / "h.safetensors").close()


def test_a_snapshot_shows_the_points_at_the_asked_size(make):
    editor = make()
    plain = editor.snapshot(256)
    editor.points = [POINT]
    editor.latent  # noqa: B018 - waits until the points are taken
    drawn = editor.snapshot(256)
    assert drawn.size == (256, 256)
    changed = np.argwhere((np.asarray(plain) != np.asarray(drawn)).any(axis=2))
    assert changed[:, 1].min() >= 4 * 30 - 8
    assert changed[:, 1].max() <= 4 * 37 + 8


def test_points_and_mask_may_be_given_at_once_and_unknown_arguments_are_named(make, generator):
    editor = make(points=[POINT], mask=np.ones((64, 64), bool))
    document = editor._session.now()
    assert document.drag.ids == (1,)
    assert document.mask.min() == 1
    with pytest.raises(TypeError, match="takes no sed"):
        DragGAN(generator, sed=7)


def test_a_list_of_points_that_was_changed_in_place_counts_when_it_is_set_again(make):
    editor = make(points=[POINT])
    points = editor.points
    points[0]["target"] = [40, 30]
    editor.points = points
    assert editor._session.now().drag.point(1).target == (40, 30)


def test_an_assignment_is_not_taken_back_by_what_the_session_published_before_it(generator):
    async def cell():
        editor = DragGAN(generator, seed=3, config=NEVER, points=[POINT])
        editor.start()
        for number in range(2, 6):
            await asyncio.sleep(0.03)
            editor.points = [*editor.points, {"handle": [10 * number, 10], "target": [10 * number, 14]}]
        await asyncio.sleep(0.03)
        editor.stop()
        await editor.finished()
        ids = editor._session.now().drag.ids
        editor.close()
        return ids

    assert asyncio.run(cell()) == (1, 2, 3, 4, 5)


def test_an_observer_may_set_traits_itself(make, generator):
    editor = make()
    editor.observe(lambda change: setattr(editor, "seed", 9) if change["new"] == "arrived" else None, "status")
    editor.points = [POINT]
    editor.start()
    finish(editor)
    editor.latent  # noqa: B018 - waits until the seed is taken
    assert editor._session.now().seed == editor.seed == 9


def test_the_truncation_of_a_picture_without_a_seed_is_refused(make):
    editor = make()
    editor.latent = editor.latent
    editor.latent  # noqa: B018
    with pytest.raises(traitlets.TraitError, match="did not come from a seed"):
        editor.truncation = 0.3


def test_traits_are_told_to_the_page_now_and_then_and_not_at_every_step(generator):
    async def cell():
        editor = DragGAN(generator, seed=3, config=NEVER, points=[POINT], mask=np.ones((64, 64)))
        told, masks = [], []
        editor.send_state = lambda key=None: told.append(key)
        editor.observe(masks.append, "mask")
        began = time.monotonic()
        editor.start()
        while editor._session.latest.step < 100:
            await asyncio.sleep(0.005)
        seconds = time.monotonic() - began
        editor.stop()
        result = await editor.finished()
        await until(lambda: editor.step == result.steps)
        editor.close()
        return len(told), seconds, masks

    told, seconds, masks = asyncio.run(cell())
    assert told <= 10 * seconds + 8
    assert masks == []


# --- with a page -----------------------------------------------------------------------------------------------------


def test_ready_is_answered_with_the_mask_the_state_and_a_lossless_frame(make):
    editor = make()
    page = Page(editor)
    page.say("ready", view="page")
    page.wait_for(lambda p: p.of("mask"))
    assert [content["type"] for content, _ in page.told] == ["pong", "state", "frame", "mask"]
    state, frame = page.of("state")[0], page.of("frame")[0]
    assert (state["status"], state["width"], state["seed"], state["points"]) == ("idle", 64, 3, [])
    assert (frame["format"], frame["width"]) == ("png", 64)
    picture = Image.open(io.BytesIO(page.told[2][1][0]))
    assert picture.tobytes() == editor.image.tobytes()
    page.say("ready", view="second")
    page.wait_for(lambda p: len(p.of("frame")) == 2)


def test_press_and_pull_is_one_edit_with_frames_on_the_way(make):
    editor = make()
    page = Page(editor)
    page.say("ready", view="page")
    page.say("point", id=1, handle=[30, 30], target=[31, 30], pulling=True, start=True)
    page.say("point", id=1, target=[36, 30], pulling=True)
    page.say("point", id=1, target=[36, 30], pulling=False)
    page.wait_for_status("arrived")
    page.wait_for(lambda p: p.of("frame")[-1]["format"] == "png" and p.of("frame")[-1]["step"] > 0)
    assert len({frame["step"] for frame in page.of("frame")}) >= 3
    sequence = [frame["seq"] for frame in page.of("frame")]
    assert sequence == sorted(set(sequence))
    page.say("undo")
    page.wait_for(lambda p: p.of("state")[-1]["points"] == [])


def test_a_move_that_goes_with_an_acknowledgement_moves_the_target(make):
    editor = make()
    page = Page(editor)
    page.say("ready", view="page")
    page.say("point", id=1, handle=[30, 30], target=[31, 30], pulling=True)
    move = {"type": "point", "id": 1, "target": [36, 32], "pulling": True}
    page.say("ack", view="page", seq=1, pull=False, move=move)
    page.wait_for(lambda p: [36, 32] in [point["target"] for state in p.of("state")[-1:] for point in state["points"]])
    page.say("ack", view="page", seq=1, pull=False, move={**move, "target": [900, 2]})
    page.wait_for(lambda p: p.of("notice"))
    assert "the target of point 1 is outside" in page.of("notice")[-1]["text"]
    assert page.of("state")[-1]["points"][0]["target"] == [36, 32]


def test_a_page_that_acknowledges_nothing_is_not_flooded(make, monkeypatch):
    monkeypatch.setattr(stream, "SLOW_CLOCK", 3600)
    editor = make(config=NEVER)
    page = Page(editor, acks=False)
    page.say("ready", view="page")
    page.say("point", id=1, handle=[30, 30], target=[40, 30], pulling=False)
    page.say("start")
    deadline = time.monotonic() + 20
    while editor._session.latest.step < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    page.say("stop")
    page.wait_for_status("stopped")
    assert page.of("state")[-1]["step"] >= 20
    assert len(page.of("frame")) == 2
    assert len(page.of("state")) <= 6


def test_a_view_that_says_goodbye_pauses_its_run_and_one_that_comes_takes_it_up(make):
    editor = make(config=NEVER)
    page = Page(editor)
    page.say("ready", view="page")
    page.say("point", id=1, handle=[30, 30], target=[40, 30], pulling=False)
    page.say("start")
    page.wait_for(lambda p: p.of("state") and p.of("state")[-1]["step"] > 1)
    page.say("bye", view="page")
    deadline = time.monotonic() + 30
    while editor._session.latest.status != "paused" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert editor._session.latest.status == "paused"
    step = editor._session.latest.step
    page.say("ready", view="next")
    page.wait_for(lambda p: p.of("state")[-1]["status"] == "running" and p.of("state")[-1]["step"] > step)


def test_the_thread_is_released_a_while_after_the_last_work_though_a_view_is_there(make, monkeypatch):
    monkeypatch.setattr(worker, "REST_AFTER", 0.2)
    editor = make()
    page = Page(editor)
    page.say("ready", view="page")
    page.say("point", id=1, handle=[30, 30], target=[36, 30], pulling=False)
    page.say("start")
    page.wait_for_status("arrived")
    frames = len(page.of("frame"))

    def released():
        deadline = time.monotonic() + 30
        while not editor._session.resting and time.monotonic() < deadline:
            time.sleep(0.01)
        return editor._session.resting

    assert released()
    pongs = len(page.of("pong"))
    page.say("ping", view="page")
    page.wait_for(lambda p: len(p.of("pong")) > pongs)  # it is answered
    assert released()
    page.say("point", id=1, target=[30, 34], pulling=False)
    page.say("start")
    page.wait_for(lambda p: len(p.of("frame")) > frames)


def test_what_was_published_while_a_view_seemed_away_reaches_it_with_its_next_ping(make, monkeypatch):
    editor = make()
    page = Page(editor, acks=False)  # it owes an answer
    page.say("ready", view="page")
    page.wait_for(lambda p: p.of("mask"))
    page.told.clear()
    monkeypatch.setattr(stream, "AWAY_AFTER", 0)
    editor.seed = 8
    editor.latent  # noqa: B018
    assert page.of("frame") == []
    monkeypatch.undo()
    page.say("ping", view="page")
    page.wait_for(lambda p: p.of("frame"))
    assert page.of("state")[-1]["seed"] == 8


def test_a_picture_that_cannot_be_made_is_told_and_not_swallowed(make, generator, monkeypatch):
    editor = make()
    page = Page(editor)

    def synthesize(ws):
        raise RuntimeError("no memory for the picture")

    monkeypatch.setattr(editor.generator, "synthesize", synthesize)
    page.say("ready", view="page")
    page.wait_for_status("error")
    assert "no memory for the picture" in page.of("state")[-1]["message"]


def test_bad_messages_and_impossible_commands_are_notices_and_the_edit_stays(make):
    editor = make()
    page = Page(editor)
    page.say("ready", view="page")
    before = editor.latent
    page.say("fly")
    page.say("start")
    page.say("point", id=1, handle=[900, 30], target=[1, 1], pulling=False)
    page.say("new_image", seed="x")
    page.say("undo")
    page.wait_for(lambda p: len(p.of("notice")) == 5)
    notices = " ".join(notice["text"] for notice in page.of("notice"))
    for words in ("unknown message", "no points yet", "outside the picture", "seed is 'x'", "nothing to undo"):
        assert words in notices
    np.testing.assert_array_equal(editor.latent, before)


def test_an_exception_in_the_worker_shows_in_the_page_and_in_finished(make, monkeypatch):
    editor = make()
    page = Page(editor)
    page.say("ready", view="page")

    def step(generator, state):
        raise RuntimeError("no memory left")

    monkeypatch.setattr(strides, "step", step)
    page.say("point", id=1, handle=[30, 30], target=[40, 30], pulling=False)
    page.say("start")
    page.wait_for_status("error")
    assert "no memory left" in page.of("state")[-1]["message"]
    with pytest.raises(RuntimeError, match="no memory left"):
        finish(editor)


def test_masks_go_both_ways_and_a_view_that_comes_gets_the_mask(make):
    editor = make()
    page = Page(editor)
    page.say("ready", view="page")
    page.wait_for(lambda p: p.of("frame"))
    painted = np.zeros((64, 64), np.uint8)
    painted[10:20, 10:20] = 255
    page.say("mask", [painted.tobytes()], width=64, height=64)
    page.wait_for(lambda p: [painted.tobytes()] in p.masks())
    editor.latent  # noqa: B018 - waits until the mask is taken
    np.testing.assert_array_equal(editor.mask, painted / 255)
    page.told.clear()
    editor.mask = None
    page.wait_for(lambda p: p.masks() == [[]])
    editor.mask = painted / 255
    page.wait_for(lambda p: p.masks() == [[], [painted.tobytes()]])
    page.told.clear()
    page.say("ready", view="second")
    page.wait_for(lambda p: p.masks())
    assert page.masks() == [[painted.tobytes()]]


def test_a_new_image_of_the_page_takes_a_seed_or_draws_one(make):
    editor = make()
    page = Page(editor)
    page.say("ready", view="page")
    page.say("new_image", seed=11)
    page.wait_for(lambda p: p.of("state") and p.of("state")[-1]["seed"] == 11)
    page.say("new_image", seed=None)
    page.wait_for(lambda p: p.of("state")[-1]["seed"] != 11)
    page.say("truncation", value=0.4)
    page.wait_for(lambda p: p.of("state")[-1]["truncation"] == 0.4)


def test_a_closed_widget_leaves_nothing_behind():
    generator = small_stylegan2(32)
    editor = DragGAN(generator, config=NEVER)
    editor.points = [{"handle": [9, 9], "target": [20, 9]}]
    editor.start()
    editor.close()
    held = weakref.ref(editor), weakref.ref(generator)
    del editor, generator
    deadline = time.monotonic() + 30
    while any(ref() is not None for ref in held) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.02)
    assert [ref() for ref in held] == [None, None]


def test_importing_the_package_imports_no_torch_and_no_widgets():
    code = "import sys, draggan_widget; print([m for m in ('torch', 'anywidget', 'numpy') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_rooms_below_the_widget_import_no_widget_library():
    code = (
        "import sys, draggan_widget.editing, draggan_widget.dragging, draggan_widget.models; "
        "print([m for m in ('ipywidgets', 'anywidget', 'IPython') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
