from __future__ import annotations

import struct
import zipfile

import numpy as np
import pytest
import torch
from models.layouts import (
    Global,
    Object,
    dump,
    legacy_torch,
    pickled_storage,
    storage_id,
    tensor,
    zip_torch,
    zipped,
)

from draggan_widget.models.checkpoints import Record, Unreadable, read_file, read_pickle

DTYPES = [
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.complex64,
]  # fmt: skip
SIX = np.arange(6, dtype="<f4").tobytes()


def some_state_dict() -> dict[str, torch.Tensor]:
    named = {str(dtype): (torch.arange(12).reshape(3, 4) % 2).to(dtype) for dtype in DTYPES}
    whole = torch.randn(5, 6)
    return {**named, "whole": whole, "part": whole[1:3, ::2], "turned": whole.T, "empty": whole[:0], "one": whole[0, 0]}


def read_bytes(tmp_path, content: bytes):
    (tmp_path / "file").write_bytes(content)
    return read_file(tmp_path / "file")


@pytest.mark.parametrize("in_zip", [True, False])
@pytest.mark.parametrize("protocol", [2, 4])
def test_what_torch_saves_comes_back(tmp_path, in_zip, protocol):
    named = some_state_dict()
    written = {"g_ema": named, "step": 3, "optimiser": {"state": {0: {"exp_avg": named["whole"]}}}}
    torch.save(written, tmp_path / "a", _use_new_zipfile_serialization=in_zip, pickle_protocol=protocol)
    read = read_file(tmp_path / "a")
    assert read["step"] == 3
    for name, values in named.items():
        assert torch.equal(read["g_ema"][name], values)
        assert read["g_ema"][name].dtype == values.dtype
    read["g_ema"]["whole"][1, 0] = 7
    assert read["g_ema"]["part"][0, 0] == 7
    assert read["g_ema"]["turned"][0, 1] == 7


@pytest.mark.parametrize("in_zip", [True, False])
def test_parameters_and_modules_that_torch_saves_come_back_as_tensors_and_records(tmp_path, in_zip):
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).half()
    torch.save([module, module.state_dict(), module[0].weight], tmp_path / "a", _use_new_zipfile_serialization=in_zip)
    record, named, weight = read_file(tmp_path / "a")
    assert isinstance(record, Record)
    assert list(named) == list(module.state_dict())
    assert type(weight) is torch.Tensor
    assert torch.equal(record.state["_modules"]["0"].state["_parameters"]["weight"], module[0].weight)


@pytest.mark.parametrize("in_zip", [True, False])
def test_a_parameter_with_attributes_of_its_own_is_a_plain_tensor(tmp_path, in_zip):
    weight = torch.nn.Parameter(torch.ones(2))
    weight.lr_multiplier = 0.01
    torch.save([weight], tmp_path / "a", _use_new_zipfile_serialization=in_zip)
    assert torch.equal(read_file(tmp_path / "a")[0], torch.ones(2))


def test_tensors_are_read_whether_or_not_they_are_aligned_in_the_file(tmp_path):
    for pad in range(1, 9):
        value = {"a": tensor(storage_id("0", 6), (2, 3))}
        read = read_bytes(tmp_path, zip_torch(value, {"0": SIX}, pad=pad))["a"]
        assert torch.equal(read, torch.arange(6.0).reshape(2, 3))
        assert read.data_ptr() % 4 == 0


def test_changing_a_tensor_does_not_change_the_file(tmp_path):
    torch.save({"a": torch.zeros(1000)}, tmp_path / "a")
    before = (tmp_path / "a").read_bytes()
    read_file(tmp_path / "a")["a"].fill_(1)
    assert (tmp_path / "a").read_bytes() == before


def test_files_of_machines_with_the_other_byte_order_are_read(tmp_path):
    swapped = np.arange(6, dtype=">f4").tobytes()
    value = {"a": tensor(storage_id("0", 6), (6,))}
    assert torch.equal(read_bytes(tmp_path, zip_torch(value, {"0": swapped}, byteorder="big"))["a"], torch.arange(6.0))
    value = {"a": tensor(storage_id("0", 6, legacy=True), (6,))}
    written = legacy_torch(value, {"0": (6, swapped)}, little_endian=False)
    assert torch.equal(read_bytes(tmp_path, written)["a"], torch.arange(6.0))


def test_parts_of_storages_as_torch_wrote_them_before_0_4_are_read(tmp_path):
    part = storage_id("0", 6, view=("1", 2, 3), legacy=True)
    read = read_bytes(tmp_path, legacy_torch([tensor(part, (3,))], {"0": (6, SIX)}))
    assert read[0].tolist() == [2.0, 3.0, 4.0]
    beyond = storage_id("0", 6, view=("1", 4, 3), legacy=True)
    with pytest.raises(Unreadable, match="reaches beyond it"):
        read_bytes(tmp_path, legacy_torch([tensor(beyond, (3,))], {"0": (6, SIX)}))


def test_compressed_and_wrapped_torch_files_are_read(tmp_path):
    value = {"a": tensor(storage_id("0", 6), (6,))}
    deflated = zip_torch(value, {"0": SIX}, method=zipfile.ZIP_DEFLATED)
    for content in (deflated, zipped({"readme.txt": b"A model of ours", "models/a.bin": deflated})):
        assert torch.equal(read_bytes(tmp_path, content)["a"], torch.arange(6.0))


def test_storages_in_pickles_may_be_of_the_zip_layout_too():
    inner = zip_torch(storage_id("0", 6), {"0": SIX})
    storage = Object(Global("torch.storage", "_load_from_bytes"), (inner,))
    assert read_pickle(dump(tensor(storage, (6,)))).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("value", "storages", "says"),
    [
        (storage_id("0", 10**12), {"0": SIX}, "1,000,000,000,000 numbers, but holds 24 bytes"),
        (storage_id("0", 7), {"0": SIX}, "7 numbers, but holds 24 bytes"),
        (storage_id("0", -1), {"0": SIX}, "no name or no size"),
        (storage_id("0", "6"), {"0": SIX}, "no name or no size"),
        (storage_id("1", 6), {"0": SIX}, "without the storage '1'"),
        (storage_id("../../etc/passwd", 6), {"0": SIX}, "without the storage"),
        (storage_id("0", 6, "QInt8Storage"), {"0": SIX}, "unknown kind 'torch.QInt8Storage'"),
        (tensor(storage_id("0", 6), (10**12,)), {"0": SIX}, "1,000,000,000,000, but holds 6"),
        (tensor(None, (6,)), {"0": SIX}, "tensor without a storage"),
    ],
)
def test_claims_that_a_torch_file_does_not_hold_are_refused(tmp_path, value, storages, says):
    with pytest.raises(Unreadable, match=says):
        read_bytes(tmp_path, zip_torch([value], storages))


@pytest.mark.parametrize(
    ("count", "content", "says"),
    [
        (6, SIX[:-1], "breaks off within its storage"),
        (5, SIX, "breaks off within its storage"),
        (10**12, SIX, "claims storages of 4,000,000,000,000 bytes"),
    ],
)
def test_claims_that_a_legacy_file_does_not_hold_are_refused(tmp_path, count, content, says):
    value = tensor(storage_id("0", count if count > 6 else 6, legacy=True), (6,))
    with pytest.raises(Unreadable, match=says):
        read_bytes(tmp_path, legacy_torch(value, {"0": (count, content)}))


def test_a_legacy_file_must_hold_the_storages_that_it_mentions_and_no_others(tmp_path):
    value = tensor(storage_id("0", 6, legacy=True), (6,))
    with pytest.raises(Unreadable, match="without the bytes of 1 of its storages"):
        read_bytes(tmp_path, legacy_torch(value, {}))
    with pytest.raises(Unreadable, match="storage 'b' that it does not mention"):
        read_bytes(tmp_path, legacy_torch(value, {"0": (6, SIX), "b": (6, SIX)}))


def test_many_tensors_of_one_storage_are_refused_when_together_they_are_far_more_than_the_file():
    storage = pickled_storage(bytes(400_000), 100_000)
    few, many = ([tensor(storage, (100_000,)) for _ in range(number)] for number in (3, 30))
    assert len(read_pickle(dump(few))) == 3
    with pytest.raises(Unreadable, match="more bytes of tensors than the file can hold"):
        read_pickle(dump(many))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torch_script_is_named(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "a")
    with pytest.raises(Unreadable, match="TorchScript program"):
        read_file(tmp_path / "a")


@pytest.mark.parametrize("in_zip", [True, False])
def test_a_torch_file_cut_anywhere_says_so(tmp_path, in_zip):
    torch.save(some_state_dict(), tmp_path / "a", _use_new_zipfile_serialization=in_zip)
    whole = (tmp_path / "a").read_bytes()
    for length in range(20, len(whole) - 1, 97):
        with pytest.raises(Unreadable, match="get it again|breaks off|cut short|damaged"):
            read_bytes(tmp_path, whole[:length])


def test_entries_named_twice_are_refused(tmp_path):
    content = zipped({"archive/data.pkl": dump(1, 2), "archive/data.pk2": dump(2, 2)})
    with pytest.raises(Unreadable, match="two entries named 'archive/data.pkl'"):
        read_bytes(tmp_path, content.replace(b"data.pk2", b"data.pkl"))


def test_an_archive_with_wide_sizes_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        archive.writestr("first", b"12345")
        with archive.open("archive/data.pkl", "w", force_zip64=True) as entry:
            entry.write(dump({"a": 1}, 2))
    assert read_file(tmp_path / "a") == {"a": 1}


def wide(content: bytes) -> bytes:
    """A zip archive with its sizes and offsets in fields of zip64, as for 4 GiB and more."""
    name = b"archive/data.pkl"
    local = b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", 45, 0, 0, 0, 0, 0, len(content), len(content), len(name), 0)
    data = local + name + content
    extra = struct.pack("<HHQQQ", 1, 24, len(content), len(content), 0)
    full = 0xFFFFFFFF
    entry = struct.pack("<HHHHHHIIIHHHHHII", 45, 45, 0, 0, 0, 0, 0, full, full, len(name), len(extra), 0, 0, 0, 0, full)
    directory = b"PK\x01\x02" + entry + name + extra
    end = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, len(directory), len(data))
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, len(data) + len(directory), 1)
    return data + directory + end + locator + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, full, full, 0)


def test_an_archive_as_large_files_have_it_is_read(tmp_path):
    assert read_bytes(tmp_path, wide(dump({"a": 1}, 2))) == {"a": 1}
