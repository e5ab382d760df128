"""Clothes as surfaces: smoothed, inflated copies of parts of the body, and a skirt around the hull of both legs.

A copy (a shell) carries the body's own blend shapes and weights, smoothed, so it follows every shape and pose. How far
it stands off is a smooth function of its place at rest. Where it ends is painted: the shaders fade it out where the
place along the arm, or the height at rest, passes the length of the garment.
"""

from __future__ import annotations

from dataclasses import dataclass

import beside  # noqa: F401  for the faces' modules
import numpy as np
from basis import smoothstep
from body import BONES, BodyBasis
from person import ANKLE, CROTCH, HIP, KNEE, WAIST, Person
from scipy import sparse

TOP, TROUSERS, SHOES = "top", "trousers", "shoes"


def adjacency(triangles: np.ndarray, count: int) -> sparse.csr_matrix:
    """Means over a vertex and its neighbours, (V, V)."""
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    both = np.concatenate([pairs, pairs[:, ::-1], np.repeat(np.arange(count)[:, None], 2, 1)])
    links = sparse.csr_matrix((np.ones(len(both), "f4"), (both[:, 0], both[:, 1])), shape=(count, count))
    links.data[:] = 1
    return sparse.diags(1 / np.asarray(links.sum(1)).ravel()).astype("f4") @ links


def normals_of(vertices: np.ndarray, triangles: np.ndarray, gather: sparse.csr_matrix) -> np.ndarray:
    """Unit normals (V, 3); ``gather`` (V, T) sums triangles over vertices."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    normals = gather @ np.cross(b - a, c - a)
    return normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9)


def gathering(triangles: np.ndarray, count: int) -> sparse.csr_matrix:
    """The matrix (V, T) that sums triangles over their vertices."""
    owners = np.repeat(np.arange(len(triangles)), 3)
    ones = np.ones(len(owners), "f4")
    return sparse.csr_matrix((ones, (triangles.ravel(), owners)), shape=(count, len(triangles)))


@dataclass(frozen=True)
class Places:
    """Where vertices are on the body at rest: (V,) each."""

    along: np.ndarray  # an arm: 0 at the shoulder's joint, 1 at the wrist's, negative on the trunk
    height: np.ndarray
    arm: np.ndarray  # how much they are of an arm, 0..1

    @classmethod
    def of(cls, basis: BodyBasis) -> Places:
        """Those of the vertices of the skin and the eyes."""
        names = list(BONES)
        at = dict(zip(names, basis.joints))
        arm, along = np.zeros(len(basis.rest), "f4"), np.zeros(len(basis.rest), "f4")
        for side, sign in (("L", 1), ("R", -1)):
            carried = basis.weights[:, [names.index(f"{name}.{side}") for name in ("upper_arm", "forearm", "hand")]]
            share = carried.sum(1)
            shoulder, wrist = at[f"upper_arm.{side}"], at[f"hand.{side}"]
            line = wrist - shoulder
            place = (basis.rest - shoulder) @ line / (line @ line)
            mine = sign * basis.rest[:, 0] > 0
            arm = np.where(mine, share, arm)
            along = np.where(mine, place, along)
        return cls(along.astype("f4") - 0.45 * (1 - smoothstep(0.0, 0.75, arm)).astype("f4"), basis.rest[:, 2], arm)


class Shell:
    """A smoothed copy of a part of the body that stands off from it."""

    def __init__(self, basis: BodyBasis, mask: np.ndarray, rounds: int) -> None:
        """Of the vertices of ``mask`` (V,), each moved ``rounds`` times to the mean of its neighbours."""
        faces = basis.skin[mask[basis.skin].all(1)]
        self.used = np.unique(faces)
        self.triangles = np.searchsorted(self.used, faces).astype("i4")
        links = adjacency(self.triangles, len(self.used))

        def smooth(values: np.ndarray) -> np.ndarray:
            flat = values[..., self.used, :].astype("f4")
            columns = np.moveaxis(flat, -2, 0).reshape(len(self.used), -1)
            for _ in range(rounds):
                columns = links @ columns
            return np.moveaxis(columns.reshape(len(self.used), *flat.shape[:-2], flat.shape[-1]), 0, -2)

        self.rest = smooth(basis.rest)
        self.blend = smooth(np.concatenate([basis.phenotype, basis.shapes])).reshape(
            len(basis.phenotype) + len(basis.shapes), -1
        )
        self.weights = smooth(basis.weights.T[..., None])[..., 0].T.copy()
        places = Places.of(basis)
        self.along, self.height, self.arm = (part[self.used] for part in (places.along, places.height, places.arm))
        self.gather = gathering(self.triangles, len(self.used))
        self.normals = normals_of(self.rest, self.triangles, self.gather)

    def shape(self, values: np.ndarray, stand_off: np.ndarray) -> np.ndarray:
        """The unposed vertices (V', 3) for coefficients ``values`` that stand off by (V',)."""
        return self.rest + (values @ self.blend).reshape(-1, 3) + stand_off[:, None] * self.normals


class Shoes:
    """Shoes and boots: by rows upwards, the hull of each foot at a height, so that toes do not show.

    They have what a :class:`Shell` has; they take shape and pose from the skin near them.
    """

    ROWS, COLUMNS = 20, 36

    def __init__(self, basis: BodyBasis) -> None:
        lowest = float(basis.rest[:, 2].min())
        rise = np.linspace(0, 1, self.ROWS)
        heights = lowest + 0.02 + 6.3 * (0.35 * rise + 0.65 * rise**2.2)
        turn = np.linspace(-np.pi, np.pi, self.COLUMNS)
        ways = np.stack([np.sin(turn), -np.cos(turn)], 1)
        names, places = list(BONES), Places.of(basis)
        corner = np.arange(self.ROWS * self.COLUMNS).reshape(self.ROWS, self.COLUMNS)
        a, b, c, d = corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]
        faces = np.stack([a, b, c, c, b, d], -1).reshape(-1, 3)
        points, binds, triangles = [], [], []
        for number, side in enumerate("LR"):
            carried = basis.weights[:, [names.index(f"{name}.{side}") for name in ("foot", "shin")]].sum(1)
            mine = np.flatnonzero((carried > 0.5) & (places.height < lowest + 7.2))
            own = basis.rest[mine]
            grid = np.empty((self.ROWS, self.COLUMNS, 3))
            for row, height in enumerate(heights):
                near = own[np.abs(own[:, 2] - max(height, lowest + 0.25)) < 0.32]
                reach = near[:, :2] @ ways.T * 7.0
                shares = np.exp(reach - reach.max(0))
                grid[row, :, :2] = (shares / shares.sum(0)).T @ near[:, :2]
                grid[row, :, 2] = height
            grid[1:-1] = 0.25 * grid[:-2] + 0.5 * grid[1:-1] + 0.25 * grid[2:]
            grid[0, :, :2] = 0.985 * grid[0, :, :2] + 0.015 * grid[0, :, :2].mean(0)
            flat = grid.reshape(-1, 3)
            apart = np.square(flat[:, None] - own[None]).sum(-1)
            shares = np.exp(-(apart - apart.min(1, keepdims=True)) / 0.12)
            shares[shares < 1e-2] = 0
            bind = np.zeros((len(flat), len(basis.rest)), "f4")
            bind[:, mine] = shares / shares.sum(1, keepdims=True)
            points.append(flat)
            binds.append(sparse.csr_matrix(bind))
            triangles.append(faces + number * len(flat))
        self.rest = np.concatenate(points).astype("f4")
        self.triangles = np.concatenate(triangles).astype("i4")
        bind = sparse.vstack(binds).tocsr()
        moves = np.concatenate([basis.phenotype, basis.shapes])
        self.blend = np.stack([bind @ move for move in moves]).reshape(len(moves), -1)
        self.weights = bind @ basis.weights
        self.height = self.rest[:, 2]
        self.along = np.full(len(self.rest), -0.4, "f4")
        self.arm = np.zeros(len(self.rest), "f4")
        self.gather = gathering(self.triangles, len(self.rest))
        ways = np.concatenate([ways, np.zeros((len(ways), 1))], 1)
        self.normals = np.tile(ways, (2 * self.ROWS, 1)).astype("f4")

    shape = Shell.shape


class Wardrobe:
    """The shells of a body, and how far each stands off."""

    def __init__(self, basis: BodyBasis) -> None:
        names = list(BONES)
        places = Places.of(basis)

        def carried(*bones: str) -> np.ndarray:
            return basis.weights[:, [index for index, name in enumerate(names) if name.split(".")[0] in bones]].sum(1)

        head, hands, feet = carried("head"), carried("hand"), carried("foot")
        trunk = (places.arm < 0.5) & (places.height < -2.0)
        clothed = (head < 0.4) & (hands < 0.75)
        sleeves = (places.arm >= 0.02) & (places.along < 1.15)
        inside = basis.rest[:, 2] < -2.35 + 0.55 * (basis.rest[:, 1] > 1.6)
        masks = {
            TOP: clothed & inside & (sleeves | (trunk & (places.height > CROTCH - 0.4))),
            TROUSERS: (places.arm < 0.3)
            & (feet < 0.85)
            & (places.height < WAIST + 0.8)
            & (places.height > ANKLE - 0.7),
        }
        rounds = {TOP: 13, TROUSERS: 9}
        self.shells: dict[str, Shell | Shoes] = {name: Shell(basis, mask, rounds[name]) for name, mask in masks.items()}
        self.shells[SHOES] = Shoes(basis)
        self.lowest = float(basis.rest[:, 2].min())

    def stand_off(self, name: str, person: Person) -> np.ndarray:
        """How far a shell stands off (V',), in eye distances."""
        shell, widths = self.shells[name], person.widths
        if name == TOP:
            on_arm = smoothstep(0.05, 0.9, shell.arm) * smoothstep(-0.05, 0.2, shell.along)
            trunk = 0.12 + widths["top"] * smoothstep(-4.0, -7.5, shell.height)
            sleeve = 0.10 + widths["sleeve"] * (0.75 + 0.5 * smoothstep(0.1, 0.9, shell.along))
            return (trunk + (sleeve - trunk) * on_arm).astype("f4")
        if name == TROUSERS:
            down = smoothstep(WAIST, HIP, shell.height)
            leg = 0.17 + widths["trousers"] * (0.35 + 0.65 * smoothstep(HIP, KNEE, shell.height))
            flare = widths["trouser_flare"] * smoothstep(KNEE, ANKLE, shell.height)
            return (0.10 + (leg - 0.10) * down + flare).astype("f4")
        sole = smoothstep(self.lowest + 0.55, self.lowest + 0.2, shell.height)
        return (0.10 + 0.06 * sole + 0.10 * smoothstep(ANKLE - 0.3, -22.5, shell.height)).astype("f4")


class Skirt:
    """A surface around the hull of the hips and both legs, by rows that follow the legs down.

    A row is the hull of what is at one height at rest: its support function is a soft maximum over vertices, so the
    rows change smoothly however legs move.
    """

    ROWS, COLUMNS = 26, 72
    TOP, LAST = -9.6, -26.3  # heights at rest of the first and the last row

    def __init__(self, shell: Shell) -> None:
        """``shell`` is that of the trousers."""
        self.heights = np.linspace(self.TOP, self.LAST, self.ROWS)
        step = self.heights[0] - self.heights[1]
        self._rows = []
        for height in self.heights:
            near = np.abs(shell.height - max(height, ANKLE + 0.4)) < 0.75 * step
            self._rows.append(np.flatnonzero(near))
        turn = np.linspace(-np.pi, np.pi, self.COLUMNS)
        self._turn = turn
        self.ways = np.stack([np.sin(turn), -np.cos(turn), 0 * turn], 1)
        corner = np.arange(self.ROWS * self.COLUMNS).reshape(self.ROWS, self.COLUMNS)
        a, b, c, d = corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]
        self.triangles = np.stack([a, c, b, c, d, b], -1).reshape(-1, 3).astype("i4")

    def shape(self, posed: np.ndarray, facing: np.ndarray, person: Person) -> tuple[np.ndarray, np.ndarray]:
        """Points (R, C, 3) around the ``posed`` vertices of the shell, and their normals; ``facing`` (3, 3) of hips."""
        ways = self.ways @ facing.T
        ways[:, 2] = 0
        ways /= np.linalg.norm(ways, axis=1, keepdims=True)
        flare, folds = person.widths["skirt_flare"], person.uniforms["folds"]
        points = np.empty((self.ROWS, self.COLUMNS, 3), "f4")
        for index, chosen in enumerate(self._rows):
            near = posed[chosen]
            heights = near @ ways.T * 9.0  # (N, C)
            heights -= heights.max(0)
            shares = np.exp(heights)
            points[index] = (shares / shares.sum(0)).T @ near
            points[index, :, 2] = 0.5 * points[index, :, 2] + 0.5 * near[:, 2].mean()
        for _ in range(2):  # rows of a cloth do not follow each bump
            points[1:-1] = 0.25 * points[:-2] + 0.5 * points[1:-1] + 0.25 * points[2:]
        down = np.linspace(0, 1, self.ROWS)[:, None]
        wave = np.cos(9 * self._turn + 0.8)[None] + 0.5 * np.cos(5 * self._turn + 2.1)[None]
        out = 0.14 + flare * 1.9 * down**1.25 + 0.10 * folds * flare * down * 2.0 * wave
        points += out[..., None] * ways[None]
        right, below = np.gradient(points, axis=1), np.gradient(points, axis=0)
        normals = np.cross(below, right)
        normals[:, 0] = normals[:, -1] = normals[:, 0] + normals[:, -1]
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-9
        return points, normals.astype("f4")
