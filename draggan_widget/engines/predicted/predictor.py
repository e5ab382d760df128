"""A predictor: a trained network with all that it needs to be used on one model, and its file.

It is for the very weights of one model, known by their fingerprint. ``draggan-widget train predictor MODEL`` makes it.
"""

from __future__ import annotations

import dataclasses
import math
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from draggan_widget.engines.common.sampling import channel_count
from draggan_widget.engines.predicted.network import MOTION, AutoDragGAN, Network, Points, Shape, UserControllableLT
from draggan_widget.engines.predicted.settings import AUTO, METHODS, USER
from draggan_widget.models import base_fingerprint, cache_folder, guarded, load_companion, save_companion, told_by
from draggan_widget.texts import one_line, shown_path

if TYPE_CHECKING:
    from draggan_widget.models import Generator

FORMAT = 1
HEADER = "draggan_widget predictor"
"""Key of a file's metadata under which it says what it is."""
FOLDER = Path(__file__).parent / "weights"
"""Of those in the package; those of a user lie in ``predictors`` of the cache folder."""
NETWORKS: Mapping[str, type[Network]] = {AUTO: AutoDragGAN, USER: UserControllableLT}
UNIT = 1 / 16
"""Of the picture's height: the longest piece of a way, and the unit of lengths."""
GROWTH = 0.2
"""Of the logarithm of a factor: a growth that counts as one unit."""
LARGEST = 8192
"""Of the numbers in a file that say how large a network is."""
T = TypeVar("T")
_found: weakref.WeakKeyDictionary[Generator, dict[str, Predictor]] = weakref.WeakKeyDictionary()


@dataclasses.dataclass(frozen=True)
class About:
    """What a predictor is for, and what it knows."""

    method: str
    """One of ``METHODS``."""
    base: str
    """``fingerprint`` of the model."""
    model: str
    """The name of the model, for people."""
    resolution: tuple[int, int]
    """(H, W) of its pictures."""
    w_dim: int
    groups: tuple[int, ...]
    """How many rows of the latent, from the first on, change alike; together all rows."""
    blocks: tuple[int, ...]
    """Whose features are read at the points."""
    points: int
    """As many points as it was trained for."""
    zooms: bool
    """Whether it was trained to be asked for growth."""


class Predictor(nn.Module):
    """See the module. Weights take no gradients unless it is being trained."""

    mean: Tensor
    axes: Tensor
    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(self, about: About, shape: Shape) -> None:
        """Make one that has learned nothing. :raises ValueError: if the two contradict each other."""
        super().__init__()
        if about.method not in NETWORKS or shape.groups != len(about.groups):
            raise ValueError("its parts do not fit together")
        self.about, self.shape = about, shape
        self.network = NETWORKS[about.method](shape)
        self.register_buffer("mean", torch.zeros(about.w_dim))
        self.register_buffer("axes", torch.zeros(shape.coordinates, about.w_dim))
        self.register_buffer("feature_mean", torch.zeros(shape.channels))
        self.register_buffer("feature_scale", torch.ones(shape.channels))

    # --- units ---------------------------------------------------------------------------------------------------

    @property
    def unit(self) -> float:
        """Picture pixels of the longest piece of a way."""
        return UNIT * self.about.resolution[0]

    def coordinates(self, latents: Tensor) -> Tensor:
        """Return coordinates (N, groups, k) of latents (N, num_ws, w_dim): those of the mean row of each group."""
        groups = torch.stack([rows.mean(dim=1) for rows in torch.split(latents, list(self.about.groups), dim=1)], dim=1)
        axes = self.axes.double()
        back = (axes / axes.square().sum(dim=1, keepdim=True).clamp(min=1e-30)).T
        return ((groups.double() - self.mean) @ back).float()

    def change(self, told: Tensor) -> Tensor:
        """Return the change of a latent (…, num_ws, w_dim) of coordinates (…, groups, k)."""
        groups = told @ self.axes
        sizes = torch.tensor(self.about.groups, device=told.device)
        return groups.repeat_interleave(sizes, dim=-2)

    def pieces(self, motions: Tensor, growth: Tensor | None = None) -> int:
        """Return into how many pieces the longest of some motions (…, 2), in picture pixels, or growths (…) is cut."""
        longest = float(motions.norm(dim=-1).max()) / self.unit
        if growth is not None:
            longest = max(longest, float(growth.nan_to_num().abs().max()) / GROWTH)
        return min(self.network.pieces, max(1, math.ceil(longest - 1e-6)))

    def points(self, features: Tensor, places: Tensor, motions: Tensor, growth: Tensor | None, pieces: int) -> Points:
        """Return what is asked in the units of the network.

        :param features: (N, T, C) as the model has them. :param places: (N, T, 2) picture pixels (x, y).
        :param motions: (N, T, 2) picture pixels, the whole way. :param growth: (N, T), log of a factor, NaN where
            nothing is asked; None: nowhere. :param pieces: of the way.
        """
        height, width = self.about.resolution
        moved = motions.float() / (pieces * self.unit)
        grown = torch.full_like(moved[..., 0], torch.nan) if growth is None else growth.float() / (pieces * GROWTH)
        asked = ~grown.isnan()
        grown = torch.where(asked, grown, 0.0)
        length = torch.maximum(moved.norm(dim=2), grown.abs()).amax(dim=1)
        part = length.clamp(min=1e-6)[:, None, None]
        whole = torch.cat([moved / part, grown[..., None] / part, asked[..., None].to(moved)], dim=2)
        middle = places.new_tensor([(width - 1) / 2, (height - 1) / 2])
        where = ((places - middle) / places.new_tensor([width / 2, height / 2])).float()
        assert whole.shape[2] == MOTION
        return Points((features.float() - self.feature_mean) / self.feature_scale, where, whole, length)

    # --- use -----------------------------------------------------------------------------------------------------

    @guarded
    def jump(
        self,
        latent: Tensor,
        features: Tensor,
        places: np.ndarray,
        motions: np.ndarray,
        growth: np.ndarray | None = None,
    ) -> Tensor:
        """Return the changes (n, num_ws, w_dim) of a latent along the way, the last is that of the whole.

        :param latent: (1, num_ws, w_dim). :param features: (T, C) at the places. :param places: (T, 2) picture pixels.
        :param motions: (T, 2), in n pieces: as many as the longest has, of ``unit`` at most.
        :param growth: (T,), log of a factor, NaN where nothing is asked.
        """
        with torch.no_grad():
            asked, where = (torch.from_numpy(np.asarray(each, dtype=np.float32))[None] for each in (motions, places))
            grown = None if growth is None else torch.from_numpy(growth.astype(np.float32))[None].to(self.mean.device)
            pieces = self.pieces(asked, grown)
            points = self.points(features[None].to(self.mean), where.to(self.mean), asked.to(self.mean), grown, pieces)
            ways = self.network.ways(self.coordinates(latent.to(self.mean)), points, pieces)
            return self.change(ways[0]).to(latent)

    def check(self, model: Generator) -> None:
        """Check that it is for a model. :raises ValueError: in one sentence, if it is not."""
        _check(self.about, self.shape, model)

    # --- its file ------------------------------------------------------------------------------------------------

    @guarded
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as safetensors in half precision, whole or not at all. :raises OSError: if it cannot be written."""
        told = {"format": FORMAT, "about": dataclasses.asdict(self.about), "shape": dataclasses.asdict(self.shape)}
        save_companion(self, path, HEADER, told)

    @classmethod
    @guarded
    def load(cls, path: str | os.PathLike[str]) -> Predictor:
        """Return what ``save`` wrote, in float32 and for use.

        :raises FileNotFoundError: if there is none. :raises ValueError: if it is damaged, or something else.
        """
        return load_companion(path, "a predictor", lambda file: cls(*_told(file)))


def predictor_for(model: Generator, method: str, folders: Sequence[Path] | None = None) -> Predictor:
    """Return the predictor of a model: of those in the package and in the user's cache the one for these very weights.

    A tuned copy has that of the model it is a copy of.

    :param method: one of ``METHODS``. :param folders: that are looked through in their place.
    :raises ValueError: in one sentence, if there is none that fits, and why not.
    """
    model = model.mapped.untuned(model)
    known = _found.setdefault(model, {}) if folders is None else {}
    if method not in known:
        known[method] = _looked_up(model, method, folders, Predictor.load)
    return known[method]


def told_of_predictor(model: Generator, method: str) -> About:
    """Return what the predictor of a model says of itself, of which nothing is loaded.

    :param method: one of ``METHODS``. :raises ValueError: as ``predictor_for``; that weights are damaged, that alone
        may find.
    """
    model = model.mapped.untuned(model)
    known = _found.get(model, {})
    return known[method].about if method in known else _looked_up(model, method, None, lambda file: _told(file)[0])


def give(model: Generator, predictor: Predictor) -> None:
    """Have a predictor used for a model, in this process, without a file. :raises ValueError: if it is for another."""
    model = model.mapped.untuned(model)
    predictor.check(model)
    _found.setdefault(model, {})[predictor.about.method] = predictor.eval().requires_grad_(False)


def forget(model: Generator) -> None:
    """Have the predictors of a model looked for again, because a file has come."""
    _found.pop(model.mapped.untuned(model), None)


def _folders() -> list[Path]:
    try:
        return [FOLDER, cache_folder() / "predictors"]
    except RuntimeError:  # of a user without a home
        return [FOLDER]


def _looked_up(model: Generator, method: str, folders: Sequence[Path] | None, read: Callable[[Path], T]) -> T:
    """Return what ``read`` makes of the first file of a predictor for a model.

    :param read: raises OSError or ValueError for a file that is damaged, which is then passed by.
    :raises ValueError: as ``predictor_for``.
    """
    folders = _folders() if folders is None else folders
    files = [file for folder in folders if folder.is_dir() for file in sorted(folder.glob("*.safetensors"))]
    latent, others, damaged = (model.num_ws, model.w_dim), [], []
    for file in files:
        try:
            about, shape = _told(file)
            if about.method != method or (sum(about.groups), about.w_dim) != latent:
                continue
            # Which takes a while, so only where a file may be for the model.
            if about.base != base_fingerprint(model):
                others.append(file.name)
                continue
            found = read(file)
        except (OSError, ValueError) as error:
            damaged.append(f"{shown_path(file.name)} cannot be used ({one_line(error, 120)})")
            continue
        _check(about, shape, model)
        return found
    reason = ""
    if damaged:
        reason = f": {damaged[0]}"
    elif others:
        reason = f": {shown_path(others[0])} is for other weights, another edition of the model say"
    raise ValueError(f"there is no predictor of {METHODS[method]} for this model{reason}; {_train(method)}")


def _check(about: About, shape: Shape, model: Generator) -> None:
    """Check that a predictor is for a model. :raises ValueError: in one sentence, if it is not."""
    if base_fingerprint(model) != about.base:
        raise ValueError(f"this predictor was trained for other weights ({about.model}); {_train(about.method)}")
    unlike = _unlike(about, shape, model)
    if unlike:
        raise ValueError(f"this predictor of {about.model} does not fit the model: {unlike}; {_train(about.method)}")


def _unlike(about: About, shape: Shape, model: Generator) -> str:
    if not set(about.blocks) <= set(model.blocks):
        return f"it reads block {'+'.join(map(str, about.blocks))}, and there are {len(model.blocks)}"
    width = channel_count(model, about.blocks)
    if width != shape.channels:
        return f"it reads {shape.channels} features at a point, and there are {width}"
    if (sum(about.groups), about.w_dim) != (model.num_ws, model.w_dim):
        latent = f"{sum(about.groups)}×{about.w_dim}"
        return f"its latents have {latent} numbers, and those of the model {model.num_ws}×{model.w_dim}"
    if about.resolution != tuple(model.resolution):
        return f"its pictures have {about.resolution} pixels, and those of the model {tuple(model.resolution)}"
    return ""


def _train(method: str) -> str:
    return f"train one: draggan-widget train predictor MODEL --method {method}"


def _told(file: Path) -> tuple[About, Shape]:
    """Return what a file says of itself. :raises ValueError: if that is not what ``save`` writes."""
    told = told_by(file, HEADER, FORMAT)
    try:
        about, shape = _checked(dict(told["about"]), About), _checked(dict(told["shape"]), Shape)
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError("what it says of itself is incomplete") from error
    return about, shape


def _checked(values: dict[str, Any], kind: Any) -> Any:
    """Return a value of ``kind`` of what JSON had. :raises ValueError: for other types. :raises TypeError: likewise."""
    for field in dataclasses.fields(kind):
        value = values.get(field.name)
        if str(field.type).startswith("tuple"):
            if not isinstance(value, list) or not value or not all(type(each) is int and each > 0 for each in value):
                raise ValueError(f"{field.name} is no list of whole numbers")
            values[field.name] = tuple(value)
        elif type(value).__name__ != field.type or (field.type == "int" and not 0 < value <= LARGEST):  # type: ignore[operator]
            raise ValueError(f"{field.name} is no {field.type}")
    return kind(**values)
