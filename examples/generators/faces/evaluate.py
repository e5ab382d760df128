"""Measure a face generator: how often dlib sees a face, how long a picture takes, how well landmarks can be dragged.

python examples/generators/faces/evaluate.py faces             # a built-in name or a file
python examples/generators/faces/evaluate.py FILE --search     # which drag settings are best
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from landmarks import CHIN, EYE_CORNER, MOUTH_CORNER, NOSE_TIP, Landmarks
from PIL import Image, ImageDraw

from draggan_widget import DragConfig, drag, load_generator
from draggan_widget.dragging import to_image

PULLED = {"mouth corner": MOUTH_CORNER, "chin": CHIN, "nose tip": NOSE_TIP, "outer eye corner": EYE_CORNER}
DISTANCE = 0.06
"""How far landmarks are pulled, in picture widths."""


def picture_of(generator, ws: torch.Tensor) -> np.ndarray:
    """The picture (H, W, 3) uint8 of a latent."""
    with torch.no_grad():
        return np.asarray(to_image(generator.synthesize(ws)))


def detection_rate(generator, find: Landmarks, truncation: float, samples: int) -> float:
    """The share of seeds 1000, 1001, … in whose pictures dlib finds a face."""
    seeds = range(1000, 1000 + samples)
    pictures = (picture_of(generator, generator.mapping(seed=seed, truncation=truncation)) for seed in seeds)
    return sum(find(picture) is not None for picture in pictures) / samples


def milliseconds_a_picture(generator, rounds: int = 30) -> float:
    """The median time of one picture, latent to pixels."""
    ws = generator.mapping(seed=0, truncation=0.7)
    times = []
    with torch.no_grad():
        for _ in range(rounds):
            began = time.perf_counter()
            generator.synthesize(ws)
            times.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times)


def sample_sheet(generator, truncation: float = 0.7, columns: int = 8, rows: int = 4) -> Image.Image:
    """The pictures of seeds 0, 1, …"""
    pictures = [picture_of(generator, generator.mapping(seed=s, truncation=truncation)) for s in range(columns * rows)]
    lines = [np.concatenate(pictures[row * columns : (row + 1) * columns], 1) for row in range(rows)]
    return Image.fromarray(np.concatenate(lines))


def drags(generator, find: Landmarks, count: int):
    """``count`` tasks: (name, landmark number, latent, handle, target), the same ones each time."""
    rng = np.random.default_rng(0)
    size = generator.resolution[1]
    for seed in itertools.count(2000):
        if not count:
            return
        ws = generator.mapping(seed=seed, truncation=0.7)
        marks = find(picture_of(generator, ws))
        name = list(PULLED)[count % len(PULLED)]
        angle = rng.uniform(0, 2 * np.pi)
        if marks is not None:
            handle = marks[PULLED[name]]
            target = np.clip(handle + DISTANCE * size * np.array([np.cos(angle), np.sin(angle)]), 0, size - 1)
            yield name, PULLED[name], ws, handle, target
            count -= 1


def drag_quality(generator, find: Landmarks, config: DragConfig, count: int) -> tuple[dict, list[np.ndarray]]:
    """Figures of ``count`` drags with ``config``, and before-and-after pictures of the first eight."""
    errors, steps, reasons, times, shown = [], [], [], [], []
    by_name: dict[str, list[float]] = {name: [] for name in PULLED}
    for name, number, ws, handle, target in drags(generator, find, count):
        began = time.perf_counter()
        result = drag(generator, ws, [handle], [target], config=config)
        times.append((time.perf_counter() - began) / max(result.steps, 1))
        after = np.asarray(result.image)
        marks = find(after)
        error = float(np.hypot(*(marks[number] - target))) if marks is not None else float("inf")
        errors.append(error)
        by_name[name].append(error)
        steps.append(result.steps)
        reasons.append(result.reason)
        if len(shown) < 16:
            for picture in (picture_of(generator, ws), after):
                large = Image.fromarray(picture).resize((256, 256), Image.Resampling.BICUBIC)
                scale = 256 / picture.shape[1]
                pen = ImageDraw.Draw(large)
                (x0, y0), (x1, y1) = (handle + 0.5) * scale, (target + 0.5) * scale
                pen.line([x0, y0, x1, y1], fill=(255, 255, 255), width=2)
                pen.ellipse([x0 - 3, y0 - 3, x0 + 3, y0 + 3], fill=(220, 40, 40))
                pen.ellipse([x1 - 3, y1 - 3, x1 + 3, y1 + 3], fill=(40, 80, 230))
                shown.append(np.array(large))
    figures = {
        "median_error_px": round(statistics.median(errors), 2),
        "by_landmark_px": {name: round(statistics.median(found), 2) for name, found in by_name.items() if found},
        "face_lost": sum(error == float("inf") for error in errors),
        "arrived": reasons.count("arrived"),
        "median_steps": statistics.median(steps),
        "ms_a_step": round(1e3 * statistics.median(times), 1),
    }
    return figures, shown


def masked_quality(generator, find: Landmarks, config: DragConfig, count: int) -> dict:
    """The same pulls with all but a disc around the landmark held: how exact they are, and what moves outside."""
    height, width = generator.resolution
    rows, columns = np.mgrid[:height, :width]
    errors, outside = [], []
    for _, number, ws, handle, target in drags(generator, find, count):
        free = np.hypot(columns - handle[0], rows - handle[1]) < 0.2 * width
        result = drag(generator, ws, [handle], [target], mask=free, config=config)
        before, after = picture_of(generator, ws), np.asarray(result.image)
        marks = find(after)
        errors.append(float(np.hypot(*(marks[number] - target))) if marks is not None else float("inf"))
        outside.append(float(np.abs(after.astype(float) - before)[~free].mean()))
    return {
        "median_error_px": round(statistics.median(errors), 2),
        "change_outside_of_255": round(statistics.median(outside), 2),
    }


def search(generator, find: Landmarks, count: int) -> None:
    """Print the figures of many settings, one line each; then of weights of the mask with the generator's settings."""
    for block, rows, rate, radius in itertools.product((3, 4, 5, 6), (4, 5, 6), (1e-2, 2e-2, 4e-2), (3, 12, 24)):
        changes = {"block": block, "edit_layers": rows, "learning_rate": rate, "supervision_radius": radius}
        figures, _ = drag_quality(generator, find, generator.drag_config.replace(**changes), count)
        print(f"{json.dumps(changes)}: {json.dumps(figures)}", flush=True)
    for weight in (0.0, 2.0, 5.0, 10.0, 20.0, 50.0):
        config = generator.drag_config.replace(mask_weight=weight)
        print(f"mask weight {weight}: {json.dumps(masked_quality(generator, find, config, count))}", flush=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generator", help="a built-in name or a .safetensors file")
    parser.add_argument("--samples", type=int, default=200, help="pictures in which faces are looked for")
    parser.add_argument("--drags", type=int, default=32)
    parser.add_argument("--search", action="store_true", help="compare drag settings instead")
    parser.add_argument("--pictures", type=Path, help="folder for samples.png and drags.png")
    options = parser.parse_args()

    generator, find = load_generator(options.generator, device="cpu"), Landmarks()
    if options.search:
        search(generator, find, options.drags)
        return
    for truncation in (0.7, 1.0):
        rate = detection_rate(generator, find, truncation, options.samples)
        print(f"faces found at truncation {truncation}: {rate:.1%} of {options.samples}", flush=True)
    parameters = sum(weight.numel() for weight in generator.parameters())
    print(f"{milliseconds_a_picture(generator):.0f} ms a picture, {parameters / 1e6:.2f} million parameters")
    figures, shown = drag_quality(generator, find, generator.drag_config, options.drags)
    print(f"drags of {DISTANCE:.0%} of the picture, {generator.drag_config}:\n{json.dumps(figures, indent=2)}")
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
        sample_sheet(generator).save(options.pictures / "samples.png")
        columns = [np.concatenate(shown[index : index + 2]) for index in range(0, len(shown), 2)]
        Image.fromarray(np.concatenate(columns, 1)).save(options.pictures / "drags.png")


if __name__ == "__main__":
    main()
