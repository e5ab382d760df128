"""What an editor leaves in a notebook for pages without a kernel: its picture, and how to bring it to life."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw, ImageFont

MOST_BYTES = 200_000
"""Of the picture: it is stored in the notebook again with every run of the cell."""
WIDTH = 512
"""Pixels that the picture is wide, where it fits in so few bytes."""
CAPTION = "A still picture. Run this cell in a notebook to pull its points."


def preview_png(picture: Image.Image, caption: str = CAPTION) -> bytes:
    """Return a PNG of no more than ``MOST_BYTES``: ``picture`` as wide as that allows, and below it ``caption``."""
    width = min(WIDTH, picture.width)
    while True:
        data = _png(_captioned(_scaled(picture, width), caption))
        if len(data) <= MOST_BYTES:
            return data
        # Bytes grow with the area; a little less than that asks for, so that a second try is enough.
        width = max(1, min(width - 1, int(0.95 * width * (MOST_BYTES / len(data)) ** 0.5)))


def _scaled(picture: Image.Image, width: int) -> Image.Image:
    size = (width, max(1, round(picture.height * width / picture.width)))
    return picture if size == picture.size else picture.resize(size, Image.Resampling.LANCZOS)


def _captioned(picture: Image.Image, caption: str) -> Image.Image:
    """Return the caption on a strip of its own, in letters that can be read on light and on dark pages."""
    font = ImageFont.load_default(max(8, min(15, picture.width // 32)))
    lines = _wrapped(caption, font, picture.width - 8)
    height = round(1.3 * font.getbbox("Ay")[3])
    whole = Image.new("RGBA", (picture.width, picture.height + height * len(lines) + 6), "#f4f4f5")
    whole.paste(picture.convert("RGBA"))
    draw = ImageDraw.Draw(whole)
    for row, line in enumerate(lines):
        place = ((picture.width - font.getlength(line)) / 2, picture.height + 3 + height * row)
        draw.text(place, line, "#3f3f46", font)
    return whole if picture.mode == "RGBA" else whole.convert("RGB")


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()
