"""DragGAN behind the door of engines goes the way that its own functions go."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from draggan_widget import dragging
from draggan_widget.config import DragConfig
from draggan_widget.engines import Edit, EditPoint, engine_named, engine_of

METHODS = [DragConfig(stall_steps=None), DragConfig.paper(), DragConfig.official(mask_weight=0.1)]


def started(generator, config, mask=None):
    bound = engine_of(config).bind(generator, config)
    ws = generator.mapping(seed=3)
    handle = bound.place((20.3, 30.6))
    edit = Edit(ws, ws, (EditPoint(1, handle, (28.0, 34.0), handle),), mask)
    return bound, edit, bound.begin(edit)


def advanced(bound, edit, memory, steps):
    for _ in range(steps):
        (step,) = bound.advance(edit, memory)
        edit, memory = step.edit, step.memory
    return edit, memory


@pytest.mark.parametrize("config", METHODS, ids=lambda config: config.method)
def test_an_edit_changed_on_the_way_goes_the_very_way_of_the_functions_of_dragging(generator, config):
    mask = np.zeros(generator.resolution, np.float32)
    mask[10:50, 10:50] = 1
    bound, edit, memory = started(generator, config)
    state = dragging.init(generator, edit.latent, [(1, (20.3, 30.6), (28, 34))], None, config)

    edit, memory = advanced(bound, edit, memory, 2)
    state = dragging.step(generator, dragging.step(generator, state))
    added = edit.with_point(EditPoint(5, bound.place((40.2, 41.4)), (36.0, 44.0), (40.2, 41.4)))
    memory, edit = bound.adapt(edit, added, memory), added
    state = dragging.add_point(generator, state, 5, (40.2, 41.4), (36, 44))
    edit, memory = advanced(bound, edit, memory, 2)
    state = dragging.step(generator, dragging.step(generator, state))
    moved = edit.with_point(dataclasses.replace(edit.point(1), target=(24.0, 40.0)))
    memory, edit = bound.adapt(edit, moved, memory), moved
    state = dragging.move_target(state, 1, (24, 40))
    masked = dataclasses.replace(edit, mask=mask)
    memory, edit = bound.adapt(edit, masked, memory), masked
    state = dragging.with_mask(state, mask)
    edit, memory = advanced(bound, edit, memory, 1)
    state = dragging.step(generator, state)
    gone = edit.without_point(1)
    memory, edit = bound.adapt(edit, gone, memory), gone
    state = dragging.remove_point(generator, state, 1)
    other = dataclasses.replace(config, learning_rate=5e-3)
    bound = engine_of(other).bind(generator, other)
    memory = bound.adapt(edit, edit, memory)
    state = dragging.with_config(generator, state, other)
    edit, memory = advanced(bound, edit, memory, 2)
    state = dragging.step(generator, dragging.step(generator, state))

    assert torch.equal(edit.latent, state.ws)
    assert np.array_equal(edit.handles, state.handles)
    assert edit.step == state.step == 7
    assert not torch.equal(edit.latent, edit.origin)


@pytest.mark.parametrize("config", METHODS, ids=lambda config: config.method)
def test_a_packed_memory_goes_on_exactly(generator, config):
    bound, edit, memory = started(generator, config)
    edit, memory = advanced(bound, edit, memory, 3)
    tensors, values = bound.pack(memory)
    assert not {"ws", "w0"} & set(tensors)
    again = bound.unpack(edit, {name: tensor.clone() for name, tensor in tensors.items()}, values)
    there, _ = advanced(bound, edit, memory, 3)
    back, _ = advanced(bound, edit, again, 3)
    assert torch.equal(there.latent, back.latent)
    kept, _ = advanced(bound, edit, bound.expand(edit, bound.compact(memory)), 3)
    assert torch.equal(there.latent, kept.latent)


def test_a_memory_of_another_edit_is_refused(generator):
    bound, edit, memory = started(generator, DragConfig())
    edit, memory = advanced(bound, edit, memory, 1)
    tensors, values = bound.pack(memory)
    with pytest.raises(ValueError, match="of another edit"):
        bound.unpack(edit.without_point(1), tensors, values)


def test_an_engine_that_takes_over_keeps_latent_points_and_beginning(generator):
    bound, edit, memory = started(generator, DragConfig())
    edit, _ = advanced(bound, edit, memory, 3)
    other = engine_named("draggan").bind(generator, DragConfig.paper())
    memory = other.begin(edit)
    assert torch.equal(memory.ws, edit.latent)
    assert torch.equal(memory.w0, edit.origin)
    assert memory.points[0].start == edit.points[0].start
    (step,) = other.advance(edit, memory)
    assert step.edit.step == 4
    assert step.edit.origin is edit.origin


def test_unknown_engines_and_strange_settings_are_named():
    with pytest.raises(ValueError, match="no engine 'magic'; choose one of natural, draggan"):
        engine_named("magic")
    with pytest.raises(TypeError, match="dict is no engine's settings; give one of Natural, DragConfig"):
        engine_of({})
