"""Files of the layout of ``rosinality/stylegan2-pytorch`` and its many forks → StyleGAN2.

Such a file is a dict with the averaged generator's state dict as ``g_ema`` and, with luck, the mean latent as
``latent_avg``; forks have other keys, a prefix before all names, BasicSR's names, or nothing but the state dict. The
mathematics is that of the paper, and weights are stored with unit variance as ours are, so only names and empty
dimensions differ. Widths, depth and resolution are nowhere recorded; they follow from the shapes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from draggan_widget.generators.reading.renaming import (
    MOST_BLOCKS,
    From,
    Table,
    first_axes_dropped,
    names_in,
    rows,
    translated,
)
from draggan_widget.generators.reading.translation import (
    Translation,
    check_names,
    likely_multiplier,
    numbers,
    shape_of,
    supply_mean_latent,
)
from draggan_widget.generators.reading.values import Unreadable
from draggan_widget.generators.stylegan2 import FIR
from draggan_widget.generators.stylegan2_layers import WIDEST
from draggan_widget.texts import printable

KIND = "a StyleGAN2 of the rosinality layout"
SIGNATURE = ("input.input", "conv1.conv.weight", "to_rgb1.conv.weight", "style.1.weight", "convs.0.conv.weight")
"""Names that such a state dict has. Three of them will do, so that a damaged file is still known for what it is."""
AVERAGED = ("g_ema", "params_ema", "G_ema", "generator_ema", "ema", "model_ema")
PLAIN = ("state_dict", "params", "g", "G", "generator", "model")
"""Keys under which forks keep the generator; an averaged one is preferred, for its pictures are better."""
MEANS = ("latent_avg", "mean_latent", "w_avg", "dlatent_avg")
DIALECT = (
    (r"constant_input\.weight", "input.input"),
    (r"style_mlp\.", "style."),
    (r"style_conv(s?)", r"conv\1"),
    (r"modulated_conv\.", "conv."),
    (r"noises\.noise(?=\d)", "noises.noise_"),
    (r"((?:^|\.)(?:conv1|convs\.\d+))\.weight$", r"\1.noise.weight"),
)
"""BasicSR's names and what the same is called here, in the order in which they are to be replaced."""
MOST_TAPS = 64 * 64
"""Of a low-pass filter, which usually has 4 × 4."""


def recognise(value: Any) -> Translation | None:
    """The generator of such a file, or None if it is of another kind.

    :raises Unreadable: if it is of this kind but has missing, unknown, misshapen or non-finite weights.
    """
    chosen = _find(value)
    if chosen is None:
        return None
    key, prefix, found = chosen
    mean = next(
        (place[name] for place in (value, found) for name in MEANS if isinstance(place.get(name), Tensor)), None
    )
    weights = f"'{key}'" if key else "the file itself"
    notes = {"layout": "rosinality", "weights": f"{weights}, names after '{printable(prefix)}'" if prefix else weights}
    return _translate({name: tensor for name, tensor in found.items() if name not in MEANS}, mean, notes)


def _find(value: Any) -> tuple[str, str, dict[str, Tensor]] | None:
    """Key, prefix of names, and tensors without that prefix of the best state dict of this layout in a file."""
    for key, state in _states(value):
        tensors = {_said(name): part for name, part in state.items() if isinstance(part, Tensor)}
        prefixes = Counter(
            name[: -len(sign)] for name in tensors for sign in SIGNATURE if f".{name}".endswith(f".{sign}")
        )
        known = [prefix for prefix, hits in prefixes.items() if hits >= 3]
        if known:
            prefix = min(known, key=lambda prefix: ("ema" not in prefix, len(prefix), prefix))
            return key, prefix, {name[len(prefix) :]: part for name, part in tensors.items() if name.startswith(prefix)}
    return None


def _states(value: Any) -> Iterator[tuple[str, dict[Any, Any]]]:
    if isinstance(value, dict):
        yield from ((key, value[key]) for key in (*AVERAGED, *PLAIN) if isinstance(value.get(key), dict))
        yield "", value


def _said(name: Any) -> str:
    said = str(name)
    if "style_" in said or "constant_input" in said or "modulated_conv" in said or "noises.noise" in said:
        for pattern, plain in DIALECT:
            said = re.sub(pattern, plain, said)
    return said


def _translate(found: dict[str, Tensor], mean: Tensor | None, notes: dict[str, str]) -> Translation:
    depths = numbers(found, r"style\.(\d{1,3})\.weight")
    convolutions = 1 + max(numbers(found, r"convs\.(\d{1,3})\..*"), default=-1)
    pairs = (convolutions + 1) // 2
    if not depths or not 1 <= pairs < MOST_BLOCKS:
        raise Unreadable(
            f"is {KIND}, but with {len(depths)} mapping layers and {convolutions} convolutions above 4 px; "
            "give a whole one of 8 to 1024 px"
        )
    sizes = [4 << step for step in range(pairs + 1)]
    if not any(name.startswith("noises.") for name in found):
        found = found | _noise(sizes, found.get("input.input"))
        notes["noise"] = "not recorded; normal numbers of seed 0 instead"
    table = _table(sizes, depths)
    kernels = {name: kernel for name, kernel in found.items() if name.endswith(".kernel")}
    check_names(found, names_in(table), kind=KIND, aside=kernels)
    config = _config(found, sizes, depths) | {"resample_filter": _low_pass(list(kernels.values()))}
    table["mapping.w_avg"] = From("latent_avg")
    found["latent_avg"] = torch.zeros(config["w_dim"]) if mean is None else _one_row(mean)
    tensors = translated(found, table, config, kind=KIND)
    multiplier, told = likely_multiplier(config, tensors, has_mean=mean is not None)
    config["mapping_lr_multiplier"] = multiplier
    if multiplier != 0.01:
        notes["mapping_lr_multiplier"] = f"not recorded; {multiplier:g}, {told}"
    if mean is None:
        supply_mean_latent(config, tensors, notes)
    return Translation("stylegan2", config, tensors, notes)


def _table(sizes: list[int], depths: list[int]) -> Table:
    table: Table = {}
    for index, depth in enumerate(depths):
        table |= rows(f"mapping.fc{index}", {part: From(f"style.{depth}.{part}") for part in ("weight", "bias")})
    table["synthesis.b4.const"] = From("input.input", first_axes_dropped(1))
    for step, size in enumerate(sizes):
        block, before = f"synthesis.b{size}", 2 * step - 2
        if step == 0:
            table |= rows(f"{block}.conv1", _styled("conv1", 0))
            table |= rows(f"{block}.torgb", _modulated("to_rgb1", "bias"))
        else:
            table |= rows(f"{block}.conv0", _styled(f"convs.{before}", before + 1))
            table |= rows(f"{block}.conv1", _styled(f"convs.{before + 1}", before + 2))
            table |= rows(f"{block}.torgb", _modulated(f"to_rgbs.{step - 1}", "bias"))
    return table


def _modulated(layer: str, bias: str) -> dict[str, From]:
    return {
        "weight": From(f"{layer}.conv.weight", first_axes_dropped(1)),
        "affine.weight": From(f"{layer}.conv.modulation.weight"),
        "affine.bias": From(f"{layer}.conv.modulation.bias"),
        "bias": From(f"{layer}.{bias}", lambda x: x.flatten()),
    }


def _styled(layer: str, noise: int) -> dict[str, From]:
    return {
        **_modulated(layer, "activate.bias"),
        "noise_strength": From(f"{layer}.noise.weight", lambda x: x.reshape([])),
        "noise_const": From(f"noises.noise_{noise}", first_axes_dropped(2)),
    }


def _config(found: dict[str, Tensor], sizes: list[int], depths: list[int]) -> dict[str, Any]:
    def long(name: str, dimension: int, ndim: int) -> int:
        return shape_of(found, name, ndim, kind=KIND)[dimension]

    outputs = ["conv1.conv.weight", *(f"convs.{2 * step - 1}.conv.weight" for step in range(1, len(sizes)))]
    first, last = f"style.{depths[0]}.weight", f"style.{depths[-1]}.weight"
    height, width = sizes[-1], long("input.input", 3, 4) * sizes[-1] // 4
    if long(first, 1, 2) > WIDEST:
        raise Unreadable(f"is {KIND}, but {first} takes {found[first].shape[1]} numbers; give it unchanged")
    return {
        "resolution": height if width == height else [height, width],
        "z_dim": long(first, 1, 2),
        "w_dim": long(last, 0, 2),
        "c_dim": 0,
        "img_channels": long("to_rgb1.conv.weight", 1, 5),
        "channels": {str(size): long(name, 1, 5) for size, name in zip(sizes, outputs, strict=True)},
        "mapping_layers": len(depths),
        "layer_features": long(first, 0, 2),
    }


def _low_pass(kernels: list[Tensor]) -> list[Any]:
    """The taps of the file's low-pass filters, which it stores per layer and times 4, the gain of up-sampling."""
    usual = torch.outer(torch.tensor(FIR), torch.tensor(FIR)) / 16
    first = kernels[0].float() if kernels else usual
    alike = all(kernel.shape == first.shape and torch.allclose(kernel.float(), first, atol=1e-3) for kernel in kernels)
    if first.ndim != 2 or first.numel() > MOST_TAPS or not alike or abs(float(first.sum()) - 4) > 0.01:
        raise Unreadable(f"is {KIND}, but with low-pass filters of different kinds; give an unchanged StyleGAN2")
    if first.shape == usual.shape and torch.allclose(first, usual, atol=1e-3):
        return list(FIR)
    taps: list[Any] = (first / 4).tolist()
    return taps


def _noise(sizes: list[int], const: Tensor | None) -> dict[str, Tensor]:
    """Constant noise for files of the program's first days, which had none."""
    wide = const.shape[-1] if const is not None and const.ndim == 4 and const.shape[-1] <= 64 else 4
    random = torch.Generator().manual_seed(0)
    heights = [4, *(size for size in sizes[1:] for _ in range(2))]
    return {
        f"noises.noise_{index}": torch.randn(1, 1, height, height * wide // 4, generator=random)
        for index, height in enumerate(heights)
    }


def _one_row(mean: Tensor) -> Tensor:
    """A mean latent as one row (w_dim,); some files have one row per layer (…, num_ws, w_dim)."""
    return mean.float().reshape(-1, mean.shape[-1]).mean(dim=0) if mean.ndim > 1 and mean.numel() else mean
