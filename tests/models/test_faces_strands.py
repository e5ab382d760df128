"""The second edition's hairs: they move with the head and change smoothly; and the first edition is as it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.spatial import ConvexHull

pytest.importorskip("moderngl")
from basis import HeadBasis
from command import opengl_problems
from hair import Hair
from scene import scene_from_latent
from strands import FUR_POINTS, HAIR_POINTS, STRANDS, Fur, HairStrands

EYE = np.array([0.0, -13.0, -0.4])
BASIS = Path(__file__).parents[2] / "examples/generators/faces/out/basis.npz"
HEADS = Path(__file__).parents[1] / "data/heads"
VALUES = {
    "hair_rise": 0.0, "hair_volume": 0.2, "hair_length": -1.5, "fringe": 0.3, "hair_back": 0.2, "hair_wave": 0.4,
    "hair_flare": 0.0, "parting": 0.2, "hair_curl": 0.1, "hair_grey": 0.2, "hair": (0.4, 0.3, 0.2),
    "brow_weight": 0.07, "brow_arch": 0.01, "beard": 0.5, "brow_colour": (0.3, 0.2, 0.1),
    "beard_colour": (0.3, 0.2, 0.1), "down_colour": (0.3, 0.2, 0.1),
}  # fmt: skip


def pebble() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (V, 3), triangles (T, 3) and normals (V, 3) of something like a head on a neck, in eye distances."""
    index = np.arange(4000) + 0.5
    up, turn = 1 - index / 2000, np.pi * (1 + 5**0.5) * index
    out = np.stack([np.sqrt(1 - up**2) * np.cos(turn), np.sqrt(1 - up**2) * np.sin(turn), up], 1)
    triangles = ConvexHull(out).simplices
    a, b, c = (out[triangles[:, k]] for k in range(3))
    inward = (np.cross(b - a, c - a) * a).sum(1) < 0
    triangles[inward] = triangles[inward][:, ::-1]
    return out * (1.3, 1.4, 2.0) + (0, 1.2, -0.6), triangles, out


@pytest.fixture(scope="module")
def hair() -> Hair:
    points, triangles, _ = pebble()
    return Hair(points, np.unique(triangles), np.zeros(len(points)))


def strands(hair: Hair, moved: float = 0.0, **values):
    values = {**VALUES, **values}
    points = pebble()[0]
    sheet, traits = hair.shape(values, np.zeros_like(points))
    way = np.array([moved, 0, 0], "f4")
    sheet = sheet + way
    packed, _ = hair.attributes(sheet, traits, values)
    return HairStrands(hair).shape(sheet, packed[:, 3:6].reshape(sheet.shape), traits, values, EYE + way)


def fur(moved: float = 0.0, **values):
    points, triangles, normals = pebble()
    masks = np.stack([np.zeros(len(points)), np.ones(len(points))], 1)
    way = np.array([moved, 0, 0])
    return Fur(points, triangles, normals, masks).shape(points + way, normals, {**VALUES, **values}, EYE + way)


def test_strands_cover_the_head_and_no_number_is_lost(hair):
    made = strands(hair)
    assert 1000 < len(made.points) <= STRANDS
    assert made.points.shape[1:] == (HAIR_POINTS, 3)
    assert all(np.isfinite(part).all() for part in made)
    lengths = np.linalg.norm(np.diff(made.points, axis=1), axis=-1).sum(1)
    assert np.median(lengths) > 0.5
    # The crown is covered before and beside the part, as far as it can be seen.
    tops = made.points[made.points[..., 2] > 1.3][:, :2]
    filled = np.histogram2d(*tops.T, bins=6, range=[[-0.6, 0.6], [0.4, 1.2]])[0]
    assert (filled > 0).all()


def test_hairs_move_with_the_head(hair):
    for draw in (lambda moved: strands(hair, moved), fur):
        first, second = draw(0.0), draw(0.02)
        assert len(first.points) == len(second.points)
        assert np.abs(second.points - first.points - (0.02, 0, 0)).max() < 1e-4


@pytest.mark.parametrize("name", ["parting", "hair_length", "hair_wave", "fringe", "hair_volume", "hair_rise"])
def test_strands_change_smoothly_with_each_number(hair, name):
    first = strands(hair)
    near, far = (strands(hair, **{name: VALUES[name] + step}) for step in (0.001, 0.01))
    assert len(first.points) == pytest.approx(len(near.points), abs=5)
    if len(first.points) == len(near.points) == len(far.points):
        small, large = (np.linalg.norm(made.points - first.points, axis=-1).mean() for made in (near, far))
        assert small < 0.01
        assert small < 0.3 * large


def test_beards_and_brows_grow_hair_by_hair():
    none, some, more = (fur(beard=beard).widths[:, 0].sum() for beard in (0.0, 0.3, 0.9))
    assert none < some < more
    thin, thick = (fur(brow_weight=weight, beard=0.0).widths[:, 0].sum() for weight in (0.05, 0.09))
    assert thin < thick
    assert fur().points.shape[1] == FUR_POINTS


def test_all_that_is_random_is_the_same_each_time(hair):
    for first, second in ((strands(hair), strands(hair)), (fur(), fur())):
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.fixture(scope="module")
def basis() -> HeadBasis:
    if not BASIS.exists() or opengl_problems():
        pytest.skip("needs OpenGL, and the basis of the head that make.py writes")
    return HeadBasis.load(BASIS)


def test_the_first_edition_draws_what_it_drew(basis):
    from render import Renderer, halve

    renderer = Renderer(basis, size=512, edition=1)
    for head in json.loads((HEADS / "heads.json").read_text())["heads"][:3]:
        frame = head["frames"][2]
        made = halve(renderer(scene_from_latent(np.array(frame["latent"]), basis, 1))).astype(float)
        assert np.abs(made - np.asarray(Image.open(HEADS / frame["file"]))).mean() < 1.0


def test_the_second_edition_has_finer_detail_of_the_same_head(basis):
    from distances import octave_powers
    from render import Renderer, halve

    first, second = (Renderer(basis, size=512, edition=edition) for edition in (1, 2))
    latent = np.random.default_rng(1000).normal(size=80)
    scenes = [scene_from_latent(latent, basis, edition) for edition in (1, 2)]
    pictures = [halve(draw(scene)) for draw, scene in zip((first, second), scenes, strict=True)]
    assert np.array_equal(pictures[1], halve(second(scenes[1])))
    plain, fine = (octave_powers(picture[None]) for picture in pictures)
    assert fine[0] > 1.5 * plain[0]
    (there, seen), (here, visible) = first.landmarks(scenes[0]), second.landmarks(scenes[1])
    assert np.abs(there - here).max() < 1e-3
    assert np.array_equal(seen, visible)


def test_in_the_third_edition_lids_brows_and_jaws_go_as_far_as_those_of_people(basis):
    from render import LANDMARK_NAMES, Renderer
    from scene import LATENT

    renderer = Renderer(basis, size=256, edition=1)  # depth is all that is drawn, and this one is quickest
    head = np.random.default_rng(5).normal(size=80) * 0.4
    head[[LATENT.index(name) for name in ("yaw", "pitch", "roll", "blink", "wink")]] = 0

    def places(edition: int, **values: float) -> dict[str, np.ndarray]:
        latent = head.copy()
        moved = [LATENT.index(name) for name in values]
        latent[moved] = 0
        latent *= np.sqrt((80 - sum(value**2 for value in values.values())) / np.square(latent).sum())
        latent[moved] = list(values.values())
        points = renderer.landmarks(scene_from_latent(latent, basis, edition))[0]
        return dict(zip(LANDMARK_NAMES, points, strict=True))

    def moves(edition: int, landmark: str, name: str, first: float, last: float) -> np.ndarray:
        return places(edition, **{name: last})[landmark] - places(edition, **{name: first})[landmark]

    for landmark in ("left_brow_inner", "left_brow_outer", "right_brow_inner", "right_brow_outer"):
        assert (
            moves(3, landmark, "brow_raise", -2.4, 2.4)[1] < -15 < -6 < moves(2, landmark, "brow_raise", -2.4, 2.4)[1]
        )
    left, right = (moves(3, f"{side}_brow_inner", "asymmetry", 0, 2)[1] for side in ("left", "right"))
    assert left < -3
    assert right > 3
    lids = [places(3, blink=blink)["left_upper_lid"][1] for blink in np.linspace(-2.4, 2.4, 9)]
    assert lids[-1] - lids[0] > 12
    assert (np.diff(lids) > 0.5).all()
    assert (np.diff(lids) < 5).all()
    assert moves(3, "left_jaw", "jaw_width", -2.4, 2.4)[0] > 8
