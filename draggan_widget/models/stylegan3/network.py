"""StyleGAN3-T and -R in plain torch (Karras et al., *Alias-Free Generative Adversarial Networks*, 2021).

Parameters have the names of the checkpoints people have. Everything is computed in float32 (or what the module was
cast to): 16-bit layers are a way to train fast, and a recorded ``conv_clamp`` is kept.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from draggan_widget.config import DragConfig
from draggan_widget.models.base import Change, Generator
from draggan_widget.models.stylegan2.layers import MOST_CLASSES, WIDEST, MappingNetwork
from draggan_widget.models.stylegan3.layers import FourierFeatures, LayerSettings, Signal, SynthesisLayer, ToRGB
from draggan_widget.texts import printable, quoted


class StyleGAN3(Generator):
    """A StyleGAN3 generator: T by default; R has ``conv_kernel=1, use_radial_filters=True`` and twice the widths.

    Block k is the layer L(k-1) of a checkpoint; the last layer, to RGB, is none. Row 0 of a latent turns and shifts the
    input, row k is read by block k. Feature maps come without their margin: they cover the picture, no more.

    :param resolution: picture size in pixels, a power of two from 16 to 2048; or (H, W), H being such a number and W
        the same or half of it, as in StyleGAN-Human's (512, 256).
    :param z_dim: width of the Gaussian input. :param w_dim: width of a latent row.
    :param c_dim: number of classes, 0 for none. :param img_channels: 1 (grey), 3 (RGB) or 4 (RGBA).
    :param mapping_layers: depth of the mapping network.
    :param mapping_lr_multiplier: the factor by which its stored weights are to be multiplied when used.
    :param embed_features: width of an embedded class, by default ``w_dim``.
    :param class_means: whether truncation goes towards a mean latent of the class, and not of all.
    :param channel_base: widths of the maps are ``channel_base / 2`` divided by their cutoff frequency …
    :param channel_max: … but at most this.
    :param num_layers: layers besides the input and the one to RGB.
    :param num_critical: how many of them, at the end, are critically sampled: cutoff at half the rate.
    :param first_cutoff: f_c of the first layer. :param first_stopband: f_t of the first layer.
    :param last_stopband_rel: f_t of the last layer as a multiple of its f_c.
    :param margin_size: cells above and below the picture in every map, and left and right of it, there half as many
        where the picture is half as wide as high.
    :param output_scale: by which the last layer's output is multiplied.
    :param conv_kernel: 3 or 1, the side of the convolutions. :param filter_size: taps of a filter per cell.
    :param lrelu_upsampling: the rate of the leaky ReLUs as a multiple of their layer's.
    :param use_radial_filters: whether filters treat all directions alike, except in critically sampled layers.
    :param conv_clamp: the largest magnitude of a leaky ReLU's output; None: any.
    :param signals: of networks that were put on a smaller one, as StyleGAN-XL's: (rate, cutoff, half width, margin,
        channels) of the signal after each layer, instead of what follows from the settings above.
    :param drag_config: the settings it drags best with.
    :raises ValueError: for settings that make no network; the message names them.
    """

    def __init__(
        self,
        resolution: int | Sequence[int],
        *,
        z_dim: int = 512,
        w_dim: int = 512,
        c_dim: int = 0,
        img_channels: int = 3,
        mapping_layers: int = 2,
        mapping_lr_multiplier: float = 0.01,
        embed_features: int | None = None,
        class_means: bool = False,
        channel_base: int = 32768,
        channel_max: int = 512,
        num_layers: int = 14,
        num_critical: int = 2,
        first_cutoff: float = 2.0,
        first_stopband: float = 2**2.1,
        last_stopband_rel: float = 2**0.3,
        margin_size: int = 10,
        output_scale: float = 0.25,
        conv_kernel: int = 3,
        filter_size: int = 6,
        lrelu_upsampling: int = 2,
        use_radial_filters: bool = False,
        conv_clamp: float | None = 256.0,
        signals: Sequence[Sequence[float]] | None = None,
        drag_config: DragConfig | None = None,
    ) -> None:
        super().__init__()
        height, width = _check_resolution(resolution)
        self.config: dict[str, Any] = {
            "resolution": height if width == height else [height, width],
            "z_dim": z_dim,
            "w_dim": w_dim,
            "c_dim": c_dim,
            "img_channels": img_channels,
            "mapping_layers": mapping_layers,
            "mapping_lr_multiplier": mapping_lr_multiplier,
            "embed_features": embed_features,
            "class_means": class_means,
            "channel_base": channel_base,
            "channel_max": channel_max,
            "num_layers": num_layers,
            "num_critical": num_critical,
            "first_cutoff": first_cutoff,
            "first_stopband": first_stopband,
            "last_stopband_rel": last_stopband_rel,
            "margin_size": margin_size,
            "output_scale": output_scale,
            "conv_kernel": conv_kernel,
            "filter_size": filter_size,
            "lrelu_upsampling": lrelu_upsampling,
            "use_radial_filters": use_radial_filters,
            "conv_clamp": conv_clamp,
            "signals": None if signals is None else [list(signal) for signal in signals],
        }
        """The constructor's arguments as JSON, for ``save_generator``."""
        _check(self.config)
        self.signals = _signals(self.config)
        self.output_scale = output_scale
        self.resolution = (height, width)
        self.channels = img_channels
        self.num_ws = num_layers + 2
        self.w_dim = w_dim
        self.z_dim = z_dim
        self.label_dim = c_dim
        self.blocks = tuple(range(1, num_layers + 1))
        self.drag_config = drag_config or DragConfig()
        settings = LayerSettings(w_dim, conv_kernel, filter_size, lrelu_upsampling, conv_clamp)
        synthesis: dict[str, nn.Module] = {"input": FourierFeatures(w_dim, self.signals[0])}
        before = self.signals[0]
        for index, after in enumerate(self.signals):
            name = f"L{index}_{after.shape[1]}_{after.channels}"
            if index == num_layers:
                synthesis[name] = ToRGB(before, after, settings)
            else:
                radial = use_radial_filters and index < num_layers - num_critical
                synthesis[name] = SynthesisLayer(before, after, settings, radial=radial)
            before = after
        mapping = MappingNetwork(
            z_dim, c_dim, w_dim, mapping_layers, mapping_lr_multiplier, embedding=embed_features, means=class_means
        )
        self.network = nn.ModuleDict({"mapping": mapping, "synthesis": nn.ModuleDict(synthesis)})
        """Its ``state_dict()`` has the names of the checkpoints people have."""
        self.freeze()

    @classmethod
    def from_config(cls, config: Mapping[str, Any], drag_config: DragConfig | None = None) -> StyleGAN3:
        """The network that ``config`` describes, with random weights."""
        return cls(**config, drag_config=drag_config)

    def map_latent(self, z: Tensor, labels: Tensor | None, truncation: float) -> Tensor:
        """See ``Generator``."""
        network = cast("MappingNetwork", self.network["mapping"])
        w = network.truncated(z, labels, truncation)
        return w[:, None].repeat(1, self.num_ws, 1)

    def mapper(self) -> Callable[[Tensor, Tensor | None], Tensor]:
        """See ``Generator``. Only the mapping network is copied."""
        return copy.deepcopy(self.network["mapping"]).to("cpu", torch.float64)

    def feature_maps(self, ws: Tensor, blocks: Sequence[int]) -> list[Tensor]:
        """See ``Generator``. Maps cover the picture exactly: column i of n covers i/n to (i + 1)/n of its width."""
        first, *layers = self._synthesis_layers()
        maps: dict[int, Tensor] = {}
        x = first(ws[:, 0])
        for block, layer in enumerate(layers[: max(blocks)], start=1):
            x = layer(x, ws[:, block])
            rows, columns = self.signals[block - 1].margins
            maps[block] = x[:, :, rows : x.shape[2] - rows, columns : x.shape[3] - columns]
        return [maps[block] for block in blocks]

    def block_of_row(self, row: int) -> int:
        """See ``Generator``."""
        return min(max(row, 1), self.blocks[-1])

    def default_block(self) -> int:
        """The last block of the first rate of 128 cells a column or more, of half the picture below 256 px."""
        wanted = min(128, self.resolution[0] // 2)
        rates = [signal.rate for signal in self.signals[:-1]]
        rate = min(rate for rate in rates if rate >= wanted)
        return len(rates) - rates[::-1].index(rate)

    def largest_map(self) -> int:
        """Numbers of the largest feature map of one picture, its margins included."""
        return max(math.prod(signal.shape) * signal.channels for signal in self.signals)

    def synthesize(self, ws: Tensor) -> Tensor:
        """See ``Generator``."""
        return self._whole(ws)

    def paint(self, ws: Tensor, change: Change, upto: int | None = None) -> Tensor:
        """See ``Generator``."""
        return self._whole(ws, change) if upto is None else super().preview(ws, upto)

    def _whole(self, ws: Tensor, change: Change | None = None) -> Tensor:
        first, *layers = self._synthesis_layers()
        x = first(ws[:, 0])
        for row, layer in enumerate(layers, start=1):
            x = layer(x, ws[:, row])
            if change is not None and change.block == row:
                x, _ = change.make(x, None)
        return cast("Tensor", x * self.output_scale).contiguous()

    def _synthesis_layers(self) -> list[nn.Module]:
        return list(cast("nn.ModuleDict", self.network["synthesis"]).values())


def plan(
    resolution: int | Sequence[int],
    *,
    img_channels: int,
    channel_base: int,
    channel_max: int,
    num_layers: int,
    num_critical: int,
    first_cutoff: float,
    first_stopband: float,
    last_stopband_rel: float,
    margin_size: int,
) -> list[Signal]:
    """The signals after each layer, the last of which is the picture (section 3.2, "Flexible layer specifications").

    Cutoffs and stopbands grow geometrically up to the first critically sampled layer, and stay from there on. A rate
    is the power of two from which the stopband can be told, at most the picture's; transition bands take what the rate
    leaves. Maps of a picture half as wide as high are so with their margins. See ``StyleGAN3`` for the settings.

    :raises ValueError: for settings by which a signal would not fit its rate.
    """
    height, width = _check_resolution(resolution)
    narrow = height // width
    if margin_size % narrow:
        raise ValueError(f"margin_size is {margin_size}; it must be even for pictures half as wide as high")
    last_cutoff = height / 2
    last_stopband = last_cutoff * last_stopband_rel
    signals = []
    for index in range(num_layers + 1):
        share = min(index / (num_layers - num_critical), 1.0)
        cutoff = first_cutoff * (last_cutoff / first_cutoff) ** share
        stopband = first_stopband * (last_stopband / first_stopband) ** share
        rate = 2 ** math.ceil(math.log2(min(2 * stopband, height)))
        half_width = max(stopband, rate / 2) - cutoff
        margin = 0 if index >= num_layers - 1 else margin_size
        # In the layers that have none the rate is that of the picture, as is checked below.
        shape = (rate + 2 * margin, (rate + 2 * margin) // narrow)
        channels = img_channels if index == num_layers else round(min(channel_base / 2 / cutoff, channel_max))
        if half_width <= 0 or channels < 1:
            raise ValueError(
                f"layer {index} would pass {cutoff:.4g} and stop {stopband:.4g} cycles in {channels} channels; "
                "first_stopband and last_stopband_rel must lie above the cutoffs, and channel_base be large enough"
            )
        signals.append(Signal(rate, cutoff, half_width, shape, (margin, margin // narrow), channels))
    rates = [signal.rate for signal in signals]
    if any(after > MOST_GROWTH * before for before, after in itertools.pairwise(rates)):
        raise ValueError(f"the layers would have {rates} cells, more than {MOST_GROWTH} times as many in one step")
    if rates != sorted(rates) or rates[-2:] != [height, height]:
        raise ValueError(f"the layers would have {rates} cells, which do not grow to {height}; lower num_critical")
    return signals


def _signals(config: Mapping[str, Any]) -> list[Signal]:
    """The signals of a network as its settings say. :raises ValueError: for such as make no network."""
    given = config["signals"]
    if given is None:
        return plan(**{name: config[name] for name in PLAN})
    height, width = _check_resolution(config["resolution"])
    if len(given) != config["num_layers"] + 1 or any(len(signal) != 5 for signal in given) or height != width:
        raise ValueError("signals must be five numbers for each of num_layers + 1 layers of a square picture")
    signals = []
    for rate, cutoff, half_width, margin, channels in given:
        whole = all(type(number) is int for number in (rate, margin, channels))
        if not whole or not all(_is_number(number) and number > 0 for number in (cutoff, half_width)):
            raise ValueError(f"signals hold {(rate, cutoff, half_width, margin, channels)}, which make no map")
        if rate not in [2**power for power in range(2, 12)] or not 0 <= margin <= 256 or not 1 <= channels <= 1 << 16:
            raise ValueError(f"signals hold a map of {rate} cells with a margin of {margin} and {channels} channels")
        signals.append(Signal(rate, cutoff, half_width, (rate + 2 * margin,) * 2, (margin, margin), channels))
    rates = [signal.rate for signal in signals]
    if any(after > MOST_GROWTH * before for before, after in itertools.pairwise(rates)):
        raise ValueError(f"the layers would have {rates} cells, more than {MOST_GROWTH} times as many in one step")
    if rates != sorted(rates) or rates[-2:] != [height, height]:
        raise ValueError(f"signals have maps of {rates} cells, which do not grow to the picture's {height}")
    if signals[-1].margins != (0, 0) or signals[-1].channels != config["img_channels"]:
        raise ValueError("signals do not end with the picture")
    return signals


MOST_GROWTH = 8
"""How much finer one layer may be than the one before; filters and the work of a layer grow with the square of it."""
WHOLE_NUMBERS = {
    "z_dim": (1, WIDEST),
    "w_dim": (1, WIDEST),
    "c_dim": (0, MOST_CLASSES),
    "img_channels": (1, 4),
    "mapping_layers": (1, 64),
    "channel_max": (1, 1 << 16),
    "num_layers": (2, 64),
    "num_critical": (0, 63),
    "margin_size": (0, 256),
    "conv_kernel": (1, 9),
    "filter_size": (1, 64),
    "lrelu_upsampling": (1, 8),
}
"""Settings that are whole numbers, with the least and the greatest that make sense."""
POSITIVE_NUMBERS = ("mapping_lr_multiplier", "channel_base", "first_cutoff", "first_stopband", "last_stopband_rel")


def _check(config: Mapping[str, Any]) -> None:
    """:raises ValueError: naming the first setting of ``StyleGAN3`` that makes no network."""

    def refuse(name: str, wanted: str) -> ValueError:
        return ValueError(f"{name} is {quoted(config[name])}; it must be {wanted}")

    for name in ("use_radial_filters", "class_means"):
        if not isinstance(config[name], bool):
            raise refuse(name, "True or False")
    wide = config["embed_features"]
    if wide is not None and (type(wide) is not int or not 1 <= wide <= 1 << 16):
        raise refuse("embed_features", f"None or a whole number from 1 to {1 << 16}")
    for name, (low, high) in WHOLE_NUMBERS.items():
        value = config[name]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise refuse(name, f"a whole number from {low} to {high}")
    if config["img_channels"] not in (1, 3, 4):
        raise refuse("img_channels", "1, 3 or 4")
    for name in POSITIVE_NUMBERS:
        if not _is_number(config[name]) or config[name] <= 0:
            raise refuse(name, "a finite number above 0")
    if not _is_number(config["output_scale"]):
        raise refuse("output_scale", "a finite number")
    if config["conv_clamp"] is not None and (not _is_number(config["conv_clamp"]) or config["conv_clamp"] <= 0):
        raise refuse("conv_clamp", "a finite number above 0, or None")
    if config["num_critical"] >= config["num_layers"]:
        raise refuse("num_critical", f"less than num_layers, which is {config['num_layers']}")


def _check_resolution(resolution: Any) -> tuple[int, int]:
    """(H, W) of a picture. :raises ValueError: for one that no network draws."""
    given = (resolution, resolution) if isinstance(resolution, int) else resolution
    usable = isinstance(given, (list, tuple)) and len(given) == 2 and all(type(side) is int for side in given)
    if not usable or given[0] not in [2**power for power in range(4, 12)] or given[1] not in (given[0], given[0] // 2):
        raise ValueError(
            f"resolution is {quoted(resolution)}; it must be a power of two from 16 to 2048, "
            "or (H, W) of such an H and a W of the same or half of it"
        )
    return given[0], given[1]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -1e300 < value < 1e300


RECORDED = {"img_resolution": "resolution"} | {
    name: name
    for name in (
        *("z_dim", "c_dim", "w_dim", "img_channels", "channel_base", "channel_max", "num_layers", "num_critical"),
        *("first_cutoff", "first_stopband", "last_stopband_rel", "margin_size", "output_scale", "conv_kernel"),
        *("filter_size", "lrelu_upsampling", "use_radial_filters", "conv_clamp", "signals"),
    )
}
"""Settings of recorded networks, and what ``StyleGAN3`` calls them."""
RECORDED_MAPPING = {"num_layers": "mapping_layers", "lr_multiplier": "mapping_lr_multiplier"}
TRAINING_ONLY = (
    *("magnitude_ema_beta", "w_avg_beta", "num_fp16_res", "freeze_layers", "freeze_embed"),
    *("class_name", "verbose"),
)
"""Recorded settings that change no picture: how averages were taken, which layers were trained, and which a GPU
computed in 16 bits."""


def stylegan3_config(init_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The constructor's arguments of ``StyleGAN3`` for a network recorded with ``init_kwargs``.

    :param init_kwargs: what NVIDIA's generator class was called with: ``z_dim``, ``c_dim``, ``w_dim``,
        ``img_resolution``, ``img_channels``, ``mapping_kwargs`` and, beside them, the settings of the synthesis.
        StyleGAN-Human's says besides whether pictures are ``square``: others are ``img_resolution`` high and half as
        wide. 16-bit layers are recorded and ignored: everything is computed in 32 bits.
    :raises Unreadable: for a setting that is unknown, missing or makes no network; the message names it.
    """
    from draggan_widget.models.checkpoints import Unreadable
    from draggan_widget.models.checkpoints.nvidia_module import is_off

    settings = dict(init_kwargs)
    square = settings.pop("square", True)
    if not isinstance(square, bool):
        raise Unreadable(
            f"holds a StyleGAN3 whose setting square is {str(square)[:60]}; give one where it is True or False"
        )
    mapping = settings.pop("mapping_kwargs", None) or {}
    if not isinstance(mapping, Mapping):
        raise Unreadable(f"holds a StyleGAN3 whose mapping_kwargs are {type(mapping).__name__}, no table of settings")
    config: dict[str, Any] = {}
    for prefix, given, known in (("", settings, RECORDED), ("mapping_kwargs.", mapping, RECORDED_MAPPING)):
        for name, value in given.items():
            if name in known:
                config[known[name]] = value.item() if isinstance(value, np.generic) else value
            elif name not in TRAINING_ONLY and not is_off(value):  # an extension that is switched off draws nothing
                raise Unreadable(
                    f"holds a StyleGAN3 with the setting {prefix}{printable(name)} = {quoted(value, 60)}, which this "
                    "version does not know and which may change its pictures; give a network of the published StyleGAN3"
                )
    required = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")
    if missing := [name for name in required if name not in settings]:
        raise Unreadable(f"holds a StyleGAN3 without the settings {', '.join(missing)}; give a whole checkpoint")
    try:
        complete = {**DEFAULTS, **config}
        height, _ = _check_resolution(complete["resolution"])
        if not square:
            complete["resolution"] = [height, height // 2]
        _check(complete)
        _signals(complete)
    except ValueError as error:
        raise Unreadable(f"holds a StyleGAN3 whose settings make no network: {error}") from error
    return complete


def _parameters(of: Callable[..., Any]) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in inspect.signature(of).parameters.items()}


PLAN = tuple(_parameters(plan))
DEFAULTS = {name: value for name, value in _parameters(StyleGAN3).items() if name != "drag_config"}
