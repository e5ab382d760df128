"""Find out which of the 107 numbers of a picture are worth a slider, by how a generator's pictures change with each.

What they are is read off pictures by ridge regression on what the network of ``reader.py`` sees (its coarsest maps,
where it has points, and the colours there), solved for at once on renders alone. Each number is then moved by +1 and
-1 σ on samples. One qualifies as for faces: it is read well on renders that were not learned from, moves the right way
in nearly all pictures, and the others move little.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import beside  # noqa: F401  for what is shared
import numpy as np
import torch
import torch.nn.functional as F
from attributes import READABLE, as_text, judged
from measurer import r_squared
from pairs import finished_parts, part_file, part_latents
from people import FIGURES, SHAPE
from person import LATENT, normalised
from reader import Reader, load_reader
from reading import as_input, roughened
from sheets import picture_of
from torch import Tensor
from whole import write_atomically

from draggan_widget.directions.known import Known, known_directions
from draggan_widget.models import Generator, fingerprint, mapping_fingerprint

RIDGES = (3e-3, 1e-2, 3e-2, 1e-1)
"""Of the mean variance of what is seen; the one that reads best is taken."""
AT_ONCE = 50
MOST_PARTS = 24
"""Of renders, that are looked at."""
LEAST = 12
"""Attributes that must qualify, or none has a name: a short list would take the place of components."""
SEED, TRUNCATION = 4000, 0.85
"""Of the samples that are moved."""


@torch.no_grad()
def seen_of(reader: Reader, pictures: Tensor) -> Tensor:
    """What is seen of pictures ``(n, 3, 256, 128)``: ``(n, D)``."""
    levels, x = [], pictures
    for layer in reader.down:
        x = layer(x)
        levels.append(x)
    deep = reader.deep(x)
    points, _ = reader(pictures)
    high, wide = SHAPE
    grid = points / torch.tensor([wide / 2, high / 2]) - 1
    fine = F.avg_pool2d(pictures, 3, 1, 1)
    colours = F.grid_sample(fine, grid[:, None], padding_mode="border", align_corners=False)
    return torch.cat(
        [deep.flatten(1), points.flatten(1) / 16, 2 * colours.flatten(1), 2 * F.avg_pool2d(pictures, 16).flatten(1)], 1
    )


@dataclass
class Numbers:
    """Reads the 107 numbers, in σ, off pictures."""

    reader: Reader
    mean: Tensor
    middle: Tensor
    weights: Tensor
    """(D, 107)."""
    scores: np.ndarray
    """R² (107,) on renders that were not learned from."""

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """Pictures ``(n, 256, 128, 3)`` uint8 → ``(n, 107)``."""
        parts = [as_input(pictures[k : k + AT_ONCE]) for k in range(0, len(pictures), AT_ONCE)]
        seen = torch.cat([seen_of(self.reader, part) for part in parts])
        return ((seen - self.mean) @ self.weights + self.middle).numpy()


def _part(reader: Reader, folder: Path, part: int, draw: np.random.Generator | None) -> tuple[Tensor, Tensor]:
    """What is seen of a part's renders, roughened where there is a ``draw``, and their numbers."""
    pictures = np.load(part_file(folder, part), mmap_mode="r")
    seen = []
    for first in range(0, len(pictures), AT_ONCE):
        some = as_input(np.array(pictures[first : first + AT_ONCE]))
        seen.append(seen_of(reader, some if draw is None else roughened(some, draw)))
    truth = normalised(part_latents(FIGURES, part)[: len(pictures)]).astype("f4")
    return torch.cat(seen), torch.from_numpy(truth)


def learned(reader: Reader, folder: Path) -> Numbers:
    """Learn it of the renders of a folder; the last part says how well they are read.

    :raises ValueError: for fewer than two parts.
    """
    parts = finished_parts(folder)[-MOST_PARTS:]
    if len(parts) < 2:
        raise ValueError(
            f"{folder} holds {len(parts)} parts of renders, 2 are needed: run make.py with more --pictures"
        )
    reader.eval()
    draw = np.random.default_rng(SEED)
    torch.manual_seed(SEED)
    seen, truth = _part(reader, folder, parts[0], draw)
    mean, middle = seen.mean(0), truth.mean(0)
    gram, cross = torch.zeros(seen.shape[1], seen.shape[1]), torch.zeros(seen.shape[1], truth.shape[1])
    for part in parts[:-1]:
        if part != parts[0]:
            seen, truth = _part(reader, folder, part, draw)
        x, y = seen - mean, truth - middle
        gram.addmm_(x.T, x)
        cross.addmm_(x.T, y)
    seen, truth = _part(reader, folder, parts[-1], None)
    best: tuple[float, Tensor, np.ndarray] | None = None
    for ridge in RIDGES:
        system = gram + ridge * gram.diagonal().mean() * torch.eye(len(gram))
        weights = torch.cholesky_solve(cross, torch.linalg.cholesky(system))
        said = (seen - mean) @ weights + middle
        scores = r_squared(said.numpy(), truth.numpy())
        if best is None or np.median(scores) > best[0]:
            best = float(np.median(scores)), weights, scores
    return Numbers(reader, mean, middle, best[1], best[2])


def numbers_of(reader_file: Path, folder: Path) -> Numbers:
    """What reads the numbers; learned where it is not beside the file of the reader yet, or was of another reader.

    :raises FileNotFoundError: if there is no reader. :raises ValueError: for fewer than two parts of renders.
    """
    reader, kept = load_reader(reader_file), reader_file.with_suffix(".numbers.pt")
    told = hashlib.sha256(reader_file.read_bytes()).hexdigest() + f" {len(finished_parts(folder))}"
    if kept.exists() and (held := torch.load(kept, weights_only=True))["told"] == told:
        return Numbers(reader, held["mean"], held["middle"], held["weights"], held["scores"].numpy())
    made = learned(reader, folder)
    state = {"mean": made.mean, "middle": made.middle, "weights": made.weights, "scores": torch.from_numpy(made.scores)}
    write_atomically(kept, lambda stream: torch.save(state | {"told": told}, stream))
    return made


Found = dict[str, dict[str, Any]]


def moved(generator: Generator, known: Known, numbers: Numbers, samples: int, kept: Path) -> Found:
    """What each number does to the generator's pictures when it is moved by one σ; goes on from what is in a file."""
    now = {"weights": fingerprint(generator), "scores": numbers.scores.round(4).tolist(), "samples": samples}
    held = json.loads(kept.read_text()) if kept.exists() else {}
    found: Found = held["found"] if held.get("of") == now else {}
    known = Known(known.attributes, known.groups, known.sets, known.phrases, (mapping_fingerprint(generator),))
    steps = {each.name: each.change for each in known_directions(generator, known)}
    latents = [generator.mapping(seed=SEED + k, truncation=TRUNCATION) for k in range(samples)]
    before = numbers(np.stack([picture_of(generator, ws) for ws in latents]))
    readable = numbers.scores >= READABLE
    for place, name in enumerate(LATENT):
        if name in found:
            continue
        entry: dict[str, Any] = {"r2": round(float(numbers.scores[place]), 3), "qualifies": False}
        if readable[place]:
            more, less = (
                numbers(np.stack([picture_of(generator, ws + sign * steps[name]) for ws in latents]))
                for sign in (1, -1)
            )
            both = np.concatenate([more - before, before - less])
            entry |= judged(both, place, readable) | {"samples": samples}
        found[name] = entry
        write_atomically(kept, lambda stream: stream.write(json.dumps({"of": now, "found": found}, indent=1).encode()))
    return found


def note(file: Path, generator: Generator, found: Found) -> int:
    """Note in the file of attributes what was measured, and that the generator has them; return how many qualify.

    Where fewer than ``LEAST`` do, it has none.
    """
    values = json.loads(file.read_text(encoding="utf-8"))
    for entry in values["attributes"]:
        entry["measured"] = found[entry["name"]]
    count = sum(entry["qualifies"] for entry in found.values())
    values["mapping"] = [mapping_fingerprint(generator)] if count >= LEAST else []
    values["measured"] = {"fingerprint": fingerprint(generator)}
    write_atomically(file, lambda stream: stream.write(as_text(values).encode()))
    return count


def listed(file: Path) -> str:
    """The attributes that are offered, of each group, in Markdown."""
    values = json.loads(file.read_text(encoding="utf-8"))
    lines = ["| group | offered |", "|---|---|"]
    for group, label in values["groups"].items():
        mine = [each for each in values["attributes"] if each["group"] == group]
        good = [each["name"] for each in mine if each.get("measured", {}).get("qualifies")]
        if good:
            lines.append(f"| {label} | {', '.join(good)} |")
    return "\n".join(lines)
