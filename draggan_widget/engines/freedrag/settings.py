"""The settings of FreeDrag."""

from __future__ import annotations

import dataclasses

from draggan_widget.engines.descent import DescentSettings
from draggan_widget.settings import number, whole


@dataclasses.dataclass(frozen=True)
class FreeDrag(DescentSettings):
    """How FreeDrag pulls (Ling et al., *FreeDrag*, CVPR 2024). Lengths are pixels of a picture of 512 px."""

    stride: float = number(
        12.0,
        "Stride",
        "How far on the content is asked to go at once, in pixels of a picture of 512.",
        above=True,
        most=512,
    )
    """d: how far a handle's aim goes on at most. The paper's 3 cells of a map of 128 are 12 pixels of 512."""
    grid: float = number(
        0.75,
        "Template spacing",
        "Between the nine places of a template, in cells of the feature map.",
        above=True,
        most=16,
        advanced=True,
    )
    """Between neighbours of the 3×3 places around a handle whose features are its template, in cells of the finest map
    that is read. The paper's 3 pixels of 512 are 0.75 cells of its map of 128."""
    expected: float | None = number(
        None,
        "Expected change",
        "How much features differ when the content has gone one stride.",
        above=True,
        most=1e6,
        none="measured at the handle",
        advanced=True,
    )
    """l: the mean difference of features that a stride makes. The paper's 0.3 belongs to the size of NVIDIA's features.
    None: of each point the median over eight directions of what a stride makes at its handle, when it is grabbed."""
    motions: int = whole(
        5,
        "Steps to a motion",
        "Largest number of steps before the handle is looked for.",
        least=1,
        most=100,
        advanced=True,
    )
    """Adam steps that the content is given at most to come to the aim."""
