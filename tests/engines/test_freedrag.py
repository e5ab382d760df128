"""FreeDrag by its formulas: against a plain reference, and the places where it is easily got wrong."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from plainly import Descent, advanced, begun
from planted import Planted

from draggan_widget.engines import FreeDrag, drag
from draggan_widget.engines.freedrag.engine import renewed

HANDLES, TARGETS = [(20.3, 30.6), (44.0, 18.5)], [(32.0, 36.0), (36.0, 24.0)]


@pytest.fixture(scope="module")
def double(generator):
    return copy.deepcopy(generator).double()


def plainly(generator, settings, handles, targets, steps, mask=None):
    """FreeDrag as its recipe says it, and which of the three cases each localisation was."""
    size = generator.resolution[0] / 512
    (first,) = generator.feature_maps(generator.mapping(seed=3), [settings.block])
    d, spacing = settings.stride * size, settings.grid * generator.resolution[0] / first.shape[2]
    grid = np.array([[x, y] for y in (-spacing, 0, spacing) for x in (-spacing, 0, spacing)])
    way = Descent(generator, generator.mapping(seed=3), settings.block, settings.edit_layers, settings.learning_rate)
    held = min(settings.block, generator.block_of_row(settings.edit_layers - 1))
    h, t = np.array(handles, dtype=float), np.array(targets, dtype=float)
    templates = [way.read(each + grid).detach() for each in h]
    ls = []
    for each, template in zip(h, templates, strict=True):
        around = [each + d * np.array([math.cos(k * math.pi / 4), math.sin(k * math.pi / 4)]) for k in range(8)]
        losses = [float((way.read(q + grid) - template).detach().abs().mean()) for q in around]
        ls.append(settings.expected or float(np.median(losses)))
    began, ended = [0.0] * len(h), [0.0] * len(h)
    cases, taken = [], 0
    while taken < steps:
        for n, template in enumerate(templates):
            rest = t[n] - h[n]
            rem = float(np.hypot(*rest))
            u = rest / rem if rem > 1e-9 else rest * 0
            if ended[n] < 0.5 * ls[n]:
                cases.append(1)
                tried = [h[n] + u * j / 10 * min(d, rem) for j in range(1, 11)]
                losses = [abs(float((way.read(q + grid).detach() - template).abs().mean()) - ls[n]) for q in tried]
                h[n] = tried[int(np.argmin(losses))]
            elif ended[n] < began[n]:
                cases.append(2)
            else:
                cases.append(3)
                back = h[n] - u * min(d, rem)
                far = min(2 * d, float(np.hypot(*(t[n] - back))))
                tried = [back + u * j / 10 * far for j in range(1, 11)]
                losses = [float((way.read(q + grid).detach() - template).abs().mean()) for q in tried]
                h[n] = tried[int(np.argmin(losses))]
        began = [float((way.read(q + grid).detach() - each).abs().mean()) for q, each in zip(h, templates, strict=True)]
        for _ in range(settings.motions):
            losses = [(way.read(q + grid) - each).abs().mean() for q, each in zip(h, templates, strict=True)]
            loss = sum(losses)
            if mask is not None and taken:
                loss = loss + settings.mask_weight * way.staying(mask, held)
            way.step(loss)
            taken += 1
            if all(float(each.detach()) < 0.25 * most for each, most in zip(losses, ls, strict=True)) or taken == steps:
                break
        now = [way.read(q + grid).detach() for q in h]
        ended = [float((each - template).abs().mean()) for each, template in zip(now, templates, strict=True)]
        for n, each in enumerate(now):
            arrived = np.hypot(*(t[n] - h[n])) <= settings.tolerance and ended[n] <= 0.25 * ls[n]
            a, b = math.log(9) / (0.6 * ls[n]), 0.2 * ls[n]
            share = 1.0 if arrived else 1 / (1 + math.exp(a * (ended[n] - b)))
            templates[n] = share * each + (1 - share) * templates[n]
    return way.latent.detach(), h, cases


@pytest.mark.parametrize("masked", [False, True], ids=["all may move", "mask"])
@pytest.mark.parametrize("expected", [None, 0.004], ids=["measured l", "given l"])
def test_twenty_steps_are_those_of_a_plain_reference(double, masked, expected):
    mask = None
    if masked:
        mask = np.zeros(double.resolution)
        mask[16:48, 8:56] = 1
    settings = FreeDrag(
        block=4,
        learning_rate=0.02,
        stride=60.0,
        grid=1.5,
        expected=expected,
        tolerance=0.5,
        stall_steps=None,
        mask_weight=10.0,
    )
    bound, edit, memory = begun(double, settings, HANDLES, TARGETS, mask)
    edit, _ = advanced(bound, edit, memory, 20)
    latent, aims, cases = plainly(double, settings, HANDLES, TARGETS, 20, mask)
    assert len(cases) > 6
    torch.testing.assert_close(edit.latent, latent, rtol=0, atol=1e-8)
    np.testing.assert_allclose(edit.handles, aims, atol=1e-8)
    assert not torch.equal(edit.latent, edit.origin)


def test_the_reference_goes_on_stays_and_goes_back(double):
    """Or the comparison above would say little of the second and the third case."""
    settings = FreeDrag(
        block=4, learning_rate=0.02, stride=60.0, grid=1.5, expected=0.004, tolerance=0.5, stall_steps=None
    )
    _, _, cases = plainly(double, settings, HANDLES, TARGETS, 20)
    assert {1, 2, 3} <= set(cases)


def test_half_of_a_template_is_renewed_at_a_fifth_of_l_and_a_tenth_at_four_fifths():
    assert renewed(0.2 * 0.3, 0.3) == pytest.approx(0.5)
    assert renewed(0.8 * 0.3, 0.3) == pytest.approx(0.1)
    assert renewed(0.0, 0.3) == pytest.approx(0.675, abs=1e-3)
    assert renewed(1e9, 0.3) == pytest.approx(0, abs=1e-9)


def test_lengths_are_pixels_of_512_whatever_the_size_of_the_picture():
    for side in (64, 128):
        generator = Planted((side, side))
        bound, edit, memory = begun(generator, FreeDrag(), [(side / 2, side / 2)], [(side / 2 + side / 4, side / 2)])
        (step,) = bound.advance(edit, memory)
        gone = step.edit.handles[0] - edit.handles[0]
        assert 0 < gone[0] <= 12 * side / 512 + 1e-9
        assert gone[1] == pytest.approx(0)


@pytest.mark.parametrize("corner", [(0, 0), (63, 63), (-0.5, 63.5)])
def test_a_template_across_the_border_reads_the_border(generator, corner):
    settings = FreeDrag(grid=8.0, max_steps=12)
    result = drag(generator, generator.mapping(seed=3), [corner], [(30, 30)], config=settings)
    assert np.isfinite(result.ws.numpy()).all()
    assert result.steps > 0


def test_near_the_target_alone_is_not_arrived(generator):
    settings = FreeDrag(learning_rate=1e-6, stride=512.0, expected=1e-5, max_steps=15, stall_steps=None)
    bound, edit, memory = begun(generator, settings, [(20, 30)], [(20.5, 30)])
    edit, memory = advanced(bound, edit, memory, 15)
    assert edit.distances.max() <= settings.tolerance
    assert bound.verdict(edit, memory) == "capped", "its features are nowhere near the template"


def test_a_point_that_arrived_can_be_pulled_on(generator):
    planted = Planted((64, 64))
    ws = planted.mapping(seed=1)
    start = planted.centre(ws).numpy()
    result = drag(planted, ws, [start], [start + np.array([6, 0])], config=FreeDrag(block=3))
    assert result.reason == "arrived"
    state = result.state.move_target(1, tuple(start + np.array([2.0, 4.0])))
    assert state.verdict is None
    while state.verdict is None:
        state = state.advance()[-1]
    assert state.verdict == "arrived"
    assert planted.centre(state.ws).numpy() == pytest.approx(start + np.array([2, 4]), abs=1.5)
