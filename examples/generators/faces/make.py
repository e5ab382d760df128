"""Make the built-in generator "faces" from nothing: render faces, learn them, write a file the package loads.

    python examples/generators/faces/make.py --out DIR [--minutes 110] [--pictures 24000] [--device cuda]
                                             [--edition 2] [--begin faces]

Stop it whenever you like; the same command goes on where it stopped. ``--export FILE`` writes what a checkpoint in
DIR has come to, also while training goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

EDITIONS = (1, 2)  # as in scene.py, which cannot be loaded before it is known what is missing
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
BYTES_A_PICTURE, PICTURES_A_FILE = 256 * 256 * 3, 500
DRAWN_BY = ("basis.py", "scene.py", "render.py", "hair.py", "shaders.py", "strands.py")
EDITION = 2
"""What is made unless another is asked for. The weights in the package are of the first."""


def recipe(edition: int = EDITION) -> dict[str, str]:
    """What pictures and weights of one folder must have in common, in few words each."""
    from dataset import SEED, SIZE
    from train import NETWORK

    sources = [(Path(__file__).parent / name).read_bytes() for name in DRAWN_BY]
    drawn = hashlib.sha256(b"".join(sources)).hexdigest()[:16]
    return {
        "edition": str(edition),
        "drawn by": drawn,
        "size": str(SIZE),
        "seed": str(SEED),
        "network": json.dumps(NETWORK),
    }


def opengl_problems() -> list[str]:
    """Nothing, or in one sentence why nothing can be drawn here and what to do about it."""
    import moderngl

    try:
        moderngl.create_standalone_context(backend="egl").release()
    except Exception as error:  # the loader raises plain Exception for a missing library
        return [f"no OpenGL through EGL ({error}): on Debian, apt-get install libegl1 libgl1-mesa-dri"]
    return []


def missing_things(
    folder: Path, pictures: int, device: str | None = None, edition: int = EDITION, begin: str | None = None
) -> list[str]:
    """What would make the long work fail, in words, each with its remedy."""
    problems = [
        f"the package {name} is not installed: pip install {wanted}"
        for name, wanted in PACKAGES.items()
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
        if all(importlib.util.find_spec(name) is not None for name in PACKAGES):
            from train import beginning_problems, checkpoint_problems

            problems += beginning_problems(begin) if begin is not None else []
            problems += checkpoint_problems(folder, edition)
        held = json.loads(there.read_text()) if there.exists() else None
        if held is not None and held.get("edition", "1") != str(edition):
            problems.append(
                f"{folder} holds pictures and weights of edition {held.get('edition', '1')}, and edition {edition} is "
                f"to be made: give another --out or --edition {held.get('edition', '1')}"
            )
        elif not problems and held is not None and held != recipe(edition):
            problems.append(f"{folder} holds the work of another recipe (see {there.name}): give another --out")
    present = len(list((folder / "pictures").glob("pictures-*.npy"))) * PICTURES_A_FILE
    needed = max(0, pictures - present) * BYTES_A_PICTURE + 1_000_000_000
    free = shutil.disk_usage(folder).free
    if free < needed:
        problems.append(f"{folder} has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB are needed: give another --out")
    return problems


def main() -> int:
    """The command; returns the exit status."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=here / "out", help="folder for pictures, checkpoint and result")
    parser.add_argument("--minutes", type=float, default=110, help="time to train, not counting the pictures")
    parser.add_argument("--pictures", type=int, default=24_000, help="how many pictures to render, at least 1000")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="that render, and that train on a processor"
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps …; CUDA if there is some")
    parser.add_argument("--edition", type=int, choices=EDITIONS, default=EDITION, help=f"of the pictures ({EDITION})")
    parser.add_argument("--begin", metavar="WEIGHTS", help="a built-in name or a file whose weights are gone on from")
    parser.add_argument("--export", type=Path, metavar="FILE", help="only write the checkpoint's generator to FILE")
    options = parser.parse_args()
    if options.pictures < 1000 or options.processes < 1 or options.minutes <= 0:
        parser.error("--pictures must be at least 1000, --processes at least 1, and --minutes above 0")
    if options.export is not None:
        from train import export_checkpoint

        try:
            export_checkpoint(options.out, options.export)
        except (FileNotFoundError, RuntimeError) as error:
            print(f"Cannot export: {error}", file=sys.stderr)
            return 1
        return 0

    # Ending it politely must end its helpers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped; the same command goes on from the last checkpoint"))
    options.out.mkdir(parents=True, exist_ok=True)
    edition = options.edition
    if problems := missing_things(options.out, options.pictures, options.device, edition, options.begin):
        print("Cannot start:\n- " + "\n- ".join(problems), file=sys.stderr)
        return 1

    import torch
    from dataset import DatasetMaker, basis_at
    from train import Pairs, Team, Trainer, count_numbers, help_training

    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    (options.out / "recipe.json").write_text(json.dumps(recipe(edition), indent=1) + "\n")
    basis_file = options.out / "basis.npz"
    basis_at(basis_file)

    folder = options.out / "pictures"
    maker = DatasetMaker(folder, basis_file, options.pictures, options.processes, edition)
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
        team = Team(members, count_numbers())
    trainer = Trainer(options.out, Pairs(folder), options.minutes, team, device, edition, options.begin)
    helpers = [
        torch.multiprocessing.get_context("spawn").Process(
            target=help_training, args=(options.out, folder, options.minutes, team, rank, edition), daemon=True
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
    print(f"done: {options.out / 'faces.safetensors'}, samples in {options.out / 'samples.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
