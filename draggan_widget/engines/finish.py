"""The one way from an edit to its picture: whoever shows, saves or exports one makes it of the layers given here."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from draggan_widget.models import Compositor, Generator, Layer, plain_torch

if TYPE_CHECKING:
    from torch import Tensor

    from draggan_widget.engines.edit import Edit


def blend_of(settings: Any) -> str:
    """Return what settings of any engine say about it; "none" of an engine without that setting."""
    asked: str = getattr(settings, "blend", "none")
    return asked


def with_blend(settings: Any, blend: str | None) -> Any:
    """Return the settings with another ``blend``, if they have one; as they are for None."""
    if blend is None or blend_of(settings) == blend or not hasattr(settings, "blend"):
        return settings
    return dataclasses.replace(settings, blend=blend)


def layers_of(edit: Edit, settings: Any, model: Any) -> tuple[Layer, ...]:
    """Return what the picture of an edit is made of, from the lowest layer up."""
    blend = blend_of(settings)
    if blend == "none" or not isinstance(model, Generator):
        return (Layer(edit.latent),)
    if blend == "features":
        return edit.layers
    return tuple(each if each.mask is None else dataclasses.replace(each, faded=True) for each in edit.layers)


def picture_of(model: Generator, layers: Sequence[Layer]) -> Image.Image:
    """Return the picture of layers: L, RGB or RGBA by the model's channels."""
    with plain_torch(), torch.no_grad():
        return to_image(model.synthesize(layers[0].latent) if len(layers) == 1 else Compositor(model).picture(layers))


def to_image(picture: Tensor) -> Image.Image:
    """A picture (1, channels, H, W), nominally in [-1, 1], clamped, as L (1 channel), RGB (3) or RGBA (4)."""
    pixels = (picture[0].detach().float() * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)
    array = pixels.permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
