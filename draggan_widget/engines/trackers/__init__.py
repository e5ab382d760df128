"""Trackers: where the handles of a drag are now."""

from draggan_widget.engines.trackers.base import Tracker, dense_flow, make, opencv, sampled
from draggan_widget.engines.trackers.learned import load

__all__ = [
    "Tracker",
    "dense_flow",
    "load",
    "make",
    "opencv",
    "sampled",
]
