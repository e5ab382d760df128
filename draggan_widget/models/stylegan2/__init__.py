"""StyleGAN2 (Karras et al. 2020) in plain torch, as a whole and at the cells that somebody asks for."""

from draggan_widget.models.stylegan2.layers import (
    LEAKY_SLOPE,
    SynthesisBlock,
    SynthesisLayer,
    ToRGB,
    low_pass,
    upsample,
)
from draggan_widget.models.stylegan2.network import StyleGAN2

__all__ = [
    "LEAKY_SLOPE",
    "StyleGAN2",
    "SynthesisBlock",
    "SynthesisLayer",
    "ToRGB",
    "low_pass",
    "upsample",
]
