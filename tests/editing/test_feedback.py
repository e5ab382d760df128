from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from planted import Vanishing

from draggan_widget import DragConfig
from draggan_widget.editing.diagnostics import draggan_warning
from draggan_widget.editing.document import Document
from draggan_widget.editing.feedback import Observer, Texture
from draggan_widget.editing.history import Record
from draggan_widget.editing.model import Model
from draggan_widget.engines import begin_with
from draggan_widget.engines.draggan import BoundDragGAN, tolerance_of

CONFIG = DragConfig()


def records_of(*ways, targets=None):
    """One record a step, of points that go along ``ways`` (each (T, 2) or (T,) for x) to targets at x = 100."""
    places = [np.stack([way, np.zeros(len(way))], axis=1) if np.ndim(way) == 1 else way for way in map(np.array, ways)]
    ends = np.array([[100.0, 0.0]] * len(places)) if targets is None else np.array(targets)
    ids = tuple(range(1, len(places) + 1))
    ws = np.zeros((1, 1, 1))
    return tuple(
        Record(n, 0.0, ids, np.array([place[n] for place in places], float), ends, {}, ws, None)
        for n in range(len(places[0]))
    )


def warnings_of(records, config=CONFIG, status="running"):
    """The warning after each step."""
    return [draggan_warning(records[:n], config, status) for n in range(1, len(records) + 1)]


MOVING = np.arange(0, 60, 1.0)
RESTING = np.concatenate([np.arange(0, 20, 1.0), np.full(40, 20.0)])
TREMBLING = np.concatenate([np.arange(0, 20, 1.0), 20 + 1.5 * (-1.0) ** np.arange(40)])


def test_a_point_on_its_way_is_not_warned_of():
    assert set(warnings_of(records_of(MOVING))) == {""}


def test_a_stall_is_told_before_the_run_ends_for_it_with_what_to_try():
    told = warnings_of(records_of(RESTING))
    first = next(n for n, each in enumerate(told) if each)
    assert 20 < first - 1 < 20 + CONFIG.stall_steps
    assert "come" in told[first]
    assert "no nearer" in told[first]
    for advice in ("nearer target", "larger mask", "more rows", "higher learning rate", "undo"):
        assert advice in told[first]
    assert set(told[first:]) == {told[first]}


@pytest.mark.parametrize(
    ("facts", "change", "absent"),
    [
        ({"masked": False}, {}, "mask"),
        ({"own": CONFIG}, {"learning_rate": 1.5 * CONFIG.learning_rate}, "learning rate"),
        ({"own": CONFIG}, {"learning_rate": 1.0}, "higher learning rate"),
        ({"num_ws": CONFIG.edit_layers}, {}, "rows"),
        ({}, {"space": "w"}, "rows"),
    ],
)
def test_no_more_is_advised_than_the_facts_let(facts, change, absent):
    told = draggan_warning(records_of(RESTING), CONFIG.replace(**change), "stalled", **facts)
    assert "Try a nearer target" in told
    assert absent not in told


def test_a_learning_rate_is_said_to_be_too_high_where_it_is_and_not_where_it_is_low():
    high = draggan_warning(records_of(RESTING), CONFIG.replace(learning_rate=1.0), "stalled", own=CONFIG)
    assert "a lower learning rate" in high
    told = [
        draggan_warning(records_of(TREMBLING), CONFIG.replace(learning_rate=rate), "stalled", own=CONFIG)
        for rate in (CONFIG.learning_rate, CONFIG.learning_rate / 10)
    ]
    assert ["lower learning rate" in each for each in told] == [True, False]
    assert all("back and forth" in each for each in told)


def test_an_observer_knows_whether_there_is_a_mask(generator):
    drag = begin_with(generator, generator.mapping(seed=1), [(1, (20, 20), (40, 30))], None, CONFIG)
    records = tuple(
        Record(n, 0.0, drag.ids, drag.handles, drag.targets, {}, torch.zeros(1, 1, 1).numpy(), None) for n in range(20)
    )
    without = moment_of(drag, records)
    masked = dataclasses.replace(without, mask=np.ones((64, 64)))
    told = [Observer().observe(generator, document, "stalled").warning for document in (without, masked)]
    assert ["mask" in each for each in told] == [False, True]


def test_more_patience_waits_longer():
    first = [
        next(n for n, each in enumerate(warnings_of(records_of(RESTING), CONFIG.replace(stall_steps=steps))) if each)
        for steps in (5, 10, 20, None)
    ]
    assert first[0] < first[1] < first[2]
    assert first[3] == first[1]


def test_going_back_and_forth_is_told_apart_from_a_stall():
    told = warnings_of(records_of(TREMBLING))
    assert "back and forth" in told[-1]
    assert "lower learning rate" in told[-1]


def test_going_round_beside_the_target_is_going_back_and_forth_too():
    angles = np.arange(60) * 0.7
    circle = np.stack([90 + 4 * np.cos(angles), 4 * np.sin(angles)], axis=1)
    assert "back and forth" in draggan_warning(records_of(circle), CONFIG, "running")


def test_the_noise_of_tracking_is_a_stall_and_no_going_back_and_forth():
    noise = RESTING + 0.05 * np.random.RandomState(0).randn(60)
    assert "no nearer" in draggan_warning(records_of(noise), CONFIG, "running")


def test_a_warning_does_not_flicker_when_a_handle_hardly_moves():
    creeping = np.concatenate([np.arange(0, 20, 1.0), 20 + 0.013 * np.arange(140)])
    told = warnings_of(records_of(creeping))
    shown = [bool(each) for each in told]
    assert sum(a != b for a, b in itertools.pairwise(shown)) <= 1
    assert shown[-1]


def test_a_warning_goes_when_the_handle_clearly_goes_on():
    again = np.concatenate([RESTING, 20 + np.arange(1, 21)])
    told = warnings_of(records_of(again))
    assert told[59]
    assert told[62] == ""
    assert told[-1] == ""


def test_only_the_point_that_is_stuck_is_named():
    assert draggan_warning(records_of(MOVING, RESTING), CONFIG, "running").startswith("Point 2 comes no nearer")
    both = draggan_warning(records_of(MOVING, RESTING, RESTING), CONFIG, "running")
    assert both.startswith("Points 2 and 3 come no nearer")


def test_a_point_that_has_arrived_is_not_warned_of():
    assert draggan_warning(records_of(MOVING, RESTING, targets=[[100, 0], [20.5, 0]]), CONFIG, "running") == ""


def test_a_point_that_hovers_at_its_target_is_not_warned_of():
    hovering = np.concatenate([np.arange(90, 100, 1.0), 100 + 1.3 * np.cos(np.arange(40))])
    assert set(warnings_of(records_of(hovering))) == {""}


def test_one_kind_of_warning_stays_while_the_trembling_fades():
    fading = np.concatenate(
        [np.arange(0, 20, 1.0), 20 + 0.25 * (-1.0) ** np.arange(20), 20 + 0.15 * (-1.0) ** np.arange(20)]
    )
    told = [each for each, _ in itertools.groupby(warnings_of(records_of(fading)))]
    assert len(told) <= 3
    assert "back and forth" in told[-1]


@pytest.mark.parametrize("status", ["arrived", "capped", "error"])
def test_what_speaks_for_itself_needs_no_warning(status):
    assert draggan_warning(records_of(RESTING), CONFIG, status) == ""


@pytest.mark.parametrize("status", ["idle", "running", "paused", "stalled", "stopped"])
def test_a_warning_stays_when_the_run_has_ended(status):
    assert draggan_warning(records_of(RESTING), CONFIG, status)


def test_another_target_begins_a_new_course():
    records = records_of(RESTING)
    moved = [dataclasses.replace(record, targets=np.array([[60.0, 5.0]])) for record in records[-3:]]
    assert draggan_warning(records[:-3] + tuple(moved), CONFIG, "running") == ""


def test_without_records_or_points_there_is_nothing_to_warn_of():
    assert draggan_warning((), CONFIG, "idle") == ""
    assert draggan_warning(records_of(RESTING)[:1], CONFIG, "idle") == ""
    empty = Record(0, 0.0, (), np.zeros((0, 2)), np.zeros((0, 2)), {}, np.zeros((1, 1, 1)), None)
    records = tuple(dataclasses.replace(empty, step=n) for n in range(30))
    assert draggan_warning(records, CONFIG, "stopped") == ""


# --- the observer ----------------------------------------------------------------------------------------------------


def moment_of(drag, records=()):
    return Document(Model(drag.model), drag, None, 1, 1.0, (), records)


def test_a_lost_handle_is_told_of_before_all_else():
    model = Vanishing((64, 64))
    config, ws = DragConfig(learning_rate=0.01, on_lost="stop", stall_steps=None), torch.zeros(1, 4, 2)
    drag = begin_with(model, ws, [(1, (32.0, 32.0), (52.0, 34.0))], None, config)
    while drag.verdict is None:
        (drag,) = drag.advance()
    assert drag.verdict == "stalled"
    record = Record(drag.step, 0.0, drag.ids, drag.handles, drag.targets, {}, drag.ws.numpy(), None)
    told = Observer().observe(model, moment_of(drag, (record,)), "stalled").warning
    assert told.startswith(
        "Point 1 was lost: what is found is not what was grabbed. The picture is the best one before"
    )


@pytest.fixture
def counted(monkeypatch):
    """How often features were measured."""
    calls = {"texture": 0, "confidence": 0}

    def texture(*arguments):
        calls["texture"] += 1
        return True, (3.0, 4.0)

    def confidence(_bound, edit, _memory):
        calls["confidence"] += 1
        return dict.fromkeys(edit.ids, 0.5)

    monkeypatch.setattr(BoundDragGAN, "texture", texture)
    monkeypatch.setattr(BoundDragGAN, "confidence", confidence)
    return calls


def test_what_was_measured_is_not_measured_again_while_the_points_are_pulled(generator, counted):
    observer = Observer()
    drag = begin_with(
        generator, generator.mapping(seed=1), [(1, (20, 20), (40, 30)), (2, (40, 40), (20, 30))], None, CONFIG
    )
    assert observer.observe(generator, moment_of(drag), "idle").texture == {}
    assert [observer.look(generator, moment_of(drag)) for _ in range(3)] == [True, False, False]
    for _ in range(3):
        found = observer.observe(generator, moment_of(drag), "idle")
    assert found.texture == {1: Texture(True, (3.0, 4.0)), 2: Texture(True, (3.0, 4.0))}
    assert counted == {"texture": 2, "confidence": 1}
    for _ in range(3):
        drag = drag.steps(1)
        observer.observe(generator, moment_of(drag), "running")
        observer.observe(generator, moment_of(drag), "running")
        assert not observer.look(generator, moment_of(drag))
    assert counted == {"texture": 2, "confidence": 4}


def test_a_moved_target_costs_no_texture_and_a_moved_handle_or_a_new_point_one(generator, counted):
    observer = Observer()
    drag = begin_with(generator, generator.mapping(seed=1), [(1, (20, 20), (40, 30))])
    observer.look(generator, moment_of(drag))
    drag = drag.move_target(1, (50, 50))
    observer.look(generator, moment_of(drag))
    assert counted["texture"] == 1
    drag = drag.move_handle(1, (22, 20))
    observer.look(generator, moment_of(drag))
    assert counted["texture"] == 2
    drag = drag.add_point(2, (40, 40), (50, 40))
    observer.look(generator, moment_of(drag))
    assert set(observer.observe(generator, moment_of(drag), "idle").texture) == {1, 2}
    assert counted["texture"] == 3


def test_another_picture_is_measured_anew(generator, counted):
    observer = Observer()
    for seed in (1, 2):
        drag = begin_with(generator, generator.mapping(seed=seed), [(1, (20, 20), (40, 30))])
        observer.look(generator, moment_of(drag))
    assert counted["texture"] == 2


def test_an_observer_tells_of_a_real_drag(generator):
    observer = Observer()
    drag = begin_with(generator, generator.mapping(seed=1), [(4, (20, 20), (40, 30))])
    observer.look(generator, moment_of(drag))
    before = observer.observe(generator, moment_of(drag), "idle")
    assert before.confidence == {}
    assert before.of(4)["confidence"] is None
    assert isinstance(before.of(4)["texture"]["flat"], bool)
    drag = drag.steps(1)
    assert 0 <= observer.observe(generator, moment_of(drag), "running").confidence[4] <= 1


def test_a_warning_goes_when_somebody_moves_the_target(generator):
    drag = begin_with(generator, generator.mapping(seed=1), [(1, (20, 20), (40, 30))], None, CONFIG)
    records = tuple(
        Record(n, 0.0, drag.ids, drag.handles, drag.targets, {}, torch.zeros(1, 1, 1).numpy(), None) for n in range(20)
    )
    observer = Observer()
    assert observer.observe(generator, moment_of(drag, records), "stalled").warning
    moved = drag.move_target(1, (30, 25))
    assert observer.observe(generator, moment_of(moved, records), "stalled").warning == ""


@pytest.mark.parametrize(
    ("config", "points", "size", "within"),
    [
        (DragConfig.official(stall_steps=10), 1, 256, 2.0),
        (DragConfig.official(stall_steps=10), 1, 1024, 4.0),
        (DragConfig.paper(), 5, 512, 1.0),
        (DragConfig.paper(), 6, 512, 2.0),
    ],
)
def test_a_point_within_the_tolerance_of_its_method_has_arrived_and_is_not_warned_of(config, points, size, within):
    def course(rests):  # one point rests so far from its target, the others at theirs
        way = np.concatenate([np.linspace(80, 100 - rests, 8), np.full(40, 100 - rests)])
        return records_of(way, *[np.full(48, 100.0)] * (points - 1))

    def told(rests):
        return draggan_warning(course(rests), config, "running", (size, size))

    assert config.tolerance is None
    assert told(within) == ""
    assert "no nearer" in told(within + 0.1)


@pytest.mark.parametrize("method", ["default", "paper", "official"])
def test_an_edit_that_rests_where_its_method_says_arrived_is_not_warned_of_when_it_is_stopped(generator, method):
    config = DragConfig(method=method, tolerance=None)
    within = tolerance_of(config, 1, generator.resolution)
    drag = begin_with(generator, generator.mapping(seed=1), [(1, (30, 20), (30 + within, 20))], None, config)
    assert drag.verdict == "arrived"
    records = tuple(
        Record(n, 0.0, drag.ids, drag.handles, drag.targets, {}, torch.zeros(1, 1, 1).numpy(), None) for n in range(20)
    )
    assert Observer().observe(generator, moment_of(drag, records), "stopped").warning == ""
    farther = drag.move_target(1, (30 + within + 0.1, 20))
    records = tuple(dataclasses.replace(record, targets=farther.targets) for record in records)
    assert farther.verdict is None
    assert "no nearer" in Observer().observe(generator, moment_of(farther, records), "stopped").warning
