"""Pictures that are no squares, grey ones, and ones with alpha: through edit, frames, masks and files."""

from __future__ import annotations

import asyncio
import io

import numpy as np
import pytest
from page import Page
from PIL import Image
from planted import Planted

from draggan_widget import DragConfig, DragGAN, drag
from draggan_widget.engines import Natural

SHAPES = [(64, 32), (32, 64), (48, 48)]
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
everything = pytest.mark.parametrize("channels", MODES)
each_shape = pytest.mark.parametrize("resolution", SHAPES, ids=lambda size: f"{size[0]}x{size[1]}")


@pytest.fixture
def make():
    made = []

    def make(resolution, channels=3, **settings):
        made.append(DragGAN(Planted(resolution, channels), truncation=0, **settings))
        return made[-1]

    yield make
    for editor in made:
        editor.close()


def brightest(image):
    """The brightest pixel (x, y) of a picture, alpha left out."""
    light = np.asarray(image.convert("RGB")).sum(axis=2)
    y, x = np.unravel_index(light.argmax(), light.shape)
    return np.array([x, y])


@each_shape
@everything
@pytest.mark.parametrize("config", [Natural(block=3), DragConfig(learning_rate=0.05)], ids=lambda c: type(c).__name__)
def test_the_content_ends_where_its_handle_is_shown(make, resolution, channels, config):
    height, width = resolution
    editor = make(resolution, channels, config=config)
    page = Page(editor)
    page.say("ready", view="page")
    start, end = [width // 2, height // 2], [width // 2 + 5, height // 2 - 4]
    assert abs(brightest(editor.image) - start).max() <= 1
    page.say("point", id=1, handle=start, target=end, pulling=False)
    page.say("start")
    page.wait_for_status("arrived")
    handle = page.of("state")[-1]["points"][0]["handle"]
    result = asyncio.run(editor.finished())
    assert np.abs(brightest(result.image) - handle).max() <= 1
    assert np.abs(brightest(result.image) - end).max() <= 1.5
    alone = drag(Planted(resolution, channels), editor._session.now().drag.w0, [start], [end], config=config)
    assert (alone.reason, alone.image.tobytes()) == ("arrived", result.image.tobytes())


@each_shape
@pytest.mark.parametrize("reading", [DragConfig(), DragConfig.paper(), DragConfig.official()], ids=lambda c: c.method)
def test_every_reading_of_the_method_drags_in_every_shape(resolution, reading):
    height, width = resolution
    generator = Planted(resolution, 1)
    ws = generator.mapping(seed=0, truncation=0)
    start, end = np.array([width // 2, height // 2]), np.array([width // 2 - 6, height // 2 + 7])
    mask = np.ones(resolution)
    mask[:2] = 0
    config = reading.replace(learning_rate=0.02, mask_weight=0.1, max_steps=200, block=2)
    result = drag(generator, ws, [start], [end], mask, config)
    assert result.reason == "arrived"
    assert np.abs(brightest(result.image) - end).max() <= 2.5


@each_shape
@everything
def test_frames_have_the_shape_and_the_channels_and_settle_exact_to_the_bit(make, resolution, channels):
    height, width = resolution
    editor = make(resolution, channels)
    page = Page(editor)
    page.say("ready", view="page")
    page.say("point", id=1, handle=[9, 9], target=[20, 9], pulling=False)
    page.say("start")
    page.wait_for(lambda p: p.of("frame") and p.of("frame")[-1]["step"] > 2)
    page.say("stop")
    page.wait_for(lambda p: p.of("state")[-1]["status"] != "running" and p.frames()[-1][0] == "png")
    assert (editor.image.size, editor.image.mode) == ((width, height), MODES[channels])
    kinds = {kind for kind, _ in page.frames()}
    assert kinds == {"png", "webp" if channels == 4 else "jpeg"}
    for kind, data in page.frames():
        shown = Image.open(io.BytesIO(data))
        assert (shown.size, shown.format.lower()) == ((width, height), kind)
        assert shown.mode == MODES[channels]
    frame, state = page.of("frame")[-1], page.of("state")[-1]
    assert (frame["width"], frame["height"]) == (state["width"], state["height"]) == (width, height)
    assert state["channels"] == channels
    assert Image.open(io.BytesIO(page.frames()[-1][1])).tobytes() == editor.image.tobytes()


@each_shape
def test_masks_have_rows_and_columns_the_right_way_round(make, resolution):
    height, width = resolution
    editor = make(resolution)
    page = Page(editor)
    page.say("ready", view="page")
    painted = np.zeros((height, width), np.uint8)
    painted[-5:, :3] = 255  # the bottom left corner
    page.say("mask", [painted.tobytes()], width=width, height=height)
    page.wait_for(lambda p: [painted.tobytes()] in p.masks())
    np.testing.assert_array_equal(editor._session.now().mask, painted / 255)
    if height != width:
        page.say("mask", [painted.tobytes()], width=height, height=width)
        page.wait_for(lambda p: p.of("notice"))
        assert f"not {width}×{height}" in page.of("notice")[-1]["text"]


def test_a_mask_keeps_what_must_stay_in_a_picture_of_1_to_2(make):
    free, held = make((64, 32), engine="draggan"), make((64, 32), engine="draggan")
    held.mask = np.zeros((64, 32))
    for editor in (free, held):
        editor.config = editor.config.replace(max_steps=10, tolerance=0.0, stall_steps=None)
        editor.points = [{"handle": [16, 32], "target": [28, 32]}]
        editor.start()
    moved = [abs(asyncio.run(editor.finished()).ws.numpy()).max() for editor in (free, held)]
    assert moved[1] < 0.5 * moved[0]


@each_shape
def test_positions_are_checked_against_the_shape(make, resolution):
    height, width = resolution
    editor = make(resolution)
    editor.points = [{"handle": [width - 1, height - 1], "target": [0, 0]}]
    with pytest.raises(ValueError, match=f"from 0 to {width - 1} in x, {height - 1} in y"):
        editor._session.put_point(2, handle=(width, 0), target=(1, 1)).result(30)


@each_shape
@everything
def test_a_snapshot_has_the_shape_and_keeps_alpha(make, resolution, channels):
    height, width = resolution
    editor = make(resolution, channels, points=[{"handle": [2, 2], "target": [9, 9]}])
    editor.latent  # noqa: B018 - waits until the points are taken
    snapshot = editor.snapshot(128)
    assert snapshot.size == (128, 128 * height // width)
    assert snapshot.mode == ("RGBA" if channels == 4 else "RGB")
    if channels == 4:
        assert snapshot.getpixel((0, snapshot.height - 1))[3] < 128
        scale = 128 / width
        assert snapshot.getpixel((round(2.5 * scale), round(2.5 * scale)))[3] == 255


@each_shape
@everything
def test_an_edit_is_saved_and_goes_on(make, tmp_path, resolution, channels):
    editor = make(resolution, channels, mask=np.ones(resolution))
    editor.points = [{"handle": [9, 9], "target": [20, 9]}]
    editor.step_once()
    editor.save(tmp_path / "a.drag")
    again = DragGAN.load(tmp_path / "a.drag", model=editor.generator)
    assert again.image.tobytes() == editor.image.tobytes()
    again.close()
