"""The bytes of a file, read when they are asked for.

Why no mapping: a file that is cut short, or copied over, while it is mapped ends the whole process. Here what is
missing is an error. Long pieces are memory of their own, which tensors may keep; only what is asked for is read.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeAlias, overload

from draggan_widget.models.checkpoints.values import Unreadable

WINDOW = 1 << 16
"""Bytes that are read at a time; pieces up to that size are views of it, and cannot be written to."""
LARGE = 1 << 18
"""Bytes of a piece that gets memory from the system, and does not wait among other things to be given back."""
MOST_PIECES = 1000
"""Filled parts of a sparse file that are counted; what follows counts as filled."""
CHANGED = "was changed while it was read; wait until it is written to its end, and try again"


class RawFile(Protocol):
    """An open file without a buffer."""

    def seek(self, offset: int, /) -> int: ...  # noqa: D102
    def readinto(self, buffer: memoryview, /) -> int | None: ...  # noqa: D102


class FileBytes:
    """``size`` bytes of an open file, to be sliced like a ``memoryview``.

    A slice is a memoryview: of 64 KiB or less of bytes that cannot be written to, else of new memory.

    :raises Unreadable: from any access, if the file has got shorter.
    """

    def __init__(self, file: RawFile, size: int) -> None:
        self._file = file
        self._size = size
        self._window = memoryview(b"")
        self._start = 0

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> memoryview: ...
    def __getitem__(self, key: int | slice) -> int | memoryview:
        if isinstance(key, int):
            if not 0 <= key < self._size:
                raise IndexError(key)
            place = key - self._start
            if not 0 <= place < len(self._window):
                self._look_at(key)
                place = 0
            return self._window[place]
        begin, end, _ = key.indices(self._size)
        if end - begin > WINDOW:
            return self._read(begin, end)
        if not self._start <= begin <= end <= self._start + len(self._window):
            self._look_at(begin)
        return self._window[begin - self._start : max(begin, end) - self._start]

    def _look_at(self, begin: int) -> None:
        self._window = self._read(begin, min(begin + WINDOW, self._size)).toreadonly()
        self._start = begin

    def _read(self, begin: int, end: int) -> memoryview:
        try:
            # Mapped memory goes back to the system as soon as nobody needs it.
            large = end - begin >= LARGE
            content = memoryview(mmap.mmap(-1, end - begin)) if large else memoryview(bytearray(end - begin))
        except (MemoryError, OSError, OverflowError) as error:
            raise Unreadable(f"needs {end - begin:,} bytes of memory at once, which are not there") from error
        filled = 0
        self._file.seek(begin)
        while filled < len(content):
            number = self._file.readinto(content[filled:])
            if not number:
                raise Unreadable(CHANGED)
            filled += number
        return content


Data: TypeAlias = "memoryview | FileBytes"


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[tuple[FileBytes, int]]:
    """Open a file: give its bytes, and how many of them are filled (fewer than all in a sparse file).

    :raises Unreadable: for an empty file, for what is no regular file, and at the end if the file has been changed.
    :raises OSError: if it cannot be opened.
    """
    # Whether it is a regular file is asked first: to open a pipe would wait for somebody who writes to it.
    if not stat.S_ISREG(Path(path).stat().st_mode) and not Path(path).is_dir():
        raise Unreadable("is no regular file")
    with Path(path).open("rb", buffering=0) as file:
        before = os.fstat(file.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise Unreadable("is no regular file")
        if not before.st_size:
            raise Unreadable("is empty (0 bytes); get it again")
        try:
            yield FileBytes(file, before.st_size), _filled(file.fileno(), before.st_size)
        finally:
            after = os.fstat(file.fileno())
            if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                raise Unreadable(CHANGED)


def _filled(descriptor: int, size: int) -> int:
    """Return how many bytes of a file are written; others are holes, read as zeros, of which a file may claim any
    number.
    """
    if not hasattr(os, "SEEK_DATA"):
        return size
    at = filled = 0
    for _ in range(MOST_PIECES):
        try:
            begin = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError as error:
            # Either nothing but a hole from here on, or a file system that knows of none.
            return filled if error.errno == errno.ENXIO else size
        at = os.lseek(descriptor, begin, os.SEEK_HOLE)
        filled += at - begin
        if at >= size:
            return filled
    return filled + size - at
