"""Several blocks that count alike: by the formula, in every engine that takes the setting, and in what it remembers."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from plainly import Descent, advanced, begun, each_descent, sampled
from planted import Planted
from test_gooddrag import tracked

from draggan_widget.engines import DragConfig, GoodDrag, State
from draggan_widget.engines.common.scaling import scales_of
from draggan_widget.engines.trackers import Features

BLOCKS = (3, 4)
HANDLES, TARGETS = [(20.3, 30.6), (44.0, 18.5)], [(32.0, 36.0), (36.0, 24.0)]


@pytest.fixture(scope="module")
def double(generator):
    return copy.deepcopy(generator).double()


class Unlike(Planted):
    """One block's features are so many times as large as they were."""

    times = 1.0

    def feature_maps(self, ws, blocks):
        maps = super().feature_maps(ws, blocks)
        return [each * (self.times if block == 3 else 1.0) for each, block in zip(maps, blocks, strict=True)]


def test_channels_are_divided_by_the_size_of_their_block_for_tracking_and_means_taken_block_by_block(double):
    ws = double.mapping(seed=3)
    scales = scales_of(double, ws, BLOCKS, "scaled")
    maps = double.feature_maps(ws, BLOCKS)
    sizes, counts = [float(each.abs().mean()) for each in maps], [each.shape[1] for each in maps]
    typical, total = sum(sizes) / 2, sum(counts)
    change = torch.randn(total, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    parts = change.split(counts)
    away = sum(
        float(part.square().sum()) / (size**2 * count) for part, size, count in zip(parts, sizes, counts, strict=True)
    )
    assert float((change * scales.tracked).square().sum()) == pytest.approx(typical**2 * total / 2 * away)
    mean = sum(0.5 * float(part.abs().mean()) / size for part, size in zip(parts, sizes, strict=True))
    assert float((change * scales.tracked * scales.pulled).abs().mean()) == pytest.approx(typical * mean)


def test_of_one_block_and_of_blocks_that_are_joined_nothing_is_changed(double):
    ws = double.mapping(seed=3)
    assert scales_of(double, ws, (4,), "scaled") is None
    assert scales_of(double, ws, BLOCKS, "joined") is None


def test_twenty_steps_are_those_of_a_plain_reference(double):
    settings = GoodDrag(
        block=BLOCKS,
        several_blocks="scaled",
        learning_rate=0.02,
        stride=24.0,
        supervision_radius=32.0,
        tracking_radius=24.0,
    )
    maps = [each.detach() for each in double.feature_maps(double.mapping(seed=3), BLOCKS)]
    sizes, counts = [float(each.abs().mean()) for each in maps], [each.shape[1] for each in maps]

    size = sum(sizes) / 2 * (sum(counts) / 2) ** 0.5  # what both are multiplied by, to which Adam is all but blind

    class Several(Descent):
        """Features divided by size and by the root of how many there are, as they are tracked."""

        def read(self, xy, latent=None):
            now = self.generator.feature_maps(self.latent if latent is None else latent, BLOCKS)
            read = [sampled(each, np.asarray(xy, dtype=float), self.generator.resolution) for each in now]
            parts = [size * each / (s * c**0.5) for each, s, c in zip(read, sizes, counts, strict=True)]
            return torch.cat(parts, dim=1)

    way = Several(double, double.mapping(seed=3), None, settings.edit_layers, settings.learning_rate)
    patch = np.array([[x, y] for y in np.linspace(-4, 4, 9) for x in np.linspace(-4, 4, 9)])
    p, t = np.array(HANDLES), np.array(TARGETS)
    grabbed = [way.read(place + patch).detach() for place in p]
    for taken in range(20):
        loss = 0
        for n, wanted in enumerate(grabbed):
            rest = t[n] - p[n]
            length = float(np.hypot(*rest))
            away = (way.read(p[n] + patch + rest / length * min(3.0, length)) - wanted).abs()
            # Of each block the mean of |ΔF| / s, which is the mean over channels times the root of how many there are.
            parts = [each.mean() * count**0.5 for each, count in zip(away.split(counts, dim=1), counts, strict=True)]
            loss = loss + sum(parts) / (2 * (sum(counts) / 2) ** 0.5)
        way.step(loss)
        if taken % 3 == 2:
            p = np.stack([tracked(way, place, grabbed[n][40], 3) for n, place in enumerate(p)])
    bound, edit, memory = begun(double, settings, HANDLES, TARGETS)
    edit, memory = advanced(bound, edit, memory, 20)
    torch.testing.assert_close(edit.latent, way.latent.detach(), rtol=0, atol=1e-8)
    np.testing.assert_allclose(edit.handles, p, atol=1e-6)
    assert np.abs(edit.handles - HANDLES).max() > 0.5, "this compares nothing"


@each_descent
def test_how_large_the_features_of_a_block_are_makes_no_difference(settings):
    small, large = Unlike((64, 64)), Unlike((64, 64))
    large.times = 100.0
    ws = small.mapping(seed=1)
    start = small.centre(ws).double().numpy()

    def course(model, several):
        state = State.begin(model, ws, settings.replace(block=(1, 3), several_blocks=several))
        state = state.add_point(1, tuple(start), tuple(start + np.array([6.0, -4.0])))
        found = []
        for _ in range(9):
            (state,) = state.advance()
            found.append([*state.handles[0], *state.ws.flatten().tolist()])
        return np.array(found)

    assert np.abs(course(small, "scaled") - course(large, "scaled")).max() < 0.02
    assert np.abs(course(small, "joined") - course(large, "joined")).max() > 0.05, "this compares nothing"


@each_descent
def test_a_file_goes_on_exactly_and_features_of_other_settings_are_taken_anew(generator, settings):
    def point(state):
        return state.add_point(1, HANDLES[0], TARGETS[0])

    scaled = settings.replace(block=BLOCKS, several_blocks="scaled")
    state = point(State.begin(generator, generator.mapping(seed=3), scaled)).steps(3)
    tensors, values = state.bound.pack(state.memory)
    again = State(state.bound, state.edit, state.bound.unpack(state.edit, tensors, values))
    assert torch.equal(again.steps(3).ws, state.steps(3).ws)
    joined = state.with_config(scaled.replace(several_blocks="joined"))
    fresh = State(joined.bound, state.edit, joined.bound.begin(state.edit))
    content = [each.steps(1).content(1) for each in (joined, fresh)]
    if isinstance(content[0], torch.Tensor):
        assert torch.equal(*content)
    else:
        spots = [each.steps(1).memory.spots[1].tensors() for each in (joined, fresh)]
        assert all(torch.equal(spots[0][name], spots[1][name]) for name in spots[0])


def test_the_tracker_of_features_weighs_blocks_as_the_engine_does(double):
    config = DragConfig(block=BLOCKS, several_blocks="scaled", learning_rate=0.05)
    state = State.begin(double, double.mapping(seed=3), config).add_point(1, HANDLES[0], TARGETS[0])
    tracker = Features(config=config)
    tracker.begin(double, state.ws, state.handles)
    for _ in range(4):
        (state,) = state.advance()
        np.testing.assert_allclose(tracker.track(double, state.ws), state.handles, atol=1e-6)
