"""One-shot methods: a trained network answers a pull in one pass."""

from draggan_widget.engines.predicted.engine import BoundPredicted, PredictedEngine
from draggan_widget.engines.predicted.network import MOST_PIECES, Points, Shape, missed
from draggan_widget.engines.predicted.predictor import (
    GROWTH,
    UNIT,
    About,
    Predictor,
    forget,
    give,
    predictor_for,
    told_of_predictor,
)
from draggan_widget.engines.predicted.settings import AUTO, METHODS, USER, Predicted

__all__ = [
    "AUTO",
    "GROWTH",
    "METHODS",
    "MOST_PIECES",
    "UNIT",
    "USER",
    "About",
    "BoundPredicted",
    "Points",
    "Predicted",
    "PredictedEngine",
    "Predictor",
    "Shape",
    "forget",
    "give",
    "missed",
    "predictor_for",
    "told_of_predictor",
]
