"""Write pairs of latents of heads and where the same points of the skin are in both pictures, for trackers to learn.

    python examples/generators/faces/correspond.py --out pairs.npz [--pairs 200] [--basis FILE]

Nothing is drawn but depth. The second head of a pair is the first one moved: turned, nodding, another expression or
shape. ``pairs.npz`` holds ``latents`` (N, 2, 80), ``points`` (N, 2, K, 2), x and y in pixels of 256 with pixel centres
at integers, and ``seen`` (N, K): whether a point can be seen in both.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from dataset import SIZE, basis_at
from render import Renderer
from scene import LATENT, scene_from_latent
from truth import EDITION

POINTS = 96
MOVED = ("yaw", "pitch", "roll", "jaw", "smile", "blink", "brow_raise", "nose_length")
"""Numbers of the latent of which some are changed."""
CHANGED, SPREAD = 3, 0.7


def pair(random: np.random.Generator) -> np.ndarray:
    """The latents (2, 80) of one pair."""
    first = 0.8 * random.normal(size=len(LATENT))
    second = first.copy()
    for name in random.choice(MOVED, CHANGED, replace=False):
        second[LATENT.index(name)] += SPREAD * random.normal()
    both = np.stack([first, second])
    return np.asarray(both / np.sqrt(np.square(both).mean(1, keepdims=True)))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--basis", type=Path, default=Path(__file__).parent / "out/basis.npz")
    options = parser.parse_args()
    basis = basis_at(options.basis)
    renderer = Renderer(basis, size=2 * SIZE, edition=EDITION)
    random = np.random.default_rng(options.seed)
    latents, points, seen = [], [], []
    for _ in range(options.pairs):
        both = pair(random)
        renderer._landmarks = random.choice(len(basis.rest), 8 * POINTS, replace=False)
        found = [renderer.landmarks(scene_from_latent(latent, basis, EDITION)) for latent in both]
        visible = found[0][1] & found[1][1]
        chosen = np.argsort(~visible, kind="stable")[:POINTS]
        latents.append(both)
        points.append([(places[chosen] + 0.5) / 2 - 0.5 for places, _ in found])
        seen.append(visible[chosen])
    np.savez_compressed(
        options.out,
        latents=np.array(latents, np.float32),
        points=np.array(points, np.float32),
        seen=np.array(seen),
    )
    gone = np.linalg.norm(np.diff(np.array(points), axis=1)[:, 0], axis=-1)[np.array(seen)]
    print(f"{options.out}: {len(latents)} pairs, {len(gone)} points, median motion {np.median(gone):.1f} px")


if __name__ == "__main__":
    main()
