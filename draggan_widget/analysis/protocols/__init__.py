"""The paper's experiments on any generator (Pan et al. 2023, section 4.2 and 4.3): ``evaluate`` and its parts."""

from draggan_widget.analysis.protocols.evaluation import Evaluation, evaluate
from draggan_widget.analysis.protocols.experiments import Landmarks, Reconstruction, RoundTrip
from draggan_widget.analysis.protocols.ways import Way, block_ways, standard_ways

__all__ = [
    "Evaluation",
    "Landmarks",
    "Reconstruction",
    "RoundTrip",
    "Way",
    "block_ways",
    "evaluate",
    "standard_ways",
]
