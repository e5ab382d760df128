"""Measure a small diffusion model of faces: are its samples faces, does it invert pictures, do pulls arrive.

    python examples/generators/faces_diffusion/measure.py FOLDER [--samples 50] [--drags 50] [--identity 80]
                                                          [--out FILE.json] [--sheet FILE.png]

Pulls have a known motion: the renders of ``tests/data/heads`` show one head at several moments, and the renderer knows
where its landmarks are. The picture of one moment is inverted, landmarks are pulled to where they are at another, and
dlib says how far they came, compared with what it says of the unpulled picture.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from draggan_widget import drag, load_generator
from draggan_widget.engines import to_image
from draggan_widget.inversion import Landmarks, ms_ssim, psnr
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


def measure(model: Diffusion, samples: int, count: int, steps: int, sheet: Path | None) -> dict[str, object]:
    """Return all figures."""
    find, side, rows = Landmarks(), model.resolution[0], []
    drawn = [to_image(model.synthesize(model.mapping(seed=seed))) for seed in range(samples)]
    faces = sum(find(enlarged(picture)) is not None for picture in drawn)
    noted: dict[str, list[float]] = {"psnr": [], "ms_ssim": [], "share": [], "seconds": []}
    unseen = 0
    for pull in spread(pulls(HEADS, side), count):
        picture = as_tensor(pull.picture, side)
        learnt = knowing(model, picture, steps)
        latent = inverted(learnt, picture, refine=2)
        again = learnt.synthesize(latent)
        noted["psnr"].append(psnr(again, picture))
        began = time.perf_counter()
        result = drag(learnt, latent, list(pull.handles), list(pull.targets))
        after = learnt.synthesize(result.ws)
        noted["seconds"].append(time.perf_counter() - began)
        noted["ms_ssim"].append(ms_ssim(after, again))
        seen = [find(enlarged(to_image(each))) for each in (again, after)]
        rows.append(torch.cat([picture, again, after], dim=3))
        if seen[0] is None or seen[1] is None:
            unseen += 1
            continue
        scale = side / ENLARGED
        was, left = left_to_go(*(each * scale for each in seen), pull)
        noted["share"].append(left / was)
    if sheet is not None:
        to_image(torch.cat(rows[:12], dim=2)).save(sheet)
    nearer = sum(share <= 2 / 3 for share in noted["share"])
    return {
        "samples found as faces": f"{faces} of {samples}",
        "PSNR of inversion and back, median": statistics.median(noted["psnr"]),
        "pulls whose distance fell by a third": f"{nearer} of {len(noted['share']) + unseen}",
        "pulls after which no face was found": unseen,
        "distance left, median share": statistics.median(noted["share"]) if noted["share"] else None,
        "MS-SSIM to the unpulled picture, median": statistics.median(noted["ms_ssim"]),
        "seconds of a pull, median": statistics.median(noted["seconds"]),
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the folder that train.py wrote")
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--drags", type=int, default=50)
    parser.add_argument("--identity", type=int, default=80, help="steps of learning each picture first; 0 for none")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    parser.add_argument("--sheet", type=Path, help="a PNG of the first pulls: picture, inverted, pulled")
    options = parser.parse_args()
    model = load_generator(options.model)
    figures = measure(model, options.samples, options.drags, options.identity, options.sheet)
    for what, figure in figures.items():
        print(f"{what}: {figure}")
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
