"""What a record keeps so that an edit can go on from it exactly: all of its state but the latent, in little memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from draggan_widget.engines import Edit, State, bind, layers_of, with_blend
from draggan_widget.models import Generator, Layer


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

    def state(self, model: Generator, ws: np.ndarray, blend: str | None = None) -> State:
        """Return the state again, whose latent was ``ws``.

        :param model: whose latent it is. :param blend: the setting of that name; None: as it was.
        """
        settings = with_blend(self.settings, blend)
        bound, edit = bind(model, settings), self._edit(ws)
        return State(bound, edit, bound.expand(edit, self.memory), self.loss)

    def layers(self, model: Generator, ws: np.ndarray, blend: str | None = None) -> tuple[Layer, ...]:
        """Return what the picture of that state is made of. See ``state``."""
        return layers_of(self._edit(ws), with_blend(self.settings, blend), model)

    def _edit(self, ws: np.ndarray) -> Edit:
        with torch.inference_mode(mode=False):
            latent = torch.from_numpy(ws).to(self.edit.origin, copy=True)
        return dataclasses.replace(self.edit, latent=latent)
