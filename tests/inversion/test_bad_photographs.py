"""Photographs of several people, and machines without room: what people meet that no single part is about."""

from __future__ import annotations

import errno
import weakref

import numpy as np
import pytest
from PIL import Image
from random_stylegan2 import small_stylegan2

from draggan_widget.inversion import Inversion, align, alignment, invert

FACE = np.random.RandomState(0).uniform(10, 54, (68, 2))
"""Where a face lies in a picture of 64 px."""


class Crowd:
    """Finds faces where it was told that they are, in place of dlib."""

    def __init__(self, *places):
        """Take places as x and y of the left upper corner, and how many times as large as in the model's pictures."""
        self.faces = [FACE * scale + (x, y) for x, y, scale in places]

    def __call__(self, picture):
        return FACE

    def all(self, photo, at_least=1):
        return self.faces


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """The user's cache folder, in which nothing is."""
    monkeypatch.setenv("DRAGGAN_WIDGET_CACHE", str(tmp_path))
    monkeypatch.setattr(alignment, "_usual", weakref.WeakKeyDictionary())
    return tmp_path


@pytest.fixture
def full(cache, monkeypatch):
    """The same, on a disk that is full; what was to be written there."""
    asked = []

    def write(path, data):
        asked.append(path)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("draggan_widget.models.mapped.write_whole", write)
    return asked


def test_of_several_faces_the_largest_is_taken_unless_another_is_named_and_a_note_says_so(generator, cache):
    photo, crowd = Image.new("RGB", (400, 200)), Crowd((10, 20, 2.0), (250, 60, 1.0))
    found = align(photo, generator, landmarks=crowd)
    assert found.faces == 2
    assert (found.square.size, found.square.angle) == pytest.approx((128, 0), abs=1e-6)
    assert found.square.x < 100
    assert "2 faces were found; the largest is taken. Give face=1 for the next one." in found.notes
    second = align(photo, generator, face=1, landmarks=crowd)
    assert second.square.size == pytest.approx(64)
    assert second.square.x > 250
    assert second.notes == ()
    with pytest.raises(ValueError, match="face is 2, but 2 faces were found; give a number from 0 on, or leave it out"):
        align(photo, generator, face=2, landmarks=crowd)


def test_a_full_disk_keeps_nobody_from_aligning_and_what_was_found_out_is_remembered(generator, full):
    photo = Image.new("RGB", (200, 200))
    first = align(photo, generator, landmarks=Crowd((10, 20, 2.0)))
    assert first.faces == 1
    assert [path.name.startswith("landmarks-") for path in full] == [True]
    assert align(photo, generator, landmarks=Crowd((10, 20, 2.0))) == first
    assert len(full) == 1


def test_a_full_disk_keeps_nobody_from_inverting(full):
    model = small_stylegan2(32)
    noise = np.random.RandomState(0).randint(0, 256, (20, 22, 3)).astype(np.uint8)
    photo = Image.fromarray(noise).resize((90, 80), Image.Resampling.BICUBIC)
    quick = Inversion(pivot_steps=2, tuning_steps=2)
    found = invert(model, photo, square=(44.5, 39.5, 40), settings=quick)
    assert found.report.psnr["tuned"] > 0
    assert full  # the metric of the latents would have been kept
