"""The natural drag: Gauss–Newton steps in the metric of the model's own latents."""

from draggan_widget.engines.natural.engine import BoundNatural, NaturalDrag
from draggan_widget.engines.natural.metric import Metric, cache_folder, class_of, covariance_of, mahalanobis
from draggan_widget.engines.natural.settings import Natural

__all__ = [
    "BoundNatural",
    "Metric",
    "Natural",
    "NaturalDrag",
    "cache_folder",
    "class_of",
    "covariance_of",
    "mahalanobis",
]
