"""Results on disk, a line of JSON each, so that long work that was stopped goes on where it was."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

BEGINNING = '{"asked": '
"""Of a line, which tells one that was cut short from a file of something else."""


class Ledger:
    """What was asked and what came of it; with a path, in a file that each result is added to at once.

    Nothing that stands in the file is ever rewritten. A line that was being written when the work was stopped is no
    result; a warning tells of such lines, but for the last one, which is what a stop leaves.

    :param path: of the file, which is made, with its folder, when there is something to write; None: only in memory.
    :raises ValueError: for a file that holds something else.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self._path = None if path is None else Path(path)
        self._known: dict[str, dict[str, Any]] = {}
        if self._path is not None and self._path.exists():
            lines = self._path.read_text(encoding="utf-8", errors="replace").split("\n")
            bad = {number: line for number, line in enumerate(lines, start=1) if line and not self._take(line)}
            foreign = [number for number, line in bad.items() if not line.startswith(BEGINNING[: len(line)])]
            if foreign and not self._known:
                raise ValueError(f"line {foreign[0]} of {self._path} is no result; give another file, or delete it")
            if lost := [str(number) for number in bad if number < len(lines)]:
                text = f"no whole results, left out: line{'s' * (len(lost) > 1)} {', '.join(lost)} of {self._path}"
                warnings.warn(text, stacklevel=2)

    def __len__(self) -> int:
        return len(self._known)

    def find(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        """What came of it; None if it has not been done."""
        return self._known.get(_key(asked))

    def add(self, asked: dict[str, Any], found: dict[str, Any]) -> None:
        """Keep what came of it, on a line of its own, on the disk when this returns."""
        self._known[_key(asked)] = found
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            line = json.dumps({"asked": asked, "found": found}).encode() + b"\n"
            with self._path.open("a+b") as lines:
                if lines.tell():  # the end of the file
                    lines.seek(-1, os.SEEK_END)
                    line = line if lines.read(1) == b"\n" else b"\n" + line
                lines.write(line)
                lines.flush()
                os.fsync(lines.fileno())

    def _take(self, line: str) -> bool:
        try:
            entry = json.loads(line)
            asked, found = entry["asked"], entry["found"]
        except (ValueError, KeyError, TypeError):
            return False
        if isinstance(found, dict):
            self._known[_key(asked)] = found
        return isinstance(found, dict)


def _key(asked: dict[str, Any]) -> str:
    return json.dumps(asked, sort_keys=True)
