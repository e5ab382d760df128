"""Files that choose their own memory or time, or change while they are read, end in an error and in nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource")  # by which memory is measured and bounded
HERE = Path(__file__).parent
MOST_SECONDS = 5.0
"""Of computing, for any of the files."""
MOST_MEMORY = 320 << 20
"""Bytes that all of them may take beyond what an innocent file does. The largest has 32 MB."""


def run(what: str, folder: Path) -> dict:
    tests = HERE.parent.parent
    path = os.pathsep.join([str(tests), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, str(HERE / "greedy.py"), what, str(folder)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, f"it ended with {done.returncode}: {done.stderr[-3000:]}"
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> dict:
    from greedy import write_greedy_files

    folder = tmp_path_factory.mktemp("greedy")
    write_greedy_files(folder)
    happened = run("files", folder)
    shutil.rmtree(folder)
    return happened


def test_a_file_that_asks_for_much_memory_or_time_is_a_checkpoint_error(loaded):
    happened = loaded["happened"]
    assert len(happened) > 30
    assert {name: what["says"] for name, what in happened.items() if name not in what["says"]} == {}
    assert {name: what["seconds"] for name, what in happened.items() if what["seconds"] > MOST_SECONDS} == {}
    assert {name: what["bytes"] >> 20 for name, what in happened.items() if what["bytes"] > MOST_MEMORY / 2} == {}
    assert loaded["peak"] - loaded["before"] < MOST_MEMORY


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a latent of 2^20", "z_dim is 1048576; it must be a whole number of at least 0 and at most 8192"),
        ("a hidden width of 2^18", "layer_features is 262144"),
        ("classes of 2^18", "c_dim is 262144"),
        ("400 entries on one", "has bytes that are used over and over"),
        ("400 misaligned entries on one", "has bytes that are used over and over"),
        ("400 tensors on one", "has bytes that are used over and over"),
        ("an endless line", "taken for an old pickle, it has bytes that are used over and over, or long"),
        ("a string of 2 GB", "long stretches that were never written"),
        ("bytes of 7 GB", "long stretches that were never written"),
        ("a directory of 8 GB", "long stretches that were never written"),
        ("a header of 32 MB", "with a header of 33,554,4"),
        ("a header of 4 MB", "JSON of more than 200,000 values"),
        ("a deep header", "nested more than 32 deep"),
        ("modules of endless names", "parts of endless names"),
        ("filters of a million taps", "more than 8 times as many in one step"),
        ("maps of a gigabyte and more", "would need feature maps of 419,430,400 numbers"),
    ],
)
def test_the_error_says_what_such_a_file_asks_for(loaded, name, says):
    assert says in loaded["happened"][name]["says"]


def test_whatever_a_file_names_its_error_is_a_short_line_that_can_be_shown(loaded):
    for name, what in loaded["happened"].items():
        assert len(what["says"]) < 1500, name
        assert what["says"].isprintable(), name
    said = loaded["happened"]["a tensor's name that speaks to the terminal"]["says"]
    assert "'synthesis.b4.conv1.\\x1b]0;owned\\x07\\udc80nnn" in said


@pytest.fixture(scope="module")
def changed(tmp_path_factory) -> dict:
    return run("changes", tmp_path_factory.mktemp("changes"))["happened"]


def test_a_file_that_is_cut_short_or_copied_over_while_it_is_read_is_an_error_and_the_process_lives(changed):
    assert len(changed) == 12
    wanted = "was changed while it was read; wait until it is written to its end, and try again"
    assert {name: says for name, says in changed.items() if wanted not in says} == {}
