"""Pictures for readers: a sheet of samples, and a strip of edits."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pulls import picture_of

from draggan_widget import drag
from draggan_widget.inversion import Landmarks
from draggan_widget.models import Generator

EDITS = (
    ("smile", 9, (48, 54), ((-0.04, -0.035), (0.04, -0.035))),
    ("open the mouth", 16, (51, 57), ((0.0, -0.02), (0.0, 0.06))),
    ("turn the head", 31, (30,), ((0.09, 0.0),)),
    ("look up", 14, (30,), ((0.0, -0.06),)),
)
"""What, seed, dlib's landmarks that are pulled, and how far, in picture widths."""
GAP = 6


def sample_sheet(
    generator: Generator, truncation: float = 0.7, columns: int = 8, rows: int = 8, side: int = 192
) -> Image.Image:
    """The pictures of seeds 0, 1, …, row by row."""
    sheet = Image.new("RGB", (columns * side, rows * side))
    for seed in range(columns * rows):
        picture = Image.fromarray(picture_of(generator, generator.mapping(seed=seed, truncation=truncation)))
        picture = picture.resize((side, side), Image.Resampling.LANCZOS)
        sheet.paste(picture, (seed % columns * side, seed // columns * side))
    return sheet


def edit_strip(generator: Generator, side: int = 256) -> Image.Image:
    """Four edits side by side: above before, with handles and where they go, below after."""
    find = Landmarks()
    strip = Image.new("RGB", (len(EDITS) * (side + GAP) - GAP, 2 * side + GAP + 26), "white")
    pen = ImageDraw.Draw(strip)
    font = ImageFont.load_default(15)
    for column, (what, seed, numbers, ways) in enumerate(EDITS):
        ws = generator.mapping(seed=seed, truncation=0.7)
        before = picture_of(generator, ws)
        marks = find(before)
        if marks is None:
            raise RuntimeError(f"no face is found in seed {seed}, whose edit is to be shown")
        width = before.shape[1]
        handles = [marks[number] for number in numbers]
        targets = [handle + width * np.array(way) for handle, way in zip(handles, ways, strict=True)]
        after = drag(generator, ws, handles, targets).image
        left = column * (side + GAP)
        strip.paste(_with_arrows(before, handles, targets, side), (left, 0))
        strip.paste(after.resize((side, side), Image.Resampling.LANCZOS), (left, side + GAP))
        pen.text((left + side / 2, 2 * side + GAP + 5), what, "black", font, "ma")
    return strip


def _with_arrows(picture: np.ndarray, handles: list[np.ndarray], targets: list[np.ndarray], side: int) -> Image.Image:
    """The picture at ``side`` px with a red dot on each handle, a blue one on each target, and a line between."""
    fine = 3 * side  # drawn large and made smaller, for smooth edges
    large = Image.fromarray(picture).resize((fine, fine), Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(large)
    scale = fine / picture.shape[1]
    for handle, target in zip(handles, targets, strict=True):
        (x0, y0), (x1, y1) = (handle + 0.5) * scale, (target + 0.5) * scale
        pen.line([x0, y0, x1, y1], fill="white", width=8)
        for x, y, colour in ((x0, y0, (222, 45, 38)), (x1, y1, (33, 102, 172))):
            pen.ellipse([x - 15, y - 15, x + 15, y + 15], fill=colour, outline="white", width=4)
    return large.resize((side, side), Image.Resampling.LANCZOS)
