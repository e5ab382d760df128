"""What engines share that go down a loss of features by Adam, one step of a latent's rows at a time."""

from draggan_widget.engines.descent.bound import BoundDescent, Read
from draggan_widget.engines.descent.engine import DescentEngine, blocks_of
from draggan_widget.engines.descent.memory import Memory, Spot
from draggan_widget.engines.descent.settings import DescentSettings

__all__ = ["BoundDescent", "DescentEngine", "DescentSettings", "Memory", "Read", "Spot", "blocks_of"]
