"""Pictures for readers: a sheet of samples, and a strip of edits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from draggan_widget.engines import to_image
from draggan_widget.models import Generator

GAP = 6
FINE = 3
"""Times as large as shown: arrows are drawn so, and made smaller, for smooth edges."""


@dataclass(frozen=True)
class Edit:
    """What a strip shows of one edit."""

    what: str
    before: np.ndarray
    """(H, W, 3) uint8."""
    handles: Sequence[np.ndarray]
    targets: Sequence[np.ndarray]
    after: Image.Image


def picture_of(generator: Generator, ws: torch.Tensor) -> np.ndarray:
    """The picture ``(H, W, 3)`` uint8 of a latent."""
    with torch.no_grad():
        return np.array(to_image(generator.synthesize(ws)))


def sample_sheet(
    generator: Generator, truncation: float = 0.7, columns: int = 8, rows: int = 8, height: int = 192
) -> Image.Image:
    """The pictures of seeds 0, 1, …, row by row, each ``height`` px high."""
    width = round(height * generator.resolution[1] / generator.resolution[0])
    sheet = Image.new("RGB", (columns * width, rows * height))
    for seed in range(columns * rows):
        picture = Image.fromarray(picture_of(generator, generator.mapping(seed=seed, truncation=truncation)))
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        sheet.paste(picture, (seed % columns * width, seed // columns * height))
    return sheet


def strip(edits: Sequence[Edit], height: int = 256) -> Image.Image:
    """Edits side by side: above before, with handles and where they go, below after, ``height`` px high each."""
    shape = edits[0].before.shape
    width = round(height * shape[1] / shape[0])
    made = Image.new("RGB", (len(edits) * (width + GAP) - GAP, 2 * height + GAP + 26), "white")
    pen = ImageDraw.Draw(made)
    font = ImageFont.load_default(15)
    for column, edit in enumerate(edits):
        left = column * (width + GAP)
        made.paste(_with_arrows(edit, (width, height)), (left, 0))
        made.paste(edit.after.resize((width, height), Image.Resampling.LANCZOS), (left, height + GAP))
        pen.text((left + width / 2, 2 * height + GAP + 5), edit.what, "black", font, "ma")
    return made


def _with_arrows(edit: Edit, size: tuple[int, int]) -> Image.Image:
    """The picture at ``size`` with a red dot on each handle, a blue one on each target, and a line between."""
    width, height = size
    large = Image.fromarray(edit.before).resize((FINE * width, FINE * height), Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(large)
    scale = FINE * width / edit.before.shape[1]
    for handle, target in zip(edit.handles, edit.targets, strict=True):
        (x0, y0), (x1, y1) = (handle + 0.5) * scale, (target + 0.5) * scale
        pen.line([x0, y0, x1, y1], fill="white", width=8)
        for x, y, colour in ((x0, y0, (222, 45, 38)), (x1, y1, (33, 102, 172))):
            pen.ellipse([x - 15, y - 15, x + 15, y + 15], fill=colour, outline="white", width=4)
    return large.resize(size, Image.Resampling.LANCZOS)
