"""What a predictor learns from: pulls whose answers are known.

The way of the data, from files to a batch. Positions and motions are pixels (x, y) of the model's own pictures.

1. *The motion of a renderer* (built-in models; ``examples/generators/faces/motion.py`` writes it). A part is a file of
   B heads: ``z`` (B, z_dim) float32 of unit mean square; ``points`` (B, P, 2) float32, where P points of each head are
   in the picture; ``motions`` (B, P, 3, z_dim) float16, by how many pixels (x, y), and by how much of the logarithm of
   its size, a point changes for each unit of z. Points of the background have motions of 0.
   *Own drag runs* (any other model). A part is a file of runs; of run i, which went through S states with K points,
   ``i.latents`` (S, num_ws, w_dim) and ``i.handles`` (S, K, 2), float32.
2. Of each head, or state, the features (P, C) float16 at its points are read of the model once and kept beside.
3. A batch is N pulls of T points each. Of heads: a head, T of its points, ways d (T, 2) for them; then the change of z
   is the most likely one that takes the points there, ``δ = Jᵀ(JJᵀ + σ²)⁻¹d``, z being normal, and the latents along
   the way are those of ``z + δ·i/n``. So a network that learns it in the mean answers as the least natural change
   does. Of runs: two states of a run, in their order; the way is that of the handles, and latents along it are on the
   straight line between those two.
4. Latents become coordinates (N, n, groups, k) along the model's principal axes; see ``Predictor``.
"""

from __future__ import annotations

import abc
import dataclasses
import hashlib
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines import DivergedError, drag_steps
from draggan_widget.engines.draggan import distinctness, init
from draggan_widget.engines.predicted import GROWTH
from draggan_widget.files import write_whole

if TYPE_CHECKING:
    from draggan_widget.engines.predicted import Points, Predictor
    from draggan_widget.models import Generator

SEED = 9317
"""Of all that is random here."""
PART = 50
"""Heads of a file, or runs."""
HELD_OUT = 1
"""Files that are not learned from: the first ones."""
LENGTHS = (1 / 128, 3 / 16)
"""Of the picture's height: how far the point goes that goes farthest; the logarithm is even."""
COUNTS = ((0.35, 1, 1), (0.2, 2, 2), (0.25, 3, 8), (0.15, 9, 24), (0.05, 25, 72))
"""How often pulls have how many points: a share, from, to."""
SPREAD = 0.5
"""Pixels of a picture of 256 by which a point may miss its target: σ."""
GROWN = 0.15
"""How often growth is asked for."""


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """N pulls whose answers are known."""

    start: Tensor
    """(N, groups, k), coordinates of latents."""
    points: Points
    wanted: Tensor
    """(N, n, groups, k), changes from the start to the latents along the way."""


@dataclasses.dataclass(frozen=True, eq=False)
class Pull:
    """A pull of one point, to try a predictor by."""

    latent: Tensor
    """(1, num_ws, w_dim)."""
    handle: np.ndarray
    """(2,) pixels."""
    target: np.ndarray


class Source(abc.ABC):
    """Where pulls come from. ``gather`` makes what is missing, and what there is can be used then."""

    model: Generator
    """On which points are pulled."""
    groups: tuple[int, ...]
    """How many rows of the latent change alike, from the first on."""
    zooms: bool
    """Whether growth is known."""
    said: str
    """What it is, for a card."""

    @abc.abstractmethod
    def gather(self, count: int) -> Iterator[tuple[int, int]]:
        """Make and read so many heads, or runs; yield how many there are and how many there will be.

        Those that are on the disk already are only read.
        """

    @abc.abstractmethod
    def features(self) -> Tensor:
        """Return features (n, C) as they are met at points, by which they are brought to one scale."""

    @abc.abstractmethod
    def batch(self, predictor: Predictor, random: np.random.Generator, size: int, *, held: bool = False) -> Batch:
        """Return a batch; all its pulls have as many points. :param held: of what is not learned from."""

    @abc.abstractmethod
    def trial(self, random: np.random.Generator, share: float) -> Pull:
        """Return a pull of what is not learned from, by a ``share`` of the picture's height."""


def counted(random: np.random.Generator, most: int) -> int:
    """Return of how many points a pull is, ``most`` at most."""
    shares = np.array([share for share, *_ in COUNTS])
    _, least, highest = COUNTS[int(random.choice(len(COUNTS), p=shares / shares.sum()))]
    return min(most, int(random.integers(least, highest + 1)))


class Motion(Source):
    """The motion of a renderer, of a model that draws what it draws.

    :param parts: files of ``motion.py``. :param folder: for features.
    """

    zooms = True
    said = "the motion of the renderer that made the model's pictures"

    def __init__(self, model: Generator, parts: Sequence[Path], folder: Path, blocks: tuple[int, ...]) -> None:
        self.model, self._parts, self._folder, self._blocks = model, list(parts), folder, blocks
        self.groups = (model.num_ws,)
        self._heads: list[dict[str, Tensor]] = []

    def gather(self, count: int) -> Iterator[tuple[int, int]]:
        """See ``Source``. :raises ValueError: for a file that holds something else."""
        parts = self._parts[: HELD_OUT + max(1, -(-count // PART))]
        for number, part in enumerate(parts, start=1):
            self._heads.append(self._read(part))
            yield number, len(parts)

    def _read(self, part: Path) -> dict[str, Tensor]:
        try:
            with np.load(part, allow_pickle=False) as held:
                read = {name: torch.from_numpy(held[name]) for name in ("z", "points", "motions")}
        except (OSError, ValueError, LookupError) as error:
            raise ValueError(f"{part} holds no motion of heads; make it again by motion.py") from error
        z, points, motions = read["z"], read["points"], read["motions"]
        if z.shape[1:] != (self.model.z_dim,) or motions.shape != (*points.shape[:2], 3, z.shape[1]):
            raise ValueError(f"{part} is of heads with {z.shape[1]} numbers; this model has {self.model.z_dim}")
        digest = hashlib.sha256(points.numpy().tobytes() + z.numpy().tobytes()).hexdigest()[:12]
        kept = self._folder / f"features-{digest}.npy"
        if not kept.exists():
            with torch.no_grad():
                found = [
                    self.model.sample_features(self.model.mapping(one[None]), self._blocks, xy.double())
                    for one, xy in zip(z, points, strict=True)
                ]
            save(kept, torch.stack(found).half().cpu().numpy())
        read["features"] = torch.from_numpy(np.load(kept))
        return read

    def features(self) -> Tensor:
        """See ``Source``."""
        return torch.cat([head["features"][:8].flatten(0, 1) for head in self._heads]).float()

    def batch(self, predictor: Predictor, random: np.random.Generator, size: int, *, held: bool = False) -> Batch:
        """See ``Source``."""
        heads = self._heads[:HELD_OUT] if held else self._heads[HELD_OUT:]
        places = heads[0]["points"].shape[1]
        count = counted(random, min(places, predictor.about.points))
        drawn = [self._one(heads, random, count) for _ in range(size)]
        z, xy, jacobian, features = (torch.stack(each) for each in zip(*drawn, strict=True))
        moves, grows = self._ways(random, jacobian)
        changes = likely(jacobian, moves, grows, SPREAD * self.model.resolution[0] / 256, predictor.unit)
        pieces = predictor.pieces(moves, grows)
        along = torch.arange(pieces + 1)[None, :, None] / pieces
        with torch.no_grad():
            latents = self.model.mapping((z[:, None] + along * changes[:, None]).flatten(0, 1))
        told = predictor.coordinates(latents)
        told = told.view(size, pieces + 1, *told.shape[1:])
        points = predictor.points(features, xy, moves, grows, pieces)
        return Batch(told[:, 0], points, told[:, 1:] - told[:, :1])

    def _one(self, heads: list[dict[str, Tensor]], random: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        head = heads[random.integers(len(heads))]
        number = random.integers(len(head["z"]))
        chosen = random.choice(head["points"].shape[1], count, replace=False)
        rows = [head[name][number][chosen] for name in ("points", "motions", "features")]
        return head["z"][number], rows[0], rows[1].float(), rows[2].float()

    def _ways(self, random: np.random.Generator, jacobian: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return how far points are pulled (N, T, 2), and how much they grow (N, T) or None.

        Few points are pulled each its own way, or as heads move; many as heads move, for they hang together. Some stay.
        """
        size, count = jacobian.shape[:2]
        own = torch.from_numpy(random.normal(size=(size, count, 2))).float()
        change = torch.from_numpy(random.normal(size=(size, jacobian.shape[3]))).float()
        together = torch.einsum("ntcd,nd->ntc", jacobian[:, :, :2], change)
        alone = torch.from_numpy(random.random((size, 1, 1)) < (1.0 if count == 1 else 0.5 if count <= 4 else 0.0))
        ways = torch.where(alone, own, together)
        if 1 < count <= 24:
            stay = torch.from_numpy(random.random((size, count, 1)) < 0.25)
            stay[:, 0] = False
            ways = torch.where(stay, 0.0, ways)
        least, most = (math.log(share * self.model.resolution[0]) for share in LENGTHS)
        # All pulls of a batch have as many pieces, for lengths differ little within one.
        longest = math.exp(random.uniform(least, most)) * torch.from_numpy(random.uniform(0.8, 1, (size, 1, 1))).float()
        ways = ways / ways.norm(dim=2, keepdim=True).amax(dim=1, keepdim=True).clamp(min=1e-6) * longest
        if random.random() >= GROWN:
            return ways, None
        return ways, torch.from_numpy(random.normal(scale=0.1, size=(size, 1))).float().expand(-1, count)

    def trial(self, random: np.random.Generator, share: float) -> Pull:
        """See ``Source``. Points that hardly move with any number are not pulled."""
        head = self._heads[0]
        number = int(random.integers(len(head["z"])))
        moving = head["motions"][number][:, :2].float().square().sum(dim=(1, 2)) > 1
        chosen = int(random.choice(np.flatnonzero(moving.numpy()))) if bool(moving.any()) else 0
        handle = head["points"][number][chosen].numpy().astype(float)
        return Pull(self.model.mapping(head["z"][number][None]), handle, away(self.model, random, handle, share))


def likely(jacobian: Tensor, moves: Tensor, grows: Tensor | None, spread: float, unit: float) -> Tensor:
    """Return the most likely changes (N, D) of normal numbers that move points, of which each may miss by ``spread``.

    :param jacobian: (N, T, 3, D), of right, down and growth. :param moves: (N, T, 2), pixels. :param grows: (N, T), or
        None. :param unit: pixels; growth counts as it does in a predictor.
    """
    rows, wanted = jacobian[:, :, :2], moves
    if grows is not None:
        scale = unit / GROWTH  # as many pixels as a growth by e counts
        rows = torch.cat([rows, scale * jacobian[:, :, 2:]], dim=2)
        wanted = torch.cat([wanted, scale * grows[..., None]], dim=2)
    rows, wanted = rows.flatten(1, 2).double(), wanted.flatten(1, 2).double()
    if rows.shape[1] <= rows.shape[2]:
        gram = rows @ rows.transpose(1, 2)
        gram.diagonal(dim1=1, dim2=2).add_(spread**2)
        solved: Tensor = torch.linalg.solve(gram, wanted)
        return torch.einsum("nkd,nk->nd", rows, solved).float()
    gram = rows.transpose(1, 2) @ rows
    gram.diagonal(dim1=1, dim2=2).add_(spread**2)
    change: Tensor = torch.linalg.solve(gram, torch.einsum("nkd,nk->nd", rows, wanted))
    return change.float()


class Runs(Source):
    """Runs of the engine that pulls on a model where nobody chose.

    :param folder: where they are kept.
    """

    zooms = False
    said = "runs of the engine that pulls on the model where nobody chose"
    MOST, ROWS = 6, 5
    """Points of a run; rows that are told each by itself, the others together."""

    def __init__(self, model: Generator, folder: Path, blocks: tuple[int, ...]) -> None:
        self.model, self._folder, self._blocks = model, folder, blocks
        rows = min(self.ROWS, model.num_ws)
        self.groups = (*([1] * rows), *([model.num_ws - rows] if model.num_ws > rows else []))
        self._runs: list[list[dict[str, Tensor]]] = []

    def gather(self, count: int) -> Iterator[tuple[int, int]]:
        """See ``Source``. :raises ValueError: if nothing moves, in none of the runs."""
        parts = HELD_OUT + max(1, -(-count // PART))
        for part in range(parts):
            self._runs.append(self._read(part))
            yield part + 1, parts
        if not any(self._runs[HELD_OUT:]) or not any(self._runs[:HELD_OUT]):
            raise ValueError("no run on this model brought a handle nearer, so there is nothing to learn from")

    def _read(self, part: int) -> list[dict[str, Tensor]]:
        file = self._folder / f"runs-{part:05d}.npz"
        if not file.exists():
            made = [run for number in range(PART) if (run := self._dragged(part, number)) is not None]
            arrays = {f"{number}.{name}": each for number, run in enumerate(made) for name, each in run.items()}
            save(file, arrays)
        with np.load(file, allow_pickle=False) as held:
            numbers = sorted({int(name.split(".")[0]) for name in held.files})
            return [
                {name: torch.from_numpy(held[f"{number}.{name}"]) for name in ("latents", "handles", "features")}
                for number in numbers
            ]

    def _dragged(self, part: int, number: int) -> dict[str, np.ndarray] | None:
        """Return latents (S, num_ws, w_dim), handles (S, T, 2) and features (S, T, C) of a run; None if none moved."""
        model, random = self.model, np.random.default_rng([SEED, part, number])
        height, width = model.resolution
        label = int(random.integers(model.label_dim)) if model.label_dim else None
        latent = model.mapping(
            random.normal(size=(1, model.z_dim)), label=label, truncation=float(random.uniform(0.5, 1))
        )
        places = random.uniform(0.15, 0.85, (24, 2)) * [width, height]
        told = distinctness(model, init(model, latent), places)
        count = int(min(self.MOST, random.geometric(0.5)))
        handles = places[np.argsort(-np.asarray(told))[:count]].round()
        targets = np.stack([away(model, random, each, random.uniform(0.02, 0.12)) for each in handles])
        latents, ways, features = [], [], []
        try:
            for state in drag_steps(model, latent, handles, targets):
                latents.append(state.ws[0].float().cpu().numpy())
                ways.append(state.handles)
                with torch.no_grad():
                    at = torch.from_numpy(np.ascontiguousarray(state.handles))
                    features.append(model.sample_features(state.ws, self._blocks, at).half().cpu().numpy())
        except (DivergedError, ValueError):  # a handle that nothing tells the motion of: another run will do
            pass
        if len(latents) < 2 or float(np.linalg.norm(ways[-1] - ways[0], axis=1).max()) < 1:
            return None
        return {
            "latents": np.stack(latents),
            "handles": np.stack(ways).astype(np.float32),
            "features": np.stack(features),
        }

    def features(self) -> Tensor:
        """See ``Source``."""
        return torch.cat([run["features"].flatten(0, 1) for part in self._runs for run in part]).float()

    def batch(self, predictor: Predictor, random: np.random.Generator, size: int, *, held: bool = False) -> Batch:
        """See ``Source``."""
        runs = [run for part in (self._runs[:HELD_OUT] if held else self._runs[HELD_OUT:]) for run in part]
        weights = np.array([run["handles"].shape[1] for run in runs])
        count = int(random.choice(weights))
        runs = [run for run in runs if run["handles"].shape[1] == count]
        drawn = [self._pair(runs[random.integers(len(runs))], random) for _ in range(size)]
        before, after, xy, moves, features = (torch.stack(each) for each in zip(*drawn, strict=True))
        pieces = predictor.pieces(moves)
        start, end = predictor.coordinates(before), predictor.coordinates(after)
        along = torch.arange(1, pieces + 1)[None, :, None, None] / pieces
        points = predictor.points(features.float(), xy, moves, None, pieces)
        return Batch(start, points, along * (end - start)[:, None])

    @staticmethod
    def _pair(run: dict[str, Tensor], random: np.random.Generator) -> tuple[Tensor, ...]:
        """Return latents before and after, places, motions and features of two states of a run, some way apart."""
        states = len(run["latents"])
        first = int(random.integers(states - 1))
        last = int(random.integers(first + 1, states))
        if float((run["handles"][last] - run["handles"][first]).norm(dim=1).max()) < 0.5:
            first, last = 0, states - 1
        moved = run["handles"][last] - run["handles"][first]
        return run["latents"][first], run["latents"][last], run["handles"][first], moved, run["features"][first]

    def trial(self, random: np.random.Generator, share: float) -> Pull:
        """See ``Source``."""
        held = [run for part in self._runs[:HELD_OUT] for run in part]
        run = held[random.integers(len(held))]
        handle = run["handles"][0][0].numpy().astype(float)
        like = next(self.model.parameters())
        return Pull(run["latents"][:1].to(like), handle, away(self.model, random, handle, share))


def away(model: Generator, random: np.random.Generator, place: np.ndarray, share: float) -> np.ndarray:
    """Return a place (2,) inside the picture that is a ``share`` of its height from ``place``, any way."""
    height, width = model.resolution
    for _ in range(32):
        angle = random.uniform(0, 2 * np.pi)
        there = place + share * height * np.array([np.cos(angle), np.sin(angle)])
        if ((there >= 0) & (there <= [width - 1, height - 1])).all():
            return np.asarray(there)
    return np.asarray(np.clip(there, 0, [width - 1, height - 1]))


def save(file: Path, array: np.ndarray | dict[str, np.ndarray]) -> None:
    """Write an array, or several by name, whole or not at all."""
    stream = io.BytesIO()
    if isinstance(array, dict):
        np.savez(stream, **array)  # type: ignore[arg-type]
    else:
        np.save(stream, array)
    write_whole(file, stream.getvalue())
