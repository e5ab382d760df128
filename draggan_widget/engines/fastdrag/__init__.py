"""FastDrag: the noisy picture is warped once, where DragDiffusion goes step by step."""

from draggan_widget.engines.fastdrag.engine import BoundFastDrag, FastDragEngine
from draggan_widget.engines.fastdrag.settings import FastDrag

__all__ = ["BoundFastDrag", "FastDrag", "FastDragEngine"]
