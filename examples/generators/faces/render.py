"""Draw a scene: moderngl on EGL, so neither a screen nor a graphics card is needed.

The vertices of the head are one product with the matrix of the basis, then posed; the sheet of hair is bound to them.
A picture takes three passes: depths from the key light, for its shadows; then the background and the parts of the head,
painted by the formulas of ``shaders.py``; then the hair, blended over them. Landmarks are fixed vertices, seen where
depths from the camera say that nothing is before them. How open each vertex is to the sky is found at construction.
"""

from __future__ import annotations

import moderngl
import numpy as np
import shaders
from basis import HeadBasis, smoothstep
from hair import Hair, HairPainter
from scene import EDITIONS, Scene
from scipy import sparse
from scipy.ndimage import gaussian_filter
from shaders import BODY, EYE, LASHES, TEETH, TONGUE
from strands import FUR_POINTS, HAIR_POINTS, STRANDS, Fur, HairStrands, RibbonPainter

_SHADOW_SIZE = 384
_SHADOW_REACH = 3.6  # half the width of what the light sees, in eye distances
_LANDMARKS = {
    # name: (x, z) at rest, of the foremost skin there; "left" is the person's left, and x of "right" is the negative.
    "mouth_left": (0.375, -1.17),
    "mouth_right": (-0.375, -1.17),
    "upper_lip": (0.0, -1.07),
    "lower_lip": (0.0, -1.27),
    "nose_tip": (0.0, -0.66),
    "chin": (0.0, -1.83),
    "left_eye_outer": (0.80, -0.015),
    "left_eye_inner": (0.28, -0.065),
    "left_upper_lid": (0.53, 0.058),
    "left_lower_lid": (0.53, -0.085),
    "right_eye_outer": (-0.80, -0.015),
    "right_eye_inner": (-0.28, -0.065),
    "right_upper_lid": (-0.53, 0.058),
    "right_lower_lid": (-0.53, -0.085),
    "left_brow_inner": (0.20, 0.36),
    "left_brow_outer": (0.95, 0.38),
    "right_brow_inner": (-0.20, 0.36),
    "right_brow_outer": (-0.95, 0.38),
    "left_jaw": (0.86, -1.35),
    "right_jaw": (-0.86, -1.35),
}
LANDMARK_NAMES = tuple(_LANDMARKS)
"""The points of the face that :meth:`Renderer.landmarks` finds, in its order."""
_FIELD = 4.45  # height of the picture at the face, in eye distances
_DISTANCE = 13.0
_CENTRE = np.array([0.0, 0.0, -0.42])
_PIVOT = np.array([0.0, 0.75, -1.1])  # of turns of the head, at the top of the neck


def _kind_of(part: str) -> int:
    if part == "body":
        return BODY
    if part.endswith("-eye"):
        return EYE
    return TEETH if "teeth" in part else TONGUE if "tongue" in part else LASHES


def _turning(rest: np.ndarray) -> np.ndarray:
    """The share of the head's turns that resting points ``(N, 3)`` follow."""
    return (0.25 + 0.75 * smoothstep(-3.3, -2.2, rest[:, 2] - 0.5 * rest[:, 1])).astype("f4")


class Renderer:
    """Draws scenes of one basis; create it once, it holds the graphics context."""

    def __init__(self, basis: HeadBasis, size: int = 256, edition: int = EDITIONS[-1]) -> None:
        """``size`` is the height and width of the pictures; ``edition`` must be that of the scenes."""
        self.basis = basis
        self.edition = edition
        self.size = size
        self.context = moderngl.create_standalone_context(backend="egl")
        self._programs = {
            kind: self._program(shaders.HEAD_VERTEX, shaders.head_fragment(kind))
            for kind in (BODY, EYE, TEETH, TONGUE, LASHES)
        }
        self._back_program = self._program(shaders.FLAT_VERTEX, shaders.BACK_FRAGMENT)
        self._depth_program = self._program(shaders.DEPTH_VERTEX, shaders.DEPTH_FRAGMENT)

        count = len(basis.rest)
        kinds = np.zeros(count, int)
        for part, faces in basis.triangles.items():
            kinds[np.unique(faces)] = _kind_of(part)
        # The teeth of the base mesh touch the lips and the tongue hides the gap between the rows of teeth.
        self._inside = np.zeros((count, 3), "f4")
        self._inside[kinds == TEETH] = np.array([-0.12, 0, 0]) * basis.rest[kinds == TEETH] + np.array([0, 0.05, 0])
        lower = np.unique(basis.triangles["helper-lower-teeth"])  # they come through the chin of wide open mouths
        self._inside[lower] = basis.rest[lower] * np.array([-0.30, 0, 0]) + np.array([0, 0.13, 0])
        self._inside[kinds == TONGUE] = (0, 0.16, -0.12)
        self._teeth_front = float(basis.rest[kinds == TEETH, 1].min())
        self.triangles = np.concatenate(list(basis.triangles.values())).astype("i4")
        corners = self.triangles.ravel()
        owners = np.repeat(np.arange(len(self.triangles)), 3)
        self._faces_to_vertices = sparse.csr_matrix(
            (np.ones(len(corners), "f4"), (corners, owners)), shape=(count, len(self.triangles))
        )
        # One matrix from all coefficients to all coordinates: the sum over 200 blend shapes is one product.
        self._blend = np.concatenate([basis.phenotype, basis.local, basis.actions]).reshape(-1, count * 3)

        eyes = [basis.rest[np.unique(basis.triangles[f"helper-{side}-eye"])] for side in "lr"]
        self._eye_centres = [points.mean(0) for points in eyes]
        self._eye_radius = float(np.linalg.norm(eyes[0] - self._eye_centres[0], axis=1).max())
        self._turns = _turning(basis.rest)

        ears = self._strength("l-ear-scale-incr")
        hair = Hair(basis.rest, np.unique(basis.triangles["body"]), ears)
        self._hair = HairPainter(self.context, hair, edition)
        self._hair_turns = _turning(hair.rest.reshape(-1, 3))
        masks = np.stack([np.minimum(3 * ears, 1), self._ambient_light(kinds)], 1)

        self._positions = self.context.buffer(reserve=count * 24, dynamic=True)
        fixed = self.context.buffer(np.concatenate([basis.rest, masks], 1).astype("f4").tobytes())
        inputs = [(self._positions, "3f 3f", "position", "normal"), (fixed, "3f 2f", "rest", "masks")]
        self._meshes = {}
        for kind, program in self._programs.items():
            faces = self.triangles[(kinds[self.triangles] == kind).all(1)]
            if kind == TEETH:  # those at the back are never seen, except through the cheeks of narrow faces
                faces = faces[(basis.rest[faces, 1] < self._teeth_front + 0.42).all(1)]
            indices = self.context.buffer(faces.tobytes())
            self._meshes[kind] = self.context.vertex_array(program, inputs, indices, skip_errors=True)
        # What throws shadows and hides landmarks: the skin and the hair.
        faces = self.triangles[(kinds[self.triangles] == BODY).all(1)]
        skin = [(self._positions, "3f 12x", "position")]
        self._casters = [
            self.context.vertex_array(self._depth_program, skin, self.context.buffer(faces.tobytes())),
            self._hair.caster(self._depth_program),
        ]
        self._shadow_map = self.context.texture((_SHADOW_SIZE, _SHADOW_SIZE), 1, dtype="f4")
        self._shadow_map.repeat_x = self._shadow_map.repeat_y = False
        self._shadow_target = self.context.framebuffer(
            [self._shadow_map], self.context.depth_renderbuffer((_SHADOW_SIZE, _SHADOW_SIZE))
        )
        corners_2d = self.context.buffer(np.array([-1, -1, 3, -1, -1, 3], "f4").tobytes())
        self._back = self.context.vertex_array(self._back_program, [(corners_2d, "2f", "corner")])
        self._landmarks = self._landmark_vertices(np.flatnonzero(kinds == BODY))
        self._paint = self._painting(corners_2d)
        if edition >= 2:
            self._strands = HairStrands(hair)
            middle = basis.rest[ears > 0.6].mean(0)
            beside = np.abs(hair.rest[..., 0]) > 0.6
            apart = np.hypot((hair.rest[..., 1] - middle[1]) / 0.34, (hair.rest[..., 2] - middle[2]) / 0.42)
            self._ear_holes = (0.9 * beside * np.exp(-(apart**4))).astype("f4")
            self._fur = Fur(basis.rest, basis.triangles["body"], self._normals(basis.rest), masks)
            self._ribbons = {
                "hair": RibbonPainter(self.context, STRANDS, HAIR_POINTS),
                "fur": RibbonPainter(self.context, len(self._fur.kind), FUR_POINTS),
            }
            detail = skin_detail(shaders.PAINT_SIZE)
            self._detail = self.context.texture(detail.shape[1::-1], 4, detail.tobytes())
        # No multisampling: in software it costs four times as much as drawing at twice the size and halving.
        self._target = self.context.framebuffer(
            [self.context.renderbuffer((size, size))], self.context.depth_renderbuffer((size, size))
        )

    def _program(self, vertex: str, fragment: str) -> moderngl.Program:
        return self.context.program(
            vertex_shader=shaders.of_edition(vertex, self.edition),
            fragment_shader=shaders.of_edition(fragment, self.edition),
        )

    def _painting(self, corners: moderngl.Buffer) -> moderngl.Texture:
        """What is painted on the face: 16 masks, packed since each look-up is slow in software."""
        picture = self.context.texture((shaders.PAINT_SIZE, shaders.PAINT_SIZE), 4, dtype="u4")
        picture.filter = (moderngl.NEAREST, moderngl.NEAREST)
        frame = self.context.framebuffer([picture])
        program = self._program(shaders.FLAT_VERTEX, shaders.PAINT_FRAGMENT)
        frame.use()
        self.context.disable(moderngl.DEPTH_TEST)
        self.context.vertex_array(program, [(corners, "2f", "corner")]).render()
        frame.release()
        return picture

    def _strength(self, *changes: str) -> np.ndarray:
        """Where local changes act, 0..1 a vertex: a mask of the part of the face they are about."""
        moved = [np.linalg.norm(self.basis.local[self.basis.local_names.index(name)], axis=1) for name in changes]
        return np.max([lengths / lengths.max() for lengths in moved], axis=0)

    def _normals(self, vertices: np.ndarray) -> np.ndarray:
        a, b, c = (vertices[self.triangles[:, corner]] for corner in range(3))
        normals = self._faces_to_vertices @ np.cross(b - a, c - a)
        return normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9)

    def _ambient_light(self, kinds: np.ndarray, directions: int = 128, size: int = 512) -> np.ndarray:
        """The share of the sky that each vertex of the resting head sees (0..1), by shadow maps from all sides."""
        context, rest = self.context, self.basis.rest.astype("f4")
        opaque = np.isin(kinds, (BODY, EYE, TEETH, TONGUE))
        faces = self.triangles[opaque[self.triangles].all(1)]
        points = [(context.buffer(rest.tobytes()), "3f", "position")]
        mesh = context.vertex_array(self._depth_program, points, context.buffer(faces.tobytes()))
        texture = context.texture((size, size), 1, dtype="f4")
        frame = context.framebuffer([texture], context.depth_renderbuffer((size, size)))
        context.enable(moderngl.DEPTH_TEST)
        normals = self._normals(rest)
        outside = rest + 0.03 * normals
        golden = np.pi * (3 - np.sqrt(5))
        seen, total = np.zeros(len(rest)), np.full(len(rest), 1e-9)
        for index in range(directions):
            up = 1 - 2 * (index + 0.5) / directions
            ring = np.sqrt(1 - up * up)
            towards = np.array([ring * np.cos(golden * index), ring * np.sin(golden * index), up])
            side = np.cross(towards, [0.31, 0.52, 0.79])
            side /= np.linalg.norm(side)
            view = np.eye(4)
            view[:3, :3] = np.stack([side, np.cross(towards, side), -towards]) / 6.0
            self._depth_program["view"].write(view.T.astype("f4").tobytes())
            frame.use()
            frame.clear(1.0, 1.0, 1.0, 1.0, depth=1.0)
            mesh.render()
            depth = np.frombuffer(texture.read(), "f4").reshape(size, size)
            spot = outside @ view[:3, :3].T
            column, row = ((np.clip(spot[:, axis] * 0.5 + 0.5, 0, 0.999) * size).astype(int) for axis in (0, 1))
            weight = np.clip(normals @ towards, 0, 1)
            seen += weight * (depth[row, column] > spot[:, 2] - 0.004)
            total += weight
        frame.release()
        share = seen / total
        # The inside of the mouth is closed in the resting head; some light still gets there once it opens.
        return 0.12 + 0.88 * share

    def _pose(self, points: np.ndarray, turns: np.ndarray, scene: Scene) -> np.ndarray:
        """Points ``(N, 3)`` after the head turned; ``turns`` (N,) is the share of it that each follows."""
        points = points - _PIVOT
        body = (1 - turns) / 0.75  # the shoulders lean and shift under the head
        points[:, 0] += body * scene.lean * (1.2 + points[:, 2])
        points[:, 2] -= body * scene.lean * points[:, 0]
        for angle, (first, second) in ((scene.pitch, (1, 2)), (scene.yaw, (0, 1)), (scene.roll, (0, 2))):
            cos, sin = np.cos(angle * turns), np.sin(angle * turns)
            a, b = points[:, first], points[:, second]
            points[:, first], points[:, second] = cos * a - sin * b, sin * a + cos * b
        return (points + _PIVOT).astype("f4")

    def camera(self, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
        """The projection (4, 4) of world points, and where the camera is (3,)."""
        eye = _CENTRE + np.array([scene.shift[0], -_DISTANCE, scene.shift[1]])
        view = np.array([[1, 0, 0, -eye[0]], [0, 0, 1, -eye[2]], [0, -1, 0, eye[1]], [0, 0, 0, 1]], float)
        near, far, zoom = 1.0, 40.0, 2 * _DISTANCE / _FIELD * scene.zoom
        depth = [(far + near) / (near - far), 2 * far * near / (near - far)]
        projection = np.array([[zoom, 0, 0, 0], [0, zoom, 0, 0], [0, 0, *depth], [0, 0, -1, 0]])
        return projection @ view, eye

    def _light_camera(self, scene: Scene) -> np.ndarray:
        """The parallel projection (4, 4) of world points as the key light sees them."""
        towards = np.array(scene.uniforms["light_direction"])
        side = np.cross([0.0, 0.0, 1.0], towards)
        side /= np.linalg.norm(side)
        view = np.eye(4)
        view[:3, :3] = np.stack([side, np.cross(towards, side), -towards]) / _SHADOW_REACH
        view[2, :3] *= 0.5
        view[:3, 3] = view[:3, :3] @ -(_CENTRE + np.array([0.0, 0.8, -0.3]))
        return view

    def _landmark_vertices(self, skin: np.ndarray) -> np.ndarray:
        """The number of the vertex at each landmark, out of the numbers ``skin`` of the body's vertices."""
        rest, normals = self.basis.rest[skin], self._normals(self.basis.rest)[skin]
        front = (normals[:, 1] < -0.05) & (rest[:, 1] < 0.6)
        places = np.array(list(_LANDMARKS.values()))
        apart = np.linalg.norm(rest[None, :, (0, 2)] - places[:, None], axis=2)
        apart = np.where(front, apart, np.inf)
        near = apart < apart.min(1, keepdims=True) + 0.025
        return skin[np.where(near, rest[:, 1] + 4 * np.where(near, apart, 0), np.inf).argmin(1)]

    def landmarks(self, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
        """Where the points of :data:`LANDMARK_NAMES` are in the picture of a scene, and which of them can be seen.

        The points ``(K, 2)`` are x, y in pixels of ``size``, pixel centres at integers; a point is seen (K,) if it
        faces the camera, lies in the picture, and neither skin nor hair is before it.
        """
        camera, eye = self.camera(scene)
        with self.context:
            vertices, normals = self._place(scene)
            self._draw_depth(camera)
            depth = np.frombuffer(self._shadow_map.read(), "f4").reshape(_SHADOW_SIZE, _SHADOW_SIZE)
        points, normals = vertices[self._landmarks], normals[self._landmarks]
        clip = np.concatenate([points, np.ones((len(points), 1))], 1) @ camera.T
        flat = clip[:, :2] / clip[:, 3:]
        column, row = (np.clip((flat.T + 1) / 2, 0, 0.999) * _SHADOW_SIZE).astype(int)
        facing = (normals * (eye - points)).sum(1) > 0
        seen = facing & (np.abs(flat) < 1).all(1) & (clip[:, 2] < depth[row, column] + 0.08)
        return (flat * (1, -1) + 1) / 2 * self.size - 0.5, seen

    def _draw_depth(self, camera: np.ndarray) -> None:
        """Draw how far skin and hair are from a camera, of the scene or of the light, into the shadow map."""
        self._depth_program["view"].value = tuple(camera.T.ravel())
        self.context.enable(moderngl.DEPTH_TEST)
        self.context.disable(moderngl.CULL_FACE | moderngl.BLEND)
        self._shadow_target.use()
        self._shadow_target.clear(100.0, 100.0, 100.0, 1.0, depth=1.0)
        for caster in self._casters:
            caster.render()

    def _place(self, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
        """Put the vertices and the hair of a scene where they are drawn from; the vertices and normals ``(V, 3)``."""
        coefficients = np.concatenate([scene.phenotype, scene.local, scene.actions]).astype("f4")
        moved = (coefficients @ self._blend).reshape(-1, 3)  # before the head turns
        vertices = self._pose(self.basis.rest + self._inside + moved, self._turns, scene)
        sheet, traits = self._hair.hair.shape(scene.uniforms, moved)
        sheet = self._pose(sheet.reshape(-1, 3), self._hair_turns, scene).reshape(sheet.shape)
        if self.edition >= 2:  # short hair leaves the ears free
            short = smoothstep(-0.55, 0.35, scene.uniforms["hair_length"])
            traits[..., 0] -= short * self._ear_holes
        across = self._hair.update(sheet, traits, scene.uniforms)
        normals = self._normals(vertices)
        if self.edition >= 2:
            eye = self.camera(scene)[1]
            self._ribbons["hair"].update(self._strands.shape(sheet, across, traits, scene.uniforms, eye), eye)
            self._ribbons["fur"].update(self._fur.shape(vertices, normals, scene.uniforms, eye), eye)
        self._positions.write(np.concatenate([vertices, normals], 1).astype("f4").tobytes())
        return vertices, normals

    def __call__(self, scene: Scene) -> np.ndarray:
        """The picture of a scene: ``(size, size, 3)`` uint8."""
        with self.context:  # there may be another renderer
            return self._draw(scene)

    def _draw(self, scene: Scene) -> np.ndarray:
        self._place(scene)
        camera, eye = self.camera(scene)
        light_camera = self._light_camera(scene)
        constants = {
            "camera": tuple(camera.T.ravel()),
            "light_camera": tuple(light_camera.T.ravel()),
            "shadow_map": 0,
            "paint": 4,
            "detail": 5,
            "eye": tuple(eye),
            "eye_left": tuple(self._eye_centres[0]),
            "eye_right": tuple(self._eye_centres[1]),
            "eye_radius": self._eye_radius,
            "teeth_front": self._teeth_front,
        }
        programs = [*self._programs.values(), self._back_program, self._hair.program]
        if self.edition >= 2:
            self._detail.use(5)
            programs += [ribbons.program for ribbons in self._ribbons.values()]
        for name, value in (scene.uniforms | constants).items():
            for program in programs:
                if name in program:
                    program[name].value = value
        self._draw_depth(light_camera)
        self._shadow_map.use(0)
        self._paint.use(4)
        self._target.use()
        self._target.clear(0, 0, 0, 1, depth=1.0)
        self._back.render()
        self.context.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA
        for kind, mesh in self._meshes.items():
            (self.context.enable if kind == BODY else self.context.disable)(moderngl.CULL_FACE)
            (self.context.enable if kind == LASHES else self.context.disable)(moderngl.BLEND)
            mesh.render()
        self.context.disable(moderngl.BLEND)
        self._hair.draw(scene.uniforms)
        if self.edition >= 2:
            self.context.disable(moderngl.CULL_FACE)
            for ribbons in self._ribbons.values():
                ribbons.draw()
        pixels = np.frombuffer(self._target.read(components=3), np.uint8)
        return pixels.reshape(self.size, self.size, 3)[::-1]


def skin_detail(size: int) -> np.ndarray:
    """Slopes in x and z of pores and fine wrinkles, blotches and oil of the skin: ``(size, size, 4)`` uint8.

    It lies over the face as the texture of masks does.
    """
    rng = np.random.default_rng(5)

    def noise(*widths: float) -> np.ndarray:
        plane = gaussian_filter(rng.normal(size=(size, size)), widths)
        return plane / plane.std()

    scale = size / 1024
    bumps = -(np.maximum(noise(3.2 * scale, 3.2 * scale), 0) ** 1.5) + 0.9 * noise(6 * scale, 9 * scale)
    bumps += 0.7 * noise(16 * scale, 16 * scale)
    slopes = [np.gradient(bumps, axis=axis) for axis in (1, 0)]
    blotches = (
        0.45 * noise(5 * scale, 5 * scale) + 0.5 * noise(14 * scale, 14 * scale) + 0.6 * noise(40 * scale, 40 * scale)
    )
    z, x = np.meshgrid(np.linspace(-2.6, 1.3, size), np.linspace(-1.5, 1.5, size), indexing="ij")
    oil = np.exp(-((x / 0.55) ** 2) - ((z - 0.62) / 0.35) ** 2) + np.exp(-((x / 0.20) ** 2) - ((z + 0.45) / 0.42) ** 2)
    oil += 0.7 * np.exp(-(((np.abs(x) - 0.62) / 0.22) ** 2) - ((z + 0.42) / 0.2) ** 2)
    oil += 0.6 * np.exp(-((x / 0.25) ** 2) - ((z + 1.72) / 0.2) ** 2)
    oil = oil * (1 + 0.35 * noise(4 * scale, 4 * scale))
    planes = [0.5 + 0.17 * slope / slope.std() for slope in slopes] + [0.5 + 0.13 * blotches, 0.75 * oil]
    return np.clip(np.stack(planes, -1) * 255, 0, 255).astype(np.uint8)


def halve(picture: np.ndarray) -> np.ndarray:
    """``(H, W, 3)`` uint8 → ``(H/2, W/2, 3)`` uint8, means of 2×2 pixels, rounded."""
    wide = picture.astype(np.uint16)
    return ((wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2] + 2) // 4).astype(np.uint8)
