"""Weights of a recipe: a new network, a checkpoint, weights to go on from, and the file that the package loads."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from forward import fold_centre, unfold_centre
from recipe import Recipe

from draggan_widget.models.checkpoints.load import load_generator, save_generator
from draggan_widget.models.stylegan2.network import StyleGAN2


def new_generator(recipe: Recipe) -> StyleGAN2:
    """The untrained network. Only the coarsest block paints at first; finer ones join without a jolt."""
    generator = StyleGAN2(recipe.size, **recipe.network)
    with torch.no_grad():
        for name, block in generator.network["synthesis"].items():
            if name != "b4":
                block.torgb.weight.zero_()
    return generator


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


def beginning_problems(recipe: Recipe, begin: str | Path) -> list[str]:
    """Nothing, or in one sentence why training cannot go on from the weights of ``begin``."""
    try:
        found = load_generator(begin, device="cpu")
    except (OSError, ValueError) as error:
        return [str(error)]
    wanted = new_generator(recipe).config
    if found.config != wanted:
        return [f"{begin} is of another network than this recipe trains: begin with weights that it made, or anew"]
    return []


@torch.no_grad()
def take_weights(recipe: Recipe, generator: StyleGAN2, begin: str | Path) -> None:
    """Go on from what was exported to ``begin``, a built-in name or a file, in place.

    :raises ValueError: if its network is another.
    """
    if problems := beginning_problems(recipe, begin):
        raise ValueError(problems[0])
    generator.network.load_state_dict(load_generator(begin, device="cpu").network.state_dict())
    unfold_centre(generator)


@torch.no_grad()
def export(recipe: Recipe, generator: StyleGAN2, path: Path, edition: int) -> None:
    """Write a trained (centred) ``generator`` as the package reads it, with the mean latent of 20,000 samples."""
    generator = copy.deepcopy(generator).cpu()
    fold_centre(generator)
    z = torch.randn(20_000, generator.z_dim, generator=torch.Generator().manual_seed(1))
    mapping = generator.network["mapping"]
    mapping.w_avg.copy_(torch.cat([mapping(chunk, None) for chunk in z.split(2000)]).mean(0))
    generator.drag_config = recipe.drag_config
    save_generator(path, generator, half=True, edition=str(edition), name=recipe.name, **recipe.notes)
    path.chmod(0o644)


def export_checkpoint(recipe: Recipe, folder: Path, path: Path) -> tuple[int, float]:
    """Write the generator of a folder's checkpoint to ``path``; return after how many steps and seconds it was.

    :raises FileNotFoundError: if there is no checkpoint. :raises RuntimeError: if it is of another network.
    """
    checkpoint = folder / "checkpoint.pt"
    if not checkpoint.exists():
        raise FileNotFoundError(f"no checkpoint in {folder} yet: run make.py --out {folder} first")
    generator = new_generator(recipe)
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    generator.network.load_state_dict(state["average"])
    export(recipe, generator, path, state.get("edition", 1))
    print(f"{path}: the average after {state['steps']} steps, {state['seconds'] / 60:.0f} min")
    return int(state["steps"]), float(state["seconds"])
