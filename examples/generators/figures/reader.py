"""A network that reads joints and the ends of clothes off pictures of people, taught by renders alone.

    python examples/generators/figures/reader.py --renders DIR --out FILE [--minutes 30]

DIR is a folder of ``make.py``: its pictures, and the points that lie beside them. For each point the network makes a
map of where it is; the point is the mean of the map. Its error is told for the renders of the last part, which it does
not learn from. Stopped at any point, the same command goes on.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from pathlib import Path

import beside  # noqa: F401  for what is shared
import numpy as np
import torch
import torch.nn.functional as F
from pairs import finished_parts, known_file, part_file
from people import POINTS, SHAPE
from reading import as_input, roughened
from torch import Tensor, nn
from whole import write_atomically

CELL = 4
"""Pixels of a cell of the maps."""
WIDTHS = (32, 64, 96, 160, 192)
BATCH = 24
LEARNING_RATE = 2e-3
UNSEEN = 0.15
"""How much a hidden point counts in training beside one that is seen."""


def _layer(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(True))


class Reader(nn.Module):
    """Pictures ``(n, 3, 256, 128)`` in [-1, 1] → points ``(n, K, 2)``, x, y in pixels, and maps ``(n, K, 64, 32)``."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([_layer(a, b, 2) for a, b in zip((3, *WIDTHS[:-1]), WIDTHS)])
        self.deep = nn.Sequential(_layer(WIDTHS[-1], WIDTHS[-1]), _layer(WIDTHS[-1], WIDTHS[-1]))
        levels = WIDTHS[:0:-1]  # up to the second, whose cells are those of the maps
        self.up = nn.ModuleList([_layer(a + b, b) for a, b in itertools.pairwise(levels)])
        self.maps = nn.Conv2d(WIDTHS[1], POINTS, 1)
        rows, columns = SHAPE[0] // CELL, SHAPE[1] // CELL
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        centres = torch.stack([x, y], -1).flatten(0, 1) * CELL + (CELL - 1) / 2
        self.register_buffer("centres", centres.float())

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """See the class; the maps are logits."""
        levels, x = [], pictures
        for layer in self.down:
            x = layer(x)
            levels.append(x)
        x = self.deep(x)
        for layer, level in zip(self.up, levels[-2::-1]):
            x = layer(torch.cat([F.interpolate(x, scale_factor=2.0), level], 1))
        maps = self.maps(x)
        return torch.softmax(maps.flatten(2), 2) @ self.centres, maps


def reading_loss(reader: Reader, pictures: Tensor, points: Tensor, seen: Tensor) -> Tensor:
    """Distances in cells, and how surprising a spot around each point is to its map; points off the picture count 0."""
    read, maps = reader(pictures)
    high, wide = SHAPE
    inside = ((points >= 0) & (points <= torch.tensor([wide - 1.0, high - 1.0]))).all(2)
    weights = inside * (UNSEEN + (1 - UNSEEN) * seen)
    apart = (read - points).abs().sum(2) / CELL
    spots = torch.exp(-(reader.centres - points[:, :, None]).square().sum(3) / (2 * CELL**2))
    spots = spots / spots.sum(2, keepdim=True).clamp(min=1e-6)
    surprise = -(spots * torch.log_softmax(maps.flatten(2), 2)).sum(2)
    return (weights * (apart + 0.3 * surprise)).sum() / weights.sum().clamp(min=1)


@torch.no_grad()
def read_points(reader: Reader, pictures: np.ndarray) -> np.ndarray:
    """The points ``(n, K, 2)`` of pictures ``(n, 256, 128, 3)`` uint8."""
    reader.eval()
    return np.concatenate([reader(as_input(pictures[k : k + 32]))[0].numpy() for k in range(0, len(pictures), 32)])


def load_reader(file: Path) -> Reader:
    """The network of a file of :func:`train_reader`.

    :raises FileNotFoundError: if there is none.
    """
    if not file.exists():
        raise FileNotFoundError(f"{file} is not there: run reader.py --renders DIR --out {file} first")
    reader = Reader()
    reader.load_state_dict(torch.load(file, weights_only=True)["reader"])
    return reader.eval()


def errors_of(reader: Reader, folder: Path, part: int) -> np.ndarray:
    """How far off each point of a part's renders is read, in pixels, ``(N, K)``; nan where it cannot be seen."""
    with np.load(known_file(folder, part)) as known:
        points, seen = known["points"], known["seen"]
    apart = np.linalg.norm(read_points(reader, np.load(part_file(folder, part))) - points, axis=2)
    return np.where(seen, apart, np.nan)


def train_reader(folder: Path, file: Path, minutes: float, line=print) -> Reader:
    """Teach a reader by the renders of ``folder`` but those of the last part; goes on from what is in ``file``."""
    *parts, last = finished_parts(folder)
    if not parts:
        raise ValueError(
            f"{folder} holds {len(parts) + 1} part of renders, 2 are needed: run make.py with more --pictures"
        )
    pictures = [np.load(part_file(folder, part), mmap_mode="r") for part in parts]
    known = [np.load(known_file(folder, part)) for part in parts]
    points = torch.from_numpy(np.concatenate([one["points"] for one in known]))
    seen = torch.from_numpy(np.concatenate([one["seen"] for one in known]))
    reader = Reader()
    optimiser = torch.optim.AdamW(reader.parameters(), LEARNING_RATE, weight_decay=0.01)
    spent = 0.0
    if file.exists():
        state = torch.load(file, weights_only=True)
        reader.load_state_dict(state["reader"])
        optimiser.load_state_dict(state["optimiser"])
        spent = state["seconds"]
    size, draw = len(pictures[0]), np.random.default_rng(int(spent))

    def save() -> None:
        state = {"reader": reader.state_dict(), "optimiser": optimiser.state_dict(), "seconds": spent}
        write_atomically(file, lambda stream: torch.save(state, stream))
        apart = errors_of(reader, folder, last)
        line(
            f"{spent / 60:.1f} of {minutes:g} min: points of unseen renders are read {np.nanmedian(apart):.2f} px off "
            f"in the median, {100 * np.nanmean(apart > 0.04 * SHAPE[0]):.1f} % by more than 4 % of the height"
        )

    saved = before = time.monotonic()
    while spent < 60 * minutes:
        rate = 0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * spent / (60 * minutes)))
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * rate
        chosen = draw.integers(len(points), size=BATCH)
        some = as_input(np.stack([pictures[k // size][k % size] for k in chosen]))
        reader.train()
        loss = reading_loss(reader, roughened(some, draw), points[chosen], seen[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        now = time.monotonic()
        spent, before = spent + now - before, now
        if now - saved > 180:
            save()
            saved = before = time.monotonic()
    save()
    return reader.eval()


def main() -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renders", type=Path, required=True, help="a folder of make.py")
    parser.add_argument("--out", type=Path, required=True, help="file of the network")
    parser.add_argument("--minutes", type=float, default=30)
    options = parser.parse_args()
    try:
        train_reader(options.renders / "pictures", options.out, options.minutes)
    except (ValueError, FileNotFoundError) as error:
        print(f"Cannot read: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
