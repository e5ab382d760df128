"""The course of an edit: one record a step, and tables of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True)
class Record:
    """What one step of an edit left."""

    step: int
    """Steps done since the edit began."""
    seconds: float
    """Time spent optimising since the edit began."""
    ids: tuple[int, ...]
    handles: np.ndarray
    """(N, 2) image pixels, where the tracked handles are."""
    targets: np.ndarray
    """(N, 2) image pixels."""
    loss: dict[str, float]
    """The terms of the loss whose gradient led here; empty at the start."""
    ws: np.ndarray
    """(1, num_ws, w_dim), the latent."""

    @property
    def distances(self) -> np.ndarray:
        """(N,) image pixels still to go."""
        x, y = (self.targets - self.handles).T
        distances: np.ndarray = np.hypot(x, y)
        return distances


class History(Sequence[Record]):
    """The records of an edit from its beginning to now; a value, which later steps do not change."""

    def __init__(self, records: Sequence[Record] = ()) -> None:
        self._records = tuple(records)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> History: ...
    def __getitem__(self, index: int | slice) -> Record | History:
        return History(self._records[index]) if isinstance(index, slice) else self._records[index]

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    def __repr__(self) -> str:
        return f"<History of {len(self)} steps>"

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict for each step and point: step, seconds, point, x, y, target_x, target_y, distance, loss terms."""
        return [
            {
                "step": record.step,
                "seconds": record.seconds,
                "point": point,
                "x": handle[0],
                "y": handle[1],
                "target_x": target[0],
                "target_y": target[1],
                "distance": distance,
                **{f"loss_{name}": value for name, value in record.loss.items()},
            }
            for record in self
            for point, handle, target, distance in zip(
                record.ids, record.handles, record.targets, record.distances, strict=True
            )
        ]

    def to_dataframe(self) -> pd.DataFrame:
        """``to_dicts`` as a table. :raises ModuleNotFoundError: without pandas, saying how to get it."""
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("to_dataframe() needs pandas: pip install pandas") from error
        columns = ["step", "seconds", "point", "x", "y", "target_x", "target_y", "distance"]
        rows = self.to_dicts()
        return pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)
