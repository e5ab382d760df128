"""The course of an edit: one record a step, and tables of them."""

from __future__ import annotations

import bisect
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np

from draggan_widget.editing.compact_state import Kept
from draggan_widget.editing.pictures import Layers, Painter

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

    from draggan_widget.engines import State
    from draggan_widget.models import Generator

T = TypeVar("T")
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
    def of(cls, drag: State, seconds: float, mask: np.ndarray | None) -> Record:
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


def later(records: tuple[Record, ...], step: int) -> tuple[Record, ...]:
    """The records of steps after ``step``; -1 for all."""
    return records if step < 0 or not records else records[at_step(records, step) + 1 :]


def _at_once(job: Callable[[], T]) -> T:
    return job()


class History(Sequence[Record]):
    """The records of an edit from its beginning to now; a value, which later steps do not change.

    There is one a step up to 2,000 steps; longer edits are thinned evenly, with the beginning and the newest kept.

    :param generator: whose latents they hold, for pictures and confidence. :param turn: runs a job that computes with
        it, in the thread that owns it say. :param blend: the setting of that name by which pictures are made; None: as
        it was at each step. :param finish: what is done to pictures before they are returned.
    """

    def __init__(
        self,
        records: Sequence[Record] = (),
        generator: Generator | None = None,
        turn: Callable[[Callable[[], Any]], Any] = _at_once,
        blend: str | None = None,
        finish: Callable[[Image.Image], Image.Image] = lambda picture: picture,
    ) -> None:
        self._records = tuple(records)
        self._generator = generator
        self._turn = turn
        self._blend = blend
        self._finish = finish

    @classmethod
    def of(cls, generator: Generator, states: Iterable[State]) -> History:
        """The history of a drag without an editor: ``History.of(generator, drag_steps(generator, …))``."""
        records: tuple[Record, ...] = ()
        began = time.perf_counter()
        for state in states:
            records = appended(records, Record.of(state, time.perf_counter() - began if records else 0.0, None))
        return cls(records, generator)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> History: ...
    def __getitem__(self, index: int | slice) -> Record | History:
        if isinstance(index, slice):
            return History(self._records[index], self._generator, self._turn, self._blend, self._finish)
        return self._records[index]

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    def __repr__(self) -> str:
        return f"<History of {len(self)} records>"

    @property
    def generator(self) -> Generator:
        """Whose latents these are. :raises ValueError: if that is not known."""
        if self._generator is None:
            raise ValueError("this history knows no generator; make it as History(records, generator)")
        return self._generator

    def at(self, step: int) -> Record:
        """The record after that many steps, or the nearest before it that is kept.

        :raises TypeError: for what is no whole number. :raises ValueError: for a step that the history does not reach.
        """
        if isinstance(step, bool) or not isinstance(step, (int, np.integer)):
            raise TypeError(f"step is {step!r}; it must be a whole number")
        if not self._records:
            raise ValueError(f"there is no step {step}: this history is empty, nothing was dragged yet")
        first, last = self._records[0].step, self._records[-1].step
        if not first <= step <= last:
            raise ValueError(f"there is no step {step}; this history goes from step {first} to {last}")
        return self._records[at_step(self._records, step)]

    def picture(self, step: int | None = None) -> Image.Image:
        """The picture after that many steps, or the nearest before it that is kept; None: the last.

        :raises TypeError: as ``at`` does. :raises ValueError: as ``at`` does, or without a generator.
        """
        return self._painted(step, Painter.whole)

    def thumbnail(self, step: int | None = None) -> Image.Image:
        """The same, 64 pixels high, and sooner."""
        return self._painted(step, Painter.thumbnail)

    def _painted(self, step: int | None, paint: Callable[[Painter, Layers], Image.Image]) -> Image.Image:
        if step is None:
            step = self._records[-1].step if self._records else 0
        record = self.at(step)
        generator = self.generator

        def job() -> Image.Image:
            return self._finish(paint(Painter(generator), record.kept.layers(generator, record.ws, self._blend)))

        image: Image.Image = self._turn(job)
        return image

    def confidence(self) -> list[dict[int, float]]:
        """For each record, per point, how surely its handle was found: 0 … 1; by the engine's own measure.

        Missing are points whose features were not taken yet.
        """
        generator = self.generator

        def job() -> list[dict[int, float]]:
            return [record.kept.state(generator, record.ws).confidence for record in self._records]

        found: list[dict[int, float]] = self._turn(job)
        return found

    def against(self, other: History) -> list[dict[str, float]]:
        """Two edits side by side, a dict for each step that both have.

        ``step``; ``distance`` and ``other_distance``, the mean of what the handles have still to go in each, in image
        pixels; ``seconds`` and ``other_seconds``; ``latent``, the root mean square difference of the latents.

        :raises ValueError: for latents of different shapes.
        """
        theirs = {record.step: record for record in other}
        rows = []
        for record in self:
            if (match := theirs.get(record.step)) is None:
                continue
            if match.ws.shape != record.ws.shape:
                raise ValueError(f"these are edits of two generators: latents {record.ws.shape} and {match.ws.shape}")
            rows.append(
                {
                    "step": record.step,
                    "distance": _mean(record.distances),
                    "other_distance": _mean(match.distances),
                    "seconds": record.seconds,
                    "other_seconds": match.seconds,
                    "latent": float(np.sqrt(np.square(record.ws - match.ws).mean())),
                }
            )
        return rows

    def to_dicts(self, *, confidence: bool = False) -> list[dict[str, Any]]:
        """One dict for each step and point: step, seconds, point, x, y, target_x, target_y, distance, loss terms.

        :param confidence: whether to compute that as well; see the method of that name. Where it is missing it is NaN.
        """
        sure = self.confidence() if confidence else [{}] * len(self)
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
                **({"confidence": found.get(point, float("nan"))} if confidence else {}),
                **{f"loss_{name}": value for name, value in record.loss.items()},
            }
            for record, found in zip(self, sure, strict=True)
            for point, handle, target, distance in zip(
                record.ids, record.handles, record.targets, record.distances, strict=True
            )
        ]

    def to_dataframe(self, *, confidence: bool = False) -> pd.DataFrame:
        """``to_dicts`` as a table. :raises ModuleNotFoundError: without pandas, saying how to get it."""
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("to_dataframe() needs pandas: pip install pandas") from error
        columns = ["step", "seconds", "point", "x", "y", "target_x", "target_y", "distance"]
        rows = self.to_dicts(confidence=confidence)
        return pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)


def _mean(distances: np.ndarray) -> float:
    return float(distances.mean()) if len(distances) else 0.0
