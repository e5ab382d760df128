"""What ideas about how the natural drag follows handles bring: pulls with each of them, and as it is.

python tests/natural_ideas.py ideas.csv                                # all ideas
python tests/natural_ideas.py ideas.csv --ideas "as it is" "a hard window"
PYTHONPATH=CHECKOUT python tests/natural_ideas.py before.csv --ideas "as it is" --label "before"
python tests/natural_ideas.py --table docs/data/natural_ideas.csv

The pulls are those of `tests/data/pulls.json` without a mask, and those of `tests/heldout_pulls.py` by 10 and 15 % on
six seeds that are not among its own. It needs the extra ``evaluate``.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from heldout_pulls import HANDLE_SHARE, LANDMARK_SHARE, LANDMARKS, pulls
from pulls_montage import PULLS, run

from draggan_widget import drag, load_generator
from draggan_widget.engines import engine_named
from draggan_widget.engines.natural import engine, following
from draggan_widget.engines.natural.engine import BoundNatural
from draggan_widget.engines.natural.motion import Reading
from draggan_widget.inversion import Landmarks

SEEDS, FIRST_SEED, PERCENTS = 6, 700_001, (10, 15)


def as_it_is():
    """Nothing else."""
    return contextlib.nullcontext()


def no_cost_of_straying():
    """All places within r2 count alike."""
    return mock.patch.object(following, "STRAY", 0.0)


@contextlib.contextmanager
def a_hard_window():
    """Within 3 pixels and the step's length all places count alike, others do not count (adaptive r2)."""
    find = engine.find_spots

    def near(read, expected, first, latest, offsets, frame, ways):
        reach = min(frame.tracking, int(np.ceil(3 + ways.max())))
        return find(read, expected, first, latest, offsets, dataclasses.replace(frame, tracking=reach), ways)

    with no_cost_of_straying(), mock.patch.object(engine, "find_spots", near):
        yield


@contextlib.contextmanager
def normalised_blocks():
    """The features of each block that is followed divided by their own size (multi-scale features)."""
    reader = BoundNatural._reader

    def scaled(self, leaf, ahead):
        read = reader(self, leaf, ahead)
        place = torch.zeros(1, 2, dtype=torch.float64)
        counts = [self.model.sample_features(leaf, (block,), place).shape[1] for block in self._track]

        def of(xy):
            features = read(xy)
            if not hasattr(self, "_scales"):
                parts = torch.split(features, counts, dim=1)
                self._scales = torch.cat([part.square().sum(1).mean().sqrt().expand(part.shape[1]) for part in parts])
            return features / self._scales

        return of

    with mock.patch.object(BoundNatural, "_reader", scaled):
        yield


@contextlib.contextmanager
def coarser_when_stuck():
    """After a step that brought nothing, motion is read of the next coarser block."""
    advance = BoundNatural._advance

    def coarser(self, edit, memory):
        usual, blocks = self._reading, self.model.blocks
        if memory.idle:
            self._reading = Reading(self.model, blocks[max(0, blocks.index(usual.block) - 1)], self._frame)
        try:
            return advance(self, edit, memory)
        finally:
            self._reading = usual

    with mock.patch.object(BoundNatural, "_advance", coarser):
        yield


IDEAS = {
    idea.__name__.replace("_", " "): idea
    for idea in (as_it_is, no_cost_of_straying, a_hard_window, normalised_blocks, coarser_when_stuck)
}


def measure(path, ideas, label):
    """Write a row of each pull with each idea."""
    generator, look = load_generator("faces"), Landmarks()
    config = engine_named("natural").defaults(generator)
    held_out = list(pulls(generator, look, SEEDS, PERCENTS, FIRST_SEED))
    with Path(path).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("idea", "set", "pull", "reason", "steps", "handle_px", "landmark_px"))

        def write(kind, pull, result, landmark=""):
            left = round(float(result.distances.max()), 3)
            writer.writerow((label or idea, kind, pull, result.reason, result.steps, left, landmark))
            file.flush()

        for idea in ideas:
            with IDEAS[idea]():
                for pull in PULLS:
                    if pull["movable"] is None:
                        write("people's", pull["name"], run(generator, pull, config))
                for seed, ws, name, percent, handle, target in held_out:
                    result = drag(generator, ws, [handle], [target], config=config)
                    marks = look(np.asarray(result.image))
                    off = "" if marks is None else round(float(np.hypot(*(marks[LANDMARKS[name]] - target))), 3)
                    write(f"{percent} %", f"{seed} {name}", result, off)


def table(path, side=256):
    """Say what a file of rows comes to."""
    with Path(path).open() as file:
        rows = list(csv.DictReader(file))
    for idea, kind in dict.fromkeys((row["idea"], row["set"]) for row in rows):
        mine = [row for row in rows if (row["idea"], row["set"]) == (idea, kind)]
        near = sum(float(row["handle_px"]) <= HANDLE_SHARE * side for row in mine)
        steps = np.mean([int(row["steps"]) for row in mine])
        marks = sum(float(row["landmark_px"] or "inf") <= LANDMARK_SHARE * side for row in mine)
        landmarks = "" if kind == "people's" else f"   landmark {marks:2}"
        print(f"{idea:22} {kind:9} handle {near:2} of {len(mine):2}   steps {steps:5.2f}{landmarks}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", default="ideas.csv")
    parser.add_argument("--ideas", nargs="+", choices=IDEAS, default=list(IDEAS))
    parser.add_argument("--label", help="what to call it in the file, of another checkout say")
    parser.add_argument("--table", metavar="CSV", help="say what is in a file instead of measuring")
    options = parser.parse_args()
    if not options.table:
        measure(options.path, options.ideas, options.label)
    table(options.table or options.path)
