"""Checkpoint files as people have them, all the way: one argument to a generator, a drag, and a converted file."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from nvidia_files import network_file, stored, stylegan2_file, taps_of, with_filters
from random_stylegan2 import small_stylegan2
from seeded import Reference
from test_nvidia_stylegan3 import stylegan3_reference
from test_rosinality import checkpoint, parts
from test_tensorflow import of, write

from draggan_widget import cli, drag, load_generator
from draggan_widget.models import StyleGAN2, save_generator
from draggan_widget.models.checkpoints.load import CheckpointError, find_checkpoint, read_checkpoint


def nvidia(path, name):
    settings, state, _ = stored(name)
    path.write_bytes(stylegan2_file(settings["init_kwargs"], state))


def only_averaged(path, name):
    settings, state, _ = stored(name)
    kwargs = settings["init_kwargs"]
    half = {key: tensor.half() for key, tensor in with_filters(state, taps_of(kwargs)).items()}
    path.write_bytes(network_file(kwargs, half, keys=("G_ema",)))


def stylegan3(path, name):
    settings, state, _ = stylegan3_reference(name)
    path.write_bytes(network_file(settings["init_kwargs"], state))


def state_dict(path, name):
    settings, state, _ = stored(name)
    torch.save(with_filters(state, taps_of(settings["init_kwargs"])), path)


def rosinality(path, name):
    torch.save(checkpoint(*parts(Reference(name))), path)


def tensorflow(path, name):
    write(path, of(Reference(name)), 2)


FILES = {
    "stylegan2-half": (nvidia, "stylegan2_half"),
    "stylegan2-classes": (nvidia, "stylegan2_classes"),
    "stylegan2-grey": (nvidia, "stylegan2_grey"),
    "stylegan2-rgba": (nvidia, "stylegan2_rgba"),
    "stylegan2-resnet": (nvidia, "stylegan2_resnet"),
    "stylegan2-orig": (nvidia, "stylegan2_orig"),
    "stylegan2-human": (nvidia, "stylegan2_human"),
    "stylegan2-averaged-half": (only_averaged, "stylegan2_shallow"),
    "stylegan2-state-dict": (state_dict, "stylegan2_shallow"),
    "stylegan3-t": (stylegan3, "stylegan3_t_classes_128"),
    "stylegan3-r": (stylegan3, "stylegan3_r_classes_rgba_64"),
    "stylegan3-human": (stylegan3, "stylegan3_human_r_64"),
    "rosinality": (rosinality, "rosinality_64"),
    "tensorflow": (tensorflow, "tensorflow_skip_128"),
    "tensorflow-classes": (tensorflow, "tensorflow_ada_classes_64"),
}


@pytest.fixture(params=FILES)
def file(request, tmp_path):
    """A file of each layout, whose name says nothing."""
    writer, name = FILES[request.param]
    path = tmp_path / "download"
    writer(path, name)
    return path


def picture(generator):
    label = 0 if generator.label_dim else None
    with torch.no_grad():
        return generator.synthesize(generator.mapping(seed=1, label=label))


def test_a_drag_ends_with_its_reason(file):
    told = []
    generator = load_generator(file, device="cpu", progress=told.append)
    assert not any(weight.requires_grad for weight in generator.parameters())
    assert all(weight.dtype == torch.float32 for weight in generator.parameters())
    height, width = generator.resolution
    ws = generator.mapping(seed=1, label=0 if generator.label_dim else None)
    result = drag(
        generator, ws, [(width * 0.5, height * 0.5)], [(width * 0.5 + 3, height * 0.5)],
        config=generator.drag_config.replace(learning_rate=0.02, max_steps=120),
    )  # fmt: skip
    assert result.reason in ("arrived", "stalled")
    assert result.steps > 0
    assert result.image.size == (width, height)
    assert told[-1] == 1
    assert told == sorted(told)


def test_a_converted_file_draws_the_same(file, tmp_path, capsys):
    out = tmp_path / "out.safetensors"
    assert cli.main(["convert", str(file), str(out)]) == 0
    assert "out.safetensors: stylegan" in capsys.readouterr().out
    before, after = load_generator(file, device="cpu"), load_generator(out, device="cpu")
    assert torch.equal(picture(before), picture(after))
    assert after.drag_config == before.drag_config
    assert read_checkpoint(out).notes == read_checkpoint(file).notes
    # What is there is not written over by accident.
    assert cli.main(["convert", str(file), str(out)]) == 1
    assert "give --force to write over it" in capsys.readouterr().err
    assert cli.main(["convert", "--force", "--half", str(file), str(out)]) == 0
    torch.testing.assert_close(picture(load_generator(out, device="cpu")), picture(before), rtol=0, atol=0.15)


def test_a_file_is_described_without_being_run(file, capsys):
    assert cli.main(["inspect", str(file)]) == 0
    told = capsys.readouterr().out
    generator = load_generator(file, device="cpu")
    height, width = generator.resolution
    assert f"{width} × {height} px" in told
    assert f"classes       {generator.label_dim or 'none'}" in " ".join(told.split("\n")) or "classes" in told
    assert cli.main(["inspect", "--json", str(file)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["family"] in ("stylegan2", "stylegan3")
    assert facts["parameters"] == sum(weight.numel() for weight in generator.parameters())


def test_the_weights_are_no_part_of_the_file_any_more(file):
    generator = load_generator(file, device="cpu")
    before = picture(generator)
    content = bytearray(file.read_bytes())
    content[len(content) // 4 :] = bytes(len(content) - len(content) // 4)
    with file.open("r+b") as stream:
        stream.write(content)
    assert torch.equal(picture(generator), before)


def test_a_command_says_what_is_wrong_instead_of_a_traceback(tmp_path, capsys):
    (tmp_path / "empty.pkl").touch()
    for arguments, says in {
        ("inspect", str(tmp_path / "none.pkl")): "neither a file nor a built-in name",
        ("inspect", str(tmp_path)): "is a folder; give a checkpoint file in it",
        ("inspect", str(tmp_path / "empty.pkl")): "is empty",
        ("convert", "faces", str(tmp_path / "faces.pt")): "should end in .safetensors",
        ("convert", "faces", str(tmp_path / "no" / "faces.safetensors")): "no folder",
    }.items():
        assert cli.main(arguments) == 1
        assert says in capsys.readouterr().err


def test_the_built_in_faces_are_described_by_name(capsys):
    assert cli.main(["inspect", "faces"]) == 0
    told = capsys.readouterr().out
    assert "256 × 256 px, RGB" in told
    assert "CC0-1.0" in told


def test_a_description_that_claims_huge_widths_costs_nothing(tmp_path):
    import safetensors.torch

    with find_checkpoint("faces").open("rb"):
        read = read_checkpoint(find_checkpoint("faces"))
    config = {**read.config, "channels": dict.fromkeys(read.config["channels"], 10**6)}
    header = {"format": 1, "family": "stylegan2", "config": config}
    path = tmp_path / "huge.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(3)}, path, metadata={"draggan_widget": json.dumps(header)})
    with pytest.raises(CheckpointError, match=r"huge\.safetensors does not fit its own description"):
        load_generator(path)


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    path = tmp_path / "private.pkl"
    path.write_bytes(np.zeros(4).tobytes())

    def refuse(*_arguments, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("draggan_widget.models.checkpoints.load.safetensors_metadata", refuse)
    with pytest.raises(CheckpointError, match=r"private\.pkl may not be read \(Permission denied\)"):
        load_generator(path)


MEASURE = """
import sys
from draggan_widget import load_generator

def own_bytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))

peak = 0

def told(share):
    global peak
    peak = max(peak, own_bytes())

import draggan_widget.models.checkpoints.load as checkpoints
whole = checkpoints.torch.nn.Module.load_state_dict
def watched(self, *given, **options):
    told(1)
    return whole(self, *given, **options)
checkpoints.torch.nn.Module.load_state_dict = watched
load_generator("faces", device="cpu")
before = peak = own_bytes()
generator = load_generator(sys.argv[1], device="cpu", progress=told)
told(1)
weights = sum(tensor.nbytes for tensor in generator.network.state_dict().values())
print((peak - before) / weights)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured by Linux's own figures")
@pytest.mark.parametrize("half", [False, True])
def test_loading_needs_about_one_copy_of_the_weights(half, tmp_path):
    widths = dict.fromkeys((4, 8, 16, 32), 384)
    state = StyleGAN2(32, channels=widths).network.state_dict()  # 53 MB
    kwargs = {"z_dim": 512, "c_dim": 0, "w_dim": 512, "img_resolution": 32, "img_channels": 3}
    state = {name: tensor.half() if half else tensor.clone() for name, tensor in state.items()}
    path = tmp_path / "network.pkl"
    path.write_bytes(network_file(kwargs, state, keys=("G_ema",)))
    # What is freed is given back at once, so that what is counted is what is in use, and not how it was laid out.
    at_once = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    command = [sys.executable, "-c", MEASURE, str(path)]
    measured = subprocess.run(command, capture_output=True, text=True, check=True, env=at_once)
    assert float(measured.stdout) < 1.4


def test_a_file_that_was_written_may_be_read_by_whom_the_user_lets_read(tmp_path):
    (tmp_path / "plain").touch()
    save_generator(tmp_path / "network.safetensors", small_stylegan2(8))
    assert (tmp_path / "network.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode
