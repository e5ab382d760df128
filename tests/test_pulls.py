"""The 32 pulls as people make them: the list is what it says it is, and every pull ends."""

from __future__ import annotations

import numpy as np
import pytest
from pulls_montage import PULLS, SIDE, TRUNCATION, mask_of, montage, panel, run

from draggan_widget import load_generator
from draggan_widget.engines import to_image
from draggan_widget.inversion import Landmarks

MOST_STEPS = 3


@pytest.fixture(scope="module")
def faces():
    return load_generator("faces", "cpu")


def test_there_are_32_pulls_of_six_seeds_that_say_what_a_person_expects():
    assert len(PULLS) == 32
    assert len({pull["seed"] for pull in PULLS}) == 6
    assert len({(pull["seed"], pull["name"]) for pull in PULLS}) == 32
    assert sum(pull["movable"] is not None for pull in PULLS) == 2
    for pull in PULLS:
        assert pull.keys() == {"name", "seed", "handles", "targets", "movable", "expected"}
        assert 1 <= len(pull["handles"]) == len(pull["targets"]) <= 3
        assert pull["expected"].endswith(".")
        assert len(pull["expected"]) > 20


def test_every_pull_is_of_3_to_20_percent_within_the_picture():
    for pull in PULLS:
        points = np.array([pull["handles"], pull["targets"]])
        assert ((points >= 0) & (points < SIDE)).all(), pull["name"]
        ways = np.hypot(*(points[1] - points[0]).T) / SIDE
        assert 0.03 - 1 / SIDE <= ways.min() <= ways.max() <= 0.2 + 1 / SIDE, pull["name"]


def test_pulls_take_every_part_of_a_face_where_it_is(faces):
    find, taken = Landmarks(), set()
    for seed in {pull["seed"] for pull in PULLS}:
        before = to_image(faces.synthesize(faces.mapping(seed=seed, truncation=TRUNCATION)))
        marks = find(np.asarray(before))
        assert marks is not None, seed
        for pull in PULLS:
            if pull["seed"] == seed:
                away = np.hypot(*(marks[:, None] - np.array(pull["handles"])).transpose(2, 0, 1)).min(axis=1)
                near = np.flatnonzero(away <= 1.5)
                taken |= {int(number) for number in near} or {pull["name"]}
    parts = [{48, 54}, {51, 57}, {37, 38, 44}, {19, 21, 22, 24}, {30, 31, 33, 35}, {8}, {4, 5, 11, 12}]
    assert all(part & taken for part in parts)
    assert {"hair longer", "hair up", "ear outwards"} <= taken  # where dlib has no landmarks


@pytest.mark.parametrize("number", range(32), ids=lambda number: PULLS[number]["name"].replace(" ", "_"))
def test_every_pull_ends_with_a_reason_and_a_finite_picture(faces, number):
    pull = PULLS[number]
    result = run(faces, pull, faces.drag_config.replace(max_steps=MOST_STEPS))
    assert result.reason in {"arrived", "stalled", "capped"}
    assert 1 <= result.steps <= MOST_STEPS
    assert np.isfinite(result.ws.numpy()).all()
    assert bool(faces.synthesize(result.ws).isfinite().all())
    drawn = montage([panel(pull, result)])
    assert drawn.width > 2 * SIDE
    assert TRUNCATION == 0.7
    mask = mask_of(pull)
    if mask is not None:
        assert 0.01 < mask.mean() < 0.3
        assert all(mask[y, x] == 1 for x, y in pull["handles"])
