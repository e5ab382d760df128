"""Where nothing comes nearer, the rate is halved; and what that needs is kept."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from random_stylegan2 import generator_of

from draggan_widget.config import DragConfig
from draggan_widget.engines.draggan import begin_run, init, move_target, step, terminate
from draggan_widget.engines.draggan.captured_steps import walk
from draggan_widget.engines.draggan.iteration import IDLE, rate_of
from draggan_widget.engines.draggan.state import DragState, Pace
from draggan_widget.engines.registry import bind
from draggan_widget.engines.state import State

POINTS = [(1, (20.3, 31.7), (29.5, 26.5)), (2, (52.5, 20.25), (45, 28))]
STUCK = DragConfig(learning_rate=1e-9, stall_steps=None)
"""So small a rate that no handle comes nearer."""


def begun(config, points=POINTS):
    generator = generator_of(64)
    return generator, init(generator, generator.mapping(seed=3), points, None, config)


def course(generator, state, steps):
    states = [state]
    for _ in range(steps):
        states.append(step(generator, states[-1]))
    return states


def test_new_configs_halve_and_those_from_before_and_of_the_paper_do_not():
    assert DragConfig().on_stall == "halve"
    assert {DragConfig.paper().on_stall, DragConfig.official().on_stall} == {"stop"}
    before = DragConfig().to_dict()
    del before["on_stall"]
    assert DragConfig.from_dict(before).on_stall == "stop"
    assert DragConfig.from_dict(DragConfig().to_dict()) == DragConfig()
    with pytest.raises(ValueError, match="on_stall is 'wait'; choose one of halve, stop"):
        DragConfig(on_stall="wait")


def test_a_models_own_settings_halve_in_new_edits_though_its_file_is_of_before():
    from draggan_widget import load_generator

    assert load_generator("faces").drag_config.on_stall == "halve"


@pytest.mark.parametrize("space", ["w_plus", "w"])
def test_the_step_after_four_idle_trackings_is_one_of_half_the_rate_without_moments(space):
    generator, state = begun(STUCK.replace(space=space))
    states = course(generator, state, 2 * IDLE + 1)
    assert [each.pace.halvings for each in states] == [0] * (IDLE + 1) + [1] * IDLE + [2]
    assert [each.moments.count for each in states] == [*range(IDLE + 1), *range(1, IDLE + 1), 1]
    fresh = init(generator, states[IDLE].ws, [], None, state.config.replace(learning_rate=5e-10, on_stall="stop"))
    fresh = dataclasses.replace(fresh, points=states[IDLE].points)
    assert torch.equal(step(generator, fresh).ws, states[IDLE + 1].ws)
    assert rate_of(states[-1]) == 1e-9 / 4


def test_stop_goes_on_alike():
    generator, state = begun(STUCK.replace(on_stall="stop"))
    assert course(generator, state, IDLE + 2)[-1].moments.count == IDLE + 2


def test_patience_is_counted_as_it_was():
    generator, state = begun(STUCK.replace(stall_steps=10))
    states = course(generator, state, 10)
    assert [terminate(each) for each in states] == [None] * 10 + ["stalled"]


def test_a_new_run_goes_on_at_the_lowered_rate_and_another_target_at_the_whole_one():
    generator, state = begun(STUCK)
    stuck = course(generator, state, IDLE + 1)[-1]
    assert step(generator, begin_run(stuck)).pace.halvings == 1
    assert step(generator, move_target(stuck, 1, (30, 30))).pace.halvings == 0
    there_and_back = move_target(move_target(stuck, 1, (30, 30)), 1, POINTS[0][2])
    assert torch.equal(step(generator, there_and_back).ws, step(generator, stuck).ws), "as an edit is done again"


def test_a_state_read_back_goes_on_at_its_pace():
    generator, state = begun(STUCK)
    for done in (2, IDLE, IDLE + 2):
        stuck = course(generator, state, done)[-1]
        again = DragState.from_tensors(*stuck.to_tensors())
        assert again.pace == stuck.pace
        assert torch.equal(course(generator, again, 5)[-1].ws, course(generator, stuck, 5)[-1].ws)


@pytest.mark.parametrize("on_stall", ["halve", "stop"])
def test_memories_are_packed_with_their_pace_where_they_have_one(on_stall):
    generator = generator_of(64)
    state = State.begin(generator, generator.mapping(seed=3), STUCK.replace(on_stall=on_stall))
    state = state.add_point(*POINTS[0]).steps(IDLE + 2)
    tensors, values = state.bound.pack(state.memory)
    assert ("pace" in values) == (on_stall == "halve")
    again = State(state.bound, state.edit, state.bound.unpack(state.edit, tensors, values))
    assert again.memory.pace == state.memory.pace
    assert torch.equal(again.steps(3).ws, state.steps(3).ws)
    if on_stall == "halve":
        bound = bind(generator, STUCK.replace(on_stall="stop"))
        del values["pace"]
        assert bound.unpack(state.edit, tensors, values).pace == Pace(), "one of before"


@pytest.mark.parametrize(
    "pace",
    [{}, {"of": 1, "nearest": [], "idle": 0, "halvings": -1}, {"of": 1, "nearest": ["x"], "idle": 0, "halvings": 0}, 7],
)
def test_a_pace_that_is_none_is_refused(pace):
    generator, state = begun(STUCK)
    tensors, description = course(generator, state, 1)[-1].to_tensors()
    with pytest.raises(ValueError, match=r"."):
        DragState.from_tensors(tensors, {**description, "pace": pace})


def test_a_pace_of_another_number_of_points_is_refused():
    generator = generator_of(64)
    state = State.begin(generator, generator.mapping(seed=3), STUCK).add_point(*POINTS[0]).steps(2)
    tensors, values = state.bound.pack(state.memory)
    with pytest.raises(ValueError, match="one nearest distance for each point"):
        state.bound.unpack(state.edit, tensors, {**values, "pace": {**values["pace"], "nearest": [1.0, 2.0, 3.0]}})


def test_steps_at_once_halve_where_single_steps_do():
    generator, state = begun(STUCK)
    single = course(generator, state, 2 * IDLE + 3)
    together = [single[1]]
    while len(together) < 2 * IDLE + 3:
        together += walk(generator, together[-1], 5)
    for one, other in zip(together, single[1:], strict=False):
        np.testing.assert_allclose(one.handles, other.handles, atol=1e-6)
        assert (one.step, one.pace.idle, one.pace.halvings) == (other.step, other.pace.idle, other.pace.halvings)
        torch.testing.assert_close(one.ws, other.ws, rtol=0, atol=1e-12)
