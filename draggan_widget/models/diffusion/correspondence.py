"""Where the content of one picture is in another, by what a diffusion model sees in both.

Tang et al., *Emergent Correspondence from Image Diffusion* (DIFT), NeurIPS 2023: noise is added to a picture, and the
features on the UNet's way up are the same for the same things.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from draggan_widget.models.diffusion.looking import tapped
from draggan_widget.models.diffusion.network import Diffusion
from draggan_widget.models.diffusion.schedule import Schedule
from draggan_widget.models.guard import guarded

TIME, ENSEMBLE = 261, 8
"""At which time step of training, and the mean of how many noises: the paper's for Stable Diffusion 2.1."""
UP = 1
"""Which block of the way up is read, counted from 0: likewise."""


@guarded
@torch.no_grad()
def described(model: Diffusion, picture: Tensor, *, time: int = TIME, ensemble: int = ENSEMBLE) -> Tensor:
    """Return features (1, C, h, w) of a picture (1, channels, H, W) in [-1, 1], the same ones every time."""
    schedule = Schedule.trained(model.scheduler)
    level = min(time, schedule.steps - 1) + 1
    clean, draw = model.encode(picture), torch.Generator().manual_seed(0)
    block = model.blocks[-len(model.unet.up_blocks)] + UP  # type: ignore[arg-type]
    total: Tensor | None = None
    for _ in range(ensemble):
        noisy = schedule.join(clean, torch.randn(clean.shape, generator=draw).to(clean), level)
        with tapped(model.unet, [block], whole=False) as seen:
            model.asked(noisy, schedule.times[level - 1], model.prompt_vectors)
        total = seen[block].to(clean) if total is None else total + seen[block].to(clean)
    assert total is not None
    return total / ensemble


def found_again(before: Tensor, after: Tensor, places: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return where in a picture of features ``after`` what is at places (N, 2) of ``before`` is: whole pixels (N, 2).

    Features (1, C, h, w) are blown up to the picture; the pixel whose features point the same way most is taken.

    :param places: (x, y) in pixels of the picture. :param size: (H, W) of it.
    """
    height, width = size
    maps = [F.interpolate(each, size, mode="bilinear", align_corners=False)[0] for each in (before, after)]
    columns, rows = (
        np.clip(np.round(places[:, axis]), 0, side - 1).astype(int) for axis, side in ((0, width), (1, height))
    )
    asked = F.normalize(maps[0][:, torch.from_numpy(rows), torch.from_numpy(columns)].T, dim=1)  # (N, C)
    alike = asked @ F.normalize(maps[1].flatten(1), dim=0)  # (N, H·W)
    best = alike.argmax(dim=1).cpu().numpy()
    return np.stack([best % width, best // width], axis=1).astype(np.float64)
