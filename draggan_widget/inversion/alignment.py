"""Where in a photograph a model's picture lies: by landmarks, or a square that a person places.

Positions are (x, y) in pixels of the photograph, x to the right and y down, pixel centres at integers.
"""

from __future__ import annotations

import dataclasses
import math
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from draggan_widget.engines import picture_of
from draggan_widget.inversion.landmarks import Landmarks, loaded_landmarks
from draggan_widget.models import Layer, fingerprint, store, stored
from draggan_widget.settings import as_number, shown

if TYPE_CHECKING:
    from draggan_widget.models import Generator

SAMPLES = 24
"""Pictures of a model whose landmarks are averaged."""
TRUNCATION = 0.7
"""Of these."""
FORMAT = 1
"""Of the file that keeps them."""
INNER = slice(17, 68)
"""Of 68 landmarks those that say where a face is; the others are its outline, which hair and beards hide."""
FINER = 1.5
"""Pixels for one, from which on what is resampled is averaged as well."""
_usual: weakref.WeakKeyDictionary[Generator, np.ndarray | None] = weakref.WeakKeyDictionary()


@dataclasses.dataclass(frozen=True)
class Square:
    """Where a model's picture lies in a photograph: a similarity transform. Of a model of 1:2, half a square."""

    x: float
    """Of its centre."""
    y: float
    size: float
    """Pixels of the photograph that its height takes."""
    angle: float = 0.0
    """Degrees by which it is turned, clockwise on the screen."""

    def __post_init__(self) -> None:
        """Check it. :raises ValueError: for what is no finite number, and a size of less than 8 pixels."""
        for name in ("x", "y", "size", "angle"):
            given = getattr(self, name)
            plain = as_number(given)
            if plain is None:
                raise ValueError(f"the square's {name} is {shown(given)}; give a finite number")
            object.__setattr__(self, name, plain)
        if self.size < 8:
            raise ValueError(f"the square's size is {shown(self.size)}; give at least 8 pixels of the photograph")

    @classmethod
    def middle(cls, size: tuple[int, int], resolution: tuple[int, int]) -> Square:
        """Return the largest that lies in the middle of a photograph of ``size`` (W, H).

        :param resolution: (H, W) of the model's pictures.
        """
        width, height = size
        tall = min(height, width * resolution[0] / resolution[1])
        return cls((width - 1) / 2, (height - 1) / 2, tall)

    @classmethod
    def of_landmarks(cls, there: np.ndarray, here: np.ndarray, resolution: tuple[int, int]) -> Square:
        """Return that in which landmarks ``there`` (N, 2) in the photograph lie nearest to ``here`` (N, 2) in pictures.

        :param resolution: (H, W) of these pictures. The similarity of least squares, reflections left out.
        """
        photo, usual = (points @ np.array([1, 1j]) for points in (there, here))
        turn = np.vdot(usual - usual.mean(), photo - photo.mean()) / np.sum(np.abs(usual - usual.mean()) ** 2)
        centre = photo.mean() + turn * (complex(resolution[1] - 1, resolution[0] - 1) / 2 - usual.mean())
        return cls(
            float(centre.real),
            float(centre.imag),
            float(abs(turn)) * resolution[0],
            math.degrees(math.atan2(turn.imag, turn.real)),
        )

    def positions(self, xy: np.ndarray, resolution: tuple[int, int]) -> np.ndarray:
        """Return where positions (N, 2) of a picture of ``resolution`` (H, W) are in the photograph."""
        height, width = resolution
        turn = self.size / height * np.exp(1j * math.radians(self.angle))
        away = (xy - [(width - 1) / 2, (height - 1) / 2]) @ np.array([1, 1j]) * turn
        return np.stack([away.real + self.x, away.imag + self.y], axis=-1)

    def corners(self, resolution: tuple[int, int]) -> np.ndarray:
        """Return its corners (4, 2), from the upper left on clockwise, at the outer edges of the outermost pixels."""
        height, width = resolution
        left, upper, right, lower = -0.5, -0.5, width - 0.5, height - 0.5
        return self.positions(np.array([[left, upper], [right, upper], [right, lower], [left, lower]]), resolution)


@dataclasses.dataclass(frozen=True)
class Aligned:
    """Where a face was found, and how sure that is."""

    square: Square
    faces: int
    """How many faces there are; 0: it is just the middle of the photograph."""
    notes: tuple[str, ...] = ()
    """What people should know of it, a sentence each."""


def align(photo: Image.Image, model: Generator, face: int | None = None, landmarks: Landmarks | None = None) -> Aligned:
    """Return the square in which the face of a photograph lies as faces lie in the model's own pictures.

    Without dlib, without a face, or for a model of other things it is the middle of the photograph; a note says so.

    :param face: which one of several, from 0 on, the largest first. None: the largest.
    :raises ValueError: for a face that is not there.
    """
    middle = Square.middle(photo.size, model.resolution)
    if landmarks is None:
        try:
            landmarks = loaded_landmarks()
        except ModuleNotFoundError as error:
            return Aligned(middle, 0, (f"No face was looked for, so the middle is taken; {error}.",))
    usual = usual_landmarks(model, landmarks)
    if usual is None:
        return Aligned(middle, 0, ("This model makes no faces that could be found, so the middle is taken.",))
    faces = landmarks.all(photo, at_least=(face or 0) + 1)
    if face is not None and not 0 <= face < max(len(faces), 1):
        found = f"{len(faces)} faces were found" if len(faces) > 1 else f"{'one' if faces else 'no'} face was found"
        raise ValueError(f"face is {shown(face)}, but {found}; give a number from 0 on, or leave it out")
    if not faces:
        return Aligned(middle, 0, ("No face was found, so the middle is taken; place the square by hand.",))
    notes: tuple[str, ...] = ()
    if len(faces) > 1 and face is None:
        notes = (f"{len(faces)} faces were found; the largest is taken. Give face=1 for the next one.",)
    return Aligned(Square.of_landmarks(faces[face or 0][INNER], usual[INNER], model.resolution), len(faces), notes)


def usual_landmarks(model: Generator, landmarks: Landmarks) -> np.ndarray | None:
    """Return the mean landmarks (68, 2) in a model's own pictures; None where fewer than half show a face.

    They are computed once: later they come from memory, or from a file in the user's cache folder.
    """
    if model not in _usual:
        name = f"landmarks-{FORMAT}-{fingerprint(model)[:32]}.npy"
        found = stored(name, 2)
        if found is None:
            found = torch.from_numpy(_mean_landmarks(model, landmarks))
            store(name, found)
        _usual[model] = found.numpy() if len(found) else None
    return _usual[model]


def _mean_landmarks(model: Generator, landmarks: Landmarks) -> np.ndarray:
    """Return the mean landmarks (68, 2) of samples; (0, 2) where fewer than half show a face."""
    found = []
    for seed in range(SAMPLES):
        label = seed % model.label_dim if model.label_dim else None
        picture = picture_of(model, [Layer(model.space.draw(seed=seed, label=label, truncation=TRUNCATION))])
        marks = landmarks(np.asarray(picture.convert("RGB")))
        if marks is not None:
            found.append(marks)
        elif seed >= 3 and len(found) < (seed + 1) / 4:
            break
    return np.asarray(np.mean(found, axis=0)) if len(found) > SAMPLES / 2 else np.zeros((0, 2))


def crop(photo: Image.Image, square: Square, resolution: tuple[int, int]) -> Image.Image:
    """Return what lies in ``square``, in RGB, as a picture of ``resolution`` (H, W).

    Sampled finely and then averaged, so that nothing flickers; beyond its edges the photograph is mirrored.

    :raises ValueError: if nothing of the photograph lies in it.
    """
    corners = square.corners(resolution)
    if (corners.max(axis=0) < 0).any() or (corners.min(axis=0) > np.array(photo.size) - 1).any():
        raise ValueError("the square lies beside the photograph; move it onto it")
    height, width = resolution
    shrink = max(1, int(square.size / height / 2))
    reduced = photo.convert("RGB").reduce(shrink)
    fine = samples_for(square.size / height / shrink)
    x, y = np.meshgrid(*((np.arange(count * fine) + 0.5) / fine - 0.5 for count in (width, height)))
    there = square.positions(np.stack([x.ravel(), y.ravel()], axis=1), resolution)
    there = (there + 0.5) / shrink - 0.5
    sampled = sample(as_tensor(reduced), torch.from_numpy(there).float().view(len(y), -1, 2), "reflection")
    pixels = F.avg_pool2d(sampled, fine)[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(pixels.numpy())


def samples_for(pixels: float) -> int:
    """Return how many samples each way stand for a new pixel that covers so many old ones."""
    return 2 if pixels > FINER else 1


def sample(picture: Tensor, xy: Tensor, beyond: str, how: str = "bicubic") -> Tensor:
    """Return ``picture`` (N, C, H, W) at ``xy`` (h, w, 2).

    :param beyond: its edges it is "zeros" or its "reflection". :param how: "bicubic" or "bilinear".
    """
    height, width = picture.shape[2:]
    scale = torch.tensor([2 / width, 2 / height], dtype=xy.dtype)
    grid = (xy + 0.5) * scale - 1
    grid = grid[None].expand(len(picture), -1, -1, -1).to(picture)
    return F.grid_sample(picture, grid, mode=how, padding_mode=beyond, align_corners=False)


def as_tensor(picture: Image.Image) -> Tensor:
    """Return a picture as (1, C, H, W) of float32, 0 … 255."""
    array = np.array(picture, dtype=np.float32)
    return torch.from_numpy(array.reshape(*array.shape[:2], -1)).permute(2, 0, 1)[None]


def as_square(given: Square | Sequence[float]) -> Square:
    """Return a square as people write it: ``Square``, or its x, y, size and perhaps angle. Raises as ``Square``."""
    if isinstance(given, Square):
        return given
    try:
        numbers = list(given)
    except TypeError:
        numbers = []
    if len(numbers) not in (3, 4):
        raise ValueError(f"square is {shown(given)}; give its x, y, size and perhaps angle, in pixels and degrees")
    return Square(*numbers)
