"""What depends on the weights of a built-in generator: in parts, each made again once these have become others.

A part names the fingerprint of the weights that it was made for itself, or a file of JSON beside the recipe does.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from pairs import finished_parts
from whole import write_atomically

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "draggan_widget"
ARRAYS = PACKAGE / "models/builtin/computed"
TO_DRAW = ("moderngl", "anny")


@dataclass(frozen=True)
class Part:
    """Something that depends on the weights."""

    name: str
    what: str
    needs: tuple[str, ...]
    """Packages without which it cannot be made, whatever there is already."""
    make: Callable[[Path], None]
    """Makes it, working in a folder."""
    own: Callable[[], str | None] | None = None
    """The fingerprint that it names itself; of a part without, the record says it."""
    draws: bool = False
    """Whether pictures are drawn for it, by the packages ``TO_DRAW``."""
    basis: bool = False
    """Whether the ``basis.npz`` of the folder is read, by which heads or bodies differ."""
    drawn: Callable[[Path], bool] = lambda folder: False
    """Whether what would be drawn is in the folder already; then neither packages nor basis are needed."""
    renders: int = 0
    """Parts of renders that the folder must have."""

    def made_for(self, record: Path | None = None) -> str | None:
        """The fingerprint of the weights that it was made for; of one that names none, as the record says."""
        if self.own is not None:
            return self.own()
        return recorded(record).get(self.name) if record is not None else None


def recorded(record: Path) -> dict[str, str]:
    """What a record says: the fingerprint of each part that names none itself."""
    return json.loads(record.read_text()) if record.exists() else {}


def missing_things(parts: Sequence[Part], folder: Path, to_draw: Collection[str] = TO_DRAW) -> list[str]:
    """What would make the work fail, in words, each with its remedy."""
    undrawn = [part for part in parts if not part.drawn(folder)]
    problems = [
        f'{part.name}: the package {name} is not installed: pip install -e ".[test,faces]"'
        for part in parts
        for name in (*(to_draw if part.draws and part in undrawn else ()), *part.needs)
        if importlib.util.find_spec(name) is None
    ]
    differing = sorted(part.name for part in undrawn if part.basis)
    if differing and not (folder / "basis.npz").exists():
        problems.append(f"{', '.join(differing)}: {folder} holds no basis.npz: run make.py --out {folder} first")
    there = len(finished_parts(folder / "pictures"))
    problems += [
        f"{part.name}: {folder} holds {there} parts of renders, {part.renders} are needed: run make.py --out {folder}"
        for part in parts
        if there < part.renders
    ]
    return problems


def tell(parts: Sequence[Part], old: Sequence[Part]) -> None:
    """Say which parts are as they should be."""
    for part in parts:
        print(f"{part.name:12}{'to be made' if part in old else 'as it should be':16}{part.what}")


def make_all(old: Sequence[Part], folder: Path, record: Path, now: str) -> int:
    """Make parts one after another, and note for which weights; returns the exit status."""
    for number, part in enumerate(old, start=1):
        print(f"{number} of {len(old)}: {part.name}, {part.what}", flush=True)
        try:
            part.make(folder)
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"{part.name} failed: {error}; mend that, and the same command goes on", file=sys.stderr)
            return 1
        if part.own is None:
            said = json.dumps({**recorded(record), part.name: now}, indent=1, sort_keys=True) + "\n"
            write_atomically(record, lambda stream, said=said: stream.write(said.encode()))
        elif part.own() != now:
            print(f"{part.name} was made, and is not for the present weights ({now[:8]})", file=sys.stderr)
            return 1
    print("all is made for the present weights")
    return 0


def present(name: str) -> str:
    """The fingerprint of the weights of a built-in generator that are in the package now."""
    from draggan_widget.models import fingerprint, load_generator

    return fingerprint(load_generator(name, device="cpu"))


def run(script: Path | str, *arguments: object) -> None:
    """Run a script of the project. :raises subprocess.CalledProcessError: if it fails."""
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(script), *(str(each) for each in arguments)]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths})


def put(made: Path, there: Path) -> None:
    """Copy a file to its place, whole or not at all."""
    write_atomically(there, lambda stream: stream.write(made.read_bytes()))


def array_file(name: str) -> Path:
    """Where the array of how the rest of a picture moves lies, for the present weights of a built-in generator."""
    from draggan_widget.engines.natural.sparing import reading_block, rest_name
    from draggan_widget.models import load_generator
    from draggan_widget.models.mapped import all_weights, file_name

    model = load_generator(name, device="cpu")
    return ARRAYS / file_name(model, rest_name(reading_block(model, model.blocks[-1])), all_weights(model))


def make_arrays(name: str) -> None:
    """Compute how the rest of a picture moves, and leave out what weights had that are no longer in the package."""
    from draggan_widget.engines.natural.sparing import rest_of
    from draggan_widget.files import write_whole
    from draggan_widget.models import builtin_names, load_generator
    from draggan_widget.models.mapped import packed

    model, file = load_generator(name, device="cpu"), array_file(name)
    found = rest_of(model, None, model.blocks[-1]).reshape(-1, model.w_dim)
    builtin = [each for each in builtin_names(older=False) if (ARRAYS.parent / f"{each}.safetensors").exists()]
    kept = {array_file(each).name for each in builtin}
    for other in ARRAYS.glob("*.npy"):
        if other.name.partition("-")[0] == file.name.partition("-")[0] and other.name not in kept:
            other.unlink()
    write_whole(file, packed(found.numpy().astype("f4")))
