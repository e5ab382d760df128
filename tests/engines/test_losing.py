"""The stop at a handle that is lost: when, with which state, that it is told, and that files go on."""

from __future__ import annotations

import dataclasses
from unittest import mock

import numpy as np
import pytest
import torch
from planted import Vanishing

from draggan_widget.editing import Session, load_drag, save_drag
from draggan_widget.engines import DragConfig, GoodDrag, StableDrag, State, drag
from draggan_widget.engines.losing import is_astray

ALL = [
    DragConfig(learning_rate=0.01, on_lost="stop", max_steps=80, stall_steps=None),
    StableDrag(learning_rate=0.01, supervision_radius=24.0, on_lost="stop", max_steps=80, stall_steps=None),
    GoodDrag(learning_rate=0.01, supervision_radius=24.0, on_lost="stop", max_steps=80, stall_steps=None),
]
each = pytest.mark.parametrize("settings", ALL, ids=lambda settings: type(settings).__name__)


@pytest.fixture(scope="module")
def vanishing():
    return Vanishing((64, 64))


def begun(model, settings):
    ws = torch.zeros_like(model.mapping(seed=1))
    start = model.centre(ws).double().numpy()
    return State.begin(model, ws, settings).add_point(1, tuple(start), tuple(start + np.array([20.0, 2.0])))


def test_a_difference_is_astray_beyond_three_times_the_median_of_those_before():
    assert not is_astray(100.0, (1.0, 1.0, 1.0, 1.0)), "four say nothing"
    assert not is_astray(3.0, (1.0, 0.5, 1.0, 2.0, 9.0))
    assert is_astray(3.01, (1.0, 0.5, 1.0, 2.0, 9.0))


@each
def test_a_run_ends_after_five_trackings_astray_with_the_best_state_before_them(vanishing, settings):
    """Compared with the engine by itself, whose states are judged here one by one."""
    free, seen = begun(vanishing, settings.replace(on_lost="go_on")), []
    blocks = free.bound.blocks

    def features(state):
        with torch.no_grad():
            return vanishing.sample_features(state.ws.clone(), blocks, torch.from_numpy(state.handles))[0]

    first, best, away, astray = features(free), free, [], 0
    for _ in range(80):
        (free,) = free.advance()
        if getattr(free.memory, "turn", 0):
            continue
        seen.append(free)
        now = float((features(free) - first).norm())
        strays = len(away) >= 5 and now > 3 * float(np.median(away))
        astray = astray + 1 if strays else 0
        if not strays:
            away.append(now)
            best = free if free.distances[0] < best.distances[0] else best
        if astray == 5:
            break
    else:
        pytest.fail("nothing was lost, so this compares nothing")
    result = drag(vanishing, begun(vanishing, settings).ws, [free.edit.points[0].start], free.targets, config=settings)
    assert (result.reason, result.state.lost, result.steps) == ("stalled", (1,), free.step)
    assert result.state.report["lost"] == [1]
    torch.testing.assert_close(result.ws, best.ws, rtol=0, atol=1e-5)
    np.testing.assert_allclose(result.handles, best.handles, atol=1e-3)
    assert 0 < result.distances[0] < 20, "the best is neither the start nor the end"


@each
def test_without_the_setting_the_run_goes_on(vanishing, settings):
    state = begun(vanishing, settings.replace(on_lost="go_on", max_steps=60))
    result = drag(vanishing, state.ws, state.handles, state.targets, config=state.config)
    assert result.reason != "stalled"
    assert result.state.lost == ()


@each
def test_a_run_in_which_nothing_is_lost_is_the_same_to_the_bit(generator, settings):
    watched, free = (
        State.begin(generator, generator.mapping(seed=3), chosen).add_point(1, (20.3, 30.6), (24.0, 33.0)).steps(4)
        for chosen in (settings, settings.replace(on_lost="go_on"))
    )
    assert torch.equal(watched.ws, free.ws)
    assert watched.handles.tolist() == free.handles.tolist()
    assert watched.verdict == free.verdict


@each
def test_a_file_goes_on_exactly_and_what_is_broken_in_it_is_refused(vanishing, settings):
    state = begun(vanishing, settings).steps(9)
    tensors, values = state.bound.pack(state.memory)
    again = State(state.bound, state.edit, state.bound.unpack(state.edit, tensors, values))
    while state.verdict is None:
        (state,), (again,) = state.advance(), again.advance()
        assert torch.equal(state.ws, again.ws)
        assert (state.verdict, state.lost) == (again.verdict, again.lost)
    assert state.lost == (1,)
    watch = values["watch"]
    for broken in (
        {"own": values["own"]},
        {**values, "watch": {**watch, "lost": [7]}},
        {**values, "watch": {**watch, "astray": [[1, -1]]}},
        {**values, "watch": {**watch, "away": [[1, [float("nan")]]]}},
        {**values, "watch": {**watch, "best": [1.0, []]}},
    ):
        with pytest.raises(ValueError, match="incomplete"):
            state.bound.unpack(state.edit, tensors, broken)


def test_a_drag_file_keeps_all_of_the_shared_settings_and_goes_on_exactly(generator, tmp_path):
    config = DragConfig(
        learning_rate=0.05, block=(3, 4), several_blocks="scaled", window="adaptive", on_lost="stop", blend="picture"
    )
    session = Session(generator, seed=3, truncation=0.7, config=config)
    try:
        session.put_point(1, handle=(20, 30), target=(40, 40))
        for _ in range(6):
            session.step_once().result(120)
        save_drag(tmp_path / "edit.drag", session.now(), generator, None)
        state, again = session.now().drag, load_drag(tmp_path / "edit.drag", generator).drag
    finally:
        session.close()
    assert again.config == config
    assert sorted(again.memory.away) == [1]
    assert len(again.memory.away[1]) == 6
    assert torch.equal(state.steps(2).ws, again.steps(2).ws)
    assert state.steps(2).memory.away == again.steps(2).memory.away


def test_who_goes_on_after_a_loss_begins_anew_and_a_change_takes_the_word_back(vanishing):
    state = begun(vanishing, ALL[0])
    while state.verdict is None:
        (state,) = state.advance()
    assert state.lost == (1,)
    assert state.move_target(1, (40.0, 33.0)).lost == ()
    assert state.begin_run().verdict is None
    assert state.with_config(ALL[0].replace(on_lost="go_on")).lost == ()
    assert state.with_config(ALL[0].replace(tracker="features")).steps(1).lost == ()


def test_a_history_keeps_the_best_state_off_the_device_once_for_all_records_that_share_it(vanishing):
    state = begun(vanishing, ALL[2]).steps(3)
    kept = [state.bound.compact(state.memory) for _ in range(2)]
    assert all(each.best is state.memory.best for each in kept), "there is no device here"
    there = dataclasses.replace(state.memory.best, latent=torch.empty(1, 4, 2, device="meta"))
    with mock.patch.object(torch.Tensor, "cpu", return_value=state.ws):
        first, second = (state.bound._off_the_device(there) for _ in range(2))
    assert first is second
    assert first.latent is state.ws
    memory = dataclasses.replace(kept[0], best=first)
    again = state.bound.expand(dataclasses.replace(state.edit, latent=there.latent), memory)
    assert again.best.latent.device.type == "meta"
    assert state.bound.expand(state.edit, memory).best is first


def test_with_another_tracker_it_is_that_ones_handles_that_are_watched(vanishing):
    state = begun(vanishing, dataclasses.replace(ALL[0], tracker="features:2"))
    while state.verdict is None:
        (state,) = state.advance()
    assert state.lost == (1,)
