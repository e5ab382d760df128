"""Attributes that are known of every sample of a built-in model: its latents begin as numbers that have names.

A file beside the weights names them; how a latent shows them, and how it changes with one while the others stay, is
taken of samples, once a model.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.resources
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from draggan_widget.directions.direction import Direction, check_amount
from draggan_widget.directions.vocabulary import Vocabulary
from draggan_widget.models import guarded, mapping_fingerprint
from draggan_widget.settings import shown

if TYPE_CHECKING:
    from draggan_widget.models import Generator

SAMPLES, SEED = 20_000, 11
"""Of which readings are taken, and the seed of these."""
CHECKED = 5
"""One sample of so many is kept apart, to say how well the others read it."""
RIDGE = 1e-3
"""ρ = RIDGE · n · the mean variance of latents."""
RARE = 0.005
"""Part of the samples beyond either end of a range."""
FILES = "_attributes.json"


@dataclasses.dataclass(frozen=True)
class Known:
    """The attributes of a model by name, and words for them."""

    attributes: tuple[Mapping[str, Any], ...]
    """Each with ``name``, ``label``, ``group``, ``ends``, ``words``, and ``measured`` where pictures were looked at."""
    groups: Mapping[str, str]
    """Name → label, in order."""
    sets: Mapping[str, tuple[str, ...]]
    """Name → groups that are one thing to people: "identity"."""
    phrases: Mapping[str, Mapping[str, float]]
    mapping: tuple[str, ...]
    """``mapping_fingerprint`` of the models that have these."""
    shows: str = "a face"
    """What the pictures show, in words for a CLIP network."""

    @functools.cached_property
    def vocabulary(self) -> Vocabulary:
        """The words for them."""
        return Vocabulary.of(self.attributes, self.phrases)


def known_of(model: Generator) -> Known | None:
    """Return what is known of a model's attributes; None of a model that somebody else has made."""
    print_ = mapping_fingerprint(model)
    return next((known for known in _shipped() if print_ in known.mapping), None)


@functools.cache
def _shipped() -> tuple[Known, ...]:
    folder = importlib.resources.files("draggan_widget.models") / "builtin"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(FILES)), key=lambda file: file.name)
    return tuple(read_known(file.read_text(encoding="utf-8")) for file in files)


def read_known(text: str) -> Known:
    """Return what a file of attributes says."""
    values = json.loads(text)
    return Known(
        tuple(values["attributes"]),
        values["groups"],
        {name: tuple(groups) for name, groups in values["sets"].items()},
        values["phrases"],
        tuple(values["mapping"]),
        values.get("shows", "a face"),
    )


@guarded
def known_directions(model: Generator, known: Known) -> list[Direction]:
    """Return the directions of a model's known attributes.

    Readings are those of ridge regression, ``A = (XᵀX + ρI)⁻¹XᵀY``, of samples of a fixed seed. One attribute is
    changed and the others are held by ``Δw = ΣA(AᵀΣA)⁻¹e_k``, the least such change in the metric of the latents
    (Σ their covariance). They are computed once a mapping network, and then come from the user's cache folder.
    """
    count = len(known.attributes)
    found = model.mapped.get(model, "attributes", lambda: _measured(model))
    if found.shape[0] != 2 * count + 4:
        raise ValueError(f"the model has {model.z_dim} numbers, and {count} names for them; update draggan_widget")
    print_ = mapping_fingerprint(model)
    readings, changes, (scores, zeros, least, most) = found[:count], found[count : 2 * count], found[2 * count :]
    return [
        Direction(
            each["name"],
            each["label"],
            each["group"],
            changes[number].float().expand(model.num_ws, -1).contiguous(),
            readings[number].clone(),
            float(zeros[number]),
            "known",
            round(float(scores[number]), 4),
            round(float(least[number]), 2),
            round(float(most[number]), 2),
            print_,
            (each["ends"][0], each["ends"][1]),
            bool(each.get("measured", {}).get("qualifies", True)),
        )
        for number, each in enumerate(known.attributes)
    ]


def attributes_of(z: Tensor) -> Tensor:
    """Return the attributes of normal numbers ``z`` (n, z_dim): a mapping network sees them at unit mean square."""
    return z / (z.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


def _measured(model: Generator) -> Tensor:
    """Return readings and changes (2K + 4, w_dim), and below them R², zeros and ranges."""
    z, w = model.space.samples(SAMPLES, SEED)
    y = attributes_of(z)
    apart = torch.arange(len(w)) % CHECKED == 0
    _, a, offset = _ridge(w[~apart], y[~apart])
    left = (w[apart] @ a + offset - y[apart]).square().sum(dim=0)
    scores = 1 - left / (y[apart] - y[apart].mean(dim=0)).square().sum(dim=0)
    covariance, a, offset = _ridge(w, y)
    changes = covariance @ a @ torch.linalg.inv(a.T @ covariance @ a)
    ends = torch.quantile(y, torch.tensor([RARE, 1 - RARE], dtype=y.dtype), dim=0)
    below = w.new_zeros(4, w.shape[1])
    for row, values in enumerate((scores, -offset, *ends)):
        below[row, : len(values)] = values
    return torch.cat([a.T, changes.T, below]).contiguous()


def _ridge(w: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the covariance (w_dim, w_dim), readings A (w_dim, K) and what is to be added to ``w @ A``, (K,)."""
    mean, middle = w.mean(dim=0), y.mean(dim=0)
    x = w - mean
    gram = x.T @ x
    a = torch.linalg.solve(gram + RIDGE * gram.diagonal().mean() * torch.eye(len(gram)).to(gram), x.T @ (y - middle))
    return gram / len(w), a, middle - mean @ a


@guarded
def exact_change(model: Generator, z: Any, amounts: Mapping[str, float]) -> Tensor:
    """Return the change of the latent (num_ws, w_dim) of a known ``z`` when some of its numbers change.

    It is ``map(z + δ) - map(z)``, with no regression in between, where ``z`` (z_dim,) is at unit mean square and the
    numbers that are not named stay as they are.

    :param amounts: attribute → δ in σ.
    :raises ValueError: for a model whose attributes are not known, another ``z``, an unknown attribute, or no amount.
    """
    known = known_of(model)
    if known is None:
        raise ValueError("of this model nobody knows what its numbers mean; use the directions of its latents")
    names = [each["name"] for each in known.attributes]
    here = torch.as_tensor(z, dtype=torch.float64).reshape(1, -1)
    if here.shape[1] != model.z_dim or not torch.isfinite(here).all():
        raise ValueError(f"z has shape {tuple(here.shape[1:])}, or numbers that are not finite; give ({model.z_dim},)")
    here = attributes_of(here)
    there = here.clone()
    for name, amount in amounts.items():
        if name not in names:
            raise ValueError(f"there is no attribute {shown(name)}")
        there[0, names.index(name)] += check_amount(name, amount)
    others = torch.tensor([name not in amounts for name in names])
    # What was added to some numbers is not to make the others smaller when all are brought to unit mean square.
    room = len(names) - float(there[0, ~others].square().sum())
    scale = (room / float(there[0, others].square().sum())) ** 0.5 if room > 0 and bool(others.any()) else 1.0
    there[0, others] *= scale
    with torch.no_grad():
        mapped = model.mapper()
        change = mapped(there, None) - mapped(here, None)
    return change[0].float().expand(model.num_ws, -1).contiguous()
