"""The command that makes a generator from nothing: render pictures, learn them, write a file the package loads.

``make.py`` beside a recipe calls :func:`main`. Stop it whenever you like; the same command goes on where it stopped.
``--export FILE`` writes what a checkpoint in the folder has come to, also while training goes on.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import math
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recipe import Recipe

PACKAGES = {
    "torch": "torch",
    "numpy": "numpy",
    "PIL": "pillow",
    "scipy": "scipy",
    "safetensors": "safetensors",
    "moderngl": "moderngl",
    "anny": "anny==0.6.2",
    "draggan_widget": "draggan_widget",
}
SPARE = 1_000_000_000
"""Bytes that are needed besides the pictures."""


@dataclass(frozen=True)
class Command:
    """Of one generator: where its recipe is, which can be loaded only once it is known what is missing."""

    module: str
    constant: str
    size: tuple[int, int]
    editions: tuple[int, ...]
    edition: int
    out: Path
    packages: Mapping[str, str]
    part: int = 500

    def recipe(self) -> Recipe:
        """Load it."""
        return getattr(importlib.import_module(self.module), self.constant)


def opengl_problems() -> list[str]:
    """Nothing, or in one sentence why nothing can be drawn here and what to do about it."""
    import moderngl

    try:
        moderngl.create_standalone_context(backend="egl").release()
    except Exception as error:  # the loader raises plain Exception for a missing library
        return [f"no OpenGL through EGL ({error}): on Debian, apt-get install libegl1 libgl1-mesa-dri"]
    return []


def missing_things(
    command: Command, folder: Path, pictures: int, device: str | None = None, edition: int | None = None,
    begin: str | None = None,
) -> list[str]:  # fmt: skip
    """What would make the long work fail, in words, each with its remedy."""
    edition = command.edition if edition is None else edition
    problems = [
        f"the package {name} is not installed: pip install {wanted}"
        for name, wanted in command.packages.items()
        if importlib.util.find_spec(name) is None
    ]
    if importlib.util.find_spec("moderngl") is not None:
        problems += opengl_problems()
    there = folder / "recipe.json"
    if importlib.util.find_spec("torch") is not None:
        import torch

        try:
            torch.zeros(1, device=device)
        except (RuntimeError, AssertionError) as error:  # torch asserts that it was compiled for the device
            reason = str(error).splitlines()[0]
            problems.append(f"no device {device} ({reason}): leave --device out, or install torch for it")
        if all(importlib.util.find_spec(name) is not None for name in command.packages):
            from weights import beginning_problems, checkpoint_problems

            problems += beginning_problems(command.recipe(), begin) if begin is not None else []
            problems += checkpoint_problems(folder, edition)
        held = json.loads(there.read_text()) if there.exists() else None
        if held is not None and held.get("edition", "1") != str(edition):
            problems.append(
                f"{folder} holds pictures and weights of edition {held.get('edition', '1')}, and edition {edition} is "
                f"to be made: give another --out or --edition {held.get('edition', '1')}"
            )
        elif not problems and held is not None and held != command.recipe().record(edition):
            problems.append(f"{folder} holds the work of another recipe (see {there.name}): give another --out")
    present = len(list((folder / "pictures").glob("pictures-*.npy"))) * command.part
    needed = max(0, pictures - present) * 3 * math.prod(command.size) + SPARE
    free = shutil.disk_usage(folder).free
    if free < needed:
        problems.append(f"{folder} has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB are needed: give another --out")
    return problems


def main(command: Command, description: str) -> int:
    """Do what the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=command.out, help="folder for pictures, checkpoint and result")
    parser.add_argument("--minutes", type=float, default=110, help="time to train, not counting the pictures")
    parser.add_argument("--pictures", type=int, default=24_000, help="how many pictures to render, at least 1000")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="that render, and that train on a processor"
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps …; CUDA if there is some")
    parser.add_argument(
        "--edition",
        type=int,
        choices=command.editions,
        default=command.edition,
        help=f"of the pictures ({command.edition})",
    )
    parser.add_argument("--begin", metavar="WEIGHTS", help="a built-in name or a file whose weights are gone on from")
    parser.add_argument("--export", type=Path, metavar="FILE", help="only write the checkpoint's generator to FILE")
    options = parser.parse_args()
    if options.pictures < 1000 or options.processes < 1 or options.minutes <= 0:
        parser.error("--pictures must be at least 1000, --processes at least 1, and --minutes above 0")
    if options.export is not None:
        from weights import export_checkpoint

        try:
            export_checkpoint(command.recipe(), options.out, options.export)
        except (FileNotFoundError, RuntimeError) as error:
            print(f"Cannot export: {error}", file=sys.stderr)
            return 1
        return 0

    # Ending it politely must end its helpers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped; the same command goes on from the last checkpoint"))
    options.out.mkdir(parents=True, exist_ok=True)
    edition = options.edition
    if problems := missing_things(command, options.out, options.pictures, options.device, edition, options.begin):
        print("Cannot start:\n- " + "\n- ".join(problems), file=sys.stderr)
        return 1

    import torch
    from pairs import DatasetMaker, Pairs
    from team import Team
    from trainer import Trainer, count_numbers, help_training

    recipe = command.recipe()
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    (options.out / "recipe.json").write_text(json.dumps(recipe.record(edition), indent=1) + "\n")
    basis_file = options.out / "basis.npz"
    recipe.basis_at(basis_file)

    folder = options.out / "pictures"
    maker = DatasetMaker(recipe, folder, basis_file, options.pictures, options.processes, edition)
    maker.start()
    try:
        while not maker.complete:
            print(maker.progress(), flush=True)
            time.sleep(5)
    finally:
        maker.stop()

    members = min(4, options.processes) if device.type == "cpu" else 1
    team = None
    if device.type == "cpu":
        torch.set_num_threads(1)
    if members > 1:
        team = Team(members, count_numbers(recipe))
    trainer = Trainer(recipe, options.out, Pairs(recipe, folder), options.minutes, team, device, edition, options.begin)
    helpers = [
        torch.multiprocessing.get_context("spawn").Process(
            target=help_training, args=(recipe, options.out, folder, options.minutes, team, rank, edition), daemon=True
        )
        for rank in range(1, members)
    ]
    for helper in helpers:
        helper.start()
    if team is not None:
        team.watch(helpers)
    began, had = time.monotonic(), trainer.seconds

    def line(text: str) -> None:
        trained = trainer.seconds - had
        pace = (time.monotonic() - began) / trained if trained > 5 else 1.0
        left = (60 * trainer.minutes - trainer.seconds) * max(pace, 1.0) / 60
        print(f"{text}, time left {left:.0f} min", flush=True)

    try:
        trainer.run(line)
    finally:
        for helper in helpers:
            helper.terminate()
    print(f"done: {options.out / recipe.name}.safetensors, samples in {options.out / 'samples.png'}")
    return 0
