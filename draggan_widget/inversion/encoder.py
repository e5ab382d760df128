"""A first guess of the latent by a small network that has seen samples of the very model: an encoder.

It is for one model, known by the fingerprint of its weights. ``examples/generators/faces/encode.py MODEL`` trains one.
That of the built-in faces comes with the package.
"""

from __future__ import annotations

import dataclasses
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from draggan_widget.models import cache_folder, fingerprint, guarded, load_companion, save_companion, told_by

if TYPE_CHECKING:
    from draggan_widget.models import Generator

FORMAT = 1
HEADER = "draggan_widget encoder"
"""Key of a file's metadata under which it says what it is."""
FOLDER = Path(__file__).parent / "encoders"
"""Of those in the package; those of a user lie in ``encoders`` of the cache folder."""
_found: weakref.WeakKeyDictionary[Generator, Encoder | None] = weakref.WeakKeyDictionary()


@dataclasses.dataclass(frozen=True)
class Shape:
    """What an encoder is like."""

    w_dim: int
    coordinates: int = 160
    """How many of the latents' principal axes it tells."""
    size: int = 64
    """Pixels of each side of the picture that it sees."""
    widths: tuple[int, ...] = (32, 64, 96, 192)
    """Channels after each halving."""
    hidden: int = 384
    """Numbers between the last map and the coordinates."""


class Encoder(nn.Module):
    """A small convolutional network from a picture to a row of the latent that all rows have in common (W).

    It tells coordinates along the principal axes of the model's latents, in which they have variance 1.
    """

    mean: Tensor
    axes: Tensor

    def __init__(self, shape: Shape, base: str) -> None:
        """Make one that has learned nothing. :param base: ``fingerprint`` of the model that it is for."""
        super().__init__()
        self.shape, self.base = shape, base
        self.register_buffer("mean", torch.zeros(shape.w_dim))
        self.register_buffer("axes", torch.zeros(shape.coordinates, shape.w_dim))
        layers: list[nn.Module] = []
        before = 3
        for number, width in enumerate(shape.widths):
            layers += [nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.SiLU()]
            layers += [_Residual(width)] if number else []
            before = width
        self.maps = nn.Sequential(*layers)
        side = shape.size >> len(shape.widths)
        self.told = nn.Sequential(
            nn.Linear(before * side * side, shape.hidden), nn.SiLU(), nn.Linear(shape.hidden, shape.coordinates)
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Map pictures (N, 3, size, size) in [-1, 1] → coordinates (N, coordinates)."""
        told: Tensor = self.told(self.maps(pictures).flatten(1))
        return told

    def latents(self, coordinates: Tensor) -> Tensor:
        """Return rows (N, w_dim) of coordinates (N, coordinates)."""
        return self.mean + coordinates @ self.axes

    @guarded
    def guess(self, picture: Tensor) -> Tensor:
        """Return a row (N, w_dim) of pictures (N, C, H, W) in [-1, 1] of any size, without gradients."""
        with torch.no_grad():
            return self.latents(self(seen(picture.to(self.mean), self.shape.size)))

    @guarded
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as safetensors in half precision, whole or not at all. :raises OSError: if it cannot be written."""
        save_companion(self, path, HEADER, {"format": FORMAT, "base": self.base, **dataclasses.asdict(self.shape)})

    @classmethod
    @guarded
    def load(cls, path: str | os.PathLike[str]) -> Encoder:
        """Return what ``save`` wrote, in float32 and for use.

        :raises FileNotFoundError: if there is none. :raises ValueError: if it is damaged, or something else.
        """

        def untrained(file: Path) -> Encoder:
            about = _about(file)
            base, widths = about.pop("base"), tuple(about.pop("widths"))
            return cls(Shape(**about, widths=widths), base)

        return load_companion(path, "an encoder", untrained)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.within = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        grown: Tensor = x + self.within(x)
        return grown


def seen(pictures: Tensor, size: int) -> Tensor:
    """Return pictures (N, C, H, W) in [-1, 1] as an encoder sees them: (N, 3, size, size)."""
    pictures = F.interpolate(pictures.clamp(-1, 1), size=(size, size), mode="area")
    return pictures.expand(-1, 3, -1, -1) if pictures.shape[1] == 1 else pictures[:, :3]


def encoder_for(model: Generator, folders: Sequence[Path] | None = None) -> Encoder | None:
    """Return the encoder of a model: of those in the package and in the user's cache the one for these very weights.

    :param folders: that are looked through in their place. A file that is damaged, or for other weights, is passed by.
    """
    if folders is not None:
        return _looked_up(model, folders)
    if model not in _found:
        try:
            own = [cache_folder() / "encoders"]
        except RuntimeError:  # of a user without a home
            own = []
        _found[model] = _looked_up(model, [FOLDER, *own])
    return _found[model]


def _looked_up(model: Generator, folders: Sequence[Path]) -> Encoder | None:
    files = [file for folder in folders if folder.is_dir() for file in sorted(folder.glob("*.safetensors"))]
    base = fingerprint(model) if files else ""
    for file in files:
        try:
            if _about(file)["base"] == base and (found := Encoder.load(file)).shape.w_dim == model.w_dim:
                return found
        except (OSError, ValueError):
            continue
    return None


def _about(file: Path) -> dict[str, Any]:
    """Return what a file says of itself. :raises ValueError: if that is not what ``save`` writes."""
    about = told_by(file, HEADER, FORMAT)
    if not isinstance(about.get("base"), str):
        raise ValueError("it is of another format")
    return about
