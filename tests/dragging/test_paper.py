from __future__ import annotations

import numpy as np
import pytest
import torch

from draggan_widget.config import DragConfig
from draggan_widget.engines.common.geometry import Frame
from draggan_widget.engines.draggan import add_point, init, paper, step

FRAME = Frame.of((512, 512), 3, 12)


def positions(xy):
    """Features that are the position itself."""
    return torch.from_numpy(xy).requires_grad_()


def test_the_paper_tracks_by_distance_in_l1():
    # From the reference 0, (1, 1) is nearer than (1.8, 0) in L2 and farther in L1.
    def read(xy):
        features = torch.full((len(xy), 2), 9.0)
        features[(xy == [101, 50]).all(axis=1)] = torch.tensor([1.0, 1.0])
        features[(xy == [96, 50]).all(axis=1)] = torch.tensor([1.8, 0.0])
        return features

    assert paper.track(read, np.array([[100.0, 50.0]]), [torch.zeros(2)], FRAME).tolist() == [[96, 50]]


def test_the_paper_tracks_by_less_than_r2():
    tracked = paper.track(positions, np.array([[100.0, 50.0]]), [torch.tensor([112.0, 50.0])], FRAME)
    assert tracked.tolist() == [[111, 50]]


def test_the_paper_keeps_the_fraction_a_handle_began_with():
    tracked = paper.track(positions, np.array([[100.3, 50.6]]), [torch.tensor([104.3, 48.6])], FRAME)
    assert tracked[0] == pytest.approx([104.3, 48.6])


@pytest.mark.parametrize("to_go", [40.0, 1.0, 0.25])
def test_the_paper_always_steps_by_1_px(to_go):
    loss = paper.motion_loss(positions, np.array([[50.0, 50.0]]), np.array([[50.0, 50.0 + to_go]]), FRAME)
    assert loss.item() == pytest.approx(0.5)  # in y, averaged over two channels


def test_in_the_paper_a_handle_exactly_on_its_target_adds_nothing():
    loss = paper.motion_loss(positions, np.array([[50.0, 50.0]]), np.array([[50.0, 50.0]]), FRAME)
    assert loss.item() == 0


def test_the_paper_adds_up_the_means_over_the_discs():
    handles = np.array([[50.0, 50.0], [0.0, 0.0]])  # a whole disc, and a quarter of one
    loss = paper.motion_loss(positions, handles, handles + np.array([20.0, 0.0]), FRAME)
    assert loss.item() == pytest.approx(0.5 + 0.5)


def test_the_paper_takes_the_mask_term_as_a_mean_over_the_map():
    mask = torch.ones(32, 32)
    mask[:8] = 0
    assert paper.mask_loss(torch.ones(1, 3, 8, 8), torch.zeros(1, 3, 8, 8), mask).item() == pytest.approx(0.25)


def test_the_paper_stops_at_1_px_with_up_to_5_points_and_at_2_px_with_more():
    assert [paper.tolerance(points, FRAME) for points in (1, 5, 6, 68)] == [1, 1, 2, 2]
    assert DragConfig.paper().tolerance is None, "the method's own rule"


def test_the_paper_uses_adam_at_2e_3_and_weighs_the_mask_by_20():
    config = DragConfig.paper()
    assert (config.learning_rate, config.mask_weight, config.edit_layers) == (2e-3, 20, 6)


def test_the_paper_takes_references_from_the_first_latent(small):
    ws = small.mapping(seed=3)
    state = init(small, ws, [(1, (12.25, 12.5), (20, 14))], config=DragConfig.paper(learning_rate=2e-2))
    wanted = small.sample_features(ws, small.default_block(), torch.tensor([[12.25, 12.5]], dtype=torch.float64))[0]
    for _ in range(3):
        state = step(small, state)
        assert torch.allclose(state.point(1).reference, wanted, rtol=1e-12)
    assert torch.equal(
        step(small, add_point(small, state, 2, (5, 5), (9, 9))).point(1).reference, state.point(1).reference
    )
