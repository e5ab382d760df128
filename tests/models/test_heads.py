"""The built-in faces against rendered heads whose landmarks are known to a fraction of a pixel.

``tests/data/heads`` is written by ``examples/generators/faces/truth.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from draggan_widget import load_generator
from draggan_widget.engines.draggan.methods import METHODS, blocks_of, frame_of

FOLDER = Path(__file__).parents[1] / "data" / "heads"
TRUTH = json.loads((FOLDER / "heads.json").read_text())
NAMES = TRUTH["landmarks"]
HEADS = {head["name"]: head for head in TRUTH["heads"]}


@pytest.fixture(scope="module")
def faces():
    return load_generator("faces", device="cpu")


def latent_of(faces, frame) -> torch.Tensor:
    return faces.mapping(torch.tensor([frame["latent"]]))


def test_the_set_is_small_and_whole():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 3e6
    for head in HEADS.values():
        for frame in head["frames"]:
            with Image.open(FOLDER / frame["file"]) as picture:
                assert picture.size == (TRUTH["size"], TRUTH["size"])
            points = np.array(frame["points"])
            assert points.shape == (len(NAMES), 2)
            assert len(frame["visible"]) == len(NAMES)
            assert ((points > 0) & (points < TRUTH["size"] - 1)).all()
            assert np.square(frame["latent"]).mean() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("head", "landmark", "way"),
    [
        ("open", "chin", (0, 1)),
        ("turn", "nose_tip", (1, 0)),
        ("nose", "nose_tip", (0, 1)),
        ("blink", "left_upper_lid", (0, 1)),
    ],
)
def test_each_head_does_what_its_name_says(head, landmark, way):
    points = np.array([frame["points"][NAMES.index(landmark)] for frame in HEADS[head]["frames"]])
    assert abs((points[-1] - points[0]) @ way) >= 5


@pytest.mark.parametrize(("edition", "share"), [("faces-1", 0.5), ("faces", 1.0)])
@pytest.mark.parametrize("head", HEADS)
def test_the_generator_draws_the_head_of_the_same_latent(head, edition, share):
    # The heads were rendered in the first edition; the second draws the same ones, with other hair and skin.
    faces = load_generator(edition, device="cpu")
    for frame in HEADS[head]["frames"][::2]:
        with torch.no_grad():
            made = faces.synthesize(latent_of(faces, frame))[0].permute(1, 2, 0).clamp(-1, 1).numpy() * 127.5 + 127.5
        true = np.asarray(Image.open(FOLDER / frame["file"]), float)
        face = np.s_[60:230, 60:196]
        others = [np.asarray(Image.open(FOLDER / other["frames"][0]["file"]), float)
                  for name, other in HEADS.items() if name != head]  # fmt: skip
        to_itself = np.abs(made - true)[face].mean()
        assert to_itself < share * min(np.abs(made - other)[face].mean() for other in others)


def tracked(faces, head, config):
    """Errors (frames - 1, landmarks) in pixels of landmarks tracked from frame to frame, NaN where hidden."""
    method, blocks = METHODS[config.method], blocks_of(faces, config)
    frame_size = frame_of(config, faces.resolution)

    def reader(frame):
        ws = latent_of(faces, frame)
        return lambda xy: faces.sample_features(ws, blocks, torch.from_numpy(np.ascontiguousarray(xy)))

    first, *others = HEADS[head]["frames"]
    handles = method.place(np.array(first["points"]), frame_size)
    references = list(reader(first)(handles))
    errors = []
    for frame in others:
        handles = method.track(reader(frame), handles, references, frame_size)
        seen = np.array(frame["visible"]) & np.array(first["visible"])
        errors.append(np.where(seen, np.linalg.norm(handles - frame["points"], axis=1), np.nan))
    return np.array(errors)


@pytest.mark.parametrize("head", HEADS)
def test_features_are_tracked_to_where_the_landmarks_truly_went(faces, head):
    errors = tracked(faces, head, faces.drag_config)
    assert np.nanmedian(errors) <= 2
    assert (errors[~np.isnan(errors)] <= 6).mean() >= 0.9
