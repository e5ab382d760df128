"""Documents of a photograph that is not open: kept without its model, of which there is one tuned copy at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from draggan_widget.editing.compact_state import Kept
from draggan_widget.editing.document import Document
from draggan_widget.editing.history import Record
from draggan_widget.editing.packed_photo import PackedPhoto
from draggan_widget.editing.script import Script

if TYPE_CHECKING:
    from draggan_widget.editing.model import Model


CARRIED = ("mask", "seed", "truncation", "script", "records", "label", "finish", "of_photo", "first")
"""What of a document is kept as it is."""


@dataclasses.dataclass(frozen=True, eq=False)
class Sealed:
    """A document whose photograph is packed; ``opened`` gives it again, exactly."""

    photo: PackedPhoto
    base: Model
    """The model that was tuned for it."""
    kept: Kept
    ws: np.ndarray
    mask: np.ndarray | None
    seed: int | None
    truncation: float
    script: Script
    records: tuple[Record, ...]
    label: int | None
    finish: tuple[str, ...]
    of_photo: bool
    first: Any

    @classmethod
    def of(cls, document: Document, photo: PackedPhoto) -> Sealed:
        """Return a document without its model. :param photo: that of its model, packed."""
        base, drag = document.model.untuned, document.drag
        assert base is not None
        kept, ws = Kept.of(drag, document.mask), drag.ws.cpu().numpy().copy()
        return cls(photo, base, kept, ws, **{name: getattr(document, name) for name in CARRIED})

    def opened(self, now: Model) -> Document:
        """Return the document. :param now: the present model, which it goes on with if that is of its photograph."""
        model = now if now.packed is self.photo else self.photo.open(self.base)
        drag = self.kept.state(model.generator, self.ws)
        return Document(model, drag, **{name: getattr(self, name) for name in CARRIED})


def packing() -> Callable[[Model], PackedPhoto]:
    """Return what packs the photographs of models, each once."""
    packed: dict[int, PackedPhoto] = {}

    def pack(model: Model) -> PackedPhoto:
        if model.packed is not None:
            return model.packed
        key = id(model.generator)  # which the caller holds meanwhile
        if key not in packed:
            assert model.photo is not None
            assert model.untuned is not None
            photo = dataclasses.replace(model.photo, model=model.generator)
            packed[key] = PackedPhoto.of(photo, model.untuned.generator, model.title)
        return packed[key]

    return pack
