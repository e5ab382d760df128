"""Files as people name them, and written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from draggan_widget import files
from draggan_widget.files import readable, shown, target_of, write_whole, written_whole

posix = pytest.mark.skipif(os.name != "posix", reason="permissions, links and devices of POSIX")
LONG = "x" * 5000


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def break_off(path, stop):
    with written_whole(path) as partial:
        partial.write_bytes(b"half")
        raise stop


def test_a_file_is_written_and_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a.txt"
    write_whole(path, b"one")
    write_whole(str(path), b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_breaks_a_write_off_leaves_the_old_file_and_no_partial_one(tmp_path):
    path = tmp_path / "a.txt"
    write_whole(path, b"one")
    for stop in (KeyboardInterrupt(), ValueError("mine"), OSError(errno.EIO, "elsewhere", "/other/file")):
        with pytest.raises(type(stop)) as raised:
            break_off(path, stop)
        assert raised.value is stop
        assert path.read_bytes() == b"one"
        assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_names_the_file_and_the_remedy_and_keeps_its_number(tmp_path):
    path = tmp_path / "a.txt"
    says = r"a\.txt cannot be written: No space left on device; the disk is full"
    with pytest.raises(OSError, match=says) as raised:
        break_off(path, OSError(errno.ENOSPC, "No space left on device"))
    assert raised.value.errno == errno.ENOSPC
    assert "before" not in str(raised.value)  # there was nothing
    write_whole(path, b"one")
    with pytest.raises(OSError, match="make room, or give another folder. What was there before is as it was"):
        break_off(path, OSError(errno.ENOSPC, "No space left on device"))
    assert path.read_bytes() == b"one"


@posix
def test_a_replaced_file_keeps_its_permissions_and_a_new_one_has_those_of_new_files(tmp_path):
    (tmp_path / "plain").touch()
    write_whole(tmp_path / "new", b"x")
    assert mode(tmp_path / "new") == mode(tmp_path / "plain")
    for kept in (0o600, 0o640, 0o666):
        (tmp_path / "old").touch()
        (tmp_path / "old").chmod(kept)
        with written_whole(tmp_path / "old") as partial:
            assert mode(partial) & ~kept == 0  # while it is written nobody reads it who could not before
            partial.write_bytes(b"x")
        assert mode(tmp_path / "old") == kept


@posix
def test_a_symbolic_link_stays_and_the_file_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "far").mkdir()
    real, link = tmp_path / "far" / "real.txt", tmp_path / "link.txt"
    real.write_bytes(b"one")
    link.symlink_to(real)
    write_whole(link, b"two")
    assert link.is_symlink()
    assert real.read_bytes() == b"two"
    real.unlink()
    write_whole(link, b"three")  # of a link that leads nowhere yet
    assert link.is_symlink()
    assert real.read_bytes() == b"three"
    link.unlink()
    link.symlink_to(link)
    with pytest.raises(OSError, match=r"link\.txt cannot be written"):
        write_whole(link, b"four")
    assert sorted(os.listdir(tmp_path)) == ["far", "link.txt"]


@posix
def test_a_link_that_lies_in_wait_under_the_name_of_a_partial_file_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda count: "0" * 2 * count)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    trap = tmp_path / f"a.txt.draggan-{'0' * 12}.partial"
    trap.symlink_to(victim)
    with pytest.raises(OSError, match=r"a\.txt cannot be written"):
        write_whole(tmp_path / "a.txt", b"x")
    (tmp_path / "a.txt.partial").symlink_to(victim)  # the name of former versions
    monkeypatch.undo()
    write_whole(tmp_path / "a.txt", b"x")
    assert victim.read_bytes() == b"precious"


@posix
def test_only_regular_files_are_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to_null").symlink_to("/dev/null")
    for name in ("pipe", "to_null"):
        with pytest.raises(OSError, match=f"{name} is no regular file, and is not replaced"):
            write_whole(tmp_path / name, b"x")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_file_that_is_write_protected_stays(tmp_path, monkeypatch):
    write_whole(tmp_path / "a.txt", b"one")
    monkeypatch.setattr(os, "access", lambda path, how: False)  # root may write everywhere
    with pytest.raises(PermissionError, match="write-protected"):
        write_whole(tmp_path / "a.txt", b"two")
    assert (tmp_path / "a.txt").read_bytes() == b"one"


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("none/a.txt", FileNotFoundError, "no folder .*none to save a.txt in"),
        (".", IsADirectoryError, "is a folder; give the name of a file in it"),
        ("", IsADirectoryError, "is a folder"),
        ("~nobody_of_that_name/a.txt", FileNotFoundError, "home folder that cannot be found"),
        ("a\0b", FileNotFoundError, "without NUL"),
        (LONG, OSError, r"^.{1,200} cannot be written: File name too long; give a shorter name$"),
        ("x/" * 2500, OSError, "cannot be written|no folder"),
    ],
)
def test_paths_at_which_nothing_can_be_written_are_named_with_the_remedy(name, error, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for attempt in (target_of, lambda path: write_whole(path, b"x")):
        with pytest.raises(error, match=says) as raised:
            attempt(name)
        assert len(str(raised.value)) < 600
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["none", ".", "", "~nobody_of_that_name/a", "a\0b", LONG, "x/" * 2500])
def test_whatever_is_no_file_to_read_is_not_found(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as raised:
        readable(name, "a text")
    assert len(str(raised.value)) < 600


def test_the_home_folder_is_meant_by_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_whole("~/a.txt", b"x")
    assert (tmp_path / "a.txt").read_bytes() == b"x"
    assert readable("~/a.txt", "a text") == tmp_path / "a.txt"


def test_a_name_as_long_as_the_file_system_takes_is_written(tmp_path):
    path = tmp_path / ("é" * 120 + "x" * 15)  # 255 bytes
    write_whole(path, b"x")
    assert path.read_bytes() == b"x"


def stale(folder, name="a.txt.draggan-0123456789ab.partial", age=120):
    path = folder / name
    path.write_bytes(b"half")
    os.utime(path, (time.time() - age,) * 2)
    return path


@posix
def test_partial_files_that_a_killed_program_left_are_deleted_and_no_others(tmp_path):
    left = stale(tmp_path)
    young = stale(tmp_path, "b.txt.draggan-0123456789ab.partial", age=5)
    others = [stale(tmp_path, name) for name in ("a.txt.partial", "notes.draggan-x.partial", "draggan.txt")]
    (tmp_path / "c.draggan-0123456789ab.partial").symlink_to(others[0])
    held = stale(tmp_path, "d.txt.draggan-0123456789ab.partial")
    code = (
        "import fcntl, sys, time; file = open(sys.argv[1], 'r+b'); fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(held)], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout.readline() == b"held\n"
            write_whole(tmp_path / "a.txt", b"x")
            assert not left.exists()
            assert all(path.exists() for path in (young, held, *others))
            assert (tmp_path / "c.draggan-0123456789ab.partial").is_symlink()
        finally:
            other.kill()


@posix
def test_what_a_kill_leaves_is_known_as_partial_and_free(tmp_path):
    code = (
        "import os, signal, sys; from draggan_widget.files import written_whole\n"
        "with written_whole(sys.argv[1]) as partial:\n"
        "    partial.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    write_whole(tmp_path / "a.txt", b"whole")
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.txt")], check=False, timeout=60)
    assert (tmp_path / "a.txt").read_bytes() == b"whole"
    (left,) = tmp_path.glob("*.partial")
    os.utime(left, (time.time() - 120,) * 2)
    files._cleaned.clear()  # as in the next program
    write_whole(tmp_path / "b.txt", b"x")
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "b.txt"]


def test_three_savers_at_once_never_tear_one_anothers_file(tmp_path):
    path = tmp_path / "a.bin"
    contents = [bytes([number]) * (100_000 + number) for number in range(3)]
    write_whole(path, contents[0])
    until = time.monotonic() + 1.5
    failures = []

    def save(content):
        try:
            while time.monotonic() < until:
                write_whole(path, content)
        except BaseException as error:
            failures.append(error)

    savers = [threading.Thread(target=save, args=(content,)) for content in contents]
    for saver in savers:
        saver.start()
    seen = [path.read_bytes() for _ in iter(lambda: time.monotonic() < until, False)]
    for saver in savers:
        saver.join()
    assert failures == []
    assert len(seen) > 20
    assert all(each in contents for each in seen)
    assert os.listdir(tmp_path) == ["a.bin"]


def test_text_from_outside_is_shown_short_and_on_one_line():
    assert shown(Path("smile.drag")) == "smile.drag"
    assert shown("ein_Bild_mit_ü.drag") == "ein_Bild_mit_ü.drag"
    assert shown("a\x1b[2Jb\nc\ud800") == r"a\x1b[2Jb\nc\ud800"
    assert len(shown("x" * 10**7)) == 160


def test_no_other_module_of_the_package_writes_or_replaces_files_itself():
    package = Path(files.__file__).parent
    ways = ("write_bytes(", "write_text(", "os.replace(", "save_file(", ".replace(path", 'open("wb', 'open("w"')
    kept = {"files.py", "browser.py", "measure.py"}  # a server's log and notebook in a folder of its own; /proc
    found = [
        f"{path.relative_to(package)}: {line.strip()}"
        for path in package.rglob("*.py")
        if path.name not in kept
        for line in path.read_text().splitlines()
        if any(way in line for way in ways)
    ]
    assert found == []
