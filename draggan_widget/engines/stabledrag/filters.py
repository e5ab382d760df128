"""Filters that tell a handle from the rest of the picture, and tracking by them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.common.geometry import Frame, square
from draggan_widget.engines.descent import Read

NEAR = 2.0
"""Cells around the handle that count together as much as all others."""
RIDGE = 1e-2
"""Of the mean variance of a channel: what is added, so that few cells do not decide all."""
FINE = 4
"""Places to a pixel, each way, at which a handle is looked for when the pixel is known."""


def discriminative(maps: Tensor, place: np.ndarray) -> Tensor:
    """Return the filter ``g`` (C,) whose response ``g·F`` is high at a place of a map and low elsewhere.

    It is the weighted ridge regression of the label ``exp(-d²/2)``, ``d`` the distance in cells from the place, on the
    features of all cells: ``g = (XᵀWX + ρI)⁻¹ XᵀWy``. Cells within ``NEAR`` weigh together as much as the rest.

    :param maps: F0 (h, w, C). :param place: (2,), in cells (x, y), their middles at integers.
    """
    height, width, channels = maps.shape
    y, x = np.mgrid[:height, :width]
    away = np.square(x - place[0]) + np.square(y - place[1])
    label = torch.from_numpy(np.exp(-away / 2)).reshape(-1)
    near = torch.from_numpy(away <= NEAR**2).reshape(-1)
    weights = torch.where(near, float((~near).sum()) / max(int(near.sum()), 1), 1.0).double()
    cells = maps.detach().reshape(-1, channels).cpu().double()
    weighted = cells * weights[:, None]
    gram = weighted.T @ cells
    ridge = RIDGE * gram.diagonal().sum() / channels
    identity = torch.eye(channels, dtype=torch.float64)
    # A picture that is the same everywhere has nothing to regress on; its filter answers nothing.
    solved: Tensor = torch.linalg.solve(gram + ridge.clamp(min=1e-30) * identity, weighted.T @ label)
    return solved.to(maps)


def found(
    read: Read, handle: np.ndarray, reference: Tensor, filter_: Tensor, share: float, frame: Frame
) -> tuple[np.ndarray, float]:
    """Return the place within ±r2 of a handle (2,) that scores highest, and the filter's response there.

    The score is ``α·g·F(q) / max g·F + (1 - α)·(1 - D(q) / max D)``, ``D`` the L2 distance from the reference and both
    maxima over the window. The best whole pixel first, then the best quarter of one around it.

    :param reference: f (C,). :param share: α. :raises DivergedError: never; NaN where features are not finite.
    """
    window = np.round(handle) + square(frame.tracking)
    window = window[frame.contains(window)]
    responses, away = _measured(read, window, reference, filter_)
    tops = float(responses.max()), float(away.max())
    pixel = window[int(_score(responses, away, tops, share).argmax())]
    fine = pixel + square(FINE) / FINE
    fine = fine[frame.contains(fine)]
    responses, away = _measured(read, fine, reference, filter_)
    score = _score(responses, away, tops, share)
    if not bool(torch.isfinite(score).all()):
        return np.full(2, np.nan), np.nan
    best = int(score.argmax())
    return fine[best], float(responses[best])


def _measured(read: Read, places: np.ndarray, reference: Tensor, filter_: Tensor) -> tuple[Tensor, Tensor]:
    """Return the filter's response and the distance from the reference (n,) at places (n, 2)."""
    features = read(places).detach()
    return (features @ filter_).double().cpu(), (features - reference).norm(dim=1).double().cpu()


def _score(responses: Tensor, away: Tensor, tops: tuple[float, float], share: float) -> Tensor:
    response, distance = tops
    likeness = 1 - away / max(distance, 1e-30)
    # Where no place answers, the filter has nothing to say.
    return share * responses / response + (1 - share) * likeness if response > 0 else likeness
