"""Draw a scene: moderngl on EGL, so neither a screen nor a graphics card is needed.

Brows, lips, beard, irises, hairline and clothes are painted by formulas of the rest position of each fragment. That
keeps their edges clean however coarse the mesh is, and makes them follow every deformation of the head.
"""

from __future__ import annotations

import moderngl
import numpy as np
from basis import HeadBasis
from scene import Scene
from scipy import sparse

BODY, HAIR, EYE, TEETH, TONGUE, LASHES = range(6)

_SHARED = """#version 330
uniform float hair_rise, hair_volume, hair_length;
// How much of the scalp at rest position r carries hair: 0 below the hairline, 1 above it.
float scalp(vec3 r, float softness) {
  float ax = abs(r.x);
  float front = 1.12 + hair_rise - 0.10 * ax * ax;
  float side = mix(front, -0.35, smoothstep(0.15, 0.95, r.y));
  float line = mix(side, -1.35, smoothstep(1.05, 1.65, r.y));
  return smoothstep(line - softness, line + softness, r.z);
}
"""

_VERTEX = (
    _SHARED
    + """
in vec3 position, normal, rest;
in vec4 masks;  // lips, ears, ambient light, kind
uniform mat4 camera;
out vec3 world, across, where_rest;
out vec4 mask;
void main() {
  float lift = masks.w < 0.5 ? scalp(rest, 0.30) * (1.0 - masks.y) : 0.0;
  vec3 moved = position + normal * hair_volume * lift;
  gl_Position = camera * vec4(moved, 1.0);
  world = moved; across = normal; where_rest = rest; mask = masks;
}
"""
)

_FRAGMENT = (
    _SHARED
    + """
in vec3 world, across, where_rest;
in vec4 mask;
out vec4 pixel;
uniform vec3 eye, light_direction, light_colour;
uniform vec3 skin, hair, lips, iris, shirt, brow_colour, eye_left, eye_right;
uniform float eye_radius, brow_weight, beard, blush, collar, parting, teeth_front;
uniform vec2 gaze;

float hash(vec2 p) { return fract(sin(dot(p, vec2(127.1, 311.7))) * 43758.5453); }
float noise(vec2 p) {
  vec2 i = floor(p), f = p - i;
  f = f * f * (3.0 - 2.0 * f);
  return mix(mix(hash(i), hash(i + vec2(1, 0)), f.x), mix(hash(i + vec2(0, 1)), hash(i + vec2(1, 1)), f.x), f.y);
}
// Fine differences between strands, which run down around the axis of the head.
float strands(vec3 r) {
  float around = atan(r.x - parting * 0.5, r.y - 0.9);
  return noise(vec2(around * 26.0, r.z * 0.7)) * 0.6 + noise(vec2(around * 9.0 + 7.0, r.z * 0.5)) * 0.4;
}

void main() {
  int kind = int(mask.w + 0.5);
  vec3 r = where_rest, n = normalize(across), v = normalize(eye - world);
  bool inner = dot(n, v) < 0.0;  // the side of a sheet of hair that faces the head
  if (inner) n = -n;
  float ax = abs(r.x), ambient = mask.z, shine = 0.10, sharp = 18.0, ambient_edge = 1.0;
  vec3 c = skin;
  bool is_hair = kind == 1;
  if (kind == 0) {
    float cheek = exp(-pow(length(vec2(ax - 0.78, r.z + 0.80)) / 0.42, 2.0)) * step(r.y, 0.7);
    float nose = exp(-pow(length(vec2(ax * 1.3, r.z + 0.85)) / 0.30, 2.0)) * step(r.y, 0.0);
    c = mix(c, c * vec3(1.05, 0.80, 0.78), blush * (cheek + 0.6 * nose));
    float lip = smoothstep(0.22, 0.50, mask.x);
    c = mix(c, lips, lip * 0.85);
    shine = mix(shine, 0.16, lip);
    float centre = 0.33 + 0.21 * ax - 0.16 * ax * ax;
    float taper = mix(1.15, 0.45, smoothstep(0.35, 0.95, ax));
    float brow = smoothstep(brow_weight * taper, brow_weight * taper * 0.35, abs(r.z - centre));
    brow *= smoothstep(0.14, 0.26, ax) * smoothstep(1.02, 0.80, ax) * step(r.y, 0.35);
    c = mix(c, brow_colour, 0.88 * brow);
    float jaw = smoothstep(-0.85, -1.25, r.z + 0.30 * smoothstep(0.3, 0.9, ax)) * smoothstep(-2.35, -1.95, r.z);
    jaw = max(jaw, smoothstep(0.55, 0.20, ax) * smoothstep(-0.85, -1.0, r.z) * smoothstep(-2.35, -1.95, r.z));
    jaw *= smoothstep(1.05, 0.75, r.y) * (1.0 - lip);
    c = mix(c, hair * 0.8 + skin * 0.06, jaw * beard * (0.75 + 0.25 * noise(r.xz * 30.0)));
    float cloth = r.z + 0.20 * (r.y - 0.5) - 0.16 * ax + collar * max(0.0, 1.0 - ax * 1.1) * step(r.y, 0.6);
    float edge = -2.40;
    float shirted = smoothstep(edge + 0.02, edge - 0.02, cloth);
    float hairy = scalp(r, 0.07) * (1.0 - smoothstep(0.15, 0.4, mask.y));
    c *= 1.0 - 0.18 * scalp(r + vec3(0, 0, 0.12), 0.16) * (1.0 - hairy);
    c *= 1.0 - 0.25 * smoothstep(edge + 0.20, edge, cloth) * (1.0 - shirted);
    vec3 cloth_colour = shirt * (1.0 - 0.18 * exp(-pow((cloth - edge + 0.09) / 0.03, 2.0)));
    c = mix(c, cloth_colour, shirted);
    shine = mix(shine, 0.02, shirted);
    ambient = mix(ambient, 1.0, hairy * 0.6);
    if (hairy > 0.5) is_hair = true;
    else c = mix(c, hair, hairy);
  }
  if (kind == 1) {
    float wave = 0.10 * (noise(vec2(atan(r.x, r.y - 0.9) * 6.0, 3.0)) - 0.5);
    float tip = r.z + wave - hair_length;
    if (tip < 0.0) discard;
    float top = (r.z + 0.5) / (1.72 + hair_rise + 0.25 * parting * r.x);
    float face = pow(ax / (1.04 - 0.14 * smoothstep(-0.4, -1.6, r.z)), 3.0) + pow(max(top, 0.0), 3.0);
    if (r.y < 0.55 && face < 1.0) discard;
    ambient_edge = smoothstep(1.0, 1.5, face);
    if (r.y < 0.55) ambient = mix(0.60, 1.0, ambient_edge);
    if (inner) ambient *= 0.55;
  }
  if (is_hair) {
    float s = strands(r);
    c = hair * (0.82 + 0.36 * s);
    ambient *= mix(1.0, 0.86 + 0.28 * s, 0.6);
    sharp = 14.0; shine = inner ? 0.0 : (kind == 0 ? 0.03 + 0.06 * s : 0.01 + 0.03 * s);
  } else if (kind == 2) {
    vec3 d = (r - (r.x > 0.0 ? eye_left : eye_right)) / eye_radius;
    float a = length(d.xz - gaze);
    c = vec3(0.90, 0.89, 0.88);
    if (d.y < 0.0) {
      c = mix(iris * (0.75 + 0.6 * smoothstep(0.15, 0.48, a)), c, smoothstep(0.50, 0.56, a));
      c *= 1.0 - 0.45 * exp(-pow((a - 0.52) / 0.05, 2.0));
      c = mix(vec3(0.02), c, smoothstep(0.20, 0.26, a));
      c += 0.75 * smoothstep(0.15, 0.08, length(d.xz - gaze - vec2(-0.16, 0.20)));
    }
    ambient = mix(0.62, 1.0, smoothstep(0.65, 0.05, d.z));
    shine = 0.25; sharp = 70.0;
  } else if (kind == 3) {
    c = vec3(0.93, 0.91, 0.88) * mix(1.0, 0.10, smoothstep(0.06, 0.34, r.y - teeth_front));
    ambient = 0.95;
  } else if (kind == 4) {
    c = vec3(0.52, 0.22, 0.22);
    ambient *= 0.6;
  } else if (kind == 5) {
    c = vec3(0.06, 0.05, 0.05);
  }

  float facing = dot(n, light_direction);
  vec3 wrap = clamp((vec3(facing) + vec3(0.42, 0.30, 0.26)) / vec3(1.42, 1.30, 1.26), 0.0, 1.0);
  if (kind >= 1) wrap = vec3(clamp((facing + 0.3) / 1.3, 0.0, 1.0));
  float fill = clamp(dot(n, normalize(vec3(-light_direction.x * 1.6, -0.7, 0.1))) * 0.5 + 0.5, 0.0, 1.0);
  float gloss = pow(max(dot(n, normalize(light_direction + v)), 0.0), sharp) * shine * ambient;
  float rim = pow(1.0 - max(dot(n, v), 0.0), 3.0) * 0.16;
  vec3 base = pow(max(c, 0.0), vec3(2.2));
  vec3 sky = mix(vec3(0.20, 0.17, 0.16), vec3(0.34, 0.35, 0.37), n.z * 0.5 + 0.5) + 0.16 * fill;
  vec3 lit = base * (sky * ambient + wrap * light_colour * mix(ambient, 1.0, 0.35));
  lit += (gloss + rim * base) * light_colour;
  pixel = vec4(pow(lit, vec3(1.0 / 2.2)), 1.0);
}
"""
)

_BACK_VERTEX = """#version 330
in vec2 corner;
out vec2 at;
void main() { at = corner; gl_Position = vec4(corner, 0.9999, 1.0); }
"""

_BACK_FRAGMENT = """#version 330
in vec2 at;
out vec4 pixel;
uniform vec3 back;
void main() {
  float glow = 1.0 - 0.16 * dot(at, at) * 0.5 + 0.07 * at.y;
  pixel = vec4(clamp(back * glow, 0.0, 1.0), 1.0);
}
"""

_DEPTH_VERTEX = """#version 330
in vec3 position;
uniform mat4 view;
out float depth;
void main() { gl_Position = view * vec4(position, 1.0); depth = gl_Position.z; }
"""

_DEPTH_FRAGMENT = """#version 330
in float depth;
out float pixel;
void main() { pixel = depth; }
"""

_FIELD = 4.45  # height of the picture at the face, in eye distances
_DISTANCE = 13.0
_CENTRE = np.array([0.0, 0.0, -0.42])
_PIVOT = np.array([0.0, 0.75, -1.1])  # of turns of the head, at the top of the neck


def _kind_of(part: str) -> int:
    if part == "body":
        return BODY
    if part == "helper-hair":
        return HAIR
    if part.endswith("-eye"):
        return EYE
    return TEETH if "teeth" in part else TONGUE if "tongue" in part else LASHES


def _smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


class Renderer:
    """Draws scenes of one basis; create it once, it holds the graphics context."""

    def __init__(self, basis: HeadBasis, size: int = 256) -> None:
        """``size`` is the height and width of the pictures."""
        self.basis = basis
        self.size = size
        self.context = moderngl.create_standalone_context(backend="egl")
        self.program = self.context.program(vertex_shader=_VERTEX, fragment_shader=_FRAGMENT)
        self.back_program = self.context.program(vertex_shader=_BACK_VERTEX, fragment_shader=_BACK_FRAGMENT)

        count = len(basis.rest)
        kinds = np.zeros(count, "f4")
        for part, faces in basis.triangles.items():
            kinds[np.unique(faces)] = _kind_of(part)
        # The teeth of the base mesh touch the lips and the tongue hides the gap between the rows of teeth.
        self._inside = np.zeros((count, 3), "f4")
        self._inside[kinds == TEETH] = (0, 0.05, 0)
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
        tilted = basis.rest[:, 2] - 0.5 * basis.rest[:, 1]
        self._turns = (0.25 + 0.75 * _smoothstep(-3.3, -2.2, tilted)).astype("f4")

        lips = self._strength("mouth-upperlip-volume-incr", "mouth-lowerlip-volume-incr")
        ears = self._strength("l-ear-scale-incr")
        masks = np.stack([lips, ears, self._ambient_light(kinds), kinds], 1).astype("f4")

        self._positions = self.context.buffer(reserve=count * 24, dynamic=True)
        fixed = self.context.buffer(np.concatenate([basis.rest, masks], 1).astype("f4").tobytes())
        self._mesh = self.context.vertex_array(
            self.program,
            [(self._positions, "3f 3f", "position", "normal"), (fixed, "3f 4f", "rest", "masks")],
            self.context.buffer(self.triangles.tobytes()),
        )
        corners_2d = self.context.buffer(np.array([-1, -1, 3, -1, -1, 3], "f4").tobytes())
        self._back = self.context.vertex_array(self.back_program, [(corners_2d, "2f", "corner")])
        # No multisampling: in software it costs four times as much as drawing at twice the size and halving.
        self._target = self.context.framebuffer(
            [self.context.renderbuffer((size, size))], self.context.depth_renderbuffer((size, size))
        )

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
        program = context.program(vertex_shader=_DEPTH_VERTEX, fragment_shader=_DEPTH_FRAGMENT)
        mesh = context.vertex_array(
            program, [(context.buffer(rest.tobytes()), "3f", "position")], context.buffer(faces.tobytes())
        )
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
            program["view"].write(view.T.astype("f4").tobytes())
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

    def vertices(self, scene: Scene) -> np.ndarray:
        """The vertices of a scene, posed: ``(V, 3)``."""
        coefficients = np.concatenate([scene.phenotype, scene.local, scene.actions]).astype("f4")
        points = self.basis.rest + self._inside + (coefficients @ self._blend).reshape(-1, 3) - _PIVOT
        for angle, (first, second) in ((scene.pitch, (1, 2)), (scene.yaw, (0, 1)), (scene.roll, (0, 2))):
            cos, sin = np.cos(angle * self._turns), np.sin(angle * self._turns)
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

    def __call__(self, scene: Scene) -> np.ndarray:
        """The picture of a scene: ``(size, size, 3)`` uint8."""
        vertices = self.vertices(scene)
        self._positions.write(np.concatenate([vertices, self._normals(vertices)], 1).astype("f4").tobytes())
        camera, eye = self.camera(scene)
        self.program["camera"].write(camera.T.astype("f4").tobytes())
        constants = {
            "eye": tuple(eye),
            "eye_left": tuple(self._eye_centres[0]),
            "eye_right": tuple(self._eye_centres[1]),
            "eye_radius": self._eye_radius,
            "teeth_front": self._teeth_front,
        }
        for name, value in (scene.uniforms | constants).items():
            for program in (self.program, self.back_program):
                if name in program:
                    program[name].value = value
        self._target.use()
        self.context.enable(moderngl.DEPTH_TEST)
        self._target.clear(0, 0, 0, 1, depth=1.0)
        self._back.render()
        self._mesh.render()
        pixels = np.frombuffer(self._target.read(components=3), np.uint8)
        return pixels.reshape(self.size, self.size, 3)[::-1]


def halve(picture: np.ndarray) -> np.ndarray:
    """``(H, W, 3)`` uint8 → ``(H/2, W/2, 3)`` uint8, means of 2×2 pixels, rounded."""
    wide = picture.astype(np.uint16)
    return ((wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2] + 2) // 4).astype(np.uint8)
