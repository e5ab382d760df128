"""The people of the recipe ``figures``: joints and ends of clothes land where the renderer draws them."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

pytest.importorskip("scipy")
from body import AGE, BONES, PHENOTYPE
from doll import doll, joint
from person import LATENT, normalised, person_from_latent
from posing import from_to, posed_bones

SKIN, TOP, TROUSERS, SKIRT, SHOE = (0.9, 0.1, 0.1), (0.1, 0.9, 0.1), (0.1, 0.1, 0.9), (0.9, 0.9, 0.1), (0.1, 0.9, 0.9)
PLAIN = {
    "skin": SKIN, "lips": SKIN, "top_colour": TOP, "inner_colour": TOP, "trouser_colour": TROUSERS,
    "skirt_colour": SKIRT, "shoe_colour": SHOE, "stripes": 0.0, "folds": 0.0, "jacket": 0.0, "light_softness": 1.0,
    "back_wall": (0.5, 0.5, 0.5), "back_floor": (0.5, 0.5, 0.5), "outdoors": 0.0, "back_contrast": 0.0,
}  # fmt: skip
"""Colours by which a picture says what is drawn where."""
IDLE = [
    place
    for place, name in enumerate(LATENT)
    if name.startswith(("back_", "floor_", "hair_tone", "hair_red", "grey", "lip_", "skin_", "inner_"))
    or name.endswith(("_light", "_blue", "_red"))
]
"""Numbers that only colours depend on, and :data:`PLAIN` has its own."""


def latent(**numbers: float) -> np.ndarray:
    """A latent of unit mean square with these numbers, the others 0 but for those that do nothing here."""
    z = np.zeros(len(LATENT))
    for name, value in numbers.items():
        z[LATENT.index(name)] = value
    z[IDLE] = np.sqrt((len(z) - np.square(z).sum()) / len(IDLE))
    return z


@pytest.fixture(scope="module")
def basis():
    return doll()


@pytest.fixture(scope="module")
def renderer(basis):
    pytest.importorskip("moderngl")
    from command import opengl_problems

    if problems := opengl_problems():
        pytest.skip(problems[0])
    from draw import Renderer

    return Renderer(basis)


@pytest.fixture(scope="module")
def someone(basis):
    def make(**numbers: float):
        drawn = person_from_latent(latent(**numbers), basis)
        return dataclasses.replace(drawn, uniforms={**drawn.uniforms, **PLAIN})

    return make


def look(renderer, person) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, bool]]:
    """The picture in 0..1, and points and whether they are seen by name."""
    from draw import POINTS

    picture, points, seen = renderer.with_points(person)
    return picture / 255.0, dict(zip(POINTS, points, strict=True)), dict(zip(POINTS, seen.tolist(), strict=True))


def is_drawn_as(picture: np.ndarray, at: np.ndarray, colour: tuple[float, float, float]) -> bool:
    """Whether what is at a place (x, y) has the hue of a colour, in whatever light."""
    x, y = np.round(at).astype(int)
    found, wanted = picture[y, x] - picture[y, x].min(), np.array(colour) - min(colour)
    strength = np.linalg.norm(found)
    return bool(strength > 0.15 and found @ wanted / (strength * np.linalg.norm(wanted)) > 0.93)


def last_of(picture: np.ndarray, start: np.ndarray, end: np.ndarray, colour) -> float:
    """How far from ``start`` to ``end``, in pixels, a colour goes."""
    length = np.linalg.norm(end - start)
    steps = np.arange(0, length, 0.5)
    drawn = [is_drawn_as(picture, start + (end - start) * step / length, colour) for step in steps]
    return float(steps[np.flatnonzero(drawn)[-1]])


def test_numbers_have_names_of_their_own_and_only_their_direction_counts(basis):
    assert len(set(LATENT)) == len(LATENT) == 107
    z = np.random.default_rng(0).normal(size=len(LATENT))
    first, second = person_from_latent(z, basis), person_from_latent(3 * z, basis)
    assert first.lengths == pytest.approx(second.lengths)
    assert first.uniforms["skin"] == pytest.approx(second.uniforms["skin"])


def test_nobody_is_a_child_and_everybody_is_dressed(basis):
    drawn_from, age = 0.62, PHENOTYPE.index("age")
    for z in np.random.default_rng(1).normal(size=(300, len(LATENT))):
        person = person_from_latent(z, basis)
        assert person.phenotype[age] + AGE >= drawn_from
        lengths = person.lengths
        assert lengths["top_hem"] < -9.8  # over the top of trousers and skirts
        assert min(lengths["trousers"], lengths["skirt"]) < -15.0  # well down the thighs
        assert lengths["sleeve"] > 0.14


def test_a_rotation_takes_one_way_to_the_other():
    rng = np.random.default_rng(2)
    for first, second in rng.normal(size=(20, 2, 3)):
        first, second = first / np.linalg.norm(first), second / np.linalg.norm(second)
        turn = from_to(first, second)
        assert np.allclose(turn @ first, second)
        assert np.allclose(turn @ turn.T, np.eye(3))


def test_bones_turn_about_their_joints_and_carry_what_hangs_on_them(basis, someone):
    names = list(BONES)
    straight, bent = (posed_bones(someone(elbow_left=value).turns, basis.joints) for value in (-2.0, 2.0))
    elbow, hand = names.index("forearm.L"), names.index("hand.L")
    places = [bones[elbow, :, :3] @ joint("forearm.L") + bones[elbow, :, 3] for bones in (straight, bent)]
    assert np.allclose(*places)
    hands = [bones[hand, :, :3] @ joint("hand.L") + bones[hand, :, 3] for bones in (straight, bent)]
    assert np.linalg.norm(hands[0] - hands[1]) > 2.0
    lengths = [np.linalg.norm(hands[k] - places[k]) for k in (0, 1)]
    assert lengths[0] == pytest.approx(lengths[1])


@pytest.mark.parametrize("numbers", [{}, {"turn": 1.2, "arm_raise_left": 2.0}, {"leg_out_left": 2.0, "lean": 1.5}])
def test_joints_are_where_the_body_is_drawn(renderer, someone, numbers):
    picture, points, seen = look(renderer, someone(sleeve=-1.0, trousers=-2.5, **numbers))
    assert seen["hand_left"]
    assert is_drawn_as(picture, points["hand_left"], SKIN)
    assert is_drawn_as(picture, points["neck"], SKIN)
    for side in ("left", "right"):
        assert is_drawn_as(picture, points[f"toe_{side}"], SHOE)
        assert is_drawn_as(picture, points[f"hip_{side}"], TROUSERS)


@pytest.mark.parametrize("number", [-2.0, -1.0, 0.0])
def test_sleeves_end_where_their_ends_are_known_to_be(renderer, someone, number):
    picture, points, seen = look(renderer, someone(sleeve=number, arm_raise_left=0.9))
    assert seen["sleeve_end_left"]
    shoulder, wrist, end = points["shoulder_left"], points["wrist_left"], points["sleeve_end_left"]
    reach = last_of(picture, shoulder, wrist, TOP)
    along = (end - shoulder) @ (wrist - shoulder) / np.linalg.norm(wrist - shoulder)
    assert reach == pytest.approx(along, abs=3.0)


@pytest.mark.parametrize("number", [-2.0, -1.0, 0.0])
def test_trousers_end_where_their_ends_are_known_to_be(renderer, someone, number):
    picture, points, seen = look(renderer, someone(trousers=number, sex=1.5))
    assert seen["trouser_end_left"]
    hip, ankle, end = points["hip_left"], points["ankle_left"], points["trouser_end_left"]
    assert last_of(picture, hip, ankle, TROUSERS) == pytest.approx(end[1] - hip[1], abs=3.0)


@pytest.mark.parametrize("number", [1.0, 2.0])
def test_skirts_end_where_their_hem_is_known_to_be(renderer, someone, number):
    picture, points, seen = look(renderer, someone(skirt=number, sex=-1.5))
    assert seen["skirt_hem"]
    assert not seen["trouser_end_left"]
    hem = points["skirt_hem"]
    assert last_of(picture, points["pelvis"], np.array([points["pelvis"][0], 250.0]), SKIRT) == pytest.approx(
        hem[1] - points["pelvis"][1], abs=3.0
    )


def test_the_sides_of_the_waist_are_where_the_top_begins(renderer, someone):
    widths = []
    for number in (-1.5, 1.5):
        picture, points, _ = look(renderer, someone(waist_width=number, arm_raise_left=2.2, arm_raise_right=2.2))
        left, right = points["waist_left"], points["waist_right"]
        row = picture[round(left[1])]
        dressed = [x for x in range(128) if is_drawn_as(row[None], np.array([x, 0]), TOP)]
        assert dressed[-1] == pytest.approx(left[0], abs=3.0)
        assert dressed[0] == pytest.approx(right[0], abs=3.0)
        widths.append(left[0] - right[0])
    assert widths[1] > widths[0] + 4


def test_each_pull_that_is_measured_has_a_number_that_makes_it(renderer, someone):
    def moved(point: str, number: str, low: float, high: float, **others: float) -> np.ndarray:
        first, second = (look(renderer, someone(**{number: value}, **others))[1][point] for value in (low, high))
        return second - first

    assert moved("hand_left", "arm_raise_left", 0.0, 2.0)[1] < -25
    assert abs(moved("hand_left", "arm_raise_left", 0.0, 1.2)[0]) > 15
    assert abs(moved("ankle_left", "leg_out_left", 0.0, 2.0)[0]) > 12
    assert abs(moved("nose", "head_turn", -1.5, 1.5)[0]) > 6
    assert np.linalg.norm(moved("sleeve_end_left", "sleeve", -1.0, 1.0)) > 20
    assert moved("trouser_end_left", "trousers", 0.5, -1.5)[1] < -25
    assert moved("skirt_hem", "skirt", 0.5, 2.0, sex=-1.5)[1] > 15


@pytest.mark.parametrize(
    "name", ["sleeve", "trousers", "skirt", "top_hem", "shoe_height", "jacket", "arm_raise_left", "knee_right",
             "hair_length", "beard", "neckline", "outdoors", "leg_out_right"]
)  # fmt: skip
def test_pictures_change_smoothly_with_a_number(renderer, basis, name):
    rng = np.random.default_rng(5)
    start = normalised(rng.normal(size=len(LATENT)))
    way = np.zeros(len(LATENT))
    way[LATENT.index(name)] = 1.0
    frames = [renderer(person_from_latent(start + step * way, basis)).astype(float) for step in np.linspace(-1, 1, 21)]
    changes = np.array([np.abs(after - before).mean() for before, after in itertools.pairwise(frames)])
    assert changes.sum() > 0.05
    # Where it changes most, a quarter of the step makes about a quarter of the change: nothing jumps.
    worst = np.linspace(-1, 1, 21)[changes.argmax()]
    quarters = [renderer(person_from_latent(start + step * way, basis)).astype(float)
                for step in worst + np.linspace(0, 0.1, 5)]  # fmt: skip
    parts = [np.abs(after - before).mean() for before, after in itertools.pairwise(quarters)]
    assert max(parts) < 0.5 * changes.max() + 0.02
