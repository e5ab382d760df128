"""Measure what one jump of a predictor makes of pulls of landmarks that nothing has learned from.

    python examples/generators/faces/jumps.py faces --weights DIR [--pulls 40] [--csv FILE] [--page FILE]

DIR is a folder of ``draggan-widget train predictor``, with METHOD.safetensors of each method. A landmark that dlib sees
is pulled by 5 % of the picture's width in a random direction: by one jump of each method; and by ``natural`` and
``draggan``, alone and after such a jump. dlib says how much of the distance is left. Stopped at any point, the same
command goes on; rows wait in DIR. Milliseconds want an idle machine.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import beside  # noqa: F401  for what is shared
import numpy as np
import torch
from pages import put_in
from pulls import PULLED, TRUNCATION, Pull, pulls
from sheets import picture_of

from draggan_widget import drag, load_generator
from draggan_widget.engines import Predicted, begin_with, default_config
from draggan_widget.engines.natural import mahalanobis
from draggan_widget.engines.predicted import AUTO, METHODS, USER, Predictor, give
from draggan_widget.files import write_whole
from draggan_widget.inversion import Landmarks
from draggan_widget.models import Generator

LEAST = {AUTO: 0.4, USER: 0.2}
"""Of the distance that dlib sees, what one jump is to take away."""
MOST_DISTANCE2, MOST_MILLISECONDS = 30.0, 30.0
PULLING = ("natural", "draggan")
"""Engines that go on from a jump."""
Row = dict[str, Any]


def ways_of(pulling: Sequence[str]) -> list[tuple[str, str | None, str | None]]:
    """What is measured: the name, the engine that pulls or None for a jump alone, and the method of the jump or None.

    :param pulling: engines.
    """
    alone = [(label, None, method) for method, label in METHODS.items()]
    others = [
        [(engine, engine, None), *((f"{engine} after {label}", engine, method) for method, label in METHODS.items())]
        for engine in pulling
    ]
    return [*alone, *(way for each in others for way in each)]


def jump(model: Generator, ws: torch.Tensor, handle: np.ndarray, target: np.ndarray, method: str) -> Row:
    """Return what one jump makes: ``ws`` afterwards, whether it was ``dropped``, ``steps`` and ``seconds``."""
    settings = Predicted(method=method, max_steps=1)  # type: ignore[arg-type]
    state = begin_with(model, ws, [(1, handle, target)], None, settings)
    began = time.perf_counter()
    (after,) = state.advance()
    took = time.perf_counter() - began
    return {"ws": after.ws, "dropped": bool(after.report["dropped"]), "steps": 1, "seconds": took}


def run(model: Generator, ws: torch.Tensor, handle: np.ndarray, target: np.ndarray, engine: str, method: Any) -> Row:
    """Return likewise what a whole run of an engine makes, after a jump of ``method`` if that is not None; of that jump
    it does not say whether it was dropped.
    """
    first = None if method is None else Predicted(method=method)
    began = time.perf_counter()
    result = drag(model, ws, [handle], [target], config=default_config(model, engine), first=first)
    took = time.perf_counter() - began
    return {"ws": result.ws, "dropped": False, "steps": result.steps, "seconds": took}


def rows_of(model: Generator, find: Landmarks, pull: Pull, ways: Sequence[tuple[str, Any, Any]]) -> list[Row]:
    """Return a row for each way of pulling a landmark; none where dlib sees no face to begin with."""
    height, width = model.resolution
    ws = model.mapping(seed=pull.seed, truncation=TRUNCATION)
    marks = find(picture_of(model, ws))
    if marks is None:
        return []
    number = PULLED[pull.name]
    handle = np.clip(marks[number], 0, (width - 1, height - 1))
    target = np.clip(handle + width * np.array(pull.by), 0, (width - 1, height - 1))
    covariance, rows = model.space.metric().covariance, []
    for name, engine, method in ways:
        if engine is None:
            made = jump(model, ws, handle, target, method)
        else:
            made = run(model, ws, handle, target, engine, method)
        after = find(picture_of(model, made["ws"]))
        left = None if after is None else float(np.hypot(*(after[number] - target)))
        rows.append(
            {
                "way": name,
                "seed": pull.seed,
                "landmark": pull.name,
                "asked_px": round(float(np.hypot(*(handle - target))), 3),
                "left_px": "" if left is None else round(left, 3),
                "dropped": int(made["dropped"]),
                "mahalanobis2": round(mahalanobis(covariance, made["ws"] - ws), 3),
                "steps": made["steps"],
                "seconds": round(made["seconds"], 4),
            }
        )
    return rows


def measured(model: Generator, count: int, ways: Sequence[tuple[str, Any, Any]], kept: Path) -> list[Row]:
    """Return the rows of ``count`` pulls; those that ``kept`` holds are not measured again."""
    done: dict[str, list[Row]] = json.loads(kept.read_text()) if kept.exists() else {}
    find, wanted, warm = Landmarks(), pulls(count), False
    for number, pull in enumerate(wanted, start=1):
        key = f"{pull.seed} {pull.name}"
        have = {row["way"] for row in done.get(key, [])}
        lacking = [way for way in ways if way[0] not in have]
        if key in done and (not lacking or not done[key]):
            continue
        if not warm:  # the first jump of all is slower than any other
            rows_of(model, find, pull, ways[: len(METHODS)])
            warm = True
        done[key] = [*done.get(key, []), *rows_of(model, find, pull, lacking)]
        write_whole(kept, json.dumps(done).encode())
        print(f"jumps: pull {number} of {len(wanted)}", flush=True)
    names = [name for name, *_ in ways]
    rows = [row for pull in wanted for row in done[f"{pull.seed} {pull.name}"] if row["way"] in names]
    if not rows:
        raise RuntimeError(f"dlib found no face in any of {count} pictures, so there was no landmark to pull")
    return sorted(rows, key=lambda row: names.index(row["way"]))


def figures(rows: Sequence[Row], way: str) -> dict[str, float]:
    """Return the figures of a way: ``taken`` and ``median`` are shares 0..1 of dlib's distance, in the mean and median.

    A face that is lost counts as one on which nothing was taken away.
    """
    mine = [row for row in rows if row["way"] == way]
    left = [row["asked_px"] if row["left_px"] == "" else row["left_px"] for row in mine]
    shares = [1 - one / row["asked_px"] for one, row in zip(left, mine, strict=True)]
    distances = [row["mahalanobis2"] for row in mine]
    return {
        "pulls": len(mine),
        "taken": statistics.mean(shares),
        "median": statistics.median(shares),
        "lost": sum(row["left_px"] == "" for row in mine),
        "left_px": statistics.mean(left),
        "dropped": statistics.mean(row["dropped"] for row in mine),
        "mahalanobis2": statistics.mean(distances),
        "largest": max(distances),
        "steps": statistics.mean(row["steps"] for row in mine),
        "milliseconds": 1000 * statistics.median(row["seconds"] for row in mine),
    }


def short_of(rows: Sequence[Row]) -> list[str]:
    """Return sentences about what falls short of what is asked of one jump."""
    said = []
    for method, label in METHODS.items():
        found = figures(rows, label)
        if found["taken"] < LEAST[method]:
            said.append(f"{label} takes away {found['taken']:.0%} of the distance, and {LEAST[method]:.0%} are asked.")
        if found["mahalanobis2"] > MOST_DISTANCE2:
            said.append(f"{label} goes {found['mahalanobis2']:.1f} far, more than the {MOST_DISTANCE2:g} aimed at.")
        if found["milliseconds"] > MOST_MILLISECONDS:
            said.append(f"{label} takes {found['milliseconds']:.0f} ms, more than the {MOST_MILLISECONDS:g} aimed at.")
    return said


def notes(rows: Sequence[Row], pulling: Sequence[str]) -> list[str]:
    """Return sentences on whether engines come nearer, and in fewer steps, after a jump."""
    said = []
    for engine in pulling:
        alone = figures(rows, engine)
        for label in METHODS.values():
            after = figures(rows, f"{engine} after {label}")
            near = "at least as near as" if after["left_px"] <= alone["left_px"] else "not as near as"
            fewer = "fewer steps" if after["steps"] < alone["steps"] else "no fewer steps"
            said.append(
                f"After a jump of {label}, `{engine}` ends {near} alone\n  ({after['left_px']:.2f} against "
                f"{alone['left_px']:.2f} px), in {fewer} ({after['steps']:.1f} against {alone['steps']:.1f})."
            )
    return said


def section(rows: Sequence[Row], pulling: Sequence[str], weights: str, sizes: dict[str, int]) -> str:
    """Return what stands on the page. :param weights: the fingerprint. :param sizes: of files, in bytes, by method."""
    count = int(figures(rows, next(iter(METHODS.values())))["pulls"])
    jumps = {label: figures(rows, label) for label in METHODS.values()}
    lines = [
        f"{count} pulls of a landmark by 5 % of the picture's width, in pictures of the weights `{weights[:8]}` that",
        "nothing has learned from. dlib says where the landmark came to. Figures are means unless they say otherwise.",
        "",
        f"| one jump | {' | '.join(jumps)} |",
        f"|---|{'---:|' * len(jumps)}",
    ]
    said = {
        "of dlib's distance taken away, mean": lambda found: f"{found['taken']:.0%}",
        "median": lambda found: f"{found['median']:.0%}",
        "jumps dropped": lambda found: f"{found['dropped']:.0%}",
        "squared distance in the metric of latents, mean": lambda found: f"{found['mahalanobis2']:.1f}",
        "the largest": lambda found: f"{found['largest']:.1f}",
        "milliseconds, tracking included, median": lambda found: f"{found['milliseconds']:.0f}",
    }
    lines += [f"| {what} | {' | '.join(tell(found) for found in jumps.values())} |" for what, tell in said.items()]
    lines.append(f"| file, MB | {' | '.join(f'{sizes[method] / 1e6:.1f}' for method in METHODS)} |")
    short = short_of(rows)
    lines += ["", *([" ".join(short), ""] if short else [])]
    if pulling:
        lines += ["| whole runs | px left | taken away | steps | squared distance |", "|---|---:|---:|---:|---:|"]
        for name, engine, _ in ways_of(pulling):
            if engine is not None:
                found = figures(rows, name)
                lines.append(
                    f"| {name} | {found['left_px']:.2f} | {found['taken']:.0%} | {found['steps']:.1f} | "
                    f"{found['mahalanobis2']:.1f} |"
                )
        lines += ["", *(f"- {note}" for note in notes(rows, pulling)), ""]
    if lost := sum(row["left_px"] == "" for row in rows):
        lines += [
            f"In {lost} of {len(rows)} pictures dlib found no face any more; they count as not pulled at all.",
            "",
        ]
    return "\n".join(lines)


def main() -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a built-in name or a checkpoint, whose pictures are of faces")
    parser.add_argument("--weights", type=Path, required=True, metavar="DIR", help="with METHOD.safetensors of each")
    parser.add_argument("--pulls", type=int, default=40, help="how many (default: 40)")
    parser.add_argument("--engines", nargs="*", default=list(PULLING), help="that go on from jumps (default: both)")
    parser.add_argument("--threads", type=int, default=2, help="of torch (default: 2)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the rows")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the figures into their place in a page")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load_generator(options.model, device="cpu")
    digest, sizes = hashlib.sha256(), {}
    for method in METHODS:
        file = options.weights / f"{method}.safetensors"
        try:
            predictor = Predictor.load(file)
            give(model, predictor)
        except (OSError, ValueError) as error:
            print(f"{file} cannot be measured: {error}", file=sys.stderr)
            return 1
        held = file.read_bytes()
        digest.update(held)
        sizes[method] = len(held)
    kept = options.weights / f"jumps-{digest.hexdigest()[:12]}.json"
    rows = measured(model, options.pulls, ways_of(options.engines), kept)
    if options.csv is not None:
        stream = io.StringIO()
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_whole(options.csv, stream.getvalue().encode())
    said = section(rows, options.engines, predictor.about.base, sizes)
    if options.page is not None:
        put_in(options.page, "jumps", f"\n{said}")
    print(said)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
