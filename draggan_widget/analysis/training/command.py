"""``draggan-widget train predictor``."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from draggan_widget.files import shown, write_whole

if TYPE_CHECKING:
    from draggan_widget.analysis.training.pulls import Source
    from draggan_widget.models import Generator

DESCRIPTION = (
    "Train a network that answers pulls on a model in one pass, as the engine predicted and as a first jump of others. "
    "For a built-in model it learns from the motion of the renderer that made its pictures (a checkout with the extra "
    "faces, or --motion), for any other from its own drag runs. Stopped at any point, the same command goes on. DIR "
    "then holds METHOD.safetensors, renewed at each checkpoint, METHOD.png with samples, and METHOD.md, a card."
)
METHODS = ("autodraggan", "usercontrollable")
RECIPE = Path(__file__).parents[3] / "examples" / "generators"
"""Where a checkout has the recipes of built-in models, each in a folder of its name."""
PACKAGES = ("moderngl", "anny", "scipy")
HEADS, RUNS = 3000, 600
FORMAT = 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("what", choices=("predictor",), help="what answers pulls in one pass")
    parser.add_argument("model", help="a built-in name or a checkpoint")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for all that is made")
    parser.add_argument("--method", choices=(*METHODS, "both"), default="both", help="which network (default: both)")
    parser.add_argument("--minutes", type=float, default=8, help="to train each, not counting the data (default: 8)")
    parser.add_argument(
        "--samples", type=int, metavar="N", help=f"heads of the renderer (default: {HEADS}), or runs ({RUNS})"
    )
    parser.add_argument("--points", type=int, default=72, metavar="N", help="it is to know at most (default: 72)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--motion", type=Path, metavar="DIR", help="a folder of motion.py, instead of running it")
    where.add_argument("--drags", action="store_true", help="learn from own drag runs, of a built-in model too")
    parser.add_argument("--threads", type=int, default=2, help="of torch (default: 2)")
    parser.add_argument(
        "--export", type=Path, metavar="FILE", help="only write what the checkpoint of --method has come to"
    )
    parser.add_argument("--install", action="store_true", help="put the result where engines look for it")


def run_train(options: argparse.Namespace) -> int:
    """Train, say how it goes; the status is 1 where it cannot begin."""
    methods = METHODS if options.method == "both" else (options.method,)
    if options.minutes <= 0 or options.points < 1 or options.threads < 1 or (options.samples or 1) < 1:
        return _refuse("--minutes must be above 0, and --samples, --points and --threads at least 1")
    try:
        if options.export is not None:
            return _export(options.out, methods, options.export)
        return _train(options, methods)
    except (OSError, ValueError) as error:  # among them CheckpointError
        return _refuse(str(error))
    except KeyboardInterrupt:
        return _refuse("stopped; the same command goes on from the last checkpoint", 130)


def _export(folder: Path, methods: Sequence[str], out: Path) -> int:
    from draggan_widget.analysis.training.trainer import exported

    if len(methods) > 1:
        return _refuse(f"--export writes one predictor; give --method {' or '.join(METHODS)}")
    predictor = exported(folder / f"{methods[0]}.pt", out)
    _say(f"{shown(out)}: {methods[0]} of {predictor.about.model}, {out.stat().st_size / 1e6:.2f} MB")
    return 0


def _train(options: argparse.Namespace, methods: Sequence[str]) -> int:
    import torch

    from draggan_widget.models import builtin_names, cache_folder, fingerprint, load_generator

    folder: Path = options.out
    model = load_generator(options.model, device="cpu")
    renders = not options.drags and (options.motion is not None or options.model in builtin_names())
    folder.mkdir(parents=True, exist_ok=True)
    about = {"format": FORMAT, "model": fingerprint(model), "learns from": "motion" if renders else "drags"}
    _claim(folder / "predictor.json", about)
    torch.set_num_threads(options.threads)
    name = options.model if options.model in builtin_names() else Path(options.model).stem
    source = _source(options, model, name, renders)
    count = options.samples or (HEADS if renders else RUNS)
    for done, total in source.gather(count):
        _say(f"data: part {done} of {total}")
    for method in methods:
        _one(options, model, source, method, name)
        if options.install:
            made = cache_folder() / "predictors" / f"{name}_{method}.safetensors"
            made.parent.mkdir(parents=True, exist_ok=True)
            write_whole(made, (folder / f"{method}.safetensors").read_bytes())
            _say(f"installed: {shown(made)}")
    return 0


def _claim(file: Path, about: dict[str, object]) -> None:
    """Say whose work a folder holds. :raises ValueError: if that is other work."""
    if file.exists():
        try:
            same = json.loads(file.read_text()) == about
        except ValueError:
            same = False
        if not same:
            raise ValueError(
                f"{shown(file.parent)} holds the work of other weights, another edition of the model say, or of other "
                "data: give another --out"
            )
    write_whole(file, (json.dumps(about, indent=1) + "\n").encode())


def _source(options: argparse.Namespace, model: Generator, name: str, renders: bool) -> Source:
    """Return where pulls come from. :raises ValueError: if it is not here."""
    from draggan_widget.analysis.training.pulls import HELD_OUT, PART, Motion, Runs
    from draggan_widget.analysis.training.trainer import blocks_of

    if not renders:
        return Runs(model, options.out, blocks_of(model))
    folder = options.motion
    if folder is None:
        folder, heads = options.out / "motion", (options.samples or HEADS) + HELD_OUT * PART
        _render(RECIPE / name / "motion.py", folder, heads)
    parts = sorted(folder.glob("motion-*.npz"))
    if len(parts) < HELD_OUT + 1:
        raise ValueError(
            f"{shown(folder)} holds {len(parts)} parts of motion.py, and at least {HELD_OUT + 1} are needed"
        )
    return Motion(model, parts, options.out, blocks_of(model))


def _render(recipe: Path, folder: Path, heads: int) -> None:
    """Have the recipe of a built-in model write how its heads move. :raises ValueError: if it cannot."""
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if not recipe.is_file() or missing:
        lacks = f"without {', '.join(missing)}" if recipe.is_file() else "outside a checkout of draggan_widget"
        raise ValueError(
            f'the renderer of the model does not run {lacks}: pip install -e ".[faces]" in one, or give --motion or '
            "--drags"
        )
    done = subprocess.run([sys.executable, str(recipe), "--out", str(folder), "--heads", str(heads)], check=False)
    if done.returncode:
        raise ValueError(f"{recipe.name} ended with status {done.returncode}; what it said is above")


def _one(options: argparse.Namespace, model: Generator, source: Source, method: str, name: str) -> None:
    from draggan_widget.analysis.training.card import write_card, write_samples
    from draggan_widget.analysis.training.trainer import Training, untrained

    folder: Path = options.out
    predictor = untrained(model, source, method, name, options.points)
    training = Training(predictor, source, options.minutes, folder / f"{method}.pt")
    first = training.look()
    weights = folder / f"{method}.safetensors"
    _say(f"{method}: {sum(each.numel() for each in predictor.parameters()) / 1e6:.2f} M weights")
    for look in training.run():
        predictor.save(weights)
        write_samples(training, folder / f"{method}.png")
        left = max(0.0, options.minutes - look.seconds / 60)
        _say(
            f"{method}: step {look.step}, loss {look.loss:.5f}, held-out changes told {look.explained:.0%}, a jump "
            f"takes away {look.gain:.0%} at distance² {look.distance2:.1f}, time left {left:.1f} min"
        )
        write_card(training, first, look, weights, folder / f"{method}.md")
    _say(f"done: {shown(weights)}, {shown(folder / f'{method}.md')}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _refuse(text: str, status: int = 1) -> int:
    sys.stderr.write(f"{text}\n")
    return status
