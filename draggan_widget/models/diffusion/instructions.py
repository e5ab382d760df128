"""Move an object and change what is said of it in one edit, while the rest stays: energies lead the way down.

What is known of InstructUDrag (arXiv 2510.08181) is done as it says: the object's noise is moved,
``z' = (1 - M_c)·z + M_c·shift(z)``, and energies of three regions lead: what is edited M_c, what was uncovered M_v, in
contrast to its old content, and the rest, which is kept; the text is the prompt of the network that is asked. Of its
formulas no more was to be had, so the energies here are ours, on features of one block F of the pulled picture and F⁰
of the unpulled one at the same level:

    E = λ_c · mean over M_c of (1 - cos(F, shift F⁰))
      + λ_v · mean over M_v of max(0, cos(F, F⁰))
      + λ_k · mean over the rest of (1 - cos(F, F⁰))

They change the noise that the network sees, ``ε' = ε + w·s·g``, as in Epstein et al., *Diffusion Self-Guidance*,
NeurIPS 2023, with g the gradient of E, here scaled to the size of ε. Ours are too: that the rest is put back at each
level as it was (Avrahami et al., *Blended Diffusion*, CVPR 2022), and that what was uncovered begins with the mean
colour of the rest. The word embedding that the paper fits is not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator as Work
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from draggan_widget.models.diffusion.ddim import Climb, climbed
from draggan_widget.models.diffusion.network import Diffusion
from draggan_widget.settings import Settings, as_number, number, shown

REFINE = 2
"""How often more the network is asked at each level of the way up that ends it. See ``inverting``."""


@dataclasses.dataclass(frozen=True)
class Instructing(Settings):
    """How strongly the energies lead."""

    weight: float = number(0.3, "Guidance", "How strongly the energies lead, in parts of the noise.", most=10)
    """w."""
    edited: float = number(1.0, "Edited λ", "How strongly the object stays what it was where it comes.", most=100)
    """λ_c."""
    uncovered: float = number(1.0, "Uncovered λ", "How strongly its old place becomes another thing.", most=100)
    """λ_v."""
    kept: float = number(1.0, "Kept λ", "How strongly the rest stays.", most=100)
    """λ_k."""
    until: float = number(0.3, "Led until", "Part of the way down that is not led, for detail to settle.", most=1)
    least: float = number(0.5, "Word threshold", "How much a place has to do with a word to be of it.", most=1)
    """Of ``word_maps``; where a mask is given, how much of a cell it must cover."""


@dataclasses.dataclass(frozen=True, eq=False)
class Regions:
    """The parts of a noisy picture (1, 1, h, w), ones and zeros: each cell is of just one of the last three."""

    old: Tensor
    """Where the object was."""
    edited: Tensor
    """M_c: where it comes."""
    uncovered: Tensor
    """M_v: where it was and does not come."""
    kept: Tensor
    """The rest."""
    by: tuple[int, int]
    """Cells to the right and down."""

    @classmethod
    def of(cls, model: Diffusion, mask: Tensor, by: tuple[float, float], least: float = 0.5) -> Regions:
        """Return the regions of an object that is moved.

        :param mask: (H, W), how much each pixel of the picture is of the object, 0 … 1. :param by: pixels to the right
            and down; whole cells are moved. :raises ValueError: for a mask of another size, of nothing, or whose object
            would be moved out of the picture.
        """
        if tuple(mask.shape) != model.resolution:
            raise ValueError(f"the mask has shape {tuple(mask.shape)}; this model's pictures have {model.resolution}")
        covered = F.adaptive_avg_pool2d(mask.to(model.scale)[None, None], model.side)
        old = (covered >= least).to(covered)
        if not bool(old.any()):
            raise ValueError("nothing of the picture is of that object; give a mask, or a lower threshold")
        cells = (
            round(by[0] * model.side[1] / model.resolution[1]),
            round(by[1] * model.side[0] / model.resolution[0]),
        )
        edited = shifted(old, cells)
        if not bool(edited.any()):
            raise ValueError(f"moved by {shown(tuple(by))} pixels the object is out of the picture; move it less")
        uncovered = old * (1 - edited)
        return cls(old, edited, uncovered, (1 - edited) * (1 - uncovered), cells)


def shifted(maps: Tensor, by: tuple[int, int]) -> Tensor:
    """Return maps (N, C, h, w) moved by whole cells to the right and down; what comes in is 0."""
    height, width = maps.shape[2:]
    right, down = by
    made = torch.zeros_like(maps)
    if abs(right) >= width or abs(down) >= height:
        return made
    into = [slice(max(step, 0), side + min(step, 0)) for step, side in ((down, height), (right, width))]
    out_of = [slice(max(-step, 0), side + min(-step, 0)) for step, side in ((down, height), (right, width))]
    made[:, :, into[0], into[1]] = maps[:, :, out_of[0], out_of[1]]
    return made


def moved_noise(model: Diffusion, noisy: Tensor, said: Tensor, regions: Regions) -> Tensor:
    """Return the noisy picture (1, C, h, w) with which the way down begins: the object's noise is moved.

    What was uncovered keeps its noise and gets the mean colour of the rest, or of all where there is no rest.

    :param said: what the network says of ``noisy``.
    """
    picture, noise = model.schedule.split(noisy, said, model.level)
    rest = regions.kept if bool(regions.kept.any()) else torch.ones_like(regions.kept)
    colour = (picture * rest).sum(dim=(2, 3), keepdim=True) / rest.sum()
    plain = model.schedule.join(colour.expand_as(picture), noise, model.level)
    made = (1 - regions.edited) * noisy + regions.edited * shifted(noisy, regions.by)
    return (1 - regions.uncovered) * made + regions.uncovered * plain


def energy(features: Tensor, before: Tensor, regions: Regions, settings: Instructing) -> Tensor:
    """Return E of the module. :param features: F (1, C, h', w'). :param before: F⁰, of its shape."""
    size = (regions.kept.shape[2], regions.kept.shape[3])
    now, was = (F.interpolate(each, size, mode="bilinear", align_corners=False) for each in (features, before))
    there = F.cosine_similarity(now, shifted(was, regions.by), dim=1)[:, None]
    here = F.cosine_similarity(now, was, dim=1)[:, None]
    parts = (
        (settings.edited, regions.edited, 1 - there),
        (settings.uncovered, regions.uncovered, here.clamp(min=0)),
        (settings.kept, regions.kept, 1 - here),
    )
    total = now.new_zeros(())
    for weight, region, value in parts:
        if weight and bool(region.any()):
            total = total + weight * (value * region).sum() / region.sum()
    return total


def led(model: Diffusion, noisy: Tensor, before: Tensor, regions: Regions, level: int, settings: Instructing) -> Tensor:
    """Return a noisy picture (1, C, h, w) one level on, led by the energies.

    :param before: F⁰ at that level, of the model's default block.
    """
    block, schedule = model.default_block(), model.schedule
    with torch.inference_mode(mode=False), torch.enable_grad():
        asked = noisy.detach().clone().requires_grad_()
        (features,), said = model.features_and_said(asked, (block,), level)
        value = energy(features, before, regions, settings)
        # Without any λ, or where no region is, nothing leads.
        (gradient,) = torch.autograd.grad(value, asked) if value.requires_grad else (torch.zeros_like(noisy),)
    _, noise = schedule.split(noisy, said.detach(), level)
    a, s = schedule.parts(level)
    size = gradient.square().mean().sqrt().clamp(min=torch.finfo(gradient.dtype).tiny)
    noise = noise + settings.weight * s * gradient * (noise.square().mean().sqrt() / size)
    return schedule.join((noisy - s * noise) / a, noise, level - 1)


def instructing(
    model: Diffusion,
    latent: Tensor,
    object_: str | Tensor | np.ndarray,
    by: Sequence[float] = (0.0, 0.0),
    *,
    prompt: str | None = None,
    settings: Instructing | None = None,
) -> Work[Climb, None, tuple[Diffusion, Tensor]]:
    """Move an object, and change what the prompt says of it, level by level, so that it can be left at any.

    :param model: stays as it is. :param latent: (1, 2·C, h, w). :param object_: a word of the prompt, whose places are
        found by ``word_maps``, or a mask (H, W), 0 … 1. :param by: pixels (x, y) to the right and down. :param prompt:
        what is to be said of the picture from now on; None for the same.
    :returns: the model with that prompt, and the latent of the picture that came of it, of which nothing is pulled yet.
    :raises ValueError: for a word that the prompt does not have, a prompt that the model cannot read, or an object that
        would leave the picture.
    """
    settings = settings or Instructing()
    steps = [as_number(each) for each in by]
    if len(steps) != 2 or any(each is None for each in steps):
        raise ValueError(f"by is {shown(by)}; give two numbers, pixels to the right and down")
    latent = model.space.check(latent)
    mask = model.word_maps(latent, object_)[0, 0] if isinstance(object_, str) else torch.as_tensor(object_)
    regions = Regions.of(model, mask, (steps[0] or 0.0, steps[1] or 0.0), settings.least)
    changed = model if prompt is None else model.sampled(prompt=prompt)
    noisy = source = model.moving(latent)
    block = model.default_block()
    for level in range(model.level, 0, -1):
        with torch.no_grad():
            (before,), said = model.features_and_said(source, (block,), level)
            if level == model.level:
                noisy = moved_noise(model, source, said, regions)
            source = model.schedule.move(source, said, level, level - 1)
        if settings.weight and level > settings.until * model.level:
            noisy = led(changed, noisy, before, regions, level, settings)
        else:
            with torch.no_grad():
                noisy = changed.down(noisy, level)
        noisy = (1 - regions.kept) * noisy + regions.kept * source
        yield Climb(model.level - level + 1, 2 * model.level)
    reached = noisy
    for level, above in enumerate(climbed(changed, noisy, REFINE), start=1):
        reached = above
        yield Climb(model.level + level, 2 * model.level)
    return changed, changed.paired(reached)
