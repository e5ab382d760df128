"""What is seen of a network while it works, and what is changed of it: by forward hooks, whatever its version is.

Nothing of diffusers is copied or replaced. Its attention layers have ``to_q``, ``to_k`` and ``to_v``, as they had from
their first version on; what goes through these is read, or put in another's place.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHARED_FROM = 10 / 16
"""From which of its self-attentions on a network looks at the source: MasaCtrl's layer 10 of the 16 of Stable
Diffusion (Cao et al., ICCV 2023), and as large a part of those of any other."""


class _EnoughError(Exception):
    """What was to be seen has been; the rest of the pass is not needed."""


def stages(network: nn.Module) -> list[nn.Module]:
    """Return the parts of a UNet whose outputs can be read, from coarse to fine: its middle, then its way up."""
    unet: Any = network
    middle = [] if unet.mid_block is None else [unet.mid_block]
    return [*middle, *unet.up_blocks]


def attentions(network: nn.Module, *, cross: bool) -> list[nn.Module]:
    """Return the attention layers of a UNet in the order in which a picture goes through them.

    :param cross: those that look at a prompt; else those that look at the picture itself.
    """
    unet: Any = network
    found: list[nn.Module] = []
    for part in (unet.down_blocks, unet.mid_block, unet.up_blocks):
        for layer in () if part is None else part.modules():
            parts = all(hasattr(layer, name) for name in ("to_q", "to_k", "to_v", "heads"))
            if parts and bool(layer.is_cross_attention) == cross:
                found.append(layer)
    return found


@contextlib.contextmanager
def tapped(network: nn.Module, numbers: Sequence[int], *, whole: bool) -> Iterator[dict[int, Tensor]]:
    """Within this, a pass leaves the outputs (N, C, h, w) of stages in the dict that is given, by their numbers.

    :param numbers: counted from 1. :param whole: whether the pass goes on after the last of them; else it ends there,
        silently, and with it what stands in this block.
    """
    seen: dict[int, Tensor] = {}
    parts, last = stages(network), max(numbers)

    def tap(number: int) -> Callable[..., None]:
        def look(_module: nn.Module, _args: Any, output: Any) -> None:
            seen[number] = output[0] if isinstance(output, tuple) else output
            if number == last and not whole:
                raise _EnoughError

        return look

    with _hooked([(parts[number - 1], tap(number)) for number in set(numbers)]), contextlib.suppress(_EnoughError):
        yield seen


@contextlib.contextmanager
def sharing(network: nn.Module) -> Iterator[None]:
    """Within this, the second half of a batch looks at the first: mutual self-attention of MasaCtrl.

    From a layer on, keys and values of the second half are those of the first; queries stay their own.
    """
    layers: list[Any] = attentions(network, cross=False)
    first = math.ceil(SHARED_FROM * len(layers))

    def share(_module: nn.Module, _args: Any, output: Tensor) -> Tensor:
        source = output[: len(output) // 2]
        return torch.cat([source, source])

    with _hooked([(part, share) for layer in layers[first:] for part in (layer.to_k, layer.to_v)]):
        yield


@contextlib.contextmanager
def watched(network: nn.Module) -> Iterator[list[Tensor]]:
    """Within this, a pass leaves in the list how each place of a picture looks at each vector of a prompt.

    Entries are (N, P, T), the mean over heads, of each cross-attention of P places: rows that sum to 1.
    """
    seen: list[Tensor] = []
    asked: dict[int, Tensor] = {}

    def ask(layer: Any) -> Callable[..., None]:
        def look(_module: nn.Module, _args: Any, output: Tensor) -> None:
            asked[id(layer)] = output

        return look

    def answer(layer: Any) -> Callable[..., None]:
        def look(_module: nn.Module, _args: Any, output: Tensor) -> None:
            queries, keys = (_by_head(each, layer.heads) for each in (asked.pop(id(layer)), output))
            seen.append(F.softmax(queries @ keys.transpose(2, 3) * layer.scale, dim=3).mean(dim=1))

        return look

    layers: list[Any] = attentions(network, cross=True)
    hooks = [(layer.to_q, ask(layer)) for layer in layers] + [(layer.to_k, answer(layer)) for layer in layers]
    with _hooked(hooks):
        yield seen


def _by_head(vectors: Tensor, heads: int) -> Tensor:
    count, length, width = vectors.shape
    return vectors.view(count, length, heads, width // heads).transpose(1, 2)


@contextlib.contextmanager
def _hooked(hooks: Sequence[tuple[nn.Module, Callable[..., Any]]]) -> Iterator[None]:
    handles = [module.register_forward_hook(hook) for module, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
