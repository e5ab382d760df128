"""Train the encoder of a generator: a small network that guesses the latent of a picture.

    python examples/generators/faces/encode.py [MODEL] --out DIR [--renders DIR] [--samples 12000] [--minutes 30]
                                            [--begin FILE]

MODEL is a built-in name or a checkpoint (default: faces). The encoder learns from samples of the generator, whose
latents are known. ``--renders`` names a folder of ``make.py``: its renders are learned from too, for they look more
like photographs, and the generator's mapping network knows their latents. That is for generators that ``make.py`` made.

Stopped at any point, the same command goes on. ``DIR/encoder.safetensors`` is the result. Put it into
``draggan_widget/inversion/encoders`` or into ``encoders`` of the cache folder: there ``invert`` finds it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import beside  # noqa: F401  for what is shared
import numpy as np
import pairs
import torch
from augment import augmented
from forward import TrainingForward, quick_dtype
from torch import Tensor
from whole import write_atomically

from draggan_widget import load_generator
from draggan_widget.inversion.encoder import Encoder, Shape, seen
from draggan_widget.models import Generator, StyleGAN2, fingerprint

SEED = 4711
PART, AT_ONCE = 500, 25
"""Samples of a file; of these, drawn at once."""
HELD_OUT = 1
"""Files of samples, and of renders, that are not learned from: the first ones."""
BATCH, RATE, DECAY = 64, 2e-3, 0.02
LOOK_EVERY = 200
"""Steps between two lines, and two checkpoints."""
FORMAT = 1


class Samples:
    """Pictures that an encoder sees, and their latents, on disk: in parts that are whole or absent."""

    def __init__(self, model: Generator, folder: Path, size: int) -> None:
        self._model, self._folder, self._size = model, folder, size
        self._dtype = quick_dtype(next(model.parameters()).device)

    def latents(self, part: int) -> Tensor:
        """Return the rows (500, w_dim) of a part."""
        random = np.random.default_rng([SEED, part])
        z = random.normal(size=(PART, self._model.z_dim))
        label = random.integers(self._model.label_dim, size=PART) if self._model.label_dim else None
        return self._model.mapping(z, label=label)[:, 0].float()

    def pictures(self, part: int) -> Tensor:
        """Return the pictures (500, 3, size, size) uint8 of a part, drawing them if nobody has yet."""
        file = self._folder / f"samples-{part:05d}.npy"
        if not file.exists():
            made = [self._drawn(rows) for rows in self.latents(part).split(AT_ONCE)]
            _save(file, torch.cat(made).numpy())
        return torch.from_numpy(np.load(file))

    def _drawn(self, rows: Tensor) -> Tensor:
        model = self._model
        with torch.no_grad():
            if isinstance(model, StyleGAN2) and model.has_previews and model.resolution[0] == model.resolution[1]:
                pictures = TrainingForward(model, self._dtype)(rows, max(self._size, 4))
            else:
                pictures = model.synthesize(rows[:, None].expand(-1, model.num_ws, -1))
        return as_bytes(seen(pictures.float().cpu(), self._size))


class Renders:
    """Renders of ``make.py``, and the latents that the generator's mapping network makes of theirs."""

    def __init__(self, model: Generator, source: Path, folder: Path, size: int) -> None:
        from dataset import FACES  # here, for it needs what renders need

        self._recipe, self._model, self._source, self._folder, self._size = FACES, model, source, folder, size

    def parts(self) -> list[int]:
        """Return those that are there."""
        return pairs.finished_parts(self._source)

    def latents(self, part: int) -> Tensor:
        """Return the rows (500, w_dim) of a part."""
        return self._model.mapping(pairs.part_latents(self._recipe, part))[:, 0].float()

    def pictures(self, part: int) -> Tensor:
        """Return the pictures (500, 3, size, size) uint8 of a part."""
        file = self._folder / f"renders-{part:05d}.npy"
        if not file.exists():
            whole = torch.from_numpy(np.load(pairs.part_file(self._source, part))).permute(0, 3, 1, 2)
            made = [as_bytes(seen(some.float() / 127.5 - 1, self._size)) for some in whole.split(AT_ONCE)]
            _save(file, torch.cat(made).numpy())
        return torch.from_numpy(np.load(file))


def as_bytes(pictures: Tensor) -> Tensor:
    """Return pictures in [-1, 1] as uint8."""
    return ((pictures + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def as_numbers(pictures: Tensor) -> Tensor:
    """Return pictures of uint8 in [-1, 1]."""
    return pictures.float() / 127.5 - 1


def _save(file: Path, array: np.ndarray) -> None:
    write_atomically(file, lambda stream: np.save(stream, array))


def principal_axes(model: Generator, encoder: Encoder) -> None:
    """Have an encoder tell coordinates along the principal axes of the model's latents."""
    metric = model.space.metric()
    variances, directions = torch.linalg.eigh(metric.covariance)
    count = encoder.shape.coordinates
    axes = (directions * variances.clamp(min=0).sqrt()).T.flip(0)[:count]
    encoder.mean.copy_(metric.mean)
    encoder.axes.copy_(axes)


def coordinates(encoder: Encoder, rows: Tensor) -> Tensor:
    """Return the coordinates (N, k) of rows (N, w_dim)."""
    axes = encoder.axes.double()
    return ((rows.double() - encoder.mean) @ (axes / axes.square().sum(dim=1, keepdim=True)).T).float()


def importance(model: Generator, encoder: Encoder, rows: Tensor) -> Tensor:
    """Return how much a picture changes with each coordinate (k,), the mean being 1: errors count as much.

    :param rows: (N, w_dim), around which it is found out.
    """
    size = encoder.shape.size
    block = next((b for b in model.blocks if min(model.map_size(b)) >= size), None) if model.has_previews else None

    def picture(row: Tensor) -> Tensor:
        ws = row.to(next(model.parameters()))[:, None].expand(-1, model.num_ws, -1)
        return seen((model.synthesize(ws) if block is None else model.preview(ws, block)).float().cpu(), size)

    total = torch.zeros(encoder.shape.coordinates)
    with torch.no_grad():
        for row in rows:
            here = picture(row[None])
            for some in torch.arange(encoder.shape.coordinates).split(AT_ONCE):
                total[some] += (picture(row + 0.5 * encoder.axes[some]) - here).square().mean(dim=(1, 2, 3))
    return total / total.mean()


class Training:
    """An encoder that is being trained; what it has come to is in a file."""

    def __init__(self, encoder: Encoder, weights: Tensor, minutes: float, file: Path) -> None:
        self.encoder, self._weights, self._minutes, self._file = encoder, weights, minutes, file
        self._adam = torch.optim.AdamW(encoder.parameters(), lr=RATE, weight_decay=DECAY, fused=True)
        self.seconds, self.step = 0.0, 0
        if file.exists():
            held = torch.load(file, weights_only=True)
            encoder.load_state_dict(held["encoder"])
            self._adam.load_state_dict(held["adam"])
            self.seconds, self.step = held["seconds"], held["step"]

    def loss(self, told: Tensor, wanted: Tensor) -> Tensor:
        """Return the mean squared error of coordinates (N, k), each as important as it is to pictures."""
        return ((told - wanted).square() * self._weights).mean()

    def run(self, batches: Iterator[tuple[Tensor, Tensor]], dtype: torch.dtype) -> Iterator[tuple[int, float]]:
        """Train until the time is over; yield the step and the mean loss now and then."""
        self.encoder.train()
        began, total = time.monotonic(), 0.0
        while self.seconds < 60 * self._minutes:
            done = self.seconds / (60 * self._minutes)
            rate = RATE * min(1.0, (self.step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * done))
            self._adam.param_groups[0]["lr"] = rate
            pictures, wanted = next(batches)
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                told = self.encoder(pictures)
            loss = self.loss(told.float(), wanted)
            self._adam.zero_grad()
            loss.backward()
            self._adam.step()
            now = time.monotonic()
            self.seconds, began = self.seconds + now - began, now
            self.step += 1
            total += float(loss.detach())
            if self.step % LOOK_EVERY == 0:
                self.keep()
                yield self.step, total / LOOK_EVERY
                total = 0.0
        self.keep()
        self.encoder.eval()

    def keep(self) -> None:
        """Write the checkpoint, whole or not at all."""
        held = {"encoder": self.encoder.state_dict(), "adam": self._adam.state_dict()}
        checkpoint = {**held, "seconds": self.seconds, "step": self.step}
        write_atomically(self._file, lambda stream: torch.save(checkpoint, stream))


def shuffled(pictures: Tensor, wanted: Tensor, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches without end: augmented pictures in [-1, 1], and the coordinates wanted of them."""
    random = torch.Generator().manual_seed(seed)
    while True:
        for some in torch.randperm(len(pictures), generator=random).split(BATCH):
            yield augmented(as_numbers(pictures[some]), random), wanted[some]


def explained(training: Training, pictures: Tensor, wanted: Tensor) -> float:
    """Return which part of held-out latents' important variance is told, at most 1."""
    training.encoder.eval()
    with torch.no_grad():
        told = torch.cat([training.encoder(as_numbers(some)) for some in pictures.split(BATCH)])
    return 1 - float(training.loss(told, wanted) / training.loss(torch.zeros_like(told), wanted))


def main() -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="faces", help="a built-in name or a checkpoint (default: faces)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for samples and the result")
    parser.add_argument("--renders", type=Path, metavar="DIR", help="a folder of make.py, learned from too")
    parser.add_argument("--samples", type=int, default=12_000, help="how many to draw (default: 12000)")
    parser.add_argument("--minutes", type=float, default=30, help="time to train, not counting the samples")
    parser.add_argument("--begin", type=Path, metavar="FILE", help="an encoder of other weights to go on from")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: 1)")
    options = parser.parse_args()
    if options.samples < 2 * PART or options.minutes <= 0 or options.threads < 1:
        parser.error(f"--samples must be at least {2 * PART}, --minutes above 0 and --threads at least 1")
    torch.set_num_threads(options.threads)
    model = load_generator(options.model)
    shape = Shape(model.w_dim, coordinates=min(Shape.coordinates, model.w_dim))
    about = {"format": FORMAT, "model": fingerprint(model), "size": shape.size, "seed": SEED}
    options.out.mkdir(parents=True, exist_ok=True)
    there = options.out / "encoder.json"
    if there.exists() and json.loads(there.read_text()) != about:
        print(f"{options.out} holds samples of another edition of the weights: give another --out", file=sys.stderr)
        return 1
    there.write_text(json.dumps(about, indent=1) + "\n")
    sources = [(Samples(model, options.out, shape.size), list(range(-(-options.samples // PART))))]
    if options.renders is not None:
        renders = Renders(model, options.renders / "pictures", options.out, shape.size)
        if not (parts := renders.parts()):
            print(f"{options.renders} holds no pictures that make.py has drawn", file=sys.stderr)
            return 1
        sources.append((renders, parts))

    encoder = Encoder(shape, about["model"])
    if options.begin is not None:
        try:
            encoder.load_state_dict(Encoder.load(options.begin).state_dict())
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            print(f"cannot go on from {options.begin} ({reason}): leave --begin out", file=sys.stderr)
            return 1
    principal_axes(model, encoder)
    learned, held = [], {}
    for source, parts in sources:
        for number, part in enumerate(parts):
            pair = source.pictures(part), coordinates(encoder, source.latents(part))
            name = type(source).__name__.lower()
            if number < HELD_OUT:
                held[name] = pair
            else:
                learned.append(pair)
            print(f"{name} {(number + 1) * PART} of {len(parts) * PART}", flush=True)
    pictures, wanted = (torch.cat(each) for each in zip(*learned, strict=True))
    weights = importance(model, encoder, sources[0][0].latents(0)[:4])
    training = Training(encoder, weights, options.minutes, options.out / "encoder.pt")
    print(f"{sum(p.numel() for p in encoder.parameters()) / 1e6:.2f} M weights, {len(pictures)} pictures", flush=True)
    dtype = quick_dtype(torch.device("cpu"))
    for step, loss in training.run(shuffled(pictures, wanted, training.step), dtype):
        left = options.minutes - training.seconds / 60
        print(f"step {step}, loss {loss:.4f}, time left {left:.1f} min", flush=True)
    for name, (seen_, told) in held.items():
        print(f"held-out {name}: {explained(training, seen_, told):.1%} of the variance explained")
    encoder.save(options.out / "encoder.safetensors")
    print(f"done: {options.out / 'encoder.safetensors'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
