"""Photographs of every kind are opened upright and in RGB, and the others are refused with a sentence."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from draggan_widget.inversion import open_photo


@pytest.fixture(scope="module")
def picture():
    """64 × 48, every corner of its own colour."""
    array = np.zeros((48, 64, 3), np.uint8)
    array[:24, :32], array[:24, 32:], array[24:, :32], array[24:, 32:] = (
        (200, 0, 0),
        (0, 200, 0),
        (0, 0, 200),
        (90,) * 3,
    )
    return Image.fromarray(array)


def encoded(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def huge_png(width, height):
    """The header of a PNG of that size, and no pixels."""
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))  # noqa: E731
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_path_bytes_a_picture_and_an_array_give_the_same(picture, tmp_path):
    path = tmp_path / "me.png"
    picture.save(path)
    for source in (path, str(path), path.read_bytes(), memoryview(path.read_bytes()), picture, np.asarray(picture)):
        assert open_photo(source).picture.tobytes() == picture.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_upright_as_its_exif_says(picture, orientation):
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that EXIF asks to take back
    stored = picture if orientation == 1 else picture.transpose(Image.Transpose(back[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = open_photo(encoded(stored, "PNG", exif=exif)).picture
    assert found.size == picture.size
    assert found.tobytes() == picture.tobytes()


def test_cmyk_grey_palettes_16_bits_and_floats_become_rgb_of_8_bits(picture):
    near = np.asarray(picture).astype(int)
    for source in (
        encoded(picture.convert("CMYK"), "TIFF"),
        encoded(picture.quantize(8), "PNG"),
        np.asarray(picture).astype(np.uint16) * 257,
        np.asarray(picture) / 255,
    ):
        opened = open_photo(source)
        assert opened.picture.mode == "RGB"
        assert np.abs(np.asarray(opened.picture).astype(int) - near).max() <= 3
    deep = Image.fromarray(np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16))
    opened = open_photo(encoded(deep, "PNG"))
    assert np.asarray(opened.picture).max() == 255
    assert "8" in opened.notes[0]


def test_alpha_is_kept_aside_and_what_is_all_opaque_has_none(picture):
    half = picture.convert("RGBA")
    half.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))))
    opened = open_photo(encoded(half, "PNG"))
    assert opened.picture.tobytes() == picture.tobytes()
    assert opened.alpha is not None
    assert opened.alpha.getextrema() == (0, 255)
    assert np.asarray(opened.flat)[0, 0].tolist() == [255, 255, 255]
    assert open_photo(encoded(picture.convert("RGBA"), "PNG")).alpha is None


def test_of_an_animation_the_first_picture_is_taken_and_that_is_said(picture):
    data = encoded(picture, "GIF", save_all=True, append_images=[picture.transpose(Image.Transpose.ROTATE_180)])
    opened = open_photo(data)
    assert np.asarray(opened.picture)[0, 0, 0] > 150
    assert opened.notes == ("Of its 2 pictures the first is taken.",)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: "https://example.org/me.jpg", "nothing is fetched; save the picture"),
        (lambda p: b"", "is empty; give a JPEG"),
        (lambda p: b"a text that calls itself .jpg", "is no picture that can be read; give a JPEG"),
        (lambda p: encoded(p.resize((640, 480)), "JPEG")[:3000], "is damaged .*; get it again"),
        (lambda p: encoded(p, "PNG")[:90], "damaged|no picture"),
        (lambda p: p.resize((2, 2)), "is 2 × 2 px; give one of at least 32 px"),
        (lambda p: huge_png(20_000, 10_000), "too many pixels|megapixels"),
        (lambda p: huge_png(12_000, 9_000), "has 108 megapixels .*make it smaller"),
        (lambda p: np.zeros((40, 40, 7), np.uint8), r"the array is 40 × 40 × 7; give \(H, W\)"),
        (lambda p: np.full((40, 40), np.nan), "leaves 0 … 1; scale it"),
        (lambda p: np.zeros((40, 40), complex), "holds complex128; give uint8"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_sentence_that_says_what_to_do(picture, make, said):
    with pytest.raises(ValueError, match=said):
        open_photo(make(picture))


def test_no_file_and_no_photograph_at_all_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        open_photo(tmp_path / "none.jpg")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        open_photo(tmp_path)
    with pytest.raises(TypeError, match="photo is a int; give a path"):
        open_photo(7)
