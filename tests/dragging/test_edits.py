from __future__ import annotations

import numpy as np
import pytest
import torch
from readings import CONFIGS

from draggan_widget.config import DragConfig
from draggan_widget.engines.draggan import (
    add_point,
    begin_run,
    init,
    move_handle,
    move_target,
    remove_point,
    step,
    terminate,
    with_config,
    with_mask,
)

PER_POINT = pytest.mark.parametrize("method", ["default", "paper"])


@pytest.fixture
def begun(small):
    """``begun(method)``: a drag of points 1 and 2 after two steps."""

    def begun(method="default"):
        points = [(1, (12, 12), (20, 14)), (2, (22, 20), (14, 22))]
        state = init(small, small.mapping(seed=3), points, config=CONFIGS[method])
        return step(small, step(small, state))

    return begun


@PER_POINT
def test_adding_a_point_leaves_the_other_references_alone(small, begun, method):
    before = begun(method)
    after = step(small, add_point(small, before, 7, (6, 6), (8, 9)))
    assert after.ids == (1, 2, 7)
    for number in (1, 2):
        assert after.point(number).reference is before.point(number).reference


@PER_POINT
def test_an_added_point_takes_its_reference_from_the_present_latent(small, begun, method):
    before = begun(method)
    after = step(small, add_point(small, before, 7, (6, 6), (8, 9)))
    at = torch.tensor([[6.0, 6.0]], dtype=torch.float64)
    block = small.default_block()
    assert torch.allclose(after.point(7).reference, small.sample_features(before.ws, block, at)[0], rtol=1e-12)
    assert not torch.allclose(after.point(7).reference, small.sample_features(before.w0, block, at)[0], rtol=1e-3)


@PER_POINT
def test_removing_a_point_leaves_the_other_references_alone(small, begun, method):
    before = begun(method)
    after = step(small, remove_point(small, before, 1))
    assert after.ids == (2,)
    assert after.point(2).reference is before.point(2).reference


@pytest.mark.parametrize("method", CONFIGS)
def test_moving_a_target_leaves_every_reference_and_handle_alone(small, begun, method):
    before = begun(method)
    moved = move_target(before, 1, (10, 25.5))
    assert moved.targets.tolist() == [[10, 25.5], [14, 22]]
    assert np.array_equal(moved.handles, before.handles)
    assert [p.reference for p in step(small, moved).points] == [p.reference for p in before.points]


@pytest.mark.parametrize("method", CONFIGS)
def test_moving_a_handle_takes_a_new_reference_for_it_alone(small, begun, method):
    before = begun(method)
    after = step(small, move_handle(small, before, 1, (9, 17)))
    at = torch.tensor([[9.0, 17.0]], dtype=torch.float64)
    wanted = small.sample_features(before.ws, small.default_block(), at)[0]
    assert torch.allclose(after.point(1).reference, wanted, rtol=1e-12)
    assert after.point(1).start == (9, 17)
    assert after.point(2).reference is before.point(2).reference


def test_the_state_that_is_edited_stays_as_it_was(small, begun):
    before = begun()
    tensors, description = before.to_tensors()
    for after in (
        add_point(small, before, 7, (6, 6), (8, 9)),
        remove_point(small, before, 1),
        move_target(before, 1, (3, 3)),
        move_handle(small, before, 1, (3, 3)),
        with_mask(before, np.eye(32)),
        with_config(small, before, DragConfig.paper()),
    ):
        step(small, after)
    same, described = before.to_tensors()
    assert described == description
    assert all(torch.equal(same[name], tensor) for name, tensor in tensors.items())


def test_a_learning_rate_holds_from_the_very_next_step(small, begun):
    before = begun()
    slow = step(small, with_config(small, before, before.config.replace(learning_rate=1e-4)))
    fast = step(small, with_config(small, before, before.config.replace(learning_rate=1e-2)))
    assert torch.allclose((fast.ws - before.ws)[:, :6], 100 * (slow.ws - before.ws)[:, :6], rtol=1e-6)
    assert slow.moments.count == 3, "the optimiser goes on"


def test_settings_other_than_method_and_block_leave_references_alone(small, begun):
    before = begun()
    after = with_config(small, before, before.config.replace(learning_rate=1e-4, tracking_radius=20.0, mask_weight=1.0))
    assert [p.reference for p in after.points] == [p.reference for p in before.points]


def test_another_block_takes_new_references_from_the_present_latent(small, begun):
    before = begun()
    after = step(small, with_config(small, before, before.config.replace(block=2)))
    at = torch.from_numpy(before.handles)
    references = torch.stack([point.reference for point in after.points])
    assert torch.allclose(references, small.sample_features(before.ws, 2, at), rtol=1e-12)


def test_naming_the_block_that_is_read_anyway_leaves_references_alone(small, begun):
    before = begun()
    after = with_config(small, before, before.config.replace(block=small.default_block()))
    assert [p.reference for p in after.points] == [p.reference for p in before.points]


def test_changing_to_official_puts_handles_on_whole_pixels(small, begun):
    before = begun()
    assert (before.handles % 1).any()
    after = with_config(small, before, CONFIGS["official"])
    assert np.array_equal(after.handles, np.round(before.handles))
    step(small, after)


def test_the_same_settings_again_change_nothing(small, begun):
    before = begun()
    assert with_config(small, before, DragConfig(learning_rate=2e-2)) is before


def test_more_rows_can_be_edited_in_mid_run(small, begun):
    before = begun()
    before = with_config(small, before, before.config.replace(block=4))  # the first block to read row 7
    after = step(small, with_config(small, before, before.config.replace(edit_layers=7)))
    assert torch.equal(before.ws[:, 6], before.w0[:, 6])
    assert not torch.equal(after.ws[:, 6], before.w0[:, 6])
    fewer = step(small, with_config(small, after, after.config.replace(edit_layers=2)))
    assert torch.equal(fewer.ws[:, 2:], after.ws[:, 2:])


def test_a_mask_set_in_mid_run_keeps_the_picture_of_the_start(small, begun):
    mask = np.ones((32, 32))
    mask[:, :16] = 0
    state = with_mask(begun(), mask)
    kept = with_config(small, state, state.config.replace(mask_weight=1000.0))
    free = with_mask(kept, None)
    for _ in range(12):
        kept, free = step(small, kept), step(small, free)
    block = small.default_block()

    def change(ws):
        return (small.features(ws, block) - small.features(state.w0, block))[..., :8].abs().mean()

    assert change(kept.ws) < 0.5 * change(free.ws)


def test_a_change_begins_a_new_run(small, begun):
    state = begun()
    capped = with_config(small, state, state.config.replace(max_steps=2))
    assert terminate(capped) is None
    capped = step(small, step(small, capped))
    assert terminate(capped) == "capped"
    assert terminate(begin_run(capped)) is None
    assert terminate(move_target(capped, 1, (25, 25))) is None
    assert terminate(add_point(small, capped, 3, (1, 1), (9, 9))) is None
    assert terminate(remove_point(small, capped, 1)) is None


def test_a_point_that_is_not_there_is_named(small, begun):
    state = begun()
    for edit in (
        lambda: move_target(state, 9, (1, 1)),
        lambda: move_handle(small, state, 9, (1, 1)),
        lambda: remove_point(small, state, 9),
    ):
        with pytest.raises(ValueError, match=r"no point 9; there are \[1, 2\]"):
            edit()
    with pytest.raises(ValueError, match="point 2 already"):
        add_point(small, state, 2, (1, 1), (2, 2))


def test_points_may_all_be_removed_but_then_there_is_nothing_to_step(small, begun):
    state = remove_point(small, remove_point(small, begun(), 1), 2)
    assert state.handles.shape == state.targets.shape == (0, 2)
    assert state.distances.shape == (0,)
    assert terminate(state) is None
    with pytest.raises(ValueError, match="no points to drag"):
        step(small, state)
