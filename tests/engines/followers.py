"""Trackers with weights that a test makes: RAFT's random ones, a stand-in for a checkout of PIPs."""

from __future__ import annotations

import sys

import torch

from draggan_widget.engines.trackers.raft import RaftNetwork

PIPS = """
import torch
from torch import nn

class Pips(nn.Module):
    '''Of the interface of the published one: follows the brightest place.'''
    def __init__(self, S=8, stride=8):
        super().__init__()
        self.frames, self.gain = S, nn.Parameter(torch.zeros(1))
    def forward(self, xys, rgbs, iters=3):
        assert rgbs.shape[:3] == (1, self.frames, 3) and rgbs.shape[-1] % 8 == 0 and rgbs.max() > 1
        light = (rgbs[0].mean(dim=1) / 255) ** 8
        rows, columns = torch.arange(light.shape[1]).float(), torch.arange(light.shape[2]).float()
        x = (light.sum(1) * columns).sum(1) / light.sum((1, 2))
        y = (light.sum(2) * rows).sum(1) / light.sum((1, 2))
        way = torch.stack([x, y], dim=1)
        moved = xys[0][None] + self.gain * (way - way[:1])[:, None]
        return [moved[None]] * iters, None, None, None
"""


def raft_weights(path, small=True, seed=0):
    """A file of random weights of RAFT, in the format of torchvision."""
    torch.manual_seed(seed)
    torch.save(RaftNetwork(small).state_dict(), path)
    return path


def pips_checkout(folder):
    """A checkout with a network of the interface of PIPs, and its weights."""
    for name in ("nets", "nets.pips"):
        sys.modules.pop(name, None)
    (folder / "nets").mkdir(parents=True)
    (folder / "nets" / "pips.py").write_text(PIPS)
    torch.save({"model_state_dict": {"gain": torch.ones(1)}}, folder / "model.pth")
    return folder, folder / "model.pth"
