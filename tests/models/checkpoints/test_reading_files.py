from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import tarfile

import numpy as np
import PIL.Image
import pytest
import safetensors.torch
import torch
from models.layouts import dump, zipped

from draggan_widget.models.checkpoints import Name, Record, Unreadable, describe, plain, read_file, read_pickle, walk
from draggan_widget.models.checkpoints import safetensors_metadata as metadata_of

PAGE = b"\n<!DOCTYPE html>\n<html><head><title>Quota exceeded</title></head></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 381673535\n"


def read_bytes(tmp_path, content: bytes):
    (tmp_path / "model.pkl").write_bytes(content)
    return read_file(tmp_path / "model.pkl")


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (4, 4)).save(buffer, kind)
    return buffer.getvalue()


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return buffer.getvalue()


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    return buffer.getvalue()


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (PAGE, "is a web page of 72 bytes, not a model: the download failed"),
        (b"\xef\xbb\xbf<html>", "is a web page"),
        (POINTER, "is a Git LFS pointer of 74 bytes, .*git lfs pull"),
        (picture("PNG"), r"is a picture \(PNG\)"),
        (picture("JPEG"), r"is a picture \(JPEG\)"),
        (picture("WEBP"), r"is a picture \(WebP\)"),
        (gzip.compress(pickle.dumps({}), mtime=0), "compressed with gzip; unpack"),
        (tar(), "is a tar archive"),
        (npz(), "archive of numpy arrays"),
        (npy(), "single numpy array"),
        (b'{"message": "Not Found"}', "is JSON text"),
        (b"Dear all, here is no model.\n", "is a text of 28 bytes"),
        (b"\x00\x01\x02\x03" * 9, "no file of a kind known here"),
        (b"hello", "no file of a kind known here"),
        (b"\x80", "damaged or cut short"),
        (b"\x80\x04", "breaks off after 2 bytes"),
        (pickle.dumps({"G_ema": list(range(1000))})[:-100], "damaged|breaks off"),
        (b"PK\x03\x04 and so on", "archive .* breaks off"),
        (zipped({}), "archive without a model in it; it holds nothing"),
        (zipped({"a.txt": b"some text that is long enough"}), "without a model in it; it holds 'a.txt'"),
        (
            zipped({"a": pickle.dumps([1] * 20), "b": pickle.dumps([2] * 20)}),
            r"2 files that may be models \('a', 'b'\)",
        ),
        (b"\x93NUMPY", "single numpy array"),
    ],
)
def test_what_is_no_model_is_named(tmp_path, content, says):
    with pytest.raises(Unreadable, match=says):
        read_bytes(tmp_path, content)


def test_a_missing_file_a_folder_and_a_device_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "none")
    with pytest.raises(OSError, match="directory"):
        read_file(tmp_path)
    if os.path.exists("/dev/zero"):
        with pytest.raises(Unreadable, match="no regular file"):
            read_file("/dev/zero")


def test_a_pickle_in_an_archive_is_read_whatever_its_name(tmp_path):
    content = zipped({"notes.txt": b"a text beside the model", "__MACOSX/._a": bytes(100), "a": pickle.dumps([1] * 20)})
    assert read_bytes(tmp_path, content) == [1] * 20


def test_archives_in_archives_end_somewhere(tmp_path):
    content = pickle.dumps([1] * 20)
    for _ in range(3):
        content = zipped({"a": content})
    assert read_bytes(tmp_path, content) == [1] * 20
    for _ in range(5):
        content = zipped({"a": content})
    with pytest.raises(Unreadable, match="files in files without end"):
        read_bytes(tmp_path, content)


def test_safetensors_come_back_with_their_text(tmp_path):
    named = {
        str(dtype): (torch.arange(6).reshape(2, 3) % 2).to(dtype)
        for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool)
    }
    named |= {"empty": torch.zeros(0, 3), "one": torch.tensor(2.0)}
    safetensors.torch.save_file(named, tmp_path / "a", metadata={"licence": "CC0"})
    read = read_file(tmp_path / "a")
    assert set(read) == set(named)
    for name, values in named.items():
        assert torch.equal(read[name], values)
        assert read[name].dtype == values.dtype
    assert metadata_of(tmp_path / "a") == {"licence": "CC0"}
    safetensors.torch.save_file(named, tmp_path / "b")
    assert metadata_of(tmp_path / "b") == {}
    (tmp_path / "c").write_bytes(pickle.dumps({}))
    assert metadata_of(tmp_path / "c") is None


def header(**entries) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (header(a={"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}) + bytes(7), "cut short: 'a'"),
        (header(a={"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}) + bytes(8), "but holds 2 numbers"),
        (header(a={"dtype": "F32", "shape": [1], "data_offsets": [0, 8]}) + bytes(8), "another size"),
        (header(a={"dtype": "F32", "shape": [10**12], "data_offsets": [0, 8]}) + bytes(8), "but holds 2 numbers"),
        (header(a={"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}) + bytes(8), "nowhere"),
        (header(a={"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}) + bytes(8), "nowhere"),
        (header(a={"dtype": "F32", "shape": 2, "data_offsets": [0, 8]}) + bytes(8), "not described in full"),
        (header(a={"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]}) + bytes(8), "not described in full"),
        (header(a={"dtype": "Q3", "shape": [2], "data_offsets": [0, 8]}) + bytes(8), "unknown kind 'Q3'"),
        (header(a=3) + bytes(8), "not described in full"),
        (struct.pack("<Q", 1000) + b'{"a": 1}', "header alone needs 1,000 bytes"),
        (struct.pack("<Q", 9) + b'{"a": 1]}', "header is no JSON"),
        (struct.pack("<Q", 100_006) + b'{"a":' + b"[" * 100_001, "header is no JSON"),
    ],
)
def test_damaged_safetensors_are_named(tmp_path, content, says):
    with pytest.raises(Unreadable, match=says):
        read_bytes(tmp_path, content)


@pytest.mark.parametrize("in_zip", [True, False, None])
def test_progress_rises_to_one(tmp_path, in_zip):
    named = {str(number): torch.zeros(10) for number in range(100)}
    if in_zip is None:
        (tmp_path / "a").write_bytes(pickle.dumps(named))
    else:
        torch.save(named, tmp_path / "a", _use_new_zipfile_serialization=in_zip)
    told: list[float] = []
    read_file(tmp_path / "a", progress=told.append)
    assert told == sorted(told)
    assert len(told) > 2
    assert told[-1] == 1


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"G": 1, "D": 2, "G_ema": 3}, "a dict with the keys 'G', 'D' and 'G_ema'"),
        ({"G": 1}, "a dict with the key 'G'"),
        (dict.fromkeys(range(10), 1), "a dict with the keys 0, 1, 2, 3, 4 and 5 more"),
        ({}, "an empty dict"),
        ({"a": torch.zeros(1)}, "1 tensor by name (a)"),
        (torch.zeros(2, 3), "a single tensor of shape (2, 3)"),
        (np.zeros(2), "a single array of shape (2,)"),
        (Record("os", "system", ("id",)), "an object of os.system"),
        (Record("a\nb\x1b[1m", "c"), "an object of a\\nb\\x1b[1m.c"),
        (Name("os", "system"), "the name os.system"),
        ([1], "a list of 1 value"),
        ("x" * 100, f"the text '{'x' * 40}…'"),
        (b"12", "a string of 2 bytes"),
        (None, "nothing (None)"),
        (3.5, "the number 3.5"),
    ],
)
def test_values_are_described_in_a_phrase(value, says):
    assert describe(value) == says


def test_settings_are_copied_as_json_takes_them():
    settings = {"a": (1, 2.5, None), 3: Record("dnnlib.util", "EasyDict", items={"b": [True, "c"]})}
    assert plain(settings) == {"a": [1, 2.5, None], "3": {"b": [True, "c"]}}
    looped: list = []
    looped.append(looped)
    doubled: list = []
    for _ in range(40):
        doubled = [doubled, doubled]
    for endless in (looped, doubled):
        with pytest.raises(Unreadable, match="without end"):
            plain(endless)
    with pytest.raises(Unreadable, match="an object of a.b among its settings"):
        plain({"x": Record("a", "b", (1,))})


def test_walking_meets_everything_once_and_ends_on_loops():
    looped: dict = {"a": [1, (2, Record("m", "n", state={"b": 3}))]}
    looped["self"] = looped
    found = list(walk(looped))
    assert {part for part in found if isinstance(part, int)} == {1, 2, 3}
    assert sum(part is looped for part in found) == 1


def test_containers_nested_without_end_are_refused():
    nested: list = []
    for _ in range(150):
        nested = [nested]
    assert read_pickle(pickle.dumps(nested)) == nested
    for content in (b"\x80\x04)" + b"\x85" * 300 + b".", b"\x80\x04" + b"]" * 300 + b"a" * 299 + b"."):
        with pytest.raises(Unreadable, match="nests containers more than 200 deep"):
            read_pickle(content)
    assert read_pickle(dump([[nested]]))
