"""Results on disk, a line of JSON each, so that long work that was stopped goes on where it was."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from typing import IO, Any

from draggan_widget.files import expanded, locked, shown
from draggan_widget.texts import read_json

BEGINNING = b'{"asked": '
"""Of a line, which tells one that was cut short from a file of something else."""
LONGEST_LINE = 64 << 20
"""Bytes. A result with its latent takes some hundred thousand."""
MOST_VALUES = 200_000
"""Numbers, lists and objects in a line."""


class Ledger:
    """What was asked and what came of it; with a path, in a file that each result is added to at once.

    Nothing that stands in the file is ever rewritten. A line that was being written when the work was stopped is no
    result; a warning tells of such lines, but for the last one, which is what a stop leaves. Several processes may add
    to one file: no line is torn, and what one of them has added meanwhile no other adds again.

    :param path: of the file, which is made, with its folder, when there is something to write; None: only in memory.
    :raises ValueError: for a file that holds something else.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self._path = None if path is None else expanded(path)
        self._known: dict[str, dict[str, Any]] = {}
        self._read = 0
        """Bytes of the file that are known."""
        self._others: set[str] = set()
        """What other processes have added meanwhile."""
        if self._path is not None and self._path.exists():
            with self._path.open("rb") as file, locked(file.fileno()):
                _, bad, whole = self._take_all(file)
            foreign = [number for number, line in bad.items() if not line.startswith(BEGINNING[: len(line)])]
            name = shown(self._path)
            if foreign and not self._known:
                raise ValueError(f"line {foreign[0]} of {name} is no result; give another file, or delete it")
            if lost := [str(number) for number in bad if number <= whole]:
                text = f"no whole results, left out: line{'s' * (len(lost) > 1)} {', '.join(lost)} of {name}"
                warnings.warn(text, stacklevel=2)

    def __len__(self) -> int:
        return len(self._known)

    def find(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        """Return what came of what was asked; None if it has not been done."""
        return self._known.get(_key(asked))

    def add(self, asked: dict[str, Any], found: dict[str, Any]) -> None:
        """Keep what came of it, on a line of its own, on the disk when this returns.

        What another process has added to the file meanwhile is kept instead, unless it is to be tried again: what has
        ``error`` or ``again``.

        :raises OSError: if it cannot be written.
        """
        key = _key(asked)
        if self._path is None:
            self._known[key] = found
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"asked": asked, "found": found}).encode() + b"\n"
        with self._path.open("a+b") as lines, locked(lines.fileno()):
            lines.seek(self._read)
            self._others |= self._take_all(lines)[0]
            if key in self._others:
                self._others.remove(key)  # who asks for it once more means it
                if not {"error", "again"} & self._known[key].keys():
                    return
            self._known[key] = found
            if end := lines.seek(0, os.SEEK_END):
                lines.seek(-1, os.SEEK_END)
                line = line if lines.read(1) == b"\n" else b"\n" + line
            lines.write(line)
            lines.flush()
            os.fsync(lines.fileno())
            self._read = end + len(line)

    def _take_all(self, file: IO[bytes]) -> tuple[set[str], dict[int, bytes], int]:
        """Take the results from where the file stands.

        :returns: their keys; by number, how the lines begin that are none; and how many lines are whole.
        """
        keys: set[str] = set()
        bad: dict[int, bytes] = {}
        number = whole = 0
        for number, line in enumerate(_lines(file), start=1):
            whole = number if line.endswith(b"\n") else whole
            text = line.rstrip(b"\n")
            if (key := self._take(text)) is not None:
                keys.add(key)
            elif text:
                bad[number] = text[: len(BEGINNING)]
        self._read = file.tell()
        return keys, bad, whole

    def _take(self, line: bytes) -> str | None:
        """Return the key of the result on a line, which is known from now on; None if there is none."""
        try:
            entry = read_json(line.decode(), most_values=MOST_VALUES, any_number=True)
            key, found = _key(entry["asked"]), entry["found"]
        except (ValueError, KeyError, TypeError):
            return None
        if not isinstance(found, dict):
            return None
        self._known[key] = found
        return key


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a file; of one that is longer than any result, its beginning."""
    while line := file.readline(LONGEST_LINE):
        rest = line
        while not rest.endswith(b"\n") and (rest := file.readline(LONGEST_LINE)):
            line = line[: len(BEGINNING)] + b"\n"
        yield line


def _key(asked: Any) -> str:
    return json.dumps(asked, sort_keys=True)
