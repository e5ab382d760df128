"""A person's own photograph as a latent of a tuned copy of a model, and an edit back into the photograph."""

from draggan_widget.inversion.alignment import Aligned, Square, align, crop, usual_landmarks
from draggan_widget.inversion.landmarks import CHIN, EYE_CORNER, MOUTH_CORNER, NOSE_TIP, Landmarks
from draggan_widget.inversion.losses import ms_ssim, psnr, unlikeness
from draggan_widget.inversion.opening import Opened, open_photo
from draggan_widget.inversion.pasting import paste
from draggan_widget.inversion.photo import Photo, Report, Stage, invert, inverting
from draggan_widget.inversion.pivot import first_guess, fit_pivot
from draggan_widget.inversion.settings import Inversion
from draggan_widget.inversion.tuning import Tuner, Tuning

__all__ = [
    "CHIN",
    "EYE_CORNER",
    "MOUTH_CORNER",
    "NOSE_TIP",
    "Aligned",
    "Inversion",
    "Landmarks",
    "Opened",
    "Photo",
    "Report",
    "Square",
    "Stage",
    "Tuner",
    "Tuning",
    "align",
    "crop",
    "first_guess",
    "fit_pivot",
    "invert",
    "inverting",
    "ms_ssim",
    "open_photo",
    "paste",
    "psnr",
    "unlikeness",
    "usual_landmarks",
]
