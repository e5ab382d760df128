"""The GLSL that the renderer and the hair are drawn with.

Brows, lips, beard, irises, hairline and clothes are painted by formulas of the rest position of each fragment. That
keeps their edges clean however coarse the mesh is, and makes them follow every deformation of the head. What does not
depend on the scene is painted once, by :data:`PAINT_FRAGMENT`, into a texture of masks. Soft shadows of the key light
are found at the vertices. Names that begin with an underscore are pieces that whole sources are put together from.
"""

from __future__ import annotations

from typing import NamedTuple

BODY, EYE, TEETH, TONGUE, LASHES = range(5)
"""What a part of the head is drawn as."""

PAINT_SIZE = 1024
"""Height and width of the texture of masks."""


def of_edition(source: str, edition: int) -> str:
    """The ``source`` of a shader, told which edition it draws."""
    return source.replace("#version 330", f"#version 330\nconst int edition = {edition};", 1)


class Hairline(NamedTuple):
    """Numbers that decide where hair grows, the same for the painted scalp and for ``Hair.shape``.

    Lengths are in eye distances at rest. A pair is where something begins and ends.
    """

    front: float = 1.08  # height of its middle, where hair_rise is 0
    bow: float = 0.12  # how far it falls, per square of x
    wave: float = 0.03  # height of its waves
    waves: float = 4.5  # their angle, per x
    kept: float = 0.12  # hair_rise at which the corners of the forehead begin to go bald
    bald: float = 2.4  # how fast they do
    corner: tuple[float, float] = (0.55, 1.05)  # |x| over which they end
    temple: float = -0.30  # height at the ears
    sides: tuple[float, float] = (0.15, 0.95)  # y over which it falls to there
    nape: float = -1.30  # height at the back of the neck
    back: tuple[float, float] = (1.05, 1.65)  # y over which it falls to there
    long: tuple[float, float] = (-1.1, 0.5)  # hair_length from long to short
    beside: tuple[float, float] = (0.75, 1.05)  # angle from the front where hair hangs, what hair_back adds to it


HAIRLINE = Hairline()


def _hairline() -> str:
    """:data:`HAIRLINE` as constants of GLSL."""
    kinds = {name: "vec2" if isinstance(value, tuple) else "float" for name, value in HAIRLINE._asdict().items()}
    values = {name: f"vec2{value}" if kinds[name] == "vec2" else value for name, value in HAIRLINE._asdict().items()}
    return "".join(f"const {kind} hairline_{name} = {values[name]};\n" for name, kind in kinds.items())


_MATHS = """#version 330
float sq(float x) { return x * x; }
float fade(float low, float high, float x) { return 1.0 - smoothstep(low, high, x); }
"""

# For vertices: how much of the key light gets there.
_LIT_SHARE = """#version 330
const int taps = 24;
uniform mat4 light_camera;
uniform sampler2D shadow_map;
uniform float shadow_radius;
// The share of the key light (0..1) that reaches a point of the scene. It is smooth, so vertices find it and
// pass it on as a varying: 24 look-ups a fragment are far too slow in software.
float lit_share(vec3 world, vec3 n) {
  vec3 at = (light_camera * vec4(world + 0.05 * n, 1.0)).xyz;
  float open = 0.0;
  for (int tap = 0; tap < taps; ++tap) {
    float turn = 2.399963 * float(tap), reach = shadow_radius * sqrt((float(tap) + 0.5) / float(taps));
    float nearest = textureLod(shadow_map, at.xy * 0.5 + 0.5 + reach * vec2(cos(turn), sin(turn)), 0.0).r;
    open += clamp(1.0 - (at.z - nearest - 0.010) / 0.016, 0.0, 1.0);
  }
  return open / float(taps);
}
"""

# For fragments: their colour in that light.
_SHADE = """
uniform vec3 light_direction, light_colour;
uniform float light_softness, light_top;
uniform vec3 sky_colour, ground_colour, fill_colour, rim_direction, rim_colour;  // from the second edition on
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
  if (edition >= 2) {
    vec3 around = mix(ground_colour, sky_colour, up) + fill_colour * fill;
    float behind = clamp(dot(n, rim_direction) + 0.15, 0.0, 1.0);
    float grazing = 0.04 + 0.96 * edge * edge * edge * edge * edge;
    float broad = pow(max(dot(n, normalize(light_direction + v)), 0.0), 0.45 * sharp);
    vec3 shown = base * (around * ambient * ambient + key * light_colour * mix(ambient, 1.0, 0.35));
    shown += base * rim_colour * behind * behind * ambient * 1.2;
    float glint = (0.30 * broad + 0.75 * tight * tight) * (1.0 + 5.0 * grazing);
    shown += shine * ambient * (glint * seen * light_colour + 0.9 * grazing * around);
    shown += rim_colour * (0.10 + shine) * behind * edge * edge * ambient;
    return sqrt(clamp(shown * (1.0 + 0.12 * shown) / (1.0 + 0.26 * shown) * 1.32, 0.0, 1.0));
  }
  vec3 sky = mix(vec3(0.25, 0.205, 0.185) * (1.0 - light_top), vec3(0.33, 0.345, 0.37) * (1.0 + light_top), up);
  sky = (sky + 0.17 * fill * vec3(0.96, 0.99, 1.04)) * (0.85 + 0.3 * light_softness);
  vec3 lit = base * (sky * ambient + key * light_colour * mix(ambient, 1.0, 0.45) * (1.0 - 0.12 * light_softness));
  lit += (gloss + rim * base * ambient) * light_colour;
  return sqrt(clamp(lit * (1.0 + 0.10 * lit) / (1.0 + 0.24 * lit) * 1.08, 0.0, 1.0));
}
"""

_SCALP = """
uniform float hair_rise, hair_length, hair_back, fringe;
// How much of the scalp at rest position r carries hair: 0 below the hairline, 1 above it. Hair.shape repeats this.
float scalp(vec3 r, float softness) {
  float ax = abs(r.x);
  float bare = hairline_bald * max(hair_rise - hairline_kept, 0.0) * fade(hairline_corner.x, hairline_corner.y, ax);
  float front = hairline_front + hair_rise - hairline_bow * ax * ax + hairline_wave * cos(hairline_waves * r.x);
  vec2 sides = hairline_sides + bare;
  float line = mix(front, hairline_temple, smoothstep(sides.x, sides.y, r.y));
  line = mix(line, hairline_nape, smoothstep(hairline_back.x, hairline_back.y, r.y));
  return smoothstep(line - softness, line + softness, r.z);
}
"""

# Which place (x, z) of the resting head is where in the texture of masks.
_PAINT_PLACE = f"""
const float paint_size = {PAINT_SIZE}.0;
const vec2 paint_centre = vec2(0.0, -0.65), paint_half = vec2(1.5, 1.95);
"""

# For BACK_FRAGMENT and PAINT_FRAGMENT: one triangle that covers the picture.
FLAT_VERTEX = """#version 330
in vec2 corner;
out vec2 at;
void main() { at = corner; gl_Position = vec4(corner, 0.9999, 1.0); }
"""

BACK_FRAGMENT = """#version 330
in vec2 at;
out vec4 pixel;
uniform vec3 back;
uniform vec2 back_way, back_glow;
uniform float back_contrast;
uniform vec3 back_other, back_lamp;
uniform vec4 back_room;  // height of a horizon, places of two upright shapes, strength of all shapes
float disc(vec2 at, vec2 place, float size, float blur) {
  return 1.0 - smoothstep(size - blur, size + blur, length(at - place));
}
// Out of focus: a wall over something lower, two upright shapes, soft lamps, all in blurred edges.
vec3 room() {
  float tilt = 0.16 * back_way.x, strength = back_room.w;
  float low = 1.0 - smoothstep(-0.35, 0.35, at.y - back_room.x + tilt * at.x);
  vec3 c = mix(back, back_other, low * (0.45 + 0.35 * strength));
  c *= 1.0 + 0.22 * back_contrast * dot(at, back_way);
  vec2 x = at.x - back_room.yz + tilt * at.y;
  float first = smoothstep(-0.16, 0.16, x.x + 0.30) * (1.0 - smoothstep(-0.16, 0.16, x.x - 0.30));
  float second = smoothstep(-0.10, 0.10, x.y + 0.17) * (1.0 - smoothstep(-0.10, 0.10, x.y - 0.17));
  c = mix(c, back_lamp * 0.95, 0.75 * first * strength * (1.0 - 0.8 * low));
  c = mix(c, back_other * 0.55, 0.70 * second * strength);
  for (int index = 0; index < 6; ++index) {
    float turn = 2.4 * float(index) + 0.9;
    vec2 place = (0.55 + 0.13 * float(index)) * vec2(cos(turn), 0.75 * sin(turn));
    place += back_glow * (0.5 + 0.25 * float(index));
    float size = 0.09 + 0.035 * float(index % 3);
    c += back_lamp * disc(at, place, size, 0.055) * 0.28 * strength * (0.6 + 0.4 * sin(3.0 * turn));
  }
  vec2 far = at - back_glow;
  c += back_lamp * (0.05 + 0.10 * back_contrast) * exp(-dot(far, far) / 0.5);
  return c * (1.0 - 0.10 * dot(at, at));
}
// Out of focus: a gradient between two shades, a large soft light and darker corners.
void main() {
  if (edition >= 2) { pixel = vec4(clamp(room(), 0.0, 1.0), 1.0); return; }
  float run = dot(at, back_way);
  vec3 c = back * (1.0 + 0.20 * back_contrast * run) + vec3(0.035, 0.0, -0.035) * back_contrast * run;
  vec2 far = at - back_glow;
  c *= 1.0 + (0.10 + 0.14 * back_contrast) * exp(-dot(far, far) / 0.55) - 0.085 * dot(at, at);
  pixel = vec4(clamp(c, 0.0, 1.0), 1.0);
}
"""

# What is painted on the face at fixed places of the resting head, seen from the front; drawn once, looked up often.
PAINT_FRAGMENT = (
    _MATHS
    + _PAINT_PLACE
    + """
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
  vec2 r = paint_centre + at * paint_half;
  float ax = abs(r.x), z = r.y;
  float blotch = sin(r.x * 7.0 + 1.5 * sin(z * 5.0 + 1.0)) * sin(z * 6.0 + 1.7 * sin(r.x * 5.0 + 2.0));
  float freckle = 0.0;
  for (int index = 0; index < 9; ++index) {
    vec2 cell = floor(r / 0.085) + vec2(index % 3 - 1, index / 3 - 1), chance = scatter(cell + 17.0);
    float apart = length(r - (cell + 0.15 + 0.7 * scatter(cell)) * 0.085);
    freckle += chance.x * fade(0.006, 0.036 * (0.6 + 0.4 * chance.y), apart);
  }
  freckle *= exp(-sq((z + 0.42) / 0.34)) * fade(0.7, 1.25, ax);
  tones.x = exp(-sq(length(vec2(ax - 0.76, z + 0.62)) / 0.40));
  tones.y = exp(-sq(length(vec2(ax * 1.3, z + 0.72)) / 0.26));
  tones.zw = vec2(0.5 + 0.5 * blotch, freckle);

  float t = clamp((-0.66 - z) / 0.50, -0.3, 1.3);
  float fold = exp(-sq((ax - 0.34 - 0.20 * t + 0.05 * t * t) / 0.045));
  float ridge = 0.5 + 0.5 * cos((z - 0.70 + 0.06 * ax * ax + 0.02 * sin(r.x * 6.0 + 1.0)) * 39.0);
  vec2 corner = vec2(ax - 0.70, z + 0.02);
  float crow = sq(0.5 + 0.5 * cos(atan(corner.y, corner.x) * 11.0)) * smoothstep(0.14, 0.24, length(corner));
  float bag = exp(-sq((length(vec2(ax - 0.50, (z - 0.02) * 1.15)) - 0.28) / 0.045));
  lined.x = bag * fade(-0.2, -0.08, z);
  lined.y = fold * smoothstep(-0.1, 0.25, t) * fade(0.6, 1.15, t);
  lined.z = ridge * ridge * ridge * smoothstep(0.58, 0.70, z) * fade(1.0, 1.12, z) * fade(0.30, 0.75, ax);
  lined.w = crow * fade(0.25, 0.42, length(corner)) * smoothstep(0.82, 0.92, ax);

  float meet = -1.165, bow = max(1.0 - ax * ax / (0.41 * 0.41), 0.0);
  float upper = meet + 0.195 * pow(bow, 0.65) - 0.03 * exp(-sq(ax / 0.055)), lower = meet - 0.245 * pow(bow, 0.6);
  mouth.x = smoothstep(-0.02, 0.04, upper - z) * smoothstep(-0.02, 0.05, z - lower) * fade(0.37, 0.43, ax);
  mouth.y = exp(-sq((z - meet) / 0.028)) * fade(0.36, 0.50, ax);
  mouth.z = exp(-sq((ax - 0.155) / 0.065) - sq((z + 0.755) / 0.035));

  float ex = ax - 0.53, lid = z - (0.056 - 0.10 * ex - 1.2 * ex * ex), around = fade(0.22, 0.36, abs(ex));
  mouth.w = around * exp(-sq((lid - 0.100) / 0.024));
  lids.x = around * exp(-sq((lid - 0.006) / 0.034));
  lids.y = around * smoothstep(-0.03, 0.02, lid) * fade(0.04, 0.20, lid);
  lids.z = fade(-0.02, 0.02, lid);
  float tilt = mix(14.0, 60.0, smoothstep(0.2, 0.8, ax));
  float hairs = sin(ax * 62.0 - (z - 0.37) * tilt + 1.6 * sin(ax * 19.0 + z * 11.0));
  float tuft = sin(r.x * 52.0 + 1.4 * sin(z * 17.0)) * sin(z * 31.0 + 1.8 * sin(r.x * 23.0));
  lids.w = 0.5 + 0.5 * (z > 0.0 ? hairs : tuft);
  paint = uvec4(together(tones), together(lined), together(mouth), together(lids));
}
"""
)

# How far things are from a camera or from the key light.
DEPTH_VERTEX = """#version 330
in vec3 position;
uniform mat4 view;
out float depth;
void main() { gl_Position = view * vec4(position, 1.0); depth = gl_Position.z; }
"""

DEPTH_FRAGMENT = """#version 330
in float depth;
out float pixel;
void main() { pixel = depth; }
"""

HEAD_VERTEX = (
    _LIT_SHARE
    + """
in vec3 position, normal, rest;
in vec2 masks;  // ears, open share of the sky
uniform mat4 camera;
out vec3 world, across, where_rest;
out float ear, open_sky, seen;
void main() {
  gl_Position = camera * vec4(position, 1.0);
  world = position; across = normal; where_rest = rest; ear = masks.x; open_sky = masks.y;
  seen = lit_share(position, normal);
}
"""
)

_HEAD_FRAGMENT = """
in vec3 world, across, where_rest;
in float ear, open_sky;
in float seen;
out vec4 pixel;
uniform vec3 eye;
uniform vec3 skin, hair, lips, iris, shirt, brow_colour, eye_left, eye_right;
uniform float eye_radius, brow_weight, beard, blush, teeth_front, freckles, makeup, lash_weight, brow_arch;
uniform vec2 gaze, collar;
uniform usampler2D paint;
uniform sampler2D detail;  // of the skin: slopes in x and z, blotches, oil
uniform vec3 eye_shade;
uniform vec4 lines;  // strength of lines under the eyes, beside the mouth, on the forehead, at the eyes' corners

vec4 unpacked(uint four) { return vec4((uvec4(four) >> uvec4(0, 8, 16, 24)) & 255u) / 255.0; }

void main() {
  vec3 r = where_rest, n = normalize(across), v = normalize(eye - world);
  if (kind != BODY && dot(n, v) < 0.0) n = -n;  // these are seen from both sides
  float ax = abs(r.x), ambient = open_sky, shine = 0.10, sharp = 18.0;
  vec3 c = skin, wrap = kind == BODY ? vec3(0.46, 0.30, 0.25) : vec3(0.3);
  float alpha = 1.0, dim = seen;
  if (kind == BODY) {
    vec2 at = ((r.xz - paint_centre) / paint_half) * 0.5 + 0.5;
    uvec4 masks = texelFetch(paint, ivec2(clamp(at, 0.0, 0.999) * paint_size), 0);
    vec4 tones = unpacked(masks.x), lined = unpacked(masks.y), mouth = unpacked(masks.z), lids = unpacked(masks.w);
    float front = fade(0.5, 0.9, r.y);
    vec4 fine = vec4(0.5);
    if (edition >= 2) {
      fine = texture(detail, at);
      float facing = clamp(-across.y * 1.4, 0.0, 1.0) * front;
      n = normalize(n + 0.24 * facing * vec3(fine.x - 0.5, 0.0, fine.y - 0.5));
      c *= 1.0 + (fine.z - 0.5) * vec3(0.10, 0.20, 0.20);
      c *= 1.0 - 0.10 * front * exp(-sq((ax - 0.50) / 0.26) - sq((r.z + 0.20) / 0.13)) * vec3(0.8, 1.0, 0.75);
      c *= 1.0 - 0.09 * front * exp(-sq(ax / 0.30) - sq((r.z + 0.74) / 0.20)) * vec3(0.0, 1.0, 0.9);
      shine = 0.055 + 0.11 * fine.w * front;
      sharp = 22.0;
    }
    c *= 1.0 + 0.05 * (tones.z - 0.5) * vec3(0.4, 1.0, 1.0);
    c *= 1.0 - freckles * tones.w * front * vec3(0.26, 0.36, 0.42);
    c *= 1.0 - blush * front * (tones.x + 0.6 * tones.y) * vec3(-0.06, 0.20, 0.22);
    float lip = mouth.x * fade(0.1, 0.3, r.y), nostril = mouth.z * fade(-0.1, 0.0, r.y);
    float creased = edition >= 2 ? 1.0 + 0.30 * (fine.z - 0.5) + 0.10 * sin(r.x * 95.0 + 8.0 * fine.x) : 1.0;
    c = mix(c, lips * creased, lip * 0.9);
    shine = mix(shine, edition >= 2 ? 0.17 : 0.30, lip);
    sharp = mix(sharp, 26.0, lip);
    c *= 1.0 - (dot(lined, lines) + 0.34 * mouth.y) * front * vec3(0.85, 1.0, 1.0) - nostril * vec3(0.36, 0.45, 0.45);
    c *= mix(vec3(1.0), eye_shade, makeup * lids.y * front);
    c *= 1.0 - (0.26 * mouth.w * vec3(0.8, 1.0, 1.05) + lash_weight * lids.x * vec3(0.66, 0.72, 0.74)) * front;
    float rim = fade(1.07, 1.16, length(vec3(ax, r.yz) - eye_left) / eye_radius) * front;
    c *= 1.0 - rim * lids.z * vec3(0.14, 0.27, 0.28);
    // Brows: full near the nose, tapering outwards; a hint of hairs along them.
    float centre = 0.325 + 0.21 * ax - 0.16 * ax * ax;
    centre += brow_arch * (exp(-sq((ax - 0.68) / 0.20)) - 0.5 * fade(0.2, 0.45, ax));
    float taper = brow_weight * mix(1.15, 0.42, smoothstep(0.40, 1.0, ax)) * mix(0.8, 1.0, smoothstep(0.15, 0.35, ax));
    float off = (r.z - centre) / taper;
    float brow = smoothstep(-1.0, -0.45, off) * fade(0.15, 1.15, off);
    brow *= smoothstep(0.10, 0.30, ax) * fade(0.78, 1.04, ax) * front * (0.78 + 0.22 * lids.w);
    c = mix(c, brow_colour, (edition >= 2 ? 0.26 : 0.90) * brow);
    shine *= 1.0 - 0.7 * brow;
    // Beard and moustache; short ones let the skin show.
    float jaw = fade(-1.30, -0.78, r.z + 0.34 * smoothstep(0.3, 0.95, ax)) * smoothstep(-2.40, -1.90, r.z);
    float round_lip = fade(0.30, 0.56, ax) * fade(-0.93, -0.80, r.z) * smoothstep(-2.35, -1.95, r.z);
    jaw = (jaw + round_lip - jaw * round_lip) * fade(0.75, 1.05, r.y) * (1.0 - lip) * (1.0 - 0.5 * nostril);
    float bearded = jaw * beard * (edition >= 2 ? 0.30 + 0.35 * beard : 0.62 + 0.18 * lids.w + 0.20 * beard);
    c = mix(c, hair * 0.78 * (0.85 + 0.25 * lids.w) + skin * 0.08, bearded);
    shine *= 1.0 - 0.8 * bearded;
    // Clothes: a round to pointed neckline with a band, and wide soft folds.
    float soft_x = sqrt(ax * ax + 0.006) - 0.06;
    float neckline = mix(exp(-sq(ax / 0.72)), max(1.0 - soft_x * 1.05, 0.0), collar.y);
    float edge = -2.42, cloth = r.z + 0.06 + collar.x * neckline * fade(0.6, 1.1, r.y);
    float pixel_wide = 0.75 * fwidth(cloth) + 0.004;
    float shirted = fade(edge - pixel_wide, edge + pixel_wide, cloth);
    float hairy = scalp(r, 0.12) * fade(0.15, 0.4, ear);
    // Soft shade of the hair on forehead, cheeks and neck. It reaches less far than the hair of Hair.shape hangs.
    float beside = atan(max(ax, 1e-6), 1.2 - r.y), bangs = fringe * exp(-pow(beside, 6.0));
    float long_hair = fade(hairline_long.x, hairline_long.y, hair_length), drop = bangs * (0.22 + 0.24 * long_hair);
    float behind = long_hair * smoothstep(-0.35, 0.15, beside - hairline_beside.x - hairline_beside.y * hair_back);
    behind *= smoothstep(-0.2, 0.3, r.z - hair_length);
    float under = scalp(r + vec3(0, 0, 0.12 + drop), 0.16 + 0.08 * bangs) * (0.18 + 0.10 * bangs);
    c *= 1.0 - max(under, 0.36 * behind) * (1.0 - hairy);
    c *= 1.0 - 0.25 * fade(edge, edge + 0.16, cloth) * (1.0 - shirted);
    float folds = sin(r.x * 2.6 + 1.3 * sin(r.z * 2.2)) * 0.5 + sin(ax * 5.0 + r.z * 3.5) * 0.5;
    vec3 cloth_colour = shirt * (1.0 - 0.20 * exp(-sq((cloth - edge + 0.13) / 0.022)));
    cloth_colour *= 1.0 + 0.07 * folds * fade(edge - 0.5, edge - 0.1, cloth);
    wrap = mix(wrap, vec3(0.35), shirted);
    if (edition >= 2) {
      float slant = 0.55 * sin(r.x * 2.2 + 2.0) + 0.45 * sin(ax * 3.7 + r.z * 2.4);
      vec3 pull = vec3(cos(ax * 4.1 + r.z * 3.1 + slant) * sign(r.x), 0.0, 0.6 * sin(r.z * 3.0 + slant * 2.0));
      n = normalize(n + shirted * 0.26 * fade(edge - 0.35, edge - 0.1, cloth) * pull);
      float knit = sin(r.x * 74.0) * sin((r.z - 0.2 * ax) * 74.0), rib = sin((r.x + 0.3 * sign(r.x) * cloth) * 110.0);
      float band = smoothstep(edge - 0.15, edge - 0.12, cloth);
      cloth_colour *= 1.0 + 0.07 * mix(knit, rib, band);
    }
    c = mix(c, cloth_colour, shirted);
    shine = mix(shine, 0.02, shirted);
    ambient = mix(ambient, 1.0, hairy * 0.6);
    c = mix(c, edition >= 2 ? mix(skin * 0.55, hair * 0.62, 0.75) : hair * 0.8, hairy);
    shine = mix(shine, 0.02, hairy);
  } else if (kind == EYE) {
    vec3 d = (r - (r.x > 0.0 ? eye_left : eye_right)) / eye_radius;
    float a = length(d.xz - gaze);
    c = vec3(0.86, 0.845, 0.835);
    vec2 lamp = vec2(0.26 * light_direction.x, 0.20);
    float glow = dot(d.xz - gaze, -normalize(lamp + vec2(0.0, 0.05)));
    if (edition >= 2) {
      float turn = atan(d.z - gaze.y, d.x - gaze.x);
      float fibres = 0.5 + 0.5 * sin(turn * 23.0 + 3.0 * sin(turn * 7.0) + a * 9.0);
      vec3 veins = vec3(0.0, 0.10, 0.10) * smoothstep(0.55, 1.0, abs(d.x));
      c = vec3(0.80, 0.785, 0.77) - veins;
      vec3 ring = iris * (0.80 + 0.50 * fibres * smoothstep(0.18, 0.34, a) + max(gaze.y - d.z, 0.0));
      ring += iris * vec3(0.35, 0.22, 0.05) * fade(0.20, 0.36, a);
      ring *= 1.0 - 0.72 * smoothstep(0.43, 0.56, a);
      c = mix(ring, c, smoothstep(0.52, 0.61, a));
      c = mix(vec3(0.015), c, smoothstep(0.19, 0.235, a));
      c = mix(c, vec3(1.25), fade(0.06, 0.13, length(d.xz - gaze - vec2(0.30 * light_direction.x, 0.20))));
      ambient = mix(0.50, 1.0, fade(0.02, 0.40, d.z)) * mix(0.72, 1.0, fade(0.70, 0.98, abs(d.x)));
    } else {
    vec3 ring = iris * (0.95 + 0.55 * smoothstep(0.15, 0.45, a) + 0.9 * max(glow, 0.0));
    ring *= 1.0 - 0.50 * smoothstep(0.42, 0.56, a);
    c = mix(ring, c, smoothstep(0.50, 0.59, a));
    c = mix(vec3(0.03), c, smoothstep(0.18, 0.25, a));
    c = mix(c, vec3(1.15), fade(0.08, 0.17, length(d.xz - gaze - lamp)));
    ambient = mix(0.66, 1.0, fade(0.05, 0.42, d.z)) * mix(0.75, 1.0, fade(0.75, 0.98, abs(d.x)));
    }
    dim = mix(1.0, seen, 0.35);
    n = normalize(n + vec3(0.0, -0.7, 0.15));
    shine = 0.10; sharp = 60.0;
  } else if (kind == TEETH) {
    c = vec3(0.93, 0.91, 0.88) * mix(1.0, 0.10, smoothstep(0.06, 0.34, r.y - teeth_front));
    ambient = 0.95; dim = 1.0;
    n = normalize(n + vec3(0.0, -1.5, 0.0));
  } else if (kind == TONGUE) {
    c = vec3(0.52, 0.22, 0.22);
    ambient *= 0.6;
  } else if (kind == LASHES) {
    vec3 d = vec3(ax, r.yz) - eye_left;
    float tip = clamp((length(d) / eye_radius - 1.02) / 0.40, 0.0, 1.0);
    c = vec3(0.13, 0.09, 0.075);
    alpha = fade(0.10, 1.0, tip) * smoothstep(0.0, 0.08, tip);
    if (edition >= 2) {
      float fan = d.x * (1.0 - 0.35 * tip);
      float single = sin(105.0 * fan + 2.0 * sin(31.0 * fan));
      alpha = fade(0.35, 1.0, tip) * smoothstep(-0.7 - 0.5 * (1.0 - tip), 0.3, single);
      c *= 0.5;
    }
    alpha *= lash_weight * (d.z > -0.036 ? 0.62 + 0.25 * smoothstep(-0.1, 0.25, d.x) : 0.20);
  }

  pixel = vec4(shade(c, n, v, ambient, shine, sharp, wrap, dim), alpha);
}
"""


def head_fragment(kind: int) -> str:
    """The fragment shader of one kind of part, for :data:`HEAD_VERTEX`."""
    kinds = f"const int BODY = {BODY}, EYE = {EYE}, TEETH = {TEETH}, TONGUE = {TONGUE}, LASHES = {LASHES};\n"
    numbers = kinds + f"const int kind = {kind};\n" + _hairline()
    return _MATHS + numbers + _PAINT_PLACE + _SCALP + _SHADE + _HEAD_FRAGMENT


HAIR_VERTEX = (
    _LIT_SHARE
    + """
in vec3 position, normal, tangent, flow;
in vec4 traits;  // cover, looseness, way along the strand, open share of the sky
uniform mat4 camera;
out vec3 world, across, along, direction;
out vec4 trait;
out float lit;
void main() {
  lit = lit_share(position, normal);
  gl_Position = camera * vec4(position, 1.0);
  world = position; across = normal; along = tangent; direction = flow; trait = traits;
}
"""
)

HAIR_FRAGMENT = (
    _MATHS
    + _SHADE
    + """
in vec3 world, across, along, direction;
in vec4 trait;
in float lit;
out vec4 pixel;
uniform vec3 eye, hair;
uniform vec4 part;  // sine and cosine of its side, angles (from the top to the front) of its two ends
uniform sampler2D strands;  // per strand: tone, fine tone, length

void main() {
  vec3 n = normalize(across), v = normalize(eye - world), d = normalize(direction);
  bool inner = dot(n, v) < 0.0;
  if (inner) n = -n;
  // Strands leave the part sideways between its ends, in all directions around them; Hair._strand_steps repeats this.
  float side = d.x * part.y - d.z * part.x, up = d.x * part.x + d.z * part.y;
  float angle = atan(-d.y, up), reach = clamp(angle, part.z, part.w);
  float ahead = sin(angle - reach) * length(vec2(d.y, up));
  float strand = atan(max(abs(side), 1e-6), ahead) + 0.8 * (part.w - reach);
  float u = 0.157 * (side > 0.0 ? strand : -strand), w = 0.09 * trait.z;
  vec3 s = texture(strands, vec2(u, w)).xyz;
  float spread = smoothstep(0.02, 0.35, length(vec2(side, ahead)));
  s = mix(vec3(0.5), s, spread);
  float loose = trait.y;
  float soft = mix(0.10, 0.12, loose);
  if (edition >= 2) {  // only what is seen between the strands
    float deep = trait.x - mix(0.03, 0.16, loose) + 0.3 * loose * (s.z - 0.5);
    float share = smoothstep(-soft, soft, deep) * smoothstep(0.0, 0.26, abs(dot(n, v)) + 0.04);
    if (share < 0.02) discard;
    vec3 dark = hair * (inner ? 0.66 : 0.66 + 0.24 * s.x);
    pixel = vec4(shade(dark, n, v, trait.w * (inner ? 0.75 : 0.9), 0.0, 1.0, vec3(0.35), lit), share);
    return;
  }
  float alpha = smoothstep(-soft, soft, trait.x + mix(0.17, 0.60, loose) * (s.z - 0.5));
  alpha *= smoothstep(0.0, 0.26, abs(dot(n, v)) + 0.07);
  if (alpha < 0.01) discard;

  float ambient = trait.w * (0.72 + 0.56 * s.x);
  vec3 c = hair * (0.74 + 0.34 * s.x + 0.22 * s.y);
  float root = exp(-sq(side / 0.035)) * smoothstep(0.02, 0.10, part.w - angle) * step(part.z, angle);
  c *= 1.0 - 0.28 * root;
  if (inner) {  // dark, but not at the outline, where it shines through
    float deep = smoothstep(0.10, 0.55, dot(n, v));
    ambient *= mix(1.0, 0.52, deep);
    c *= mix(1.0, 0.78, deep);
  }
  vec3 base = shade(c, n, v, ambient, 0.0, 1.0, vec3(0.35), lit);
  vec3 h = normalize(light_direction + v);
  vec3 t = normalize(along + 1e-5);
  vec3 t1 = normalize(t + n * (0.10 + 0.22 * (s.x - 0.5))), t2 = normalize(t + n * (-0.16 + 0.30 * (s.y - 0.5)));
  float a = dot(t1, h), b = dot(t2, h);
  float facing = clamp((dot(n, light_direction) + 0.35) / 1.35, 0.0, 1.0) * mix(0.35, 1.0, lit);
  vec3 tint = hair * hair;
  vec3 gloss = 0.10 * pow(max(1.0 - a * a, 0.0), 36.0) * (0.6 + 0.8 * s.y) * (0.42 + hair)
    + 0.55 * tint * pow(max(1.0 - b * b, 0.0), 12.0) * (0.5 + s.x);
  gloss *= facing * ambient * spread * (inner ? 0.1 : 1.0);
  pixel = vec4(sqrt(base * base + gloss * light_colour), alpha);
}
"""
)

RIBBON_VERTEX = (
    _LIT_SHARE.replace("taps = 24", "taps = 5")
    + """
in vec3 position, normal, tangent, tint;
in vec4 traits;  // open share of the sky, gloss, side of the ribbon
uniform mat4 camera;
out vec3 world, across, along, colour;
out vec3 trait;
out float lit;
void main() {
  lit = lit_share(position, normal);
  gl_Position = camera * vec4(position, 1.0);
  world = position; across = normal; along = tangent; colour = tint; trait = traits.xyz;
}
"""
)

# Light on hair after Kajiya and Kay (1989), with the two shifted highlights of Marschner et al. (2003) as Scheuermann
# (2004) put them: a white one towards the tip, a coloured broad one towards the root.
RIBBON_FRAGMENT = (
    _MATHS
    + _SHADE
    + """
in vec3 world, across, along, colour;
in vec3 trait;
in float lit;
out vec4 pixel;
uniform vec3 eye;
void main() {
  vec3 v = normalize(eye - world), t = normalize(along), n = normalize(across);
  vec3 base = shade(colour, n, v, trait.x, 0.0, 1.0, vec3(0.40, 0.36, 0.33), lit);
  float sine = sqrt(max(1.0 - sq(dot(t, light_direction)), 0.0));
  base *= mix(0.78, 1.06, sine);
  vec3 h = normalize(light_direction + v);
  float a = dot(normalize(t + 0.09 * n), h), b = dot(normalize(t - 0.14 * n), h);
  float facing = clamp((dot(n, light_direction) + 0.30) / 1.30, 0.0, 1.0) * mix(0.18, 1.0, lit) * trait.x;
  vec3 tint = colour * colour;
  vec3 gloss = 0.22 * pow(max(1.0 - a * a, 0.0), 48.0) * (0.30 + colour)
    + 0.60 * tint * pow(max(1.0 - b * b, 0.0), 14.0);
  float edge = 1.0 - abs(dot(n, v));
  vec3 rim = rim_colour * (0.10 + 0.8 * tint) * edge * edge * clamp(dot(n, rim_direction) + 0.4, 0.0, 1.0) * trait.x;
  pixel = vec4(sqrt(clamp(base * base + trait.y * gloss * facing * light_colour + rim, 0.0, 1.0)), 1.0);
}
"""
)
