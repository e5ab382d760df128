"""Grab a point of a GAN image, pull it where it should be, and watch the image follow."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from draggan_widget.config import DragConfig
    from draggan_widget.engines import DragResult, drag, drag_steps
    from draggan_widget.inversion import invert
    from draggan_widget.models import CheckpointError, load_generator
    from draggan_widget.widget import DragGAN, Editor

# Before anything else is imported, which an older Python could not even read.
if sys.version_info < (3, 10):  # noqa: UP036 - a checkout on the path was not refused by pip
    raise ImportError(
        f"draggan_widget needs Python 3.10 or newer, and this is {sys.version.split()[0]}: "
        "make an environment of a newer one"
    )
if sys.maxsize <= 2**32:
    raise ImportError(
        "draggan_widget needs a 64-bit Python, as torch does, and this is a 32-bit one: install the other"
    )

__version__ = "1.0.0rc1"
__all__ = [
    "CheckpointError",
    "DragConfig",
    "DragGAN",
    "DragResult",
    "Editor",
    "drag",
    "drag_steps",
    "invert",
    "load_generator",
]

# Names load on first use, so that importing the package imports no torch.
_ROOMS = {
    "CheckpointError": "models",
    "DragConfig": "config",
    "DragGAN": "widget",
    "DragResult": "engines",
    "Editor": "widget",
    "drag": "engines",
    "drag_steps": "engines",
    "invert": "inversion",
    "load_generator": "models",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
