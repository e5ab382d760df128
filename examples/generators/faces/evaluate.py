"""Measure a face generator: faces found, variety, how well landmarks can be dragged, time. Show samples and edits.

    python examples/generators/faces/evaluate.py faces                       # a built-in name or a file
    python examples/generators/faces/evaluate.py faces --card CARD           # put the figures into a card
    python examples/generators/faces/evaluate.py FILE --search ablation.json   # which drag settings are best
    python examples/generators/faces/evaluate.py faces --show docs             # faces.jpg and edits.jpg in that folder

A search that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import beside  # noqa: F401  for what is shared
import numpy as np
import torch
from measure import edition_of
from pages import put_in
from pulls import DISTANCE, Team, summary
from sheets import picture_of, sample_sheet
from show import edit_strip
from variety import Faces

from draggan_widget import DragConfig, drag, load_generator
from draggan_widget.inversion import Landmarks
from draggan_widget.models import Generator, find_checkpoint

FIRST_SAMPLE = 1000
SLOW = 24
"""Pulls that the authors' formulas are given, which take long."""
CAP = 60
"""Steps after which a run of the authors' formulas, which has no cap of its own, is ended."""


def milliseconds(generator: Generator, rounds: int = 20) -> tuple[float, float]:
    """The median time of one picture, latent to pixels, and of one step of a drag."""
    pictures = []
    ws = generator.mapping(seed=0, truncation=0.7)
    for _ in range(rounds):
        began = time.perf_counter()
        picture_of(generator, ws)
        pictures.append(time.perf_counter() - began)
    steps, began = [], time.perf_counter()

    def tell(_state: object) -> None:
        nonlocal began
        steps.append(time.perf_counter() - began)
        began = time.perf_counter()

    far = generator.drag_config.replace(max_steps=rounds, stall_steps=None, tolerance=0.0)
    middle = generator.resolution[1] / 2
    drag(generator, ws, [(middle, middle)], [(middle * 1.5, middle)], config=far, callback=tell)
    return 1e3 * statistics.median(pictures), 1e3 * statistics.median(steps[1:])


def samples(generator: Generator, count: int, truncation: float) -> Iterator[np.ndarray]:
    """The pictures of seeds 1000, 1001, …"""
    for seed in range(FIRST_SAMPLE, FIRST_SAMPLE + count):
        yield picture_of(generator, generator.mapping(seed=seed, truncation=truncation))


def renders(basis_file: Path, count: int, edition: int) -> Iterator[np.ndarray]:
    """As many pictures by the renderer of an ``edition``, of latents that no training uses."""
    from dataset import SIZE, basis_at
    from render import Renderer, halve
    from scene import LATENT, scene_from_latent

    basis = basis_at(basis_file)
    renderer = Renderer(basis, size=2 * SIZE, edition=edition)
    for latent in np.random.default_rng(FIRST_SAMPLE).normal(size=(count, len(LATENT))):
        yield halve(renderer(scene_from_latent(latent, basis, edition)))


SHARES = ("found", "good", "within", "same_face", "face_found", "arrived")
"""Figures that are shown in percent."""
LEFT_OUT = ("pulls", "outside", "changed")


def table(rows: dict[str, dict[str, float]]) -> str:
    """Markdown: a line for each row, a column for each figure."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row if name not in LEFT_OUT))
    lines = [
        "| |" + "|".join(f" {name.removeprefix('error_').replace('_', ' ')} " for name in columns) + "|",
        "|---" * (len(columns) + 1) + "|",
    ]

    def cell(row: dict[str, float], name: str) -> str:
        if name not in row:
            return " – "
        return f" {row[name]:.0%} ".replace("%", " %") if name in SHARES else f" {row[name]:.3g} "

    lines += [f"| {title} |" + "|".join(cell(row, name) for name in columns) + "|" for title, row in rows.items()]
    return "\n".join(lines)


def report(name: str, basis_file: Path, looked_at: int, pulled: int, card: Path | None = None) -> None:
    """Print all figures as they come, in tables; put them into a ``card`` too."""
    generator, find = load_generator(name, device="cpu"), Landmarks()

    def tell(place: str, text: str) -> None:
        print(text + "\n", flush=True)
        if card is not None:
            put_in(card, place, text)

    edition = edition_of(name)
    print(f"{name} is of edition {edition}, and so are the renders it is compared with\n")
    picture, step = milliseconds(generator)
    weights = sum(weight.numel() for weight in generator.parameters())
    tell(
        "size",
        f"{weights / 1e6:.2f} million parameters, stored as float16: "
        f"{find_checkpoint(name).stat().st_size / 1e6:.1f} MB. {picture:.0f} ms a picture and {step:.0f} ms a step of "
        f"`draggan` by {torch.get_num_threads()} threads of the processor that measured it.",
    )
    seen = {
        "renders": Faces(renders(basis_file, looked_at, edition), find),
        "truncation 1.0": Faces(samples(generator, looked_at, 1.0), find),
        "truncation 0.7": Faces(samples(generator, looked_at, 0.7), find),
    }
    tell("variety", table({title: {"found": faces.rate, **faces.spreads()} for title, faces in seen.items()}))
    typical = seen["truncation 0.7"].typical_difference()
    own = generator.drag_config
    few = min(SLOW, pulled)
    rates = DragConfig.official(
        block=own.block, edit_layers=own.edit_layers, learning_rate=own.learning_rate, max_steps=CAP
    )
    settings = {
        "natural": (None, pulled),
        "draggan": (own, pulled),
        f"natural, the first {few}": (None, few),
        f"draggan, the first {few}": (own, few),
        f"official, the first {few}": (DragConfig.official(max_steps=CAP, stall_steps=None), few),
        f"official, rates as draggan, the first {few}": (rates, few),
    }
    team = Team(name, os.cpu_count() or 1)
    drags: dict[str, dict[str, float]] = {}
    for title, (config, count) in settings.items():
        drags[title] = summary(team(config, count), typical)
        print(f"{title}: {drags[title]}", flush=True)
    team.close()
    print(f"pulls of {DISTANCE:.0%}; errors in hundredths of the picture's width\n", flush=True)
    tell("drags", table(drags))


def search(name: str, kept_in: Path, count: int) -> None:
    """Try drag settings one after another, each kept in a file of lines of JSON as soon as it is known.

    A setting is as good as the share of pulls that end within 6 px of 256 with the face still the same person's; the
    best found so far is the middle of the next comparison. At last weights of the mask are compared.
    """
    known = [json.loads(line) for line in kept_in.read_text().splitlines()] if kept_in.exists() else []
    generator, find = load_generator(name, device="cpu"), Landmarks()
    typical = Faces(samples(generator, 60, 0.7), find).typical_difference()
    best = generator.drag_config
    team = Team(name, os.cpu_count() or 1)
    weights = hashlib.sha256(find_checkpoint(name).read_bytes()).hexdigest()[:16]

    def figures(config: DragConfig, masked: bool = False) -> dict[str, float]:
        asked = {**config.to_dict(), "masked": masked, "pulls": count, "weights": weights}
        asked = json.loads(json.dumps(asked))
        for line in known:
            if line["asked"] == asked:
                return dict(line["figures"])
        found = summary(team(config, count, masked), typical)
        known.append({"asked": asked, "figures": found})
        with kept_in.open("a") as lines:
            lines.write(json.dumps(known[-1]) + "\n")
        return found

    blocks = [*generator.blocks[3:], (4, 5), (5, 6), (4, 6), (6, 7)]
    fields = {
        "block": [block for block in blocks if isinstance(block, int) or max(block) <= generator.blocks[-1]],
        "edit_layers": [4, 5, 6, 8],
        "learning_rate": [0.01, 0.02, 0.04],
        "supervision_radius": [3.0, 12.0, 24.0],
    }
    for field, values in fields.items():
        tried = {value: figures(best.replace(**{field: value})) for value in values}
        print(table({f"{field} {value}": row for value, row in tried.items()}) + "\n", flush=True)
        chosen = max(tried, key=lambda value: (tried[value]["good"], -tried[value]["median_error"]))
        best = best.replace(**{field: chosen})
    lambdas = (0.0, 2.0, 5.0, 10.0, 20.0, 50.0)
    tried = {weight: figures(best.replace(mask_weight=weight), masked=True) for weight in lambdas}
    print(table({f"mask_weight {weight}": row for weight, row in tried.items()}) + f"\n\n{best}", flush=True)
    team.close()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generator", help="a built-in name or a .safetensors file")
    parser.add_argument("--samples", type=int, default=200, help="pictures in which faces are looked for")
    parser.add_argument("--pulls", type=int, help="how many landmarks are pulled (100; in a search 24 a setting)")
    parser.add_argument("--basis", type=Path, default=Path(__file__).parent / "out/basis.npz", help="of the renders")
    parser.add_argument("--card", type=Path, metavar="FILE", help="put the figures into this card too")
    parser.add_argument("--search", type=Path, metavar="FILE", help="compare drag settings instead, kept in FILE")
    parser.add_argument("--show", type=Path, metavar="DIR", help="only write faces.jpg and edits.jpg to DIR")
    options = parser.parse_args()
    if options.show:
        generator = load_generator(options.generator, device="cpu")
        options.show.mkdir(parents=True, exist_ok=True)
        sample_sheet(generator).save(options.show / "faces.jpg", quality=88)
        edit_strip(generator).save(options.show / "edits.jpg", quality=90)
    elif options.search:
        search(options.generator, options.search, options.pulls or 24)
    else:
        torch.set_num_threads(os.cpu_count() or 1)
        report(options.generator, options.basis, options.samples, options.pulls or 100, options.card)


if __name__ == "__main__":
    main()
