"""The bytes of a pickle, one instruction's worth at a time; nothing is taken that is not there."""

from __future__ import annotations

import re

import numpy as np

from draggan_widget.models.checkpoints.budget import Budget
from draggan_widget.models.checkpoints.filebytes import Data
from draggan_widget.models.checkpoints.values import Unreadable

LONG = 1 << 16
"""Byte strings of this many bytes stay views of what was read, shorter ones are copies."""
LONGEST_NAME = 1000
LONGEST_WIDE_TEXT = 1 << 20
"""Bytes of a text with characters that Python would need four times the memory for."""
SCAN = 1 << 16


class Tape:
    """Reads ``data`` from ``position`` on. Every method raises ``Unreadable`` where the bytes end too early."""

    def __init__(self, data: Data, budget: Budget, start: int = 0) -> None:
        self.data = data
        self.budget = budget
        self.position = start
        self.latest: memoryview | None = None  # the long bytes taken last, and where they began
        self.latest_at = start

    def take(self, number: int) -> memoryview:
        """Return the next bytes, as a view."""
        end = self.position + number
        if number < 0 or end > len(self.data):
            missing = f"{end - len(self.data):,} bytes are missing" if number >= 0 else "a length is negative"
            raise Unreadable(f"is damaged or cut short: {missing} after byte {self.position:,}; get it again")
        self.budget.spend_copying(number)
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def unsigned(self, width: int) -> int:
        """Return an integer of so many bytes, the lowest first."""
        return int.from_bytes(self.take(width), "little")

    def bytes_of(self, number: int) -> bytes | memoryview:
        """Return a byte string."""
        return self.long_bytes(number) if number >= LONG else bytes(self.take(number))

    def long_bytes(self, number: int) -> memoryview:
        """Return a byte string that stays what was read."""
        self.latest_at = self.position
        self.latest = self.take(number)
        return self.latest

    def text(self, number: int, encoding: str = "utf-8") -> str:
        """Return a text; latin-1 is what Python 2 wrote as str."""
        taken = self.take(number)
        # In UTF-8 the bytes up to C3 are those of the characters up to U+00FF, which take a byte each in memory.
        if number > LONGEST_WIDE_TEXT and encoding == "utf-8" and np.frombuffer(taken, np.uint8).max() > 0xC3:
            raise Unreadable(f"holds a text of {number:,} bytes that is no coded array")
        return str(taken, encoding, "surrogatepass" if encoding == "utf-8" else "strict")

    def line(self) -> bytes:
        """Return the bytes up to the next line break, however many."""
        pieces: list[bytes] = []
        start = self.position
        while True:
            piece = bytes(self.data[self.position : self.position + SCAN])
            if not piece:
                raise Unreadable(f"is damaged or cut short: a line that begins at byte {start:,} has no end")
            end = piece.find(b"\n")
            # A line may be as long as the file; what is not written of a sparse one would be read as zeros.
            self.budget.spend_copying(len(piece) if end < 0 else end)
            if end >= 0:
                self.position += end + 1
                return b"".join([*pieces, piece[:end]])
            self.position += len(piece)
            pieces.append(piece)

    def short_line(self) -> str:
        """Return a name or number up to the next line break."""
        end = bytes(self.data[self.position : self.position + LONGEST_NAME + 1]).find(b"\n")
        if end < 0:
            raise Unreadable(f"is damaged or cut short: a line that begins at byte {self.position:,} has no end")
        return str(self.take(end + 1)[:-1], "utf-8")

    def quoted_line(self) -> str:
        """Return a text of protocol 0 in quotes, its escapes undone without evaluating anything."""
        quoted = self.line().strip()
        if len(quoted) < 2 or quoted[:1] not in (b'"', b"'") or quoted[-1:] != quoted[:1]:
            raise Unreadable("is no whole pickle: a text of it has no quotes")
        return ESCAPE.sub(_unescaped, quoted[1:-1]).decode("latin-1")

    def unicode_line(self) -> str:
        """Return a text of protocol 0 with characters beyond Latin-1 as escapes."""
        line = self.line()
        if len(line) > LONGEST_WIDE_TEXT and WIDE.search(line):
            raise Unreadable(f"holds a text of {len(line):,} bytes that is no coded array")
        return line.decode("raw-unicode-escape")


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if len(code) == 3 and code[:1] == b"x":
        return bytes([int(code[1:], 16)])
    if code[0] in OCTAL:
        return bytes([int(code, 8) & 255])
    return PLAIN_ESCAPES.get(code, code)


ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)", re.DOTALL)
PLAIN_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"\n": b""}
OCTAL = b"01234567"
WIDE = re.compile(rb"\\U|\\u(?!00)")
