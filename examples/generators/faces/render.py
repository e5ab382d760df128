"""Draw a scene: moderngl on EGL, so neither a screen nor a graphics card is needed.

Brows, lips, beard, irises, hairline and clothes are painted by formulas of the rest position of each fragment. That
keeps their edges clean however coarse the mesh is, and makes them follow every deformation of the head. What does not
depend on the scene is painted once into a texture of masks. The key light throws soft shadows, found at the vertices.
"""

from __future__ import annotations

import moderngl
import numpy as np
from basis import HeadBasis
from hair import Hair, HairPainter
from scene import Scene
from scipy import sparse

BODY, HAIR, EYE, TEETH, TONGUE, LASHES = range(6)

_SHARED = """#version 330
uniform float hair_rise, hair_length, hair_back, fringe;
// How much of the scalp at rest position r carries hair: 0 below the hairline, 1 above it.
float scalp(vec3 r, float softness) {
  float ax = abs(r.x);
  float bare = 2.4 * max(hair_rise - 0.12, 0.0) * (1.0 - smoothstep(0.55, 1.05, ax));
  float front = 1.08 + hair_rise - 0.12 * ax * ax + 0.03 * cos(4.5 * r.x);
  float side = mix(front, -0.30, smoothstep(0.15 + bare, 0.95 + bare, r.y));
  float line = mix(side, -1.30, smoothstep(1.05, 1.65, r.y));
  return smoothstep(line - softness, line + softness, r.z);
}
"""

_LIGHT = """
uniform vec3 light_direction, light_colour;
uniform mat4 light_camera;
uniform sampler2D shadow_map;
uniform float light_softness, light_top, shadow_radius;
// The share of the key light (0..1) that reaches a point of the scene. It is smooth, so call it in the VERTEX shader
// and pass it on as a varying: 24 look-ups a fragment are far too slow in software.
float lit_share(vec3 world, vec3 n) {
  vec3 at = (light_camera * vec4(world + 0.05 * n, 1.0)).xyz;
  float open = 0.0;
  for (int tap = 0; tap < 24; ++tap) {
    float turn = 2.399963 * float(tap), reach = shadow_radius * sqrt((float(tap) + 0.5) / 24.0);
    float nearest = textureLod(shadow_map, at.xy * 0.5 + 0.5 + reach * vec2(cos(turn), sin(turn)), 0.0).r;
    open += clamp(1.0 - (at.z - nearest - 0.010) / 0.016, 0.0, 1.0);
  }
  return open / 24.0;
}
// Colour under all lights, gamma encoded: ambient 0..1 is the open share of the sky, shine and sharp the highlight's
// strength and exponent, wrap how far (per channel) the key light reaches around edges, shadow the share of it seen.
vec3 shade(vec3 colour, vec3 n, vec3 v, float ambient, float shine, float sharp, vec3 wrap, float shadow) {
  vec3 reach = wrap * (0.6 + 0.8 * light_softness);
  vec3 key = clamp((vec3(dot(n, light_direction)) + reach) / (1.0 + reach), 0.0, 1.0);
  float seen = mix(shadow, 1.0, 0.10 + 0.25 * light_softness);
  key *= vec3(seen) + (seen - seen * seen) * (wrap - wrap.b) * 3.0;
  float fill = clamp(dot(n, normalize(vec3(-light_direction.x * 1.8, -0.7, 0.1))) * 0.5 + 0.5, 0.0, 1.0);
  float lobe = pow(max(dot(n, normalize(light_direction + v)), 0.0), sharp), tight = lobe * lobe;
  float edge = 1.0 - max(dot(n, v), 0.0);
  float gloss = (0.6 * lobe + 0.6 * tight * tight) * shine * ambient * seen * (1.0 + 2.0 * edge);
  float rim = edge * edge * edge * clamp(0.6 + 0.6 * n.z, 0.0, 1.0) * 0.22;
  vec3 base = colour * colour;
  float up = n.z * 0.5 + 0.5;
  vec3 sky = mix(vec3(0.25, 0.205, 0.185) * (1.0 - light_top), vec3(0.33, 0.345, 0.37) * (1.0 + light_top), up);
  sky = (sky + 0.17 * fill * vec3(0.96, 0.99, 1.04)) * (0.85 + 0.3 * light_softness);
  vec3 lit = base * (sky * ambient + key * light_colour * mix(ambient, 1.0, 0.45) * (1.0 - 0.12 * light_softness));
  lit += (gloss + rim * base * ambient) * light_colour;
  return sqrt(clamp(lit * (1.0 + 0.10 * lit) / (1.0 + 0.24 * lit) * 1.08, 0.0, 1.0));
}
"""

_VERTEX = (
    _SHARED
    + _LIGHT
    + """
in vec3 position, normal, rest;
in vec3 masks;  // ears, ambient light, kind
uniform mat4 camera;
out vec3 world, across, where_rest;
out vec3 mask;
out float seen;
void main() {
  gl_Position = camera * vec4(position, 1.0);
  world = position; across = normal; where_rest = rest; mask = masks;
  seen = lit_share(position, normal);
}
"""
)

# What is painted on the face at fixed places of the resting head, seen from the front; drawn once, looked up often.
_PAINT_FRAGMENT = """#version 330
in vec2 at;
out uvec4 paint;  // four numbers 0..1 in each channel, which are:
vec4 tones;  // cheeks, nose, blotches, freckles
vec4 lined;  // lines under the eyes, beside the mouth, on the forehead, at the eyes' corners
vec4 mouth;  // lips, where they meet, nostrils, creases of the upper lids
vec4 lids;  // lashes, eye shadow, below the upper lashes, hairs of brows and beard
uint together(vec4 v) {
  uvec4 bytes = uvec4(clamp(v, 0.0, 1.0) * 255.0 + 0.5);
  return bytes.x | bytes.y << 8 | bytes.z << 16 | bytes.w << 24;
}
vec2 scatter(vec2 p) {
  return fract(sin(vec2(dot(p, vec2(127.1, 311.7)), dot(p, vec2(269.5, 183.3)))) * 43758.5453);
}
void main() {
  vec2 r = PAINT_CENTRE + at * PAINT_HALF;
  float ax = abs(r.x), z = r.y;
  float blotch = sin(r.x * 7.0 + 1.5 * sin(z * 5.0 + 1.0)) * sin(z * 6.0 + 1.7 * sin(r.x * 5.0 + 2.0));
  float freckle = 0.0;
  for (int index = 0; index < 9; ++index) {
    vec2 cell = floor(r / 0.085) + vec2(index % 3 - 1, index / 3 - 1), chance = scatter(cell + 17.0);
    float apart = length(r - (cell + 0.15 + 0.7 * scatter(cell)) * 0.085);
    freckle += chance.x * smoothstep(0.036 * (0.6 + 0.4 * chance.y), 0.006, apart);
  }
  freckle *= exp(-pow((z + 0.42) / 0.34, 2.0)) * smoothstep(1.25, 0.7, ax);
  tones.x = exp(-pow(length(vec2(ax - 0.76, z + 0.62)) / 0.40, 2.0));
  tones.y = exp(-pow(length(vec2(ax * 1.3, z + 0.72)) / 0.26, 2.0));
  tones.zw = vec2(0.5 + 0.5 * blotch, freckle);

  float t = clamp((-0.66 - z) / 0.50, -0.3, 1.3);
  float fold = exp(-pow((ax - 0.34 - 0.20 * t + 0.05 * t * t) / 0.045, 2.0));
  float forehead = pow(0.5 + 0.5 * cos((z - 0.70 + 0.06 * ax * ax + 0.02 * sin(r.x * 6.0 + 1.0)) * 39.0), 3.0);
  vec2 corner = vec2(ax - 0.70, z + 0.02);
  float crow = pow(0.5 + 0.5 * cos(atan(corner.y, corner.x) * 11.0), 2.0) * smoothstep(0.14, 0.24, length(corner));
  float bag = exp(-pow((length(vec2(ax - 0.50, (z - 0.02) * 1.15)) - 0.28) / 0.045, 2.0));
  lined.x = bag * smoothstep(-0.08, -0.2, z);
  lined.y = fold * smoothstep(-0.1, 0.25, t) * smoothstep(1.15, 0.6, t);
  lined.z = forehead * smoothstep(0.58, 0.70, z) * smoothstep(1.12, 1.0, z) * smoothstep(0.75, 0.30, ax);
  lined.w = crow * smoothstep(0.42, 0.25, length(corner)) * smoothstep(0.82, 0.92, ax);

  float meet = -1.165, bow = max(1.0 - ax * ax / (0.41 * 0.41), 0.0);
  float upper = meet + 0.195 * pow(bow, 0.65) - 0.03 * exp(-pow(ax / 0.055, 2.0)), lower = meet - 0.245 * pow(bow, 0.6);
  mouth.x = smoothstep(-0.02, 0.04, upper - z) * smoothstep(-0.02, 0.05, z - lower) * smoothstep(0.43, 0.37, ax);
  mouth.y = exp(-pow((z - meet) / 0.028, 2.0)) * smoothstep(0.50, 0.36, ax);
  mouth.z = exp(-pow((ax - 0.155) / 0.065, 2.0) - pow((z + 0.755) / 0.035, 2.0));

  float ex = ax - 0.53, lid = z - (0.056 - 0.10 * ex - 1.2 * ex * ex), around = smoothstep(0.36, 0.22, abs(ex));
  mouth.w = around * exp(-pow((lid - 0.100) / 0.024, 2.0));
  lids.x = around * exp(-pow((lid - 0.006) / 0.034, 2.0));
  lids.y = around * smoothstep(-0.03, 0.02, lid) * smoothstep(0.20, 0.04, lid);
  lids.z = smoothstep(0.02, -0.02, lid);
  float tilt = mix(14.0, 60.0, smoothstep(0.2, 0.8, ax));
  float hairs = sin(ax * 62.0 - (z - 0.37) * tilt + 1.6 * sin(ax * 19.0 + z * 11.0));
  float tuft = sin(r.x * 52.0 + 1.4 * sin(z * 17.0)) * sin(z * 31.0 + 1.8 * sin(r.x * 23.0));
  lids.w = 0.5 + 0.5 * (z > 0.0 ? hairs : tuft);
  paint = uvec4(together(tones), together(lined), together(mouth), together(lids));
}
"""

_FRAGMENT = (
    _SHARED
    + _LIGHT
    + """
in vec3 world, across, where_rest;
in vec3 mask;
in float seen;
out vec4 pixel;
uniform vec3 eye;
uniform vec3 skin, hair, lips, iris, shirt, brow_colour, eye_left, eye_right;
uniform float eye_radius, brow_weight, beard, blush, teeth_front, freckles, makeup, lash_weight, brow_arch;
uniform vec2 gaze, collar;
uniform usampler2D paint;
uniform vec3 eye_shade;
uniform vec4 lines;  // strength of lines under the eyes, beside the mouth, on the forehead, at the eyes' corners

float hash(vec2 p) { return fract(sin(dot(p, vec2(127.1, 311.7))) * 43758.5453); }
float noise(vec2 p) {
  vec2 i = floor(p), f = p - i;
  f = f * f * (3.0 - 2.0 * f);
  return mix(mix(hash(i), hash(i + vec2(1, 0)), f.x), mix(hash(i + vec2(0, 1)), hash(i + vec2(1, 1)), f.x), f.y);
}

vec4 unpacked(uint four) { return vec4((uvec4(four) >> uvec4(0, 8, 16, 24)) & 255u) / 255.0; }

void main() {
#ifdef KIND
  const int kind = KIND;
#else
  int kind = int(mask.z + 0.5);
#endif
  vec3 r = where_rest, n = normalize(across), v = normalize(eye - world);
  bool inner = dot(n, v) < 0.0;  // the side of a sheet of hair that faces the head
  if (inner && kind != 0) n = -n;
  float ax = abs(r.x), ambient = mask.y, shine = 0.10, sharp = 18.0;
  vec3 c = skin, wrap = kind == 0 ? vec3(0.46, 0.30, 0.25) : vec3(0.3);
  float alpha = 1.0, dim = seen;
  if (kind == 0) {
    vec2 at = PAINT_AT(r);
    uvec4 masks = texelFetch(paint, ivec2(clamp(at, 0.0, 0.999) * PAINT_SIZE), 0);
    vec4 tones = unpacked(masks.x), lined = unpacked(masks.y), mouth = unpacked(masks.z), lids = unpacked(masks.w);
    float front = smoothstep(0.9, 0.5, r.y);
    c *= 1.0 + 0.05 * (tones.z - 0.5) * vec3(0.4, 1.0, 1.0);
    c *= 1.0 - freckles * tones.w * front * vec3(0.26, 0.36, 0.42);
    c *= 1.0 - blush * front * (tones.x + 0.6 * tones.y) * vec3(-0.06, 0.20, 0.22);
    float lip = mouth.x * smoothstep(0.3, 0.1, r.y), nostril = mouth.z * smoothstep(0.0, -0.1, r.y);
    c = mix(c, lips, lip * 0.9);
    shine = mix(shine, 0.30, lip);
    sharp = mix(sharp, 26.0, lip);
    c *= 1.0 - (dot(lined, lines) + 0.34 * mouth.y) * front * vec3(0.85, 1.0, 1.0) - nostril * vec3(0.36, 0.45, 0.45);
    c *= mix(vec3(1.0), eye_shade, makeup * lids.y * front);
    c *= 1.0 - (0.26 * mouth.w * vec3(0.8, 1.0, 1.05) + lash_weight * lids.x * vec3(0.66, 0.72, 0.74)) * front;
    float rim = smoothstep(1.16, 1.07, length(vec3(ax, r.yz) - eye_left) / eye_radius) * front;
    c *= 1.0 - rim * lids.z * vec3(0.14, 0.27, 0.28);
    // Brows: full near the nose, tapering outwards; a hint of hairs along them.
    float centre = 0.325 + 0.21 * ax - 0.16 * ax * ax;
    centre += brow_arch * (exp(-pow((ax - 0.68) / 0.20, 2.0)) - 0.5 * smoothstep(0.45, 0.2, ax));
    float taper = brow_weight * mix(1.15, 0.42, smoothstep(0.40, 1.0, ax)) * mix(0.8, 1.0, smoothstep(0.15, 0.35, ax));
    float off = (r.z - centre) / taper;
    float brow = smoothstep(-1.0, -0.45, off) * smoothstep(1.15, 0.15, off);
    brow *= smoothstep(0.10, 0.30, ax) * smoothstep(1.04, 0.78, ax) * front * (0.78 + 0.22 * lids.w);
    c = mix(c, brow_colour, 0.90 * brow);
    shine *= 1.0 - 0.7 * brow;
    // Beard and moustache; short ones let the skin show.
    float jaw = smoothstep(-0.78, -1.30, r.z + 0.34 * smoothstep(0.3, 0.95, ax)) * smoothstep(-2.40, -1.90, r.z);
    float round_lip = smoothstep(0.56, 0.30, ax) * smoothstep(-0.80, -0.93, r.z) * smoothstep(-2.35, -1.95, r.z);
    jaw = (jaw + round_lip - jaw * round_lip) * smoothstep(1.05, 0.75, r.y) * (1.0 - lip) * (1.0 - 0.5 * nostril);
    float bearded = jaw * beard * (0.62 + 0.18 * lids.w + 0.20 * beard);
    c = mix(c, hair * 0.78 * (0.85 + 0.25 * lids.w) + skin * 0.08, bearded);
    shine *= 1.0 - 0.8 * bearded;
    // Clothes: a round to pointed neckline with a band, and wide soft folds.
    float soft_x = sqrt(ax * ax + 0.006) - 0.06;
    float neckline = mix(exp(-pow(ax / 0.72, 2.0)), max(1.0 - soft_x * 1.05, 0.0), collar.y);
    float edge = -2.42, cloth = r.z + 0.06 + collar.x * neckline * smoothstep(1.1, 0.6, r.y);
    float pixel_wide = 0.75 * fwidth(cloth) + 0.004;
    float shirted = smoothstep(edge + pixel_wide, edge - pixel_wide, cloth);
    float hairy = scalp(r, 0.12) * (1.0 - smoothstep(0.15, 0.4, mask.x));
    // Soft shade of the hair on forehead, cheeks and neck.
    float beside = atan(ax, 1.2 - r.y), bangs = fringe * exp(-pow(beside, 6.0));
    float long_hair = smoothstep(0.5, -1.1, hair_length), drop = bangs * (0.22 + 0.24 * long_hair);
    float behind = long_hair * smoothstep(-0.35, 0.15, beside - 0.75 - 1.05 * hair_back);
    behind *= smoothstep(-0.2, 0.3, r.z - hair_length);
    float under = scalp(r + vec3(0, 0, 0.12 + drop), 0.16 + 0.08 * bangs) * (0.18 + 0.10 * bangs);
    c *= 1.0 - max(under, 0.36 * behind) * (1.0 - hairy);
    c *= 1.0 - 0.25 * smoothstep(edge + 0.16, edge, cloth) * (1.0 - shirted);
    float folds = sin(r.x * 2.6 + 1.3 * sin(r.z * 2.2)) * 0.5 + sin(abs(r.x) * 5.0 + r.z * 3.5) * 0.5;
    vec3 cloth_colour = shirt * (1.0 - 0.20 * exp(-pow((cloth - edge + 0.13) / 0.022, 2.0)));
    cloth_colour *= 1.0 + 0.07 * folds * smoothstep(edge - 0.1, edge - 0.5, cloth);
    wrap = mix(wrap, vec3(0.35), shirted);
    c = mix(c, cloth_colour, shirted);
    shine = mix(shine, 0.02, shirted);
    ambient = mix(ambient, 1.0, hairy * 0.6);
    c = mix(c, hair * 0.8, hairy);
    shine = mix(shine, 0.02, hairy);
  }
  if (kind == 2) {
    vec3 d = (r - (r.x > 0.0 ? eye_left : eye_right)) / eye_radius;
    float a = length(d.xz - gaze);
    c = vec3(0.86, 0.845, 0.835);
    vec2 lamp = vec2(0.26 * light_direction.x, 0.20);
    float glow = dot(d.xz - gaze, -normalize(lamp + vec2(0.0, 0.05)));
    vec3 ring = iris * (0.95 + 0.55 * smoothstep(0.15, 0.45, a) + 0.9 * max(glow, 0.0));
    ring *= 1.0 - 0.50 * smoothstep(0.42, 0.56, a);
    c = mix(ring, c, smoothstep(0.50, 0.59, a));
    c = mix(vec3(0.03), c, smoothstep(0.18, 0.25, a));
    c = mix(c, vec3(1.15), smoothstep(0.17, 0.08, length(d.xz - gaze - lamp)));
    ambient = mix(0.66, 1.0, smoothstep(0.42, 0.05, d.z)) * mix(0.75, 1.0, smoothstep(0.98, 0.75, abs(d.x)));
    dim = mix(1.0, seen, 0.35);
    n = normalize(n + vec3(0.0, -0.7, 0.15));
    shine = 0.10; sharp = 60.0;
  } else if (kind == 3) {
    c = vec3(0.93, 0.91, 0.88) * mix(1.0, 0.10, smoothstep(0.06, 0.34, r.y - teeth_front));
    ambient = 0.95; dim = 1.0;
    n = normalize(n + vec3(0.0, -1.5, 0.0));
  } else if (kind == 4) {
    c = vec3(0.52, 0.22, 0.22);
    ambient *= 0.6;
  } else if (kind == 5) {
    vec3 d = vec3(ax, r.yz) - eye_left;
    float tip = clamp((length(d) / eye_radius - 1.02) / 0.40, 0.0, 1.0);
    c = vec3(0.13, 0.09, 0.075);
    alpha = (1.0 - smoothstep(0.10, 1.0, tip)) * smoothstep(0.0, 0.08, tip);
    alpha *= lash_weight * (d.z > -0.036 ? 0.62 + 0.25 * smoothstep(-0.1, 0.25, d.x) : 0.20);
  }

  pixel = vec4(shade(c, n, v, ambient, shine, sharp, wrap, dim), alpha);
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
uniform vec2 back_way, back_glow;
uniform float back_contrast;
// Out of focus: a gradient between two shades, a large soft light and darker corners.
void main() {
  float run = dot(at, back_way);
  vec3 c = back * (1.0 + 0.20 * back_contrast * run) + vec3(0.035, 0.0, -0.035) * back_contrast * run;
  vec2 far = at - back_glow;
  c *= 1.0 + (0.10 + 0.14 * back_contrast) * exp(-dot(far, far) / 0.55) - 0.085 * dot(at, at);
  pixel = vec4(clamp(c, 0.0, 1.0), 1.0);
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

_SHADOW_VERTEX = """#version 330
in vec3 position;
uniform mat4 light_camera;
out float depth;
void main() { gl_Position = light_camera * vec4(position, 1.0); depth = gl_Position.z; }
"""

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
_PAINT_SIZE = 1024
_PAINT = {
    "PAINT_SIZE": f"{_PAINT_SIZE}.0",
    "PAINT_CENTRE": "vec2(0.0, -0.65)",
    "PAINT_HALF": "vec2(1.5, 1.95)",
    "PAINT_AT(r)": "(((r).xz - PAINT_CENTRE) / PAINT_HALF * 0.5 + 0.5)",
}
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


def _define(source: str, **values: object) -> str:
    """Shader source with some names defined."""
    lines = "".join(f"#define {name} {value}\n" for name, value in (_PAINT | values).items())
    return source.replace("#version 330\n", f"#version 330\n{lines}", 1)


def _smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _turning(rest: np.ndarray) -> np.ndarray:
    """The share of the head's turns that resting points ``(N, 3)`` follow."""
    return (0.25 + 0.75 * _smoothstep(-3.3, -2.2, rest[:, 2] - 0.5 * rest[:, 1])).astype("f4")


class Renderer:
    """Draws scenes of one basis; create it once, it holds the graphics context."""

    def __init__(self, basis: HeadBasis, size: int = 256) -> None:
        """``size`` is the height and width of the pictures."""
        self.basis = basis
        self.size = size
        self.context = moderngl.create_standalone_context(backend="egl")
        self._programs = {
            kind: self.context.program(vertex_shader=_VERTEX, fragment_shader=_define(_FRAGMENT, KIND=kind))
            for kind in (BODY, EYE, TEETH, TONGUE, LASHES)
        }
        self.back_program = self.context.program(vertex_shader=_BACK_VERTEX, fragment_shader=_BACK_FRAGMENT)

        count = len(basis.rest)
        kinds = np.zeros(count, "f4")
        for part, faces in basis.triangles.items():
            kinds[np.unique(faces)] = _kind_of(part)
        # The teeth of the base mesh touch the lips and the tongue hides the gap between the rows of teeth.
        self._inside = np.zeros((count, 3), "f4")
        self._inside[kinds == TEETH] = np.array([-0.12, 0, 0]) * basis.rest[kinds == TEETH] + np.array([0, 0.05, 0])
        lower = np.unique(basis.triangles["helper-lower-teeth"])  # they come through the chin of wide open mouths
        self._inside[lower] = basis.rest[lower] * np.array([-0.30, 0, 0]) + np.array([0, 0.13, 0])
        self._inside[kinds == TONGUE] = (0, 0.16, -0.12)
        self._teeth_front = float(basis.rest[kinds == TEETH, 1].min())
        skinned = [faces for part, faces in basis.triangles.items() if part != "helper-hair"]
        self.triangles = np.concatenate(skinned).astype("i4")
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
        self._hair = HairPainter(self.context, hair, _LIGHT)
        self._hair_turns = _turning(hair.turns_at())
        masks = np.stack([np.minimum(3 * ears, 1), self._ambient_light(kinds), kinds], 1).astype("f4")

        self._positions = self.context.buffer(reserve=count * 24, dynamic=True)
        fixed = self.context.buffer(np.concatenate([basis.rest, masks], 1).astype("f4").tobytes())
        inputs = [(self._positions, "3f 3f", "position", "normal"), (fixed, "3f 3f", "rest", "masks")]
        self._meshes = {}
        for kind, program in self._programs.items():
            faces = self.triangles[(kinds[self.triangles] == kind).all(1)]
            if kind == TEETH:  # those at the back are never seen, except through the cheeks of narrow faces
                faces = faces[(basis.rest[faces, 1] < self._teeth_front + 0.42).all(1)]
            indices = self.context.buffer(faces.tobytes())
            self._meshes[kind] = self.context.vertex_array(program, inputs, indices, skip_errors=True)
        # Whatever throws shadows: vertex arrays of this program, which needs only positions.
        self.shadow_program = self.context.program(vertex_shader=_SHADOW_VERTEX, fragment_shader=_DEPTH_FRAGMENT)
        faces = self.triangles[(kinds[self.triangles] == BODY).all(1)]
        self._casters = [
            self.context.vertex_array(
                self.shadow_program, [(self._positions, "3f 12x", "position")], self.context.buffer(faces.tobytes())
            )
        ]
        self._casters.append(self._hair.caster(self.shadow_program))
        self._shadow_map = self.context.texture((_SHADOW_SIZE, _SHADOW_SIZE), 1, dtype="f4")
        self._shadow_map.repeat_x = self._shadow_map.repeat_y = False
        self._shadow_target = self.context.framebuffer(
            [self._shadow_map], self.context.depth_renderbuffer((_SHADOW_SIZE, _SHADOW_SIZE))
        )
        corners_2d = self.context.buffer(np.array([-1, -1, 3, -1, -1, 3], "f4").tobytes())
        self._back = self.context.vertex_array(self.back_program, [(corners_2d, "2f", "corner")])
        self._landmarks = self._landmark_vertices(np.flatnonzero(kinds == BODY))
        self._paint = self._painting(corners_2d)
        # No multisampling: in software it costs four times as much as drawing at twice the size and halving.
        self._target = self.context.framebuffer(
            [self.context.renderbuffer((size, size))], self.context.depth_renderbuffer((size, size))
        )

    def _painting(self, corners: moderngl.Buffer) -> moderngl.Texture:
        """What is painted on the face: 16 masks, packed since each look-up is slow in software."""
        picture = self.context.texture((_PAINT_SIZE, _PAINT_SIZE), 4, dtype="u4")
        picture.filter = (moderngl.NEAREST, moderngl.NEAREST)
        frame = self.context.framebuffer([picture])
        program = self.context.program(vertex_shader=_BACK_VERTEX, fragment_shader=_define(_PAINT_FRAGMENT))
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
        return self._pose(self.basis.rest + self._inside + self._moved(scene), self._turns, scene)

    def _moved(self, scene: Scene) -> np.ndarray:
        """How far the shape of a scene moves each vertex before the head turns: ``(V, 3)``."""
        coefficients = np.concatenate([scene.phenotype, scene.local, scene.actions]).astype("f4")
        return (coefficients @ self._blend).reshape(-1, 3)

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
        vertices, camera = self._place(scene), self.camera(scene)[0]
        self._draw_depth(camera)
        depth = np.frombuffer(self._shadow_map.read(), "f4").reshape(_SHADOW_SIZE, _SHADOW_SIZE)
        points, normals = vertices[self._landmarks], self._normals(vertices)[self._landmarks]
        clip = np.concatenate([points, np.ones((len(points), 1))], 1) @ camera.T
        flat = clip[:, :2] / clip[:, 3:]
        column, row = (np.clip((flat.T + 1) / 2, 0, 0.999) * _SHADOW_SIZE).astype(int)
        facing = (normals * (self.camera(scene)[1] - points)).sum(1) > 0
        seen = facing & (np.abs(flat) < 1).all(1) & (clip[:, 2] < depth[row, column] + 0.08)
        return (flat * (1, -1) + 1) / 2 * self.size - 0.5, seen

    def _draw_depth(self, camera: np.ndarray) -> None:
        """Draw how far all that throws shadows is from a camera into the shadow map."""
        self.shadow_program["light_camera"].value = tuple(camera.T.ravel())
        self.context.enable(moderngl.DEPTH_TEST)
        self.context.disable(moderngl.CULL_FACE | moderngl.BLEND)
        self._shadow_target.use()
        self._shadow_target.clear(100.0, 100.0, 100.0, 1.0, depth=1.0)
        for caster in self._casters:
            caster.render()

    def _place(self, scene: Scene) -> np.ndarray:
        """Put the vertices and the hair of a scene where they are drawn from; the vertices ``(V, 3)``."""
        moved = self._moved(scene)
        vertices = self._pose(self.basis.rest + self._inside + moved, self._turns, scene)
        sheet, traits = self._hair.hair.shape(scene.uniforms, moved)
        sheet = self._pose(sheet.reshape(-1, 3), self._hair_turns, scene).reshape(sheet.shape)
        self._hair.update(sheet, traits, scene.uniforms)
        self._positions.write(np.concatenate([vertices, self._normals(vertices)], 1).astype("f4").tobytes())
        return vertices

    def __call__(self, scene: Scene) -> np.ndarray:
        """The picture of a scene: ``(size, size, 3)`` uint8."""
        self._place(scene)
        camera, eye = self.camera(scene)
        constants = {
            "camera": tuple(camera.T.ravel()),
            "light_camera": tuple(self._light_camera(scene).T.ravel()),
            "shadow_map": 0,
            "paint": 4,
            "eye": tuple(eye),
            "eye_left": tuple(self._eye_centres[0]),
            "eye_right": tuple(self._eye_centres[1]),
            "eye_radius": self._eye_radius,
            "teeth_front": self._teeth_front,
        }
        programs = [*self._programs.values(), self.back_program, self.shadow_program, self._hair.program]
        for name, value in (scene.uniforms | constants).items():
            for program in programs:
                if name in program:
                    program[name].value = value
        self._draw_depth(self._light_camera(scene))
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
        pixels = np.frombuffer(self._target.read(components=3), np.uint8)
        return pixels.reshape(self.size, self.size, 3)[::-1]


def halve(picture: np.ndarray) -> np.ndarray:
    """``(H, W, 3)`` uint8 → ``(H/2, W/2, 3)`` uint8, means of 2×2 pixels, rounded."""
    wide = picture.astype(np.uint16)
    return ((wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2] + 2) // 4).astype(np.uint8)
