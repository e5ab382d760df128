"""Training a predictor: steps until the time is over, a checkpoint now and then, and what it has come to by then."""

from __future__ import annotations

import dataclasses
import io
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from draggan_widget.analysis.training.pulls import SEED, Source
from draggan_widget.engines import Edit, EditPoint
from draggan_widget.engines.natural import mahalanobis
from draggan_widget.engines.predicted import About, BoundPredicted, Predicted, Predictor, Shape, missed
from draggan_widget.files import write_whole
from draggan_widget.models import fingerprint, guarded
from draggan_widget.texts import one_line, shown_path

if TYPE_CHECKING:
    from draggan_widget.models import Generator

BATCH, RATE, DECAY = 48, 1.5e-3, 0.01
WARM = 200
"""Steps in which the rate rises."""
LOOK_EVERY = 250
"""Steps between two lines, and two checkpoints."""
HELD_BATCHES = 12
TRIALS = 16
"""Pulls by which the jump is tried."""
SHARE = 0.05
"""Of the picture's height, of these."""
MOST_AXES = 160
LEAST_VARIANCE = 1e-3
"""Of the largest: principal axes of latents that vary less are not told."""
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Look:
    """How far a training is."""

    step: int
    seconds: float
    loss: float
    """The mean square error of coordinates since the last look, in proportion to the length of a piece."""
    explained: float
    """Part of the changes of held-out pulls that is told, at most 1; 0 for a network that says nothing."""
    gain: float
    """Part of the way that one jump takes away of held-out pulls by 5 %, by the tracked handles, median."""
    distance2: float
    """Squared length of its change in the metric of latents, median."""
    milliseconds: float
    """That a jump takes, tracking included, median."""


def untrained(model: Generator, source: Source, method: str, name: str, most: int, **size: int) -> Predictor:
    """Return a predictor that has learned nothing, in the units of a model and of what it is to learn from.

    :param name: of the model, for people. :param most: points it is to be asked for at once. :param size: what of
        ``Shape`` is to be otherwise.
    """
    blocks = blocks_of(model)
    features = source.features()
    metric = model.space.metric()
    variances, directions = torch.linalg.eigh(metric.covariance)
    variances, directions = variances.flip(0), directions.flip(1)
    count = int(min(MOST_AXES, (variances > LEAST_VARIANCE * variances[0]).sum()))
    about = About(
        method,
        fingerprint(model),
        name,
        (int(model.resolution[0]), int(model.resolution[1])),
        model.w_dim,
        source.groups,
        blocks,
        most,
        source.zooms,
    )
    shape = Shape(features.shape[1], count, len(source.groups), **size)
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        predictor = Predictor(about, shape)
    predictor.mean.copy_(metric.mean)
    predictor.axes.copy_((directions * variances.clamp(min=0).sqrt()).T[:count])
    predictor.feature_mean.copy_(features.mean(dim=0))
    predictor.feature_scale.copy_(features.std(dim=0).clamp(min=1e-4))
    return predictor


def blocks_of(model: Generator) -> tuple[int, ...]:
    """Return the blocks whose features a predictor reads: that below the one by which pictures are dragged, and the
    next below.
    """
    at = max(0, model.blocks.index(model.default_block()) - 1)
    return tuple(model.blocks[max(0, at - 1) : at + 1])


class Training:
    """A predictor that is being trained; what it has come to is in a file, from which it goes on.

    :param file: of the checkpoint; where there is one it is gone on from.
    :raises ValueError: if that is of another predictor, or damaged.
    """

    def __init__(self, predictor: Predictor, source: Source, minutes: float, file: Path) -> None:
        self.predictor, self.source, self.minutes, self._file = predictor, source, minutes, file
        self._adam = torch.optim.AdamW(predictor.parameters(), lr=RATE, weight_decay=DECAY)
        self.seconds, self.step = 0.0, 0
        if file.exists():
            held = _held(file)
            if held["about"] != dataclasses.asdict(predictor.about) or held["shape"] != dataclasses.asdict(
                predictor.shape
            ):
                raise ValueError(f"{shown_path(file)} is the checkpoint of another predictor; give another --out")
            predictor.load_state_dict(held["weights"])
            self._adam.load_state_dict(held["adam"])
            self.seconds, self.step = held["seconds"], held["step"]

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return self.seconds >= 60 * self.minutes

    @guarded
    def take(self, until: int) -> float:
        """Train up to a step, or until the time is over; return the mean loss. A step always sees the same pulls."""
        self.predictor.train()
        total, began, first = 0.0, time.monotonic(), self.step
        while self.step < until and not self.over:
            self._adam.param_groups[0]["lr"] = self._rate()
            random = np.random.default_rng([SEED, 7, self.step])
            batch = self.source.batch(self.predictor, random, BATCH)
            with torch.random.fork_rng():
                torch.manual_seed(self.step)
                losses = self.predictor.network.losses(batch.start, batch.points, batch.wanted)
            loss: Tensor = torch.stack(list(losses.values())).sum()
            self._adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.predictor.parameters(), 1.0)
            self._adam.step()
            total += float(losses["change"].detach())
            self.step += 1
            now = time.monotonic()
            self.seconds, began = self.seconds + now - began, now
        self.predictor.eval()
        return total / max(1, self.step - first)

    def run(self) -> Iterator[Look]:
        """Train until the time is over; yield how it goes after each checkpoint."""
        while True:
            loss = self.take((self.step // LOOK_EVERY + 1) * LOOK_EVERY)
            self.keep()
            yield self.look(loss)
            if self.over:
                return

    def _rate(self) -> float:
        done = min(1.0, self.seconds / (60 * self.minutes))
        return RATE * min(1.0, (self.step + 1) / WARM) * 0.5 * (1 + math.cos(math.pi * done)) + 1e-6

    @guarded
    def look(self, loss: float = math.nan) -> Look:
        """Return how far it is, by pulls that are not learned from."""
        random = np.random.default_rng([SEED, 11])
        error = whole = 0.0
        with torch.no_grad():
            for _ in range(HELD_BATCHES):
                batch = self.source.batch(self.predictor, random, BATCH, held=True)
                wanted = batch.wanted
                told = self.predictor.network.ways(batch.start, batch.points, wanted.shape[1])
                error += float(missed(told, wanted, batch.points))
                whole += float(missed(torch.zeros_like(wanted), wanted, batch.points))
        trials = tried(self)
        gain, distance2, took = (float(np.median([trial[name] for trial in trials])) for name in FIGURES)
        return Look(self.step, self.seconds, loss, 1 - error / max(whole, 1e-12), gain, distance2, took)

    def keep(self) -> None:
        """Write the checkpoint, whole or not at all."""
        stream = io.BytesIO()
        held = {
            "format": FORMAT,
            "about": dataclasses.asdict(self.predictor.about),
            "shape": dataclasses.asdict(self.predictor.shape),
            "weights": self.predictor.state_dict(),
            "adam": self._adam.state_dict(),
            "seconds": self.seconds,
            "step": self.step,
        }
        torch.save(held, stream)
        write_whole(self._file, stream.getvalue())


FIGURES = ("gain", "distance2", "milliseconds")


def tried(training: Training, count: int = TRIALS) -> list[dict[str, Any]]:
    """Return what one jump makes of held-out pulls by 5 %: always the same pulls.

    ``pull``, ``edit`` afterwards, and what ``FIGURES`` names.
    """
    predictor, source = training.predictor, training.source
    model = source.model
    bound = BoundPredicted(model, Predicted(method=cast("Any", predictor.about.method), nearer=0.0), predictor)
    covariance = model.space.metric().covariance
    random, found = np.random.default_rng([SEED, 13]), []
    for _ in range(count):
        pull = source.trial(random, SHARE)
        point = EditPoint(1, *((float(x), float(y)) for x, y in (pull.handle, pull.target, pull.handle)))
        edit = Edit(pull.latent, pull.latent, (point,))
        began = time.perf_counter()
        (step,) = bound.advance(edit, bound.begin(edit))
        took = 1000 * (time.perf_counter() - began)
        moved = step.edit.latent - pull.latent
        found.append(
            {
                "pull": pull,
                "edit": step.edit,
                "gain": float(step.report["gain"]),
                "distance2": mahalanobis(covariance, moved),
                "milliseconds": took,
            }
        )
    return found


def _held(file: Path) -> Mapping[str, Any]:
    """Return what a checkpoint holds. :raises ValueError: if it is damaged, or none."""
    try:
        held: Mapping[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        if held["format"] != FORMAT:
            raise ValueError("it is of another format")
    except Exception as error:  # torch.load raises all kinds
        raise ValueError(
            f"{shown_path(file)} is no checkpoint that can be gone on from ({one_line(error, 100)}); delete it"
        ) from error
    return held


def exported(file: Path, out: Path) -> Predictor:
    """Write the predictor that a checkpoint has come to, also while training goes on, and return it.

    :raises FileNotFoundError: without that file. :raises ValueError: if it is damaged. :raises OSError: if ``out``
        cannot be written.
    """
    if not file.is_file():
        raise FileNotFoundError(f"no checkpoint {shown_path(file)} yet; train first")
    held = _held(file)
    about, shape = dict(held["about"]), dict(held["shape"])
    about = {name: tuple(value) if isinstance(value, list) else value for name, value in about.items()}
    predictor = Predictor(About(**about), Shape(**shape))
    predictor.load_state_dict(held["weights"])
    predictor.save(out)
    return predictor
