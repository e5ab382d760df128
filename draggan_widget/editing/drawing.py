"""A picture with the points of an edit drawn on it, for where there is no page to draw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw

HANDLE = "#e5484d"


def draw_points(image: Image.Image, points: Sequence[Mapping[str, Any]], width: int) -> Image.Image:
    """Return a picture scaled to ``width`` pixels, with handles (dots), targets (rings) and the way between.

    It is RGB, or RGBA where the picture has alpha.

    :param points: ``[{"handle": [x, y], "target": [x, y]}, …]`` in pixels of ``image``.
    """
    scale = width / image.width
    canvas = image.convert("RGBA" if image.mode == "RGBA" else "RGB")
    canvas = canvas.resize((width, max(1, round(image.height * scale))), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(canvas)
    radius = max(3, round(width / 80))
    for point in points:
        (x0, y0), (x1, y1) = (tuple((number + 0.5) * scale for number in point[part]) for part in ("handle", "target"))
        for colour, thickness in (("black", 4), ("white", 2)):
            draw.line((x0, y0, x1, y1), fill=colour, width=thickness)
        draw.ellipse((x1 - radius, y1 - radius, x1 + radius, y1 + radius), outline="white", width=2)
        draw.ellipse((x0 - radius, y0 - radius, x0 + radius, y0 + radius), fill=HANDLE, outline="white", width=2)
    return canvas
