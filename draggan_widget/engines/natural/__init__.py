"""The natural drag: Gauss–Newton steps in the metric of the model's own latents."""

from draggan_widget.engines.natural.engine import BoundNatural, NaturalDrag
from draggan_widget.engines.natural.metric import Metric, mahalanobis
from draggan_widget.engines.natural.settings import Natural

__all__ = [
    "BoundNatural",
    "Metric",
    "Natural",
    "NaturalDrag",
    "mahalanobis",
]
