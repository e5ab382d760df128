"""Several blocks that count alike: the features of each divided by how large they are in the first picture.

Features of one block may be many times as large as those of the next, and one may have more channels. Joined as they
are, the larger decides alone. With ``s_k = mean |F0_k|`` and ``C_k`` channels of block k, tracking compares channels
divided by ``s_k·√C_k``, and the loss is the mean over blocks of each one's mean difference divided by ``s_k``.
Both are multiplied by the mean of ``s_k``, so that the loss stays about as large beside that of a mask.
"""

from __future__ import annotations

import dataclasses
import weakref
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from draggan_widget.models import Generator

REMEMBERED = 4
"""First pictures of a model whose sizes are kept."""
TINY = 1e-30
_known: weakref.WeakKeyDictionary[Generator, list[tuple[Tensor, tuple[int, ...], Scales]]] = weakref.WeakKeyDictionary()


@dataclasses.dataclass(frozen=True, eq=False)
class Scales:
    """What the channels of several blocks, joined, are multiplied by."""

    tracked: Tensor
    """(C,), for tracking, whose distance is the L2 norm over channels."""
    pulled: Tensor
    """(C,), besides ``tracked``, for the loss, which is a mean of absolute differences over channels."""

    @classmethod
    def of(cls, sizes: Sequence[float], channels: Sequence[int], like: Tensor) -> Scales:
        """Return those of blocks. :param sizes: s_k. :param channels: C_k. :param like: of whose type they are."""
        typical, total = sum(sizes) / len(sizes), sum(channels)
        # With as many channels each the second is 1, and the first says the size alone.
        evened = [(total / (len(channels) * count)) ** 0.5 for count in channels]
        tracked = [typical / max(size, TINY) * even for size, even in zip(sizes, evened, strict=True)]

        def joined(numbers: list[float]) -> Tensor:
            return torch.cat([like.new_full((count,), each) for each, count in zip(numbers, channels, strict=True)])

        return cls(joined(tracked), joined(evened))


def scales_of(model: Generator, latent: Tensor, blocks: tuple[int, ...], several: str) -> Scales | None:
    """Return what features of ``blocks`` are multiplied by; None where they stay as they are.

    :param latent: (1, num_ws, w_dim), of the first picture. :param several: the setting ``several_blocks``.
    """
    if several != "scaled" or len(blocks) < 2:
        return None
    known = _known.setdefault(model, [])
    for first, read, scales in known:
        if read == blocks and (first is latent or torch.equal(first, latent)):
            return scales
    with torch.inference_mode(mode=False), torch.no_grad():
        first = latent.detach().clone()
        maps = model.feature_maps(first, blocks)
        sizes = [float(each.double().abs().mean()) for each in maps]
        scales = Scales.of(sizes, [each.shape[1] for each in maps], first)
    known[:] = [*known[1 - REMEMBERED :], (first, blocks, scales)]
    return scales
