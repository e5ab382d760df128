"""The latents of a diffusion model, as ``Space`` has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.models.guard import guarded
from draggan_widget.models.space import Metric, Space

if TYPE_CHECKING:
    from draggan_widget.models.diffusion.network import Diffusion

KIND = "noisy pair"


class NoisySpace(Space):
    """Latents (1, 2·C, h, w): a noisy picture that is pulled, and the one that it came from."""

    def __init__(self, model: Diffusion) -> None:
        self._model = model

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(1, 2·C, h, w)."""
        return 1, 2 * self._model.depth, *self._model.side

    def draw(self, *, seed: int, label: int | None = None, truncation: float = 1.0) -> Tensor:
        """See ``Space``. It is ``model.mapping`` of that seed; ``truncation`` is not used."""
        return self._model.mapping(seed=seed, label=label, truncation=truncation)

    @guarded
    def check(self, latent: Any) -> Tensor:
        """See ``Space``."""
        if not isinstance(latent, (Tensor, np.ndarray)):
            raise TypeError(f"the latent is a {type(latent).__name__}; give a tensor or array, such as mapping(seed=7)")
        try:
            given = latent if isinstance(latent, Tensor) else torch.from_numpy(np.ascontiguousarray(latent))
        except TypeError as error:
            raise TypeError(f"the latent holds {latent.dtype}; give real numbers, as mapping does") from error
        if given.is_complex():
            raise TypeError(f"the latent holds {latent.dtype}; give real numbers, as mapping does")
        if tuple(given.shape) != self.shape:
            raise ValueError(f"the latent has shape {tuple(given.shape)}; this model drags one of {self.shape}")
        like = self._model.scale
        given = given.detach().to(device=like.device, dtype=like.dtype, copy=True)
        if not torch.isfinite(given).all():
            raise ValueError("the latent holds NaN or infinite numbers; give one from mapping")
        return given

    def pack(self, latent: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """See ``Space``."""
        return {"noisy": self.check(latent).cpu()}, self._said

    def unpack(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Tensor:
        """See ``Space``."""
        if set(tensors) != {"noisy"} or dict(values) != self._said:
            raise ValueError(
                f"what is stored is no latent of this model, which has {self.shape} at level {self._model.level} of "
                f"{self._model.schedule.steps}"
            )
        if tensors["noisy"].dtype != self._model.scale.dtype:
            wanted = self._model.scale.dtype
            raise ValueError(f"the latent that is stored holds {tensors['noisy'].dtype} where {wanted} is needed")
        return self.check(tensors["noisy"])

    def metric(self, label: int | None = None) -> Metric:  # noqa: ARG002
        """Raise: how far noisy pictures reach says nothing of which changes are natural. :raises ValueError: always."""
        raise ValueError("a diffusion model has no metric of its latents; choose the engine dragdiffusion")

    def check_metric(self) -> None:
        """See ``metric``."""
        self.metric()

    def label_of(self, latent: Tensor) -> int | None:  # noqa: ARG002
        """See ``Space``."""
        return None

    @property
    def _said(self) -> dict[str, Any]:
        return {"space": KIND, "shape": list(self.shape), "level": self._model.level, "of": self._model.schedule.steps}
