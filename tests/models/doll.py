"""A doll of tubes with the joints of the average body: a basis for tests, where the package ``anny`` need not be."""

from __future__ import annotations

import numpy as np
from body import BONES, SHAPES, TIPS, BodyBasis

JOINTS = {
    "pelvis": (0, 3.2, -11.9), "waist": (0, 2.6, -10.3), "chest": (0, 2.4, -7.7), "neck": (0, 1.9, -2.4),
    "head": (0, 1.35, -0.7), "collar": (0.4, 1.6, -3.6), "upper_arm": (3.0, 1.7, -4.0), "forearm": (6.0, 1.5, -7.4),
    "hand": (8.1, -1.2, -9.4), "thigh": (1.9, 2.0, -11.9), "shin": (2.4, 1.5, -18.9), "foot": (3.1, 2.0, -26.2),
    "knuckle": (8.8, -2.6, -10.3), "toe": (3.1, -0.6, -27.0),
}  # fmt: skip
TRUNK = (
    # height, half the width, half the depth, its middle from front to back, the bone that carries it
    (-14.0, 0.3, 0.3, 1.9, "pelvis"), (-13.6, 2.4, 1.7, 1.9, "pelvis"), (-12.3, 3.0, 1.9, 2.0, "pelvis"),
    (-9.0, 2.3, 1.5, 1.9, "waist"), (-6.0, 2.8, 1.7, 1.8, "chest"), (-3.7, 2.6, 1.2, 1.7, "chest"),
    (-2.9, 1.0, 1.0, 1.6, "neck"), (-2.0, 0.9, 1.0, 1.4, "neck"), (-1.5, 0.9, 1.3, 1.2, "head"),
    (0.0, 1.25, 1.6, 1.2, "head"), (1.4, 0.9, 1.2, 1.2, "head"), (1.85, 0.2, 0.3, 1.2, "head"),
)  # fmt: skip
AROUND = 32


def joint(name: str) -> np.ndarray:
    """Where a bone or tip, such as ``hand.R``, is at rest."""
    stem, _, side = name.partition(".")
    return np.array(JOINTS[stem], float) * (-1 if side == "R" else 1, 1, 1)


def tube(path: np.ndarray, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points and triangles, facing outwards, of rings around ``path`` (N, 3) of ``radii`` (N, 2), closed at the ends.

    The first radius is along x, or where the path runs along x, the second is along y.
    """
    way = path[-1] - path[0]
    second = np.array([0.0, 1.0, 0.0]) if abs(way[1]) < np.abs(way).max() else np.array([0.0, 0.0, 1.0])
    first = np.cross(second, way)
    first /= np.linalg.norm(first)
    turn = 2 * np.pi * np.arange(AROUND) / AROUND
    circle = np.stack([np.sin(turn), -np.cos(turn)], 1)
    rings = path[:, None] + (circle[None] * radii[:, None]) @ np.stack([first, second])
    points = np.concatenate([rings.reshape(-1, 3), path[:1], path[-1:]])
    corner = np.arange(len(path) * AROUND).reshape(len(path), AROUND)
    beside = np.roll(corner, -1, 1)
    sides = [corner[:-1], beside[:-1], corner[1:], corner[1:], beside[:-1], beside[1:]]
    faces = [np.stack(sides, -1).reshape(-1, 3)]
    faces += [
        np.stack([np.full(AROUND, len(points) - 2 + end), beside[-end], corner[-end]], 1) for end in (0, 1)
    ]  # fmt: skip
    triangles = np.concatenate(faces)
    a, b, c = (points[triangles[:, k]] for k in range(3))
    middle = (a + b + c) / 3
    inside = path[np.square(middle[:, None] - path[None, 1:-1]).sum(-1).argmin(1) + 1]
    inward = (np.cross(b - a, c - a) * (middle - inside)).sum(1) < 0
    triangles[inward] = triangles[inward][:, ::-1]
    return points, triangles


def limb(names: list[str], radii: list[float], step: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, triangles and how far each point is along the joints ``names``, as a number of joints."""
    corners = np.array([joint(name) for name in names])
    lengths = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    at = np.concatenate([np.arange(k, k + 1, step / length) for k, length in enumerate(lengths)] + [[len(lengths)]])
    steps = np.arange(len(corners))
    path = np.stack([np.interp(at, steps, corners[:, axis]) for axis in range(3)], 1)
    wide = np.interp(at, steps, radii)
    points, triangles = tube(path, np.stack([wide, wide], 1))
    return points, triangles, np.concatenate([np.repeat(at, AROUND), at[[0, -1]]])


def doll() -> BodyBasis:
    """The basis; its only shape is ``waist_width``, and a phenotype changes nothing."""
    names = list(BONES)
    points, faces, weights, count = [], [], [], 0

    def add(more: np.ndarray, triangles: np.ndarray, carried: np.ndarray) -> None:
        nonlocal count
        points.append(more)
        faces.append(triangles + count)
        weights.append(carried)
        count += len(more)

    table = np.array([row[:4] for row in TRUNK])
    heights = np.concatenate([np.arange(-14.0, -2.0, 0.3), np.arange(-2.0, 1.85, 0.08), [1.85]])
    wide, deep, middle = (np.interp(heights, table[:, 0], table[:, column]) for column in (1, 2, 3))
    trunk = np.stack([0 * heights, middle, heights], 1)
    more, triangles = tube(trunk, np.stack([wide, deep], 1))
    bones = np.stack([[row[4] == name for name in names] for row in TRUNK]).astype(float)
    add(more, triangles, np.stack([np.interp(more[:, 2], table[:, 0], column) for column in bones.T], 1))
    for side in "LR":
        for joints, radii, carriers in (
            (("upper_arm", "forearm", "hand", "knuckle"), (0.95, 0.65, 0.45, 0.4), ("upper_arm", "forearm", "hand")),
            (("thigh", "shin", "foot"), (1.6, 1.0, 0.7), ("thigh", "shin")),
        ):
            more, triangles, along = limb([f"{name}.{side}" for name in joints], list(radii))
            carried = np.zeros((len(more), len(names)))
            for number, name in enumerate(carriers):
                # A bone takes over within a third of its length.
                share = np.clip((along - number) * 3 + 0.5, 0, 1) if number else np.ones(len(more))
                carried *= 1 - share[:, None]
                carried[:, names.index(f"{name}.{side}")] += share
            add(more, triangles, carried)
        foot = joint(f"foot.{side}")
        path = np.stack([np.full(16, foot[0]), np.linspace(3.0, -1.4, 16), np.linspace(-26.7, -27.0, 16)], 1)
        more, triangles = tube(path, np.tile([0.75, 0.5], (16, 1)))
        carried = np.zeros((len(more), len(names)))
        carried[:, names.index(f"foot.{side}")] = 1
        add(more, triangles, carried)
    skin = np.concatenate(faces)
    eyes = []
    for sign in (-1, 1):
        path = np.stack([np.full(5, 0.5 * sign), np.full(5, -0.25), np.linspace(-0.15, 0.15, 5)], 1)
        more, triangles = tube(path, np.array([0.02, 0.12, 0.15, 0.12, 0.02])[:, None].repeat(2, 1))
        carried = np.zeros((len(more), len(names)))
        carried[:, names.index("head")] = 1
        eyes.append(triangles + count)
        add(more, triangles, carried)
    rest = np.concatenate(points).astype("f4")
    shapes = np.zeros((len(SHAPES), len(rest), 3), "f4")
    around_waist = np.exp(-np.square((rest[:, 2] + 8.9) / 2)) * (np.abs(rest[:, 0]) < 3.2)
    shapes[list(SHAPES).index("waist_width"), :, 0] = 0.3 * rest[:, 0] * around_waist
    joints = np.array([joint(name) for name in (*BONES, *TIPS)], "f4")
    return BodyBasis(
        rest=rest,
        phenotype=np.zeros((27, *rest.shape), "f4"),
        shapes=shapes,
        joints=joints,
        joints_phenotype=np.zeros((27, *joints.shape), "f4"),
        joints_shapes=np.zeros((len(SHAPES), *joints.shape), "f4"),
        weights=np.concatenate(weights).astype("f4"),
        skin=skin.astype("i4"),
        eyes=np.concatenate(eyes).astype("i4"),
    )
