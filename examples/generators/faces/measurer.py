"""A network that reads the 80 numbers off pictures of faces, taught by renders alone.

It has a fixed layer of oriented edges and colours, a hidden layer of radial basis functions with one unit for each
render (Broomhead and Lowe 1988), and an output layer that is solved for at once (kernel ridge regression), so that ten
minutes on two cores suffice. It looks twice: at the whole picture, of which it reads where the face is and how it is
turned, and then at the face itself, brought upright to one place and size, where eyes and lips have detail enough.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
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
FACE_SIDE, FACE_WIDTH = 160, 2.6
"""Pixels of the face, and how wide it is in eye distances."""
MIDDLE = (-0.55, -0.66)
"""Depth and height of its middle between brows and chin, in the renderer's measure."""
SETTINGS = tuple((share, width, ridge) for share in (0.25, 0.6) for width, ridge in ((0.05, 3e-3), (0.1, 2e-2)))
"""How much the face counts beside the whole picture, 0 … 1; γ of ``exp(-γ·d²)``, and the ridge; each number is read
by what reads it best on renders that are left out for the choice."""
FOR_CHOICE = 8
"""One render of so many is left out for the choice."""
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
    return torch.cat([edges(half, 8), 0.3 * F.avg_pool2d(half, 4).flatten(1)], 1)


def of_face(pictures: Tensor, pose: Tensor) -> Tensor:
    """What is seen of faces ``(n, 3, 256, 256)`` whose pose ``(n, 6)`` was read: ``(n, D)``."""
    faces = upright(pictures, pose)
    return torch.cat([edges(faces, 8), 0.3 * F.avg_pool2d(faces, 8).flatten(1)], 1)


def upright(pictures: Tensor, pose: Tensor) -> Tensor:
    """The faces ``(n, 3, 160, 160)`` of pictures, at one place, one size and upright."""
    x, z, scale, roll = placed(pose)
    half, cos, sin = scale * FACE_WIDTH / 2, roll.cos(), roll.sin()
    rows = torch.stack([torch.stack([half * cos, half * sin, x], 1), torch.stack([-half * sin, half * cos, -z], 1)], 1)
    grid = F.affine_grid(rows, [len(pictures), 3, FACE_SIDE, FACE_SIDE], align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def placed(pose: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Where the middle of faces lies, of their pose ``(n, 6)``: x to the right and z up, in half pictures from the
    centre; how long an eye distance is there; and how far they are rolled, in radians.

    It follows as the renderer has it: turns about the top of the neck, and a camera at 13 eye distances.
    """
    yaw, pitch, roll, across, up, zoom = pose.clamp(-FURTHEST, FURTHEST).T
    yaw, pitch, roll = 0.25 * yaw, 0.09 * pitch + 0.02, 0.05 * roll
    y, z = MIDDLE[0] - 0.75, MIDDLE[1] + 1.1
    y, z = pitch.cos() * y - pitch.sin() * z, pitch.sin() * y + pitch.cos() * z
    x, y = -yaw.sin() * y, yaw.cos() * y
    x, z = roll.cos() * x - roll.sin() * z, roll.sin() * x + roll.cos() * z
    x, y, z = x - 0.06 * across, y + 13.75, z - 1.1 + 0.42 - 0.05 * up
    scale = 2 * 13 / 4.45 * (0.035 * zoom).exp() / y
    return scale * x, scale * z, scale, roll


def nose_tips(pose: Tensor, size: int = SIZE) -> Tensor:
    """Where the tips of noses are in pictures, of their pose ``(n, 6)``: (x, y) in pixels ``(n, 2)``."""
    x, z, _, _ = placed(pose)
    return (torch.stack([x, -z], 1) + 1) / 2 * size - 0.5


# --- the network -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What was seen of renders, each number at mean 0 and spread 1, all together of length about 1."""

    values: Tensor
    """(n, D) float16."""
    mean: Tensor
    scale: Tensor

    @classmethod
    def of(cls, values: Tensor) -> Seen:
        """Return it of raw numbers (n, D)."""
        mean = values.float().mean(0)
        scale = 1 / ((values.float().std(0) + 1e-3) * values.shape[1] ** 0.5)
        return cls(((values.float() - mean) * scale).half(), mean, scale)

    def distances(self, others: Tensor) -> Tensor:
        """Squared distances (m, n) of others' raw numbers (m, D)."""
        return apart((others.float() - self.mean) * self.scale, self.values.float())


def apart(some: Tensor, others: Tensor) -> Tensor:
    """Squared distances (m, n) of rows."""
    squares = some.square().sum(1)[:, None] + others.square().sum(1)
    return torch.addmm(squares, some, others.T, alpha=-2).clamp_min_(0)


def solved(distances: Tensor, wanted: Tensor, width: float, ridge: float) -> Tensor:
    """Weights (n, K) of units whose squared distances are (n, n), for what is wanted (n, K) of them."""
    gram = torch.exp(-width * distances.double())
    gram.diagonal().add_(ridge)
    return torch.cholesky_solve(wanted.double(), torch.linalg.cholesky(gram)).float()


class Measurer:
    """Reads pictures ``(n, 256, 256, 3)`` uint8: the 80 attributes in σ ``(n, 80)``."""

    def __init__(self, state: dict[str, object]) -> None:
        """Take what ``fit`` found; see ``save``."""
        self.state = state
        self.whole, self.face = Seen(*state["whole"]), Seen(*state["face"])
        self.scores = np.asarray(state["scores"])
        """R² (80,) on renders that it has not learned from."""

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """See the class."""
        parts = [self._read(as_input(pictures[k : k + AT_ONCE])) for k in range(0, len(pictures), AT_ONCE)]
        return torch.cat(parts).numpy()

    def _read(self, pictures: Tensor) -> Tensor:
        whole = self.whole.distances(of_whole(pictures))
        pose = _pose_of(whole, self.state["pose"]) + self.state["mean"][OF_POSE]
        face = self.face.distances(of_face(pictures, pose))
        return _all_of(whole, face, self.state["weights"]) + self.state["mean"]

    def save(self, file: Path) -> None:
        """Write it, whole or not at all."""
        write_atomically(file, lambda stream: torch.save(self.state, stream))

    @classmethod
    def load(cls, file: Path) -> Measurer:
        """Read what ``save`` wrote. :raises FileNotFoundError: if there is none."""
        if not file.exists():
            raise FileNotFoundError(f"{file} is not there: run attributes.py --out {file.parent} first")
        return cls(torch.load(file, weights_only=True))


def _pose_of(distances: Tensor, halves: list[Tensor]) -> Tensor:
    """The pose as two networks read it, each of which has one half of the renders for units; their mean."""
    width = SETTINGS[0][1]
    return sum(torch.exp(-width * distances[:, k::2]) @ weights for k, weights in enumerate(halves)) / 2


def _all_of(whole: Tensor, face: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """What units at these distances (m, n) say of all attributes; ``weights`` by the number of the setting."""
    said = whole.new_zeros(len(whole), len(LATENT))
    for number, ours in weights.items():
        share, width, _ = SETTINGS[int(number)]
        said += torch.exp(-width * torch.lerp(whole, face, share)) @ ours
    return said


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
    parts, whole = list(looked), Seen.of(torch.cat(list(looked.values())))
    wanted = torch.from_numpy(
        read_attributes(np.concatenate([part_latents(recipe, part) for part in parts])).astype("f4")
    )
    mean = wanted.mean(0)
    wanted = wanted - mean
    line(f"{len(wanted)} renders looked at in {time.monotonic() - began:.0f} s")
    rows = torch.arange(len(wanted))
    distances = apart(whole.values.float(), whole.values.float())
    halves = [solved(distances[k::2, k::2], wanted[k::2, OF_POSE], *SETTINGS[0][1:]) for k in (0, 1)]
    pose = torch.empty(len(wanted), len(POSE))  # of each render as the half that has not seen it reads it
    for k in (0, 1):
        pose[k::2] = torch.exp(-SETTINGS[0][1] * distances[k::2, 1 - k :: 2]) @ halves[1 - k]
    pose += mean[OF_POSE]
    face = Seen.of(
        torch.cat(
            [
                of_face(as_input(np.array(some)), pose[recipe.part * number + AT_ONCE * k :][: len(some)]).half()
                for number, part in enumerate(parts)
                for k, some in enumerate(_some(np.load(part_file(folder, part), mmap_mode="r")))
            ]
        )
    )
    faces = apart(face.values.float(), face.values.float())
    line(f"faces looked at, {time.monotonic() - began:.0f} s")
    left_out = rows % FOR_CHOICE == 0
    kept, asked = rows[~left_out], rows[left_out]
    scores = []
    for share, width, ridge in SETTINGS:
        both = torch.lerp(distances, faces, share)
        weights = solved(both[kept][:, kept], wanted[kept], width, ridge)
        scores.append(r_squared((torch.exp(-width * both[asked][:, kept]) @ weights).numpy(), wanted[asked].numpy()))
        line(
            f"face {share}, γ {width}, ridge {ridge}: R² {np.median(scores[-1]):.3f}, {time.monotonic() - began:.0f} s"
        )
    best = np.argmax(scores, axis=0)
    found = {}
    for number in sorted(set(best.tolist())):
        share, width, ridge = SETTINGS[number]
        ours = torch.from_numpy(best == number)
        found[str(number)] = solved(torch.lerp(distances, faces, share), wanted * ours, width, ridge)
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
