from __future__ import annotations

import collections
import copy
import pickle

import numpy as np
import pytest
import torch
from models.layouts import Global, Object, array, dump, persistent_object, pickled_storage, pickled_tensor, tensor

from draggan_widget.models.checkpoints import Name, Record, Unreadable, read_file, read_pickle

PROTOCOLS = range(6)


class Settings(dict):
    """As dnnlib's EasyDict: a dict that is a class of its own."""


class Slotted:
    __slots__ = ("a",)

    def __init__(self):
        self.a = 3


def every_container():
    shared = [1]
    return {
        "numbers": [0, -1, 255, 256, 65536, 2**31, -(2**40), 10**30, 1.5, -0.0, float("inf"), True, False, None],
        "texts": ["", "a", "é", "→", "line\nbreak \\ ' \" \x00", "x" * 70_000],
        "bytes": [b"", b"\x00\xff", b"y" * 300],
        "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
        "sets": [{1, 2}, frozenset(["a"])],
        "dicts": [{}, {(1, "a"): 2}, collections.OrderedDict(b=1, a=2), collections.defaultdict(list, c=[3])],
        "shared": [shared, shared],
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_values_come_back_from_every_protocol(protocol):
    value = every_container()
    read = read_pickle(pickle.dumps(value, protocol))
    assert read == value
    assert read["shared"][0] is read["shared"][1]
    assert type(read["dicts"][2]) is dict


def test_the_keys_of_an_ordered_dict_of_python_2_come_back():
    pairs = Object(Global("collections", "OrderedDict"), ([["b", 1], ["a", 2]],))
    assert list(read_pickle(dump(pairs, python2=True)).items()) == [("b", 1), ("a", 2)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "code", ["f2", "<f4", ">f4", "f8", ">f8", "i1", ">i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]
)
def test_arrays_of_every_type_and_byte_order_come_back(protocol, code):
    values = (np.arange(24).reshape(2, 3, 4) % 5).astype(code)
    for written in (values, values.T, values[:, ::2], values[:0], values[0, 0, 0], np.asfortranarray(values)):
        read = read_pickle(pickle.dumps({"a": np.asarray(written)}, protocol))["a"]
        np.testing.assert_array_equal(read, written)
        assert read.dtype == np.asarray(written).dtype.newbyteorder("=")
        torch.from_numpy(read)  # aligned, writable, in this machine's order


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scalars_of_numpy_become_numbers_of_python(protocol):
    read = read_pickle(pickle.dumps([np.float32(2.5), np.int64(-3), np.bool_(True)], protocol))
    assert read == [2.5, -3, True]
    assert [type(number) for number in read] == [float, int, bool]


def test_an_array_stays_one_array_wherever_it_is_mentioned():
    values = np.arange(3.0)
    first, second = read_pickle(pickle.dumps([values, values]))
    assert first is second


@pytest.mark.parametrize("python2", [False, True])
def test_large_arrays_come_back_from_bytes_and_from_texts(tmp_path, python2):
    values = np.random.RandomState(0).randn(100, 300).astype(np.float32)
    (tmp_path / "a.pkl").write_bytes(dump({"a": values}, 2, python2=python2))
    np.testing.assert_array_equal(read_file(tmp_path / "a.pkl")["a"], values)


def test_texts_of_python_2_are_read_as_latin_1():
    read = read_pickle(dump({"name": "Gs", "umlaut": "\xfc", "path": ["a", b"b\xff"]}, python2=True))
    assert read == {"name": "Gs", "umlaut": "\xfc", "path": ["a", "b\xff"]}


def test_an_old_pickle_that_looks_like_a_text_is_read(tmp_path):
    (tmp_path / "a").write_bytes(b"(S'a text'\nS'another one'\nl.")
    assert read_file(tmp_path / "a") == ["a text", "another one"]


def test_escapes_of_protocol_0_are_undone_without_evaluating_anything():
    assert read_pickle(rb"S'a\x41\101\n\\\'\q__import__(1)'" + b"\np0\n.") == "aAA\n\\'q__import__(1)"
    assert read_pickle(b'S"it\'s"\n.') == "it's"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool]
)
def test_tensors_in_plain_pickles_come_back_with_shared_storages(protocol, dtype):
    whole = (torch.arange(24).reshape(4, 6) % 7).to(dtype)
    written = {
        "whole": whole,
        "columns": whole.T,
        "parameter": torch.nn.Parameter(torch.ones(2, 3)),
        "empty": whole[:0],
    }
    read = read_pickle(pickle.dumps(written, protocol))
    for name, values in written.items():
        assert torch.equal(read[name], values)
        assert type(read[name]) is torch.Tensor
        assert not read[name].requires_grad
        assert read[name].dtype == values.dtype


def test_one_storage_mentioned_twice_is_shared():
    storage = pickled_storage(np.arange(6, dtype=np.float32).tobytes(), 6)
    first, second = read_pickle(dump([tensor(storage, (6,)), tensor(storage, (2, 2), (3, 1), 1)]))
    assert torch.equal(second, torch.tensor([[1.0, 2.0], [4.0, 5.0]]))
    first[1] = 9
    assert second[0, 0] == 9


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_module_becomes_records_with_its_dict_as_state(protocol):
    module = torch.nn.Sequential(torch.nn.Linear(3, 4))
    read = read_pickle(pickle.dumps(module, protocol))
    assert isinstance(read, Record)
    assert (read.module, read.name) == ("torch.nn.modules.container", "Sequential")
    linear = read.state["_modules"]["0"]
    assert torch.equal(linear.state["_parameters"]["weight"], module[0].weight)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_subclass_of_dict_becomes_a_record_with_items(protocol):
    read = read_pickle(pickle.dumps(Settings(a=1, b=Settings()), protocol))
    assert isinstance(read, Record)
    assert read.name == "Settings"
    assert read.items["a"] == 1
    assert read.items["b"].items == {}


@pytest.mark.parametrize("protocol", range(2, 6))
def test_objects_with_slots_and_functions_become_records_and_names(protocol):
    slotted, function = read_pickle(pickle.dumps([Slotted(), copy.deepcopy], protocol))
    assert (slotted.name, slotted.state) == ("Slotted", (None, {"a": 3}))
    assert function == Name("copy", "deepcopy")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_persistent_object_is_a_record_of_its_meta_data(protocol):
    weight = torch.randn(2, 3)
    network = persistent_object("Generator", {"_parameters": {"weight": pickled_tensor(weight)}})
    read = read_pickle(dump({"G_ema": network}, protocol))["G_ema"]
    assert read.name == "_reconstruct_persistent_obj"
    (meta,) = read.args
    assert meta.items["class_name"] == "Generator"
    assert torch.equal(meta.items["state"]["_parameters"]["weight"], weight)


@pytest.mark.parametrize("opcode", [b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00", b"\x97"])
def test_what_only_the_writing_program_could_fill_in_is_refused(opcode):
    with pytest.raises(Unreadable, match="without the program that wrote it"):
        read_pickle(b"\x80\x05" + opcode + b".")


def test_newer_protocols_are_named():
    with pytest.raises(Unreadable, match="protocol 6; those up to 5"):
        read_pickle(b"\x80\x06N.")


def test_arrays_of_text_and_dates_stay_records_beside_what_can_be_read():
    read = read_pickle(pickle.dumps({"names": np.array(["a"]), "day": np.datetime64("2020-01-01"), "n": 1}))
    assert isinstance(read["names"], Record)
    assert isinstance(read["day"], Record)
    assert read["n"] == 1


@pytest.mark.parametrize(
    "values", [np.array([None, 1], dtype=object), np.zeros(2, dtype=[("a", "f4"), ("b", "i4")]), np.zeros(2, "V8")]
)
def test_arrays_that_could_hold_objects_are_refused(values):
    with pytest.raises(Unreadable, match="array of objects or records"):
        read_pickle(pickle.dumps(values))


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (array(b"\0" * 8, (3,)), "shape 3 with 4 bytes an element, but holds 8 bytes"),
        (array(b"", (10**12,)), "shape 1,000,000,000,000 with 4 bytes"),
        (array(b"", (10**12, 10**12, 0)), "impossible shape"),
        (array(b"", (-1,)), "impossible shape -1"),
        (array(b"", ("3",)), "impossible shape"),
        (array(b"", (True,)), "impossible shape"),
        (array(b"", 5), "without a shape"),
        (array(b"\0" * 4, (1,), order="q"), "unknown byte order 'q'"),
        (array(5, (1,)), "content is a int"),
    ],
)
def test_arrays_that_claim_what_is_not_there_are_refused(written, says):
    with pytest.raises(Unreadable, match=says):
        read_pickle(dump(written))


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "says"),
    [
        ((7,), (1,), 0, "shape 7, but holds 6 numbers"),
        ((6,), (1,), 1, "but holds 6 numbers"),
        ((2, 3), (4, 1), 0, "but holds 6 numbers"),
        ((10**12,), (1,), 0, "1,000,000,000,000, but holds 6 numbers"),
        ((10**6,), (0,), 0, "1,000,000, but holds 6 numbers"),
        ((2,), (-1,), 1, "impossible strides"),
        ((2,), (1,), -1, "impossible strides"),
        ((2,), (1, 1), 0, "strides do not fit"),
        ((2,), (2**70,), 0, "impossible strides"),
        ((2**62, 0), (1, 1), 0, "impossible shape"),
        ((2.0,), (1,), 0, "impossible shape"),
    ],
)
def test_tensors_that_reach_beyond_their_storage_are_refused(shape, strides, offset, says):
    written = tensor(pickled_storage(bytes(24), 6), shape, strides, offset)
    with pytest.raises(Unreadable, match=says):
        read_pickle(dump(written))


def test_the_value_of_other_bytes_than_0_and_1_in_bools_is_true():
    written = tensor(pickled_storage(b"\x00\x02\xff", 3, "BoolStorage"), (3,))
    assert read_pickle(dump(written)).tolist() == [False, True, True]
    assert read_pickle(dump(array(b"\x00\x02\xff", (3,), "b1", "|"))).tolist() == [False, True, True]


@pytest.mark.parametrize("key", [[1], {}, {1}, b"x" * 2000, 2**70, ((1,),), np.zeros(2)])
def test_keys_that_are_costly_to_compare_are_refused(key):
    written = b"\x80\x04}" + dump(key)[2:-1] + b"Ns."
    with pytest.raises(Unreadable):
        read_pickle(written)


def test_a_value_may_hold_itself():
    written: list = [1]
    written.append({"self": written})
    read = read_pickle(pickle.dumps(written))
    assert read[1]["self"] is read
