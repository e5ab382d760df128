"""A network that reads the 80 numbers off pictures of faces, taught by renders alone.

It has a fixed layer of oriented edges and colours, a hidden layer of radial basis functions with one unit for each
render (Broomhead and Lowe 1988), and an output layer that is solved for at once (kernel ridge regression), so that ten
minutes on two cores suffice. It looks twice: at the whole picture, of which it reads where the head is and how it is
turned, and then at the face, seen from the front: each place of a mean face is looked up where that pose has it in the
picture (Hassner et al. 2015). So eyes and lips are at the same place however a head is turned.

Its units come in several sorts. Each sort looks mostly at one zone, such as the eyes, so what the hair does matters
little to it. Each number is read by the mean of those that together read it best in renders that they have not learned
from (Caruana et al. 2004).
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import beside  # noqa: F401  for what is shared
import numpy as np
import torch
import torch.nn.functional as F
from dataset import FACES, SIZE
from pairs import finished_parts, part_file, part_latents
from reading import as_input
from recipe import Recipe
from scene import LATENT
from torch import Tensor
from whole import write_atomically

FURTHEST = 2.6
"""σ beyond which nothing is drawn."""
POSE = ("yaw", "pitch", "roll", "shift_x", "shift_y", "zoom")
"""What is read of the whole picture to find the face in it."""
OF_POSE = [LATENT.index(name) for name in POSE]
ORIENTATIONS = 8
"""Of edges, each with two signs."""
CELL = 8
"""Pixels, of half the picture and of the face, whose edges are told together."""
FACE_SIDE, FACE_WIDTH = 160, 2.6
"""Pixels of the face, and how wide it is in eye distances."""
MIDDLE = -0.66
"""Height of its middle, the tip of the nose, in the renderer's measure."""
TURNED = ("yaw", "roll", "shift_x", "light_x", "gaze_x", "wink", "mouth_shift", "parting", "lean", "asymmetry")
"""Numbers that a mirror image has with the other sign."""
SIDED = tuple(name for name in LATENT if name.startswith("back_"))
"""Numbers of what is drawn otherwise on the left than on the right, so that it has no mirror image."""
ROWS = {
    "whole": {"top": (0, 5), "middle": (5, 11), "bottom": (11, 16)},
    "face": {"brows": (0, 4), "eyes": (4, 8), "nose": (8, 12), "mouth": (12, 16), "chin": (16, 20)},
}
ZONES = {
    f"{name} {kind}": (view, kind, rows)
    for view, zones in ROWS.items()
    for name, rows in zones.items()
    for kind in ("edges", "colours")
}
"""What is seen, in parts: of the whole picture or of the face seen from the front, and in which rows of cells."""
KINDS = {
    "eyes": {"eyes edges": 0.65, "eyes colours": 0.15},
    "brows": {"brows edges": 0.7, "brows colours": 0.1},
    "upper face": {"brows edges": 0.35, "eyes edges": 0.35, "eyes colours": 0.1},
    "nose": {"nose edges": 0.25, "mouth edges": 0.25, "eyes edges": 0.2, "nose colours": 0.1},
    "mouth": {"mouth edges": 0.65, "mouth colours": 0.15},
    "chin": {"mouth edges": 0.33, "chin edges": 0.32, "chin colours": 0.15},
    "skin": {f"{name} colours": 0.16 for name in ROWS["face"]},
    "top": {"top edges": 0.5, "top colours": 0.3},
    "bottom": {"bottom edges": 0.4, "bottom colours": 0.4},
    "colours": {f"{name} colours": 0.8 / 3 for name in ROWS["whole"]},
}
"""Sorts of units: how much zones count for each; the rest, up to 1, all zones of the same view share."""
WIDTH, RIDGE = 0.08, 2e-2
"""γ of ``exp(-γ·d²)`` and the ridge, of units of every sort."""
POSE_WIDTH, POSE_RIDGE = 0.05, 3e-3
"""The same of units that read the pose, of the whole picture."""
FOR_CHOICE, LEARNERS, ROUNDS = 5, 4000, 8
"""For the choice of sorts one render of so many is left out, at most so many others are learned from, and so many
sorts, one of them several times perhaps, are taken for each number."""
AT_ONCE = 50
LOOKING = 0.2
"""Of the time allowed, for looking at whole pictures; faces take about twice as long, and the rest is for solving."""


def read_attributes(latents: np.ndarray) -> np.ndarray:
    """What the renderer makes of latents ``(n, 80)``: at unit mean square, and within its range."""
    return np.clip(latents / np.sqrt(np.square(latents).mean(1, keepdims=True) + 1e-8), -FURTHEST, FURTHEST)


def r_squared(said: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """R² of each column."""
    return 1 - np.square(said - truth).sum(0) / np.square(truth - truth.mean(0)).sum(0)


# --- what it sees ----------------------------------------------------------------------------------------------------


def edges(pictures: Tensor, cell: int) -> Tensor:
    """How strong the edges of each orientation are in each cell: pictures ``(n, 3, s, s)`` → ``(n, D)``."""
    return torch.cat([_edges(one[None], cell) for one in pictures])  # of one at a time, all fits into the cache


def _edges(pictures: Tensor, cell: int) -> Tensor:
    grey = pictures.mean(1, keepdim=True)
    across = F.pad(grey, (1, 1, 0, 0), mode="replicate")
    along = F.pad(grey, (0, 0, 1, 1), mode="replicate")
    x, y = across[..., 2:] - across[..., :-2], along[:, :, 2:] - along[:, :, :-2]
    strength = (x.square() + y.square() + 1e-6).sqrt()
    angles = torch.arange(2 * ORIENTATIONS) * (torch.pi / ORIENTATIONS)
    turned = F.relu(x * angles.cos()[:, None, None] + y * angles.sin()[:, None, None])
    return (F.avg_pool2d(turned.square() / strength, cell) + 1e-4).sqrt().flatten(1)


def of_whole(pictures: Tensor) -> Tensor:
    """What is seen of whole pictures ``(n, 3, 256, 256)``: ``(n, D)``."""
    half = F.avg_pool2d(pictures, 2)
    return torch.cat([edges(half, CELL), 0.3 * F.avg_pool2d(half, CELL // 2).flatten(1)], 1)


def of_face(pictures: Tensor, pose: Tensor) -> Tensor:
    """What is seen of faces ``(n, 3, 256, 256)`` whose pose ``(n, 6)`` was read: ``(n, D)``."""
    faces = from_the_front(pictures, pose)
    return torch.cat([edges(faces, CELL), 0.3 * F.avg_pool2d(faces, CELL).flatten(1)], 1)


def zones_of(view: str) -> dict[str, Tensor]:
    """Which of the numbers of ``of_whole`` or ``of_face`` belong to each zone; all belong to one."""
    cells = SIZE // 2 // CELL if view == "whole" else FACE_SIDE // CELL
    finer = 2 if view == "whole" else 1  # colours have cells of half the width there
    edge = torch.arange(2 * ORIENTATIONS * cells**2).view(-1, cells, cells)
    colour = edge.numel() + torch.arange(3 * (finer * cells) ** 2).view(-1, finer * cells, finer * cells)
    found = {}
    for name, (whose, kind, (first, last)) in ZONES.items():
        if whose == view:
            numbers = edge[:, first:last] if kind == "edges" else colour[:, finer * first : finer * last]
            found[name] = numbers.flatten()
    return found


def from_the_front(pictures: Tensor, pose: Tensor) -> Tensor:
    """The faces ``(n, 3, 160, 160)`` of pictures as a mean face has them from the front, at one place and size.

    What is hidden in the picture is what lies before it there.
    """
    line = ((torch.arange(FACE_SIDE) + 0.5) / FACE_SIDE - 0.5) * FACE_WIDTH
    x, z = line.repeat(FACE_SIDE), (MIDDLE - line).repeat_interleave(FACE_SIDE)
    places, _ = placed(pose, torch.stack([x, depth(x, z), z], 1))
    grid = places.view(len(pose), FACE_SIDE, FACE_SIDE, 2) * torch.tensor([1.0, -1.0])
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def depth(x: Tensor, z: Tensor) -> Tensor:
    """How far back the skin of the renderer's mean face lies, to 0.1 eye distances before the cheeks end."""
    front = torch.exp(-((x / 0.4) ** 2) - ((z + 0.85) / 0.5) ** 2)
    return (-0.42 + 0.25 * x**2 + 0.2 * x**4 - 0.27 * front).clamp_max(1.2)


def placed(pose: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Where points ``(m, 3)`` of a face lie in pictures of its pose ``(n, 6)``: x to the right and z up, in half
    pictures from the centre, ``(n, m, 2)``; and how long an eye distance is there ``(n, m)``.

    It follows as the renderer has it: turns about the top of the neck, and a camera at 13 eye distances.
    """
    yaw, pitch, roll, across, up, zoom = (each[:, None] for each in pose.clamp(-FURTHEST, FURTHEST).T)
    yaw, pitch, roll = 0.25 * yaw, 0.09 * pitch + 0.02, 0.05 * roll
    x, y, z = points.T
    y, z = y - 0.75, z + 1.1
    y, z = pitch.cos() * y - pitch.sin() * z, pitch.sin() * y + pitch.cos() * z
    x, y = yaw.cos() * x - yaw.sin() * y, yaw.sin() * x + yaw.cos() * y
    x, z = roll.cos() * x - roll.sin() * z, roll.sin() * x + roll.cos() * z
    x, y, z = x - 0.06 * across, y + 13.75, z - 1.1 + 0.42 - 0.05 * up
    scale = 2 * 13 / 4.45 * (0.035 * zoom).exp() / y
    return torch.stack([scale * x, scale * z], 2), scale


def nose_tips(pose: Tensor, size: int = SIZE) -> Tensor:
    """Where the tips of noses are in pictures, of their pose ``(n, 6)``: (x, y) in pixels ``(n, 2)``."""
    x, z = torch.tensor([0.0]), torch.tensor([MIDDLE])
    places, _ = placed(pose, torch.stack([x, depth(x, z), z], 1))
    return (places[:, 0] * torch.tensor([1.0, -1.0]) + 1) / 2 * size - 0.5


# --- the network -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What was seen of renders, each number at mean 0 and spread 1, those of a zone together of length about 1."""

    view: str
    values: Tensor
    """(n, D) float16."""
    mean: Tensor
    scale: Tensor

    @classmethod
    def of(cls, view: str, values: Tensor) -> Seen:
        """Return it of raw numbers (n, D) of a view, "whole" or "face"."""
        mean, spread = values.float().mean(0), values.float().std(0) + 1e-3
        scale = torch.empty_like(mean)
        for numbers in zones_of(view).values():
            scale[numbers] = 1 / (spread[numbers] * len(numbers) ** 0.5)
        return cls(view, ((values.float() - mean) * scale).half(), mean, scale)

    @functools.cached_property
    def zones(self) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
        """Of each zone which numbers belong to it, these of all renders (n, d), and how long they are, squared (n,)."""
        found = {}
        for name, numbers in zones_of(self.view).items():
            own = self.values[:, numbers].float()
            found[name] = numbers, own, own.square().sum(1)
        return found

    def distances(self, others: Tensor | None = None) -> Iterator[tuple[str, Tensor]]:
        """Yield zones, and squared distances (m, n) in these of others' raw numbers (m, D); None for its own."""
        told = None if others is None else (others.float() - self.mean) * self.scale
        for name, (numbers, own, squares) in self.zones.items():
            theirs = own if told is None else told[:, numbers]
            sums = theirs.square().sum(1)[:, None] + squares
            yield name, torch.addmm(sums, theirs, own.T, alpha=-2).clamp_min_(0)


def solved(distances: Tensor, wanted: Tensor, width: float, ridge: float) -> Tensor:
    """Weights (n, K) of units whose squared distances are (n, n), for what is wanted (n, K) of them."""
    gram = torch.exp(-width * distances.double())
    gram.diagonal().add_(ridge)
    return torch.cholesky_solve(wanted.double(), torch.linalg.cholesky(gram)).float()


def share(kind: str, zone: str) -> float:
    """How much a zone counts for units of a sort, of 1."""
    own = KINDS[kind]
    views = {ZONES[each][0] for each in own}
    others = [each for each, (view, _, _) in ZONES.items() if view in views]
    return own.get(zone, 0.0) + (1 - sum(own.values())) / len(others) * (zone in others)


def mixed(distances: Iterable[tuple[str, Tensor]], kinds: Iterable[str]) -> dict[str, Tensor]:
    """Squared distances (m, n) as units of each sort have them, of those in all zones."""
    found: dict[str, Tensor] = {}
    for zone, there in distances:
        for kind in kinds:
            if part := share(kind, zone):
                found[kind] = found[kind].add_(there, alpha=part) if kind in found else part * there
    return found


def chosen(said: Tensor, wanted: Tensor) -> Tensor:
    """How often each of several readings (K, n, A) is taken for each number (K, A), so that the mean is near (n, A).

    One is taken after another, each time the one with which the mean is nearest (Caruana et al. 2004).
    """
    counts, total = said.new_zeros(len(said), wanted.shape[1]), torch.zeros_like(wanted)
    for taken in range(1, ROUNDS + 1):
        off = ((total + said) / taken - wanted).square().sum(1)  # (K, A)
        best = off.argmin(0, keepdim=True)
        counts.scatter_add_(0, best, torch.ones_like(best, dtype=counts.dtype))
        total += said.gather(0, best[:, None].expand(-1, len(wanted), -1))[0]
    return counts


class Measurer:
    """Reads pictures ``(n, 256, 256, 3)`` uint8: the 80 attributes in σ ``(n, 80)``.

    Each is read together with its mirror image, which shows the same face: of the errors, which differ, the mean is
    smaller.
    """

    def __init__(self, state: dict[str, object]) -> None:
        """Take what ``fit`` found; see ``save``."""
        self.state = state
        self.whole, self.face = Seen("whole", *state["whole"]), Seen("face", *state["face"])
        self.scores = np.asarray(state["scores"])
        """R² (80,) on renders that it has not learned from."""

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """See the class."""
        parts = [self._read_both(as_input(some)) for some in _some(pictures)]
        return torch.cat(parts).numpy()

    def _read_both(self, pictures: Tensor) -> Tensor:
        plain, other = self._read(torch.cat([pictures, pictures.flip(3)])).chunk(2)
        signs = torch.tensor([-1.0 if name in TURNED else 1.0 for name in LATENT])
        sided = torch.tensor([name in SIDED for name in LATENT])
        return torch.where(sided, plain, (plain + signs * other) / 2)

    def _read(self, pictures: Tensor) -> Tensor:
        whole = list(self.whole.distances(of_whole(pictures)))
        pose = _pose_of(_mean_of(whole), self.state["pose"]) + self.state["mean"][OF_POSE]
        faces = self.face.distances(of_face(pictures, pose))
        said = self.state["mean"].expand(len(pictures), -1).clone()
        for kind, distances in mixed(itertools.chain(whole, faces), self.state["weights"]).items():
            said += torch.exp(-WIDTH * distances) @ self.state["weights"][kind]
        return said

    def save(self, file: Path) -> None:
        """Write it, whole or not at all."""
        write_atomically(file, lambda stream: torch.save(self.state, stream))

    @classmethod
    def load(cls, file: Path) -> Measurer:
        """Read what ``save`` wrote. :raises FileNotFoundError: if there is none."""
        if not file.exists():
            raise FileNotFoundError(f"{file} is not there: run attributes.py --out {file.parent} first")
        return cls(torch.load(file, weights_only=True))


def _mean_of(distances: list[tuple[str, Tensor]]) -> Tensor:
    """The mean of squared distances (m, n) in zones."""
    return sum(each for _, each in distances) / len(distances)


def _pose_of(distances: Tensor, halves: list[Tensor]) -> Tensor:
    """The pose as two networks read it, each of which has one half of the renders for units; their mean."""
    return sum(torch.exp(-POSE_WIDTH * distances[:, k::2]) @ weights for k, weights in enumerate(halves)) / 2


def _looked(folder: Path, parts: list[int], until: float) -> Iterator[tuple[int, Tensor]]:
    for part in parts:
        if part != parts[0] and time.monotonic() > until:
            return
        pictures = np.load(part_file(folder, part), mmap_mode="r")
        yield part, torch.cat([of_whole(as_input(np.array(some))).half() for some in _some(pictures)])


def _some(pictures: np.ndarray) -> Iterator[np.ndarray]:
    return (pictures[k : k + AT_ONCE] for k in range(0, len(pictures), AT_ONCE))


def fit(folder: Path, minutes: float, parts: list[int] | None = None, line=print, recipe: Recipe = FACES) -> Measurer:
    """Teach it by the renders of ``folder`` but those of the last part, of which its R² is taken.

    :param minutes: in which it has to be done; of more renders than can be looked at in time the first are taken.
    :param parts: of the folder; None for all that are there. :param recipe: by which they were drawn.
    :raises ValueError: for fewer than two parts.
    """
    *parts, last = finished_parts(folder) if parts is None else parts
    if not parts:
        raise ValueError(f"{folder} holds less than two parts of renders: run make.py with more --pictures")
    began = time.monotonic()
    looked = dict(_looked(folder, parts, began + 60 * minutes * LOOKING))
    parts, whole = list(looked), Seen.of("whole", torch.cat(list(looked.values())))
    del looked
    wanted = torch.from_numpy(
        read_attributes(np.concatenate([part_latents(recipe, part) for part in parts])).astype("f4")
    )
    mean = wanted.mean(0)
    wanted = wanted - mean
    line(f"{len(wanted)} renders looked at in {time.monotonic() - began:.0f} s")
    distances, halves = dict(whole.distances()), []
    together = _mean_of(list(distances.items()))
    pose = torch.empty(len(wanted), len(POSE))  # of each render as the half that has not seen it reads it
    for k in (0, 1):
        halves.append(solved(together[k::2, k::2], wanted[k::2, OF_POSE], POSE_WIDTH, POSE_RIDGE))
        pose[1 - k :: 2] = torch.exp(-POSE_WIDTH * together[1 - k :: 2, k::2]) @ halves[k]
    del together
    pose += mean[OF_POSE]
    face = Seen.of(
        "face",
        torch.cat(
            [
                of_face(as_input(np.array(some)), pose[recipe.part * number + AT_ONCE * k :][: len(some)]).half()
                for number, part in enumerate(parts)
                for k, some in enumerate(_some(np.load(part_file(folder, part), mmap_mode="r")))
            ]
        ),
    )
    line(f"faces looked at, {time.monotonic() - began:.0f} s")
    apart_by = mixed(itertools.chain(_emptied(distances), face.distances()), KINDS)
    rows = torch.arange(len(wanted))
    asked, kept = rows[rows % FOR_CHOICE == 0], rows[rows % FOR_CHOICE != 0][:LEARNERS]
    said = []
    for kind, each in apart_by.items():
        weights = solved(each[kept][:, kept], wanted[kept], WIDTH, RIDGE)
        said.append(torch.exp(-WIDTH * each[asked][:, kept]) @ weights)
        line(f"{kind}: R² {np.median(r_squared(said[-1].numpy(), wanted[asked].numpy())):.3f} in the median")
    shares = dict(zip(apart_by, chosen(torch.stack(said), wanted[asked]) / ROUNDS, strict=True))
    found = {}
    for kind in [kind for kind in KINDS if shares[kind].any()]:
        found[kind] = solved(apart_by.pop(kind), wanted * shares[kind], WIDTH, RIDGE)
        line(f"units of the sort {kind} solved for, {time.monotonic() - began:.0f} s")
    state = {
        "whole": (whole.values, whole.mean, whole.scale),
        "face": (face.values, face.mean, face.scale),
        "pose": halves,
        "weights": found,
        "mean": mean,
        "scores": [],
    }
    measurer = Measurer(state)
    unseen = np.load(part_file(folder, last), mmap_mode="r")
    said = np.concatenate([measurer(np.array(some)) for some in _some(unseen)])
    state["scores"] = r_squared(said, read_attributes(part_latents(recipe, last))).tolist()
    return Measurer(state)


def _emptied(distances: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield what a dictionary holds, which lets go of it."""
    while distances:
        yield distances.popitem()
