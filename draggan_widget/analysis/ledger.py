"""Results on disk, a line of JSON each, so that long work that was stopped goes on where it was."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Ledger:
    """What was asked and what came of it; with a path, in a file that each result is added to at once.

    :param path: of the file, which is made, with its folder, when there is something to write; None: only in memory.
    :raises ValueError: for a file that holds something else.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self._path = None if path is None else Path(path)
        self._known: dict[str, dict[str, Any]] = {}
        if self._path is not None and self._path.exists():
            lines = self._path.read_text(encoding="utf-8").split("\n")
            for number, line in enumerate(lines, start=1):
                if line and not self._take(line) and number < len(lines):
                    raise ValueError(f"line {number} of {self._path} is no result; give another file, or delete it")
            if lines[-1]:  # the last line was being written when the work was stopped
                whole = "".join(f"{line}\n" for line in lines if line and self._take(line))
                self._path.write_text(whole, encoding="utf-8")

    def __len__(self) -> int:
        return len(self._known)

    def find(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        """What came of it; None if it has not been done."""
        return self._known.get(_key(asked))

    def add(self, asked: dict[str, Any], found: dict[str, Any]) -> None:
        """Keep what came of it."""
        self._known[_key(asked)] = found
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"asked": asked, "found": found}) + "\n")

    def _take(self, line: str) -> bool:
        try:
            entry = json.loads(line)
            self._known[_key(entry["asked"])] = entry["found"]
        except (ValueError, KeyError, TypeError):
            return False
        return True


def _key(asked: dict[str, Any]) -> str:
    return json.dumps(asked, sort_keys=True)
