"""Small generators with random weights."""

from __future__ import annotations

import functools

import torch

from draggan_widget.models import StyleGAN2


@functools.cache
def generator_of(size: int, width: int = 16) -> StyleGAN2:
    """A float64 StyleGAN2 of pictures of that size, with random weights and a little noise."""
    channels = {2**power: width for power in range(2, size.bit_length())}
    with torch.random.fork_rng():
        torch.manual_seed(size)
        generator = StyleGAN2(size, z_dim=8, w_dim=16, channels=channels, mapping_layers=2).double()
    for name, weight in generator.named_parameters():
        if name.endswith("noise_strength"):
            weight.data.fill_(0.05)
    return generator


def small_stylegan2(resolution: int = 64, *, seed: int = 0, **settings) -> StyleGAN2:
    """A random StyleGAN2 with narrow maps, whose noise and w_avg are not zero, as after training."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sizes = [2**power for power in range(2, resolution.bit_length())]
        widths = {size: max(4, 64 // size) for size in sizes}
        defaults = {"z_dim": 16, "w_dim": 16, "channels": widths, "mapping_layers": 2, "mapping_lr_multiplier": 1.0}
        generator = StyleGAN2(resolution, **{**defaults, **settings})
        state = generator.network.state_dict()
        for name, tensor in state.items():
            if name.endswith(("noise_strength", "w_avg")) or (name.endswith("bias") and "affine" not in name):
                tensor.copy_(0.1 * torch.randn_like(tensor))
    return generator
