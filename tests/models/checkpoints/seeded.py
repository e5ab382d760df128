"""Stored references of public implementations, whose weights come by a rule, so that names and shapes are enough.

Networks of the tests have trained-looking weights: everything that is zero at the start of a training is not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from draggan_widget.models import StyleGAN2
from draggan_widget.models.checkpoints.translation import Translation

REFERENCES = Path(__file__).parents[2] / "data" / "references"
FIR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


class Reference:
    """One stored reference: ``settings``, the seeded ``weights`` under the file's names, z, ws and picture."""

    def __init__(self, name: str) -> None:
        with np.load(REFERENCES / f"{name}.npz") as file:
            self.settings: dict[str, Any] = json.loads(str(file["settings"]))
            self.z, self.ws, self.picture = (file[key] for key in ("z", "ws", "picture"))
        self.weights = seeded_weights(self.settings["shapes"], self.settings["seed"], self.settings["lr_multiplier"])

    def check(self, translation: Translation | None) -> None:
        """Latents within 1e-4 and the picture within 1 % of its standard deviation."""
        assert translation is not None
        assert translation.family == "stylegan2"
        generator = StyleGAN2.from_config(json.loads(json.dumps(translation.config)))
        generator.network.load_state_dict(translation.tensors)
        ws = generator.mapping(self.z, label=self.settings.get("label"), truncation=self.settings["truncation"])
        assert np.abs(ws.numpy() - self.ws).max() < 1e-4
        stride = self.settings["stride"]
        picture = generator.synthesize(torch.from_numpy(self.ws))[:, :, ::stride, ::stride].numpy()
        assert picture.shape == self.picture.shape
        assert np.abs(picture - self.picture).max() < 0.01 * self.picture.std()


def seeded_weights(shapes: dict[str, list[int]], seed: int, lr_multiplier: float) -> dict[str, np.ndarray]:
    """Float32 arrays drawn in the order of sorted names; the name says the scale."""
    random = np.random.RandomState(seed)
    return {name: _scaled(name, random.randn(*shapes[name]), lr_multiplier) for name in sorted(shapes)}


def _scaled(name: str, normal: np.ndarray, lr_multiplier: float) -> np.ndarray:
    mapping = name.startswith(("style.", "style_mlp.", "mapping/Dense"))
    if name.endswith("kernel"):
        normal = FIR * 4
    elif name.endswith("modulation.bias"):
        normal = 1 + 0.1 * normal
    elif name.endswith(("bias", "noise.weight", "noise_strength", "dlatent_avg", "latent_avg")):
        normal = 0.1 * normal / (lr_multiplier if mapping else 1)
    elif mapping:
        normal = normal / lr_multiplier
    elif name.endswith("lod"):
        normal = 0 * normal
    return np.asarray(normal, np.float32)
