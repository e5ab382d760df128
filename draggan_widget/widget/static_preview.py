"""What an editor leaves in a notebook for pages without a kernel: its picture, and how to bring it to life."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw, ImageFont

MOST_BYTES = 80_000
"""Of the picture: it is stored in the notebook with every run of the cell, a third larger as base64, and again in the
outputs that IPython keeps. A face of 512 px takes 35,000."""
QUALITY = 85
"""Of JPEG: less shows as noise around the letters of the caption."""
WIDTH = 512
"""Pixels that the picture is wide, where it fits in so few bytes."""
CAPTION = "A still picture. Run this cell in a notebook to pull its points."


def preview(picture: Image.Image, caption: str = CAPTION) -> tuple[str, bytes]:
    """Return ``picture``, and below it ``caption``, for a notebook: a MIME type and no more than ``MOST_BYTES``.

    It is a JPEG, which takes a sixth of a PNG and is shown by every host (WebP is not); with alpha it is a PNG. It is
    ``WIDTH`` pixels wide, or as wide as fits in so few bytes.
    """
    mime, save = ("image/png", _png) if picture.mode == "RGBA" else ("image/jpeg", _jpeg)
    width = min(WIDTH, picture.width)
    while True:
        data = save(_captioned(_scaled(picture, width), caption))
        if len(data) <= MOST_BYTES:
            return mime, data
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


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY, optimize=True)
    return file.getvalue()
