from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.torch
import torch
from readings import CONFIGS

from draggan_widget.engines.draggan import DragState, add_point, init, move_target, step


def through_a_file(state: DragState) -> DragState:
    tensors, description = state.to_tensors()
    return DragState.from_tensors(
        safetensors.torch.load(safetensors.torch.save(tensors)), json.loads(json.dumps(description))
    )


def same(one: DragState, other: DragState) -> bool:
    tensors, description = one.to_tensors()
    others, described = other.to_tensors()
    equal = tensors.keys() == others.keys() and all(torch.equal(tensors[name], others[name]) for name in tensors)
    return equal and description == described


@pytest.mark.parametrize("masked", [False, True], ids=["without_mask", "with_mask"])
@pytest.mark.parametrize("method", CONFIGS)
@pytest.mark.parametrize("saved_after", [0, 1, 3])
def test_a_saved_state_goes_on_bit_for_bit(small, method, masked, saved_after):
    mask = np.tri(32) if masked else None
    state = init(small, small.mapping(seed=3).float(), [(1, (12, 12), (20, 14))], mask, CONFIGS[method])
    for number in range(saved_after):
        state = step(small, state)
        if number == 1:
            state = add_point(small, move_target(state, 1, (21, 13)), 2, (22, 20), (14, 22))
    loaded = through_a_file(state)
    assert same(loaded, state)
    for _ in range(3):
        state, loaded = step(small, state), step(small, loaded)
        assert same(loaded, state)


def test_what_was_saved_does_not_change_with_the_state(small):
    state = init(small, small.mapping(seed=3), [(1, (12, 12), (20, 14))])
    tensors, _ = state.to_tensors()
    tensors["ws"].zero_()
    assert state.ws.abs().sum() > 0


@pytest.mark.parametrize("missing", ["ws", "w0", "adam.first"])
def test_a_state_with_a_tensor_missing_is_refused(small, missing):
    tensors, description = init(small, small.mapping(seed=3)).to_tensors()
    del tensors[missing]
    with pytest.raises(ValueError, match="no complete drag state"):
        DragState.from_tensors(tensors, description)


def test_a_state_of_another_version_is_refused(small):
    tensors, description = init(small, small.mapping(seed=3)).to_tensors()
    with pytest.raises(ValueError, match="version 99; this program reads version 1"):
        DragState.from_tensors(tensors, {**description, "version": 99})
