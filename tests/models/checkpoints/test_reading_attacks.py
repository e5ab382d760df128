from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from attacks import MARK, attack_files

pytest.importorskip("resource")  # by which memory is measured
HERE = Path(__file__).parent
MOST_SECONDS = 5.0
"""Of computing, for any of the files; the wall clock would count what else the machine does."""
MOST_MEMORY = 160 << 20
"""Bytes that any of the attacks may take beyond what innocent files do. The largest file has 8 MB."""


@pytest.fixture(scope="module")
def happened(tmp_path_factory) -> dict:
    """What happened in a process that read the attacks, seen by its audit hook."""
    folder = tmp_path_factory.mktemp("attacks")
    (folder / "innocent").mkdir()
    (folder / "attacks").mkdir()
    named = {"a": torch.randn(30, 40), "b": torch.ones(3).half(), "c": torch.tensor([True])}
    torch.save(named, folder / "innocent" / "zip")
    torch.save(named, folder / "innocent" / "legacy", _use_new_zipfile_serialization=False)
    (folder / "innocent" / "plain").write_bytes(pickle.dumps({**named, "d": np.arange(6).reshape(2, 3).T}, 0))
    for name, content in attack_files().items():
        (folder / "attacks" / name.replace("/", "-")).write_bytes(content)
    path = os.pathsep.join([str(HERE.parent.parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, str(HERE / "watched.py"), str(folder)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert not (folder / MARK).exists()
    return json.loads(done.stdout)


def test_the_hook_notices_what_it_should(happened):
    assert {"compile", "exec", "open", "import", "pickle.find_class"} <= set(happened["noticed"])


def test_innocent_files_are_read_in_the_same_process(happened):
    assert [outcome["says"] for outcome in happened["innocent"].values()] == [
        "3 tensors by name (a, b and c)",
        "a dict with the keys 'a', 'b', 'c' and 'd'",
        "3 tensors by name (a, b and c)",
    ]


def test_attacks_import_open_and_run_nothing(happened):
    assert len(happened["attacks"]) > 250
    assert {name: outcome["events"] for name, outcome in happened["attacks"].items() if outcome["events"]} == {}
    assert {name: outcome["modules"] for name, outcome in happened["attacks"].items() if outcome["modules"]} == {}


def test_attacks_raise_unreadable_or_become_inert_values(happened):
    failed = {name: outcome["says"] for name, outcome in happened["attacks"].items() if "FAILED" in outcome["says"]}
    assert failed == {}
    says = {name: outcome["says"] for name, outcome in happened["attacks"].items()}
    assert says["os.system, protocol 2"] == "an object of os.system"
    assert says["os.system, within a storage"] == "Unreadable: holds a tensor without a storage"
    assert says["instance of antigravity, protocol 0"] == "an object of antigravity.system"


def test_bombs_take_little_time_and_memory(happened):
    slow = {
        name: outcome["seconds"] for name, outcome in happened["attacks"].items() if outcome["seconds"] > MOST_SECONDS
    }
    assert slow == {}
    peak = before = happened["before"]
    for name, outcome in sorted(happened["attacks"].items()):
        assert outcome["peak"] - before < MOST_MEMORY, f"{name} took {(outcome['peak'] - peak) >> 20} MiB"
        peak = outcome["peak"]


@pytest.mark.parametrize(
    ("bomb", "says"),
    [
        ("an integer of 2 GiB", "an integer of 2,147,483,647 bytes"),
        ("an array of 10^12", "claims an array of shape 1,000,000,000,000"),
        ("a tensor of 10^12", "claims a tensor of shape 1,000,000,000,000"),
        ("a tensor of 10^12 equal numbers", "claims a tensor of shape 1,000,000,000,000"),
        ("a storage of 10^12", "claims storages of 4,000,000,000,000 bytes"),
        ("a zip bomb", "unpacks to far more than its size"),
        ("archives in archives", "files in files without end"),
        ("storages in storages", "files in files without end"),
        ("copies of one array", "more bytes of arrays than the file can hold"),
        ("an array of 10^12 times nothing", "impossible shape"),
        ("tuples in tuples", "more than 200 deep"),
        ("tuples as keys in tuples", "uses a tuple as a key"),
        ("two entries of one name", "two entries named"),
    ],
)
def test_bombs_are_named(happened, bomb, says):
    assert happened["attacks"][bomb]["says"].startswith("Unreadable: ")
    assert says in happened["attacks"][bomb]["says"]
