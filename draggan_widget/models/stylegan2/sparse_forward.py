"""The features of a few cells of StyleGAN2's maps, and their gradient, without computing the rest of the maps.

A drag reads a few cells around each handle. For those, every layer is evaluated at just the cells they depend on (see
``cells``): a matrix product over gathered taps, with the zeros beyond the border, the noise and the filters of the
whole network. The result equals the whole computation to rounding, forward and backward.

Rows are cells and columns channels, (cells, C), so that a cell's features lie together in memory. The backward pass is
written out, since then nothing is stored or computed that the gradient of the latent does not need.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from draggan_widget.models.stylegan2.cells import BlockPlan, Planner, Stage, Sums
from draggan_widget.models.stylegan2.layers import LEAKY_SLOPE, lay_out

if TYPE_CHECKING:
    from draggan_widget.models.stylegan2.layers import Shortcut, SynthesisBlock, SynthesisLayer


class Windows:
    """Evaluates cells of the maps of StyleGAN2's ``blocks``, the first and so on.

    What does not depend on the latent is computed once; when weights change, make another one (``fits``).

    :param rows: of ``ws``, which each block reads.
    """

    def __init__(self, blocks: Sequence[SynthesisBlock], rows: Sequence[slice]) -> None:
        self._sources = list(zip(blocks, rows, strict=True))
        self._blocks: list[_Block] = []
        self._planner = Planner([_stage(block) for block in blocks], blocks[0].conv1.weight.dtype)
        self._weights = [
            weight
            for block in blocks
            for layer in ([block.conv1] if block.is_first else [block.conv0, block.conv1])
            for weight in (layer.weight, layer.bias, layer.affine.weight)
        ]
        self._made_of = self._state()

    @staticmethod
    def can_evaluate(ws: Tensor) -> bool:
        """Return whether there are kernels for it: on a processor, in 32 or 64 bits."""
        return ws.device.type == "cpu" and ws.dtype in (torch.float32, torch.float64)

    def fits(self, blocks: Sequence[SynthesisBlock]) -> bool:
        """Return whether the weights of ``blocks`` are those that this was made of, as they were."""
        return self._weights[0] is blocks[0].conv1.weight and self._made_of == self._state()

    def _state(self) -> tuple[Any, ...]:
        """Changes when weights do: when they are written, moved or cast."""
        first = self._weights[0]
        return sum(weight._version for weight in self._weights), first.dtype, first.device

    def evaluate(
        self, ws: Tensor, wanted: Mapping[int, np.ndarray]
    ) -> tuple[dict[int, np.ndarray], dict[int, Tensor]] | None:
        """Block → the numbers of its computed cells, sorted, and block → their features (cells, C).

        :param ws: (1, num_ws, w_dim); the features are differentiable in it. :param wanted: block → numbers of cells
            that must be among them, at least one each.
        :returns: None where they are so many that the whole maps are the quicker way.
        """
        plans = self._planner.plan(wanted)
        if plans is None:
            return None
        for block, rows in self._sources[len(self._blocks) : len(plans)]:
            self._blocks.append(_Block.of(block, rows))
        asked = tuple(sorted(wanted))
        found = _Evaluate.apply(ws, self._blocks[: len(plans)], plans, asked)  # type: ignore[no-untyped-call]
        return {block: plans[block - 1].cells for block in asked}, dict(zip(asked, found, strict=True))


def covers(cells: Mapping[int, np.ndarray], wanted: Mapping[int, np.ndarray]) -> bool:
    """Return whether all ``wanted`` numbers are among ``cells``, block by block."""
    return all(block in cells and np.isin(numbers, cells[block]).all() for block, numbers in wanted.items())


def blend(cells: np.ndarray, features: Tensor, corners: np.ndarray, weights: np.ndarray) -> Tensor:
    """Return Σ over each position's ``corners`` (P, 4), numbers among ``cells`` (n,), of ``weights`` (P, 4) times
    features.

    :param features: (n, C), differentiable. :returns: (P, C).
    """
    places = np.searchsorted(cells, corners)
    return cast("Tensor", _Blend.apply(features, places, weights))  # type: ignore[no-untyped-call]


def _stage(block: SynthesisBlock) -> Stage:
    kernel = (block.resample_filter.double() * 4).numpy()
    height, width = block.size
    return Stage((height, width), kernel, not block.is_first, block.skip is not None)


@dataclasses.dataclass(frozen=True)
class _Layer:
    """What a modulated convolution computes with; nothing of it depends on the latent."""

    row: int
    """Of the latent."""
    taps: Tensor
    """(C_out, 9, C_in), the weights."""
    energies: Tensor
    """(C_out, C_in), the sums of the squares of the taps."""
    affine: Tensor
    """(C_in, w_dim), from a latent row to styles; with ``offset`` (C_in,)."""
    offset: Tensor
    bias: Tensor
    noise: Tensor | None
    """(h · w,), times its strength."""
    gain: float
    slope: float
    clamp: float | None

    @classmethod
    def of(cls, layer: SynthesisLayer, row: int) -> _Layer:
        weight, affine = layer.weight, layer.affine
        lay_out(weight)  # so they serve as they lie
        noise = (layer.noise_const * layer.noise_strength).flatten() if layer.use_noise else None
        taps = weight.permute(0, 2, 3, 1).reshape(weight.shape[0], 9, weight.shape[1])
        return cls(
            row,
            taps,
            taps.square().sum(dim=1),
            affine.weight * affine.weight_gain,
            affine.bias * affine.bias_gain,
            layer.bias,
            noise,
            layer.gain,
            LEAKY_SLOPE,
            layer.clamp,
        )

    def modulation(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Factors of the input (C_in,) and the output (C_out,) for a latent (num_ws, w_dim)."""
        styles = torch.addmv(self.offset, self.affine, latent[self.row])
        return styles, torch.rsqrt(torch.mv(self.energies, styles.square()) + 1e-8)

    def activate(self, x: Tensor, norms: Tensor, cells: np.ndarray) -> Tensor:
        """Return what comes out (cells, C_out) of the convolution's sums ``x`` (cells, C_out)."""
        out = x * norms
        out += self.bias
        if self.noise is not None:
            out += self.noise[torch.from_numpy(cells)][:, None]
        out = F.leaky_relu_(out, self.slope)
        out *= self.gain
        return out if self.clamp is None else out.clamp_(-self.clamp, self.clamp)

    def deactivate(self, gradient: Tensor, out: Tensor) -> Tensor:
        """Return the gradient before the leaky ReLU, from that of ``out``."""
        passed = gradient * self.gain
        passed = torch.where(out > 0, passed, passed * self.slope)
        if self.clamp is not None:
            passed *= out.abs() < self.clamp
        return passed

    def latent_gradient(self, styles: Tensor, norms: Tensor, to_styles: Tensor, to_norms: Tensor) -> Tensor:
        """Return the gradient (w_dim,) of the latent row from those of its two factors."""
        through = torch.mv(self.energies.T, to_norms * norms.pow(3))
        return torch.mv(self.affine.T, to_styles - styles * through)


@dataclasses.dataclass(frozen=True)
class _Block:
    """The layers of one block."""

    const: Tensor | None
    """(h · w, C), the start, in the first block."""
    first: _Layer | None
    second: _Layer
    past: Tensor | None
    """(C_out, C_in), the weights past a residual block."""

    @classmethod
    def of(cls, block: SynthesisBlock, rows: slice) -> _Block:
        const = block.const.flatten(1).T.contiguous() if block.is_first else None
        first = None if block.is_first else _Layer.of(block.conv0, rows.start)
        second = _Layer.of(block.conv1, rows.start + (first is not None))
        return cls(const, first, second, None if block.skip is None else _past(block.skip))


def _past(skip: Shortcut) -> Tensor:
    return skip.weight[:, :, 0, 0] * skip.gain


@dataclasses.dataclass(frozen=True)
class _Kept:
    """What a layer's backward pass needs of its forward pass."""

    x: Tensor
    sums: Tensor
    out: Tensor
    styles: Tensor
    norms: Tensor


class _Blend(torch.autograd.Function):
    """(features (n, C), places (P, 4), weights (P, 4)) → (P, C)."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, places: np.ndarray, weights: np.ndarray) -> Tensor:
        ctx.places, ctx.weights, ctx.count = places, weights, len(features)
        factors = torch.from_numpy(weights).to(features.dtype)
        return F.embedding_bag(torch.from_numpy(places), features, mode="sum", per_sample_weights=factors)

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        positions = np.repeat(np.arange(len(ctx.places)), ctx.places.shape[1])
        back = Sums.of(ctx.places.ravel(), positions, ctx.weights.ravel(), ctx.count, gradient.dtype)
        return back(gradient), None, None


class _Evaluate(torch.autograd.Function):
    """(ws, blocks, plans, numbers of the blocks asked for) → features (cells, C) of each of these."""

    @staticmethod
    def forward(
        ctx: Any, ws: Tensor, blocks: list[_Block], plans: list[BlockPlan], asked: tuple[int, ...]
    ) -> tuple[Tensor, ...]:
        latent = ws[0]
        kept: list[tuple[_Kept | None, _Kept]] = []
        x = blocks[0].const
        assert x is not None
        x = x[torch.from_numpy(plans[0].source)]
        found = {}
        for number, (block, plan) in enumerate(zip(blocks, plans, strict=False), start=1):
            before, past = None, None
            if block.past is not None and plan.past is not None:
                past = plan.past.up(x @ block.past.T)
            if block.first is not None:
                before = _double(block.first, plan, x, latent)
                x = before.out
            after = _convolve(block.second, plan, x, latent)
            x = after.out if past is None else after.out + past
            kept.append((before, after))
            found[number] = x
        if ws.requires_grad:
            ctx.kept, ctx.blocks, ctx.plans, ctx.asked, ctx.shape = kept, blocks, plans, asked, ws.shape
        return tuple(found[number] for number in asked)

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        given = dict(zip(ctx.asked, gradients, strict=True))
        result = gradients[0].new_zeros(ctx.shape)
        latent = result[0]
        gradient = given[ctx.asked[-1]]
        for number in range(len(ctx.kept), 0, -1):
            (before, after), block, plan = ctx.kept[number - 1], ctx.blocks[number - 1], ctx.plans[number - 1]
            if number in given and number != ctx.asked[-1]:
                gradient = gradient + given[number]
            past = gradient
            gradient = _convolve_back(block.second, plan, after, gradient, latent)
            if before is not None:
                gradient = _double_back(block.first, plan, before, gradient, latent)
            if block.past is not None and plan.past is not None:
                gradient = gradient + plan.past.down(past) @ block.past
        return result, None, None, None


def _convolve(layer: _Layer, plan: BlockPlan, x: Tensor, latent: Tensor) -> _Kept:
    styles, norms = layer.modulation(latent)
    scaled = F.pad(x * styles, [0, 0, 0, 1])
    taken = scaled.index_select(0, plan.second.gather).view(len(plan.cells), -1)  # (cells, 9 · C_in)
    sums = taken @ layer.taps.flatten(1).T
    return _Kept(x, sums, layer.activate(sums, norms, plan.cells), styles, norms)


def _convolve_back(layer: _Layer, plan: BlockPlan, kept: _Kept, gradient: Tensor, latent: Tensor) -> Tensor:
    gradient = layer.deactivate(gradient, kept.out)
    to_norms = (gradient * kept.sums).sum(dim=0)
    gradient *= kept.norms
    sent = torch.bmm(gradient.expand(9, *gradient.shape), layer.taps.transpose(0, 1))  # (9, cells, C_in)
    return _modulated_back(layer, kept, plan.second.scatter(sent.flatten(0, 1)), to_norms, latent)


def _double(layer: _Layer, plan: BlockPlan, x: Tensor, latent: Tensor) -> _Kept:
    assert plan.first is not None
    styles, norms = layer.modulation(latent)
    scaled = x * styles
    sent = torch.bmm(scaled.expand(9, *scaled.shape), layer.taps.permute(1, 2, 0))  # (9, n, C_out)
    sums = plan.first.smooth(plan.first.spread(sent.flatten(0, 1)))
    return _Kept(x, sums, layer.activate(sums, norms, plan.second.source), styles, norms)


def _double_back(layer: _Layer, plan: BlockPlan, kept: _Kept, gradient: Tensor, latent: Tensor) -> Tensor:
    assert plan.first is not None
    gradient = layer.deactivate(gradient, kept.out)
    to_norms = (gradient * kept.sums).sum(dim=0)
    wide = plan.first.unsmooth(gradient.mul_(kept.norms))
    reached = wide.index_select(0, plan.first.collect).view(9, len(kept.x), -1)  # (9, n, C_out)
    return _modulated_back(layer, kept, torch.bmm(reached, layer.taps.transpose(0, 1)).sum(dim=0), to_norms, latent)


def _modulated_back(layer: _Layer, kept: _Kept, gradient: Tensor, to_norms: Tensor, latent: Tensor) -> Tensor:
    to_styles = (gradient * kept.x).sum(dim=0)
    latent[layer.row] += layer.latent_gradient(kept.styles, kept.norms, to_styles, to_norms)
    return gradient.mul_(kept.styles)
