"""Measure in pictures how far a held attribute stays as it is while a head is turned by a pull.

    python examples/generators/faces/holding.py faces --out DIR2 [--attribute smile] [--seeds 24] [--write]

DIR2 is the folder in which ``attributes.py`` has put the network that reads pictures. Of each sample the tip of the
nose is pulled sideways by 8 % of the picture: freely, and with the attribute held. Beside these the head is turned as
far by the attribute "yaw" alone, which leaves everything else as it is by construction: what is read of that is the
error of network and generator, which no way of holding can bring down. What was done stays in DIR2: run again to go on.
``--write`` puts the figures into docs/directions.md, and the rows into docs/data.
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
from attributes import NETWORK, PAGE, ROOT, drawn, in_lines
from dataset import SIZE
from measurer import OF_POSE, Measurer, nose_tips
from scene import LATENT
from torch import Tensor, nn

from draggan_widget import load_generator
from draggan_widget.directions import Directions
from draggan_widget.engines import Natural, begin_with
from draggan_widget.files import write_whole
from draggan_widget.models import fingerprint

PULLED = 0.08
"""Of the picture's width."""
TRUNCATION = 0.7
FIRST_SEED = 7000
MOST_STEPS = 60
MUST = 1 / 3
"""Of what it changes when it is not held, an attribute that is held may change by so much."""


def pulled(generator: nn.Module, latent: Tensor, nose: np.ndarray, way: float, held: np.ndarray | None) -> Tensor:
    """The latent after the nose was pulled sideways by so many pixels."""
    target = (float(np.clip(nose[0] + way, 1, SIZE - 2)), float(nose[1]))
    state = begin_with(generator, latent, [(1, (float(nose[0]), float(nose[1])), target)], None, Natural())
    state = state.with_held(held)
    while state.verdict is None and state.step < MOST_STEPS:
        state = state.steps(1)
    return state.ws


def turned(latent: Tensor, directions: Directions, read: Any, yaw: float) -> Tensor:
    """The latent whose picture is turned by about so many σ more, by the attribute alone."""
    first = read(latent)
    once = latent + directions.change({"yaw": yaw})
    went = read(once) - first
    share = yaw / went if went * yaw > 0 else 1.0
    return latent + directions.change({"yaw": yaw * float(np.clip(share, 0.5, 2))})


def measure(source: str, folder: Path, attribute: str, seeds: int) -> list[dict[str, float]]:
    """What the network reads of the attribute more than before: pulled freely, held, and turned alone."""
    generator, measurer = load_generator(source, device="cpu"), Measurer.load(folder / NETWORK)
    directions, place, turn = Directions(generator), LATENT.index(attribute), LATENT.index("yaw")
    kept, mark = folder / f"held-{attribute}.json", fingerprint(generator)
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
        ends = {name: pulled(generator, latent, nose, way, what) for name, what in (("free", None), ("held", held))}
        read = {name: measurer(drawn(generator, end))[0] for name, end in ends.items()}
        ends["turned"] = turned(latent, directions, yaw, float(read["held"][turn] - before[turn]))
        read["turned"] = measurer(drawn(generator, ends["turned"]))[0]
        here = directions.measure(latent, [attribute])[attribute]
        row: dict[str, float] = {}
        for name, said in read.items():
            row[name] = round(float(said[place] - before[place]), 3)
            row[f"{name} yaw"] = round(float(said[turn] - before[turn]), 3)
            row[f"{name} latent"] = round(directions.measure(ends[name], [attribute])[attribute] - here, 3)
        rows.append(row)
        text = json.dumps({"of": mark, "rows": rows}, indent=1) + "\n"
        write_whole(kept, text.encode())
        print(number, row, flush=True)
    return rows[:seeds]


def summary(attribute: str, rows: list[dict[str, float]]) -> str:
    """The figures in a few sentences."""
    size = {name: float(np.mean([abs(row[name]) for row in rows])) for name in ("free", "held", "turned")}
    off = {name: float(np.mean([abs(row[name] - row["turned"]) for row in rows])) for name in ("free", "held")}
    share = size["held"] / max(size["free"], 1e-9)
    return (
        f"A nose pulled sideways by {100 * PULLED:.0f} % changes the {attribute} as read in the picture by "
        f"{size['free']:.2f} σ on average ({len(rows)} samples), and by {size['held']:.2f} σ where it is held, "
        f"{share:.2f} of it ({MUST:.2f} asked). Heads that are turned as far by *yaw* alone are read as "
        f"{size['turned']:.2f} σ away from where they began, which is the error of reading; beside these, pulled "
        f"ones are {off['free']:.2f} σ off, and {off['held']:.2f} σ where it is held."
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
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"put the figures into {PAGE.name}")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        rows = measure(options.source, options.out, options.attribute, options.seeds)
    except FileNotFoundError as error:
        print(f"Cannot measure: {error}", file=sys.stderr)
        return 1
    said = summary(options.attribute, rows)
    print(said)
    if options.write:
        from evaluate import put_in

        put_in(PAGE, f"held {options.attribute}", in_lines(said))
        write_whole(rows_file(options.attribute), as_table(rows).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
