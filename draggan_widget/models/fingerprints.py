"""Hashes of weights, by which a network is known again wherever its file lies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def fingerprint(generator: nn.Module) -> str:
    """Return a hash of a generator's weights, the same for the same network wherever its file lies."""
    return fingerprint_of(sorted(generator.state_dict().items()))


def fingerprint_of(weights: Iterable[tuple[str, Tensor]]) -> str:
    """Return a hash of tensors and their names, in their order."""
    digest = hashlib.sha256()
    for name, tensor in weights:
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
