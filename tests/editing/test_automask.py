"""The mask that points suggest, on the built-in faces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from draggan_widget import drag, load_generator
from draggan_widget.editing.automask import suggest_mask
from draggan_widget.engines import default_config, to_image

TRUTH = json.loads((Path(__file__).parents[1] / "data" / "heads" / "heads.json").read_text())
FRAME = TRUTH["heads"][0]["frames"][0]
PLACES = dict(zip(TRUTH["landmarks"], np.array(FRAME["points"]), strict=True))


@pytest.fixture(scope="module")
def faces():
    return load_generator("faces", device="cpu")


def test_it_is_open_around_the_way_of_each_handle_and_closes_softly():
    start, target = np.array([[30.0, 40.0]]), np.array([[50.0, 40.0]])
    mask = suggest_mask(start, start, target, (128, 128))
    assert (mask.dtype, mask.shape) == (np.float32, (128, 128))
    assert mask[40, 30:51].min() == 1
    assert mask[127, 127] == mask[0, 127] == 0
    assert ((mask > 0) & (mask < 1)).any()
    far = suggest_mask(start, start, np.array([[110.0, 40.0]]), (128, 128))
    assert (far > 0.5).sum() > (mask > 0.5).sum()
    assert suggest_mask(start, start, start, (128, 128))[40, 30] == 1


@pytest.mark.parametrize(
    ("landmark", "by", "beside", "away"),
    [
        ("mouth_left", (-10, -9), ("lower_lip", "upper_lip"), ("left_eye_outer", "right_eye_outer", "right_jaw")),
        ("nose_tip", (13, 0), ("upper_lip",), ("left_eye_outer", "chin", "left_jaw", "right_jaw")),
        ("right_eye_outer", (0, -10), ("right_upper_lid", "right_brow_outer"), ("left_eye_inner", "nose_tip", "chin")),
    ],
)
@pytest.mark.parametrize("engine", ["natural", "draggan"])
def test_a_pull_gets_where_it_should_and_what_is_far_from_it_changes_much_less(
    faces, landmark, by, beside, away, engine
):
    handle = PLACES[landmark][None]
    target = handle + by
    mask = suggest_mask(handle, handle, target, faces.resolution)

    def at(names):
        return [mask[tuple(PLACES[name].round().astype(int)[::-1])] for name in names]

    assert min(at([landmark])) == 1
    assert min(at(beside)) > 0.2
    assert max(at(away)) == 0
    ws = faces.mapping(torch.tensor([FRAME["latent"]]))
    with torch.no_grad():
        before = np.asarray(to_image(faces.synthesize(ws)), float)
    y, x = np.mgrid[:256, :256]
    far = np.hypot(x - handle[0, 0], y - handle[0, 1]) > 60
    near = np.hypot(x - target[0, 0], y - target[0, 1]) < 15
    changes = {}
    for name, veil in (("free", None), ("masked", mask)):
        result = drag(faces, ws, handle, target, mask=veil, config=default_config(faces, engine))
        changed = np.abs(np.asarray(result.image, float) - before).mean(axis=2)
        changes[name] = changed[far].mean(), changed[near].mean()
    assert result.distances[0] <= 2
    # A nose that is pulled sideways takes the head along, and natural holds that less firmly.
    part = 0.6 if (engine, landmark) == ("natural", "nose_tip") else 0.5
    assert changes["masked"][0] < part * changes["free"][0]
    assert changes["masked"][1] > changes["free"][1] / 2
