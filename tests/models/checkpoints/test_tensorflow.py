"""TensorFlow files of StyleGAN2 against pictures that TensorFlow made."""

from __future__ import annotations

import pickle
import sys
import types

import numpy as np
import pytest
import torch
from seeded import Reference

from draggan_widget.models.checkpoints import Record, Unreadable, read_file
from draggan_widget.models.checkpoints.tensorflow import recognise

NAMES = [
    "skip_128",
    "resnet_64",
    "orig_64",
    "config_d_64",
    "ada_classes_64",
    "widths_32",
    "filter_32",
    "label_concat_32",
]
POISON = "raise SystemExit('source text of a file was executed')"


def network(settings, weights, prefix="", builder="G_main", **components):
    """A network as a reader yields it, with the variables that have that prefix."""
    own = [(name[len(prefix) :], array) for name, array in weights.items() if name.startswith(prefix)]
    state = {
        "version": 4,
        "name": prefix.rstrip("/") or "Gs",
        "static_kwargs": settings,
        "components": components,
        "build_module_src": POISON,
        "build_func_name": builder,
        "variables": own if prefix else [(name, array) for name, array in own if "/" not in name],
    }
    return Record("dnnlib.tflib.network", "Network", state=state)


def generator(settings, weights):
    parts = {part: network(settings, weights, f"{part}/", f"G_{part}") for part in ("synthesis", "mapping")}
    return network(settings, weights, **parts)


def of(reference, settings=None, **weights):
    """The three networks of a reference's file, with other settings, and other variables (None leaves one out)."""
    weights = {name.replace("__", "/"): array for name, array in weights.items()}
    weights = {name: array for name, array in {**reference.weights, **weights}.items() if array is not None}
    averaged = generator({**reference.settings["static_kwargs"], **(settings or {})}, weights)
    halved = {name: array / 2 for name, array in weights.items() if isinstance(array, np.ndarray)}
    return generator({}, halved), network({}, {"4x4/Dense0/weight": np.ones(3)}, builder="D_stylegan2"), averaged


class Pickled:
    """A stand-in for the class that files name, only there while one is written."""

    def __init__(self, record):
        self.__dict__.update(record.state)
        self.components = {name: Pickled(part) for name, part in record.state["components"].items()}

    def __setstate__(self, state):
        raise AssertionError("an object of the file was built")


def write(path, networks, protocol):
    """A pickle as TensorFlow programs write them, whose classes no longer exist when it is read."""
    module = types.ModuleType("dnnlib.tflib.network")
    module.Network = Pickled
    module.__dict__.update(__path__=[])
    names = ["dnnlib", "dnnlib.tflib", "dnnlib.tflib.network"]
    Pickled.__module__, Pickled.__qualname__, Pickled.__name__ = module.__name__, "Network", "Network"
    sys.modules.update(dict.fromkeys(names, module))
    try:
        path.write_bytes(pickle.dumps(tuple(Pickled(network) for network in networks), protocol))
    finally:
        for name in names:
            del sys.modules[name]


@pytest.mark.parametrize("name", NAMES)
def test_latents_and_pictures_equal_those_of_tensorflow(name):
    reference = Reference(f"tensorflow_{name}")
    translation = recognise(of(reference))
    reference.check(translation)
    assert translation.notes["layout"] == "TensorFlow"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_of_network_objects_is_read_and_its_source_text_is_not(tmp_path, protocol):
    reference = Reference("tensorflow_ada_classes_64")
    write(tmp_path / "network.pkl", of(reference), protocol)
    reference.check(recognise(read_file(tmp_path / "network.pkl")))
    assert not any(name.startswith("dnnlib") for name in sys.modules)


def test_a_generator_alone_is_read():
    reference = Reference("tensorflow_resnet_64")
    reference.check(recognise(of(reference)[2]))


@pytest.mark.parametrize(
    "change",
    [
        lambda array: np.asfortranarray(array) if array.ndim else array,
        lambda array: np.broadcast_to(array, array.shape),
        lambda array: torch.from_numpy(array),
        lambda array: array.item() if array.ndim == 0 else array,
    ],
    ids=["by columns", "read-only", "tensors", "numbers"],
)
def test_arrays_of_any_make_are_read(change):
    reference = Reference("tensorflow_resnet_64")
    reference.weights = {name: change(array) for name, array in reference.weights.items()}
    reference.check(recognise(of(reference)[2]))


def test_a_network_without_noise_is_read():
    reference = Reference("tensorflow_orig_64")
    left_out = {name.replace("/", "__"): None for name in reference.weights if "noise" in name}
    translation = recognise(of(reference, {"use_noise": False}, **left_out))
    assert translation.config["use_noise"] is False
    assert not any("noise" in name for name in translation.tensors)


@pytest.mark.parametrize(
    ("builder", "variables", "says"),
    [
        ("G_style", {"dlatent_avg": np.ones(4)}, "is a StyleGAN1 of TensorFlow; of TensorFlow files only StyleGAN2"),
        ("G", {"synthesis/4x4/Const/StyleMod/weight": np.ones(4)}, "is a StyleGAN1 of TensorFlow"),
        ("G_paper", {"lod": np.ones(())}, "is a Progressive GAN of TensorFlow; of TensorFlow files only StyleGAN2"),
        ("D_stylegan2", {"4x4/Conv/weight": np.ones(4)}, "built by 'D_stylegan2' with no StyleGAN2 generator in it"),
    ],
)
def test_other_families_are_refused_by_name(builder, variables, says):
    whole = generator({}, variables)
    whole.state["build_func_name"] = builder
    with pytest.raises(Unreadable, match=says):
        recognise((whole, whole, whole))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"architecture": "dense"}, "architecture = 'dense', which is not read"),
        ({"architecture": "skip"}, "'synthesis/4x4/ToRGB/weight'.*missing"),
        ({"architecture": ["resnet"]}, r"architecture = \"\['resnet'\]\""),
        ({"nonlinearity": "relu"}, "with nonlinearity = 'relu'; only 'lrelu' is read"),
        ({"normalize_latents": False}, "normalize_latents = 'False'"),
        ({"use_attention": True}, "'use_attention' is no known setting of it"),
        ({"conv_clamp": -1}, "conv_clamp = '-1', which is not read"),
        ({"conv_clamp": "x"}, "conv_clamp = 'x'"),
        ({"mapping_lrmul": float("nan")}, "mapping_lrmul = 'nan'"),
        ({"mapping_lrmul": "0.01"}, "mapping_lrmul = '0.01'"),
        ({"resample_kernel": [1] * 65}, "resample_kernel"),
        ({"resample_kernel": [1, -1]}, "resample_filter"),
        ({"resample_kernel": "box"}, "resample_kernel = 'box'"),
        ({"resolution": 128}, "of 128 px, but has layers of 4 to 64 px"),
        ({"resolution_h": 128, "resolution_w": 64}, "of 128 px, but has layers of 4 to 64 px .resolution_h says so"),
        ({"resolution_w": 32}, "of 32 px, but has layers of 4 to 64 px .resolution_w says so"),
        ({"use_noise": "no"}, "use_noise = 'no'"),
        ({"use_noise": Record("os", "system", ("echo",))}, "among its settings"),
    ],
)
def test_settings_that_make_another_network_are_named(settings, says):
    with pytest.raises(Unreadable, match=says):
        recognise(of(Reference("tensorflow_resnet_64"), settings))


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ({"dlatent_avg": None}, "'dlatent_avg' is missing; give a whole checkpoint"),
        ({"synthesis__8x8__Skip__weight": None}, "'synthesis/8x8/Skip/weight' is missing"),
        (
            {"mapping__Dense0__bias": None, "synthesis__noise2": None},
            "'mapping/Dense0/bias' and 'synthesis/noise2' are",
        ),
        ({"synthesis__8x8__Attention__weight": np.ones(3)}, "'synthesis/8x8/Attention/weight' is too many"),
        ({"mapping__Dense98__weight": np.ones((16, 16))}, "missing"),
        ({"synthesis__4096x4096__Conv1__weight": np.ones(3)}, "4096 px"),
        ({"synthesis__48x48__Conv1__weight": np.ones(3)}, "too many"),
        ({"synthesis__8x8__Conv1__weight": np.ones((3, 3, 12), np.float32)}, "8x8/Conv1/weight' has the shape"),
        (
            {"synthesis__8x8__Conv1__weight": np.ones((5, 5, 12, 12), np.float32)},
            "8x8/Conv1/weight' is of the wrong shape",
        ),
        ({"synthesis__8x8__Conv1__mod_weight": np.ones(12, np.float32)}, "8x8/Conv1/mod_weight' has the shape"),
        ({"synthesis__8x8__Conv1__mod_weight": np.ones((12, 16), np.float32)}, "wrong shape"),
        ({"synthesis__8x8__Conv1__bias": np.full(12, np.nan, np.float32)}, "not made of finite numbers"),
        ({"synthesis__8x8__Conv1__bias": np.ones(12, np.int64)}, "not made of floats"),
        ({"synthesis__8x8__Conv1__bias": "text"}, "'synthesis/8x8/Conv1/bias' is no array of numbers"),
        ({"synthesis__8x8__Conv1__bias": [[1.0], 2.0]}, "is no array of numbers"),
        ({"synthesis__8x8__Conv1__bias": Record("os", "system")}, "is no array of numbers"),
    ],
)
def test_missing_unknown_and_misshapen_variables_are_named(weights, says):
    with pytest.raises(Unreadable, match=f"is a TensorFlow StyleGAN2.*{says}"):
        recognise(of(Reference("tensorflow_resnet_64"), **weights))


@pytest.mark.parametrize(
    "settings",
    [
        {"resolution_w": 64, "resolution_h": 64},
        {"resolution": None, "resolution_w": 64, "resolution_h": 64},
        {"use_attention": False, "verbose": 0, "extra": None, "tricks": []},
    ],
)
def test_sizes_that_the_layers_have_and_settings_that_are_switched_off_do_no_harm(settings):
    reference = Reference("tensorflow_resnet_64")
    reference.check(recognise(of(reference, settings)))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda networks: {"G": networks[0], "D": networks[1], "Gs": networks[2]},
        lambda networks: {"D": networks[1], "G_ema": networks[2], "G": networks[0]},
        lambda networks: {"networks": networks, "step": 3},
        lambda networks: [networks],
    ],
)
def test_the_averaged_network_is_found_in_other_containers_too(wrap):
    reference = Reference("tensorflow_resnet_64")
    reference.check(recognise(wrap(of(reference))))


def test_a_picture_that_is_no_square_has_the_size_of_its_constant_input():
    reference = Reference("tensorflow_resnet_64")
    wide = {
        name: np.concatenate([array, array], axis=-1)
        for name, array in reference.weights.items()
        if name.startswith("synthesis/noise") or name.endswith("Const/const")
    }
    settings = {"resolution": None, "resolution_h": 64, "resolution_w": 128}
    translation = recognise(of(reference, settings, **{name.replace("/", "__"): array for name, array in wide.items()}))
    assert translation.config["resolution"] == [64, 128]


def test_a_network_that_still_grows_is_refused():
    with pytest.raises(Unreadable, match="not fully grown"):
        recognise(of(Reference("tensorflow_config_d_64"), lod=np.float32(1.5)))


def damaged(**state):
    made = of(Reference("tensorflow_resnet_64"))[2]
    made.state.update(state)
    return made


def test_networks_within_networks_without_end_are_refused():
    endless = damaged()
    endless.state["components"] = {"synthesis": endless}
    with pytest.raises(Unreadable, match="without end"):
        recognise(endless)


@pytest.mark.parametrize(
    "state",
    [
        {"variables": 3},
        {"variables": [3]},
        {"variables": [("a", 1, 2)]},
        {"components": {"synthesis": 3}},
        {"components": dict.fromkeys("abcdefghi", 1)},
        {"components": None},
        {"static_kwargs": None},
    ],
)
def test_network_objects_of_another_make_are_named(state):
    with pytest.raises(Unreadable, match="is a TensorFlow"):
        recognise(damaged(**state))


@pytest.mark.parametrize(
    "value",
    [
        None,
        (),
        [],
        {},
        7,
        (1, 2, 3),
        Record("torch", "Network"),
        Record("dnnlib.tflib.network", "Network", state={"variables": []}),
        (Record("a", "b"), None),
        [network({}, {})] * 4,
    ],
)
def test_a_file_of_another_kind_is_left_to_others(value):
    assert recognise(value) is None
