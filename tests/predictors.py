"""Predictors for tests: of a bump whose motion is known, trained in seconds, and untrained ones."""

from __future__ import annotations

import functools

import numpy as np
import torch
from planted import REACH, Planted

from draggan_widget.analysis.training import pulls, trainer
from draggan_widget.engines.predicted import About, Predictor, Shape
from draggan_widget.models import fingerprint

SIDE = 64
SMALL = {"width": 32, "heads": 2, "layers": 1, "hidden": 48}
"""A network that learns in a moment."""


def write_motion(folder, parts=3, heads=24, points=10):
    """Files as ``motion.py`` writes them, of the bump: each point around it moves by ``REACH`` a unit of z."""
    model = planted()
    folder.mkdir(parents=True, exist_ok=True)
    for part in range(parts):
        random = np.random.default_rng(part)
        z = random.uniform(-1, 1, (heads, 2)).astype(np.float32)
        middles = np.stack([model.centre(model.mapping(one[None])).numpy() for one in z])
        around = random.uniform(-8, 8, (heads, points, 2))
        motions = np.zeros((heads, points, 3, 2), np.float16)
        motions[:, :, 0, 0] = motions[:, :, 1, 1] = REACH
        np.savez(
            folder / f"motion-{part:05d}.npz",
            z=z,
            points=(middles[:, None] + around).astype(np.float32),
            motions=motions,
        )
    return folder


class Roaming(Planted):
    """The bump, which any latent takes as far as it says."""

    def __init__(self):
        super().__init__((SIDE, SIDE))

    def map_latent(self, z, labels, truncation):
        return (truncation * z)[:, None].repeat(1, self.num_ws, 1)


@functools.cache
def planted():
    """The one that predictors of these tests are for."""
    return Roaming()


def motion(folder, model=None):
    """The source of pulls of the bump, gathered."""
    model = model or planted()
    parts = sorted(write_motion(folder / "motion").glob("*.npz"))
    source = pulls.Motion(model, parts, folder, trainer.blocks_of(model))
    list(source.gather(100))
    return source


def untrained(folder, method="autodraggan", most=12):
    """A predictor of the bump that says nothing yet."""
    return trainer.untrained(planted(), motion(folder), method, "planted", most, **SMALL)


@functools.cache
def trained(method="autodraggan"):
    """A predictor of the bump that has learned for some seconds."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = motion(folder)
        predictor = trainer.untrained(planted(), source, method, "planted", 12, **SMALL)
        training = trainer.Training(predictor, source, 100, folder / "a.pt")
        training.take(250)
    return predictor.requires_grad_(False)


def bump(x=0.0, y=0.0):
    """The latent (1, 4, 2) of a bump so far from the middle, in pixels."""
    return torch.tensor([x / REACH, y / REACH]).expand(1, 4, 2).contiguous()


def speechless(model, method="autodraggan"):
    """A predictor of any model that says nothing."""
    blocks = trainer.blocks_of(model)
    channels = model.sample_features(model.mapping(seed=0), blocks, torch.zeros(1, 2, dtype=torch.float64)).shape[1]
    about = About(
        method, fingerprint(model), "m", tuple(model.resolution), model.w_dim, (model.num_ws,), blocks, 12, False
    )
    return Predictor(about, Shape(channels, 4, 1, **SMALL))
