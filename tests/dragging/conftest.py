from __future__ import annotations

import functools

import pytest
import torch

from draggan_widget.generators import StyleGAN2


@pytest.fixture(autouse=True, scope="session")
def _few_threads():
    torch.set_num_threads(1)


@functools.cache
def random_generator(size: int, width: int = 16) -> StyleGAN2:
    """A small float64 StyleGAN2 with random weights and noise, so that maps have detail to track."""
    torch.manual_seed(size)
    channels = {2**power: width for power in range(2, size.bit_length())}
    generator = StyleGAN2(size, z_dim=8, w_dim=16, channels=channels, mapping_layers=2).double()
    for name, weight in generator.named_parameters():
        if name.endswith("noise_strength"):
            weight.data.fill_(0.05)
    return generator


@pytest.fixture
def small() -> StyleGAN2:
    """A generator of 32 px pictures."""
    return random_generator(32)


@pytest.fixture
def generator_of():
    """``generator_of(size)``: a generator of pictures of that size."""
    return random_generator
