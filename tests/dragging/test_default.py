from __future__ import annotations

import numpy as np
import pytest
import torch
from naive_drag import default as by_the_book
from random_stylegan2 import generator_of

from draggan_widget.config import DragConfig
from draggan_widget.engines import drag_steps
from draggan_widget.engines.common.geometry import Frame
from draggan_widget.engines.draggan import default
from draggan_widget.models import sample_map

FRAME = Frame.of((512, 512), 3, 12)


def positions(xy):
    """Features that are the position itself."""
    return torch.from_numpy(xy).requires_grad_()


@pytest.mark.parametrize("block", [None, (3, 5)], ids=["one_block", "two_blocks"])
@pytest.mark.parametrize("masked", [False, True], ids=["without_mask", "with_mask"])
@pytest.mark.parametrize(
    ("handles", "targets"),
    [([(30, 30)], [(44, 36)]), ([(20.3, 31.7), (62.5, 0.25)], [(29.5, 26.5), (55, 12)])],
    ids=["one_point", "two_points_one_at_the_border"],
)
def test_the_default_follows_its_plain_formulas_step_for_step(handles, targets, masked, block):
    generator = generator_of(64)
    ws = generator.mapping(seed=3)
    mask = None
    if masked:
        mask = torch.ones(64, 64, dtype=torch.float64)
        mask[:20, :21], mask[20:24] = 0, 0.5
    wanted = by_the_book(generator, ws, handles, targets, 6, learning_rate=2e-2, mask=mask, weight=0.1, blocks=block)
    config = DragConfig(learning_rate=2e-2, mask_weight=0.1, max_steps=6, block=block)
    states = list(drag_steps(generator, ws, handles, targets, mask=mask, config=config))
    for state, (latent, tracked) in zip(states, wanted, strict=True):
        assert np.abs(state.handles - tracked).max() <= 1e-6
        assert (state.ws - latent).norm() <= 1e-6 * (latent - ws).norm()
    assert np.abs(states[-1].handles - states[0].handles).max() >= 1, "this compares nothing"


@pytest.mark.parametrize("weight", [20.0, 5.0], ids=["the_published_weight", "the_weight_of_the_faces"])
def test_the_default_follows_its_plain_formulas_at_the_weights_that_people_use(weight):
    generator = generator_of(64)
    ws = generator.mapping(seed=3)
    handles, targets = [(30, 30)], [(44, 36)]
    mask = torch.ones(64, 64, dtype=torch.float64)
    mask[:12, :12], mask[12:16, :12] = 0, 0.5
    plain = {"learning_rate": 2e-2, "mask": mask, "weight": weight}
    wanted = by_the_book(generator, ws, handles, targets, 6, **plain)
    config = DragConfig(learning_rate=2e-2, mask_weight=weight, max_steps=6)
    states = list(drag_steps(generator, ws, handles, targets, mask=mask, config=config))
    assert len(states) == len(wanted)
    for state, (latent, tracked) in zip(states, wanted, strict=True):
        assert np.abs(state.handles - tracked).max() <= 1e-6
        assert (state.ws - latent).norm() <= 1e-6 * (latent - ws).norm()
    assert np.abs(states[-1].handles - states[0].handles).max() >= 2, "the handles hardly move"
    lighter, last = by_the_book(generator, ws, handles, targets, 6, **{**plain, "weight": 0.1}), wanted[-1][0]
    assert (last - lighter[-1][0]).norm() > 0.05 * (last - ws).norm(), "the mask is idle"


def test_the_default_finds_a_handle_to_a_fraction_of_a_pixel():
    tracked = default.track(positions, np.array([[100.0, 50.0]]), [torch.tensor([103.3, 47.8])], FRAME)
    assert tracked[0] == pytest.approx([103.3, 47.8], abs=1e-4)


def test_the_default_tracks_by_distance_in_l2():
    # From the reference 0, (1, 1) is nearer than (1.8, 0) in L2 and farther in L1.
    def read(xy):
        features = torch.full((len(xy), 2), 9.0)
        features[(xy == [101, 50]).all(axis=1)] = torch.tensor([1.0, 1.0])
        features[(xy == [96, 50]).all(axis=1)] = torch.tensor([1.8, 0.0])
        return features

    tracked = default.track(read, np.array([[100.0, 50.0]]), [torch.zeros(2)], FRAME)
    assert np.round(tracked).tolist() == [[101, 50]]


def test_the_default_tracks_within_the_picture_only():
    tracked = default.track(positions, np.array([[510.0, 1.0]]), [torch.tensor([530.0, -9.0])], FRAME)
    assert tracked.tolist() == [[511, 0]]


@pytest.mark.parametrize(("to_go", "step_length"), [(40.0, 1.0), (1.0, 1.0), (0.25, 0.25), (0.0, 0.0)])
def test_the_default_steps_no_farther_than_what_remains(to_go, step_length):
    loss = default.motion_loss(positions, np.array([[50.0, 50.0]]), np.array([[50.0 + to_go, 50.0]]), FRAME)
    assert loss.item() == pytest.approx(step_length / 2)  # in x, averaged over two channels


def test_the_default_supervises_the_disc_up_to_and_with_r1():
    asked = []

    def read(xy):
        asked.append(xy)
        return positions(xy)

    default.motion_loss(read, np.array([[50.5, 50.0]]), np.array([[90.0, 50.0]]), FRAME)
    here = asked[0][: len(asked[0]) // 2] - [50.5, 50.0]
    assert {tuple(offset) for offset in here.tolist()} == {
        (x, y) for x in range(-3, 4) for y in range(-3, 4) if x * x + y * y <= 9
    }


def test_the_default_arrives_within_1_px():
    assert default.tolerance(1, FRAME) == default.tolerance(68, FRAME) == 1
    assert DragConfig().tolerance == 1
    assert DragConfig().max_steps == 300


def mask_term(mask, change=None):
    """The mask term when every cell but those of ``change`` has changed by 1."""
    features = torch.ones(1, 3, 8, 8) if change is None else change
    term = default.mask_loss(features, torch.zeros_like(features), mask)
    return None if term is None else term.item()


def test_the_default_keeps_a_dab_as_firmly_as_half_a_picture():
    dab, half = torch.ones(32, 32), torch.ones(32, 32)
    dab[:4, :4], half[:16] = 0, 0
    assert mask_term(dab) == pytest.approx(mask_term(half)) == pytest.approx(1)


def test_the_default_keeps_what_is_masked_by_a_half_half_as_firmly():
    half_firm = torch.ones(32, 32)
    half_firm[:16] = 0.5
    firm_and_half_firm = half_firm.clone()
    firm_and_half_firm[:16, :16] = 0
    only_half_firm_moved = torch.zeros(1, 1, 8, 8)
    only_half_firm_moved[:, :, :4, 4:] = 1
    only_firm_moved = only_half_firm_moved.flip(3)
    assert mask_term(firm_and_half_firm, only_half_firm_moved) == pytest.approx(
        mask_term(firm_and_half_firm, only_firm_moved) / 2
    )


def test_the_default_has_no_mask_term_when_everything_may_move():
    assert mask_term(torch.ones(32, 32)) is None


def test_the_default_obeys_a_mask_that_lets_nothing_move():
    assert mask_term(torch.zeros(32, 32)) == pytest.approx(1)


def test_samples_outside_the_picture_do_not_pull_features_to_zero():
    flat = torch.ones(1, 3, 128, 128, requires_grad=True)

    def read(xy):
        return sample_map(flat, torch.from_numpy(xy), (512, 512))

    for corner in ([0.0, 0.0], [511.0, 0.0], [511.0, 511.0]):
        outwards = np.array([corner]) * 1.1 - 20
        assert default.motion_loss(read, np.array([corner]), outwards, FRAME).item() < 1e-6


def test_a_handle_at_the_border_is_supervised_by_the_pixels_inside_only():
    asked = []

    def read(xy):
        asked.append(xy)
        return positions(xy)

    default.motion_loss(read, np.array([[0.0, 0.0]]), np.array([[90.0, 50.0]]), FRAME)
    here = asked[0][: len(asked[0]) // 2]
    assert here.min() == 0
    assert len(here) == 11  # of the 29 pixels of the disc
