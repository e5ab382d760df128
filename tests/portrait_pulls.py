"""Invert the portrait in tests/data, pull it ten times as people would, and show what came of it.

    python tests/portrait_pulls.py --out DIR [--threads 1]

``DIR/pulls.csv`` has a row for each pull, with what was expected of it before it was made and columns to be judged by
eye; ``DIR/photos.jpg`` is the picture in ``docs``, ``DIR/pulls.png`` shows all ten in the photograph, ``DIR/made.png``
as the model makes them; ``DIR/portrait`` is the inverted photograph, which is taken from there if it is there already.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from draggan_widget import drag, load_generator
from draggan_widget.inversion import Landmarks, Photo, crop, invert

PORTRAIT = Path(__file__).parent / "data" / "astronaut.jpg"
PULLS: list[tuple[str, dict[int, tuple[float, float]], str]] = [
    ("nose to the right", {30: (14, 0)}, "The head turns to the right of the picture."),
    ("nose to the left", {30: (-14, 0)}, "The head turns to the left of the picture."),
    ("nose up", {30: (0, -10)}, "The head looks up."),
    ("nose down", {30: (0, 10)}, "The head looks down."),
    ("lower lip down", {57: (0, 10)}, "The mouth opens, or opens wider; the upper lip stays."),
    ("corners of the mouth out and up", {48: (-7, -5), 54: (7, -5)}, "She smiles more, on both sides."),
    ("brows up", {19: (0, -7), 24: (0, -7)}, "Both brows rise; the eyes stay, or open wider."),
    ("chin down", {8: (0, 8)}, "The chin sinks: the face grows longer, or the mouth opens."),
    ("upper lids down", {37: (0, 4), 38: (0, 4), 43: (0, 4), 44: (0, 4)}, "The eyes close a little."),
    ("one corner of the mouth up", {54: (3, -8)}, "The mouth smiles, at least on the side that is pulled."),
]
"""What it is called, dlib's landmarks → how far each is pulled (x, y) in px of 256, and what a person expects."""
SHOWN = (0, 2, 3, 4, 5, 7)
"""Of these, in the picture in docs, after the crop and the tuned copy's picture of it, pasted back as people do."""


def sheet(pictures: list[Image.Image], columns: int) -> Image.Image:
    """Return pictures of one size beside and below one another."""
    width, height = pictures[0].size
    made = Image.new("RGB", (columns * width, -(-len(pictures) // columns) * height), "white")
    for number, picture in enumerate(pictures):
        made.paste(picture, (number % columns * width, number // columns * height))
    return made


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for what is made")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, landmarks = load_generator("faces"), Landmarks()
    folder = options.out / "portrait"
    if (folder / "photo.json").exists():
        photo = Photo.load(folder, model)
    else:
        photo = invert(model, PORTRAIT)
        photo.save(folder)
    print(photo.report, flush=True)
    fitted = photo.fitted
    marks = landmarks(np.asarray(fitted))
    assert marks is not None
    rows, pictures, pasted = [], [], []
    for name, moves, expected in PULLS:
        handles = marks[list(moves)]
        targets = handles + np.array(list(moves.values()))
        result = drag(photo.model, photo.latent, handles, targets)
        found = landmarks(np.asarray(result.image))
        apart = None if found is None else float(np.hypot(*(found[list(moves)] - targets).T).mean())
        rows.append(
            {
                "pull": name,
                "expected": expected,
                "ended": result.reason,
                "steps": result.steps,
                "px_left": round(float(result.distances.mean()), 2),
                "landmark_px": "" if apart is None else round(apart, 2),
                "as expected": "",
                "seen": "",
            }
        )
        pictures.append(result.image)
        pasted.append(crop(photo.paste(result.image), photo.square, model.resolution))
        print(json.dumps(rows[-1]), flush=True)
    with (options.out / "pulls.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    sheet([photo.crop, fitted, *pictures], 4).save(options.out / "made.png")
    sheet([photo.crop, fitted, *pasted], 4).save(options.out / "pulls.png")
    chosen = sheet([photo.crop, fitted, *(pasted[number] for number in SHOWN)], 4)
    chosen.save(options.out / "photos.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main()
