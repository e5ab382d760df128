"""Faces by dlib, for pictures of any size: their 68 landmarks, and 128 numbers that say who it is."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

MOUTH_CORNER, CHIN, NOSE_TIP, EYE_CORNER = 48, 8, 30, 45
"""Numbers of landmarks, as dlib counts them."""
INSTALL = 'finding faces needs dlib: pip install "draggan_widget[photos]"'
_SIZE = 256  # the detector wants faces of 80 px and more
_LARGEST = 1000
"""Pixels of the longer side of a photograph in which faces are looked for; a smaller face is none to edit."""
_SURE = 0.3
"""Score from which on a face is one, beside others: folds of clothes have come to 0.1, faces to 0.7 and more."""
_QUICK = 512
"""The same at first, when only faces of 80 px there, a sixth of it, are looked for."""
_SMALLEST = 400
"""The same at least: a photograph below it is enlarged."""


def _model(name: str) -> str:
    # Importing face_recognition_models needs setuptools' pkg_resources; only its files are wanted.
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(INSTALL)
    return str(Path(spec.origin).parent / "models" / name)


class Landmarks:
    """Finds the face of a picture, or all faces of a photograph."""

    def __init__(self) -> None:
        """Load dlib's models. :raises ModuleNotFoundError: without them, saying how to get them."""
        try:
            import dlib
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(INSTALL) from error
        self._dlib: Any = dlib
        self._detect = dlib.get_frontal_face_detector()
        self._predict = dlib.shape_predictor(_model("shape_predictor_68_face_landmarks.dat"))
        self._recognise: Any = None

    def __call__(self, picture: np.ndarray) -> np.ndarray | None:
        """Return the landmarks (68, 2) as x, y in pixels of ``picture`` (H, W, 3) uint8, or None without a face."""
        found = self._find(picture)
        return None if found is None else _points(found[1], found[0].shape, picture.shape)

    def describe(self, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the landmarks (68, 2), and the descriptor (128,) of dlib's recognition network; None without a face.

        Of one person's pictures, descriptors lie less than 0.6 apart.
        """
        found = self._find(picture)
        if found is None:
            return None
        if self._recognise is None:
            self._recognise = self._dlib.face_recognition_model_v1(_model("dlib_face_recognition_resnet_model_v1.dat"))
        described = np.array(self._recognise.compute_face_descriptor(*found))
        return _points(found[1], found[0].shape, picture.shape), described

    def all(self, photo: Image.Image, at_least: int = 1) -> list[np.ndarray]:
        """Return the landmarks (68, 2), in pixels of ``photo``, of the faces in it, the largest first.

        Large faces are looked for first, which is quick; small ones only if there are fewer than ``at_least`` of these.
        """
        faces: list[np.ndarray] = []
        for longest, finer in ((_QUICK, 0), (_LARGEST, 1)):
            longer = max(photo.size)
            scale = min(max(longer, _SMALLEST), longest) / longer
            size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
            seen = np.asarray(photo.convert("RGB").resize(size, Image.Resampling.BILINEAR))
            boxes, scores, _ = self._detect.run(seen, finer, 0.0)
            sure = [box for box, score in zip(boxes, scores, strict=True) if score >= min(_SURE, max(scores))]
            found = sorted(sure, key=lambda face: -face.area())
            faces = [_points(self._predict(seen, face), seen.shape, (photo.height, photo.width)) for face in found]
            if len(faces) >= at_least:
                break
        return faces

    def _find(self, picture: np.ndarray) -> tuple[np.ndarray, Any] | None:
        large = np.asarray(Image.fromarray(picture).resize((_SIZE, _SIZE), Image.Resampling.BICUBIC))
        faces = self._detect(large, 1)
        return (large, self._predict(large, max(faces, key=lambda face: face.area()))) if faces else None


@functools.cache
def loaded_landmarks() -> Landmarks:
    """Return ``Landmarks()``, loaded once for all who ask. Raises as it does."""
    return Landmarks()


def _points(shape: Any, seen: tuple[int, ...], picture: tuple[int, ...]) -> np.ndarray:
    """Return the landmarks of a shape in a resized picture, in pixels of the picture itself; both (H, W, …)."""
    points = np.array([(shape.part(k).x, shape.part(k).y) for k in range(68)], float)
    return np.asarray((points + 0.5) * (picture[1] / seen[1], picture[0] / seen[0]) - 0.5)
