"""How bones turn: the named numbers of a pose as rotations, and what these do to the body.

An arm is told by how far it is raised and how far to the front, as a direction; its roll turns the hinge of the elbow.
Thus a number acts alike however the others stand, and no angle is near a place where it would flip.
"""

from __future__ import annotations

import beside  # noqa: F401  for the faces' modules
import numpy as np
from body import BONES, BodyBasis, about_line
from scene import _soft_ramp
from scipy.special import ndtr


def about(axis: str, angle: float) -> np.ndarray:
    """The rotation (3, 3) by ``angle`` about x, y or z."""
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    turn = np.eye(3)
    turn[[first, second], [first, second]] = np.cos(angle)
    turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
    return turn


def from_to(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The least rotation (3, 3) that brings a unit vector to another, that is not its opposite."""
    cross = np.cross(first, second)
    x, y, z = cross
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + skew + skew @ skew / (1 + first @ second)


def pose(z: dict[str, float], basis: BodyBasis) -> dict[str, np.ndarray]:
    """How each bone is turned beyond its parent, (3, 3), by the named numbers of a person."""
    at = dict(zip(BONES, basis.joints.astype(float)))
    turns = {name: np.eye(3) for name in BONES}
    sway, lean = 0.055 * z["sway"], 0.06 * z["lean"]
    turns["pelvis"] = about("z", 0.42 * z["turn"]) @ about("y", sway)
    bend = 0.05 * z["bend"]
    twist = 0.13 * z["twist"]
    for name, share in (("waist", 0.55), ("chest", 0.45)):
        turns[name] = about("z", share * twist) @ about("x", share * bend) @ about("y", share * (lean - 1.3 * sway))
    look = 0.30 * z["head_turn"] - 0.45 * 0.42 * z["turn"]
    for name, share in (("neck", 0.35), ("head", 0.65)):
        turns[name] = (
            about("z", share * look) @ about("x", share * (0.10 * z["head_nod"] + 0.02)) @
            about("y", share * 0.09 * z["head_tilt"])
        )  # fmt: skip
    for side, word, sign in (("L", "left", 1.0), ("R", "right", -1.0)):
        own = {
            name: z[f"{name}_{word}"]
            for name in (
                "arm_raise",
                "arm_front",
                "arm_roll",
                "elbow",
                "wrist",
                "leg_out",
                "leg_front",
                "knee",
                "foot_turn",
            )
        }
        # The arm: how far from hanging down, and how far to the front; then its roll, which turns the elbow's hinge.
        raised = 0.16 + 0.04 * own["arm_raise"] + 0.85 * _soft_ramp(own["arm_raise"], 0.2, 1.0)
        front = 0.10 + 0.33 * own["arm_front"]
        way = np.array([np.sin(raised) * np.cos(front) * sign, -np.sin(raised) * np.sin(front), -np.cos(raised)])
        way[1] -= 0.10 * own["arm_front"] * np.cos(raised / 2) ** 2
        way /= np.linalg.norm(way)
        rest = at[f"forearm.{side}"] - at[f"upper_arm.{side}"]
        rest /= np.linalg.norm(rest)
        lifted = 0.28 * _soft_ramp(raised, 0.9, 1.0)
        turns[f"collar.{side}"] = about("y", -sign * lifted)
        outward = -0.28 + 0.42 * own["arm_roll"] + 1.55 * float(ndtr(2.6 * (raised - 0.95)))
        turns[f"upper_arm.{side}"] = about("y", sign * lifted) @ about_line(way, -sign * outward) @ from_to(rest, way)
        # The hinge of the elbow bends the forearm of a hanging arm to the front.
        hinge = np.cross(rest, [0.0, -1.0, 0.0])
        hinge /= np.linalg.norm(hinge)
        bent = 0.14 + 0.05 * own["elbow"] + 0.80 * _soft_ramp(own["elbow"], 0.1, 1.0)
        turns[f"forearm.{side}"] = about_line(hinge, bent)
        turns[f"hand.{side}"] = about_line(hinge, 0.10 + 0.15 * own["wrist"])
        out = -0.02 + 0.03 * own["leg_out"] + 0.12 * _soft_ramp(own["leg_out"], 0.3, 1.0)
        ahead = 0.10 * own["leg_front"] + 0.12 * _soft_ramp(own["leg_front"], 0.4, 1.0)
        knee = 0.06 + 0.03 * own["knee"] + 0.30 * _soft_ramp(own["knee"], 0.3, 1.0)
        ahead = ahead + 0.55 * knee
        toes = 0.20 + 0.16 * own["foot_turn"]
        turns[f"thigh.{side}"] = (
            about("y", -sway) @ about("z", sign * 0.6 * toes) @ about("x", -ahead) @ about("y", -sign * out)
        )
        turns[f"shin.{side}"] = about("x", knee)
        turns[f"foot.{side}"] = (
            about("z", sign * 0.4 * toes) @ about("y", sign * 0.7 * out) @ about("x", 0.85 * (ahead - knee))
        )
    return turns


def posed_bones(turns: dict[str, np.ndarray], joints: np.ndarray) -> np.ndarray:
    """Where each bone takes points at rest: (B, 3, 4), of rotations by name and unposed ``joints`` (B + P, 3)."""
    names = list(BONES)
    out = np.zeros((len(names), 3, 4))
    for index, name in enumerate(names):
        parent = BONES[name][0]
        turn, joint = turns[name], joints[index]
        own = np.concatenate([turn, (joint - turn @ joint)[:, None]], 1)
        if parent:
            above = out[names.index(parent)]
            own = np.concatenate([above[:, :3] @ own[:, :3], (above[:, :3] @ own[:, 3] + above[:, 3])[:, None]], 1)
        out[index] = own
    return out


def skinned(points: np.ndarray, weights: np.ndarray, bones: np.ndarray) -> np.ndarray:
    """Points (V, 3) carried by ``bones`` (B, 3, 4) with ``weights`` (V, B)."""
    blended = (weights @ bones.reshape(len(bones), 12).astype("f4")).reshape(-1, 3, 4)
    return np.einsum("vij,vj->vi", blended[:, :, :3], points) + blended[:, :, 3]
