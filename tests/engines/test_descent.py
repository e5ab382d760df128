"""What FreeDrag, StableDrag and GoodDrag share: memory, undo, files, masks, changes on the way, bad input."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from plainly import advanced, begun, retargeted

from draggan_widget import DragGAN, drag
from draggan_widget.editing import Session
from draggan_widget.engines import (
    DivergedError,
    EditPoint,
    FreeDrag,
    GoodDrag,
    StableDrag,
    State,
    bind,
    default_config,
    engine_named,
)

HANDLES, TARGETS = [(20.3, 30.6), (44.0, 18.5)], [(32.0, 36.0), (36.0, 24.0)]
ALL = [FreeDrag(), StableDrag(), GoodDrag()]
each = pytest.mark.parametrize("settings", ALL, ids=lambda settings: type(settings).__name__)


def mask_of(generator, free=None):
    """Nothing may move but the rows and columns ``free``."""
    mask = np.zeros(generator.resolution, np.float32)
    if free is not None:
        mask[free] = 1
    return mask


# --- memory, undo, files -------------------------------------------------------------------------------------------


@each
def test_a_packed_memory_goes_on_exactly(generator, settings):
    mask = mask_of(generator, (slice(8, 56), slice(8, 56)))
    bound, edit, memory = begun(generator, settings, HANDLES, TARGETS, mask)
    edit, memory = advanced(bound, edit, memory, 4)
    tensors, values = bound.pack(memory)
    again = bound.unpack(edit, {name: tensor.clone() for name, tensor in tensors.items()}, values)
    there, _ = advanced(bound, edit, memory, 5)
    back, _ = advanced(bound, edit, again, 5)
    kept, _ = advanced(bound, edit, bound.expand(edit, bound.compact(memory)), 5)
    assert torch.equal(there.latent, back.latent)
    assert torch.equal(there.latent, kept.latent)
    assert np.array_equal(there.handles, back.handles)


def damaged(tensors, values):
    """What a file could hold instead of a memory, and a word of what is said."""
    first = next(name for name in tensors if name.endswith(".1"))
    rest = {name: tensor for name, tensor in tensors.items() if name != first}
    yield rest, values, "incomplete"
    yield {**rest, first: tensors[first][..., :-1]}, values, "numbers of"
    yield {**rest, first: tensors[first] * torch.nan}, values, "not finite"
    yield {**tensors, "adam.second": tensors["adam.second"] - 1}, values, "negative"
    yield tensors, {**values, "idle": -1}, "idle is -1"
    yield tensors, {**values, "first_step": 99}, "began after"
    yield tensors, {**values, "blocks": [1]}, "incomplete"
    yield tensors, {**values, "nearest": [1.0]}, "one nearest distance for each"
    yield tensors, {**values, "seen": [[1, 2]]}, "no list of numbers and places"
    yield tensors, {**values, "spots": [[7, {}]]}, "another edit"
    yield tensors, {**values, "spots": [[1, {"wrong": 1.0}], [2, {"wrong": 1.0}]]}, "incomplete"
    yield tensors, {name: value for name, value in values.items() if name != "turn"}, "incomplete"


@each
def test_a_memory_that_is_damaged_or_of_another_edit_is_refused(generator, settings):
    bound, edit, memory = begun(generator, settings, HANDLES, TARGETS)
    edit, memory = advanced(bound, edit, memory, 2)
    tensors, values = bound.pack(memory)
    for some, told, said in damaged(tensors, values):
        with pytest.raises(ValueError, match=said):
            bound.unpack(edit, some, told)
    with pytest.raises(ValueError, match="another edit"):
        bound.unpack(edit.without_point(1), tensors, values)


@each
def test_it_runs_in_the_session_with_undo_and_timeline(generator, settings):
    session = Session(generator, seed=3, config=settings.replace(max_steps=6, learning_rate=0.02, stall_steps=None))
    try:
        session.put_point(1, handle=(20, 20), target=(40, 30))
        session.start()
        assert session.finished().result(60).reason == "capped"
        after = session.now()
        assert [record.step for record in after.records] == list(range(7))
        session.branch(3).result(20)
        assert session.now().drag.step == 3
        session.undo().result(20)
        assert torch.equal(session.now().drag.ws, after.drag.ws)
        session.undo().result(20)
        assert session.now().drag.step == 0
        session.start()
        assert session.finished().result(60).reason == "capped"
        assert torch.equal(session.now().drag.ws, after.drag.ws)
    finally:
        session.close()


@each
def test_its_file_goes_on_exactly(generator, settings, tmp_path):
    path = tmp_path / "a.drag"
    editor = DragGAN(generator, seed=3, config=settings.replace(learning_rate=0.02))
    editor.points = [{"handle": [20, 20], "target": [40, 30]}]
    for _ in range(4):
        editor.step_once()
    editor.save(path)
    editor.step_once()
    there = editor.latent
    editor.close()
    again = DragGAN.load(path, model=generator)
    assert (again.engine, again.step) == (engine_named(type(settings).__name__.lower()).name, 4)
    again.step_once()
    assert (again.latent == there).all()
    again.close()


# --- changes on the way --------------------------------------------------------------------------------------------


@each
def test_a_target_that_moves_on_keeps_what_is_known_and_one_that_turns_back_clears_adam(generator, settings):
    bound, edit, memory = begun(generator, settings, HANDLES[:1], TARGETS[:1])
    edit, memory = advanced(bound, edit, memory, 3)
    on, kept = retargeted(bound, edit, memory, 1, (34.0, 38.0))
    assert kept.moments is memory.moments
    assert kept.spots[1] is memory.spots[1]
    assert (kept.course.first_step, kept.course.idle) == (3, 0)
    _, turned = retargeted(bound, edit, memory, 1, (2.0, 20.0))
    assert turned.spots[1] is memory.spots[1]
    assert turned.moments.count == 0
    assert not turned.moments.first.any()
    advanced(bound, on, kept, 1)


@each
def test_a_point_put_elsewhere_is_taken_anew_and_clears_adam(generator, settings):
    bound, edit, memory = begun(generator, settings, HANDLES, TARGETS)
    edit, memory = advanced(bound, edit, memory, 3)
    put = edit.with_point(EditPoint(1, (30.0, 40.0), (36.0, 42.0), (30.0, 40.0)))
    after = bound.adapt(edit, put, memory)
    assert set(after.spots) == {2}
    assert after.spots[2] is memory.spots[2]
    assert after.moments.count == 0
    (step,) = bound.advance(put, after)
    assert set(step.memory.spots) == {1, 2}
    gone = edit.without_point(1)
    assert bound.adapt(edit, gone, memory).moments.count == 0
    (step,) = bound.advance(gone, bound.adapt(edit, gone, memory))
    assert step.edit.ids == (2,)


@each
def test_other_settings_take_over_what_fits_them(generator, settings):
    bound, edit, memory = begun(generator, settings, HANDLES, TARGETS)
    edit, memory = advanced(bound, edit, memory, 3)
    faster = bind(generator, settings.replace(learning_rate=0.05))
    kept = faster.adapt(edit, edit, memory)
    assert kept.spots[1] is memory.spots[1]
    assert kept.moments is memory.moments
    other = bind(generator, settings.replace(block=3, edit_layers=4))
    anew = other.adapt(edit, edit, memory)
    assert not anew.spots
    assert anew.moments.first.shape[1] == 4
    advanced(other, edit, anew, 2)


@each
def test_an_engine_that_takes_over_begins_where_the_other_left(generator, settings):
    state = State.begin(generator, generator.mapping(seed=3), generator.drag_config.replace(learning_rate=0.02))
    state = state.add_point(1, (20.3, 30.6), (32, 36)).steps(3)
    taken = state.with_config(settings)
    after = taken.steps(2)
    assert after.step == 5
    assert after.edit.origin is state.edit.origin
    assert after.steps(1).bound.settings == settings


# --- masks ---------------------------------------------------------------------------------------------------------


@each
def test_a_mask_without_a_free_cell_holds_everything(generator, settings):
    strict = settings.replace(mask_weight=1000.0, learning_rate=0.01, max_steps=10, stall_steps=None, tolerance=0.0)
    ws = generator.mapping(seed=3)
    free = drag(generator, ws, HANDLES, TARGETS, config=strict)
    held = drag(generator, ws, HANDLES, TARGETS, mask=mask_of(generator), config=strict)

    def change(result):
        blocks = [generator.default_block()]
        with torch.no_grad():
            return float((generator.feature_maps(result.ws, blocks)[0] - generator.feature_maps(ws, blocks)[0]).norm())

    assert change(held) < 0.7 * change(free)


@each
def test_a_mask_that_leaves_everything_free_is_none(generator, settings):
    few = settings.replace(max_steps=5, stall_steps=None, tolerance=0.0)
    ws = generator.mapping(seed=3)
    one = drag(generator, ws, HANDLES, TARGETS, mask=np.ones(generator.resolution), config=few)
    other = drag(generator, ws, HANDLES, TARGETS, config=few)
    assert torch.equal(one.ws, other.ws)
    assert [record.loss["mask"] for record in one.history[1:]] == [0.0] * 5


@each
def test_features_of_before_are_those_of_the_weights_that_pull(generator, settings):
    mask = mask_of(generator, (slice(8, 56), slice(8, 56)))
    bound, edit, memory = begun(generator, settings, HANDLES, TARGETS, mask)
    edit, memory = advanced(bound, edit, memory, 3)
    tuned = copy.deepcopy(generator)
    with torch.no_grad():
        for weight in tuned.parameters():
            weight.mul_(1.1)
    other = bind(tuned, settings)
    (step,) = other.advance(edit, bound.compact(memory))
    with torch.no_grad():
        block = other._held_block
        (now,), (base,) = (tuned.feature_maps(latent, [block]) for latent in (edit.latent, edit.origin))
    stay = 1 - torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(mask)[None, None], now.shape[2:])[0, 0]
    expected = float(((now - base).abs().mean(dim=1)[0] * stay).sum() / stay.sum())
    assert step.loss["mask"] == pytest.approx(expected, rel=1e-3)


# --- what keeps the latent near ------------------------------------------------------------------------------------


@each
def test_each_step_gives_back_a_part_of_the_way_from_the_mean_latent(generator, settings):
    bound, edit, memory = begun(generator, settings, HANDLES, TARGETS)
    plain, _ = advanced(bound, edit, memory, 1)
    pulled, _ = advanced(bind(generator, settings.replace(truncate=0.1)), edit, memory, 1)
    rows = bound.rows
    mean = generator.space.metric(None).mean.to(edit.latent)
    torch.testing.assert_close(pulled.latent[:, :rows], mean + 0.9 * (plain.latent[:, :rows] - mean))
    assert torch.equal(pulled.latent[:, rows:], edit.latent[:, rows:])


@each
def test_a_pull_to_the_start_is_the_mean_of_what_has_changed(generator, settings):
    far = settings.replace(learning_rate=0.05, max_steps=12, stall_steps=None, tolerance=0.0)
    ws = generator.mapping(seed=3)
    free = drag(generator, ws, HANDLES, TARGETS, config=far)
    held = drag(generator, ws, HANDLES, TARGETS, config=far.replace(stay_near=100.0))
    assert (held.ws - ws).abs().mean() < 0.5 * (free.ws - ws).abs().mean()
    bound, edit, memory = begun(generator, far, HANDLES, TARGETS)
    edit, memory = advanced(bound, edit, memory, 1)
    # A weight by which nothing else counts: the step is Adam's on the sign of what has changed.
    strong = bind(generator, far.replace(stay_near=10_000.0))
    fresh = dataclasses.replace(memory, moments=strong.begin(edit).moments)
    after, _ = advanced(strong, edit, fresh, 1)
    rows, changed = bound.rows, (edit.latent - edit.origin)
    expected = edit.latent[:, :rows] - 0.05 * changed[:, :rows].sign()
    torch.testing.assert_close(after.latent[:, :rows], expected, atol=1e-3, rtol=0)


# --- bad input -----------------------------------------------------------------------------------------------------


@each
def test_what_cannot_be_done_is_said_in_a_sentence(generator, settings):
    ws = generator.mapping(seed=3)
    name = engine_named(type(settings).__name__.lower()).name
    with pytest.raises(ValueError, match="^there are no points to drag"):
        drag(generator, ws, [], [], config=settings)
    bound, edit, memory = begun(generator, settings, [], [])
    with pytest.raises(ValueError, match="^there are no points to drag; add a handle and its target first$"):
        bound.advance(edit, memory)
    assert bound.verdict(edit, memory) is None
    with pytest.raises(ValueError, match="^block is 9; this generator has blocks 1 to 5, or leave it None$"):
        bind(generator, settings.replace(block=9))
    with pytest.raises(ValueError, match="^learning_rate is 0; it must be a number above 0 and up to 1, or None$"):
        settings.replace(learning_rate=0)

    class Painter:
        resolution, channels = (16, 16), 3

    with pytest.raises(ValueError, match=f"^the engine {name} needs a space of latents, pictures, features, blocks"):
        bind(Painter(), settings)


@each
def test_a_step_into_nan_is_refused_and_leaves_the_latent(generator, settings):
    broken = copy.deepcopy(generator)
    bound, edit, memory = begun(broken, settings, HANDLES, TARGETS)
    edit, memory = advanced(bound, edit, memory, 1)
    with torch.no_grad():
        for weight in broken.parameters():
            weight.fill_(torch.nan)
    with pytest.raises(DivergedError, match="the latent before it is kept"):
        bound.advance(edit, dataclasses.replace(memory, leaf=None))
    assert torch.isfinite(edit.latent).all()


def test_settings_that_are_left_open_are_the_models_own(generator):
    for settings in ALL:
        values = engine_named(type(settings).__name__.lower()).values(generator, settings)
        assert values["learning_rate"] == generator.drag_config.learning_rate
        assert values["mask_weight"] == generator.drag_config.mask_weight
        assert values["block"] in generator.blocks
        assert values["edit_layers"] <= generator.num_ws
    assert default_config(generator, "freedrag") == FreeDrag()
    usual = default_config(generator, "stabledrag")
    assert usual.supervision_radius == generator.drag_config.supervision_radius


@each
def test_weights_take_no_gradients(generator, settings):
    drag(generator, generator.mapping(seed=3), HANDLES, TARGETS, config=settings.replace(max_steps=2))
    assert all(weight.grad is None for weight in generator.parameters())
