"""The old name of ``draggan_widget.models.stylegan3``, kept for one release."""

from draggan_widget.models.stylegan3 import StyleGAN3

__all__ = ["StyleGAN3"]
