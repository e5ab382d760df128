"""The paper's experiments: what is measured, by whom it is tracked, and that long ones go on where they were."""

from __future__ import annotations

import csv
import json
import os
import sys
import types
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import predictors
import pytest
import torch
from followers import pips_program
from planted import Planted, Textured

from draggan_widget import DragConfig, cli, drag, load_generator
from draggan_widget.analysis.experiments import distances, evaluation
from draggan_widget.analysis.experiments.evaluation import Evaluation, Interrupted, evaluate
from draggan_widget.analysis.experiments.experiments import (
    Bench,
    Landmarks,
    Reconstruction,
    RoundTrip,
    block_experiment,
)
from draggan_widget.analysis.experiments.ways import Way, block_ways, drag_tracked, engine_ways, standard_ways
from draggan_widget.analysis.ledger import Ledger
from draggan_widget.engines import FreeDrag, Natural, Predicted, default_config, engine_named, engine_names
from draggan_widget.engines.draggan import init, step, with_handles
from draggan_widget.engines.predicted import give
from draggan_widget.engines.trackers import base as trackers
from draggan_widget.engines.trackers import learned


@pytest.fixture(scope="module")
def planted():
    return Textured((96, 80))


def brightest(picture):
    """A detector whose 68 landmarks are all the middle of the bump."""
    light = picture.astype(float).mean(axis=2) ** 8
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    return np.repeat([[(columns * light).sum() / light.sum(), (rows * light).sum() / light.sum()]], 68, axis=0)


def nothing(picture):
    """A detector that finds none."""
    return


def own(generator):
    return [Way("no edit", None), Way("default", generator.drag_config)]


def test_dragging_landmarks_brings_them_to_those_of_the_other_picture(planted):
    done = evaluate(planted, [Landmarks(1)], own(planted), samples=4, detector=brightest)
    means = done.summary()["landmarks, 1 point"]
    assert means["no edit"]["distance"] > 4
    assert means["default"]["distance"] < 0.4 * means["no edit"]["distance"]
    assert means["default"]["samples"] == 4
    assert means["no edit"]["steps"] == 0
    to_before = f"{distances.picture_distance()[0]}_before"
    assert means["no edit"][to_before] == 0 < means["default"][to_before]
    assert repr(done) == f"<Evaluation of landmarks, 1 point: {len(done.rows)} rows>"
    table = done.to_markdown().splitlines()
    assert table[0] == "landmarks, 1 point"
    assert "distance, px" in table[2]


def test_lengths_are_pixels_of_a_picture_of_256_px(planted):
    (row,) = evaluate(planted, [Landmarks(1)], own(planted)[:1], samples=1, detector=brightest).rows
    first, second = (brightest_of(planted, seed) for seed in (5000, 5001))
    assert row["distance"] == pytest.approx(256 / 80 * np.hypot(*(first - second)))


def brightest_of(generator, seed):
    bench = Bench(generator, brightest)
    return bench.marks(bench.picture(bench.seeded(seed)), "it")[0]


def test_a_detector_that_finds_no_face_gives_rows_that_say_so(planted):
    done = evaluate(planted, [Landmarks(5)], own(planted), samples=2, detector=nothing)
    assert {row["error"] for row in done.rows} == {
        "no face was found in the picture of seed 5000",
        "no face was found in the picture of seed 5002",
    }
    assert done.summary()["landmarks, 5 points"]["default"]["failed"] == 2
    assert "not measured: no face was found" in done.to_markdown()


def test_a_face_that_is_lost_by_the_edit_is_counted_and_left_out_of_the_mean(planted):
    seen = []

    def once(picture):
        seen.append(picture)
        return brightest(picture) if len(seen) % 3 else None

    done = evaluate(planted, [Landmarks(1)], own(planted)[1:], samples=2, detector=once)
    means = done.summary()["landmarks, 1 point"]["default"]
    assert (means["samples"], means["lost"], "distance" in means) == (2, 2, False)


def test_only_as_many_landmarks_as_there_are_choices_for():
    with pytest.raises(ValueError, match="there are 1, 5, 68"):
        Landmarks(7)


def test_reconstruction_comes_nearer_to_the_second_picture(planted):
    done = evaluate(planted, [Reconstruction(points=6, share=0.9)], own(planted), samples=3)
    means = done.summary()["paired reconstruction"]
    assert means["default"]["mse"] < 0.5 * means["no edit"]["mse"]
    assert means["default"]["ms_dssim"] < means["no edit"]["ms_dssim"]


def test_there_and_back_ends_nearer_to_the_beginning_than_the_turning_point():
    faces = load_generator("faces", device="cpu")
    done = evaluate(faces, [RoundTrip()], own(faces), samples=2)
    means = done.summary()["round trip"]
    assert means["no edit"]["mse"] == 0
    assert 0 < means["default"]["ms_dssim"] < means["default"]["ms_dssim_away"]


def test_an_evaluation_that_was_stopped_goes_on_and_ends_as_if_it_had_not(planted, tmp_path):
    class StopError(Exception):
        pass

    def stop(done, total, text):
        if done == 3:
            raise StopError

    keep = tmp_path / "deep" / "rows.jsonl"
    arguments = (planted, [RoundTrip(most=5)], own(planted))
    with pytest.raises(StopError):
        evaluate(*arguments, samples=3, keep=keep, progress=stop)
    keep.write_text(keep.read_text() + '{"asked": {"gen')  # and was in the middle of a line
    told = []
    resumed = evaluate(*arguments, samples=3, keep=keep, progress=lambda done, total, text: told.append(done))
    assert told == [4, 5, 6]
    whole = evaluate(*arguments, samples=3)
    timeless = [[{k: v for k, v in row.items() if k != "seconds"} for row in done.rows] for done in (resumed, whole)]
    assert timeless[0] == timeless[1]
    assert json.loads(json.dumps(resumed.to_dict()))["summary"] == resumed.summary()


def test_what_nobody_foresaw_fails_its_sample_only_and_is_tried_again(planted, tmp_path):
    seen = []

    def failing(picture):
        seen.append(picture)
        if len(seen) == 1:
            raise RuntimeError("no memory\nfor this")
        return brightest(picture)

    def measured(**more):
        return evaluate(planted, [Landmarks(1)], own(planted)[:1], samples=3, detector=failing, **more)

    done = measured(keep=tmp_path / "rows.jsonl")
    assert [row.get("error") for row in done.rows] == ["RuntimeError: no memory\nfor this", None, None]
    assert done.to_markdown().endswith("not measured: RuntimeError: no memory")
    told = []
    again = measured(keep=tmp_path / "rows.jsonl", progress=lambda *news: told.append(news))
    assert len(told) == 1
    assert again.summary()["landmarks, 1 point"]["no edit"]["samples"] == 3
    assert done.rows[1:] == again.rows[1:]


def test_an_interrupt_hands_over_what_was_measured(planted):
    def stop(done, total, text):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        evaluate(planted, [RoundTrip(most=2)], own(planted)[:1], samples=4, progress=stop)
    assert isinstance(stopped.value, Interrupted)
    assert [row["sample"] for row in stopped.value.evaluation.rows] == [0, 1]
    assert "2 rows" in str(stopped.value)


def test_what_is_missing_is_said_before_anything_is_measured(planted, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    for experiment, ways in ((Reconstruction(), own(planted)), (RoundTrip(), standard_ways(planted))):
        with pytest.raises(ModuleNotFoundError, match="optical flow needs OpenCV"):
            evaluate(planted, [experiment], ways, samples=1, progress=lambda *news: pytest.fail("measured"))


def test_rows_of_other_weights_are_not_taken_for_these(planted, tmp_path):
    other = Planted((96, 80))
    other.scale.data.fill_(1.5)
    for generator in (planted, other):
        told = []
        evaluate(
            generator,
            [RoundTrip(most=2)],
            own(generator)[:1],
            samples=1,
            keep=tmp_path / "rows",
            progress=lambda *news, told=told: told.append(news),
        )
        assert len(told) == 1


def test_processes_measure_what_one_does(planted, tmp_path):
    arguments = (planted, [RoundTrip(most=4)], own(planted)[1:])
    apart, here = evaluate(*arguments, samples=3, workers=2), evaluate(*arguments, samples=3)
    for one, other in zip(apart.rows, here.rows, strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}


def brightest_or_death(picture):
    """A detector that kills the process at one picture: that of seed 5003."""
    if (brightest(picture)[0] == brightest_of(Textured((96, 80)), 5003)).all():
        os._exit(1)
    return brightest(picture)


def test_a_process_that_dies_loses_its_sample_only(planted, tmp_path):
    done = evaluate(
        planted,
        [Landmarks(1)],
        own(planted)[:1],
        samples=4,
        detector=brightest_or_death,
        workers=2,
        keep=tmp_path / "rows.jsonl",
    )
    assert [row.get("error") for row in done.rows] == [None, "the process that measured it died", None, None]
    again = evaluate(
        planted, [Landmarks(1)], own(planted)[:1], samples=4, detector=brightest, keep=tmp_path / "rows.jsonl"
    )
    assert not any("error" in row for row in again.rows)


class Unborn(Textured):
    """Ends a process that it is sent to."""

    def __getstate__(self):
        return {**self.__dict__, "sent by": os.getpid()}

    def __setstate__(self, state):
        if state.pop("sent by") != os.getpid():
            os._exit(1)
        super().__setstate__(state)  # a copy in the process that sends it


def test_where_processes_die_as_they_begin_this_one_goes_on():
    unborn = Unborn((96, 80))
    with pytest.warns(UserWarning, match="this one goes on alone"):
        done = evaluate(unborn, [RoundTrip(most=2)], own(unborn), samples=2, workers=2)
    assert len(done.rows) == 4
    assert not any("error" in row for row in done.rows)


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "rows.jsonl"
    for held in ('{"summary": {}}\n', '{"asked": 1, "found": 2}\nmore', "notes"):
        path.write_text(held)
        with pytest.raises(ValueError, match=r"line \d of .* is no result"):
            Ledger(path)
        assert path.read_text() == held


def test_a_line_that_was_cut_short_loses_itself_and_nothing_is_rewritten(tmp_path):
    path = tmp_path / "rows.jsonl"
    Ledger(path).add({"n": 1}, {"it": 1})
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:12])
    ledger = Ledger(path)  # quietly: this is what a stop leaves
    assert path.read_bytes() == whole + whole[:12]
    ledger.add({"n": 2}, {"it": 2})
    assert path.read_bytes().startswith(whole + whole[:12])
    path.write_bytes(path.read_bytes()[:-1])  # whole but for the end of its line
    with pytest.warns(UserWarning, match=r"no whole results, left out: line 2 of .*rows\.jsonl"):
        Ledger(path).add({"n": 3}, {"it": 3})
    with pytest.warns(UserWarning, match="left out: line 2 of"):
        again = Ledger(path)
    assert [again.find({"n": number}) for number in (1, 2, 3)] == [{"it": 1}, {"it": 2}, {"it": 3}]


def test_the_first_line_may_be_cut_short_too(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"ask')
    ledger = Ledger(path)
    assert len(ledger) == 0
    ledger.add({"n": 1}, {"it": 1})
    with pytest.warns(UserWarning, match="line 1 of"):
        assert len(Ledger(path)) == 1


# --- trackers ---------------------------------------------------------------------------------------------------------


def test_handles_of_another_tracker_take_the_place_of_those_found(planted):
    state = init(planted, planted.mapping(seed=1), [(1, (40, 48), (50, 48))])
    after = step(planted, state)
    moved = with_handles(state, after, np.array([[45.0, 48.0]]))
    assert moved.handles.tolist() == [[45, 48]]
    assert moved.course.nearest == (5.0,)
    assert np.array_equal(moved.ws, after.ws)
    assert with_handles(state, after, np.array([[999.0, -5]])).handles.tolist() == [[79, 0]]
    with pytest.raises(ValueError, match=r"must give 1 finite \(x, y\)"):
        with_handles(state, after, np.array([[np.nan, 1]]))


@pytest.mark.parametrize("tracker", ["flow", "features:2"])
def test_other_trackers_see_where_the_content_went(planted, tracker):
    ws = planted.mapping(seed=1)
    start = planted.centre(ws).numpy()
    state = init(planted, ws, [(1, tuple(start), (start[0] + 6, start[1]))])
    made = trackers.make(tracker)
    made.begin(planted, state.ws, state.handles)
    for _ in range(6):
        state = step(planted, state)
        found = made.track(planted, state.ws)
    assert found[0] == pytest.approx(planted.centre(state.ws).numpy(), abs=1.0)


def test_a_drag_by_flow_arrives(planted):
    ws = planted.mapping(seed=1)
    start = planted.centre(ws).numpy()
    result = drag_tracked(planted, ws, [start], [start + np.array([6, 0])], planted.drag_config, trackers.make("flow"))
    assert result.reason == "arrived"
    assert planted.centre(result.ws).numpy() == pytest.approx(start + np.array([6, 0]), abs=2)
    assert len(result.history) == result.steps + 1


@pytest.mark.parametrize("spec", ["eyes", "flow:3", "features:", "own"])
def test_an_unknown_tracker_is_named_with_those_there_are(spec):
    with pytest.raises(ValueError, match=f"no tracker '{spec}'; there are features, features:BLOCK, metric, flow"):
        trackers.make(spec)


@pytest.mark.parametrize(
    ("spec", "given"),
    [
        (r"raft:C:\w.pth", (r"C:\w.pth",)),
        ("raft:/some where/w.pth", ("/some where/w.pth",)),
        ("pips:../pips:w.pth", ("../pips", "w.pth")),
        (r"pips:C:\pips:w.pth", (r"C:\pips", "w.pth")),
        ("pips:C:/pips:D:/w.pth", ("C:/pips", "D:/w.pth")),
        (r"pips:pips:D:\w.pth", ("pips", r"D:\w.pth")),
    ],
)
def test_paths_of_trackers_may_have_the_letters_of_drives(spec, given, monkeypatch):
    for name in ("Raft", "Pips"):
        monkeypatch.setattr(learned, name, lambda *arguments: arguments)
    assert trackers.make(spec) == given


def test_pips_come_from_a_checkout_and_its_checkpoint_and_track(planted, tmp_path, monkeypatch):
    mine = types.SimpleNamespace(helps=True)
    monkeypatch.setitem(sys.modules, "utils", mine)  # what somebody's notebook has imported under that name
    (tmp_path / "regular" / "utils").mkdir(parents=True)
    (tmp_path / "regular" / "utils" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "regular")
    checkout, weights = tmp_path / "pips", tmp_path / "model.pth"
    with pytest.raises(FileNotFoundError, match=r"no nets/pips\.py"):
        trackers.make(f"pips:{checkout}:{weights}")
    pips_program(checkout)
    with pytest.raises(FileNotFoundError, match="no weights of PIPs"):
        trackers.make(f"pips:{checkout}:{weights}")
    torch.save({"model_state_dict": {"other": torch.ones(1)}}, weights)
    with pytest.raises(ValueError, match="does not hold weights of PIPs"):
        trackers.make(f"pips:{checkout}:{weights}")
    torch.save({"model_state_dict": {"gain": torch.ones(1)}}, weights)
    whole = weights.read_bytes()
    for cut in (whole[:40], b""):
        weights.write_bytes(cut)
        with pytest.raises(ValueError, match="does not hold weights of PIPs: .+"):
            trackers.make(f"pips:{checkout}:{weights}")
    weights.write_bytes(whole)
    ws = planted.mapping(seed=1)
    start = planted.centre(ws).numpy()
    tracker = trackers.make(f"pips:{checkout}:{weights}")
    result = drag_tracked(planted, ws, [start], [start + np.array([12, 0])], planted.drag_config, tracker)
    assert sys.modules["utils"] is mine
    assert not {"nets", "nets.pips", "utils.basic"} & set(sys.modules)
    assert result.steps > 10  # more than the eight pictures that it looks at together
    assert planted.centre(result.ws).numpy() == pytest.approx(result.handles[0], abs=1.5)


def test_what_the_program_of_pips_needs_besides_is_named(tmp_path):
    checkout, weights = pips_program(tmp_path / "pips"), tmp_path / "model.pth"
    weights.touch()
    (checkout / "nets" / "pips.py").write_text("import no_such_einops")
    with pytest.raises(ModuleNotFoundError, match="the program of PIPs needs no_such_einops: pip install"):
        trackers.make(f"pips:{checkout}:{weights}")


# --- ways -------------------------------------------------------------------------------------------------------------


def test_standard_ways_tell_formulas_from_settings(planted):
    names = {way.name: way for way in standard_ways(planted)}
    assert list(names) == [
        *("no edit", "natural", "official", "paper", "default", "optical flow", "official, our settings"),
    ]
    assert names["natural"].config == Natural()
    assert names["natural"].to_dict()["engine"] == "natural"
    assert names["default"].config == planted.drag_config
    assert "engine" not in names["default"].to_dict()  # as rows of before there were engines have it
    assert names["official"].config == DragConfig.official()
    assert names["official, our settings"].config.method == "official"
    assert names["official, our settings"].config.learning_rate == planted.drag_config.learning_rate
    assert names["optical flow"].tracker == "flow"
    assert names["no edit"].config is None


def test_no_way_takes_more_steps_than_the_experiment_allows(planted):
    ws = planted.mapping(seed=1)
    far = Way("far", DragConfig.official())
    assert far.drag(planted, ws, [(40, 48)], [(79, 95)], 7, {}).steps == 7
    near = Way("near", DragConfig(max_steps=3))
    assert near.drag(planted, ws, [(40, 48)], [(79, 95)], 7, {}).steps == 3


def test_the_ablation_reads_other_blocks_for_supervision_for_tracking_and_for_both(generator):
    names = {way.name: way for way in block_ways(generator)}
    assert names["both 4 (own)"].config == generator.drag_config
    assert names["supervision 5"].config.block == 5
    assert names["supervision 5"].tracker == "features:4"
    assert names["tracking 5"].config == generator.drag_config
    assert names["tracking 5"].tracker == "features:5"
    assert "both 7" not in names  # the small generator has five blocks


@pytest.mark.parametrize("block", [(4, 5), 4, None])
def test_the_ablation_takes_any_blocks_for_the_generators_own(generator, block, monkeypatch):
    monkeypatch.setattr(generator, "drag_config", generator.drag_config.replace(block=block))
    ways = {way.name: way for way in block_ways(generator)}
    said = "4+5" if block == (4, 5) else "4"
    assert f"both {said} (own)" in ways
    assert ways["supervision 5"].tracker == f"features:{said}"
    assert ("both 4" in ways) == (block == (4, 5))
    ws = generator.mapping(seed=2)
    assert ways["supervision 5"].drag(generator, ws, [(30, 30)], [(36, 30)], 3, {}).steps == 3


def test_the_ablation_takes_landmarks_where_there_are_faces_and_pictures_elsewhere(planted, monkeypatch):
    def failing(picture):
        raise RuntimeError("that is no picture")

    assert block_experiment(load_generator("faces", device="cpu")) == Landmarks(1)
    assert block_experiment(planted, brightest) == Landmarks(1)
    for detector in (nothing, failing, None):  # None: dlib's
        assert block_experiment(planted, detector) == Reconstruction()
    monkeypatch.setitem(sys.modules, "dlib", None)
    assert block_experiment(planted) == Reconstruction()
    done = evaluate(planted, [Reconstruction(points=6, share=0.9)], block_ways(planted), samples=1)
    assert not any("error" in row for row in done.rows)


def test_a_way_that_does_nothing_has_no_tracker():
    with pytest.raises(ValueError, match="give it a config"):
        Way("idle", None, "flow")
    with pytest.raises(ValueError, match="the engine freedrag tracks nothing; choose another engine"):
        Way("other", FreeDrag(), "flow")


def test_a_drag_tracked_by_its_own_features_is_the_plain_drag(generator):
    ws = generator.mapping(seed=2)
    config = generator.drag_config.replace(max_steps=5, tolerance=0.0)
    places = [(30.0, 30.0)], [(36.0, 30.0)]
    block = generator.default_block()
    tracked = drag_tracked(generator, ws, *places, config, trackers.make(f"features:{block}"))
    plain = drag(generator, ws, *places, config=config)
    assert tracked.ws.numpy() == pytest.approx(plain.ws.numpy(), abs=1e-4)


# --- distances --------------------------------------------------------------------------------------------------------


def noise(seed, *size):
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, size)).float()


def test_equal_pictures_do_not_differ_and_blur_differs_more_the_more_it_is():
    picture = noise(0, 1, 3, 64, 64)
    blurred = [torch.nn.functional.avg_pool2d(picture, size, 1, size // 2) for size in (3, 7)]
    assert distances.ms_dssim(picture, picture) == pytest.approx(0, abs=1e-9)
    assert 0.05 < distances.ms_dssim(picture, blurred[0]) < distances.ms_dssim(picture, blurred[1])
    assert distances.mse(picture, picture) == 0
    assert distances.mse(torch.full((1, 1, 4, 4), -1.0), torch.full((1, 1, 4, 4), 3.0)) == 4


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_of_all_channels_can_be_compared(channels):
    one, other = noise(1, 1, channels, 64, 48), noise(2, 1, channels, 64, 48)
    assert distances.ms_dssim(one, other) > 0.5
    assert distances.bands(one).shape == (16 * channels + 64,)


def test_frechet_of_gaussians_is_the_formula():
    random = np.random.default_rng(0)
    one = random.normal(size=(4000, 2)) * [1, 2]
    other = random.normal(size=(4000, 2)) * [3, 2] + [5, 0]
    assert distances.frechet(one, one) == pytest.approx(0, abs=1e-6)
    assert distances.frechet(one, other) == pytest.approx(25 + (3 - 1) ** 2, rel=0.03)
    with pytest.raises(ValueError, match="at least 2 pictures"):
        distances.frechet(one[:1], other)


def test_bands_tell_blur_from_sharp_pictures():
    sharp = [noise(seed, 1, 3, 64, 64) for seed in range(20)]
    soft = [torch.nn.functional.avg_pool2d(picture, 5, 1, 2) for picture in sharp]
    other = [noise(seed, 1, 3, 64, 64) for seed in range(20, 40)]
    told = [[distances.bands(picture) for picture in set_] for set_ in (sharp, soft, other)]
    assert distances.frechet(told[0], told[1]) > 3 * distances.frechet(told[0], told[2])


def test_without_the_weights_of_lpips_its_substitute_has_another_name(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert distances.picture_distance() == ("ms_dssim", distances.ms_dssim)


def test_lpips_is_taken_where_package_and_weights_are_at_hand(monkeypatch, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / distances.ALEXNET).write_bytes(b"")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(distances, "find_spec", lambda name: object())

    class Network(torch.nn.Module):
        def forward(self, one, other):
            assert one.shape[1] == 3
            return (one - other).abs().mean()

    monkeypatch.setitem(sys.modules, "lpips", type("lpips", (), {"LPIPS": lambda net, verbose: Network()}))
    distances._lpips_network.cache_clear()
    name, measure = distances.picture_distance()
    assert name == "lpips"
    for channels in (1, 3, 4):
        assert measure(torch.ones(1, channels, 8, 8), torch.zeros(1, channels, 8, 8)) == 1
    distances._lpips_network.cache_clear()


class Inception(torch.nn.Module):
    """Of the interface of torchvision's: tells the mean colours, by a layer that FID leaves out too."""

    def __init__(self):
        super().__init__()
        self.gain, self.fc = torch.nn.Parameter(torch.zeros(1)), torch.nn.Linear(3, 10)

    def forward(self, pictures):
        assert pictures.shape == (1, 3, 299, 299)
        assert not self.training
        return self.fc(self.gain * pictures.mean(dim=(2, 3)))


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """torch's folder of checkpoints, and a torchvision that has only ``Inception``."""
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(distances, "find_spec", lambda name: object() if name == "torchvision" else None)

    def made(weights, transform_input, init_weights):
        assert (weights, transform_input, init_weights) == (None, False, False)
        return Inception()

    models = type("models", (), {"inception_v3": made})
    monkeypatch.setitem(sys.modules, "torchvision", type("torchvision", (), {"models": models}))
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    distances._inception_network.cache_clear()
    yield tmp_path / "checkpoints"
    distances._inception_network.cache_clear()


def test_without_the_weights_of_inception_the_distance_of_bands_is_taken(hub):
    assert distances.picture_features() == ("bands", distances.bands)


def test_inception_is_taken_where_torchvision_and_weights_are_at_hand(hub, planted):
    network = Inception()
    network.gain.data.fill_(2.0)
    torch.save(network.state_dict(), hub / distances.INCEPTION)
    name, features = distances.picture_features()
    assert name == "inception"
    for channels in (1, 3, 4):
        assert features(torch.full((1, channels, 64, 48), 0.25)) == pytest.approx([0.5] * 3)
    done = evaluate(planted, [RoundTrip(most=3)], own(planted), samples=3)
    means = done.summary()["round trip"]
    assert means["no edit"]["frechet_inception"] == pytest.approx(0, abs=1e-6)
    assert means["default"]["frechet_inception"] > 0
    assert "frechet_bands" not in means["default"]
    assert "Fréchet of torchvision's Inception-v3" in done.to_markdown()
    assert "inception" not in done.to_dict()["rows"][0]


@pytest.mark.parametrize("held", [b"", b"something", None])
def test_a_file_of_inception_that_holds_something_else_is_named(held, hub):
    path = hub / distances.INCEPTION
    torch.save({"other": torch.ones(1)}, path) if held is None else path.write_bytes(held)
    with pytest.raises(ValueError, match=r"inception_v3_google.* does not hold weights of Inception-v3"):
        distances.inception(torch.zeros(1, 3, 64, 64))


def test_a_distance_is_marked_if_it_exceeds_the_least_by_more_than_twice_the_error_of_the_pairs():
    rows = []
    for sample in range(8):
        hard = 10.0 * sample  # samples differ much more than ways do
        for way, distance in (
            ("best", hard),
            ("same", hard + (-1) ** sample),
            ("worse", hard + 1 + 0.1 * (sample % 2)),
        ):
            rows.append({"experiment": "e", "way": way, "sample": sample, "distance": distance, "reason": "arrived"})
    table = {line.split("|")[1].strip(): line for line in Evaluation(tuple(rows), {}).to_markdown().splitlines()[2:]}
    assert "▲" in table["worse"]
    assert "▲" not in table["best"] + table["same"]


def test_only_runs_that_say_so_have_arrived():
    rows = [
        {"experiment": "e", "way": "w", "sample": n, "reason": reason}
        for n, reason in enumerate(["arrived", "near", "stalled", "capped"])
    ]
    rows.append({"experiment": "e", "way": "no edit", "sample": 0, "reason": ""})
    means = Evaluation(tuple(rows), {}).summary()["e"]
    assert means["w"]["arrived"] == 50
    assert "arrived" not in means["no edit"]


def test_every_engine_is_a_way_and_those_that_look_for_handles_take_trackers(planted):
    ways = engine_ways(planted, ["flow"])
    pulling = [name for name in engine_names("gan") if not engine_named(name).jumps]
    assert [way.name for way in ways] == ["no edit", *pulling, "draggan, flow", "natural, flow"]
    ws = planted.mapping(seed=1)
    start = planted.centre(ws).numpy()
    for name in ("draggan", "stabledrag", "gooddrag"):
        config = default_config(planted, name).replace(block=3, max_steps=60)
        result = Way(name, config, "flow").drag(planted, ws, [start], [start + np.array([6, 2])], 60, {})
        assert result.reason == "arrived"
        assert planted.centre(result.ws).numpy() == pytest.approx(start + np.array([6, 2]), abs=1.5)
        assert len(result.history) == result.steps + 1
    natural = default_config(planted, "natural")
    result = Way("natural", natural, "flow").drag(planted, ws, [start], [start + np.array([6, 2])], 60, {})
    assert result.reason in ("arrived", "near")
    with pytest.raises(ValueError, match="has a tracker, but the engine freedrag tracks nothing"):
        Way("mine", default_config(planted, "freedrag"), "flow")


def test_predictors_are_ways_alone_and_as_a_first_jump_where_there_are_some_for_the_model():
    model = predictors.planted()
    give(model, predictors.trained("autodraggan"))
    ways = {way.name: way for way in engine_ways(model) if "Auto DragGAN" in way.name}
    after = "natural after Auto DragGAN"
    assert list(ways) == ["predicted: Auto DragGAN", after, "draggan after Auto DragGAN"]
    start, end = np.array([32.0, 32]), np.array([41.0, 36])
    jumped = ways["predicted: Auto DragGAN"].drag(model, predictors.bump(), [start], [end], 60, {})
    assert jumped.distances[0] < 5
    result = ways[after].drag(model, predictors.bump(), [start], [end], 60, {})
    assert result.reason == "arrived"
    assert ways[after].to_dict()["first"] == ["predicted", Predicted().to_dict()]
    assert "first" not in Way("mine", default_config(model)).to_dict()
    with pytest.raises(ValueError, match="mine has a first jump; give it a config, and no tracker"):
        Way("mine", None, first=Predicted())


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_writes_tables_and_figures_for_the_built_in_faces(tmp_path, capsys):
    arguments = ["evaluate", "faces", "--out", str(tmp_path), "--samples", "2", "--experiments", "landmarks5"]
    assert cli.main([*arguments, "--ways", "no edit;default"]) == 0
    said = capsys.readouterr().out
    assert "landmarks, 5 points" in said
    assert (tmp_path / "results.md").read_text() == said
    means = json.loads((tmp_path / "results.json").read_text())["summary"]["landmarks, 5 points"]
    assert means["default"]["distance"] < 0.5 * means["no edit"]["distance"]
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 4


def test_the_command_compares_all_engines_and_goes_on_with_the_rows_there_are(tmp_path, capsys):
    arguments = ["evaluate", "faces", "--out", str(tmp_path), "--engines", "--trackers", "features:5"]
    arguments += ["--experiments", "landmarks1,landmarks5", "--ways", "no edit;gooddrag;draggan, features:5"]
    assert cli.main([*arguments, "--samples", "1,2"]) == 0
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert [(row["experiment"][-7:], row["way"], row["sample"]) for row in rows[:3]] == [
        ("1 point", "no edit", "0"),
        ("1 point", "gooddrag", "0"),
        ("1 point", "draggan, features:5", "0"),
    ]
    assert len(rows) == 3 * (1 + 2)
    for row in rows:
        assert float(row["mahalanobis2"]) > 0 or row["way"] == "no edit"
        assert float(row["identity"]) >= 0
    assert float(rows[1]["distance"]) < 0.5 * float(rows[0]["distance"])
    done = len((tmp_path / "rows.jsonl").read_text().splitlines())
    assert cli.main([*arguments, "--samples", "1,2"]) == 0
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == done
    table = Evaluation.from_csv((tmp_path / "results.csv").read_text()).to_markdown()
    assert "arrived, %" in table
    assert [line.split("|")[1:3] for line in table.splitlines() if "gooddrag" in line] == [
        line.split("|")[1:3] for line in (tmp_path / "results.md").read_text().splitlines() if "gooddrag" in line
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--experiments", "eyes"], "no experiment 'eyes'; there are landmarks1"),
        (["--ways", "mine"], "no way 'mine'; there are no edit; natural; official"),
        (["--samples", "0"], "at least 1"),
        (["--samples", "2,3"], "one number or one for each experiment"),
        (["--samples", "many"], "at least 1"),
        (["--trackers", "flow"], "--trackers needs --engines"),
        (["--engines", "--trackers", "eyes"], "no tracker 'eyes'; there are features, features:BLOCK"),
        (["--engines", "--ways", "official"], "no way 'official'; there are no edit; natural; draggan; freedrag"),
        (["--raft", "nowhere.pth"], "no weights of RAFT at"),
        (["--pips", "nowhere", "x.pth"], "no nets/pips.py"),
    ],
)
def test_the_command_says_what_is_wrong_before_anything_is_measured(arguments, says, tmp_path, capsys):
    assert cli.main(["evaluate", "faces", "--out", str(tmp_path / "out"), *arguments]) == 1
    assert any(each in capsys.readouterr().err for each in says.split("|"))
    assert not (tmp_path / "out").exists()


def test_the_command_makes_only_the_trackers_that_are_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cv2", None)
    arguments = ["evaluate", "faces", "--out", str(tmp_path / "out"), "--samples", "1", "--experiments", "roundtrip"]
    assert cli.main([*arguments, "--ways", "optical flow"]) == 1
    assert "optical flow needs OpenCV" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert cli.main([*arguments, "--ways", "no edit", "--raft", "nowhere.pth"]) == 0
    assert "round trip" in capsys.readouterr().out


def test_the_command_has_words_for_whatever_goes_wrong(tmp_path, monkeypatch, capsys):
    def broken(*arguments, **more):
        raise BrokenProcessPool("a process died")

    monkeypatch.setattr(evaluation, "evaluate", broken)
    assert cli.main(["evaluate", "faces", "--out", str(tmp_path), "--experiments", "roundtrip"]) == 1
    assert capsys.readouterr().err == f"BrokenProcessPool: a process died; what is done stands in {tmp_path}\n"
