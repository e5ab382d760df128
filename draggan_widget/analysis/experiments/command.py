"""``draggan-widget evaluate``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from draggan_widget.files import write_whole

if TYPE_CHECKING:
    from draggan_widget.analysis.experiments.experiments import Experiment

DESCRIPTION = (
    "The paper's experiments on a generator: landmarks dragged to those of another sample, a picture dragged into "
    "another, there and back, and features of other blocks (on landmarks where its pictures show faces, else on "
    "pictures dragged into others). What is done stands in DIR; the same command goes on. Pictures are compared by "
    "LPIPS where the package lpips and the weights of AlexNet are here, else by MS-DSSIM; sets of them by the Fréchet "
    "distance of torchvision's Inception-v3 where it and its weights are here (no FID, which has TensorFlow's), else "
    "by that of colours and bands of detail. Weights are looked for where torch keeps its own (TORCH_HOME); nothing "
    "is fetched."
)
EXPERIMENTS = ("landmarks1", "landmarks5", "landmarks68", "reconstruction", "roundtrip", "blocks")
INVERSION = "inversion"
"""Pictures inverted in several ways, which is asked for by its name."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("model", nargs="?", default="faces", help="a built-in name or a checkpoint (default: faces)")
    parser.add_argument("--out", type=Path, default=Path("evaluation"), metavar="DIR", help="folder for the results")
    parser.add_argument(
        "--samples",
        default="20",
        metavar="N",
        help="of each experiment and way (default: 20); 100,50 gives each of two experiments its own number",
    )
    parser.add_argument(
        "--experiments",
        default=",".join(EXPERIMENTS),
        metavar="A,B",
        help=f"of {', '.join(EXPERIMENTS)} (default: all these), and {INVERSION}",
    )
    parser.add_argument("--photos", type=Path, metavar="DIR", help=f"pictures for {INVERSION}, else the model's own")
    parser.add_argument("--ways", metavar="A;B", help='only these, such as "no edit;natural;default;official"')
    parser.add_argument(
        "--engines", action="store_true", help="compare all engines, each as it comes, instead of readings of the paper"
    )
    parser.add_argument(
        "--trackers",
        metavar="A,B",
        help='draggan and natural with these trackers too, such as "flow,features:5"; needs --engines',
    )
    parser.add_argument(
        "--points",
        type=Path,
        metavar="DIR",
        help="measures of DragBench on pictures with points, for a diffusion model",
    )
    parser.add_argument("--raft", metavar="WEIGHTS", help="track with RAFT too, by this file of weights")
    parser.add_argument("--pips", nargs=2, metavar=("CHECKOUT", "WEIGHTS"), help="track with PIPs too")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes of one thread each")
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="first seed of the samples; else landmarks begin at 5000, round trips at 7000 and reconstruction at 9000. "
        "Settings of the engines were chosen on landmarks from 5000 on: give another one to judge them, such as 25000",
    )


def run_evaluate(options: argparse.Namespace) -> int:
    """Evaluate, say how it goes, and write ``rows.jsonl``, ``results.json``, ``results.csv`` and ``results.md``."""
    from draggan_widget.analysis.experiments.evaluation import AnyExperiment, AnyWay, Evaluation, evaluate
    from draggan_widget.analysis.experiments.experiments import Landmarks, Reconstruction, RoundTrip, block_experiment
    from draggan_widget.analysis.experiments.inversions import Inverted, inversion_ways
    from draggan_widget.analysis.experiments.ways import Way, block_ways, engine_ways, standard_ways
    from draggan_widget.models import Diffusion, load_generator

    if options.points is not None:
        return _run_dragbench(options)
    asked = [name.strip() for name in options.experiments.split(",")]
    if unknown := [name for name in asked if name not in (*EXPERIMENTS, INVERSION)]:
        return _refuse(f"no experiment {unknown[0]!r}; there are {', '.join((*EXPERIMENTS, INVERSION))}")
    numbers = [as_whole_text(text) for text in options.samples.split(",")]
    if options.workers < 0 or min(numbers) < 1 or len(numbers) not in (1, len(asked)):
        return _refuse("--samples must be at least 1, one number or one for each experiment, and --workers at least 0")
    if options.seed is not None and not 0 <= options.seed < 2**31:
        return _refuse(f"--seed must be a whole number from 0 to {2**31 - 1}")
    if options.trackers and not options.engines:
        return _refuse("--trackers needs --engines")
    try:
        generator = load_generator(options.model)
        if isinstance(generator, Diffusion):
            return _refuse("a diffusion model is evaluated on pictures with points; give their folder: --points DIR")
        trackers = [name.strip() for name in (options.trackers or "").split(",") if name.strip()]
        ways = engine_ways(generator, trackers) if options.engines else standard_ways(generator)
        own = generator.drag_config
        if options.raft:
            ways.append(Way("RAFT", own, f"raft:{options.raft}"))
        if options.pips:
            ways.append(Way("PIPs", own, f"pips:{options.pips[0]}:{options.pips[1]}"))
        inverting = inversion_ways() if INVERSION in asked else []
        if options.ways is not None:
            names = [name.strip() for name in options.ways.split(";")]
            known = [way.name for way in ways] + [way.name for way in inverting]
            if unknown := [name for name in names if name not in known]:
                return _refuse(f"no way {unknown[0]!r}; there are {'; '.join(known)}")
            ways = [way for way in ways if way.name in names]
            inverting = [way for way in inverting if way.name in names]
        first = {} if options.seed is None else {"first_seed": options.seed}
        kinds: dict[str, Experiment] = {
            "landmarks1": Landmarks(1, **first),
            "landmarks5": Landmarks(5, **first),
            "landmarks68": Landmarks(68, **first),
            "reconstruction": Reconstruction(**first),
            "roundtrip": RoundTrip(**first),
        }
        wanted: dict[str, int] = dict(zip(asked, numbers if len(numbers) > 1 else numbers * len(asked), strict=True))
        counts: dict[AnyExperiment, int] = {kinds[name]: number for name, number in wanted.items() if name in kinds}
        parts: list[Evaluation] = []
        runs: list[tuple[Sequence[AnyExperiment], Sequence[AnyWay], str]] = [(list(counts), ways, "rows.jsonl")]
        if "blocks" in asked:
            blocks = dataclasses.replace(block_experiment(generator), **first)
            counts[blocks] = wanted["blocks"]
            runs.append(([blocks], block_ways(generator), "blocks.jsonl"))
        if inverting:
            inverted = Inverted.of(_pictures(options.photos))
            counts[inverted] = wanted[INVERSION]
            runs.append(([inverted], inverting, f"{INVERSION}.jsonl"))
        for experiments, compared, file in runs:
            if experiments:
                done = evaluate(
                    options.model,
                    experiments,
                    compared,
                    samples=counts.__getitem__,
                    keep=options.out / file,
                    workers=options.workers,
                    progress=_tell,
                )
                parts.append(done)
                name = "results" if file == "rows.jsonl" or len(runs) == 1 else Path(file).stem
                write_whole(options.out / f"{name}.json", (json.dumps(done.to_dict(), indent=1) + "\n").encode())
                write_whole(options.out / f"{name}.md", (done.to_markdown() + "\n").encode())
                write_whole(options.out / f"{name}.csv", done.to_csv().encode())
    except (ImportError, OSError, ValueError) as error:  # among them CheckpointError
        return _refuse(str(error))
    except Exception as error:
        return _refuse(f"{type(error).__name__}: {error}; what is done stands in {options.out}")
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; the same command goes on from here\n")
        return 130
    sys.stdout.write("\n\n".join(done.to_markdown() for done in parts) + "\n")
    return 0


def _run_dragbench(options: argparse.Namespace) -> int:
    """Pull the pictures of a folder, and write ``dragbench.csv`` and ``dragbench.md``."""
    from draggan_widget.analysis.experiments.dragbench import as_csv, measure, read_cases, table
    from draggan_widget.models import Diffusion, load_generator

    try:
        model = load_generator(options.model)
        if not isinstance(model, Diffusion):
            return _refuse("--points needs a diffusion model; give its folder instead of a model of another kind")
        rows = measure(model, read_cases(options.points, model), tell=_tell)
        write_whole(options.out / "dragbench.csv", as_csv(rows).encode())
        write_whole(options.out / "dragbench.md", (table(rows) + "\n").encode())
    except (ImportError, OSError, ValueError) as error:  # among them CheckpointError
        return _refuse(str(error))
    sys.stdout.write(table(rows) + "\n")
    return 0


def _pictures(folder: Path | None) -> tuple[str, ...]:
    """Return the files of a folder of pictures. :raises FileNotFoundError: if there are none."""
    if folder is None:
        return ()
    found = sorted(str(file) for file in folder.glob("*") if file.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"))
    if not found:
        raise FileNotFoundError(f"{folder} holds no PNG, JPEG or WebP; give a folder of pictures")
    return tuple(found)


def as_whole_text(text: str) -> int:
    """Return a whole number out of an option; 0 where it is none."""
    return int(text) if text.strip().isdecimal() else 0


def _tell(done: int, total: int, text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{done} of {total}: {text}" + ("\n" if done == total else ""))
        sys.stderr.flush()


def _refuse(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return 1
