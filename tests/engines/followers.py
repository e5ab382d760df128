"""Trackers with weights that a test makes: RAFT's random ones, a stand-in for a checkout of PIPs."""

from __future__ import annotations

import torch

from draggan_widget.engines.trackers.raft import RaftNetwork

PIPS = """
import torch
import utils.basic
from torch import nn
from utils.basic import brightness

class Pips(nn.Module):
    '''Of the interface of the published one: follows the brightest place.'''
    def __init__(self, S=8, stride=8):
        super().__init__()
        self.frames, self.gain = S, nn.Parameter(torch.zeros(1))
    def forward(self, xys, rgbs, coords_init=None, feat_init=None, iters=3, trajs_g=None, vis_g=None, valids=None,
                sw=None, return_feat=False, is_train=False):
        total_loss = torch.tensor(0.0).cuda()  # as the published one does, whatever there is
        assert rgbs.shape[:3] == (1, self.frames, 3) and rgbs.shape[-1] % 8 == 0 and rgbs.max() > 1
        light = utils.basic.brightness(rgbs)
        assert light.equal(brightness(rgbs))
        rows, columns = torch.arange(light.shape[1]).float(), torch.arange(light.shape[2]).float()
        x = (light.sum(1) * columns).sum(1) / light.sum((1, 2))
        y = (light.sum(2) * rows).sum(1) / light.sum((1, 2))
        way = torch.stack([x, y], dim=1)
        moved = xys[0][None] + self.gain * (way - way[:1])[:, None]
        return [moved[None]] * iters, [moved[None]] * (iters + 1), torch.ones(1, self.frames, xys.shape[1]), None
"""
BASIC = """
def brightness(rgbs):
    return (rgbs[0].mean(dim=1) / 255) ** 8
"""


def raft_weights(path, small=True, seed=0):
    """A file of random weights of RAFT, in the format of torchvision."""
    torch.manual_seed(seed)
    torch.save(RaftNetwork(small).state_dict(), path)
    return path


def pips_program(folder):
    """A checkout with a network of the interface of PIPs, and with its packages."""
    for package, module, text in (("nets", "pips", PIPS), ("utils", "basic", BASIC)):
        (folder / package).mkdir(parents=True)
        (folder / package / f"{module}.py").write_text(text)
    return folder


def pips_checkout(folder):
    """The same, and its weights."""
    torch.save({"model_state_dict": {"gain": torch.ones(1)}}, pips_program(folder) / "model.pth")
    return folder, folder / "model.pth"
