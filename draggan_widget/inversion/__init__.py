"""A person's own photograph as a latent of a tuned copy of a model, and an edit back into the photograph."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from draggan_widget.inversion.alignment import Aligned, Square, align, crop, usual_landmarks
    from draggan_widget.inversion.encoder import Encoder, encoder_for
    from draggan_widget.inversion.landmarks import CHIN, EYE_CORNER, MOUTH_CORNER, NOSE_TIP, Landmarks
    from draggan_widget.inversion.losses import ms_ssim, psnr, unlikeness
    from draggan_widget.inversion.lpips import lpips_at_hand
    from draggan_widget.inversion.motion import carried
    from draggan_widget.inversion.opening import Opened, open_photo
    from draggan_widget.inversion.pasting import paste
    from draggan_widget.inversion.photo import Photo, Report, Stage, invert, inverting
    from draggan_widget.inversion.pivot import first_guess, fit_pivot
    from draggan_widget.inversion.residual import Residual
    from draggan_widget.inversion.settings import Inversion
    from draggan_widget.inversion.tuning import Tuner, Tuning

__all__ = [
    "CHIN",
    "EYE_CORNER",
    "MOUTH_CORNER",
    "NOSE_TIP",
    "Aligned",
    "Encoder",
    "Inversion",
    "Landmarks",
    "Opened",
    "Photo",
    "Report",
    "Residual",
    "Square",
    "Stage",
    "Tuner",
    "Tuning",
    "align",
    "carried",
    "crop",
    "encoder_for",
    "first_guess",
    "fit_pivot",
    "invert",
    "inverting",
    "lpips_at_hand",
    "ms_ssim",
    "open_photo",
    "paste",
    "psnr",
    "unlikeness",
    "usual_landmarks",
]

# Names load on first use, so that the command line, which looks in here, imports no torch.
_FILES = {
    "CHIN": "landmarks",
    "EYE_CORNER": "landmarks",
    "MOUTH_CORNER": "landmarks",
    "NOSE_TIP": "landmarks",
    "Aligned": "alignment",
    "Encoder": "encoder",
    "Inversion": "settings",
    "Landmarks": "landmarks",
    "Opened": "opening",
    "Photo": "photo",
    "Report": "photo",
    "Residual": "residual",
    "Square": "alignment",
    "Stage": "photo",
    "Tuner": "tuning",
    "Tuning": "tuning",
    "align": "alignment",
    "carried": "motion",
    "crop": "alignment",
    "encoder_for": "encoder",
    "first_guess": "pivot",
    "fit_pivot": "pivot",
    "invert": "photo",
    "inverting": "photo",
    "lpips_at_hand": "lpips",
    "ms_ssim": "losses",
    "open_photo": "opening",
    "paste": "pasting",
    "psnr": "losses",
    "unlikeness": "losses",
    "usual_landmarks": "alignment",
}


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_FILES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
