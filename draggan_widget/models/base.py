"""What dragging, editing and the widget need of a generator: latent → features → picture."""

from __future__ import annotations

import abc
import copy
import dataclasses
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from draggan_widget.config import DragConfig
from draggan_widget.models.guard import guarded
from draggan_widget.models.mapped import Mapped
from draggan_widget.models.space import WPlus
from draggan_widget.settings import as_number, as_whole, shown

LARGEST_SEED = 2**32 - 1


class Change(NamedTuple):
    """What is done to features on the way to a picture."""

    block: int
    """After which it is done."""
    make: Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor | None]]
    """Makes, of features (N, C, h, w) with their margin and of the picture so far (N, channels, h, w), or None where
    there is none yet, what goes on in their place."""


class Generator(nn.Module, abc.ABC):
    """A frozen network from a latent to a picture, with the feature maps in between.

    Latents ``ws`` are ``(N, num_ws, w_dim)``: one row per modulated layer (W+). Pictures are ``(N, channels, H, W)``,
    nominally in [-1, 1] and never clamped. Positions ``xy`` are ``(P, 2)`` in picture pixels, x to the right and y
    down, pixel centres at integers. Weights take no gradients; latents may.

    Subclasses implement ``map_latent``, ``feature_maps`` and ``synthesize``, and end their constructor with
    ``freeze()``.
    """

    resolution: tuple[int, int]
    """(H, W) of a picture, in pixels."""
    channels: int
    """Channels of a picture: 1, 3 or 4."""
    num_ws: int
    w_dim: int
    z_dim: int
    label_dim: int
    """Number of classes; 0 for a generator without labels."""
    blocks: tuple[int, ...]
    """Synthesis blocks whose features can be read, coarse to fine; the 4×4 block is 1."""
    drag_config: DragConfig
    """The settings this generator drags best with."""
    has_previews: bool = False
    """Whether each block adds to the picture, so that there is a coarse one after each."""

    def __init__(self) -> None:
        super().__init__()
        self._latest: Remembered | None = None
        self._sizes: dict[int, tuple[int, int]] = {}
        self.mapped = Mapped()
        """What ``space`` has computed of its mapping network."""

    def freeze(self) -> None:
        """Evaluation mode, and no gradients for weights: only latents are optimised."""
        self.eval().requires_grad_(False)

    @property
    def weights_key(self) -> tuple[int, ...]:
        """Numbers that two models have in common, as long as both are there, if they share all of their weights."""
        return (id(self),)

    # --- latent --------------------------------------------------------------------------------------------------

    @property
    def space(self) -> WPlus:
        """Its latents: how they are drawn, checked, stored, and how far they reach."""
        return WPlus(self)

    @abc.abstractmethod
    def map_latent(self, z: Tensor, labels: Tensor | None, truncation: float) -> Tensor:
        """``z`` (N, z_dim) and one-hot ``labels`` (N, label_dim) or None → ``ws`` (N, num_ws, w_dim)."""

    @guarded
    def mapping(
        self,
        z: Tensor | np.ndarray | None = None,
        *,
        seed: int | None = None,
        label: int | Sequence[int] | None = None,
        truncation: float = 1.0,
    ) -> Tensor:
        """The latent of a Gaussian ``z`` or of a ``seed``.

        :param z: (N, z_dim) standard normal numbers; or give ``seed``.
        :param seed: 0 to 2³²-1, meaning ``z = numpy.random.RandomState(seed).randn(1, z_dim)``.
        :param label: class number, or one for each row of ``z``; needed exactly when ``label_dim > 0``.
        :param truncation: ψ of Karras et al. 2019: ``w_avg + ψ·(w - w_avg)``; 1 is untruncated, 0 the mean picture.
        :returns: ``ws`` (N, num_ws, w_dim), in the generator's dtype and on its device.
        :raises ValueError: for a ``z`` of another shape or with NaN, a seed out of range, or a missing or unknown
            label. :raises TypeError: for a seed that is no integer, or for neither or both of ``z`` and ``seed``.
        """
        if (z is None) == (seed is None):
            raise TypeError("mapping needs either z or seed, and not both")
        if z is None:
            z = np.random.RandomState(check_seed(seed)).randn(1, self.z_dim)
        like = next(self.parameters())
        z = torch.as_tensor(z).to(device=like.device, dtype=like.dtype)
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise ValueError(f"z has shape {tuple(z.shape)}; this generator takes (N, {self.z_dim})")
        if not torch.isfinite(z).all():
            raise ValueError("z holds NaN or infinite numbers; give finite ones")
        psi = as_number(truncation)
        if psi is None:
            raise ValueError(f"truncation is {shown(truncation)}; it must be a finite number, usually 0.5 to 1")
        with torch.no_grad():
            return self.map_latent(z, self.one_hot(label, z), psi)

    def mapper(self) -> Callable[[Tensor, Tensor | None], Tensor]:
        """Return what maps ``z`` (N, z_dim) and one-hot labels, or None, to untruncated ``w`` (N, w_dim).

        It is a copy in float64 on the processor, and takes and gives such tensors; the generator stays as it is.
        """
        copied = copy.deepcopy(self).to("cpu", torch.float64)
        return lambda z, labels: copied.map_latent(z, labels, 1.0)[:, 0]

    def one_hot(self, label: int | Sequence[int] | np.ndarray | None, z: Tensor) -> Tensor | None:
        """Return classes, one or one for each row of ``z`` (N, z_dim), as (N, label_dim); None without classes.

        :raises ValueError: for a label that is missing or unknown.
        """
        if self.label_dim == 0:
            if label is not None:
                raise ValueError("this generator has no classes; leave label out")
            return None
        if label is None:
            raise ValueError(f"this generator has {self.label_dim} classes; give label=0 to {self.label_dim - 1}")
        numbers = np.broadcast_to(np.asarray(label), (len(z),))
        if numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() >= self.label_dim:
            raise ValueError(f"label is {label!r}; it must be a whole number from 0 to {self.label_dim - 1}")
        return F.one_hot(torch.from_numpy(numbers.astype(np.int64)), self.label_dim).to(z)

    # --- features ------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def feature_maps(self, ws: Tensor, blocks: Sequence[int]) -> list[Tensor]:
        """The maps (N, C, h, w) of ``blocks``, in that order, computing nothing above the finest of them."""

    def features(self, ws: Tensor, block: int) -> Tensor:
        """The feature map (N, C, h, w) after one synthesis block, differentiable in ``ws``.

        Nothing above the block is computed. Asked again with the very same ``ws`` tensor (by this or by
        ``sample_features``), the map is not computed again, until a gradient has been taken through it.
        """
        return self.maps(ws, (block,))[0]

    def sample_features(
        self,
        ws: Tensor,
        blocks: int | Sequence[int],
        xy: Tensor,
        ahead: Mapping[int, Tensor] | None = None,  # noqa: ARG002
    ) -> Tensor:
        """Features (P, C) at picture positions ``xy`` (P, 2), as if the map were bilinearly upsampled to the picture.

        The upsampling is that of ``align_corners=False``; positions outside the picture read its border. With several
        ``blocks`` their channels follow one another. ``ws`` is (1, num_ws, w_dim); differentiable in it. How much of
        the map is computed for it is the generator's secret.

        :param ahead: block → positions (Q, 2) that will be asked for next with the very same ``ws`` tensor. What they
            need may be computed along with what ``xy`` needs, which is cheaper than computing it later.
        """
        asked = (blocks,) if isinstance(blocks, int) else tuple(blocks)
        sampled = [sample_map(feature_map, xy, self.resolution) for feature_map in self.maps(ws, asked)]
        return sampled[0] if len(sampled) == 1 else torch.cat(sampled, dim=1)

    def block_of_row(self, row: int) -> int:  # noqa: ARG002 - of any other generator nothing is known
        """The first block whose features depend on row ``row`` of a latent; the last one if that is not known."""
        return self.blocks[-1]

    def map_size(self, block: int) -> tuple[int, int]:
        """(h, w) of the feature map after a block."""
        if block not in self._sizes:
            like = next(self.parameters())
            with torch.no_grad():
                (feature_map,) = self.feature_maps(like.new_zeros(1, self.num_ws, self.w_dim), [block])
            self._sizes[block] = (feature_map.shape[2], feature_map.shape[3])
        return self._sizes[block]

    def default_block(self) -> int:
        """The block of 128×128 for pictures of 256 px and more, of half the picture below that."""
        return self.blocks[-2] if self.resolution[0] < 256 else self.blocks[5]

    def _check(self, ws: Tensor, blocks: tuple[int, ...]) -> None:
        if unknown := [block for block in blocks if block not in self.blocks]:
            known = f"{self.blocks[0]} to {self.blocks[-1]}"
            raise ValueError(f"no synthesis block {unknown[0]}; this generator has {known}")
        if ws.ndim != 3 or ws.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(f"ws has shape {tuple(ws.shape)}; this generator takes (N, {self.num_ws}, {self.w_dim})")

    def maps(self, ws: Tensor, blocks: tuple[int, ...]) -> list[Tensor]:
        """``features`` of several blocks, in their order, computed together."""
        self._check(ws, blocks)
        if ws.is_inference():
            return self.feature_maps(ws, blocks)
        latest = self._latest
        if latest is None or not (latest.serves(ws) and all(block in latest.tensors for block in blocks)):
            maps = dict(zip(blocks, self.feature_maps(ws, blocks), strict=True))
            latest = Remembered.of(self, "_latest", ws, maps)
        found = [latest.tensors[block] for block in blocks]
        return found if torch.is_grad_enabled() else [feature_map.detach() for feature_map in found]

    def views(self, ws: Tensor, block: int) -> tuple[Tensor, Tensor | None]:
        """The map (N, C, h, w) of a block, and its ``preview`` or None where there are none; differentiable in ``ws``.

        A generator that can computes both together.
        """
        return self.maps(ws, (block,))[0], self.preview(ws, block) if self.has_previews else None

    # --- picture -------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def synthesize(self, ws: Tensor) -> Tensor:
        """``ws`` (N, num_ws, w_dim) → pictures (N, channels, H, W), nominally in [-1, 1], not clamped."""

    def preview(self, ws: Tensor, block: int) -> Tensor:  # noqa: ARG002 - for those that have one
        """A coarse picture (N, channels, h, w) of the size of a block's map, from that block and those below it alone.

        :raises ValueError: without ``has_previews``.
        """
        raise ValueError("this generator has no coarse pictures; synthesize the whole one")

    def paint(self, ws: Tensor, change: Change, upto: int | None = None) -> Tensor:  # noqa: ARG002
        """``synthesize``, or ``preview`` where a block is given, with a ``change`` of features on the way.

        A generator of whose layers nothing is known leaves them as they are.
        """
        return self.synthesize(ws) if upto is None else self.preview(ws, upto)

    def __getstate__(self) -> dict[str, Any]:
        # Copies and pickles leave what is remembered behind: maps hold a graph and a weak reference.
        return {**self.__dict__, "_latest": None, "mapped": Mapped()}


@dataclasses.dataclass(frozen=True)
class Remembered:
    """Features last computed of one latent: tracking and supervision read the same ones, once an iteration."""

    owner: weakref.ref[Tensor]
    version: int
    has_graph: bool
    tensors: dict[int, Tensor]
    """Block → its map, or the features of some of its cells."""
    key: object
    cells: dict[int, np.ndarray]
    """Block → the numbers of these cells, sorted; empty where the maps are whole."""

    @classmethod
    def of(
        cls,
        generator: Generator,
        slot: str,
        ws: Tensor,
        tensors: dict[int, Tensor],
        cells: dict[int, np.ndarray] | None = None,
    ) -> Remembered:
        """Remember ``tensors`` of ``ws`` as the attribute ``slot`` of ``generator``.

        A latent that is only looked at, without a graph, does not take the place of one that is being dragged.
        """
        has_graph = any(tensor.requires_grad for tensor in tensors.values())
        key = object()
        remembered = cls(weakref.ref(ws), ws._version, has_graph, tensors, key, cells or {})
        holder = weakref.ref(generator)

        def forget(_gradient: Tensor) -> None:
            # A gradient taken through a map frees its graph, so the map can serve no second one.
            # Nothing here may hold a map: a map that its own hook holds is never freed.
            alive = holder()
            latest = None if alive is None else getattr(alive, slot)
            if latest is not None and latest.key is key:
                setattr(alive, slot, None)

        for tensor in tensors.values():
            if tensor.requires_grad:
                tensor.register_hook(forget)  # type: ignore[no-untyped-call]
        before = getattr(generator, slot)
        if has_graph or before is None or not before.has_graph:
            setattr(generator, slot, remembered)
        return remembered

    def serves(self, ws: Tensor) -> bool:
        """Whether these are features of that very tensor, with a graph if one is wanted; or of one with the same
        numbers where no graph can be wanted, such as a tracker is given. On a GPU, comparing would wait for it.
        """
        owner = self.owner()
        if owner is None or self.version != owner._version:
            return False
        if owner is ws:
            return self.has_graph or not (ws.requires_grad and torch.is_grad_enabled())
        if torch.is_grad_enabled() or ws.device.type != "cpu" or (ws.shape, ws.dtype) != (owner.shape, owner.dtype):
            return False
        return owner.device == ws.device and torch.equal(owner, ws)


def sample_map(feature_map: Tensor, xy: Tensor, resolution: tuple[int, int]) -> Tensor:
    """Bilinear samples (P, C) of a map (1, C, h, w) at picture positions (P, 2), as if upsampled to ``resolution``.

    Equal to ``interpolate(mode="bilinear", align_corners=False)`` at integer positions, without making that map.
    """
    height, width = resolution
    # In numbers, not tensors of them: a graph that is being captured on a GPU can take no tensor from the processor.
    grid = torch.stack([(xy[:, 0] + 0.5) * (2 / width) - 1, (xy[:, 1] + 0.5) * (2 / height) - 1], dim=1)
    grid = grid.to(feature_map)
    sampled = F.grid_sample(feature_map, grid[None, None], mode="bilinear", padding_mode="border", align_corners=False)
    return sampled[0, :, 0].T


def check_seed(seed: Any) -> int:
    """``seed`` as an int. :raises TypeError: if it is none. :raises ValueError: if it is not in 0 … 2³²-1."""
    number = as_whole(seed)
    if number is None:
        raise TypeError(f"seed is {shown(seed)}; it must be a whole number from 0 to {LARGEST_SEED}")
    if not 0 <= number <= LARGEST_SEED:
        raise ValueError(f"seed is {shown(number)}; it must be from 0 to {LARGEST_SEED}")
    return number
