"""Learn latent → picture from rendered pairs, coarse to fine, on a processor or an accelerator.

The pairs are known, so differences lead: of pixels at several scales and of neighbouring pixels, the face counting more
than the background. From the second edition on, the last part of the time has an adversary beside them (``critic.py``),
since what differences alone leave open, such as where exactly each hair lies, they blur. Everything that counts is in
one checkpoint, written whole or not at all, so training can be stopped and gone on with at any moment.
"""

from __future__ import annotations

import copy
import json
import math
import multiprocessing
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from critic import Critic, critic_loss, generator_loss, gradient_penalty, led_by
from dataset import PART, SIZE, finished_parts, part_file, part_latents
from forward import TrainingForward, fold_centre, quick_dtype, unfold_centre
from PIL import Image
from scene import EDITIONS, LATENT
from torch import Tensor

from draggan_widget.config import DragConfig
from draggan_widget.models.checkpoints.load import load_generator, save_generator
from draggan_widget.models.stylegan2.network import (
    LEAKY_GAIN,
    LEAKY_SLOPE,
    FullyConnected,
    StyleGAN2,
    unit_second_moment,
)

NETWORK = {
    "z_dim": len(LATENT),
    "w_dim": 256 + len(LATENT),
    "channels": {4: 256, 8: 256, 16: 256, 32: 192, 64: 96, 128: 64, 256: 32},
    "mapping_layers": 4,
    "mapping_lr_multiplier": 1.0,
}
SCHEDULE = ((0.12, 32, 32), (0.32, 64, 24), (0.58, 128, 16), (1.0, 256, 12))
"""Until which fraction of the time: picture size, batch size."""
CONTINUED = ((0.15, 128, 16), (1.0, 256, 12))
"""The same where training goes on from other weights, that know coarse pictures already."""
FINISH_FROM = 0.35
"""From which fraction of the time on there is an adversary, in the second edition."""
FINISH_RATE, CRITIC_RATE = 1.5e-3, 5e-4
"""Learning rates of the generator (which fades on) and the critic from then on."""
ADVERSARIAL_SHARE, MATCHING = 0.8, 1.0
"""How long the adversary's gradient may be beside the supervised one, and how much features count beside verdicts."""
PENALTY, PENALTY_EVERY = 0.3, 8
"""The γ of R1, and every how many steps it is taken."""
ACCELERATED = 4
"""Batches on an accelerator are so many times larger."""
LEARNING_RATE = 8e-3
OFFSET = 4.0
"""Added to every number of ``w``, whose spread is about 1."""
MAPPING_FACTOR = 0.1
"""The mapping has been taught before and is only refined: small batches of pictures would unsettle it.

Where training goes on from other weights it stays as it is, so latents and their attributes mean what they meant.
"""
DECAY_FROM = 0.6
HELD_OUT = 64
"""The first so many pairs of part 0 are never trained on; they tell how good new faces are."""
SAVE_EVERY = 180.0
TELL_EVERY = 20.0
"""Seconds between checkpoints, and between progress lines."""
DRAG_CONFIG = DragConfig(block=4, edit_layers=6, learning_rate=1e-2, supervision_radius=12.0, mask_weight=5.0)
"""What ``evaluate.py --search`` found best."""
NOTES = {
    "name": "faces",
    "licence": "CC0-1.0",
    "card": "faces.md",
}


def new_generator() -> StyleGAN2:
    """The untrained network. Only the coarsest block paints at first; finer ones join without a jolt."""
    generator = StyleGAN2(SIZE, **NETWORK)
    with torch.no_grad():
        for name, block in generator.network["synthesis"].items():
            if name != "b4":
                block.torgb.weight.zero_()
    return generator


class Pairs:
    """The pairs that are on disk so far, mapped rather than read."""

    def __init__(self, folder: Path) -> None:
        """Part 0 must be there."""
        self.folder = folder
        self.parts: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Take in parts that were finished since."""
        for part in finished_parts(self.folder):
            if part not in self.parts:
                self.parts[part] = (np.load(part_file(self.folder, part), mmap_mode="r"), part_latents(part))

    def __len__(self) -> int:
        return PART * len(self.parts) - HELD_OUT

    def held_out(self) -> tuple[Tensor, Tensor]:
        """Pictures (64, 3, 256, 256) and latents (64, 80) that training never sees."""
        pictures, latents = self.parts[0]
        return _as_tensor(pictures[:HELD_OUT]), torch.from_numpy(latents[:HELD_OUT])

    def batch(self, count: int, rng: np.random.Generator, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """Random pairs: pictures (N, 3, 256, 256) in [-1, 1], latents (N, 80)."""
        keys = list(self.parts)
        chosen = []
        while len(chosen) < count:
            part, row = keys[rng.integers(len(keys))], int(rng.integers(PART))
            if part != 0 or row >= HELD_OUT:
                chosen.append((part, row))
        pictures = np.stack([self.parts[part][0][row] for part, row in chosen])
        latents = np.stack([self.parts[part][1][row] for part, row in chosen])
        return _as_tensor(pictures, device), torch.from_numpy(latents).to(device)


def _as_tensor(pictures: np.ndarray, device: torch.device | None = None) -> Tensor:
    return torch.from_numpy(np.array(pictures)).to(device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def attention(size: int) -> Tensor:
    """How much each pixel counts (1, 1, size, size): eyes to mouth, where all faces have theirs, about three times."""
    line = (torch.arange(size) + 0.5) / size * 2 - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    inner = torch.exp(-(((x / 0.42) ** 2 + ((y - 0.12) / 0.5) ** 2) ** 2))
    weights = 1 + 2.5 * inner
    return (weights / weights.mean())[None, None]


def picture_loss(made: Tensor, true: Tensor, weights: Tensor) -> Tensor:
    """Mean absolute differences of pixels at four scales and of neighbouring pixels at two."""
    difference = made - true
    total = (difference.abs() * weights).mean()
    total = total + _edges(difference, weights)
    for scale in (2, 4, 8):
        difference, weights = F.avg_pool2d(difference, 2), F.avg_pool2d(weights, 2)
        total = total + (difference.abs() * weights).mean()
        if scale == 2:
            total = total + _edges(difference, weights)
    return total


def _edges(difference: Tensor, weights: Tensor) -> Tensor:
    down = (difference[:, :, 1:] - difference[:, :, :-1]).abs() * weights[:, :, 1:]
    right = (difference[..., 1:] - difference[..., :-1]).abs() * weights[..., 1:]
    return 2 * (down.mean() + right.mean())


def principal_targets(pairs: Pairs, most: int = 24_000, components: int = 128) -> tuple[Tensor, Tensor]:
    """Latents (N, 80) and what their pictures are in few numbers (N, 256): principal components of picture and face.

    Coarse pictures, and the region from brows to chin at twice the detail. Components are scaled to the root of their
    own spread, so that the small ones, such as an open mouth, have a say.
    """
    whole, face, latents = [], [], []
    for pictures, z in list(pairs.parts.values())[: most // PART]:
        small = F.avg_pool2d(_as_tensor(pictures), SIZE // 64)
        whole.append(F.avg_pool2d(small, 2).flatten(1))
        face.append(small[:, :, 20:56, 14:50].flatten(1))
        latents.append(torch.from_numpy(z))
    targets = []
    for views in (whole, face):
        flat = torch.cat(views)
        flat -= flat.mean(0)
        _, axes = torch.linalg.eigh(flat.T @ flat / len(flat))
        scores = flat @ axes[:, -components:]
        spread = scores.std(0)
        targets.append(scores / (spread * spread.max()).sqrt())
    return torch.cat(latents)[HELD_OUT:], torch.cat(targets, 1)[HELD_OUT:]


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
        [FullyConnected(z_dim, codes)] + [FullyConnected(codes, codes) for _ in range(NETWORK["mapping_layers"] - 2)]
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


def write_atomically(path: Path, write) -> None:
    """Call ``write(stream)`` on a temporary file and put it in the place of ``path``."""
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as stream:
        write(stream)
    temporary.replace(path)


class Team:
    """Processes that train together on one machine: each takes a share of the batch, all take the mean gradient.

    One thread in each of two processes gets much further than two threads in one, all the more on a busy machine:
    they meet once a step instead of once an operation.
    """

    def __init__(self, size: int, numbers: int) -> None:
        """``size`` members, who exchange up to ``numbers`` numbers at once. Make it before the other processes."""
        context = multiprocessing.get_context("spawn")
        self.size = size
        self.rank = 0
        self.shared = torch.zeros(size, numbers).share_memory_()
        self.barrier = context.Barrier(size)

    def mean(self, numbers: Tensor) -> Tensor:
        """The mean over all members of what each gave; waits for them."""
        self.shared[self.rank, : len(numbers)].copy_(numbers)
        try:
            self.barrier.wait(timeout=900)
            mean = self.shared[:, : len(numbers)].mean(0)
            self.barrier.wait(timeout=900)  # nobody writes the next numbers before all have read these
        except threading.BrokenBarrierError:
            raise RuntimeError(
                "a process that trains died or hangs; its message is above. Run the same command again to go on"
            ) from None
        return mean

    def watch(self, others: Sequence[multiprocessing.process.BaseProcess]) -> None:
        """From now on, nobody waits any longer once one of the ``others`` has died."""

        def look() -> None:
            while all(other.exitcode in (None, 0) for other in others):
                time.sleep(0.5)
            self.barrier.abort()

        threading.Thread(target=look, daemon=True).start()


class Trainer:
    """One training run in one folder; with a team, one member's part of it."""

    def __init__(
        self,
        folder: Path,
        pairs: Pairs,
        minutes: float,
        team: Team | None = None,
        device: str | torch.device = "cpu",
        edition: int = EDITIONS[-1],
        begin: str | Path | None = None,
    ) -> None:
        """Goes on with the folder's checkpoint if it has one, else from the weights of the file ``begin``, else anew.

        :raises ValueError: if the checkpoint is damaged or of another edition, or ``begin`` of another network.
        """
        torch.manual_seed(0)  # every member begins with the same weights
        self.folder, self.pairs, self.minutes, self.team = folder, pairs, minutes, team
        self.device, self.edition = torch.device(device), edition
        self.schedule = SCHEDULE if begin is None else CONTINUED
        if problems := checkpoint_problems(folder, edition):
            raise ValueError(problems[0])
        self.generator = new_generator()
        checkpoint = folder / "checkpoint.pt"
        if not checkpoint.exists():
            if team is not None and team.rank > 0:
                raise RuntimeError("the first member must have written the first checkpoint")
            if begin is None:
                teach_mapping(self.generator, pairs)
            else:
                take_weights(self.generator, begin)
        self.generator.network.requires_grad_(True)
        self.generator.to(device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.generator)
        self.dtype = quick_dtype(self.device)
        self.forward = TrainingForward(self.generator, self.dtype, centred=True)
        self.weights = list(self.generator.network.parameters())
        for weight in self.weights:
            weight.grad = torch.zeros_like(weight)  # blocks above the present size take part with zeros
        self.average_weights = list(self.average.network.parameters())
        slow = {id(weight) for weight in self.generator.network["mapping"].parameters()}
        groups = [
            {"params": [weight for weight in self.weights if id(weight) not in slow], "factor": 1.0},
            {"params": [weight for weight in self.weights if id(weight) in slow], "factor": MAPPING_FACTOR},
        ]
        self.optimiser = torch.optim.Adam(groups, LEARNING_RATE, betas=(0.9, 0.99), fused=True)
        self.critic: Critic | None = None
        if edition > 1:
            self.critic = Critic(SIZE, self.generator.z_dim).to(device, memory_format=torch.channels_last)
            self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), CRITIC_RATE, betas=(0.5, 0.99))
        self.steps, self.seconds, self.fresh_steps, self._clock = 0, 0.0, 0, 0.0
        self.rng = np.random.default_rng()
        self.judged: float | None = None  # the critic's latest loss; 2 ln 2 if it sees no difference
        if not checkpoint.exists():
            self.save()
        else:
            state = torch.load(checkpoint, map_location=device, weights_only=True)
            self.schedule = tuple(state.get("schedule", SCHEDULE))
            self.generator.network.load_state_dict(state["generator"])
            self.average.network.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.steps, self.seconds = state["steps"], state["seconds"]
            if self.critic is not None:
                self.critic.load_state_dict(state["critic"])
                self.critic_optimiser.load_state_dict(state["critic_optimiser"])
        if self.schedule == CONTINUED:
            self.optimiser.param_groups[1]["factor"] = 0.0

    @property
    def fraction(self) -> float:
        """How much of the time is used, 0..1."""
        return min(1.0, self.seconds / (60 * self.minutes))

    def run(self, line=print) -> None:
        """Train until the time is used up; ``line`` takes a progress line."""
        recent, saved, told = [], time.monotonic(), time.monotonic()
        while self.fraction < 1:
            size, batch = next((size, batch) for until, size, batch in self.schedule if self.fraction <= until)
            recent.append(self.step(size, batch))
            now = time.monotonic()
            leads = self.team is None or self.team.rank == 0
            if now - told > TELL_EVERY:
                if leads:
                    line(
                        f"step {self.steps}, {size} px, {len(self.pairs)} pictures, loss {np.mean(recent):.4f}, "
                        f"{self.seconds / 60:.1f} of {self.minutes:.0f} min"
                        + (f", critic {self.judged:.3f}" if self.judged is not None else "")
                    )
                recent, told = [], now
                self.pairs.refresh()
            if not leads:
                continue
            if now - saved > SAVE_EVERY or self.fraction >= 1:
                line(f"held-out loss {self.save():.4f}")
                saved = time.monotonic()

    def step(self, size: int, batch: int) -> float:
        """One step of the optimiser and of the running average; returns the loss."""
        finishing = self.critic is not None and size == SIZE and self.fraction >= FINISH_FROM
        highest = FINISH_RATE if finishing else LEARNING_RATE
        decay = max(0.0, (self.fraction - DECAY_FROM) / (1 - DECAY_FROM))
        self.fresh_steps += 1
        warm = min(1.0, self.fresh_steps / 50)
        for group in self.optimiser.param_groups:
            faded = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * decay))
            # The finish has a rate of its own, that does not jump above what the other had faded to.
            group["lr"] = group["factor"] * warm * min(highest, LEARNING_RATE * faded)
        began = time.monotonic()
        batch = batch // self.team.size if self.team else batch
        batch = batch if self.device.type == "cpu" else ACCELERATED * batch
        pictures, latents = self.pairs.batch(batch, self.rng, self.device)
        pictures = F.avg_pool2d(pictures, SIZE // size) if size < SIZE else pictures
        made = self.forward(self.forward.mapping(latents), size)
        loss = picture_loss(made, pictures, attention(size).to(self.device))
        self.optimiser.zero_grad(set_to_none=False)
        if finishing:
            self._finish(loss, pictures, made, latents)
        else:
            loss.backward()
        now = time.monotonic()
        elapsed, self._clock = now - (self._clock or began), now
        self.seconds += elapsed if self.team is None else self._share_gradients(elapsed)
        self.optimiser.step()
        self.steps += 1
        with torch.no_grad():
            torch._foreach_lerp_(self.average_weights, self.weights, max(0.005, 1 / (1 + self.steps / 4)))
        return float(loss.detach())

    def _finish(self, loss: Tensor, true: Tensor, made: Tensor, latents: Tensor) -> None:
        """Gradients of the supervised ``loss`` and, bounded by it, of the critic's; then a step of the critic."""
        assert self.critic is not None
        true = true.contiguous(memory_format=torch.channels_last)
        half = torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16)
        self.critic.requires_grad_(False)
        (supervised,) = torch.autograd.grad(loss, made, retain_graph=True)
        with half:
            asked = generator_loss(self.critic, true, made, latents, MATCHING)
        (adversarial,) = torch.autograd.grad(asked, made, retain_graph=True)
        made.backward(led_by(supervised, adversarial, ADVERSARIAL_SHARE))

        self.critic.requires_grad_(True)
        self.critic_optimiser.zero_grad()
        with half:
            judged = critic_loss(self.critic, true, made.detach(), latents)
        if self.steps % PENALTY_EVERY == 0:  # in full precision: squares of small slopes
            few = slice(0, max(1, len(true) // 2))
            judged = judged + PENALTY_EVERY * PENALTY / 2 * gradient_penalty(self.critic, true[few], latents[few])
        judged.backward()
        if self.team is not None:
            weights = list(self.critic.parameters())
            _put_gradients(weights, self.team.mean(torch.cat([weight.grad.flatten() for weight in weights])))
        self.critic_optimiser.step()
        self.judged = float(judged.detach())

    def _share_gradients(self, elapsed: float) -> float:
        """Replace the gradients and ``elapsed`` by the team's means; returns the latter.

        All members must count the same time, since it decides on sizes, rates and the end.
        """
        assert self.team is not None
        flat = self.team.mean(torch.cat([*(w.grad.flatten() for w in self.weights), torch.tensor([elapsed])]))
        _put_gradients(self.weights, flat)
        return float(flat[-1])

    @torch.no_grad()
    def save(self) -> float:
        """Write checkpoint, sample sheet and the generator file; returns the loss on held-out pairs."""
        size = next(size for until, size, _ in self.schedule if self.fraction <= until)
        true, latents = (part.to(self.device) for part in self.pairs.held_out())
        draw, mapping = TrainingForward(self.average, torch.float32, centred=True), self.average.network["mapping"]
        made = draw(mapping(latents, None), size)
        small = F.avg_pool2d(true, SIZE // size) if size < SIZE else true
        loss = float(picture_loss(made, small, attention(size).to(self.device)))
        state = {
            "generator": self.generator.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "steps": self.steps,
            "seconds": self.seconds,
            "edition": self.edition,
            "schedule": list(self.schedule),
        }
        if self.critic is not None:
            state["critic"] = self.critic.state_dict()
            state["critic_optimiser"] = self.critic_optimiser.state_dict()
        write_atomically(self.folder / "checkpoint.pt", lambda stream: torch.save(state, stream))
        export(self.average, self.folder / "faces.safetensors", self.edition)
        z = torch.randn(16, len(LATENT), generator=torch.Generator().manual_seed(3))
        fresh = mapping(z.to(self.device), None)
        new = draw(mapping.w_avg.lerp(fresh, 0.7), size)
        rows = [F.interpolate(rows, SIZE) for rows in (true[:8], made[:8], new[:8], new[8:])]
        sheet = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
        picture = Image.fromarray(((sheet.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy())
        write_atomically(self.folder / "samples.png", lambda stream: picture.save(stream, "PNG"))
        with (self.folder / "history.jsonl").open("a") as history:
            record = {"steps": self.steps, "seconds": round(self.seconds), "size": size, "held_out": round(loss, 5)}
            history.write(json.dumps(record) + "\n")
        return loss


def _put_gradients(weights: Sequence[Tensor], flat: Tensor) -> None:
    """Write gradients, that follow each other in ``flat``, to their ``weights``."""
    start = 0
    for weight in weights:
        weight.grad.copy_(flat[start : start + weight.numel()].view_as(weight))
        start += weight.numel()


def help_training(folder: Path, pictures: Path, minutes: float, team: Team, rank: int, edition: int) -> None:
    """The whole life of a team's member other than the first."""
    torch.set_num_threads(1)
    team.rank = rank
    Trainer(folder, Pairs(pictures), minutes, team, edition=edition).run()


def count_numbers() -> int:
    """How many numbers a team exchanges at once at most: all gradients of the generator and the time."""
    critic = sum(weight.numel() for weight in Critic(SIZE, len(LATENT)).parameters())
    return max(critic, sum(weight.numel() for weight in new_generator().network.parameters()) + 1)


def checkpoint_problems(folder: Path, edition: int) -> list[str]:
    """Nothing, or in one sentence why training of an ``edition`` cannot go on from a folder's checkpoint."""
    checkpoint = folder / "checkpoint.pt"
    if not checkpoint.exists():
        return []
    try:
        held = torch.load(checkpoint, map_location="cpu", mmap=True, weights_only=True).get("edition", 1)
    except Exception as error:  # torch raises many kinds for files that it cannot read
        reason = str(error).splitlines()[0]
        return [f"{checkpoint} cannot be read ({reason}): remove it to begin anew, or give another --out"]
    return [] if held == edition else [f"{checkpoint} is of edition {held}, not {edition}: give another --out"]


def beginning_problems(begin: str | Path) -> list[str]:
    """Nothing, or in one sentence why training cannot go on from the weights of ``begin``."""
    try:
        found = load_generator(begin, device="cpu")
    except (OSError, ValueError) as error:
        return [str(error)]
    wanted = new_generator().config
    if found.config != wanted:
        return [f"{begin} is of another network than this recipe trains: begin with weights that it made, or anew"]
    return []


@torch.no_grad()
def take_weights(generator: StyleGAN2, begin: str | Path) -> None:
    """Go on from what was exported to ``begin``, a built-in name or a file, in place.

    :raises ValueError: if its network is another.
    """
    if problems := beginning_problems(begin):
        raise ValueError(problems[0])
    generator.network.load_state_dict(load_generator(begin, device="cpu").network.state_dict())
    unfold_centre(generator)


@torch.no_grad()
def export(generator: StyleGAN2, path: Path, edition: int) -> None:
    """Write a trained (centred) ``generator`` as the package reads it, with the mean latent of 20,000 samples."""
    generator = copy.deepcopy(generator).cpu()
    fold_centre(generator)
    z = torch.randn(20_000, generator.z_dim, generator=torch.Generator().manual_seed(1))
    mapping = generator.network["mapping"]
    mapping.w_avg.copy_(torch.cat([mapping(chunk, None) for chunk in z.split(2000)]).mean(0))
    generator.drag_config = DRAG_CONFIG
    save_generator(path, generator, half=True, edition=str(edition), **NOTES)
    path.chmod(0o644)


def export_checkpoint(folder: Path, path: Path) -> None:
    """Write the generator of a folder's checkpoint to ``path``."""
    checkpoint = folder / "checkpoint.pt"
    if not checkpoint.exists():
        raise FileNotFoundError(f"no checkpoint in {folder} yet: run make.py --out {folder} first")
    generator = new_generator()
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    generator.network.load_state_dict(state["average"])
    export(generator, path, state.get("edition", 1))
    print(f"{path}: the average after {state['steps']} steps, {state['seconds'] / 60:.0f} min")
