from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from planted import Planted

from draggan_widget import load_generator
from draggan_widget.engines.draggan import init, step
from draggan_widget.engines.draggan.texture import CLEAR, FLAT, confidence, distinctness, texture

TRUTH = json.loads((Path(__file__).parents[1] / "data" / "heads" / "heads.json").read_text())
FRAMES = [head["frames"][0] for head in TRUTH["heads"]]


@pytest.fixture(scope="module")
def faces():
    return load_generator("faces", device="cpu")


def state_of(faces, frame, points=()):
    return init(faces, faces.mapping(torch.tensor([frame["latent"]])), points)


def landmarks(frame, *names):
    return np.array([frame["points"][TRUTH["landmarks"].index(name)] for name in names])


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame["file"])
def test_corners_of_eyes_and_mouth_can_be_told_from_their_surroundings_and_the_background_cannot(faces, frame):
    state = state_of(faces, frame)
    corners = landmarks(frame, "mouth_left", "mouth_right", "left_eye_inner", "right_eye_inner", "nose_tip")
    assert (distinctness(faces, state, corners) > FLAT).all()
    assert (distinctness(faces, state, np.array([[12.0, 12.0], [243.0, 12.0]])) < FLAT).all()


def test_from_flat_places_of_faces_there_is_a_way_to_a_clearly_better_spot(faces):
    offered = []
    for frame in FRAMES:
        left, top = landmarks(frame, "left_jaw", "left_brow_outer").min(axis=0)
        right, bottom = landmarks(frame, "right_jaw", "chin").max(axis=0)
        places = np.stack(np.meshgrid(np.linspace(left, right, 7), np.linspace(top - 30, bottom, 7)), -1).reshape(-1, 2)
        state = state_of(faces, frame, [(number, place, (9, 9)) for number, place in enumerate(places, start=1)])
        for place in np.flatnonzero(distinctness(faces, state, places) < FLAT):
            flat, better = texture(faces, state, int(place) + 1)
            assert flat
            assert distinctness(faces, state, np.array([better]))[0] >= CLEAR - 1e-6
            offered.append(np.hypot(*(np.array(better) - places[place])))
    assert len(offered) >= 5
    assert max(offered) <= 10 * 6 + 1e-6  # r2 is 6 pixels of 256


def test_a_point_on_a_landmark_needs_no_better_spot(faces):
    x, y = landmarks(FRAMES[0], "left_eye_inner")[0]
    assert texture(faces, state_of(faces, FRAMES[0], [(3, (x, y), (x, y + 9))]), 3) == (False, None)


def test_the_better_spot_is_clearly_not_flat_and_none_of_the_places_nearer_is():
    planted = Planted((128, 128))
    far = init(planted, torch.zeros(1, 4, 2), [(1, (5, 5), (100, 64))])
    assert texture(planted, far, 1) == (True, None)
    angles = 2 * np.pi * np.arange(16) / 16
    offered = []
    for x in range(64, 128, 3):
        state = init(planted, torch.zeros(1, 4, 2), [(1, (x, 64), (100, 100))])
        flat, better = texture(planted, state, 1)
        if better is None:
            continue
        assert flat
        way = np.hypot(better[0] - x, better[1] - 64)
        offered.append(way)
        assert way <= 10 * 3 + 1e-9  # r2 is 12 pixels of 512, so 3 of 128
        assert distinctness(planted, state, np.array([better]))[0] >= CLEAR
        for length in np.arange(2, way - 1e-6, 2):
            nearer = [x, 64] + length * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            assert distinctness(planted, state, nearer[nearer[:, 0] <= 127]).max() < CLEAR
    assert min(offered) == pytest.approx(6)
    assert max(offered) > 12


def test_a_picture_without_any_content_is_flat_and_nothing_is_found_in_it():
    class Blank(Planted):
        def _bumps(self, ws, shrink, widths):
            return 0 * super()._bumps(ws, shrink, widths)

    blank = Blank((64, 64))
    state = init(blank, torch.zeros(1, 4, 2), [(1, (30, 30), (40, 30))])
    assert texture(blank, state, 1) == (True, None)
    known = dataclasses.replace(state, points=(dataclasses.replace(state.points[0], reference=torch.zeros(3)),))
    assert confidence(blank, known) == {1: 0.0}


def with_reference_from(generator, state, place):
    """The state with the reference of its only point taken at ``place``."""
    feature = generator.sample_features(state.latent, generator.drag_config.block, torch.tensor([place])).detach()[0]
    return dataclasses.replace(state, points=(dataclasses.replace(state.points[0], reference=feature),))


def test_confidence_is_1_on_the_content_itself_and_falls_with_what_is_between(faces):
    x, y = landmarks(FRAMES[0], "left_eye_inner")[0]
    sure = []
    for away in (0.0, 2.0, 4.0, 30.0):
        state = state_of(faces, FRAMES[0], [(7, (x, y), (x, y + 9))])
        sure.append(confidence(faces, with_reference_from(faces, state, (x, y + away)))[7])
    assert sure[0] == pytest.approx(1, abs=1e-3)
    assert sure == sorted(sure, reverse=True)
    assert sure[-1] < 0.3


def test_points_that_were_not_looked_for_yet_have_no_confidence(faces):
    assert confidence(faces, state_of(faces, FRAMES[0], [(1, (90, 90), (99, 99))])) == {}
    assert confidence(faces, state_of(faces, FRAMES[0])) == {}


@pytest.mark.parametrize("mask", [False, True])
def test_measuring_between_steps_changes_no_bit_of_what_follows(generator, mask):
    ws = generator.mapping(seed=1)
    veil = np.pad(np.ones((32, 32)), 16) if mask else None
    undisturbed = watched = init(generator, ws, [(1, (20, 20), (40, 30)), (2, (33, 40), (20, 20))], veil)
    for _ in range(4):
        undisturbed = step(generator, undisturbed)
    for _ in range(4):
        texture(generator, watched, 1)
        confidence(generator, watched)
        watched = step(generator, watched)
        confidence(generator, watched)
    assert torch.equal(undisturbed.ws, watched.ws)
    assert np.array_equal(undisturbed.handles, watched.handles)


def test_reading_half_precision_features_measures_the_same():
    class Halved(Planted):
        def feature_maps(self, ws, blocks):
            return [feature_map.bfloat16() for feature_map in super().feature_maps(ws, blocks)]

    places, found = np.array([[64.0, 64.0], [12.0, 100.0]]), []
    for kind in (Planted, Halved):
        planted = kind((128, 128))
        found.append(distinctness(planted, init(planted, torch.zeros(1, 4, 2)), places))
    assert np.allclose(*found, rtol=0.1, atol=1e-2)
    assert found[0][0] > CLEAR
    assert found[0][1] < FLAT


def test_a_small_thing_on_a_plain_ground_stands_out_and_the_ground_stays_flat():
    planted = Planted((128, 128))
    ground = distinctness(planted, init(planted, torch.zeros(1, 4, 2)), np.array([[10.0, 10.0], [64.0, 118.0]]))
    thing = distinctness(planted, init(planted, torch.zeros(1, 4, 2)), np.array([[64.0, 64.0], [70.0, 64.0]]))
    assert (ground < FLAT).all()
    assert (thing > CLEAR).all()
