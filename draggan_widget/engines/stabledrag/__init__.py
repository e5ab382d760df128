"""StableDrag: a tracker that knows what a handle is not, and supervision that minds how surely it was found."""

from draggan_widget.engines.stabledrag.engine import BoundStableDrag, StableDragEngine
from draggan_widget.engines.stabledrag.settings import StableDrag

__all__ = ["BoundStableDrag", "StableDrag", "StableDragEngine"]
