"""An identity: small matrices beside a network's attention that make it know one picture well (LoRA), by PEFT.

DragDiffusion trains them before it pulls, so that the pulled picture stays the one that it was (Shi et al., CVPR 2024,
section 3.2; Hu et al., *LoRA*, ICLR 2022). The model stays as it is: one with an identity shares all of its weights.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import math
from collections.abc import Generator as Work
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from draggan_widget.models.diffusion.network import Diffusion
from draggan_widget.models.diffusion.schedule import Schedule
from draggan_widget.models.guard import plain_torch
from draggan_widget.settings import Settings, number, whole

BESIDE = ("to_q", "to_k", "to_v", "to_out.0")
"""Layers of each attention that have such matrices."""
NAME = "default"
SEED = 0


@dataclasses.dataclass(frozen=True)
class Identity(Settings):
    """How an identity is learnt. The numbers are those of DragDiffusion."""

    steps: int = whole(80, "Steps", "How long the model looks at the picture.", least=0, most=10_000)
    rank: int = whole(16, "Rank", "How much it can learn of it.", least=1, most=512)
    rate: float = number(5e-4, "Learning rate", "How far a step goes.", above=True, most=1)
    decay: float = number(0.01, "Weight decay", "How strongly what is learnt is kept small.", most=1, advanced=True)
    batch: int = whole(4, "Batch", "Noisy pictures that are looked at in a step.", least=1, most=256, advanced=True)


class Lesson(NamedTuple):
    """How far learning is."""

    step: int
    of: int
    loss: float
    """Mean square of what the network says wrongly of the picture with noise."""


def learning(model: Diffusion, picture: Tensor, settings: Identity | None = None) -> Work[Lesson, None, Diffusion]:
    """Learn a picture step by step, and return the model that knows it. It can be left at any step.

    :param model: stays as it is. :param picture: (1, channels, H, W) in [-1, 1].
    :raises ModuleNotFoundError: without PEFT. :raises FloatingPointError: if the loss leaves the finite numbers.
    """
    settings = settings or Identity()
    if not settings.steps:
        return model
    learner = with_adapter(model, settings.rank)
    weights = [weight for name, weight in learner.unet.named_parameters() if "lora_" in name]
    draw = torch.Generator().manual_seed(SEED)
    schedule, prompt = Schedule.trained(model.scheduler), learner.prompt_vectors
    with plain_torch():
        optimizer = torch.optim.AdamW(weights, settings.rate, weight_decay=settings.decay)
        with torch.no_grad():
            clean = model.encode(picture)
    for step in range(1, settings.steps + 1):
        with plain_torch():
            for weight in weights:
                weight.requires_grad_()
            levels = torch.randint(1, schedule.steps + 1, (settings.batch,), generator=draw).tolist()
            noises = [torch.randn(clean.shape, generator=draw).to(clean) for _ in levels]
            pairs = list(zip(noises, levels, strict=True))
            noisy = torch.cat([schedule.join(clean, noise, level) for noise, level in pairs])
            times = torch.tensor([schedule.times[level - 1] for level in levels], device=clean.device)
            wanted = torch.cat([schedule.said(clean, noise, level) for noise, level in pairs])
            loss = F.mse_loss(learner.asked(noisy, times, prompt), wanted)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            for weight in weights:  # whoever stops here has a frozen model
                weight.requires_grad_(False)
            told = float(loss.detach())
        if not torch.isfinite(loss.detach()):
            raise FloatingPointError("the identity cannot be learnt: the loss is not finite; lower its learning rate")
        yield Lesson(step, settings.steps, told)
    return learner


def identity_of(model: Diffusion) -> dict[str, Tensor]:
    """Return what makes a model know one picture: matrices by name, on the processor; empty for none."""
    weights = {name: weight for name, weight in model.unet.state_dict().items() if "lora_" in name}
    return {name: weight.detach().cpu().clone() for name, weight in weights.items()}


def with_identity(model: Diffusion, matrices: Mapping[str, Tensor]) -> Diffusion:
    """Return a model with the matrices that ``identity_of`` gave; it shares all weights with ``model``.

    :raises ValueError: for matrices that are not of this model, or not finite.
    """
    if not matrices:
        return model
    ranks = {matrix.shape[0] for name, matrix in matrices.items() if "lora_A" in name and matrix.ndim}
    if len(ranks) != 1:
        raise ValueError("these matrices are no identity of a model; learn it again")
    made = with_adapter(model, int(ranks.pop()))
    there = identity_of(made)
    for name, matrix in there.items():
        given = matrices.get(name)
        if given is None or given.shape != matrix.shape or not bool(torch.isfinite(given).all()):
            raise ValueError(f"the identity has no such matrix {name} as this model needs; it is of another model")
    if set(matrices) != set(there):
        raise ValueError("the identity has matrices that this model does not; it is of another model")
    with plain_torch(), torch.no_grad():
        for name, weight in made.unet.state_dict().items():
            if name in matrices:
                weight.copy_(matrices[name])
    return made


def with_adapter(model: Diffusion, rank: int) -> Diffusion:
    """Return a model with new matrices, which change nothing yet, in the place of those that it has."""
    if importlib.util.find_spec("peft") is None:
        raise ModuleNotFoundError(
            "a model learns a picture by PEFT, which is not here; pip install 'draggan_widget[diffusion]', or ask for "
            "no identity (0 steps)",
            name="peft",
        )
    from peft import LoraConfig, inject_adapter_in_model

    with plain_torch():
        made = bare(model)
        config = LoraConfig(r=rank, lora_alpha=rank, target_modules=list(BESIDE), lora_dropout=0.0)
        with _Drawn(torch.Generator().manual_seed(SEED)):
            unet: Any = inject_adapter_in_model(config, made.unet, NAME)
        layer: nn.Module
        for name, layer in unet.named_modules():
            if name.endswith((f"lora_A.{NAME}", f"lora_B.{NAME}")):
                layer.to(device=model.scale.device, dtype=model.scale.dtype)
        made.unet = unet
        made.freeze()
    return made


class _Drawn(TorchFunctionMode):
    """New matrices are drawn by a generator of their own, in this thread.

    PEFT takes that of the whole process, from which others may draw at the same time: a cell of a notebook, say.
    """

    def __init__(self, draw: torch.Generator) -> None:
        super().__init__()
        self._draw = draw

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is not nn.init.kaiming_uniform_:
            return function(*args, **kwargs)
        matrix = kwargs["tensor"]
        bound = math.sqrt(3.0) * (math.sqrt(2.0 / (1 + kwargs["a"] ** 2)) / math.sqrt(matrix.shape[1]))
        with torch.no_grad():
            return matrix.uniform_(-bound, bound, generator=self._draw)


def bare(model: Diffusion) -> Diffusion:
    """Return a model without the identity that this one may have, which shares its weights."""
    made = model.sharing_weights()
    parts = dict(made.unet.named_modules())
    for name, layer in parts.items():
        if hasattr(layer, "lora_A") and hasattr(layer, "base_layer"):
            above, _, last = name.rpartition(".")
            parts[above]._modules[last] = layer.base_layer
    if hasattr(made.unet, "peft_config"):
        del made.unet.peft_config
    return made
