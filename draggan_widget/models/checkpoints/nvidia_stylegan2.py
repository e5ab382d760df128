"""A recorded StyleGAN2 of NVIDIA's PyTorch programs → ours: the settings are read off shapes and attributes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from draggan_widget.models.checkpoints.nvidia_module import Module, is_number, is_off, items
from draggan_widget.models.checkpoints.translation import (
    Translation,
    fitted,
    likely_multiplier,
    listed,
    numbers,
    picture_size,
    shape_of,
    shapes_only,
    supply_mean_latent,
)
from draggan_widget.models.checkpoints.values import Unreadable, describe
from draggan_widget.models.stylegan2.layers import FIR, LEAKY_GAIN, fir_kernel
from draggan_widget.models.stylegan2.network import SIZES, StyleGAN2
from draggan_widget.texts import one_line, printable, quoted

KIND = "a StyleGAN2 of NVIDIA's layout"

FOLLOWED = {"architecture", "conv_clamp", "use_noise", "resample_filter", "activation", "kernel_size"}
"""Settings that are read off the network itself, with "lr_multiplier"."""
SHAPES = {
    "z_dim",
    "c_dim",
    "w_dim",
    "img_resolution",
    "img_channels",
    "channel_base",
    "channel_max",
    "num_layers",
    "num_ws",
    "embed_features",
    "layer_features",
    "square",
    "init_res",
}
"""Settings that show in the shapes of the weights."""
HARMLESS = {
    "num_fp16_res",
    "use_fp16",
    "fp16_channels_last",
    "channels_last",
    "fused_modconv_default",
    "w_avg_beta",
    "class_name",
    "freeze_layers",
    "freeze_embed",
    "verbose",
}
"""Settings that say how fast or how trained, not what is drawn."""


def translate(module: Module, tensors: Mapping[str, Any], notes: dict[str, str]) -> Translation:
    """Return the generator as a ``Translation`` of the family "stylegan2".

    :param tensors: ``module.tensors()``. :param notes: goes on with what had to be supplied.
    :raises Unreadable: for settings that ours cannot follow, and weights that make no whole network.
    """
    _check_settings(module)
    _check_attributes(module)
    found = {name: tensor for name, tensor in tensors.items() if not name.endswith("resample_filter")}
    config = _config(module, found)
    _check_dimensions(module, config)
    config["resample_filter"] = _taps(module, tensors)
    multiplier = _multiplier(module)
    config["mapping_lr_multiplier"] = multiplier or 1.0
    estimated = "mapping.w_avg" not in found
    if estimated:
        found["mapping.w_avg"] = torch.zeros(config["w_dim"])
    if not module.attributes:
        notes["conv_clamp"] = "not recorded; none"
    with shapes_only(KIND, "StyleGAN2"):
        skeleton = StyleGAN2.from_config(config).network.state_dict()
    kernel = fir_kernel(config["resample_filter"])
    for name in skeleton:
        if name.endswith("resample_filter"):
            found[name] = kernel
    fit = fitted(found, skeleton, kind=KIND)
    if multiplier is None:
        multiplier, told = likely_multiplier(config, fit, has_mean=not estimated)
        config["mapping_lr_multiplier"] = multiplier
        notes["mapping_lr_multiplier"] = f"not recorded; {multiplier:g}, {told}"
    if estimated:
        supply_mean_latent(config, fit, notes)
    return Translation("stylegan2", config, fit, notes)


# --- what the shapes say ---------------------------------------------------------------------------------------------


def _config(module: Module, found: dict[str, Any]) -> dict[str, Any]:
    sizes = numbers(found, r"synthesis\.b(\d{1,5})\..*")
    depths = numbers(found, r"mapping\.fc(\d{1,3})\..*")
    if not sizes or sizes[-1] not in SIZES or not depths:
        tops = f"blocks {', '.join(map(str, sizes[:12]))} and {len(depths)} mapping layers"
        raise Unreadable(f"is {KIND}, but has {tops}; give a whole one of {SIZES[0]} to {SIZES[-1]} px")
    height, depth = sizes[-1], depths[-1] + 1
    wanted = [4 << step for step in range(height.bit_length() - 2)]
    _, rows, columns = shape_of(found, "synthesis.b4.const", 3, kind=KIND)
    first, last = "mapping.fc0.weight", f"mapping.fc{depth - 1}.weight"
    c_dim = _size(found, "mapping.embed.weight", 1, 2) if "mapping.embed.weight" in found else 0
    embedding = _size(found, "mapping.embed.weight", 0, 2) if c_dim else None
    if any(name.endswith(".skip.weight") for name in found):
        architecture = "resnet"
    else:
        architecture = "skip" if any(name.startswith("synthesis.b4.torgb.") for name in found) else "orig"
    return {
        "resolution": picture_size(height, rows, columns),
        "z_dim": _size(found, first, 1, 2) - (embedding or 0),
        "w_dim": _size(found, last, 0, 2),
        "c_dim": c_dim,
        "img_channels": _size(found, f"synthesis.b{height}.torgb.weight", 0, 4),
        "channels": {str(size): _size(found, f"synthesis.b{size}.conv1.weight", 0, 4) for size in wanted},
        "mapping_layers": depth,
        "layer_features": _size(found, first, 0, 2) if depth > 1 else None,
        "embed_features": embedding,
        "architecture": architecture,
        "conv_clamp": _clamp(module),
        "use_noise": any(name.endswith(".noise_strength") for name in found),
    }


def _size(found: Mapping[str, Any], name: str, dimension: int, ndim: int) -> int:
    return shape_of(found, name, ndim, kind=KIND)[dimension]


def _taps(module: Module, tensors: Mapping[str, Any]) -> list[Any]:
    """Return the taps (T,) or (T, T) of the low-pass filters, of which there must be one kind."""
    # The second convolution of a block keeps a filter too, of the usual taps whatever the settings, and without use.
    used = re.compile(r"synthesis\.b\d+\.((conv0|skip)\.)?resample_filter")
    filters = {name: tensor for name, tensor in tensors.items() if used.fullmatch(name)}
    if not filters:
        recorded = _recorded(module, "resample_filter")
        taps = list(recorded) if isinstance(recorded, (list, tuple)) else list(FIR)
    else:
        first = next(iter(filters.values()))
        for name, kernel in filters.items():
            usable = isinstance(kernel, Tensor) and kernel.is_floating_point() and kernel.ndim in (1, 2)
            if (
                not usable
                or kernel.shape != first.shape
                or not torch.allclose(kernel.float(), first.float(), atol=1e-4)
            ):
                raise Unreadable(
                    f"is {KIND}, but its low-pass filter {quoted(name)} differs; give an unchanged StyleGAN2"
                )
        taps = first.float().tolist() if first.numel() <= 64 * 64 else []
    try:
        kernel = fir_kernel(taps)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise Unreadable(
            f"is {KIND}, but its low-pass filters make none ({one_line(error, 300)}); give it unchanged"
        ) from error
    usual = fir_kernel(FIR)
    return list(FIR) if kernel.shape == usual.shape and torch.allclose(kernel, usual, atol=1e-4) else taps


# --- what else is recorded -------------------------------------------------------------------------------------------


def _settings(module: Module) -> dict[str, Any]:
    """Return all named settings, those of the two halves among them."""
    given = module.settings()
    halves = [items(given.pop(f"{half}_kwargs", None)) for half in ("mapping", "synthesis")]
    # Both halves have an activation; every other name is one half's own.
    return given | {str(name): value for half in halves for name, value in half.items()}


def _check_settings(module: Module) -> None:
    given = module.settings()
    settings = _settings(module)
    known = FOLLOWED | SHAPES | HARMLESS | {"lr_multiplier"}
    # An extension that is switched off draws nothing.
    unknown = [name for name in settings if name not in known and not is_off(settings[name])]
    if unknown:
        raise Unreadable(
            f"is {KIND}, but made with settings unknown here ({listed(unknown)} set), which may change the picture; "
            "give a network of the original program"
        )
    for part in (given, *(items(given.get(f"{half}_kwargs")) for half in ("mapping", "synthesis"))):
        _check_activation(part.get("activation"))
    size = settings.get("kernel_size")
    if size is not None and not (is_number(size) and size == 3):
        raise Unreadable(f"is {KIND}, but made with a kernel_size of {describe(size)}; give one with the usual 3")


def _check_activation(value: Any) -> None:
    if value is not None and not (isinstance(value, str) and value == "lrelu"):
        raise Unreadable(f"is {KIND}, but its activation is {describe(value)}; give one with the usual 'lrelu'")


def _check_attributes(module: Module) -> None:
    """Check that layers are what their names say: the attributes they compute with are the usual ones."""
    for path, layer in module.modules():
        if re.fullmatch(r"mapping\.fc\d+\.|synthesis\.b\d+\.conv[01]\.", path):
            _check_activation(layer.attributes.get("activation"))
            gain = layer.attributes.get("act_gain")
            if is_number(gain) and not math.isclose(gain, LEAKY_GAIN, rel_tol=1e-4):
                raise Unreadable(f"is {KIND}, but {printable(path)}act_gain is {gain:g}; give an unchanged StyleGAN2")


def _check_dimensions(module: Module, config: Mapping[str, Any]) -> None:
    """Check that inputs are as wide as recorded: a fork that feeds something else in would pass all other checks."""
    settings = _settings(module) | dict(zip(("z_dim", "c_dim", "w_dim"), module.arguments(), strict=False))
    for name in ("z_dim", "c_dim", "w_dim"):
        recorded = settings.get(name)
        if is_number(recorded) and recorded != config[name]:
            raise Unreadable(
                f"is {KIND}, but records {name}={recorded} while its weights take {config[name]}: "
                "another architecture; give an unchanged StyleGAN2"
            )


def _clamp(module: Module) -> float | None:
    """Return the clamp of the convolutions, as the layers have it, else as the settings say; all must have the same."""
    layers = [
        layer.attributes["conv_clamp"]
        for path, layer in module.modules()
        if re.fullmatch(r"synthesis\.b\d+\.(conv[01]|torgb)\.", path) and "conv_clamp" in layer.attributes
    ]
    values = layers or [_recorded(module, "conv_clamp")]
    value = values[0]
    usable = all(other is None or (is_number(other) and other > 0) for other in values)
    if not usable or any(other != value for other in values):
        raise Unreadable(f"is {KIND}, but its layers have different or strange conv_clamp; give an unchanged StyleGAN2")
    return None if value is None or not math.isfinite(value) else float(value)


def _multiplier(module: Module) -> float | None:
    """Return the mapping network's learning rate multiplier, as its layers have it, else as the settings say."""
    layers = [
        layer.attributes.get("bias_gain") for path, layer in module.modules() if re.fullmatch(r"mapping\.fc\d+\.", path)
    ]
    values = [value for value in layers if is_number(value)] or [_recorded(module, "lr_multiplier")]
    value = values[0]
    if value is None:
        # A recorded network that says nothing has the original's default.
        return 0.01 if module.attributes else None
    if not is_number(value) or not 0 < value < math.inf or any(other != value for other in values):
        raise Unreadable(f"is {KIND}, but its mapping layers have strange lr_multipliers; give an unchanged StyleGAN2")
    return float(value)


def _recorded(module: Module, name: str) -> Any:
    return _settings(module).get(name)
