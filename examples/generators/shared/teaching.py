"""Teaches a mapping what its latents will look like, before anything is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from pairs import Pairs, as_tensor
from torch import Tensor

from draggan_widget.models.stylegan2.network import (
    LEAKY_GAIN,
    LEAKY_SLOPE,
    FullyConnected,
    StyleGAN2,
    unit_second_moment,
)

OFFSET = 4.0
"""Added to every number of ``w``, whose spread is about 1."""


def principal_targets(pairs: Pairs, most: int = 24_000, components: int = 128) -> tuple[Tensor, Tensor]:
    """Latents (N, z_dim) and what their pictures are in few numbers (N, K): principal components of views of them.

    Components are scaled to the root of their own spread, so that the small ones, such as an open mouth, have a say.
    What the recipe tells besides, such as where joints are, comes after them, each number with the spread of the
    largest component.
    """
    recipe = pairs.recipe
    views: list[list[Tensor]] = []
    told, latents = [], []
    for part, (pictures, z) in list(pairs.parts.items())[: most // recipe.part]:
        views.append(list(recipe.views(as_tensor(pictures))))
        latents.append(torch.from_numpy(z))
        if recipe.told:
            told.append(torch.from_numpy(pairs.told(part)))
    targets = []
    for view in zip(*views):
        flat = torch.cat(view)
        flat -= flat.mean(0)
        _, axes = torch.linalg.eigh(flat.T @ flat / len(flat))
        scores = flat @ axes[:, -components:]
        spread = scores.std(0)
        targets.append(scores / (spread * spread.max()).sqrt())
    if told:
        flat = torch.cat(told)
        targets.append((flat - flat.mean(0)) / flat.std(0).clamp(min=1e-3))
    return torch.cat(latents)[recipe.held_out :], torch.cat(targets, 1)[recipe.held_out :]


def teach_mapping(generator: StyleGAN2, pairs: Pairs, batch: int = 512) -> None:
    """Give the mapping a ``w`` that says plainly what will be seen, before anything is drawn.

    All layers but the last learn to predict the principal components of the picture through a linear reader, which
    then becomes the last layer; beside it the numbers of the latent themselves are handed through, for what is too
    small to show among the components. The rest of the network only has to draw; left to itself, the mapping learns
    last, through everything else. And since all numbers of ``w`` mean something and have comparable spread, small
    moves of ``w`` are small, meaningful moves of the picture.
    """
    latents, targets = principal_targets(pairs)
    steps = min(9000, 3 * len(latents) // 8)  # of few pictures, more would learn the pictures and not the faces
    z_dim, codes = generator.z_dim, targets.shape[1]
    layers = torch.nn.ModuleList(
        [FullyConnected(z_dim, codes)]
        + [FullyConnected(codes, codes) for _ in range(pairs.recipe.network["mapping_layers"] - 2)]
    )
    reader = torch.nn.Linear(codes, codes)

    def hidden(z: Tensor) -> Tensor:
        x = unit_second_moment(z)
        for layer in layers:
            x = F.leaky_relu(layer(x), LEAKY_SLOPE) * LEAKY_GAIN
        return x

    optimiser = torch.optim.Adam([*layers.parameters(), *reader.parameters()], betas=(0.9, 0.99))
    order = torch.Generator().manual_seed(0)
    train, test = slice(512, None), slice(0, 512)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 1.5e-2 * (0.02 + 0.98 * (1 + math.cos(math.pi * step / steps)) / 2)
        rows = torch.randint(len(latents) - 512, (batch,), generator=order)
        x = hidden(latents[train][rows])
        loss = F.mse_loss(reader(x), targets[train][rows]) + 0.01 * (x.square().mean() - 1).square()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 1000 == 0 or step == steps - 1:
            with torch.no_grad():
                missed = F.mse_loss(reader(hidden(latents[test])), targets[test]) / targets[test].var(0).mean()
            print(f"mapping: step {step}, {float(missed):.3f} of the spread not explained", flush=True)
    with torch.no_grad():
        seen = reader(hidden(latents))
        scale = seen.std(0).clamp(min=1e-3).rsqrt()
        scale /= (seen * scale).var(0).mean().sqrt()
        last = FullyConnected(codes, codes)
        last.weight.copy_(reader.weight * scale[:, None] / (LEAKY_GAIN * last.weight_gain))
        last.bias.copy_((reader.bias * scale + OFFSET) / (LEAKY_GAIN * last.bias_gain))
        install_mapping(generator, [*layers, last])
        mapping = generator.network["mapping"]
        mapping.w_avg.copy_(torch.cat([mapping(chunk, None) for chunk in latents.split(2000)]).mean(0))


@torch.no_grad()
def install_mapping(generator: StyleGAN2, layers: Sequence[FullyConnected]) -> None:
    """Put a narrower mapping into the generator's, and beside it hand the normalised latent through.

    Every layer has an activation; ``OFFSET`` keeps nearly all arguments of those handing through positive, hence
    straight. The last of ``layers`` is to keep its own so too.
    """
    mapping, extra = generator.network["mapping"], torch.eye(generator.z_dim)
    for index, layer in enumerate(layers):
        into = mapping.get_submodule(f"fc{index}")
        rows, columns = layer.weight.shape
        first = index == 0
        into.weight.zero_()
        into.bias.zero_()
        into.weight[:rows, :columns] = layer.weight * layer.weight_gain / into.weight_gain
        into.bias[:rows] = layer.bias * layer.bias_gain / into.bias_gain
        beside = slice(0 if first else columns, None)
        into.weight[rows:, beside] = extra / (LEAKY_GAIN * into.weight_gain)
        into.bias[rows:] = OFFSET / (LEAKY_GAIN * into.bias_gain) if first else 0.0
