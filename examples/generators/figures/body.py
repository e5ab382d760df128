"""A body as a linear model: rest shape, phenotype polynomial, local shape changes, joints and skinning weights.

As the head of the faces it is sampled from the ``anny`` package (Apache-2.0 code, CC0 MakeHuman data) once and kept as
a few matrices. Lengths are in distances between the eyes of the average body; the origin lies between its eyes; x
points to the person's left, y to the back, z up. The rest pose has arms held out half way down and fingers curled.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import beside  # noqa: F401  for the faces' modules
import numpy as np
from basis import PHENOTYPE, _read_parts, phenotype_features
from whole import write_atomically

BONES: dict[str, tuple[str, str]] = {
    # name: (parent, the joint of MakeHuman's rig about which it turns)
    "pelvis": ("", "root"),
    "waist": ("pelvis", "spine04"),
    "chest": ("waist", "spine02"),
    "neck": ("chest", "neck01"),
    "head": ("neck", "head"),
    **{
        f"{name}.{side}": (parent if parent in ("chest", "pelvis") else f"{parent}.{side}", f"{joint}.{side}")
        for side in "LR"
        for name, parent, joint in (
            ("collar", "chest", "clavicle"),
            ("upper_arm", "collar", "upperarm01"),
            ("forearm", "upper_arm", "lowerarm01"),
            ("hand", "forearm", "wrist"),
            ("thigh", "pelvis", "upperleg01"),
            ("shin", "thigh", "lowerleg01"),
            ("foot", "shin", "foot"),
        )
    },
}
"""The bones that are posed, parents first; each carries all of MakeHuman's below it."""

TIPS = {"knuckle.L": ("hand.L", "finger3-1.L"), "knuckle.R": ("hand.R", "finger3-1.R"),
        "toe.L": ("foot.L", "toe2-1.L"), "toe.R": ("foot.R", "toe2-1.R")}  # fmt: skip
"""Points that are known besides the joints: name, the bone that carries it, its joint in MakeHuman's rig."""

SHAPES: dict[str, dict[str, float]] = {
    "waist_width": {"measure-waist-circ-incr": 1.0, "stomach-tone-incr": -0.3},
    "hip_width": {"measure-hips-circ-incr": 1.0, "hip-scale-horiz-incr": 0.3},
    "shoulder_width": {"measure-shoulder-dist-incr": 1.0, "torso-vshape-incr": 0.4},
    "bust": {"measure-bust-circ-incr": 1.0},
    "leg_length": {"measure-upperleg-height-incr": 1.0, "measure-lowerleg-height-incr": 1.0},
    "belly": {"stomach-pregnant-incr": 0.5},
    "limb_width": {"measure-thigh-circ-incr": 0.7, "measure-calf-circ-incr": 0.7, "measure-upperarm-circ-incr": 0.7},
    "head_size": {"head-scale-horiz-incr": 0.5, "head-scale-vert-incr": 0.5, "head-scale-depth-incr": 0.5},
    "face_length": {"chin-jaw-drop-incr": 0.8, "chin-height-incr": 0.5, "head-scale-vert-incr": 0.2},
    "jaw_width": {"chin-bones-incr": 0.8, "chin-width-incr": 0.8},
}
"""Shape axes as blends of MakeHuman's local changes; negative amounts of an increase count as a decrease."""

_PARTS = ("body", "helper-l-eye", "helper-r-eye")
_SAMPLES, _BATCH = 256, 16
_CURL = (0.30, 0.42, 0.34)  # radians that the three joints of each finger bend
AGE = 0.79
"""Of the body at rest: the middle of the ages that are drawn, all of them adults."""


def body_features(kinds: dict[str, float] | dict[str, np.ndarray]) -> np.ndarray:
    """The features ``(..., 27)`` of a phenotype, 0 for the body at rest; ages are 0.62 to 0.98, the others 0..1."""
    return phenotype_features(np.stack([kinds[name] - (AGE - 0.5) * (name == "age") for name in PHENOTYPE], -1))


@dataclass(frozen=True)
class BodyBasis:
    """Everything needed to build a body; see the module for units and axes. B bones, P tips, V vertices."""

    rest: np.ndarray  # (V, 3) of the average adult
    phenotype: np.ndarray  # (27, V, 3)
    shapes: np.ndarray  # (S, V, 3), in the order of SHAPES
    joints: np.ndarray  # (B + P, 3) of the bones and the tips
    joints_phenotype: np.ndarray  # (27, B + P, 3)
    joints_shapes: np.ndarray  # (S, B + P, 3)
    weights: np.ndarray  # (V, B): how much each bone carries of a vertex; sums to 1
    skin: np.ndarray  # (T, 3) triangles of the skin
    eyes: np.ndarray  # (T', 3) triangles of the eyes

    def save(self, path: Path) -> None:
        """Write everything as one ``.npz``, whole or not at all."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        write_atomically(path, lambda stream: np.savez(stream, **arrays))

    @classmethod
    def load(cls, path: Path) -> BodyBasis:
        """Read what :meth:`save` wrote."""
        with np.load(path) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def height(self, phenotype: np.ndarray, shapes: np.ndarray) -> float:
        """How tall a body is, from the soles to the top of the head, of features (27,) and amounts (S,)."""
        names = list(BONES)
        ankle, neck = names.index("foot.L"), names.index("neck")
        moved = phenotype @ self.joints_phenotype[:, :, 2] + shapes @ self.joints_shapes[:, :, 2]
        return float(np.ptp(self.rest[:, 2]) + moved[neck] - moved[ankle])


def _unit(line: np.ndarray) -> np.ndarray:
    return line / np.linalg.norm(line)


def about_line(line: np.ndarray, angle: float) -> np.ndarray:
    """The rotation (3, 3) by ``angle`` about a unit vector."""
    x, y, z = line
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _curled(vertices: np.ndarray, heads: np.ndarray, labels: list[str], weights: np.ndarray) -> np.ndarray:
    """Vertices (V, 3) with fingers bent, of one body whose rig has its joints at ``heads`` (B', 3)."""
    at = {label: heads[index] for index, label in enumerate(labels)}
    moved = vertices.astype(float).copy()
    for side, sign in (("L", 1.0), ("R", -1.0)):
        across = at[f"finger2-1.{side}"] - at[f"finger5-1.{side}"]
        across = _unit(across)
        straight = _unit(at[f"finger3-3.{side}"] - at[f"finger3-1.{side}"])
        for finger in range(2, 6):
            transform = np.eye(4)
            # Fingers are spread at rest: together first, then bent.
            way = _unit(at[f"finger{finger}-3.{side}"] - at[f"finger{finger}-1.{side}"])
            apart = np.cross(way, straight)
            if (size := np.linalg.norm(apart)) > 1e-6:
                transform[:3, :3] = about_line(apart / size, 0.75 * np.arcsin(min(size, 1.0)))
                pivot = at[f"finger{finger}-1.{side}"]
                transform[:3, 3] = pivot - transform[:3, :3] @ pivot
            share = 1.0 + 0.12 * (finger - 2)
            for joint in range(1, 4):
                label = f"finger{finger}-{joint}.{side}"
                turn = np.eye(4)
                turn[:3, :3] = about_line(across, sign * share * _CURL[joint - 1])
                pivot = at[label]
                turn[:3, 3] = pivot - turn[:3, :3] @ pivot
                transform = transform @ turn
                carried = weights[:, labels.index(label)][:, None]
                moved += carried * (vertices @ transform[:3, :3].T + transform[:3, 3] - vertices)
    return moved


def build_body() -> BodyBasis:
    """Sample the full model; takes some minutes on one core."""
    import anny
    import torch

    model = anny.Anny(phenotypes="all", local_changes="all", topology="makehuman", rig="makehuman")
    labels = list(model.bone_labels)
    generator = torch.Generator().manual_seed(0)
    resting = dict.fromkeys(model.phenotype_labels, 0.5) | dict.fromkeys(("african", "asian", "caucasian"), 1 / 3)
    indices, values = (np.asarray(part) for part in (model.vertex_bone_indices, model.vertex_bone_weights))
    fine = np.zeros((len(values), len(labels)), "f4")
    np.add.at(fine, (np.arange(len(values))[:, None], indices), values)

    @torch.no_grad()
    def bodies(count: int, phenotype: dict | None = None, local: dict | None = None):
        kinds = {name: torch.full((count,), value) for name, value in resting.items()} | (phenotype or {})
        pose = torch.eye(4)[None, None].repeat(count, model.bone_count, 1, 1)
        out = model(pose_parameters=pose, phenotype_kwargs=kinds, local_changes_kwargs=local or {})
        heads = np.broadcast_to(out["rest_bone_heads"].numpy(), (count, len(labels), 3))
        rest = np.broadcast_to(out["rest_vertices"].numpy(), (count, *out["rest_vertices"].shape[1:]))
        curled = np.stack([_curled(one, joints, labels, fine) for one, joints in zip(rest, heads)])
        return curled, heads

    triangles = _read_parts(Path(anny.__file__).parent / "data/mpfb2/3dobjs/base.obj")
    triangles = {name: triangles[name] for name in _PARTS}
    used = np.unique(np.concatenate([faces.ravel() for faces in triangles.values()]))

    parents = [int(parent) for parent in model.bone_parents]
    own = {joint: place for place, (_, joint) in enumerate(BONES.values())}

    def carrier(bone: int) -> int:
        while labels[bone] not in own:
            bone = parents[bone]
        return own[labels[bone]]

    weights = np.zeros((len(fine), len(BONES)), "f4")
    for bone in range(len(labels)):
        weights[:, carrier(bone)] += fine[:, bone]
    weights /= weights.sum(1, keepdims=True)
    known = [labels.index(joint) for _, joint in (*BONES.values(), *TIPS.values())]

    def wanted(vertices: np.ndarray, joints: np.ndarray) -> np.ndarray:
        """Bodies as rows of numbers: used vertices, then known joints."""
        both = np.concatenate([vertices[:, used], joints[:, known]], 1)
        return both.reshape(len(both), -1)

    resting_row = wanted(*bodies(1))[0]
    samples, coordinates = [], []
    for _ in range(_SAMPLES // _BATCH):
        drawn = {name: torch.rand(_BATCH, generator=generator) for name in PHENOTYPE}
        drawn["age"] = 0.62 + 0.36 * drawn["age"]  # adults only
        for name in ("muscle", "weight"):
            drawn[name] = 0.1 + 0.8 * drawn[name]
        share = drawn["african"] + drawn["asian"]
        for name in ("african", "asian"):
            drawn[name] = torch.where(share > 1, drawn[name] / share, drawn[name])
        drawn["caucasian"] = 1 - drawn["african"] - drawn["asian"]
        samples.append(wanted(*bodies(_BATCH, phenotype=drawn)))
        coordinates.append(body_features({name: drawn[name].numpy() for name in PHENOTYPE}))
    displaced = np.concatenate(samples) - resting_row
    features = np.concatenate(coordinates)
    design = np.concatenate([np.ones((len(features), 1)), features], 1)
    solution = np.linalg.lstsq(design, displaced, rcond=None)[0]
    left_over = np.sqrt(np.square(displaced - design @ solution).mean())
    print(f"body: {len(used)} vertices, phenotype fitted to {left_over:.4f} m (r.m.s.)", flush=True)

    rows = []
    for blend in SHAPES.values():
        amounts = {}
        for name, amount in blend.items():
            pair = [name, "r-" + name[2:]] if name.startswith("l-") else [name]
            amounts |= {label: torch.tensor([amount, -amount]) for label in pair}
        more, less = wanted(*bodies(2, local=amounts))
        rows.append((more - less) / 2)
    shapes = np.stack(rows)

    def split(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        both = flat.reshape(len(flat), -1, 3).astype("f4")
        return both[:, : len(used)], both[:, len(used) :]

    rest, joints = split((resting_row + solution[0])[None])
    phenotype, joints_phenotype = split(solution[1:])
    shapes, joints_shapes = split(shapes)
    places = {name: np.searchsorted(used, faces).astype("i4") for name, faces in triangles.items()}
    left, right = (rest[0][np.unique(places[f"helper-{side}-eye"])].mean(0) for side in "lr")
    middle, unit = (left + right) / 2, np.linalg.norm(left - right)
    return BodyBasis(
        rest=(rest[0] - middle) / unit,
        phenotype=phenotype / unit,
        shapes=shapes / unit,
        joints=(joints[0] - middle) / unit,
        joints_phenotype=joints_phenotype / unit,
        joints_shapes=joints_shapes / unit,
        weights=weights[used],
        skin=places["body"],
        eyes=np.concatenate([places["helper-l-eye"], places["helper-r-eye"]]),
    )


def body_at(path: Path) -> BodyBasis:
    """Return the basis of a file; it is built, and written there, where it is missing."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        build_body().save(path)
    return BodyBasis.load(path)
