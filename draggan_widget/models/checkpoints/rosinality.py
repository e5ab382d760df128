"""Files of the layout of ``rosinality/stylegan2-pytorch`` and its many forks → StyleGAN2.

Such a file is a dict with the averaged generator's state dict as ``g_ema`` and, with luck, the mean latent as
``latent_avg``; forks have other keys, a prefix before all names, names of their own as BasicSR and MMagic, or nothing
but the state dict. The mathematics is that of the paper, and weights are stored with unit variance as ours are, so only
names and empty dimensions differ. Widths, depth and resolution are nowhere recorded; they follow from the shapes.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import torch
from torch import Tensor

from draggan_widget.models.checkpoints.holdings import Holding, as_tensor, best_prefix, check_pictures, holdings
from draggan_widget.models.checkpoints.renaming import (
    MOST_BLOCKS,
    From,
    Table,
    first_axes_dropped,
    names_in,
    rows,
    translated,
)
from draggan_widget.models.checkpoints.translation import (
    Translation,
    check_names,
    likely_multiplier,
    low_pass_taps,
    numbers,
    picture_size,
    shape_of,
    supply_mean_latent,
)
from draggan_widget.models.checkpoints.values import Unreadable
from draggan_widget.models.stylegan2.layers import WIDEST
from draggan_widget.models.stylegan2.network import LARGEST_INPUT, SIZES

SIGNATURE = ("input.input", "conv1.conv.weight", "to_rgb1.conv.weight", "style.1.weight", "convs.0.conv.weight")
"""Names that such a state dict has. Three of them will do, so that a damaged file is still known for what it is."""
MEANS = ("latent_avg", "mean_latent", "w_avg", "dlatent_avg")
BASICSR = (
    (r"constant_input\.weight", "input.input"),
    (r"style_mlp\.", "style."),
    (r"style_conv(s?)", r"conv\1"),
    (r"modulated_conv\.", "conv."),
    (r"noises\.noise(?=\d)", "noises.noise_"),
    (r"((?:^|\.)(?:conv1|convs\.\d+))\.weight$", r"\1.noise.weight"),
)
MMAGIC = (
    (r"constant_input\.input", "input.input"),
    (r"style_mapping\.", "style."),
    (r"style_modulation\.", "modulation."),
    (r"linear\.weight_orig$", "weight"),
    (r"weight_orig$", "weight"),
    (r"injected_noise_(?=\d)", "noises.noise_"),
    (r"noise_injector\.", "noise."),
)
DIALECTS = (
    ("rosinality", re.compile(""), ()),
    ("rosinality", re.compile(r"style_mlp|style_conv|constant_input\.weight|modulated_conv|noises\.noise\d"), BASICSR),
    (
        "MMagic",
        re.compile(r"style_mapping|style_modulation|weight_orig|injected_noise_|noise_injector|constant_input\.input"),
        MMAGIC,
    ),
)
"""Layouts, signs of their names, and what these are in rosinality's, in the order of replacing."""


def recognise(value: Any) -> Translation | None:
    """Return the generator of such a file, or None if it is of another kind.

    :raises Unreadable: if it is of this kind but has missing, unknown, misshapen or non-finite weights.
    """
    for holding in holdings(value):
        tensors = {name: part for name, part in holding.tensors.items() if isinstance(part, Tensor)}
        for layout, sign, changes in DIALECTS:
            if not any(sign.search(name) for name in tensors):
                continue
            said = {_said(name, changes): part for name, part in tensors.items()}
            hits = Counter(name[: -len(own)] for name in said for own in SIGNATURE if f".{name}".endswith(f".{own}"))
            known = [prefix for prefix, number in hits.items() if number >= 3]
            if known:
                return _taken(holding, layout, best_prefix(known), said)
    return None


def _taken(holding: Holding, layout: str, prefix: str, said: dict[str, Tensor]) -> Translation:
    """Return the generator whose names begin with ``prefix`` among tensors by rosinality's names."""
    kind = f"a StyleGAN2 of the {layout} layout"
    found = {name[len(prefix) :]: part for name, part in said.items() if name.startswith(prefix)}
    means = (as_tensor(place[name]) for place in (*holding.around, said, found) for name in MEANS if name in place)
    mean = next((mean for mean in means if mean is not None), None)
    notes = {"layout": layout, "weights": holding.said(prefix)}
    translation = _translate({name: part for name, part in found.items() if name not in MEANS}, mean, notes, kind)
    check_pictures(holding, prefix, translation.config["img_channels"], kind=kind)
    if layout == "MMagic":
        notes["colours"] = "their order is not recorded; red, green, blue"
    return translation


def _said(name: str, changes: tuple[tuple[str, str], ...]) -> str:
    for pattern, plain in changes:
        name = re.sub(pattern, plain, name)
    return name


def _translate(found: dict[str, Tensor], mean: Tensor | None, notes: dict[str, str], kind: str) -> Translation:
    depths = numbers(found, r"style\.(\d{1,3})\.weight")
    convolutions = 1 + max(numbers(found, r"convs\.(\d{1,3})\..*"), default=-1)
    pairs = (convolutions + 1) // 2
    if not depths or not 1 <= pairs < MOST_BLOCKS:
        raise Unreadable(
            f"is {kind}, but with {len(depths)} mapping layers and {convolutions} convolutions above 4 px; "
            f"give a whole one of {SIZES[0]} to {SIZES[-1]} px"
        )
    sizes = [4 << step for step in range(pairs + 1)]
    if not any(name.startswith("noises.") for name in found):
        found = found | _noise(sizes, found.get("input.input"))
        notes["noise"] = "not recorded; normal numbers of seed 0 instead"
    table = _table(sizes, depths)
    if "embed.weight" in found:
        table |= rows("mapping.embed", {part: From(f"embed.{part}") for part in ("weight", "bias")})
    kernels = {name: kernel for name, kernel in found.items() if name.endswith(".kernel")}
    check_names(found, names_in(table), kind=kind, aside=kernels)
    config = _config(found, sizes, depths, kind) | {"resample_filter": low_pass_taps(list(kernels.values()), kind=kind)}
    table["mapping.w_avg"] = From("latent_avg")
    found["latent_avg"] = torch.zeros(config["w_dim"]) if mean is None else _one_row(mean)
    tensors = translated(found, table, config, kind=kind)
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


def _config(found: dict[str, Tensor], sizes: list[int], depths: list[int], kind: str) -> dict[str, Any]:
    def long(name: str, dimension: int, ndim: int) -> int:
        return shape_of(found, name, ndim, kind=kind)[dimension]

    outputs = ["conv1.conv.weight", *(f"convs.{2 * step - 1}.conv.weight" for step in range(1, len(sizes)))]
    first, last = f"style.{depths[0]}.weight", f"style.{depths[-1]}.weight"
    if long(first, 1, 2) > WIDEST:
        raise Unreadable(f"is {kind}, but {first} takes {found[first].shape[1]} numbers; give it unchanged")
    features, classes = shape_of(found, "embed.weight", 2, kind=kind) if "embed.weight" in found else (0, 0)
    return {
        "resolution": picture_size(sizes[-1], long("input.input", 2, 4), long("input.input", 3, 4)),
        "z_dim": long(first, 1, 2) - features,
        "w_dim": long(last, 0, 2),
        "c_dim": classes,
        "img_channels": long("to_rgb1.conv.weight", 1, 5),
        "channels": {str(size): long(name, 1, 5) for size, name in zip(sizes, outputs, strict=True)},
        "mapping_layers": len(depths),
        "layer_features": long(first, 0, 2),
        **({"embed_features": features} if features else {}),
    }


def _noise(sizes: list[int], const: Tensor | None) -> dict[str, Tensor]:
    """Constant noise for files of the program's first days, which had none."""
    small = const is not None and const.ndim == 4 and 1 <= min(const.shape[2:]) <= max(const.shape[2:]) <= LARGEST_INPUT
    rows, columns = const.shape[2:] if const is not None and small else (4, 4)
    random = torch.Generator().manual_seed(0)
    heights = [4, *(size for size in sizes[1:] for _ in range(2))]
    return {
        f"noises.noise_{index}": torch.randn(1, 1, height * rows // 4, height * columns // 4, generator=random)
        for index, height in enumerate(heights)
    }


def _one_row(mean: Tensor) -> Tensor:
    """Return a mean latent as one row (w_dim,); some files have one row per layer (…, num_ws, w_dim)."""
    return mean.float().reshape(-1, mean.shape[-1]).mean(dim=0) if mean.ndim > 1 and mean.numel() else mean
