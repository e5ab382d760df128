"""DragGAN (Pan et al., SIGGRAPH 2023) in three readings: ``default``, ``paper`` and ``official``."""

from draggan_widget.engines.common.running import MARKED, Anchor
from draggan_widget.engines.draggan.captured_steps import stride
from draggan_widget.engines.draggan.edits import (
    add_point,
    begin_run,
    move_handle,
    move_target,
    remove_point,
    with_config,
    with_mask,
)
from draggan_widget.engines.draggan.engine import BoundDragGAN, DragGAN
from draggan_widget.engines.draggan.iteration import init, step, terminate, with_handles
from draggan_widget.engines.draggan.methods import frame_of, has_arrived, method_of, tolerance_of
from draggan_widget.engines.draggan.state import LARGEST_WHOLE, DragState, Point, real_number, whole_number
from draggan_widget.engines.draggan.texture import FLAT, distinctness

__all__ = [
    "FLAT",
    "LARGEST_WHOLE",
    "MARKED",
    "Anchor",
    "BoundDragGAN",
    "DragGAN",
    "DragState",
    "Point",
    "add_point",
    "begin_run",
    "distinctness",
    "frame_of",
    "has_arrived",
    "init",
    "method_of",
    "move_handle",
    "move_target",
    "real_number",
    "remove_point",
    "step",
    "stride",
    "terminate",
    "tolerance_of",
    "whole_number",
    "with_config",
    "with_handles",
    "with_mask",
]
