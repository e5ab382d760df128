"""80 normal numbers -> one face as a scene: shape, expression, pose, colours, light.

Every number of the latent has a name and acts smoothly and alone as far as possible, so that a generator can learn
the map from latent to picture and so that what it learned can be dragged about. A number becomes either coefficients of
the head's basis (shape axes, expressions), or the pose, or a value that shaders and the hair read by name. What is
rare, such as a grin, a beard or freckles, sets in by a soft ramp, so nothing has a corner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from basis import JAW_WIDTH, LEFT_BROW, PHENOTYPE, RIGHT_BROW, HeadBasis, phenotype_features
from scipy.special import ndtr

EDITIONS = (1, 2, 3)
"""Those that can be drawn. The second has single hairs, a skin with detail, more kinds of light and backgrounds; in the
third lids, brows and jaws go as far as those of people."""

LOCAL_AXES: dict[str, dict[str, float]] = {
    "nose_width": {"nose-scale-horiz-incr": 0.8, "nose-nostrils-width-incr": 0.5},
    "nose_length": {"nose-scale-vert-incr": 0.9, "nose-point-up": -0.4},
    "nose_depth": {"nose-scale-depth-incr": 0.9, "nose-trans-forward": 0.3},
    "nose_bridge": {"nose-hump-incr": 0.8, "nose-curve-convex": 0.5, "nose-width1-incr": 0.4},
    "mouth_width": {"mouth-scale-horiz-incr": 1.0},
    "lip_fullness": {
        "mouth-upperlip-volume-incr": 0.7,
        "mouth-lowerlip-volume-incr": 0.7,
        "mouth-upperlip-height-incr": 0.6,
        "mouth-lowerlip-height-incr": 0.6,
    },
    "mouth_height": {"mouth-trans-up": 0.9},
    "eye_size": {"l-eye-scale-incr": 0.9},
    "eye_tilt": {"l-eye-corner1-up": -0.6, "l-eye-corner2-up": 0.8},
    "eye_opening": {"l-eye-height1-incr": 0.5, "l-eye-height2-incr": 0.7, "l-eye-height3-incr": 0.5},
    "eye_spacing": {"l-eye-trans-out": 0.8},
    "brow_shape": {"eyebrows-trans-up": 0.7, "eyebrows-angle-up": 0.5},
    "chin_length": {"chin-jaw-drop-incr": 0.8, "chin-height-incr": 0.6, "chin-prominent-incr": 0.3},
    "jaw_width": {"chin-bones-incr": 0.8, "chin-width-incr": 0.8, "head-fat-incr": 0.3},
    "cheeks": {"l-cheek-volume-incr": 0.6, "l-cheek-bones-incr": 0.7},
    "head_shape": {"head-scale-horiz-incr": 0.5, "head-scale-vert-incr": -0.5},
    "ears": {"l-ear-scale-incr": 0.5, "l-ear-wing-incr": 0.5},
}
"""Each shape axis of the latent as a blend of MakeHuman's local changes (left ones stand for both sides)."""

SEX_CHANGES = {
    "chin-bones-incr": 0.36,
    "chin-width-incr": 0.30,
    "chin-jaw-drop-incr": 0.15,
    "eyebrows-trans-up": -0.28,
    "l-eye-scale-incr": -0.26,
    "l-eye-height2-incr": -0.16,
    "mouth-upperlip-height-incr": -0.22,
    "mouth-lowerlip-height-incr": -0.22,
    "nose-scale-horiz-incr": 0.22,
    "nose-scale-vert-incr": 0.16,
    "nose-hump-incr": 0.15,
    "neck-scale-horiz-incr": 0.30,
}
"""What sets male from female faces apart beyond the phenotype; at half of it each."""

# fmt: off
LATENT = (
    "sex", "age", "muscle", "weight", "african", "asian",
    *LOCAL_AXES,
    "smile", "jaw", "mouth_shift", "pucker", "blink", "wink", "brow_raise", "brow_inner", "gaze_x", "gaze_y",
    "upper_lip", "yaw", "pitch", "roll", "shift_x", "shift_y", "zoom", "light_x", "light_z", "light_warmth",
    "skin_tone", "skin_warmth", "hair_tone", "hair_red", "grey", "iris", "lip_colour", "blush",
    "shirt_light", "shirt_blue", "shirt_red", "back_light", "back_blue", "back_red",
    "brow_weight", "hair_length", "hairline", "hair_volume", "beard", "collar", "parting",
    "hair_wave", "fringe", "hair_flare", "hair_back", "brow_arch", "eye_makeup", "freckles", "light_softness",
    "light_height", "back_slope", "back_glow_x", "back_glow_y", "back_contrast", "lean", "asymmetry", "neckline",
)
# fmt: on
"""What each of the 80 numbers means, in order."""

assert len(LATENT) == 80


@dataclass(frozen=True)
class Scene:
    """What the renderer needs besides the basis: vertices' coefficients, pose, and named shader values."""

    phenotype: np.ndarray  # (27,)
    local: np.ndarray  # (L,)
    actions: np.ndarray  # (A,)
    yaw: float
    pitch: float
    roll: float
    shift: tuple[float, float]
    zoom: float
    uniforms: dict[str, float | tuple[float, ...]]
    lean: float = 0.0  # of the shoulders, radians


def _mix(stops: np.ndarray, place: float) -> np.ndarray:
    """A colour at ``place`` 0..1 along evenly spaced ``stops`` (K, 3)."""
    where = np.clip(place, 0, 1) * (len(stops) - 1)
    return np.array([np.interp(where, np.arange(len(stops)), stops[:, channel]) for channel in range(3)])


def _colour(light: float, blue: float, red: float) -> np.ndarray:
    """A colour from luma and two chroma numbers (BT.601), inside [0.03, 0.97]."""
    rgb = np.array([light + 1.402 * red, light - 0.344 * blue - 0.714 * red, light + 1.772 * blue])
    return np.clip(rgb, 0.03, 0.97)


def _soft_ramp(value: float, start: float, width: float, sharp: float = 6) -> float:
    """0 below ``start``, then about ``(value - start) / width``; the less ``sharp``, the sooner it rises."""
    scaled = (value - start) / width
    return float(np.logaddexp(0.0, sharp * scaled) / sharp)


SKIN = np.array([[0.37, 0.25, 0.20], [0.54, 0.38, 0.30], [0.73, 0.55, 0.45], [0.86, 0.69, 0.60], [0.94, 0.80, 0.73]])
HAIR = np.array([[0.07, 0.055, 0.05], [0.15, 0.10, 0.075], [0.28, 0.18, 0.12], [0.47, 0.33, 0.20], [0.78, 0.64, 0.42]])
IRIS = np.array([[0.20, 0.12, 0.07], [0.31, 0.20, 0.11], [0.33, 0.37, 0.23], [0.32, 0.44, 0.56]])


def scene_from_latent(latent: np.ndarray, basis: HeadBasis, edition: int = EDITIONS[-1]) -> Scene:
    """The scene of one latent ``(80,)``, as the renderer of an ``edition`` draws it.

    The latent is brought to unit mean square first, since that is all a StyleGAN2 mapping sees of it.
    """
    latent = np.asarray(latent, float)
    latent = latent / np.sqrt(np.square(latent).mean() + 1e-8)
    z = dict(zip(LATENT, np.clip(latent, -2.6, 2.6), strict=True))
    u = {name: float(ndtr(value)) for name, value in z.items()}

    female = 1 - float(ndtr(2.0 * z["sex"]))
    male = 1 - female
    share = np.exp([1.3 * z["african"], 1.3 * z["asian"], 0.6])
    african, asian, _ = share / share.sum()
    kinds = {
        "gender": 0.02 + 0.96 * male,
        "age": 0.64 + 0.33 * u["age"] ** 1.6,
        "muscle": 0.5 + 0.17 * z["muscle"],
        "weight": 0.5 + 0.17 * z["weight"],
        "african": african,
        "asian": asian,
    }
    old = u["age"] ** 1.6

    local = np.zeros(len(basis.local_names))
    for axis, blend in LOCAL_AXES.items():
        for name, amount in blend.items():
            local[basis.local_names.index(name)] += 0.42 * z[axis] * amount
    if edition >= 3:
        local[basis.local_names.index(JAW_WIDTH)] += 0.035 * z["jaw_width"]
    local[basis.local_names.index("head-age-incr")] += 0.5 * old
    local[basis.local_names.index("mouth-angles-up")] += 0.40
    for name, amount in SEX_CHANGES.items():
        local[basis.local_names.index(name)] += amount * (male - female)

    actions = np.zeros(len(basis.action_names))

    def act(amount: float, *names: str) -> None:
        for name in names:
            actions[basis.action_names.index(name)] += amount

    smile = _soft_ramp(z["smile"], -0.9, 2.1)
    grin = _soft_ramp(z["smile"], 0.4, 1.7)
    frown = _soft_ramp(-z["smile"], 1.1, 2.2)
    jaw = _soft_ramp(z["jaw"], 0.75, 2.1, 6 if edition < 3 else 3)
    shift, uneven = z["mouth_shift"], z["asymmetry"]
    act(smile * (1 + 0.18 * shift + 0.12 * uneven), "mouthSmileLeft")
    act(smile * (1 - 0.18 * shift - 0.12 * uneven), "mouthSmileRight")
    act(0.32 * smile, "cheekSquintLeft", "cheekSquintRight")
    act(0.12 * grin, "eyeSquintLeft", "eyeSquintRight")
    teeth = _soft_ramp(z["upper_lip"], 0.6, 1.6)
    act(0.11 * float(np.exp(-2.0 * (jaw + grin + teeth))), "mouthClose")
    act(0.60 * grin + 0.30 * jaw + 0.25 * teeth, "mouthUpperUpLeft", "mouthUpperUpRight")
    act(0.30 * grin + 0.20 * _soft_ramp(-z["upper_lip"], 0.8, 1.6), "mouthLowerDownLeft", "mouthLowerDownRight")
    act(0.55 * frown, "mouthFrownLeft", "mouthFrownRight")
    act(0.10 * grin + jaw, "jawOpen")
    act(0.16 * _soft_ramp(shift, 0.0, 1.0), "mouthLeft", "jawLeft")
    act(0.16 * _soft_ramp(-shift, 0.0, 1.0), "mouthRight", "jawRight")
    act(0.50 * _soft_ramp(z["pucker"], 0.7, 1.6), "mouthPucker", "mouthFunnel")
    act(0.35 * _soft_ramp(-z["pucker"], 0.8, 1.6), "mouthStretchLeft", "mouthStretchRight")
    raised, lowered = _soft_ramp(z["brow_raise"], 0.2, 2.0), _soft_ramp(-z["brow_raise"], 0.6, 2.4)
    for side, sign, brow in (("Left", 1, LEFT_BROW), ("Right", -1, RIGHT_BROW)):
        act(0.9 * raised + 0.16 * sign * uneven, f"browOuterUp{side}")
        act(0.7 * lowered - 0.06 * sign * uneven, f"browDown{side}")
        act(0.05 * sign * uneven, f"noseSneer{side}")
        if edition < 3:
            lid = z["blink"] + 0.5 * sign * z["wink"]
            closed = _soft_ramp(lid, 1.35, 0.5)
            closed = closed / (1 + closed**6) ** (1 / 6)
            wide = 0.50 + 0.4 * _soft_ramp(-lid, 0.5, 1.6)
        else:
            # As far as faces go, and evenly: a lid that snaps shut, or a brow that hardly moves, cannot be pulled.
            lid = z["blink"] + 0.6 * sign * z["wink"]
            closed = float(ndtr((lid - 1.6) / 0.9))
            wide = 0.55 + 0.6 * _soft_ramp(-lid, 0.2, 1.0)
            local[basis.local_names.index(brow)] += 0.05 * z["brow_raise"] + 0.04 * sign * uneven
        act(closed, f"eyeBlink{side}")
        act(wide * (1 - closed), f"eyeWide{side}")
    act(0.12 + 0.5 * raised + 0.6 * _soft_ramp(z["brow_inner"], 0.9, 2.2), "browInnerUp")

    tone = 0.70 - 0.62 * african - 0.06 * asian + 0.10 * z["skin_tone"]
    skin = _mix(SKIN, tone) * (1 + np.array([0.02, 0.0, -0.03]) * z["skin_warmth"])
    fair = 0.36 + 0.26 * z["hair_tone"] - 0.5 * (african + asian - 0.55)
    hair = _mix(HAIR, fair) * (1 + np.array([0.30, 0.02, -0.12]) * _soft_ramp(z["hair_red"], 0.4, 1.5))
    grey = float(ndtr(3.2 * (1.5 * old - 1.1) + 0.7 * z["grey"]))
    hair = hair * (1 - 0.85 * grey) + np.array([0.66, 0.65, 0.64]) * 0.85 * grey
    makeup = float(ndtr(1.2 * z["eye_makeup"] - 1.0)) * (0.15 + 0.85 * female)
    rose = np.array([0.78, 0.40, 0.42]) * (0.45 + 0.62 * skin.mean())
    red = 0.28 + 0.16 * female
    lips = (1 - red) * skin * np.array([0.96, 0.82, 0.82]) + red * rose
    lips = lips + (0.035 * z["lip_colour"] + 0.02 * female + 0.10 * makeup) * np.array([0.5, -0.8, -0.55])
    iris = _mix(IRIS, float(ndtr(z["iris"] - 2.0 * (african + asian - 0.35))))

    warmth = 0.04 * z["light_warmth"]
    light = np.array([0.55 * z["light_x"], -1.25, 0.75 + 0.25 * z["light_z"]])
    light /= np.linalg.norm(light)
    back = _colour(0.58 + 0.13 * z["back_light"], 0.028 * z["back_blue"], 0.022 * z["back_red"])
    shirt = _colour(0.42 + 0.16 * z["shirt_light"], 0.045 * z["shirt_blue"], 0.035 * z["shirt_red"])
    length = float(ndtr(1.15 * z["hair_length"] + 0.75 * (female - male)))
    uniforms: dict[str, float | tuple[float, ...]] = {
        "light_direction": tuple(light),
        "light_softness": u["light_softness"],
        "light_top": 0.16 * z["light_height"],
        "shadow_radius": 0.012 + 0.026 * u["light_softness"],
        "light_colour": (0.99 + warmth, 0.97, 0.94 - warmth),
        "skin": tuple(np.clip(skin, 0, 1)),
        "hair": tuple(np.clip(hair, 0, 1)),
        "lips": tuple(np.clip(lips, 0, 1)),
        "iris": tuple(iris),
        "shirt": tuple(shirt),
        "back": tuple(back),
        "blush": 0.20 + 0.08 * z["blush"] + 0.10 * female,
        "brow_weight": float(0.068 * np.exp(0.20 * z["brow_weight"] + 0.30 * (male - female))),
        "brow_arch": 0.012 + 0.022 * z["brow_arch"] + 0.014 * (female - male),
        "freckles": float(_soft_ramp(z["freckles"] + 0.6 * (tone - 0.6), 0.8, 1.5)),
        "makeup": 0.75 * makeup,
        "eye_shade": (0.62, 0.50, 0.52),
        "lash_weight": 0.62 + 0.26 * female + 0.25 * makeup,
        "lines": (
            0.03 + 0.18 * old * old,
            0.04 + 0.22 * old * old + 0.08 * grin,
            0.16 * old**3 + 0.03 * raised,
            0.18 * old * old + 0.04 * grin,
        ),
        "brow_colour": tuple(np.clip(hair * 0.62 + skin * 0.06, 0, 1)),
        "hair_length": 1.1 - 4.6 * length,
        "hair_rise": float(0.10 * z["hairline"] + 0.22 * old * male),
        "hair_volume": float(0.20 + 0.055 * z["hair_volume"]),
        "beard": float(male * np.tanh(_soft_ramp(z["beard"], 0.1, 1.3))),
        "collar": (0.16 + 0.30 * _soft_ramp(z["collar"], -0.4, 1.2), u["neckline"]),
        "back_way": (float(np.sin(1.1 * z["back_slope"])), float(np.cos(1.1 * z["back_slope"]))),
        "back_glow": (0.55 * z["back_glow_x"], 0.30 + 0.45 * z["back_glow_y"]),
        "back_contrast": float(0.5 * np.exp(0.4 * z["back_contrast"])),
        "parting": float(0.50 * np.tanh(0.9 * z["parting"])),
        "hair_wave": _soft_ramp(z["hair_wave"], -0.2, 1.2),
        "fringe": float(ndtr(1.6 * z["fringe"] - 1.3)),
        "hair_flare": float(0.45 * z["hair_flare"]),
        "hair_back": float(ndtr(1.5 * z["hair_back"] - 0.9)),
        "gaze": (0.10 * z["gaze_x"], 0.07 * z["gaze_y"]),
    }
    if edition >= 2:
        uniforms |= _second_edition(z, u, hair, skin, grey, float(african))
        uniforms["beard"] = float(male * male * np.tanh(_soft_ramp(z["beard"], 0.1, 1.3)))
    return Scene(
        phenotype=phenotype_features(np.array([kinds[name] for name in PHENOTYPE])),
        local=local,
        actions=actions,
        yaw=0.25 * z["yaw"],
        pitch=0.09 * z["pitch"] + 0.02,
        roll=0.05 * z["roll"],
        shift=(0.06 * z["shift_x"], 0.05 * z["shift_y"]),
        zoom=float(np.exp(0.035 * z["zoom"])),
        uniforms=uniforms,
        lean=0.09 * z["lean"],
    )


def _second_edition(
    z: dict[str, float], u: dict[str, float], hair: np.ndarray, skin: np.ndarray, grey: float, african: float
) -> dict[str, float | tuple[float, ...]]:
    """What editions from the second on draw otherwise: hairs, wider light, rooms for backgrounds."""
    towards = np.array([1.45 * z["light_x"], -1.0, 0.70 + 0.45 * z["light_z"]])
    towards /= np.linalg.norm(towards)
    warm, hard = z["light_warmth"], 1 - u["light_softness"]
    power = 1.02 + 0.28 * hard
    key = power * np.array([1.0 + 0.095 * warm, 0.97, 0.93 - 0.11 * warm])
    ambient = (0.46 + 0.42 * u["light_softness"]) * (1 + 0.16 * z["light_height"])
    sky = ambient * np.array([0.34 - 0.030 * warm, 0.355, 0.385 + 0.045 * warm])
    room = np.array([1.0, 0.9, 0.82]) * 0.62 * ambient * 0.32
    back = _colour(0.50 + 0.17 * z["back_light"], 0.030 * z["back_blue"], 0.024 * z["back_red"])
    other = _colour(
        0.30 + 0.11 * z["back_light"] + 0.08 * z["back_contrast"],
        0.026 * (0.5 * z["back_blue"] - z["back_glow_x"]),
        0.026 * (0.5 * z["back_red"] - z["back_slope"]),
    )
    lamp = np.clip(np.array([0.90, 0.82, 0.70]) + np.array([0.08, 0.0, -0.12]) * (z["back_red"] - z["back_blue"]), 0, 1)
    rim = np.array([-0.9 * np.tanh(2 * z["light_x"]) + 0.25 * z["back_glow_x"], 0.75, 0.55])
    rim_power = 0.45 * float(ndtr(0.9 * z["back_contrast"] - 0.3)) * (0.5 + u["back_light"])
    return {
        "light_direction": tuple(towards),
        "shadow_radius": 0.008 + 0.034 * u["light_softness"],
        "light_colour": tuple(key),
        "sky_colour": tuple(sky),
        "ground_colour": tuple(room),
        "fill_colour": tuple(ambient * np.array([0.17, 0.175, 0.185])),
        "rim_direction": tuple(rim / np.linalg.norm(rim)),
        "rim_colour": tuple(rim_power * (0.55 * lamp + 0.45)),
        "back": tuple(back),
        "back_other": tuple(other),
        "back_lamp": tuple(lamp),
        "back_room": (
            -0.15 + 0.35 * z["back_slope"],
            -0.75 + 0.55 * z["back_glow_x"],
            0.85 + 0.45 * z["back_glow_y"],
            float(ndtr(0.8 * z["back_contrast"] + 0.5)),
        ),
        "hair_curl": float(african * ndtr(1.5 * z["hair_wave"])),
        "hair_grey": grey,
        "brow_colour": tuple(np.clip(hair * 0.72 + skin * 0.13, 0, 1)),
        "beard_colour": tuple(np.clip(hair * 0.88 + skin * 0.12, 0, 1)),
        "down_colour": tuple(np.clip(hair * 0.70 + skin * 0.28, 0, 1)),
    }
