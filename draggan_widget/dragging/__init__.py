"""Points and mask → latent: the drag of Pan et al., *Drag Your GAN* (SIGGRAPH 2023), as an iterative method."""

from draggan_widget.dragging.edits import (
    add_point,
    begin_run,
    move_handle,
    move_target,
    remove_point,
    with_config,
    with_mask,
)
from draggan_widget.dragging.geometry import XY
from draggan_widget.dragging.iteration import init, step, terminate, with_handles
from draggan_widget.dragging.methods import tolerance_of
from draggan_widget.dragging.points import Point, check_mask, check_ws, check_xy
from draggan_widget.dragging.run import DragRecord, DragResult, drag, drag_steps, make_result, to_image
from draggan_widget.dragging.sampling import DivergedError
from draggan_widget.dragging.state import DragState
from draggan_widget.dragging.strides import stride

__all__ = [
    "XY",
    "DivergedError",
    "DragRecord",
    "DragResult",
    "DragState",
    "Point",
    "add_point",
    "begin_run",
    "check_mask",
    "check_ws",
    "check_xy",
    "drag",
    "drag_steps",
    "init",
    "make_result",
    "move_handle",
    "move_target",
    "remove_point",
    "step",
    "stride",
    "terminate",
    "to_image",
    "tolerance_of",
    "with_config",
    "with_handles",
    "with_mask",
]
