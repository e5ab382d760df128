"""Write pairs of rendered heads whose landmarks are known: how well trackers follow them on long ways.

    python examples/generators/faces/tracking_pairs.py --out pairs.npz [--pairs 200] [--seed 20261] [--basis FILE]

In each pair one head does one to three things, so much that the landmark that goes farthest goes 4 to 24 pixels of a
picture of 256. The file holds the latents ``(P, 2, 80)``, the landmarks ``(P, 2, K, 2)``, (x, y) in pixels of such a
picture, pixel centres at integers, and which of them can be seen ``(P, 2, K)``. The generator in the package draws the
same latents; ``tests/tracking.py`` follows them there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from basis import HeadBasis
from dataset import SIZE, basis_at
from render import Renderer
from scene import LATENT, scene_from_latent
from truth import EDITION

MOVES = ("yaw", "pitch", "roll", "jaw", "smile", "brow_raise", "nose_length", "mouth_width", "chin_length", "blink")
"""What heads may do."""
FARTHEST = (4.0, 24.0)
"""Pixels of a picture of 256 that the landmark that goes farthest goes, evenly between these."""
SHRINKS, TRIES = 14, 40
"""Bisections by which a way becomes as long as wanted; heads that are tried until one can go so far."""
FURTHEST = 3.0
"""Standard deviations within which the numbers that change stay."""


def drawn(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the latent (80,) of a head seen about from the front, and a change of it (80,) of unit size."""
    latent = random.normal(size=len(LATENT))
    for name in ("yaw", "pitch", "roll", "jaw", "blink", "wink", "fringe"):
        latent[LATENT.index(name)] *= 0.5
    moved = random.choice(len(MOVES), size=random.integers(1, 4), replace=False)
    change = np.zeros(len(LATENT))
    change[[LATENT.index(MOVES[number]) for number in moved]] = random.normal(size=len(moved))
    return latent, change / np.linalg.norm(change)


def unit(latent: np.ndarray) -> np.ndarray:
    """Return a latent of unit mean square, as the generator makes it, rounded as it is written."""
    return (latent / np.sqrt(np.square(latent).mean())).round(4)


class Landmarks:
    """Where the renderer says that the landmarks of a latent are."""

    def __init__(self, basis: HeadBasis) -> None:
        self._basis, self._renderer = basis, Renderer(basis, size=2 * SIZE, edition=EDITION)

    def __call__(self, latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the landmarks (K, 2) in pixels of a picture of ``SIZE``, and which can be seen (K,)."""
        points, seen = self._renderer.landmarks(scene_from_latent(latent, self._basis, EDITION))
        return (points + 0.5) / 2 - 0.5, seen


def pair(look: Landmarks, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return latents (2, 80), landmarks (2, K, 2) and which are seen (2, K) of one pair.

    :raises RuntimeError: if no head could go so far.
    """
    wanted = random.uniform(*FARTHEST)
    for _ in range(TRIES):
        latent, change = drawn(random)
        before, seen = look(unit(latent))
        longest = min(
            (np.sign(way) * FURTHEST - latent[place]) / way for place, way in enumerate(change) if abs(way) > 1e-9
        )

        def went(length: float, latent=latent, change=change, before=before, seen=seen):
            after, still = look(unit(latent + length * change))
            both = seen & still
            return float(np.linalg.norm(after - before, axis=1)[both].max(initial=0)), after, still

        if longest <= 0 or went(longest)[0] < wanted:
            continue
        least, most = 0.0, longest
        for _ in range(SHRINKS):
            middle = (least + most) / 2
            least, most = (middle, most) if went(middle)[0] < wanted else (least, middle)
        _, after, still = went(least)
        latents = np.stack([unit(latent), unit(latent + least * change)])
        return latents, np.stack([before, after]), np.stack([seen, still])
    raise RuntimeError(f"no head of {TRIES} goes as far as {wanted:.1f} px")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the file of pairs")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20261)
    parser.add_argument("--basis", type=Path, default=Path(__file__).parent / "out/basis.npz")
    options = parser.parse_args()
    look, random = Landmarks(basis_at(options.basis)), np.random.default_rng(options.seed)
    latents, points, seen = (np.stack(kind) for kind in zip(*(pair(look, random) for _ in range(options.pairs))))
    np.savez_compressed(
        options.out, latents=latents.astype(np.float32), points=points.round(2).astype(np.float32), seen=seen
    )
    ways = np.where(seen.all(axis=1), np.linalg.norm(points[:, 1] - points[:, 0], axis=2), np.nan)
    print(f"{options.out}: {len(latents)} pairs, landmarks go {np.nanmean(ways):.1f} px, at most {np.nanmax(ways):.1f}")


if __name__ == "__main__":
    main()
