"""Pulls of held-out faces by an engine: how near they end, in how many steps, and how far the latent goes.

python tests/heldout_pulls.py natural natural.csv                  # 24 seeds, 4 landmarks, 4 sizes: 384 pulls
python tests/heldout_pulls.py draggan draggan.csv --seeds 8
python tests/heldout_pulls.py natural far.csv --percents 15         # pulls that far alone
python tests/heldout_pulls.py draggan stop.csv --seeds 4 --percents 5 10 --set on_stall=stop    # other settings
python tests/heldout_pulls.py natural kinds.csv --kinds --seeds 4    # networks of random weights of every kind
python tests/heldout_pulls.py --table docs/data/natural_heldout.csv

Each landmark of dlib's (nose tip, outer eye corner, mouth corner, chin) is pulled by 3, 5, 7 and 10 % of the picture in
a random direction, at truncation 0.7. It needs the extra ``evaluate``.
Networks of random weights have no landmarks: there a place in the middle half is pulled by 4 and 8 %.
"""

from __future__ import annotations

import argparse
import csv
import functools
import itertools
import json
import time
from pathlib import Path

import numpy as np
import torch
from random_stylegan2 import small_stylegan2
from random_stylegan3 import fill

from draggan_widget import drag, load_generator
from draggan_widget.engines import engine_named, to_image
from draggan_widget.engines.natural import mahalanobis
from draggan_widget.inversion import CHIN, EYE_CORNER, MOUTH_CORNER, NOSE_TIP, Landmarks
from draggan_widget.models import StyleGAN2
from draggan_widget.models.stylegan3.network import StyleGAN3, stylegan3_config

LANDMARKS = {"nose tip": NOSE_TIP, "outer eye corner": EYE_CORNER, "mouth corner": MOUTH_CORNER, "chin": CHIN}
PERCENTS = (3, 5, 7, 10)
FIRST_SEED, DIRECTIONS_SEED = 900_001, 20250
HANDLE_SHARE, LANDMARK_SHARE = 0.01, 0.023
"""Of the picture: within what a handle has arrived, and a landmark."""


def pulls(generator, look, count, percents=PERCENTS, first_seed=FIRST_SEED):
    """Seed, its latent, the landmark's name and number, the percent, and handle and target of each pull."""
    side, random = generator.resolution[0], np.random.RandomState(DIRECTIONS_SEED)
    found = 0
    for seed in itertools.count(first_seed):
        ws = generator.mapping(seed=seed, truncation=0.7)
        marks = look(picture(generator, ws))
        angles = {each: random.uniform(0, 2 * np.pi) for each in itertools.product(LANDMARKS, percents)}
        if marks is None:
            continue
        for (name, percent), angle in angles.items():
            handle = np.clip(marks[LANDMARKS[name]], 0, side - 1)
            way = percent / 100 * side * np.array([np.cos(angle), np.sin(angle)])
            yield seed, ws, name, percent, handle, np.clip(handle + way, 0, side - 1)
        found += 1
        if found == count:
            return


def picture(generator, ws):
    """The picture of a latent as an array."""
    with torch.no_grad():
        return np.asarray(to_image(generator.synthesize(ws)))


def changed(text):
    """The name and value of a setting of the form name=value; a value is JSON, or else a word."""
    name, value = text.split("=", 1)
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def measure(engine, path, count, percents, first_seed, changes=()):
    """Write a row of each pull."""
    generator, look = load_generator("faces"), Landmarks()
    config = engine_named(engine).defaults(generator).replace(**dict(changes))
    covariance = generator.space.metric().covariance
    with Path(path).open("w", newline="") as file:
        writer = None
        for seed, ws, name, percent, handle, target in pulls(generator, look, count, percents, first_seed):
            began = time.perf_counter()
            result = drag(generator, ws, [handle], [target], config=config)
            seconds = time.perf_counter() - began
            after = look(np.asarray(result.image))
            row = {
                "engine": engine,
                "seed": seed,
                "landmark": name,
                "percent": percent,
                "target_x": round(float(target[0]), 2),
                "target_y": round(float(target[1]), 2),
                "reason": result.reason,
                "steps": result.steps,
                "handle_px": round(float(result.distances.max()), 3),
                "landmark_px": "" if after is None else round(float(np.hypot(*(after[LANDMARKS[name]] - target))), 3),
                "mahalanobis2": round(mahalanobis(covariance, result.ws - ws), 3),
                "seconds": round(seconds, 3),
            }
            writer = writer or csv.DictWriter(file, list(row))
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)
            file.flush()


def kinds():
    """The name of each kind of network, and what makes one of random weights."""
    wide = {2**power: 128 for power in range(2, 8)}
    yield "config F", functools.partial(small_stylegan2, 128, z_dim=512, w_dim=512, channels=wide, mapping_layers=8)
    shapes = {"grey": {"img_channels": 1}, "RGBA": {"img_channels": 4}, "classes": {"c_dim": 3}}
    for name, settings in {**shapes, "resnet": {"architecture": "resnet"}}.items():
        yield f"StyleGAN2 {name}", functools.partial(small_stylegan2, 64, **settings)
    yield "StyleGAN2 1:2", half_as_wide
    for path in sorted((Path(__file__).parent / "data" / "references").glob("stylegan3_*.npz")):
        yield path.stem, functools.partial(stylegan3_of, path)


def half_as_wide():
    """A StyleGAN2 of pictures twice as high as wide."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        channels = {4: 16, 8: 16, 16: 16, 32: 16, 64: 8}
        return StyleGAN2((64, 32), z_dim=16, w_dim=16, channels=channels, mapping_layers=2, mapping_lr_multiplier=1.0)


def stylegan3_of(path):
    """The StyleGAN3 of a file of references."""
    with np.load(path) as file:
        settings = json.loads(str(file["settings"]))
    generator = StyleGAN3.from_config(json.loads(json.dumps(stylegan3_config(settings["init_kwargs"]))))
    fill(generator, settings["seed"])
    return generator


def measure_kinds(engine, path, count):
    """Write a row of each pull of a network of random weights; arrived is within 1 % of the picture, or 1 pixel."""
    with Path(path).open("w", newline="") as file:
        writer = None
        for kind, make in kinds():
            generator, random = make(), np.random.RandomState(DIRECTIONS_SEED)
            config = engine_named(engine).defaults(generator)
            height, width = generator.resolution
            for seed, percent in itertools.product(range(count), (4, 8)):
                label = {"label": seed % generator.label_dim} if generator.label_dim else {}
                ws = generator.mapping(seed=seed, **label)
                handle = np.array([width, height]) * (0.25 + 0.5 * random.rand(2))
                angle = random.uniform(0, 2 * np.pi)
                target = handle + percent / 100 * height * np.array([np.cos(angle), np.sin(angle)])
                began = time.perf_counter()
                result = drag(generator, ws, [handle], [target], config=config)
                left = float(result.distances.max())
                row = {
                    "engine": engine,
                    "kind": kind,
                    "seed": seed,
                    "percent": percent,
                    "reason": result.reason,
                    "steps": result.steps,
                    "handle_px": round(left, 3),
                    "arrived": int(left <= max(1, HANDLE_SHARE * height)),
                    "mahalanobis2": round(
                        mahalanobis(generator.space.metric(generator.space.label_of(ws)).covariance, result.ws - ws), 3
                    ),
                    "seconds": round(time.perf_counter() - began, 3),
                }
                writer = writer or csv.DictWriter(file, list(row))
                if file.tell() == 0:
                    writer.writeheader()
                writer.writerow(row)
                file.flush()


def kinds_table(rows):
    """Say what rows of networks of random weights come to, by kind and size."""
    groups = dict.fromkeys((row["kind"], row["percent"], row["engine"]) for row in rows)
    for group in groups:
        mine = [row for row in rows if (row["kind"], row["percent"], row["engine"]) == group]
        arrived = sum(int(row["arrived"]) for row in mine)
        steps, distance = (np.median([float(row[key]) for row in mine]) for key in ("steps", "mahalanobis2"))
        kind, percent, engine = group
        print(f"{kind:28} {percent} % {engine:8} arrived {arrived:2} of {len(mine):2}   steps {steps:5.1f}   "
              f"distance² {distance:9.2f}")  # fmt: skip


def table(path, side=256):
    """Say what a file of rows comes to, by engine and then by size and landmark."""
    with Path(path).open() as file:
        rows = list(csv.DictReader(file))
    if rows and "kind" in rows[0]:
        kinds_table(rows)
        return
    for engine in dict.fromkeys(row["engine"] for row in rows):
        mine = [row for row in rows if row["engine"] == engine]
        print(said(engine, mine, side))
        for key in ("percent", "landmark"):
            for value in dict.fromkeys(row[key] for row in mine):
                print(said(f"  {value}", [row for row in mine if row[key] == value], side))


def said(what, rows, side):
    """A line of the table."""
    handles = np.array([float(row["handle_px"]) for row in rows])
    marks = np.array([float(row["landmark_px"] or "inf") for row in rows])
    middle = {key: np.median([float(row[key]) for row in rows]) for key in ("steps", "mahalanobis2", "seconds")}
    return (
        f"{what:20} {len(rows):4} pulls   handle {np.mean(handles <= HANDLE_SHARE * side):6.1%}"
        f"   landmark {np.mean(marks <= LANDMARK_SHARE * side):6.1%}   steps {middle['steps']:3.0f}"
        f"   distance² {middle['mahalanobis2']:9.1f}   {middle['seconds']:5.2f} s"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", nargs="?", default="natural")
    parser.add_argument("path", nargs="?", default="heldout.csv")
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument("--percents", type=int, nargs="+", default=PERCENTS, help="of the picture, to pull by")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="another one to try things on")
    parser.add_argument("--kinds", action="store_true", help="networks of random weights instead of faces")
    parser.add_argument("--set", type=changed, nargs="+", default=(), metavar="NAME=VALUE", help="settings to change")
    parser.add_argument("--table", metavar="CSV", help="say what is in a file instead of measuring")
    options = parser.parse_args()
    if options.table:
        table(options.table)
    elif options.kinds:
        measure_kinds(options.engine, options.path, options.seeds)
        table(options.path)
    else:
        measure(options.engine, options.path, options.seeds, options.percents, options.first_seed, options.set)
        table(options.path)
