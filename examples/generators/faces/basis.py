"""A head as a linear model: rest shape, phenotype polynomial, local shape changes and facial actions.

The ``anny`` package (Apache-2.0 code, CC0 MakeHuman data) needs about 180 ms for one body. The faces need only its
head, and the head is very nearly polynomial in the phenotype and linear in everything else, so it is sampled once
and kept as a few matrices. Lengths are in distances between the eyes; the origin lies between the eyes; x points to
the person's left, y to the back, z up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import beside  # noqa: F401  for what is shared
import numpy as np
from whole import write_atomically

PHENOTYPE = ("gender", "age", "muscle", "weight", "african", "asian")
"""The coordinates of the phenotype polynomial, each 0..1 (what is neither african nor asian is caucasian)."""

PARTS = (
    "body",
    "helper-l-eye",
    "helper-r-eye",
    "helper-upper-teeth",
    "helper-lower-teeth",
    "helper-tongue",
    "helper-l-eyelashes-1",
    "helper-r-eyelashes-1",
    "helper-l-eyelashes-2",
    "helper-r-eyelashes-2",
)

_LOCAL_WORDS = ("chin", "nose", "mouth", "eye", "cheek", "head-", "ear", "forehead", "neck")
JAW_WIDTH, LEFT_BROW, RIGHT_BROW = "jaw-width", "l-brow-up", "r-brow-up"
"""Local changes beside those of MakeHuman, which has none that moves the angles of the jaw alone, or a whole brow."""
_PHENOTYPE_SAMPLES = 320
_BATCH = 16
_LOWEST = -5.0  # eye distances below the eyes; nothing lower is ever in the picture


def phenotype_features(values: np.ndarray) -> np.ndarray:
    """All monomials of degree 1 and 2 of phenotype coordinates ``(..., 6)`` centred at 0.5: ``(..., 27)``."""
    centred = np.asarray(values, float) - 0.5
    first, second = np.triu_indices(centred.shape[-1])
    return np.concatenate([centred, centred[..., first] * centred[..., second]], axis=-1)


@dataclass(frozen=True)
class HeadBasis:
    """Everything needed to build a head; see the module for units and axes."""

    rest: np.ndarray  # (V, 3) with every phenotype at 0.5
    phenotype: np.ndarray  # (27, V, 3)
    local: np.ndarray  # (L, V, 3)
    actions: np.ndarray  # (A, V, 3)
    local_names: tuple[str, ...]
    action_names: tuple[str, ...]
    triangles: dict[str, np.ndarray]  # part -> (T, 3) vertex numbers; parts share no vertex

    def save(self, path: Path) -> None:
        """Write everything as one ``.npz``, whole or not at all."""
        arrays = {f"triangles/{name}": value for name, value in self.triangles.items()}
        arrays |= {name: getattr(self, name) for name in ("rest", "phenotype", "local", "actions")}
        arrays |= {name: np.array(getattr(self, name)) for name in ("local_names", "action_names")}
        write_atomically(path, lambda stream: np.savez(stream, **arrays))

    @classmethod
    def load(cls, path: Path) -> HeadBasis:
        """Read what :meth:`save` wrote, less any part that is not in :data:`PARTS`."""
        with np.load(path) as arrays:
            used, triangles = _used({name: arrays[f"triangles/{name}"] for name in PARTS})
            rest = arrays["rest"][used]
            return cls(
                rest=rest,
                phenotype=arrays["phenotype"].take(used, 1),
                local=np.concatenate([arrays["local"].take(used, 1), _own_changes(rest)]),
                actions=arrays["actions"].take(used, 1),
                local_names=(*(str(name) for name in arrays["local_names"]), JAW_WIDTH, LEFT_BROW, RIGHT_BROW),
                action_names=tuple(str(name) for name in arrays["action_names"]),
                triangles=triangles,
            )


def smoothstep(low: float | np.ndarray, high: float | np.ndarray, value: np.ndarray | float) -> np.ndarray:
    """GLSL's function of that name; here ``low`` may be the larger edge, from which it then falls."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _own_changes(rest: np.ndarray) -> np.ndarray:
    """The displacements ``(3, V, 3)``, one for each of our own names, of resting points ``(V, 3)``.

    At 1 a jaw is twice as wide, which fades towards mouth, cheeks, ears and neck, and a brow stands an eye distance
    higher, which fades towards lids, forehead, nose and temples.
    """
    x, y, z = rest.T
    moved = np.zeros((3, *rest.shape), "f4")
    jaw = smoothstep(-2.45, -1.55, z) * smoothstep(-0.25, -1.15, z) * smoothstep(1.3, 0.5, y)
    moved[0, :, 0] = x * jaw * smoothstep(0.3, 0.8, np.abs(x))
    brow = np.exp(-np.square((z - 0.41) / 0.22)) * smoothstep(1.1, 0.6, y)
    for row, side in ((1, x), (2, -x)):
        moved[row, :, 2] = brow * smoothstep(-0.05, 0.2, side) * smoothstep(1.45, 1.0, side)
    return moved


def _used(triangles: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The numbers of the vertices that triangles use, rising, and the triangles by places among these numbers."""
    used = np.unique(np.concatenate([faces.ravel() for faces in triangles.values()]))
    return used, {name: np.searchsorted(used, faces).astype("i4") for name, faces in triangles.items()}


def _read_parts(obj_file: Path) -> dict[str, np.ndarray]:
    """The triangles of every group of a Wavefront file of quads."""
    quads: dict[str, list[list[int]]] = {}
    group = ""
    with obj_file.open() as lines:
        for line in lines:
            if line.startswith("g "):
                group = line.split()[1]
            elif line.startswith("f "):
                quads.setdefault(group, []).append([int(corner.split("/")[0]) - 1 for corner in line.split()[1:]])
    return {
        name: np.array([(face[0], face[k], face[k + 1]) for face in quads[name] for k in range(1, len(face) - 1)])
        for name in PARTS
    }


def build_basis() -> HeadBasis:
    """Sample the full model; takes about a minute on one core, most of it loading."""
    import anny
    import torch

    model = anny.Anny(
        phenotypes="all", local_changes="all", facial_actions="all", topology="makehuman", rig="makehuman"
    )
    generator = torch.Generator().manual_seed(0)
    races = ("african", "asian", "caucasian")
    resting = dict.fromkeys(model.phenotype_labels, 0.5) | dict.fromkeys(races, 1 / 3)

    @torch.no_grad()
    def vertices(count: int, phenotype: dict | None = None, local: dict | None = None, actions: dict | None = None):
        values = {name: torch.full((count,), value) for name, value in resting.items()} | (phenotype or {})
        pose = torch.eye(4)[None, None].repeat(count, model.bone_count, 1, 1)
        out = model(
            pose_parameters=pose,
            phenotype_kwargs=values,
            local_changes_kwargs=local or {},
            facial_actions=actions or {},
        )
        return out["vertices"].numpy()

    def one_at_a_time(groups: list[list[str]], keyword: str) -> np.ndarray:
        """The displacement that each group of labels, at 1, adds to the resting head."""
        labels = [label for group in groups for label in group]
        blocks = []
        for start in range(0, len(groups), _BATCH):
            chunk = groups[start : start + _BATCH]
            values = {label: torch.zeros(len(chunk)) for label in labels}
            for row, group in enumerate(chunk):
                for label in group:
                    values[label][row] = 1.0
            blocks.append(vertices(len(chunk), **{keyword: values}) - whole)
        return np.concatenate(blocks)

    whole = vertices(1)[0]
    triangles = _read_parts(Path(anny.__file__).parent / "data/mpfb2/3dobjs/base.obj")
    left, right = (np.unique(triangles[f"helper-{side}-eye"]) for side in "lr")

    def scale_and_centre(points: np.ndarray) -> np.ndarray:
        eyes = points[:, left].mean(1), points[:, right].mean(1)
        distance = np.linalg.norm(eyes[0] - eyes[1], axis=1)
        return (points - ((eyes[0] + eyes[1]) / 2)[:, None]) / distance[:, None, None]

    eye_distance = float(np.linalg.norm(whole[left].mean(0) - whole[right].mean(0)))
    centred = scale_and_centre(whole[None])[0]
    inside = centred[:, 2] > _LOWEST
    used, triangles = _used({name: faces[inside[faces].all(1)] for name, faces in triangles.items()})

    samples, coordinates = [], []
    for _ in range(_PHENOTYPE_SAMPLES // _BATCH):
        values = {name: torch.rand(_BATCH, generator=generator) for name in PHENOTYPE}
        values["age"] = 0.62 + 0.36 * values["age"]  # adults only
        share = values["african"] + values["asian"]
        for name in ("african", "asian"):
            values[name] = torch.where(share > 1, values[name] / share, values[name])
        values["caucasian"] = 1 - values["african"] - values["asian"]
        samples.append(scale_and_centre(vertices(_BATCH, phenotype=values))[:, used])
        coordinates.append(np.stack([values[name].numpy() for name in PHENOTYPE], 1))
    displaced = (np.concatenate(samples) - centred[used]).reshape(_PHENOTYPE_SAMPLES, -1)
    features = phenotype_features(np.concatenate(coordinates))
    design = np.concatenate([np.ones((len(features), 1)), features], 1)
    solution = np.linalg.lstsq(design, displaced, rcond=None)[0]
    left_over = np.sqrt(np.square(displaced - design @ solution).mean())
    print(f"head basis: {len(used)} vertices, phenotype fitted to {left_over:.4f} eye distances (r.m.s.)", flush=True)

    names = [name for name in model.local_change_labels if any(word in name for word in _LOCAL_WORDS)]
    pairs = [[n, "r-" + n[2:]] if n.startswith("l-") else [n] for n in names if not n.startswith("r-")]
    local = one_at_a_time(pairs, "local")[:, used] / eye_distance
    action_names = list(model.facial_action_labels)
    actions = one_at_a_time([[name] for name in action_names], "actions")[:, used] / eye_distance
    return HeadBasis(
        rest=(centred[used] + solution[0].reshape(-1, 3)).astype("f4"),
        phenotype=solution[1:].reshape(features.shape[1], -1, 3).astype("f4"),
        local=local.astype("f4"),
        actions=actions.astype("f4"),
        local_names=tuple(pair[0] for pair in pairs),
        action_names=tuple(action_names),
        triangles=triangles,
    )
