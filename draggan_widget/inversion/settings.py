"""The settings of an inversion."""

from __future__ import annotations

import dataclasses

from draggan_widget.settings import Settings, number, whole


@dataclasses.dataclass(frozen=True)
class Inversion(Settings):
    """How a photograph becomes a latent and a tuned copy. Checked when they are made, as those of an engine."""

    pivot_steps: int = whole(60, "Pivot steps", "Steps in which the latent is fitted.", most=10_000)
    """Steps in which the latent is fitted; most of them on coarse pictures where the model has previews."""
    pivot_rate: float = number(0.3, "Pivot rate", "How far a step of the fit goes.", above=True, most=10)
    """How far a step goes at most, about, in each of the whitened coordinates, in which latents have variance 1."""
    own: float = number(1.0, "Rows on their own", "How much rows may differ; 0 is W.", most=10)
    """How much each row of the latent may differ from the others, as a part of how latents differ; 0: W."""
    prior: float = number(2e-3, "Prior", "How firmly the latent stays among the model's own.", most=10)
    """Weight of the mean square of the whitened coordinates."""
    tuning_steps: int = whole(220, "Tuning steps", "Steps at most in which weights are tuned; 0: none.", most=10_000)
    """Steps of Adam at most in which the weights of a copy are tuned."""
    tuned_from: int = whole(
        32, "Tuned from", "Pixels of the coarsest maps whose weights are tuned.", least=4, most=8192
    )
    """Pixels of the coarsest maps of StyleGAN2 whose weights are tuned, or an eighth of the picture's if that is less:
    coarser ones say where things are. Of other models all are tuned."""
    tuning_rate: float = number(1e-2, "Tuning rate", "How far a step of the tuning goes.", above=True, most=1)
    """Learning rate of the weights once it has risen; it falls to nothing in the last three fifths of the steps."""
    enough: float = number(32.5, "Good enough", "The PSNR at which tuning ends, in dB.", most=100)
    """PSNR in dB (peak 2 in [-1, 1]) at which tuning ends, if MS-SSIM is 0.95 by then."""
    locality: float = number(
        0.1, "Locality", "How firmly other pictures of the model stay as they are while it is tuned.", most=100
    )
    """Weight of how pictures at latents around the pivot change (Roich et al., 2021, section 3.3)."""
    neighbours: float = number(
        0.0, "Neighbours", "How firmly what is near the photograph moves as the model moves it.", most=100
    )
    """Weight of how pictures at latents near the pivot differ from the model's own with the photograph's details
    carried along with their motion; 0: they are not looked at."""
    lpips: float = number(0.0, "LPIPS", "How much LPIPS counts while weights are tuned; 0: it is not asked.", most=100)
    """Weight of LPIPS (Zhang et al., 2018, AlexNet) in the tuning. Above 0 the package lpips and the weights must be on
    this machine; nothing is fetched."""
