from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
from random_stylegan2 import generator_of, small_stylegan2
from random_stylegan3 import small_stylegan3

from draggan_widget.config import DragConfig
from draggan_widget.engines import DivergedError, default_config, drag, drag_steps
from draggan_widget.engines.draggan import init, step
from draggan_widget.models import StyleGAN2
from draggan_widget.models.stylegan2.sparse_forward import Windows

HANDLES, TARGETS = [(20.5, 31.5)], [(30.2, 26.8)]
FAST = DragConfig(learning_rate=2e-2)


@pytest.fixture
def medium():
    return generator_of(64)


def test_a_drag_arrives(medium):
    result = drag(medium, medium.mapping(seed=3), HANDLES, TARGETS, config=FAST)
    assert result.reason == "arrived"
    assert result.distances.max() <= 1
    assert result.steps == len(result.history) - 1 > 3
    assert np.array_equal(result.history[0].handles, HANDLES)
    assert np.array_equal(result.history[-1].handles, result.handles)
    assert result.history[0].loss == {}
    assert result.history[1].loss["motion"] > 0
    assert np.array_equal(result.targets, TARGETS)


@pytest.mark.parametrize("config", [DragConfig(), DragConfig.paper()], ids=["default", "paper"])
def test_the_loop_always_stops_by_itself(small, config):
    result = drag(small, small.mapping(seed=3), [(3, 3)], [(28, 28)], config=config.replace(max_steps=None))
    assert result.reason == "stalled"
    assert result.distances.max() > 2


def test_a_drag_on_its_target_arrives_without_a_step(medium):
    ws = medium.mapping(seed=3)
    result = drag(medium, ws, [(20, 20)], [(20.5, 20.5)])
    assert (result.reason, result.steps) == ("arrived", 0)
    assert torch.equal(result.ws, ws)


def test_with_a_tolerance_of_0_a_handle_that_lies_on_its_target_to_the_last_bit_has_not_arrived(medium):
    config = medium.drag_config.replace(tolerance=0, max_steps=3, stall_steps=None)
    result = drag(medium, medium.mapping(seed=3), [(45, 30)], [(45, 30)], config=config)
    assert (result.reason, result.steps) == ("capped", 3)


def test_a_drag_is_capped(medium):
    result = drag(medium, medium.mapping(seed=3), HANDLES, TARGETS, config=FAST.replace(max_steps=2))
    assert (result.reason, result.steps) == ("capped", 2)
    one = drag(medium, medium.mapping(seed=3), HANDLES, TARGETS, config=FAST.replace(max_steps=1))
    assert (one.reason, one.steps) == ("capped", 1)
    with pytest.raises(ValueError, match="max_steps is 0; it must be a whole number from 1 to 100,000, or None"):
        FAST.replace(max_steps=0)


def test_a_drag_stalls_when_no_handle_comes_nearer_for_as_many_trackings(medium):
    crawling = DragConfig(learning_rate=1e-9, stall_steps=4)
    result = drag(medium, medium.mapping(seed=3), HANDLES, TARGETS, config=crawling)
    assert (result.reason, result.steps) == ("stalled", 4)


def test_the_steps_of_a_drag_are_those_of_its_result(medium):
    ws = medium.mapping(seed=3)
    states = list(drag_steps(medium, ws, HANDLES, TARGETS, config=FAST))
    result = drag(medium, ws, HANDLES, TARGETS, config=FAST)
    assert [state.step for state in states] == list(range(result.steps + 1))
    assert torch.equal(states[0].ws, ws)
    assert torch.equal(states[-1].ws, result.ws)
    assert states[-1].verdict == result.reason
    assert all(state.verdict is None for state in states[:-1])


def test_a_callback_sees_every_state_and_may_end_the_drag_with_its_reason(medium):
    seen = []

    def callback(state):
        seen.append(state.step)
        return "stopped" if state.step == 2 else None

    result = drag(medium, medium.mapping(seed=3), HANDLES, TARGETS, config=FAST, callback=callback)
    assert seen == [0, 1, 2]
    assert (result.reason, result.steps) == ("stopped", 2)


def test_draggan_takes_the_settings_that_the_generator_carries():
    torch.manual_seed(0)
    generator = StyleGAN2(32, z_dim=4, w_dim=8, channels=dict.fromkeys((4, 8, 16, 32), 4), mapping_layers=1,
                          drag_config=DragConfig(max_steps=1))  # fmt: skip
    own = default_config(generator, "draggan")
    result = drag(generator, generator.mapping(seed=0), [(3, 3)], [(28, 28)], config=own)
    assert (result.reason, result.steps) == ("capped", 1)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_the_picture_of_a_result_has_the_channels_of_the_generator(channels, mode):
    torch.manual_seed(0)
    widths = dict.fromkeys((4, 8, 16, 32), 4)
    generator = StyleGAN2(32, z_dim=4, w_dim=8, img_channels=channels, channels=widths, mapping_layers=1)
    result = drag(generator, generator.mapping(seed=0), [(3, 3)], [(28, 28)], config=DragConfig(max_steps=1))
    assert (result.image.mode, result.image.size) == (mode, (32, 32))
    assert (result.before.mode, result.before.size) == (mode, (32, 32))
    assert result.before.tobytes() != result.image.tobytes()
    picture = generator.synthesize(result.ws)[0, 0].clamp(-1, 1).numpy()
    assert np.abs(np.asarray(result.image).reshape(32, 32, -1)[..., 0] - (picture + 1) * 127.5).max() <= 0.51


@pytest.mark.parametrize("make", [small_stylegan2, small_stylegan3])
def test_a_picture_made_in_inference_mode_is_in_no_gradients_way(make):
    model = make(64)
    with torch.inference_mode():
        model.synthesize(model.mapping(seed=1))
    ws = model.mapping(seed=1).requires_grad_()
    (gradient,) = torch.autograd.grad(model.synthesize(ws).square().sum(), ws)
    assert gradient.abs().max() > 0


def test_the_drag_works_in_inference_mode(medium):
    with torch.inference_mode():
        inside = drag(medium, medium.mapping(seed=3), HANDLES, TARGETS, config=FAST.replace(max_steps=2))
    outside = drag(medium, medium.mapping(seed=3), HANDLES, TARGETS, config=FAST.replace(max_steps=2))
    assert torch.equal(inside.ws, outside.ws)


def test_the_latent_that_is_given_stays_as_it_was(medium):
    ws = medium.mapping(seed=3)
    before = ws.clone()
    drag(medium, ws, HANDLES, TARGETS, config=FAST.replace(max_steps=2))
    drag(medium, ws.numpy(), HANDLES, TARGETS, config=FAST.replace(max_steps=2))
    assert torch.equal(ws, before)
    assert not ws.requires_grad


def test_the_weights_of_the_generator_collect_no_gradients(medium):
    drag(medium, medium.mapping(seed=3), HANDLES, TARGETS, mask=np.eye(64), config=FAST.replace(max_steps=3))
    assert not any(weight.requires_grad for weight in medium.parameters())
    assert all(weight.grad is None for weight in medium.parameters())


@pytest.mark.parametrize("masked", [False, True], ids=["without_mask", "with_mask"])
@pytest.mark.parametrize(
    "config", [FAST, DragConfig.paper(), DragConfig.official()], ids=["default", "paper", "official"]
)
def test_a_step_computes_features_once(medium, config, masked, monkeypatch):
    computed = []
    whole, windows = type(medium).feature_maps, Windows.evaluate

    def counted(what, ws):
        if torch.is_grad_enabled():
            computed.append(what)

    monkeypatch.setattr(
        type(medium), "feature_maps", lambda self, ws, blocks: counted("maps", ws) or whole(self, ws, blocks)
    )
    monkeypatch.setattr(Windows, "evaluate", lambda self, ws, wanted: counted("cells", ws) or windows(self, ws, wanted))
    state = init(medium, medium.mapping(seed=3), [(1, HANDLES[0], TARGETS[0])], np.eye(64) if masked else None, config)
    state = step(medium, state)
    kind = "maps" if masked else "cells"
    assert computed.count(kind) == 2, "once at the start, once where the first step led"
    step(medium, step(medium, state))
    assert computed.count(kind) == 4
    assert masked or computed.count("maps") == 0


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("config", [DragConfig(), DragConfig.paper(), DragConfig.official()],
                         ids=["default", "paper", "official"])  # fmt: skip
def test_small_pictures_have_something_to_supervise_and_somewhere_to_track(size, config):
    # r1 = round(3 / 512 · 64) = 0: a mean over nothing is NaN and would destroy the latent.
    generator = generator_of(size)
    state = init(generator, generator.mapping(seed=3), [(1, (size * 0.4, size * 0.5), (size * 0.7, size * 0.4))],
                 config=config.replace(learning_rate=2e-2))  # fmt: skip
    start = state.handles
    for _ in range(8):
        state = step(generator, state)
    assert state.loss["motion"] > 0
    assert torch.isfinite(state.ws).all()
    assert (state.handles != start).any()


def test_a_mask_is_obeyed(medium):
    mask = np.ones((64, 64))
    mask[:, :32] = 0
    ws, block = medium.mapping(seed=3), medium.default_block()

    def change(config, mask):
        result = drag(medium, ws, [(45, 30)], [(60, 30)], mask=mask, config=config.replace(max_steps=10, tolerance=0))
        assert (result.history[-1].loss["mask"] > 0) == (mask is not None)
        return (medium.features(result.ws, block) - medium.features(ws, block))[..., :16].abs().mean()

    for config in (DragConfig(), DragConfig.paper(), DragConfig.official()):
        assert change(config, mask) < 0.7 * change(config, None)
    assert change(DragConfig(), mask) == change(DragConfig(), mask.astype(bool))
    assert change(DragConfig(), mask) == change(DragConfig(), torch.from_numpy(mask))


@pytest.mark.parametrize("broken_at", ["loss", "gradient", "next_features"])
def test_when_numbers_stop_being_finite_the_state_before_stays_usable(broken_at, monkeypatch):
    torch.manual_seed(0)
    generator = StyleGAN2(32, z_dim=4, w_dim=8, channels=dict.fromkeys((4, 8, 16, 32), 4), mapping_layers=1)
    state = step(generator, init(generator, generator.mapping(seed=1), [(1, (3, 3), (28, 28))]))
    whole = generator.feature_maps
    calls = []

    def poisoned(ws, blocks):
        calls.append(1)
        maps = whole(ws, blocks)
        if broken_at == "gradient":
            for feature_map in maps:
                feature_map.register_hook(lambda gradient: gradient * float("nan"))
        bad = broken_at == "loss" or (broken_at == "next_features" and len(calls) == 2)
        return [feature_map * float("inf") for feature_map in maps] if bad else maps

    generator._latest = None
    with monkeypatch.context() as patch:
        patch.setattr(Windows, "can_evaluate", lambda ws: False)
        patch.setattr(generator, "feature_maps", poisoned)
        with pytest.raises(DivergedError, match=r"not finite; the latent before it\s+is kept"):
            step(generator, state)
    generator._latest = None
    assert torch.isfinite(state.ws).all()
    assert torch.isfinite(step(generator, state).ws).all()


def test_a_drag_leaves_no_features_behind(medium, monkeypatch):
    made = []
    whole, windows = type(medium).feature_maps, Windows.evaluate

    def maps(self, ws, blocks):
        found = whole(self, ws, blocks)
        made.extend(weakref.ref(feature_map) for feature_map in found)
        return found

    def cells(self, ws, wanted):
        found = windows(self, ws, wanted)
        made.extend(weakref.ref(features) for features in found[1].values())
        return found

    monkeypatch.setattr(type(medium), "feature_maps", maps)
    monkeypatch.setattr(Windows, "evaluate", cells)
    for evaluate in (True, False):
        monkeypatch.setattr(Windows, "can_evaluate", lambda ws, evaluate=evaluate: evaluate)
        made.clear()
        drag(medium, medium.mapping(seed=3), HANDLES, TARGETS, config=FAST.replace(max_steps=5))
        gc.collect()
        assert len(made) >= 5
        assert sum(features() is not None for features in made) <= 1, "the generator remembers the newest"
