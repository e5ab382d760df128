"""Where the weights of RAFT and PIPs are, which everybody brings for themselves.

A document says ``raft`` or ``pips`` and no path: what is at a path is another thing on another machine, and a file from
somebody else must not say which program is run. ``bring`` says it for this process, an environment variable for all of
them; weights of RAFT are also found where torchvision keeps its own.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch

VARIABLES = {"raft": ("DRAGGAN_WIDGET_RAFT",), "pips": ("DRAGGAN_WIDGET_PIPS", "DRAGGAN_WIDGET_PIPS_WEIGHTS")}
"""Of each tracker, the environment variables that name its files."""
WANTED = {
    "raft": "its file of weights: bring(raft=FILE), or name it in the environment as DRAGGAN_WIDGET_RAFT",
    "pips": "its checkout and its file of weights: bring(pips=(CHECKOUT, FILE)), or name them in the environment as "
    "DRAGGAN_WIDGET_PIPS and DRAGGAN_WIDGET_PIPS_WEIGHTS",
}
FILES = ("raft_small_C_T_V2-01064c6d.pth", "raft_large_C_T_SKHT_V2-ff5fadd5.pth")
"""What torchvision calls its weights of RAFT, in torch's folder of checkpoints (``TORCH_HOME`` says where that is)."""
_brought: dict[str, tuple[str, ...]] = {}


def bring(
    *, raft: str | os.PathLike[str] | None = None, pips: tuple[str | os.PathLike[str], ...] | None = None
) -> None:
    """Say where the weights of trackers are, for this process.

    :param raft: a file of the state dict of ``raft_small`` or ``raft_large``. :param pips: a checkout of
        github.com/aharley/pips and its checkpoint. That checkout is a program, which is run.
    :raises FileNotFoundError: if one of them is not there; nothing is changed then.
    """
    given = {"raft": () if raft is None else (raft,), "pips": () if pips is None else tuple(pips)}
    if len(given["pips"]) not in (0, 2):
        raise ValueError("PIPs needs two paths: bring(pips=(CHECKOUT, FILE))")
    found: dict[str, tuple[str, ...]] = {}
    for name, paths in given.items():
        whole = tuple(str(Path(path).expanduser().absolute()) for path in paths)
        for path in whole:
            if not Path(path).exists():
                raise FileNotFoundError(f"there is nothing at {path}; give the files of {name} that you downloaded")
        if whole:
            found[name] = whole
    _brought.update(found)


def brought(name: str) -> tuple[str, ...]:
    """Return the paths that a tracker needs. :raises FileNotFoundError: if nobody said them, saying how to."""
    if name in _brought:
        return _brought[name]
    named = tuple(os.environ.get(variable, "") for variable in VARIABLES[name])
    if all(named):
        return named
    if name == "raft":
        for file in FILES:
            if (path := Path(torch.hub.get_dir()) / "checkpoints" / file).is_file():
                return (str(path),)
    raise FileNotFoundError(f"the tracker {name} needs {WANTED[name]}")
