"""Single hairs of the second edition: on the head, brows and beard, as thin ribbons that face the camera.

A strand of the head's hair is a path over the sheet of ``hair.py``: along a great circle from the part to the widest
ring of the head, then down. It is known by where it crosses that ring, so it moves with the head and changes smoothly
with every number of the latent. Strands belong to locks, towards whose middle they run and whose round surface they are
lit as. Brows, beard and the short hairs of the hairline are rooted at fixed places of triangles of the skin; how thick
each is follows from where it stands, so brows and beards change their form without a hair that jumps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import moderngl
import numpy as np
from basis import smoothstep
from hair import _AROUND, _CAP, _HANG, Hair
from shaders import HAIRLINE, RIBBON_FRAGMENT, RIBBON_VERTEX, of_edition

STRANDS, LOCKS = 5200, 130
_ON_CAP, _BELOW = 14, 22
"""Samples of a strand's path before and after the widest ring."""
HAIR_POINTS, FUR_POINTS = 13, 4
"""Points of a ribbon."""
_SEED = 11


class Ribbons(NamedTuple):
    """Strands to draw: N of them, with K points each."""

    points: np.ndarray  # (N, K, 3)
    normals: np.ndarray  # (N, K, 3) of the surface they belong to
    widths: np.ndarray  # (N, K) half of the width, eye distances
    colours: np.ndarray  # (N, 3)
    open_sky: np.ndarray  # (N, K) 0..1
    gloss: np.ndarray  # (N,) strength of the highlight


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)


def _mix(a: float | np.ndarray, b: float | np.ndarray, share: float | np.ndarray) -> np.ndarray:
    return a + (b - a) * share


class HairStrands:
    """The strands of the head's hair over the sheet of one :class:`~hair.Hair`."""

    def __init__(self, hair: Hair) -> None:
        """Everything random is drawn here, once, from a fixed seed."""
        rng = np.random.default_rng(_SEED)
        self._hair = hair
        self._polar = np.arccos(np.clip(hair.flow[:_CAP, 0, 2], -1, 1))
        self._ring = float(self._polar[-1])
        lock = np.sort(rng.uniform(-np.pi, np.pi, LOCKS))
        self._turn = rng.uniform(-np.pi, np.pi, STRANDS).astype("f4")
        # Of two locks beside it each strand takes one, so locks overlap.
        place = np.searchsorted(lock, self._turn) - rng.integers(0, 2, STRANDS)
        own = place % LOCKS
        apart = np.angle(np.exp(1j * (lock[own] - self._turn)))
        self._to_lock = apart.astype("f4")
        self._aside = np.clip(-apart / (2 * np.pi / LOCKS), -1.6, 1.6).astype("f4")

        def of_lock(values: np.ndarray, share: float) -> np.ndarray:
            """A number a strand, of which ``share`` (of the variance) is its lock's."""
            mixed = np.sqrt(share) * values[own] + np.sqrt(1 - share) * rng.normal(size=STRANDS)
            return mixed.astype("f4")

        self._height = of_lock(rng.normal(size=LOCKS), 0.6)
        self._tone = of_lock(rng.normal(size=LOCKS), 0.8)
        self._length = of_lock(rng.normal(size=LOCKS), 0.72)
        self._phase = of_lock(rng.uniform(0, 2 * np.pi, LOCKS), 0.97)
        self._grip = rng.uniform(0.35, 0.95, LOCKS)[own].astype("f4")
        self._root = (0.85 * rng.uniform(0, 1, STRANDS) ** 3.5).astype("f4")  # of the way to the ring
        self._stray = (rng.uniform(0, 1, STRANDS) > 0.965).astype("f4")
        self._white = rng.uniform(0, 1, STRANDS).astype("f4")

    def _paths(self, values: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows and columns (N, T) of the sheet that strands run along, and how far along they are, 0..1 (T,)."""
        sine, cosine, first, last = self._hair.part(values)
        along = np.concatenate([np.linspace(0, 1, _ON_CAP), np.linspace(1, 2, _BELOW + 1)[1:]]).astype("f4")
        pull = self._grip[:, None] * smoothstep(0.15, 1.5, along)[None]
        turn = self._turn[:, None] + self._to_lock[:, None] * pull
        ring = np.stack(
            [
                np.sin(self._ring) * np.sin(turn),
                -np.sin(self._ring) * np.cos(turn),
                np.full_like(turn, np.cos(self._ring)),
            ],
            -1,
        )[:, :_ON_CAP]
        up, front = np.array([sine, 0, cosine], "f4"), np.array([0, -1, 0], "f4")
        # From the front end of the part to the front, from its back end to the back, and between them sideways.
        ahead = np.arctan2(sine * np.cos(last), np.sin(last))
        aside = np.abs(np.angle(np.exp(1j * (turn[:, :_ON_CAP] - 0.6 * ahead))))
        angle = _mix(last, first, smoothstep(0.2, 2.3, aside))
        root = np.cos(angle)[..., None] * up + np.sin(angle)[..., None] * front
        between = np.arccos(np.clip((root * ring).sum(-1), -1, 1)) + 1e-4
        share = along[None, :_ON_CAP] * np.ones_like(between)
        way = (np.sin((1 - share) * between)[..., None] * root + np.sin(share * between)[..., None] * ring) / np.sin(
            between
        )[..., None]
        rows = np.interp(np.arccos(np.clip(way[..., 2], -1, 1)), self._polar, np.arange(_CAP))
        rows = np.concatenate(
            [rows, np.broadcast_to(_CAP - 1 + (along[_ON_CAP:] - 1) * _HANG, turn[:, _ON_CAP:].shape)], 1
        )
        around = np.concatenate([np.arctan2(way[..., 0], -way[..., 1]), turn[:, _ON_CAP:]], 1)
        columns = ((around + np.pi) / (2 * np.pi) * (_AROUND - 1)) % (_AROUND - 1)
        return rows, columns, along

    def shape(
        self,
        sheet: np.ndarray,
        normals: np.ndarray,
        traits: np.ndarray,
        values: Mapping[str, float],
        eye: np.ndarray,
    ) -> Ribbons:
        """The strands over the posed ``sheet`` (R, C, 3) with its ``normals`` and ``traits`` (R, C, 4).

        Those that lie wholly on the far side of the head from ``eye`` (3,) are left out.
        """
        rows, columns, along = self._paths(values)
        grid = np.concatenate([sheet, normals, traits[..., :2], traits[..., 3:]], -1).astype("f4")  # (R, C, 9)
        row, column = np.minimum(rows.astype(int), grid.shape[0] - 2), np.minimum(columns.astype(int), _AROUND - 2)
        down, right = (rows - row)[..., None].astype("f4"), (columns - column)[..., None].astype("f4")
        flat = grid.reshape(-1, grid.shape[-1])
        at = row * _AROUND + column
        found = (flat[at] * (1 - right) + flat[at + 1] * right) * (1 - down)
        found += (flat[at + _AROUND] * (1 - right) + flat[at + _AROUND + 1] * right) * down  # (N, T, 9)
        cover, loose = found[..., 6], found[..., 7]

        # Where each begins, and where the hair's edge (moved a little for each lock and strand) ends it.
        edge = self._length[:, None] * (0.030 + 0.15 * loose) - 0.035 - 0.12 * self._stray[:, None] * loose
        left = cover - edge
        steps = np.arange(len(along))
        rank = np.arange(len(left))
        # The part may begin before the hair does: such a strand begins where it comes in.
        inside = (left > 0) & (steps[None] >= np.floor(self._root * (_ON_CAP - 1))[:, None])
        first = inside.argmax(1)
        here, before = left[rank, first], left[rank, np.maximum(first - 1, 0)]
        entry = np.where(before < 0, first - np.clip(here / (here - before + 1e-9), 0, 1), 0)
        start = np.where(inside.any(1), np.maximum(self._root * (_ON_CAP - 1), entry), len(along))
        outside = (left < 0) & (steps[None] > start[:, None])
        last = np.where(outside.any(1), outside.argmax(1), len(along) - 1)
        here, before = left[rank, last], left[rank, np.maximum(last - 1, 0)]
        end = np.where(here < 0, last - 1 + np.clip(before / (before - here + 1e-9), 0, 1), last)
        kept = end > start + 0.15
        facing = (found[..., 3:6] * (eye - found[..., :3])).sum(-1) / _DISTANT
        near = (steps[None] >= start[:, None]) & (steps[None] <= end[:, None] + 1)
        kept &= np.where(near, facing, -1).max(1) > -0.2
        chosen = np.flatnonzero(kept)
        share = np.linspace(0, 1, HAIR_POINTS, dtype="f4")
        place = start[chosen, None] + (end - start)[chosen, None] * share[None]
        step = np.minimum(place.astype(int), len(along) - 2)
        part = (place - step)[..., None].astype("f4")
        picked = found[chosen[:, None], step] * (1 - part) + found[chosen[:, None], step + 1] * part
        points, normal, cover, loose, sky = (
            picked[..., :3],
            _unit(picked[..., 3:6]),
            picked[..., 6],
            picked[..., 7],
            picked[..., 8],
        )
        tangent = _unit(np.gradient(points, axis=1))
        across = np.cross(normal, tangent)
        length = np.linalg.norm(np.diff(points, axis=1), axis=-1).sum(1)

        wave, curl, volume = values["hair_wave"], values["hair_curl"], values["hair_volume"]
        height, stray = self._height[chosen, None], self._stray[chosen, None]
        risen = smoothstep(-0.02, 0.35, cover) * smoothstep(0, 0.25, share)[None]
        free = smoothstep(0.0, 2.2, place / (_ON_CAP - 1))
        lift = risen * (0.022 + 0.05 * volume * (1.4 * height + 0.6)) + 0.10 * stray * free * (0.4 + share)
        travelled = share[None] * length[:, None]
        phase = self._phase[chosen, None]
        swing = (0.010 + 0.055 * wave * free) * np.sin(4.2 * travelled + phase) * smoothstep(0, 0.4, travelled)
        swing = swing + curl * 0.050 * risen * np.sin(17.0 * travelled + 2.3 * phase)
        swing = swing + 0.006 * np.sin(9.0 * travelled + 40 * self._white[chosen, None])
        lift = lift + curl * 0.035 * risen * (1 + np.cos(17.0 * travelled + 2.3 * phase))
        points = points + normal * lift[..., None] + across * swing[..., None]

        aside = self._aside[chosen, None, None]
        lit = _unit(normal + 0.80 * aside * across * smoothstep(0.0, 1.0, share)[None, :, None])
        tone = 1 + 0.22 * self._tone[chosen] + 0.10 * np.clip(height[:, 0], -1.5, 1.5) - 0.10 * np.abs(aside[:, 0, 0])
        colour = np.array(values["hair"], "f4")[None] * np.clip(tone, 0.45, 1.6)[:, None]
        warm = np.clip(self._tone[chosen], -2, 2)[:, None] * np.array([0.035, 0.0, -0.03], "f4")
        colour = np.clip(colour * (1 + warm), 0, 1)
        grey = values["hair_grey"]
        whiter = smoothstep(0.75, 1.0, self._white[chosen] * 0.6 + 0.55 * grey)[:, None] * min(1.0, 3 * grey)
        colour = _mix(colour, np.array([0.74, 0.73, 0.72], "f4"), 0.5 * whiter)
        taper = _mix(0.6, 1.0, smoothstep(0, 0.15, share)) * (1 - 0.5 * smoothstep(0.6, 1.0, share))
        wide = 0.0095 * taper[None] * smoothstep(0.02, 0.25, length)[:, None] * (1 - 0.45 * stray)
        deep = np.clip(0.86 + 0.14 * height + 0.20 * share[None] * risen, 0.5, 1.1)
        return Ribbons(points, lit, wide, colour, sky * deep, 1 + 0.25 * self._tone[chosen])


_DISTANT = 13.0


class Fur:
    """Brows, beard and the short hairs of the hairline, rooted on the skin."""

    def __init__(self, rest: np.ndarray, triangles: np.ndarray, normals: np.ndarray, masks: np.ndarray) -> None:
        """``rest`` and ``normals`` (V, 3) at rest, ``triangles`` (T, 3) of the body.

        ``masks`` (V, 2) as in the shaders: ears and the open share of the sky, 0..1.
        """
        rng = np.random.default_rng(_SEED + 1)
        middle = rest[triangles].mean(1)
        ears, sky = masks[triangles].mean(1).T
        front = (middle[:, 1] < 0.95) & (ears < 0.15) & (sky > 0.35)
        ax, y, z = np.abs(middle[:, 0]), middle[:, 1], middle[:, 2]
        outer = normals[triangles].mean(1)
        brows = front & (outer[:, 1] < -0.2) & (ax < 1.1) & (np.abs(z - 0.36) < 0.26)
        beard = front & (z < -0.70) & (z > -2.45) & (y < 1.0) & (ax > -1)
        # Not inside the mouth or the nostrils: there the skin is far behind what is before it.
        beard &= ~((ax < 0.45) & (y > -0.05) & (z > -1.5))
        scalp = (ears < 0.06) & (sky > 0.5) & (z > -0.6) & ((z > 0.45) | (y < 0.85) | (y > 1.8)) & (z + 0.4 * y > 0.45)
        roots, kinds = [], []
        for kind, (mask, count) in enumerate(((brows, 3600), (beard, 8000), (scalp, 2600))):
            faces = np.flatnonzero(mask)
            a, b, c = (rest[triangles[faces, k]] for k in range(3))
            area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
            roots.append(rng.choice(faces, count, p=area / area.sum()))
            kinds.append(np.full(count, kind))
        self._face = triangles[np.concatenate(roots)]
        self.kind = np.concatenate(kinds)
        count = len(self.kind)
        uv = rng.uniform(0, 1, (count, 2))
        uv = np.where(uv.sum(1, keepdims=True) > 1, 1 - uv, uv)
        self._weights = np.concatenate([1 - uv.sum(1, keepdims=True), uv], 1).astype("f4")
        self.rest = self._at(rest)
        self._chance = rng.uniform(0, 1, count)
        self._tone = rng.normal(size=count)
        self._size = np.exp(0.22 * rng.normal(size=count))
        self._bend = rng.normal(size=count)
        way = self._directions(rng)
        # Directions as sums of the triangle's sides, so that they follow it.
        a, b, c = (rest[self._face[:, k]] for k in range(3))
        sides = np.stack([b - a, c - a], -1)  # (N, 3, 2)
        gram = np.einsum("nij,nik->njk", sides, sides) + 1e-9 * np.eye(2)
        self._along = np.linalg.solve(gram, np.einsum("nij,ni->nj", sides, way)[..., None])[..., 0].astype("f4")

    def _at(self, of_vertices: np.ndarray) -> np.ndarray:
        return np.einsum("nk,nkc->nc", self._weights, of_vertices[self._face].astype("f4"))

    def _directions(self, rng: np.random.Generator) -> np.ndarray:
        """Which way each hair lies at rest (N, 3), of length 1."""
        x, y, z = self.rest.T
        ax, sign = np.abs(x), np.sign(x)
        lying = smoothstep(0.12, 0.62, ax) + 0.5 * smoothstep(0.6, 0.95, ax)
        lean = 0.25 + 1.42 * lying + 0.22 * rng.normal(size=len(ax)) - 2.2 * (z - 0.36) * smoothstep(0.2, 0.6, ax)
        brow = np.stack([sign * np.sin(lean), 0.3 * np.sin(lean), np.cos(lean)], -1)
        moustache = smoothstep(-1.15, -0.95, z) * smoothstep(0.62, 0.45, ax)
        beard = np.stack(
            [sign * (0.12 + 0.75 * moustache * smoothstep(0, 0.12, ax)), -0.10 + 0 * ax, -1 + 0.35 * moustache], -1
        )
        back = smoothstep(0.35, 0.9, ax + 0.3 * y)
        scalp = np.stack([sign * 0.25 * (1 - back), 0.35 + 0.75 * back, _mix(0.9, -0.55, back)], -1)
        way = np.where((self.kind == 0)[:, None], brow, np.where((self.kind == 1)[:, None], beard, scalp))
        return _unit(way + np.where(self.kind == 0, 0.10, 0.22)[:, None] * rng.normal(size=way.shape))

    def shape(self, vertices: np.ndarray, normals: np.ndarray, values: Mapping[str, float], eye: np.ndarray) -> Ribbons:
        """The hairs on posed ``vertices`` with ``normals`` (V, 3), as seen from ``eye``."""
        x, y, z = self.rest.T
        ax = np.abs(x)
        weight, arch, beard = values["brow_weight"], values["brow_arch"], values["beard"]
        middle = 0.325 + 0.21 * ax - 0.16 * ax * ax
        middle = middle + arch * (np.exp(-np.square((ax - 0.68) / 0.20)) - 0.5 * smoothstep(0.45, 0.2, ax))
        taper = weight * _mix(1.1, 0.42, smoothstep(0.40, 1.0, ax)) * _mix(0.85, 1.0, smoothstep(0.15, 0.35, ax))
        off = (z - middle + 0.35 * taper) / taper
        brow = smoothstep(-1.15, -0.5, off) * smoothstep(1.0, 0.2, off)
        brow = brow * smoothstep(0.11, 0.24, ax) * smoothstep(1.02, 0.86, ax)
        jaw = smoothstep(-0.78, -1.30, z + 0.34 * smoothstep(0.3, 0.95, ax)) * smoothstep(-2.42, -2.0, z)
        lip = smoothstep(0.56, 0.30, ax) * smoothstep(-0.80, -0.92, z) * smoothstep(-2.35, -1.95, z)
        jaw = (jaw + lip - jaw * lip) * smoothstep(1.0, 0.75, y)
        bow = np.sqrt(np.maximum(1 - ax * ax / 0.44**2, 0))
        mouth = smoothstep(-0.01, 0.05, -1.165 + 0.21 * bow - z) * smoothstep(-0.03, 0.05, z + 1.165 + 0.25 * bow)
        jaw = jaw * (1 - mouth * (ax < 0.46)) * (1 - 0.75 * np.exp(-np.square(ax / 0.05)) * smoothstep(-1.1, -0.9, z))
        rise = values["hair_rise"]
        line = HAIRLINE
        bare = line.bald * max(rise - line.kept, 0) * smoothstep(line.corner[1], line.corner[0], ax)
        edge = line.front + rise - line.bow * ax * ax + line.wave * np.cos(line.waves * x)
        edge = _mix(edge, line.temple, smoothstep(line.sides[0] + bare, line.sides[1] + bare, y))
        edge = _mix(edge, line.nape, smoothstep(*line.back, y))
        scalp = smoothstep(-0.06, 0.10, z - edge) * (0.35 + 0.65 * smoothstep(0.7, 0.1, z - edge))
        scalp = scalp * _mix(1, smoothstep(0.6, 0.9, ax), smoothstep(0.02, 0.15, rise))
        dense = np.choose(self.kind, [brow, jaw * min(1.0, 1.6 * beard), scalp])
        grown = smoothstep(0.0, 0.35, dense - self._chance * np.choose(self.kind, [0.88, 0.85, 0.8]))
        wide = np.choose(self.kind, [0.0046, 0.0042 + 0.0020 * beard, 0.0045]) * grown
        inner = smoothstep(0.45, 0.15, ax)
        long = np.choose(
            self.kind,
            [0.070 + 0.040 * (1 - inner) + 0.4 * weight, 0.030 + 0.15 * beard + 0.05 * beard * (z < -1.4), 0.13],
        )
        long = long * self._size

        normal = _unit(self._at(normals))
        points = self._at(vertices)
        facing = (normal * (eye - points)).sum(1)
        kept = np.flatnonzero((wide > 4e-4) & (facing > -1.5))
        points, normal, wide, long = points[kept], normal[kept], wide[kept], long[kept]
        a, b, c = (vertices[self._face[kept, k]] for k in range(3))
        way = (b - a) * self._along[kept, :1] + (c - a) * self._along[kept, 1:]
        way = _unit(way)
        across = np.cross(normal, way)
        share = np.linspace(0, 1, FUR_POINTS, dtype="f4")[None, :, None]
        kind = self.kind[kept]
        stand = np.choose(kind, [0.22, 0.42, 0.30])[:, None, None]
        bend = (0.16 * self._bend[kept])[:, None, None]
        curve = share * way[:, None] + (0.06 + stand * share * (1 - 0.5 * share)) * normal[:, None]
        curve = curve + bend * share**2 * across[:, None]
        ribbons = points[:, None] + 0.004 * normal[:, None] + long[:, None, None] * curve
        taper = np.array([1.0, 0.95, 0.7, 0.12], "f4")
        colours = np.stack([values["brow_colour"], values["beard_colour"], values["down_colour"]])[kind]
        colours = np.clip(colours * (1 + 0.16 * self._tone[kept, None]), 0, 1)
        normal = np.broadcast_to(normal[:, None], ribbons.shape)
        sky = np.full(ribbons.shape[:2], 0.92)
        gloss = np.choose(kind, [0.35, 0.5, 0.7])
        return Ribbons(ribbons, normal, wide[:, None] * taper[None], colours, sky, gloss)


class RibbonPainter:
    """Draws ribbons with moderngl, hidden by what is before them in the frame."""

    def __init__(self, context: moderngl.Context, most: int, points: int) -> None:
        """``most`` ribbons of ``points`` points at most."""
        self.program = context.program(
            vertex_shader=of_edition(RIBBON_VERTEX, 2), fragment_shader=of_edition(RIBBON_FRAGMENT, 2)
        )
        self._vertices = context.buffer(reserve=most * points * 2 * 64, dynamic=True)
        corner = np.arange(most * points * 2, dtype="i4").reshape(most, points, 2)
        a, b, c, d = corner[:, :-1, 0], corner[:, :-1, 1], corner[:, 1:, 0], corner[:, 1:, 1]
        self._each = 6 * (points - 1)
        indices = context.buffer(np.stack([a, b, c, c, b, d], -1).tobytes())
        layout = [(self._vertices, "3f 3f 3f 3f 4f", "position", "normal", "tangent", "tint", "traits")]
        self._mesh = context.vertex_array(self.program, layout, indices, skip_errors=True)
        self._count = 0

    def update(self, ribbons: Ribbons, eye: np.ndarray) -> None:
        """Take the ribbons of the next picture, seen from ``eye`` (3,)."""
        points = ribbons.points
        tangents = _unit(np.gradient(points, axis=1))
        side = _unit(np.cross(tangents, eye - points)) * ribbons.widths[..., None]
        packed = np.empty((*points.shape[:2], 2, 16), "f4")
        for index, sign in enumerate((-1, 1)):
            packed[:, :, index, :3] = points + sign * side
            packed[:, :, index, 14] = sign
        packed[..., 3:6] = ribbons.normals[:, :, None]
        packed[..., 6:9] = tangents[:, :, None]
        packed[..., 9:12] = ribbons.colours[:, None, None]
        packed[..., 12] = ribbons.open_sky[:, :, None]
        packed[..., 13] = ribbons.gloss[:, None, None]
        packed[..., 15] = 0
        self._vertices.write(packed.tobytes())
        self._count = len(points)

    def draw(self) -> None:
        """Draw; the program's uniforms have been set by then."""
        if self._count:
            self._mesh.render(vertices=self._count * self._each)
