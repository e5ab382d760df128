"""How points of heads move: the same to a camera of one's own, by differences that are exact for what is linear."""

from __future__ import annotations

import numpy as np
import pytest
from motion import BEHIND, COLOURS, PART, POINTS, Places, background, changes, head, latents
from scene import LATENT


def test_latents_are_the_same_each_time_and_of_unit_mean_square_with_shapes_from_ordinary_on():
    z = latents(3)
    assert z.shape == (PART, len(LATENT))
    assert np.array_equal(z, latents(3))
    assert not np.array_equal(z, latents(4))
    assert np.allclose(np.square(z).mean(axis=1), 1)
    shapes, colours = (np.square(part).mean(axis=1) for part in (z[:, :COLOURS], z[:, COLOURS:]))
    assert np.median(shapes) < 0.8 * np.median(colours), "shapes are more ordinary than colours"


def test_differences_say_how_much_places_change_with_each_number():
    random = np.random.default_rng(0)
    slopes = random.normal(size=(5, 3, 8))
    found = changes(lambda z: slopes @ z + 2.0, random.normal(size=8))
    assert np.allclose(found, slopes)
    curved = changes(lambda z: (slopes @ z) ** 2, z := random.normal(size=8))
    assert np.allclose(curved, 2 * (slopes @ z)[..., None] * slopes), "differences to both sides are exact for squares"


class Basis:
    rest = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.5], [-0.5, 0.2, 0.0]])


class Camera:
    """A renderer that only looks: at right angles to the picture, from a distance of 10."""

    basis = Basis()
    _inside = np.zeros((3, 3))
    _turns = np.ones(3)

    def __init__(self):
        moves = np.zeros((2, 3, 3))
        moves[0, :, 0] = 1  # the first number moves all to the right, the second one towards the camera
        moves[1, :, 1] = -1
        self._blend = moves.reshape(2, -1)
        self._shadow_map = None

    def _pose(self, points, turns, scene):
        return points

    def camera(self, scene):
        eye = np.array([0.0, -10.0, 0.0])
        view = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, -10.0], [0, 0, 0, 1]])
        projection = np.array([[4.0, 0, 0, 0], [0, 4.0, 0, 0], [0, 0, -1, 0], [0, 0, -1, 0]])
        return projection @ view, eye


class Scene:
    def __init__(self, right=0.0, near=0.0):
        self.phenotype, self.local, self.actions = np.array([right]), np.array([near]), np.zeros(0)


def test_places_are_pixels_of_256_and_content_grows_as_it_comes_nearer():
    look = Places(Camera(), np.array([0, 1]))
    here, right, near = look(Scene()), look(Scene(right=1.0)), look(Scene(near=5.0))
    assert here[0, :2] == pytest.approx([127.5, 127.5])
    assert right[0, :2] - here[0, :2] == pytest.approx([4 / 10 * 128, 0])
    assert here[1, 1] < here[0, 1], "what is higher is further up"
    assert np.exp(here[0, 2]) == pytest.approx(4 / 10 * 128), "pixels to a unit of length"
    assert near[0, 2] - here[0, 2] == pytest.approx(np.log(2))


class Depth:
    def __init__(self, depth):
        self._depth = depth.astype("f4")

    def read(self):
        return self._depth.tobytes()


def test_places_of_the_background_are_where_nothing_was_drawn():
    renderer, random = Camera(), np.random.default_rng(0)
    depth = np.full((64, 64), 10.0)
    depth[:16] = 100.0  # rows of OpenGL go up, so that is below
    renderer._shadow_map = Depth(depth)
    found = background(renderer, random)
    assert found.shape == (BEHIND, 2)
    assert (found[:, 1] > 190).all()
    renderer._shadow_map = Depth(np.full((64, 64), 10.0))
    assert background(renderer, random).shape == (BEHIND, 2)


def test_motion_of_real_heads_is_where_the_renderer_puts_the_same_points(tmp_path):
    pytest.importorskip("moderngl")
    pytest.importorskip("anny")
    from basis import HeadBasis, build_basis
    from make import opengl_problems
    from motion import EDITION, SIZE
    from render import Renderer
    from scene import scene_from_latent

    if opengl_problems():
        pytest.skip("no OpenGL here")
    build_basis().save(tmp_path / "basis.npz")
    basis = HeadBasis.load(tmp_path / "basis.npz")
    renderer, z = Renderer(basis, size=2 * SIZE, edition=EDITION), latents(0)[0]
    points, motions = head(renderer, basis, z, np.random.default_rng(0))
    assert points.shape == (POINTS, 2)
    assert not motions[-BEHIND:].any()
    chosen = np.random.default_rng(1).choice(len(basis.rest), 200, replace=False)
    renderer._landmarks = chosen
    places, seen = renderer.landmarks(scene_from_latent(z, basis, EDITION))
    look = Places(renderer, chosen)(scene_from_latent(z, basis, EDITION))
    assert np.allclose(look[seen, :2], (places[seen] + 0.5) / 2 - 0.5, atol=0.01)
