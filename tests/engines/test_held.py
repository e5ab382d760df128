"""Readings that are held: no step of any engine changes them; and changes that are wished beside points."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from planted import Planted
from random_stylegan2 import small_stylegan2

from draggan_widget import DragConfig
from draggan_widget.engines import Natural, begin_with, drag
from draggan_widget.engines.projection import ALIKE, Projection

CONFIGS = {"natural": Natural(max_steps=6), "locality": Natural(max_steps=4, locality=0.3), "draggan": DragConfig()}


@pytest.fixture(scope="module")
def model():
    return small_stylegan2()


def held_of(model, count, seed=0):
    rows = np.random.RandomState(seed).randn(count, model.w_dim).astype(np.float32)
    return np.tile(rows, (1, model.num_ws))


def seen(held, latent):
    rows = held.reshape(len(held), *latent.shape[1:])
    return np.einsum("nrw,rw->nr", rows, latent[0].detach().numpy())


def pulled(model, config, held, steps=4):
    state = begin_with(model, model.space.draw(seed=2), [(1, (30, 34), (38, 30))], None, config).with_held(held)
    for _ in range(steps):
        state = state.steps(1)
    return state


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_no_step_changes_what_held_readings_see_in_any_row(model, config):
    held = held_of(model, 3)
    free, kept = pulled(model, config, None), pulled(model, config, held)
    start = seen(held, model.space.draw(seed=2))
    assert np.abs(seen(held, free.ws) - start).max() > 1e-3
    assert np.abs(seen(held, kept.ws) - start).max() < 2e-6 * np.abs(held).max() * model.w_dim
    assert not torch.equal(kept.ws, kept.w0)


@pytest.mark.parametrize(
    ("config", "rows"),
    [(Natural(max_steps=6), None), (DragConfig(), DragConfig().edit_layers)],
    ids=["natural", "draggan"],
)
def test_rows_part_less_where_something_is_held_as_readings_are_of_rows_that_are_alike(model, config, rows):
    def parted(state):
        change = (state.ws - state.w0)[0, :rows]
        return float((change - change.mean(0)).norm() / change.norm())

    assert parted(pulled(model, config, held_of(model, 2))) < 0.5 * parted(pulled(model, config, None))


def test_holding_from_the_middle_on_takes_nothing_back_that_was_done_before(model):
    held = held_of(model, 2)
    state = pulled(model, Natural(max_steps=20), None, 2)
    before = seen(held, state.ws)
    state = state.with_held(held).move_target(1, (42, 28)).steps(3)
    assert np.abs(seen(held, state.ws) - before).max() < 1e-4
    free = state.with_held(None).steps(1)
    assert free.edit.held is None


def test_the_projection_is_the_nearest_allowed_step_in_the_metric():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(6, 6, dtype=torch.float64, generator=generator)
    covariance = root @ root.T
    held = np.tile(np.random.RandomState(1).randn(2, 6), (1, 3))
    step = torch.randn(3, 6, dtype=torch.float64, generator=generator)
    allowed = Projection(held, covariance)(step)
    readings = torch.from_numpy(held[:, :6])
    assert float((allowed @ readings.T).abs().max()) < 1e-9
    # What was taken out is at right angles to all that is allowed, in the metric Σ⁻¹.
    taken = torch.linalg.solve(covariance, (step - allowed).T).T
    other = Projection(held, covariance)(torch.randn(3, 6, dtype=torch.float64, generator=generator))
    assert float((taken * other).sum(dim=1).abs().max()) < 1e-9
    assert torch.allclose(Projection(held, covariance)(allowed), allowed)


def unlikeliness(model, change):
    """How far a change (num_ws, w_dim) goes where latents hardly differ: its squared length in Σ⁻¹ to its plain one."""
    covariance = model.space.metric().covariance.double()
    mean = change.double()[:4].mean(0)
    return float(mean @ torch.linalg.solve(covariance, mean) / mean.square().sum())


def test_draggan_goes_as_latents_differ_where_something_is_held(model):
    free, kept = (pulled(model, DragConfig(), held) for held in (None, held_of(model, 2)))
    assert unlikeliness(model, (kept.ws - kept.w0)[0]) < 0.5 * unlikeliness(model, (free.ws - free.w0)[0])
    assert torch.equal(kept.ws[:, DragConfig().edit_layers :], kept.w0[:, DragConfig().edit_layers :])


def test_in_w_rows_stay_alike_where_something_is_held(model):
    kept = pulled(model, DragConfig(space="w"), held_of(model, 2))
    change = (kept.ws - kept.w0)[0]
    assert float(change.norm()) > 0
    assert torch.allclose(change, change[:1].expand_as(change), atol=1e-5)


@pytest.mark.parametrize("rows", [2, None])
def test_a_step_along_the_latents_is_as_long_and_changes_no_other_rows(rows):
    root = torch.randn(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    covariance = root @ root.T
    step = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    step[slice(rows, None) if rows else slice(0, 0)] = 0
    found = Projection(np.zeros((1, 15)), covariance).along(step, rows)
    assert float(found.norm()) == pytest.approx(float(step.norm()))
    count = rows or 3
    common = torch.full((count, count), ALIKE, dtype=torch.float64) + (1 - ALIKE) * torch.eye(count).double()
    wanted = common @ step[:count] @ covariance
    assert torch.allclose(found[:count] / found.norm(), wanted / wanted.norm())
    assert not found[count:].any()
    assert not Projection(np.zeros((1, 15)), covariance).along(torch.zeros(3, 5)).any()


def test_a_reading_that_is_held_twice_is_held_once():
    held = np.tile(np.random.RandomState(1).randn(1, 6), (2, 3))
    step = torch.randn(3, 6, dtype=torch.float64)
    assert torch.allclose(Projection(held, torch.eye(6))(step), Projection(held[:1], torch.eye(6))(step), atol=1e-6)


@pytest.mark.parametrize(
    ("held", "error"),
    [
        (np.zeros((1, 3)), "held has shape"),
        (np.zeros(5), "held has shape"),
        (np.full((1, 160), np.nan), "held holds NaN"),
        (["smile"], "held holds"),
    ],
)
def test_what_cannot_be_held_is_refused(model, held, error):
    state = begin_with(model, model.space.draw(seed=2), [])
    if isinstance(held, np.ndarray) and held.shape == (1, 160):
        held = np.full((1, state.ws.numel()), np.nan)
    with pytest.raises((ValueError, TypeError), match=error):
        state.with_held(held)


def test_a_wish_changes_the_latent_and_the_natural_drag_measures_from_there(model):
    wish = 0.3 * torch.randn(1, model.num_ws, model.w_dim, generator=torch.Generator().manual_seed(3))
    wish = wish[:, :1].expand_as(wish)
    start = begin_with(model, model.space.draw(seed=2), [(1, (30, 34), (34, 32))], None, Natural())
    state = start.with_wish(wish)
    assert torch.allclose(state.ws, start.ws + wish)
    assert torch.equal(state.w0, start.w0)
    done = state.steps(2)
    # The least change is one from the latent that was wished: the wish itself is not undone.
    along = lambda ws: float(((ws - start.ws) * wish).sum() / wish.square().sum())  # noqa: E731
    assert along(done.ws) > 0.7
    assert np.allclose(state.with_wish(wish).edit.wish, 2 * wish.numpy(), atol=1e-6)


@pytest.mark.parametrize(("wish", "error"), [(np.zeros(3), "shape"), ("x", "the change is"), (np.nan, "shape")])
def test_a_wish_that_is_no_change_of_the_latent_is_refused(model, wish, error):
    with pytest.raises((ValueError, TypeError), match=error):
        begin_with(model, model.space.draw(seed=2), []).with_wish(wish)


def test_a_drag_without_holding_is_as_it_was(model):
    latent = model.space.draw(seed=2)
    one = drag(model, latent, [(30, 34)], [(34, 32)], config=Natural(max_steps=3))
    other = begin_with(model, latent, [(1, (30, 34), (34, 32))], None, Natural(max_steps=3)).with_held(None)
    for _ in range(one.steps):
        other = other.steps(1)
    assert torch.equal(torch.as_tensor(one.ws), other.ws)


def test_handles_go_along_with_what_they_are_on_when_a_change_moves_it():
    planted = Planted((64, 64))
    middle = planted.centre(planted.space.draw(seed=1)).tolist()
    state = begin_with(
        planted, planted.space.draw(seed=1), [(1, middle, (40, 20))], None, DragConfig(tracking_radius=12)
    )
    moved = state.with_wish(torch.full((1, planted.num_ws, planted.w_dim), 0.8))
    assert moved.handles[0] == pytest.approx(planted.centre(moved.ws).tolist(), abs=1.01)
    assert abs(moved.handles[0] - state.handles[0]).min() > 5
    assert moved.targets.tolist() == state.targets.tolist()
