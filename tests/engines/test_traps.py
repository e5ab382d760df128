"""Where recipes of engines are easily got wrong, beyond what the tests of each engine look at."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plainly import DESCENTS, advanced, begun, each_descent
from planted import Planted

from draggan_widget.engines import Natural, drag


class Scaled(Planted):
    """Features that are so many times as large."""

    times = 1.0

    def feature_maps(self, ws, blocks):
        return [self.times * feature_map for feature_map in super().feature_maps(ws, blocks)]


class Dead(Planted):
    """A model none of whose rows reaches its features, as where a map was put in the place of what rows make."""

    def feature_maps(self, ws, blocks):
        return [feature_map + 0 * ws.sum() for feature_map in super().feature_maps(ws.detach() * 0, blocks)]


class Cut(Dead):
    """The same, without so much as a graph."""

    def feature_maps(self, ws, blocks):
        return Planted.feature_maps(self, ws.detach() * 0, blocks)


def pull(planted, settings, by=(9.0, 3.0)):
    ws = planted.mapping(seed=1)
    start = planted.centre(ws).double().numpy()
    return drag(planted, ws, [start], [start + np.array(by)], config=settings)


@each_descent
def test_no_length_of_an_engine_depends_on_how_large_features_are(settings):
    """FreeDrag's l of 0.3 belongs to one network's features; Adam and tracking are blind to their size."""
    plain, larger = Scaled((96, 80)), Scaled((96, 80))
    larger.times = 64.0
    one, other = (pull(model, settings.replace(max_steps=12, stall_steps=None)) for model in (plain, larger))
    np.testing.assert_allclose(other.handles, one.handles, atol=0.05)
    torch.testing.assert_close(other.ws, one.ws, atol=2e-3, rtol=0)
    assert one.steps > 3


@pytest.mark.parametrize("kind", [Dead, Cut])
@each_descent
def test_rows_that_reach_no_feature_stall_at_once_and_leave_the_latent(settings, kind):
    model = kind((96, 80))
    ws = model.mapping(seed=1)
    result = drag(model, ws, [(40, 48)], [(52, 50)], config=settings)
    assert result.reason in ("stalled", "capped")
    assert result.steps <= 60
    torch.testing.assert_close(result.ws, ws)


def test_natural_says_of_such_rows_that_it_stalls(monkeypatch):
    model = Dead((96, 80))
    ws = model.mapping(seed=1)
    result = drag(model, ws, [(40, 48)], [(52, 50)], config=Natural(locality=0.0))
    assert result.reason == "stalled"
    torch.testing.assert_close(result.ws, ws)


@pytest.mark.parametrize("settings", DESCENTS[1:], ids=lambda settings: type(settings).__name__)
def test_the_weight_of_a_mask_depends_neither_on_its_size_nor_on_that_of_the_picture(settings):
    """A sum over cells would make it grow with both: what stays is the mean over the cells that are to stay."""
    terms = []
    for size, free in ((64, 16), (64, 48), (128, 32)):
        model = Planted((size, size))
        mask = np.ones((size, size), np.float32)
        mask[:, :free] = 0  # the bump moves by the same on the ground that is held, and on all else
        bound, edit, memory = begun(
            model, settings.replace(block=3), [(size / 2, size / 2)], [(size / 2 + 9, size / 2)], mask
        )
        _, memory = advanced(bound, edit, memory, 1)
        keep = bound._kept(edit)
        terms.append(float(keep.weights.sum()))
    assert terms == pytest.approx([1.0, 1.0, 1.0])


@each_descent
def test_a_drag_that_is_capped_is_no_longer_than_its_cap(settings):
    """FreeDrag's own stop ends its inner loop only."""
    result = pull(Planted((96, 80)), settings.replace(max_steps=4, stall_steps=None, tolerance=0.0))
    assert (result.reason, result.steps) == ("capped", 4)


@pytest.mark.parametrize("corner", [(0, 0), (79, 95), (0, 95)])
@each_descent
def test_handles_in_the_corners_are_pulled_without_a_place_beyond_the_border(settings, corner):
    model = Planted((96, 80))
    result = drag(model, model.mapping(seed=1), [corner], [(40, 48)], config=settings.replace(max_steps=5))
    assert np.isfinite(result.handles).all()
    assert ((result.handles >= 0) & (result.handles <= [79, 95])).all()
