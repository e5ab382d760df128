"""Compare ways of fitting and tuning on held-out renders: how near they come, and where pulls lead afterwards.

    python examples/generators/faces/heldout.py --out DIR
    python tests/inversion_ideas.py pivot --photos DIR --out pivot.csv [--samples 50] [--threads 1]
    python tests/inversion_ideas.py tuning --photos DIR --out tuning.csv [--samples 10] [--threads 1]

``pivot`` fits each render by 50 steps from the encoder's guess in several ways, and by 300 from the mean. ``tuning``
tunes a copy in several ways from one pivot, and pulls landmarks of it both ways; the model's own samples are pulled
likewise, and so is the pivot of the model as it is. Rows are written as they come, those that are there are not
measured again, and at the end a line for each way is printed.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from draggan_widget import drag, load_generator
from draggan_widget.analysis.experiments.inversions import BY, InversionWay, Inverted, inverted, middle_of, tuned
from draggan_widget.engines import to_image
from draggan_widget.inversion import CHIN, EYE_CORNER, MOUTH_CORNER, NOSE_TIP, Inversion, Landmarks, ms_ssim, psnr
from draggan_widget.inversion import pivot as pivot_file
from draggan_widget.models import Generator

USUAL = Inversion(pivot_steps=50)
PIVOTS: dict[str, tuple[Inversion, dict[str, Any]]] = {
    "as it is": (USUAL, {}),
    "half the rate": (dataclasses.replace(USUAL, pivot_rate=0.15), {}),
    "twice the rate": (dataclasses.replace(USUAL, pivot_rate=0.6), {}),
    "falls sooner": (USUAL, {"FADE": 0.3}),
    "own 0.6": (dataclasses.replace(USUAL, own=0.6), {}),
    "whole pictures only": (USUAL, {"COARSE": ()}),
    "300 from the mean": (dataclasses.replace(USUAL, pivot_steps=300), {}),
}
"""Name → settings, and constants of ``inversion.pivot`` that are others."""
TUNINGS = {
    "as it is": Inversion(),
    "all maps": Inversion(tuned_from=4),
    "from 16 px on": Inversion(tuned_from=16),
    "from 64 px on": Inversion(tuned_from=64),
    "nothing is held": Inversion(locality=0.0),
    "locality 0.5": Inversion(locality=0.5),
    "neighbours 0.3": Inversion(neighbours=0.3),
    "neighbours 1": Inversion(neighbours=1.0),
    "half as many steps": Inversion(tuning_steps=75),
    "up to 31 dB": Inversion(enough=31.0),
}
MARKS = {"nose": NOSE_TIP, "eye": EYE_CORNER, "mouth": MOUTH_CORNER, "chin": CHIN}
Row = dict[str, Any]


def fitted(model: Generator, wanted: Tensor, settings: Inversion, *, encoder: bool = True) -> Tensor:
    """Return the latent to which the fit of a photograph comes."""
    _, latent = inverted(model, wanted, InversionWay("", dataclasses.replace(settings, tuning_steps=0), encoder))
    return latent


def pivots(model: Generator, number: int, wanted: Tensor, known: set[tuple[int, str]]) -> Iterator[Row]:
    """Yield a row for each way of fitting one photograph that is not known."""
    for name, (settings, constants) in PIVOTS.items():
        if (number, name) in known:
            continue
        began = time.process_time()
        with patch.multiple(pivot_file, **constants):
            latent = fitted(model, wanted, settings, encoder="mean" not in name)
        seconds = time.process_time() - began
        with torch.no_grad():
            picture = model.synthesize(latent)
        near = {"psnr": round(psnr(picture, wanted), 2), "ms_ssim": round(ms_ssim(picture, wanted), 4)}
        yield {"sample": number, "way": name, **near, "seconds": round(seconds, 1)}


def pulls(model: Generator, latent: Tensor, number: int, landmarks: Landmarks) -> Iterator[Row]:
    """Yield how far each landmark is from where it was pulled to, along a random direction and against it, by dlib."""
    with torch.no_grad():
        found = landmarks(np.asarray(to_image(model.synthesize(latent))))
    if found is None:
        return
    width = model.resolution[1]
    random = np.random.default_rng([number, 18])
    for name, mark in MARKS.items():
        angle = random.uniform(0, 2 * np.pi)
        for sign in (1, -1):
            target = found[mark] + sign * BY * width * np.array([np.cos(angle), np.sin(angle)])
            if not ((found[mark] >= 0) & (target >= 0) & (found[mark] < width) & (target < width)).all():
                continue
            result = drag(model, latent, found[mark][None], target[None])
            after = landmarks(np.asarray(result.image))
            error = "" if after is None else round(float(np.hypot(*(after[mark] - target))) * 256 / width, 2)
            yield {"mark": name, "sign": sign, "steps": result.steps, "reason": result.reason, "drag": error}


def tunings(model: Generator, number: int, wanted: Tensor, known: set[tuple[int, str]]) -> Iterator[Row]:
    """Yield rows for each way of tuning for one photograph that is not known."""
    landmarks = Landmarks()

    def told(name: str, made: Callable[[], tuple[Generator, Tensor]]) -> Iterator[Row]:
        if (number, name) in known:
            return
        copy, latent = made()
        with torch.no_grad():
            near = round(psnr(copy.synthesize(latent), wanted), 2)
        for row in pulls(copy, latent, number, landmarks):
            yield {"sample": number, "way": name, "psnr": "" if name == "own samples" else near, **row}

    yield from told("own samples", lambda: (model, model.space.draw(seed=Inverted.first_seed + number, truncation=0.7)))
    latent = fitted(model, wanted, Inversion())
    yield from told("not tuned", lambda: (model, latent))
    for name, settings in TUNINGS.items():

        def made(settings: Inversion = settings) -> tuple[Generator, Tensor]:
            return tuned(model, latent, wanted, None, settings), latent

        yield from told(name, made)


def summary(rows: list[Row]) -> str:
    """Return a line for each way, of the samples that all ways have."""
    ways = list(dict.fromkeys(row["way"] for row in rows))
    every = set.intersection(*({row["sample"] for row in rows if row["way"] == way} for way in ways))
    lines, own = [], None
    for way in ways:
        mine = [row for row in rows if row["way"] == way and row["sample"] in every]
        told = [f"{way:36} {len(every)} samples"]
        for figure in ("psnr", "ms_ssim", "seconds", "drag"):
            values = [float(row[figure]) for row in mine if row.get(figure) not in (None, "")]
            if not values:
                continue
            told.append(f"{figure} {np.mean(values):.4g}")
            if figure == "drag":
                own = np.mean(values) if way == "own samples" else own
                told.append(f"(median {np.median(values):.3g})")
                if own:
                    told.append(f"{np.mean(values) / own:.2f} times own samples")
        lines.append("  ".join(told))
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("pivot", "tuning"))
    parser.add_argument("--photos", type=Path, required=True, help="folder of held-out renders, PNG")
    parser.add_argument("--out", type=Path, required=True, help="CSV file of rows, which is gone on with")
    parser.add_argument("--samples", type=int, default=10, help="photographs at most")
    parser.add_argument("--ways", help="names of ways, separated by ;, in place of all")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    measure = pivots if options.what == "pivot" else tunings
    table: dict[str, Any] = PIVOTS if options.what == "pivot" else TUNINGS
    if options.ways:
        for name in [name for name in table if name not in options.ways.split(";")]:
            del table[name]
    model = load_generator("faces")
    rows: list[Row] = list(csv.DictReader(options.out.open())) if options.out.exists() else []
    for row in rows:
        row["sample"] = int(row["sample"])
    columns = {
        "pivot": ["sample", "way", "psnr", "ms_ssim", "seconds"],
        "tuning": ["sample", "way", "psnr", "mark", "sign", "steps", "reason", "drag"],
    }[options.what]
    known = {(row["sample"], row["way"]) for row in rows}
    fresh = not options.out.exists()
    with options.out.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        if fresh:
            writer.writeheader()
        for number, file in enumerate(sorted(options.photos.glob("*.png"))[: options.samples]):
            wanted = middle_of(file, model)
            for row in measure(model, number, wanted, known):
                rows.append(row)
                writer.writerow(row)
                stream.flush()
                print(row, flush=True)
    print(summary(rows))


if __name__ == "__main__":
    main()
