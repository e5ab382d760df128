"""Small StyleGAN3 generators whose random weights come by a rule, so that a seed is all that need be stored."""

from __future__ import annotations

import functools

import numpy as np
import torch

from draggan_widget.models.stylegan3.network import StyleGAN3


def small_stylegan3(resolution: int = 64, *, seed: int = 0, **settings) -> StyleGAN3:
    """A random StyleGAN3 with narrow maps and few layers, which looks trained: nothing of it is zero."""
    defaults = {"z_dim": 16, "w_dim": 16, "channel_base": 1024, "channel_max": 16, "num_layers": 8}
    generator = StyleGAN3(resolution, **{**defaults, **settings})
    fill(generator, seed)
    return generator


@functools.cache
def upright_stylegan3(resolution: int) -> StyleGAN3:
    """One shared by tests that leave it as it is, whose pictures are neither turned nor distorted."""
    generator = small_stylegan3(resolution)
    generator.network.state_dict()["synthesis.input.transform"].copy_(torch.eye(3))
    return generator


def fill(generator: StyleGAN3, seed: int) -> None:
    """Seeded weights for all but the filters, which follow from the settings."""
    state = generator.network.state_dict()
    lr_multiplier = generator.config["mapping_lr_multiplier"]
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items() if not name.endswith("_filter")}
    for name, values in seeded_weights(shapes, seed, lr_multiplier).items():
        state[name].copy_(torch.from_numpy(values))


def seeded_weights(shapes: dict[str, tuple[int, ...]], seed: int, lr_multiplier: float) -> dict[str, np.ndarray]:
    """Float32 arrays drawn in the order of sorted names; the name says what is made of normal numbers."""
    random = np.random.RandomState(seed)
    return {name: _trained(name, random.randn(*shapes[name]), lr_multiplier) for name in sorted(shapes)}


def _trained(name: str, normal: np.ndarray, lr_multiplier: float) -> np.ndarray:
    part = name.split(".", 1)[1]
    if part == "input.transform":
        normal = np.eye(3) + 0.1 * normal * [[1], [1], [0]]
    elif part == "input.affine.weight":
        normal = 0.3 * normal
    elif part == "input.affine.bias":
        normal = [1, 0, 0, 0] + 0.3 * normal
    elif part.endswith("affine.bias"):
        normal = 1 + 0.2 * normal
    elif part.endswith("magnitude_ema"):
        normal = np.exp(0.3 * normal)
    elif part.endswith("bias") or part == "w_avg":
        normal = 0.2 * normal
    if part.startswith("fc"):
        normal = normal / lr_multiplier
    return np.asarray(normal, np.float32)
