"""Train a small diffusion model on the renders of the built-in faces: 64 px, pixels, a vocabulary of captions.

    python examples/generators/faces_diffusion/train.py --pictures DIR --out OUT [--minutes 90] [--batch 16]
                                                        [--device cuda] [--side 64] [--precision auto]

DIR is where ``examples/generators/faces/make.py --out DIR`` has put its pictures, or the folder of these itself; it is
only read. They are shrunk once and kept in memory. Stop it whenever you like; the same command goes on where it
stopped. ``--export FOLDER`` writes what OUT has come to, in half precision, as a folder that ``load_generator`` takes,
also while training goes on.

The network says v of noisy pictures (Salimans and Ho, 2022) on a cosine schedule of 1,000 steps (Nichol and Dhariwal,
2021), and is averaged over its training, the longer the later (the power function of Karras et al., *EDM2*, 2024). How
noisy pictures are is drawn as in Karras et al., *EDM*, 2022: mostly where there is something to learn. Half of the
pictures are mirrored, and so are their captions.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from draggan_widget.models.diffusion import Diffusion, Sampling, Schedule, Vocabulary, save_diffusion

sys.path[:0] = [str(Path(__file__).parents[1] / name) for name in ("faces", "shared")]

import captions  # noqa: E402 - beside this file
import pairs  # noqa: E402 - of the other recipe
from dataset import FACES  # noqa: E402
from forward import quick_dtype  # noqa: E402
from scene import LATENT  # noqa: E402
from whole import write_atomically  # noqa: E402

WIDTHS = (32, 64, 96, 112)
"""Channels of the levels of the UNet, from the picture's side down to an eighth of it. Few at the first, where there
are most places: in a given time a processor then sees more pictures. In half precision they make 9.3 MB."""
TEXT = 64
"""Numbers of the vector of a word."""
RATE, DECAY, BETAS = 5e-4, 0.01, (0.9, 0.99)
WARMING = 100
"""Steps in which the learning rate rises."""
AVERAGE = 0.9995
"""Of the averaged weights, how much stays in a step, once there were many."""
FADES_FROM = 0.6
"""Part of the time from which on the learning rate falls."""
MIDDLE, SPREAD = -0.8, 1.4
"""Mean and spread of the logarithm of the noise that is drawn, in parts of the picture: s / a."""
EVEN = 0.2
"""How often any level is drawn, as likely as any other, lest the first and the last be never seen."""
SAVE_EVERY, TELL_EVERY = 180.0, 60.0
"""Seconds."""
TRIED = 4
"""Steps of each precision after which the quicker one is known; the first of each does not count."""
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
HELD_OUT = 64
"""The first pictures of part 0 are never trained on; the loss that is told is theirs."""
SHOWN = (
    "",
    "male beard",
    "female long-hair smiling",
    "old grey-hair",
    "turned-left",
    "turned-right",
    "dark-skin",
)
STEPS = 25
CHECKPOINT = "checkpoint.pt"


def new_model(side: int) -> Diffusion:
    """Return a model of random weights, with cross-attention at a quarter and an eighth of the side."""
    from diffusers import DDIMScheduler, UNet2DConditionModel

    unet = UNet2DConditionModel(
        sample_size=side,
        in_channels=3,
        out_channels=3,
        layers_per_block=1,
        block_out_channels=WIDTHS,
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT,
        attention_head_dim=4,
        norm_num_groups=8,
    )
    scheduler = DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
    )
    return Diffusion(
        unet, scheduler, text=Vocabulary(captions.WORDS, TEXT), sampling=Sampling(steps=STEPS, strength=0.7)
    )


class Faces:
    """The renders at a small side, with their attributes."""

    def __init__(self, folder: Path, side: int) -> None:
        """Read what there is. :raises FileNotFoundError: if there are none. :raises ValueError: for those of another
        recipe.
        """
        if (folder / "pictures").is_dir():
            folder = folder / "pictures"
        parts = pairs.finished_parts(folder)
        if not parts:
            raise FileNotFoundError(
                f"{folder} holds no pictures; make some with examples/generators/faces/make.py, and give its folder "
                "pictures"
            )
        self.pictures = torch.cat([shrunk(self._part(folder, part), side) for part in parts])
        self.latents = np.concatenate([pairs.part_latents(FACES, part) for part in parts])

    @staticmethod
    def _part(folder: Path, part: int) -> np.ndarray:
        pictures = np.load(pairs.part_file(folder, part), mmap_mode="r")
        if len(pictures) != FACES.part:
            raise ValueError(
                f"part {part} in {folder} holds {len(pictures)} pictures, not {FACES.part} as this recipe makes them, "
                "so it is not known what they show; make them again by examples/generators/faces/make.py"
            )
        return pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def batch(
        self, numbers: np.ndarray, draw: np.random.Generator, *, mirror: bool = False
    ) -> tuple[Tensor, list[str]]:
        """Return pictures (n, 3, side, side) in [-1, 1], and what is said of them.

        :param mirror: whether half of them are mirrored, and their captions with them.
        """
        said = [captions.caption(self.latents[number], LATENT, draw) for number in numbers]
        pictures = self.pictures[torch.from_numpy(numbers)]
        if mirror:
            turned = draw.random(len(numbers)) < 0.5
            pictures = torch.where(torch.from_numpy(turned)[:, None, None, None], pictures.flip(3), pictures)
            said = [captions.mirrored(each) if turn else each for each, turn in zip(said, turned, strict=True)]
        return pictures.float() / 127.5 - 1, said


def shrunk(pictures: np.ndarray, side: int) -> Tensor:
    """Return pictures (n, H, W, 3) as (n, 3, side, side), uint8, each pixel the mean of those that it covers."""
    parts = []
    for first in range(0, len(pictures), 100):
        some = torch.from_numpy(np.array(pictures[first : first + 100])).permute(0, 3, 1, 2)
        parts.append(F.adaptive_avg_pool2d(some.float(), side).round().to(torch.uint8))
    return torch.cat(parts)


def drawn_levels(schedule: Schedule, count: int, draw: torch.Generator) -> Tensor:
    """Return levels 1 … n at which pictures are to be noisy: (count,), mostly those near ``MIDDLE``."""
    alphas = torch.tensor(schedule.alphas[1:], dtype=torch.float64)
    noise = ((1 - alphas) / alphas).sqrt().log()  # rises with the level
    wanted = MIDDLE + SPREAD * torch.randn(count, generator=draw, dtype=torch.float64)
    near = torch.searchsorted(noise, wanted).clamp(max=schedule.steps - 1) + 1
    even = torch.randint(1, schedule.steps + 1, (count,), generator=draw)
    return torch.where(torch.rand(count, generator=draw) < EVEN, even, near)


def vectors_of(text: Vocabulary, said: list[str]) -> tuple[Tensor, Tensor]:
    """Return vectors (n, T, D) of captions, and which of them count (n, T): captions are of different lengths."""
    rows = [text.numbers(each) for each in said]
    longest = max(map(len, rows))
    device = text.vectors.weight.device
    numbers = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=device)
    counted = torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in rows], device=device)
    return text.vectors(numbers), counted


def loss_of(
    unet: nn.Module, text: Vocabulary, schedule: Schedule, clean: Tensor, said: list[str], noise: Tensor, levels: Tensor
) -> Tensor:
    """Return the mean square of what the network says wrongly of pictures (n, 3, H, W) with noise, at levels (n,)."""
    alphas = torch.tensor(schedule.alphas, device=clean.device)[levels].view(-1, 1, 1, 1)
    a, s = alphas.sqrt(), (1 - alphas).sqrt()
    vectors, counted = vectors_of(text, said)
    times = torch.tensor(schedule.times, device=clean.device)[levels - 1]
    found = unet(a * clean + s * noise, times, encoder_hidden_states=vectors, encoder_attention_mask=counted).sample
    return F.mse_loss(found.float(), a * noise - s * clean)


class Trainer:
    """Trains, and keeps all that counts in one checkpoint, written whole or not at all.

    :param precision: "float32" or "bfloat16", in which the network multiplies; weights stay float32. None: the quicker
        one where the device has both.
    """

    def __init__(
        self,
        out: Path,
        faces: Faces,
        side: int,
        minutes: float,
        batch: int,
        device: torch.device,
        precision: str | None = None,
    ) -> None:
        """Begin, or go on from the checkpoint. :raises ValueError: for one of another side, widths or vocabulary."""
        torch.manual_seed(0)
        self.out, self.faces, self.batch, self.device = out, faces, batch, device
        self.minutes, self.side = minutes, side
        self.model = new_model(side).to(device)
        self.unet, self.text = self.model.unet.to(memory_format=torch.channels_last), self.model.text
        self.schedule = Schedule.trained(self.model.scheduler)
        self.weights = [*self.unet.parameters(), *self.text.parameters()]
        for weight in self.weights:
            weight.requires_grad_()
        self.average = [weight.detach().clone() for weight in self.weights]
        self.optimizer = torch.optim.AdamW(self.weights, RATE, betas=BETAS, weight_decay=DECAY)
        self.steps, self.seconds = 0, 0.0
        if precision is None and device.type != "cuda" and quick_dtype(device) == torch.float32:
            precision = "float32"
        elif precision is None and device.type == "cuda":
            precision = "bfloat16"
        self.precision = precision
        self._tried: dict[str, list[float]] = {name: [] for name in PRECISIONS}
        if (out / CHECKPOINT).exists():
            self._go_on(torch.load(out / CHECKPOINT, map_location=device, weights_only=True))

    def _go_on(self, kept: dict) -> None:
        same = kept["side"] == self.side and tuple(kept["words"]) == captions.WORDS
        if not same or [tuple(each.shape) for each in kept["weights"]] != [tuple(each.shape) for each in self.weights]:
            raise ValueError(f"{self.out} holds the work of another side or vocabulary; give another --out")
        with torch.no_grad():
            for weight, average, was, mean in zip(
                self.weights, self.average, kept["weights"], kept["average"], strict=True
            ):
                weight.copy_(was)
                average.copy_(mean)
        self.optimizer.load_state_dict(kept["optimizer"])
        self.steps, self.seconds = kept["steps"], kept["seconds"]

    def save(self) -> None:
        """Write the checkpoint."""
        kept = {
            "side": self.side,
            "words": list(captions.WORDS),
            "weights": [weight.detach() for weight in self.weights],
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "steps": self.steps,
            "seconds": self.seconds,
        }
        self.out.mkdir(parents=True, exist_ok=True)
        write_atomically(self.out / CHECKPOINT, lambda stream: torch.save(kept, stream))

    def run(self, tell=print) -> None:
        """Train until the time is spent; what was learnt is kept also where somebody stops it."""
        draw = np.random.default_rng([1, self.steps])
        noise = torch.Generator().manual_seed(self.steps)
        self.unet.train()
        saved = told = was = time.monotonic()
        losses, first = [], self.steps
        try:
            while self.seconds < 60 * self.minutes:
                losses.append(self.step(draw, noise))
                now = time.monotonic()
                self.seconds += now - was  # with what telling and saving take
                was = now
                if now - told >= TELL_EVERY or self.seconds >= 60 * self.minutes:
                    left = max(0.0, self.minutes - self.seconds / 60)
                    known = f"loss {np.mean(losses):.4f}, held out {self.held_out():.4f}"
                    seen = f"{self.steps * self.batch / 1000:.1f}k pictures"
                    tell(f"step {self.steps}, {seen}, {known}, {self.precision or 'trying'}, left {left:.0f} min")
                    told, losses = now, []
                if now - saved >= SAVE_EVERY:
                    self.save()
                    saved = now
        finally:
            if self.steps > first:
                self.save()

    def step(self, draw: np.random.Generator, noise: torch.Generator) -> float:
        """Take one step; return its loss. :raises FloatingPointError: if that is not finite; the weights stay then."""
        began, precision = time.perf_counter(), self.precision or self._to_try()
        numbers = draw.integers(HELD_OUT, len(self.faces), self.batch)
        clean, said = self.faces.batch(numbers, draw, mirror=True)
        spent = self.seconds / (60 * self.minutes)
        late = min(1.0, max(0.0, (spent - FADES_FROM) / (1 - FADES_FROM)))
        fade = 0.5 + 0.5 * math.cos(math.pi * late)
        for group in self.optimizer.param_groups:
            group["lr"] = RATE * max(fade, 0.02) * min(1.0, (self.steps + 1) / WARMING)
        levels = drawn_levels(self.schedule, len(clean), noise)
        quick = precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=quick), self._attention(quick):
            loss = self._loss(clean, said, levels, noise)
        told = float(loss.detach())
        if not math.isfinite(told):  # before it reaches the weights, which are kept
            raise FloatingPointError(f"step {self.steps + 1} has a loss of {told}; go on with --precision float32")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.steps += 1
        stays = min(AVERAGE, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, [weight.detach() for weight in self.weights], 1 - stays)
        if self.precision is None:
            self._tried[precision].append(time.perf_counter() - began)
            self._decide()
        return told

    def _attention(self, quick: bool) -> contextlib.AbstractContextManager[None]:
        """Have attention be plain products of matrices in bfloat16 on a processor.

        Torch's fused one goes backward through these few places four times more slowly, a sixth of a step.
        """
        plain = quick and self.device.type == "cpu"
        return sdpa_kernel(SDPBackend.MATH) if plain else contextlib.nullcontext()

    def _to_try(self) -> str:
        return min(self._tried, key=lambda name: len(self._tried[name]) >= TRIED)

    def _decide(self) -> None:
        if all(len(times) >= TRIED for times in self._tried.values()):
            self.precision = min(self._tried, key=lambda name: min(self._tried[name][1:]))

    def _loss(self, clean: Tensor, said: list[str], levels: Tensor, draw: torch.Generator) -> Tensor:
        noise = torch.randn(clean.shape, generator=draw).to(self.device)
        clean = clean.to(self.device).contiguous(memory_format=torch.channels_last)
        return loss_of(self.unet, self.text, self.schedule, clean, said, noise, levels.to(self.device))

    @torch.no_grad()
    def held_out(self) -> float:
        """Return the loss on pictures that were never trained on, with the same noise every time, of all levels."""
        clean, said = self.faces.batch(np.arange(min(HELD_OUT, len(self.faces))), np.random.default_rng(7))
        draw = torch.Generator().manual_seed(7)
        levels = torch.randint(1, self.schedule.steps + 1, (len(clean),), generator=draw)
        return float(self._loss(clean, said, levels, draw))


@torch.no_grad()
def averaged(out: Path) -> Diffusion:
    """Return the model of averaged weights that a folder's checkpoint has come to, on the processor.

    :raises FileNotFoundError: if there is none. :raises ValueError: for one of other widths or vocabulary.
    """
    if not (out / CHECKPOINT).exists():
        raise FileNotFoundError(f"{out} holds no checkpoint; train first")
    kept = torch.load(out / CHECKPOINT, map_location="cpu", weights_only=True)
    made = new_model(kept["side"])
    weights = [*made.unet.parameters(), *made.text.parameters()]
    same = tuple(kept["words"]) == captions.WORDS
    if not same or [each.shape for each in kept["average"]] != [each.shape for each in weights]:
        raise ValueError(f"{out} holds the work of other widths or another vocabulary")
    for weight, average in zip(weights, kept["average"], strict=True):
        weight.copy_(average)
    return made.sampled()


def export(folder: Path, model: Diffusion) -> None:
    """Write a model in half precision, whole or not at all, and a sheet of samples beside it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    sheet = samples(model)
    write_atomically(folder.with_name(f"{folder.name}-samples.png"), lambda stream: sheet.save(stream, "PNG"))
    model.unet.half()
    model.text.half()
    made, old = folder.with_name(f"{folder.name}.part"), folder.with_name(f"{folder.name}.old")
    for left in (made, old):
        shutil.rmtree(left, ignore_errors=True)
    made.mkdir(parents=True)
    save_diffusion(made, model)
    if folder.exists():
        folder.rename(old)
    made.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


@torch.no_grad()
def samples(model: Diffusion, each: int = 4) -> Image.Image:
    """Return a sheet of pictures: a row of seeds for each caption of ``SHOWN``."""
    rows = []
    for said in SHOWN:
        asked = model.sampled(prompt=said, strength=1.0)
        row = [asked.synthesize(asked.mapping(seed=seed)) for seed in range(each)]
        rows.append(torch.cat(row, dim=3)[0])
    sheet = torch.cat(rows, dim=1).clamp(-1, 1)
    return Image.fromarray(((sheet + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy())


def main() -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, help="the folder that faces/make.py filled")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint and the result")
    parser.add_argument("--minutes", type=float, default=90, help="time to train")
    parser.add_argument("--batch", type=int, default=16, help="pictures of a step; 128 on a GPU")
    parser.add_argument("--side", type=int, default=64, help="pixels of a picture's side: 64, or 128 on a GPU")
    parser.add_argument("--device", help="cpu, cuda, …; CUDA if there is some")
    parser.add_argument(
        "--precision",
        choices=("auto", *PRECISIONS),
        default="auto",
        help="in which the network multiplies; auto: the quicker one, which the first steps find",
    )
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="only write what the checkpoint has come to")
    options = parser.parse_args()
    if options.minutes <= 0 or options.batch < 1 or options.side < 16 or options.side % 8:
        parser.error("--minutes must be above 0, --batch at least 1, and --side a multiple of 8 of at least 16")
    if options.export is not None:
        try:
            return exported(options.export, averaged(options.out))
        except (FileNotFoundError, ValueError) as error:
            print(f"Cannot export: {error}", file=sys.stderr)
            return 1
    if options.pictures is None:
        parser.error("--pictures is needed for training")
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    try:
        faces = Faces(options.pictures, options.side)
        precision = None if options.precision == "auto" else options.precision
        trainer = Trainer(options.out, faces, options.side, options.minutes, options.batch, device, precision)
    except (FileNotFoundError, ValueError) as error:
        print(f"Cannot start: {error}", file=sys.stderr)
        return 1
    try:
        trainer.run(lambda text: print(text, flush=True))
    except FloatingPointError as error:
        print(f"Stopped: {error}", file=sys.stderr)
        return 1
    return exported(options.out / "faces-diffusion", averaged(options.out))


def exported(folder: Path, model: Diffusion) -> int:
    """Write a model, and tell what came of it; returns the exit status."""
    export(folder, model)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    print(f"done: {folder}, {size:.1f} MB, samples in {folder.name}-samples.png beside it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
