"""GoodDrag's supervision by its formulas: against a plain reference, and the places where it is easily got wrong."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from plainly import Descent, advanced, begun
from planted import Planted

from draggan_widget.engines import GoodDrag, drag

HANDLES, TARGETS = [(20.3, 30.6), (2.0, 18.5)], [(32.0, 36.0), (10.0, 24.0)]


@pytest.fixture(scope="module")
def double(generator):
    return copy.deepcopy(generator).double()


def refined(places, away, middle):
    """The place of a lattice of quarters with the least distance, and a parabola's step from it along each axis."""
    best = int(np.argmin(away))
    found = places[best].copy()
    for axis in (0, 1):
        step = np.zeros(2)
        step[axis] = 0.25
        three = []
        for by in (-step, 0 * step, step):
            near = np.flatnonzero(np.abs(places - (places[best] + by)).max(axis=1) < 1e-9)
            three.append(away[near[0]] ** 2 if len(near) else np.inf)
        curvature = three[0] - 2 * three[1] + three[2]
        if np.isfinite(curvature) and curvature > 0:
            found[axis] += 0.25 * (three[0] - three[2]) / (2 * curvature)
    return found


def tracked(way, handle, reference, radius):
    """The nearest features in L2: the whole pixel within ±r2, then to a fraction of a pixel."""
    height, width = way.generator.resolution

    def nearest(places):
        places = places[((places >= 0) & (places <= [width - 1, height - 1])).all(axis=1)]
        return places, (way.read(places) - reference).norm(dim=1).detach().numpy()

    window = np.array([[x, y] for y in range(-radius, radius + 1) for x in range(-radius, radius + 1)])
    places, away = nearest(np.round(handle) + window)
    pixel = places[int(np.argmin(away))]
    fine = np.array([[x, y] for y in range(-4, 5) for x in range(-4, 5)]) / 4
    places, away = nearest(pixel + fine)
    return np.clip(refined(places, away, pixel), 0, [width - 1, height - 1])


def plainly(generator, settings, handles, targets, steps, mask=None):
    """GoodDrag's supervision as its recipe says it."""
    height, width = generator.resolution
    size = height / 512
    r1, r2, beta = settings.supervision_radius * size, round(settings.tracking_radius * size), settings.stride * size
    patch = np.array([[x, y] for y in np.linspace(-r1, r1, 9) for x in np.linspace(-r1, r1, 9)])
    way = Descent(generator, generator.mapping(seed=3), settings.block, settings.edit_layers, settings.learning_rate)
    held = min(settings.block, generator.block_of_row(settings.edit_layers - 1))
    p, t = np.array(handles, dtype=float), np.array(targets, dtype=float)
    inside = lambda q: torch.from_numpy(((q >= 0) & (q <= [width - 1, height - 1])).all(axis=1))  # noqa: E731
    grabbed = [(way.read(each + patch).detach(), inside(each + patch)) for each in p]
    for taken in range(steps):
        loss = 0
        for n, (features, counted) in enumerate(grabbed):
            rest = t[n] - p[n]
            rem = float(np.hypot(*rest))
            ahead = rest / rem * min(beta, rem)
            wanted = features if settings.toward == "first" else way.read(p[n] + patch).detach()
            counts = inside(p[n] + patch) & (counted if settings.toward == "first" else True)
            loss = loss + (way.read(p[n] + patch + ahead) - wanted).abs().mean(dim=1)[counts].mean()
        if mask is not None and taken:
            loss = loss + settings.mask_weight * way.staying(mask, held)
        way.step(loss)
        if (taken + 1) % settings.pulls == 0:
            p = np.stack([tracked(way, each, grabbed[n][0][40], r2) for n, each in enumerate(p)])
    return way.latent.detach(), p


@pytest.mark.parametrize("toward", ["first", "current"])
@pytest.mark.parametrize("masked", [False, True], ids=["all may move", "mask"])
def test_twenty_steps_are_those_of_a_plain_reference(double, masked, toward):
    mask = None
    if masked:
        mask = np.zeros(double.resolution)
        mask[16:48, 0:56] = 1
    settings = GoodDrag(
        block=4,
        learning_rate=0.02,
        stride=24.0,
        supervision_radius=32.0,
        tracking_radius=24.0,
        toward=toward,
        mask_weight=10.0,
    )
    bound, edit, memory = begun(double, settings, HANDLES, TARGETS, mask)
    first = edit.handles
    edit, memory = advanced(bound, edit, memory, 20)
    latent, handles = plainly(double, settings, HANDLES, TARGETS, 20, mask)
    torch.testing.assert_close(edit.latent, latent, rtol=0, atol=1e-8)
    np.testing.assert_allclose(edit.handles, handles, atol=1e-6)
    assert memory.turn == 20 % 3
    assert np.abs(edit.handles - first).max() > 0.5, "this compares nothing"


def test_handles_are_looked_for_every_third_step_only(generator):
    bound, edit, memory = begun(generator, GoodDrag(learning_rate=0.05), HANDLES, TARGETS)
    moved = []
    for _ in range(9):
        before = edit.handles
        edit, memory = advanced(bound, edit, memory, 1)
        moved.append(bool((edit.handles != before).any()))
    assert not any(moved[n] for n in (0, 1, 3, 4, 6, 7))
    assert any(moved)


def test_its_grid_of_half_the_picture_is_counted_in_pixels_of_512():
    settings = GoodDrag()
    assert (settings.supervision_radius, settings.tracking_radius, settings.stride) == (2 * 4, 2 * 12, 2 * 4)
    bound, *_ = begun(Planted((128, 128)), settings, [(20, 20)], [(40, 20)])
    assert np.abs(bound._patch).max() == pytest.approx(8 / 4)  # a quarter of 512
    assert bound.frame.tracking == 6
    assert bound._stride == pytest.approx(2)


def test_the_patch_of_a_handle_on_the_border_counts_what_was_in_the_picture(generator):
    settings = GoodDrag(supervision_radius=64.0)
    bound, edit, memory = begun(generator, settings, [(0, 0)], [(20, 20)])
    (step,) = bound.advance(edit, memory)
    counted = step.memory.spots[1].counted.reshape(9, 9)
    assert counted[4:, 4:].min() == 1
    assert counted.sum() == 25
    assert np.isfinite(step.edit.latent.numpy()).all()


def test_what_was_grabbed_stays_the_target_while_the_handle_goes():
    planted = Planted((96, 80))
    ws = planted.mapping(seed=1)
    start = planted.centre(ws).numpy()
    result = drag(planted, ws, [start], [start + np.array([9, 3])], config=GoodDrag(block=3, supervision_radius=24.0))
    assert result.reason == "arrived"
    assert planted.centre(result.ws).numpy() == pytest.approx(start + np.array([9, 3]), abs=1.5)
