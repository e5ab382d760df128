"""What StyleGAN-XL has beyond StyleGAN3: classes by an embedding of ImageNet's, and layers put on a smaller network.

Its classes are rows of an embedding of a thousand, made elsewhere; a layer of their own and a leaky ReLU bring them to
the width of z, where they are normalised as StyleGAN3's are. A row goes through these always in the same way, so each
class can be written as a column of StyleGAN3's embedding. A network without classes has the embedding too, idle.

All its networks beyond 16 or 32 px are a smaller one, its last layers cut off, with layers on top. Their signals follow
from no one progression; they stand in the layers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from draggan_widget.models.checkpoints.nvidia_module import Module, is_number, items
from draggan_widget.models.checkpoints.translation import shape_of
from draggan_widget.models.checkpoints.values import Unreadable
from draggan_widget.models.stylegan2.layers import LEAKY_GAIN, LEAKY_SLOPE

LAYOUT = "StyleGAN-XL"
KIND = f"a {LAYOUT}"
STACKED = ("path_stem", "head_layers", "up_factor")
"""Settings of a network that was put on a smaller one."""


def with_plain_classes(found: dict[str, Any], c_dim: Any, notes: dict[str, str]) -> dict[str, Any]:
    """Return the constructor's arguments that its classes need; ``found`` has them as StyleGAN3 has afterwards.

    Nothing changes for a network of another family. :param c_dim: the number of classes as recorded, or None.
    :raises Unreadable: for an embedding that does not fit.
    """
    if "mapping.embed.weight" not in found or "mapping.embed.bias" in found:
        return {}
    rows, wide = shape_of(found, "mapping.embed.weight", 2, kind=KIND)
    embedding = found.pop("mapping.embed.weight")
    notes["layout"] = LAYOUT
    if "mapping.embed_proj.weight" not in found:
        return {}
    features, taken = shape_of(found, "mapping.embed_proj.weight", 2, kind=KIND)
    means = found.get("mapping.w_avg")
    has_means = isinstance(means, Tensor) and means.ndim == 2
    number = c_dim if c_dim is not None else len(means) if has_means and means is not None else rows
    weight, bias = found.pop("mapping.embed_proj.weight"), found.pop("mapping.embed_proj.bias", None)
    usable = all(isinstance(part, Tensor) and part.is_floating_point() for part in (embedding, weight, bias))
    if not usable or bias is None or taken != wide or tuple(bias.shape) != (features,):
        raise Unreadable(f"is {KIND}, but its embedding of classes does not fit its projection; give it unchanged")
    if not is_number(number) or not 1 <= number <= rows:
        raise Unreadable(f"is {KIND} with {str(number)[:20]} classes, but embeds {rows}; give it unchanged")
    number = int(number)
    vectors = F.linear(embedding[:number].float(), weight.float() / math.sqrt(wide), bias.float())
    vectors = F.leaky_relu(vectors, LEAKY_SLOPE) * LEAKY_GAIN  # (classes, features)
    found["mapping.embed.weight"] = vectors.T * math.sqrt(number)
    found["mapping.embed.bias"] = torch.zeros(features)
    return {"embed_features": features, "class_means": has_means}


def without_beginnings(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Recorded settings without that which only says how the embedding began, which is in the file as it ended."""
    mapping = items(recorded.get("mapping_kwargs"))
    kept = {name: value for name, value in mapping.items() if name != "rand_embedding"}
    return {**recorded, "mapping_kwargs": kept} if mapping else dict(recorded)


def is_stacked(recorded: dict[str, Any]) -> bool:
    """Return whether recorded settings are those of a network on top of a smaller one."""
    return any(name in recorded for name in STACKED)


def recorded_signals(module: Module) -> dict[str, Any]:
    """Return the constructor's arguments by what the layers of a network record: its signals one by one, and what they
    share.

    :raises Unreadable: if they record none, or not all alike.
    """
    synthesis = module.part("synthesis.")
    layers = {}
    for name, layer in synthesis.children.items():
        if match := re.fullmatch(r"L(\d{1,3})_\d+_\d+", name):
            layers[int(match[1])] = layer.attributes
    if len(layers) < 3 or sorted(layers) != list(range(len(layers))):
        raise Unreadable(f"is {KIND} with {len(layers)} layers; give a whole checkpoint, as its program saved it")
    signals = [_signal(attributes) for _, attributes in sorted(layers.items())]
    depth = sum(bool(re.fullmatch(r"fc\d+", name)) for name in module.part("mapping.").children)
    rate = module.part("mapping.fc0.").attributes.get("bias_gain", 0.01)
    shared: dict[str, Any] = {
        "signals": signals,
        "num_layers": len(layers) - 1,
        "mapping_kwargs": {"num_layers": depth, "lr_multiplier": rate},
    }
    inner = [attributes for index, attributes in layers.items() if index < len(layers) - 1]
    for name in ("conv_kernel", "filter_size", "lrelu_upsampling", "conv_clamp", "use_radial_filters"):
        values = [attributes[name] for attributes in inner if name in attributes]
        if any(value != values[0] for value in values):
            raise Unreadable(
                f"is {KIND} whose layers have different {name}, which is not read; give another of its kind"
            )
        if values:
            shared[name] = values[0]
    for name in ("output_scale", "num_critical"):
        if name in synthesis.attributes:
            shared[name] = synthesis.attributes[name]
    return shared


def _signal(attributes: Mapping[Any, Any]) -> list[float]:
    """Return (rate, cutoff, half width, margin, channels) of what a layer puts out."""
    size = attributes.get("out_size")
    sides = size.flatten().tolist() if isinstance(size, np.ndarray) and 1 <= size.size <= 2 else [size]
    given = [attributes.get(f"out_{part}") for part in ("sampling_rate", "cutoff", "half_width", "channels")]
    numbers = [value for value in (*given, *sides) if is_number(value)]
    if len(numbers) != len(given) + len(sides) or len(set(sides)) != 1:
        raise Unreadable(f"is {KIND} whose layers do not record their signals; give the pickle of its program")
    rate, cutoff, half_width, channels, side = numbers[:5]
    return [int(rate), float(cutoff), float(half_width), (int(side) - int(rate)) // 2, int(channels)]
