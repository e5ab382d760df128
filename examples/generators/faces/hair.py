"""Hair as one smooth sheet around the head: columns run down from the crown, rows go around it.

The upper half of the sheet follows the skull, the lower half hangs down. The whole grid is bound to the nearby skin,
so it moves with every deformation of the head. Where hair is and where skin shows is a smooth function on the grid,
drawn as soft alpha, so lengths, hairlines and partings change without steps. The sheet is drawn back to front with a
texture of strands, which leave the part at the top and run along it: :class:`Hair` is geometry only, and
:class:`HairPainter` draws it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import moderngl
import numpy as np
from basis import smoothstep
from scipy import sparse
from scipy.ndimage import gaussian_filter
from shaders import HAIR_FRAGMENT, HAIR_VERTEX, HAIRLINE, of_edition

if TYPE_CHECKING:
    from collections.abc import Mapping

_AROUND, _CAP, _HANG = 91, 32, 32
_CENTRE = np.array([0.0, 1.2, 0.25])
_LOWEST = -3.3  # of the sheet, eye distances below the eyes


def _larger(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """The larger of two, rounded off where they are within ``width``."""
    return 0.5 * (a + b + np.sqrt(np.square(a - b) + width * width))


def _mix(a: float | np.ndarray, b: float | np.ndarray, share: float | np.ndarray) -> np.ndarray:
    return a + (b - a) * share


def _strand_texture(width: int = 512, height: int = 64) -> np.ndarray:
    """Tileable smooth noise, long along strands: tone of locks, of strands, and length of locks; 0..1."""
    rng = np.random.default_rng(3)

    def layer(across: float, along: float) -> np.ndarray:
        noise = gaussian_filter(rng.normal(size=(height, width)), (along, across), mode="wrap")
        return noise / noise.std()

    locks, strands = layer(9, 14), layer(2.6, 12)
    lengths = 0.6 * layer(9, 40) + 0.8 * layer(3, 40)
    planes = [0.5 + 0.17 * (0.75 * locks + 0.65 * strands), 0.5 + 0.2 * strands, 0.5 + 0.2 * lengths]
    return np.clip(np.stack(planes, -1) * 255, 0, 255).astype(np.uint8)


def _quads(corner: np.ndarray) -> np.ndarray:
    """Pairs of triangles (C-1, R-1, 6) between the vertex numbers ``corner`` (R, C), by column and row."""
    a, b, c, d = corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]
    return np.stack([a, b, c, c, b, d], -1).transpose(1, 0, 2).astype("i4")


class Hair:
    """The sheet of hair of one basis; :meth:`shape` gives its grid and traits for a scene's numbers."""

    def __init__(self, rest: np.ndarray, skin: np.ndarray, ears: np.ndarray) -> None:
        """``rest`` (V, 3), ``skin`` the numbers of the body's vertices, ``ears`` (V,) 0..1 where ears are."""
        around = np.linspace(-np.pi, np.pi, _AROUND)[None, :]
        polar = np.linspace(0.02, np.pi / 2, _CAP)[:, None]
        heights = np.linspace(_CENTRE[2], _LOWEST, _HANG + 1)[1:, None]
        flat = np.stack(np.broadcast_arrays(np.sin(around), -np.cos(around), 0.0), -1)
        cap = np.sin(polar)[..., None] * flat + np.cos(polar)[..., None] * np.array([0.0, 0.0, 1.0])
        self._outward = np.concatenate([cap, np.broadcast_to(flat, (_HANG, _AROUND, 3))])
        self._around = np.abs(np.broadcast_to(around, self._outward.shape[:2]))

        self._skin = skin[(ears[skin] < 0.08) & (rest[skin, 2] > -2.6)]
        points = rest[self._skin]
        relative = points - _CENTRE
        reach = np.linalg.norm(relative, axis=1)
        upper = relative[:, 2] > -0.35
        near = self._outward[:_CAP].reshape(-1, 3) @ (relative / reach[:, None]).T
        weights_cap = np.exp((near - 1) / 0.012) * upper
        level = np.hypot(relative[:, 0], relative[:, 1])
        outer = level > 0.62
        turn = np.arctan2(relative[:, 0], -relative[:, 1])
        apart = np.angle(np.exp(1j * (turn[None] - around.reshape(-1, 1))))
        rows = []
        for height in heights.ravel():
            drop = (points[:, 2] - max(height, -1.95)) / 0.16
            rows.append(np.exp(-np.square(apart / 0.2) - np.square(drop)[None]) * outer)
        weights = np.concatenate([weights_cap, *rows])
        weights[weights < 0.02 * weights.max(1, keepdims=True)] = 0
        weights /= weights.sum(1, keepdims=True) + 1e-12
        distance = np.concatenate([weights[: len(weights_cap)] @ reach, weights[len(weights_cap) :] @ level])
        centres = np.concatenate(
            [
                np.broadcast_to(_CENTRE, (_CAP, _AROUND, 3)),
                np.stack(np.broadcast_arrays(0.0, _CENTRE[1], heights + 0 * around), -1),
            ]
        )
        self.rest = centres + self._outward * distance.reshape(-1, _AROUND, 1)
        for _ in range(2):  # irregularities of the mesh must not show in the hair
            smooth = gaussian_filter(self.rest[_CAP // 2 :], (1.5, 1.5, 0), mode=("nearest", "wrap", "nearest"))
            fade = np.linspace(0, 1, len(smooth))[:, None, None].clip(0, 0.2) * 5
            self.rest[_CAP // 2 :] = _mix(self.rest[_CAP // 2 :], smooth, fade)
        self.rest[:, -1] = self.rest[:, 0]
        self._bind = sparse.csr_matrix(weights.astype("f4"))

        # Directions for the flow of strands, which stop turning below the widest part of the head.
        bent = np.minimum(polar, 1.35 - 0.35 * np.exp(-np.maximum(polar - 1.0, 0) / 0.35) + 0 * polar)
        bent = np.where(polar < 1.0, polar, bent)
        bent = np.concatenate([bent, np.full((_HANG, 1), bent[-1, 0])])
        self.flow = np.sin(bent)[..., None] * flat + np.cos(bent)[..., None] * np.array([0.0, 0.0, 1.0])
        rng = np.random.default_rng(8)
        bumps = gaussian_filter(rng.normal(size=(_AROUND - 1, 2)), (2.2, 0), mode="wrap")
        bumps = np.concatenate([bumps, bumps[:1]]) / bumps.std(0)
        self._bumps, self._phases = bumps[None, :, 0], bumps[None, :, 1]
        corner = np.arange(len(self.rest) * _AROUND).reshape(-1, _AROUND)
        self.quads = _quads(corner)
        self.coarse = _quads(corner[::2, ::2]).reshape(-1, 6)  # enough for shadows
        self.rest, self.flow = self.rest.astype("f4"), self.flow.astype("f4")
        self._outward, self._around = self._outward.astype("f4"), self._around.astype("f4")
        self._bumps, self._phases = self._bumps.astype("f4"), self._phases.astype("f4")

    def part(self, values: Mapping[str, float]) -> tuple[float, float, float, float]:
        """The part: sine and cosine of how far it is to the left, and angles of its back and front end."""
        side = float(values["parting"])
        return float(np.sin(side)), float(np.cos(side)), -0.45, float(_mix(0.98, -0.15, values["fringe"]))

    def shape(self, values: Mapping[str, float], moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points (R, C, 3) of the sheet around a head whose vertices moved by ``moved``, and traits (R, C, 4)."""
        rest, around = self.rest, self._around
        x, y, z = rest[..., 0], rest[..., 1], rest[..., 2]
        ax = np.abs(x)
        rise, volume, tips = values["hair_rise"], values["hair_volume"], values["hair_length"]
        fringe, back, wave, flare = (values[name] for name in ("fringe", "hair_back", "hair_wave", "hair_flare"))
        parting = values["parting"]
        line = HAIRLINE
        long = 1 - float(smoothstep(*line.long, tips))

        # Cover: signed distance (about) from the edge of the hair, positive inside it. The hairline is that of scalp()
        # in the shaders, except that on purpose the part slants it here, and a fringe lowers it, takes its waves and
        # lets it fall to the ears nearer the front: below a fringe there is forehead, so the painted scalp does not.
        bare = line.bald * max(rise - line.kept, 0) * (1 - smoothstep(*line.corner, ax))
        front = line.front + rise - line.bow * ax * ax + line.wave * np.cos(line.waves * x) * (1 - fringe)
        bangs = fringe * np.exp(-(around**6))
        front = front - (0.30 + 0.27 * long) * bangs + 0.28 * parting * x - 0.10 * fringe * ax * ax
        sides = line.sides[0] + bare - 0.2 * fringe, line.sides[1] + bare - 0.1 * fringe
        edge = _mix(front, line.temple, smoothstep(*sides, y))
        natural = z - _mix(edge, line.nape, smoothstep(*line.back, y))
        start = line.beside[0] + line.beside[1] * back + 0.10 * smoothstep(0.2, -1.2, z) * (1 - back)
        beside = 1.9 * (around - start)
        hanging = -_larger(-beside, -(z - tips), 0.12)
        cover = _larger(natural, hanging, 0.10) - 0.01

        # Thickness over the skull, and how freely the hair hangs instead of following it.
        low = smoothstep(_mix(1.45, 0.7, long), -0.2, z)
        drape = long * smoothstep(start - 0.35, start + 0.10, around) * smoothstep(0.95, -0.3, z)
        top = volume * _mix(0.85, 1.25, long)
        side = volume * _mix(0.22, 1.1, long) + 0.01
        thick = _mix(top, side, low)
        grown = smoothstep(-0.03, 0.62, _larger(natural, hanging, 0.15))
        least = 0.015 + 0.12 * bangs * smoothstep(1.35, 0.75, z) + 0.07 * drape
        thick = least + thick * _mix(grown, 1.0, drape * 0.6)
        sine, cosine = self.part(values)[:2]
        off = self.flow[..., 0] * cosine - self.flow[..., 2] * sine
        groove = np.exp(-np.square(off / 0.16)) * smoothstep(-0.2, 0.5, -y + 0.9) * smoothstep(0.3, 0.9, z)
        thick = thick * (1 - 0.35 * groove * (1 - fringe))
        ear = smoothstep(1.15, -0.25, z) * (1 - 0.6 * smoothstep(-0.4, -2.6, z))
        ear *= np.exp(-np.square((around - 1.36) / 0.55))
        down = smoothstep(-0.2, -2.6, z)
        thick = thick + 0.20 * ear * drape * (1 - 0.5 * back) + (0.32 * flare - 0.10 * (1 - long)) * down * drape
        behind = smoothstep(1.8, 2.8, around)
        thick = thick - 0.30 * behind * down * drape
        lively = smoothstep(1.4, -1.2, z) * long
        thick = thick + 0.022 * self._bumps * smoothstep(1.7, 0.6, z)
        swing = wave * lively * np.sin(4.6 * z + 2.2 * self._phases)
        thick = thick + 0.07 * swing

        skin = rest + (self._bind @ moved[self._skin]).reshape(rest.shape)
        widest = skin[_CAP - 1 : _CAP]
        hang = np.concatenate([np.broadcast_to(widest[..., :2], (_HANG, _AROUND, 2)), skin[_CAP:, :, 2:]], -1)
        points = skin.copy()
        points[_CAP:] = _mix(skin[_CAP:], hang, drape[_CAP:, :, None])
        points += self._outward * thick[..., None]
        sway = 0.05 * wave * lively * np.cos(4.6 * z + 2.2 * self._phases) * drape
        points[..., 0] += sway * self._outward[..., 1] * -1
        points[..., 1] += sway * self._outward[..., 0]

        loose = drape * smoothstep(0.3, -0.5, z) * smoothstep(1.0, 0.3, z - tips) * smoothstep(0.05, 0.40, beside)
        loose = np.maximum(loose, 0.5 * bangs)
        way = np.arccos(np.clip(self.flow @ self._pole(values), -1, 1)) + np.maximum(_CENTRE[2] - z, 0)
        sky = 1 - 0.30 * down * drape * smoothstep(2.2, 0.9, around) - 0.15 * (1 - grown)
        return points, np.stack([cover, loose, way, sky], -1)

    def _pole(self, values: Mapping[str, float]) -> np.ndarray:
        """The direction of the middle of the part, where strands begin."""
        sine, cosine, first, last = self.part(values)
        angle = 0.5 * (first + last)
        return np.array([sine * np.cos(angle), -np.sin(angle), cosine * np.cos(angle)])

    def _strand_steps(self, values: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
        """How the number of the strand changes from row to row and from column to column, (R, C) each.

        These are the numbers that the fragment shader looks strands up by; here they give the strands' tangents.
        """
        sine, cosine, first, last = self.part(values)
        d = self.flow
        side, up = d[..., 0] * cosine - d[..., 2] * sine, d[..., 0] * sine + d[..., 2] * cosine
        angle = np.arctan2(-d[..., 1], up)
        reach = np.clip(angle, first, last)
        ahead = np.sin(angle - reach) * np.hypot(d[..., 1], up)
        plain = np.abs(np.arctan2(side, ahead)) + 0.8 * (last - reach)
        sign = np.where(side < 0, -1.0, 1.0)
        signed = plain * sign
        rows, columns = np.zeros_like(plain), np.zeros_like(plain)
        for steps, later, earlier, here in (
            (rows, np.s_[2:], np.s_[:-2], np.s_[1:-1]),
            (columns, np.s_[:, 2:], np.s_[:, :-2], np.s_[:, 1:-1]),
        ):
            step = signed[later] - signed[earlier]
            # Numbers jump where left and right meet behind the front end of the part.
            steps[here] = np.where(np.abs(step) < 1.2, step, (plain[later] - plain[earlier]) * sign[here])
        rows[0], rows[-1] = rows[1], rows[-2]
        columns[:, 0] = columns[:, -1] = signed[:, 1] - signed[:, 0]
        return rows, columns

    def attributes(
        self, points: np.ndarray, traits: np.ndarray, values: Mapping[str, float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the shader reads, (R·C, 16), and triangles (N, 3) sorted back to front; of posed ``points``."""
        down = np.empty_like(points)
        down[1:-1] = points[2:] - points[:-2]
        down[0], down[-1] = points[1] - points[0], points[-1] - points[-2]
        right = np.empty_like(points)
        right[:, 1:-1] = points[:, 2:] - points[:, :-2]
        right[:, 0] = right[:, -1] = points[:, 1] - points[:, -2]
        normal = np.cross(right, down)
        normal[0] = normal[1].mean(0)
        normal /= -np.linalg.norm(normal, axis=-1, keepdims=True) - 1e-9
        by_row, by_column = self._strand_steps(values)
        tangent = down * by_column[..., None] - right * by_row[..., None]
        tangent /= np.linalg.norm(tangent, axis=-1, keepdims=True) + 1e-6
        packed = np.concatenate([points, normal, tangent, self.flow, traits], -1).reshape(-1, 16).astype("f4")
        # Columns from the back to the front; within a column rows follow each other, since shared vertices are cheap.
        middle = points[_CAP, 1:, 1] + points[_CAP, :-1, 1]
        quads = self.quads[np.argsort(-middle)].reshape(-1, 6)
        return packed, quads[packed[quads[:, [0, 1, 2, 5]], 12].max(1) > -0.25]


class HairPainter:
    """Draws the sheet with moderngl over what is in the frame already."""

    def __init__(self, context: moderngl.Context, hair: Hair, edition: int) -> None:
        """``hair`` says what is drawn, ``edition`` how."""
        self.hair = hair
        self.context = context
        self.program = context.program(
            vertex_shader=of_edition(HAIR_VERTEX, edition), fragment_shader=of_edition(HAIR_FRAGMENT, edition)
        )
        picture = _strand_texture()
        self._strands = context.texture(picture.shape[1::-1], 3, picture.tobytes(), alignment=1)
        self._strands.filter = (moderngl.LINEAR, moderngl.LINEAR)
        count = hair.rest.shape[0] * hair.rest.shape[1]
        self._vertices = context.buffer(reserve=count * 64, dynamic=True)
        self._indices = context.buffer(reserve=hair.quads.nbytes, dynamic=True)
        self._dense = context.buffer(reserve=hair.quads.nbytes, dynamic=True)
        layout = [(self._vertices, "3f 3f 3f 3f 4f", "position", "normal", "tangent", "flow", "traits")]
        self._mesh = context.vertex_array(self.program, layout, self._indices, skip_errors=True)
        self._count = 0
        self._casting: list[moderngl.VertexArray] = []

    def caster(self, program: moderngl.Program) -> moderngl.VertexArray:
        """What throws the shadow of the hair, drawn by a ``program`` that needs only positions."""
        array = self.context.vertex_array(program, [(self._vertices, "3f 52x", "position")], self._dense)
        self._casting.append(array)
        return array

    def update(self, points: np.ndarray, traits: np.ndarray, values: Mapping[str, float]) -> np.ndarray:
        """Take the posed grid of the next picture; returns its normals (R, C, 3)."""
        packed, triangles = self.hair.attributes(points, traits, values)
        self._vertices.write(packed.tobytes())
        self._indices.write(triangles.tobytes())
        self._count = triangles.size
        dense = self.hair.coarse[packed[self.hair.coarse[:, [0, 1, 2, 5]], 12].mean(1) > 0.03]
        self._dense.write(dense.tobytes())
        for array in self._casting:
            array.vertices = dense.size
        return packed[:, 3:6].reshape(points.shape)

    def draw(self, values: Mapping[str, float], unit: int = 3) -> None:
        """Blend the hair over the frame in use; the program's other uniforms have been set by then."""
        self._strands.use(unit)
        self.program["strands"].value = unit
        self.program["part"].value = self.hair.part(values)
        self.context.enable(moderngl.BLEND)
        self.context.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA
        self._mesh.render(vertices=self._count)
        self.context.disable(moderngl.BLEND)
