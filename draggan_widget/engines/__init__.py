"""Points and mask → latent: every method of dragging is an engine.

``bind(model, settings)`` is a method on one model, or says in a sentence why the model cannot serve it; ``register``
adds one of your own, which then runs in the editor, its undo, timeline and files. A drag without an editor is ``drag``,
``drag_steps`` or, step by step, ``State``.
"""

from draggan_widget.config import DragConfig
from draggan_widget.engines.base import VERDICTS, Bound, Engine, Step, Verdict, check_blocks
from draggan_widget.engines.common.regularising import mean_squares
from draggan_widget.engines.common.sampling import DivergedError
from draggan_widget.engines.dragdiffusion import DragDiffusion, DragDiffusionEngine
from draggan_widget.engines.draggan.engine import DragGAN
from draggan_widget.engines.edit import XY, Edit, EditPoint, check_mask, check_ws, check_xy
from draggan_widget.engines.fastdrag import FastDrag, FastDragEngine
from draggan_widget.engines.finish import blend_of, layers_of, picture_of, to_image, with_blend
from draggan_widget.engines.freedrag import FreeDrag, FreeDragEngine
from draggan_widget.engines.gooddrag import GoodDrag, GoodDragEngine
from draggan_widget.engines.natural import Natural, NaturalDrag
from draggan_widget.engines.predicted import Predicted, PredictedEngine
from draggan_widget.engines.registry import (
    bind,
    default_config,
    engine_named,
    engine_names,
    engine_of,
    jumping_engines,
    register,
    unregister,
)
from draggan_widget.engines.run import DragRecord, DragResult, drag, drag_steps
from draggan_widget.engines.stabledrag import StableDrag, StableDragEngine
from draggan_widget.engines.state import State, begin_with, check_jump
from draggan_widget.engines.tracked import BoundTracked, search_of, searched_by

# The first one that can serve a model is its default.
register(NaturalDrag())
register(DragGAN())
register(FreeDragEngine())
register(StableDragEngine())
register(GoodDragEngine())
register(PredictedEngine())
register(DragDiffusionEngine())
register(FastDragEngine())

__all__ = [
    "VERDICTS",
    "XY",
    "Bound",
    "BoundTracked",
    "DivergedError",
    "DragConfig",
    "DragDiffusion",
    "DragDiffusionEngine",
    "DragGAN",
    "DragRecord",
    "DragResult",
    "Edit",
    "EditPoint",
    "Engine",
    "FastDrag",
    "FastDragEngine",
    "FreeDrag",
    "FreeDragEngine",
    "GoodDrag",
    "GoodDragEngine",
    "Natural",
    "NaturalDrag",
    "Predicted",
    "PredictedEngine",
    "StableDrag",
    "StableDragEngine",
    "State",
    "Step",
    "Verdict",
    "begin_with",
    "bind",
    "blend_of",
    "check_blocks",
    "check_jump",
    "check_mask",
    "check_ws",
    "check_xy",
    "default_config",
    "drag",
    "drag_steps",
    "engine_named",
    "engine_names",
    "engine_of",
    "jumping_engines",
    "layers_of",
    "mean_squares",
    "picture_of",
    "register",
    "search_of",
    "searched_by",
    "to_image",
    "unregister",
    "with_blend",
]
