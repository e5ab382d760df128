"""What is done with edits apart from making them: seeing, comparing, repeating and measuring them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from draggan_widget.analysis.attributes import changed_attributes
    from draggan_widget.analysis.browsing import history_list
    from draggan_widget.analysis.bulk import drag_many
    from draggan_widget.analysis.bulk_jobs import Batch, Job, Outcome
    from draggan_widget.analysis.comparing import compare
    from draggan_widget.analysis.experiments.evaluation import evaluate
    from draggan_widget.analysis.replaying import replay
    from draggan_widget.analysis.sheets import contact_sheet, feature_map, trajectories

__all__ = [
    "Batch",
    "Job",
    "Outcome",
    "changed_attributes",
    "compare",
    "contact_sheet",
    "drag_many",
    "evaluate",
    "feature_map",
    "history_list",
    "replay",
    "trajectories",
]

# Names load on first use, so that the command line, which looks in here, imports no torch.
_FILES = {
    "Batch": "bulk_jobs",
    "Job": "bulk_jobs",
    "Outcome": "bulk_jobs",
    "changed_attributes": "attributes",
    "compare": "comparing",
    "contact_sheet": "sheets",
    "drag_many": "bulk",
    "evaluate": "experiments.evaluation",
    "feature_map": "sheets",
    "history_list": "browsing",
    "replay": "replaying",
    "trajectories": "sheets",
}


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_FILES[name]}"), name)
