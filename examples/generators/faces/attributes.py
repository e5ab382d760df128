"""Measure in pictures what each attribute of a generator does, and note which are worth a slider.

    python examples/generators/faces/attributes.py faces --out DIR [--pictures 6000] [--samples 100] [--basis FILE]
                                                   [--minutes 30] [--write]

A small network is trained on renders of the generator's edition alone, to read the 80 numbers off a picture. Then each
attribute is moved by +1 and -1 σ on samples, and the generator's pictures are read. An attribute qualifies if the
network reads it well (R² of at least 0.5 on renders that it has not seen), if it moves the right way in 95 % of the
pictures, and if the others move by less than a quarter of it on average. ``--write`` notes that in the file of
attributes beside the weights, with the fingerprint of these. What was done stays in DIR: run again to go on.

``--adopt`` measures nothing: it notes that weights trained anew have the same attributes, and that nothing is known of
what these do in pictures.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from dataset import FACES
from measure import edition_of
from pairs import DatasetMaker, finished_parts, part_file, part_latents
from reading import as_input, roughened
from scene import LATENT
from torch import Tensor, nn

from draggan_widget import load_generator
from draggan_widget.directions import Directions
from draggan_widget.models import fingerprint, mapping_fingerprint

FILE = Path(__file__).parents[3] / "draggan_widget/models/builtin/faces_attributes.json"
SIDE = 128
"""Pixels of the pictures that are read."""
FURTHEST = 2.6
"""σ beyond which nothing is drawn."""
WIDTHS = (32, 48, 96, 160, 224)
BATCH = 32
READABLE, RIGHT, OTHERS = 0.5, 0.95, 0.25
SEED = 4000


def read_attributes(latents: np.ndarray) -> np.ndarray:
    """What the renderer makes of latents ``(n, 80)``: at unit mean square, and within its range."""
    return np.clip(latents / np.sqrt(np.square(latents).mean(1, keepdims=True) + 1e-8), -FURTHEST, FURTHEST)


class Measurer(nn.Module):
    """Pictures ``(n, 3, 128, 128)`` in [-1, 1] → the 80 attributes in σ ``(n, 80)``."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((3, *WIDTHS[:-1]), WIDTHS, strict=True):
            layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Sequential(
            nn.Linear(WIDTHS[-1] * (SIDE // 2 ** len(WIDTHS)) ** 2, 384), nn.ReLU(), nn.Dropout(0.2)
        )
        self.out = nn.Linear(384, len(LATENT))

    def forward(self, pictures: Tensor) -> Tensor:
        """See the class."""
        return self.out(self.head(self.body(pictures)))


def halved(pictures: np.ndarray) -> np.ndarray:
    """Pictures ``(n, 256, 256, 3)`` uint8 at half the side, each pixel the mean of four."""
    n, height, width, channels = pictures.shape
    mean = pictures.reshape(n, height // 2, 2, width // 2, 2, channels).astype(np.uint16).sum((2, 4))
    return ((mean + 2) // 4).astype(np.uint8)


def train(folder: Path, minutes: float) -> tuple[Measurer, np.ndarray]:
    """The network, trained on all parts but the last, and R² ``(80,)`` on that; goes on from what is in ``folder``."""
    *parts, last = finished_parts(folder / "pictures")
    pictures = np.concatenate([halved(np.load(part_file(folder / "pictures", part))) for part in parts])
    wanted = torch.from_numpy(
        read_attributes(np.concatenate([part_latents(FACES, part) for part in parts])).astype("f4")
    )
    unseen = halved(np.load(part_file(folder / "pictures", last)))
    truth = read_attributes(part_latents(FACES, last))
    network, kept = Measurer(), folder / "measurer.pt"
    steps = 0
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.02)
    if kept.exists():
        state = torch.load(kept, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        steps = state["steps"]
    draw = np.random.default_rng(steps)
    scores = r_squared(read(network, unseen), truth)
    began, spent = time.monotonic(), 0.0 if minutes > 0 else 1.0
    while spent < 1:
        order = draw.permutation(len(pictures))
        network.train()
        for first in range(0, len(order) - BATCH + 1, BATCH):
            spent = (time.monotonic() - began) / (60 * minutes)
            if spent >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * max(0.02, 0.5 + 0.5 * math.cos(math.pi * spent))
            chosen = order[first : first + BATCH]
            loss = F.smooth_l1_loss(network(roughened(as_input(pictures[chosen]), draw)), wanted[chosen], beta=0.5)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps += 1
        scores = r_squared(read(network, unseen), truth)
        torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict(), "steps": steps}, kept)
        print(
            f"{len(pictures)} renders, {steps} steps, loss {loss.item():.3f}: R² median {np.median(scores):.2f}, "
            f"{int((scores >= READABLE).sum())} of {len(LATENT)} at least {READABLE}",
            flush=True,
        )
    return network, scores


def r_squared(said: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """R² of each column."""
    return 1 - np.square(said - truth).sum(0) / np.square(truth - truth.mean(0)).sum(0)


@torch.no_grad()
def read(network: Measurer, pictures: np.ndarray) -> np.ndarray:
    """The attributes ``(n, 80)`` of pictures ``(n, 128, 128, 3)``."""
    network.eval()
    return np.concatenate([network(as_input(pictures[k : k + 64])).numpy() for k in range(0, len(pictures), 64)])


@torch.no_grad()
def drawn(generator: nn.Module, latents: Tensor) -> np.ndarray:
    """The generator's pictures ``(n, 128, 128, 3)`` of latents."""
    parts = []
    for some in latents.split(10):
        made = (generator.synthesize(some) * 127.5 + 127.5).round().clamp(0, 255).byte()
        parts.append(halved(made.permute(0, 2, 3, 1).numpy()))
    return np.concatenate(parts)


def move(source: str, network: Measurer, scores: np.ndarray, samples: int) -> dict[str, dict[str, float | bool]]:
    """What each attribute that can be read does to the generator's pictures when it is moved by one σ."""
    generator = load_generator(source, device="cpu")
    directions = Directions(generator)
    z = np.random.RandomState(SEED).randn(samples, len(LATENT))
    latents = generator.mapping(z)
    before = read(network, drawn(generator, latents))
    readable = scores >= READABLE
    found: dict[str, dict[str, float | bool]] = {}
    for place, name in enumerate(LATENT):
        entry: dict[str, float | bool] = {"r2": round(float(scores[place]), 3), "qualifies": False}
        if readable[place]:
            step = directions.change({name: 1.0})
            up = read(network, drawn(generator, latents + step)) - before
            down = before - read(network, drawn(generator, latents - step))
            both = np.concatenate([up, down])
            own, rest = both[:, place], readable & (np.arange(len(LATENT)) != place)
            right, moved = float((own > 0).mean()), float(own.mean())
            others = float(np.abs(both[:, rest]).mean() / max(moved, 1e-9)) if rest.any() else 0.0
            entry |= {"moved": round(moved, 3), "right": round(right, 3), "others": round(others, 3)}
            entry["qualifies"] = bool(right >= RIGHT and others < OTHERS)
        found[name] = entry
        print(name, entry, flush=True)
    return found


def adopt(file: Path, source: str) -> None:
    """Note that a generator has the attributes of the file, of which nothing was measured."""
    values = json.loads(file.read_text(encoding="utf-8"))
    values["mapping"] = sorted({*values["mapping"], mapping_fingerprint(load_generator(source, device="cpu"))})
    values.pop("measured", None)
    for entry in values["attributes"]:
        entry.pop("measured", None)
    file.write_text(as_text(values), encoding="utf-8")


def write(file: Path, source: str, found: dict[str, dict[str, float | bool]], samples: int) -> None:
    """Note what was measured in the file of attributes."""
    values = json.loads(file.read_text(encoding="utf-8"))
    generator = load_generator(source, device="cpu")
    for entry in values["attributes"]:
        entry["measured"] = found[entry["name"]]
    values["measured"] = {"fingerprint": fingerprint(generator), "samples": samples}
    if (mapping := mapping_fingerprint(generator)) not in values["mapping"]:
        values["mapping"].append(mapping)
    file.write_text(as_text(values), encoding="utf-8")


def as_text(values: dict) -> str:
    """JSON in which a list or an object of plain values has one line."""

    def lines(value: object, indent: int) -> str:
        inner = " " * (indent + 1)
        flat = json.dumps(value, ensure_ascii=False)
        nested = (
            any(isinstance(each, dict | list) for each in (value.values() if isinstance(value, dict) else value))
            if (isinstance(value, dict | list))
            else False
        )
        if not nested and indent > 0:
            return flat
        if isinstance(value, dict):
            parts = [f"{inner}{json.dumps(key)}: {lines(each, indent + 1)}" for key, each in value.items()]
            return "{\n" + ",\n".join(parts) + "\n" + " " * indent + "}"
        if isinstance(value, list):
            return "[\n" + ",\n".join(inner + lines(each, indent + 1) for each in value) + "\n" + " " * indent + "]"
        return flat

    return lines(values, 0) + "\n"


def main() -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="a built-in name, or a file of weights")
    parser.add_argument("--out", type=Path, help="folder for renders and the network that reads them")
    parser.add_argument("--basis", type=Path, default=Path(__file__).parent / "out/basis.npz")
    parser.add_argument("--pictures", type=int, default=6000, help="renders to learn from, and 500 to check by")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=30, help="time to train; 0 for as the network is in --out")
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--write", action="store_true", help=f"note the result in {FILE.name}")
    parser.add_argument("--adopt", action="store_true", help="only note that these weights have the attributes")
    options = parser.parse_args()
    if options.adopt:
        adopt(FILE, options.source)
        return 0
    if options.out is None:
        parser.error("--out is needed, a folder for renders and the network")
    options.out.mkdir(parents=True, exist_ok=True)
    maker = DatasetMaker(
        FACES, options.out / "pictures", options.basis, options.pictures, options.processes, edition_of(options.source)
    )
    maker.start()
    while not maker.complete:
        time.sleep(10)
        print(maker.progress(), flush=True)
    if len(finished_parts(options.out / "pictures")) < 2:
        print("Cannot measure: at least 1000 renders are needed; give --pictures", file=sys.stderr)
        return 1
    torch.manual_seed(SEED)
    torch.set_num_threads(options.processes)
    network, scores = train(options.out, options.minutes)
    found = move(options.source, network, scores, options.samples)
    print(f"{sum(bool(each['qualifies']) for each in found.values())} of {len(found)} attributes qualify")
    (options.out / "measured.json").write_text(json.dumps(found, indent=1) + "\n")
    if options.write:
        write(FILE, options.source, found, options.samples)
    return 0


if __name__ == "__main__":
    sys.exit(main())
