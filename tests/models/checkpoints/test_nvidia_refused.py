"""Files of NVIDIA's PyTorch programs: nothing in them runs, and what cannot be taken is named."""

from __future__ import annotations

import pickle
import sys
import types

import numpy as np
import pytest
import torch
from models.layouts import dump
from nvidia_checks import assert_draws_the_reference, build, shallow, shallow_network
from nvidia_files import (
    POISON,
    easy,
    persistent,
    stored,
    stylegan2_file,
    tree,
    with_filters,
)

from draggan_widget.models.checkpoints import Name, Record, Unreadable, read_pickle
from draggan_widget.models.checkpoints.nvidia import recognise

# --- nothing runs ----------------------------------------------------------------------------------------------------


def test_source_text_in_a_file_never_runs_and_nothing_it_names_is_imported():
    file = stylegan2_file(*shallow_network())
    assert POISON.encode() in file
    recognise(read_pickle(file))  # whatever our own code imports late is there now
    events = []
    active = True

    def hook(event, arguments):
        if active and event in ("exec", "compile", "import", "os.system", "subprocess.Popen", "open", "os.exec"):
            events.append((event, arguments[0]))

    sys.addaudithook(hook)
    try:
        recognise(read_pickle(file))
    finally:
        active = False
    assert events == []
    assert not {"torch_utils", "dnnlib", "poisoned"} & set(sys.modules)


def test_the_source_text_would_run_if_a_file_were_read_as_its_programs_do(monkeypatch):
    def rebuild(meta):
        exec(meta["module_src"], {})

    for name in ("torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj = rebuild
    sys.modules["dnnlib.util"].EasyDict = dict
    file = stylegan2_file(*shallow_network())
    with pytest.raises(SystemExit, match="was executed"):
        pickle.loads(file)


# --- what cannot be taken --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        None,
        3,
        [],
        {},
        {"a": torch.zeros(3)},
        {"g_ema": {"conv1.conv.weight": torch.zeros(1, 2, 2, 3, 3), "input.input": torch.zeros(1, 2, 4, 4)}},
        Record("collections", "Counter"),
        {"G_ema": Record("my.module", "Thing")},
    ],
    ids=range(8),
)
def test_other_things_are_left_to_others(value):
    assert recognise(value) is None


def with_setting(half, **more):
    """An ``attributes`` by which the network was made with more settings."""

    def change(path, usual):
        if path:
            return usual
        kwargs = dict(usual["_init_kwargs"].items)
        inner = dict(kwargs[half].items) if half else kwargs
        inner.update(more)
        return usual | {"_init_kwargs": easy({**kwargs, half: inner} if half else inner)}

    return change


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        (with_setting("synthesis_kwargs", noise_injection="spatial"), "'noise_injection' is set"),
        (with_setting(None, attention=True, tricks=["a"]), "'attention' and 'tricks' are set"),
        (with_setting("synthesis_kwargs", activation="relu"), "activation is the text 'relu'"),
        (with_setting("mapping_kwargs", activation="elu"), "activation is the text 'elu'"),
        (with_setting("synthesis_kwargs", kernel_size=5), "kernel_size of the number 5"),
        (with_setting(None, z_dim=99), "records z_dim=99 while its weights take 16"),
        (lambda path, usual: usual | {"activation": "swish"} if path == "mapping.fc1." else usual, "'swish'"),
        (lambda path, usual: usual | {"act_gain": 3.0} if "conv1" in path and path.count(".") == 3 else usual, "is 3;"),
        (lambda path, usual: usual | {"conv_clamp": 7} if path == "synthesis.b8.torgb." else usual, "conv_clamp"),
        (lambda path, usual: usual | {"conv_clamp": "x"} if path.endswith("torgb.") else usual, "conv_clamp"),
        (lambda path, usual: usual | {"bias_gain": -1} if "fc" in path else usual, "lr_multiplier"),
    ],
)
def test_settings_that_change_the_picture_and_are_unknown_here_are_named(attributes, says):
    with pytest.raises(Unreadable, match=f"is a StyleGAN2 of NVIDIA's layout, but.*{says}.*give"):
        recognise(shallow(attributes=attributes))


@pytest.mark.parametrize(
    "more",
    [{"freeze_layers": 2}, {"attention": False}, {"extra": None}, {"fp16_channels_last": True}, {"freeze_embed": True}],
)
def test_settings_without_effect_on_the_picture_are_ignored(more):
    translation = recognise(shallow(attributes=with_setting("synthesis_kwargs", **more)))
    assert_draws_the_reference(translation, "stylegan2_shallow")


def changed(changes):
    """The state of a small network with some entries replaced, added, or (None) left out."""
    _, state, _ = stored("stylegan2_shallow")
    return {name: part for name, part in {**with_filters(state), **changes}.items() if part is not None}


NAN = torch.full((16,), float("nan"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"synthesis.b8.conv0.weight": None}, "'synthesis.b8.conv0.weight' is missing; give a whole checkpoint"),
        ({"synthesis.b4.conv1.weight": None}, "'synthesis.b4.conv1.weight' is missing"),
        ({"synthesis.b4.const": None}, "'synthesis.b4.const' is missing"),
        ({"mapping.fc0.weight": None}, "'mapping.fc0.weight' is missing"),
        ({"mapping.fc0.weight": None, "mapping.fc0.bias": None}, "'mapping.fc0.weight' is missing"),
        ({"synthesis.b64.torgb.bias": None}, "'synthesis.b64.torgb.bias' is missing"),
        ({"synthesis.b16.extra": torch.ones(3), "style.0": torch.ones(1)}, "'style.0' are too many"),
        ({"synthesis.b8.conv0.bias": torch.ones(17)}, r"shape \(synthesis.b8.conv0.bias has \(17,\) instead of \(16"),
        ({"synthesis.b4.const": torch.ones(16, 6, 4)}, r"wrong shape .synthesis.b4.conv1.noise_const has \(4, 4\)"),
        ({"synthesis.b4.const": torch.ones(16)}, r"shape \(16,\)"),
        ({"synthesis.b8.conv0.bias": NAN}, "'synthesis.b8.conv0.bias' is not made of finite numbers"),
        ({"synthesis.b8.conv0.bias": torch.ones(16, dtype=torch.int8)}, "not made of floats"),
        ({"synthesis.b8.conv0.bias": "text"}, "no tensor"),
        ({"synthesis.b8.resample_filter": torch.ones(3, 3) / 9}, "low-pass filter"),
        ({"synthesis.b4.resample_filter": torch.zeros(4, 4)}, "low-pass filter"),
        ({"synthesis.b128.torgb.bias": torch.ones(3)}, "is missing"),
        ({"synthesis.b48.conv1.weight": torch.ones(3)}, "'synthesis.b48.conv1.weight' is too many"),
        ({"synthesis.b4096.conv1.weight": torch.ones(3)}, "4096 and 2 mapping layers; give a whole one of 8"),
    ],
)  # fmt: skip
def test_weights_that_make_no_whole_network_are_named(changes, says):
    with pytest.raises(Unreadable, match=f"is a StyleGAN2 of NVIDIA's layout, but.*({says})") as caught:
        recognise(changed(changes))
    assert "; give " in str(caught.value)


def test_a_list_of_bad_weights_names_the_first_few_only():
    _, state, _ = stored("stylegan2_shallow")
    state = {name: part * float("nan") for name, part in state.items()}
    with pytest.raises(Unreadable, match=r"('[^']+', ){2}'[^']+' and \d+ more are not made of finite numbers"):
        recognise(state)


def test_a_file_without_a_generator_says_what_it_holds():
    with pytest.raises(Unreadable, match="holds networks but no generator .its keys are 'D'.*give a file with 'G_ema'"):
        recognise(shallow(keys=("D",)))


def test_another_architecture_says_what_it_is_made_of():
    network = persistent(tree({"main.init.weight": torch.ones(2), "style.w": torch.ones(1)}, {}))
    with pytest.raises(Unreadable, match="another architecture .its parts are 'main', 'style'.*give a StyleGAN2 or"):
        recognise(read_pickle(dump({"G_ema": network})))


def test_a_network_that_holds_itself_ends_in_an_error():
    inner = Record("torch_utils.persistence", "_reconstruct_persistent_obj")
    inner.args = ({"state": {"_modules": {"synthesis": inner}, "_parameters": {}}},)
    with pytest.raises(Unreadable, match="nested without end"):
        recognise({"G_ema": inner})


@pytest.mark.parametrize("meta", [(), (None,), ({},), ({"state": 3},), ({"state": {"_modules": 3}},)])
def test_a_persistent_object_without_a_network_is_unreadable(meta):
    record = Record("torch_utils.persistence", "_reconstruct_persistent_obj", meta)
    with pytest.raises(Unreadable, match="another architecture"):
        recognise({"G_ema": record})


JUNK = [
    None,
    True,
    -1,
    10**400,
    float("nan"),
    "text",
    b"bytes",
    (),
    [1, [2, "x"]],
    {"a": {}},
    torch.zeros(3),
    torch.zeros(0, 3, 3),
    np.zeros((2, 2)),
    Record("os", "system", ("true",)),
    Name("os", "system"),
    {1: torch.zeros(2)},
]


def places(value, found, seen):
    """All (container, key) within a value, attributes of records among them."""
    if id(value) in seen:
        return found
    seen.add(id(value))
    if isinstance(value, Record):
        inside = [(value, name, getattr(value, name)) for name in ("args", "state", "items")]
    elif isinstance(value, (dict, list)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        inside = [(value, key, part) for key, part in pairs]
    else:
        # A tuple is no place to put things, yet leads on.
        inside = [(None, None, part) for part in value] if isinstance(value, tuple) else []
    for container, key, part in inside:
        if container is not None:
            found.append((container, key))
        places(part, found, seen)
    return found


@pytest.mark.parametrize("kind", ["pickle", "state dict"])
def test_whatever_stands_in_a_files_place_it_is_taken_or_unreadable(kind):
    settings, state, _ = stored("stylegan2_labels_only")
    file = stylegan2_file(settings["init_kwargs"], state, keys=("G_ema",))
    random = np.random.RandomState(0)
    refusals = []
    for _ in range(150):
        value = read_pickle(file) if kind == "pickle" else {"g_ema": with_filters(state)}
        for _ in range(random.randint(1, 4)):
            everywhere = places(value, [], set())
            container, key = everywhere[random.randint(len(everywhere))]
            junk = JUNK[random.randint(len(JUNK))] if random.rand() < 0.95 else value
            if isinstance(container, Record):
                setattr(container, key, junk)
            else:
                container[key] = junk
        try:
            translation = recognise(value)
        except Unreadable as error:
            refusals.append(str(error))
        else:
            if translation is not None:
                build(translation)
    assert len(refusals) > 50
    assert max(map(len, refusals)) < 600
