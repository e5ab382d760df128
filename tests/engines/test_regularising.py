"""What keeps a latent among those that the model knows: by its formulas, in every engine that steps by Adam."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch

from draggan_widget.engines import DragConfig, FreeDrag, GoodDrag, StableDrag, State, bind, drag
from draggan_widget.engines.common.regularising import mean_squares

HANDLES, TARGETS = [(20.3, 30.6), (44.0, 18.5)], [(32.0, 36.0), (36.0, 24.0)]
ALL = [DragConfig(learning_rate=0.05), *(kind(learning_rate=0.05) for kind in (FreeDrag, StableDrag, GoodDrag))]
each = pytest.mark.parametrize("settings", ALL, ids=lambda settings: type(settings).__name__)


@pytest.fixture(scope="module")
def double(generator):
    return copy.deepcopy(generator).double()


def begun(generator, settings, ws=None):
    state = State.begin(generator, generator.mapping(seed=3) if ws is None else ws, settings)
    for number, pair in enumerate(zip(HANDLES, TARGETS, strict=True), start=1):
        state = state.add_point(number, *pair)
    return state


def whitened(generator, row):
    """v = Λ^(-½)Uᵀ(w - w̄) of a row, written out."""
    metric = generator.space.metric(None)
    values, vectors = np.linalg.eigh(metric.covariance.numpy())
    return (vectors.T @ (row.double().numpy() - metric.mean.numpy())) / np.sqrt(values)


def test_the_mean_square_of_a_row_is_that_of_its_whitened_numbers_and_about_1_for_samples(double):
    ws = double.mapping(seed=5)
    plain = [np.mean(whitened(double, row) ** 2) for row in ws[0]]
    np.testing.assert_allclose(mean_squares(double, ws).numpy(), plain, rtol=1e-6)
    typical = [float(mean_squares(double, double.mapping(seed=seed))[0]) for seed in range(40)]
    assert np.mean(typical) == pytest.approx(1, abs=0.2)
    mean = double.space.metric(None).mean
    np.testing.assert_allclose(
        mean_squares(double, mean + 0.5 * (ws - mean)).numpy(), 0.25 * np.array(plain), rtol=1e-6
    )


@each
def test_rows_beyond_the_trust_region_are_scaled_back_to_it_and_others_stay(double, settings):
    (plain,) = begun(double, settings).advance()
    before = mean_squares(double, plain.ws)
    start = mean_squares(double, plain.w0)
    limit = float(start.min()) * 0.9  # some rows are beyond it from the start
    (held,) = begun(double, settings.replace(typical=limit)).advance()
    mean = double.space.metric(None).mean
    rows, changed = min(6, double.num_ws), 0
    for number in range(double.num_ws):
        most = max(limit, float(start[number]))
        if number < rows and float(before[number]) > most:
            expected = mean + (plain.ws[0, number] - mean) * (most / float(before[number])) ** 0.5
            changed += 1
        else:
            expected = plain.ws[0, number]
        torch.testing.assert_close(held.ws[0, number], expected, rtol=1e-9, atol=1e-9)
    assert changed, "this compares nothing"
    assert (mean_squares(double, held.ws) <= np.maximum(limit, start) + 1e-9).all()


@each
def test_a_long_drag_stays_in_the_trust_region(generator, settings):
    ws = generator.mapping(seed=3, truncation=0.5)
    far = settings.replace(max_steps=25, stall_steps=None, tolerance=0.0)
    free = drag(generator, ws, HANDLES, TARGETS, config=far)
    start, end = (float(mean_squares(generator, latent).max()) for latent in (ws, free.ws))
    assert end > 1.5 * start, "this compares nothing"
    limit = (start + end) / 2
    held = drag(generator, ws, HANDLES, TARGETS, config=far.replace(typical=limit))
    assert float(mean_squares(generator, held.ws).max()) <= limit + 1e-4
    assert not torch.equal(held.ws, ws)


@each
def test_a_latent_that_is_far_out_from_the_start_is_not_pulled_in(double, settings):
    mean = double.space.metric(None).mean
    ws = double.mapping(seed=3)
    ws = mean + 3 * (ws - mean)
    (state,) = begun(double, settings.replace(typical=1.0, learning_rate=1e-6), ws).advance()
    torch.testing.assert_close(state.ws, ws, atol=1e-4, rtol=0)


@each
def test_each_step_gives_back_a_part_of_the_way_from_the_mean(double, settings):
    (plain,), (held,) = (begun(double, chosen).advance() for chosen in (settings, settings.replace(truncate=0.1)))
    mean, rows = double.space.metric(None).mean, min(6, double.num_ws)
    torch.testing.assert_close(held.ws[:, :rows], mean + 0.9 * (plain.ws[:, :rows] - mean))
    assert torch.equal(held.ws[:, rows:], plain.ws[:, rows:])


@each
def test_the_pull_to_the_start_is_the_gradient_of_the_mean_change(double, settings):
    """By so strong a weight that nothing else counts, Adam's first step is its rate times the sign of the change."""
    state = begun(double, settings).steps(1)
    strong = dataclasses.replace(begun(double, settings.replace(stay_near=10_000.0)), edit=state.edit)
    strong = dataclasses.replace(strong, memory=strong.bound.begin(state.edit))
    (after,) = strong.advance()
    rows = min(6, double.num_ws)
    change = (state.ws - state.w0)[:, :rows]
    torch.testing.assert_close(after.ws[:, :rows], state.ws[:, :rows] - 0.05 * change.sign(), atol=1e-3, rtol=0)


def test_in_w_all_rows_are_held_back_alike(double):
    settings = DragConfig(learning_rate=0.05, space="w")
    (plain,), (held,) = (begun(double, chosen).advance() for chosen in (settings, settings.replace(truncate=0.1)))
    mean = double.space.metric(None).mean
    torch.testing.assert_close(held.ws, mean + 0.9 * (plain.ws - mean))


@each
def test_a_model_whose_latents_do_not_differ_is_refused_in_a_sentence(generator, settings, monkeypatch):
    def refuse(space):
        raise ValueError("latents of this model do not differ")

    monkeypatch.setattr(type(generator.space), "check_metric", refuse)
    bind(generator, settings)
    for change in ({"truncate": 0.01}, {"typical": 1.0}):
        with pytest.raises(ValueError, match="^latents of this model do not differ$"):
            bind(generator, settings.replace(**change))
