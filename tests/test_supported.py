"""Where the package cannot run it says so in a sentence; where there is no network it does not ask for one."""

from __future__ import annotations

import subprocess
import sys

import pytest

NO_NETWORK = """
import socket

def refuse(*_, **__):
    raise OSError("there is no network")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
"""
A_DRAG = """
from draggan_widget import drag_steps, load_generator
generator = load_generator("faces")
ws = generator.mapping(seed=9, truncation=0.7)
steps = drag_steps(generator, ws, handles=[(98, 174)], targets=[(82, 163)])
before, after = next(steps), next(steps)
print("nearer" if after.distances[0] < before.distances[0] else "no nearer")
"""


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False)


@pytest.mark.parametrize(
    ("as_if", "said"),
    [
        ("sys.version_info = (3, 9, 18); sys.version = '3.9.18 (main)'", "needs Python 3.10 or newer, and this is 3.9"),
        ("sys.maxsize = 2**31 - 1", "needs a 64-bit Python, as torch does, and this is a 32-bit one"),
    ],
)
def test_a_python_that_cannot_run_it_is_named_in_a_sentence(as_if, said):
    done = python(f"import sys; {as_if}; import draggan_widget")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: draggan_widget needs")
    assert said in last


def test_a_first_drag_asks_for_nothing_over_a_network():
    done = python(NO_NETWORK + A_DRAG)
    assert (done.returncode, done.stdout) == (0, "nearer\n"), done.stderr
