"""The adversary of the last part of training: is this the render of this latent, or the generator's picture of it?

It sees the latent, so it can tell a fine picture of somebody else from the right one. It judges a picture as a whole,
and each of its patches of about 20 px (Isola et al. 2017), where hairs and skin are: of those a picture has thousands,
so they are learned within a few hundred steps. It is shown the picture and, enlarged, its finest details, for what
differs most between pictures, colours and places, says nothing of who made them. And it serves by its layers, as
features in which a picture is to match its own render (Salimans et al. 2016, here pair by pair). How much of it reaches
the generator is bounded by :func:`led_by`, so the supervised differences stay in charge: they alone would blur, the
adversary alone would drift.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from draggan_widget.models.stylegan2.network import LEAKY_SLOPE, unit_second_moment

STEEPER = 8.0
"""How much the mean verdict on patches counts in the penalty of slopes beside that on the picture."""
PATCHES = 64
"""The size of the features by which patches are judged; of smaller pictures, the first features."""
ENLARGED = 4.0
"""How much finest details are, as they are shown beside the picture."""
CHANNELS = {256: 16, 128: 32, 64: 64, 32: 96, 16: 128, 8: 160, 4: 160}


class Critic(nn.Module):
    """A residual network with a projection of the latent (Miyato & Koyama 2018)."""

    def __init__(self, size: int, z_dim: int, columns: int = 4) -> None:
        """For pictures ``size`` px high, a power of two from 8 to 256, and ``columns / 4`` times as wide."""
        super().__init__()
        sizes = [wide for wide in CHANNELS if wide <= size]
        self.size = size
        self.first = nn.Conv2d(6, CHANNELS[sizes[0]], 3, padding=1)
        steps = list(itertools.pairwise(sizes))
        self.inner = nn.ModuleList([nn.Conv2d(CHANNELS[a], CHANNELS[a], 3, padding=1) for a, _ in steps])
        self.outer = nn.ModuleList([nn.Conv2d(CHANNELS[a], CHANNELS[b], 3, padding=1) for a, b in steps])
        self.past = nn.ModuleList([nn.Conv2d(CHANNELS[a], CHANNELS[b], 1, bias=False) for a, b in steps])
        self.judged = max(0, sizes.index(PATCHES) - 1) if size > PATCHES else 0
        self.patch = nn.Conv2d(CHANNELS[steps[self.judged][1]], 1, 1)
        last = CHANNELS[sizes[-1]]
        self.code = nn.Linear(last * 4 * columns, last)
        self.verdict = nn.Linear(last, 1)
        self.latent = nn.Linear(z_dim, last, bias=False)
        for layer in (each for each in self.modules() if isinstance(each, nn.Conv2d | nn.Linear)):
            # By torch's own spread each layer halves what it sees, and after twenty nothing is left to be told apart.
            nn.init.kaiming_normal_(layer.weight, LEAKY_SLOPE)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        for head, spread in ((self.patch, 0.1), (self.verdict, 0.02), (self.latent, 0.02)):
            nn.init.normal_(head.weight, std=spread)

    def forward(self, pictures: Tensor, latents: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Verdicts (N,) and of patches (N, P), above 0 for a render, and features of each size.

        :param pictures: (N, 3, size, size · columns / 4) in [-1, 1].
        """
        coarse = F.interpolate(F.avg_pool2d(pictures, 2), scale_factor=2, mode="bilinear")
        shown = torch.cat([pictures, ENLARGED * (pictures - coarse)], dim=1)
        x = F.leaky_relu(self.first(shown), LEAKY_SLOPE)
        features = []
        for inner, outer, past in zip(self.inner, self.outer, self.past, strict=True):
            y = F.leaky_relu(inner(x), LEAKY_SLOPE)
            y = F.leaky_relu(outer(F.avg_pool2d(y, 2)), LEAKY_SLOPE)
            x = (y + past(F.avg_pool2d(x, 2))) * 0.7
            features.append(x)
        code = F.leaky_relu(self.code(x.flatten(1)), LEAKY_SLOPE)
        told = self.latent(unit_second_moment(latents)) / self.latent.in_features**0.5
        patches = self.patch(features[self.judged]).flatten(1).float()
        return (self.verdict(code)[:, 0] + (code * told).sum(1)).float(), patches, features


def critic_loss(critic: Critic, true: Tensor, made: Tensor, latents: Tensor) -> Tensor:
    """What the critic learns by: the logistic loss of both kinds of pictures (Goodfellow et al. 2014)."""
    *verdicts, _ = critic(torch.cat([true, made]), torch.cat([latents, latents]))
    halves = [each.chunk(2) for each in verdicts]
    return sum((F.softplus(-real).mean() + F.softplus(fake).mean() for real, fake in halves), torch.zeros(())) / 2


def gradient_penalty(critic: Critic, true: Tensor, latents: Tensor) -> Tensor:
    """The mean squared slope of verdicts on renders (R1, Mescheder et al. 2018), to be weighed by γ / 2."""
    true = true.detach().requires_grad_(True)
    whole, patches, _ = critic(true, latents)
    # A patch tells by few pixels what a picture tells by all of them, so it needs steeper slopes: the root of their
    # number for a divisor would forbid these, and the critic learned nothing.
    judged = whole.sum() + STEEPER * patches.mean(1).sum()
    (slope,) = torch.autograd.grad(judged, true, create_graph=True)
    return slope.square().sum((1, 2, 3)).mean()


def generator_loss(critic: Critic, true: Tensor, made: Tensor, latents: Tensor, matching: float) -> Tensor:
    """What the critic asks of the generator: a good verdict, and ``matching`` times the features of the same render."""
    with torch.no_grad():
        *_, wanted = critic(true, latents)
    whole, patches, features = critic(made, latents)
    loss = F.softplus(-whole).mean() + F.softplus(-patches).mean()
    for ours, theirs in zip(features, wanted, strict=True):
        # Over the spread of the render's features, so that every size counts alike; misses by a pixel are forgiven.
        ours, theirs = (F.avg_pool2d(side.float(), 2) for side in (ours, theirs))
        loss = loss + matching * (ours - theirs).abs().mean() / (theirs.std() + 1e-4) / len(features)
    return loss


def led_by(first: Tensor, second: Tensor, share: float) -> Tensor:
    """``first + second`` with the length of ``second`` bounded by ``share`` times that of ``first``.

    Both are gradients of the same pictures. Thus the first term has the last word however loud the second becomes.
    """
    length = second.norm()
    return first + second * torch.clamp(share * first.norm() / (length + 1e-12), max=1.0)
