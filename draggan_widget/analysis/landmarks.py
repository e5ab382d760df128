"""Faces by dlib, for pictures of any size: their 68 landmarks, and 128 numbers that say who it is."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

MOUTH_CORNER, CHIN, NOSE_TIP, EYE_CORNER = 48, 8, 30, 45
"""Numbers of landmarks, as dlib counts them."""
INSTALL = 'landmarks of faces need dlib and its models: pip install "draggan_widget[evaluate]"'
_SIZE = 256  # the detector wants faces of 80 px and more


def _model(name: str) -> str:
    # Importing face_recognition_models needs setuptools' pkg_resources; only its files are wanted.
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(INSTALL)
    return str(Path(spec.origin).parent / "models" / name)


class Landmarks:
    """Finds the face of a picture."""

    def __init__(self) -> None:
        """Loads dlib's models. :raises ModuleNotFoundError: without them, saying how to get them."""
        try:
            import dlib
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(INSTALL) from error
        self._dlib: Any = dlib
        self._detect = dlib.get_frontal_face_detector()
        self._predict = dlib.shape_predictor(_model("shape_predictor_68_face_landmarks.dat"))
        self._recognise: Any = None

    def __call__(self, picture: np.ndarray) -> np.ndarray | None:
        """Return the landmarks (68, 2) as x, y in pixels of ``picture`` (H, W, 3) uint8, or None where no face is
        found.
        """
        found = self._find(picture)
        return None if found is None else _points(found[1], picture)

    def describe(self, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the landmarks (68, 2), and the descriptor (128,) of dlib's recognition network; None without a
        face.
        """
        found = self._find(picture)
        if found is None:
            return None
        if self._recognise is None:
            self._recognise = self._dlib.face_recognition_model_v1(_model("dlib_face_recognition_resnet_model_v1.dat"))
        return _points(found[1], picture), np.array(self._recognise.compute_face_descriptor(*found))

    def _find(self, picture: np.ndarray) -> tuple[np.ndarray, Any] | None:
        large = np.asarray(Image.fromarray(picture).resize((_SIZE, _SIZE), Image.Resampling.BICUBIC))
        faces = self._detect(large, 1)
        return (large, self._predict(large, max(faces, key=lambda face: face.area()))) if faces else None


def _points(shape: Any, picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    points = np.array([(shape.part(k).x, shape.part(k).y) for k in range(68)], float)
    return np.asarray((points + 0.5) * (width / _SIZE, height / _SIZE) - 0.5)
