from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from random_stylegan2 import small_stylegan2

from draggan_widget import __version__, cli
from draggan_widget.models import save_generator

ENCODINGS = ("cp1252", "cp1251", "cp437", "cp932", "latin-1", "ascii", "utf-8")


def test_the_command_says_its_version_and_what_it_can_do(capsys):
    for arguments in (["--version"], ["--help"], ["demo", "--help"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert __version__ in printed
    assert "--no-browser" in printed


def test_examples_are_copied_once_and_never_over_somebodys_work(tmp_path):
    folder = cli.copy_examples(tmp_path / "a" / "b")
    assert (folder / "quickstart.ipynb").read_bytes() == cli.example_notebooks()[0].parent.joinpath(
        "quickstart.ipynb"
    ).read_bytes()
    (folder / "quickstart.ipynb").write_text("mine")
    cli.copy_examples(folder)
    assert (folder / "quickstart.ipynb").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_named(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["demo", "--dir", str(tmp_path / "file" / "below")]) == 1
    assert "give another --dir" in capsys.readouterr().err


def test_without_jupyterlab_it_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    assert cli.main(["demo"]) == 1
    assert f'{sys.executable} -m pip install "draggan_widget[demo]"' in capsys.readouterr().err


def test_arguments_go_to_jupyterlab_and_its_status_comes_back(monkeypatch, tmp_path, capsys):
    ran = []

    def become(command, folder, environment):
        ran.append(command)
        assert (Path(environment["JUPYTER_CONFIG_PATH"]) / "labconfig" / "default_setting_overrides.json").is_file()
        return 7

    monkeypatch.setattr(cli, "become", become)
    arguments = ["demo", "--no-browser", "--port", "9999", "--token", "abc", "--dir", str(tmp_path), "--", "--debug"]
    assert cli.main(arguments) == 7
    (command,) = ran
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert {"--ServerApp.port=9999", "--IdentityProvider.token=abc", "--ServerApp.open_browser=False"} <= {*command}
    assert command[-1] == "--debug" or command[-2:] == ["--debug", "--allow-root"]
    assert "127.0.0.1:9999/lab/tree/quickstart.ipynb?token=abc" in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_pipe_of_any_encoding_gets_all_that_is_said(encoding, tmp_path, monkeypatch):
    save_generator(tmp_path / "small.safetensors", small_stylegan2(32))
    commands = ("demo", "inspect", "convert", "doctor", "bench", "drag", "invert", "evaluate")
    for arguments in (["inspect", str(tmp_path / "small.safetensors")], *([name, "--help"] for name in commands)):
        said = []
        for name in ("stdout", "stderr"):
            pipe = io.TextIOWrapper(io.BytesIO(), encoding=encoding)  # strict, as Python opens a pipe
            monkeypatch.setattr(sys, name, pipe)
            said.append(pipe)
        if "--help" in arguments:
            with pytest.raises(SystemExit) as ended:
                cli.main(arguments)
            assert ended.value.code == 0
        else:
            assert cli.main(arguments) == 0
        assert cli.main(["inspect", str(tmp_path / "nöne–×.pkl")]) == 1  # what is wrong is said as well
        for pipe in said:
            pipe.flush()
        out, err = (pipe.buffer.getvalue().decode(encoding) for pipe in said)
        assert "32 × 32 px" in out.replace("?", "×") or "--help" in out
        assert "no generator" in err


def test_the_command_itself_ends_well_where_its_output_is_ascii(tmp_path):
    save_generator(tmp_path / "small.safetensors", small_stylegan2(32))
    ran = subprocess.run(
        [sys.executable, "-m", "draggan_widget", "inspect", str(tmp_path / "small.safetensors")],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"32 ? 32 px, RGB" in ran.stdout


def test_a_checkpoint_is_converted_to_no_place_that_cannot_be_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_generator(tmp_path / "small.safetensors", small_stylegan2(32))
    (tmp_path / "folder.safetensors").mkdir()
    for out, says in (
        ("none/a.safetensors", "no folder"),
        ("folder.safetensors", "is a folder"),
        ("~nobody_of_that_name/a.safetensors", "home folder that cannot be found"),
        ("x" * 5000 + ".safetensors", "File name too long; give a shorter name"),
        ("small.safetensors", "is there already; give --force"),
    ):
        assert cli.main(["convert", "small.safetensors", out]) == 1
        assert says in capsys.readouterr().err
    assert cli.main(["bench", "--quick", "--json", "none/figures.json"]) == 2  # before it measures
    assert "no folder" in capsys.readouterr().err


def test_a_full_disk_while_converting_is_told_in_words_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    save_generator(tmp_path / "small.safetensors", small_stylegan2(32))
    out = tmp_path / "out.safetensors"

    def full(partial, data):
        with partial.open("wb") as file:
            file.write(data[:1000])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert cli.main(["convert", str(tmp_path / "small.safetensors"), str(out)]) == 1
    assert "out.safetensors cannot be written: No space left on device; the disk is full" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["small.safetensors"]
