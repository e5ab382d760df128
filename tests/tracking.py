"""How well handles are followed where the truth is known: rendered heads, whose latents the generator draws as well.

python tests/tracking.py tracking.csv --pairs pairs.npz     # pairs by examples/generators/faces/tracking_pairs.py
python tests/tracking.py heads.csv                          # those of `tests/data/heads` alone
python tests/tracking.py --table docs/data/natural_tracking.csv

The latent goes from one head of a pair to the other in steps by which no landmark goes farther than a stride of
`natural`, and all landmarks that are seen in both are followed, from where they are expected to first order. Of
`tests/data/heads` the pairs are the first frame of a head with each of the others. A row is a pair.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
from pathlib import Path

import numpy as np
import torch

from draggan_widget import load_generator
from draggan_widget.engines import engine_named
from draggan_widget.engines.common.following import find_spots, read_spots
from draggan_widget.engines.draggan import default
from draggan_widget.engines.draggan.methods import blocks_of
from draggan_widget.engines.natural.engine import BoundNatural

HEADS = Path(__file__).parent / "data" / "heads" / "heads.json"
LOST = 8.0
"""Pixels off, beyond which a handle is lost."""
SMALL = 1e-2
"""Of a step: the difference by which is told where it takes handles to first order."""


def heads_pairs():
    """Latents (2, 80), landmarks (2, K, 2) and which are seen (2, K) of each pair of frames of a head."""
    for head in json.loads(HEADS.read_text())["heads"]:
        first, *others = head["frames"]
        for other in others:
            pair = first, other
            yield tuple(np.array([frame[key] for frame in pair]) for key in ("latent", "points", "visible"))


def made_pairs(path):
    """The same of a file of pairs."""
    with np.load(path) as file:
        yield from zip(*(file[key] for key in ("latents", "points", "seen")), strict=True)


class Walk:
    """The latents between the two of a pair, and where handles are expected in each to first order."""

    def __init__(self, bound: BoundNatural, first: torch.Tensor, last: torch.Tensor, longest: float) -> None:
        self.bound, count = bound, max(1, int(np.ceil(longest / bound._stride)))
        self.leaves = [first.lerp(last, number / count).requires_grad_() for number in range(count + 1)]

    def steps(self):
        """Each latent but the first, with the one before it."""
        return zip(self.leaves, self.leaves[1:], strict=False)

    def ways(self, before, after, handles) -> np.ndarray:
        """Where a step takes handles (N, 2) to first order, as a change (N, 2), no longer than a stride."""
        ahead = self.bound._reading.ahead(handles)
        motion = self.bound._reading.motion(before, handles, ahead)
        moved = before.detach().lerp(after.detach(), SMALL)
        ways = motion.along(moved, SMALL).view(-1, 2).numpy()
        return ways * np.minimum(1, self.bound._stride / np.maximum(np.hypot(*ways.T), 1e-9))[:, None]


def one_fixed_reference(walk: Walk, handles: np.ndarray) -> np.ndarray:
    """The features of one place as it was grabbed, as DragGAN tracks, within ``natural``'s r2 of the expected place."""
    model, frame = walk.bound.model, walk.bound._frame
    blocks = blocks_of(model, model.drag_config)

    def reader(latent):
        return lambda xy: model.sample_features(latent.detach(), blocks, torch.from_numpy(np.ascontiguousarray(xy)))

    references = list(reader(walk.leaves[0])(handles))
    for before, after in walk.steps():
        expected = frame.clamp(handles + walk.ways(before, after, handles))
        handles = default.track(reader(after), expected, references, frame)
    return handles


def as_natural_follows(walk: Walk, handles: np.ndarray) -> np.ndarray:
    """As the product does it."""
    bound = walk.bound
    frame, offsets = bound._frame, bound._spot
    first = read_spots(bound._reader(walk.leaves[0], bound._ahead(handles)), handles, offsets, frame)
    latest = first
    for before, after in walk.steps():
        ways = walk.ways(before, after, handles)
        expected = frame.clamp(handles + ways)
        read = bound._reader(after, bound._ahead(expected))
        handles = find_spots(read, expected, list(first), list(latest), offsets, frame, np.hypot(*ways.T))
        latest = read_spots(bound._reader(after, bound._ahead(handles)), handles, offsets, frame)
    return handles


TRACKERS = {"one fixed reference": one_fixed_reference, "natural": as_natural_follows}


def errors(pairs, trackers=TRACKERS):
    """Yield the tracker, the pair's number, the landmark's, how far it went and how far off it was found, in pixels."""
    generator = load_generator("faces", "cpu")
    bound = BoundNatural(generator, engine_named("natural").defaults(generator))
    for number, (latents, points, seen) in enumerate(pairs):
        both = np.flatnonzero(seen[0] & seen[1])
        start, end = points[0][both].astype(float), points[1][both].astype(float)
        went = np.hypot(*(end - start).T)
        with torch.no_grad():
            first, last = (generator.mapping(torch.tensor(latent[None]).float()) for latent in latents)
        walk = Walk(bound, first, last, went.max())
        for name, follow in trackers.items():
            off = np.hypot(*(follow(walk, start) - end).T)
            yield from ((name, number, int(mark), *each) for mark, *each in zip(both, went, off, strict=True))


def measure(path, made):
    """Write a row of each pair and tracker."""
    sets = {"heads": heads_pairs()} | ({} if made is None else {"pairs": made_pairs(made)})
    with Path(path).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("tracker", "set", "pair", "landmarks", "farthest_px", "lost", "mean_px"))
        for kind, pairs in sets.items():
            for (pair, name), rows in itertools.groupby(errors(pairs), lambda row: (row[1], row[0])):
                went, off = np.array([row[3:] for row in rows]).T
                lost = int((off > LOST).sum())
                writer.writerow((name, kind, pair, len(off), round(went.max(), 2), lost, round(off.mean(), 3)))
                file.flush()


def table(path):
    """Say what a file of rows comes to."""
    with Path(path).open() as file:
        rows = list(csv.DictReader(file))
    for kind, name in dict.fromkeys((row["set"], row["tracker"]) for row in rows):
        mine = [row for row in rows if (row["tracker"], row["set"]) == (name, kind)]
        counts, lost = (np.array([int(row[key]) for row in mine]) for key in ("landmarks", "lost"))
        mean = np.average([float(row["mean_px"]) for row in mine], weights=counts)
        share = lost.sum() / counts.sum()
        print(f"{kind:6} {name:22} lost {lost.sum():3} of {counts.sum():4}, {share:6.2%}   mean {mean:5.2f} px")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", default="tracking.csv")
    parser.add_argument("--pairs", metavar="NPZ", help="pairs by examples/generators/faces/tracking_pairs.py")
    parser.add_argument("--table", metavar="CSV", help="say what is in a file instead of measuring")
    options = parser.parse_args()
    if not options.table:
        measure(options.path, options.pairs)
    table(options.table or options.path)
