"""Pictures of an edit, drawn with Pillow, which show in every notebook: its ways, its stages, and where points hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from draggan_widget.editing import History, Record, draw_points, thinned
from draggan_widget.engines import State
from draggan_widget.engines.draggan import FLAT, distinctness

if TYPE_CHECKING:
    from torch import Tensor

    from draggan_widget.models import Generator

WAYS = ("#e5484d", "#0091ff", "#f5a623", "#30a46c", "#ab4aba", "#00b8d9")
"""Colours of ways, in turn."""
GAP = 6
RAMP = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
"""Colours from 0 to 1, dark to bright, which look ordered to eyes that see no red or green too."""
CLEAREST = 0.6
"""Distinctness that has the brightest colour."""
CELLS = 64
"""Places along the longer side at which distinctness is measured."""


def trajectories(history: History, *, width: int = 512) -> Image.Image:
    """Return the last picture, ``width`` pixels wide, with the way of each handle on it, its present place and its
    target.

    :raises ValueError: for an empty history, or one without a generator.
    """
    return drawn_ways(history, history.at(_last(history)), history.picture(), width)


def drawn_ways(history: History, record: Record, picture: Image.Image, width: int) -> Image.Image:
    """Return the ways up to a record on its picture, in colours that tell points apart."""
    scale = width / picture.width
    canvas = picture.resize((width, max(1, round(picture.height * scale))), Image.Resampling.BICUBIC)
    canvas = canvas if canvas.mode == "RGBA" else canvas.convert("RGB")
    draw = ImageDraw.Draw(canvas)
    for number, way in ways(history, record.step, scale).items():
        for colour, thickness in (("black", 4), (colour_of(number, record.ids), 2)):
            if len(way) > 1:
                draw.line(way, fill=colour, width=thickness, joint="curve")
        x, y = way[0]
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill="white", outline="black")
    return draw_points(canvas, _points(record, scale), width)


def ways(history: History, step: int, scale: float) -> dict[int, list[tuple[float, float]]]:
    """Point → where its handle was after each step up to ``step``, in pixels of a picture ``scale`` times as large."""
    found: dict[int, list[tuple[float, float]]] = {}
    for record in history:
        if record.step <= step:
            for number, (x, y) in zip(record.ids, record.handles, strict=True):
                found.setdefault(number, []).append(((float(x) + 0.5) * scale, (float(y) + 0.5) * scale))
    return found


def colour_of(number: int, ids: tuple[int, ...]) -> str:
    """Return the colour of a point's way."""
    return WAYS[(ids.index(number) if number in ids else number) % len(WAYS)]


def contact_sheet(history: History, *, count: int = 12, columns: int = 4, width: int = 192) -> Image.Image:
    """Up to ``count`` pictures of an edit, evenly chosen with both ends, with handles, targets and steps on them.

    What is between the pictures, each ``width`` pixels wide, is transparent.

    :raises ValueError: for an empty history, one without a generator, or numbers below 1.
    """
    for name, value in (("count", count), ("columns", columns), ("width", width)):
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    _last(history)
    records = thinned(history, count)
    pictures = []
    for record in records:
        drawn = draw_points(history.picture(record.step), _points(record), width)
        pictures.append(labelled(drawn, f"step {record.step}"))
    columns = min(columns, len(pictures))
    height = pictures[0].height
    size = (columns * (width + GAP) - GAP, math.ceil(len(pictures) / columns) * (height + GAP) - GAP)
    sheet = Image.new("RGBA", size, (0, 0, 0, 0))
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        sheet.paste(picture.convert("RGBA"), (column * (width + GAP), row * (height + GAP)))
    return sheet


def feature_map(generator: Generator, ws: Tensor | np.ndarray, block: int | None = None) -> Image.Image:
    """Return the picture of a latent, with how well a handle can be told from its surroundings there laid over it.

    Dark is where a handle would be lost, bright where it holds; places below the bar's mark count as flat. See
    ``dragging.texture.distinctness``.

    :param ws: (1, num_ws, w_dim). :param block: whose features; None for the generator's own.
    :returns: the picture, as wide as the generator makes it but at least 384 pixels, and a bar with the scale below.
    :raises ValueError: for a block that the generator does not have.
    """
    config = generator.drag_config if block is None else generator.drag_config.replace(block=block)
    state = State.begin(generator, ws, config)
    height, width = generator.resolution
    spacing = max(height, width) / CELLS
    x = np.arange(spacing / 2, width, spacing) - 0.5
    y = np.arange(spacing / 2, height, spacing) - 0.5
    places = np.stack([each.ravel() for each in np.meshgrid(x, y)], axis=1)
    found = distinctness(generator, state.memory, places).reshape(len(y), len(x))
    picture = History([Record.of(state, 0.0, None)], generator).picture().convert("RGB")
    wide = max(width, 384)
    tall = round(height * wide / width)
    picture = picture.resize((wide, tall), Image.Resampling.BICUBIC)
    colours = Image.fromarray(_coloured(found / CLEAREST)).resize((wide, tall), Image.Resampling.BICUBIC)
    shown = Image.blend(picture.convert("L").convert("RGB"), colours, 0.6)
    bar = 34
    sheet = Image.new("RGBA", (wide, tall + bar), (0, 0, 0, 0))
    sheet.paste(shown, (0, 0))
    ramp = Image.fromarray(_coloured(np.linspace(0, 1, wide)[None].repeat(10, axis=0)))
    sheet.paste(ramp, (0, tall + 4))
    draw = ImageDraw.Draw(sheet)
    mark = round(FLAT / CLEAREST * wide)
    draw.line((mark, tall + 2, mark, tall + 16), fill="#888888", width=2)
    font = ImageFont.load_default(13)
    draw.text((0, tall + 17), "lost", fill="#888888", font=font)
    draw.text((mark, tall + 17), "flat below", fill="#888888", font=font, anchor="ma")
    draw.text((wide, tall + 17), "holds", fill="#888888", font=font, anchor="ra")
    return sheet


def labelled(picture: Image.Image, text: str) -> Image.Image:
    """Return a picture with a text in its lower left corner, on a dark ground that shows on any picture."""
    font = ImageFont.load_default(12)
    draw = ImageDraw.Draw(picture, "RGBA" if picture.mode == "RGB" else None)
    left, top, right, bottom = draw.textbbox((9, picture.height - 8), text, font=font, anchor="ls")
    draw.rounded_rectangle((left - 4, top - 3, right + 4, bottom + 3), 4, fill=(0, 0, 0, 170))
    draw.text((9, picture.height - 8), text, fill="white", font=font, anchor="ls")
    return picture


def _points(record: Record, scale: float = 1.0) -> list[dict[str, Any]]:
    """Return points as ``draw_points`` takes them, in pixels of a picture ``scale`` times as large."""
    return [
        {"handle": (handle + 0.5) * scale - 0.5, "target": (target + 0.5) * scale - 0.5}
        for handle, target in zip(record.handles, record.targets, strict=True)
    ]


def _last(history: History) -> int:
    if not len(history):
        raise ValueError("this history is empty: nothing was dragged yet, so there is nothing to show")
    return history[-1].step


def _coloured(shares: np.ndarray) -> np.ndarray:
    """Return numbers (h, w), 0 … 1, as colours (h, w, 3) uint8."""
    stops = np.linspace(0, 1, len(RAMP))
    channels = [np.interp(shares, stops, [colour[channel] for colour in RAMP]) for channel in range(3)]
    return np.asarray(np.stack(channels, axis=2).round(), dtype=np.uint8)
