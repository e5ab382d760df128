"""The engine ``natural``: few steps, near the first picture, and it goes on exactly wherever it went on."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import predictors
import pytest
import torch
from random_stylegan2 import small_stylegan2
from random_stylegan3 import small_stylegan3

from draggan_widget import DragConfig, DragGAN, drag, load_generator
from draggan_widget.editing import Session
from draggan_widget.engines import DivergedError, Natural, State, begin_with, default_config, engine_names
from draggan_widget.engines.common.geometry import Frame
from draggan_widget.engines.natural import Metric, engine, mahalanobis
from draggan_widget.engines.natural.metric import Unlikeness
from draggan_widget.engines.natural.motion import Reading
from draggan_widget.engines.natural.solving import FEW, Linear, least_change
from draggan_widget.engines.predicted import forget, give
from draggan_widget.models import StyleGAN2, WPlus


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DRAGGAN_WIDGET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def wide():
    """A random StyleGAN2 with as many features as can be followed."""
    return small_stylegan2(w_dim=64, z_dim=64, channels={4: 48, 8: 48, 16: 48, 32: 48, 64: 24})


def difference(model, one, other):
    with torch.no_grad():
        return (model.synthesize(one) - model.synthesize(other)).clamp(-2, 2).abs()[0].mean(0).numpy() * 127.5


def pulls(model, count):
    """Pulls of an eighth of the picture from places in its middle half."""
    height, width = model.resolution
    random = np.random.RandomState(4)
    for seed in range(count):
        start = np.array([width, height]) * (0.25 + 0.5 * random.rand(2))
        angle = 2 * np.pi * random.rand()
        yield seed, start, start + height / 12 * np.array([np.cos(angle), np.sin(angle)])


# --- the metric ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("own", "common", "stiff"), [(1.0, 0.05, False), (0.0, 1.0, False), (1.0, 0.0, True)])
def test_a_metric_is_inverted_as_if_solved_anew_each_time(wide, own, common, stiff):
    covariance = wide.space.metric().covariance.float()
    metric = Metric.of(covariance, wide.num_ws, 8, own, common)
    if stiff:
        metric = metric.stiffened(torch.linspace(0, 50, wide.num_ws))
    for seed in range(3):
        change = torch.from_numpy(np.random.RandomState(seed).randn(wide.num_ws, wide.w_dim))
        inner = torch.linalg.solve(covariance.double(), change.T).T
        anew = torch.linalg.pinv(metric.rows.double()) @ inner
        torch.testing.assert_close(metric.dual(change), anew, rtol=1e-12, atol=1e-12 * anew.abs().max().item())


def test_latents_that_do_not_differ_are_refused_in_a_sentence_that_names_the_way_out():
    model = small_stylegan2()
    with torch.no_grad():
        for weight in model.network["mapping"].parameters():
            weight.zero_()
    with pytest.raises(ValueError, match=r"makes the same latent of every seed.*choose the engine draggan"):
        drag(model, model.mapping(seed=1), [(20, 20)], [(30, 20)], config=Natural())


# --- pulls ---------------------------------------------------------------------------------------------------------


def test_it_arrives_as_often_as_draggan_in_at_most_half_of_its_steps_and_stays_nearer_where_it_may(wide):
    natural, usual, far, near = [], [], [], []
    for seed, start, target in pulls(wide, 4):
        ws = wide.mapping(seed=seed)
        mine = drag(wide, ws, [start], [target], config=Natural())
        least = drag(wide, ws, [start], [target], config=Natural(locality=0.0))
        theirs = drag(wide, ws, [start], [target], config=DragConfig())
        natural.append((mine.reason in ("arrived", "near"), mine.steps))
        usual.append((theirs.reason == "arrived", theirs.steps))
        covariance = wide.space.metric().covariance
        near.append(mahalanobis(covariance, least.ws - ws))
        far.append(mahalanobis(covariance, theirs.ws - ws))
    assert sum(arrived for arrived, _ in natural) >= sum(arrived for arrived, _ in usual)
    assert np.median([steps for _, steps in natural]) <= np.median([steps for _, steps in usual]) / 2
    assert np.median(near) < np.median(far)


def seeded(seed):
    """A small network for pictures that are higher than wide, of random weights."""
    channels = {4: 16, 8: 16, 16: 16, 32: 8}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return StyleGAN2((32, 16), z_dim=16, w_dim=16, channels=channels, mapping_lr_multiplier=1.0)


@pytest.mark.parametrize(
    "model",
    [
        lambda: small_stylegan2(32, architecture="resnet"),
        lambda: seeded(0),
        lambda: small_stylegan2(32, img_channels=1),
        lambda: small_stylegan2(32, c_dim=2),
        lambda: small_stylegan3(32),
    ],
    ids=["resnet", "narrow", "grey", "classes", "stylegan3"],
)
def test_every_kind_of_network_is_dragged_and_none_leaves_the_best_behind(model):
    model = model()
    label = {"label": 1} if model.label_dim else {}
    height, width = model.resolution
    start = (width / 2, height / 2)
    result = drag(model, model.mapping(seed=2, **label), [start], [(width / 2 + 2, height / 2 + 2)], config=Natural())
    assert result.reason in ("arrived", "near", "stalled")
    left = [record.distances.max() for record in result.history]
    assert all(after <= before for before, after in itertools.pairwise(left))
    assert left[-1] < left[0]


def test_a_target_that_moves_between_steps_restarts_nothing_and_pulling_back_gives_the_first_picture(wide):
    ws = wide.mapping(seed=3)
    state = begin_with(wide, ws, [(1, (30, 30), (34, 30))], None, Natural(tolerance=0.5))
    (state,) = state.advance()
    reference = state.memory.references[1]
    state = state.move_target(1, (30, 33))
    assert state.memory.references[1] is reference
    assert state.memory.base is state.w0
    (state,) = state.advance()
    assert not torch.equal(state.ws, ws)
    (state,) = state.move_target(1, (30, 30)).advance()
    assert state.verdict == "arrived"
    assert torch.equal(state.ws, ws)


def test_a_shorter_step_goes_less_far_on_the_same_way_even_far_from_the_beginning(wide):
    state = begin_with(wide, wide.mapping(seed=3), [(1, (30, 30), (45, 30))], None, Natural(stride=10, max_steps=50))
    for _ in range(3):
        (state,) = state.advance()
    state = state.move_target(1, (45, 40))  # what it has done is not all of what is asked for now
    ways = []
    for reach in (1.0, 0.5, 0.25):
        (step,) = state.bound.advance(state.edit, dataclasses.replace(state.memory, reach=reach))
        ways.append((step.edit.latent - state.ws).flatten())
    for longer, shorter in itertools.pairwise(ways):
        assert shorter.norm() > 0
        assert (longer - 2 * shorter).norm() < 0.01 * longer.norm()


def test_many_points_are_solved_for_together_and_come_nearer(wide, monkeypatch):
    ws = wide.mapping(seed=3)
    places = [(x, y) for x in (14, 24, 34, 44) for y in (14, 30, 46)]
    assert len(places) > FEW
    passes = []
    counted = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: (passes.append(1), counted(*a, **k))[1])
    state = begin_with(wide, ws, [(n, xy, (xy[0] + 2, xy[1])) for n, xy in enumerate(places)], None, Natural())
    (after,) = state.advance()
    assert len(passes) < 2 * len(places)
    assert np.square(after.distances).mean() < 0.8 * np.square(state.distances).mean()


def test_how_many_points_should_move_is_told_as_their_jacobian_says(wide):
    handles = np.array([(x, y) for x in (14.0, 24.0, 34.0, 44.0) for y in (14.0, 30.0, 46.0)])
    wanted = np.random.RandomState(5).randn(*handles.shape)
    leaf = wide.mapping(seed=3).requires_grad_()
    motion = Reading(wide, 4, Frame.of(wide.resolution, 12, 24)).motion(leaf, handles, {})
    metric = Metric.of(wide.space.metric().covariance.float(), wide.num_ws, 8, 1.0, 0.05)
    change, told = least_change(Linear(motion, None, None), metric, wanted, torch.zeros_like(leaf[0]), 1e-2)
    moved = torch.einsum("krd,rd->k", motion.jacobian(), change).numpy().reshape(-1, 2)
    assert np.linalg.norm(told - moved) < 0.1 * np.linalg.norm(moved), "but for what is not linear"
    assert np.linalg.norm(told - wanted) < np.linalg.norm(wanted)


@pytest.mark.parametrize(
    ("count", "times"), [(1, 1), (2, engine.FIRMER), (FEW, engine.FIRMER), (FEW + 1, engine.SOFTER)]
)
def test_targets_of_several_points_are_firmer_and_those_of_many_softer(wide, monkeypatch, count, times):
    asked, solve = [], engine.least_change
    monkeypatch.setattr(engine, "least_change", lambda *given: (asked.append(given[-1]), solve(*given))[1])
    places = [(x, y) for x in (14, 24, 34, 44) for y in (14, 30, 46)][:count]
    points = [(n, (x, y), (x + 2, y)) for n, (x, y) in enumerate(places)]
    begin_with(wide, wide.mapping(seed=3), points, None, Natural(damping=0.02)).advance()
    assert asked == [pytest.approx(0.02 * times)]


def test_many_points_end_where_steps_bring_little(wide):
    places = [(x, y) for x in (14, 24, 34, 44) for y in (14, 30, 46)]
    # Neighbours are pulled in opposite ways, so that not all can arrive.
    points = [(n, (x, y), (x + 2 * (-1) ** n, y)) for n, (x, y) in enumerate(places)]
    state, left = begin_with(wide, wide.mapping(seed=3), points, None, Natural()), []
    while state.verdict is None:
        left.append(np.sqrt(np.square(state.distances).mean()))
        (state,) = state.advance()
    left.append(np.sqrt(np.square(state.distances).mean()))
    assert state.verdict in ("near", "stalled")
    assert left == sorted(left, reverse=True)
    assert left[-1] < 0.9 * left[0]
    assert len(left) < 12, "it ends soon after"


def test_a_short_step_in_a_small_picture_goes_where_it_was_predicted_to_go():
    # A cell of the map is 4 of its 64 pixels, so a disc of r1 has no slope, and a larger one moves in another way.
    small, random, met = small_stylegan2(64), np.random.RandomState(4), []
    for seed in range(8):
        start, angle = 64 * (0.25 + 0.5 * random.rand(2)), 2 * np.pi * random.rand()
        pull = 1, start, start + 5 * np.array([np.cos(angle), np.sin(angle)])
        state = begin_with(small, small.mapping(seed=seed), [pull], None, Natural(stride=1.0))
        (after,) = state.advance()
        met.append(after.report["met"])
    assert min(met) > 0.2
    assert np.median(met) > 0.6


def test_pulls_in_small_pictures_of_random_weights_arrive_in_few_steps():
    results = []
    for settings in ({}, {"img_channels": 1}, {"architecture": "resnet"}):
        small = small_stylegan2(64, **settings)
        results += [drag(small, small.mapping(seed=seed), [start], [end]) for seed, start, end in pulls(small, 6)]
    assert sum(result.distances.max() <= 1 for result in results) >= 13
    assert np.median([result.steps for result in results]) <= 6


@pytest.mark.parametrize("name", ["faces-1", "faces"])
def test_mask_and_locality_hold_the_rest_of_a_face_while_the_handle_arrives(name):
    faces = load_generator(name)
    ws = faces.mapping(seed=910_001, truncation=0.7)
    start, target = (124, 142), (130, 146)
    y, x = np.mgrid[:256, :256]
    outside = np.hypot(x - 127, y - 144) > 30
    mask = (~outside).astype(np.float32)
    changed, steps, blended = {}, {}, None
    for way, settings, given in (
        ("free", Natural(locality=0.0), None),
        ("mask", Natural(blend="none"), mask),
        ("blended", Natural(), mask),
        ("locality", Natural(locality=1.0), None),
    ):
        result = drag(faces, ws, [start], [target], mask=given, config=settings)
        assert result.reason in ("arrived", "near")
        blended = result if way == "blended" else blended
        changed[way] = difference(faces, ws, result.ws)[outside].mean()
        steps[way] = result.steps
    assert changed["mask"] <= 1.5
    assert max(changed["mask"], changed["locality"]) < 0.5 * changed["free"]
    # What blended pictures show nothing of takes no steps.
    assert steps["blended"] < steps["mask"]
    assert changed["blended"] < changed["free"]
    shown, before = (np.asarray(each, float) for each in (blended.image, blended.before))
    assert np.abs(shown - before)[outside].mean() <= 0.15


# --- what can go wrong ---------------------------------------------------------------------------------------------


def test_two_handles_on_one_spot_with_targets_apart_are_told_and_nothing_is_lost(generator):
    points = [(1, (20, 20), (28, 20)), (7, (20, 20), (12, 20))]
    state = begin_with(generator, generator.mapping(seed=3), points, None, Natural())
    with pytest.raises(ValueError, match="points 1 and 7 have their handles on one spot and their targets apart"):
        state.advance()
    assert state.move_target(7, (28, 20)).advance()[0].step == 1


def test_where_the_picture_is_the_same_everywhere_the_point_is_named():
    model = small_stylegan2(32)
    with torch.no_grad():
        for name, weight in model.network["synthesis"].state_dict().items():
            if name.endswith(("const", "noise_strength", "bias")) and "affine" not in name:
                weight.zero_()
    with pytest.raises(ValueError, match="around the handle of point 1 the picture is the same"):
        drag(model, model.mapping(seed=1), [(16, 16)], [(20, 16)], config=Natural())


def test_a_network_that_is_not_finite_is_told_in_a_sentence(generator):
    model = small_stylegan2()
    state = begin_with(model, model.mapping(seed=1), [(1, (20, 20), (28, 20))], None, Natural())
    with torch.no_grad():
        model.network["synthesis"]["b8"].conv1.bias.fill_(float("nan"))
    with pytest.raises(DivergedError, match="the best so far, is kept"):
        state.advance()
    assert torch.isfinite(state.ws).all()


def test_a_target_outside_the_picture_is_told_or_comes_as_near_as_it_can(generator):
    ws = generator.mapping(seed=3)
    state = begin_with(generator, ws, [(1, (60, 30), (60, 34))], None, Natural())
    with pytest.raises(ValueError, match="target"):
        state.move_target(1, (90, 30))
    assert state.advance()[0].step == 1


def test_more_points_than_the_latent_has_directions_never_leave_the_best_behind(generator):
    places = [(x, y) for x in range(8, 60, 6) for y in range(8, 60, 6)]
    points = [(n, xy, (xy[0] + (-1) ** n * 3, xy[1])) for n, xy in enumerate(places)]
    assert 2 * len(points) > generator.w_dim
    settings = Natural(own=0.0)  # W: one row for all of them
    state = begin_with(generator, generator.mapping(seed=3), points, None, settings)
    left = [np.square(state.distances).mean()]
    for _ in range(2):
        (state,) = state.advance()
        left.append(np.square(state.distances).mean())
        assert torch.isfinite(state.ws).all()
    assert left == sorted(left, reverse=True)


def test_latents_of_classes_alone_fill_few_directions_and_are_dragged_all_the_same():
    model = small_stylegan2(32, c_dim=3, z_dim=0)
    assert np.linalg.matrix_rank(model.space.metric().covariance.numpy(), tol=1e-3) < model.w_dim
    result = drag(model, model.mapping(seed=1, label=1), [(16, 16)], [(18, 17)], config=Natural())
    assert torch.isfinite(result.ws).all()
    left = [record.distances.max() for record in result.history]
    assert all(after <= before for before, after in itertools.pairwise(left))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_latent_or_a_target_that_is_not_finite_is_refused(generator, bad):
    ws = generator.mapping(seed=3)
    with pytest.raises(ValueError, match="finite|inside"):
        begin_with(generator, ws, [(1, (20, 20), (bad, 20))], None, Natural())
    broken = ws.clone()
    broken[0, 0, 0] = bad
    with pytest.raises(ValueError, match="finite"):
        begin_with(generator, broken, [(1, (20, 20), (30, 20))], None, Natural())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"own": 0, "common": 0}, "own and common are both 0"),
        ({"block": (2, 3)}, r"block is \(2, 3\); how content moves is read from one block"),
        ({"locality": 2}, "locality is 2; it must be a number from 0 to 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        Natural(**settings)


def test_a_block_that_the_model_lacks_is_named(generator):
    with pytest.raises(ValueError, match="there is no block 9; this generator has blocks 1 to 5"):
        State.begin(generator, generator.mapping(seed=1), Natural(track_block=9))


# --- in the house --------------------------------------------------------------------------------------------------


def test_its_file_goes_on_exactly_with_the_covariance_it_was_made_with(generator, tmp_path, monkeypatch):
    path = tmp_path / "a.drag"
    editor = DragGAN(generator, seed=3, config=Natural(stride=12.0))
    editor.points = [{"handle": [20, 20], "target": [34, 26]}]
    editor.step_once()
    editor.step_once()
    editor.save(path)
    editor.step_once()
    there = editor.latent
    editor.close()
    there_too = generator.space.metric()
    other = dataclasses.replace(there_too, covariance=torch.eye(generator.w_dim))  # that of another machine
    monkeypatch.setattr(WPlus, "metric", lambda *_: other)
    again = DragGAN.load(path, model=generator)
    try:
        assert (again.engine, again.config, again.step) == ("natural", Natural(stride=12.0), 2)
        again.step_once()
        assert (again.latent == there).all()
    finally:
        again.close()


def test_it_runs_in_the_session_with_undo_timeline_and_confidence(generator):
    session = Session(generator, seed=3, config=Natural())
    try:
        session.put_point(1, handle=(20, 20), target=(28, 20))
        session.start()
        assert session.finished().result(30).reason in ("arrived", "near", "stalled")
        after = session.now()
        assert 0 <= after.drag.confidence[1] <= 1
        assert [record.step for record in after.records] == list(range(after.drag.step + 1))
        session.branch(1).result(30)
        session.undo().result(30)
        assert torch.equal(session.now().drag.ws, after.drag.ws)
        session.undo().result(30)
        assert session.now().drag.step == 0
    finally:
        session.close()


@pytest.mark.parametrize("engine", engine_names("gan"))
def test_what_a_point_is_followed_by_is_the_same_object_each_time_it_is_asked_for(generator, engine):
    if engine == "predicted":
        give(generator, predictors.speechless(generator))
    settings = default_config(generator, engine)
    state = begin_with(generator, generator.mapping(seed=1), [(1, (9, 9), (12, 9))], None, settings)
    (after,) = state.advance()
    forget(generator)
    assert after.content(1) is not None
    assert after.content(1) is after.content(1)


def test_it_is_the_default_and_draggan_is_chosen_by_name(generator):
    assert engine_names()[:2] == ("natural", "draggan")
    editor = DragGAN(generator, seed=3)
    try:
        assert editor.engine == "natural"
        assert editor.config == Natural()
        editor.points = [{"handle": [20, 20], "target": [30, 20]}]
        editor.engine = "draggan"
        assert editor.config == generator.drag_config
        editor.step_once()
        editor.undo()
        editor.undo()
        assert editor.engine == "natural"
    finally:
        editor.close()


def test_a_pull_that_is_how_people_differ_is_not_asked_to_keep_who_is_shown():
    faces = load_generator("faces")
    ws = faces.mapping(seed=9, truncation=0.7)
    wings = (110, 153), (134, 152)
    for pulls, dear in (((-8, 8), 0.0), ((-8, -8), Natural().same_person)):
        wanted = [(n, (x, y), (x + by, y)) for n, ((x, y), by) in enumerate(zip(wings, pulls, strict=True))]
        state = begin_with(faces, ws, wanted, None, Natural())
        assert state.memory.same_person == Natural().same_person
        (state,) = state.advance()
        assert state.memory.same_person == dear
        while state.verdict is None:
            (state,) = state.advance()
        assert state.verdict == "arrived"
    (state,) = begin_with(faces, ws, wanted[:1], None, Natural()).move_target(0, (104, 150)).advance()
    assert state.memory.same_person == Natural().same_person


def test_a_pull_beyond_what_the_models_pictures_can_do_ends_before_the_picture_falls_apart():
    figures = load_generator("figures")
    ws, covariance = figures.mapping(seed=6, truncation=0.7), figures.space.metric().covariance
    unlike = Unlikeness(covariance)
    samples = [figures.mapping(seed=seed) for seed in range(40)]
    between = np.mean([unlike((a - b)[0, :5]) for a, b in itertools.pairwise(samples)])
    assert unlike.typical == pytest.approx(between, rel=0.15)
    state = begin_with(figures, ws, [(1, (111, 108), (111, 4))], None, Natural())
    while state.verdict is None:
        (state,) = state.advance()
    assert state.verdict == "stalled"
    gone = unlike((state.ws - ws)[0, :5])
    assert 0.05 * between < gone < 0.25 * between
    assert 5 < state.edit.distances.max() < 80
    (state,) = state.move_target(1, (111, 108)).advance()
    assert torch.equal(state.ws, ws)
