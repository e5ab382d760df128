"""Points and mask → latent: every method of dragging is an engine.

``engine_named("draggan").bind(model, settings)`` is a method on one model; ``register`` adds one of your own.
"""

from draggan_widget.config import DragConfig
from draggan_widget.engines.base import VERDICTS, Bound, Engine, Step, Verdict
from draggan_widget.engines.draggan.engine import DragGAN
from draggan_widget.engines.edit import XY, Edit, EditPoint
from draggan_widget.engines.registry import engine_named, engine_names, engine_of, register, unregister

register(DragGAN())

__all__ = [
    "VERDICTS",
    "XY",
    "Bound",
    "DragConfig",
    "DragGAN",
    "Edit",
    "EditPoint",
    "Engine",
    "Step",
    "Verdict",
    "engine_named",
    "engine_names",
    "engine_of",
    "register",
    "unregister",
]
