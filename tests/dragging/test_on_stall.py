"""Where no handle comes nearer and one swings or goes away, the rate is halved; and what that needs is kept."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from random_stylegan2 import generator_of

from draggan_widget.config import DragConfig
from draggan_widget.engines.draggan import begin_run, init, move_target, step, terminate
from draggan_widget.engines.draggan.captured_steps import walk
from draggan_widget.engines.draggan.iteration import IDLE, MARKED, eased, follow, rate_of
from draggan_widget.engines.draggan.state import DragState, Pace
from draggan_widget.engines.registry import bind
from draggan_widget.engines.state import State

POINTS = [(1, (20.3, 31.7), (29.5, 26.5)), (2, (52.5, 20.25), (45, 28))]
CREEPING = DragConfig(learning_rate=1e-9, stall_steps=None)
"""So small a rate that no handle comes nearer."""
SWINGING = DragConfig(learning_rate=0.5, stall_steps=None, tolerance=0)
"""So large a rate that handles swing."""
LONG = 40
"""Steps within which they have done so for two halvings."""


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


def halved(states):
    """The numbers of the states whose next step is the first at a lowered rate."""
    return [n for n, (one, other) in enumerate(itertools.pairwise(states)) if other.pace.halvings > one.pace.halvings]


def until_halved(generator, state, times=1):
    """States up to the last one before the rate is halved for the so manyth time."""
    states = [state]
    while sum(eased(each).pace.halvings > each.pace.halvings for each in states) < times:
        assert len(states) <= LONG, "handles that swing so are slowed down"
        states.append(step(generator, states[-1]))
    return states


@pytest.mark.parametrize("space", ["w_plus", "w"])
def test_the_step_after_four_trackings_in_which_handles_swung_is_one_of_half_the_rate_without_moments(space):
    generator, state = begun(SWINGING.replace(space=space))
    states = until_halved(generator, state, 2)
    states.append(step(generator, states[-1]))
    turns = halved(states)
    assert len(turns) == 2
    for halvings, turn in enumerate(turns, 1):
        before, after = states[turn], states[turn + 1]
        assert before.pace.idle >= IDLE
        assert before.pace.lost
        # A handle is farther from its target than it was before.
        trail = np.array([each.distances for each in states[turn - before.pace.idle : turn + 1]])
        assert ((trail[1:] - np.minimum.accumulate(trail)[:-1]).max(axis=0) >= MARKED).any()
        assert (after.pace.halvings, after.moments.count) == (halvings, 1)
        assert rate_of(after) == 0.5 / 2**halvings
        fresh = init(
            generator, before.ws, [], None, state.config.replace(learning_rate=rate_of(after), on_stall="stop")
        )
        fresh = dataclasses.replace(fresh, points=before.points)
        assert torch.equal(step(generator, fresh).ws, after.ws)


def test_steps_that_are_too_small_already_are_made_no_smaller():
    generator, state = begun(CREEPING)
    states = course(generator, state, 3 * IDLE)
    assert states[-1].pace.idle == 3 * IDLE, "none comes nearer"
    assert not any(each.pace.halvings for each in states)
    assert [each.moments.count for each in states] == list(range(3 * IDLE + 1))


@pytest.mark.parametrize(
    ("what", "distances", "halvings"),
    [
        ("creeps nearer", [9.98, 9.96, 9.94, 9.92, 9.91, 9.905, 9.905], 0),
        ("rests", [10.0] * 7, 0),
        ("trembles by less than a tenth of a pixel", [10.05, 9.95, 10.05, 9.95, 10.05, 9.95, 10.0], 0),
        ("comes steadily nearer", [9.5, 9, 8.5, 8, 7.5, 7, 6.5], 0),
        ("goes away", [10.2, 10.4, 10.6, 10.8, 11, 11.2, 11.4], 1),
        ("came nearer and lost it", [6, 7, 8, 8.5, 8.5, 8.5, 8.5], 1),
        ("swings, and is back where it was at the fourth", [12, 9.95, 12, 10, 10, 10, 10], 1),
        ("swings, and creeps on", [12, 10, 12, 10, 9.99, 9.98, 9.97], 1),
        ("swings, but comes nearer each time", [12, 9, 12, 8, 12, 7, 12], 0),
        ("creeps, and then goes away", [9.98, 9.96, 9.94, 9.92, 9.91, 10.5, 10.5], 1),
    ],
)
def test_the_rate_is_halved_only_where_a_handle_swings_or_goes_away(what, distances, halvings):
    _, state = begun(CREEPING, [(1, (40, 32), (30, 32))])
    for distance in distances:
        state = eased(state)
        moved = dataclasses.replace(state.points[0], handle=(30 + distance, 32.0))
        state = follow(state, dataclasses.replace(state, points=(moved,)))
    assert state.pace.halvings == halvings, what


def test_one_handle_that_comes_nearer_keeps_the_rate_though_another_goes_away():
    _, state = begun(CREEPING)
    for away in range(1, 8):
        state = eased(state)
        one, other = (
            dataclasses.replace(point, handle=(point.target[0] + distance, point.target[1]))
            for point, distance in zip(state.points, (10 - away / 2, 10 + away), strict=True)
        )
        state = follow(state, dataclasses.replace(state, points=(one, other)))
    assert state.pace.halvings == 0


def test_stop_goes_on_alike():
    generator, state = begun(SWINGING)
    slowed = until_halved(generator, state)
    _, state = begun(SWINGING.replace(on_stall="stop"))
    alike = course(generator, state, len(slowed))
    assert alike[-1].moments.count == len(slowed)
    assert torch.equal(alike[-2].ws, slowed[-1].ws), "until the rate is halved there is no difference"
    assert not torch.equal(alike[-1].ws, step(generator, slowed[-1]).ws)


def test_patience_is_counted_as_it_was():
    generator, state = begun(CREEPING.replace(stall_steps=10))
    states = course(generator, state, 10)
    assert [terminate(each) for each in states] == [None] * 10 + ["stalled"]


def test_a_new_run_goes_on_at_the_lowered_rate_and_another_target_at_the_whole_one():
    generator, state = begun(SWINGING)
    stuck = step(generator, until_halved(generator, state)[-1])
    assert stuck.pace.halvings == 1
    assert step(generator, begin_run(stuck)).pace.halvings == 1
    assert step(generator, move_target(stuck, 1, (30, 30))).pace.halvings == 0
    there_and_back = move_target(move_target(stuck, 1, (30, 30)), 1, POINTS[0][2])
    assert torch.equal(step(generator, there_and_back).ws, step(generator, stuck).ws), "as an edit is done again"


def test_a_state_read_back_goes_on_at_its_pace():
    generator, state = begun(SWINGING)
    states = until_halved(generator, state)
    states.append(step(generator, states[-1]))
    assert {each.pace.lost for each in states} == {True, False}
    for stuck in states[2:]:
        again = DragState.from_tensors(*stuck.to_tensors())
        assert again.pace == stuck.pace
        assert torch.equal(course(generator, again, 5)[-1].ws, course(generator, stuck, 5)[-1].ws)


@pytest.mark.parametrize("on_stall", ["halve", "stop"])
def test_memories_are_packed_with_their_pace_where_they_have_one(on_stall):
    generator = generator_of(64)
    state = State.begin(generator, generator.mapping(seed=3), SWINGING.replace(on_stall=on_stall))
    state = state.add_point(*POINTS[0]).steps(IDLE + 2)
    tensors, values = state.bound.pack(state.memory)
    assert ("pace" in values) == (on_stall == "halve")
    again = State(state.bound, state.edit, state.bound.unpack(state.edit, tensors, values))
    assert again.memory.pace == state.memory.pace
    assert torch.equal(again.steps(3).ws, state.steps(3).ws)
    if on_stall == "halve":
        bound = bind(generator, SWINGING.replace(on_stall="stop"))
        del values["pace"]
        assert bound.unpack(state.edit, tensors, values).pace == Pace(), "one of before"


@pytest.mark.parametrize(
    "pace",
    [
        {},
        {"of": 1, "nearest": [], "idle": 0, "lost": False, "halvings": -1},
        {"of": 1, "nearest": ["x"], "idle": 0, "lost": False, "halvings": 0},
        {"of": 1, "nearest": [], "idle": 0, "lost": 0, "halvings": 0},
        7,
    ],
)
def test_a_pace_that_is_none_is_refused(pace):
    generator, state = begun(SWINGING)
    tensors, description = course(generator, state, 1)[-1].to_tensors()
    with pytest.raises(ValueError, match=r"."):
        DragState.from_tensors(tensors, {**description, "pace": pace})


def test_a_pace_of_another_number_of_points_is_refused():
    generator = generator_of(64)
    state = State.begin(generator, generator.mapping(seed=3), SWINGING).add_point(*POINTS[0]).steps(2)
    tensors, values = state.bound.pack(state.memory)
    with pytest.raises(ValueError, match="one nearest distance for each point"):
        state.bound.unpack(state.edit, tensors, {**values, "pace": {**values["pace"], "nearest": [1.0, 2.0, 3.0]}})


def test_steps_at_once_halve_where_single_steps_do():
    generator, state = begun(SWINGING)
    single = until_halved(generator, state)
    while len(single) < LONG:
        single.append(step(generator, single[-1]))
    turns = halved(single)
    for turn in (each for each in turns if each > 1):
        # From a little before, so that what rounding does to handles that swing cannot grow.
        begin = max(1, turn - 2)
        together = [single[begin]]
        while len(together) < 5:
            together += walk(generator, together[-1], 5)
        for one, other in zip(together[:5], single[begin:], strict=False):
            np.testing.assert_allclose(one.handles, other.handles, atol=1e-6)
            assert (one.step, one.pace.idle, one.pace.lost) == (other.step, other.pace.idle, other.pace.lost)
            assert one.pace.halvings == other.pace.halvings
            torch.testing.assert_close(one.ws, other.ws, rtol=0, atol=1e-6)
    assert turns[-1] > 1
