"""Hashes of weights, by which a network is known again wherever its file lies."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_known: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


def base_fingerprint(model: Any) -> str:
    """Return the fingerprint of a model, or of the one that it is a tuned copy of.

    Each is taken once, for people ask whenever settings change: the weights of a model stay as they are.
    """
    model = model.mapped.untuned(model) if hasattr(model, "mapped") else model
    if model not in _known:
        _known[model] = fingerprint(model)
    return _known[model]


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
