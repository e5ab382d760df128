"""Writes files in the layout of NVIDIA's PyTorch programs, and the weights of the stored references again."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from models.layouts import Global, Object, dump

REFERENCES = Path(__file__).parents[2] / "data" / "references"
POISON = """
raise SystemExit("the source text of a file was executed")
"""
"""Stands where the files have the source of their classes."""


def stored(name):
    """Settings, state dict (without low-pass filters) and arrays of the reference ``name``.

    Weights are normal numbers drawn in the order of sorted names from the recorded seed, scaled by kind.
    """
    with np.load(REFERENCES / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    settings = json.loads(str(arrays.pop("settings")))
    random = np.random.RandomState(settings["seed"])
    state = {}
    for weight in sorted(settings["shapes"]):
        numbers = random.randn(*settings["shapes"][weight])
        if weight.startswith("mapping.fc"):
            numbers = numbers * (0.1 if weight.endswith("bias") else 1) / settings["lr_multiplier"]
        elif weight.endswith("affine.bias"):
            numbers = 1 + 0.1 * numbers
        elif weight.endswith(("bias", "noise_strength", "w_avg")):
            numbers = 0.1 * numbers
        state[weight] = torch.from_numpy(np.asarray(numbers, np.float32))
    return settings, state, arrays


def with_filters(state, taps=(1, 3, 3, 1)):
    """The state dict with its low-pass filters; long ones are stored as taps, others as squares."""
    taps = torch.tensor(taps, dtype=torch.float32)
    kernel = taps / taps.sum() if len(taps) >= 8 else torch.outer(taps, taps) / taps.sum() ** 2
    owners = {re.match(r"synthesis\.b\d+", name)[0] for name in state if name.startswith("synthesis")}
    owners |= {match[0] for name in state if (match := re.match(r"synthesis\.b\d+\.(conv[01]|skip)", name))}
    return {**state, **{f"{owner}.resample_filter": kernel.clone() for owner in owners}}


def taps_of(kwargs):
    return kwargs.get("synthesis_kwargs", kwargs).get("resample_filter", [1, 3, 3, 1])


BUFFERS = (
    *("resample_filter", "noise_const", "w_avg", "freqs", "phases", "transform", "magnitude_ema"),
    *("up_filter", "down_filter"),
)
"""Tensors that no training changes by gradients."""


def tree(state, kwargs, attributes=None, path=""):
    """The ``__dict__`` of a network, with those of its submodules in ``_modules``.

    :param attributes: (path, usual attributes) → attributes, to change some.
    """
    parts = {name: tensor for name, tensor in state.items() if "." not in name}
    children = OrderedDict()
    for name in state:
        child = name.partition(".")[0]
        if "." in name and child not in children:
            inside = {key[len(child) + 1 :]: tensor for key, tensor in state.items() if key.startswith(f"{child}.")}
            children[child] = persistent(tree(inside, kwargs, attributes, f"{path}{child}."))
    usual = usual_attributes(path, kwargs, state)
    return {
        "training": False,
        "_parameters": OrderedDict((n, torch.nn.Parameter(t, False)) for n, t in parts.items() if n not in BUFFERS),
        "_buffers": OrderedDict((n, t) for n, t in parts.items() if n in BUFFERS),
        "_non_persistent_buffers_set": set(),
        "_backward_hooks": OrderedDict(),
        "_is_full_backward_hook": None,
        "_forward_hooks": OrderedDict(),
        "_modules": children,
        **(usual if attributes is None else attributes(path, usual)),
    }


def usual_attributes(path, kwargs, state):
    """What layers of the programs keep besides their tensors, as far as it matters."""
    synthesis, mapping = kwargs.get("synthesis_kwargs", kwargs), kwargs.get("mapping_kwargs", {})
    clamp = synthesis.get("conv_clamp")
    if path == "":
        names = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")
        return {**{name: kwargs.get(name) for name in names}, "_init_args": (), "_init_kwargs": easy(kwargs)}
    if re.fullmatch(r"mapping\.fc\d+\.", path):
        rate = mapping.get("lr_multiplier", 0.01)
        gain = rate / np.sqrt(state["weight"].shape[1])
        return {"activation": "lrelu", "weight_gain": gain, "bias_gain": rate}
    if re.fullmatch(r"synthesis\.b\d+\.conv[01]\.", path):
        noisy = "noise_const" in state
        return {"activation": "lrelu", "act_gain": np.sqrt(2), "conv_clamp": clamp, "use_noise": noisy, "padding": 1}
    if path.endswith("torgb."):
        return {"conv_clamp": clamp}
    return {}


def easy(content):
    """An ``EasyDict`` of the programs, its inner dicts too."""
    parts = {key: easy(part) if isinstance(part, dict) else part for key, part in content.items()}
    return Object(Global("dnnlib.util", "EasyDict"), items=parts, new=True)


def persistent(state):
    """An object that asks to be rebuilt from source text."""
    meta = {"type": "class", "version": 6, "module_src": POISON, "class_name": "Net", "state": state}
    return Object(Global("torch_utils.persistence", "_reconstruct_persistent_obj"), (meta,))


def network_file(kwargs, state, *, keys=("G", "D", "G_ema"), attributes=None, **more):
    """The bytes of a snapshot of a training: the generator under ``keys``, and what else the programs keep."""
    network = persistent(tree(state, kwargs, attributes))
    stranger = persistent(tree({"b4.conv.weight": torch.ones(2, 2, 3, 3)}, kwargs, lambda path, usual: {}))
    data = {key: stranger if key == "D" else network for key in keys}
    data["training_set_kwargs"] = easy({"class_name": "ImageFolderDataset", "path": "/somewhere/afhqcat.zip"})
    return dump({**data, "augment_pipe": None, **more})


def stylegan2_file(kwargs, state, **more):
    """``network_file`` of a state dict without low-pass filters, which follow from the settings."""
    return network_file(kwargs, with_filters(state, taps_of(kwargs)), **more)
