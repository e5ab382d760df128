"""A generator with its name, and its classes."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from draggan_widget.models import Generator, difference, load_generator, placed
from draggan_widget.settings import as_number, as_whole, shown
from draggan_widget.texts import printable

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from draggan_widget.editing.packed_photo import PackedPhoto
    from draggan_widget.inversion import Photo

OnProgress = Callable[[float], None]
"""Called now and then with how much is done, 0 … 1."""
LONGEST = 255
"""Characters of a model's name that are shown: as many as file systems take."""
CHANNELS = (1, 3, 4)
"""Channels of the pictures that can be shown: grey, RGB, RGBA."""


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A generator, and where it came from.

    :raises ValueError: for a generator whose pictures cannot be shown.
    """

    generator: Generator
    source: str | None = None
    """The built-in name or the path it was loaded from; None if it was given as an object."""
    photo: Photo | None = None
    """The photograph for which it was tuned; None for a model as it came."""
    untuned: Model | None = None
    """What it was before it was tuned for ``photo``."""
    given: str | None = None
    """What people call ``photo``, such as the name of its file."""
    opening: object | None = None
    """By which the models that one photograph has while it is fitted and tuned are known to be of one another."""
    packed: PackedPhoto | None = None
    """``photo`` in little memory, once it is tuned."""
    begins: Tensor | None = None
    """The latent that an edit of it begins with, of a picture that it knows; None for that of a seed."""
    begun: str = ""
    """What led to ``begins``, as undo calls it, such as "learning of a picture"."""

    def __post_init__(self) -> None:
        if self.generator.channels not in CHANNELS:
            raise ValueError(
                f"{self.name} makes pictures of {self.generator.channels} channels; "
                "an editor shows 1 (grey), 3 (RGB) or 4 (RGBA)"
            )

    @classmethod
    def load(cls, source: str | os.PathLike[str], device: Any = None, progress: OnProgress | None = None) -> Model:
        """Return the model of a built-in name or a checkpoint.

        :raises FileNotFoundError: if there is none. :raises CheckpointError: if it cannot be taken.
        """
        return cls(load_generator(source, device, progress), os.fspath(source))

    @classmethod
    def of(cls, given: Generator | Model) -> Model:
        """Return ``given``, or the model of a generator that was given as an object."""
        return given if isinstance(given, Model) else cls(given)

    def goes_on_as(self, other: Model) -> bool:
        """Return whether ``other`` is this one, perhaps tuned further meanwhile."""
        return other is self or (self.opening is not None and other.opening is self.opening)

    def on(self, device: torch.device) -> Model:
        """Return the model, whose weights are on ``device`` from now on."""
        placed(self.generator, device)
        return self

    def tuned(self, photo: Photo, given: str) -> Model:
        """Return the model that was tuned for a photograph."""
        return Model(photo.model, None, photo, self.untuned or self, given)

    def photo_now(self) -> Photo | None:
        """Return ``photo`` with the weights that its copy has at this moment, also while it is still tuned."""
        photo, base = self.photo, self.untuned
        if photo is None or base is None or self.packed is not None:
            return photo
        return dataclasses.replace(photo, tuned=difference(base.generator, self.generator))

    @property
    def name(self) -> str:
        """The built-in name, the name of the file, or that of the generator's class; to be shown, not to be opened."""
        return printable(self._called.name, LONGEST)

    @property
    def title(self) -> str:
        """The same without the ending of a file."""
        return printable(self._called.stem, LONGEST)

    @property
    def _called(self) -> Path:
        return Path(self.given or self.source or type(self.generator).__name__)

    @property
    def classes(self) -> int:
        """How many classes it has; 0 for none."""
        return self.generator.label_dim

    @property
    def class_names(self) -> list[str]:
        """One name for each class, where the generator offers ``class_names``; else none at all.

        Names are shortened and escaped, for who made the model chose them.
        """
        names = list(getattr(self.generator, "class_names", None) or ())
        return [printable(str(name)) for name in names] if len(names) == self.classes else []


def check_label(label: Any, classes: int) -> int | None:
    """Return ``label`` as a class of a generator that has so many. None is the first class, where there are classes.

    :raises TypeError: if it is no whole number. :raises ValueError: if there is no such class; both name the range.
    """
    if classes == 0:
        if label is not None:
            raise ValueError(f"label is {shown(label)}, but this generator has no classes; leave it out")
        return None
    if label is None:
        return 0
    number = as_whole(label)
    if number is None:
        raise TypeError(f"label is {shown(label)}; it must be a whole number from 0 to {classes - 1}")
    if not 0 <= number < classes:
        raise ValueError(f"label is {shown(number)}; this generator has the classes 0 to {classes - 1}")
    return number


def check_truncation(value: Any) -> float:
    """Return ``value`` as a float. :raises ValueError: if it is no finite number from 0 to 2."""
    number = as_number(value)
    if number is None or not 0 <= number <= 2:
        raise ValueError(f"truncation is {shown(value)}; it must be a number from 0 to 2, usually 0.5 to 1")
    return number
