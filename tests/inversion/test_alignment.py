"""Where a model's picture lies in a photograph, and the way back."""

from __future__ import annotations

import re
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from draggan_widget import load_generator
from draggan_widget.inversion import Landmarks, Square, align, alignment, crop, open_photo, paste, usual_landmarks
from draggan_widget.inversion.landmarks import INSTALL

PORTRAIT = Path(__file__).parent.parent / "data" / "astronaut.jpg"


@pytest.fixture(scope="module")
def portrait():
    return open_photo(PORTRAIT).picture


@pytest.fixture(scope="module")
def faces():
    return load_generator("faces")


def test_a_square_of_landmarks_is_the_similarity_that_moved_them():
    here = np.random.RandomState(0).rand(68, 2) * 200
    wanted = Square(410.0, 120.5, 333.0, -17.0)
    found = Square.of_landmarks(wanted.positions(here, (256, 256)), here, (256, 256))
    assert [found.x, found.y, found.size, found.angle] == pytest.approx([410.0, 120.5, 333.0, -17.0])


def test_the_middle_is_the_largest_square_or_half_of_one():
    assert Square.middle((300, 200), (64, 64)) == Square(149.5, 99.5, 200.0)
    assert Square.middle((300, 200), (64, 32)) == Square(149.5, 99.5, 200.0)
    assert Square.middle((300, 2000), (64, 64)).size == 300
    corners = Square.middle((300, 200), (64, 64)).corners((64, 64))
    assert corners.min(axis=0) == pytest.approx([49.5, -0.5])
    assert corners.max(axis=0) == pytest.approx([249.5, 199.5])


def test_a_crop_of_the_photographs_own_pixels_is_those_pixels(portrait):
    cut = crop(portrait, Square(99.5, 79.5, 64.0), (64, 64))
    assert cut.tobytes() == portrait.crop((68, 48, 132, 112)).tobytes()


def test_a_crop_of_a_fine_photograph_is_its_average(portrait):
    fine = portrait.resize((2048, 2048), Image.Resampling.NEAREST)
    cut = crop(fine, Square(4 * 99.5 + 1.5, 4 * 79.5 + 1.5, 256.0), (64, 64))
    wanted = np.asarray(portrait.crop((68, 48, 132, 112))).astype(int)
    assert np.abs(np.asarray(cut).astype(int) - wanted).mean() < 2.5


def test_turned_scaled_and_shifted_photographs_give_the_same_crop(faces):
    seen = Image.open(Path(__file__).parent.parent / "data" / "heads" / "blink-0.png").convert("RGB")
    canvas = Image.new("RGB", (700, 620), (90, 100, 110))
    canvas.paste(seen.resize((420, 420), Image.Resampling.BICUBIC), (120, 90))
    first = np.asarray(crop(canvas, align(canvas, faces).square, faces.resolution)).astype(int)
    turned = canvas.rotate(9, Image.Resampling.BICUBIC, fillcolor=(90, 100, 110)).resize((840, 744))
    found = align(turned, faces)
    assert found.faces == 1
    assert not found.notes
    second = np.asarray(crop(turned, found.square, faces.resolution)).astype(int)
    assert np.abs(first - second)[32:-32, 32:-32].mean() < 4


def test_a_portraits_face_lies_where_the_models_faces_lie(portrait, faces):
    found = align(portrait, faces)
    own = Landmarks()(np.asarray(crop(portrait, found.square, faces.resolution)))
    eyes = own[36:48].mean(axis=0)
    assert abs(eyes[0] - 127.5) < 12
    assert 80 < eyes[1] < 150


def test_without_a_face_the_middle_is_taken_and_said_and_a_face_that_is_not_there_is_refused(faces, portrait):
    grey = Image.new("RGB", (200, 160), (120, 120, 120))
    found = align(grey, faces)
    assert found.faces == 0
    assert found.square == Square.middle((200, 160), faces.resolution)
    assert "No face was found" in found.notes[0]
    with pytest.raises(ValueError, match="face is 7, but .* found; give a number from 0 on"):
        align(portrait, faces, face=7)


def test_without_dlib_the_middle_is_taken_and_the_note_says_what_to_install(faces, portrait, monkeypatch):
    monkeypatch.setattr(alignment, "loaded_landmarks", missing)
    found = align(portrait, faces)
    assert found.square == Square.middle(portrait.size, faces.resolution)
    assert re.search(r"so the middle is taken; .*pip install \"draggan_widget\[photos\]\"", found.notes[0])


def missing():
    raise ModuleNotFoundError(INSTALL)


def test_a_model_of_other_things_gets_the_middle(generator, portrait):
    found = align(portrait, generator)
    assert found.square == Square.middle(portrait.size, generator.resolution)
    assert "makes no faces" in found.notes[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"x": float("nan"), "y": 0, "size": 50}, "square's x is nan; give a finite number"),
        ({"x": 0, "y": 0, "size": 3}, "square's size is 3.*; give at least 8 pixels"),
    ],
)
def test_a_square_that_is_none_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        Square(**given)


def test_a_square_beside_the_photograph_is_refused(portrait):
    with pytest.raises(ValueError, match="lies beside the photograph; move it onto it"):
        crop(portrait, Square(-500, 10, 64), (64, 64))


# --- back ------------------------------------------------------------------------------------------------------------

PLACES = [Square(220, 150, 200, 12), Square(220, 150, 256), Square(250, 250, 700, -30), Square(20, 500, 120, 90)]


@pytest.mark.parametrize("square", PLACES)
def test_without_an_edit_the_photograph_stays_to_the_last_bit(portrait, square):
    same = crop(portrait, square, (256, 256))
    assert paste(portrait, square, same, same).tobytes() == portrait.tobytes()


@pytest.mark.parametrize("square", [Square(220, 150, 200, 12), Square(220, 150, 256), Square(240, 240, 180, -30)])
def test_a_crop_pasted_whole_is_the_photograph_again(portrait, square):
    pasted = np.asarray(paste(portrait, square, crop(portrait, square, (256, 256)))).astype(int)
    away = np.abs(pasted - np.asarray(portrait).astype(int)).mean(axis=2)
    y, x = np.mgrid[: portrait.height, : portrait.width]
    turn = np.exp(-1j * np.radians(square.angle))
    inside = ((x - square.x) + 1j * (y - square.y)) * turn
    inside = (np.abs(inside.real) <= square.size / 2) & (np.abs(inside.imag) <= square.size / 2)
    assert not away[~inside].any()
    assert away[inside].mean() <= 2


def test_outside_a_mask_nothing_changes_and_inside_the_edit_is_taken(portrait):
    square = Square(220, 150, 512)
    before = crop(portrait, square, (256, 256))
    after = Image.fromarray(255 - np.asarray(before))
    mask = np.zeros((256, 256), np.float32)
    mask[100:160, 60:200] = 1
    away = np.abs(np.asarray(paste(portrait, square, after, before, mask)).astype(int) - np.asarray(portrait)).max(
        axis=2
    )
    y, x = np.mgrid[: portrait.height, : portrait.width]
    row, column = ((y - 150) / 2 + 127.5).round().astype(int), ((x - 220) / 2 + 127.5).round().astype(int)
    there = (row >= 0) & (row < 256) & (column >= 0) & (column < 256)
    open_ = np.zeros(there.shape, bool)
    open_[there] = mask[row[there], column[there]] > 0
    assert away[~open_].max() == 0
    assert away[open_].mean() > 60


def test_what_the_model_could_not_fit_stays_where_nothing_moved(portrait):
    square = Square(220, 150, 256)
    fitted = crop(portrait, square, (64, 64)).resize((256, 256))  # a soft picture, as of a poor fit
    edited = np.array(fitted)
    edited[100:110, 100:110] = 255
    away = np.abs(
        np.asarray(paste(portrait, square, Image.fromarray(edited), fitted)).astype(int) - np.asarray(portrait)
    )
    assert away[124:132, 194:202].mean() > 50
    assert not away[160:].any()
    assert not away[:95].any()


def test_pictures_and_masks_of_other_sizes_are_refused(portrait):
    small, large = portrait.resize((64, 64)), portrait.resize((128, 128))
    with pytest.raises(ValueError, match="edited picture is 64 × 64 and the unedited one 128 × 128"):
        paste(portrait, Square(200, 200, 100), small, large)
    with pytest.raises(ValueError, match="mask is 8 × 9, the picture 64 × 64"):
        paste(portrait, Square(200, 200, 100), small, None, np.ones((9, 8)))


def test_where_faces_usually_lie_is_found_out_once_and_kept(faces, monkeypatch, tmp_path):
    monkeypatch.setenv("DRAGGAN_WIDGET_CACHE", str(tmp_path))
    monkeypatch.setattr(alignment, "SAMPLES", 5)
    monkeypatch.setattr(alignment, "_usual", weakref.WeakKeyDictionary())
    first = usual_landmarks(faces, Landmarks())
    assert first.shape == (68, 2)
    assert len(list(tmp_path.glob("landmarks-*.npy"))) == 1
    monkeypatch.setattr(alignment, "_usual", weakref.WeakKeyDictionary())
    again = usual_landmarks(faces, None)  # asks nobody
    assert np.array_equal(again, first)
