"""Masks as pictures in files."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from draggan_widget.editing.maskfile import read_mask, save_mask

MASK = np.zeros((24, 32), np.float32)
MASK[4:12, 8:20] = 1
MASK[12, 8:20] = 0.4


def test_a_mask_that_is_saved_is_read_again_to_a_step_of_grey(tmp_path):
    path = tmp_path / "mask.png"
    save_mask(path, MASK)
    assert Image.open(path).mode == "L"
    np.testing.assert_allclose(read_mask(path, (24, 32)), MASK, atol=0.5 / 255 + 1e-6)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16", "F"])
def test_a_mask_is_read_from_pictures_of_every_kind(tmp_path, mode):
    white = np.zeros((24, 32), np.uint8)
    white[4:12, 8:20] = 255
    if mode == "I;16":
        picture = Image.fromarray(white.astype(np.uint16) * 257)
    elif mode == "F":
        picture = Image.fromarray(white.astype(np.float32) / 255)
    else:
        picture = Image.fromarray(white).convert(mode)
    path = tmp_path / ("mask.tif" if mode == "F" else "mask.png")
    picture.save(path)
    np.testing.assert_array_equal(read_mask(path, (24, 32)) > 0.5, white > 0)


def test_what_is_transparent_must_stay(tmp_path):
    rgba = np.full((24, 32, 4), 255, np.uint8)
    rgba[:, 16:, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "mask.png")
    mask = read_mask(tmp_path / "mask.png", (24, 32))
    assert (mask[:, :16].min(), mask[:, 16:].max()) == (1, 0)


def test_another_size_is_scaled_and_another_shape_refused_with_both(tmp_path):
    path = tmp_path / "mask.png"
    save_mask(path, np.kron(MASK, np.ones((3, 3))))
    np.testing.assert_array_equal(read_mask(path, (24, 32))[:11] > 0.5, MASK[:11] > 0.5)
    with pytest.raises(ValueError, match="is 96×72 and the picture 64×64, another shape"):
        read_mask(path, (64, 64))


def test_what_is_no_mask_is_refused_in_words(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_mask(tmp_path / "none.png", (24, 32))
    (tmp_path / "words.png").write_text("no picture")
    with pytest.raises(ValueError, match="no picture that a mask can be read from"):
        read_mask(tmp_path / "words.png", (24, 32))
    Image.new("L", (32, 24)).save(tmp_path / "black.png")
    with pytest.raises(ValueError, match="white nowhere"):
        read_mask(tmp_path / "black.png", (24, 32))
    save_mask(tmp_path / "cut.png", MASK)
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="no picture that a mask can be read from"):
        read_mask(tmp_path / "cut.png", (24, 32))
    with pytest.raises(ValueError, match="there is no mask to save"):
        save_mask(tmp_path / "mask.png", None)
    with pytest.raises(ValueError, match=r"ends in '.jpg'; a mask is written as .png"):
        save_mask(tmp_path / "mask.jpg", MASK)
