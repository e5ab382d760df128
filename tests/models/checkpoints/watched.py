"""Reads files in a process of its own, with an audit hook that writes down everything a reader must not do.

``python watched.py FOLDER``: reads every file in the folder, and prints what happened as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import resource
import sys
import time
from pathlib import Path

import torch

from draggan_widget.models.checkpoints import Unreadable, describe, read_file, walk

HARMFUL = (
    "import", "exec", "compile", "os.system", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "os.forkpty",
    "subprocess.Popen", "socket.", "urllib.", "ctypes.", "pickle.find_class", "marshal.", "code.__new__",
    "function.__new__", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.putenv", "shutil.",
    "tempfile.", "winreg.", "builtins.input", "sys.setprofile", "sys.settrace", "object.__setattr__", "os.listdir",
    "os.symlink", "os.link", "os.truncate", "glob.",
)  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

events: list[str] = []
allowed: list[str] = []
listening = False


def hook(event: str, arguments: tuple) -> None:
    if not listening:
        return
    if event == "open":
        path, mode, flags = arguments
        if str(path) not in allowed or (flags or 0) & WRITING or any(letter in (mode or "") for letter in "wax+"):
            events.append(f"open {path!r} {mode!r} {flags!r}")
    elif event.startswith(HARMFUL):
        events.append(f"{event} {arguments!r}"[:200])


def read_all(paths: list[Path]) -> dict[str, dict]:
    """What became of each file."""
    global listening
    happened = {}
    for path in paths:
        modules = set(sys.modules)
        allowed[:] = [str(path)]
        events.clear()
        outcome = {}
        before = time.process_time()
        listening = True
        try:
            value = read_file(path)
            says = describe(value)
            outcome["parts"] = sum(1 for _ in walk(value))
            del value
        except Unreadable as error:
            says = f"Unreadable: {error}"
        except BaseException as error:
            says = f"FAILED: {type(error).__name__}: {error}"[:300]
        finally:
            listening = False
        outcome |= {"says": says, "seconds": time.process_time() - before, "events": list(events)}
        outcome["modules"] = sorted(set(sys.modules) - modules)
        outcome["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        happened[path.name] = outcome
    return happened


def prove_that_the_hook_works() -> list[str]:
    """Do some of what is forbidden, to see it noticed."""
    global listening
    listening = True
    with contextlib.suppress(Exception):
        eval("1 + 1")
        open(os.devnull, "w").close()
        pickle.loads(b"ctabnanny\ncheck\n.")
    with contextlib.suppress(Exception):
        pickle.loads(b"ctabnanny\ncheck\n.")
    listening = False
    noticed = [event.split()[0] for event in events]
    events.clear()
    return noticed


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    torch.zeros(3).sum()
    sys.addaudithook(hook)
    innocent = read_all(sorted((folder / "innocent").iterdir()))  # whatever loads late is loaded by these
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    harmful = read_all(sorted((folder / "attacks").iterdir()))
    noticed = prove_that_the_hook_works()
    print(json.dumps({"innocent": innocent, "before": before, "attacks": harmful, "noticed": noticed}))
