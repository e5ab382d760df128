"""Files made to do harm, by name. Each would run code, or take memory or time without bound, in a careless reader."""

from __future__ import annotations

import struct
import zipfile
import zlib

from models.layouts import (
    Global,
    Object,
    array,
    dump,
    legacy_torch,
    persistent_object,
    pickled_storage,
    storage_id,
    tensor,
    zip_torch,
    zipped,
)

MARK = "attack-ran"
"""The file that a successful attack would make."""
TOUCH = f"touch {MARK}"
SOURCE = f"import os, antigravity\nos.system({TOUCH!r})\nopen({MARK!r}, 'w')\n"


def call(module: str, name: str, *arguments) -> Object:
    return Object(Global(module, name), arguments)


def calls() -> dict[str, Object]:
    """Calls that a reader must not make."""
    return {
        "os.system": call("os", "system", TOUCH),
        "posix.system": call("posix", "system", TOUCH),
        "eval": call("builtins", "eval", f"__import__('os').system({TOUCH!r})"),
        "eval of Python 2": call("__builtin__", "eval", f"__import__('os').system({TOUCH!r})"),
        "exec": call("builtins", "exec", SOURCE),
        "compile": call("builtins", "compile", SOURCE, "x", "exec"),
        "open": call("builtins", "open", MARK, "w"),
        "import": call("builtins", "__import__", "antigravity"),
        "import_module": call("importlib", "import_module", "antigravity"),
        "subprocess": call("subprocess", "Popen", ["touch", MARK]),
        "socket": call("socket", "create_connection", ("127.0.0.1", 9)),
        "ctypes": call("ctypes", "CDLL", "libc.so.6"),
        "runpy": call("runpy", "run_path", MARK),
        "pickle.loads": call("pickle", "loads", b"cos\nsystem\n(S'" + TOUCH.encode() + b"'\ntR."),
        "torch.load": call("torch.serialization", "load", MARK),
        "numpy.load": call("numpy", "load", MARK),
        "torch hub": call("torch.hub", "load", "a/b", "c"),
        "getattr": Object(call("builtins", "getattr", Global("os", "__dict__"), "get"), ("system",)),
        "attribute path": call("torch", "serialization.os.system", TOUCH),
        "operator": Object(call("operator", "attrgetter", "system"), (Global("os", ""),)),
        "partial": Object(call("functools", "partial", Global("os", "system"), TOUCH), ()),
        "map": call("builtins", "list", call("builtins", "map", Global("os", "system"), [TOUCH])),
        "a class that does not exist": Object(Global("antigravity", "Class"), (), state={"a": 1}, new=True),
        "setstate": Object(Global("torch.nn.modules.module", "Module"), (), state={"__class__": 1}, new=True),
        "unwanted tensor function": call("torch._utils", "_rebuild_sparse_tensor", 1, 2),
        "dtype evaluated": call("numpy.core.numerictypes", "sctype2char", SOURCE),
        "tensor subclass": call(
            "torch._tensor", "_rebuild_from_type_v2", Global("os", "system"), Global("os", "x"), (TOUCH,), {}
        ),
        "poisoned source": persistent_object("Generator", {"a": 1}, source=SOURCE),
        "poisoned source in poisoned source": persistent_object(
            "A", {"_modules": {"b": persistent_object("B", {}, source=SOURCE)}}, source=SOURCE
        ),
        "default factory": call("collections", "defaultdict", Global("os", "system"), {}),
        "array of a class": call("numpy.core.multiarray", "_reconstruct", Global("antigravity", "Array"), (0,), b"b"),
        "reconstructor": call("copyreg", "_reconstructor", Global("antigravity", "A"), Global("os", "x"), TOUCH),
        "encoding": call("_codecs", "encode", TOUCH, "antigravity"),
        "storage class": tensor(call("torch.storage", "UntypedStorage", 10**12), (1,)),
        "bytes": call("builtins", "bytearray", 10**12),
        "range": call("builtins", "list", call("builtins", "range", 10**12)),
    }


def bombs() -> dict[str, bytes]:
    """Files that claim much more than they hold."""
    many = 400_000
    zeros = zlib.compressobj(9, wbits=-15)
    packed = (zeros.compress(bytes(1 << 20)) + zeros.flush(zlib.Z_FULL_FLUSH)) * 300 + zeros.flush()
    return {
        "a memo of 2^32 entries": b"\x80\x04Nr\xff\xff\xff\xff.",
        "a memo that is never used": b"\x80\x04N" + b"\x94" * many + b".",
        "an integer of 2 GiB": b"\x80\x02\x8b\xff\xff\xff\x7f" + b"1" * 100 + b".",
        "a negative length": b"\x80\x02\x8b\xff\xff\xff\xff.",
        "a text of 2^64 bytes": b"\x80\x04\x8d" + b"\xff" * 8 + b"x.",
        "bytes of 2^40": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",
        "an integer of a million digits": b"I" + b"9" * 1_000_000 + b"\n.",
        "a wide text": b"\x80\x04X" + struct.pack("<I", 8_000_000) + "😀".encode() + b"a" * 7_999_996 + b".",
        "an array of 10^12": dump(array(b"\0" * 8, (10**12,))),
        "an array of 10^12 times nothing": dump(array(b"", (10**12, 0))),
        "a tensor of 10^12": dump(tensor(pickled_storage(bytes(24), 6), (10**12,))),
        "a tensor of 10^12 equal numbers": dump(tensor(pickled_storage(bytes(24), 6), (10**12,), (0,))),
        "a storage of 10^12": dump(tensor(pickled_storage(bytes(24), 10**12), (6,))),
        "a torch storage of 10^12": zip_torch(tensor(storage_id("0", 10**12), (10**12,)), {"0": bytes(24)}),
        "a legacy storage of 10^12": legacy_torch(storage_id("0", 10**12, legacy=True), {"0": (10**12, b"")}),
        "tensors all over one storage": dump(_same(lambda storage: tensor(storage, (100_000,)), 300)),
        "copies of one array": dump(_same(lambda content: array(content, (100_000,)), 300, bytes(400_000))),
        "copies of one text": _encodings(),
        "a zip bomb": _bomb(packed, 300 << 20),
        "archives in archives": _archives(),
        "storages in storages": _storages(),
        "lists in lists": b"\x80\x04" + b"]" * (many // 2 - 10) + b"a" * (many // 2 - 11) + b".",
        "tuples in tuples": b"\x80\x04)" + b"\x85" * (many - 10) + b".",
        "tuples as keys in tuples": b"\x80\x04}))\x86\x940"
        + b"".join(b"h%ch%c\x86\x940" % (i, i) for i in range(60))
        + b"h\x3cNs.",
        "marks without end": b"\x80\x04" + b"(" * many + b".",
        "a list of itself": b"\x80\x04]\x94h\x00a.",
        "a dict of itself": b"\x80\x04}\x94K\x01h\x00s.",
        "a record of itself": b"\x80\x04cantigravity\nA\n)\x81\x94h\x00b.",
        "a billion laughs": b"\x80\x04]\x94" + b"".join(b"](h%ch%ce\x94" % (i, i) for i in range(200)) + b".",
        "sets without end": b"\x80\x04(" + b"\x8f" * (many - 10) + b"l.",
        "records without end": b"\x80\x04cx\ny\n\x940)\x940(" + b"h\x00h\x01\x81" * (many // 3 - 10) + b"l.",
        "equal long keys": b"\x80\x04}C\x01x0"
        + (b"X" + struct.pack("<I", 100_000) + b"k" * 100_000 + b"Ns") * 50
        + b".",
        "names that leave the folder": zipped({"../../data.pkl": dump(1, 2), "/etc/passwd": b"x" * 100}),
        "two entries of one name": zipped({"a/data.pkl": dump(1, 2), "a/data.pk2": dump(2, 2)}).replace(b"pk2", b"pkl"),
        "a directory of a million entries": zipped({"a": b""})[:-12]
        + struct.pack("<HHIIH", 65535, 65535, 46, 30, 0)[:12],
    }


def _same(make, number: int, content=None) -> list[Object]:
    shared = pickled_storage(bytes(400_000), 100_000) if content is None else content
    return [make(shared) for _ in range(number)]


def _encodings() -> bytes:
    text = b"X" + struct.pack("<I", 1_000_000) + b"a" * 1_000_000
    return (
        b"\x80\x02c_codecs\nencode\nq\x000"
        + text
        + b"q\x010U\x06latin1q\x020("
        + b"h\x00h\x01h\x02\x86R" * 50_000
        + b"l."
    )


def _bomb(packed: bytes, size: int) -> bytes:
    """A zip archive with one entry ``a/data.pkl`` that is compressed already."""
    name = b"a/data.pkl"
    sizes = struct.pack("<IIIHH", 0, len(packed), size, len(name), 0)
    local = b"PK\x03\x04" + struct.pack("<HHHHH", 20, 0, 8, 0, 0) + sizes + name + packed
    entry = b"PK\x01\x02" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 0) + sizes + struct.pack("<HHHII", 0, 0, 0, 0, 0)
    directory = entry + name
    return local + directory + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(directory), len(local), 0)


def _archives() -> bytes:
    content = dump([1] * 20)
    for _ in range(50):
        content = zipped({"a": content}, zipfile.ZIP_STORED)
    return content


def _storages() -> bytes:
    """A pickled storage, in whose torch file is a pickled storage, and so on, with an attack at the end."""
    inner: object = call("os", "system", TOUCH)
    for _ in range(8):
        inner = call("torch.storage", "_load_from_bytes", legacy_torch(inner, {}))
    return dump(inner)


def attack_files() -> dict[str, bytes]:
    """All of them, the calls in every layout that can hold a pickle."""
    files = bombs()
    for name, attack in calls().items():
        files[f"{name}, plain"] = dump({"G_ema": attack})
        files[f"{name}, protocol 2"] = dump(attack, 2)
        files[f"{name}, torch"] = zip_torch({"g_ema": attack}, {})
        files[f"{name}, legacy"] = legacy_torch({"g_ema": attack}, {})
        inner = legacy_torch(attack, {})
        files[f"{name}, within a storage"] = dump(tensor(call("torch.storage", "_load_from_bytes", inner), (1,)))
        files[f"{name}, as a key"] = b"\x80\x04}" + dump(attack)[2:-1] + b"Ns."
        files[f"{name}, wrapped"] = zipped({"model.pkl": dump({"G_ema": attack})})
    for name in ("os", "antigravity"):
        files[f"instance of {name}, protocol 0"] = f"(S'{TOUCH}'\ni{name}\nsystem\n.".encode()
        files[f"object of {name}, protocol 1"] = f"(c{name}\nsystem\nS'{TOUCH}'\no.".encode()
        files[f"state for {name}"] = f"c{name}\nsystem\n(S'{TOUCH}'\ntR}}S'a'\nK\x01sb.".encode()
    return files
