"""How local a pull of ``natural`` is: what else moves is spared as far as the change stays a plausible one."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from random_stylegan2 import small_stylegan2
from random_stylegan3 import small_stylegan3

from draggan_widget import drag, load_generator
from draggan_widget.directions import Directions
from draggan_widget.engines import Natural, State, begin_with
from draggan_widget.engines.natural import Metric, mahalanobis, sparing
from draggan_widget.engines.natural.looks import DEAR, LOOKS, SEED, TRUNCATION, measured
from draggan_widget.engines.natural.metric import Sparing
from draggan_widget.engines.natural.sparing import PLACES, Rest, places, rest_of
from draggan_widget.engines.natural.staying import rows_of
from draggan_widget.models import TunedCopy, fingerprint
from draggan_widget.models.lasting import lasting
from draggan_widget.models.mapped import Mapped


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    """One cache for all, so that what takes long is computed once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRAGGAN_WIDGET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def wide():
    """A random StyleGAN2 with as many features as can be followed."""
    return small_stylegan2(w_dim=64, z_dim=64, channels={4: 48, 8: 48, 16: 48, 32: 48, 64: 24})


@pytest.fixture(scope="module")
def faces():
    return load_generator("faces")


def pictures(model, *latents):
    with torch.no_grad():
        return [model.synthesize(each).clamp(-1, 1)[0].mean(0).numpy() * 127.5 for each in latents]


# --- the metric ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stiff", [False, True])
def test_the_metric_that_spares_something_is_the_inverse_of_the_sum(wide, stiff):
    random = np.random.RandomState(0)
    plain = Metric.of(wide.space.metric().covariance, wide.num_ws, wide.num_ws, 1.0, 0.05)
    rows = torch.from_numpy(random.randn(5, 3, wide.w_dim))
    metric = plain.sparing(Sparing.of(plain, rows), 0.7)
    if stiff:
        stiffness = torch.linspace(0, 5, wide.num_ws, dtype=torch.float64)
        metric, plain = metric.stiffened(stiffness), plain.stiffened(stiffness)
    whole = torch.kron(plain.rows, plain.columns.covariance)
    spared = torch.cat([rows, rows.new_zeros(5, wide.num_ws - 3, wide.w_dim)], dim=1).flatten(1)
    stiffer = torch.linalg.inv(whole) + 0.7 * spared.T @ spared
    change = torch.from_numpy(random.randn(wide.num_ws, wide.w_dim))
    torch.testing.assert_close(metric.dual(change).flatten(), stiffer @ change.flatten(), rtol=1e-6, atol=1e-6)
    spread = torch.linalg.solve(stiffer, change.flatten())
    torch.testing.assert_close(metric.spread(change[None])[0].flatten(), spread, rtol=1e-6, atol=1e-8)


def test_nothing_weighs_nothing(wide):
    plain = Metric.of(wide.space.metric().covariance, wide.num_ws, 6, 1.0, 0.05)
    rows = torch.zeros(4, 2, wide.w_dim, dtype=torch.float64)
    assert plain.sparing(Sparing.of(plain, rows), 0.0) is plain
    change = torch.from_numpy(np.random.RandomState(1).randn(1, wide.num_ws, wide.w_dim))
    assert torch.equal(plain.sparing(Sparing.of(plain, rows), 3.0).spread(change), plain.spread(change))


# --- what else moves -----------------------------------------------------------------------------------------------


def test_how_the_rest_moves_is_computed_once_and_the_same_with_any_number_of_threads(wide, tmp_path, monkeypatch):
    monkeypatch.setenv("DRAGGAN_WIDGET_CACHE", str(tmp_path))
    found, threads = [], torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            wide.mapped._found.clear()
            found.append(rest_of(wide, None, wide.blocks[-1]).clone())
            for file in tmp_path.glob("rest*"):
                file.unlink()
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*found)
    assert found[0].shape[0] == 2 * PLACES**2 + LOOKS
    assert found[0].abs().max() > 0
    monkeypatch.setattr(sparing, "_measured", lambda *_: pytest.fail("it was computed already"))
    assert torch.equal(rest_of(wide, None, wide.blocks[-1]), found[0])


def test_looks_count_as_much_more_than_motion_as_they_should(wide):
    rows = rest_of(wide, None, wide.blocks[-1])
    spread = torch.einsum("krd,de,kre->k", rows, wide.space.metric().covariance, rows)
    motion, looks = spread[: 2 * PLACES**2].sum() / PLACES**2, spread[2 * PLACES**2 :].sum()
    assert float(looks / motion) == pytest.approx(DEAR**2, rel=1e-6)


def test_rows_of_looks_say_how_smooth_colours_change_when_nothing_moves(wide):
    """Against difference quotients, in a model whose latents move no place."""
    wide = copy.deepcopy(wide).double()
    block, rows = 4, rows_of(wide, 4)
    still = torch.zeros(PLACES**2, 2, rows, wide.w_dim, dtype=torch.float64)
    found = torch.stack(list(measured(wide, None, block, still, PLACES)))
    assert found.shape == (LOOKS, rows, wide.w_dim)
    random, direction = (
        np.random.RandomState(SEED),
        torch.randn(1, rows, wide.w_dim, generator=torch.manual_seed(0)).double(),
    )
    size = wide.map_size(block)[0]
    middles = (np.arange(PLACES) + 0.5) * size / PLACES - 0.5
    windows = np.exp(-0.5 * ((np.arange(size) - middles[:, None]) / (size / PLACES / 2)) ** 2)
    windows /= windows.sum(axis=1, keepdims=True)
    for number in range(4):
        signs = random.choice([-1.0, 1.0], (3, PLACES, PLACES))
        ws = wide.mapping(seed=SEED + number, truncation=TRUNCATION)
        change = torch.nn.functional.pad(1e-6 * direction, (0, 0, 0, wide.num_ws - rows))
        with torch.no_grad():
            ahead, behind = (wide.preview(ws + sign * change, block)[0].double().numpy() for sign in (1, -1))
        smooth = np.einsum("yi,cij,xj->cyx", windows, (ahead - behind) / 2e-6, windows)
        said = float((found[number] * direction[0]).sum())
        assert said == pytest.approx(float((signs * smooth).sum()), rel=1e-4)


def test_what_colours_do_because_they_move_is_no_change_of_looks(wide):
    """A motion takes out of the row what the slope of the colours makes of it."""
    block, rows = 4, rows_of(wide, 4)
    still = torch.zeros(PLACES**2, 2, rows, wide.w_dim, dtype=torch.float64)
    moving = still.clone()
    moving[:, 0, 0, 0] = 1.0  # the first number of the first row takes all places to the right
    plain, less = (next(measured(wide, None, block, motion, PLACES)) for motion in (still, moving))
    difference = less - plain
    signs = np.random.RandomState(SEED).choice([-1.0, 1.0], (3, PLACES, PLACES))
    with torch.no_grad():
        picture = wide.preview(wide.mapping(seed=SEED, truncation=TRUNCATION), block)[0].double().numpy()
    size = picture.shape[1]

    def seen(shift):
        middles = (np.arange(PLACES) + 0.5) * size / PLACES - 0.5
        down, across = (
            np.exp(-0.5 * ((np.arange(size) - middles[:, None] - by) / (size / PLACES / 2)) ** 2) for by in (0, shift)
        )
        # A window near the border loses what is beyond it; its sum stays that of the window that has not moved.
        whole = np.exp(-0.5 * ((np.arange(size) - middles[:, None]) / (size / PLACES / 2)) ** 2).sum(axis=1)
        down, across = down / whole[:, None], across / whole[:, None]
        return float((signs * np.einsum("yi,cij,xj->cyx", down, picture, across)).sum())

    slope = (seen(1e-3) - seen(-1e-3)) / 2e-3 * size / wide.resolution[1]
    assert float(difference[0, 0]) == pytest.approx(slope, rel=1e-3)
    difference[0, 0] = 0
    assert float(difference.abs().max()) == 0


@pytest.mark.parametrize("make", [lambda: small_stylegan2(architecture="resnet"), small_stylegan3])
def test_a_model_without_coarse_pictures_has_the_motion_of_places_alone(make):
    model = make()
    assert not model.has_previews
    assert rest_of(model, None, model.blocks[-1]).shape[0] == 2 * PLACES**2


def test_other_weights_of_the_synthesis_have_another_rest(wide):
    other = small_stylegan2(w_dim=64, z_dim=64, channels={4: 48, 8: 48, 16: 48, 32: 48, 64: 24})
    before = rest_of(other, None, other.blocks[-1]).clone()
    with torch.no_grad():
        weight = next(value for name, value in other.named_parameters() if "mapping" not in name and value.ndim == 4)
        weight[:1] *= 3
    assert not torch.equal(rest_of(other, None, other.blocks[-1]), before)


def test_places_lie_all_over_a_picture_of_any_shape():
    where = places((64, 32))
    assert where.shape == (PLACES**2, 2)
    assert np.allclose(where.mean(axis=0), (15.5, 31.5))
    assert np.allclose(where.min(axis=0), (1.5, 3.5))


# --- how much it weighs --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def asked(wide):
    """What else moves, and how two handles do, of random numbers."""
    random = np.random.RandomState(2)
    metric = Metric.of(wide.space.metric().covariance, wide.num_ws, 6, 1.0, 0.05)
    rows = torch.from_numpy(random.randn(2 * PLACES**2, 4, wide.w_dim))
    jacobian = torch.zeros(2, wide.num_ws, wide.w_dim, dtype=torch.float64)
    # The handle moves as a place does, and in a way of its own.
    jacobian[:, :4] = rows[40:42] + 0.3 * torch.from_numpy(random.randn(2, 4, wide.w_dim))
    return metric, Rest(metric, rows, wide.resolution, np.array([[8.0, 8.0]])), jacobian


def change_with(asked, wanted, locality):
    """The weight, the whole change, what it costs in the plain metric, and how much else moves by it."""
    metric, rest, jacobian = asked
    weight = rest.weight(jacobian, wanted, locality, 1e-9)
    spread = metric.sparing(rest.sparing, weight).spread(jacobian)
    system = torch.einsum("krd,lrd->kl", spread, jacobian)
    change = torch.einsum("k,krd->rd", torch.linalg.solve(system, wanted), spread)
    moved = torch.einsum("krd,rd->k", rest.sparing.rows, change[: rest.sparing.rows.shape[1]])
    return weight, change, metric.distance(change), float(moved.square().sum())


def test_a_pull_is_the_more_local_the_more_it_is_asked_to_be_and_costs_the_more(asked):
    wanted = torch.tensor([3.0, 1.0], dtype=torch.float64)
    found = [change_with(asked, wanted, locality) for locality in (0.0, 0.1, 0.2, 0.35, 0.5)]
    assert found[0][0] == 0
    for (less, _, cheap, more_moves), (more, _, dear, less_moves) in itertools.pairwise(found):
        assert more >= less
        assert dear >= cheap * (1 - 1e-9)
        assert less_moves <= more_moves * (1 + 1e-9)
    assert found[-1][3] < 0.8 * found[0][3]


def test_a_pull_costs_no_more_than_its_budget_to_be_local_unless_it_costs_that_anyway(asked):
    times = []
    for size in (0.03, 0.3, 3.0, 30.0, 300.0):
        wanted = size * torch.tensor([1.0, 0.5], dtype=torch.float64)
        (_, _, cost, _), (_, _, least, _) = change_with(asked, wanted, 0.5), change_with(asked, wanted, 0.0)
        # The less it costs anyway, the more times that may it cost.
        budget = min(sparing.BUDGET**2 / least, sparing.TIMES * least)
        assert cost <= max(budget, (1 + sparing.DEARER) * least) * (1 + 1e-6)
        times.append(cost / least)
    assert times[0] > 2 * times[-1]
    assert all(less <= more * (1 + 1e-6) for more, less in itertools.pairwise(times))


def test_a_change_that_costs_more_to_be_local_than_it_spares_is_not_local(asked, monkeypatch):
    metric, rest, _ = asked
    # As a nose that takes the head along: all places move with it, and little that is its own does.
    together = rest.sparing.rows.sum(dim=0)
    jacobian = torch.zeros(2, metric.rows.shape[0], together.shape[1], dtype=torch.float64)
    jacobian[:, : len(together)] = torch.stack([together, rest.sparing.rows[40]])
    own = torch.from_numpy(np.random.RandomState(4).randn(*together.shape))
    jacobian[0, : len(together)] += 0.1 * float(together.norm() / own.norm()) * own
    wanted, three = torch.tensor([1.0, 0.0], dtype=torch.float64), (metric, rest, jacobian)
    (_, _, cost, moves), (_, _, least, all_move) = (change_with(three, wanted, each) for each in (0.5, 0.0))
    assert cost * moves**sparing.SHARE <= (1 + sparing.FLAT) * least * all_move**sparing.SHARE
    monkeypatch.setattr(sparing, "FLAT", 1e9)
    assert change_with(three, wanted, 0.5)[2] > 2 * cost


def test_a_pull_twice_as_far_is_no_more_local_and_nothing_jumps_on_the_way(asked):
    way = torch.tensor([1.0, 0.5], dtype=torch.float64)
    sizes = np.geomspace(0.5, 50, 60)
    found = [change_with(asked, float(size) * way, 0.5) for size in sizes]
    weights = np.array([each[0] for each in found])
    assert (np.diff(weights) <= 1e-9 + 1e-3 * weights[:-1]).all()
    changes = [each[1] / size for each, size in zip(found, sizes, strict=True)]
    whole = max(float(each.norm()) for each in changes)
    assert max(float((a - b).norm()) for a, b in itertools.pairwise(changes)) < 0.2 * whole


# --- in a run ------------------------------------------------------------------------------------------------------


def test_what_the_rest_weighs_is_settled_by_a_pull_and_anew_by_the_next(wide):
    state = begin_with(wide, wide.mapping(seed=3), [(1, (30, 30), (44, 38))], None, Natural(stride=10))
    assert state.memory.weight is None
    weights = []
    for _ in range(3):
        (state,) = state.advance()
        weights.append(state.memory.weight)
    assert weights[0] is not None
    assert len(set(weights)) == 1
    assert state.move_target(1, (30, 33)).memory.weight is None


def test_a_file_keeps_how_the_rest_moves_and_one_from_before_goes_on_without(wide):
    state = begin_with(wide, wide.mapping(seed=3), [(1, (30, 30), (44, 38))], None, Natural(stride=10))
    (state,) = state.advance()
    tensors, values = state.bound.pack(state.memory)
    again = state.bound.unpack(state.edit, tensors, values)
    assert torch.equal(again.rest, state.memory.rest)
    assert again.weight == state.memory.weight
    del tensors["rest"], values["weight"]
    before = state.bound.unpack(state.edit, tensors, values)
    assert (before.rest, before.weight) == (None, None)
    (step,) = state.bound.advance(state.edit, before)
    assert step.memory.weight is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors, values: values.update(weight=-1.0), "weighs is no number"),
        (lambda tensors, values: values.update(weight=True), "weighs is no number"),
        (lambda tensors, values: tensors.pop("rest"), "weighs is no number"),
        (lambda tensors, values: tensors.update(rest=tensors["rest"][:3]), "is not told for this generator"),
        (lambda tensors, values: tensors.update(rest=tensors["rest"] * float("nan")), "is not told for this generator"),
        (lambda tensors, values: tensors.update(rest=tensors["rest"].double()), "is not told for this generator"),
    ],
)
def test_a_file_in_which_the_rest_is_broken_is_refused(wide, change, said):
    state = begin_with(wide, wide.mapping(seed=3), [(1, (30, 30), (44, 38))], None, Natural())
    (state,) = state.advance()
    tensors, values = state.bound.pack(state.memory)
    change(tensors, values)
    with pytest.raises(ValueError, match=said):
        state.bound.unpack(state.edit, tensors, values)


def test_without_locality_nothing_is_computed_of_the_rest(wide, monkeypatch):
    monkeypatch.setattr(sparing, "rest_of", lambda *_: pytest.fail("not asked for"))
    state = begin_with(wide, wide.mapping(seed=3), [(1, (30, 30), (34, 30))], None, Natural(locality=0.0))
    assert state.memory.rest is None
    (state,) = state.advance()
    assert state.memory.weight is None


def test_a_picture_of_nothing_spares_nothing(wide, monkeypatch):
    nothing = torch.zeros(2 * PLACES**2, 4, wide.w_dim, dtype=torch.float64)
    monkeypatch.setattr("draggan_widget.engines.natural.engine.rest_of", lambda *_: nothing)
    ends = [
        drag(wide, wide.mapping(seed=3), [(30, 30)], [(34, 30)], config=Natural(locality=locality)).ws
        for locality in (0.0, 0.5)
    ]
    assert torch.equal(*ends)


# --- what a person sees --------------------------------------------------------------------------------------------


def changes(model, seed, handles, targets, region, **settings):
    """How much a pull changes where ``region`` (H, W) is true, on the mean, and its result."""
    ws = model.mapping(seed=seed, truncation=0.7)
    result = drag(model, ws, handles, targets, config=Natural(**settings))
    before, after = pictures(model, ws, result.ws)
    return float(np.abs(after - before)[region].mean()), result


def test_a_lip_that_is_pulled_down_opens_the_mouth_and_the_rest_of_the_face_stays(faces):
    y, x = np.mgrid[:256, :256]
    rest = np.hypot(x - 124, y - 180) > 40
    pull = faces, 14, [(124, 174)], [(124, 187)], rest
    whole, _ = changes(*pull, locality=0.0)
    local, result = changes(*pull, locality=0.5)
    assert result.reason in ("arrived", "near")
    assert local < 0.65 * whole
    only, _ = changes(*pull, locality=0.9)
    assert only < local


@pytest.mark.parametrize("name", ["faces-1", "faces"])
def test_a_lid_that_is_pulled_down_leaves_the_head_where_it_is(name):
    faces = load_generator(name)
    y, x = np.mgrid[:256, :256]
    below = (y > 140) & (np.abs(x - 128) < 100)
    pull = faces, 31, [(94, 100), (103, 100)], [(94, 108), (103, 108)], below
    # Of what one and the same person does, to bow is nearer than to close an eye.
    whole, _ = changes(*pull, locality=0.0, same_person=0.0)
    local, result = changes(*pull, locality=0.5, same_person=0.0)
    assert result.reason == "arrived"
    assert local < 0.8 * whole
    assert mahalanobis(faces.space.metric().covariance, result.ws - faces.mapping(seed=31, truncation=0.7)) < 10


@pytest.mark.parametrize(("name", "share"), [("faces-1", 0.9), ("faces", 0.5)])
def test_lips_that_part_open_the_mouth_of_the_same_person(name, share):
    """What is read of the latent: the jaw opens, and sex, shape, skin and beard stay nearer than they would."""
    faces = load_generator(name)
    ws, directions = faces.mapping(seed=5, truncation=0.7), Directions(faces)
    lips = [(124, 172), (124, 184)], [(124, 162), (124, 198)]

    def read(same_person):
        result = drag(faces, ws, *lips, config=Natural(same_person=same_person))
        assert result.reason in ("arrived", "near")
        return changes_of(directions, ws, result.ws)

    def changes_of(directions, before, after):
        was, now = directions.measure(before), directions.measure(after)
        return {name: now[name] - was[name] for name in was}

    anyone, same = read(0.0), read(0.95)
    names = list(directions)
    last = [names[number] for number in lasting(faces)]
    assert len(last) > 40
    other = np.linalg.norm([anyone[name] for name in last])
    assert np.linalg.norm([same[name] for name in last]) < share * other
    assert same["jaw"] > anyone["jaw"] > 0


def test_how_one_person_differs_is_less_than_how_all_do(faces):
    within, whole = faces.space.within(), faces.space.metric().covariance
    assert torch.equal(within, within.T)
    assert float(torch.linalg.eigvalsh(within)[0]) > 0
    assert float(within.trace()) < 0.6 * float(whole.trace())
    readings = torch.stack([Directions(faces)[name].reading for name in ("sex", "hair_tone", "yaw", "smile")])
    left = [float(a @ within @ a / (a @ whole @ a)) for a in readings]
    assert max(left[:2]) < 0.3
    assert min(left[2:]) > 0.8


def test_a_model_of_which_nobody_knows_who_is_shown_has_no_such_measure(wide):
    assert wide.space.within() is None
    ends = [
        drag(wide, wide.mapping(seed=3), [(30, 30)], [(34, 30)], config=Natural(same_person=same_person)).ws
        for same_person in (0.0, 0.95)
    ]
    assert torch.equal(*ends)


def test_a_state_goes_on_when_the_same_person_is_dear_no_more(faces):
    ws = faces.mapping(seed=5, truncation=0.7)
    state = begin_with(faces, ws, [(1, (124, 184), (124, 198))], None, Natural())
    assert state.memory.same_person == 0.95
    (state,) = state.advance()
    anyone = begin_with(faces, ws, [(1, (124, 184), (124, 198))], None, Natural(same_person=0.0))
    memory = anyone.bound.adapt(state.edit, state.edit, state.memory)
    assert memory.same_person == 0
    assert torch.equal(memory.covariance, anyone.memory.covariance)
    tensors, values = state.bound.pack(state.memory)
    again = state.bound.unpack(state.edit, tensors, values)
    assert again.same_person == 0.95
    assert torch.equal(again.covariance, state.memory.covariance)
    del values["same_person"]
    assert state.bound.unpack(state.edit, tensors, values).same_person == 0
    with pytest.raises(ValueError, match="same_person is 2; it must be a number from 0 to 1"):
        state.bound.unpack(state.edit, tensors, {**values, "same_person": 2})


def test_a_mask_says_itself_what_stays_and_many_points_what_moves(faces):
    ws, mask = faces.mapping(seed=5, truncation=0.7), np.zeros((256, 256), np.float32)
    mask[140:] = 1
    assert begin_with(faces, ws, [(1, (124, 184), (124, 198))], mask, Natural()).memory.same_person == 0
    assert begin_with(faces, ws, [(1, (124, 184), (124, 198))], None, Natural(locality=0.8)).memory.same_person == 0
    many = [(number, (100 + 4 * number, 184), (100 + 4 * number, 188)) for number in range(9)]
    assert begin_with(faces, ws, many, None, Natural()).memory.same_person == 0
    assert begin_with(faces, ws, many[1:], None, Natural()).memory.same_person == 0.95


def test_a_nose_that_is_pulled_far_turns_the_head_with_its_ears(faces):
    y, x = np.mgrid[:256, :256]
    sides = (np.abs(x - 128) > 50) & (y > 60) & (y < 200)
    pull = faces, 31, [(124, 141)], [(175, 141)], sides
    whole, _ = changes(*pull, locality=0.0)
    as_it_is, result = changes(*pull)
    assert result.reason in ("arrived", "near")
    assert as_it_is > 0.8 * whole


def test_a_state_goes_on_when_locality_is_changed(wide):
    state: State = begin_with(wide, wide.mapping(seed=3), [(1, (30, 30), (40, 36))], None, Natural(locality=0.0))
    (state,) = state.advance()
    local = dataclasses.replace(state.bound.settings, locality=0.5)
    again = begin_with(wide, wide.mapping(seed=3), [(1, (30, 30), (40, 36))], None, local)
    memory = again.bound.adapt(state.edit, state.edit, state.memory)
    (step,) = again.bound.advance(state.edit, memory)
    assert step.memory.rest is not None
    assert step.memory.weight is not None


def test_how_the_rest_moves_can_be_found_in_parts_before_the_first_step(wide, tmp_path, monkeypatch):
    monkeypatch.setenv("DRAGGAN_WIDGET_CACHE", str(tmp_path))
    model = copy.deepcopy(wide)
    with torch.no_grad():
        next(weight for name, weight in model.named_parameters() if "synthesis" in name).add_(0.01)
    state = begin_with(model, model.mapping(seed=3), [(1, (30, 30), (40, 36))], None, Natural(locality=0.5))
    shares = list(state.preparing())
    assert len(shares) == 2 * PLACES**2 + LOOKS
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert list(state.preparing()) == []
    monkeypatch.setattr(sparing, "_measured", lambda *_: pytest.fail("it was computed already"))
    (state,) = state.advance()
    assert state.memory.rest is not None
    assert state.preparing() is None


def test_a_tuned_copy_has_the_rest_of_the_model_it_was_made_of(wide):
    changed = {
        name: weight.detach() + 0.01 for name, weight in wide.named_parameters() if name.endswith("b32.conv1.weight")
    }
    assert changed
    tuned = TunedCopy(fingerprint(wide), changed).apply(wide)
    assert rest_of(tuned, None, 4) is not None
    assert torch.equal(rest_of(tuned, None, 4), rest_of(wide, None, 4))
    again = TunedCopy(fingerprint(tuned), {}).apply(tuned)
    assert again.mapped.untuned(again) is wide


def test_that_of_the_built_in_faces_comes_with_the_package_and_is_what_would_be_computed(faces, monkeypatch):
    ours = rest_of(faces, None, 4)
    monkeypatch.setattr("draggan_widget.models.mapped.SHIPPED", Path("nowhere"))
    monkeypatch.setattr(faces, "mapped", Mapped())
    theirs = rest_of(faces, None, 4)
    assert not torch.equal(ours, theirs), "it is kept in single precision"
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))
