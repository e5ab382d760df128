"""Latent → features → picture: generators in plain torch, and where they come from."""

from draggan_widget.generators.base import Generator, sample_map
from draggan_widget.generators.checkpoints import (
    CheckpointError,
    builtin_names,
    find_checkpoint,
    load_generator,
    save_generator,
)
from draggan_widget.generators.stylegan2 import StyleGAN2

__all__ = [
    "CheckpointError",
    "Generator",
    "StyleGAN2",
    "builtin_names",
    "find_checkpoint",
    "load_generator",
    "sample_map",
    "save_generator",
]
