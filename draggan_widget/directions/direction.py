"""A direction: a change of the latent that has a name, as a value, and as a file that can be shared."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from typing import TYPE_CHECKING, Any, Literal

import safetensors.torch
import torch
from torch import Tensor

from draggan_widget.files import check_replaced, readable, write_whole
from draggan_widget.models import mapping_fingerprint
from draggan_widget.models.checkpoints import Unreadable, read_file, safetensors_metadata
from draggan_widget.settings import as_number, shown
from draggan_widget.texts import one_line, quoted, read_json, shown_path

if TYPE_CHECKING:
    from draggan_widget.models import Generator

Source = Literal["known", "principal", "sefa", "taught", "clip"]
SOURCES: tuple[Source, ...] = ("known", "principal", "sefa", "taught", "clip")
FORMAT = 1
HEADER = "draggan_direction"
TENSORS = ("change", "reading")
LONGEST = 80
"""Characters of a name."""
WIDEST = 6.0
"""σ from the mean, beyond which no direction reaches."""


class DirectionError(ValueError):
    """A direction that cannot be taken: of another model, damaged, or unknown; the message says which."""


@dataclasses.dataclass(frozen=True, eq=False)
class Direction:
    """A change of the latents of one model, in units of how much these differ (σ) in what it changes.

    Its ``reading`` says how much of it a latent has, its ``change`` is what adds one σ of it.
    """

    name: str
    label: str
    """For people."""
    group: str
    change: Tensor
    """(num_ws, w_dim) float32: what is added to a latent for one σ more."""
    reading: Tensor
    """(w_dim,) float64: ``row @ reading - zero`` is how many σ above the mean a row of a latent is."""
    zero: float
    source: Source
    """"known": measured of samples whose attributes are known; "taught": of examples; "clip": of words, by what a CLIP
    network sees in samples; "sefa" and "principal": found in the model's weights and in its latents, without a meaning
    known beforehand."""
    score: float | None
    """R² on samples of a known one and one by words, 0 … 1; of a taught one how surely it tells examples apart that it
    has not seen, the area under the curve (AUC) 0.5 … 1; None where there is nothing to compare with."""
    least: float
    most: float
    """The range of the model's own samples, in σ."""
    model: str
    """``mapping_fingerprint`` of the model it is for."""
    ends: tuple[str, str] = ("less", "more")
    """What people call much less and much more of it."""
    offered: bool = True
    """Whether it changes pictures as it says, so that a slider for it is worth showing."""

    def value(self, latent: Tensor) -> float:
        """Return how many σ above the mean a latent (1, num_ws, w_dim) is, the mean of its rows."""
        return float((latent.detach()[0].cpu().double() @ self.reading).mean()) - self.zero

    def serves(self, model: Generator) -> bool:
        """Return whether it is one of ``model``, or of one that this was tuned of."""
        return tuple(self.change.shape) == (model.num_ws, model.w_dim) and self.model == mapping_fingerprint(model)

    def check(self, model: Generator) -> None:
        """Check that it is one of ``model``, or of one that this was tuned of.

        :raises DirectionError: naming the direction, if it is for another.
        """
        if not self.serves(model):
            raise DirectionError(
                f"the direction {quoted(self.name)} is for another model, as its weights tell; teach it for this one"
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the direction as a small safetensors file, whole or not at all.

        :raises FileExistsError: if a file of another kind has that name. :raises OSError: if it cannot be written.
        """
        check_replaced(path, _is_one, "a direction")
        described = {"format": FORMAT, **{name: getattr(self, name) for name in DESCRIBED}, "ends": list(self.ends)}
        tensors = {name: getattr(self, name).contiguous() for name in TENSORS}
        write_whole(path, safetensors.torch.save(tensors, {HEADER: json.dumps(described)}))

    @classmethod
    def load(cls, path: str | os.PathLike[str], model: Generator | None = None) -> Direction:
        """Return what ``save`` wrote. Nothing in the file is executed.

        :param model: it must be for; None for any.
        :raises FileNotFoundError: if there is none.
        :raises DirectionError: if it is damaged, something else, or for another model.
        """
        found = readable(path, "a file of a direction")
        try:
            metadata = safetensors_metadata(found)
            if metadata is None or HEADER not in metadata:
                raise Unreadable("holds no direction; give a file that Direction.save wrote")
            direction = _made(metadata[HEADER], read_file(found))
        except Unreadable as error:
            raise DirectionError(f"{shown_path(path)} {one_line(error)}") from error
        except (LookupError, TypeError, ValueError) as error:
            raise DirectionError(
                f"{shown_path(path)} is a damaged direction ({one_line(error, 120)}); save it again"
            ) from error
        except OSError as error:
            raise DirectionError(f"{shown_path(path)} cannot be read ({one_line(error, 200)}); get it again") from error
        if model is not None:
            direction.check(model)
        return direction


DESCRIBED = ("name", "label", "group", "zero", "source", "score", "least", "most", "model", "offered")


def check_name(name: Any) -> str:
    """Return the name of a direction. :raises DirectionError: for none, a long one, or one that cannot be shown."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > LONGEST:
        raise DirectionError(f"the name {quoted(name)} cannot be one; give a word, of at most {LONGEST} characters")
    return name.strip()


def check_amount(name: str, amount: Any) -> float:
    """Return an amount in σ. :raises ValueError: if it is no finite number."""
    number = as_number(amount)
    if number is None:
        raise ValueError(f"the amount of {quoted(name)} is {shown(amount)}; give a number of σ, such as +1 or -0.5")
    return number


def _is_one(path: Any) -> bool:
    try:
        return HEADER in (safetensors_metadata(path) or {})
    except (Unreadable, OSError):
        return False


def _made(header: str, tensors: dict[str, Tensor]) -> Direction:
    """Return the direction of a file. :raises Unreadable: if it is damaged, or of a newer version."""
    described = read_json(header)
    if described["format"] != FORMAT:
        raise Unreadable(
            f"is a direction of format {quoted(described['format'])}, this version reads {FORMAT}; update "
            "draggan_widget"
        )
    values = {name: described[name] for name in DESCRIBED}
    texts = [values[name] for name in ("label", "group", "model")] + described["ends"]
    numbers = [values[name] for name in ("zero", "least", "most")] + [values["score"] or 0.0]
    if not all(isinstance(text, str) for text in texts) or len(described["ends"]) != 2:
        raise Unreadable("is a damaged direction: it does not say what it is called; save it again")
    if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers):
        raise Unreadable("is a damaged direction: its range is none; save it again")
    if values["source"] not in SOURCES or type(values["offered"]) is not bool or not values["least"] < values["most"]:
        raise Unreadable("is a damaged direction: its range or source is none; save it again")
    if set(tensors) != set(TENSORS):
        raise Unreadable("is a damaged direction: it has other tensors than one; save it again")
    change, reading = (tensors[name] for name in TENSORS)
    fits = change.ndim == 2 and reading.ndim == 1 and change.shape[1] == len(reading)
    if not fits or change.dtype != torch.float32 or reading.dtype != torch.float64:
        raise Unreadable("is a damaged direction: its numbers are of another shape; save it again")
    if not (bool(torch.isfinite(change).all()) and bool(torch.isfinite(reading).all())):
        raise Unreadable("is a damaged direction: it holds numbers that are not finite; save it again")
    check_name(values["name"])
    return Direction(**values, change=change, reading=reading, ends=tuple(described["ends"]))
