"""The course of an edit: one record a step, and tables of them."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from draggan_widget.editing.kept import Kept

if TYPE_CHECKING:
    import pandas as pd

    from draggan_widget.dragging import DragState

MOST_RECORDS = 2000
"""Above so many, records are thinned evenly: an edit that goes on for ever needs no more memory for it."""


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
    kept: Kept = dataclasses.field(repr=False, compare=False)
    """What it takes besides to go on from here exactly."""

    @classmethod
    def of(cls, drag: DragState, seconds: float, mask: np.ndarray | None) -> Record:
        """That of a state. :param mask: (H, W) of the edit, or None, as it was given."""
        ws = drag.ws.cpu().numpy().copy()
        kept = Kept.of(drag, mask)
        return cls(drag.step, seconds, drag.ids, drag.handles, drag.targets, dict(drag.loss), ws, kept)

    @property
    def distances(self) -> np.ndarray:
        """(N,) image pixels still to go."""
        x, y = (self.targets - self.handles).T
        distances: np.ndarray = np.hypot(x, y)
        return distances


def appended(records: tuple[Record, ...], record: Record, most: int | None = None) -> tuple[Record, ...]:
    """``records`` and one more, of a later step; thinned so that there are at most ``most``, but for the two ends.

    What stays are the beginning, the newest, and the multiples of the smallest power of 2 that leaves few enough.
    """
    most = MOST_RECORDS if most is None else most
    stride = stride_of(record.step, most)
    if records and len(records) > 1 and records[-1].step % stride:
        records = records[:-1]
    if len(records) >= most:
        records = tuple(each for place, each in enumerate(records) if place == 0 or each.step % stride == 0)
    return (*records, record)


def stride_of(steps: int, most: int) -> int:
    """The smallest power of 2 of which there are fewer than ``most`` multiples up to ``steps``."""
    stride = 1
    while steps // stride >= most - 1:
        stride *= 2
    return stride


def thinned(records: Sequence[Record], most: int) -> list[Record]:
    """At most ``most`` of them, evenly chosen, with both ends."""
    if len(records) <= most:
        return list(records)
    return [records[round(place)] for place in np.linspace(0, len(records) - 1, most)]


def at_step(records: Sequence[Record], step: int) -> int:
    """The place of the last record that is of ``step`` or earlier; the first where none is."""
    return max(0, bisect.bisect_right(records, step, key=lambda record: record.step) - 1)


class History(Sequence[Record]):
    """The records of an edit from its beginning to now; a value, which later steps do not change.

    There is one a step up to 2,000 steps; longer edits are thinned evenly, with the beginning and the newest kept.
    """

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
        return f"<History of {len(self)} records>"

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
