"""Faces pulled by all 68 landmarks to those of another face: how near they end, in how many steps and how long.

python tests/many_points.py natural natural.csv             # 8 pairs
python tests/many_points.py draggan draggan.csv --pairs 4
python tests/many_points.py natural softer.csv --set damping=0.04

The pairs are held-out seeds at truncation 0.7, without those whose closed lips would have to open; seconds are of the
processor, all threads together. It needs the extra ``evaluate``.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from heldout_pulls import changed, picture

from draggan_widget import drag, load_generator
from draggan_widget.engines import engine_named
from draggan_widget.engines.natural import mahalanobis
from draggan_widget.inversion import Landmarks

FIRST_SEED = 950_001


def pairs(generator, look, count):
    """The first seed of each pair, its latent, its landmarks (68, 2), and those of the seed after it."""
    seed, found = FIRST_SEED, 0
    while found < count:
        latents = [generator.mapping(seed=number, truncation=0.7) for number in (seed, seed + 1)]
        marks = [look(picture(generator, ws)) for ws in latents]
        if all(each is not None for each in marks):
            handles, targets = (np.clip(each, 0, np.array(generator.resolution[::-1]) - 1) for each in marks)
        if all(each is not None for each in marks) and not clash(handles, targets):
            yield seed, latents[0], handles, targets
            found += 1
        seed += 2


def clash(handles, targets):
    """Whether two handles are on one spot and are to part, as where closed lips open: that is refused."""
    near, apart = (np.hypot(*(each[:, None] - each[None]).transpose(2, 0, 1)) for each in (handles, targets))
    return bool(((near < 0.5) & (apart > 3)).any())


def measure(engine, path, count, changes=()):
    """Write a row of each pair."""
    generator, look = load_generator("faces", "cpu"), Landmarks()
    config = engine_named(engine).defaults(generator).replace(**dict(changes))
    covariance = generator.space.metric().covariance
    with Path(path).open("w", newline="") as file:
        writer = None
        for seed, ws, handles, targets in pairs(generator, look, count):
            began = time.process_time()
            result = drag(generator, ws, handles, targets, config=config)
            seconds = time.process_time() - began
            after = look(np.asarray(result.image))
            row = {
                "engine": engine,
                "seed": seed,
                "before": round(distance(handles, targets), 3),
                "handle": round(distance(result.handles, targets), 3),
                "landmark": "" if after is None else round(distance(after, targets), 3),
                "mahalanobis2": round(mahalanobis(covariance, result.ws - ws), 3),
                "reason": result.reason,
                "steps": result.steps,
                "seconds": round(seconds, 2),
            }
            if writer is None:
                writer = csv.DictWriter(file, row)
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            print(row)


def distance(places, targets):
    """The mean distance in pixels."""
    return float(np.hypot(*(np.asarray(places) - targets).T).mean())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engine")
    parser.add_argument("path", type=Path)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--set", type=changed, nargs="+", default=(), metavar="NAME=VALUE", help="settings to change")
    asked = parser.parse_args()
    measure(asked.engine, asked.path, asked.pairs, asked.set)
