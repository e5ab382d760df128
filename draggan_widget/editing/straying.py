"""What has gone astray in an edit that came to no good end, with whatever engine, and what to try."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from draggan_widget.editing.document import Document
    from draggan_widget.models import Generator

HARDLY = 0.15
"""Confidence below which what a point was put on counts as lost."""
DRAWS = 8
"""Latents of which it is taken how far from their mean latents are."""
OUTSIDE = 1.4
"""Times as far from the mean as these, root mean square. Pulls that arrive end below 1.2; pulls as far as no face can
go led to 1.2 to 1.7."""
SAID = ("stalled", "capped", "stopped")
"""Statuses at which it is said: in a run it may still come right, and what has arrived needs no advice."""
_reaches: weakref.WeakKeyDictionary[Generator, dict[int | None, tuple[Tensor, float]]] = weakref.WeakKeyDictionary()


def strayed(generator: Generator, document: Document, confidence: Mapping[int, float], status: str) -> str:
    """Return what has gone astray, in a sentence or two; empty if nothing has.

    :param confidence: of points by id, 0 … 1. :param status: of the session.
    """
    if status not in SAID:
        return ""
    state = document.drag
    away = [number for number, left in zip(state.ids, state.distances, strict=True) if left > 1]
    lost = [number for number in away if confidence.get(number, 1.0) < HARDLY]
    if lost:
        who = f"Point {lost[0]} is" if len(lost) == 1 else f"{len(lost)} points are"
        return f"{who} hardly found any more: the picture has changed too much there. Try a nearer target, or undo."
    if away and far_out(generator, state.ws, document.label) > OUTSIDE:
        return "The picture is far from what this model usually makes. Try a nearer target, or undo."
    return ""


def far_out(generator: Generator, ws: Tensor, label: int | None) -> float:
    """Return how far the farthest row of ``ws`` (1, num_ws, w_dim) is from the mean latent; 1 is as far as they are."""
    known = _reaches.setdefault(generator, {})
    if label not in known:
        known[label] = _reach(generator, label)
    mean, reach = known[label]
    return float((ws - mean)[0].norm(dim=1).max()) / max(reach, 1e-30)


def _reach(generator: Generator, label: int | None) -> tuple[Tensor, float]:
    if generator.label_dim and label is None:  # a latent of unknown origin
        label = 0
    with torch.no_grad():
        mean = generator.space.draw(seed=0, label=label, truncation=0.0)
        drawn = torch.cat([generator.space.draw(seed=seed, label=label) for seed in range(DRAWS)])
    return mean, float((drawn - mean).square().sum(dim=2).mean().sqrt())
