"""A mask as a picture in a file, which any paint program can make or change: white may move, black must stay."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from draggan_widget.files import written_whole

SHAPES_DIFFER = 0.02
"""By so much of it the shape (width by height) of a mask's picture may differ: sizes are rounded."""


def read_mask(path: str | os.PathLike[str], resolution: tuple[int, int]) -> np.ndarray:
    """Return a mask (H, W) of float32 in 0 … 1 from a picture, scaled to ``resolution`` (H, W).

    :raises FileNotFoundError: if there is no such file.
    :raises ValueError: if it is no picture, of another shape, or white nowhere.
    """
    path = Path(path).expanduser()
    height, width = resolution
    grey = _grey(path)
    if abs(grey.width * height / (grey.height * width) - 1) > SHAPES_DIFFER:
        raise ValueError(
            f"{path} is {grey.width}×{grey.height} and the picture {width}×{height}, another shape: "
            "crop the mask to the same"
        )
    grey = grey.resize((width, height), Image.Resampling.BILINEAR)
    mask = np.asarray(grey, np.float32) / 255
    if not (mask > 0.5).any():
        raise ValueError(f"{path} is white nowhere, so nothing could move; paint white what may move")
    return mask


def save_mask(path: str | os.PathLike[str], mask: np.ndarray | None) -> None:
    """Write a mask (H, W) in 0 … 1 as a grey PNG. :raises ValueError: if it is None, or for another ending."""
    path = Path(path).expanduser()
    if mask is None:
        raise ValueError("there is no mask to save: nothing is painted, so everything may move")
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path} ends in {path.suffix!r}; a mask is written as .png")
    with written_whole(path) as partial:
        Image.fromarray(np.round(np.asarray(mask) * 255).astype(np.uint8), "L").save(partial, "PNG")


def _grey(path: Path) -> Image.Image:
    try:
        with Image.open(path) as picture:
            return _brightness(ImageOps.exif_transpose(picture))
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # decoders raise whatever they like for a file that is broken
        raise ValueError(f"{path} is no picture that a mask can be read from: {error}") from error


def _brightness(picture: Image.Image) -> Image.Image:
    """Return a picture as grey; what is transparent is black. Sixteen bits a pixel are scaled, not cut."""
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.nan_to_num(np.asarray(picture, np.float32))
        brightest = 65535 if values.max() > 255 else 255 if values.max() > 1 else 1
        return Image.fromarray((np.clip(values / brightest, 0, 1) * 255).astype(np.uint8), "L")
    rgba = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "black"), rgba).convert("L")
