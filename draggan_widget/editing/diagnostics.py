"""What goes wrong in an edit, told in words with what to try.

Of drags by DragGAN: handles that come no nearer, or go back and forth. Of any engine: points that are lost, and
pictures far from what the model usually makes.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from draggan_widget.config import DragConfig
from draggan_widget.editing.history import Record
from draggan_widget.engines.draggan import MARKED, tolerance_of
from draggan_widget.models import Diffusion

if TYPE_CHECKING:
    from draggan_widget.editing.document import Document
    from draggan_widget.models import Generator

MOST = 0.7
"""Of ``stall_steps``: after so many steps without progress it is said, before the run ends for it."""
USUAL = 10
"""``stall_steps`` where the config has none."""
LOOK = 12
"""Steps over which going back and forth is looked for."""
BACK = 200
"""Records that are looked through, so that a long edit costs no more than a short one."""
BETTER = 0.5
"""Pixels by which it must come nearer in as many steps until a warning goes: more than keeps one away, so that it does
not flicker."""
WANDERING = 0.2
"""Of the way that a handle went: if less of it was progress, it goes back and forth."""
STEADY = 0.4
"""Of the way: if more of it is progress again, it does not."""
LEAST = 0.4
"""Pixels a step that a handle goes, on average, if it goes back and forth rather than rests; half of it
keeps a warning."""
LEFT = 2.0
"""In ``tolerance``: a handle that was at its target has left it when it is so far away."""
LEAP = 3.0
"""In ``tracking_radius``: a handle that moved so far within a record was put there by somebody."""
FAST = 2.0
"""In the model's own learning rate: above that it is not said to be too low, and below one half not too high."""
QUIET = ("arrived", "capped", "error")
"""Statuses that speak for themselves."""
HARDLY = 0.15
"""Confidence below which what a point was put on counts as lost."""
DRAWS = 8
"""Latents of which it is taken how far from their mean latents are."""
OUTSIDE = 1.4
"""Times as far from the mean as these, root mean square. Pulls that arrive end below 1.2; pulls as far as no face can
go led to 1.2 to 1.7."""
SAID = ("stalled", "capped", "stopped")
"""Statuses at which lost points and far pictures are told of: in a run they may still come right, and what has arrived
needs no advice."""
_reaches: weakref.WeakKeyDictionary[Generator, dict[int | None, tuple[Tensor, float]]] = weakref.WeakKeyDictionary()


def warning(generator: Generator, document: Document, confidence: Mapping[int, float], status: str) -> str:
    """Return what goes wrong in an edit and what to try, in a sentence or two; empty if nothing does.

    It goes by the records, as long as they are of the points that there are now.

    :param confidence: of points by id, 0 … 1. :param status: of the session.
    """
    drag, records = document.drag, document.records
    if not records or records[-1].ids != drag.ids:
        return ""
    last = records[-1]
    if not (np.array_equal(last.targets, drag.targets) and np.array_equal(last.handles, drag.handles)):
        return ""
    if lost := drag.lost:
        who = f"Point {lost[0]} was" if len(lost) == 1 else f"{len(lost)} points were"
        return (
            f"{who} lost: what is found is not what was grabbed. The picture is the best one before. Try a nearer "
            "target, or grab a more distinct spot."
        )
    told = ""
    if isinstance(drag.config, DragConfig):  # the advice is about the settings of DragGAN
        own, masked = generator.drag_config, document.mask is not None
        told = draggan_warning(
            records, drag.config, status, generator.resolution, masked=masked, own=own, num_ws=generator.num_ws
        )
    return told or strayed(generator, document, confidence, status)


def draggan_warning(
    records: Sequence[Record],
    config: DragConfig,
    status: str,
    resolution: tuple[int, int] = (512, 512),
    *,
    masked: bool = True,
    own: DragConfig | None = None,
    num_ws: int | None = None,
) -> str:
    """Return what the records of a drag by DragGAN show to go wrong, and what to try; empty if nothing does.

    A function of the records alone, so that it is the same wherever it is asked: it goes through them and remembers
    what it has warned of, and takes a warning back only for clearly more progress than its lack brought it.

    :param records: of one edit, in order. :param config: whose ``stall_steps``, ``tracking_radius`` and ``tolerance``
        count. :param status: of the session; for those that speak for themselves there is no warning.
    :param resolution: (H, W) of the picture, on which the tolerance depends where the config leaves it to the method.
    :param masked: whether there is a mask, which might be larger. :param own: the generator's own config, by which its
        learning rate is high or low; None if that is not known. :param num_ws: rows of its latent, likewise.
    """
    if status in QUIET or len(records) < 2:
        return ""
    course = _last_course(records[-BACK:], LEAP * max(config.tracking_radius, 1.0))
    steps = np.array([record.step for record in course])
    distances = np.stack([record.distances for record in course])  # (T, N)
    handles = np.stack([record.handles for record in course])  # (T, N, 2)
    within = tolerance_of(config, distances.shape[1], resolution)
    patience = max(2, round(MOST * (config.stall_steps or USUAL)))
    astray = [n for n in range(distances.shape[1]) if _is_astray(distances[:, n], within)]
    wandering = [n for n in astray if _wanders(steps, handles[:, n], distances[:, n])]
    stuck = [n for n in astray if n not in wandering and _is_stuck(steps, distances[:, n], patience)]
    ids = course[-1].ids
    rate = config.learning_rate / (config if own is None else own).learning_rate
    if wandering:
        tries = ["a lower learning rate"] if rate >= 1 / FAST else []
        tries += ["a nearer target"]
        who, last = _named([ids[n] for n in wandering], len(ids), "goes", "go"), "undo and grab a more distinct spot"
        return f"{who} back and forth. Try {_listed(tries, last)}."
    if stuck:
        rows = config.space == "w_plus" and (num_ws is None or config.edit_layers < num_ws)
        speed = "a higher" if rate <= 1 else "a lower" if rate > FAST else ""
        tries = ["a nearer target", "a larger mask" if masked else "", "more rows" if rows else ""]
        tries += [f"{speed} learning rate" if speed else ""]
        who = _named([ids[n] for n in stuck], len(ids), "comes", "come")
        return f"{who} no nearer. Try {_listed([each for each in tries if each], 'undo')}."
    return ""


def _listed(tries: Sequence[str], last: str) -> str:
    """Return what to try, in the order in which to try it."""
    return f"{', '.join(tries)}, or {last}"


def _last_course(records: Sequence[Record], leap: float) -> Sequence[Record]:
    """Return the newest records between which nobody changed the points or targets."""
    first = len(records) - 1
    while first > 0:
        before, after = records[first - 1], records[first]
        same = before.ids == after.ids and np.array_equal(before.targets, after.targets)
        if not same or (len(after.ids) and np.abs(after.handles - before.handles).max() > leap):
            break
        first -= 1
    return records[first:]


def _is_astray(distances: np.ndarray, within: float) -> bool:
    """Return whether a point at ``distances`` (T,) is away from its target; one that was there, only if it clearly left
    it.
    """
    there = False
    for distance in distances:
        there = bool(distance <= (LEFT if there else 1) * within)
    return not there


def _is_stuck(steps: np.ndarray, distances: np.ndarray, patience: int) -> bool:
    """Return whether a point at ``distances`` (T,) after ``steps`` (T,) has come no nearer than ``patience`` steps
    ago.
    """
    nearest, stuck = np.minimum.accumulate(distances), False
    for now, before in enumerate(np.searchsorted(steps, steps - patience, side="right") - 1):
        if before >= 0:
            stuck = bool(nearest[before] - nearest[now] < (BETTER if stuck else MARKED))
    return stuck


def _wanders(steps: np.ndarray, handles: np.ndarray, distances: np.ndarray) -> bool:
    """Return whether a point goes far and gets nowhere: handles (T, 2), distances (T,) to go."""
    ways = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(handles, axis=0).T))])
    wanders = False
    for now, before in enumerate(np.searchsorted(steps, steps - LOOK, side="right") - 1):
        if before < 0:
            continue
        way, progress = ways[now] - ways[before], distances[before] - distances[now]
        far = way >= (LEAST / 2 if wanders else LEAST) * (steps[now] - steps[before])
        wanders = bool(far and progress < (STEADY if wanders else WANDERING) * way)
    return wanders


def _named(ids: Sequence[int], of: int, one: str, several: str) -> str:
    """Return the points as the beginning of a sentence, with its verb."""
    if of == 1:
        return f"The point {one}"
    if len(ids) == 1:
        return f"Point {ids[0]} {one}"
    names = [str(number) for number in ids]
    return f"Points {', '.join(names[:-1])} and {names[-1]} {several}"


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
    # Of a diffusion model noise is all that latents are, so how far they are says nothing.
    if away and not isinstance(generator, Diffusion) and far_out(generator, state.ws, document.label) > OUTSIDE:
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
