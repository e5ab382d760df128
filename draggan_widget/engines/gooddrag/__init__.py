"""GoodDrag's supervision on a GAN: the patch as it was grabbed is the target, several steps to a tracking."""

from draggan_widget.engines.gooddrag.engine import BoundGoodDrag, GoodDragEngine
from draggan_widget.engines.gooddrag.settings import GoodDrag

__all__ = ["BoundGoodDrag", "GoodDrag", "GoodDragEngine"]
