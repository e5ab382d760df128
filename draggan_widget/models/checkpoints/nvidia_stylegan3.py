"""A recorded StyleGAN3 of NVIDIA's PyTorch programs → ours: its settings are recorded, or follow from names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from draggan_widget.models.checkpoints.nvidia_module import Module, is_number
from draggan_widget.models.checkpoints.nvidia_stylegan_xl import (
    LAYOUT,
    STACKED,
    is_stacked,
    recorded_signals,
    with_plain_classes,
    without_beginnings,
)
from draggan_widget.models.checkpoints.translation import (
    Translation,
    fitted,
    likely_multiplier,
    shape_of,
    shapes_only,
    supply_mean_latent,
)
from draggan_widget.models.checkpoints.values import Unreadable, plain

KIND = "a StyleGAN3 of NVIDIA's layout"
ARGUMENTS = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels", "mapping_kwargs")
"""The network's first arguments, which may have been given without names."""
MARGIN = 10
"""Cells around the picture in the maps of all networks whose settings are the usual ones."""


def translate(module: Module, tensors: Mapping[str, Any], notes: dict[str, str]) -> Translation:
    """Return the generator as a ``Translation`` of the family "stylegan3".

    :param tensors: ``module.tensors()``. :param notes: goes on with what had to be supplied.
    :raises Unreadable: for settings that ours cannot follow, and weights that make no whole network.
    """
    from draggan_widget.models.stylegan3.network import StyleGAN3, stylegan3_config

    found = dict(tensors)
    recorded = dict(zip(ARGUMENTS, module.arguments(), strict=False)) | module.settings()
    c_dim = recorded.get("c_dim", module.attributes.get("c_dim"))
    classes = with_plain_classes(found, c_dim if is_number(c_dim) else None, notes)
    if notes["layout"] == LAYOUT:
        recorded = without_beginnings(recorded)
    settings = _settings(module, recorded, found)
    with shapes_only(KIND, "StyleGAN3"):
        config = stylegan3_config(settings) | classes
        skeleton = StyleGAN3.from_config(config).network.state_dict()
    estimated = "mapping.w_avg" not in found
    if estimated:
        found["mapping.w_avg"] = torch.zeros(config["w_dim"])
        config["class_means"] = False
    if not recorded and not skeleton.keys() <= found.keys():
        raise Unreadable(
            f"holds the bare weights of {KIND}, whose names fit no usual settings; "
            "give the pickle that its program saved, in which the settings are recorded"
        )
    fit = fitted(found, skeleton, kind=KIND)
    if not recorded:
        config["mapping_lr_multiplier"], _ = likely_multiplier(config, fit, has_mean=not estimated)
        notes["settings"] = "not recorded; taken from the names and shapes of the weights, else the program's defaults"
    if config["signals"] is not None:
        notes["signals"] = "layers on top of a smaller network, as each of them records"
    if estimated:
        supply_mean_latent(config, fit, notes)
    return Translation("stylegan3", config, fit, notes)


def _settings(module: Module, recorded: dict[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that the network was made with: recorded ones, else those that names and shapes say."""
    if is_stacked(recorded):
        given = {name: value for name, value in plain(recorded).items() if name not in (*STACKED, "channel_base")}
        known = set(given) & {"img_resolution", "img_channels"}
        own = {name: given[name] for name in known} | recorded_signals(module)
    else:
        own = plain(recorded)
    if all(name in own for name in ARGUMENTS[:5]):
        return own
    read = _settings_of_names(found)
    if not recorded:
        return read
    rates = {"mapping_kwargs": own.get("mapping_kwargs", read["mapping_kwargs"])}
    return {name: read[name] for name in ARGUMENTS[:5]} | rates | own


def _settings_of_names(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that a bare state dict of the usual kinds was made with.

    Names say columns and channels (``L<number>_<columns>_<channels>``); the last layer but one has the picture's
    columns and ``channel_base / rows`` channels.
    """
    layers = {}
    for name in found:
        match = re.fullmatch(r"synthesis\.L(\d{1,3})_(\d{1,5})_(\d{1,5})\.weight", name)
        if match:
            layers[int(match[1])] = (int(match[2]), int(match[3]), name)
    if len(layers) < 3 or sorted(layers) != list(range(len(layers))):
        raise Unreadable(f"is {KIND}, but with {len(layers)} layers; give a whole checkpoint, as its program saved it")
    columns, channels, _ = layers[len(layers) - 1]
    # The first map of a square picture is never narrower than its margins of 10 cells each, others are half of that.
    square = layers[0][0] > 2 * MARGIN
    rows = columns if square else 2 * columns
    c_dim = shape_of(found, "mapping.embed.weight", 2, kind=KIND)[1] if "mapping.embed.weight" in found else 0
    depth = sum(bool(re.fullmatch(r"mapping\.fc\d+\.weight", name)) for name in found)
    first, last = (shape_of(found, f"mapping.fc{index}.weight", 2, kind=KIND) for index in (0, max(depth - 1, 0)))
    kernel = shape_of(found, layers[0][2], 4, kind=KIND)[-1]
    filters = [tensor for name, tensor in found.items() if name.endswith("down_filter") and isinstance(tensor, Tensor)]
    return {
        "z_dim": first[1] - (shape_of(found, "mapping.embed.weight", 2, kind=KIND)[0] if c_dim else 0),
        "c_dim": c_dim,
        "w_dim": last[0],
        "img_resolution": rows,
        "img_channels": channels,
        "square": square,
        "mapping_kwargs": {"num_layers": depth},
        "num_layers": len(layers) - 1,
        "channel_base": layers[len(layers) - 2][1] * rows,
        "channel_max": max(width for _, width, _ in layers.values()),
        "conv_kernel": kernel,
        "use_radial_filters": any(tensor.ndim == 2 for tensor in filters),
    }
