"""What several rooms' tests share."""

from __future__ import annotations

import pytest
import torch

from draggan_widget.generators import StyleGAN2

torch.set_num_threads(1)  # the networks are tiny, and so is what a second thread would gain


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


@pytest.fixture(scope="session")
def generator() -> StyleGAN2:
    """A random StyleGAN2 of 64 px."""
    return small_stylegan2()
