"""Draw a person: moderngl on EGL, so neither a screen nor a graphics card is needed.

The body is one product with the matrix of the basis, then skinned; shells of clothes likewise, the skirt around both
legs. A picture takes two passes for shadows, of the key light and of the sky, then the background, the shadow on the
floor, skin, clothes from the feet up, and hair. The same numbers say where joints and the ends of clothes are.
"""

from __future__ import annotations

import beside  # noqa: F401  for the faces' modules
import looks
import moderngl
import numpy as np
from basis import smoothstep
from body import BONES, TIPS, BodyBasis
from garments import SHOES, TOP, TROUSERS, Places, Skirt, Wardrobe, gathering, normals_of
from hair import Hair, HairPainter
from person import WAIST, Person
from posing import posed_bones, skinned
from scipy.ndimage import gaussian_filter
from shaders import PAINT_SIZE

SHAPE = (256, 128)
"""Height and width of the pictures."""
POINTS = (
    "head", "nose", "neck", "pelvis",
    *(f"{name}_{side}" for side in ("left", "right") for name in (
        "shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle", "toe", "sleeve_end", "trouser_end", "waist")),
    "top_hem", "skirt_hem",
)  # fmt: skip
"""What :meth:`Renderer.points` finds, in its order; left is the person's left."""
_JOINTS = {"shoulder": "upper_arm", "elbow": "forearm", "wrist": "hand", "hand": "knuckle", "hip": "thigh",
           "knee": "shin", "ankle": "foot", "toe": "toe"}  # fmt: skip
_FIELD, _DISTANCE = 41.0, 85.0  # height of the picture where the person stands, and the camera's distance
_MIDDLE = 17.0  # the picture's middle above the floor
_MAP = 512
_REACH = 24.0  # half the width of what the maps of shadows see
_WALL = 24.0  # how far the wall is behind the person
_DEEP = 1.9  # how far under the surface joints may be and still count as seen


class _Surface:
    """A mesh that is drawn: its vertices change from picture to picture, its places at rest do not."""

    def __init__(self, context: moderngl.Context, kind: int, triangles: np.ndarray, rest: np.ndarray,
                 place: np.ndarray) -> None:  # fmt: skip
        self.context = context
        self.program = context.program(vertex_shader=looks.SURFACE_VERTEX, fragment_shader=looks.surface_fragment(kind))
        self.triangles = triangles
        self._moving = context.buffer(reserve=len(rest) * 24, dynamic=True)
        fixed = context.buffer(np.concatenate([rest, place], 1).astype("f4").tobytes())
        self._indices = context.buffer(triangles.astype("i4").tobytes())
        layout = [(self._moving, "3f 3f", "position", "normal"), (fixed, "3f 2f", "rest", "place")]
        self._mesh = context.vertex_array(self.program, layout, self._indices, skip_errors=True)
        self.points = rest

    def caster(self, program: moderngl.Program) -> moderngl.VertexArray:
        """What throws its shadow."""
        return self.context.vertex_array(program, [(self._moving, "3f 12x", "position")], self._indices)

    def place(self, points: np.ndarray, normals: np.ndarray) -> None:
        """Take the vertices of the next picture."""
        self.points = points
        self._moving.write(np.concatenate([points, normals], 1).astype("f4").tobytes())

    def draw(self) -> None:
        """Draw it; the program's uniforms have been set."""
        self._mesh.render()


def _noise(size: int = 128) -> np.ndarray:
    """Three smooth noises that tile: ``(size, size, 3)``, about 0..1."""
    rng = np.random.default_rng(6)
    planes = [gaussian_filter(rng.normal(size=(size, size)), width, mode="wrap") for width in (9.0, 5.5, 13.0)]
    return np.stack([0.5 + 0.2 * plane / plane.std() for plane in planes], -1).astype("f4")


def _ears(rest: np.ndarray) -> np.ndarray:
    """Where ears are, 0..1 a vertex: what stands off to the sides of the head."""
    aside = smoothstep(1.22, 1.34, np.abs(rest[:, 0]))
    return aside * np.exp(-(((rest[:, 1] - 1.45) / 0.65) ** 4) - (((rest[:, 2] + 0.15) / 0.75) ** 4))


class Renderer:
    """Draws people of one basis; create it once, it holds the graphics context."""

    def __init__(self, basis: BodyBasis, scale: int = 2) -> None:
        """Pictures are drawn at ``scale`` times :data:`SHAPE`, to be averaged down."""
        self.basis, self.scale = basis, scale
        self.size = (SHAPE[0] * scale, SHAPE[1] * scale)
        self.context = context = moderngl.create_standalone_context(backend="egl")
        self.floor = float(basis.rest[:, 2].min())
        places = Places.of(basis)
        place = np.stack([places.along, places.arm], 1)
        self.wardrobe = Wardrobe(basis)
        shells = self.wardrobe.shells
        self.skirt = Skirt(shells[TROUSERS])
        self._gather = gathering(basis.skin, len(basis.rest))
        self._eyes = np.unique(basis.eyes)
        tip = np.abs(basis.rest[:, 0]) + np.abs(basis.rest[:, 2] + 0.66) < 0.12
        self._nose = np.flatnonzero(tip & (basis.rest[:, 1] < basis.rest[tip, 1].min() + 0.15))
        self._blend = np.concatenate([basis.phenotype, basis.shapes]).reshape(
            len(basis.phenotype) + len(basis.shapes), -1
        )
        self._blend_joints = np.concatenate([basis.joints_phenotype, basis.joints_shapes]).reshape(len(self._blend), -1)
        around = np.broadcast_to(self.skirt._turn, (Skirt.ROWS, Skirt.COLUMNS))
        height = np.broadcast_to(self.skirt.heights[:, None], around.shape)
        skirt_rest = np.stack([around, 0 * around, height], -1).reshape(-1, 3)
        self.surfaces = {
            "skin": _Surface(context, looks.SKIN, basis.skin, basis.rest, place),
            "eyes": _Surface(context, looks.EYE, basis.eyes, basis.rest, place),
            **{
                name: _Surface(context, kind, shells[name].triangles, shells[name].rest,
                               np.stack([shells[name].along, shells[name].arm], 1))
                for name, kind in ((SHOES, looks.SHOES), (TROUSERS, looks.TROUSERS))
            },
            "skirt": _Surface(context, looks.SKIRT, self.skirt.triangles, skirt_rest, 0 * skirt_rest[:, :2]),
            TOP: _Surface(context, looks.TOP, shells[TOP].triangles, shells[TOP].rest,
                          np.stack([shells[TOP].along, shells[TOP].arm], 1)),
        }  # fmt: skip
        head = np.unique(basis.skin)
        hair = Hair(basis.rest, head, _ears(basis.rest))
        self._hair = HairPainter(context, hair, 1)
        flat = hair.rest.reshape(-1, 3)
        self._hair_head = smoothstep(-3.2, -1.6, flat[:, 2] - 0.3 * flat[:, 1]).astype("f4")[:, None, None]

        self._depth = context.program(vertex_shader=_DEPTH_VERTEX, fragment_shader=_DEPTH_FRAGMENT)
        self._casters = [self.surfaces[name].caster(self._depth) for name in ("skin", TROUSERS, TOP)]
        self._casters.append(self._hair.caster(self._depth))
        self._maps = []
        for _ in range(2):
            texture = context.texture((_MAP, _MAP), 1, dtype="f4")
            texture.repeat_x = texture.repeat_y = False
            self._maps.append(context.framebuffer([texture], context.depth_renderbuffer((_MAP, _MAP))))
        corners = context.buffer(np.array([-1, -1, 3, -1, -1, 3], "f4").tobytes())
        self._back_program = context.program(vertex_shader=looks.FLAT_VERTEX, fragment_shader=looks.BACK_FRAGMENT)
        self._back = context.vertex_array(self._back_program, [(corners, "2f", "corner")])
        self._floor_program = context.program(vertex_shader=looks.FLOOR_VERTEX, fragment_shader=looks.FLOOR_FRAGMENT)
        self._floor = self._floor_mesh()
        self._paint = context.texture((PAINT_SIZE, PAINT_SIZE), 4, dtype="u4")
        self._paint.filter = (moderngl.NEAREST, moderngl.NEAREST)
        clouds = _noise()
        self._clouds = context.texture(clouds.shape[1::-1], 3, clouds.tobytes(), dtype="f4")
        frame = context.framebuffer([self._paint])
        frame.use()
        program = context.program(vertex_shader=looks.FLAT_VERTEX, fragment_shader=looks.PAINT_FRAGMENT)
        context.vertex_array(program, [(corners, "2f", "corner")]).render()
        frame.release()
        wide = self.size[::-1]
        self._target = context.framebuffer([context.renderbuffer(wide)], context.depth_renderbuffer(wide))

    def _floor_mesh(self) -> moderngl.VertexArray:
        line = np.linspace(-12, 12, 56)
        x, y = np.meshgrid(line, line + 2.0)
        points = np.stack([x, y, np.full_like(x, self.floor + 0.02)], -1).reshape(-1, 3).astype("f4")
        corner = np.arange(len(points)).reshape(x.shape)
        a, b, c, d = corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]
        faces = np.stack([a, b, c, c, b, d], -1).astype("i4")
        layout = [(self.context.buffer(points.tobytes()), "3f", "position")]
        return self.context.vertex_array(self._floor_program, layout, self.context.buffer(faces.tobytes()))

    def camera(self, person: Person) -> tuple[np.ndarray, np.ndarray]:
        """The projection (4, 4) of world points, and where the camera is (3,)."""
        eye = np.array([person.shift[0], -_DISTANCE, self.floor + person.camera_height])
        near, far, zoom = 20.0, 200.0, 2 * _DISTANCE / _FIELD * person.zoom
        # The camera looks straight ahead, so what is upright stays so; the picture is moved over the person.
        lift = zoom * (person.camera_height - _MIDDLE - person.shift[1]) / _DISTANCE
        view = np.array([[1, 0, 0, -eye[0]], [0, 0, 1, -eye[2]], [0, -1, 0, eye[1]], [0, 0, 0, 1]], float)
        depth = [(far + near) / (near - far), 2 * far * near / (near - far)]
        wide = zoom * SHAPE[0] / SHAPE[1]
        projection = np.array([[wide, 0, 0, 0], [0, zoom, -lift, 0], [0, 0, *depth], [0, 0, -1, 0]])
        return projection @ view, eye

    def _parallel(self, towards: np.ndarray) -> np.ndarray:
        """The parallel projection (4, 4) of world points as a light from ``towards`` sees them."""
        side = np.cross([0.0, 0.0, 1.0], towards)
        side /= np.linalg.norm(side)
        view = np.eye(4)
        view[:3, :3] = np.stack([side, np.cross(towards, side), -towards]) / _REACH
        view[2, :3] *= 0.5
        view[:3, 3] = view[:3, :3] @ -np.array([0.0, 1.5, self.floor + 15.0])
        return view

    def _place(self, person: Person) -> dict[str, np.ndarray]:
        """Put everything where it is drawn from; returns joints and what else is known, in the world."""
        basis = self.basis
        values = np.concatenate([person.phenotype, person.shapes]).astype("f4")
        moved = (values @ self._blend).reshape(-1, 3)
        joints = basis.joints + (values @ self._blend_joints).reshape(-1, 3)
        bones = posed_bones(person.turns, joints)
        shells = self.wardrobe.shells
        posed = {
            name: skinned(shell.shape(values, self.wardrobe.stand_off(name, person)), shell.weights, bones)
            for name, shell in shells.items()
        }
        # Feet stand on the floor: the lowest of the soles, as a soft minimum.
        low = posed[SHOES][:, 2]
        lowest = low.min() - np.log(np.exp(-6.0 * (low - low.min())).sum() / 60) / 6.0
        rise = np.array([0.0, 0.0, self.floor - lowest], "f4")
        bones[:, :, 3] += rise
        skin = skinned(basis.rest + moved, basis.weights, bones)
        normals = normals_of(skin, basis.skin, self._gather)
        self.surfaces["skin"].place(skin, normals)
        self.surfaces["eyes"].place(skin, np.broadcast_to([0.0, -1.0, 0.0], skin.shape) @ bones[4, :, :3].T)
        for name, points in posed.items():
            points += rise
            self.surfaces[name].place(points, normals_of(points, shells[name].triangles, shells[name].gather))
        skirt, across = self.skirt.shape(posed[TROUSERS], bones[0, :, :3], person)
        self.surfaces["skirt"].place(skirt.reshape(-1, 3), across.reshape(-1, 3))

        sheet, traits = self._hair.hair.shape(person.uniforms, moved)
        names = list(BONES)
        blended = self._hair_head * bones[names.index("head")] + (1 - self._hair_head) * (
            0.6 * bones[names.index("head")] + 0.4 * bones[names.index("chest")]
        )
        flat = sheet.reshape(-1, 3)
        flat = np.einsum("vij,vj->vi", blended[:, :, :3], flat) + blended[:, :, 3]
        self._hair.update(flat.reshape(sheet.shape).astype("f4"), traits, person.uniforms)

        own = [*range(len(names)), *(names.index(carrier) for carrier, _ in TIPS.values())]
        turned = np.einsum("bij,bj->bi", bones[own][:, :, :3], joints) + bones[own][:, :, 3]
        known = dict(zip((*names, *TIPS), turned))
        known |= {"head": skin[self._eyes].mean(0), "nose": skin[self._nose].mean(0)}
        return known | self._ends(person, posed, skirt)

    def _ends(self, person: Person, posed: dict[str, np.ndarray], skirt: np.ndarray) -> dict[str, np.ndarray]:
        """Where clothes end, and the outline of the waist."""
        shells, lengths, out = self.wardrobe.shells, person.lengths, {}
        for word, sign in (("left", 1), ("right", -1)):
            top, legs = shells[TOP], shells[TROUSERS]
            mine = (np.sign(top.rest[:, 0]) == sign) & (top.arm > 0.5)
            near = np.exp(-np.square((top.along - lengths["sleeve"]) / 0.03)) * mine
            out[f"sleeve_end_{word}"] = near @ posed[TOP] / (near.sum() + 1e-9)
            mine = np.sign(legs.rest[:, 0]) == sign
            near = np.exp(-np.square((legs.height - lengths["trousers"]) / 0.35)) * mine
            out[f"trouser_end_{word}"] = near @ posed[TROUSERS] / (near.sum() + 1e-9)
            near = (np.abs(top.height - WAIST) < 0.5) & (top.arm < 0.3)
            ring = posed[TOP][near]
            pull = np.exp(12.0 * (sign * ring[:, 0] - (sign * ring[:, 0]).max()))
            out[f"waist_{word}"] = pull @ ring / pull.sum()
        top = shells[TOP]
        near = np.exp(-np.square((top.height - lengths["top_hem"]) / 0.35)) * (top.arm < 0.3)
        out["top_hem"] = self._front(posed[TOP], near)
        rows = np.interp(-lengths["skirt"], -self.skirt.heights, np.arange(Skirt.ROWS))
        before = int(min(rows, Skirt.ROWS - 2))
        hem = skirt[before] + (rows - before) * (skirt[before + 1] - skirt[before])
        out["skirt_hem"] = self._front(hem, np.ones(len(hem)))
        return out

    @staticmethod
    def _front(points: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """The middle of what is in front among points, counted by ``shares``."""
        depth = points[:, 1]
        near = shares * np.exp(-1.5 * (depth - depth[shares > 1e-3].min()))
        return near @ points / near.sum()

    def points(self, person: Person) -> tuple[np.ndarray, np.ndarray]:
        """Where :data:`POINTS` are in the picture of a person, and which of them can be seen.

        The points ``(K, 2)`` are x, y in pixels of :data:`SHAPE`, pixel centres at integers. One is seen (K,) if it is
        in the picture and nothing is before it but the limb it is in; the end of trousers or sleeves only where skin
        or a shoe shows beyond, the hem of a skirt only where it is not under the top.
        """
        with self.context:
            return self._points(person, self._place(person))

    def _points(self, person: Person, known: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        camera, _ = self.camera(person)
        depth = self._draw_depth(camera, 0)
        where = []
        for name in POINTS:
            stem, _, side = name.partition("_")
            where.append(known[f"{_JOINTS[stem]}.{side[0].upper()}" if stem in _JOINTS else name])
        clip = np.concatenate([np.array(where), np.ones((len(POINTS), 1))], 1) @ camera.T
        flat = clip[:, :2] / clip[:, 3:]
        column, row = (np.clip((flat.T + 1) / 2, 0, 0.999) * _MAP).astype(int)
        seen = (np.abs(flat) < 1).all(1) & (clip[:, 3] < depth[row, column] + _DEEP)
        lengths = person.lengths
        for name, shown in (
            ("sleeve_end", lengths["sleeve"] < 1.0),
            ("trouser_end", lengths["trousers"] < lengths["skirt"] - 0.3),
            ("skirt_hem", lengths["skirt"] < lengths["top_hem"] - 0.5),
        ):
            for index, point in enumerate(POINTS):
                if point.startswith(name):
                    seen[index] &= shown
        height, width = SHAPE
        return (flat * (1, -1) + 1) / 2 * (width, height) - 0.5, seen

    def _draw_depth(self, camera: np.ndarray, which: int) -> np.ndarray:
        """Draw how far all is from a camera or light into one of the maps; returns it (rows from below)."""
        self._depth["view"].value = tuple(camera.T.ravel())
        self.context.enable(moderngl.DEPTH_TEST)
        self.context.disable(moderngl.CULL_FACE | moderngl.BLEND)
        frame = self._maps[which]
        frame.use()
        frame.clear(1000.0, 1000.0, 1000.0, 1.0, depth=1.0)
        for caster in self._casters:
            caster.render()
        return np.frombuffer(frame.color_attachments[0].read(), "f4").reshape(_MAP, _MAP)

    def __call__(self, person: Person) -> np.ndarray:
        """The picture of a person: ``(256, 128, 3)`` uint8."""
        with self.context:
            self._place(person)
            return self._averaged(self._draw(person))

    def with_points(self, person: Person) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The picture, and what :meth:`points` says."""
        with self.context:
            known = self._place(person)
            picture = self._averaged(self._draw(person))
            return picture, *self._points(person, known)

    def _averaged(self, picture: np.ndarray) -> np.ndarray:
        high, wide = SHAPE
        mean = picture.reshape(high, self.scale, wide, self.scale, 3).astype(np.uint16).sum((1, 3))
        return ((mean + self.scale**2 // 2) // self.scale**2).astype(np.uint8)

    def _draw(self, person: Person) -> np.ndarray:
        """The picture of what was placed, at full size."""
        camera, eye = self.camera(person)
        light = self._parallel(np.array(person.uniforms["light_direction"]))
        sky = self._parallel(np.array([0.0, -0.5, 0.86]))
        self._draw_depth(light, 0)
        self._draw_depth(sky, 1)
        floor_edge = camera @ np.array([0.0, _WALL, self.floor, 1.0])
        values = person.uniforms | person.lengths | {
            "camera": tuple(camera.T.ravel()),
            "light_camera": tuple(light.T.ravel()),
            "sky_camera": tuple(sky.T.ravel()),
            "shadow_map": 0,
            "sky_map": 1,
            "paint": 4,
            "clouds": 5,
            "eye": tuple(eye),
            "lowest": self.floor,
            "floor_edge": float(floor_edge[1] / floor_edge[3]),
        }  # fmt: skip
        programs = [surface.program for surface in self.surfaces.values()]
        programs += [self._back_program, self._floor_program, self._hair.program]
        for name, value in values.items():
            for program in programs:
                if name in program:
                    program[name].value = value
        for unit, frame in enumerate(self._maps):
            frame.color_attachments[0].use(unit)
        self._paint.use(4)
        self._clouds.use(5)
        self._target.use()
        self._target.clear(0, 0, 0, 1, depth=1.0)
        context = self.context
        context.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        self._back.render()
        context.enable(moderngl.BLEND)
        context.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA
        self._floor.render()
        context.disable(moderngl.BLEND)
        context.enable(moderngl.DEPTH_TEST)
        for name, surface in self.surfaces.items():
            if name not in ("skin", "eyes"):
                context.enable(moderngl.BLEND)
            surface.draw()
        self._hair.draw(person.uniforms)
        pixels = np.frombuffer(self._target.read(components=3), np.uint8)
        return pixels.reshape(*self.size, 3)[::-1]


_DEPTH_VERTEX = """#version 330
in vec3 position;
uniform mat4 view;
out float depth;
void main() { gl_Position = view * vec4(position, 1.0); depth = view[3][3] == 1.0 ? gl_Position.z : gl_Position.w; }
"""
_DEPTH_FRAGMENT = """#version 330
in float depth;
out float pixel;
void main() { pixel = depth; }
"""
