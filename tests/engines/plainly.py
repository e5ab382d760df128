"""What the plain references of engines share: bilinear samples by hand, torch's own Adam, the mean of what stays."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from draggan_widget.engines import DragConfig, Edit, EditPoint, FreeDrag, GoodDrag, StableDrag, engine_of

DESCENTS = [
    DragConfig(learning_rate=0.05),
    FreeDrag(learning_rate=0.05),
    StableDrag(learning_rate=0.05, supervision_radius=24.0),
    GoodDrag(learning_rate=0.05, supervision_radius=24.0),
]
"""The engines that step by Adam, in settings for small random networks."""
each_descent = pytest.mark.parametrize("settings", DESCENTS, ids=lambda settings: type(settings).__name__)


def sampled(feature_map, xy, resolution):
    """(P, C) of a map (1, C, h, w) at picture pixels (P, 2), as if upsampled with align_corners=False."""
    _, _, height, width = feature_map.shape
    x = (xy[:, 0] + 0.5) * width / resolution[1] - 0.5
    y = (xy[:, 1] + 0.5) * height / resolution[0] - 0.5
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    a, b = torch.from_numpy(x - left), torch.from_numpy(y - top)
    cells = feature_map[0]
    upper = cells[:, top, left] * (1 - a) + cells[:, top, right] * a
    lower = cells[:, bottom, left] * (1 - a) + cells[:, bottom, right] * a
    return (upper * (1 - b) + lower * b).T


class Descent:
    """Adam on the first rows of a latent, and features of it."""

    def __init__(self, generator, ws, block, rows, rate):
        self.generator, self.block, self.ws = generator, block, ws
        self.head = ws[:, :rows].clone().requires_grad_()
        self.adam = torch.optim.Adam([self.head], lr=rate)
        self.rows = rows

    @property
    def latent(self):
        return torch.cat([self.head, self.ws[:, self.rows :]], dim=1)

    def read(self, xy, latent=None):
        (feature_map,) = self.generator.feature_maps(self.latent if latent is None else latent, [self.block])
        return sampled(feature_map, np.asarray(xy, dtype=float), self.generator.resolution)

    def staying(self, mask, block):
        """Mean over the cells outside a mask of the mean over channels of |F - F0|."""
        (now,) = self.generator.feature_maps(self.latent, [block])
        with torch.no_grad():
            (before,) = self.generator.feature_maps(self.ws, [block])
        _, _, height, width = now.shape
        stay = 1 - torch.from_numpy(mask).reshape(height, mask.shape[0] // height, width, -1).mean(dim=(1, 3))
        assert set(stay.unique().tolist()) == {0.0, 1.0}, "the mask must follow the cells"
        return ((now - before).abs().mean(dim=1)[0] * stay).sum() / stay.sum()

    def step(self, loss):
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()


def begun(generator, settings, handles, targets, mask=None, seed=3):
    """A bound engine, an edit and its memory."""
    bound = engine_of(settings).bind(generator, settings)
    ws = generator.mapping(seed=seed)
    points = tuple(
        EditPoint(number, bound.place(handle), target, bound.place(handle))
        for number, (handle, target) in enumerate(zip(handles, targets, strict=True), start=1)
    )
    edit = Edit(ws, ws, points, mask)
    return bound, edit, bound.begin(edit)


def advanced(bound, edit, memory, steps):
    """The edit and the memory after so many steps."""
    for _ in range(steps):
        (step,) = bound.advance(edit, memory)
        edit, memory = step.edit, step.memory
    return edit, memory


def retargeted(bound, edit, memory, number, target):
    """The edit with another target of a point, and the memory for it."""
    after = edit.with_point(dataclasses.replace(edit.point(number), target=target))
    return after, bound.adapt(edit, after, memory)
