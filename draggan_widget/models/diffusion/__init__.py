"""Diffusion models, on Hugging Face diffusers (the extra ``diffusion``), which only reading and tuning one imports."""

from draggan_widget.models.diffusion.correspondence import described, found_again
from draggan_widget.models.diffusion.ddim import Climb, inverted, inverting
from draggan_widget.models.diffusion.identity import (
    Identity,
    Lesson,
    bare,
    identity_of,
    learning,
    with_identity,
)
from draggan_widget.models.diffusion.instructions import Instructing, instructing
from draggan_widget.models.diffusion.keeping import KEPT, kept_of, with_kept
from draggan_widget.models.diffusion.loading import (
    is_diffusion_file,
    is_diffusion_folder,
    load_diffusion,
    save_diffusion,
)
from draggan_widget.models.diffusion.network import Diffusion
from draggan_widget.models.diffusion.sampling import Sampling
from draggan_widget.models.diffusion.schedule import Schedule
from draggan_widget.models.diffusion.space import NoisySpace
from draggan_widget.models.diffusion.text import ClipText, Text, Vocabulary
from draggan_widget.models.working import ended

__all__ = [
    "KEPT",
    "Climb",
    "ClipText",
    "Diffusion",
    "Identity",
    "Instructing",
    "Lesson",
    "NoisySpace",
    "Sampling",
    "Schedule",
    "Text",
    "Vocabulary",
    "bare",
    "described",
    "ended",
    "found_again",
    "identity_of",
    "instructing",
    "inverted",
    "inverting",
    "is_diffusion_file",
    "is_diffusion_folder",
    "kept_of",
    "learning",
    "load_diffusion",
    "save_diffusion",
    "with_identity",
    "with_kept",
]
