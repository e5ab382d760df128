"""Saving, loading and exporting as a person does it: names, what is there already, and what a file says."""

from __future__ import annotations

import asyncio
import io
import os
import stat
import threading
import time

import numpy as np
import pytest
from page import Page
from PIL import Image

from draggan_widget import DragConfig, DragGAN
from draggan_widget.editing import DragFileError
from draggan_widget.engines import DragGAN as DragGANEngine
from draggan_widget.widget.exports import SUFFIXES

CONFIG = DragConfig(learning_rate=0.05, max_steps=60)
POINT = {"handle": [30, 30], "target": [36, 30]}
LONG = "x" * 5000


@pytest.fixture
def editor(generator):
    made = DragGAN(generator, seed=3, config=CONFIG, points=[POINT])
    made.step_once()
    made._session.now()
    yield made
    made.close()


@pytest.mark.parametrize("name", ["thesis.tex", "smile", "smile.png", "smile.drag.bak", ".drag"])
def test_an_edit_is_saved_under_no_other_ending_than_drag(editor, tmp_path, name):
    path = tmp_path / name
    path.write_text("twelve months of work")
    with pytest.raises(ValueError, match=r"an edit is saved as \.drag, such as .*\.drag$"):
        editor.save(path)
    assert path.read_text() == "twelve months of work"
    assert os.listdir(tmp_path) == [name]


def test_a_file_that_is_no_edit_is_never_written_over_and_an_edit_is(editor, tmp_path):
    path = tmp_path / "smile.drag"
    for content in (b"notes", bytes(100), b"\x10\0\0\0\0\0\0\0{}" + b" " * 14):
        path.write_bytes(content)
        for save in (editor.save, editor.export):
            with pytest.raises(FileExistsError, match=r"smile\.drag is there already and is not an edit; give another"):
                save(path)
        assert path.read_bytes() == content
    path.write_bytes(b"")  # as tempfile makes it
    editor.save(path)
    first = path.read_bytes()
    editor.step_once()
    editor.save(path)
    assert path.read_bytes() != first
    path.write_bytes(path.read_bytes()[:-100])  # of an edit that was damaged nothing is lost
    editor.export(path)
    assert os.listdir(tmp_path) == ["smile.drag"]


@pytest.mark.parametrize("suffix", sorted(set(SUFFIXES) - {".mp4"}))
def test_an_export_replaces_files_of_its_own_kind_and_no_others(editor, tmp_path, suffix):
    path = tmp_path / f"smile{suffix}"
    path.write_text("import numpy as np\nfrom draggan_widget import drag  # mine\n")
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="is there already and is not "):
        editor.export(path)
    assert path.read_bytes() == before
    path.unlink()
    editor.export(path)
    editor.step_once()
    editor.export(path)
    assert os.listdir(tmp_path) == [path.name]


def test_code_that_somebody_has_gone_on_writing_in_is_not_written_over(editor, tmp_path):
    path = tmp_path / "smile.py"
    editor.export(path)
    path.write_text(path.read_text() + "image.show()\n")
    with pytest.raises(FileExistsError, match="not code that an editor wrote"):
        editor.export(path)
    assert path.read_text().endswith("image.show()\n")


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("~nobody_of_that_name/a{}", FileNotFoundError, "home folder that cannot be found"),
        ("none/a{}", FileNotFoundError, "no folder .*none"),
        ("folder{}", OSError, "is a folder"),
        (LONG + "{}", OSError, "File name too long; give a shorter name"),
        ("a\0{}", FileNotFoundError, "NUL"),
    ],
)
def test_paths_that_cannot_be_are_named_when_an_edit_is_saved_exported_and_loaded(
    editor, tmp_path, monkeypatch, name, error, says
):
    monkeypatch.chdir(tmp_path)
    for suffix in SUFFIXES:
        (tmp_path / f"folder{suffix}").mkdir(exist_ok=True)
    for suffix in set(SUFFIXES) - {".mp4"}:
        with pytest.raises(error, match=says):
            editor.export(name.format(suffix))
    with pytest.raises(error, match=says):
        editor.save(name.format(".drag"))
    with pytest.raises(FileNotFoundError) as raised:
        DragGAN.load(name.format(".drag"))
    assert len(str(raised.value)) < 600
    with pytest.raises(FileNotFoundError):
        DragGAN(name.format(".pkl"))
    with pytest.raises(FileNotFoundError):
        editor.load_model(name.format(".pkl"))
    assert editor.status == "stopped"
    assert len(os.listdir(tmp_path)) == len(SUFFIXES)


def test_the_home_folder_is_meant_by_a_tilde_when_saving_exporting_and_loading(
    editor, generator, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    editor.save("~/smile.drag")
    editor.export("~/smile.png")
    assert sorted(os.listdir(tmp_path)) == ["smile.drag", "smile.png"]
    again = DragGAN.load("~/smile.drag", model=generator)
    assert again.image.tobytes() == editor.image.tobytes()
    again.close()


@pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
def test_an_edit_that_is_saved_again_keeps_its_permissions_and_its_link(editor, tmp_path):
    real, link = tmp_path / "real.drag", tmp_path / "link.drag"
    editor.save(real)
    real.chmod(0o600)
    link.symlink_to(real)
    editor.step_once()
    editor.save(link)
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    (tmp_path / "trap.drag").symlink_to(tmp_path / "thesis.tex")
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(FileExistsError, match="is not an edit"):
        editor.save(tmp_path / "trap.drag")
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_a_loaded_edit_says_how_its_run_ended(generator, tmp_path):
    path = tmp_path / "smile.drag"

    def saved(config, target=(36, 30), steps=None):
        editor = DragGAN(generator, seed=3, config=config, points=[{"handle": [30, 30], "target": list(target)}])
        if steps is None:
            editor.start()
            reason = asyncio.run(editor.finished()).reason
        else:
            reason = "stopped"
            for _ in range(steps):
                editor.step_once()
        editor.save(path)
        editor.close()
        again = DragGAN.load(path, model=generator)
        said = again.status, again._session.latest.message, asyncio.run(again.finished()).reason
        again.close()
        return reason, said

    reason, (status, message, result) = saved(CONFIG)
    assert (reason, status, result) == ("arrived",) * 3
    assert message.startswith("Arrived after ")
    reason, (status, message, _) = saved(CONFIG.replace(max_steps=2, tolerance=0.0, stall_steps=None))
    assert (reason, status) == ("capped", "capped")
    assert message.startswith("Reached 2 steps, ")
    assert saved(CONFIG.replace(tolerance=0.0, stall_steps=None), steps=1)[1][0] == "stopped"
    assert saved(CONFIG, steps=0)[1][0] == "idle"


def test_what_save_image_writes_in_the_page_is_what_export_writes_and_the_pillow_picture_says_nothing(editor, tmp_path):
    page = Page(editor)
    page.say("export", kind="png", handles=False)
    page.wait_for(lambda page: page.of("export"))
    ((made,),) = [buffers for content, buffers in page.told if content["type"] == "export"]
    editor.export(tmp_path / "smile.png")
    assert made == (tmp_path / "smile.png").read_bytes()
    with Image.open(tmp_path / "smile.png") as read:
        assert "AI-generated" in read.text["Description"]
        assert read.tobytes() == editor.image.tobytes()
    bare = io.BytesIO()
    editor.image.save(bare, "PNG")
    with Image.open(bare) as read:
        assert read.text == {}  # as the README says
    editor.provenance = False
    editor.export(tmp_path / "smile.png")
    with Image.open(tmp_path / "smile.png") as read:
        assert read.text == {}


def test_three_editors_that_save_under_one_name_leave_a_whole_edit_at_every_time(generator, tmp_path):
    path = tmp_path / "smile.drag"
    editors = [DragGAN(generator, seed=seed, config=CONFIG, points=[POINT]) for seed in (1, 2, 3)]
    images = []
    for editor in editors:
        editor.step_once()
        images.append(editor.image.tobytes())
    editors[0].save(path)
    until, failures = time.monotonic() + 1.5, []

    def save(editor):
        try:
            while time.monotonic() < until:
                editor.save(path)
        except BaseException as error:
            failures.append(error)

    savers = [threading.Thread(target=save, args=(editor,)) for editor in editors]
    for saver in savers:
        saver.start()
    seen = []
    while time.monotonic() < until:
        again = DragGAN.load(path, model=generator)
        seen.append(again.image.tobytes())
        again.close()
    for saver in savers:
        saver.join()
    for editor in editors:
        editor.close()
    assert failures == []
    assert seen
    assert set(seen) <= set(images)
    assert os.listdir(tmp_path) == ["smile.drag"]


def test_an_edit_that_cannot_be_loaded_here_is_told_in_words_and_the_open_edit_stays(editor, tmp_path, monkeypatch):
    path = tmp_path / "smile.drag"
    before = editor.latent.copy()
    monkeypatch.setattr(DragGANEngine, "name", "gone")  # as an engine that is registered where it was saved
    editor.save(path)
    monkeypatch.undo()
    data = path.read_bytes()
    with pytest.raises(
        DragFileError,
        match=r"there is no engine 'gone' here, only natural, draggan, .*fastdrag; register it",
    ):
        DragGAN.load(path, model=editor.generator)
    assert path.read_bytes() == data
    np.testing.assert_array_equal(editor.latent, before)
    editor.step_once()
    editor.save(path)
    again = DragGAN.load(path, model=editor.generator)
    np.testing.assert_array_equal(again.latent, editor.latent)
    again.close()


def test_a_flipped_byte_in_a_file_is_told_in_words(editor, tmp_path):
    path = tmp_path / "smile.drag"
    editor.save(path)
    data = bytearray(path.read_bytes())
    data[-5] ^= 4
    path.write_bytes(data)
    with pytest.raises(DragFileError, match="checksum does not fit: it was changed after it was saved"):
        DragGAN.load(path, model=editor.generator)
    assert np.isfinite(editor.latent).all()
