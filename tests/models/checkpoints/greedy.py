"""Models that choose how much memory or time a reader needs, and files that change while they are read.

``python greedy.py files FOLDER`` loads every file in the folder; ``python greedy.py changes FOLDER`` loads files of
every layout while they are cut short or copied over. Both print what happened as JSON.
"""

from __future__ import annotations

import json
import resource
import struct
import sys
import time
import zlib
from pathlib import Path

import safetensors.torch
import torch
from models.layouts import Global, Object, array, dump, legacy_torch, storage_id, tensor, zip_torch, zipped
from nvidia_files import easy, network_file, persistent, with_filters

from draggan_widget import load_generator
from draggan_widget.models import CheckpointError, StyleGAN2, save_generator
from draggan_widget.models.checkpoints import budget

GUARD = 8 << 30
"""Bytes of addresses beyond those of the beginning, past which memory is refused: the machine's is for others too."""
MANY = 1 << 18
SPARSE = 8 << 30
"""Bytes that a file of a few claims to have."""


def state_dict(changes: dict, *, layers: int = 2) -> dict:
    """A StyleGAN2 of 8 px with latents of one number, and with other weights in its mapping network."""
    small = StyleGAN2(8, z_dim=1, w_dim=1, channels={4: 1, 8: 1}, mapping_layers=layers).network.state_dict()
    state = {name: weight.clone() for name, weight in small.items() if name != "mapping.w_avg"}
    return {**state, **{f"mapping.{name}": weight for name, weight in changes.items()}}


def shared_entries(number: int, length: int, *, misaligned: bool) -> bytes:
    """A torch file whose directory has ``number`` storages, all of them the same bytes of the archive."""
    tensors = [tensor(storage_id(str(key), length // 4), (1,)) for key in range(number)]
    written = [b"archive/data.pkl", b"archive/data/0" + b"0" * misaligned]
    contents = [dump(tensors, 2), bytes(length)]
    local, places = b"", []
    for name, content in zip(written, contents, strict=True):
        places.append(len(local))
        head = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0, zlib.crc32(content), len(content), len(content), len(name), 0)
        local += b"PK\x03\x04" + head + name + content
    entries = [(b"archive/data.pkl", 0)] + [(b"archive/data/%d" % key, 1) for key in range(number)]
    directory = b""
    for name, which in entries:
        size = len(contents[which])
        fixed = struct.pack("<HHHHHHIIIHHHHHII", 20, 20, 0, 0, 0, 0, zlib.crc32(contents[which]), size, size,
                            len(name), 0, 0, 0, 0, 0, places[which])  # fmt: skip
        directory += b"PK\x01\x02" + fixed + name
    end = struct.pack("<HHHHIIH", 0, 0, len(entries), len(entries), len(directory), len(local), 0)
    return local + directory + b"PK\x05\x06" + end


def views(number: int, length: int) -> list:
    """Tensors that each take the bytes of one storage for floats."""
    storage = storage_id("0", length, "UntypedStorage")
    order = Object(Global("collections", "OrderedDict"))
    return [
        Object(
            Global("torch._utils", "_rebuild_tensor_v3"),
            (storage, 0, (2,), (1,), False, order, Global("torch", "float32"), {}),
        )
        for _ in range(number)
    ]


def own_file(path: Path, description: dict, tensors: dict | None = None) -> None:
    """A safetensors file with a description of our own."""
    weights = {"a": torch.zeros(3)} if tensors is None else tensors
    safetensors.torch.save_file(weights, path, metadata={"draggan_widget": json.dumps(description)})


def raw_header(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def tensorflow(variables: object, settings: object) -> bytes:
    state = {"variables": variables, "static_kwargs": settings, "components": {}, "build_func_name": "G_main"}
    network = Object(Global("dnnlib.tflib.network", "Network"), (), state=state, new=True)
    return dump((network, network, network), 2)


def laughs(depth: int = 40) -> tuple:
    value: tuple = ("ha",) * 8
    for _ in range(depth):
        value = (value,) * 8
    return value


def tower(name: str, deep: int, wide: int) -> Object:
    """Modules within modules, all of them of endless names, which many tensors share."""
    weight = torch.nn.Parameter(torch.zeros(1), requires_grad=False)
    own = {f"{name}{index}": weight for index in range(wide)}
    state = {"_parameters": own, "_buffers": {}, "_modules": {}}
    for _ in range(deep):
        state = {"_parameters": {}, "_buffers": {}, "_modules": {name: persistent(state)}}
    return persistent(state)


def write_greedy_files(folder: Path) -> None:
    """All of them, each under a name that says what it does."""
    for name, state in {
        "a latent of 2^20": state_dict({"fc0.weight": torch.zeros(1, 1 << 20)}),
        "a latent of 2^20 to a single layer": state_dict({"fc0.weight": torch.zeros(1, 1 << 20)}, layers=1),
        "a hidden width of 2^18": state_dict(
            {"fc0.weight": torch.zeros(MANY, 1), "fc0.bias": torch.zeros(MANY), "fc1.weight": torch.zeros(1, MANY)}
        ),
        "classes of 2^18": state_dict(
            {
                "embed.weight": torch.zeros(1, MANY),
                "embed.bias": torch.zeros(1),
                "fc0.weight": torch.zeros(1, 2),
            }
        ),
    }.items():
        torch.save(state, folder / name)
    (folder / "400 entries on one").write_bytes(shared_entries(400, 4 << 20, misaligned=False))
    (folder / "400 misaligned entries on one").write_bytes(shared_entries(400, 4 << 20, misaligned=True))
    for pad in range(4):
        misaligned = zip_torch(views(500, 4 << 20), {"0": bytes(4 << 20)}, pad=pad)
        (folder / f"500 views, {pad} bytes before").write_bytes(misaligned)
        (folder / f"500 views in an archive, {pad} bytes before").write_bytes(zipped({"model.pt": misaligned}))
    legacy = legacy_torch(
        [tensor(storage_id("0", 4 << 20, "ByteStorage", view=(str(key), 1, 4 << 19), legacy=True), (1,))
         for key in range(500)], {"0": (4 << 20, bytes(4 << 20))},
    )  # fmt: skip
    (folder / "500 parts of one storage").write_bytes(legacy)
    ranges = {str(key): {"dtype": "BOOL", "shape": [4 << 20], "data_offsets": [0, 4 << 20]} for key in range(400)}
    (folder / "400 tensors on one").write_bytes(raw_header(json.dumps(ranges).encode()) + bytes(4 << 20))
    for name, start in {
        "an endless line": b"(lp0\nS'",
        "an endless text line": b"(lp0\nV",
        "a text of 2 GB": b"\x80\x04X" + struct.pack("<I", (1 << 31) - 1),
        "a string of 2 GB": b"\x80\x02T" + struct.pack("<I", (1 << 31) - 1),
        "bytes of 7 GB": b"\x80\x04\x8e" + struct.pack("<Q", 7 << 30),
    }.items():
        (folder / name).write_bytes(start)
        with (folder / name).open("r+b") as file:
            file.truncate(SPARSE)
    with (folder / "a directory of 8 GB").open("wb") as file:
        file.write(zipped({"a": b""})[:30])
        file.seek(SPARSE)
        wide = struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, SPARSE - 100, 50)
        file.write(b"PK\x06\x06" + wide + b"PK\x06\x07" + struct.pack("<IQI", 0, SPARSE, 1))
        file.write(b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, 0, 0, 0))
    (folder / "a header of 32 MB").write_bytes(
        raw_header(b'{"a":[' + b"[]," * ((32 << 20) // 3 - 10) + b"[]]}" + b" " * 9)
    )
    (folder / "a header of 4 MB").write_bytes(raw_header(b'{"a":[' + b"[]," * ((4 << 20) // 3 - 10) + b"[]]}"))
    (folder / "a deep header").write_bytes(raw_header(b'{"a":' + b"[" * 90_000 + b"]" * 90_000 + b"}"))
    settings = {"resolution": 8, "architecture": ["long" * 250_000] * 90_000}
    names = [("4x4/Conv/mod_weight", array(bytes(4), (1,)))]
    (folder / "a setting of texts").write_bytes(tensorflow(names, settings))
    (folder / "a variable named by laughter").write_bytes(tensorflow([(laughs(), 1), *names], {"resolution": 8}))
    (folder / "modules of endless names").write_bytes(dump({"G_ema": tower("n" * 980, 11, 15_000)}))
    grown = {
        "z_dim": 4, "c_dim": 0, "w_dim": 4, "img_resolution": 2048, "img_channels": 3, "num_layers": 2,
        "num_critical": 1, "first_cutoff": 1.0, "first_stopband": 1.5, "filter_size": 64, "lrelu_upsampling": 8,
    }  # fmt: skip
    state = {"synthesis.input.weight": torch.zeros(4, 4), "mapping.fc0.weight": torch.zeros(4, 4)}
    (folder / "filters of a million taps").write_bytes(network_file(grown, state))
    wide = StyleGAN2(1024, z_dim=1, w_dim=1, mapping_layers=1, use_noise=False, architecture="orig",
                     channels={**{4 << step: 1 for step in range(8)}, 1024: 400})  # fmt: skip
    save_generator(folder / "maps of a gigabyte and more", wide, half=True)
    own_file(folder / "a name of 3 MB", {"format": 1, "family": "n" * 3_000_000, "config": {}})
    own_file(
        folder / "an argument of 3 MB",
        {"format": 1, "family": "stylegan2", "config": {"channels": {}, "n" * 3_000_000: 1}},
    )
    torch.save({"g_ema": {"input.input" + "\x1b[31m" * 4_000_000: torch.zeros(1)}}, folder / "a tensor's name of 20 MB")
    escapes = with_filters(state_dict({}))
    escapes["synthesis.b4.conv1.\x1b]0;owned\x07\udc80" + "n" * 800] = torch.zeros(1)
    (folder / "a tensor's name that speaks to the terminal").write_bytes(
        legacy_torch({name: tensor(storage_id(str(key), weight.numel(), legacy=True), tuple(weight.shape))
                      for key, (name, weight) in enumerate(escapes.items())},
                     {str(key): (weight.numel(), weight.float().numpy().tobytes())
                      for key, weight in enumerate(escapes.values())})
    )  # fmt: skip
    (folder / "a class's name that speaks to the terminal").write_bytes(
        dump(Object(Global("os\n", "system\r\x1b[2J"), (easy({}),), new=True))
    )


def peak() -> int:
    """The most memory that this process ever had; what it was started by does not count."""
    if sys.platform == "linux":
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def guarded() -> None:
    """Refuse this process memory beyond the guard."""
    if sys.platform == "linux":
        with open("/proc/self/statm") as file:
            there = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (there + GUARD, there + GUARD))


def load_all(folder: Path) -> dict[str, dict]:
    """What became of each file."""
    happened = {}
    for path in sorted(folder.iterdir()):
        before, start = peak(), time.process_time()
        try:
            load_generator(path, device="cpu")
            says = "loaded"
        except CheckpointError as error:
            says = str(error)
        except BaseException as error:
            says = f"FAILED {type(error).__name__}: {error}"[:300]
        happened[path.name] = {
            "says": says, "seconds": time.process_time() - start, "bytes": peak() - before,
        }  # fmt: skip
        print(path.name, happened[path.name], file=sys.stderr, flush=True)
    return happened


def change_all(folder: Path) -> dict[str, str]:
    """What becomes of files that are changed when their reading has begun."""
    small = StyleGAN2(64, z_dim=64, w_dim=64, channels=dict.fromkeys((4, 8, 16, 32, 64), 64), mapping_layers=2)
    state = {name: weight.clone() for name, weight in small.network.state_dict().items()}
    kwargs = {"z_dim": 64, "c_dim": 0, "w_dim": 64, "img_resolution": 64, "img_channels": 3}
    plain, wanted = Path.write_bytes, budget.Budget.spend_steps
    torch.save(state, folder / "zip.pt")
    torch.save(state, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    plain(folder / "nvidia.pkl", network_file(kwargs, state, keys=("G_ema",)))
    save_generator(folder / "own.safetensors", small)
    happened = {}
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        changes = {
            "cut to a half": content[: len(content) // 2],
            "cut to nothing": b"",
            "copied over": bytes(len(content)),
        }
        for change, instead in changes.items():
            plain(path, content)
            calls = 0

            def change_in_time(self, number, path=path, instead=instead, **_):
                nonlocal calls
                calls += 1
                if calls == 12:
                    with path.open("r+b") as file:
                        file.truncate(len(instead))
                        file.write(instead)
                wanted(self, number)

            budget.Budget.spend_steps = change_in_time
            try:
                load_generator(path, device="cpu")
                says = "loaded"
            except CheckpointError as error:
                says = str(error)
            except BaseException as error:
                says = f"FAILED {type(error).__name__}: {error}"[:300]
            finally:
                budget.Budget.spend_steps = wanted
            happened[f"{path.name}, {change}"] = says
    return happened


if __name__ == "__main__":
    guarded()
    torch.set_num_threads(1)
    load_generator("faces", device="cpu")
    act = {"files": load_all, "changes": change_all}[sys.argv[1]]
    start = peak()
    print(json.dumps({"happened": act(Path(sys.argv[2])), "before": start, "peak": peak()}))
