"""RAFT, from a file of weights in torchvision's format to the places of handles."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch
from followers import raft_weights
from planted import Planted

from draggan_widget import Editor
from draggan_widget.engines import Natural, bind
from draggan_widget.engines.trackers import bringing, learned, make
from draggan_widget.engines.trackers.raft import RaftNetwork, all_pairs, enlarged, looked_up

SMALL, BIG = 444724157, 1270731652
"""Checksums of the names and shapes of the weights of torchvision 0.28."""
FLOW = {"small": [[43.5874, -0.5715], [24.5711, 6.9667]], "large": [[5.4688, 19.6509], [11.8892, 18.9615]]}
"""What torchvision 0.28 finds by ``drawn_weights`` at two places: its flow there, (x, y) in pixels."""


def drawn_weights(size):
    """Weights in torchvision's format that are the same with any version of torch, and leave no layer out."""
    rng = np.random.default_rng(0)
    drawn = {}
    for name, tensor in sorted(RaftNetwork(size == "small").state_dict().items()):
        if name.endswith("running_var"):
            values = rng.uniform(0.5, 2, tuple(tensor.shape))
        else:
            fan = max(1, tensor[0].numel()) if tensor.ndim > 1 else 25
            values = rng.normal(size=tuple(tensor.shape)) * 0.7 / fan**0.5
        drawn[name] = torch.from_numpy(np.asarray(values)).to(tensor.dtype)
    return drawn


@pytest.fixture(autouse=True)
def nothing_brought(monkeypatch, tmp_path):
    """No weights of this machine's."""
    monkeypatch.setattr(bringing, "_brought", {})
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for names in bringing.VARIABLES.values():
        for name in names:
            monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_file_in_the_format_of_torchvision_gives_the_flow_of_torchvision(size, tmp_path):
    torch.save(drawn_weights(size), path := tmp_path / "weights.pth")
    model = Planted((128, 144))
    tracker = make(f"raft:{path}")
    first, second = model.mapping(seed=1), model.mapping(seed=1) + 0.5
    places = np.array([[64.25, 60.0], [20.0, 100.5]])
    tracker.begin(model, first, places)
    found = tracker.track(model, second)
    assert np.abs(FLOW[size]).max() > 0.5, "this compares nothing"
    np.testing.assert_allclose(found, places + FLOW[size], atol=2e-3)


@pytest.mark.parametrize(("small", "weights", "names"), [(True, 990_162, SMALL), (False, 5_257_536, BIG)])
def test_its_weights_have_the_names_and_shapes_of_torchvisions(small, weights, names):
    network = RaftNetwork(small)
    assert sum(each.numel() for each in network.parameters()) == weights
    told = sorted((name, tuple(tensor.shape)) for name, tensor in network.state_dict().items())
    assert zlib.crc32(repr(told).encode()) == names


def test_places_are_compared_with_all_others_at_four_sizes():
    torch.manual_seed(0)
    first, second = torch.randn(1, 5, 16, 24), torch.randn(1, 5, 16, 24)
    levels = all_pairs(first, second)
    assert [tuple(level.shape[2:]) for level in levels] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    y, x = 3, 7
    plain = (first[0, :, y, x, None, None] * second[0]).sum(dim=0) / 5**0.5
    torch.testing.assert_close(levels[0][y * 24 + x, 0], plain)
    torch.testing.assert_close(levels[2][y * 24 + x, 0, 1, 2], plain[4:8, 8:12].mean())


def test_around_a_place_is_read_column_by_column_and_nothing_beyond_the_map():
    alike = torch.arange(16 * 24, dtype=torch.float).view(1, 1, 16, 24).repeat(16 * 24, 1, 1, 1)
    places = torch.tensor([5.0, 9.0]).view(1, 2, 1, 1).expand(1, 2, 16, 24)
    found = looked_up([alike], places, 1)[0, :, 0, 0]
    torch.testing.assert_close(
        found, torch.tensor([24.0 * (9 + dy) + 5 + dx for dx in (-1, 0, 1) for dy in (-1, 0, 1)])
    )
    corner = looked_up([alike], 0 * places, 1)[0, :, 0, 0].view(3, 3)
    torch.testing.assert_close(corner[0], torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(corner[:, 0], torch.zeros(3), atol=1e-4, rtol=0)


def test_flow_is_enlarged_as_a_mixture_of_the_cells_around():
    flow = torch.zeros(1, 2, 16, 16)
    flow[0, :, 4, 6] = torch.tensor([1.0, -2.0])
    alone = torch.full((1, 9, 64, 16, 16), -100.0)
    alone[:, 4] = 100  # only the cell itself
    found = enlarged(flow, alone.view(1, 576, 16, 16))
    assert found[0, :, 32:40, 48:56].amin(dim=(1, 2)).tolist() == [8, -16]
    assert found.abs().sum() == 64 * (8 + 16)
    even = enlarged(flow, torch.zeros(1, 576, 16, 16))
    torch.testing.assert_close(even[0, 0, 24:48, 40:64], torch.full((24, 24), 8 / 9))


@pytest.mark.parametrize("small", [True, False], ids=["small", "large"])
def test_a_file_of_either_size_goes_from_the_settings_of_an_editor_to_a_file_and_back(small, tmp_path):
    bringing.bring(raft=raft_weights(tmp_path / "weights.pth", small))
    model = Planted((128, 128))
    editor = Editor(model, seed=1, config=Natural())
    editor.points = [{"handle": [64, 64], "target": [72, 60]}]
    editor.tracker = "raft"
    editor.step_once()
    editor.save(path := tmp_path / "pulled.drag")
    editor.step_once()
    there, handles = editor.latent, editor.points
    editor.close()
    again = Editor.load(path, model=model)
    assert (again.tracker, again.step) == ("raft", 1)
    again.step_once()
    assert (again.latent == there).all()
    assert again.points == handles
    again.close()


def test_weights_are_found_where_they_were_said_to_be_or_where_torchvision_keeps_them(tmp_path, monkeypatch):
    with pytest.raises(
        FileNotFoundError,
        match=r"^the tracker raft needs its file of weights: bring\(raft=FILE\), or name it in the environment as "
        "DRAGGAN_WIDGET_RAFT$",
    ):
        make("raft")
    kept = tmp_path / "torch" / "hub" / "checkpoints"
    kept.mkdir(parents=True)
    raft_weights(kept / bringing.FILES[0])
    assert bringing.brought("raft") == (str(kept / bringing.FILES[0]),)
    monkeypatch.setenv("DRAGGAN_WIDGET_RAFT", "somewhere.pth")
    assert bringing.brought("raft") == ("somewhere.pth",)
    bringing.bring(raft=kept / bringing.FILES[0])
    make("raft")
    with pytest.raises(FileNotFoundError, match="^there is nothing at .*gone.pth; give the files of raft"):
        bringing.bring(raft=tmp_path / "gone.pth")
    with pytest.raises(ValueError, match="PIPs needs two paths"):
        bringing.bring(pips=("one",))


def test_a_file_that_is_replaced_is_read_anew_and_otherwise_once(tmp_path):
    path = raft_weights(tmp_path / "weights.pth")
    first = make(f"raft:{path}")._network
    assert make(f"raft:{path}")._network is first
    raft_weights(path, small=False)
    assert make(f"raft:{path}")._network is not first
    learned._raft.cache_clear()


def damaged(path):
    """What a file of weights could be instead, and what is said of it."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    yield "does not hold weights of RAFT: .+"
    path.write_bytes(b"")
    yield "does not hold weights of RAFT: .+"
    torch.save({"weight": torch.zeros(3)}, path)
    yield "does not hold weights of RAFT: .+"
    torch.save([1, 2], path)
    yield "does not hold weights of RAFT: .+"
    state = RaftNetwork(small=True).state_dict()
    torch.save({**state, "feature_encoder.conv.weight": torch.zeros(3)}, path)
    yield "does not hold weights of RAFT: .+"
    torch.save({**RaftNetwork(small=False).state_dict(), "update_block.flow_head.conv2.bias": torch.zeros(5)}, path)
    yield "does not hold weights of RAFT: .+"


def test_weights_that_are_missing_truncated_or_of_another_network_are_refused_in_a_sentence(tmp_path):
    path = raft_weights(tmp_path / "weights.pth")
    for said in damaged(path):
        with pytest.raises(ValueError, match=said) as refused:
            make(f"raft:{path}")
        assert "\n" not in str(refused.value)
    with pytest.raises(FileNotFoundError, match="^no weights of RAFT at .*gone.pth$"):
        make(f"raft:{tmp_path / 'gone.pth'}")


def test_pictures_that_are_too_small_for_it_are_refused_in_a_sentence(tmp_path):
    bringing.bring(raft=raft_weights(tmp_path / "weights.pth"))
    with pytest.raises(
        ValueError,
        match="^tracker is raft: RAFT needs pictures of at least 128 pixels each way, and these have 64×96; track by "
        "features or flow$",
    ):
        bind(Planted((64, 96)), Natural(tracker="raft"))
