"""What the doctor says of installations that are well, and of ones that are not."""

from __future__ import annotations

import copy
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from draggan_widget import cli, doctor, probe


@pytest.fixture(scope="module")
def probed():
    return probe.probe()


@pytest.fixture
def here(probed):
    """What this Python has, to be changed."""
    return copy.deepcopy(probed)


def wrong(findings):
    return {finding.what: (finding.said, finding.remedy) for finding in findings if finding.level == "wrong"}


@pytest.fixture
def only(monkeypatch):
    """The server is the one that is given."""
    return lambda side: monkeypatch.setattr(doctor, "servers_of", lambda here: [side])


def test_an_installation_that_can_test_itself_is_well(capsys):
    assert cli.main(["doctor", "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)
    assert {"Python", "torch", "ipywidgets", "anywidget", "server here", "working folder", "a step"} <= {
        finding["what"] for finding in findings
    }
    (step,) = [finding for finding in findings if finding["what"] == "a step"]
    assert " ms, after " in step["said"]


def test_what_is_wrong_is_printed_with_a_remedy_and_counted(monkeypatch, capsys, here):
    here["versions"]["ipykernel"] = None
    monkeypatch.setattr(probe, "probe", lambda: here)
    monkeypatch.setattr(doctor, "check_step", lambda here: iter(()))
    assert cli.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "WRONG  ipykernel: not installed" in said
    assert f'→ {sys.executable} -m pip install -U "ipykernel>=6.29"' in said
    assert said.endswith("1 thing to put right.\n")


@pytest.mark.parametrize(
    ("name", "version", "said"),
    [
        ("anywidget", None, "not installed"),
        ("anywidget", "0.9.12", "0.9.12 is older than 0.9.13"),
        ("ipywidgets", "7.6.5", "older than 7.7"),
        ("ipykernel", "7.0.0", "cannot send from threads"),
    ],
)
def test_a_package_that_is_missing_or_too_old_is_named(here, name, version, said):
    here["versions"][name] = version
    found = wrong(doctor.check_kernel(here))
    assert list(found) == [name]
    assert said in found[name][0]
    assert f'pip install -U "{name}>=' in found[name][1]


@pytest.mark.parametrize("version", ["7.0.1", "7.4.0", "6.31.0", "8.0.0rc1"])
def test_other_kernels_are_taken(here, version):
    here["versions"]["ipykernel"] = version
    assert wrong(doctor.check_kernel(here)) == {}


@pytest.mark.parametrize(
    ("extension", "found", "said", "remedy"),
    [
        (probe.MANAGER, None, "the widget manager is missing", "pip install -U ipywidgets"),
        (probe.MANAGER, "disabled", "the widget manager is disabled", "enable @jupyter-widgets/jupyterlab-manager"),
        ("anywidget", None, "anywidget's page is missing", "pip install -U ipywidgets anywidget"),
        ("anywidget", "0.1.0", "anywidget is 0.1.0 here and ", "pip install anywidget=="),
        (
            probe.MANAGER,
            "3.1.11",
            "3.1.11 does not show widgets of the kernel's ipywidgets 8",
            '"ipywidgets==8',
        ),
    ],
)
def test_a_server_without_what_shows_widgets_is_told_what_to_install(here, only, extension, found, said, remedy):
    here["extensions"][extension] = found
    only(here)
    (told,) = wrong(doctor.check_servers(here)).values()
    assert said in told[0]
    assert remedy in told[1]


def test_a_kernel_of_old_widgets_and_a_server_of_new_ones_are_told_apart(here, only):
    here["versions"]["ipywidgets"] = "7.7.1"
    only(here)
    (told,) = wrong(doctor.check_servers(here)).values()
    assert "does not show widgets of the kernel's ipywidgets 7.7.1" in told[0]


def test_no_server_is_no_fault_but_is_said(here, monkeypatch):
    monkeypatch.setattr(doctor, "servers_of", lambda here: [])
    (finding,) = doctor.check_servers(here)
    assert finding.level == "note"
    assert "VS Code" in finding.said


def python_that_says(folder, words):
    """A Python that answers everything so."""
    (folder / "bin").mkdir()
    python = folder / "bin" / "python"
    python.write_text(f"#!/bin/sh\n/bin/cat <<'END'\n{words}\nEND\n")
    python.chmod(0o755)
    return str(python)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")
def test_kernels_of_other_pythons_are_asked_what_they_have(here, only, tmp_path):
    said = {}
    for name, versions in {"with": {"draggan_widget": "0.0.9"}, "without": {"draggan_widget": None}}.items():
        (tmp_path / name).mkdir()
        answer = json.dumps({"versions": versions})
        here["kernels"][name] = [python_that_says(tmp_path / name, answer), "-m", "ipykernel_launcher"]
    here["kernels"]["gone"] = [str(tmp_path / "nowhere" / "python")]
    only(here)
    for finding in doctor.check_servers(here):
        for name in here["kernels"]:
            if f"kernel {name!r}" in finding.said:
                said[name] = (finding.level, finding.said, finding.remedy)
    assert said["python3"][:2] == ("ok", "its kernel 'python3' is this Python")
    assert said["with"][1].endswith("with draggan_widget 0.0.9")
    assert said["without"][0] == "note"
    assert f"-m pip install {doctor.origin()}" in said["without"][2]
    assert "does not start" in said["gone"][1]


@pytest.mark.parametrize(
    ("said", "origin"),
    [
        (None, "draggan_widget==1.2.3"),
        ({"url": "file:///home/me/my%20clone", "dir_info": {"editable": True}}, "'/home/me/my clone'"),
        (
            {"url": "https://example.org/a.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}},
            "git+https://example.org/a.git@c0ffee",
        ),
        ({"url": "https://example.org/a-1.2.3-py3-none-any.whl"}, "https://example.org/a-1.2.3-py3-none-any.whl"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="paths are written otherwise")
def test_another_python_is_told_to_install_from_where_this_one_did(monkeypatch, said, origin):
    here = SimpleNamespace(version="1.2.3", read_text=lambda name: said and json.dumps(said))
    monkeypatch.setattr(doctor, "distribution", lambda name: here)
    assert doctor.origin() == origin


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")
def test_a_server_of_another_environment_is_found_by_its_first_line(here, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    python = python_that_says(tmp_path, json.dumps({"python": "there", "versions": {}}))
    (tmp_path / "bin" / "jupyter-lab").write_text(f"#!{python}\n")
    (tmp_path / "bin" / "jupyter-lab").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    here["python"] = str(tmp_path / "here" / "python")
    assert doctor.servers_of(here) == [{"python": "there", "versions": {}}]


def test_a_folder_that_cannot_be_written_is_named_with_a_remedy(here, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "file" / "runtime"))
    found = wrong(doctor.check_writing(here))
    assert list(found) == ["Jupyter's runtime folder"]
    assert "set JUPYTER_RUNTIME_DIR" in found["Jupyter's runtime folder"][1]


def test_a_slow_step_is_said(here, monkeypatch):
    monkeypatch.setattr(doctor, "SLOW", 0.0)
    (finding,) = doctor.check_step(here)
    assert (finding.level, finding.what) == ("note", "a step")
    assert "GPU" in finding.remedy


def test_a_check_that_fails_does_not_silence_the_others(monkeypatch, capsys, here):
    def check_torch(here):
        raise RuntimeError("no such driver")

    monkeypatch.setattr(doctor, "check_torch", check_torch)
    monkeypatch.setattr(doctor, "check_step", lambda here: iter(()))
    assert cli.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "WRONG  torch: RuntimeError: no such driver" in said
    assert "working folder" in said


def test_the_probe_runs_in_any_python_alone():
    found = doctor.ask(sys.executable)
    assert found["python"] == sys.executable
    assert "draggan_widget" in found["versions"]
    source = Path(probe.__file__).read_text()
    assert "from draggan_widget" not in source


def diffusion(monkeypatch, here, versions):
    monkeypatch.setattr(doctor, "version_of", versions.get)
    return [(finding.level, finding.said) for finding in doctor.check_diffusion(here)]


def test_what_diffusion_models_need_is_looked_at_where_somebody_has_begun_to_install_it(monkeypatch, here):
    whole = {"diffusers": "0.42.1", "peft": "0.21.2", "transformers": "5.24.0"}
    pytest.importorskip("diffusers")
    *packages, tried = diffusion(monkeypatch, here, whole)
    assert packages == [("ok", "diffusers 0.42.1"), ("ok", "peft 0.21.2"), ("ok", "transformers 5.24.0")]
    assert re.fullmatch(r"a picture of faces-diffusion takes \d+\.\d s", tried[1])
    assert diffusion(monkeypatch, here, {}) == [
        ("ok", "not wanted here; they need the extra diffusion (diffusers, peft, transformers)")
    ]
    assert diffusion(monkeypatch, here, {**whole, "peft": None, "diffusers": "0.20.0"})[:2] == [
        ("note", "diffusers 0.20.0 is older than 0.34"),
        ("note", "peft is missing, so not all of them works"),
    ]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None)
    level, said = diffusion(monkeypatch, here, whole)[-1]
    assert (level, said.startswith("faces-diffusion does not work: diffusion models need diffusers")) == ("wrong", True)
