from __future__ import annotations

import sys
from pathlib import Path

import pytest

from draggan_widget import __version__, cli


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
    assert 'pip install ".[demo]"' in capsys.readouterr().err


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
