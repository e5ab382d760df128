"""Write how the points of heads move with every number of the latent, for predictors to learn.

    python examples/generators/faces/motion.py --out DIR [--heads 3050] [--processes 2] [--basis FILE]

``draggan-widget train predictor faces`` runs it. Nothing is drawn but depth. ``DIR/motion-00000.npz`` and the next ones
hold 50 heads each: ``z`` (50, 80) of unit mean square; ``points`` (50, 72, 2), places that can be seen, x and y in
pixels of 256 with pixel centres at integers; and ``motions`` (50, 72, 3, 80), by how much x, y and the logarithm of the
size there change for each unit of each number of z. The last 6 points of a head are of the background, which stays.
Stopped at any point, the same command goes on.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from pathlib import Path

import numpy as np
from dataset import SIZE, basis_at
from scene import LATENT, scene_from_latent
from whole import write_atomically

EDITION = 1
"""Shapes, landmarks and the motion of every vertex are the same in all editions, and this one is quickest."""
SEED = 7741
PART = 50
POINTS, BEHIND = 72, 6
"""Points of a head, and how many of these are of the background."""
TRIED = 6
"""Times as many vertices are looked at as are wanted, since half of them face away."""
BY = 0.05
"""Units by which each number is changed, each way."""
LEAST_SHAPE = 0.4
"""How ordinary shape and pose of a head may be made, beside colours and light: as truncation makes them."""
COLOURS = LATENT.index("light_x")
"""From here on numbers are mostly of colours and light."""


def latents(part: int) -> np.ndarray:
    """Return the latents (PART, 80) of a part, of unit mean square; shapes are between ordinary and as drawn."""
    random = np.random.default_rng([SEED, part])
    z = random.normal(size=(PART, len(LATENT)))
    z[:, :COLOURS] *= random.uniform(LEAST_SHAPE, 1, (PART, 1))
    return np.asarray(z / np.sqrt(np.square(z).mean(1, keepdims=True)))


class Places:
    """Where vertices of scenes are in their pictures, and how large what is there appears.

    :param renderer: a ``Renderer``, whose pictures have ``size`` pixels. :param chosen: (K,) numbers of vertices.
    """

    def __init__(self, renderer, chosen: np.ndarray) -> None:
        basis = renderer.basis
        self._renderer = renderer
        self._blend = renderer._blend.reshape(len(renderer._blend), -1, 3)[:, chosen]
        self._rest = (basis.rest + renderer._inside)[chosen]
        self._turns = renderer._turns[chosen]

    def __call__(self, scene) -> np.ndarray:
        """Return (K, 3): x, y in pixels of ``SIZE``, and the logarithm of pixels to a unit of length."""
        numbers = np.concatenate([scene.phenotype, scene.local, scene.actions])
        moved = np.einsum("c,ckd->kd", numbers, self._blend, dtype=np.float64)
        points = self._renderer._pose(self._rest + moved, self._turns, scene).astype(np.float64)
        camera, _ = self._renderer.camera(scene)
        clip = np.concatenate([points, np.ones((len(points), 1))], 1) @ camera.T
        flat = (clip[:, :2] / clip[:, 3:] * (1, -1) + 1) / 2 * SIZE - 0.5
        return np.concatenate([flat, np.log(camera[0, 0] * SIZE / 2 / clip[:, 3:])], 1)


def changes(look, z: np.ndarray) -> np.ndarray:
    """Return (K, 3, 80): how what ``look(z)`` (K, 3) says changes for each unit of each number of ``z`` (80,)."""
    found = []
    for number in range(len(z)):
        step = np.zeros(len(z))
        step[number] = BY
        found.append((look(z + step) - look(z - step)) / (2 * BY))
    return np.stack(found, axis=2)


def head(renderer, basis, z: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray] | None:
    """Return points (POINTS, 2) that can be seen and their motions (POINTS, 3, 80); None where too few are seen."""
    chosen = random.choice(len(basis.rest), TRIED * POINTS, replace=False)
    renderer._landmarks = chosen
    places, seen = renderer.landmarks(scene_from_latent(z, basis, EDITION))
    wanted = POINTS - BEHIND
    if seen.sum() < wanted:
        return None
    seen_ones = random.permutation(np.flatnonzero(seen))[:wanted]
    look = Places(renderer, chosen[seen_ones])
    motions = changes(lambda latent: look(scene_from_latent(latent, basis, EDITION)), z)
    behind = background(renderer, random)
    points = np.concatenate([(places[seen_ones] + 0.5) / 2 - 0.5, behind])
    return points, np.concatenate([motions, np.zeros((BEHIND, *motions.shape[1:]))])


def background(renderer, random: np.random.Generator) -> np.ndarray:
    """Return places (BEHIND, 2) in pixels of ``SIZE`` at which the depth that was drawn last shows neither skin nor
    hair; where there are too few, corners.
    """
    depth = np.frombuffer(renderer._shadow_map.read(), "f4")
    side = int(len(depth) ** 0.5)
    rows, columns = np.nonzero(depth.reshape(side, side) >= 100)
    found = np.stack([(columns + 0.5) / side * SIZE - 0.5, (side - rows - 0.5) / side * SIZE - 0.5], axis=1)
    if len(found) < BEHIND:
        return np.full((BEHIND, 2), 2.0)
    return np.asarray(found[random.choice(len(found), BEHIND, replace=False)])


def write_parts(folder: Path, basis_file: Path, parts: list[int]) -> None:
    """Write parts that are missing, each whole or not at all."""
    from basis import HeadBasis
    from render import Renderer

    basis = HeadBasis.load(basis_file)
    renderer = Renderer(basis, size=2 * SIZE, edition=EDITION)
    for part in parts:
        random = np.random.default_rng([SEED, part, 1])
        found = [(z, made) for z in latents(part) if (made := head(renderer, basis, z, random)) is not None]
        if not found:
            raise RuntimeError(f"of no head of part {part} enough can be seen")
        arrays = {
            "z": np.array([z for z, _ in found], np.float32),
            "points": np.array([points for _, (points, _) in found], np.float32),
            "motions": np.array([motions for _, (_, motions) in found], np.float16),
        }
        final = folder / f"motion-{part:05d}.npz"
        write_atomically(final, lambda stream: np.savez_compressed(stream, **arrays))  # noqa: B023 - called at once
        print(f"motion: {final.name}, {len(found)} heads", flush=True)


def main() -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--heads", type=int, default=3050)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--basis", type=Path, default=Path(__file__).parent / "out/basis.npz")
    options = parser.parse_args()
    if options.heads < 1 or options.processes < 1:
        parser.error("--heads and --processes must be at least 1")
    options.out.mkdir(parents=True, exist_ok=True)
    basis_at(options.basis)
    parts = range(-(-options.heads // PART))
    missing = [part for part in parts if not (options.out / f"motion-{part:05d}.npz").exists()]
    if not missing:
        return 0
    os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LP_NUM_THREADS": "0"})
    context = multiprocessing.get_context("spawn")  # a graphics context does not survive a fork
    count = min(options.processes, len(missing))
    workers = [
        context.Process(target=write_parts, args=(options.out, options.basis, missing[k::count])) for k in range(count)
    ]
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            worker.join()
    except KeyboardInterrupt:
        for worker in workers:
            worker.terminate()
        raise
    return int(any(worker.exitcode for worker in workers))


if __name__ == "__main__":
    sys.exit(main())
