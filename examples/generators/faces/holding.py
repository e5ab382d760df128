"""Measure in pictures how far a held attribute stays as it is while a head is turned by a pull.

    python examples/generators/faces/holding.py faces --out DIR2 [--basis FILE] [--attribute smile] [--seeds 60]
                                                       [--engine natural] [--heads 60] [--write]

DIR2 is the folder in which ``attributes.py`` has put the network that reads pictures. Of each sample the tip of the
nose is pulled sideways by 8 % of the picture: freely, and with the attribute held. What the network reads of a turned
head has an error, which no way of holding can bring down. So it is told by renders how large that is: heads are drawn
twice, turned by one σ, with the same attribute. And beside each of the two pulls there are two heads in whose latents
the attribute is as it was: one turned as far by "yaw" alone, and one in which all others have changed as in the pull,
the pose as it is read and the rest as the latent has it. What a pull has changed is what is read beyond these; the
second says it best, since the network errs by what else has changed too, such as the light. To tell what comes of
holding as such from what comes of holding this very attribute, another one is held in its place as well.

What was done stays in DIR2: run again to go on. ``--write`` puts the figures into docs/directions.md, and the rows into
docs/data.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import beside  # noqa: F401  for what is shared
import numpy as np
import torch
from attributes import NETWORK, PAGE, ROOT, drawn, in_lines, mark_of
from dataset import SIZE, basis_at, drawer
from measure import edition_of
from measurer import OF_POSE, POSE, Measurer, nose_tips
from scene import LATENT
from torch import Tensor, nn

from draggan_widget import load_generator
from draggan_widget.directions import Directions
from draggan_widget.engines import begin_with, engine_named
from draggan_widget.files import write_whole

PULLED = 0.08
"""Of the picture's width."""
TRUNCATION = 0.7
FIRST_SEED = 7000
MOST_STEPS = 60
ROUNDS = 2
"""In which a head is brought to the pose that was read of another."""
TURN = LATENT.index("yaw")
WAYS = "free", "held", "other"
OTHER = "back_blue"
"""What is held in the place of the attribute, which has nothing to do with it."""
HEADS_SEED = 31
"""Of the heads that are drawn."""
MUST = 1 / 3
"""Of what it changes when it is not held, an attribute that is held may change by so much."""


def pulled(
    generator: nn.Module, latent: Tensor, nose: np.ndarray, way: float, held: np.ndarray | None, engine: str
) -> Tensor:
    """The latent after the nose was pulled sideways by so many pixels, as an engine does."""
    target = (float(np.clip(nose[0] + way, 1, SIZE - 2)), float(nose[1]))
    settings = engine_named(engine).defaults(generator)
    state = begin_with(generator, latent, [(1, (float(nose[0]), float(nose[1])), target)], None, settings)
    state = state.with_held(held)
    while state.verdict is None and state.step < MOST_STEPS:
        state = state.steps(1)
    return state.ws


def turned(latent: Tensor, directions: Directions, read: Any, first: float, yaw: float) -> Tensor:
    """The latent whose picture is turned by about so many σ more, by the attribute alone.

    :param read: reads the yaw of a latent's picture. :param first: what it reads of ``latent``.
    """
    once = latent + directions.change({"yaw": yaw})
    went = read(once) - first
    share = yaw / went if went * yaw > 0 else 1.0
    return latent + directions.change({"yaw": yaw * float(np.clip(share, 0.5, 2))})


def likewise(
    latent: Tensor, end: Tensor, directions: Directions, attribute: str, read: Any, goal: np.ndarray
) -> Tensor:
    """The latent in which all has changed as in ``end`` but an attribute: the pose as read, the rest as there.

    :param read: reads the 80 numbers (80,) of a latent's picture. :param goal: what it reads of ``end``.
    """
    before, after = directions.measure(latent, LATENT), directions.measure(end, LATENT)
    amounts = {name: after[name] - before[name] for name in LATENT if name != attribute}
    for _ in range(ROUNDS):
        off = goal - read(latent + directions.change(amounts))
        amounts |= {name: amounts[name] + float(off[LATENT.index(name)]) for name in POSE if name != attribute}
    return latent + directions.change(amounts)


def going_on(kept: Path, mark: str, count: int, row: Callable[[int], dict[str, float]]) -> list[dict[str, float]]:
    """The first rows, of which those are made that are not in a file yet; others than ``mark`` says are made anew."""
    known = json.loads(kept.read_text()) if kept.exists() else {}
    rows: list[dict[str, float]] = known["rows"] if known.get("of") == mark else []
    for number in range(len(rows), count):
        rows.append(row(number))
        write_whole(kept, (json.dumps({"of": mark, "rows": rows}, indent=1) + "\n").encode())
        print(number, rows[-1], flush=True)
    return rows[:count]


def measure(source: str, folder: Path, attribute: str, seeds: int, engine: str) -> list[dict[str, float]]:
    """What the network reads of the attribute more than before: pulled in each way, and of heads beside these."""
    generator, measurer = load_generator(source, device="cpu"), Measurer.load(folder / NETWORK)
    directions, place = Directions(generator), LATENT.index(attribute)
    ways = dict(zip(WAYS, (None, directions.held([attribute]), directions.held([OTHER])), strict=True))

    def read(latent: Tensor) -> np.ndarray:
        return measurer(drawn(generator, latent))[0]

    def yaw(latent: Tensor) -> float:
        return float(read(latent)[TURN])

    def row(number: int) -> dict[str, float]:
        latent = generator.space.draw(seed=FIRST_SEED + number, truncation=TRUNCATION)
        before = read(latent)
        nose = nose_tips(torch.from_numpy(before[None, OF_POSE]).float())[0].numpy()
        way = PULLED * SIZE * (-1) ** number
        here = directions.measure(latent, [attribute])[attribute]
        made: dict[str, float] = {}
        for name, what in ways.items():
            end = pulled(generator, latent, nose, way, what, engine)
            goal = read(end)
            turn = turned(latent, directions, yaw, float(before[TURN]), float(goal[TURN] - before[TURN]))
            same = likewise(latent, end, directions, attribute, read, goal)
            ends = {
                name: (end, goal),
                f"{name} turn": (turn, read(turn)),
                f"{name} likewise": (same, read(same)),
            }
            for which, (there, said) in ends.items():
                made[which] = round(float(said[place] - before[place]), 3)
                made[f"{which} yaw"] = round(float(said[TURN] - before[TURN]), 3)
                made[f"{which} latent"] = round(directions.measure(there, [attribute])[attribute] - here, 4)
        return made

    kept = folder / f"held-{attribute}-{engine}.json"
    return going_on(kept, mark_of(generator, measurer, ROUNDS), seeds, row)


def turned_heads(attribute: str, heads: int) -> tuple[np.ndarray, np.ndarray]:
    """Heads (n, 80) at unit mean square, and the same turned by one σ with that attribute as it was.

    They turn towards the front, so that none is to turn farther than heads do.
    """
    z = np.random.RandomState(HEADS_SEED).randn(heads, len(LATENT))
    z /= np.sqrt(np.square(z).mean(1, keepdims=True))
    there = z.copy()
    there[:, TURN] -= np.where(z[:, TURN] > 0, 1, -1)
    kept = np.isin(np.arange(len(LATENT)), [TURN, LATENT.index(attribute)])
    room = len(LATENT) - np.square(there[:, kept]).sum(1, keepdims=True)
    there[:, ~kept] *= np.sqrt(room / np.square(there[:, ~kept]).sum(1, keepdims=True))
    return z, there


def misread(source: str, folder: Path, basis_file: Path, attribute: str, heads: int) -> list[dict[str, float]]:
    """What the network reads more of renders that are turned, and whose attribute is the same."""
    measurer, edition, place = Measurer.load(folder / NETWORK), edition_of(source), LATENT.index(attribute)
    basis_at(basis_file)
    draw, (z, there) = drawer(basis_file, edition), turned_heads(attribute, heads)

    def row(number: int) -> dict[str, float]:
        before, after = measurer(np.stack([draw(each[number])[0] for each in (z, there)]))
        said = {"read": after[place] - before[place], "yaw": after[TURN] - before[TURN]}
        return {name: round(float(value), 3) for name, value in said.items()}

    mark = hashlib.sha256(json.dumps([edition, measurer.scores.tolist(), HEADS_SEED]).encode()).hexdigest()
    return going_on(folder / f"misread-{attribute}.json", mark, heads, row)


def _mean(values: np.ndarray) -> str:
    return f"{values.mean():.3f} ± {values.std() / len(values) ** 0.5:.3f}"


def summary(attribute: str, rows: list[dict[str, float]], engine: str, misreads: list[dict[str, float]]) -> str:
    """The figures of an engine in a few sentences; means have their standard errors."""

    def off(name: str, other: str | None = None) -> np.ndarray:
        return np.array([abs(row[name] - (row[other] if other else 0.0)) for row in rows])

    def part(other: str | None) -> float:
        free, held = (off(name, other and f"{name} {other}").mean() for name in ("free", "held"))
        return float(held / max(free, 1e-9))

    errors = np.array([row["read"] for row in misreads])
    one, every = ({way: off(way, f"{way} {other}") for way in WAYS} for other in ("turn", "likewise"))
    return (
        f"A nose that `{engine}` pulls sideways by {100 * PULLED:.0f} % changes the {attribute} as read in the "
        f"picture by {_mean(off('free'))} σ on average ({len(rows)} samples), and by {_mean(off('held'))} σ where it "
        f"is held: {part(None):.2f} of it. Most of that is the error of the network. Of renders that are turned by "
        f"one σ, and whose {attribute} is the same, it reads {_mean(np.abs(errors))} σ more or less ({len(errors)} "
        f"heads; {errors.mean():+.3f} with its sign); of heads of the generator that are turned as far as the pulled "
        f"ones by *yaw* alone {off('free turn').mean():.3f} and {off('held turn').mean():.3f} σ. Beyond these the "
        f"pull changes it by {_mean(one['free'])} σ, and by {_mean(one['held'])} σ where it is held: "
        f"{part('turn'):.2f} of it. Beyond heads in which all but the {attribute} has changed likewise it is "
        f"{_mean(every['free'])} σ (median {np.median(every['free']):.3f}) and {_mean(every['held'])} σ (median "
        f"{np.median(every['held']):.3f}): {part('likewise'):.2f} of it ({MUST:.2f} asked), and "
        f"{_mean(every['other'])} σ where *{OTHER}* is held in its place. In the latent it is "
        f"{off('free latent').mean():.3f}, {off('held latent').mean():.4f} and {off('other latent').mean():.3f} σ."
    )


def named(attribute: str, engine: str) -> str:
    """What the figures of an attribute and engine are called; those of `natural` by the attribute alone."""
    return f"held {attribute}" if engine == "natural" else f"held {attribute} {engine}"


def rows_file(name: str) -> Path:
    """Where the rows of what is called so are kept with the docs."""
    return ROOT / f"docs/data/{name.replace(' ', '_')}.csv"


def as_table(rows: list[dict[str, float]]) -> str:
    """Rows as comma-separated values: what is read, of which turn, and what the latent says, all in σ."""
    lines = [",".join(["sample", *(name.replace(" ", "_") for name in rows[0])])]
    lines += [",".join(map(str, [number, *row.values()])) for number, row in enumerate(rows)]
    return "\n".join(lines) + "\n"


def main() -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="a built-in name, or a file of weights")
    parser.add_argument("--out", type=Path, required=True, help="folder of attributes.py, with its network")
    parser.add_argument("--attribute", default="smile", choices=LATENT, metavar="NAME")
    basis = Path(__file__).parent / "out/basis.npz"
    parser.add_argument("--basis", type=Path, default=basis, help="to draw heads with")
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--heads", type=int, default=60, help="that are drawn, to tell the error of the network")
    parser.add_argument("--engine", default="natural", help="by which is pulled: natural, draggan")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"put the figures into {PAGE.name}")
    options = parser.parse_args()
    if options.seeds < 1 or options.heads < 1:
        parser.error("--seeds and --heads must be at least 1")
    torch.set_num_threads(options.threads)
    try:
        misreads = misread(options.source, options.out, options.basis, options.attribute, options.heads)
        rows = measure(options.source, options.out, options.attribute, options.seeds, options.engine)
    except FileNotFoundError as error:
        print(f"Cannot measure: {error}", file=sys.stderr)
        return 1
    said = summary(options.attribute, rows, options.engine, misreads)
    print(said)
    if options.write:
        from pages import put_in

        name = named(options.attribute, options.engine)
        put_in(PAGE, name, in_lines(said))
        write_whole(rows_file(name), as_table(rows).encode())
        write_whole(rows_file(f"misread {options.attribute}"), as_table(misreads).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
