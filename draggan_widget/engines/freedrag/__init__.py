"""FreeDrag: templates that change slowly, and a line on which handles are looked for."""

from draggan_widget.engines.freedrag.engine import BoundFreeDrag, FreeDragEngine
from draggan_widget.engines.freedrag.settings import FreeDrag

__all__ = ["BoundFreeDrag", "FreeDrag", "FreeDragEngine"]
