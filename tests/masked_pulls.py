"""The 24 masked pulls of `tests/data/masked_pulls.json`: what changes outside the mask, whether they arrive, and seams.

python tests/masked_pulls.py docs/data/masked_pulls.csv --sheet docs/masks.jpg
python tests/masked_pulls.py docs/data/masked_pulls_none.csv --blend none
python tests/masked_pulls.py draggan.csv --engine draggan
python tests/masked_pulls.py --table docs/data/masked_pulls.csv

They are of held-out faces, around mouth, nose, an eye and the chin, by 3, 6 and 10 % of the picture in a random
direction, with a brush of 5 % (tight) or 12 % (wide) along the part and along the way of the handle. It needs the extra
``evaluate`` for landmarks; without it these columns are empty.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from draggan_widget import drag, load_generator
from draggan_widget.engines import Edit, default_config, engine_named, picture_of, to_image
from draggan_widget.inversion import CHIN, EYE_CORNER, MOUTH_CORNER, NOSE_TIP, Landmarks
from draggan_widget.models import Layer
from draggan_widget.models.compositing import Shares, blended_block

PULLS = json.loads((Path(__file__).parent / "data" / "masked_pulls.json").read_text())
"""Each: region, percent of the picture, mask ("tight" or "wide"), seed (at truncation 0.7), handle and target in pixels
of 256, and the brush: its radius, and the middles of its dabs."""
MARKS = {"mouth": MOUTH_CORNER, "nose": NOSE_TIP, "eye": EYE_CORNER, "chin": CHIN}
TRUNCATION, SIDE, MOST_OUTSIDE, ARRIVED = 0.7, 256, 1.5, 0.01
CROP, GAP = 112, 6
SHOWN = (1, 2, 7, 13, 8, 23)
"""Of the pulls, those on the sheet for the docs."""


def mask_of(pull):
    """The mask (256, 256), 1 = may move."""
    y, x = np.mgrid[:SIDE, :SIDE]
    away = np.min([np.hypot(x - left, y - top) for left, top in pull["strokes"]], axis=0)
    return (away <= pull["brush"]).astype(np.float32)


def run(generator, pull, config=None, masked=True):
    """The result of a pull."""
    ws = generator.mapping(seed=pull["seed"], truncation=TRUNCATION)
    return drag(generator, ws, [pull["handle"]], [pull["target"]], mask_of(pull) if masked else None, config)


def outside(mask, before, after):
    """Mean absolute difference where a mask is 0, of 255."""
    return float(np.abs(np.asarray(after, float) - np.asarray(before, float))[mask == 0].mean())


def seam(mask, before, pulled, shown):
    """How much steeper the picture that is shown is along the mask's border than the two that it is made of, of 255.

    Each place is compared with the steepest within 2 pixels of it, so that an edge that has moved a little is none.
    """
    steep = [steepness(each) for each in (before, pulled, shown)]
    known = wider(np.maximum(steep[0], steep[1]), 2)
    border = (wider(mask, 8) > 0) & (wider(1 - mask, 8) > 0)
    return float(np.maximum(0, steep[2] - known)[border].mean())


def steepness(picture):
    """The length of the gradient of a picture's brightness (H, W)."""
    return np.hypot(*np.gradient(np.asarray(picture.convert("L"), float)))


def wider(field, by):
    """The largest value within ``by`` pixels up, down, left and right of each."""
    pooled = torch.nn.functional.max_pool2d(torch.from_numpy(np.asarray(field, float))[None, None], 2 * by + 1, 1, by)
    return pooled[0, 0].numpy()


def faded(generator, result, mask):
    """The picture of a result faded into the one before along the mask, without features."""
    latent, origin = result.ws, result.state.w0
    with torch.no_grad():
        pulled, before = generator.synthesize(latent), generator.synthesize(origin)
        share = Shares.of(generator, blended_block(generator), mask, latent).picture
        return to_image(torch.lerp(before, pulled, share))


def pictures(generator, result):
    """The pictures before, as pulled, and with the features outside the mask as they were."""
    edit: Edit = result.state.edit
    return [picture_of(generator, layers) for layers in ([Layer(edit.origin)], [Layer(edit.latent)], edit.layers)]


def measure(engine, blend, path, count):
    """Write a row of each pull, and return its pictures."""
    generator, look, shown = load_generator("faces"), landmarks(), []
    config = default_config(generator, engine)
    config = config.replace(blend=blend or config.blend)
    with Path(path).open("w", newline="") as file:
        writer = None
        for number, pull in enumerate(PULLS[:count]):
            mask, free = mask_of(pull), run(generator, pull, config, masked=False)
            began = time.perf_counter()
            result = run(generator, pull, config)
            seconds = time.perf_counter() - began
            before, pulled, blended = made = pictures(generator, result)
            shown.append((pull, mask, made))
            row = {
                "engine": engine,
                "blend": config.blend,
                "pull": number,
                **{key: pull[key] for key in ("seed", "region", "percent", "mask")},
                "part": round(float(mask.mean()), 3),
                "free_reason": free.reason,
                "free_px": round(float(free.distances.max()), 3),
                "free_outside": round(outside(mask, before, picture_of(generator, [Layer(free.ws)])), 3),
                "reason": result.reason,
                "steps": result.steps,
                "handle_px": round(float(result.distances.max()), 3),
                "outside_pulled": round(outside(mask, before, pulled), 3),
                "outside_blended": round(outside(mask, before, blended), 3),
                "beyond_blended": round(outside(wider(mask, 8), before, blended), 3),
                "seam_blended": round(seam(mask, before, pulled, blended), 3),
                "seam_faded": round(seam(mask, before, pulled, faded(generator, result, mask)), 3),
                "mark_pulled_px": mark(look, pull, pulled),
                "mark_blended_px": mark(look, pull, blended),
                "seconds": round(seconds, 2),
            }
            writer = writer or csv.DictWriter(file, list(row))
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)
            file.flush()
    return shown


def landmarks():
    """What finds landmarks; None without the extra ``evaluate``."""
    try:
        return Landmarks()
    except ModuleNotFoundError:
        return None


def mark(look, pull, picture):
    """How far dlib's landmark is from the target, in pixels; nothing where no face is found."""
    found = None if look is None else look(np.asarray(picture.convert("RGB")))
    return "" if found is None else round(float(np.hypot(*(found[MARKS[pull["region"]]] - pull["target"]))), 2)


def table(path):
    """Say what a file of rows comes to."""
    with Path(path).open() as file:
        rows = list(csv.DictReader(file))
    for name in ("all", "tight", "wide"):
        mine = [row for row in rows if name in ("all", row["mask"])]
        if mine:
            print(f"{name}: {len(mine)} pulls", *said(mine), sep="\n  ")


def said(rows):
    """Lines about rows."""

    def column(name):
        return np.array([float(row[name]) for row in rows if row[name]])

    there = [int((column(name) <= ARRIVED * SIDE).sum()) for name in ("free_px", "handle_px")]
    yield f"within 1 %: {there[0]} without a mask, {there[1]} with one, in {column('steps').mean():.1f} steps"
    for name in ("free_outside", "outside_pulled", "outside_blended", "beyond_blended"):
        found = column(name)
        few = int((found <= MOST_OUTSIDE).sum())
        mean = f"{found.mean():.3f} of 255 on the average, {found.max():.3f} at most"
        yield f"{name}: {mean}, {few} at {MOST_OUTSIDE} or less"
    for name in ("seam_blended", "seam_faded", "mark_pulled_px", "mark_blended_px", "seconds"):
        found = column(name)
        if len(found):
            middle = np.median(found)
            yield f"{name}: {found.mean():.3f} on the average, {middle:.3f} in the middle, {found.max():.3f} at most"


def sheet(shown, path):
    """A picture of some pulls: the mask, before, as pulled, with the features outside the mask as they were."""
    tiles = []
    for _, mask, made in shown:
        rows, columns = np.nonzero(mask)
        left, top = (int(np.clip(places.mean() - CROP / 2, 0, SIDE - CROP)) for places in (columns, rows))
        dim = np.asarray(made[0].convert("RGB")) * (0.4 + 0.6 * mask[:, :, None])
        boxed = [Image.fromarray(dim.astype(np.uint8)), *made]
        tiles.append([each.convert("RGB").crop((left, top, left + CROP, top + CROP)) for each in boxed])
        tiles[-1] = [each.resize((2 * CROP, 2 * CROP), Image.Resampling.BICUBIC) for each in tiles[-1]]
    step = 2 * CROP + GAP
    image = Image.new("RGB", (len(tiles[0]) * step - GAP, len(tiles) * step - GAP), "white")
    for row, each in enumerate(tiles):
        for column, tile in enumerate(each):
            image.paste(tile, (column * step, row * step))
    image.save(path, quality=88)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", default="masked_pulls.csv")
    parser.add_argument("--engine", default="natural")
    parser.add_argument("--blend", help="the setting of that name; by default the engine's")
    parser.add_argument("--count", type=int, default=len(PULLS), help="only so many of the pulls")
    parser.add_argument("--sheet", type=Path, help="a picture of six of them to write as well")
    parser.add_argument("--sheets", type=Path, help="a folder for a picture of each six of them")
    parser.add_argument("--table", metavar="CSV", help="say what is in a file instead of measuring")
    options = parser.parse_args()
    if options.table:
        table(options.table)
    else:
        engine_named(options.engine)
        shown = measure(options.engine, options.blend, options.path, options.count)
        table(options.path)
        if options.sheet:
            sheet([shown[number] for number in SHOWN if number < len(shown)], options.sheet)
        for first in range(0, len(shown) if options.sheets else 0, 6):
            options.sheets.mkdir(exist_ok=True)
            sheet(shown[first : first + 6], options.sheets / f"{first:02}.jpg")
