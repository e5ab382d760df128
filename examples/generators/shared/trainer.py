"""Learn latent → picture from rendered pairs, coarse to fine, on a processor or an accelerator.

The pairs are known, so differences lead: of pixels at several scales and of neighbouring pixels, what is of interest
counting more than the background. Where the recipe says so, the last part of the time has an adversary beside them
(``critic.py``), since what differences alone leave open, such as where exactly each hair lies, they blur. Everything
that counts is in one checkpoint, written whole or not at all, so training can be stopped and gone on with any time.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from critic import Critic, critic_loss, generator_loss, gradient_penalty, led_by
from forward import TrainingForward, quick_dtype
from losses import picture_loss
from pairs import Pairs
from PIL import Image
from recipe import Recipe
from teaching import teach_mapping
from team import Team
from torch import Tensor
from weights import checkpoint_problems, export, new_generator, take_weights
from whole import write_atomically

FINISH_FROM = 0.35
"""From which fraction of the time on there is an adversary, where the recipe has one.

Training that goes on from other weights has it at once: these were sharp, and would blur without.
"""
FINISH_RATE, CRITIC_RATE = 1.5e-3, 5e-4
"""Learning rates of the generator (which fades on) and the critic from then on."""
ADVERSARIAL_SHARE, MATCHING = 1.2, 1.0
"""How long the adversary's gradient may be beside the supervised one, and how much features count beside verdicts."""
PENALTY, PENALTY_EVERY = 0.3, 8
"""The γ of R1, and every how many steps it is taken."""
ACCELERATED = 4
"""Batches on an accelerator are so many times larger."""
LEARNING_RATE = 8e-3
MAPPING_FACTOR = 0.1
"""The mapping has been taught before and is only refined: small batches of pictures would unsettle it.

Where training goes on from other weights it stays as it is, so latents and their attributes mean what they meant.
"""
DECAY_FROM = 0.6
SAVE_EVERY = 180.0
TELL_EVERY = 20.0
"""Seconds between checkpoints, and between progress lines."""


class Trainer:
    """One training run in one folder; with a team, one member's part of it."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        pairs: Pairs,
        minutes: float,
        team: Team | None = None,
        device: str | torch.device = "cpu",
        edition: int | None = None,
        begin: str | Path | None = None,
    ) -> None:
        """Goes on with the folder's checkpoint if it has one, else from the weights of the file ``begin``, else anew.

        :raises ValueError: if the checkpoint is damaged or of another edition, or ``begin`` of another network.
        """
        torch.manual_seed(0)  # every member begins with the same weights
        self.folder, self.pairs, self.minutes, self.team = folder, pairs, minutes, team
        self.recipe, self.device = recipe, torch.device(device)
        self.edition = edition = recipe.edition if edition is None else edition
        self.schedule = recipe.schedule if begin is None else recipe.continued
        self.full = recipe.size[0]
        if problems := checkpoint_problems(folder, edition):
            raise ValueError(problems[0])
        self.generator = new_generator(recipe)
        checkpoint = folder / "checkpoint.pt"
        if not checkpoint.exists():
            if team is not None and team.rank > 0:
                raise RuntimeError("the first member must have written the first checkpoint")
            if begin is None:
                teach_mapping(self.generator, pairs)
            else:
                take_weights(recipe, self.generator, begin)
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
        if edition in recipe.finished:
            self.critic = _new_critic(recipe).to(device, memory_format=torch.channels_last)
            self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), CRITIC_RATE, betas=(0.5, 0.99))
        self.steps, self.seconds, self.fresh_steps, self._clock = 0, 0.0, 0, 0.0
        self.rng = np.random.default_rng()
        self.judged: float | None = None  # the critic's latest loss; 2 ln 2 if it sees no difference
        if not checkpoint.exists():
            self.save()
        else:
            state = torch.load(checkpoint, map_location=device, weights_only=True)
            self.schedule = tuple(state.get("schedule", recipe.schedule))
            self.generator.network.load_state_dict(state["generator"])
            self.average.network.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.steps, self.seconds = state["steps"], state["seconds"]
            if self.critic is not None:
                self.critic.load_state_dict(state["critic"])
                self.critic_optimiser.load_state_dict(state["critic_optimiser"])
        self.finish_from = FINISH_FROM
        if self.schedule == recipe.continued:
            self.optimiser.param_groups[1]["factor"] = 0.0
            self.finish_from = 0.0

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
        finishing = self.critic is not None and size == self.full and self.fraction >= self.finish_from
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
        pictures = F.avg_pool2d(pictures, self.full // size) if size < self.full else pictures
        made = self.forward(self.forward.mapping(latents), size)
        loss = picture_loss(made, pictures, self.recipe.attention(size).to(self.device), finest_edges=not finishing)
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
        small = F.avg_pool2d(true, self.full // size) if size < self.full else true
        loss = float(picture_loss(made, small, self.recipe.attention(size).to(self.device)))
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
        export(self.recipe, self.average, self.folder / f"{self.recipe.name}.safetensors", self.edition)
        z = torch.randn(16, len(self.recipe.latent), generator=torch.Generator().manual_seed(3))
        fresh = mapping(z.to(self.device), None)
        new = draw(mapping.w_avg.lerp(fresh, 0.7), size)
        rows = [F.interpolate(rows, self.recipe.size) for rows in (true[:8], made[:8], new[:8], new[8:])]
        sheet = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
        picture = Image.fromarray(((sheet.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy())
        write_atomically(self.folder / "samples.png", lambda stream: picture.save(stream, "PNG"))
        with (self.folder / "history.jsonl").open("a") as history:
            record = {"steps": self.steps, "seconds": round(self.seconds), "size": size, "held_out": round(loss, 5)}
            history.write(json.dumps(record) + "\n")
        return loss


def _new_critic(recipe: Recipe) -> Critic:
    high, wide = recipe.size
    return Critic(high, len(recipe.latent), 4 * wide // high)


def _put_gradients(weights: Sequence[Tensor], flat: Tensor) -> None:
    """Write gradients, that follow each other in ``flat``, to their ``weights``."""
    start = 0
    for weight in weights:
        weight.grad.copy_(flat[start : start + weight.numel()].view_as(weight))
        start += weight.numel()


def help_training(
    recipe: Recipe, folder: Path, pictures: Path, minutes: float, team: Team, rank: int, edition: int
) -> None:
    """The whole life of a team's member other than the first."""
    torch.set_num_threads(1)
    team.rank = rank
    Trainer(recipe, folder, Pairs(recipe, pictures), minutes, team, edition=edition).run()


def count_numbers(recipe: Recipe) -> int:
    """How many numbers a team exchanges at once at most: all gradients of the generator and the time."""
    critic = sum(weight.numel() for weight in _new_critic(recipe).parameters())
    return max(critic, sum(weight.numel() for weight in new_generator(recipe).network.parameters()) + 1)
