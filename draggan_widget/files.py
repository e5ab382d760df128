"""Files as people name them: found for reading, and written whole or not at all.

Everything that the package writes goes through ``written_whole``: into a new file of a name of its own beside the
target, which takes the target's place only once it is complete and on the disk. So a kill, a full disk, or several
savers at once never leave half a file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from draggan_widget.texts import one_line, shown_path

fcntl: ModuleType | None
try:
    import fcntl
except ModuleNotFoundError:  # Windows, where a file that is open cannot be deleted anyway
    fcntl = None

StrPath = str | os.PathLike[str]
PARTIAL = re.compile(r".*\.draggan-[0-9a-f]{12}\.partial", re.DOTALL)
"""Names of files that are being written."""
LONGEST_STEM = 200
"""Bytes of the target's name in that of its partial file: file systems take 255."""
STALE_AFTER = 60.0
"""Seconds since its last change after which a partial file that nobody holds was left by a program that was killed."""
STALE_UNLOCKED = 86_400.0
"""The same where the file system knows no locks, so that nobody can be seen to hold it."""
FULL = (errno.ENOSPC, errno.EDQUOT)
READERS = ("safetensors_rust", "safetensors", "tokenizers", "builtins", "diffusers")
"""Libraries that read weights and words of networks, and their errors' modules."""

_cleaned: dict[Path, float] = {}


def shown(text: object) -> str:
    """Return a path, or other text from outside, for a message: short, on one line, without control characters."""
    return shown_path(str(text))


def expanded(path: StrPath) -> Path:
    """Return a path with ``~`` as the home folder.

    :raises FileNotFoundError: for ``~name`` of no user, or a NUL in it.
    """
    if "\0" in os.fspath(path):
        raise FileNotFoundError(f"no file can be named {shown(path)}; give a path without NUL characters")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        text = f"{shown(path)} begins with a home folder that cannot be found; write the path in full"
        raise FileNotFoundError(text) from error


def readable(path: StrPath, what: str) -> Path:
    """Return the regular file that a path means, symbolic links followed.

    :param what: that should be given instead of a folder, such as "a .drag file".
    :raises FileNotFoundError: if there is none.
    """
    found = expanded(path)
    try:
        mode = found.stat().st_mode
    except (OSError, ValueError) as error:
        reason = "" if isinstance(error, FileNotFoundError) else f" ({_reason(error)})"
        raise FileNotFoundError(f"no file {shown(path)}{reason}") from error
    if stat.S_ISDIR(mode):
        raise FileNotFoundError(f"{shown(path)} is a folder; give {what} in it")
    if not stat.S_ISREG(mode):
        raise FileNotFoundError(f"{shown(path)} is no regular file; give {what}")
    return found


def target_of(path: StrPath) -> Path:
    """Return where a file of that path is written: ``~`` expanded, symbolic links followed to the file that they lead
    to.

    :raises FileNotFoundError: if there is no such folder. :raises IsADirectoryError: if it is a folder itself.
    :raises PermissionError: if the file that is there is write-protected. :raises OSError: if it is a device or the
        like, or its name cannot be one.
    """
    given = expanded(path)
    try:
        target = Path(os.path.realpath(given))
        there = target.exists()
        mode = target.stat().st_mode if there or target.is_symlink() else None
        folder = target.parent.is_dir()
    except (OSError, ValueError) as error:
        raise _told(error, path) from error
    if not folder:
        raise FileNotFoundError(f"no folder {shown(target.parent)} to save {shown(given.name)} in")
    if mode is None:
        return target
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{shown(path)} is a folder; give the name of a file in it")
    if not stat.S_ISREG(mode):
        raise OSError(f"{shown(path)} is no regular file, and is not replaced by one; give another name")
    if not os.access(target, os.W_OK):
        raise PermissionError(f"{shown(path)} is write-protected; give another name, or change its permissions")
    return target


def check_replaced(path: StrPath, is_one: Callable[[Path], bool], what: str) -> Path:
    """Return ``target_of`` a path, where nothing of another kind would be lost by writing there.

    :param is_one: whether the file that is there is one of those that may be replaced. :param what: these are.
    :raises FileExistsError: if there is a file that is none, and not empty. :raises OSError: as ``target_of``.
    """
    target = target_of(path)
    try:
        lost = target.exists() and target.stat().st_size > 0 and not is_one(target)
    except OSError:  # it cannot be read, so it is not known to be one
        lost = True
    if lost:
        raise FileExistsError(f"{shown(path)} is there already and is not {what}; give another name, or delete it")
    return target


def begins(path: Path, beginning: bytes, at: int = 0) -> bool:
    """Return whether a file has these bytes at that place."""
    with path.open("rb") as file:
        file.seek(at)
        return file.read(len(beginning)) == beginning


def write_whole(path: StrPath, data: bytes | bytearray | memoryview) -> None:
    """Write a file, whole or not at all. Raises what ``written_whole`` does."""
    with written_whole(path) as partial:
        partial.write_bytes(data)


@contextlib.contextmanager
def written_whole(path: StrPath) -> Iterator[Path]:
    """Give a path to write to, and give the file its name only once it is there, whole.

    A file that is replaced leaves its permissions to the new one. A symbolic link stays, and the file it leads to is
    replaced. Partial files that a killed program left in the folder are deleted.

    :raises OSError: what ``target_of`` raises, and what goes wrong with writing, a full disk say; its text names the
        file and the remedy, and what was there before stays.
    """
    target = target_of(path)
    partial: Path | None = None
    held: int | None = None
    try:
        old = _facts(target)
        partial = _partial_of(target)
        held = _created(partial, 0o666 if old is None else stat.S_IMODE(old.st_mode) & 0o777)
        _clean(target.parent, partial.stat().st_mtime)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        if old is not None:
            _like(partial, old)
        os.close(held)  # or Windows would not rename it
        held = None
        partial.replace(target)
    except OSError as error:
        if error.filename not in (None, str(partial)):
            raise
        raise _told(error, path, stays=_facts(target) is not None) from error
    finally:
        if held is not None:
            os.close(held)
        if partial is not None:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)


@contextlib.contextmanager
def telling(what: StrPath, kind: type[ValueError], remedy: str = "") -> Iterator[None]:
    """Say in one sentence, as an error of a ``kind``, what is wrong with files that another library reads within this.

    :param what: the file or folder. :param remedy: what to do where it holds something else; "" for nothing said.
    """
    do = f"; {remedy}" if remedy else ""
    try:
        yield
    except kind:
        raise
    except MemoryError as error:
        raise kind(
            f"{shown_path(what)} needs more memory than there is; close other notebooks, and try again"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise kind(f"{shown_path(what)} cannot be taken: {one_line(error, 300)}{do}") from error
    except Exception as error:  # such libraries have errors of their own
        if type(error).__module__.split(".")[0] in READERS:
            raise kind(f"{shown_path(what)} is damaged: {one_line(error, 300)}; get it again") from error
        raise


@contextlib.contextmanager
def locked(descriptor: int) -> Iterator[None]:
    """Wait until no other process is within this for the same file; nothing where there are no locks."""
    if fcntl is None:
        yield
        return
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def _partial_of(target: Path) -> Path:
    stem = os.fsdecode(os.fsencode(target.name)[:LONGEST_STEM])
    return target.with_name(f"{stem}.draggan-{secrets.token_hex(6)}.partial")


def _created(partial: Path, mode: int) -> int:
    """Return a new file, held as long as its descriptor is open: so others see that it is being written."""
    # O_EXCL follows no link, and opens nothing that somebody else has put there.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    held = os.open(partial, flags, mode)
    if fcntl is not None:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return held


def _like(partial: Path, old: os.stat_result) -> None:
    """Give a file the owner, as far as that is allowed, and the permissions of the one it replaces."""
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):
            now = partial.stat()
            if (now.st_uid, now.st_gid) != (old.st_uid, old.st_gid):
                os.chown(partial, old.st_uid, old.st_gid)
    with contextlib.suppress(OSError):  # file systems without permissions
        partial.chmod(stat.S_IMODE(old.st_mode))


def _clean(folder: Path, now: float) -> None:
    """Delete what killed programs left in a folder, where that is long enough ago by the folder's own clock."""
    began = time.monotonic()
    if began - _cleaned.get(folder, -STALE_AFTER) < STALE_AFTER:
        return  # a folder may be large, and thousands of files be written into it
    _cleaned[folder] = began
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if PARTIAL.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    age = now - entry.stat(follow_symlinks=False).st_mtime
                    if age > STALE_AFTER and _left(entry.path, age):
                        Path(entry.path).unlink()


def _left(path: str, age: float) -> bool:
    if fcntl is None:
        return True  # while somebody has it open, deleting it fails
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:
        return age > STALE_UNLOCKED
    finally:
        os.close(descriptor)


def _facts(target: Path) -> os.stat_result | None:
    try:
        return target.stat()
    except OSError:
        return None


def _told(error: Exception, path: StrPath, stays: bool = False) -> OSError:
    """Return the same kind of error, whose text names the file and what would help."""
    number = error.errno if isinstance(error, OSError) else None
    remedy = "give another name or folder"
    if number == errno.EFBIG:
        remedy = "files may not be so large here: make room, or give another folder"
    elif number in FULL:
        remedy = "the disk is full: make room, or give another folder"
    elif isinstance(error, PermissionError):
        remedy = "give another folder, or change its permissions"
    elif number == errno.ENAMETOOLONG:
        remedy = "give a shorter name"
    kept = ". What was there before is as it was" if stays else ""
    text = f"{shown(path)} cannot be written: {_reason(error)}; {remedy}{kept}"
    told = (type(error) if isinstance(error, OSError) else OSError)(text)
    told.errno = number
    return told


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
