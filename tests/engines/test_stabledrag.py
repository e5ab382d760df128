"""StableDrag by its formulas: against a plain reference, and the places where it is easily got wrong."""

from __future__ import annotations

import copy
import dataclasses
import itertools

import numpy as np
import pytest
import torch
from plainly import Descent, advanced, begun
from planted import Planted

from draggan_widget.engines import StableDrag, drag
from draggan_widget.engines.stabledrag.filters import discriminative

HANDLES, TARGETS = [(20.3, 30.6), (2.0, 18.5)], [(32.0, 36.0), (10.0, 24.0)]


@pytest.fixture(scope="module")
def double(generator):
    return copy.deepcopy(generator).double()


def filter_of(feature_map, handle, resolution):
    """The ridge regression written out: g = (XᵀWX + ρI)⁻¹ XᵀWy, cell by cell."""
    _, channels, height, width = feature_map.shape
    place = (np.array(handle) + 0.5) * [width / resolution[1], height / resolution[0]] - 0.5
    rows, labels, near = [], [], []
    for y in range(height):
        for x in range(width):
            square = (x - place[0]) ** 2 + (y - place[1]) ** 2
            rows.append(feature_map[0, :, y, x])
            labels.append(np.exp(-square / 2))
            near.append(square <= 4)
    x, y, near = torch.stack(rows), torch.tensor(labels), np.array(near)
    w = torch.from_numpy(np.where(near, (~near).sum() / near.sum(), 1.0))
    gram = torch.einsum("nc,n,nd->cd", x, w, x)
    rho = 1e-2 * torch.trace(gram) / channels
    return torch.linalg.inv(gram + rho * torch.eye(channels)) @ torch.einsum("nc,n,n->c", x, w, y)


def plainly(generator, settings, handles, targets, steps, mask=None):
    """StableDrag as its recipe says it, and how often each handle was surely found."""
    height, width = generator.resolution
    r1, r2 = (max(1, round(r * height / 512)) for r in (settings.supervision_radius, settings.tracking_radius))
    lattice = [(x, y) for y in range(-r1, r1 + 1) for x in range(-r1, r1 + 1)]
    disc = np.array([[x, y] for x, y in lattice if x * x + y * y <= r1 * r1], dtype=float)
    window = np.array([[x, y] for y in range(-r2, r2 + 1) for x in range(-r2, r2 + 1)], dtype=float)
    fine = np.array([[x, y] for y in range(-4, 5) for x in range(-4, 5)]) / 4
    way = Descent(generator, generator.mapping(seed=3), settings.block, settings.edit_layers, settings.learning_rate)
    held = min(settings.block, generator.block_of_row(settings.edit_layers - 1))
    p, t = np.array(handles, dtype=float), np.array(targets, dtype=float)
    inside = lambda q: ((q >= 0) & (q <= [width - 1, height - 1])).all(axis=1)  # noqa: E731
    (first_map,) = generator.feature_maps(way.ws, [settings.block])
    known = []
    for handle in p:
        reference, g = way.read(handle[None]).detach()[0], filter_of(first_map, handle, generator.resolution)
        known.append([reference, g, float(reference @ g), way.read(handle + disc).detach(), inside(handle + disc)])
    sure, history = [True] * len(p), []
    nearest, idle = np.hypot(*(t - p).T), 0
    for taken in range(steps):
        loss = 0
        plain = [each or idle >= 2 for each in sure]  # pulled towards the patch as it is
        for n, (_, _, _, patch, counted) in enumerate(known):
            rest = t[n] - p[n]
            step = rest / max(1.0, float(np.hypot(*rest)))
            counts = inside(p[n] + disc) & (True if plain[n] else counted)
            wanted = way.read(p[n] + disc).detach() if plain[n] else patch
            loss = loss + (way.read(p[n] + disc + step) - wanted).abs().mean(dim=1)[torch.from_numpy(counts)].mean()
        if mask is not None and taken:
            loss = loss + settings.mask_weight * way.staying(mask, held)
        way.step(loss)
        before, places = list(sure), []
        for n, (reference, g, first, _, _) in enumerate(known):
            alpha = settings.filter_share

            def scored(q, tops, g=g, reference=reference, alpha=alpha):
                features = way.read(q).detach()
                answers, away = features @ g, (features - reference).norm(dim=1)
                tops = tops or (float(answers.max()), float(away.max()))
                return answers, alpha * answers / tops[0] + (1 - alpha) * (1 - away / tops[1]), tops

            coarse = (np.round(p[n]) + window)[inside(np.round(p[n]) + window)]
            _, score, tops = scored(coarse, None)
            assert tops[0] > 0
            q = (coarse[int(score.argmax())] + fine)[inside(coarse[int(score.argmax())] + fine)]
            answers, score, _ = scored(q, tops)
            places.append(q[int(score.argmax())])
            response = float(answers[int(score.argmax())])
            sure[n] = response >= (settings.sureness + (0 if sure[n] else 0.1)) * first
        if sure != before:
            rate = settings.learning_rate
            way.adam = torch.optim.Adam([way.head], lr=rate)
        p = np.stack(places)
        left = np.hypot(*(t - p).T)
        nearer = left <= nearest - 0.1
        nearest, idle = np.where(nearer, left, nearest), 0 if nearer.any() else idle + 1
        history.append(list(sure))
    return way.latent.detach(), p, history


@pytest.mark.parametrize("sureness", [0.0, 1.0])
@pytest.mark.parametrize("masked", [False, True], ids=["all may move", "mask"])
def test_twenty_steps_are_those_of_a_plain_reference(double, masked, sureness):
    mask = None
    if masked:
        mask = np.zeros(double.resolution)
        mask[16:48, 0:56] = 1
    settings = StableDrag(
        block=4, learning_rate=0.05, supervision_radius=24.0, tracking_radius=24.0, sureness=sureness, mask_weight=1.0
    )
    bound, edit, memory = begun(double, settings, HANDLES, TARGETS, mask)
    first = edit.handles
    edit, memory = advanced(bound, edit, memory, 20)
    latent, handles, sure = plainly(double, settings, HANDLES, TARGETS, 20, mask)
    torch.testing.assert_close(edit.latent, latent, rtol=0, atol=1e-8)
    np.testing.assert_allclose(edit.handles, handles, atol=1e-9)
    assert [memory.spots[number].sure for number in edit.ids] == sure[-1]
    assert np.abs(edit.handles - first).max() > 0.5, "this compares nothing"
    flips = sum(a != b for a, b in itertools.pairwise([[True, True], *sure]))
    assert flips == 0 if sureness == 0 else flips >= 1


def test_a_filter_answers_at_its_handle_and_nowhere_else():
    rough = torch.randn(1, 48, 8, 8, generator=torch.Generator().manual_seed(0))
    cells = torch.nn.functional.interpolate(rough, size=(24, 24), mode="bicubic")[0].permute(1, 2, 0)
    x, y = np.meshgrid(np.arange(24), np.arange(24))
    for place in ((8, 12), (0, 0)):
        answers = (cells @ discriminative(cells, np.array(place, dtype=float))).numpy()
        far = np.hypot(x - place[0], y - place[1]) > 5
        assert answers[place[1], place[0]] > 0.5
        assert answers[place[1], place[0]] > 2 * answers[far].max()
        # The features at the handle themselves answer to more of the picture.
        alike = (cells @ cells[place[1], place[0]]).numpy()
        alike = alike / alike[place[1], place[0]]
        assert alike[far].max() > answers[far].max()


def test_a_picture_that_is_the_same_everywhere_gives_a_filter_that_says_nothing():
    nothing = discriminative(torch.zeros(8, 8, 5), np.array([3.0, 3.0]))
    assert torch.equal(nothing, torch.zeros(5))
    assert torch.isfinite(discriminative(torch.ones(8, 8, 5), np.array([3.0, 3.0]))).all()


def test_a_handle_that_is_no_longer_sure_is_sure_again_only_well_above_the_threshold(generator):
    bound, edit, memory = begun(generator, StableDrag(sureness=0.5), HANDLES, TARGETS)
    _, memory = advanced(bound, edit, memory, 1)
    spot = dataclasses.replace(memory.spots[1], first=1.0, sure=True)
    assert [bound._is_sure(spot, response) for response in (0.49, 0.51, 0.59, 0.61)] == [False, True, True, True]
    lost = dataclasses.replace(spot, sure=False)
    assert [bound._is_sure(lost, response) for response in (0.49, 0.51, 0.59, 0.61)] == [False, False, False, True]


def test_adam_forgets_when_the_patch_that_is_pulled_towards_changes(double):
    settings = StableDrag(block=4, learning_rate=0.05, supervision_radius=24.0, tracking_radius=24.0, sureness=0.97)
    bound, edit, memory = begun(double, settings, HANDLES, TARGETS)
    counts, flips = [], []
    for _ in range(20):
        before = {number: spot.sure for number, spot in memory.spots.items()}
        edit, memory = advanced(bound, edit, memory, 1)
        flips.append(bool(before) and any(memory.spots[number].sure != before[number] for number in before))
        counts.append(memory.moments.count)
    assert any(flips)
    assert all((count == 0) == flip for count, flip in zip(counts[1:], flips[1:], strict=True))


def test_content_is_taken_where_it_is_asked_for():
    planted = Planted((96, 80))
    ws = planted.mapping(seed=1)
    start = planted.centre(ws).numpy()
    result = drag(planted, ws, [start], [start + np.array([9, 3])], config=StableDrag(block=3, supervision_radius=24.0))
    assert result.reason == "arrived"
    assert planted.centre(result.ws).numpy() == pytest.approx(start + np.array([9, 3]), abs=1.5)
    assert 0 < result.state.confidence[1] <= 1


def test_a_patch_as_it_was_grabbed_that_brings_nothing_gives_way_to_the_one_that_is_there(double):
    """Content that a mask has bent cannot be as it was, and pulling towards that would hold it where it is."""
    settings = StableDrag(block=4, learning_rate=0.05, supervision_radius=24.0, tracking_radius=24.0)
    bound, edit, memory = begun(double, settings, HANDLES, TARGETS)
    edit, memory = advanced(bound, edit, memory, 3)
    lost = {number: dataclasses.replace(spot, sure=False) for number, spot in memory.spots.items()}
    sure = {number: dataclasses.replace(spot, sure=True) for number, spot in memory.spots.items()}
    leaf = edit.latent.clone().requires_grad_()

    def pulled(spots, idle):
        course = dataclasses.replace(memory.course, idle=idle)
        loss, _ = bound.pull(edit, dataclasses.replace(memory, spots=spots, course=course), bound._reader(leaf, None))
        return float(loss.detach())

    assert pulled(lost, 0) == pulled(lost, 1) != pulled(sure, 0)
    assert pulled(lost, 2) == pulled(sure, 2) == pulled(sure, 0)
