"""A montage of the 32 pulls of `tests/data/pulls.json`: before with arrows, after, what was expected, how it ended.

python tests/pulls_montage.py montage.png                                  # the model's own settings
python tests/pulls_montage.py montage.png --settings '{"method": "paper"}'
python tests/pulls_montage.py montage.png --config some.module:CONFIG      # any object that `drag` takes as config
"""

from __future__ import annotations

import argparse
import importlib
import json
import textwrap
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from draggan_widget import drag, load_generator

PULLS = json.loads((Path(__file__).parent / "data" / "pulls.json").read_text())
"""Each: name, seed (at truncation 0.7), handles and targets in pixels of 256, the box that may move (left, top, right,
bottom) or None for all, and what a person expects to see, written before any of them was run."""
TRUNCATION, SIDE, GAP, TEXT, COLUMNS = 0.7, 256, 8, 92, 4


def mask_of(pull):
    """The mask (256, 256), 1 = may move; None for a pull without one."""
    if pull["movable"] is None:
        return None
    left, top, right, bottom = pull["movable"]
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[top : bottom + 1, left : right + 1] = 1
    return mask


def run(generator, pull, config=None):
    """The result of a pull."""
    ws = generator.mapping(seed=pull["seed"], truncation=TRUNCATION)
    return drag(generator, ws, pull["handles"], pull["targets"], mask_of(pull), config)


def panel(pull, result):
    """One pull: before, after, words below."""
    image = Image.new("RGB", (2 * SIDE, SIDE + TEXT), "white")
    image.paste(result.before.convert("RGB"), (0, 0))
    image.paste(result.image.convert("RGB"), (SIDE, 0))
    pen = ImageDraw.Draw(image)
    if pull["movable"] is not None:
        pen.rectangle(pull["movable"], outline="white")
    for handle, target in zip(pull["handles"], pull["targets"], strict=True):
        arrow(pen, handle, target)
    left = max(result.distances)
    head = f"{pull['name']} (seed {pull['seed']}): {result.reason}, {result.steps} steps, {left:.1f} px left"
    pen.text((4, SIDE + 4), head, "black", ImageFont.load_default(13))
    pen.text((4, SIDE + 24), "\n".join(textwrap.wrap(pull["expected"], 72)), "#444", ImageFont.load_default(13))
    return image


def arrow(pen, start, end):
    """An arrow from a handle to its target."""
    way = np.subtract(end, start) / max(np.hypot(*np.subtract(end, start)), 1e-6)
    across = np.array([-way[1], way[0]])
    for colour, width in (("black", 5), ("#ffd23f", 2)):
        pen.line([*start, *end], fill=colour, width=width)
        for side in (across, -across):
            pen.line([*end, *(end - 7 * way + 5 * side)], fill=colour, width=width)
    pen.ellipse([start[0] - 3, start[1] - 3, start[0] + 3, start[1] + 3], fill="#de2d26", outline="white")


def montage(panels):
    """All panels in rows."""
    width, height = panels[0].width + GAP, panels[0].height + GAP
    rows = -(-len(panels) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * width, rows * height), "white")
    for number, image in enumerate(panels):
        sheet.paste(image, (number % COLUMNS * width, number // COLUMNS * height))
    return sheet


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, help="the picture to write")
    parser.add_argument("--settings", type=json.loads, default={}, help="changes of the model's settings, as JSON")
    parser.add_argument("--config", help="module:name of a config instead, of whichever engine")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of pulls, from 0")
    given = parser.parse_args()
    generator = load_generator("faces")
    config = generator.drag_config.replace(**given.settings)
    if given.config:
        module, name = given.config.split(":")
        config = getattr(importlib.import_module(module), name)
    chosen = PULLS if given.only is None else [PULLS[number] for number in given.only]
    panels = []
    for pull in chosen:
        result = run(generator, pull, config)
        print(f"{pull['name']} (seed {pull['seed']}): {result.reason} after {result.steps} steps", flush=True)
        panels.append(panel(pull, result))
    montage(panels).save(given.out)


if __name__ == "__main__":
    main()
