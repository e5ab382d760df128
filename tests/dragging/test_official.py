from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from naive_drag import official as by_the_book
from random_stylegan2 import generator_of

from draggan_widget.config import DragConfig
from draggan_widget.engines import drag, drag_steps
from draggan_widget.engines.common.geometry import Frame
from draggan_widget.engines.draggan import init, official, step, terminate, upsampled


def half_mask(size: int) -> torch.Tensor:
    mask = torch.ones(size, size, dtype=torch.float64)
    mask[:, : size // 3] = 0
    mask[: size // 4] = 0
    return mask


CASES = {
    # name: size, handles, targets, learning rate, radii
    "one_point_at_64_px": (64, [(30, 30)], [(44, 36)], 2e-2, {}),
    "two_points_at_32_px": (32, [(12, 12), (22, 20)], [(20, 14), (14, 22)], 2e-2, {}),
    "halves_round_and_a_point_on_its_target_at_64_px": (
        64, [(20.5, 31.5), (50.4, 10.6)], [(30.2, 26.8), (50.6, 10.4)], 2e-2, {},
    ),
    "at_the_border_at_64_px": (64, [(62, 1), (1, 40)], [(55, 12), (0, 55)], 2e-2, {"r1": 16.0, "r2": 24.0}),
    "one_point_at_256_px": (256, [(120, 130)], [(150, 118)], 2e-2, {}),
    "a_wide_disc_at_256_px": (256, [(60, 200)], [(90, 190)], 2e-2, {"r1": 9.0}),
}  # fmt: skip


@pytest.mark.parametrize("masked", [False, True], ids=["without_mask", "with_mask"])
@pytest.mark.parametrize("case", CASES)
def test_official_follows_the_plain_formulas_step_for_step(case, masked):
    size, handles, targets, learning_rate, radii = CASES[case]
    generator = generator_of(size, 16 if size < 256 else 8)
    ws = generator.mapping(seed=3)
    mask = half_mask(size) if masked else None
    wanted = by_the_book(
        generator, ws, handles, targets, 20, learning_rate=learning_rate, mask=mask, weight=0.1, **radii
    )
    config = DragConfig.official(
        learning_rate=learning_rate,
        mask_weight=0.1,  # with the usual 20 nothing moves: a random generator's picture moves as a whole
        max_steps=20,
        supervision_radius=radii.get("r1", 3.0),
        tracking_radius=radii.get("r2", 12.0),
    )
    states = list(drag_steps(generator, ws, handles, targets, mask=mask, config=config))
    assert len(states) == len(wanted)
    for state, (latent, tracked) in zip(states, wanted, strict=True):
        assert state.handles.tolist() == tracked
        assert (state.ws - latent).norm() <= 1e-6 * (latent - ws).norm()
    moved = np.abs(states[-1].handles - states[0].handles).max()
    assert moved >= 3, "the handles hardly move, so this compares nothing"


@pytest.mark.parametrize("weight", [20.0, 5.0], ids=["the_published_weight", "the_weight_of_the_faces"])
def test_official_follows_the_plain_formulas_at_the_weights_that_people_use(weight):
    generator = generator_of(64)
    ws = generator.mapping(seed=3)
    handles, targets = [(30, 30), (50, 20)], [(44, 36), (44, 28)]
    mask = torch.ones(64, 64, dtype=torch.float64)
    mask[:8, :8] = 0  # of a random generator the picture moves as a whole: a large part that stays would hold it
    plain = {"learning_rate": 2e-2, "mask": mask, "weight": weight}
    wanted = by_the_book(generator, ws, handles, targets, 20, **plain)
    config = DragConfig.official(learning_rate=2e-2, mask_weight=weight, max_steps=20)
    states = list(drag_steps(generator, ws, handles, targets, mask=mask, config=config))
    assert len(states) == len(wanted)
    for state, (latent, tracked) in zip(states, wanted, strict=True):
        assert state.handles.tolist() == tracked
        assert (state.ws - latent).norm() <= 1e-6 * (latent - ws).norm()
    assert np.abs(states[-1].handles - states[0].handles).max() >= 3, "the handles hardly move"
    lighter = by_the_book(generator, ws, handles, targets, 20, **{**plain, "weight": 0.1})
    least = min(len(wanted), len(lighter)) - 1
    assert (wanted[least][0] - lighter[least][0]).norm() > 0.05 * (wanted[least][0] - ws).norm(), "the mask is idle"


def test_official_returns_the_picture_and_latent_before_the_step_it_does_not_take():
    generator = generator_of(64)
    ws = generator.mapping(seed=3)
    handles, targets = [(20.5, 31.5)], [(30.2, 26.8)]
    result = drag(generator, ws, handles, targets, config=DragConfig.official(learning_rate=2e-2, max_steps=60))
    wanted = by_the_book(generator, ws, handles, targets, 60, learning_rate=2e-2)
    assert result.reason == "arrived"
    assert result.steps == len(wanted) - 1
    assert (result.ws - wanted[-1][0]).norm() <= 1e-6 * (result.ws - ws).norm()


def test_official_stops_within_2_px_and_within_more_above_512_px():
    assert official.tolerance(1, Frame.of((256, 256), 3, 12)) == 2
    assert official.tolerance(1, Frame.of((1024, 1024), 3, 12)) == 4


def test_official_has_no_cap():
    config = DragConfig.official()
    assert config.max_steps is None
    assert config.stall_steps is None


def test_official_starts_from_whole_pixels_with_halves_going_to_the_even_one(small):
    state = init(small, small.mapping(seed=1), [(1, (12.5, 13.5), (20, 20)), (2, (7.4, 7.6), (9, 9))],
                 config=DragConfig.official())  # fmt: skip
    assert state.handles.tolist() == [[12, 14], [7, 8]]


def test_official_takes_equally_near_pixels_row_by_row():
    frame = Frame.of((64, 64), 3, 24)
    flat = torch.zeros(3)
    tracked = official.track(lambda xy: torch.zeros(len(xy), 3), np.array([[30.0, 30.0]]), [flat], frame)
    assert tracked.tolist() == [[30 - frame.tracking, 30 - frame.tracking]]


def test_official_tracks_to_the_very_edge_of_its_window():
    frame = Frame.of((512, 512), 3, 12)
    goal = torch.tensor([112.0, 88.0])
    tracked = official.track(lambda xy: torch.from_numpy(xy).float(), np.array([[100.0, 100.0]]), [goal], frame)
    assert tracked.tolist() == [[112, 88]]


def test_official_leaves_the_mask_out_unless_it_holds_both_a_0_and_a_1():
    features, base = torch.ones(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
    assert official.mask_loss(features, base, torch.zeros(8, 8)) is None
    assert official.mask_loss(features, base, torch.ones(8, 8)) is None
    assert official.mask_loss(features, base, torch.full((8, 8), 0.5)) is None
    mask = torch.ones(8, 8)
    mask[:2] = 0
    assert float(official.mask_loss(features, base, mask)) == pytest.approx(0.25)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last], ids=["planes", "channels_last"])
@pytest.mark.parametrize("scale", [(2, 2), (8, 8), (4, 4), (3, 3), (2, 4)], ids=str)
def test_the_mask_term_and_its_gradient_are_those_of_the_upsampled_map(scale, memory, monkeypatch):
    torch.manual_seed(0)
    features, base = (torch.randn(1, 7, 6, 9, dtype=torch.float64).to(memory_format=memory) for _ in range(2))
    features[:, 0], features[:, 1, 2:5, 3:5] = base[:, 0], base[:, 1, 2:5, 3:5]  # where nothing changed, nothing pulls
    features.requires_grad_()
    mask = torch.rand(6 * scale[0], 9 * scale[1], dtype=torch.float64).round()
    mask[: 2 * scale[0]], mask[3 * scale[0] :, 4 * scale[1] : 6 * scale[1]] = 0, 1
    mask[-1] = torch.linspace(0, 1, mask.shape[1])
    wide = (F.interpolate(each, size=mask.shape, mode="bilinear") for each in (features, base))
    plain = F.l1_loss(*(each * (1 - mask) for each in wide))
    (wanted,) = torch.autograd.grad(plain, features)
    for largest in (1 << 24, 64):
        monkeypatch.setattr(upsampled, "LARGEST_UPSAMPLED", largest)
        upsampled._gaps.cache_clear()
        term = official.mask_loss(features, base, mask)
        torch.testing.assert_close(term, plain, rtol=1e-13, atol=0)
        torch.testing.assert_close(torch.autograd.grad(term, features)[0], wanted, rtol=1e-12, atol=1e-15)


def test_official_overshoots_with_a_unit_step_when_less_than_2_px_remain():
    asked = []

    def read(xy):
        asked.append(xy)
        return torch.from_numpy(xy).requires_grad_()

    frame = Frame.of((256, 256), 3, 12)
    loss = official.motion_loss(read, np.array([[50.0, 50.0]]), np.array([[51.5, 50.0]]), frame)
    assert loss.item() == pytest.approx(0.5)  # features are positions: 1 px in x, none in y, averaged over channels


def test_official_adds_no_loss_for_a_handle_with_1_px_to_go():
    frame = Frame.of((256, 256), 3, 12)
    assert official.motion_loss(None, np.array([[50.0, 50.0]]), np.array([[51.0, 50.0]]), frame) is None


def test_official_reads_zeros_outside_the_picture():
    frame = Frame.of((256, 256), 3, 12)
    ones = lambda xy: torch.ones(len(xy), 1, requires_grad=True)  # noqa: E731
    inside = official.motion_loss(ones, np.array([[50.0, 255.0]]), np.array([[90.0, 255.0]]), frame)
    outside = official.motion_loss(ones, np.array([[50.0, 255.0]]), np.array([[50.0, 300.0]]), frame)
    assert inside.item() == pytest.approx(0, abs=1e-6)
    assert outside.item() > 0.3


def test_official_rebases_all_references_and_the_kept_features_when_the_number_of_points_changes(small):
    from draggan_widget.engines.draggan import add_point

    ws = small.mapping(seed=3)
    config = DragConfig.official(learning_rate=5e-3)
    state = init(small, ws, [(1, (12, 12), (20, 14))], half_mask(32), config)
    for _ in range(3):
        state = step(small, state)
    more = step(small, add_point(small, state, 2, (22, 20), (14, 22)))
    fresh = init(small, state.ws, [(1, state.handles[0], (20, 14)), (2, (22, 20), (14, 22))], half_mask(32), config)
    fresh = step(small, fresh)
    for number in (1, 2):
        assert torch.equal(more.point(number).reference, fresh.point(number).reference)
    assert not torch.equal(more.point(1).reference, state.point(1).reference)
    block = small.default_block()
    assert torch.equal(more.anchor.maps(small, (block,))[0], fresh.anchor.maps(small, (block,))[0])
    assert torch.equal(more.w0, ws)
    assert more.moments.count == 4, "the optimiser goes on"


def test_rows_from_the_seventh_on_stay():
    generator = generator_of(256, 8)
    ws = generator.mapping(seed=3)
    state = step(generator, init(generator, ws, [(1, (120, 130), (150, 118))], config=DragConfig.official()))
    assert torch.equal(state.ws[:, 6:], ws[:, 6:])
    assert bool((state.ws[:, :6] != ws[:, :6]).all())
    assert terminate(state) is None
