"""A photograph and the weights tuned for it, in little memory: what undo keeps of one, and what a file holds of it.

Weights are kept as what differs from those of the model that was tuned: the bits of both, exclusive-ored, the bytes of
a place together, and deflated. Where both are alike that is nothing, and the weights come back to the last bit.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.inversion import Photo, Report, Square, open_photo
from draggan_widget.models import TunedCopy, difference, fingerprint
from draggan_widget.texts import printable

if TYPE_CHECKING:
    from draggan_widget.editing.model import Model
    from draggan_widget.models import Generator

LEVEL = 1
"""Of deflating: more is far slower and hardly smaller, for most of the bytes look like noise."""
LONGEST_NAME = 255


@dataclasses.dataclass(frozen=True, eq=False)
class PackedPhoto:
    """A photograph as a latent of a tuned copy of a model; ``of`` packs it, ``open`` gives it again."""

    name: str
    """What people call it."""
    square: Square
    report: Report
    latent: np.ndarray
    """(1, num_ws, w_dim), the pivot."""
    picture: bytes
    """The photograph in full size as PNG, without what its file said besides."""
    weights: Mapping[str, bytes]
    """Name of a weight that was tuned → how it differs from that of the model."""

    @classmethod
    def of(cls, photo: Photo, base: Generator, name: str) -> PackedPhoto:
        """Pack a photograph. :param base: the model that was tuned for it."""
        there = base.state_dict()
        changes = difference(base, photo.model).changes
        picture, file = photo.picture, io.BytesIO()
        if photo.alpha is not None:
            picture = picture.copy()
            picture.putalpha(photo.alpha)
        picture.save(file, "PNG", compress_level=LEVEL, icc_profile=None)
        latent = photo.latent.detach().cpu().numpy().copy()
        weights = {each: _packed(there[each], tensor) for each, tensor in changes.items()}
        return cls(name, photo.square, photo.report, latent, file.getvalue(), weights)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return len(self.picture) + self.latent.nbytes + sum(map(len, self.weights.values()))

    def open(self, base: Model) -> Model:
        """Return the tuned model again. :param base: the one that was tuned.

        :raises ValueError: for damage: what does not fit the model, or is no photograph.
        """
        generator = base.generator
        there = generator.state_dict()
        changes = {}
        for name, packed in self.weights.items():
            if name not in there:
                raise ValueError("weights were tuned that the model does not have")
            changes[name] = _unpacked(there[name], packed)
        tuned = TunedCopy(fingerprint(generator), changes)
        latent = torch.from_numpy(self.latent.copy()).to(next(generator.parameters()))
        opened = open_photo(self.picture)
        photo = Photo.of_parts(generator, tuned, latent, opened, self.square, self.report)
        return dataclasses.replace(base.tuned(without_copies(photo), self.name), packed=self)

    def parts(self) -> tuple[dict[str, Any], dict[str, Tensor | np.ndarray]]:
        """Return what JSON can hold of it, and the rest, by names that stand in it."""
        arrays: dict[str, Tensor | np.ndarray] = {"latent": self.latent, "picture": _bytes(self.picture)}
        arrays |= {f"weights {name}": _bytes(packed) for name, packed in self.weights.items()}
        about = {
            "name": self.name,
            "square": dataclasses.asdict(self.square),
            "report": json.loads(json.dumps(dataclasses.asdict(self.report))),
        }
        return about, arrays

    @classmethod
    def of_parts(cls, about: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> PackedPhoto:
        """Return what ``parts`` gave. :raises Exception: for anything else."""
        report = about["report"]
        numbers = [*report["psnr"].values(), *report["ms_ssim"].values(), *report["seconds"].values()]
        numbers += [report["steps"], 0 if report["identity"] is None else report["identity"]]
        if not all(isinstance(each, (int, float)) and math.isfinite(each) for each in numbers):
            raise ValueError("its report has what is no number")
        report = Report(**{**report, "notes": tuple(printable(str(note)) for note in report["notes"])})
        latent = arrays["latent"].numpy()
        if latent.dtype.kind != "f":
            raise ValueError("the latent of its photograph holds no numbers")
        weights = {
            name.removeprefix("weights "): array.numpy().astype(np.uint8, casting="no").tobytes()
            for name, array in arrays.items()
            if name.startswith("weights ")
        }
        picture = arrays["picture"].numpy().astype(np.uint8, casting="no").tobytes()
        name = printable(str(about["name"]), LONGEST_NAME)
        return cls(name, Square(**about["square"]), report, latent, picture, weights)


def without_copies(photo: Photo) -> Photo:
    """Return a photograph whose ``tuned`` holds the weights of its ``model`` themselves, where these are at hand."""
    there = photo.model.state_dict()
    changes = {
        name: there[name] if there[name].device == own.device else own for name, own in photo.tuned.changes.items()
    }
    return dataclasses.replace(photo, tuned=TunedCopy(photo.tuned.base, changes))


def _packed(base: Tensor, tuned: Tensor) -> bytes:
    """Return how a tensor differs from another of its shape and type."""
    one, other = _raw(base), _raw(tuned)
    return zlib.compress(np.ascontiguousarray((one ^ other).reshape(-1, base.element_size()).T).tobytes(), LEVEL)


def _unpacked(base: Tensor, packed: bytes) -> Tensor:
    """Return the tensor that ``_packed`` was given. :raises ValueError: for damage."""
    one, inflate = _raw(base), zlib.decompressobj()
    try:
        found = inflate.decompress(packed, one.size + 1)  # never more than it can be, whatever the file claims
    except zlib.error as error:
        raise ValueError("a tuned weight cannot be unpacked") from error
    if len(found) != one.size or not inflate.eof:
        raise ValueError("a tuned weight has another size than that of the model")
    bits = np.frombuffer(found, np.uint8).reshape(base.element_size(), -1).T.reshape(-1)
    return torch.from_numpy(one ^ bits).view(base.dtype).reshape(base.shape)


def _raw(tensor: Tensor) -> np.ndarray:
    """Return the bytes of a tensor, in the order of its places."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    found: np.ndarray = flat.view(torch.uint8).numpy()
    return found


def _bytes(data: bytes) -> np.ndarray:
    found: np.ndarray = np.frombuffer(data, np.uint8).copy()
    return found
