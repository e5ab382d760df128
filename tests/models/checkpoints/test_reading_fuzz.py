"""Mutated files: whatever the bytes, a file is read or is Unreadable, in little time and memory."""

from __future__ import annotations

import collections
import io
import pickle
import random
import sys
import time
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch
from models.layouts import Global, Object, array, dump, persistent_object, pickled_tensor, zipped

from draggan_widget.models.checkpoints import Unreadable, describe, read_file, walk
from draggan_widget.models.checkpoints.unpickler import STEPS

FILES = 3000
MOST_SECONDS = 5.0
"""Of computing, for any of the files."""
MOST_MEMORY = 150 << 20
EXTREMES = [
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\xff" * 8,
    b"\xff" * 7 + b"\x7f",
    b"\0" * 8,
    b"\0\0\0\x80",
]


def seeds() -> dict[str, bytes]:
    """One small innocent file of every layout."""
    torch.manual_seed(0)
    named = {
        "conv.weight": torch.randn(2, 3),
        "half": torch.ones(3).half(),
        "flag": torch.tensor([True]),
        "n": torch.arange(3),
    }
    content = {"g_ema": named, "latent_avg": torch.zeros(4, 2).T, "args": {"size": 64, "names": ["a", ("b", 2.5)]}}
    in_zip, legacy = io.BytesIO(), io.BytesIO()
    torch.save(content, in_zip)
    torch.save(content, legacy, _use_new_zipfile_serialization=False)
    weight = pickled_tensor(torch.randn(2, 2))
    network = persistent_object(
        "Generator", {"_init_kwargs": {"z_dim": 8}, "_parameters": {"weight": weight, "bias": None}}
    )
    variables = [("G/w", np.ones((2, 3), np.float32)), ("G/b", np.zeros(2, ">f4"))]
    older = Object(
        Global("dnnlib.tflib.network", "Network"), (), state={"version": 3, "variables": variables}, new=True
    )
    plain = [
        np.arange(6).reshape(2, 3).T,
        {1, 2},
        frozenset("a"),
        10**20,
        collections.OrderedDict(a=-1),
        1.5,
        b"x",
        "é",
    ]
    return {
        "zip": in_zip.getvalue(),
        "legacy": legacy.getvalue(),
        "deflated": zipped({"m/model.pkl": dump({"G_ema": network}), "readme": b"text"}, zipfile.ZIP_DEFLATED),
        "nvidia": dump({"G_ema": network, "augment_pipe": None}),
        "nvidia, protocol 2": dump({"G_ema": network}, 2),
        "older": dump((older, older), python2=True),
        **{f"protocol {protocol}": pickle.dumps(plain, protocol) for protocol in range(6)},
        "array": dump([array(bytes(24), (2, 3), columns=True), torch.Size([1])]),
        "safetensors": safetensors.torch.save(named, {"a": "b"}),
    }


def mutated(chance: random.Random, content: bytes, others: list[bytes]) -> bytes:
    """``content`` with one to four changes."""
    data = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 4])):
        at = chance.randrange(len(data) + 1)
        length = chance.choice([1, 2, 4, 8, 40])
        match chance.randrange(8):
            case 0 if data:
                data[at - 1] ^= 1 << chance.randrange(8)
            case 1:
                del data[at:]
            case 2:
                other = chance.choice(others)
                begin = chance.randrange(len(other))
                data[at : at + chance.choice([0, length])] = other[begin : begin + chance.choice([length, 400])]
            case 3 if data:
                data[at - 1] = chance.choice(OPCODES)
            case 4:
                del data[at : at + length]
            case 5:
                data[at : at + chance.choice([0, 4, 8])] = chance.choice(EXTREMES)
            case 6:
                data[at:at] = bytes(chance.choice(OPCODES) for _ in range(length))
            case 7:
                data[at:at] = data[at : at + 200] * chance.choice([1, 2, 30])
    return bytes(data)


OPCODES = list(STEPS)


def peak() -> int:
    resource = pytest.importorskip("resource")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def test_the_seeds_are_read(tmp_path):
    for name, content in seeds().items():
        (tmp_path / name).write_bytes(content)
        assert describe(read_file(tmp_path / name))


def test_mutated_files_are_read_or_unreadable_in_little_time_and_memory(tmp_path):
    chance = random.Random(0)
    files = list(seeds().values())
    before = peak()
    refused: list[str] = []
    for number in range(FILES):
        content = mutated(chance, files[number % len(files)], files)
        path = tmp_path / f"{number}"
        path.write_bytes(content)
        start = time.process_time()
        try:
            value = read_file(path)
            describe(value)
            for part in walk(value):
                if isinstance(part, torch.Tensor):
                    part.to(torch.float64).sum()  # every number that it claims is there
                elif isinstance(part, np.ndarray):
                    part.astype(complex).sum()
        except Unreadable as error:
            refused.append(str(error))
        assert time.process_time() - start < MOST_SECONDS
        path.unlink()
    assert FILES * 0.5 < len(refused) < FILES
    verbs = ("is ", "holds ", "claims ", "breaks ", "takes ", "uses ", "nests ", "calls ")
    assert [said for said in refused if not said.startswith(verbs)] == []
    assert peak() - before < MOST_MEMORY
