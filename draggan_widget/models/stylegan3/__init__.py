"""StyleGAN3-T and -R (Karras et al. 2021) in plain torch."""

from draggan_widget.models.stylegan3.network import StyleGAN3

__all__ = ["StyleGAN3"]
