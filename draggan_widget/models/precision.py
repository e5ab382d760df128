"""Half precision where it is worth it: asked of the very GPU and the very network.

In half precision the factors of convolutions are float16, their sums and all else float32. Over 50 steps of drags on
the built-in faces that changes the latent by at most 0.8 % of its way and handles by at most 0.05 px. With bfloat16 it
is 1.4 to 2.5 % and up to 1.3 px, more than the 1 % that a faster step may cost; so processors, whose only quick half is
that one, compute in float32.
"""

from __future__ import annotations

import copy
import itertools
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from draggan_widget.models.base import Generator
from draggan_widget.models.graphs import captured
from draggan_widget.models.stylegan2.network import StyleGAN2

LARGEST_ERROR = 0.01
"""What halves may change of a latent's gradient, as a part of its length."""
WORTH_IT = 0.95
"""Part of float32's time that halves may take at most."""
SEED = 1
REPEATS = 5


def choose(generator: Generator) -> torch.dtype | None:
    """Have ``generator`` multiply in halves if that is both exact enough and quicker where it is; say what it does.

    Never slower than float32: features and their gradient are timed both ways. Only a ``StyleGAN2`` on CUDA is asked;
    any other stays as it is.
    """
    if not isinstance(generator, StyleGAN2) or next(generator.parameters()).device.type != "cuda":
        return None
    return compare(generator, seconds)


def for_glances(generator: Generator) -> StyleGAN2 | None:
    """Return a copy that shares the weights and multiplies in bfloat16, for pictures that are looked at for a moment.

    They differ from exact ones by at most some 3 of 255. None where the processor has no units for such products,
    without which they are slow, and for other models than a ``StyleGAN2`` in float32.
    """
    if type(generator) is not StyleGAN2 or not getattr(torch.cpu, "_is_amx_tile_supported", bool)():
        return None
    weights = list(itertools.chain(generator.parameters(), generator.buffers()))
    if any(weight.device.type != "cpu" or weight.dtype != torch.float32 for weight in weights):
        return None
    glances = copy.deepcopy(generator, {id(weight): weight for weight in weights})
    glances.operands = torch.bfloat16
    return glances


def compare(generator: StyleGAN2, clock: Callable[[StyleGAN2], float]) -> torch.dtype | None:
    """Return ``choose`` by a ``clock`` that says what a pass of the generator takes as it is."""
    generator.operands = None
    exact, whole_time = gradient(generator), clock(generator)
    generator.operands = torch.float16
    error = (gradient(generator) - exact).norm() / exact.norm()
    if not error <= LARGEST_ERROR or clock(generator) > WORTH_IT * whole_time:  # NaN is no small error
        generator.operands = None
    return generator.operands


def gradient(generator: StyleGAN2) -> Tensor:
    """Return the gradient by a latent (1, num_ws, w_dim) of the mean size of the features that a drag reads."""
    return _pass(generator, _latent(generator), generator.default_block())


def seconds(generator: StyleGAN2) -> float:
    """Return what a forward and a backward pass take on CUDA, replayed as a graph as a drag does."""
    latent, block = _latent(generator), generator.default_block()
    replay, _ = captured(lambda: (_pass(generator, latent, block),))
    taken = []
    for _ in range(REPEATS):
        torch.cuda.synchronize()
        began = time.perf_counter()
        replay()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _latent(generator: StyleGAN2) -> Tensor:
    if generator.label_dim:
        return generator.mapping(seed=SEED, label=0).requires_grad_()
    return generator.mapping(seed=SEED).requires_grad_()


def _pass(generator: StyleGAN2, latent: Tensor, block: int) -> Tensor:
    with torch.enable_grad():
        (feature_map,) = generator.feature_maps(latent, [block])
        return torch.autograd.grad(feature_map.abs().mean(), latent)[0]
