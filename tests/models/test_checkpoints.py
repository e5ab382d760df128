from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from random_stylegan2 import small_stylegan2

from draggan_widget import cli
from draggan_widget.config import DragConfig
from draggan_widget.models import CheckpointError, builtin_names, load_generator, save_generator
from draggan_widget.models.checkpoints import load
from draggan_widget.models.checkpoints.load import best_device, read_checkpoint


def test_a_saved_generator_comes_back_the_same_with_its_drag_settings(tmp_path):
    saved = small_stylegan2(64, drag_config=DragConfig(block=4, learning_rate=0.01))
    save_generator(tmp_path / "g.safetensors", saved, name="small")
    loaded = load_generator(tmp_path / "g.safetensors", device="cpu")
    ws = saved.mapping(seed=1, truncation=0.6)
    assert torch.equal(loaded.mapping(seed=1, truncation=0.6), ws)
    assert torch.equal(loaded.synthesize(ws), saved.synthesize(ws))
    assert loaded.drag_config == saved.drag_config
    assert os.listdir(tmp_path) == ["g.safetensors"]


def test_half_precision_halves_the_file_and_loads_as_float32(tmp_path, generator):
    save_generator(tmp_path / "full.safetensors", generator)
    save_generator(tmp_path / "half.safetensors", generator, half=True)
    loaded = load_generator(tmp_path / "half.safetensors")
    assert all(parameter.dtype == torch.float32 for parameter in loaded.parameters())
    ws = generator.mapping(seed=0)
    torch.testing.assert_close(loaded.synthesize(ws), generator.synthesize(ws), atol=0.02, rtol=0.02)
    assert (tmp_path / "half.safetensors").stat().st_size < 0.7 * (tmp_path / "full.safetensors").stat().st_size


def test_an_unknown_name_lists_the_built_in_ones():
    with pytest.raises(FileNotFoundError, match="no generator 'fases'.*built-in name"):
        load_generator("fases")
    assert all(not name.startswith(".") for name in builtin_names())


def test_editions_that_were_replaced_are_loaded_by_name_and_not_offered(tmp_path, generator, monkeypatch):
    monkeypatch.setattr(load, "BUILTIN", tmp_path)
    for name in ("heads", "heads-1"):
        save_generator(tmp_path / f"{name}.safetensors", generator)
    assert builtin_names() == ["heads", "heads-1"]
    assert builtin_names(older=False) == ["heads"]
    assert load_generator("heads-1").resolution == generator.resolution


def test_a_broken_save_leaves_the_old_file_and_no_partial_one(tmp_path, generator, monkeypatch):
    path = tmp_path / "g.safetensors"
    save_generator(path, generator)
    before = path.read_bytes()

    def break_off(partial, data):
        with partial.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", break_off)
        with pytest.raises(OSError, match=r"g\.safetensors cannot be written: .*the disk is full: make room"):
            save_generator(path, generator)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["g.safetensors"]


def rewrite(path, /, **changes):
    """The file with fields of its description changed."""
    with safetensors.safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()["draggan_widget"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    description.update(changes)
    safetensors.torch.save_file(tensors, path, metadata={"draggan_widget": json.dumps(description)})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": 99}, "format 99, this version reads 1; update"),
        ({"family": "stylegan9"}, "no generator this version knows"),
        ({"config": {"resolution": 64}}, "no generator this version knows"),
        ({"drag_config": {"speed": 1}}, "unknown drag settings speed"),
    ],
)
def test_a_description_that_cannot_be_taken_is_named(tmp_path, generator, changes, says):
    path = tmp_path / "g.safetensors"
    save_generator(path, generator)
    rewrite(path, **changes)
    with pytest.raises(CheckpointError, match=says):
        load_generator(path)


def test_weights_that_do_not_fit_the_description_are_named(tmp_path, generator):
    path = tmp_path / "g.safetensors"
    save_generator(path, generator)
    rewrite(path, config={**generator.config, "w_dim": 24})
    with pytest.raises(CheckpointError, match="does not fit its own description"):
        load_generator(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty .0 bytes.; get it again"),
        (b"PK\x03\x04 no tensors here", "its end is missing, so the download was cut short; get it again"),
        (b"\x80\x04}q\x00.", "holds an empty dict, and no generator; what can be read are StyleGAN2-ADA"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "is a web page .* the download failed"),
    ],
)
def test_a_file_of_another_kind_is_a_checkpoint_error_which_is_a_value_error(tmp_path, content, says):
    path = tmp_path / "model.pkl"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"model.pkl .*{says}") as caught:
        load_generator(path)
    assert isinstance(caught.value, ValueError)


def test_a_truncated_file_is_named(tmp_path, generator):
    path = tmp_path / "g.safetensors"
    save_generator(path, generator)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cut short.*get it again"):
        load_generator(path)


def test_tensors_without_a_description_are_named(tmp_path):
    path = tmp_path / "loose.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="holds 1 tensor by name .a., and no generator; what can be read are"):
        load_generator(path)


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_best_device_there_is_is_chosen(cuda, mps, chosen, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert best_device() == torch.device(chosen)


def test_without_a_device_the_best_one_is_taken_and_a_named_one_stays(monkeypatch):
    monkeypatch.setattr("draggan_widget.models.checkpoints.load.best_device", lambda: torch.device("meta"))
    assert {weight.device.type for weight in load_generator("faces").parameters()} == {"meta"}
    named = load_generator("faces", device="cpu")
    assert {(weight.device.type, weight.dtype) for weight in named.parameters()} == {("cpu", torch.float32)}


@pytest.mark.parametrize("command", ["load_generator", "inspect", "convert"])
@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("~nobody-of-that-name/model.pkl", "begins with a home folder that cannot be found; write the path in full"),
        ("m" * 5000, "it is neither a file nor a built-in name (File name too long)"),
        ("folders/" * 700, "it is neither a file nor a built-in name (File name too long)"),
        ("nul\0.pkl", "neither a file nor a built-in name"),
        ("surrogate\udc80.pkl", "no generator 'surrogate\\udc80.pkl'"),
        ("\x1b[31m.pkl", "no generator '\\x1b[31m.pkl'"),
        (".", "is a folder; give a checkpoint file in it"),
    ],
    ids=lambda value: value[:12],
)
def test_a_path_that_cannot_be_a_checkpoint_is_named_in_a_line(path, says, command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if command == "load_generator":
        with pytest.raises(FileNotFoundError) as caught:
            load_generator(path)
        told = str(caught.value)
    else:
        assert cli.main([command, path, *(["out.safetensors"] if command == "convert" else [])]) == 1
        told = capsys.readouterr().err.removesuffix("\n")
    assert says in told
    assert told.isprintable()
    assert len(told) < 600


def test_what_is_no_regular_file_is_a_checkpoint_error(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("there are no named pipes here")
    os.mkfifo(tmp_path / "pipe.pkl")
    with pytest.raises(CheckpointError, match="pipe.pkl is no regular file"):
        load_generator(tmp_path / "pipe.pkl")


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("~nobody-of-that-name/a.safetensors", "begins with a home folder that cannot be found"),
        ("m" * 5000 + ".safetensors", "cannot be written: File name too long; give a shorter name"),
        ("folder.safetensors", "is a folder; give the name of a file"),
    ],
    ids=lambda value: value[:12],
)
def test_convert_says_in_a_line_that_a_path_cannot_be_written(out, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.safetensors").mkdir()
    assert cli.main(["convert", "--force", "faces", out]) == 1
    told = capsys.readouterr().err
    assert says in told
    assert len(told) < 500


FULL = """
import resource, sys
from draggan_widget import cli
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
sys.exit(cli.main(["convert", "--force", "faces", sys.argv[1]]))
"""


def test_a_disk_that_is_full_in_convert_is_said_in_a_line_and_the_old_file_stays(tmp_path):
    pytest.importorskip("resource")
    (tmp_path / "out.safetensors").write_bytes(b"the old file")
    out = str(tmp_path / "out.safetensors")
    done = subprocess.run([sys.executable, "-c", FULL, out], capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    said = "cannot be written: File too large; files may not be so large here: make room, or give another folder"
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == ["out.safetensors"]
    assert (tmp_path / "out.safetensors").read_bytes() == b"the old file"


def test_notes_of_a_file_are_shown_shortened_and_escaped_and_can_be_converted(tmp_path, generator, capsys):
    path, out = tmp_path / "g.safetensors", tmp_path / "out.safetensors"
    save_generator(path, generator, licence="free")
    strange = {"\x1b]0;owned\x07": "\x1b[2J", "n" * 100_000: "v" * 100_000, "path": "x", "half": "x", "generator": "x"}
    rewrite(path, **strange, lone="\udc80", number=3, many=[["x"]])
    assert cli.main(["inspect", str(path)]) == 0
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "\\x1b]0;owned\\x07" in told
    assert len(told) < 8000
    assert cli.main(["convert", str(path), str(out)]) == 0
    notes = read_checkpoint(out).notes
    assert notes == read_checkpoint(path).notes
    assert (notes["licence"], notes["lone"], notes["number"]) == ("free", "\\udc80", "3")
    assert not {"path", "half", "generator"} & notes.keys()
