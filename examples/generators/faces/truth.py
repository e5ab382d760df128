"""Write the small set of pictures whose landmarks are known: heads, each of which does one thing, frame by frame.

    python examples/generators/faces/truth.py --out tests/data/heads [--basis FILE]

The renderer knows where every point of a head is, so these pictures say whether a tracker, or a generator that should
draw the same latents, is right. ``heads.json`` holds for each picture its latent, and for each landmark its position
(x, y) in pixels, pixel centres at integers, and whether it can be seen.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from dataset import SIZE, basis_at
from PIL import Image
from render import LANDMARK_NAMES, Renderer, halve
from scene import LATENT, scene_from_latent

EDITION = 1
"""That of the generator in the package, whose pictures of the same latents are compared."""
FRAMES = 5
MOVES = {
    "turn": (21, {"yaw": (-0.45, 0.4)}),
    "nod": (2, {"pitch": (-0.9, 1.0)}),
    "tilt": (3, {"roll": (-1.3, 1.3)}),
    "open": (24, {"jaw": (-0.3, 1.6)}),
    "smile": (5, {"smile": (-0.8, 1.8)}),
    "blink": (6, {"blink": (-0.2, 2.2)}),
    "nose": (27, {"nose_length": (-1.8, 1.8)}),
    "brows": (8, {"brow_raise": (-2.4, 2.4)}),
}
"""Per head: the seed of its latent, and which number of the latent goes from where to where."""


def latents(seed: int, moved: dict[str, tuple[float, float]]) -> np.ndarray:
    """The latents (frames, 80) of one head, of unit mean square, rounded as they are written."""
    latent = np.random.default_rng([77, seed]).normal(size=len(LATENT))
    for name in ("yaw", "pitch", "roll", "jaw", "blink", "wink", "fringe"):  # seen from the front, eyes open
        latent[LATENT.index(name)] *= 0.3
    frames = np.repeat(latent[None], FRAMES, 0)
    for name, (first, last) in moved.items():
        frames[:, LATENT.index(name)] = np.linspace(first, last, FRAMES)
    return (frames / np.sqrt(np.square(frames).mean(1, keepdims=True))).round(4)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures and heads.json")
    parser.add_argument("--basis", type=Path, default=Path(__file__).parent / "out/basis.npz")
    options = parser.parse_args()
    basis = basis_at(options.basis)
    renderer = Renderer(basis, size=2 * SIZE, edition=EDITION)
    options.out.mkdir(parents=True, exist_ok=True)
    heads = []
    for name, (seed, moved) in MOVES.items():
        frames = []
        for number, latent in enumerate(latents(seed, moved)):
            scene = scene_from_latent(latent, basis, EDITION)
            file = f"{name}-{number}.png"
            Image.fromarray(halve(renderer(scene))).save(options.out / file, optimize=True)
            points, visible = renderer.landmarks(scene)
            frames.append(
                {
                    "file": file,
                    "latent": latent.tolist(),
                    "points": ((points + 0.5) / 2 - 0.5).round(2).tolist(),
                    "visible": [bool(seen) for seen in visible],
                }
            )
        heads.append({"name": name, "moved": list(moved), "frames": frames})
    written = {"size": SIZE, "landmarks": list(LANDMARK_NAMES), "heads": heads}
    (options.out / "heads.json").write_text(json.dumps(written, indent=1) + "\n")
    weight = sum(file.stat().st_size for file in options.out.iterdir())
    print(f"{options.out}: {len(heads) * FRAMES} pictures, {weight / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
