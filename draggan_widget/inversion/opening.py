"""Photographs as people have them: files of many kinds, bytes, pictures and arrays."""

from __future__ import annotations

import dataclasses
import io
import os
import re
import warnings
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from draggan_widget.files import readable
from draggan_widget.texts import one_line, printable, shown_path

SMALLEST = 32
"""Pixels of each side that a photograph has at least."""
MOST_PIXELS = 100_000_000
"""Of a photograph; beyond that it takes gigabytes to work on."""
ADDRESS = re.compile(r"^(https?|ftp|data|file):", re.IGNORECASE)
REDUCE = f"make it smaller than {MOST_PIXELS // 1_000_000} megapixels first"


@dataclasses.dataclass(frozen=True, eq=False)
class Opened:
    """A photograph, upright and in RGB."""

    picture: Image.Image
    """RGB, in full size."""
    alpha: Image.Image | None
    """L, how opaque it is; None where it is all opaque."""
    notes: tuple[str, ...] = ()
    """What was done to it that people should know of, a sentence each."""
    name: str = "photograph"
    """What people call it: the name of its file, where it came from one."""

    @property
    def flat(self) -> Image.Image:
        """It on white, where it is not opaque."""
        if self.alpha is None:
            return self.picture
        white = Image.new("RGB", self.picture.size, "white")
        white.paste(self.picture, mask=self.alpha)
        return white


def open_photo(source: Any) -> Opened:
    """Return a photograph: turned upright as its EXIF says, in sRGB, its alpha kept aside.

    :param source: the path of a file, its bytes, a PIL picture, what was opened before, or an array (H, W), (H, W, 1),
        (H, W, 3) or (H, W, 4) of uint8, uint16, or floats 0 … 1. Of an animated one the first picture is taken.
    :raises FileNotFoundError: if there is no such file. :raises TypeError: for anything else.
    :raises ValueError: for a web address, what is no picture or a damaged one, and for one that is too small or large.
    """
    if isinstance(source, Opened):
        return source
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        if isinstance(path, str) and ADDRESS.match(path):
            raise ValueError(
                f"{shown_path(path)} is a web address, and nothing is fetched; save the picture and give its file"
            )
        found = readable(path, "a picture")
        return dataclasses.replace(_decoded(found.read_bytes(), shown_path(path)), name=printable(found.name))
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decoded(bytes(source), "the photograph")
    if isinstance(source, np.ndarray):
        return _finished(_of_array(source), "the array")
    if isinstance(source, Image.Image):
        return _finished(source, "the picture")
    kind = type(source).__name__
    raise TypeError(f"photo is a {kind}; give a path, the bytes of a file, a PIL picture or an array (H, W, 3)")


def _decoded(data: bytes, name: str) -> Opened:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data))
    except UnidentifiedImageError as error:
        what = "is empty" if not data else "is no picture that can be read"
        raise ValueError(f"{name} {what}; give a JPEG, PNG or WebP") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"{name} has too many pixels ({one_line(error, 80)}); {REDUCE}") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{name} is damaged ({one_line(error, 120)}); get it again") from error
    return _finished(picture, name)


def _of_array(array: np.ndarray) -> Image.Image:
    shape = " × ".join(map(str, array.shape))
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)) or 0 in array.shape:
        raise ValueError(f"the array is {shape}; give (H, W), (H, W, 3) or (H, W, 4)")
    if array.dtype == np.uint16:
        array = (array.astype(np.float32) / 257).round()
    elif array.dtype.kind == "f":
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise ValueError("the array of floats leaves 0 … 1; scale it, or give uint8")
        array = (array * 255).round()
    elif array.dtype != np.uint8:
        raise ValueError(f"the array holds {array.dtype}; give uint8, uint16, or floats 0 … 1")
    return Image.fromarray(array.astype(np.uint8))


def _finished(picture: Image.Image, name: str) -> Opened:
    if picture.width * picture.height > MOST_PIXELS:
        million = round(picture.width * picture.height / 1e6)
        raise ValueError(f"{name} has {million} megapixels ({picture.width} × {picture.height}); {REDUCE}")
    if min(picture.size) < SMALLEST:
        raise ValueError(
            f"{name} is {picture.width} × {picture.height} px; give one of at least {SMALLEST} px each way"
        )
    notes = []
    if getattr(picture, "n_frames", 1) > 1:
        notes.append(f"Of its {picture.n_frames} pictures the first is taken.")  # type: ignore[attr-defined]
        picture.seek(0)
    try:
        picture.load()
        profile = picture.info.get("icc_profile")
        upright = ImageOps.exif_transpose(picture)
        if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
            notes.append("Its 16 bits a colour became 8.")
            upright = _of_deep(upright)
        transparent = upright.has_transparency_data
        alpha = upright.convert("RGBA").getchannel("A") if transparent else None
        colours = _in_srgb(upright, profile)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{name} is damaged ({one_line(error, 120)}); get it again") from error
    if alpha is not None and alpha.getextrema() == (255, 255):
        alpha = None
    return Opened(colours, alpha, tuple(notes))


def _of_deep(picture: Image.Image) -> Image.Image:
    """Return a grey picture of 16 or 32 bits in 8."""
    values = np.asarray(picture).astype(np.float64)
    most = 65535.0 if values.max() > 255 else 255.0
    return Image.fromarray((values / most * 255).clip(0, 255).round().astype(np.uint8))


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Return a picture in RGB, by its colour profile where it has one that can be read."""
    if profile and picture.mode in ("RGB", "CMYK", "L"):
        try:
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if picture.mode == "RGB" and "srgb" in ImageCms.getProfileDescription(own).lower():
                return picture.copy()  # not a bit of it changes
            found = ImageCms.profileToProfile(picture, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if found is not None:
                return found
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # of another kind of colour, or broken: then the numbers count as they are
    return picture.convert("RGB") if picture.mode != "RGB" else picture.copy()
