"""Zip archives by their central directory (PKWARE's APPNOTE): where each entry lies, without unpacking anything.

Why not ``zipfile``: a torch file's tensors should be read once, each by itself, and a hostile directory must cost
nothing.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib

from draggan_widget.models.checkpoints.budget import Budget
from draggan_widget.models.checkpoints.filebytes import Data
from draggan_widget.models.checkpoints.values import Unreadable
from draggan_widget.texts import quoted

END = b"PK\x05\x06"
END_64 = b"PK\x06\x06"
LOCATOR_64 = b"PK\x06\x07"
ENTRY = b"PK\x01\x02"
LOCAL = b"PK\x03\x04"
STORED, DEFLATED = 0, 8
LARGEST_COMMENT = 65535
MOST_ENTRIES = 100_000
PIECE = 1 << 16
"""Compressed bytes unpacked at a time: no more than a thousand times as many come out."""
WHOLE = 0xFFFFFFFF


@dataclasses.dataclass(frozen=True)
class Entry:
    """One file in an archive; ``start`` is where its local header lies."""

    name: str
    method: int
    flags: int
    checksum: int
    compressed: int
    size: int
    start: int


class Archive:
    """The entries of a zip archive by name.

    :raises Unreadable: if it is cut short, damaged, encrypted, or names an entry twice.
    """

    def __init__(self, data: Data, budget: Budget) -> None:
        self._data = data
        self._budget = budget
        budget.spend_steps(20)
        self.entries: dict[str, Entry] = {}
        for entry in self._directory():
            if entry.name in self.entries:
                raise Unreadable(
                    f"is an archive with two entries named {quoted(entry.name)}: damaged or made to do harm"
                )
            self.entries[entry.name] = entry

    def read(self, name: str) -> memoryview:
        """Return the content of an entry: as it is where it is stored, else inflated within bounds."""
        entry = self.entries[name]
        start = self._find(entry)
        self._budget.spend_copying(entry.compressed)
        if entry.method == STORED:
            return self._data[start : start + entry.size]
        self._budget.spend_unpacking(entry.size)
        content = bytearray(entry.size)
        filled = 0
        machine = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for begin in range(0, entry.compressed, PIECE):
                packed = self._data[start + begin : start + min(begin + PIECE, entry.compressed)]
                piece = machine.decompress(packed)
                if filled + len(piece) > entry.size:
                    break
                content[filled : filled + len(piece)] = piece
                filled += len(piece)
        except zlib.error as error:
            raise Unreadable(f"is a damaged archive ({quoted(name)} cannot be unpacked); get it again") from error
        if filled != entry.size or not machine.eof or zlib.crc32(content) != entry.checksum:
            raise Unreadable(f"is a damaged archive ({quoted(name)} fails its check); get it again")
        return memoryview(content)

    def head(self, name: str, number: int = 512) -> bytes:
        """Return the first bytes of an entry."""
        entry = self.entries[name]
        start = self._find(entry)
        if entry.method == STORED:
            return bytes(self._data[start : start + min(number, entry.size)])
        packed = self._data[start : start + min(4 * number, entry.compressed)]
        try:
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, number)
        except zlib.error:
            return b""

    def _find(self, entry: Entry) -> int:
        """Return where the bytes of an entry begin; all of them are there."""
        header = self._data[entry.start : entry.start + 30]
        if len(header) < 30 or header[:4] != LOCAL:
            raise Unreadable(f"is a damaged archive ({quoted(entry.name)} is not where it should be); get it again")
        if entry.flags & 0x41:
            raise Unreadable("is an encrypted archive; unpack it first")
        if entry.method not in (STORED, DEFLATED) or (entry.method == STORED and entry.size != entry.compressed):
            raise Unreadable(f"is an archive packed in a way not known here (method {entry.method}); unpack it first")
        begin: int = entry.start + 30 + sum(struct.unpack("<HH", header[26:30]))
        if begin + entry.compressed > len(self._data):
            raise Unreadable(f"is an archive cut short within {quoted(entry.name)}; get it again")
        return begin

    def _directory(self) -> list[Entry]:
        count, size, start = self._end()
        if count > MOST_ENTRIES or start + size > len(self._data):
            raise Unreadable("is an archive with a damaged directory; get it again")
        self._budget.spend_steps(count)
        self._budget.spend_copying(size)
        directory = bytes(self._data[start : start + size])
        entries = []
        at = 0
        for _ in range(count):
            fixed = directory[at : at + 46]
            if len(fixed) < 46 or fixed[:4] != ENTRY:
                raise Unreadable("is an archive with a damaged directory; get it again")
            flags, method, _, _, checksum, packed, full, name_length, extra_length, comment_length = struct.unpack(
                "<HHHHIIIHHH", fixed[8:34]
            )
            (offset,) = struct.unpack("<I", fixed[42:46])
            after = at + 46 + name_length
            extra = directory[after : after + extra_length]
            full, packed, offset = _wide(extra, [full, packed, offset])
            name = directory[at + 46 : after].decode("utf-8", "replace")
            entries.append(Entry(name, method, flags, checksum, packed, full, offset))
            at = after + extra_length + comment_length
        return entries

    def _end(self) -> tuple[int, int, int]:
        """Return (number of entries, bytes of the directory, where it starts)."""
        base = max(0, len(self._data) - LARGEST_COMMENT - 22)
        tail = bytes(self._data[base:])
        at = tail.rfind(END)
        if at < 0 or len(tail) - at < 22:
            raise Unreadable(
                f"is an archive (zip or torch file) that breaks off after {len(self._data):,} bytes: its end is "
                "missing, so the download was cut short; get it again"
            )
        count, size, start = struct.unpack("<HII", tail[at + 10 : at + 20])
        locator = base + at - 20
        if locator >= 0 and self._data[locator : locator + 4] == LOCATOR_64:
            (where,) = struct.unpack("<Q", self._data[locator + 8 : locator + 16])
            wide = self._data[where : where + 56] if where + 56 <= len(self._data) else memoryview(b"")
            if wide[:4] == END_64:
                count, size, start = struct.unpack("<QQQ", wide[32:56])
        return count, size, start


def _wide(extra: bytes, numbers: list[int]) -> list[int]:
    """Sizes and offset, those that do not fit in 32 bits taken from the zip64 field."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack("<HH", extra[at : at + 4])
        if kind == 1:
            field = extra[at + 4 : at + 4 + length]
            for index, number in enumerate(numbers):
                if number == WHOLE and len(field) >= 8:
                    numbers[index] = int.from_bytes(field[:8], "little")
                    field = field[8:]
        at += 4 + length
    return numbers
