"""How much faces differ: in shape, in pose, and in who they are; backgrounds and colours do not count."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from draggan_widget.inversion import Landmarks

_HEAD = {36: (-0.81, 0.01, -0.11), 39: (-0.28, 0.06, -0.25), 42: (0.28, 0.06, -0.25), 45: (0.81, 0.01, -0.11),
         27: (0.0, 0.0, -0.37), 28: (0.0, 0.24, -0.44), 29: (0.0, 0.44, -0.58), 30: (0.0, 0.66, -0.68),
         33: (0.0, 0.82, -0.54)}  # fmt: skip
"""Where landmarks that no expression moves lie on the mean head: x to the right, y down, z away, in eye distances."""


class Faces:
    """The faces found in pictures."""

    def __init__(self, pictures: Iterable[np.ndarray], find: Landmarks) -> None:
        """Looks at each picture (H, W, 3) uint8."""
        found = [(picture.shape[1], find.describe(picture)) for picture in pictures]
        self.looked_at = len(found)
        seen = [(width, *face) for width, face in found if face is not None]
        self.landmarks = np.array([points / width for width, points, _ in seen])  # (N, 68, 2), in picture widths
        self.descriptors = np.array([descriptor for *_, descriptor in seen])  # (N, 128)

    @property
    def rate(self) -> float:
        """The share of pictures in which dlib found a face."""
        return len(self.landmarks) / self.looked_at

    def spreads(self) -> dict[str, float]:
        """How widely the faces vary.

        ``shape``: r.m.s. distance of landmarks from what is expected, after faces are aligned (moved, turned and scaled
        onto the mean), in hundredths of the distance between the outer corners of the eyes; what a turned or nodding
        head expects (a parabola in yaw and pitch) is not counted, expressions are. ``yaw``, ``pitch``, ``roll``:
        standard deviations in degrees. ``identity``: median distance between the descriptors of two faces.
        """
        aligned = align(self.landmarks)
        eyes = np.linalg.norm(aligned.mean(0)[45] - aligned.mean(0)[36])
        poses = np.array([head_pose(points) for points in self.landmarks])
        turns = poses[:, :2] / 10
        by_pose = np.concatenate([np.ones((len(turns), 1)), turns, turns**2, turns.prod(1, keepdims=True)], 1)
        flat = aligned.reshape(len(aligned), -1)
        apart = flat - by_pose @ np.linalg.lstsq(by_pose, flat, rcond=None)[0]
        return {
            "shape": float(100 * np.sqrt(np.square(apart).sum(1).mean() / aligned.shape[1]) / eyes),
            **dict(zip(("yaw", "pitch", "roll"), poses.std(0).tolist(), strict=True)),
            "identity": self.typical_difference(),
        }

    def typical_difference(self) -> float:
        """The median distance between the descriptors of two different faces."""
        first, second = np.triu_indices(len(self.descriptors), 1)
        return float(np.median(np.linalg.norm(self.descriptors[first] - self.descriptors[second], axis=1)))


def align(shapes: np.ndarray, rounds: int = 3) -> np.ndarray:
    """Shapes (N, K, 2) moved, turned and scaled as near to their common mean as can be (generalised Procrustes)."""
    shapes = shapes - shapes.mean(1, keepdims=True)
    mean = shapes[0]
    for _ in range(rounds):
        numbers = shapes[..., 0] + 1j * shapes[..., 1]  # a turn and a scale are one complex factor
        goal = mean[:, 0] + 1j * mean[:, 1]
        factors = (numbers.conj() @ goal) / np.square(np.abs(numbers)).sum(1)
        numbers = numbers * factors[:, None]
        shapes = np.stack([numbers.real, numbers.imag], -1)
        mean = shapes.mean(0)
        mean = mean / np.sqrt(np.square(mean).sum())
    return shapes


def head_pose(landmarks: np.ndarray) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees of landmarks (68, 2), as if seen from far away (scaled orthographic fit)."""
    model = np.array(list(_HEAD.values()))
    seen = landmarks[list(_HEAD)]
    linear = np.linalg.lstsq(model - model.mean(0), seen - seen.mean(0), rcond=None)[0].T  # (2, 3)
    left, _, right = np.linalg.svd(linear, full_matrices=False)
    first, second = left @ right  # the nearest two rows of a rotation
    third = np.cross(first, second)
    yaw, pitch = np.arctan2(-third[0], third[2]), np.arctan2(third[1], np.hypot(third[0], third[2]))
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(np.arctan2(-first[1], second[1])))
