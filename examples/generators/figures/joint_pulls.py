"""Pull joints and the ends of clothes of a generator's people, and read off its pictures where they went.

    python examples/generators/figures/joint_pulls.py DIR/figures.safetensors --renders DIR --reader FILE
                                                      [--csv FILE] [--pulls 50] [--kinds "hand up" …]

Eight kinds of pulls, 50 people each that no render was learned of. A pull has done its work if the point, as the
reader (``reader.py``) sees it before and after, ends within 4 % of the picture's height from where it was to go, and
has gone at least half the way; of a head that turns, the nose counts relative to the neck. Rows of the file that are
there already are not done again, so the same command goes on; those of other weights are not kept. First is told how
well the reader reads: renders that nothing has learned from, and the generator's pictures of the same latents, where
the truth is known as well.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import beside  # noqa: F401  for what is shared
import numpy as np
from body import BodyBasis
from people import FIGURES, SHAPE
from person import LATENT, Person, person_from_latent
from reader import Reader, load_reader, read_points
from sheets import Edit, picture_of
from whole import write_atomically

from draggan_widget import drag, load_generator
from draggan_widget.models import Generator, fingerprint

NEAR = 0.04 * SHAPE[0]
"""Pixels from the target within which a point has arrived."""
HALF = 0.5
"""The share of the way that must have been gone."""
TRUNCATION = 0.85
FIRST_SEED = 70_000
MOST_TRIED = 4000
"""People among whom those are looked for whom a kind of pull can be tried on."""

Points = dict[str, np.ndarray]


@dataclass(frozen=True)
class Kind:
    """One kind of pull."""

    handle: str
    """The point that is grabbed."""
    to: Callable[[Points], np.ndarray]
    """Where it is to go."""
    fits: Callable[[Person], bool] = lambda person: True
    """Whether it can be tried on somebody."""
    against: str | None = None
    """The point relative to which the way is measured, if any."""


def _outward(points: Points, handle: str, by: float) -> np.ndarray:
    return points[handle] + _across(points[handle] - points["pelvis"], by)


def _across(way: np.ndarray, by: float) -> np.ndarray:
    """A way to the left or right, as ``way`` goes."""
    return np.array([(np.sign(way[0]) or 1.0) * by * SHAPE[0], 0.0])


def _towards(points: Points, handle: str, goal: str, by: float) -> np.ndarray:
    way = points[goal] - points[handle]
    return points[handle] + by * SHAPE[0] * way / (np.linalg.norm(way) + 1e-6)


def _down(points: Points, handle: str, by: float) -> np.ndarray:
    return points[handle] + np.array([0.0, by * SHAPE[0]])


KINDS: dict[str, Kind] = {
    "hand up": Kind("hand_left", lambda points: _down(points, "hand_left", -0.10)),
    "hand out": Kind("hand_left", lambda points: _outward(points, "hand_left", 0.08)),
    "foot out": Kind("ankle_left", lambda points: _outward(points, "ankle_left", 0.06)),
    "head turned": Kind(
        "nose",
        lambda points: points["nose"] + _across(points["neck"] - points["nose"], 0.025),
        against="neck",
    ),
    "sleeve longer": Kind(
        "sleeve_end_left",
        lambda points: _towards(points, "sleeve_end_left", "wrist_left", 0.06),
        lambda person: person.lengths["sleeve"] < 0.6,
    ),
    "trousers shorter": Kind(
        "trouser_end_left",
        lambda points: _down(points, "trouser_end_left", -0.08),
        lambda person: person.lengths["trousers"] < -21.0,
    ),
    "skirt longer": Kind(
        "skirt_hem",
        lambda points: _down(points, "skirt_hem", 0.07),
        lambda person: -21.0 < person.lengths["skirt"] < -15.0,
    ),
    "waist wider": Kind("waist_left", lambda points: _outward(points, "waist_left", 0.03)),
}


@dataclass(frozen=True)
class Row:
    """What came of one pull; lengths in pixels."""

    kind: str
    seed: int
    asked: float
    """How far the point was to go."""
    error: float
    """How far from the target it ended."""
    gone: float
    """The share of the way that it went."""
    reason: str
    steps: int
    seconds: float
    """Of processor time."""
    weights: str
    """The first digits of their fingerprint."""

    @property
    def good(self) -> bool:
        """Whether the pull has done its work."""
        return self.error <= NEAR and self.gone >= HALF


def judged(kind: Kind, before: Points, after: Points, target: np.ndarray) -> tuple[float, float]:
    """How far the handle ended from the target, and the share of the way that it went."""
    start = before[kind.handle]
    moved = after[kind.handle] - start
    if kind.against is not None:
        moved = moved - (after[kind.against] - before[kind.against])
    way = target - start
    return float(np.linalg.norm(after[kind.handle] - target)), float(moved @ way / (way @ way))


def seen_points(reader: Reader, picture: np.ndarray) -> Points:
    """The points that are read off a picture ``(256, 128, 3)``."""
    from draw import POINTS  # which needs a package that draws

    return dict(zip(POINTS, read_points(reader, picture[None])[0].astype(float)))


def people(kind: Kind, basis: BodyBasis, renderer, count: int) -> Iterator[int]:
    """The seeds of people whom a kind of pull can be tried on, whose handle the renderer sees."""
    from draw import POINTS

    place = POINTS.index(kind.handle)
    for seed in range(FIRST_SEED, FIRST_SEED + MOST_TRIED):
        person = person_from_latent(np.random.RandomState(seed).randn(len(LATENT)), basis)
        if kind.fits(person) and renderer.points(person)[1][place]:
            yield seed
            count -= 1
            if not count:
                return


def pull(generator: Generator, reader: Reader, name: str, seed: int, weights: str) -> tuple[Row, Edit]:
    """Do one pull; return what came of it, and what it looks like."""
    kind = KINDS[name]
    ws = generator.mapping(seed=seed, truncation=TRUNCATION)
    picture = picture_of(generator, ws)
    before = seen_points(reader, picture)
    high, wide = SHAPE
    handle, target = before[kind.handle], np.clip(kind.to(before), 0, (wide - 1, high - 1))
    began = time.process_time()
    result = drag(generator, ws, [handle], [target])
    seconds = time.process_time() - began
    after = seen_points(reader, np.array(result.image))
    error, gone = judged(kind, before, after, target)
    asked = float(np.linalg.norm(target - handle))
    figures = (round(asked, 2), round(error, 2), round(gone, 3), result.reason, result.steps, round(seconds, 2))
    return Row(name, seed, *figures, weights), Edit(name, picture, [handle], [target], result.image)


def finished_rows(file: Path) -> list[Row]:
    """The rows of a file; none where there is no file."""
    if not file.exists():
        return []
    of = {"str": str, "int": int, "float": float}
    with file.open(newline="") as stream:
        return [Row(**{field.name: of[field.type](row[field.name]) for field in fields(Row)})
                for row in csv.DictReader(stream)]  # fmt: skip


def keep_rows(file: Path, rows: list[Row]) -> None:
    """Write all rows, whole or not at all."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    write_atomically(file, lambda stream: stream.write(text.getvalue().encode()))


def weights_of(generator: Generator) -> str:
    """How rows name the weights that they were measured with."""
    return fingerprint(generator)[:8]


def measured_pulls(
    generator: Generator, reader: Reader, basis: BodyBasis, renderer, file: Path, count: int, kinds: Sequence[str]
) -> list[Row]:
    """The rows of ``count`` pulls of each kind, kept in a file as they come; those of other weights are not kept."""
    weights = weights_of(generator)
    rows = [row for row in finished_rows(file) if row.weights == weights]
    done = {(row.kind, row.seed) for row in rows}
    for name in kinds:
        for seed in people(KINDS[name], basis, renderer, count):
            if (name, seed) not in done:
                rows.append(pull(generator, reader, name, seed, weights)[0])
                keep_rows(file, rows)
    return rows


def summary(rows: list[Row]) -> str:
    """A table of what came of the pulls."""
    lines = [
        "| pull | people | done | median error, px | median share of the way | steps | s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in KINDS:
        mine = [row for row in rows if row.kind == name]
        if mine:
            good = 100 * np.mean([row.good for row in mine])
            error, gone, steps, seconds = (
                np.median([getattr(row, field) for row in mine]) for field in ("error", "gone", "steps", "seconds")
            )
            figures = f"{good:.0f} % | {error:.1f} | {gone:.2f} | {steps:.3g} | {seconds:.2f}"
            lines.append(f"| {name} | {len(mine)} | {figures} |")
    return "\n".join(lines)


def reading(generator: Generator, reader: Reader, basis: BodyBasis, renderer, count: int = 100) -> str:
    """How well points are read off renders, and off the generator's pictures of the same latents, in one line."""
    apart: dict[str, list[np.ndarray]] = {"renders": [], "the generator's pictures": []}
    for seed in range(FIRST_SEED - count, FIRST_SEED):
        z = np.random.RandomState(seed).randn(1, len(LATENT))
        render, points, seen = renderer.with_points(person_from_latent(z[0], basis))
        for name, picture in zip(apart, (render, picture_of(generator, generator.mapping(z)))):
            read = read_points(reader, picture[None])[0]
            apart[name].append(np.linalg.norm(read - points, axis=1)[seen])
    parts = []
    for name, errors in apart.items():
        flat = np.concatenate(errors)
        parts.append(f"{name}: {np.median(flat):.2f} px in the median, {100 * np.mean(flat > NEAR):.1f} % beyond 4 %")
    return "points are read off " + "; ".join(parts)


def main() -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", help="a file of weights of figures")
    parser.add_argument("--renders", type=Path, required=True, help="a folder of make.py, for its basis")
    parser.add_argument("--reader", type=Path, required=True, help="the file of reader.py")
    parser.add_argument("--csv", type=Path, default=Path("joint_pulls.csv"))
    parser.add_argument("--pulls", type=int, default=50, help="of each kind")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    options = parser.parse_args()
    basis_file = options.renders / "basis.npz"
    try:
        reader = load_reader(options.reader)
        generator = load_generator(options.weights, device="cpu")
        if not basis_file.exists():
            raise FileNotFoundError(f"{options.renders} holds no basis.npz: run make.py --out {options.renders} first")
        if generator.resolution != FIGURES.size or generator.z_dim != len(LATENT):
            raise ValueError(f"{options.weights} draws no figures: name weights that make.py beside this file made")
    except (OSError, ValueError) as error:
        print(f"Cannot pull: {error}", file=sys.stderr)
        return 1
    from draw import Renderer

    basis = BodyBasis.load(basis_file)
    renderer = Renderer(basis)
    print(reading(generator, reader, basis, renderer), flush=True)
    rows = measured_pulls(generator, reader, basis, renderer, options.csv, options.pulls, options.kinds)
    print(summary(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
