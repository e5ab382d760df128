"""Mutated headers of our own safetensors files: a generator that draws, or a CheckpointError, in little time."""

from __future__ import annotations

import json
import random
import struct
import time

import pytest
import torch
from random_stylegan2 import small_stylegan2
from random_stylegan3 import small_stylegan3

from draggan_widget.models import CheckpointError, load_generator, save_generator

FILES = 5000
MOST_SECONDS = 2.0
"""Of computing, for any of the files."""
STRANGE = [
    None, True, False, 0, 1, -1, -5, 2, 3, 7, 64, 513, 10**6, 2**31, 2**63, 2**64, 10**19, 0.5, -0.5, 1e300, 1e-300,
    "", "8", "a", "\udc80", "\x1b[2J", "n" * 5000, [], [8], [8, 8], [8, 4096], [[8]], [[[[8]]]], {}, {"4": 4},
    {"a": {}}, [0, 0], [0.0], [1, -1], [0, 4], [4, 0], [-4, 4], "F16", "I32", "BOOL", "skip", "resnet",
]  # fmt: skip
RAW = [
    "9" * 5000,
    "1" + "0" * 400,
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "[" * 60 + "]" * 60,
    "-0",
    '"\\ud800"',
    "tru",
]
"""What JSON's writer would not write."""


def places(value: object, path: tuple = ()) -> list[tuple]:
    """Where something stands in a JSON value."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in parts for place in places(part, (*path, key)))]


def changed(chance: random.Random, value: object) -> object:
    """A JSON value with something else in one place, or with one part less, twice or under another name."""
    value = json.loads(json.dumps(value))
    path = chance.choice(places(value)[1:])
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    match chance.randrange(5):
        case 0:
            del parent[path[-1]]
        case 1 if isinstance(parent, dict):
            parent[chance.choice(["", "x", "half", "path", "-4", "16", "n" * 300, "weight\x1b"])] = parent.pop(path[-1])
        case 2 if isinstance(parent[path[-1]], (int, float)):
            parent[path[-1]] = chance.choice([-1, 2, 10, 1e6]) * parent[path[-1]]
        case _:
            parent[path[-1]] = chance.choice(STRANGE)
    return value


def written(header: dict, description: object) -> bytes:
    text = json.dumps(description)
    return json.dumps({**header, "__metadata__": {"draggan_widget": text}}).encode()


def torn(chance: random.Random, text: bytes) -> bytes:
    """A header with bytes of it changed, cut out, doubled, or a number turned into one that JSON does not write."""
    at = chance.randrange(len(text))
    match chance.randrange(4):
        case 0:
            return text[:at] + bytes([chance.randrange(256)]) + text[at + 1 :]
        case 1:
            return text[:at] + text[at + chance.choice([1, 8, 200]) :]
        case 2:
            return text[:at] + text[at : at + 300] + text[at:]
    numbers = [place for place, byte in enumerate(text) if 48 <= byte < 58]
    at = chance.choice(numbers)
    return text[:at] + chance.choice(RAW).encode() + text[at + 1 :]


def split(content: bytes) -> tuple[dict, object, bytes]:
    """(header, our description in it, bytes of the weights) of a file of our own."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    description = json.loads(header.pop("__metadata__")["draggan_widget"])
    return header, description, content[8 + length :]


def mutated(chance: random.Random, content: bytes) -> bytes:
    header, description, weights = split(content)
    kind = chance.randrange(10)
    if kind < 5:
        description = changed(chance, description)
    elif kind < 8:
        header = changed(chance, header)
    text = written(header, description)
    if kind == 8:
        text = torn(chance, text)
    elif kind == 9:  # within our description, which is a text in the header
        inner = torn(chance, json.dumps(description).encode()).decode("latin-1")
        text = json.dumps({**header, "__metadata__": {"draggan_widget": inner}}).encode()
    length = len(text) if chance.randrange(50) else chance.choice([0, 1, len(text) - 1, len(text) + 1, 2**40])
    return struct.pack("<Q", length) + text + weights


@pytest.fixture(scope="module")
def own_files(tmp_path_factory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("own")
    few = {"z_dim": 4, "w_dim": 4, "mapping_layers": 1, "channels": {4: 4, 8: 4}}
    one = small_stylegan2(8, **few, architecture="orig", use_noise=False)
    two = small_stylegan2(8, **few, c_dim=2, conv_clamp=256.0)
    three = small_stylegan3(16, z_dim=4, w_dim=4, channel_base=64, channel_max=4, num_layers=3)
    for name, generator in {"one": one, "two": two, "three": three}.items():
        save_generator(folder / name, generator, name=name, licence="CC0")
    first, second, third = ((folder / name).read_bytes() for name in ("one", "two", "three"))
    return [first] * 6 + [second] * 3 + [third]  # the smaller, the quicker


def test_of_5000_mutated_headers_each_is_a_generator_that_draws_or_a_checkpoint_error(own_files, tmp_path):
    chance = random.Random(0)
    path = tmp_path / "mutated"
    refused, drawn = [], 0
    for number in range(FILES):
        path.write_bytes(mutated(chance, own_files[number % len(own_files)]))
        start = time.process_time()
        try:
            generator = load_generator(path, device="cpu")
        except CheckpointError as error:
            refused.append(str(error))
        else:
            drawn += 1
            if drawn % 10 == 0:
                picture = generator.synthesize(generator.mapping(seed=1, label=0 if generator.label_dim else None))
                assert picture.shape[2:] == tuple(generator.resolution)
        assert time.process_time() - start < MOST_SECONDS
    assert FILES * 0.5 < len(refused) < FILES * 0.9
    assert [said for said in refused if len(said) > 1500 or not said.isprintable()] == []


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"w_dim": -4}, "w_dim is -4; it must be a whole number of at least 1 and at most 8192"),
        ({"w_dim": 0}, "w_dim is 0; it must be"),
        ({"layer_features": 0}, "layer_features is 0"),
        ({"layer_features": -3}, "layer_features is -3"),
        ({"channels": {"4": 4, "8": 0}}, "the width of channels at 8 is 0"),
        ({"channels": {"4": 4, "8": -4}}, "the width of channels at 8 is -4"),
        ({"channels": {"4": [[4]], "8": 4}}, "the width of channels at 4 is a list of 1"),
        ({"resolution": [[[8]]]}, "resolution is a list of 1"),
        ({"mapping_lr_multiplier": "1"}, "TypeError"),
        ({"use_noise": 1}, "use_noise is 1; it must be True or False"),
    ],
)
def test_a_setting_of_our_own_header_that_makes_no_network_is_named(own_files, config, says, tmp_path):
    header, description, weights = split(own_files[0])
    text = written(header, {**description, "config": {**description["config"], **config}})
    (tmp_path / "own").write_bytes(struct.pack("<Q", len(text)) + text + weights)
    with pytest.raises(CheckpointError) as caught:
        load_generator(tmp_path / "own")
    assert says in str(caught.value)


@pytest.mark.parametrize("number", ["9" * 5000, "1" + "0" * 400, "1e400", "NaN", "-Infinity"])
def test_a_number_of_our_own_header_that_no_computer_holds_is_a_checkpoint_error(own_files, number, tmp_path):
    header, description, weights = split(own_files[0])
    inner = json.dumps(description).replace('"w_dim": 4', f'"w_dim": {number}')
    text = json.dumps({**header, "__metadata__": {"draggan_widget": inner}}).encode()
    (tmp_path / "own").write_bytes(struct.pack("<Q", len(text)) + text + weights)
    with pytest.raises(CheckpointError, match="describes no generator this version knows .ValueError: JSON with"):
        load_generator(tmp_path / "own")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda weight: weight.int(), "has weights of int32, not floats ('mapping.fc0.weight')"),
        (lambda weight: weight.to(torch.complex64), "has weights of complex64, not floats"),
        (lambda weight: weight * float("nan"), "has weights that are not finite ('mapping.fc0.weight')"),
        (lambda weight: weight.double() * 1e200, "has weights that are not finite"),
    ],
)
def test_weights_of_our_own_files_are_finite_floats(spoil, says, tmp_path):
    import safetensors.torch

    generator = small_stylegan2(8)
    path = tmp_path / "own.safetensors"
    save_generator(path, generator)
    _, description, _ = split(path.read_bytes())
    state = generator.network.state_dict()
    state["mapping.fc0.weight"] = spoil(state["mapping.fc0.weight"])
    safetensors.torch.save_file(state, path, metadata={"draggan_widget": json.dumps(description)})
    with pytest.raises(CheckpointError) as caught:
        load_generator(path)
    assert says in str(caught.value)


def test_weights_beyond_the_range_of_halves_stay_as_they_are(tmp_path):
    generator = small_stylegan2(8)
    with torch.no_grad():
        generator.network.get_submodule("mapping.fc0").weight[0, 0] = 1e6
    save_generator(tmp_path / "own", generator, half=True)
    loaded = load_generator(tmp_path / "own", device="cpu").network.state_dict()
    assert float(loaded["mapping.fc0.weight"][0, 0]) == 1e6
    assert split((tmp_path / "own").read_bytes())[0]["mapping.fc1.weight"]["dtype"] == "F16"
