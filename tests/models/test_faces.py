"""The built-in generator "faces" as it is shipped."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from forward import TrainingForward

from draggan_widget import drag, load_generator
from draggan_widget.inversion import Landmarks
from draggan_widget.models.checkpoints.load import BUILTIN

FILE = BUILTIN / "faces.safetensors"


@pytest.fixture(scope="module")
def faces():
    return load_generator("faces", device="cpu")


@pytest.fixture(scope="module")
def pictures(faces) -> np.ndarray:
    """Seeds 0 to 19 at truncation 0.7: (20, H, W, 3) uint8."""
    made = []
    with torch.no_grad():
        for seed in range(20):
            picture = faces.synthesize(faces.mapping(seed=seed, truncation=0.7))[0]
            made.append((picture * 127.5 + 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy())
    return np.stack(made)


def count_faces(pictures: np.ndarray) -> int:
    """In how many pictures (N, H, W, 3) dlib's frontal detector finds a face."""
    find_landmarks = Landmarks()
    return sum(find_landmarks(picture) is not None for picture in pictures)


def test_the_file_is_small_enough_for_a_wheel():
    assert FILE.stat().st_size <= 25e6


def test_the_card_stands_beside_the_file_and_says_the_licence():
    assert "CC0" in (BUILTIN / "faces.md").read_text(encoding="utf-8")


def test_pictures_are_of_256_px_with_features_of_half_that_to_drag_by(faces):
    assert faces.resolution == (256, 256)
    assert faces.features(faces.mapping(seed=0), 6).shape[1:] == (64, 128, 128)
    assert faces.channels == 3


def test_values_stay_near_the_nominal_range(faces):
    with torch.no_grad():
        picture = faces.synthesize(faces.mapping(seed=0, truncation=0.7))
    assert torch.isfinite(picture).all()
    assert picture.abs().max() < 2


def test_seeds_make_different_faces(pictures):
    for first, second in itertools.combinations(pictures[:8].astype(float), 2):
        assert np.abs(first - second).mean() > 4


def test_faces_are_found_in_most_pictures(pictures):
    assert count_faces(pictures) >= 0.7 * len(pictures)


def test_truncation_to_nothing_gives_the_mean_face(faces):
    first, second = (faces.mapping(seed=seed, truncation=0.0) for seed in (1, 2))
    assert torch.equal(first, second)
    with torch.no_grad():
        mean = faces.synthesize(first)[0]
    assert count_faces((mean * 127.5 + 127.5).clamp(0, 255).byte().permute(1, 2, 0).numpy()[None]) == 1


def test_its_own_settings_drag_a_nose(faces, pictures):
    ws = faces.mapping(seed=0, truncation=0.7)
    middle = faces.resolution[1] / 2
    result = drag(faces, ws, [(middle, middle * 1.1)], [(middle + 6, middle * 1.1)])
    assert result.reason == "arrived"
    assert np.abs(np.asarray(result.image).astype(float) - pictures[0]).mean() > 0.5


def test_the_training_network_makes_the_pictures_of_the_shipped_class(faces):
    with torch.no_grad():
        ws = faces.mapping(seed=3)
        trained = TrainingForward(faces, torch.float32)(ws[:, 0], faces.resolution[0])
        shipped = faces.synthesize(ws)
    torch.testing.assert_close(trained, shipped, rtol=0, atol=1e-4)
