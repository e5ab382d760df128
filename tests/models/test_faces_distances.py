"""The measures of how far a generator's pictures are from renders."""

from __future__ import annotations

import csv

import distances
import measure
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Eight pictures (8, 256, 256, 3) uint8 of noise of all sizes."""
    rng = np.random.default_rng(0)
    planes = [gaussian_filter(rng.normal(size=(8, 256, 256, 3)), (0, width, width, 0)) for width in (0.7, 3, 12)]
    mixed = sum(plane / plane.std() for plane in planes)
    return np.clip(128 + 30 * mixed, 0, 255).astype(np.uint8)


def blurred(pictures: np.ndarray) -> np.ndarray:
    return gaussian_filter(pictures.astype(float), (0, 1.2, 1.2, 0)).astype(np.uint8)


def test_the_frechet_distance_is_that_of_normal_distributions():
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(20_000, 3))
    assert distances.frechet(samples, samples) == pytest.approx(0, abs=1e-9)
    assert distances.frechet(samples, samples + np.array([3, 0, 4])) == pytest.approx(25)
    # Of spreads s and t along every axis: the sum of (s - t)².
    assert distances.frechet(samples, 3 * samples) == pytest.approx(3 * 4, rel=0.02)


@pytest.mark.parametrize(("first", "second"), [((1, 3), (9, 3)), ((9, 3), (9, 4))])
def test_samples_that_cannot_be_compared_are_refused(first, second):
    with pytest.raises(ValueError, match="two samples at least on both sides, of the same length"):
        distances.frechet(np.zeros(first), np.zeros(second))


def test_pictures_are_at_no_distance_from_themselves(pictures):
    figures = distances.distances(pictures, pictures)
    assert figures["bands"] == pytest.approx(0, abs=1e-4)
    assert figures["spectrum"] == pytest.approx(0, abs=1e-9)
    assert figures["power 64-128"] == pytest.approx(1)


def test_a_blur_shows_in_the_fine_bands_and_the_high_octaves(pictures):
    figures = distances.distances(blurred(pictures), pictures)
    fine, coarse = figures["band 256"], figures["band 16"]
    assert fine > 0.3 > 0.02 > coarse
    assert figures["power 64-128"] < 0.1
    assert figures["power 4-8"] > 0.8
    assert figures["spectrum"] > 1
    weaker = (pictures.astype(float) + blurred(pictures)) / 2
    assert distances.distances(weaker.astype(np.uint8), pictures)["bands"] < figures["bands"]


def test_another_number_or_size_of_pictures_is_refused(pictures):
    with pytest.raises(ValueError, match="as many pictures on both sides, got 7 and 8"):
        distances.distances(pictures[:7], pictures)
    with pytest.raises(ValueError, match="pictures must be"):
        distances.distances(pictures[:, :128], pictures[:, :128])


def test_only_pairs_with_two_faces_count_for_descriptors(pictures):
    described = iter([(0, np.zeros(128)), (0, np.ones(128)), None, (0, np.ones(128)),
                      (0, np.zeros(128)), (0, np.ones(128))])  # fmt: skip
    finder = type("Finder", (), {"describe": lambda self, _picture: next(described)})()
    distance, count = distances.descriptor_distance(pictures[:3], pictures[:3], finder)
    assert count == 2
    assert distance == pytest.approx(128)
    nobody = type("Finder", (), {"describe": lambda self, _picture: None})()
    with pytest.raises(ValueError, match="found faces in 0 of 3 pairs"):
        distances.descriptor_distance(pictures[:3], pictures[:3], nobody)


def test_figures_take_the_place_of_those_of_the_same_weights(tmp_path):
    file = tmp_path / "figures.csv"
    measure.add_lines(file, 1, "aaaa", {"bands": (0.5, 40)})
    measure.add_lines(file, 2, "bbbb", {"bands": (0.25, 40)})
    measure.add_lines(file, 1, "aaaa", {"bands": (0.4, 80)})
    rows = list(csv.DictReader(file.open()))
    assert [(row["edition"], row["weights"], row["pictures"], row["value"]) for row in rows] == [
        ("2", "bbbb", "40", "0.25000"),
        ("1", "aaaa", "80", "0.40000"),
    ]
