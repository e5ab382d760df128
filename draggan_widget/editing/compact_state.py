"""What a record keeps so that an edit can go on from it exactly: all of its state but the latent, in little memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from draggan_widget.engines import Edit, State, engine_of
from draggan_widget.models import Generator


@dataclasses.dataclass(frozen=True, eq=False)
class Kept:
    """A state without its latent, and the mask (H, W) of the edit, or None, as it was given."""

    settings: Any
    """Of the engine, which they name."""
    edit: Edit
    """Its latent is empty; the record has it."""
    memory: Any
    """What the engine remembers, as its ``compact`` made it."""
    loss: Mapping[str, float]
    mask: np.ndarray | None

    @classmethod
    def of(cls, drag: State, mask: np.ndarray | None) -> Kept:
        """Return what is to be kept of a state."""
        edit = dataclasses.replace(drag.edit, latent=torch.empty(0))
        return cls(drag.config, edit, drag.bound.compact(drag.memory), drag.loss, mask)

    def state(self, model: Generator, ws: np.ndarray) -> State:
        """Return the state again, whose latent was ``ws``. :param model: whose latent it is."""
        bound = engine_of(self.settings).bind(model, self.settings)
        with torch.inference_mode(mode=False):
            latent = torch.from_numpy(ws).to(self.edit.origin, copy=True)
        edit = dataclasses.replace(self.edit, latent=latent)
        return State(bound, edit, bound.expand(edit, self.memory), self.loss)
