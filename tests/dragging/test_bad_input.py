from __future__ import annotations

import numpy as np
import pytest
import torch

from draggan_widget.config import DragConfig
from draggan_widget.engines import drag, drag_steps
from draggan_widget.engines.draggan import init, with_config, with_mask

GOOD = {"handles": [(3, 3)], "targets": [(9, 9)]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"handles": [], "targets": []}, "no points to drag"),
        ({"handles": [(3, 3), (4, 4)]}, "2 handles and 1 targets"),
        ({"handles": [3, 3]}, r"handles has shape \(2,\)"),
        ({"targets": [(1, 2, 3)]}, r"targets has shape \(1, 3\)"),
        ({"targets": [("a", "b")]}, "targets must be a list"),
        ({"handles": [(3, 32)]}, r"handle of point 1 is outside the picture: \(3, 32\).*0 to 31"),
        ({"targets": [(-1, 3)]}, "target of point 1 is outside the picture"),
        ({"targets": [(float("nan"), 3)]}, "target of point 1.*finite"),
        ({"mask": np.ones((16, 16))}, r"mask has shape \(16, 16\).*\(32, 32\)"),
        ({"mask": np.full((32, 32), 255, np.uint8)}, "numbers from 255 to 255"),
        ({"mask": np.full((32, 32), np.nan)}, "mask holds NaN"),
        ({"config": DragConfig(block=9)}, "block is 9; this generator has blocks 1 to 4"),
        ({"config": DragConfig(block=(3, 9))}, r"block is \(3, 9\); this generator has blocks 1 to 4"),
    ],
)
def test_what_cannot_be_dragged_is_named_with_a_remedy(small, changes, message):
    arguments = {**GOOD, **changes}
    with pytest.raises(ValueError, match=message):
        drag(small, small.mapping(seed=1), **arguments)
    with pytest.raises(ValueError, match=message):
        drag_steps(small, small.mapping(seed=1), **arguments)  # at once, before the first state is asked for


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda ws: ws[:, :5], ValueError, r"ws has shape \(1, 5, 16\).*\(1, 8, 16\)"),
        (lambda ws: ws.repeat(2, 1, 1), ValueError, "drags one latent"),
        (lambda ws: ws * float("nan"), ValueError, "ws holds NaN"),
        (lambda ws: 7, TypeError, "ws is a int"),
    ],
)
def test_a_bad_latent_is_named_with_a_remedy(small, spoil, error, message):
    with pytest.raises(error, match=message):
        drag(small, spoil(small.mapping(seed=1)), **GOOD)


def test_a_mask_of_no_numbers_is_a_type_error(small):
    with pytest.raises(TypeError, match="mask holds"):
        drag(small, small.mapping(seed=1), **GOOD, mask=np.full((32, 32), "x"))


def test_points_without_a_number_of_their_own_are_refused(small):
    ws = small.mapping(seed=1)
    with pytest.raises(ValueError, match="two points have the id 1"):
        init(small, ws, [(1, (3, 3), (9, 9)), (1, (4, 4), (9, 9))])
    with pytest.raises(ValueError, match="id of a point is 'a'"):
        init(small, ws, [("a", (3, 3), (9, 9))])


def test_a_bad_change_in_mid_run_is_refused(small):
    state = init(small, small.mapping(seed=1), [(1, (3, 3), (9, 9))])
    with pytest.raises(ValueError, match="mask has shape"):
        with_mask(state, torch.ones(3, 3))
    with pytest.raises(ValueError, match="blocks 1 to 4"):
        with_config(small, state, DragConfig(block=5))


def test_the_outermost_half_pixel_still_belongs_to_the_picture(small):
    state = init(small, small.mapping(seed=1), [(1, (-0.4, 31.4), (31.4, -0.4))])
    assert state.handles.tolist() == [[0, 31]]
