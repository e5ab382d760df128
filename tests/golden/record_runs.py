"""Record the golden runs: drags, `.drag` files and scripts of messages, with what comes of them.

    python tests/golden/record_runs.py                  # all of it anew, but for networks and files that are there
    python tests/golden/record_runs.py --only messages  # drags, changes, edits or messages
    python tests/golden/record_runs.py --files          # write the .drag files anew as well

They are the proof that a change of the inside changed no behaviour, so record only where a behaviour was meant to
change: a line of a recording is one case, so `git diff` shows which ones did. `recorded.json` says from which code.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]

import golden_cases  # noqa: E402
import golden_edits  # noqa: E402
import golden_messages  # noqa: E402
import golden_models  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402


def record(parts, *, files=False):
    """Write the recordings of some parts."""
    torch.set_num_threads(1)
    golden_models.make_all()
    generators = golden_cases.generators_of()
    if "drags" in parts:
        drags = {name: golden_cases.run_drag(name, generators) for name in golden_cases.drag_cases()}
        golden_cases.write_lines(golden_cases.RUNS / "drags.json", drags)
    if "changes" in parts:
        changes = {name: golden_cases.run_changes(name, generators) for name in golden_cases.change_cases()}
        golden_cases.write_lines(golden_cases.RUNS / "changes.json", changes)
    if "edits" in parts:
        for kind in golden_edits.EDITS:
            if files or not golden_edits.file_of(kind).exists():
                golden_edits.make_edit(kind, generators)
        edits = {kind: golden_edits.go_on(kind, generators) for kind in golden_edits.EDITS}
        golden_cases.write_lines(golden_cases.RUNS / "edits.json", edits)
    if "messages" in parts:
        notes = {}
        for script in golden_messages.scripts():
            for number, note in enumerate(golden_messages.play(script)):
                notes[f"{script} {number}"] = note
        golden_cases.write_lines(golden_cases.RUNS / "messages.json", notes)


def code():
    """The commit, and whether the package was as it is there."""

    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=HERE, check=True, capture_output=True, text=True).stdout.strip()

    return {"commit": git("rev-parse", "HEAD"), "altered": bool(git("status", "--porcelain", "--", "draggan_widget"))}


def main():
    parts = ("drags", "changes", "edits", "messages")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=parts, help="record this part and leave the others")
    parser.add_argument("--files", action="store_true", help="write the .drag files anew as well")
    given = parser.parse_args()
    golden_cases.RUNS.mkdir(exist_ok=True)
    chosen = [given.only] if given.only else parts
    record(chosen, files=given.files)
    path = golden_cases.RUNS / "recorded.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    versions = {"torch": torch.__version__, "numpy": np.__version__, "machine": platform.machine()}
    known.update({part: {**code(), **versions} for part in chosen})
    path.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
