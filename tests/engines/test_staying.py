"""What of a picture is held, outside a mask or far from the points: features of a block and its coarse picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_stylegan2 import small_stylegan2

from draggan_widget.engines.natural.staying import Held, firmness, held_block, view


@pytest.fixture(scope="module", params=["skip", "resnet"])
def model(request):
    return small_stylegan2(architecture=request.param)


def test_features_are_held_and_the_coarse_picture_where_the_model_has_one(model):
    latent = model.mapping(seed=3)
    block = held_block(model, model.blocks[-1], masked=True)
    seen = view(model, latent, block)
    (features,) = model.feature_maps(latent, [block])
    drawn = model.channels if model.has_previews else 0
    assert seen.shape == (1, features.shape[1] + drawn, *model.map_size(block))
    assert torch.equal(seen[:, : features.shape[1]], features)
    assert model.map_size(block)[0] == model.resolution[0] // (4 if drawn else 8)
    if drawn:
        assert torch.equal(seen[:, -drawn:], model.preview(latent, block))


def test_a_pull_that_is_to_be_local_holds_a_coarser_block(model):
    block = held_block(model, model.blocks[-1], masked=False)
    assert model.map_size(block)[0] == model.resolution[0] // 8


def test_no_finer_block_is_held_than_motion_is_read_of(model):
    assert held_block(model, 2, masked=True) == 2


def test_features_and_the_coarse_picture_count_half_each_whatever_their_size(model):
    latent = model.mapping(seed=3)
    block = held_block(model, model.blocks[-1], masked=True)
    covariance = model.space.metric().covariance.to(latent)
    held = Held.of(model, latent, block, np.full(model.map_size(block), 5.0), covariance)
    count = held.before.shape[1] - (model.channels if model.has_previews else 0)
    one = held.before.clone()
    one[:, :count] += held.before[:, :count].std()
    other = held.before.clone()
    other[:, count:] += held.before[:, count:].std() if model.has_previews else 0
    half = 2.5 if model.has_previews else 5.0
    assert held.change(one) == pytest.approx(half, rel=1e-3)
    assert held.change(other) == pytest.approx(5.0 - half, rel=1e-3)
    assert held.change(held.before) == 0
    assert (held.stiffness[: 2 * block - 1] > 0).all()


def test_only_what_the_mask_leaves_free_may_change(model):
    latent = model.mapping(seed=3)
    block = held_block(model, model.blocks[-1], masked=True)
    height, width = model.resolution
    mask = np.ones((height, width), np.float32)
    mask[:, : width // 2] = 0
    firm = firmness(model, block, np.array([[3.0 * width / 4, height / 2]]), mask, 0.0, 1e4)
    held = Held.of(model, latent, block, firm, model.space.metric().covariance.to(latent))
    columns = firm.shape[1]
    assert bool((held.weights[:, :, : columns // 2] > 0).all())
    assert not bool(held.weights[:, :, columns // 2 :].any())
