"""How far a generator's pictures are from the renders it learned from, and whether they are as sharp.

Three measures, none of which looks at a pair of pictures; all need the same number of pictures on both sides, since
distances of small sets are too large by an amount that falls with their number:

- ``bands``: Fréchet distances (between normal distributions fitted to both sides) of small patches of each band of the
  Laplacian pyramid, in units of what the renders' patches vary by. Fine bands say whether hairs and skin are there.
- ``descriptors``: the Fréchet distance of the 128 numbers by which dlib's recognition network tells persons apart.
- ``spectrum``: the power of the pictures' luma in octaves of frequency, relative to that of the renders.
"""

from __future__ import annotations

import numpy as np

PATCH, PATCHES = 6, 96
"""Height and width of patches, and how many are taken of each picture and band."""
BANDS = (256, 128, 64, 32, 16)
"""Bands of the pyramid by the size of the picture that shows them; the last has all that is coarser."""
OCTAVES = ((64, 128), (32, 64), (16, 32), (8, 16), (4, 8))
"""Frequencies, in cycles a picture of 256 px, between which power is summed."""


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """The squared Fréchet distance between normal distributions fitted to samples ``(N, D)`` and ``(M, D)``.

    :raises ValueError: if a side has fewer than two samples, or samples of other lengths than the other's.
    """
    if min(len(first), len(second)) < 2 or first.shape[1:] != second.shape[1:]:
        raise ValueError(
            f"a Fréchet distance needs two samples at least on both sides, of the same length, "
            f"got {first.shape} and {second.shape}"
        )
    first, second = np.asarray(first, float), np.asarray(second, float)
    spreads = [np.atleast_2d(np.cov(side, rowvar=False)) for side in (first, second)]
    values, vectors = np.linalg.eigh(spreads[0])
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    # The root of a product of two spreads has the trace of this symmetric one.
    both = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ spreads[1] @ root), 0)).sum()
    apart = np.square(first.mean(0) - second.mean(0)).sum()
    return float(max(0.0, apart + np.trace(spreads[0]) + np.trace(spreads[1]) - 2 * both))


def _halved(pictures: np.ndarray) -> np.ndarray:
    return (pictures[:, ::2, ::2] + pictures[:, 1::2, ::2] + pictures[:, ::2, 1::2] + pictures[:, 1::2, 1::2]) / 4


def band_patches(pictures: np.ndarray) -> dict[int, np.ndarray]:
    """Patches of each band of uint8 ``pictures`` (N, 256, 256, 3): band → (N · 96, 6 · 6 · 3).

    Places are the same for the same number of pictures.
    """
    if pictures.ndim != 4 or pictures.shape[1:] != (BANDS[0], BANDS[0], 3):
        raise ValueError(f"pictures must be (N, {BANDS[0]}, {BANDS[0]}, 3), got {pictures.shape}")
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 1, (len(pictures), PATCHES, 2))
    patches: dict[int, list[np.ndarray]] = {band: [] for band in BANDS}
    for picture, where in zip(pictures, places, strict=True):
        here = picture[None].astype("f4") / 127.5 - 1
        for band in BANDS:
            coarser = _halved(here)
            shown = here if band == BANDS[-1] else here - coarser.repeat(2, 1).repeat(2, 2)
            corners = (where * (band - PATCH + 1)).astype(int)
            windows = np.lib.stride_tricks.sliding_window_view(shown[0], (PATCH, PATCH), (0, 1))
            patches[band].append(windows[corners[:, 0], corners[:, 1]].reshape(PATCHES, -1))
            here = coarser
    return {band: np.concatenate(parts) for band, parts in patches.items()}


def band_distances(made: np.ndarray, true: np.ndarray) -> dict[int, float]:
    """The Fréchet distance in each band between pictures ``made`` and ``true`` ones, over the renders' own spread."""
    made_patches, true_patches = band_patches(made), band_patches(true)
    return {
        band: frechet(made_patches[band], true_patches[band]) / float(true_patches[band].var(0).sum()) for band in BANDS
    }


def octave_powers(pictures: np.ndarray) -> np.ndarray:
    """Mean power of the luma of ``pictures`` (N, H, W, 3) uint8 in each of :data:`OCTAVES`: (5,)."""
    height, width = pictures.shape[1:3]
    window = np.hanning(height)[:, None] * np.hanning(width)[None]
    cycles = np.hypot(np.fft.fftfreq(height)[:, None] * height, np.fft.fftfreq(width)[None] * width)
    powers = np.zeros(len(OCTAVES))
    for picture in pictures:
        luma = picture.astype(float) @ (0.299, 0.587, 0.114)
        power = np.square(np.abs(np.fft.fft2((luma - luma.mean()) * window)))
        powers += [power[(cycles >= low) & (cycles < high)].mean() for low, high in OCTAVES]
    return powers / len(pictures)


def distances(made: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """All measures that need no dlib, of pictures ``made`` to ``true`` ones, (N, 256, 256, 3) uint8 both.

    ``band 256`` …: see the module. ``bands``: their mean. ``power 64-128`` …: power of the made over that of the true
    ones; 1 is as sharp. ``spectrum``: root mean square of the natural logarithms of these.

    :raises ValueError: unless there are as many of one as of the other.
    """
    if len(made) != len(true):
        raise ValueError(f"distances need as many pictures on both sides, got {len(made)} and {len(true)}")
    bands = band_distances(made, true)
    ratios = octave_powers(made) / octave_powers(true)
    return {
        **{f"band {band}": value for band, value in bands.items()},
        "bands": float(np.mean(list(bands.values()))),
        **{f"power {low}-{high}": float(ratio) for (low, high), ratio in zip(OCTAVES, ratios, strict=True)},
        "spectrum": float(np.sqrt(np.square(np.log(ratios)).mean())),
    }


def descriptor_distance(made: np.ndarray, true: np.ndarray, find) -> tuple[float, int]:
    """The Fréchet distance of dlib's descriptors, and of how many pairs of pictures it is.

    Only numbers k where ``find`` (a ``Landmarks``) sees a face in both the k-th made and the k-th true picture count.
    """
    described = [
        (first[1], second[1])
        for first, second in ((find.describe(a), find.describe(b)) for a, b in zip(made, true, strict=True))
        if first is not None and second is not None
    ]
    if len(described) < 2:
        raise ValueError(f"dlib found faces in {len(described)} of {len(made)} pairs of pictures; that is too few")
    ours, theirs = (np.array(side) for side in zip(*described, strict=True))
    return frechet(ours, theirs), len(described)
