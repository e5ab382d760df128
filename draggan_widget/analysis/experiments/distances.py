"""How much two pictures differ, and how much two sets of pictures do.

LPIPS, and a Fréchet distance such as FID, need networks that were trained on photographs. Where their weights are not
on this machine, measures of other names take their place, whose figures must not be compared with published ones.
Nothing is fetched.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

LPIPS, SUBSTITUTE = "lpips", "ms_dssim"
ALEXNET = "alexnet-owt-7be5be79.pth"
INCEPTION = "inception_v3_google-0cc3c7bd.pth"
"""What torchvision calls the files of the weights under LPIPS and of its Inception-v3, in torch's folder of checkpoints
(``~/.cache/torch/hub/checkpoints``, or where ``TORCH_HOME`` says)."""
INCEPTION_SIDE = 299
SCALES = 3
"""Of MS-DSSIM: fewer than the five of its authors, since pictures of 64 px have to do as well."""
WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2
BANDS, GRID = 4, 4


def picture_distance() -> tuple[str, Callable[[Tensor, Tensor], float]]:
    """Return the name and the function of the best measure at hand, of two pictures (1, channels, H, W) in [-1, 1].

    It is ``lpips`` (Zhang et al. 2018, AlexNet) where that package and its weights are here, else ``ms_dssim``.
    """
    if find_spec("lpips") is None or find_spec("torchvision") is None or not _weights(ALEXNET).exists():
        return SUBSTITUTE, ms_dssim
    return LPIPS, _lpips


def picture_features() -> tuple[str, Callable[[Tensor], np.ndarray]]:
    """Return the name and the function of the best numbers at hand to take a Fréchet distance of, for one picture.

    They are ``inception``, the 2048 that torchvision's Inception-v3 ends with, where that package and its weights are
    here, else ``bands``. FID takes those of another file of weights for TensorFlow, so even the first is not FID.
    """
    if find_spec("torchvision") is None or not _weights(INCEPTION).exists():
        return "bands", bands
    return "inception", inception


def _weights(file: str) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / file


def _lpips(one: Tensor, other: Tensor) -> float:
    network = _lpips_network()
    with torch.no_grad():
        return float(network(*(_colours(picture) for picture in (one, other))))


@functools.cache
def _lpips_network() -> torch.nn.Module:
    import lpips

    network: torch.nn.Module = lpips.LPIPS(net="alex", verbose=False).eval()
    return network


def inception(picture: Tensor) -> np.ndarray:
    """Return (2048,) of a picture (1, channels, H, W) in [-1, 1], by torchvision's Inception-v3 on 299×299 pixels.

    :raises ValueError: if the file of its weights holds something else.
    """
    side = (INCEPTION_SIDE, INCEPTION_SIDE)
    with torch.no_grad():
        found = _inception_network()(F.interpolate(_colours(picture), side, mode="bilinear", antialias=True))
    return np.asarray(found[0].numpy(), dtype=np.float64)


@functools.cache
def _inception_network() -> torch.nn.Module:
    from torchvision.models import inception_v3

    from draggan_widget.engines.trackers import load

    # The weights want pictures in [-1, 1], which these are; transform_input would make them from ImageNet's scale.
    network: torch.nn.Module = inception_v3(weights=None, transform_input=False, init_weights=False)
    load(network, _weights(INCEPTION), "Inception-v3")
    network.fc = torch.nn.Identity()
    return network


def mse(one: Tensor, other: Tensor) -> float:
    """Return the mean square difference of two pictures (1, channels, H, W) in [-1, 1]."""
    return float((one.clamp(-1, 1) - other.clamp(-1, 1)).square().mean())


def ms_dssim(one: Tensor, other: Tensor) -> float:
    """Return 1 - MS-SSIM of the luminance of two pictures (1, channels, H, W) in [-1, 1]: 0 for equal ones, up to 2.

    Structure and contrast count at three scales, brightness at the coarsest (after Wang, Simoncelli and Bovik 2003,
    with equal weights). It needs no weights, and is no LPIPS.
    """
    a, b = (_luminance(picture) for picture in (one, other))
    similarity = 1.0
    for scale in range(SCALES):
        mean_a, mean_b = _blurred(a), _blurred(b)
        spread_a, spread_b = _blurred(a * a) - mean_a**2, _blurred(b * b) - mean_b**2
        shared = _blurred(a * b) - mean_a * mean_b
        structure = (2 * shared + C2) / (spread_a + spread_b + C2)
        brightness = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
        last = scale == SCALES - 1
        term = float((structure * brightness if last else structure).mean())
        similarity *= np.sign(term) * abs(term) ** (1 / SCALES)
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return 1 - float(similarity)


def bands(picture: Tensor) -> np.ndarray:
    """Return a picture (1, channels, H, W) in [-1, 1] as 80 to 112 numbers that say how it looks at a glance, without
    weights.

    On a grid of 4×4 fields: the mean of each channel, and the logarithm of the mean square of luminance in each of four
    bands of a Laplacian pyramid, so that blur and smears show as well as colours.
    """
    picture = picture.detach().clamp(-1, 1).cpu().float()
    parts = [F.adaptive_avg_pool2d(picture, GRID).flatten()]
    rest = _luminance(picture)
    for _ in range(BANDS):
        smaller = F.avg_pool2d(rest, 2)
        wide = F.interpolate(smaller, size=rest.shape[2:], mode="bilinear", align_corners=False)
        energy = F.adaptive_avg_pool2d((rest - wide.to(rest)).square(), GRID)
        parts.append(0.25 * torch.log(energy + 1e-6).flatten().float())
        rest = smaller
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float64)


def frechet(one: Sequence[np.ndarray] | np.ndarray, other: Sequence[np.ndarray] | np.ndarray) -> float:
    """Return the Fréchet distance of two sets of vectors (n, d) and (m, d), each taken for a Gaussian.

    ‖μ1 - μ2‖² + tr(Σ1 + Σ2 - 2·(Σ1·Σ2)^½), as FID computes it of other features. Sets of fewer members than
    dimensions give too large a value, so compare only sets of equal size.

    :raises ValueError: for sets of fewer than two.
    """
    a, b = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if min(len(a), len(b)) < 2:
        raise ValueError(f"a Fréchet distance needs two sets of at least 2 pictures; these have {len(a)} and {len(b)}")
    spread_a, spread_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(spread_a)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ spread_b @ root), 0)).sum()
    apart = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    return max(0.0, float(apart + np.trace(spread_a) + np.trace(spread_b) - 2 * shared))


def _colours(picture: Tensor) -> Tensor:
    """Return (1, 3, H, W) in [-1, 1], on the processor; a fourth channel, alpha, does not count."""
    return picture.detach().clamp(-1, 1).cpu().float()[:, :3].expand(-1, 3, -1, -1)


def _luminance(picture: Tensor) -> Tensor:
    """Return (1, 1, H, W) in 0 … 1, on the processor; a fourth channel, alpha, does not count."""
    colours = picture.detach().clamp(-1, 1).cpu().double()[:, :3] / 2 + 0.5
    if colours.shape[1] == 1:
        return colours
    return (colours * colours.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def _blurred(picture: Tensor) -> Tensor:
    offsets = torch.arange(WINDOW, dtype=picture.dtype) - WINDOW // 2
    line = torch.exp(-offsets.square() / (2 * SIGMA**2))
    line = line / line.sum()
    wide = F.pad(picture, (WINDOW // 2,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(wide, line.view(1, 1, 1, -1)), line.view(1, 1, -1, 1))
