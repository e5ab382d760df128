from __future__ import annotations

import io
import json
import sys
import xml.etree.ElementTree as ET
from concurrent.futures import CancelledError

import numpy as np
import pytest
import torch
from PIL import Image
from random_stylegan2 import small_stylegan2

from draggan_widget.config import DragConfig
from draggan_widget.editing import Model, Session, load_drag
from draggan_widget.editing.dragfile import drag_job
from draggan_widget.editing.export import FILES, KINDS, code_of, film, latent, png
from draggan_widget.editing.films import MOST_FRAMES, _even, _palette
from draggan_widget.editing.jobs import Jobs
from draggan_widget.editing.provenance import SOURCE_TYPE, provenance_of
from draggan_widget.engines import Natural, to_image

FAST = DragConfig(learning_rate=0.05, max_steps=60)
MADE = {"generator": "cats.pkl", "seed": 3, "truncation": 0.7, "engine": "draggan", "steps": 2}


@pytest.fixture
def make(generator):
    made = []

    def make(config=FAST, model=None, **settings):
        made.append(Session(model or generator, seed=3, truncation=0.7, config=config, **settings))
        return made[-1]

    yield make
    for session in made:
        session.close()


def pulled(session, steps=None, number=1, handle=(30, 30), target=(36, 30)):
    session.put_point(number, handle=handle, target=target)
    if steps is None:
        session.start()
        session.finished().result(30)
    else:
        step(session, steps)
    return session.now()


def step(session, steps):
    for _ in range(steps):
        session.step_once().result(20)


def made(job):
    """What a job returns, and the shares of it that it told."""
    shares = []
    done = (jobs := Jobs()).add(job, progress=lambda told: shares.append(told.share))
    while not done.done():
        jobs.advance()
    return done.result(), shares


# --- pictures and latents ------------------------------------------------------------------------------------------


def test_each_kind_has_an_ending_and_a_media_type():
    assert set(FILES) == set(KINDS)


def test_a_png_says_that_it_was_made_by_a_machine_and_how(make, generator):
    session = make(model=Model(generator, "a/folder/cats.pkl"))
    document = pulled(session, steps=2)
    content = png(session.picture(), provenance=provenance_of(document, Model(generator, "a/folder/cats.pkl")))
    with Image.open(io.BytesIO(content)) as read:
        text = read.text
        np.testing.assert_array_equal(np.asarray(read), np.asarray(session.picture()))
    assert text["Software"].startswith("draggan_widget ")
    assert text["Description"].startswith("AI-generated picture of the generator cats.pkl")
    assert json.loads(text["Comment"]) == {
        "generator": "cats.pkl",
        "seed": 3,
        "truncation": 0.7,
        "engine": "draggan",
        "steps": 2,
    }
    assert f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>" in text["XML:com.adobe.xmp"]


def source_types(xmp):
    """What well-formed XMP says of where a file comes from."""
    return [element.text for element in ET.fromstring(xmp).iter() if element.tag.endswith("}DigitalSourceType")]


def test_the_xmp_of_a_png_is_well_formed(make):
    with Image.open(io.BytesIO(png(make().picture(), provenance={}))) as read:
        found = source_types(read.text["XML:com.adobe.xmp"])
    assert found == ["http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"]


def test_a_png_says_nothing_when_asked_not_to(make):
    with Image.open(io.BytesIO(png(make().picture(), provenance=None))) as read:
        assert read.text == {}


def test_a_latent_is_read_without_pickle(make):
    document = pulled(make(), steps=2)
    with np.load(io.BytesIO(latent(document)), allow_pickle=False) as read:
        np.testing.assert_array_equal(read["ws"], document.drag.ws.numpy())
        np.testing.assert_array_equal(read["w0"], document.drag.w0.numpy())
        np.testing.assert_array_equal(read["handles"], document.drag.handles)
        np.testing.assert_array_equal(read["targets"], [[36, 30]])
        assert (read["seed"], read["truncation"], read["label"]) == (3, 0.7, -1)


def test_a_latent_of_no_seed_says_so(make):
    session = make()
    session.set_latent(session.now().drag.ws + 0.1)
    with np.load(io.BytesIO(latent(session.now()))) as read:
        assert read["seed"] == -1


def test_the_bytes_of_a_drag_file_are_an_edit(make, generator, tmp_path):
    document = pulled(make(), steps=2)
    (tmp_path / "edit.drag").write_bytes(made(drag_job(document, generator, None))[0])
    assert torch.equal(load_drag(tmp_path / "edit.drag", generator).drag.ws, document.drag.ws)


# --- films ---------------------------------------------------------------------------------------------------------


def test_a_gif_has_a_frame_a_step_of_one_palette_and_holds_the_last(make, generator):
    document = pulled(make(), steps=5)
    content, progress = made(film("gif", document, generator))
    assert progress == sorted(progress)
    assert progress[0] > 0
    assert progress[-1] == 1
    with Image.open(io.BytesIO(content)) as read:
        assert read.n_frames == 6
        assert read.info["loop"] == 0
        durations, colours = [], set()
        for number in range(6):
            read.seek(number)
            durations.append(read.info["duration"])
            shown = np.asarray(read.convert("RGB"), dtype=float)
            with torch.no_grad():
                ws = torch.from_numpy(document.records[number].ws)
                meant = np.asarray(to_image(generator.synthesize(ws)).convert("RGB"), dtype=float)
            assert np.abs(shown - meant).mean() < 6
            colours |= {tuple(colour) for colour in shown.reshape(-1, 3)}
        assert len(colours) <= 256
        assert durations == [120] * 5 + [1500]


def test_long_edits_are_thinned_to_a_film_of_few_frames(make, generator):
    document = pulled(make(DragConfig(learning_rate=0.002, stall_steps=None)), steps=150, target=(60, 60))
    assert len(document.records) == 151
    content, _ = made(film("gif", document, generator))
    with Image.open(io.BytesIO(content)) as read:
        assert read.n_frames <= MOST_FRAMES


def test_handles_are_drawn_in_their_own_colour_where_asked_and_large_enough(make, generator):
    document = pulled(make(), steps=1)
    with Image.open(io.BytesIO(made(film("gif", document, generator, handles=True))[0])) as read:
        drawn = np.asarray(read.convert("RGB"))
    assert drawn.shape == (512, 512, 3)
    assert tuple(drawn[244, 244]) == (0xE5, 0x48, 0x4D)  # the pixel (30, 30), eight times as large


def test_the_palette_has_colours_of_small_things_too():
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[..., 1] = np.arange(100)[:, None] * 2
    picture[40:44, 40:44] = (200, 30, 180)
    one = Image.fromarray(picture)
    shown = one.quantize(palette=_palette([one]), dither=Image.Dither.NONE).convert("RGB")
    assert np.abs(np.asarray(shown, int)[42, 42] - (200, 30, 180)).max() < 12


def test_an_edit_without_steps_is_a_film_of_one_picture(make, generator):
    content, progress = made(film("gif", make().now(), generator))
    with Image.open(io.BytesIO(content)) as read:
        assert getattr(read, "n_frames", 1) == 1
    assert progress[-1] == 1


def test_an_mp4_plays_every_step_and_holds_the_last(make, generator):
    av = pytest.importorskip("av")
    document = pulled(make(), steps=5)
    content, progress = made(film("mp4", document, generator))
    assert progress == sorted(progress)
    assert progress[-1] == 1
    with av.open(io.BytesIO(content)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        assert container.streams.video[0].codec_context.colorspace == 6
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        seconds = container.duration / av.time_base
    hold = -(-1500 // 120)
    assert len(frames) == 5 + hold
    assert seconds == pytest.approx((5 + hold) * 0.12, abs=0.05)
    for number in (0, 5):
        with torch.no_grad():
            ws = torch.from_numpy(document.records[number].ws)
            meant = np.asarray(to_image(generator.synthesize(ws)).convert("RGB"), dtype=float)
        assert frames[number].shape == meant.shape
        grey = np.array([0.299, 0.587, 0.114])
        assert np.abs((frames[number] - meant) @ grey).mean() < 5  # colours are stored for 2 by 2 pixels only
        assert np.abs((frames[number] - meant).mean(axis=(0, 1))).max() < 5


def gif_applications(data):
    """The application extensions of a GIF by name, read by the rules of GIF89a."""

    def colours(flags):
        return 3 << (flags & 7) + 1 if flags & 0x80 else 0

    place, found = 13 + colours(data[10]), {}
    while data[place] != 0x3B:
        begun = place
        place += 11 + colours(data[place + 9]) if data[place] == 0x2C else 2
        while data[place]:
            place += 1 + data[place]
        place += 1
        if data[begun : begun + 2] == b"\x21\xff":
            found[data[begun + 3 : begun + 14]] = data[begun + 14 : place]
    assert place == len(data) - 1
    return found


def mp4_boxes(data):
    """The outermost boxes of an MP4: (type, content) each."""
    place, found = 0, []
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        found.append((data[place + 4 : place + 8], data[place + 8 : place + length]))
        place += length
    return found


def test_a_gif_says_that_it_was_made_by_a_machine_and_how(make, generator):
    document = pulled(make(), steps=2)
    said = provenance_of(document, Model(generator, "a/folder/cats.pkl"))
    content, _ = made(film("gif", document, generator, provenance=said))
    with Image.open(io.BytesIO(content)) as read:
        assert read.n_frames == 3
        sentence, values = read.info["comment"].decode().split("\n")
    assert sentence == "AI-generated film of the generator cats.pkl, edited by dragging points"
    assert json.loads(values) == {
        "generator": "cats.pkl",
        "seed": 3,
        "truncation": 0.7,
        "engine": "draggan",
        "steps": 2,
    }
    block = gif_applications(content)[b"XMP DataXMP"]
    assert len(block) > 258, "the last 258 bytes lead readers of blocks to their end"
    assert source_types(block[:-258].decode()) == [SOURCE_TYPE]


def test_an_mp4_says_that_it_was_made_by_a_machine_and_how(make, generator):
    av = pytest.importorskip("av")
    document = pulled(make(), steps=2)
    said = provenance_of(document, Model(generator, "a/folder/cats.pkl"))
    content, _ = made(film("mp4", document, generator, provenance=said))
    with av.open(io.BytesIO(content)) as container:
        tags = container.metadata
        assert len(list(container.decode(video=0))) > 2
    assert tags["description"] == "AI-generated film of the generator cats.pkl, edited by dragging points"
    assert json.loads(tags["comment"]) == {
        "generator": "cats.pkl",
        "seed": 3,
        "truncation": 0.7,
        "engine": "draggan",
        "steps": 2,
    }
    assert tags["encoder"].startswith("draggan_widget ")
    kind, box = mp4_boxes(content)[-1]
    assert (kind, box[:16].hex()) == (b"uuid", "be7acfcb97a942e89c71999491e3afac")
    assert source_types(box[16:].decode()) == [SOURCE_TYPE]


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_a_film_says_nothing_when_asked_not_to(make, generator, kind):
    if kind == "mp4":
        pytest.importorskip("av")
    content, _ = made(film(kind, pulled(make(), steps=2), generator, provenance=None))
    for said in (b"AI-generated", b"draggan_widget", b"xpacket"):
        assert said not in content


def test_odd_sizes_are_made_even_without_moving_the_picture():
    picture = Image.fromarray(np.random.RandomState(0).randint(0, 256, (5, 7, 3), np.uint8))
    even = np.asarray(_even(picture))
    assert even.shape == (6, 8, 3)
    np.testing.assert_array_equal(even[:5, :7], np.asarray(picture))
    np.testing.assert_array_equal(even[5], even[4])
    np.testing.assert_array_equal(even[:, 7], even[:, 6])


def test_without_pyav_an_mp4_says_how_to_get_it_and_a_gif_is_made(make, generator, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    document = make().now()
    with pytest.raises(ModuleNotFoundError, match=r'pip install "draggan_widget\[video\]"'):
        film("mp4", document, generator)
    assert made(film("gif", document, generator))[0].startswith(b"GIF89a")


def test_another_kind_of_film_is_refused(make, generator):
    with pytest.raises(ValueError, match="there are gif and mp4"):
        film("avi", make().now(), generator)


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_a_cancelled_film_is_made_no_further(make, generator, kind):
    if kind == "mp4":
        pytest.importorskip("av")
    document = pulled(make(), steps=5)
    jobs, progress = Jobs(), []
    done = jobs.add(film(kind, document, generator), progress=progress.append)
    jobs.advance()
    assert done.cancel()
    while jobs.advance():
        pass
    assert len(progress) == 1
    with pytest.raises(CancelledError):
        done.result(0)


def test_a_session_makes_a_film_while_it_pulls(make, generator):
    session = make(FAST.replace(tolerance=0.0, stall_steps=None, max_steps=None))
    session.put_point(1, handle=(30, 30), target=(36, 30))
    step(session, 3)
    document = session.now()
    session.start().result(20)
    content = session.run_job(film("gif", document, generator)).result(30)
    session.stop().result(20)
    assert content.startswith(b"GIF89a")
    assert session.now().drag.step > 3


# --- code ----------------------------------------------------------------------------------------------------------


def again(text, **names):
    """What the code leaves."""
    exec(compile(text, "<code>", "exec"), names)
    return names


def assert_makes_again(session, generator, short=False):
    document = session.now()
    text = code_of(document, Model(generator))
    left = again(text, generator=generator)
    assert torch.equal(left["ws"], document.drag.ws), text
    assert left["image"].tobytes() == session.picture().tobytes()
    assert ("drag(\n" in text) is short, text
    assert "begin_with" not in text if short else "drag(\n" not in text
    return text


def test_one_run_is_one_call(make, generator):
    session = make()
    pulled(session)
    text = assert_makes_again(session, generator, short=True)
    assert "seed=3, truncation=0.7" in text
    assert "handles=[(30, 30)]" in text
    assert "learning_rate=0.05" in text
    assert len(text.splitlines()) < 20


@pytest.mark.parametrize("space", ["w_plus", "w"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("method", ["default", "paper", "official"])
def test_the_first_edit_of_a_generator_is_made_again_to_the_bit_run_after_run(method, masked, space):
    fresh = small_stylegan2()
    config = DragConfig(method=method, learning_rate=0.05, tolerance=0.0, max_steps=5, stall_steps=None, space=space)
    session = Session(fresh, seed=3, truncation=0.7, config=config)
    try:
        session.put_point(1, handle=(30, 30), target=(36, 30))
        if masked:
            session.set_mask(np.pad(np.ones((40, 40), np.float32), 12))
        for number in range(3):
            session.start()
            session.finished().result(30)
            assert_makes_again(session, fresh, short=number == 0)
            session.put_point(1, target=(36, 24 + number))
    finally:
        session.close()


def test_what_was_set_before_the_run_is_in_the_one_call_in_its_last_form(make, generator):
    session = make()
    session.put_point(7, handle=(10, 10), target=(12, 12))
    session.put_point(2, handle=(40, 40), target=(44.25, 40))
    session.remove_points([7])
    session.put_point(2, target=(38.5, 41))
    mask = np.zeros((64, 64), np.float32)
    mask[10:60, 20:60] = 1
    session.set_mask(mask)
    session.set_config(FAST.replace(mask_weight=5.0))
    session.start()
    session.finished().result(30)
    text = assert_makes_again(session, generator, short=True)
    assert "targets=[(38.5, 41)]" in text
    assert "mask_weight=5.0" in text
    assert len(text) < 2000


def test_a_target_moved_on_the_way_is_told_step_by_step(make, generator):
    session = make()
    pulled(session, steps=3)
    session.put_point(1, target=(30, 38))
    step(session, 4)
    text = assert_makes_again(session, generator)
    assert "steps(3)" in text
    assert "state.move_target(1, (30, 38))" in text
    assert "steps(4)" in text


def test_points_that_come_move_and_go_on_the_way_are_told(make, generator):
    session = make()
    pulled(session, steps=2)
    session.put_point(2, handle=(20, 44), target=(20, 50))
    step(session, 2)
    session.put_point(2, handle=(24, 40))
    step(session, 2)
    session.remove_points([1])
    step(session, 2)
    text = assert_makes_again(session, generator)
    for name in ("add_point", "move_handle", "remove_point"):
        assert f"state.{name}(" in text


@pytest.mark.parametrize("soft", ["bytes", "floats"])
def test_masks_painted_and_taken_away_on_the_way_are_in_the_code_of(make, generator, soft):
    session = make(FAST.replace(mask_weight=10.0))
    mask = np.random.RandomState(1).rand(64, 64).astype(np.float32)
    if soft == "bytes":
        mask = np.round(mask * 255).astype(np.uint8).astype(np.float32) / 255
    session.set_mask(mask)
    pulled(session, steps=3)
    session.set_mask(None)
    step(session, 2)
    session.set_mask(mask)
    step(session, 2)
    text = assert_makes_again(session, generator)
    assert text.count("= read_mask(") == 1
    assert "with_mask(None)" in text


def test_settings_changed_on_the_way_are_told(make, generator):
    session = make()
    pulled(session, steps=3)
    session.set_config(FAST.replace(learning_rate=0.01, block=3))
    step(session, 3)
    session.set_config(FAST.replace(space="w"))
    step(session, 2)
    text = assert_makes_again(session, generator)
    assert "block=3" in text
    assert "space='w'" in text


def test_steps_after_arriving_are_told_one_by_one(make, generator):
    session = make()
    pulled(session)
    step(session, 3)
    assert_makes_again(session, generator)


def test_a_branch_is_made_again_without_what_was_given_up(make, generator):
    session = make()
    pulled(session, steps=5)
    session.branch(2)
    session.put_point(1, target=(30, 36))
    step(session, 2)
    text = assert_makes_again(session, generator)
    assert "steps(2)" in text
    assert "range(5)" not in text


def test_after_reset_and_undo_the_code_is_that_of_what_is_there(make, generator):
    session = make()
    pulled(session, steps=4)
    session.reset()
    step(session, 2)
    assert_makes_again(session, generator, short=True)
    for _ in range(3):  # two steps and the reset
        session.undo()
    assert_makes_again(session, generator, short=True)


def test_an_edit_without_steps_is_its_first_picture(make, generator):
    session = make()
    assert_makes_again(session, generator)
    session.put_point(1, handle=(30, 30), target=(36, 30))
    assert_makes_again(session, generator)


def test_an_edit_of_a_latent_reads_it_from_its_file(make, generator, tmp_path, monkeypatch):
    session = make()
    session.set_latent(session.now().drag.ws + 0.1)
    pulled(session, steps=3)
    (tmp_path / "latent.npz").write_bytes(latent(session.now()))
    monkeypatch.chdir(tmp_path)
    assert_makes_again(session, generator, short=True)


def test_a_model_of_a_name_is_loaded_by_the_code_of(make, generator):
    text = code_of(make().now(), Model(generator, "faces"))
    assert "load_generator('faces'" in text or 'load_generator("faces"' in text
    assert "from draggan_widget import engines, load_generator" in text


def test_the_class_of_the_first_picture_is_named():
    classes = small_stylegan2(32, c_dim=10)
    session = Session(classes, seed=3, truncation=0.7, label=4, config=FAST)
    try:
        pulled(session, steps=2, handle=(10, 10), target=(16, 10))
        text = assert_makes_again(session, classes, short=True)
        assert "mapping(seed=3, label=4, truncation=0.7)" in text
        assert provenance_of(session.now(), Model(classes))["label"] == 4
    finally:
        session.close()


def test_a_method_changed_after_points_were_set_is_told_in_order(make, generator):
    session = make(DragConfig.official(learning_rate=0.05))
    session.put_point(1, handle=(30.4, 30.4), target=(36, 30))
    session.set_config(FAST)
    step(session, 3)
    text = assert_makes_again(session, generator)
    assert text.index("add_point") < text.index("with_config")


def test_code_of_an_edit_from_a_file_is_the_same(make, generator, tmp_path):
    document = pulled(make(), steps=3)
    (tmp_path / "edit.drag").write_bytes(made(drag_job(document, generator, None))[0])
    assert code_of(load_drag(tmp_path / "edit.drag", generator), Model(generator)) == code_of(
        document, Model(generator)
    )


@pytest.mark.parametrize("channels", [1, 4])
def test_films_of_grey_and_of_transparent_pictures(channels):
    pytest.importorskip("av")
    network = small_stylegan2(32, img_channels=channels)
    session = Session(network, seed=3, truncation=0.7, config=FAST)
    try:
        document = pulled(session, steps=2, handle=(10, 10), target=(16, 10))
        picture = session.picture()
        for kind in ("gif", "mp4"):
            for handles in (False, True):
                assert made(film(kind, document, network, handles=handles))[1][-1] == 1
        with Image.open(io.BytesIO(png(picture, provenance={}))) as read:
            assert read.mode == {1: "L", 4: "RGBA"}[channels]
    finally:
        session.close()


# --- code of the default engine ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stopped", [False, True], ids=["to its end", "stopped"])
@pytest.mark.parametrize("config", [None, Natural(stride=10, own_rows=3)], ids=["its own settings", "others"])
def test_a_run_of_natural_is_one_call_of_drag_that_names_its_engine_and_gives_the_latent_again(
    make, generator, config, stopped
):
    session = make(config)
    pulled(session, steps=1 if stopped else None)
    document = session.now()
    text = code_of(document, Model(generator))
    assert text.count("drag(") == 1
    assert "config=engines.Natural(" in text
    assert ("own_rows=3" in text, "max_steps=1" in text) == (config is not None, stopped)
    there = {"generator": generator}
    exec(text, there)
    assert torch.equal(there["ws"], document.drag.ws)
