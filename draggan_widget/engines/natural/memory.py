"""What the natural drag remembers between two steps, and how a file keeps it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from draggan_widget.engines.common.sampling import channel_count
from draggan_widget.engines.edit import XY, Edit, check_ws, check_xy
from draggan_widget.engines.natural.looks import LOOKS
from draggan_widget.engines.natural.sparing import PLACES
from draggan_widget.models import Generator
from draggan_widget.settings import as_number, shown

VALUES = {"blocks", "reach", "first_step", "idle", "at_rest", "weight", "same_person", "home", "seen"}
COVARIANCE, BASE, REST, REFERENCE, LATEST = "covariance", "base", "rest", "reference.", "latest."


@dataclasses.dataclass(frozen=True, eq=False)
class Memory:
    """What the natural drag remembers between two steps."""

    covariance: Tensor
    """(w_dim, w_dim), of the model's latents: the one that the edit began with, wherever it goes on."""
    base: Tensor
    """(1, num_ws, w_dim), the latent that changes are measured from: the edit's origin, until a point is taken away."""
    home: Mapping[int, XY]
    """Point → where its content is in the picture of ``base``; only of those for which that is known."""
    references: Mapping[int, Tensor]
    """Point → the features (K, C) of the spot it is followed by; taken at the first step after it was put."""
    latest: Mapping[int, Tensor]
    """Point → the same (K, C) where it was found last."""
    blocks: tuple[int, ...]
    """Whose features these are."""
    seen: Mapping[int, XY]
    """Point → the middle of what was read of the latent around it: where it was looked for."""
    reach: float
    """Pixels that a handle may go in the next step."""
    first_step: int
    """Of the edit, at which the run began."""
    idle: int = 0
    """Steps in a row that brought the handles no nearer."""
    at_rest: bool = True
    """Whether no step that leaves handles where they are would change less of what is to stay."""
    rest: Tensor | None = None
    """(2N + M, rows, w_dim), how the rest of the picture moves with the latent, and how it comes to look another; None
    where that was never asked for."""
    weight: float | None = None
    """How much it weighs in this pull; None until its first step."""
    same_person: float = 0.0
    """How dear it is, in ``covariance``, to change who is shown; 0 also where nothing is known of that."""
    leaf: Tensor | None = None
    """The latent of the edit as the tensor that features were read of; no file keeps it."""

    def pack(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return it as tensors by name and values that JSON can hold."""
        spots = {
            f"{prefix}{number}": tensor
            for prefix, kept in ((REFERENCE, self.references), (LATEST, self.latest))
            for number, tensor in kept.items()
        }
        places = {
            name: [[number, *xy] for number, xy in sorted(getattr(self, name).items())] for name in ("home", "seen")
        }
        values = {
            "blocks": list(self.blocks),
            "reach": self.reach,
            "first_step": self.first_step,
            "idle": self.idle,
            "at_rest": self.at_rest,
            "weight": self.weight,
            "same_person": self.same_person,
            **places,
        }
        rest = {} if self.rest is None else {REST: self.rest}
        return {COVARIANCE: self.covariance, BASE: self.base, **rest, **spots}, values

    @classmethod
    def unpack(
        cls,
        model: Generator,
        edit: Edit,
        blocks: tuple[int, ...],
        parts: int,
        tensors: Mapping[str, Tensor],
        values: Mapping[str, Any],
    ) -> Memory:
        """Return the memory of a file.

        :param blocks: whose features are followed. :param parts: places of a spot at which they are read.
        :raises ValueError: if something is missing or does not fit the edit or the model.
        """
        values = {"weight": None, "same_person": 0.0, **values}  # which older files do not have
        if set(values) != VALUES or not {COVARIANCE, BASE} <= set(tensors):
            raise ValueError("what the engine remembers is incomplete, or of another edit")
        covariance = tensors[COVARIANCE].to(next(model.parameters()).device)
        _check_covariance(covariance, model)
        base = check_ws(model, tensors[BASE])
        if values["blocks"] != list(blocks):
            raise ValueError("points are followed by the features of other blocks")
        channels = channel_count(model, blocks)
        spots: dict[str, dict[int, Tensor]] = {REFERENCE: {}, LATEST: {}}
        for name, tensor in tensors.items():
            if name in (COVARIANCE, BASE, REST):
                continue
            prefix = next((prefix for prefix in spots if name.startswith(prefix)), None)
            if prefix is None or name.removeprefix(prefix) not in map(str, edit.ids):
                raise ValueError("what the engine remembers is of another edit")
            fits = tuple(tensor.shape) == (parts, channels) and tensor.dtype == base.dtype
            if not fits or not torch.isfinite(tensor).all():
                raise ValueError("the features of a point are not those of this generator")
            spots[prefix][int(name.removeprefix(prefix))] = tensor.to(base.device)
        if set(spots[REFERENCE]) != set(spots[LATEST]):
            raise ValueError("what the engine remembers is incomplete, or of another edit")
        reach, first, idle = values["reach"], values["first_step"], values["idle"]
        if isinstance(reach, bool) or not isinstance(reach, (int, float)) or not 0 < reach < math.inf:
            raise ValueError("the reach of a step is no length")
        if type(values["at_rest"]) is not bool:
            raise ValueError(f"at_rest is {shown(values['at_rest'])}; it must be true or false")
        if type(first) is not int or type(idle) is not int or not 0 <= first <= edit.step or idle < 0:
            raise ValueError("the steps of a run are no whole numbers")
        rest, weight = tensors.get(REST), values["weight"]
        if rest is not None:
            rest = _checked_rest(rest, model)
        no_number = isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight < math.inf
        if weight is not None and (rest is None or no_number):
            raise ValueError("how much the rest of the picture weighs is no number")
        same_person = as_number(values["same_person"])
        if same_person is None or not 0 <= same_person <= 1:
            raise ValueError(f"same_person is {shown(values['same_person'])}; it must be a number from 0 to 1")
        home, seen = (_places(values[name], edit, model) for name in ("home", "seen"))
        if torch.equal(base, edit.origin):
            base = edit.origin
        return cls(
            covariance,
            base,
            home,
            spots[REFERENCE],
            spots[LATEST],
            blocks,
            seen,
            float(reach),
            first,
            idle,
            values["at_rest"],
            rest,
            None if weight is None else float(weight),
            same_person,
        )


def _check_covariance(covariance: Tensor, model: Generator) -> None:
    fits = covariance.dtype == next(model.parameters()).dtype and covariance.shape == (model.w_dim, model.w_dim)
    if not fits or not torch.isfinite(covariance).all() or not torch.equal(covariance, covariance.T):
        raise ValueError("the covariance of latents is not one of this generator's")
    if not bool((covariance.diagonal() > 0).all()):
        raise ValueError("the covariance of latents has a variance that is not above 0")


def _checked_rest(rest: Tensor, model: Generator) -> Tensor:
    like = next(model.parameters())
    # In files from before looks were dear it is the motion of places alone.
    counts = 2 * PLACES**2, 2 * PLACES**2 + LOOKS
    fits = rest.dtype == like.dtype and rest.ndim == 3 and len(rest) in counts
    fits = fits and rest.shape[1] <= model.num_ws and rest.shape[2] == model.w_dim
    if not fits or not torch.isfinite(rest).all():
        raise ValueError("how the rest of the picture moves is not told for this generator")
    return rest.to(like.device)


def _places(entries: Any, edit: Edit, model: Generator) -> dict[int, XY]:
    if not isinstance(entries, list) or not all(isinstance(entry, list) and len(entry) == 3 for entry in entries):
        raise ValueError("the places of points are no list of numbers and places")
    if not {entry[0] for entry in entries} <= set(edit.ids):
        raise ValueError("what the engine remembers is of another edit")
    return {entry[0]: check_xy(f"the place of point {entry[0]}", entry[1:], model.resolution) for entry in entries}
