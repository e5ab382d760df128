"""TensorFlow files of StyleGAN2 and StyleGAN2-ADA → our StyleGAN2, without TensorFlow.

Such a file is a pickle of three networks: generator, discriminator and the averaged generator, which is the one to
take. A network is an object whose state holds its settings, its sub-networks, its variables as pairs of name and array,
and the source text of the function that builds it, which stays unread: what it builds is known from settings, names and
shapes. Arrays have TensorFlow's order of dimensions, (h, w, in, out) and (in, out); up-sampling kernels are mirrored
against ours; biases of modulation count from 1, where ours count from 0. Weights have unit variance, as ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from draggan_widget.models.checkpoints.holdings import as_tensor
from draggan_widget.models.checkpoints.nvidia_module import is_off
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
    listed,
    numbers,
    picture_size,
    shape_of,
)
from draggan_widget.models.checkpoints.values import Record, Unreadable, plain
from draggan_widget.models.stylegan2.layers import ARCHITECTURES, FIR
from draggan_widget.models.stylegan2.network import SIZES
from draggan_widget.texts import quoted

KIND = "a TensorFlow StyleGAN2"
MOST_PARTS = 8
"""Networks within a network: mapping and synthesis, nearly always."""
MOST_VARIABLES = 20_000
"""Of all networks within a network together."""
LONGEST_NAME = 1000
REMEDY = "of TensorFlow files only StyleGAN2 and StyleGAN2-ADA are read"
CONSTANT = "synthesis/4x4/Const/const"
GROWING = ("lod", "synthesis/lod")
"""Variables that say how far a network is from its full resolution: 0 is grown."""
TRANSLATED: dict[str, Any] = {
    "architecture": "skip",
    "conv_clamp": None,
    "mapping_lrmul": 0.01,
    "resample_kernel": list(FIR),
    "resolution": None,
    "resolution_h": None,
    "resolution_w": None,
    "use_noise": True,
}
"""Settings that ours follow from, and the values that are meant where they are not recorded."""
FIXED = {"mapping_nonlinearity": "lrelu", "nonlinearity": "lrelu", "normalize_latents": True}
"""Settings of which only one value makes our network."""
SEEN = {
    "dlatent_size", "fmap_base", "fmap_const", "fmap_decay", "fmap_max", "fmap_min", "label_fmaps", "label_size",
    "latent_size", "mapping_fmaps", "mapping_func", "mapping_layers", "num_channels", "structure",
    "synthesis_func",
}  # fmt: skip
"""Settings that names and shapes of the variables tell anyhow."""
NEVER_MIND = {
    "conditioning", "dlatent_avg_beta", "dlatent_broadcast", "dtype", "fused_modconv", "num_fp16_res",
    "randomize_noise", "style_mixing_prob", "truncation_cutoff", "truncation_cutoff_val", "truncation_psi",
    "truncation_psi_val", "w_avg_beta",
}  # fmt: skip
"""Settings of training, precision and speed, and defaults of calls."""


def recognise(value: Any) -> Translation | None:
    """Return the averaged generator of such a file, or None if it is of another kind.

    :raises Unreadable: if it holds TensorFlow networks of another family, unknown settings, or missing, unknown,
        misshapen or non-finite variables.
    """
    state = _averaged(value)
    if state is None:
        return None
    variables = _variables(state)
    _check_family(state, variables)
    return _translate(variables, _settings(state))


def _averaged(value: Any, depth: int = 0) -> dict[Any, Any] | None:
    """Return the state of the averaged generator: the last of a tuple of networks, or the one of that name in a
    dict.
    """
    if isinstance(value, (tuple, list)):
        states = [_state(network) for network in value[:4]]
        if len(value) <= 3 and states and states[-1] is not None:
            return states[-1]
        inner = list(value[:1]) if len(value) == 1 else []
    elif isinstance(value, dict):
        # Whatever it is called: averages are "Gs", and a discriminator is no generator.
        names = sorted(value, key=lambda name: (str(name) != "Gs", "ema" not in str(name).lower(), str(name) == "D"))
        inner = [value[name] for name in names]
    else:
        return _state(value)
    if depth > 3:
        return None
    return next((found for part in inner if (found := _averaged(part, depth + 1)) is not None), None)


def _state(network: Any) -> dict[Any, Any] | None:
    """Return the state of a network object, None for anything else."""
    if not isinstance(network, Record) or network.name != "Network" or not isinstance(network.state, dict):
        return None
    return network.state if {"variables", "static_kwargs"} <= network.state.keys() else None


def _variables(state: Mapping[Any, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """Return arrays by name, those of sub-networks after the sub-network's name."""
    pairs = state["variables"]
    if not isinstance(pairs, (list, tuple)) or not all(map(_is_variable, pairs)):
        raise Unreadable(
            "is a TensorFlow network, but its variables are no list of names and arrays; give it unchanged"
        )
    found = {f"{prefix}{name}": array for name, array in pairs}
    components = state.get("components")
    components = components.items if isinstance(components, Record) else components
    components = components if isinstance(components, dict) else {}
    if depth > 2 or len(components) > MOST_PARTS:
        raise Unreadable("is a TensorFlow network of networks without end; give it unchanged")
    for name, network in components.items():
        inner = _state(network)
        if inner is None:
            raise Unreadable(f"is a TensorFlow network, but its part {quoted(name)} is none; give it unchanged")
        found |= _variables(inner, f"{prefix}{name}/", depth + 1)
        if len(found) > MOST_VARIABLES:
            raise Unreadable("is a TensorFlow network of networks without end; give it unchanged")
    return found


def _is_variable(pair: Any) -> bool:
    named = isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], str)
    return named and len(pair[0]) <= LONGEST_NAME


def _check_family(state: Mapping[Any, Any], variables: Mapping[str, Any]) -> None:
    if any(name.endswith("mod_weight") for name in variables):
        return
    builder = state.get("build_func_name")
    if builder == "G_style" or any("StyleMod" in name for name in variables):
        raise Unreadable(f"is a StyleGAN1 of TensorFlow; {REMEDY}")
    if (isinstance(builder, str) and builder.startswith("G_paper")) or "4x4/Dense/weight" in variables:
        raise Unreadable(f"is a Progressive GAN of TensorFlow; {REMEDY}")
    raise Unreadable(f"is a TensorFlow network built by {quoted(builder)} with no StyleGAN2 generator in it; {REMEDY}")


def _settings(state: Mapping[Any, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = plain(state["static_kwargs"])
    if not isinstance(settings, dict):
        raise Unreadable(f"is {KIND}, but has no settings; give it unchanged")
    known = {*TRANSLATED, *FIXED, *SEEN, *NEVER_MIND}
    # An extension that is switched off draws nothing.
    if unknown := sorted(name for name, value in settings.items() if name not in known and not is_off(value)):
        raise Unreadable(f"is {KIND}, but {listed(unknown)} no known setting of it; give an unchanged StyleGAN2")
    for name, only in FIXED.items():
        if settings.get(name, only) != only:
            raise Unreadable(f"is {KIND} with {name} = {_as_text(settings[name])}; only {only!r} is read")
    ours = {name: settings.get(name, default) for name, default in TRANSLATED.items()}
    ours["resample_kernel"] = ours["resample_kernel"] or [1, 1]
    number = {name: value for name, value in ours.items() if isinstance(value, (int, float))}
    for name, fits in (
        ("architecture", ours["architecture"] in ARCHITECTURES),
        ("conv_clamp", ours["conv_clamp"] is None or 0 < number.get("conv_clamp", 0) <= 1e9),
        ("mapping_lrmul", 1e-6 <= number.get("mapping_lrmul", 0) <= 1e6),
        ("resample_kernel", isinstance(ours["resample_kernel"], list) and len(ours["resample_kernel"]) <= 64),
        ("use_noise", ours["use_noise"] in (True, False)),
    ):
        if not fits:
            raise Unreadable(
                f"is {KIND} with {name} = {_as_text(settings[name])}, which is not read; give it unchanged"
            )
    return ours


def _as_text(value: Any) -> str:
    return quoted(value if isinstance(value, str) else quoted(value))


def _translate(variables: dict[str, Any], settings: dict[str, Any]) -> Translation:
    found = {name: _tensor(name, array) for name, array in variables.items()}
    if "synthesis/ToRGB_lod0/weight" in found:
        found = _fully_grown(found)
        settings["architecture"] = "orig"
    joint = "mapping/LabelConcat/weight" in found
    if joint:
        found = _embedded(found)
    heights = numbers(found, r"synthesis/(\d{1,4})x\1/.*")
    depths = numbers(found, r"mapping/Dense(\d{1,2})/.*")
    sizes = [4 << step for step in range(MOST_BLOCKS) if heights and 4 << step <= heights[-1]]
    if len(sizes) < 2 or heights[-1] != sizes[-1] or not depths:
        height = heights[-1] if heights else 0
        raise Unreadable(
            f"is {KIND} of {height} px with {len(depths)} mapping layers; give one of {SIZES[0]} to {SIZES[-1]} px"
        )
    labels = any(name.startswith("mapping/LabelEmbed/") for name in found)
    use_noise = settings["use_noise"] == 1
    table = _table(sizes, depths[-1] + 1, settings["architecture"], use_noise, labels)
    check_names(found, names_in(table), kind=KIND, aside=GROWING)
    config = _config(found, sizes, depths[-1] + 1, labels) | {
        "architecture": settings["architecture"],
        "conv_clamp": settings["conv_clamp"],
        "use_noise": use_noise,
        "joint_normalisation": joint,
        "mapping_lr_multiplier": settings["mapping_lrmul"],
        "resample_filter": settings["resample_kernel"],
    }
    _check_recorded_size(settings, sizes[-1], config["resolution"])
    return Translation("stylegan2", config, translated(found, table, config, kind=KIND), {"layout": "TensorFlow"})


def _check_recorded_size(settings: Mapping[str, Any], nominal: int, resolution: int | list[int]) -> None:
    """Check that the recorded sizes are those of the layers."""
    height, width = resolution if isinstance(resolution, list) else (resolution, resolution)
    for name, sizes in (
        ("resolution", (nominal, max(height, width))),
        ("resolution_h", (height,)),
        ("resolution_w", (width,)),
    ):
        if settings[name] not in (None, *sizes):
            raise Unreadable(
                f"is {KIND} of {str(settings[name])[:20]} px, but has layers of 4 to {sizes[-1]} px ({name} says so); "
                "give a whole checkpoint, as its program saved it"
            )


def _fully_grown(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Configs B to D grew during training. Once grown, only the finest of their layers to RGB has a part: ours.

    :raises Unreadable: for a network that still grows, whose picture is a mixture.
    """
    if any(bool(found[name].any()) for name in GROWING if name in found):
        raise Unreadable(f"is {KIND} that is not fully grown yet; give a later checkpoint of that training")
    height = max(numbers(found, r"synthesis/(\d{1,4})x\1/.*"), default=4)
    finest = f"synthesis/{height}x{height}/ToRGB"
    grown = {name.replace("synthesis/ToRGB_lod0", finest): tensor for name, tensor in found.items()}
    return {name: tensor for name, tensor in grown.items() if "ToRGB_lod" not in name}


def _embedded(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the classes of 2019, one row each, as an embedding like that of StyleGAN2-ADA, whose weights have a
    gain.
    """
    shape_of(found, "mapping/LabelConcat/weight", 2, kind=KIND)
    rows = found["mapping/LabelConcat/weight"]
    embedding = {
        "mapping/LabelEmbed/weight": rows * math.sqrt(len(rows)),
        "mapping/LabelEmbed/bias": torch.zeros(rows.shape[1]),
    }
    return {name: tensor for name, tensor in found.items() if name != "mapping/LabelConcat/weight"} | embedding


def _table(sizes: list[int], layers: int, architecture: str, use_noise: bool, labels: bool) -> Table:
    table = {"mapping.w_avg": From("dlatent_avg")}
    dense = {f"mapping.fc{index}": f"mapping/Dense{index}" for index in range(layers)}
    if labels:
        dense["mapping.embed"] = "mapping/LabelEmbed"
    for ours, theirs in dense.items():
        table |= rows(ours, {"weight": From(f"{theirs}/weight", _transposed), "bias": From(f"{theirs}/bias")})
    for step, size in enumerate(sizes):
        block, scope = f"synthesis.b{size}", f"synthesis/{size}x{size}"
        if step == 0:
            table[f"{block}.const"] = From(f"{scope}/Const/const", first_axes_dropped(1))
            table |= rows(f"{block}.conv1", _layer(f"{scope}/Conv", 0 if use_noise else None))
        else:
            table |= rows(f"{block}.conv0", _layer(f"{scope}/Conv0_up", 2 * step - 1 if use_noise else None))
            table |= rows(f"{block}.conv1", _layer(f"{scope}/Conv1", 2 * step if use_noise else None))
            if architecture == "resnet":
                table[f"{block}.skip.weight"] = From(f"{scope}/Skip/weight", _kernel)
        if architecture == "skip" or size == sizes[-1]:
            table |= rows(f"{block}.torgb", _layer(f"{scope}/ToRGB", None))
    return table


def _layer(scope: str, noise: int | None) -> dict[str, From]:
    """Return a modulated convolution, with the number of its constant noise if it has some."""
    layer = {
        "weight": From(f"{scope}/weight", _mirrored_kernel if scope.endswith("_up") else _kernel),
        "affine.weight": From(f"{scope}/mod_weight", _transposed),
        "affine.bias": From(f"{scope}/mod_bias", lambda x: x + 1),
        "bias": From(f"{scope}/bias"),
    }
    if noise is not None:
        layer["noise_strength"] = From(f"{scope}/noise_strength")
        layer["noise_const"] = From(f"synthesis/noise{noise}", first_axes_dropped(2))
    return layer


def _transposed(x: Tensor) -> Tensor:
    return x.permute(1, 0)


def _kernel(x: Tensor) -> Tensor:
    return x.permute(3, 2, 0, 1)


def _mirrored_kernel(x: Tensor) -> Tensor:
    return x.flip([0, 1]).permute(3, 2, 0, 1)


def _config(found: dict[str, Tensor], sizes: list[int], layers: int, labels: bool) -> dict[str, Any]:
    def size(name: str, dimension: int, ndim: int) -> int:
        return shape_of(found, name, ndim, kind=KIND)[dimension]

    outputs = ["4x4/Conv", *(f"{height}x{height}/Conv1" for height in sizes[1:])]
    w_dim = size(f"mapping/Dense{layers - 1}/weight", 1, 2)
    embedding = size("mapping/LabelEmbed/weight", 1, 2) if labels else 0
    return {
        "resolution": picture_size(sizes[-1], size(CONSTANT, 2, 4), size(CONSTANT, 3, 4)),
        "z_dim": size("mapping/Dense0/weight", 0, 2) - embedding,
        "w_dim": w_dim,
        "c_dim": size("mapping/LabelEmbed/weight", 0, 2) if labels else 0,
        "img_channels": size(f"synthesis/{sizes[-1]}x{sizes[-1]}/ToRGB/weight", 3, 4),
        "channels": {
            str(height): size(f"synthesis/{name}/weight", 3, 4) for height, name in zip(sizes, outputs, strict=True)
        },
        "mapping_layers": layers,
        "layer_features": size("mapping/Dense0/weight", 1, 2),
        "embed_features": embedding or None,
    }


def _tensor(name: str, array: Any) -> Tensor:
    tensor = as_tensor(array)
    if tensor is None:
        raise Unreadable(f"is {KIND}, but its variable {quoted(name)} is no array of numbers; give it unchanged")
    return tensor
