"""Measure in pictures how far a held attribute stays as it is while a head is turned by a pull.

    python examples/generators/faces/holding.py faces --out DIR2 [--attribute smile] [--seeds 24]
                                                       [--engine natural] [--write]

DIR2 is the folder in which ``attributes.py`` has put the network that reads pictures. Of each sample the tip of the
nose is pulled sideways by 8 % of the picture: freely, and with the attribute held. Beside each of the two the head is
turned as far as there by the attribute "yaw" alone, which leaves everything else as it is by construction. What is read
of that more than before is the error of network and generator at this turn, which no way of holding can bring down; so
what a pull has changed is what is read beyond it. What was done stays in DIR2: run again to go on. ``--write`` puts the
figures into docs/directions.md, and the rows into docs/data.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import beside  # noqa: F401  for what is shared
import numpy as np
import torch
from attributes import NETWORK, PAGE, ROOT, drawn, in_lines, mark_of
from dataset import SIZE
from measurer import OF_POSE, Measurer, nose_tips
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


def measure(source: str, folder: Path, attribute: str, seeds: int, engine: str) -> list[dict[str, float]]:
    """What the network reads of the attribute more than before: pulled freely, held, and turned alone."""
    generator, measurer = load_generator(source, device="cpu"), Measurer.load(folder / NETWORK)
    directions, place, turn = Directions(generator), LATENT.index(attribute), LATENT.index("yaw")
    kept, mark = folder / f"held-{attribute}-{engine}.json", mark_of(generator, measurer)
    known = json.loads(kept.read_text()) if kept.exists() else {}
    rows: list[dict[str, float]] = known["rows"] if known.get("of") == mark else []
    held = directions.held([attribute])

    def yaw(latent: Tensor) -> float:
        return float(measurer(drawn(generator, latent))[0, turn])

    for number in range(len(rows), seeds):
        latent = generator.space.draw(seed=FIRST_SEED + number, truncation=TRUNCATION)
        before = measurer(drawn(generator, latent))[0]
        nose = nose_tips(torch.from_numpy(before[None, OF_POSE]).float())[0].numpy()
        way = PULLED * SIZE * (-1) ** number
        ends = {
            name: pulled(generator, latent, nose, way, what, engine) for name, what in (("free", None), ("held", held))
        }
        read = {name: measurer(drawn(generator, end))[0] for name, end in ends.items()}
        for name in ("free", "held"):
            far = float(read[name][turn] - before[turn])
            end = ends[f"{name} turn"] = turned(latent, directions, yaw, float(before[turn]), far)
            read[f"{name} turn"] = measurer(drawn(generator, end))[0]
        here = directions.measure(latent, [attribute])[attribute]
        row: dict[str, float] = {}
        for name, said in read.items():
            row[name] = round(float(said[place] - before[place]), 3)
            row[f"{name} yaw"] = round(float(said[turn] - before[turn]), 3)
            row[f"{name} latent"] = round(directions.measure(ends[name], [attribute])[attribute] - here, 4)
        rows.append(row)
        text = json.dumps({"of": mark, "rows": rows}, indent=1) + "\n"
        write_whole(kept, text.encode())
        print(number, row, flush=True)
    return rows[:seeds]


def summary(attribute: str, rows: list[dict[str, float]], engine: str) -> str:
    """The figures of an engine in a few sentences."""
    names = ("free", "held")
    raw = {name: float(np.mean([abs(row[name]) for row in rows])) for name in names}
    alone = {name: float(np.mean([abs(row[f"{name} turn"]) for row in rows])) for name in names}
    beyond = {name: float(np.mean([abs(row[name] - row[f"{name} turn"]) for row in rows])) for name in names}
    latent = {name: float(np.mean([abs(row[f"{name} latent"]) for row in rows])) for name in names}
    return (
        f"A nose that `{engine}` pulls sideways by {100 * PULLED:.0f} % changes the {attribute} as read in the "
        f"picture by {raw['free']:.2f} σ on average ({len(rows)} samples), and by {raw['held']:.2f} σ where it is "
        f"held. Most of that is the turn itself: heads turned as far by *yaw* alone are read as {alone['free']:.2f} "
        f"and {alone['held']:.2f} σ away from where they began. Beyond such a head the pull changes it by "
        f"{beyond['free']:.3f} σ, and by {beyond['held']:.3f} σ where it is held: "
        f"{beyond['held'] / max(beyond['free'], 1e-9):.2f} of it ({MUST:.2f} asked). In the latent it is "
        f"{latent['free']:.3f} and {latent['held']:.4f} σ."
    )


def rows_file(attribute: str) -> Path:
    """Where the rows of an attribute are kept with the docs."""
    return ROOT / f"docs/data/held_{attribute}.csv"


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
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument("--engine", default="natural", help="by which is pulled: natural, draggan")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"put the figures into {PAGE.name}")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        rows = measure(options.source, options.out, options.attribute, options.seeds, options.engine)
    except FileNotFoundError as error:
        print(f"Cannot measure: {error}", file=sys.stderr)
        return 1
    said = summary(options.attribute, rows, options.engine)
    print(said)
    if options.write:
        from pages import put_in

        put_in(PAGE, f"held {options.attribute}", in_lines(said))
        write_whole(rows_file(options.attribute), as_table(rows).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
