"""Measure how far a generator's pictures are from renders of its edition, by ``distances.py``.

    python examples/generators/faces/measure.py faces [--pictures 400] [--basis FILE]
                                                [--csv docs/data/faces_distances.csv]

Both sides draw the same latents, which no training uses, untruncated. What dlib's descriptors say is left out, with a
line that tells it, where dlib is not installed.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib.util
import io
import sys
from pathlib import Path

import beside  # noqa: F401  for what is shared
import numpy as np
import torch
from command import opengl_problems
from distances import descriptor_distance, distances
from scene import EDITIONS, LATENT

from draggan_widget import load_generator
from draggan_widget.models import find_checkpoint
from draggan_widget.models.checkpoints.load import read_checkpoint

SEED = 1000
LEAST = 20
"""Pictures below which a Fréchet distance says nothing."""


def edition_of(source: str) -> int:
    """The edition of renders that a generator, a built-in name or a file, was trained on; the first wrote none."""
    noted = read_checkpoint(find_checkpoint(source)).notes.get("edition", "1")
    if noted not in {str(edition) for edition in EDITIONS}:
        raise ValueError(f"{source} is of edition {noted}, this recipe draws {EDITIONS}: update draggan_widget")
    return int(noted)


def measured_latents(count: int) -> np.ndarray:
    """The latents ``(count, 80)`` that are measured."""
    return np.random.default_rng(SEED).normal(size=(count, len(LATENT)))


def rendered(latents: np.ndarray, basis_file: Path, edition: int) -> np.ndarray:
    """The renders (N, 256, 256, 3) uint8 of ``latents``."""
    from basis import HeadBasis
    from dataset import SIZE
    from render import Renderer, halve
    from scene import scene_from_latent

    basis = HeadBasis.load(basis_file)
    renderer = Renderer(basis, size=2 * SIZE, edition=edition)
    return np.stack([halve(renderer(scene_from_latent(latent, basis, edition))) for latent in latents])


@torch.no_grad()
def generated(source: str, latents: np.ndarray) -> np.ndarray:
    """The generator's pictures (N, 256, 256, 3) uint8 of ``latents``."""
    generator = load_generator(source, device="cpu")
    pictures = []
    for latent in torch.from_numpy(latents).float():
        picture = generator.synthesize(generator.mapping(latent[None]))[0]
        pictures.append((picture * 127.5 + 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy())
    return np.stack(pictures)


def missing_things(source: str, basis_file: Path, edition: int | None, pictures: int) -> list[str]:
    """What would make the measuring fail, in words, each with its remedy; said before anything is drawn."""
    problems = []
    if pictures < LEAST:
        problems.append(f"--pictures must be at least {LEAST}")
    try:
        own = edition_of(source)
        if edition not in (None, own):
            problems.append(f"{source} is of edition {own}, not {edition}: leave --edition out, or name its weights")
    except (OSError, ValueError) as error:
        problems.append(str(error))
    if not basis_file.exists():
        problems.append(f"no basis of the head at {basis_file}: run make.py first, or say where it is by --basis")
    if importlib.util.find_spec("moderngl") is None:
        problems.append('the package moderngl is not installed: pip install "draggan_widget[faces]"')
    else:
        problems += opengl_problems()
    return problems


def main() -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generator", help="a built-in name or a .safetensors file")
    parser.add_argument("--edition", type=int, choices=EDITIONS, help="that the generator must be of")
    parser.add_argument("--pictures", type=int, default=400, help="how many of each kind (400)")
    parser.add_argument("--basis", type=Path, default=Path(__file__).parent / "out/basis.npz")
    parser.add_argument("--csv", type=Path, help="a file of figures to add a line a figure to")
    options = parser.parse_args()
    if problems := missing_things(options.generator, options.basis, options.edition, options.pictures):
        print("Cannot measure:\n- " + "\n- ".join(problems), file=sys.stderr)
        return 1
    edition = edition_of(options.generator)
    weights = hashlib.sha256(find_checkpoint(options.generator).read_bytes()).hexdigest()[:16]
    print(f"{options.generator}: weights {weights} of edition {edition}, {options.pictures} pictures", flush=True)
    latents = measured_latents(options.pictures)
    made, true = generated(options.generator, latents), rendered(latents, options.basis, edition)
    figures = {name: (value, options.pictures) for name, value in distances(made, true).items()}
    try:
        from draggan_widget.inversion import Landmarks

        figures["descriptors"] = descriptor_distance(made, true, Landmarks())
    except (ModuleNotFoundError, ValueError) as error:
        print(f"descriptors left out: {error}")
    for name, (value, count) in figures.items():
        print(f"{name:14} {value:.4f}  ({count} pictures)")
    if options.csv is not None:
        add_lines(options.csv, edition, weights, figures)
    return 0


def add_lines(path: Path, edition: int, weights: str, figures: dict[str, tuple[float, int]]) -> None:
    """Put figures behind those that ``path`` holds, less older ones of the same weights."""
    from draggan_widget.files import write_whole

    fields = ["edition", "weights", "pictures", "measure", "value"]
    kept = []
    if path.exists():
        with path.open(newline="") as lines:
            kept = [row for row in csv.DictReader(lines) if row["weights"] != weights]
    new = [dict(zip(fields, (edition, weights, count, name, f"{value:.5f}"), strict=True))
           for name, (value, count) in figures.items()]  # fmt: skip
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(kept + new)
    write_whole(path, text.getvalue().encode())


if __name__ == "__main__":
    sys.exit(main())
