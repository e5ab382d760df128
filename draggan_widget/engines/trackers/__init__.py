"""Trackers: where the handles of a drag are now. ``make`` makes one by name."""

from draggan_widget.engines.trackers.base import Features, Flow, Sight, Tracker, dense_flow, make, opencv, sampled
from draggan_widget.engines.trackers.bringing import bring
from draggan_widget.engines.trackers.learned import Pips, Raft, load
from draggan_widget.engines.trackers.metric import LearnedMetric

__all__ = [
    "Features",
    "Flow",
    "LearnedMetric",
    "Pips",
    "Raft",
    "Sight",
    "Tracker",
    "bring",
    "dense_flow",
    "load",
    "make",
    "opencv",
    "sampled",
]
