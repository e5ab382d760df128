"""DragDiffusion: a noisy picture is pulled at one level of its way, and then denoised."""

from draggan_widget.engines.dragdiffusion.engine import BoundDragDiffusion, DragDiffusionEngine
from draggan_widget.engines.dragdiffusion.settings import DragDiffusion

__all__ = ["BoundDragDiffusion", "DragDiffusion", "DragDiffusionEngine"]
