"""LPIPS is measured where the package and AlexNet's weights are here, and nothing else goes by its name."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
import torch

from draggan_widget.inversion import Inversion, invert, lpips, lpips_at_hand


def quick(**settings):
    return Inversion(pivot_steps=2, tuning_steps=2, **settings)


GREY = np.full((64, 64, 3), 128, np.uint8)


@pytest.fixture
def weights(monkeypatch, tmp_path):
    """A package of that name, whose network is the mean difference, and a file where weights should be."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / lpips.ALEXNET).write_bytes(b"weights")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(lpips, "find_spec", lambda name: name)

    class LPIPS(torch.nn.Module):
        def __init__(self, net, verbose):
            assert (net, verbose) == ("alex", False)
            super().__init__()

        def forward(self, one, other):
            assert one.shape[1] == other.shape[1] == 3
            return (one - other).abs().mean().view(1, 1, 1, 1)

    monkeypatch.setitem(sys.modules, "lpips", types.SimpleNamespace(LPIPS=LPIPS))
    lpips._network.cache_clear()
    yield tmp_path
    lpips._network.cache_clear()


def test_it_is_reported_and_tuned_by_where_it_is_here(generator, weights):
    assert lpips_at_hand() is not None
    photo = invert(generator, GREY, square=(31.5, 31.5, 64), settings=quick(lpips=1.0))
    assert set(photo.report.lpips) == {"guess", "pivot", "tuned"}
    without = invert(generator, GREY, square=(31.5, 31.5, 64), settings=quick())
    assert any(not torch.equal(change, photo.tuned.changes[name]) for name, change in without.tuned.changes.items())
    (weights / "checkpoints" / lpips.ALEXNET).unlink()
    assert lpips_at_hand() is None


def test_without_its_weights_it_is_neither_reported_nor_replaced_and_asking_for_it_is_refused(generator, monkeypatch):
    monkeypatch.setattr(lpips, "find_spec", lambda name: None)
    photo = invert(generator, GREY, square=(31.5, 31.5, 64), settings=quick())
    assert photo.report.lpips == {}
    with pytest.raises(ValueError, match="LPIPS needs the packages lpips and torchvision, and .* nothing is fetched"):
        invert(generator, GREY, square=(31.5, 31.5, 64), settings=quick(lpips=0.5))
