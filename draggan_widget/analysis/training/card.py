"""What a training shows of itself: samples on the way, and a card at the end."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw

from draggan_widget.analysis.training.trainer import Look, Training, tried
from draggan_widget.engines import picture_of
from draggan_widget.engines.predicted import METHODS
from draggan_widget.files import write_whole
from draggan_widget.models import Layer

SHOWN = 6
WIDTH = 192
"""Pixels of a picture of the sheet."""


def write_samples(training: Training, file: Path) -> None:
    """Write a sheet of held-out pulls, before above and after one jump below, as PNG."""
    model = training.source.model
    rows: list[list[Image.Image]] = [[], []]
    for trial in tried(training, SHOWN):
        pull, edit = trial["pull"], trial["edit"]
        for row, latent, handle in ((0, pull.latent, pull.handle), (1, edit.latent, edit.handles[0])):
            with torch.no_grad():
                picture = picture_of(model, [Layer(latent)]).convert("RGB")
            rows[row].append(_marked(picture, handle, pull.target))
    sheet = Image.new("RGB", (WIDTH * SHOWN, sum(row[0].height for row in rows)), "white")
    top = 0
    for line in rows:
        for column, shown in enumerate(line):
            sheet.paste(shown, (column * WIDTH, top))
        top += line[0].height
    stream = io.BytesIO()
    sheet.save(stream, "PNG")
    write_whole(file, stream.getvalue())


def _marked(picture: Image.Image, handle: Any, target: Any) -> Image.Image:
    scale = WIDTH / picture.width
    small = picture.resize((WIDTH, round(picture.height * scale)))
    draw = ImageDraw.Draw(small)
    (hx, hy), (tx, ty) = (((float(x) + 0.5) * scale, (float(y) + 0.5) * scale) for x, y in (handle, target))
    draw.line((hx, hy, tx, ty), fill="white")
    draw.ellipse((hx - 3, hy - 3, hx + 3, hy + 3), outline="red", width=2)
    draw.ellipse((tx - 3, ty - 3, tx + 3, ty + 3), outline="blue", width=2)
    return small


def write_card(training: Training, first: Look, last: Look, weights: Path, file: Path) -> None:
    """Write a card in Markdown: what the predictor is for, what it learned from, and how far it came.

    :param first: of the beginning, or of where this command went on. :param weights: the file of the predictor.
    """
    predictor = training.predictor
    about, shape = predictor.about, predictor.shape
    count = sum(weight.numel() for weight in predictor.parameters())
    asked = "and growth" if about.zooms else "but not growth"
    lines = [
        f"# Predictor of {about.model}: {METHODS[about.method]}",
        "",
        f"Answers pulls of up to {about.points} points ({asked}) in one pass: coarse, for a first jump. For the",
        f"weights with the fingerprint `{about.base}` and no others.",
        "",
        "| | |",
        "|---|---|",
        f"| network | {count:,} weights, width {shape.width}, {shape.layers} + {shape.layers} layers |",
        f"| file | {weights.stat().st_size / 1e6:.2f} MB, half precision |",
        f"| reads | {shape.channels} features of blocks {'+'.join(map(str, about.blocks))} at each point |",
        f"| tells | {shape.coordinates} principal coordinates of {shape.groups} group(s) of {sum(about.groups)} rows |",
        f"| learned from | {training.source.said} |",
        f"| trained | {last.step:,} steps, {last.seconds / 60:.1f} min |",
        "",
        f"Held-out pulls of one point by 5 % of the picture's height; medians of {len(tried(training))}:",
        "",
        "| | when this command began | now |",
        "|---|---:|---:|",
        f"| of the changes told | {first.explained:.1%} | {last.explained:.1%} |",
        f"| of the way taken away by one jump, by the tracked handles | {first.gain:.1%} | {last.gain:.1%} |",
        f"| squared distance of the change, in the metric of latents | {first.distance2:.2f} | {last.distance2:.2f} |",
        f"| milliseconds of a jump, tracking included | {first.milliseconds:.0f} | {last.milliseconds:.0f} |",
        "",
        "It knows pulls like those it learned from. Parts that never moved there stay as they are.",
        "",
    ]
    write_whole(file, "\n".join(lines).encode())
