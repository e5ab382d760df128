"""DragDiffusion by its formulas: against a plain reference, and in the session, undo, files and memory."""

from __future__ import annotations

import gc
import warnings
import weakref

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from planted import Planted
from random_diffusion import small_pixels, small_stable_diffusion

from draggan_widget import drag
from draggan_widget.editing import Session, load_drag, save_drag
from draggan_widget.editing.pictures import Painter
from draggan_widget.engines import DivergedError, DragDiffusion, State, bind, default_config, engine_named, engine_names
from draggan_widget.models import Layer
from draggan_widget.models.diffusion import Identity, learning

pytest.importorskip("diffusers")
HANDLES, TARGETS = [(12, 14), (20, 20)], [(20, 14), (20, 10)]


def mask_of(model):
    """The left half may move, and its border half so."""
    mask = np.zeros(model.resolution)
    mask[:, : model.resolution[1] // 2] = 1.0
    mask[:, model.resolution[1] // 2] = 0.5
    return mask


# --- a plain reference: place by place, with torch's own Adam --------------------------------------------------------


def reference(model, latent, handles, targets, mask, settings, steps):
    """DragDiffusion as the paper writes it, on features that diffusers is asked for, place by place."""
    unet, schedule, level = model.unet, model.schedule, model.level
    alpha, below = model.schedule.alphas[level], model.schedule.alphas[level - 1]
    words = model.text(model.sampling.prompt).to(latent)
    unit = model.resolution[0] / model.side[0] / 4  # two pixels of Stable Diffusion, whose cells are eight pixels
    block = unet.up_blocks[(settings.block or model.default_block()) - 2]

    def look(noisy):
        seen = []
        hook = block.register_forward_hook(lambda module, args, output: seen.append(output))
        said = unet(noisy, schedule.times[level - 1], encoder_hidden_states=words).sample
        hook.remove()
        if schedule.prediction == "epsilon":
            clean, noise = (noisy - (1 - alpha) ** 0.5 * said) / alpha**0.5, said
        else:
            clean = alpha**0.5 * noisy - (1 - alpha) ** 0.5 * said
            noise = alpha**0.5 * said + (1 - alpha) ** 0.5 * noisy
        return seen[0][0], below**0.5 * clean + (1 - below) ** 0.5 * noise

    def at(features, x, y):
        # Bilinear by hand: a place of the picture is one between the middles of four cells of the map.
        (height, width), (rows, columns) = model.resolution, features.shape[1:]
        u = min(max((min(max(x, 0), width - 1) + 0.5) * columns / width - 0.5, 0), columns - 1)
        v = min(max((min(max(y, 0), height - 1) + 0.5) * rows / height - 0.5, 0), rows - 1)
        left, top = int(u), int(v)
        right, low = min(left + 1, columns - 1), min(top + 1, rows - 1)
        upper = features[:, top, left] * (1 - u + left) + features[:, top, right] * (u - left)
        lower = features[:, low, left] * (1 - u + left) + features[:, low, right] * (u - left)
        return upper * (1 - v + top) + lower * (v - top)

    noisy = torch.nn.Parameter(latent[:, : model.depth].clone())
    adam = torch.optim.Adam([noisy], settings.learning_rate)
    handles, trail, losses = [tuple(each) for each in handles], [], []
    with torch.no_grad():
        first, unpulled = look(noisy)
        wanted = [at(first, *handle).clone() for handle in handles]
    stay = None if mask is None else 1 - F.adaptive_avg_pool2d(torch.tensor(mask)[None, None], model.side)
    for _ in range(steps):
        features, step = look(noisy)
        motion = torch.zeros((), dtype=latent.dtype)
        for (x, y), (to_x, to_y) in zip(handles, targets, strict=True):
            left = np.hypot(to_x - x, to_y - y)
            if left <= unit * settings.tolerance:
                continue
            d = (unit * (to_x - x) / left, unit * (to_y - y) / left)
            reach = range(-settings.supervision_radius, settings.supervision_radius + 1)
            for dy in reach:
                for dx in reach:
                    here = at(features, x + unit * dx, y + unit * dy).detach()
                    motion = motion + (at(features, x + unit * dx + d[0], y + unit * dy + d[1]) - here).abs().mean()
        loss = motion
        if stay is not None:
            loss = loss + settings.mask_weight * ((step - unpulled).abs() * stay).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(motion.detach()))
        with torch.no_grad():
            features, _ = look(noisy)
        moved = []
        for (x, y), (to_x, to_y), each in zip(handles, targets, wanted, strict=True):
            if np.hypot(to_x - x, to_y - y) <= unit * settings.tolerance:
                moved.append((x, y))
                continue
            reach = range(-settings.tracking_radius, settings.tracking_radius + 1)
            places = [(x + unit * dx, y + unit * dy) for dy in reach for dx in reach]
            height, width = model.resolution
            places = [(px, py) for px, py in places if 0 <= px < width and 0 <= py < height]
            away = [float((at(features, *place) - each).abs().sum()) for place in places]
            moved.append(places[int(np.argmin(away))])
        handles = moved
        trail.append((noisy.detach().clone(), handles))
    return trail, losses


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", ["stable", "pixels"])
def test_a_step_is_the_papers_number_for_number(kind, masked, tmp_path):
    model = (small_stable_diffusion(tmp_path) if kind == "stable" else small_pixels()).double().sampled()
    scale = model.resolution[0] // 16
    handles = [(6 * scale, 6 * scale), (10 * scale, 10 * scale)]
    targets = [(12 * scale, 6 * scale), (10 * scale, 4 * scale)]
    settings = DragDiffusion(learning_rate=0.03, tolerance=0.5, tracking_radius=2)
    latent, mask = model.mapping(seed=2), mask_of(model) if masked else None
    trail, losses = reference(model, latent, handles, targets, mask, settings, 3)
    state = State.begin(model, latent, settings)
    for number, (handle, target) in enumerate(zip(handles, targets, strict=True), start=1):
        state = state.add_point(number, handle, target)
    state = state.with_mask(mask)
    for (noisy, places), loss in zip(trail, losses, strict=True):
        (state,) = state.advance()
        torch.testing.assert_close(model.moving(state.ws), noisy, atol=1e-9, rtol=1e-9)
        assert state.handles.tolist() == [list(place) for place in places]
        assert state.loss["motion"] == pytest.approx(loss, rel=1e-8)
        assert torch.equal(model.source(state.ws), model.source(latent))
    assert (state.loss["mask"] > 0) == masked


# --- what it does to a latent -----------------------------------------------------------------------------------------


def test_it_is_the_engine_that_pulls_on_such_a_model_where_nobody_chose_and_nothing_is_warned_of(stable):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert default_config(stable) == DragDiffusion()
        assert default_config(small_pixels()) == DragDiffusion().replace(
            learning_rate=0.005, supervision_radius=4, tracking_radius=6, stall_steps=8
        )
        assert bind(stable).block == 3
    assert engine_names("diffusion") == ("dragdiffusion", "fastdrag")
    assert "dragdiffusion" not in engine_names("gan")
    assert engine_named("dragdiffusion").values(stable, DragDiffusion())["block"] == 3


def test_a_model_of_another_kind_is_told_what_it_lacks(stable):
    with pytest.raises(ValueError, match="^the engine dragdiffusion needs features_and_step, which a model of"):
        bind(Planted((32, 32)), DragDiffusion())
    with pytest.raises(ValueError, match="^block is 9; this generator has blocks 1 to 4, or leave it None$"):
        bind(stable, DragDiffusion(block=9))
    with pytest.raises(ValueError, match=r"^block is \(1, 2\); this engine reads one block$"):
        DragDiffusion(block=(1, 2))


def test_a_heavy_mask_keeps_what_is_outside_it(pixels):
    latent = pixels.mapping(seed=1)
    settings = DragDiffusion(max_steps=6, tolerance=0.1)
    kept = drag(pixels, latent, [(4, 8)], [(10, 8)], mask_of(pixels), settings.replace(mask_weight=10.0))
    free = drag(pixels, latent, [(4, 8)], [(10, 8)], mask_of(pixels), settings.replace(mask_weight=0.0))
    away = [float((each.ws - latent)[:, :3, :, 9:].abs().mean()) for each in (kept, free)]
    assert away[0] < 0.5 * away[1]


def test_a_run_ends_arrived_capped_or_stalled(pixels):
    latent = pixels.mapping(seed=1)
    assert drag(pixels, latent, [(4, 8)], [(4.4, 8)]).reason == "arrived"  # less than two places away
    assert drag(pixels, latent, [(4, 8)], [(14, 8)], config=DragDiffusion(max_steps=2, tolerance=0.0)).steps == 2
    still = DragDiffusion(learning_rate=1e-6, stall_steps=3)
    result = drag(pixels, latent, [(4, 8)], [(14, 8)], config=still)
    assert (result.reason, result.steps) == ("stalled", 3)


def test_a_latent_that_leaves_the_finite_numbers_is_refused_and_the_one_before_stays(pixels):
    state = State.begin(pixels, pixels.mapping(seed=1)).add_point(1, (4, 8), (12, 8))
    broken = small_pixels()
    with torch.no_grad():
        broken.unet.mid_block.resnets[0].conv1.weight[0] = torch.inf
    bound = bind(broken, DragDiffusion())
    with pytest.raises(DivergedError, match="step 1 gave a loss of nan and a latent that is not finite"):
        bound.advance(state.edit, bound.begin(state.edit))


# --- in the session ---------------------------------------------------------------------------------------------------


def test_it_goes_through_the_session_its_undo_its_timeline_and_a_file_from_which_it_goes_on_to_the_bit(
    pixels, tmp_path
):
    settings = DragDiffusion(max_steps=4, tolerance=0.1, stall_steps=None)
    session = Session(pixels, seed=1, config=settings)
    try:
        session.set_mask(mask_of(pixels).astype(np.float32)).result(60)
        session.put_point(1, handle=(4, 8), target=(14, 8)).result(60)
        session.start()
        assert session.finished().result(120).reason == "capped"
        document = session.now()
        assert [record.step for record in document.records] == [0, 1, 2, 3, 4]
        session.branch(2).result(60)
        again = session.now().drag.steps(2)
        assert torch.equal(again.ws, document.drag.ws)
        session.undo().result(60)
        save_drag(tmp_path / "a.drag", session.now(), pixels, None)
        loaded = load_drag(tmp_path / "a.drag", pixels)
        assert torch.equal(loaded.drag.steps(2).ws, session.now().drag.steps(2).ws)
        assert session.picture().size == (16, 16)
        assert session.glimpse(session.now(), True).picture.size == (16, 16)
    finally:
        session.close()


def test_a_file_keeps_prompt_sampling_and_identity_for_any_model_of_the_same_weights(pixels, tmp_path):
    pytest.importorskip("peft")
    picture = pixels.synthesize(pixels.mapping(seed=1)).clamp(-1, 1)
    work = learning(pixels, picture, Identity(steps=2, rank=2, rate=0.05, batch=1))
    while True:
        try:
            next(work)
        except StopIteration as end:
            knowing = end.value.sampled(prompt="old beard", steps=5, strength=0.6)
            break
    session = Session(knowing, seed=3)
    try:
        session.put_point(1, handle=(4, 8), target=(14, 8)).result(60)
        session.step_once().result(60)
        save_drag(tmp_path / "a.drag", session.now(), knowing, None)
        document, after = session.now(), session.now().drag.steps(1)
    finally:
        session.close()
    loaded = load_drag(tmp_path / "a.drag", pixels)  # which has another prompt, and no identity
    assert loaded.model.generator.sampling == knowing.sampling
    assert torch.equal(loaded.drag.steps(1).ws, after.ws)
    assert loaded.drag.image.tobytes() == document.drag.image.tobytes()
    assert load_drag(tmp_path / "a.drag", knowing).model.generator is knowing
    with pytest.raises(ValueError, match="was made with another generator"):
        load_drag(tmp_path / "a.drag", small_pixels(seed=1))


def test_a_point_that_is_moved_or_added_changes_what_is_remembered_and_no_more(pixels):
    state = State.begin(pixels, pixels.mapping(seed=1)).add_point(1, (4, 8), (14, 8)).steps(2)
    on = state.move_target(1, (14, 9))
    assert on.memory.references[1] is state.memory.references[1]
    assert on.memory.moments is state.memory.moments
    back = state.move_target(1, (0, 8))
    assert back.memory.moments.count == 0
    more = state.add_point(2, (8, 4), (8, 10))
    assert (more.memory.moments.count, set(more.memory.references)) == (0, {1})
    assert set(more.steps(1).memory.references) == {1, 2}
    assert state.content(1) is state.point(1).start


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors, values: (tensors, {**values, "block": 1}),
        lambda tensors, values: (tensors, {**values, "known": [7]}),
        lambda tensors, values: (tensors, {**values, "idle": -1}),
        lambda tensors, values: (tensors, {**values, "nearest": [float("nan")]}),
        lambda tensors, values: (tensors, {**values, "first_step": 99}),
        lambda tensors, values: ({**tensors, "adam.second": -tensors["adam.second"] - 1}, values),
        lambda tensors, values: ({**tensors, "adam.first": tensors["adam.first"][:, :1]}, values),
        lambda tensors, values: ({**tensors, "reference.1": torch.full((16,), torch.nan)}, values),
        lambda tensors, values: ({"adam.first": tensors["adam.first"]}, values),
    ],
)
def test_a_memory_that_does_not_fit_is_refused(pixels, change):
    state = State.begin(pixels, pixels.mapping(seed=1)).add_point(1, (4, 8), (14, 8)).steps(1)
    packed = state.bound.pack(state.memory)
    state.bound.unpack(state.edit, *packed)
    with pytest.raises(ValueError):  # noqa: PT011 - each says something else
        state.bound.unpack(state.edit, *change(*packed))


def test_a_picture_that_is_made_is_left_after_one_denoising_step_when_somebody_waits(pixels, monkeypatch):
    taken = []
    denoising = type(pixels).denoising

    def counted(model, latent):
        for noisy in denoising(model, latent):
            taken.append(1)
            yield noisy

    monkeypatch.setattr(type(pixels), "denoising", counted)
    latent = pixels.mapping(seed=1)
    painter = Painter(pixels, lambda: len(taken) == 2)
    glimpse = painter.settled([Layer(latent)])
    assert (len(taken), glimpse.exact) == (2, False)
    assert glimpse.picture.tobytes() == painter.quick([Layer(latent)]).picture.tobytes()
    whole = Painter(pixels).settled([Layer(latent)])
    assert whole.exact
    assert whole.picture.tobytes() == State.begin(pixels, latent).image.tobytes()
    assert painter.thumbnail([Layer(latent)]).size == (64, 64)


def test_a_step_is_stopped_within_one_pass_and_memory_is_given_back(pixels):
    session = Session(pixels, seed=1, config=DragDiffusion(max_steps=None, tolerance=0.0, stall_steps=None))
    try:
        session.put_point(1, handle=(4, 8), target=(14, 8)).result(60)
        session.start()
        session.stop().result(60)
        steps = session.now().drag.step
        assert steps <= session.newest().step <= steps
        held = weakref.ref(session.now().drag.memory.moments.first)
        session.new_image(seed=5, truncation=1.0).result(60)
    finally:
        session.close()
    del session
    gc.collect()
    assert held() is None
    assert not any(module._forward_hooks for module in pixels.unet.modules())
