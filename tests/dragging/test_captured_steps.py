"""Several steps without a look in between lead where single steps do."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from random_stylegan2 import generator_of

from draggan_widget.config import DragConfig
from draggan_widget.engines import DivergedError
from draggan_widget.engines.common import formulas
from draggan_widget.engines.common.geometry import Frame
from draggan_widget.engines.draggan import begin_run, default, init, step, terminate
from draggan_widget.engines.draggan.captured_steps import stride, walk

POINTS = [(1, (20.3, 31.7), (29.5, 26.5)), (2, (62.5, 0.25), (55, 12)), (3, (0, 63), (4, 60))]


def mask():
    made = np.ones((64, 64))
    made[:20, :21], made[20:24] = 0, 0.5
    return made


@pytest.mark.parametrize("masked", [False, True], ids=["without_mask", "with_mask"])
@pytest.mark.parametrize("space", ["w_plus", "w"])
@pytest.mark.parametrize("block", [None, (3, 5)], ids=["one_block", "two_blocks"])
def test_steps_at_once_lead_where_single_steps_do(masked, space, block):
    generator = generator_of(64)
    config = DragConfig(learning_rate=2e-2, block=block, space=space, mask_weight=0.5)
    start = init(generator, generator.mapping(seed=3), POINTS, mask() if masked else None, config)
    single = [step(generator, start)]
    for _ in range(6):
        single.append(step(generator, single[-1]))
    # From the start, and from the middle of a run.
    for begun, expected in ((single[0], single[1:4]), (single[3], single[4:])):
        together = walk(generator, begun, 3)
        assert len(together) == 3
        for one, other in zip(together, expected, strict=True):
            np.testing.assert_allclose(one.handles, other.handles, rtol=0, atol=1e-12)
            torch.testing.assert_close(one.ws, other.ws, rtol=0, atol=1e-12)
            torch.testing.assert_close(one.moments.second, other.moments.second, rtol=1e-10, atol=1e-12)
            assert (one.step, one.moments.count, one.course.idle) == (
                other.step,
                other.moments.count,
                other.course.idle,
            )
            assert one.loss == pytest.approx(other.loss, rel=1e-6)
    assert np.abs(single[-1].handles - start.handles).max() > 1, "this compares nothing"


def test_single_steps_go_on_from_where_a_stride_led():
    generator = generator_of(64)
    state = step(generator, init(generator, generator.mapping(seed=3), POINTS, None, DragConfig(learning_rate=2e-2)))
    led = walk(generator, state, 2)[-1]
    np.testing.assert_allclose(
        step(generator, led).handles, step(generator, step(generator, step(generator, state))).handles, atol=1e-6
    )


def test_a_stride_ends_where_the_run_does():
    generator = generator_of(64)
    config = DragConfig(learning_rate=2e-2, max_steps=3)
    state = step(generator, init(generator, generator.mapping(seed=3), POINTS, None, config))
    states = walk(generator, state, 8)
    assert [terminate(each) for each in states] == [None, "capped"]
    assert len(walk(generator, begin_run(state), 8)) == 3


def test_what_is_not_finite_is_not_among_the_states():
    generator = copy.deepcopy(generator_of(64))
    state = step(generator, init(generator, generator.mapping(seed=3), POINTS, None, DragConfig(learning_rate=2e-2)))
    whole, calls = generator.feature_maps, []

    def poisoned(ws, blocks):
        calls.append(1)
        return [each * float("nan") if len(calls) >= 3 else each for each in whole(ws, blocks)]

    generator.feature_maps = poisoned
    assert len(walk(generator, state, 5)) == 1
    calls[:] = [1, 1]
    with pytest.raises(DivergedError, match="the latent before it is kept"):
        walk(generator, state, 5)


def test_on_a_processor_a_stride_is_one_step():
    generator = generator_of(64)
    state = init(generator, generator.mapping(seed=3), POINTS, None, DragConfig(learning_rate=2e-2))
    (after,) = stride(generator, state)
    assert after.step == 1


def test_nothing_is_read_back_within_a_cycle(monkeypatch):
    generator = generator_of(64)
    state = step(generator, init(generator, generator.mapping(seed=3), POINTS, mask(), DragConfig(learning_rate=2e-2)))
    walk(generator, state, 1)  # the kind is set up
    reads = []
    for name in ("item", "cpu", "numpy", "tolist", "__bool__", "__float__", "__int__", "nonzero"):
        kept = getattr(torch.Tensor, name)
        monkeypatch.setattr(
            torch.Tensor, name, lambda self, *a, name=name, kept=kept, **k: reads.append(name) or kept(self, *a, **k)
        )
    walk(generator, state, 1)
    few = len(reads)
    reads.clear()
    walk(generator, state, 6)
    assert len(reads) - few <= 5 * 12, "more steps read only what goes into their states"
    from draggan_widget.engines.draggan import captured_steps as module

    (_, cycles) = module._remembered[generator]
    reads.clear()
    cycles._cycle()
    assert reads == []


def test_the_formulas_look_at_no_value():
    """On the meta device there is none to look at."""
    frame, like = Frame.of((512, 512), 3, 12), {"device": "meta", "dtype": torch.float64}
    handles, references, ws = torch.empty(3, 2, **like), torch.empty(3, 5, **like), torch.empty(1, 8, 4, **like)

    def read(xy):
        return xy.sum(dim=-1, keepdim=True).expand(*xy.shape[:-1], 5)

    assert default.follow(read, handles, references, frame).shape == (3, 2)
    here, counted = formulas.discs(handles, frame)
    ahead = here + formulas.no_longer_than_1(handles)[:, None]
    assert formulas.pulled(read(here), read(ahead), formulas.shares(counted, here.dtype)).shape == ()
    assert formulas.held(references, references, references[:, 0]).shape == ()
    for rows in (None, 6):
        count, rate = torch.empty((), **like), torch.empty((), **like)
        assert [each.shape for each in formulas.step_rows(ws, ws, ws, ws, count, rate, rows)] == [ws.shape] * 3


@pytest.mark.parametrize("rows", [None, 6])
def test_a_count_and_a_rate_on_the_device_lead_where_plain_numbers_do(rows):
    torch.manual_seed(0)
    plain = captured = (torch.randn(1, 8, 16).double(), torch.zeros(1, 8, 16).double(), torch.zeros(1, 8, 16).double())
    for count in range(1, 9):
        gradient = torch.randn(1, 8, 16).double()
        plain = formulas.step_rows(plain[0], gradient, *plain[1:], count, 2e-3, rows)
        on_device = (torch.tensor(number, dtype=torch.float64) for number in (count, 2e-3))
        captured = formulas.step_rows(captured[0], gradient, *captured[1:], *on_device, rows)
        for one, other in zip(plain, captured, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
