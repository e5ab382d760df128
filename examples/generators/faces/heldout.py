"""Draw renders that no network has learned from, to see how well they are inverted.

    python examples/generators/faces/heldout.py --out DIR [--count 50] [--edition 1] [--basis FILE]

``draggan-widget evaluate faces --experiments inversion --photos DIR`` inverts them. The edition should be that of the
generator's weights; ``latents.json`` holds the latent of each picture.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from dataset import SIZE, basis_at
from PIL import Image
from render import Renderer, halve
from scene import EDITIONS, LATENT, scene_from_latent

SEED = 31_337
"""Of the latents, which are of no part that is trained on."""
SHRUNK = 0.8
"""What those numbers that turn the head are multiplied by: most people look at the camera."""
TURNS = ("yaw", "pitch", "roll")


def latents(count: int) -> np.ndarray:
    """Return latents (count, 80) of unit mean square, rounded as they are written."""
    found = np.random.default_rng([SEED]).normal(size=(count, len(LATENT)))
    found[:, [LATENT.index(name) for name in TURNS]] *= SHRUNK
    return (found / np.sqrt(np.square(found).mean(1, keepdims=True))).round(4)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures and latents.json")
    parser.add_argument("--count", type=int, default=50, help="how many (default: 50)")
    parser.add_argument("--edition", type=int, choices=EDITIONS, default=1, help="of the renders (default: 1)")
    parser.add_argument("--basis", type=Path, default=Path(__file__).parent / "out/basis.npz")
    options = parser.parse_args()
    renderer = Renderer(basis := basis_at(options.basis), size=2 * SIZE, edition=options.edition)
    options.out.mkdir(parents=True, exist_ok=True)
    found = latents(options.count)
    for number, latent in enumerate(found):
        picture = halve(renderer(scene_from_latent(latent, basis, options.edition)))
        Image.fromarray(picture).save(options.out / f"render-{number:03d}.png")
    (options.out / "latents.json").write_text(json.dumps(found.tolist()) + "\n")
    print(f"{options.out}: {len(found)} renders of edition {options.edition}")


if __name__ == "__main__":
    main()
