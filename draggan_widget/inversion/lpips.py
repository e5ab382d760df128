"""LPIPS (Zhang et al., 2018), where the package ``lpips`` and AlexNet's weights are on this machine already.

Its constructor would fetch what is missing, so the files are looked for first. Without them there is no such measure:
nothing else goes by its name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

ALEXNET = "alexnet-owt-7be5be79.pth"
"""What torchvision calls the weights, in torch's folder of checkpoints (``TORCH_HOME`` says where that is)."""
MISSING = (
    "LPIPS needs the packages lpips and torchvision, and {file}; put them there, or leave lpips at 0, for nothing is "
    "fetched"
)


def lpips_at_hand() -> Callable[[Tensor, Tensor], Tensor] | None:
    """Return LPIPS of two pictures (1, C, H, W) in [-1, 1], differentiable; None where what it needs is not here."""
    if find_spec("lpips") is None or find_spec("torchvision") is None or not _file().exists():
        return None
    return _measured


def needed_lpips() -> Callable[[Tensor, Tensor], Tensor]:
    """Return the same. :raises ValueError: where what it needs is not here."""
    found = lpips_at_hand()
    if found is None:
        raise ValueError(MISSING.format(file=_file()))
    return found


def _file() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / ALEXNET


def _measured(one: Tensor, other: Tensor) -> Tensor:
    found: Tensor = _network()(*(_colours(each) for each in (one, other))).mean()
    return found


def _colours(picture: Tensor) -> Tensor:
    return picture.expand(-1, 3, -1, -1) if picture.shape[1] == 1 else picture[:, :3]


@functools.cache
def _network() -> torch.nn.Module:
    import lpips

    network: torch.nn.Module = lpips.LPIPS(net="alex", verbose=False).eval().requires_grad_(False)
    return network
