"""Another model in the same editor: from Python, and chosen in the page from a folder."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import threading
import time
import weakref

import numpy as np
import pytest
import torch
from page import Page
from planted import Planted
from random_stylegan2 import small_stylegan2

from draggan_widget import CheckpointError, DragConfig, DragGAN, dragging
from draggan_widget.editing import Model
from draggan_widget.engines import Natural
from draggan_widget.models import offered_names, save_generator
from draggan_widget.widget import protocol
from draggan_widget.widget.model_list import ModelList

NEVER = DragConfig(learning_rate=0.05, tolerance=0.0, stall_steps=None, max_steps=None)
POINT = {"handle": [9, 9], "target": [20, 9]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two models that can be loaded, one that cannot, and what is no model."""
    folder = tmp_path_factory.mktemp("checkpoints")
    save_generator(folder / "cats.safetensors", small_stylegan2(32, seed=1))
    save_generator(folder / "digits.safetensors", small_stylegan2(32, seed=2, c_dim=10, img_channels=1))
    (folder / "broken.pkl").write_bytes(b"no model")
    (folder / "notes.txt").write_text("no model either")
    (folder / ".hidden.pkl").write_bytes(b"")
    (folder / "deeper.pt").mkdir()
    (folder / "deeper.pt" / "inside.pkl").write_bytes(b"")
    (folder.parent / "outside.pkl").write_bytes(b"no model")
    return folder


@pytest.fixture
def make(folder):
    made = []

    def make(model=None, **settings):
        settings = {"seed": 3, "models": folder, **settings}
        made.append(DragGAN(model or small_stylegan2(32), **settings))
        return made[-1]

    yield make
    for editor in made:
        editor.close()


@pytest.fixture
def slow(monkeypatch):
    """Loading that waits until it is let go."""
    begun, go, real = threading.Event(), threading.Event(), Model.load

    def load(source, device=None, progress=None):
        progress(0.4)  # too soon to be told
        begun.set()
        assert go.wait(20)
        return real(source, device, progress)

    monkeypatch.setattr(Model, "load", load)
    yield begun, go
    go.set()


def job_of(name):
    """What a page is told of a model that is loaded."""
    return {"id": 1, "what": "load", "name": name, "note": "", "stage": "", "progress": None}


def ready(editor):
    page = Page(editor)
    page.say("ready", view="page")
    page.wait_for(lambda p: p.of("mask") and (editor._model_list is None or p.of("models")))
    return page


@pytest.fixture
def loading(make, slow):
    """An editor with its page, for which a model is read that comes when the third is set."""
    begun, go = slow
    editor = make(config=NEVER)
    page = ready(editor)
    page.say("load", name="cats.safetensors")
    assert begun.wait(30)
    return editor, page, go


def expected(generator, seed, **settings):
    return dragging.to_image(generator.synthesize(generator.mapping(seed=seed, truncation=0.7, **settings))).tobytes()


# --- what is listed --------------------------------------------------------------------------------------------------


def test_files_that_may_be_models_are_listed_in_order_and_nothing_else(folder):
    assert ModelList(folder).files() == ["broken.pkl", "cats.safetensors", "digits.safetensors"]
    assert ModelList(str(folder)).files() == ModelList(folder).files()


@pytest.mark.parametrize("ending", ["pkl", "pt", "pth", "ckpt", "safetensors", "zip", "PKL"])
def test_these_endings_are_taken(tmp_path, ending):
    (tmp_path / f"a b.{ending}").write_bytes(b"")
    assert ModelList(tmp_path).files() == [f"a b.{ending}"]


def test_a_list_is_of_the_folder_as_it_is_now(tmp_path, monkeypatch):
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    models = ModelList("models")
    monkeypatch.chdir("/")
    assert models.files() == []
    (folder / "new.pt").write_bytes(b"")
    assert models.files() == ["new.pt"]
    (folder / "new.pt").unlink()
    folder.rmdir()
    assert models.files() == []


@pytest.mark.parametrize(
    "name",
    [
        "../outside.pkl",
        "./cats.safetensors",
        "deeper.pt/inside.pkl",
        "deeper.pt",
        ".hidden.pkl",
        "notes.txt",
        "",
        "/etc",
    ],
)
def test_only_what_is_listed_can_be_taken(folder, name):
    with pytest.raises(ValueError, match="not among the models"):
        ModelList(folder).find(name)


def test_a_name_that_is_no_text_in_any_alphabet_is_not_listed(tmp_path):
    try:
        (tmp_path / os.fsdecode(b"bad\xff.pkl")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes text only")
    assert ModelList(tmp_path).files() == []


def test_models_must_be_a_folder(folder):
    for bad in (folder / "notes.txt", folder / "none"):
        with pytest.raises(NotADirectoryError, match="no folder; name one that holds models"):
            DragGAN(small_stylegan2(32), models=bad)


# --- from Python -----------------------------------------------------------------------------------------------------


def test_another_model_begins_a_new_edit_with_the_same_seed_and_truncation(make, folder):
    editor = make(truncation=0.4, points=[POINT], mask=np.ones((32, 32)))
    assert editor.model == "StyleGAN2"
    editor.load_model(folder / "cats.safetensors")
    assert (editor.model, editor.seed, editor.truncation) == ("cats.safetensors", 3, 0.4)
    assert (editor.points, editor.mask, editor.step, editor.status) == ([], None, 0, "idle")
    ws = editor.generator.mapping(seed=3, truncation=0.4)
    np.testing.assert_array_equal(editor.latent, ws.numpy())
    assert torch.equal(next(editor.generator.parameters()), next(small_stylegan2(32, seed=1).parameters()))


def test_undo_leads_back_to_the_model_before_with_its_edit_and_redo_forward(make, folder):
    editor = make(
        small_stylegan2(32, c_dim=3),
        label=2,
        points=[POINT],
        mask=np.ones((32, 32)),
        engine="draggan",
        learning_rate=0.03,
    )
    page = ready(editor)
    editor.step_once()
    before, generator = editor.image.tobytes(), editor.generator
    points = editor.points
    editor.load_model("digits.safetensors")
    editor.learning_rate = 0.01
    editor.undo()
    assert (editor.model, editor.classes, editor.label, editor.step) == ("StyleGAN2", 3, 2, 1)
    assert (editor.points, editor.mask.shape, editor.learning_rate) == (points, (32, 32), 0.03)
    assert editor.generator is generator
    assert editor.image.tobytes() == before
    state = page.wait_for_state(generator="StyleGAN2", step=1)
    assert (state["model"], state["classes"], state["channels"], state["can_redo"]) == (None, 3, 3, True)
    assert state["redo"] == "model digits"
    editor.redo()
    assert (editor.model, editor.classes, editor.points, editor.learning_rate) == ("digits.safetensors", 10, [], 0.01)
    state = page.wait_for_state(model="digits.safetensors")
    assert (state["classes"], state["channels"], state["undo"]) == (10, 1, "model digits")
    editor.undo()
    editor.start()
    assert asyncio.run(editor.finished()).steps > 1, "and it goes on"


def test_names_paths_of_the_folder_and_generators_are_taken_and_faces_too(make, folder):
    editor = make()
    editor.load_model("cats.safetensors")
    assert editor.model == "cats.safetensors"
    mine = Planted((64, 32), channels=4)
    editor.load_model(mine)
    assert (editor.model, editor.generator) == ("Planted", mine)
    assert (editor.image.size, editor.image.mode) == ((32, 64), "RGBA")
    editor.load_model("faces")
    assert (editor.model, editor.image.mode, editor.seed) == ("faces", "RGB", 3)


def test_the_label_goes_along_where_the_new_model_has_that_class(make, folder):
    editor = make(small_stylegan2(32, c_dim=20), label=7)
    editor.load_model("digits.safetensors")
    assert (editor.label, editor.classes, editor.image.mode) == (7, 10, "L")
    assert editor.image.tobytes() == expected(editor.generator, 3, label=7)
    editor.load_model(small_stylegan2(32, c_dim=3))
    assert (editor.label, editor.classes) == (0, 3)
    editor.load_model("cats.safetensors")
    assert (editor.label, editor.classes) == (None, 0)


def test_a_picture_without_a_seed_gives_way_to_the_first_seed(make):
    editor = make()
    editor.latent = editor.latent
    editor.load_model("cats.safetensors")
    assert editor.seed == 0


def test_settings_that_somebody_chose_stay_and_others_are_the_new_models_own(make):
    other = small_stylegan2(32, seed=4, drag_config=DragConfig(learning_rate=0.123))
    editor = make()
    editor.load_model(other)
    assert editor.config == Natural()
    editor.own_rows = 3
    editor.load_model("cats.safetensors")
    assert editor.config == Natural(own_rows=3)
    editor.engine = "draggan"
    editor.load_model(other)
    assert editor.config == other.drag_config
    editor.config = NEVER
    editor.load_model("cats.safetensors")
    assert editor.config == NEVER
    editor.config = NEVER.replace(block=4)
    editor.load_model(Planted((32, 32)))  # has three blocks
    assert editor.config == editor.generator.drag_config


def test_what_cannot_be_loaded_is_an_error_and_everything_stays_exactly(make, folder):
    editor = make(points=[POINT], mask=np.ones((32, 32)))
    editor.step_once()
    before = editor._session.newest()
    past = editor._session._live.undo
    for bad, error in ((folder / "broken.pkl", CheckpointError), ("none.pkl", FileNotFoundError)):
        with pytest.raises(error):
            editor.load_model(bad)
        after = editor._session.newest()
        assert after.document is before.document
        assert after.model is before.model
        assert (after.status, after.message) == (before.status, before.message)
        assert editor._session._live.undo is past
    assert "none.pkl was not loaded" in after.trouble
    assert (editor.model, editor.step, len(editor.points)) == ("StyleGAN2", 1, 1)
    editor.undo()
    assert editor._session.newest().trouble == ""


def test_a_generator_whose_first_latent_cannot_be_worked_with_is_not_taken(make):
    editor = make()
    before = editor._session.newest()
    broken = small_stylegan2(32, seed=9)
    broken.network["mapping"].w_avg.fill_(float("nan"))
    with pytest.raises(ValueError, match="NaN"):
        editor.load_model(broken)
    assert editor._session.newest().document is before.document


def test_pictures_of_other_channels_than_can_be_shown_are_refused(make):
    with pytest.raises(ValueError, match=r"StyleGAN2 makes pictures of 2 channels; an editor shows 1 \(grey\)"):
        DragGAN(small_stylegan2(32, img_channels=2))
    editor = make()
    with pytest.raises(ValueError, match="2 channels"):
        editor.load_model(small_stylegan2(32, img_channels=2))
    assert editor.generator.channels == 3


def test_a_run_goes_on_when_loading_fails_and_ends_when_it_does_not(make, folder):
    editor = make(config=NEVER, points=[POINT])
    editor.start()
    with pytest.raises(CheckpointError):
        editor.load_model(folder / "broken.pkl")
    step = editor._session.newest().step
    until(lambda: editor._session.latest.step > step + 1)
    waiting = editor._session.finished()
    editor.load_model("cats.safetensors")
    result = waiting.result(20)
    assert result.reason == "stopped"
    assert result.steps > step
    assert editor.status == "idle"
    assert asyncio.run(editor.finished()).steps == 0


def test_what_is_done_while_a_model_is_read_is_done_to_the_one_that_is_there_and_undo_brings_it_back(loading):
    editor, page, go = loading
    page.say("point", id=1, handle=[9, 9], target=[20, 9], pulling=False)
    page.say("start")
    page.wait_for(lambda p: p.of("state")[-1]["step"] > 2)
    assert editor._session.latest.loading == "cats.safetensors"
    go.set()
    page.wait_for_state(model="cats.safetensors", jobs=[], status="idle")
    assert page.of("notice") == []
    assert editor._session.newest().points() == []
    editor.undo()
    assert (editor.model, len(editor.points)) == ("StyleGAN2", 1)
    assert editor.step > 2


def test_a_model_that_undo_cannot_lead_back_to_any_more_is_let_go_of(make):
    first = Planted((32, 32))
    held = weakref.ref(first)
    editor = make(first)
    ready(editor)
    editor.load_model("cats.safetensors")
    editor.load_model("digits.safetensors")
    editor.undo()
    editor.undo()
    assert editor.generator is first
    editor.redo()
    editor.redo()
    editor.load_model("cats.safetensors")
    editor.image  # noqa: B018
    del first
    until(lambda: gc.collect() is None or held() is None)


def test_a_cell_that_waits_for_a_model_can_be_interrupted_and_nothing_changes(make, slow):
    begun, _ = slow
    editor = make(points=[POINT])
    before = editor._session.newest()
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is born deaf to it
    threading.Thread(target=lambda: begun.wait(30) and os.kill(os.getpid(), signal.SIGINT)).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            editor.load_model("cats.safetensors")
    finally:
        signal.signal(signal.SIGINT, usual)
    until(lambda: editor._session.latest.loading is None)
    after = editor._session.newest()
    assert (after.document, after.trouble, after.undo) == (before.document, "", before.undo)


def test_code_and_files_of_an_edit_can_be_had_while_a_model_is_read(make, slow, tmp_path):
    begun, _ = slow
    editor = make(points=[POINT])
    ready(editor)
    editor.step_once()
    loaded = editor._session.load("cats.safetensors", lambda progress: Model.load("cats.safetensors", "cpu", progress))
    assert begun.wait(30)
    assert "handles" in editor.code()
    editor.save(tmp_path / "a.drag")
    editor.export(tmp_path / "a.gif")
    assert not loaded.done()
    loaded.cancel()


def test_an_edit_after_another_model_is_saved_with_that_one(make, folder, tmp_path):
    editor = make()
    editor.load_model("cats.safetensors")
    editor.save(tmp_path / "a.drag")
    again = DragGAN.load(tmp_path / "a.drag", models=folder)
    assert again.model == "cats.safetensors"
    np.testing.assert_array_equal(again.latent, editor.latent)
    again.close()


# --- in the page -----------------------------------------------------------------------------------------------------


def test_without_a_folder_the_page_hears_of_no_models_and_can_load_none(make):
    page = ready(make(models=None))
    page.say("models")
    page.say("load", name="faces")
    page.wait_for(lambda p: p.of("notice"))
    assert page.of("models") == []
    assert "offers no models" in page.of("notice")[0]["text"]
    assert page.of("state")[-1]["model"] is None


def test_the_page_is_told_the_list_and_anew_whenever_it_asks(folder):
    editor = DragGAN(folder / "cats.safetensors", models=folder)
    page = ready(editor)
    first = page.of("models")[-1]
    assert first == {"type": "models", "builtin": offered_names(), "files": ModelList(folder).files()}
    assert page.of("state")[-1]["model"] == "cats.safetensors"
    (folder / "another.pt").write_bytes(b"")
    try:
        page.say("models")
        page.wait_for(lambda p: "another.pt" in p.of("models")[-1]["files"])
    finally:
        (folder / "another.pt").unlink()
        editor.close()


def test_a_choice_of_the_page_is_loaded_while_the_picture_stays_and_then_takes_its_place(make, slow):
    begun, go = slow
    editor = make(small_stylegan2(32, c_dim=3), label=2)
    page = ready(editor)
    page.say("load", name="digits.safetensors")
    assert begun.wait(30)
    state = page.wait_for_state(jobs=[job_of("digits.safetensors")])
    assert (state["generator"], state["status"], state["label"]) == ("StyleGAN2", "idle", 2)
    frames, pongs = len(page.of("frame")), len(page.of("pong"))
    page.say("ping", view="page")
    page.wait_for(lambda p: len(p.of("pong")) > pongs)  # the page is answered meanwhile
    assert len(page.of("frame")) == frames
    go.set()
    state = page.wait_for_state(model="digits.safetensors")
    assert (state["jobs"], state["trouble"], state["generator"]) == ([], "", "digits")
    assert (state["seed"], state["label"], state["classes"], state["channels"]) == (3, 2, 10, 1)
    assert "digits is loaded" in state["message"]
    page.wait_for(lambda p: len(p.of("frame")) > frames)
    told = [content["type"] for content, _ in page.told]
    assert "classes" in told[len(told) - told[::-1].index("pong") :]


def test_a_choice_that_cannot_be_loaded_is_told_and_everything_stays(make, folder):
    editor = make(points=[POINT])
    page = ready(editor)
    before = editor._session.newest()
    page.say("load", name="broken.pkl")
    page.wait_for(lambda p: p.of("state")[-1]["trouble"])
    state = page.of("state")[-1]
    assert "broken.pkl was not loaded" in state["trouble"]
    assert str(folder / "broken.pkl") in state["trouble"]
    assert (state["jobs"], state["generator"], len(state["points"])) == ([], "StyleGAN2", 1)
    assert editor._session.newest().document is before.document
    page.say("point", id=1, target=[19, 9], pulling=False)
    page.wait_for_state(trouble="")


@pytest.mark.parametrize("name", ["../outside.pkl", "/etc/passwd", "deeper.pt/inside.pkl", "notes.txt"])
def test_a_message_cannot_name_a_file_that_is_not_listed(make, monkeypatch, name):
    asked = []
    monkeypatch.setattr(Model, "load", lambda source, *rest: asked.append(source))
    page = ready(make())
    page.say("load", name=name)
    page.wait_for(lambda p: p.of("state")[-1]["trouble"])
    assert "not among the models" in page.of("state")[-1]["trouble"]
    assert asked == []


def test_loading_during_a_run_is_told_at_once_and_ends_the_run(make, slow):
    begun, go = slow
    editor = make(config=NEVER, points=[POINT])
    page = ready(editor)
    page.acks = False  # as while a cell blocks: states of steps wait then
    page.say("start")
    page.wait_for(lambda p: p.of("state")[-1]["step"] > 1)
    page.say("load", name="cats.safetensors")
    loading = job_of("cats.safetensors")
    page.wait_for_state(jobs=[loading], status="running")
    assert begun.wait(30)
    go.set()
    page.wait_for_state(model="cats.safetensors", status="idle")


def test_a_load_that_the_page_cancels_leaves_model_edit_and_run_as_they_are(loading):
    editor, page, go = loading
    page.say("point", id=1, handle=[9, 9], target=[20, 9], pulling=True, start=True)
    page.wait_for(lambda p: p.of("state")[-1]["step"] > 2)
    step = page.of("state")[-1]["step"]
    (job,) = page.of("state")[-1]["jobs"]
    page.say("cancel", id=job["id"] + 1)  # no such job
    page.say("cancel", id=job["id"])
    state = page.wait_for_state(jobs=[], status="running")
    assert (state["generator"], state["trouble"]) == ("StyleGAN2", "")
    go.set()
    page.wait_for(lambda p: p.of("state")[-1]["step"] > step + 3)
    assert (editor.model, page.of("notice")) == ("StyleGAN2", [])


def test_undo_and_reset_while_a_model_is_read_take_back_what_was_done_and_the_model_comes_all_the_same(loading):
    _, page, go = loading
    page.say("point", id=1, handle=[9, 9], target=[20, 9], pulling=False)
    page.say("step_once")
    page.wait_for(lambda p: p.of("state")[-1]["step"] == 1)
    page.say("undo")
    state = page.wait_for_state(step=0, undo="pull of point 1")
    assert [job["what"] for job in state["jobs"]] == ["load"]
    page.say("reset")
    state = page.wait_for_state(undo="reset")
    assert (state["points"], [job["what"] for job in state["jobs"]]) == ([], ["load"])
    go.set()
    page.wait_for_state(model="cats.safetensors", jobs=[])
    assert page.of("notice") == []
    page.say("undo")
    page.wait_for_state(generator="StyleGAN2", undo="reset")


def until(condition, timeout=30.0):
    """Waits for a condition; fails if it does not come."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


NAMED = "half\udc80 \x1b[31m.safetensors"
"""A name that no message can carry as it is, and that a terminal would obey."""


def sendable(editor):
    """The whole state of an editor, as a host packs it to send it."""
    state = json.dumps({**editor.get_state(), "layout": None}, default=str, ensure_ascii=False).encode()
    return state + json.dumps(protocol.state_message(editor._session.latest), ensure_ascii=False).encode()


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="such names cannot be given there")
def test_a_model_of_any_file_name_can_be_shown_saved_and_written_as_code(make, folder, tmp_path):
    path = tmp_path / NAMED
    path.write_bytes((folder / "cats.safetensors").read_bytes())
    editor = make(str(path), models=tmp_path)
    assert editor.model == "half\\udc80 \\x1b[31m.safetensors"
    assert b"\x1b" not in sendable(editor)
    scope = {}
    exec(editor.code(), scope)
    np.testing.assert_allclose(np.asarray(scope["ws"]), editor.latent, rtol=0, atol=1e-5)
    with pytest.raises(ValueError):  # noqa: PT011 - a listed name could be told to the page; this one is not listed
        ModelList(tmp_path).find(NAMED)
    assert ModelList(tmp_path).entry(editor._session.latest.model) is None


@pytest.mark.parametrize("letter", ["n", "\x1b", "\udc80"])
def test_a_name_of_megabytes_in_a_file_that_cannot_be_loaded_is_no_burden_to_views(make, tmp_path, letter):
    editor = make()
    before = len(sendable(editor))
    description = {"format": 1, "family": letter * 600_000, "config": {}}
    header = {"__metadata__": {"draggan_widget": json.dumps(description)}}
    text = json.dumps(header).encode()
    (tmp_path / "named.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(CheckpointError) as caught:
        editor.load_model(str(tmp_path / "named.safetensors"))
    assert str(caught.value).isprintable()
    assert "was not loaded" in editor._session.latest.trouble
    assert len(sendable(editor)) < before + 4000


def test_names_of_classes_are_shortened_and_escaped_before_they_are_sent(make):
    generator = small_stylegan2(32, seed=2, c_dim=3)
    generator.class_names = ["n" * 20_000_000, "\x1b[2J\udc80", "cat"]
    names = Model(generator).class_names
    assert names == ["n" * 79 + "…", "\\x1b[2J\\udc80", "cat"]
    assert len(json.dumps(protocol.classes_message(names), ensure_ascii=False).encode()) < 300
