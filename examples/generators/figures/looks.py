"""The GLSL that people are drawn with. Light and the masks of the face are those of the faces (``shaders.py`` there).

Skin and clothes are painted by formulas of the place at rest, so edges stay clean however coarse the mesh is, and
follow every shape and pose. Garments end by alpha over about a pixel, along the arm or by height at rest.
"""

from __future__ import annotations

import beside  # noqa: F401  for the faces' modules
from shaders import _LIT_SHARE, _MATHS, _PAINT_PLACE, _SHADE, FLAT_VERTEX, PAINT_FRAGMENT, of_edition

__all__ = ["FLAT_VERTEX", "PAINT_FRAGMENT"]

EDITION = 2
"""That of the faces whose light is used."""
SKIN, EYE, TOP, TROUSERS, SHOES, SKIRT = range(6)
"""What a surface is drawn as."""

# Two shadow maps: of the key light, and of the sky from above the camera, which stands for all that is not the key.
_SKY_SHARE = """
uniform mat4 sky_camera;
uniform sampler2D sky_map;
float open_share(vec3 world, vec3 n) {
  vec3 at = (sky_camera * vec4(world + 0.25 * n, 1.0)).xyz;
  float open = 0.0;
  for (int tap = 0; tap < 16; ++tap) {
    float turn = 2.399963 * float(tap), reach = 0.055 * sqrt((float(tap) + 0.5) / 16.0);
    float nearest = textureLod(sky_map, at.xy * 0.5 + 0.5 + reach * vec2(cos(turn), sin(turn)), 0.0).r;
    open += clamp(1.0 - (at.z - nearest - 0.012) / 0.05, 0.0, 1.0);
  }
  return open / 16.0;
}
"""

SURFACE_VERTEX = of_edition(
    _LIT_SHARE.replace("taps = 24", "taps = 16")
    + _SKY_SHARE
    + """
in vec3 position, normal, rest;
in vec2 place;  // along the arm, how much it is of an arm
uniform mat4 camera;
out vec3 world, across, where_rest;
out vec2 places;
out float seen, open_sky;
void main() {
  gl_Position = camera * vec4(position, 1.0);
  world = position; across = normal; where_rest = rest; places = place;
  seen = lit_share(position, normal);
  open_sky = 0.38 + 0.62 * open_share(position, normal);
}
""",
    EDITION,
)

_SURFACE = """
in vec3 world, across, where_rest;
in vec2 places;
in float seen, open_sky;
out vec4 pixel;
uniform vec3 eye;
uniform vec3 skin, hair, lips, brow_colour, top_colour, inner_colour, trouser_colour, skirt_colour, shoe_colour;
uniform float brow_weight, beard, jacket, neckline, collar, stripes, stripe_width, belt, folds, hair_rise;
uniform float sleeve, trousers, skirt, top_hem, shoe_height, lowest;
uniform usampler2D paint;
vec4 unpacked(uint four) { return vec4((uvec4(four) >> uvec4(0, 8, 16, 24)) & 255u) / 255.0; }

// How far r is below the line of the neck of the top: a round or pointed neckline.
float below_neck(vec3 r) {
  float ax = sqrt(r.x * r.x + 0.01), front = fade(0.9, 1.9, r.y);
  float line = mix(exp(-sq(ax / 1.25)), max(1.0 - ax * 0.62, 0.0), collar);
  return -2.55 + 0.75 * smoothstep(0.6, 2.2, r.y) - neckline * line * front - 0.10 * ax - r.z;
}
// Soft folds: slopes in x and z, by sums of waves that cross at places where cloth is pulled.
vec2 creases(vec3 r, float s) {
  float a = sin(1.9 * r.x + 1.3 * r.z * s + 1.2 * sin(0.9 * r.z)), b = sin(2.7 * r.z - 1.6 * abs(r.x) + 1.7
    * sin(1.1 * r.x));
  float c = sin(3.9 * r.z + 2.3 * r.x * s + 0.6 * sin(2.0 * r.x)), d = sin(5.1 * r.x - 2.4 * r.z);
  return vec2(0.5 * a + 0.3 * d, 0.5 * b + 0.35 * c);
}

void face(vec3 r, inout vec3 c, inout float shine) {
  float ax = abs(r.x), front = fade(0.5, 0.9, r.y);
  vec2 at = ((r.xz - paint_centre) / paint_half) * 0.5 + 0.5;
  if (at.y < 0.0) return;
  uvec4 masks = texelFetch(paint, ivec2(clamp(at, 0.0, 0.999) * paint_size), 0);
  vec4 tones = unpacked(masks.x), lined = unpacked(masks.y), mouth = unpacked(masks.z), lids = unpacked(masks.w);
  c *= 1.0 - 0.30 * front * (tones.x + 0.6 * tones.y) * vec3(-0.06, 0.20, 0.22);
  c *= 1.0 - 0.16 * front * exp(-sq((ax - 0.52) / 0.30) - sq((r.z - 0.02) / 0.20));
  float lip = mouth.x * fade(0.1, 0.3, r.y);
  c = mix(c, lips, 0.9 * lip);
  c *= 1.0 - (0.45 * mouth.y + 0.12 * lined.y) * front - 0.5 * mouth.z * fade(-0.1, 0.0, r.y);
  c *= 1.0 - (0.30 * mouth.w + 0.75 * lids.x) * front;
  float centre = 0.335 + 0.20 * ax - 0.16 * ax * ax, taper = brow_weight * mix(1.15, 0.5, smoothstep(0.4, 1.0, ax));
  float off = (r.z - centre) / taper;
  float brow = smoothstep(-1.1, -0.4, off) * fade(0.2, 1.2, off) * smoothstep(0.10, 0.28, ax) * fade(0.78, 1.04, ax);
  c = mix(c, brow_colour, 0.85 * brow * front);
  float jaw = fade(-1.30, -0.78, r.z + 0.34 * smoothstep(0.3, 0.95, ax)) * smoothstep(-2.40, -1.90, r.z);
  float moustache = fade(0.30, 0.56, ax) * fade(-0.93, -0.80, r.z) * smoothstep(-2.35, -1.95, r.z);
  jaw = (jaw + moustache - jaw * moustache) * fade(0.75, 1.05, r.y) * (1.0 - lip);
  c = mix(c, hair * 0.8 + skin * 0.08, jaw * beard * 0.9);
  shine *= 1.0 - 0.8 * jaw * beard;
}
float scalp(vec3 r) {
  float ax = abs(r.x), line = mix(1.10 + hair_rise - 0.12 * ax * ax, -0.30, smoothstep(0.15, 0.95, r.y));
  line = mix(line, -1.25, smoothstep(1.05, 1.65, r.y));
  return smoothstep(line - 0.12, line + 0.12, r.z) * smoothstep(-2.0, -1.6, r.z);
}

void main() {
  vec3 r = where_rest, n = normalize(across), v = normalize(eye - world);
  bool inner = dot(n, v) < 0.0;
  if (inner) n = -n;
  vec3 c = skin, wrap = vec3(0.46, 0.30, 0.25);
  float shine = 0.09, sharp = 18.0, alpha = 1.0, ambient = open_sky, along = places.x, arm = places.y;
  float soft_z = 0.75 * fwidth(r.z) + 0.01;
  if (kind == SKIN) {
    float neck = below_neck(r), covered = 0.0;
    // What is well under cloth is left out, so that it cannot come through.
    if (arm > 0.3 ? along < sleeve - 0.035 && along < 0.9 : neck > 0.35 && r.z > top_hem + 0.3) discard;
    if (arm < 0.3 && r.z < -9.2 && (r.z > trousers + 0.16 || r.z < shoe_height - 0.35)) discard;
    face(r, c, shine);
    float hairy = scalp(r);
    c = mix(c, hair * 0.62, hairy);
    shine = mix(shine, 0.02, hairy);
    c *= 1.0 - 0.28 * fade(-0.2, 0.35, -neck) * step(arm, 0.3) * step(r.z, -1.5);  // below the cloth of the neck
    c *= 1.0 - 0.30 * smoothstep(trousers - 0.55, trousers, r.z) * step(r.z, -12.0) * step(arm, 0.3);
    c *= 1.0 - 0.25 * smoothstep(sleeve + 0.08, sleeve, along) * step(0.3, arm);
    vec3 red = vec3(0.0, 0.05, 0.06);
    c *= 1.0 - red * step(0.3, arm) * smoothstep(1.0, 1.15, along);
  } else if (kind == EYE) {
    vec2 d = (r.xz - vec2(r.x > 0.0 ? 0.5 : -0.5, 0.0)) / 0.21;
    c = mix(vec3(0.10, 0.07, 0.06), vec3(0.74, 0.72, 0.70), smoothstep(0.42, 0.62, length(d)));
    ambient *= 0.9; shine = 0.0;
  } else {
    wrap = vec3(0.34);
    shine = 0.018;
    vec2 slope = creases(r, kind == TROUSERS ? -1.0 : 1.0) * folds;
    if (kind == TOP) {
      float soft_a = 0.75 * fwidth(along) + 0.004, neck = below_neck(r), soft_n = 0.75 * fwidth(neck) + 0.02;
      float on_arm = smoothstep(0.25, 0.5, arm);
      alpha = smoothstep(-soft_n, soft_n, neck) * smoothstep(top_hem - soft_z, top_hem + soft_z, mix(r.z, 0.0,
        on_arm));
      alpha *= mix(1.0, 1.0 - smoothstep(sleeve - soft_a, sleeve + soft_a, along), smoothstep(0.05, 0.3, arm));
      c = top_colour;
      float waves = cos(stripe_width * mix(r.z, along * 7.5, on_arm));
      c *= 1.0 + stripes * smoothstep(-0.35, 0.35, waves) - 0.4 * stripes;
      // An open jacket: its inner layer is seen in front, its edges have a dark line.
      float ax = abs(r.x), wide = jacket * (0.35 + 0.75 * smoothstep(-8.5, -4.0, r.z) + 0.25 * fade(-12.5,
        -9.0, r.z));
      float front = fade(0.8, 1.4, r.y) * (1.0 - on_arm), set_in = smoothstep(0.02, 0.15, jacket) * front;
      float opened = fade(wide - 0.10, wide + 0.10, ax) * set_in;
      c *= 1.0 - 0.35 * exp(-sq((ax - wide - 0.14) / 0.12)) * set_in;
      c *= 1.0 - 0.18 * exp(-sq((ax - wide - 0.75 * smoothstep(-9.5, -3.0, r.z)) / 0.10)) * set_in;
      c = mix(c, inner_colour * (1.0 - 0.25 * smoothstep(wide - 0.35, wide, ax)), opened);
      float cuff = smoothstep(sleeve - 0.05, sleeve - 0.03, along) * on_arm + fade(top_hem + 0.22, top_hem
        + 0.32, mix(r.z, 0.0, on_arm));
      c *= 1.0 - 0.14 * clamp(cuff, 0.0, 1.0) - 0.16 * fade(0.12, 0.30, neck);
      // Armpits and elbows pull.
      slope *= 0.55 + 0.8 * exp(-sq((along - 0.52) / 0.14)) * on_arm + 0.5 * exp(-sq((r.z + 8.6) / 1.3))
        * (1.0 - on_arm);
      slope.x += 0.5 * sin(26.0 * along) * on_arm * (0.35 + exp(-sq((along - 0.52) / 0.15)));
    } else if (kind == TROUSERS) {
      alpha = smoothstep(trousers - soft_z, trousers + soft_z, r.z);
      c = trouser_colour;
      float ax = abs(r.x);
      c *= 1.0 - 0.10 * exp(-sq((r.z + 0.0 - trousers - 0.18) / 0.10));
      c *= 1.0 - 0.22 * exp(-sq((ax - 2.9) / 0.12)) * exp(-sq((r.y - 1.6) / 1.0)) - 0.20
        * exp(-sq(ax / 0.10)) * smoothstep(-14.2, -13.0, r.z) * fade(1.0, 1.6, r.y);
      float band = smoothstep(-10.35, -10.2, r.z);
      c = mix(c, mix(c * 0.8, shoe_colour * 0.7, belt), band);
      slope *= 0.35 + 0.6 * exp(-sq((r.z + 19.0) / 1.4)) + 0.8 * exp(-sq((r.z + 13.9) / 0.8)) + 0.8
        * exp(-sq((r.z - trousers - 0.5) / 0.7));
    } else if (kind == SHOES) {
      float top = shoe_height + 0.35 * smoothstep(1.2, 0.0, r.y) * fade(-25.6, -24.4, shoe_height);
      alpha = 1.0 - smoothstep(top - soft_z, top + soft_z, r.z);
      c = shoe_colour;
      float sole = fade(lowest + 0.18, lowest + 0.40, r.z);
      c = mix(c, mix(vec3(0.10), vec3(0.82), smoothstep(0.35, 0.6, dot(shoe_colour, vec3(0.33)))), sole);
      c *= 1.0 - 0.25 * exp(-sq((r.z - top + 0.15) / 0.12));
      c *= 1.0 + 0.35 * exp(-sq(r.x - sign(r.x) * 3.2) / 0.05) * exp(-sq((r.y + 0.3) / 0.7)) * (1.0 - sole);
      shine = 0.07; slope *= 0.15;
    } else {  // the skirt: r is angle around, -, height at rest
      // What is under the top is left out, so that it cannot come through.
      alpha = smoothstep(skirt - soft_z, skirt + soft_z, r.z);
      if (r.z > top_hem + 0.12) discard;
      c = skirt_colour * (1.0 - 0.12 * exp(-sq((r.z - skirt - 0.22) / 0.09)));
      slope = 0.35 * folds * vec2(sin(9.0 * r.x) + 0.6 * sin(14.0 * r.x + 1.0), 0.0) * smoothstep(-10.0, -15.0, r.z);
      float band = smoothstep(-10.35, -10.2, r.z);
      c *= 1.0 - 0.25 * band * belt;
    }
    if (alpha < 0.01) discard;
    vec3 side = normalize(vec3(n.y, -n.x, 0.0) + 1e-4);
    n = normalize(n + 0.16 * slope.x * side + vec3(0.0, 0.0, 0.16 * slope.y));
    c *= 1.0 + 0.05 * slope.y;
    if (inner) { c *= 0.45; ambient *= 0.5; shine = 0.0; }
  }
  pixel = vec4(shade(c, n, v, ambient, shine, sharp, wrap, seen), alpha);
}
"""


def surface_fragment(kind: int) -> str:
    """The fragment shader of one kind of surface, for :data:`SURFACE_VERTEX`."""
    names = ("SKIN", "EYE", "TOP", "TROUSERS", "SHOES", "SKIRT")
    kinds = f"const int {', '.join(f'{name} = {number}' for number, name in enumerate(names))};\n"
    return of_edition(_MATHS + kinds + f"const int kind = {kind};\n" + _PAINT_PLACE + _SHADE + _SURFACE, EDITION)


# The shadow on the floor: where light does not reach, the floor that is there already is darkened.
FLOOR_VERTEX = of_edition(
    _LIT_SHARE.replace("taps = 24", "taps = 20")
    + _SKY_SHARE
    + """
in vec3 position;
uniform mat4 camera;
uniform float light_softness;
out float dark;
void main() {
  gl_Position = camera * vec4(position, 1.0);
  float far = length(position.xy - vec2(0.0, 2.0)) / 11.0;
  float lost = (1.0 - lit_share(position, vec3(0, 0, 1))) * (0.42 - 0.26 * light_softness);
  lost += (1.0 - open_share(position, vec3(0, 0, 1))) * (0.20 + 0.22 * light_softness);
  dark = lost * (1.0 - smoothstep(0.55, 1.0, far));
}
""",
    EDITION,
)
FLOOR_FRAGMENT = """#version 330
in float dark;
out vec4 pixel;
void main() { pixel = vec4(0.02, 0.02, 0.03, clamp(dark, 0.0, 0.85)); }
"""

BACK_FRAGMENT = (
    _MATHS
    + """
in vec2 at;
out vec4 pixel;
uniform vec3 back_wall, back_other, back_sky, back_leaves, back_floor, light_colour;
uniform float outdoors, back_contrast, floor_edge, light_softness;
uniform vec2 back_shape;
uniform vec3 light_direction;
uniform sampler2D clouds;  // three smooth noises, 0..1
// Out of focus: a wall with a door or window and a lamp's light, or sky, trees and hedges; a floor in front of it.
void main() {
  vec2 p = vec2(at.x, at.y * 2.0);  // units of half the width
  float above = at.y - floor_edge;
  vec3 wall = back_wall * (1.0 + 0.16 * back_contrast * (at.x * sign(light_direction.x + 1e-3) * 0.6 + 0.5 * at.y));
  float x = p.x - back_shape.x, indoors = back_contrast * (1.0 - outdoors) * (1.0 - outdoors);
  float door = smoothstep(-0.12, 0.12, x + 0.42) * (1.0 - smoothstep(-0.12, 0.12, x - 0.42))
    * (1.0 - smoothstep(0.9, 1.1, p.y - 0.15));
  wall = mix(wall, back_other, 0.75 * door * clamp(1.1 * indoors, 0.0, 1.0));
  float pane = smoothstep(-0.1, 0.1, x + 1.5) * (1.0 - smoothstep(-0.1, 0.1, x + 0.85)) * smoothstep(-0.1,
    0.15, p.y - 0.1) * (1.0 - smoothstep(-0.1, 0.15, p.y - 1.35));
  float pane_b = smoothstep(-0.1, 0.1, x - 0.85) * (1.0 - smoothstep(-0.1, 0.1, x - 1.5)) * smoothstep(-0.1,
    0.15, p.y - 0.1) * (1.0 - smoothstep(-0.1, 0.15, p.y - 1.35));
  wall = mix(wall, mix(back_sky, vec3(0.95, 0.95, 0.92), 0.5), 0.7 * (pane + pane_b) * clamp(indoors, 0.0, 1.0));
  vec2 far = p - vec2(back_shape.y, 0.6);
  wall += vec3(0.10, 0.09, 0.07) * back_contrast * exp(-dot(far, far) / 0.9);
  wall *= 1.0 - 0.22 * (1.0 - smoothstep(0.0, 0.10, above));
  vec3 bushes = texture(clouds, 0.10 * p + 0.11 * back_shape).xyz, twigs = texture(clouds, 0.33 * p.yx + 0.2).xyz;
  float tree = -0.05 + 1.6 * (bushes.x - 0.4) + 0.25 * twigs.y;
  float leafy = 1.0 - smoothstep(-0.16, 0.16, at.y - tree);
  vec3 leaves = back_leaves * (0.45 + back_contrast * (1.1 * (bushes.y - 0.5) + 0.6 * (twigs.x - 0.5)) + 0.95
    * bushes.z);
  leaves *= 0.75 + 0.5 * smoothstep(-0.6, 0.5, at.y);
  vec3 open_air = mix(back_sky * (1.0 - 0.10 * at.y), leaves, leafy);
  vec3 c = mix(wall, open_air, outdoors);
  float depth = clamp(-above / max(floor_edge + 1.0, 0.05), 0.0, 1.0);
  vec3 ground = back_floor * (0.86 + 0.24 * depth) * (1.0 + 0.05 * (1.0 - outdoors) * sin(2.2 / (0.12
    + depth)) * depth);
  vec2 q = vec2(p.x / (0.45 + depth), 2.2 / (0.35 + depth));
  ground *= 1.0 + 0.30 * outdoors * (texture(clouds, 0.16 * q + back_shape * 0.1).x - 0.5);
  float blur = mix(0.012, 0.05, outdoors);
  c = mix(ground, c, smoothstep(-blur, blur, above));
  c *= mix(light_colour, vec3(1.0), 0.55) * (1.0 - 0.05 * dot(at, at));
  pixel = vec4(clamp(c, 0.0, 1.0), 1.0);
}
"""
)
