"""Files that are whole or absent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, Any


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Call ``write(stream)`` on a temporary file and put it in the place of ``path``.

    :raises OSError: if there is something else than a file, such as a folder or ``/dev/null``, which stays.
    """
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is no regular file, and is not replaced")
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as stream:
        write(stream)
    temporary.replace(path)
