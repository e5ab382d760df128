"""Measure a small diffusion model of faces: are its samples faces, does it invert pictures, do pulls arrive.

    python examples/generators/faces_diffusion/measure.py MODEL [--samples 50] [--drags 50] [--identity 80]
                                                          [--engines dragdiffusion,fastdrag]
                                                          [--rows FILE.csv] [--sheet FILE.png]

Pulls have a known motion: the renders of ``tests/data/heads`` show one head at several moments, and the renderer knows
where its landmarks are. The picture of one moment is inverted, landmarks are pulled to where they are at another, and
dlib says how far they came, compared with what it says of the unpulled picture. Each engine begins with the same
latent. With ``--rows`` each pull is written when it is done, and those that are there already are not done again.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import itertools
import json
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from draggan_widget import drag, load_generator
from draggan_widget.engines import default_config, to_image
from draggan_widget.inversion import Landmarks, ms_ssim, psnr
from draggan_widget.models import fingerprint
from draggan_widget.models.diffusion import Diffusion, Identity, ended, inverted, learning

HEADS = Path(__file__).parents[3] / "tests/data/heads"
SIDES = {"mouth": (48, 54), "eye_outer": (36, 45)}
"""Of dlib's landmarks, the left one of a picture and the right one."""
SINGLE = {"nose_tip": 30, "chin": 8, "upper_lip": 51, "lower_lip": 57}
LEAST = 0.025
"""Parts of the picture's side that a landmark moves at least, to be pulled."""
MOST = 3
"""Landmarks that are pulled at once, those that move farthest."""
ENLARGED = 256
REFINE = 2
"""How often more the network is asked at each level of an inversion, as the editor does."""


@dataclass(frozen=True)
class Pull:
    """A head at one moment, and where its landmarks are at another; all (x, y) in pixels of the model's picture."""

    name: str
    picture: Path
    numbers: tuple[int, ...]
    """Of dlib's landmarks."""
    handles: tuple[tuple[float, float], ...]
    targets: tuple[tuple[float, float], ...]


def pulls(folder: Path, side: int) -> list[Pull]:
    """Return all pulls of the heads of a folder, from each moment to each that is at least two away."""
    known = json.loads((folder / "heads.json").read_text())
    names, found = known["landmarks"], []
    for head in known["heads"]:
        for one, other in itertools.permutations(range(len(head["frames"])), 2):
            if abs(one - other) < 2:
                continue
            before, after = head["frames"][one], head["frames"][other]
            places = [(np.array(frame["points"]) + 0.5) * side / known["size"] - 0.5 for frame in (before, after)]
            seen = np.array(before["visible"]) & np.array(after["visible"])
            numbered = dlib_numbers(names, places[0])
            moved = {row: float(np.hypot(*(places[1][row] - places[0][row]))) for row in numbered if seen[row]}
            rows = [row for row in sorted(moved, key=lambda row: -moved[row]) if moved[row] >= LEAST * side][:MOST]
            inside = all(0 <= value <= side - 1 for row in rows for place in places for value in place[row])
            if rows and inside:
                handles, targets = (tuple((float(p[row][0]), float(p[row][1])) for row in rows) for p in places)
                numbers = tuple(numbered[row] for row in rows)
                found.append(
                    Pull(f"{head['name']} {one} to {other}", folder / before["file"], numbers, handles, targets)
                )
    return found


def dlib_numbers(names: list[str], places: np.ndarray) -> dict[int, int]:
    """Return dlib's numbers of landmarks, by their rows; sides are those of the picture, whosever they are by name."""
    numbers = {names.index(name): number for name, number in SINGLE.items()}
    pairs = {"mouth": ("mouth_left", "mouth_right"), "eye_outer": ("left_eye_outer", "right_eye_outer")}
    for what, pair in pairs.items():
        rows = sorted((names.index(name) for name in pair), key=lambda row: places[row][0])
        numbers.update(zip(rows, SIDES[what], strict=True))
    return numbers


def left_to_go(before: np.ndarray, after: np.ndarray, pull: Pull) -> tuple[float, float]:
    """Return how far a pull's landmarks had to go, and how far they have still to go, in pixels on average.

    :param before: dlib's landmarks (68, 2) of the unpulled picture. :param after: those of the pulled one.
    """
    wanted = np.array(pull.targets) - np.array(pull.handles)
    rows = list(pull.numbers)
    missing = wanted - (after[rows] - before[rows])
    return float(np.hypot(*wanted.T).mean()), float(np.hypot(*missing.T).mean())


def spread(found: list[Pull], count: int) -> list[Pull]:
    """Return so many of them, of all heads alike."""
    if len(found) <= count:
        return found
    return [found[number] for number in np.linspace(0, len(found) - 1, count).round().astype(int)]


def as_tensor(path: Path, side: int) -> Tensor:
    """Return a picture of a file as (1, 3, side, side) in [-1, 1]."""
    small = Image.open(path).convert("RGB").resize((side, side), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(small).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def enlarged(picture: Image.Image) -> np.ndarray:
    """Return a picture at the side at which faces are looked for."""
    return np.asarray(picture.convert("RGB").resize((ENLARGED, ENLARGED), Image.Resampling.BICUBIC))


def knowing(model: Diffusion, picture: Tensor, steps: int) -> Diffusion:
    """Return the model that has learnt a picture."""
    return ended(learning(model, picture, Identity(steps=steps)))


@dataclass(frozen=True)
class Row:
    """What one engine made of one pull."""

    engine: str
    pull: str
    points: int
    asked: float
    """Pixels of the model's picture that the landmarks had to go, on average."""
    left: float
    """Pixels that they have still to go, by dlib; NaN where it found no face before or after."""
    ms_ssim: float
    """Of the pulled picture to the unpulled one."""
    psnr: float
    """dB, of the unpulled picture, inverted and back, to the render."""
    seconds: float
    """Of the pull and the whole picture at its end, by processor time."""
    steps: int
    reason: str
    identity: int
    """Steps in which the picture was learnt before."""
    weights: str
    """The beginning of the model's fingerprint."""

    @property
    def good(self) -> bool:
        """Whether at least a third of the way was gone."""
        return self.left <= self.asked * 2 / 3


def measured(model: Diffusion, pull: Pull, engines: Sequence[str], steps: int) -> tuple[list[Row], Tensor]:
    """Return a row for each engine, and what to look at, side by side (1, 3, side, n·side).

    :param steps: of learning the picture first; 0 for none.
    """
    find, side = Landmarks(), model.resolution[0]
    picture = as_tensor(pull.picture, side)
    learnt = knowing(model, picture, steps)
    latent = inverted(learnt, picture, refine=REFINE)
    again = learnt.synthesize(latent)
    before, rows, shown = find(enlarged(to_image(again))), [], [picture, again]
    for engine in engines:
        began = time.process_time()
        result = drag(learnt, latent, list(pull.handles), list(pull.targets), config=default_config(learnt, engine))
        after = learnt.synthesize(result.ws)
        seconds = time.process_time() - began
        seen = find(enlarged(to_image(after)))
        asked, left = float(np.hypot(*(np.array(pull.targets) - np.array(pull.handles)).T).mean()), math.nan
        if before is not None and seen is not None:
            asked, left = left_to_go(*(each * side / ENLARGED for each in (before, seen)), pull)
        like, same = ms_ssim(after, again), psnr(again, picture)
        rows.append(
            Row(
                engine,
                pull.name,
                len(pull.handles),
                asked,
                left,
                like,
                same,
                seconds,
                result.steps,
                result.reason,
                steps,
                weights_of(model),
            )
        )
        shown.append(after)
    return rows, torch.cat(shown, dim=3)


def weights_of(model: Diffusion) -> str:
    """Return by what rows of a model are known."""
    return fingerprint(model)[:12]


def of_model(rows: Sequence[Row], model: Diffusion, steps: int) -> list[Row]:
    """Return those rows that are of a model of these weights, and of that many steps of learning."""
    known = weights_of(model)
    return [row for row in rows if (row.weights, row.identity) == (known, steps)]


def measuring(
    model: Diffusion, count: int, engines: Sequence[str], steps: int, kept: Sequence[Row] = ()
) -> Iterator[tuple[list[Row], Tensor]]:
    """Yield ``measured`` of so many pulls, of all heads alike, but for what is ``kept`` from before."""
    done = {(row.engine, row.pull) for row in of_model(kept, model, steps)}
    for pull in spread(pulls(HEADS, model.resolution[0]), count):
        missing = [engine for engine in engines if (engine, pull.name) not in done]
        if missing:
            yield measured(model, pull, missing, steps)


def faces_among(model: Diffusion, samples: int) -> int:
    """Return in how many samples of the first seeds dlib finds a face; nothing is said of them."""
    find, asked = Landmarks(), model.sampled(prompt="", strength=1.0)
    drawn = (to_image(asked.synthesize(asked.mapping(seed=seed))) for seed in range(samples))
    return sum(find(enlarged(picture)) is not None for picture in drawn)


def inversions(model: Diffusion, count: int) -> dict[int, float]:
    """Return the median dB of heads inverted and back, by how often each level was refined: nothing learnt, 50 steps,
    guidance 1.
    """
    asked = model.sampled(prompt="", steps=50, guidance=1.0)
    heads = sorted({pull.picture for pull in pulls(HEADS, model.resolution[0])})[:count]
    found: dict[int, list[float]] = {0: [], REFINE: []}
    for head in heads:
        picture = as_tensor(head, model.resolution[0])
        for refine, noted in found.items():
            noted.append(psnr(asked.synthesize(inverted(asked, picture, refine=refine)), picture))
    return {refine: statistics.median(noted) for refine, noted in found.items()}


def seconds_of_natural(count: int = 5) -> float:
    """Return the median seconds of processor time of a pull of ``natural`` on the built-in faces, for scale."""
    faces, noted = load_generator("faces", "cpu"), []
    for seed in range(count):
        latent = faces.mapping(seed=seed, truncation=0.7)
        began = time.process_time()
        result = drag(faces, latent, [(128, 150)], [(141, 150)])
        faces.synthesize(result.ws)
        noted.append(time.process_time() - began)
    return statistics.median(noted)


def line(engine: str, rows: Sequence[Row]) -> str:
    """Return a line of the table of engines, of the rows of one."""
    found = [row.left / row.asked for row in rows if not math.isnan(row.left)]
    median = lambda name: statistics.median(getattr(row, name) for row in rows)  # noqa: E731
    return (
        f"| `{engine}` | {sum(row.good for row in rows)} of {len(rows)} "
        f"| {100 * (1 - statistics.median(found)):.0f} % | {len(rows) - len(found)} | {median('ms_ssim'):.3f} "
        f"| {median('steps'):.0f} | {median('seconds'):.2f} |"
    )


def read_rows(file: Path) -> list[Row]:
    """Return the rows of a file; none where there is none."""
    if not file.exists():
        return []
    kinds = {field.name: {"str": str, "int": int, "float": float}[str(field.type)] for field in dataclasses.fields(Row)}
    with file.open(newline="") as stream:
        return [Row(**{name: kinds[name](value) for name, value in row.items()}) for row in csv.DictReader(stream)]


def add_rows(file: Path, rows: Sequence[Row]) -> None:
    """Add rows to a file, which begins with their names."""
    names, new = [field.name for field in dataclasses.fields(Row)], not file.exists()
    with file.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, names, lineterminator="\n")
        if new:
            writer.writeheader()
        for row in rows:
            told = dataclasses.asdict(row)
            writer.writerow(
                {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in told.items()}
            )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a built-in name, or the folder that train.py wrote")
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--drags", type=int, default=50)
    parser.add_argument("--identity", type=int, default=80, help="steps of learning each picture first; 0 for none")
    parser.add_argument("--engines", default="dragdiffusion,fastdrag")
    parser.add_argument("--rows", type=Path, help="a CSV file for what came of each pull; it is gone on with")
    parser.add_argument("--sheet", type=Path, help="a PNG of the first pulls: picture, inverted, pulled by each engine")
    options = parser.parse_args()
    model, engines = load_generator(options.model, "cpu"), options.engines.split(",")
    if options.samples:
        print(f"samples found as faces: {faces_among(model, options.samples)} of {options.samples}", flush=True)
    rows, shown = [] if options.rows is None else read_rows(options.rows), []
    for made, seen in measuring(model, options.drags, engines, options.identity, rows):
        rows += made
        shown.append(seen)
        if options.rows is not None:
            add_rows(options.rows, made)
        print(*(line(row.engine, [row]) if not math.isnan(row.left) else f"{row.engine}: no face" for row in made))
    for engine in engines:
        print(line(engine, [row for row in of_model(rows, model, options.identity) if row.engine == engine]))
    if options.sheet is not None and shown:
        to_image(torch.cat(shown[:12], dim=2)).save(options.sheet)


if __name__ == "__main__":
    main()
