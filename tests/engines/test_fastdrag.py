"""FastDrag by its formulas: against a plain reference, and in the session, undo and files."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from planted import Planted
from random_diffusion import small_pixels, small_stable_diffusion

from draggan_widget import drag
from draggan_widget.editing import Session, load_drag, save_drag
from draggan_widget.engines import FastDrag, State, bind, engine_named
from draggan_widget.engines.fastdrag import formulas

pytest.importorskip("diffusers")


def mask_of(model, right):
    """All but the outermost fifth may move, and nothing right of a part of the width."""
    height, width = model.resolution
    mask = np.zeros((height, width))
    mask[height // 5 : height - height // 5, width // 5 : round(right * width)] = 1
    return mask


# --- a plain reference: cell by cell, with numbers of double length --------------------------------------------------


def leaving(s, p, middle, radius):
    """Where the ray from s through p leaves a circle, found by halving; p is inside it, and so is s."""
    length = math.dist(s, p)
    near, far = 1.0, 4 * radius / length
    for _ in range(200):
        half = (near + far) / 2
        q = (s[0] + half * (p[0] - s[0]), s[1] + half * (p[1] - s[1]))
        near, far = (half, far) if math.dist(q, middle) < radius else (near, half)
    return s[0] + near * (p[0] - s[0]), s[1] + near * (p[1] - s[1])


def reference(model, latent, handles, targets, mask, settings):
    """FastDrag as the paper writes it: returns the warped noisy picture, and how many cells were empty."""
    (height, width), (rows, columns), noisy = model.resolution, model.side, model.moving(latent)
    cell = lambda x, y: ((x + 0.5) * columns / width - 0.5, (y + 0.5) * rows / height - 0.5)  # noqa: E731
    starts, ends = [cell(*each) for each in handles], [cell(*each) for each in targets]
    every = [(x, y) for y in range(rows) for x in range(columns)]
    if mask is None:
        reach = settings.reach * max(rows, columns)
        circles = [(s, math.dist(s, e) + reach) for s, e in zip(starts, ends, strict=True)]
        region = [p for p in every if any(math.dist(p, middle) <= radius for middle, radius in circles)]
    else:
        size = height // rows
        share = lambda x, y: mask[y * size : (y + 1) * size, x * size : (x + 1) * size].mean()  # noqa: E731
        region = [p for p in every if share(*p) >= 0.5]
        left, right = min(x for x, _ in region), max(x for x, _ in region)
        top, low = min(y for _, y in region), max(y for _, y in region)
        middle = ((left + right) / 2, (top + low) / 2)
        circles = [(middle, max(math.dist(p, middle) for p in region) + 0.5)] * len(starts)
    comes = {p: p for p in every if p not in region}
    pulled = []
    for p in region:
        weights, stretch = [], []
        for s, (middle, radius) in zip(starts, circles, strict=True):
            if math.dist(p, s) == 0:
                weights.append(math.inf)
                stretch.append(1.0)
                continue
            weights.append(1 / math.dist(p, s))
            if math.dist(p, middle) >= radius:
                stretch.append(0.0)
            else:
                q = leaving(s, p, middle, radius)
                stretch.append(math.dist(p, q) / math.dist(s, q))
        if math.inf in weights:
            weights = [float(weight == math.inf) for weight in weights]
        weights = [weight / sum(weights) for weight in weights]
        v = [
            sum(w * k * (e[axis] - s[axis]) for w, k, s, e in zip(weights, stretch, starts, ends, strict=True))
            for axis in (0, 1)
        ]
        onto = (math.floor(p[0] + v[0] + 0.5), math.floor(p[1] + v[1] + 0.5))
        pulled.append((sum(w * k for w, k in zip(weights, stretch, strict=True)), p, onto))
    for _, p, onto in sorted(pulled, key=lambda each: each[0]):
        if onto in region:
            comes[onto] = p
    made = noisy.clone()
    whole = {p: noisy[0, :, comes[p][1], comes[p][0]] for p in every if p in comes}
    with torch.no_grad():
        said = model.unet(
            noisy, model.schedule.times[model.level - 1], encoder_hidden_states=model.prompt_vectors
        ).sample
    alpha = model.schedule.alphas[model.level]
    if model.schedule.prediction == "epsilon":
        picture, noise = (noisy - (1 - alpha) ** 0.5 * said) / alpha**0.5, said
    else:
        picture = alpha**0.5 * noisy - (1 - alpha) ** 0.5 * said
        noise = alpha**0.5 * said + (1 - alpha) ** 0.5 * noisy
    for x, y in every:
        if (x, y) in whole:
            made[0, :, y, x] = whole[x, y]
            continue
        found = []
        for ahead in (
            [(k, y) for k in range(x - 1, -1, -1)],
            [(k, y) for k in range(x + 1, columns)],
            [(x, k) for k in range(y - 1, -1, -1)],
            [(x, k) for k in range(y + 1, rows)],
        ):
            full = [p for p in ahead if p in whole]
            if full:
                found.append((1 / math.dist((x, y), full[0]), comes[full[0]]))
        total = sum(weight for weight, _ in found)
        mean = lambda of: sum(w / total * of[0, :, v, u] for w, (u, v) in found)  # noqa: E731, B023
        if settings.holes == "interpolated":
            made[0, :, y, x] = mean(noisy)
        else:
            made[0, :, y, x] = alpha**0.5 * mean(picture) + (1 - alpha) ** 0.5 * noise[0, :, y, x]
    return made, len(every) - len(whole)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("holes", ["interpolated", "noise"])
@pytest.mark.parametrize("kind", ["stable", "pixels"])
def test_a_warp_is_the_papers_number_for_number(kind, holes, masked, tmp_path):
    model = (small_stable_diffusion(tmp_path) if kind == "stable" else small_pixels()).double().sampled()
    scale = model.resolution[0] // 16
    handles = [(6.3 * scale, 6 * scale), (9 * scale, 9.6 * scale)]
    targets = [(9 * scale, 5 * scale), (9.4 * scale, 11.6 * scale)]
    settings, latent = FastDrag(holes=holes, reach=0.21), model.mapping(seed=2)
    mask = mask_of(model, 0.85) if masked else None
    wanted, empty = reference(model, latent, handles, targets, mask, settings)
    state = State.begin(model, latent, settings).with_mask(mask)
    for number, (handle, target) in enumerate(zip(handles, targets, strict=True), start=1):
        state = state.add_point(number, handle, target)
    (state,) = state.advance()
    torch.testing.assert_close(model.moving(state.ws), wanted, atol=1e-12, rtol=1e-12)
    assert torch.equal(model.source(state.ws), model.source(latent))
    assert (state.verdict, state.step, state.handles.tolist()) == ("arrived", 1, [list(each) for each in targets])
    assert empty > 0
    assert not torch.equal(model.moving(state.ws), model.moving(latent))


def test_a_handle_goes_all_the_way_what_is_held_at_the_circle_stays_and_points_that_stand_hold_theirs():
    handles, targets = np.array([[5.0, 5.0], [9.0, 5.0]]), np.array([[8.0, 4.0], [9.0, 5.0]])
    circle = (np.array([6.0, 5.0]), 6.0)
    cells = np.array([[5.0, 5.0], [9.0, 5.0], [0.0, 5.0], [6.0, 11.0], [7.0, 5.0]])
    ways, strength = formulas.moves(cells, handles, targets, [circle, circle])
    assert ways[0].tolist() == [3.0, -1.0]
    assert np.abs(ways[1:4]).max() == pytest.approx(0, abs=1e-12)
    assert strength[:2].tolist() == [1, 1]
    # In the middle between both each has half a say: 5 of 7 cells to the circle are left of the first.
    assert ways[4] == pytest.approx([0.5 * 5 / 7 * 3, -0.5 * 5 / 7])


def test_a_pull_that_follows_a_pointer_is_one_warp_from_where_it_began(pixels):
    latent = pixels.mapping(seed=1)
    whole = State.begin(pixels, latent, FastDrag()).add_point(1, (4, 8), (10, 6)).steps(1)
    state = State.begin(pixels, latent, FastDrag()).add_point(1, (4, 8), (4.2, 8))
    for target in ((4.2, 8), (6.4, 7.5), (14, 2), (10, 6)):
        (state,) = state.move_target(1, target).advance()
    assert torch.equal(state.ws, whole.ws)
    more = state.add_point(2, (3, 3), (6, 3)).steps(1)  # from here on another warp begins
    assert not torch.equal(more.ws, state.ws)
    assert more.memory.base is state.ws


def test_what_a_mask_holds_stays_to_the_bit(pixels):
    latent, mask = pixels.mapping(seed=1), mask_of(pixels, 0.6)
    result = drag(pixels, latent, [(5, 8)], [(8, 8)], mask, FastDrag())
    changed = (result.ws - latent)[0, :3].abs().amax(dim=0).numpy() > 0
    assert changed.any()
    assert not changed[mask < 0.5].any()
    assert (result.reason, result.steps) == ("arrived", 1)
    with pytest.raises(ValueError, match="the mask lets nothing move: no cell of 1 pixels is half inside it; paint"):
        drag(pixels, latent, [(5, 8)], [(8, 8)], np.zeros((16, 16)), FastDrag())


def test_empty_cells_with_their_own_noise_have_as_much_of_it_as_others(pixels):
    torch.manual_seed(0)
    noise = torch.randn(1, 3, 16, 16, dtype=torch.float64)
    found = np.arange(256).reshape(16, 16)
    found[4:12, 4:12] = formulas.EMPTY
    inner = formulas.filled(noise, found)[0, :, 4:12, 4:12]
    assert float(inner.std()) < 0.75 < float(noise[0, :, 4:12, 4:12].std())  # which is why the paper's way blurs
    assert torch.equal(formulas.filled(noise, np.full((16, 16), formulas.EMPTY)), noise)


def test_a_model_of_another_kind_is_told_what_it_lacks(pixels):
    with pytest.raises(ValueError, match="^the engine fastdrag needs a noisy picture as its latent, which a model of"):
        bind(Planted((32, 32)), FastDrag())
    with pytest.raises(ValueError, match="there are no points to drag"):
        State.begin(pixels, pixels.mapping(seed=1), FastDrag()).advance()
    assert engine_named("fastdrag").family == "diffusion"


def test_it_goes_through_the_session_its_undo_and_a_file_from_which_a_pull_goes_on(pixels, tmp_path):
    session = Session(pixels, seed=1, config=FastDrag())
    try:
        session.put_point(1, handle=(4, 8), target=(9, 8)).result(60)
        session.start()
        assert session.finished().result(120).reason == "arrived"
        save_drag(tmp_path / "a.drag", session.now(), pixels, None)
        here = session.now().drag
        loaded = load_drag(tmp_path / "a.drag", pixels)
        moved = [each.move_target(1, (11, 5)).steps(1).ws for each in (here, loaded.drag)]
        assert torch.equal(*moved)
        session.undo().result(60)
        assert torch.equal(session.now().drag.ws, pixels.mapping(seed=1))
    finally:
        session.close()


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors, values: ({}, values),
        lambda tensors, values: (tensors, {}),
        lambda tensors, values: (tensors, {"handles": [[7, 4.0, 8.0]]}),
        lambda tensors, values: (tensors, {"handles": [[1, float("nan"), 8.0]]}),
        lambda tensors, values: (tensors, {"handles": [1]}),
        lambda tensors, values: ({"base": tensors["base"][:, :3]}, values),
        lambda tensors, values: ({"base": tensors["base"] * torch.nan}, values),
    ],
)
def test_a_memory_that_does_not_fit_is_refused(pixels, change):
    state = State.begin(pixels, pixels.mapping(seed=1), FastDrag()).add_point(1, (4, 8), (9, 8)).steps(1)
    packed = state.bound.pack(state.memory)
    state.bound.unpack(state.edit, *packed)
    with pytest.raises(ValueError):  # noqa: PT011 - each says something else
        state.bound.unpack(state.edit, *change(*packed))
