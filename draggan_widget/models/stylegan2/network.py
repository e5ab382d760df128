"""StyleGAN2 in plain torch (Karras et al., *Analyzing and Improving the Image Quality of StyleGAN*, 2020).

Config F and its relatives: skip, residual and plain stacks, any widths and depth, classes, and pictures of other shapes
than squares. Parameters have the names of the checkpoints people have.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from draggan_widget.config import DragConfig
from draggan_widget.models.base import Change, Generator, Remembered
from draggan_widget.models.stylegan2.cells import corners
from draggan_widget.models.stylegan2.layers import (
    ARCHITECTURES,
    FIR,
    LEAKY_GAIN,
    LEAKY_SLOPE,
    BlockSettings,
    FullyConnected,
    MappingNetwork,
    SynthesisBlock,
    SynthesisLayer,
    ToRGB,
    check_whole,
    low_pass,
    unit_second_moment,
    upsample,
)
from draggan_widget.models.stylegan2.sparse_forward import Windows, blend, covers
from draggan_widget.texts import quoted

__all__ = [
    "FIR",
    "LEAKY_GAIN",
    "LEAKY_SLOPE",
    "FullyConnected",
    "MappingNetwork",
    "StyleGAN2",
    "SynthesisBlock",
    "SynthesisLayer",
    "ToRGB",
    "low_pass",
    "unit_second_moment",
    "upsample",
]

HALF_SCALE = 2.0**12
"""What gradients are multiplied by on their way through convolutions in float16, lest small ones vanish there."""
SIZES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)
"""Heights of pictures whose first block is 4 rows high; blocks are called after these, whatever it is."""
LARGEST_INPUT = 64
"""Rows and columns of the constant input, at most."""
LARGEST_SIDE = 4096
"""Pixels of a picture's side, at most."""


class StyleGAN2(Generator):
    """A StyleGAN2 generator with constant noise.

    :param resolution: picture size in pixels, a power of two from 8 to 2048; or (H, W). Its blocks double a learned
        input of any shape up to 64 × 64, in (1024, 512) of StyleGAN-Human's one of 4 × 2, in (640, 384) one of 5 × 3
        with ``channels`` for 8 blocks, 4 to 512.
    :param z_dim: width of the Gaussian input; 0 for a generator of classes alone. :param w_dim: width of a latent row.
    :param c_dim: number of classes, 0 for none.
    :param img_channels: 1 (grey), 3 (RGB), 4 (RGBA), or any other number of channels.
    :param channels: width of the maps of each block, ``{4: 512, 8: 512, …}``; by default ``min(32768 / size, 512)``.
        Blocks are called after the sizes of a square picture whose input is 4 × 4; their number says how often the
        input doubles.
    :param mapping_layers: depth of the mapping network.
    :param mapping_lr_multiplier: the factor by which its stored weights are to be multiplied when used.
    :param layer_features: width between its layers, by default ``w_dim``.
    :param embed_features: width of an embedded class, by default ``w_dim``.
    :param joint_normalisation: whether input and class are normalised together, and not each.
    :param architecture: ``"skip"``, ``"resnet"`` or ``"orig"``: how blocks reach the picture (figure 7 of the paper).
    :param conv_clamp: convolutions' outputs are clamped to ± this, as networks trained in half precision want it.
    :param use_noise: whether layers add their constant noise.
    :param resample_filter: taps of the low-pass filter of every change of resolution, or a square of them.
    :param drag_config: the settings it drags best with; by default those of ``DragConfig``.
    :raises ValueError: for a resolution, widths or an architecture that make no network.
    """

    def __init__(
        self,
        resolution: int | Sequence[int],
        *,
        z_dim: int = 512,
        w_dim: int = 512,
        c_dim: int = 0,
        img_channels: int = 3,
        channels: Mapping[int, int] | None = None,
        mapping_layers: int = 8,
        mapping_lr_multiplier: float = 0.01,
        layer_features: int | None = None,
        embed_features: int | None = None,
        joint_normalisation: bool = False,
        architecture: str = "skip",
        conv_clamp: float | None = None,
        use_noise: bool = True,
        resample_filter: Sequence[float] | Sequence[Sequence[float]] = FIR,
        drag_config: DragConfig | None = None,
    ) -> None:
        super().__init__()
        height, width = _check_resolution(resolution, channels)
        # One number is a square whose input is 4 × 4; of two, the number of blocks says what the input is.
        doubled = channels is None or isinstance(resolution, int)
        sizes = [2**power for power in range(2, (height if doubled else 2 << len(channels or ())).bit_length())]
        widths = {size: min(32768 // size, 512) for size in sizes} if channels is None else dict(channels)
        if sorted(widths) != sizes:
            raise ValueError(f"channels must give a width for each of the sizes {sizes}; got {quoted(channels)}")
        for size, wide in widths.items():
            check_whole(f"the width of channels at {size}", wide, 1, 1 << 20)
        times = sizes[-1] // 4
        if architecture not in ARCHITECTURES:
            raise ValueError(f"architecture is {quoted(architecture)}; it must be one of {', '.join(ARCHITECTURES)}")
        if conv_clamp is not None and not 0 < conv_clamp < math.inf:
            raise ValueError(f"conv_clamp is {quoted(conv_clamp)}; it must be a number above 0 or None")
        if not 0 < mapping_lr_multiplier < math.inf:
            raise ValueError(f"mapping_lr_multiplier is {quoted(mapping_lr_multiplier)}; it must be a number above 0")
        check_whole("img_channels", img_channels, 1, 1 << 12)
        for name, value in (("use_noise", use_noise), ("joint_normalisation", joint_normalisation)):
            if not isinstance(value, bool):
                raise ValueError(f"{name} is {quoted(value)}; it must be True or False")
        self.resolution = (height, width)
        self.channels = img_channels
        self.num_ws = 2 * len(sizes)
        self.w_dim = w_dim
        self.z_dim = z_dim
        self.label_dim = c_dim
        self.has_previews = architecture == "skip"
        self.blocks = tuple(range(1, len(sizes) + 1))
        self.drag_config = drag_config or DragConfig()
        self.config: dict[str, Any] = {
            "resolution": height if height == width == sizes[-1] else [height, width],
            "z_dim": z_dim,
            "w_dim": w_dim,
            "c_dim": c_dim,
            "img_channels": img_channels,
            "channels": {str(size): widths[size] for size in sizes},
            "mapping_layers": mapping_layers,
            "mapping_lr_multiplier": mapping_lr_multiplier,
            "layer_features": layer_features,
            "embed_features": embed_features,
            "joint_normalisation": joint_normalisation,
            "architecture": architecture,
            "conv_clamp": conv_clamp,
            "use_noise": use_noise,
            "resample_filter": [tap if isinstance(tap, (int, float)) else list(tap) for tap in resample_filter],
        }
        """The constructor's arguments as JSON, for ``save_generator``."""
        settings = BlockSettings(w_dim, img_channels, architecture, conv_clamp, use_noise, resample_filter)
        mapping = MappingNetwork(
            z_dim,
            c_dim,
            w_dim,
            mapping_layers,
            mapping_lr_multiplier,
            hidden=layer_features,
            embedding=embed_features,
            joint=joint_normalisation,
        )
        blocks = {
            f"b{size}": SynthesisBlock(
                None if size == 4 else widths[size // 2],
                widths[size],
                (height // times * size // 4, width // times * size // 4),
                size == sizes[-1],
                settings,
            )
            for size in sizes
        }
        self.network = nn.ModuleDict({"mapping": mapping, "synthesis": nn.ModuleDict(blocks)})
        """Its ``state_dict()`` has the names of the checkpoints people have."""
        self._windows: Windows | None = None
        self._rows: Remembered | None = None
        self.freeze()

    @classmethod
    def from_config(cls, config: Mapping[str, Any], drag_config: DragConfig | None = None) -> StyleGAN2:
        """The network that ``config`` describes, with random weights. Settings left out have their defaults."""
        channels = {int(size): width for size, width in config["channels"].items()}
        return cls(**{**config, "channels": channels}, drag_config=drag_config)

    def map_latent(self, z: Tensor, labels: Tensor | None, truncation: float) -> Tensor:
        """See ``Generator``."""
        network = cast("MappingNetwork", self.network["mapping"])
        w = network.truncated(z, labels, truncation)
        return w[:, None].repeat(1, self.num_ws, 1)

    def mapper(self) -> Callable[[Tensor, Tensor | None], Tensor]:
        """See ``Generator``. Only the mapping network is copied."""
        return copy.deepcopy(self.network["mapping"]).to("cpu", torch.float64)

    def feature_maps(self, ws: Tensor, blocks: Sequence[int]) -> list[Tensor]:
        """See ``Generator``."""
        maps: dict[int, Tensor] = {}
        x: Tensor | None = None
        scale = self._gradient_scale(ws)
        rows = _scaled(ws, 1 / scale).unbind(1)
        for block, layers in enumerate(self._synthesis_blocks()[: max(blocks)], start=1):
            x = layers.grow(x, rows[_rows(block)])
            maps[block] = x
        return [_scaled(maps[block], scale) for block in blocks]

    def views(self, ws: Tensor, block: int) -> tuple[Tensor, Tensor | None]:
        """See ``Generator``."""
        if not self.has_previews:
            return super().views(ws, block)
        scale, seen = self._gradient_scale(ws), list[Tensor]()

        def look(x: Tensor, picture: Tensor | None) -> tuple[Tensor, Tensor | None]:
            seen.append(x)
            return x, picture

        layers = self._synthesis_blocks()[:block]
        picture = self._paint(_scaled(ws, 1 / scale), layers, Change(block, look))
        assert picture is not None
        return _scaled(seen[0], scale), _scaled(picture, scale)

    def _gradient_scale(self, ws: Tensor) -> float:
        return HALF_SCALE if self.operands is torch.float16 and ws.requires_grad else 1.0

    def sample_features(
        self, ws: Tensor, blocks: int | Sequence[int], xy: Tensor, ahead: Mapping[int, Tensor] | None = None
    ) -> Tensor:
        """See ``Generator``. On a processor only the cells that are read are computed, and those they depend on."""
        asked = (blocks,) if isinstance(blocks, int) else tuple(blocks)
        self._check(ws, asked)
        maps = self._latest
        whole = maps is not None and maps.serves(ws) and all(block in maps.tensors for block in asked)
        if whole or len(ws) != 1 or ws.is_inference() or not Windows.can_evaluate(ws):
            return super().sample_features(ws, asked, xy)
        places = {block: self._corners(xy, block) for block in asked}
        rows = self._cells(ws, {block: cells for block, (cells, _) in places.items()}, ahead)
        if rows is None:
            return super().sample_features(ws, asked, xy)
        sampled = [blend(rows.cells[block], rows.tensors[block], *places[block]) for block in asked]
        features = sampled[0] if len(sampled) == 1 else torch.cat(sampled, dim=1)
        return features if torch.is_grad_enabled() else features.detach()

    @property
    def operands(self) -> torch.dtype | None:
        """What the factors of its convolutions are rounded to, on a GPU; None: nothing, as they are.

        Sums, activations and latents stay in the type of the weights. See ``precision.choose``.
        """
        return self._synthesis_blocks()[0].conv1.operands

    @operands.setter
    def operands(self, operands: torch.dtype | None) -> None:
        for block in self._synthesis_blocks():
            for layer in [block.conv1] if block.is_first else [block.conv0, block.conv1]:
                layer.operands = operands

    def block_of_row(self, row: int) -> int:
        """See ``Generator``."""
        return min((row + 3) // 2, self.blocks[-1])

    def default_block(self) -> int:
        """See ``Generator``; of other maps than 128 × 128, the first of 128 rows and more."""
        wanted = min(128, self.resolution[0] // 2)
        return next(block for block in self.blocks if self.map_size(block)[0] >= wanted)

    def map_size(self, block: int) -> tuple[int, int]:
        """See ``Generator``."""
        return self._synthesis_blocks()[block - 1].size

    def largest_map(self) -> int:
        """Numbers of the largest feature map of one picture."""
        return max(math.prod(block.size) * len(block.conv1.weight) for block in self._synthesis_blocks())

    def _corners(self, xy: Tensor, block: int) -> tuple[np.ndarray, np.ndarray]:
        return corners(xy.detach().cpu().double().numpy(), self.map_size(block), self.resolution)

    def _cells(
        self, ws: Tensor, wanted: dict[int, np.ndarray], ahead: Mapping[int, Tensor] | None
    ) -> Remembered | None:
        """Features of at least these cells, remembered or computed; None if the whole maps are the quicker way."""
        windows, synthesis = self._windows, self._synthesis_blocks()
        if windows is None or not windows.fits(synthesis):
            windows = Windows(synthesis, [_rows(block) for block in self.blocks])
            self._windows, self._rows = windows, None
        # Whatever is read of a latent, the same cells are computed for it, to the same rounding.
        for block, positions in (ahead or {}).items():
            corner_cells, _ = self._corners(positions, block)
            wanted[block] = np.append(wanted[block], corner_cells) if block in wanted else corner_cells
        rows = self._rows
        if rows is not None and rows.serves(ws) and covers(rows.cells, wanted):
            return rows
        found = windows.evaluate(ws, wanted)
        if found is None:
            return None
        cells, features = found
        return Remembered.of(self, "_rows", ws, features, cells)

    def synthesize(self, ws: Tensor) -> Tensor:
        """See ``Generator``."""
        return self._whole(ws)

    def preview(self, ws: Tensor, block: int) -> Tensor:
        """See ``Generator``. Only the architecture ``"skip"`` has previews."""
        picture = self._paint(ws, self._synthesis_blocks()[:block])
        return super().preview(ws, block) if picture is None else picture

    def paint(self, ws: Tensor, change: Change, upto: int | None = None) -> Tensor:
        """See ``Generator``."""
        if upto is None:
            return self._whole(ws, change)
        picture = self._paint(ws, self._synthesis_blocks()[:upto], change)
        return super().preview(ws, upto) if picture is None else picture

    def _whole(self, ws: Tensor, change: Change | None = None) -> Tensor:
        picture = self._paint(ws, self._synthesis_blocks(), change)
        assert picture is not None
        return picture.contiguous()

    def _paint(self, ws: Tensor, blocks: Sequence[SynthesisBlock], change: Change | None = None) -> Tensor | None:
        x: Tensor | None = None
        picture: Tensor | None = None
        rows = ws.unbind(1)
        for block, layers in enumerate(blocks, start=1):
            x = layers.grow(x, rows[_rows(block)])
            picture = layers.paint(x, rows[_rows(block)], picture)
            if change is not None and change.block == block:
                x, picture = change.make(x, picture)
        return picture

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_windows": None, "_rows": None}

    def _synthesis_blocks(self) -> list[SynthesisBlock]:
        return cast("list[SynthesisBlock]", list(cast("nn.ModuleDict", self.network["synthesis"]).values()))


class _Scale(torch.autograd.Function):
    """A tensor as it is, and a factor by which its gradient is multiplied on the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.factor, None


def _scaled(x: Tensor, factor: float) -> Tensor:
    return x if factor == 1 else cast("Tensor", _Scale.apply(x, factor))  # type: ignore[no-untyped-call]


def _check_resolution(resolution: Any, channels: Mapping[int, int] | None) -> tuple[int, int]:
    """(H, W), checked. The first block is as large as the input, and each further one twice as high and wide."""
    square = isinstance(resolution, int)
    pair = (resolution, resolution) if square else tuple(resolution)
    if len(pair) != 2 or not all(type(side) is int for side in pair):
        raise ValueError(f"resolution is {quoted(resolution)}; it must be a number of pixels or two, (H, W)")
    if (square or channels is None) and pair[0] not in SIZES:
        known = f"{', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]}"
        raise ValueError(
            f"resolution is {quoted(resolution)}; StyleGAN2 makes pictures of a height of {known} px, "
            "or of another one where it is (H, W) and channels say how many blocks there are"
        )
    blocks = pair[0].bit_length() - 2 if square or channels is None else len(channels)
    if not 2 <= blocks <= len(SIZES) + 1:
        raise ValueError(f"channels are for {blocks} blocks; StyleGAN2 has 2 to {len(SIZES) + 1}")
    times = 1 << (blocks - 1)
    if any(side % times or not 1 <= side // times <= LARGEST_INPUT for side in pair) or max(pair) > LARGEST_SIDE:
        quarter = "a quarter of its height, here " if channels is None else ""
        raise ValueError(
            f"resolution is {quoted(resolution)}; its width must be a multiple of {quarter}{times}, its height too, "
            f"up to {LARGEST_INPUT} times that and {LARGEST_SIDE} px"
        )
    return pair


def _rows(block: int) -> slice:
    """The rows of ``ws`` a block reads. Its last one, for RGB, is also the first of the next block."""
    return slice(0, 2) if block == 1 else slice(2 * block - 3, 2 * block)
