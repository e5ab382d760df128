"""The experiments: what is dragged where, and what is measured afterwards.

Lengths are pixels of a picture of 256 px, whatever the picture's size, so that generators can be compared.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.analysis.experiments import distances
from draggan_widget.analysis.experiments.ways import Way
from draggan_widget.engines import mean_squares, to_image
from draggan_widget.engines.draggan import distinctness, init
from draggan_widget.engines.natural import mahalanobis
from draggan_widget.engines.trackers import Tracker, dense_flow, sampled
from draggan_widget.models import Generator

Detector = Callable[[np.ndarray], "np.ndarray | None"]
"""A picture (H, W, 3) uint8 → the landmarks (N, 2) in it, in pixels (x, y); None where it finds none."""
TRUNCATION = 0.7
MARKS: dict[int, tuple[int, ...]] = {1: (30,), 5: (36, 45, 30, 48, 54), 68: tuple(range(68))}
"""Number of points → which of dlib's landmarks: the tip of the nose; the outer corners of the eyes, the tip of the nose
and the corners of the mouth; all. The paper does not say which it took."""
EDITED = 6
"""Rows of the latent that the second picture of a reconstruction differs in."""
LOOKED_AT = 8
"""Pictures, to see whether a generator makes faces."""


class UnmeasuredError(RuntimeError):
    """A sample that says nothing; the text says why."""


@dataclasses.dataclass
class Bench:
    """What experiments are done with."""

    generator: Generator
    detector: Detector | None = None
    trackers: dict[str, Tracker] = dataclasses.field(default_factory=dict)

    def picture(self, ws: Tensor) -> Tensor:
        """(1, channels, H, W), nominally in [-1, 1]."""
        with torch.no_grad():
            return self.generator.synthesize(ws)

    def seeded(self, seed: int) -> Tensor:
        """The latent of a seed; a generator with classes takes them in turn."""
        classes = self.generator.label_dim
        return self.generator.mapping(seed=seed, label=seed % classes if classes else None, truncation=TRUNCATION)

    def marks(self, picture: Tensor, which: str) -> np.ndarray:
        """The landmarks (N, 2) in a picture. :raises UnmeasuredError: where there are none."""
        if self.detector is None:
            raise UnmeasuredError("there is no detector of landmarks; give one")
        found = self.detector(np.asarray(to_image(picture).convert("RGB")))
        if found is None:
            raise UnmeasuredError(f"no face was found in {which}")
        return found

    def identity(self, before: Tensor, after: Tensor) -> dict[str, float]:
        """How far the faces of two pictures are apart by a detector that describes them, under ``identity``."""
        describe = getattr(self.detector, "describe", None)
        if describe is None:
            return {}
        described = [describe(np.asarray(to_image(picture).convert("RGB"))) for picture in (before, after)]
        if described[0] is None or described[1] is None:
            return {}
        return {"identity": float(np.linalg.norm(described[0][1] - described[1][1]))}

    @property
    def unit(self) -> float:
        """What makes pixels of the picture pixels of a picture of 256."""
        return 256 / self.generator.resolution[1]


@dataclasses.dataclass(frozen=True)
class Landmarks:
    """Landmarks of one sample are dragged to where another sample has them (section 4.2, "face landmark manipulation").

    ``distance`` is the mean distance from the landmarks found afterwards to the targets; ``lpips_before`` or
    ``ms_dssim_before``, that of the picture afterwards to the one before.
    """

    points: int = 1
    """1, 5 or 68; which ones, says ``MARKS``."""
    most: int = 300
    """Steps."""
    first_seed: int = 5000
    """Sample k drags the picture of seed first + 2k to that of first + 2k + 1."""

    def __post_init__(self) -> None:
        if self.points not in MARKS:
            raise ValueError(f"points is {self.points!r}; there are {', '.join(map(str, MARKS))}")

    @property
    def name(self) -> str:
        """As tables call it."""
        return f"landmarks, {self.points} {'point' if self.points == 1 else 'points'}"

    def measure(self, bench: Bench, way: Way, number: int) -> dict[str, Any]:
        """The figures of sample ``number``. :raises UnmeasuredError: where no face is found."""
        chosen, seed = list(MARKS[self.points]), self.first_seed + 2 * number
        ws, other = bench.seeded(seed), bench.seeded(seed + 1)
        before = bench.picture(ws)
        handles = bench.marks(before, f"the picture of seed {seed}")[chosen]
        targets = bench.marks(bench.picture(other), f"the picture of seed {seed + 1}")[chosen]
        height, width = bench.generator.resolution
        handles, targets = (np.clip(places, 0, [width - 1, height - 1]) for places in (handles, targets))
        began = time.perf_counter()
        result = way.drag(bench.generator, ws, handles, targets, self.most, bench.trackers)
        seconds = time.perf_counter() - began
        after = before if result is None else bench.picture(result.ws)
        name, distance = distances.picture_distance()
        figures: dict[str, Any] = {
            **_course(result, seconds, bench),
            **_latent_distance(bench.generator, ws, result),
            f"{name}_before": distance(after, before),
            **_looks(after),
        }
        try:
            found = bench.marks(after, "the picture afterwards")[chosen]
        except UnmeasuredError as error:
            return {**figures, "lost": str(error)}
        distance_left = bench.unit * float(np.hypot(*(found - targets).T).mean())
        return {**figures, **bench.identity(before, after), "distance": distance_left}


@dataclasses.dataclass(frozen=True)
class Reconstruction:
    """The first of two near pictures is dragged into the second one (section 4.2, "paired image reconstruction").

    The second one's latent lies a tenth of the way to a random one in the first six rows. ``points`` random pixels of
    the optical flow between them say what goes where.
    """

    points: int = 32
    most: int = 100
    share: float = 0.1
    """Of the way."""
    first_seed: int = 9000

    @property
    def name(self) -> str:
        """As tables call it."""
        return "paired reconstruction"

    def measure(self, bench: Bench, way: Way, number: int) -> dict[str, Any]:
        """The figures of sample ``number``. :raises UnmeasuredError: where nothing moves between the pictures."""
        generator, seed = bench.generator, self.first_seed + 2 * number
        ws = bench.seeded(seed)
        other = ws.clone()
        rows = min(EDITED, ws.shape[1])
        codes = [bench.seeded(10 * seed + row) for row in range(rows)]  # each row of its own, as W+ allows
        other[:, :rows] += self.share * (torch.cat([code[:, :1] for code in codes], dim=1) - ws[:, :rows])
        before, wanted = bench.picture(ws), bench.picture(other)
        flow = dense_flow(*(np.asarray(to_image(picture)) for picture in (before, wanted)))
        height, width = generator.resolution
        places = np.random.default_rng([seed, 1]).uniform(0, [width - 1, height - 1], (self.points, 2)).round()
        targets = np.clip(places + sampled(flow, places), 0, [width - 1, height - 1])
        if np.hypot(*(targets - places).T).max() * bench.unit < 1:
            raise UnmeasuredError(f"nothing moves between the two pictures of sample {number}")
        began = time.perf_counter()
        result = way.drag(generator, ws, places, targets, self.most, bench.trackers)
        seconds = time.perf_counter() - began
        after = before if result is None else bench.picture(result.ws)
        name, distance = distances.picture_distance()
        return {
            **_course(result, seconds, bench),
            **_latent_distance(generator, ws, result),
            **bench.identity(wanted, after),
            "mse": distances.mse(after, wanted),
            name: distance(after, wanted),
            **_looks(after),
        }


@dataclasses.dataclass(frozen=True)
class RoundTrip:
    """A point is dragged away and back again; the picture should be the first one. Needs no detector.

    The point is, of 40 random places in the middle of the picture, the one that can best be told from its
    surroundings; it is dragged by 5 % of the width in a random direction.
    """

    most: int = 300
    """Steps each way."""
    by: float = 0.05
    """Of the width."""
    first_seed: int = 7000

    @property
    def name(self) -> str:
        """As tables call it."""
        return "round trip"

    def measure(self, bench: Bench, way: Way, number: int) -> dict[str, Any]:
        """The figures of sample ``number``."""
        generator, seed = bench.generator, self.first_seed + number
        ws = bench.seeded(seed)
        random = np.random.default_rng([seed, 2])
        size = np.array(generator.resolution[::-1])
        places = random.uniform(0.25, 0.75, (40, 2)) * size
        start = places[int(distinctness(generator, init(generator, ws), places).argmax())][None]
        angle = random.uniform(0, 2 * np.pi)
        target = np.clip(start + self.by * size[0] * np.array([[np.cos(angle), np.sin(angle)]]), 0, size - 1)
        began = time.perf_counter()
        there = way.drag(generator, ws, start, target, self.most, bench.trackers)
        if there is None:
            back = None
        else:
            back = way.drag(generator, there.ws, np.clip(there.handles, 0, size - 1), start, self.most, bench.trackers)
        seconds = time.perf_counter() - began
        before = bench.picture(ws)
        after = before if back is None else bench.picture(back.ws)
        name, distance = distances.picture_distance()
        away = None if there is None else bench.picture(there.ws)
        return {
            **_course(back, seconds, bench),
            **_latent_distance(generator, ws, back),
            **bench.identity(before, after),
            "steps": 0 if there is None or back is None else there.steps + back.steps,
            "mse": distances.mse(after, before),
            name: distance(after, before),
            f"{name}_away": 0.0 if away is None else distance(away, before),
            **_looks(after),
        }


Experiment = Landmarks | Reconstruction | RoundTrip


def block_experiment(generator: Generator, detector: Detector | None = None) -> Experiment:
    """What the ablation of blocks measures: the paper's landmarks of one point, where a face is found in at least half
    of the first pictures; else paired reconstruction, which any generator bears, and which rewards no way for moving
    little, as a round trip does.

    :param detector: of landmarks; None: dlib's, if it is installed.
    """
    if detector is None:
        from draggan_widget.inversion import Landmarks as Faces

        try:
            detector = Faces()
        except ModuleNotFoundError:
            return Reconstruction()
    bench, wanted = Bench(generator, detector), Landmarks(1)
    found = 0
    for seed in range(wanted.first_seed, wanted.first_seed + LOOKED_AT):
        with contextlib.suppress(Exception):  # whatever a detector raises, it found none
            bench.marks(bench.picture(bench.seeded(seed)), "it")
            found += 1
    return wanted if 2 * found >= LOOKED_AT else Reconstruction()


def _looks(picture: Tensor) -> dict[str, list[float]]:
    """What a Fréchet distance is taken of."""
    name, features = distances.picture_features()
    return {name: features(picture).round(5).tolist()}


def _latent_distance(generator: Generator, ws: Tensor, result: Any) -> dict[str, float]:
    """The squared distance of the change in the metric of the model's latents, and how far out its farthest row is,
    as a mean square in which the model's own are about 1; nothing where latents do not differ.
    """
    try:
        covariance = generator.space.metric(generator.space.label_of(ws)).covariance
    except ValueError:
        return {}
    after = ws if result is None else result.ws
    return {
        "mahalanobis2": 0.0 if result is None else mahalanobis(covariance, result.ws - ws),
        "farthest": float(mean_squares(generator, after).max()),
    }


def _course(result: Any, seconds: float, bench: Bench) -> dict[str, Any]:
    """How a drag went; ``to_go`` is the mean distance that its handles say they had left."""
    if result is None:
        return {"steps": 0, "reason": "", "seconds": 0.0}
    to_go = bench.unit * float(result.distances.mean())
    return {"steps": result.steps, "reason": result.reason, "to_go": to_go, "seconds": seconds}
