"""What a GPU does differently leads where a processor is led. These run where there is a GPU."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from random_stylegan2 import generator_of

from draggan_widget.config import DragConfig
from draggan_widget.editing import Session
from draggan_widget.editing.pictures import Painter
from draggan_widget.engines import to_image
from draggan_widget.engines.draggan import captured_steps as strides
from draggan_widget.engines.draggan import init, step
from draggan_widget.models import Layer, load_generator

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that speaks CUDA")

POINTS = [(1, (20.3, 31.7), (29.5, 26.5)), (2, (62.5, 0.25), (55, 12)), (3, (0, 63), (4, 60))]


def mask():
    made = np.ones((64, 64))
    made[:20, :21], made[20:24] = 0, 0.5
    return made


@pytest.mark.parametrize("masked", [False, True], ids=["without_mask", "with_mask"])
@pytest.mark.parametrize("space", ["w_plus", "w"])
def test_captured_steps_lead_where_single_steps_on_a_processor_do(masked, space):
    generator = generator_of(64)
    config = DragConfig(learning_rate=2e-2, space=space, mask_weight=0.5)
    ws = generator.mapping(seed=3)
    on_processor = [step(generator, init(generator, ws, POINTS, mask() if masked else None, config))]
    for _ in range(11):
        on_processor.append(step(generator, on_processor[-1]))
    there = copy.deepcopy(generator).cuda()
    state = step(there, init(there, ws.cuda(), POINTS, mask() if masked else None, config))
    for strides_done in range(2):
        states = strides.walk(there, state, 5)
        for number, found in enumerate(states, start=1 + 5 * strides_done):
            np.testing.assert_allclose(found.handles, on_processor[number].handles, atol=1e-5)
            torch.testing.assert_close(found.ws.cpu(), on_processor[number].ws, rtol=1e-6, atol=1e-6)
        state = states[-1]


def test_another_edit_of_the_same_kind_is_taken_up_by_the_same_graph():
    generator = copy.deepcopy(generator_of(64)).cuda()
    config = DragConfig(learning_rate=2e-2)
    ends = []
    for seed in (3, 4, 3):
        state = step(generator, init(generator, generator.mapping(seed=seed), POINTS, None, config))
        ends.append(strides.walk(generator, state, 6)[-1])
        ends.append(strides._remembered[generator][1])
    assert ends[1] is ends[3] is ends[5]
    np.testing.assert_allclose(ends[0].handles, ends[4].handles, atol=1e-6)
    assert np.abs(ends[0].handles - ends[2].handles).max() > 1e-3


def test_nothing_waits_for_the_gpu_within_a_cycle():
    generator = copy.deepcopy(generator_of(64)).cuda()
    state = step(generator, init(generator, generator.mapping(seed=3), POINTS, mask(), DragConfig(learning_rate=2e-2)))
    strides.walk(generator, state, 2)
    _, cycles = strides._remembered[generator]
    cycles.begin(state)
    torch.cuda.set_sync_debug_mode("error")
    try:
        cycles.go(first=True)
        cycles.go(first=False)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("masked", [False, True], ids=["without_mask", "with_mask"])
def test_halves_stay_as_near_to_float32_as_torchs_own_way_of_multiplying(masked, monkeypatch):
    """Which rounds the factors of float32 convolutions to 10 bits, as halves have."""
    generator = load_generator("faces", device="cuda")
    config = generator.drag_config.replace(max_steps=None, stall_steps=None, tolerance=0.0)
    ws = generator.mapping(seed=1, truncation=0.7)
    kept = np.zeros(generator.resolution) if masked else None
    if kept is not None:
        kept[100:220, 60:200] = 1
    ends = []
    for tf32, operands in ((False, None), (True, None), (False, torch.float16)):
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", tf32)
        generator.operands = operands
        strides._remembered.clear()
        state = step(generator, init(generator, ws, [(1, (108, 154), (93, 144))], kept, config))
        ends.append(strides.walk(generator, state, 49))
    away, errors = [], []
    for other in ends[1:]:
        away.append(max(np.abs(a.handles - b.handles).max() for a, b in zip(ends[0], other, strict=True)))
        errors.append(float((ends[0][-1].ws - other[-1].ws).norm() / (ends[0][-1].ws - ws).norm()))
    print(f"TF32 and halves: handles {away} px away from float32's, latents {errors} of their way")
    assert max(away) < 1
    assert errors[1] < max(0.01, 2 * errors[0])


@pytest.mark.parametrize("operands", [None, torch.float16])
def test_a_painters_pictures_are_those_of_the_generator(operands):
    generator = load_generator("faces", device="cuda")
    painter = Painter(generator)
    for each in (torch.float16 if operands is None else None, operands):
        generator.operands = each
        for seed in (1, 2):
            ws = generator.mapping(seed=seed)
            found, expected = (
                np.asarray(p, float) for p in (painter.whole([Layer(ws)]), to_image(generator.synthesize(ws)))
            )
            assert np.abs(found - expected).max() <= 1


def test_a_session_pulls_a_mouth_on_a_gpu_in_strides():
    session = Session(load_generator("faces", device="cuda"), seed=7)
    try:
        session.put_point(1, handle=(108, 154), target=(100, 148)).result()
        session.start().result()
        result = session.finished().result(timeout=120)
        assert result.reason == "arrived"
        assert [record.step for record in session.now().records] == list(range(session.now().drag.step + 1))
    finally:
        session.close()
