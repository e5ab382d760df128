"""Trackers, as any engine can use them."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from planted import REACH, Planted
from safetensors.torch import save_file

from draggan_widget.editing import Session
from draggan_widget.engines import Bound, Engine, Step, drag, register, unregister
from draggan_widget.engines.draggan import init, step
from draggan_widget.engines.trackers import Features, Flow, make, metric
from draggan_widget.models import load_generator
from draggan_widget.settings import Settings, number


@dataclasses.dataclass(frozen=True)
class Shift(Settings):
    """Settings of the engine below."""

    pace: float = number(0.25, "Pace", "How much of the way a step goes.", above=True, most=1)
    tracker: str = "draggan"


class BoundShift(Bound):
    """Shifts all rows, and has a tracker say where the content went. What it remembers is that tracker."""

    def begin(self, edit):
        tracker = make(self.settings.tracker)
        tracker.begin(self.model, edit.latent, edit.handles)
        return tracker

    def advance(self, edit, memory, at_most=1):
        to_go = torch.from_numpy(edit.targets - edit.handles).to(edit.latent).mean(dim=0)
        latent, tracker = edit.latent + self.settings.pace * to_go / REACH, copy.copy(memory)
        found = tracker.track(self.model, latent)
        points = tuple(
            dataclasses.replace(point, handle=(float(x), float(y)))
            for point, (x, y) in zip(edit.points, found, strict=True)
        )
        return [Step(dataclasses.replace(edit, latent=latent, points=points, step=edit.step + 1), tracker)]

    def verdict(self, edit, memory):
        return "arrived" if edit.distances.max() <= 1 else "capped" if edit.step >= 40 else None


class ShiftEngine(Engine):
    name, help, Settings = "shift", "A test's", Shift

    def bind(self, model, settings):
        self.check_model(model)
        return BoundShift(model, settings)


@pytest.fixture(autouse=True)
def shift():
    register(ShiftEngine())
    yield
    unregister("shift")


@pytest.fixture(scope="module")
def planted():
    return Planted((96, 80))


@pytest.mark.parametrize("tracker", ["draggan", "features:2", "flow"])
def test_an_engine_in_a_session_is_told_by_a_tracker_where_its_handles_are(planted, tracker):
    session = Session(planted, seed=1, config=Shift(tracker=tracker))
    try:
        start = planted.centre(session.now().drag.ws).numpy()
        session.put_point(1, handle=tuple(start), target=(start[0] + 7, start[1] - 4)).result(20)
        for _ in range(3):
            session.step_once().result(20)
        session.start().result(20)
        assert session.finished().result(60).reason == "arrived"
        drag_ = session.now().drag
        assert drag_.step > 4
        assert drag_.handles[0] == pytest.approx(planted.centre(drag_.ws).numpy(), abs=1)
        session.undo().result(20)
        assert session.now().drag.step == 3
        session.start().result(20)
        assert session.finished().result(60).reason == "arrived"
        again = session.now().drag
        assert torch.equal(again.ws, drag_.ws)
        assert again.handles.tolist() == drag_.handles.tolist()
    finally:
        session.close()


@pytest.mark.parametrize("method", ["default", "paper", "official"])
def test_draggans_own_tracking_is_a_tracker(generator, method):
    generator = copy.deepcopy(generator).double()
    config = generator.drag_config.replace(method=method, learning_rate=0.05, max_steps=8, tolerance=0.0)
    ws = generator.mapping(seed=2)
    state = init(generator, ws, [(1, (30, 30), (40, 32)), (2, (12.4, 50.5), (20, 40))], None, config)
    tracker = make("draggan", config)
    tracker.begin(generator, state.ws, state.handles)
    first = state.handles
    for _ in range(6):
        state = step(generator, state)
        np.testing.assert_allclose(tracker.track(generator, state.ws), state.handles, atol=1e-6)
    assert np.abs(state.handles - first).max() > 1, "this compares nothing"


@pytest.mark.parametrize("tracker", ["draggan", "flow"])
def test_a_copy_goes_on_by_itself_and_leaves_the_first_as_it_is(planted, tracker):
    first = make(tracker)
    latents = [planted.mapping(seed=1) + 0.1 * number for number in range(4)]
    first.begin(planted, latents[0], planted.centre(latents[0]).numpy()[None])
    other = copy.copy(first)
    ahead = [other.track(planted, latent) for latent in latents[1:]]
    behind = [first.track(planted, latent) for latent in latents[1:]]
    np.testing.assert_array_equal(ahead, behind)
    ahead[-1] += 9
    np.testing.assert_array_equal(other.track(planted, latents[-1]), first.track(planted, latents[-1]))


def test_a_tracker_reads_only_what_it_needs(planted):
    class Painter:
        resolution, channels = planted.resolution, planted.channels
        synthesize = staticmethod(planted.synthesize)

    ws = planted.mapping(seed=1)
    start = planted.centre(ws).numpy()[None]
    flow = Flow()
    flow.begin(Painter(), ws, start)
    assert flow.track(Painter(), ws + 0.25)[0] == pytest.approx(start[0] + 2, abs=0.5)
    with pytest.raises(
        ValueError, match="^the tracker needs features and blocks, which .* Painter has not; track by flow$"
    ):
        Features().begin(Painter(), ws, start)
    with pytest.raises(ValueError, match=r"^the tracker reads block 2\+9; this generator has blocks 1 to 3$"):
        Features(2, 9).begin(planted, ws, start)


@pytest.mark.parametrize("handles", [[1, 2], [[1, 2, 3]], [[float("nan"), 1]]])
def test_a_tracker_begins_with_finite_handles(planted, handles):
    for tracker in ("draggan", "flow"):
        with pytest.raises(ValueError, match=r"begins with finite handles \(N, 2\)"):
            make(tracker).begin(planted, planted.mapping(seed=1), handles)


def test_an_engine_with_a_tracker_drags_without_an_editor(planted):
    ws = planted.mapping(seed=1)
    start = planted.centre(ws).numpy()
    result = drag(planted, ws, [start], [start + np.array([6, 0])], config=Shift(tracker="flow"))
    assert result.reason == "arrived"
    assert planted.centre(result.ws).numpy() == pytest.approx(start + np.array([6, 0]), abs=1.5)


# --- the learned metric ----------------------------------------------------------------------------------------------


def pairs_of(planted, number):
    """Latents of two pictures, points around their bumps, and that all of them are seen."""
    random = np.random.default_rng(0)
    latents = random.uniform(-0.5, 0.5, (number, 2, 2))
    centres = [[planted.centre(planted.mapping(z[None])).numpy() for z in both] for both in latents]
    around = random.uniform(-8, 8, (number, 1, 12, 2))
    return latents, np.array(centres)[:, :, None] + around, np.ones((number, 12), bool)


def test_info_nce_is_the_formula():
    random = torch.Generator().manual_seed(0)
    sizes = [(3, 4), (3, 4), (3, 5, 4)]
    anchors, right, wrong = (torch.randn(size, generator=random, dtype=torch.double) / 4 for size in sizes)
    plain = 0.0
    for a, r, others in zip(anchors, right, wrong, strict=True):
        good = torch.exp(a @ r / 0.07)
        plain -= float(torch.log(good / (good + sum(torch.exp(a @ other / 0.07) for other in others)))) / 3
    assert float(metric.info_nce(anchors, right, wrong)) == pytest.approx(plain)


def test_a_metric_is_trained_kept_in_a_small_file_and_follows_its_model_alone(tmp_path, monkeypatch):
    planted, other = Planted((64, 64)), Planted((64, 64))
    with torch.no_grad():
        other.scale.mul_(1.01)
    monkeypatch.setattr(metric, "STEPS", 80)
    steps = list(metric.train(planted, (2, 3), *pairs_of(planted, 6)))
    losses = [loss for loss, _ in steps]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])
    metric.save(path := tmp_path / "mine.safetensors", steps[-1][1], planted, (2, 3))
    assert path.stat().st_size < 50_000
    tracker = make(f"metric:{path}", planted.drag_config.replace(tracking_radius=64))
    first, second = planted.mapping(seed=1), planted.mapping(seed=1) + torch.tensor([0.5, -0.3])
    place = planted.centre(first).numpy()
    tracker.begin(planted, first, place[None])
    assert tracker.track(planted, second)[0] == pytest.approx(planted.centre(second).numpy(), abs=0.5)
    with pytest.raises(ValueError, match="^the metric in mine.safetensors was trained on another model; track by"):
        tracker.begin(other, first, place[None])


def test_the_metric_in_the_package_is_small_and_of_the_built_in_faces(generator):
    assert metric.SHIPPED.stat().st_size < 50_000
    faces = load_generator("faces")
    tracker, ws = make("metric"), faces.mapping(seed=9, truncation=0.7)
    tracker.begin(faces, ws, [(98, 174), (120.5, 100)])
    assert tracker.track(faces, ws) == pytest.approx(np.array([(98, 174), (120.5, 100)]), abs=0.3)
    with pytest.raises(ValueError, match="faces_metric.safetensors was trained on another model"):
        make("metric").begin(generator, generator.mapping(seed=1), [(20, 20)])


def test_a_file_that_is_no_metric_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="^no weights of a metric at .*gone"):
        make(f"metric:{tmp_path / 'gone.safetensors'}")
    path = tmp_path / "cut.safetensors"
    path.write_bytes(metric.SHIPPED.read_bytes()[:500])
    with pytest.raises(ValueError, match="cut.safetensors does not hold a metric"):
        make(f"metric:{path}")
    save_file({"layer": torch.zeros(32, 4)}, path)
    with pytest.raises(ValueError, match="cut.safetensors does not hold a metric"):
        make(f"metric:{path}")
    planted = Planted((64, 64))
    with pytest.raises(ValueError, match="no point can be seen in both pictures"):
        next(metric.train(planted, (2,), *pairs_of(planted, 2)[:2], np.zeros((2, 12), bool)))
    with pytest.raises(ValueError, match=r"^the metric reads block 2\+9; this generator has blocks 1 to 3"):
        next(metric.train(planted, (2, 9), *pairs_of(planted, 2)))
