"""Find the units of a generator that paint a fault, and silence them (Bau et al., *GAN Dissection*, ICLR 2019).

    python examples/generators/faces/dissect.py WEIGHTS --at 149 77
    python examples/generators/faces/dissect.py WEIGHTS --silence b32.conv1:126 b32.conv1:188 --out FILE

A fault that training has put into every picture, on one side only, is in the picture of the mean latent too. ``--at``
names a place of it in pixels, and lists the units (channels of a layer) that do something there which they do not do at
the mirrored place. ``--silence`` writes weights in which units say everywhere what they say in the middle of what they
say in samples: the weights of their convolution are zero, and their bias says it. All other weights stay as they are.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import beside  # noqa: F401  for what is shared
import torch
from remake import header_of
from torch import Tensor, nn

from draggan_widget import load_generator
from draggan_widget.models import StyleGAN2, save_generator
from draggan_widget.models.checkpoints.load import HEADER, OWN
from draggan_widget.models.stylegan2.network import LEAKY_GAIN, LEAKY_SLOPE

SAMPLES, TRUNCATION = 24, 0.7
SHOWN = 6
"""Units of a layer that are listed."""


def layers_of(model: StyleGAN2) -> Iterator[tuple[str, nn.Module]]:
    """Yield the convolutions of a generator that have maps, by names such as ``b32.conv1``."""
    for name, block in model.network["synthesis"].items():
        yield from ((f"{name}.{inner}", layer) for inner, layer in block.named_children() if inner.startswith("conv"))


@torch.no_grad()
def maps_of(model: StyleGAN2, ws: list[Tensor]) -> dict[str, Tensor]:
    """Return what the layers say of latents (1, num_ws, w_dim), maps (N, C, h, w), by name."""
    said: dict[str, list[Tensor]] = {}
    hooks = [
        layer.register_forward_hook(lambda _, __, out, name=name: said.setdefault(name, []).append(out))
        for name, layer in layers_of(model)
    ]
    try:
        for each in ws:
            model.synthesize(each)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: torch.cat(maps) for name, maps in said.items()}


def suspects(maps: Tensor, at: tuple[float, float], width: int) -> list[tuple[int, float]]:
    """Return units and by how many of their standard deviations they exceed the mirrored place, the largest first.

    :param maps: of one latent (1, C, h, w). :param at: the place (x, y) in pixels of a picture so wide.
    """
    scale, reach = maps.shape[-1] / width, max(1, maps.shape[-1] // 48)
    x, y = (int(value * scale) for value in at)

    def around(maps: Tensor) -> Tensor:
        rows, columns = slice(max(0, y - reach), y + reach + 1), slice(max(0, x - reach), x + reach + 1)
        return maps[0, :, rows, columns].mean((1, 2))

    apart = (around(maps) - around(maps.flip(-1))) / (maps[0].std((1, 2)) + 1e-3)
    order = apart.abs().argsort(descending=True)[:SHOWN]
    return [(int(unit), float(apart[unit])) for unit in order]


@torch.no_grad()
def silence(model: StyleGAN2, units: list[tuple[str, int]]) -> None:
    """Have units say the same everywhere, in place: the median of what they say in samples."""
    samples = [model.mapping(seed=seed, truncation=TRUNCATION) for seed in range(SAMPLES)]
    said, layers = maps_of(model, samples), dict(layers_of(model))
    for name, unit in units:
        median = said[name][:, unit].flatten(1).median(1).values.median()
        layers[name].weight[unit] = 0
        layers[name].bias[unit] = median / LEAKY_GAIN / (1 if median >= 0 else LEAKY_SLOPE)


def unit_of(text: str) -> tuple[str, int]:
    """Read ``b32.conv1:126``."""
    layer, _, number = text.partition(":")
    if not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} names no unit; give a layer and a number, such as b32.conv1:126")
    return layer, int(number)


def notes_of(path: Path) -> dict[str, str]:
    """Return what a file of weights says of itself besides its network."""
    told = json.loads(header_of(path)[HEADER])
    return {name: value for name, value in told.items() if name not in OWN and isinstance(value, str)}


def main() -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="a file that make.py wrote")
    parser.add_argument("--at", type=float, nargs=2, metavar=("X", "Y"), help="a place of the mean picture, in pixels")
    parser.add_argument("--silence", type=unit_of, nargs="+", metavar="LAYER:UNIT", help="units to be silenced")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the weights with silenced units go")
    options = parser.parse_args()
    if (options.silence is None) == (options.at is None) or (options.silence is None) != (options.out is None):
        parser.error("give either --at X Y, or --silence with --out")
    model = load_generator(options.weights, device="cpu")
    if not isinstance(model, StyleGAN2):
        parser.error(f"{options.weights} is no StyleGAN2, whose units alone are known")
    if options.at is not None:
        for name, maps in maps_of(model, [model.mapping(seed=0, truncation=0.0)]).items():
            found = suspects(maps, tuple(options.at), model.resolution[1])
            print(f"{name}: " + ", ".join(f"{unit} ({apart:+.1f})" for unit, apart in found))
        return 0
    channels = {name: len(layer.bias) for name, layer in layers_of(model)}
    if wrong := [f"{name}:{unit}" for name, unit in options.silence if unit >= channels.get(name, 0)]:
        print(f"there is no unit {', '.join(wrong)}; layers are {', '.join(channels)}", file=sys.stderr)
        return 1
    silence(model, options.silence)
    save_generator(options.out, model, half=True, **notes_of(options.weights))
    options.out.chmod(0o644)
    print(f"{options.out}: {len(options.silence)} units silenced")
    return 0


if __name__ == "__main__":
    sys.exit(main())
