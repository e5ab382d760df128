"""What files keep of a diffusion model beside its weights: how it samples, and the identity that it has learnt."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from draggan_widget.models.diffusion.identity import bare, identity_of, with_identity
from draggan_widget.models.diffusion.network import Diffusion
from draggan_widget.models.diffusion.sampling import Sampling

KEPT = {"sampling", "identity"}
"""Under which names it is kept."""


def kept_of(model: Diffusion) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return how a model samples, as values that JSON can hold, and the matrices of its identity by name."""
    return dataclasses.asdict(model.sampling), identity_of(model)


def with_kept(model: Diffusion, sampling: Any, identity: Mapping[str, Tensor]) -> Diffusion:
    """Return a model of the same weights that samples so, and has that identity and no other.

    :raises ValueError: if it cannot. :raises TypeError: likewise.
    """
    known = {field.name for field in dataclasses.fields(Sampling)}
    if not isinstance(sampling, Mapping) or set(sampling) != known:
        raise ValueError("how its model samples is not told in full")
    same = dataclasses.asdict(model.sampling) == dict(sampling) and _equal(identity_of(model), identity)
    return model if same else with_identity(bare(model), identity).sampled(**sampling)


def _equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    if set(one) != set(other):
        return False
    return all(one[name].shape == other[name].shape and bool((one[name] == other[name].cpu()).all()) for name in one)
