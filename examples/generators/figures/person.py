"""107 named normal numbers -> one person as a scene: body, pose, hair, clothes, light and what is behind.

Every number has a name and acts smoothly and alone as far as possible, so that a generator can learn the map from
numbers to picture, and so that what it learned can be dragged about. Lengths of clothes are places on the body, along
an arm (0 at the shoulder, 1 at the wrist) or by height at rest; a skirt is there for everybody, and that of most ends
under the hem of the top. What is rare, such as a raised arm, sets in by a soft ramp, so nothing has a corner.
"""

from __future__ import annotations

from dataclasses import dataclass

import beside  # noqa: F401  for the faces' modules
import numpy as np
from body import SHAPES, BodyBasis, body_features
from posing import pose
from scene import HAIR, SKIN, _colour, _mix, _soft_ramp
from scipy.special import ndtr

# fmt: off
LATENT = (
    "sex", "age", "muscle", "weight", "african", "asian", *SHAPES,
    "turn", "sway", "lean", "bend", "twist", "head_turn", "head_nod", "head_tilt",
    *(f"{name}_{side}" for side in ("left", "right") for name in (
        "arm_raise", "arm_front", "arm_roll", "elbow", "wrist", "leg_out", "leg_front", "knee", "foot_turn")),
    "shift_x", "shift_y", "zoom", "camera_height",
    "sleeve", "sleeve_width", "top_hem", "top_width", "neckline", "collar", "jacket", "stripes", "stripe_width",
    "trousers", "trouser_width", "trouser_flare", "skirt", "skirt_flare", "dress", "belt", "shoe_height",
    "top_light", "top_blue", "top_red", "inner_light", "trouser_light", "trouser_blue", "trouser_red",
    "skirt_light", "skirt_blue", "skirt_red", "shoe_light", "shoe_red", "folds",
    "skin_tone", "skin_warmth", "hair_tone", "hair_red", "grey", "lip_colour", "brow_weight", "beard",
    "hair_length", "hairline", "hair_volume", "parting", "hair_wave", "fringe", "hair_flare", "hair_back",
    "light_x", "light_z", "light_warmth", "light_softness", "light_height",
    "back_light", "back_blue", "back_red", "floor_light", "floor_red", "outdoors", "back_shape", "back_other",
    "back_glow_x", "back_contrast",
)
# fmt: on
"""What each of the numbers means, in order."""

FURTHEST = 2.6
"""σ beyond which nothing changes."""
WAIST, HIP, CROTCH, KNEE, ANKLE = -8.9, -12.3, -14.0, -18.9, -26.0
"""Heights of the average body at rest, in eye distances; between its eyes is 0."""


@dataclass(frozen=True)
class Person:
    """What the renderer needs besides the basis."""

    phenotype: np.ndarray  # (27,)
    shapes: np.ndarray  # (S,)
    turns: dict[str, np.ndarray]  # bone -> rotation (3, 3) beyond its parent's
    shift: tuple[float, float]
    zoom: float
    camera_height: float
    lengths: dict[str, float]  # of clothes: "sleeve" along the arm, the others heights at rest where they end
    widths: dict[str, float]  # how far clothes stand off, in eye distances
    uniforms: dict[str, float | tuple[float, ...]]


def normalised(latents: np.ndarray) -> np.ndarray:
    """What the renderer makes of latents ``(..., 107)``: at unit mean square, and within its range."""
    latents = np.asarray(latents, float)
    size = np.sqrt(np.square(latents).mean(-1, keepdims=True) + 1e-8)
    return np.clip(latents / size, -FURTHEST, FURTHEST)


def _squeezed(value: float, low: float, high: float) -> float:
    """About ``value``, smoothly kept between ``low`` and ``high``."""
    middle, half = (low + high) / 2, (high - low) / 2
    return float(middle + half * np.tanh((value - middle) / half))


def _cloth(light: float, blue: float, red: float) -> np.ndarray:
    """A colour as :func:`_colour`, less strong where it is weak: most cloth is nearly grey, some is not."""
    strength = np.hypot(blue, red)
    share = strength / (strength + 0.06)
    return _colour(_squeezed(light, 0.02, 0.95), share * blue, share * red)


def person_from_latent(latent: np.ndarray, basis: BodyBasis) -> Person:
    """The person of one latent ``(107,)``, brought to unit mean square first, as a StyleGAN2 mapping sees it."""
    z = dict(zip(LATENT, normalised(latent).tolist()))
    u = {name: float(ndtr(value)) for name, value in z.items()}
    female = 1 - float(ndtr(2.2 * z["sex"]))
    male = 1 - female
    share = np.exp([1.3 * z["african"], 1.3 * z["asian"], 0.6])
    african, asian, _ = share / share.sum()
    old = u["age"] ** 1.6
    kinds = {
        "gender": 0.03 + 0.94 * male,
        "age": 0.64 + 0.30 * old,
        "muscle": 0.52 + 0.10 * z["muscle"],
        "weight": 0.50 + 0.12 * z["weight"],
        "african": african,
        "asian": asian,
    }
    amounts = {"waist_width": 0.55, "hip_width": 0.42, "shoulder_width": 0.35, "bust": 0.32, "leg_length": 0.28,
               "belly": 0.16, "limb_width": 0.32, "head_size": 0.10, "face_length": 0.35, "jaw_width": 0.4}  # fmt: skip
    shapes = np.array([amounts[name] * z[name] for name in SHAPES])
    phenotype = body_features(kinds)
    height = basis.height(phenotype, shapes)

    # Clothes. A skirt of nobody's ends under the top; with a skirt, what is under it is short.
    skirted = float(ndtr(5.5 * (z["skirt"] * 0.70 + 1.0 * (female - male) - 0.80)))
    reach = _soft_ramp(0.65 * z["skirt"] + 0.8 * (female - male), 0.5, 1.0)
    top_hem = _squeezed(-11.5 - 0.95 * z["top_hem"], -13.4, -9.9)
    hidden = top_hem + 0.7
    skirt_end = hidden + skirted * (-16.2 - 5.2 * _squeezed(reach, -0.1, 1.9) - hidden)
    trouser_end = _squeezed(-23.0 - 3.8 * (z["trousers"] + 0.55), -26.6, -16.4)
    shortened = float(ndtr(4.2 * (z["skirt"] * 0.70 + 1.0 * (female - male) - 0.58)))
    trouser_end = trouser_end + shortened * (-15.2 - trouser_end)
    sleeve = _squeezed(0.60 + 0.40 * z["sleeve"] + 0.08 * (male - female), 0.15, 1.04)
    lengths = {
        "sleeve": sleeve,
        "trousers": trouser_end,
        "skirt": skirt_end,
        "top_hem": top_hem,
        "shoe_height": _squeezed(-26.0 + 1.2 * _soft_ramp(z["shoe_height"], 0.2, 1.0), -26.4, -21.8),
    }
    widths = {
        "sleeve": 0.20 + 0.11 * float(np.exp(0.55 * z["sleeve_width"])),
        "top": 0.10 + 0.20 * float(np.exp(0.55 * z["top_width"])),
        "trousers": 0.07 + 0.11 * float(np.exp(0.60 * z["trouser_width"])),
        "trouser_flare": 0.16 * float(np.exp(0.7 * z["trouser_flare"])),
        "skirt_flare": float(0.10 + 0.95 * np.exp(0.5 * z["skirt_flare"])),
    }
    jacket = _soft_ramp(z["jacket"], 0.45, 1.0)
    top = _cloth(0.45 + 0.24 * z["top_light"], 0.085 * z["top_blue"], 0.085 * z["top_red"])
    inner = _colour(0.66 + 0.20 * z["inner_light"], 0.03 * z["top_blue"], -0.03 * z["top_red"])
    trouser = _cloth(0.31 + 0.17 * z["trouser_light"], 0.016 + 0.050 * z["trouser_blue"], 0.036 * z["trouser_red"])
    skirt = _cloth(0.40 + 0.22 * z["skirt_light"], 0.075 * z["skirt_blue"], 0.075 * z["skirt_red"])
    dress = float(ndtr(2.5 * z["dress"] - 0.4))
    skirt = skirt + (top - skirt) * dress
    shoe = _colour(0.26 + 0.20 * z["shoe_light"], -0.012 - 0.02 * z["shoe_red"], 0.012 + 0.05 * z["shoe_red"])
    tone = 0.70 - 0.62 * african - 0.06 * asian + 0.10 * z["skin_tone"]
    skin = _mix(SKIN, tone) * (1 + np.array([0.02, 0.0, -0.03]) * z["skin_warmth"])
    fair = 0.36 + 0.26 * z["hair_tone"] - 0.5 * (african + asian - 0.55)
    hair = _mix(HAIR, fair) * (1 + np.array([0.30, 0.02, -0.12]) * _soft_ramp(z["hair_red"], 0.4, 1.5))
    grey = float(ndtr(3.2 * (1.5 * old - 1.1) + 0.7 * z["grey"]))
    hair = np.clip(hair * (1 - 0.85 * grey) + np.array([0.66, 0.65, 0.64]) * 0.85 * grey, 0, 1)
    lips = 0.66 * skin * np.array([0.98, 0.76, 0.76]) + (0.30 + 0.05 * z["lip_colour"] * female) * np.array(
        [0.70, 0.26, 0.30]
    ) * (0.4 + 0.7 * skin.mean())
    length = float(ndtr(1.15 * z["hair_length"] + 0.85 * (female - male)))
    return Person(
        phenotype=phenotype,
        shapes=shapes,
        turns=pose(z, basis),
        shift=(0.45 * z["shift_x"], 0.40 * z["shift_y"]),
        # Small people are shown larger and tall ones smaller, half the way.
        zoom=float(np.exp(0.04 * z["zoom"]) * np.sqrt(29.4 / height)),
        camera_height=13.5 + 2.2 * z["camera_height"],
        lengths=lengths,
        widths=widths,
        uniforms={
            "skin": tuple(np.clip(skin, 0, 1)),
            "hair": tuple(hair),
            "lips": tuple(np.clip(lips, 0, 1)),
            "brow_colour": tuple(np.clip(0.72 * hair + 0.13 * skin, 0, 1)),
            "brow_weight": float(0.080 * np.exp(0.20 * z["brow_weight"] + 0.25 * (male - female))),
            "beard": float(male * np.tanh(_soft_ramp(z["beard"], 0.1, 1.3))),
            "hair_length": 1.1 - 4.6 * length,
            "hair_rise": float(0.10 * z["hairline"] + 0.22 * old * male),
            "hair_volume": float(0.26 + 0.06 * z["hair_volume"]),
            "parting": float(0.50 * np.tanh(0.9 * z["parting"])),
            "hair_wave": _soft_ramp(z["hair_wave"], -0.2, 1.2),
            "fringe": float(ndtr(1.6 * z["fringe"] - 1.3)),
            "hair_flare": float(0.45 * z["hair_flare"]),
            "hair_back": float(ndtr(1.5 * z["hair_back"] - 0.9)),
            "top_colour": tuple(top),
            "inner_colour": tuple(inner),
            "trouser_colour": tuple(trouser),
            "skirt_colour": tuple(skirt),
            "shoe_colour": tuple(shoe),
            "jacket": float(np.tanh(0.9 * jacket)),
            "neckline": 0.30 + 1.35 * _soft_ramp(z["neckline"] + 0.3 * (female - male), 0.1, 1.4),
            "collar": u["collar"],
            "stripes": float(0.34 * np.tanh(_soft_ramp(z["stripes"], 0.7, 0.9))),
            "stripe_width": float(5.2 * np.exp(0.22 * z["stripe_width"])),
            "belt": float(ndtr(2.0 * z["belt"] - 0.6)),
            "folds": float(0.55 + 0.9 * u["folds"]),
            **_light(z, u),
            **_behind(z),
        },
    )


def _light(z: dict[str, float], u: dict[str, float]) -> dict[str, float | tuple[float, ...]]:
    towards = np.array([0.85 * z["light_x"], -1.0, 0.95 + 0.35 * z["light_z"]])
    towards /= np.linalg.norm(towards)
    warm, soft = z["light_warmth"], u["light_softness"]
    ambient = (0.54 + 0.42 * soft) * (1 + 0.12 * z["light_height"])
    rim = np.array([-0.9 * np.tanh(2 * z["light_x"]), 0.75, 0.55])
    return {
        "light_direction": tuple(towards),
        "light_softness": soft,
        "light_top": 0.0,
        "shadow_radius": 0.012 + 0.03 * soft,
        "light_colour": tuple((1.10 + 0.25 * (1 - soft)) * np.array([1.0 + 0.08 * warm, 0.97, 0.93 - 0.09 * warm])),
        "sky_colour": tuple(ambient * np.array([0.36 - 0.02 * warm, 0.37, 0.39 + 0.03 * warm])),
        "ground_colour": tuple(ambient * np.array([0.24, 0.215, 0.195])),
        "fill_colour": tuple(ambient * np.array([0.17, 0.175, 0.185])),
        "rim_direction": tuple(rim / np.linalg.norm(rim)),
        "rim_colour": tuple(np.array([0.22, 0.215, 0.20]) * u["back_contrast"]),
    }


def _behind(z: dict[str, float]) -> dict[str, float | tuple[float, ...]]:
    outdoors = float(ndtr(4.0 * z["outdoors"] - 0.6))
    wall = _colour(_squeezed(0.60 + 0.17 * z["back_light"], 0.2, 0.88), 0.018 * z["back_blue"], 0.015 * z["back_red"])
    other = _colour(0.42 + 0.16 * z["back_other"], 0.03 * z["back_red"], 0.03 * z["back_other"])
    sky = _colour(0.76 + 0.08 * z["back_light"], 0.05 + 0.03 * z["back_blue"], -0.015)
    leaves = _colour(0.40 + 0.08 * z["back_other"], -0.075 + 0.02 * z["back_blue"], -0.03 + 0.02 * z["back_red"])
    floor = _colour(
        _squeezed(0.47 + 0.14 * z["floor_light"], 0.1, 0.82),
        -0.02 - 0.02 * z["floor_red"],
        0.02 + 0.022 * z["floor_red"],
    )
    ground = _colour(0.50 + 0.12 * z["floor_light"], -0.03 - 0.03 * z["floor_red"], -0.01 + 0.02 * z["floor_red"])
    return {
        "back_wall": tuple(wall),
        "back_other": tuple(other),
        "back_sky": tuple(sky),
        "back_leaves": tuple(leaves),
        "back_floor": tuple(floor + (ground - floor) * outdoors),
        "outdoors": outdoors,
        "back_shape": (0.75 * z["back_shape"], 0.7 * z["back_glow_x"]),
        "back_contrast": float(0.5 * np.exp(0.4 * z["back_contrast"])),
    }
