"""Latent → features → picture: models in plain torch, and where they come from."""

from draggan_widget.models.base import Generator, check_seed, sample_map
from draggan_widget.models.checkpoints import (
    CheckpointError,
    best_device,
    builtin_base,
    builtin_edition,
    builtin_names,
    find_checkpoint,
    load_generator,
    offered_names,
    placed,
    save_generator,
)
from draggan_widget.models.companions import load_companion, save_companion, told_by
from draggan_widget.models.compositing import Compositor, Layer
from draggan_widget.models.diffusion import Diffusion, load_diffusion
from draggan_widget.models.fingerprints import base_fingerprint, fingerprint
from draggan_widget.models.graphs import captured
from draggan_widget.models.guard import guarded, plain_torch
from draggan_widget.models.mapped import all_weights, cache_folder, mapping_fingerprint, store, stored
from draggan_widget.models.precision import for_glances
from draggan_widget.models.protocol import Model
from draggan_widget.models.space import Metric, Space, WPlus, one_thread
from draggan_widget.models.stylegan2 import StyleGAN2
from draggan_widget.models.stylegan3 import StyleGAN3
from draggan_widget.models.tuned import TunedCopy, difference
from draggan_widget.models.working import ended

__all__ = [
    "CheckpointError",
    "Compositor",
    "Diffusion",
    "Generator",
    "Layer",
    "Metric",
    "Model",
    "Space",
    "StyleGAN2",
    "StyleGAN3",
    "TunedCopy",
    "WPlus",
    "all_weights",
    "base_fingerprint",
    "best_device",
    "builtin_base",
    "builtin_edition",
    "builtin_names",
    "cache_folder",
    "captured",
    "check_seed",
    "difference",
    "ended",
    "find_checkpoint",
    "fingerprint",
    "for_glances",
    "guarded",
    "load_companion",
    "load_diffusion",
    "load_generator",
    "mapping_fingerprint",
    "offered_names",
    "one_thread",
    "placed",
    "plain_torch",
    "sample_map",
    "save_companion",
    "save_generator",
    "store",
    "stored",
    "told_by",
]
