"""Files of GenForce's programs (InterFaceGAN, SeFa, In-Domain Inversion, …) → StyleGAN2.

Such a file is a dict with ``generator`` and, averaged, ``generator_smooth``. Its networks were made to take
TensorFlow's weights, so they are those under other names: layers count through all sizes, up-sampling kernels are
mirrored against ours, and biases of modulation count from 0 where ours count from 1. Classes come in both of
TensorFlow's ways.
"""

from __future__ import annotations

import math
import re
from typing import Any

import torch
from torch import Tensor

from draggan_widget.models.checkpoints.holdings import best_prefix, check_pictures, holdings
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
from draggan_widget.models.stylegan2.network import SIZES

KIND = "a StyleGAN2 of the GenForce layout"
SIGNS = re.compile(
    r"(?:^|.*\.)(?=(?:synthesis\.(?:early_layer\.const|layer0\.style\.weight|layer1\.style\.weight)|"
    r"mapping\.dense0\.weight)$)"
)
"""The part before a name that only such a generator has."""


def recognise(value: Any) -> Translation | None:
    """Return the generator of such a file, or None if it is of another kind.

    :raises Unreadable: if it is of this kind but of another family, or has missing, unknown, misshapen or non-finite
        weights.
    """
    for holding in holdings(value):
        prefixes = {match[0] for name in holding.tensors if (match := SIGNS.match(name))}
        if not prefixes:
            continue
        prefix = best_prefix(prefixes)
        found = {
            name[len(prefix) :]: part
            for name, part in holding.tensors.items()
            if name.startswith(prefix) and isinstance(part, Tensor)
        }
        if not any(re.fullmatch(r"synthesis\.layer\d+\.style\.weight", name) for name in found):
            raise Unreadable(
                "is a generator of the GenForce layout whose layers have no style: a StyleGAN1 or another family; "
                "of GenForce's models StyleGAN2 is read"
            )
        translation = _translate(found, {"layout": "GenForce", "weights": holding.said(prefix)})
        check_pictures(holding, prefix, translation.config["img_channels"], kind=KIND)
        return translation
    return None


def _translate(found: dict[str, Tensor], notes: dict[str, str]) -> Translation:
    layers = numbers(found, r"synthesis\.layer(\d{1,3})\..*")
    depths = numbers(found, r"mapping\.dense(\d{1,3})\..*")
    pairs = layers[-1] // 2 if layers else 0
    if not depths or not 1 <= pairs < MOST_BLOCKS:
        raise Unreadable(
            f"is {KIND}, but with {len(depths)} mapping layers and {len(layers)} convolutions; "
            f"give a whole one of {SIZES[0]} to {SIZES[-1]} px"
        )
    sizes = [4 << step for step in range(pairs + 1)]
    joint = "mapping.label_weight" in found
    if joint:
        # Classes as the paper's first program has them: rows without a gain, normalised together with z.
        classes, features = shape_of(found, "mapping.label_weight", 2, kind=KIND)
        found = found | {
            "mapping.LabelEmbed.weight": found["mapping.label_weight"].T * math.sqrt(classes),
            "mapping.LabelEmbed.bias": torch.zeros(features),
        }
        del found["mapping.label_weight"]
    is_skip = "synthesis.output0.weight" in found
    noisy = any(name.endswith(".noise_strength") for name in found)
    table = _table(sizes, depths[-1] + 1, is_skip, noisy, "mapping.LabelEmbed.weight" in found)
    kernels = {name: kernel for name, kernel in found.items() if name.endswith(".kernel")}
    has_mean = "truncation.w_avg" in found
    config = _config(found, sizes, depths[-1] + 1)
    if not has_mean:
        found = found | {"truncation.w_avg": torch.zeros(config["w_dim"])}
    check_names(found, names_in(table), kind=KIND, aside=kernels)
    config |= {
        "architecture": "skip" if is_skip else "orig",
        "use_noise": noisy,
        "joint_normalisation": joint,
        "resample_filter": low_pass_taps([kernel.squeeze() for kernel in kernels.values()], kind=KIND),
    }
    tensors = translated(found, table, config, kind=KIND)
    config["mapping_lr_multiplier"], told = likely_multiplier(config, tensors, has_mean=has_mean)
    if config["mapping_lr_multiplier"] != 0.01:
        notes["mapping_lr_multiplier"] = f"not recorded; {config['mapping_lr_multiplier']:g}, {told}"
    if not has_mean:
        supply_mean_latent(config, tensors, notes)
    return Translation("stylegan2", config, tensors, notes)


def _table(sizes: list[int], depth: int, is_skip: bool, noisy: bool, labels: bool) -> Table:
    table: Table = {"mapping.w_avg": From("truncation.w_avg")}
    dense = {f"mapping.fc{index}": f"mapping.dense{index}" for index in range(depth)}
    if labels:
        dense["mapping.embed"] = "mapping.LabelEmbed"
    for ours, theirs in dense.items():
        table |= rows(ours, {part: From(f"{theirs}.{part}") for part in ("weight", "bias")})
    table["synthesis.b4.const"] = From("synthesis.early_layer.const", first_axes_dropped(1))
    for step, size in enumerate(sizes):
        block = f"synthesis.b{size}"
        if step:
            table |= rows(f"{block}.conv0", _layer(f"synthesis.layer{2 * step - 1}", noisy=noisy, up=True))
        table |= rows(f"{block}.conv1", _layer(f"synthesis.layer{2 * step}", noisy=noisy))
        if is_skip or size == sizes[-1]:
            table |= rows(f"{block}.torgb", _layer(f"synthesis.output{step}", noisy=False))
    return table


def _layer(name: str, *, noisy: bool, up: bool = False) -> dict[str, From]:
    """Return a modulated convolution."""
    layer = {
        "weight": From(f"{name}.weight", (lambda x: x.flip([2, 3])) if up else (lambda x: x)),
        "bias": From(f"{name}.bias"),
        "affine.weight": From(f"{name}.style.weight"),
        "affine.bias": From(f"{name}.style.bias", lambda x: x + 1),
    }
    if noisy:
        layer["noise_strength"] = From(f"{name}.noise_strength", lambda x: x.reshape([]))
        layer["noise_const"] = From(f"{name}.noise", first_axes_dropped(2))
    return layer


def _config(found: dict[str, Tensor], sizes: list[int], depth: int) -> dict[str, Any]:
    def long(name: str, dimension: int, ndim: int) -> int:
        return shape_of(found, name, ndim, kind=KIND)[dimension]

    start, label = "synthesis.early_layer.const", "mapping.LabelEmbed.weight"
    embedding, classes = shape_of(found, label, 2, kind=KIND) if label in found else (0, 0)
    return {
        "resolution": picture_size(sizes[-1], long(start, 2, 4), long(start, 3, 4)),
        "z_dim": long("mapping.dense0.weight", 1, 2) - embedding,
        "w_dim": long(f"mapping.dense{depth - 1}.weight", 0, 2),
        "c_dim": classes,
        "img_channels": long(f"synthesis.output{len(sizes) - 1}.weight", 0, 4),
        "channels": {str(size): long(f"synthesis.layer{2 * step}.weight", 0, 4) for step, size in enumerate(sizes)},
        "mapping_layers": depth,
        "layer_features": long("mapping.dense0.weight", 0, 2),
        **({"embed_features": embedding} if embedding else {}),
    }
