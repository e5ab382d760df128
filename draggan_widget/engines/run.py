"""A drag from its start to its end: ``drag``, ``drag_steps`` and what they return."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from draggan_widget.engines.edit import check_pairs
from draggan_widget.engines.finish import picture_of
from draggan_widget.engines.state import State, begin_with
from draggan_widget.models import Layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from PIL import Image
    from torch import Tensor

    from draggan_widget.models import Generator


@dataclasses.dataclass(frozen=True, eq=False)
class DragRecord:
    """What one step left, without tensors."""

    step: int
    handles: np.ndarray
    """(N, 2) picture pixels (x, y)."""
    distances: np.ndarray
    """(N,) picture pixels still to go."""
    loss: dict[str, float]
    """The terms whose gradient led here; empty at the start."""

    @classmethod
    def of(cls, state: State) -> DragRecord:
        """The record of a state."""
        return cls(state.step, state.handles, state.distances, dict(state.loss))


@dataclasses.dataclass(frozen=True, eq=False)
class DragResult:
    """Where a drag ended."""

    generator: Generator = dataclasses.field(repr=False)
    state: State = dataclasses.field(repr=False)
    """From which it can go on."""
    reason: str
    """"arrived", "stalled", "capped", or what the callback gave for a reason."""
    history: tuple[DragRecord, ...] = dataclasses.field(default=(), repr=False)
    """One record a step, beginning with the start."""
    finish: Callable[[Image.Image], Image.Image] | None = dataclasses.field(default=None, repr=False)
    """What is done to its pictures after synthesis; an editor of a photograph has something. None: nothing."""

    @property
    def ws(self) -> Tensor:
        """The latent (1, num_ws, w_dim)."""
        return self.state.ws

    @property
    def handles(self) -> np.ndarray:
        """(N, 2) picture pixels (x, y)."""
        return self.state.handles

    @property
    def targets(self) -> np.ndarray:
        """(N, 2) picture pixels (x, y)."""
        return self.state.targets

    @property
    def distances(self) -> np.ndarray:
        """(N,) picture pixels left to go."""
        return self.state.distances

    @property
    def steps(self) -> int:
        """Steps done."""
        return self.state.step

    @property
    def image(self) -> Image.Image:
        """The picture, made anew each time: L, RGB or RGBA by the generator's channels."""
        return self._finished(self.state.image)

    @property
    def before(self) -> Image.Image:
        """The picture that the drag began with, likewise."""
        return self._finished(picture_of(self.generator, [Layer(self.state.w0)]))

    def _finished(self, picture: Image.Image) -> Image.Image:
        return picture if self.finish is None else self.finish(picture)


def drag(
    generator: Generator,
    ws: Tensor | np.ndarray,
    handles: Sequence[Any] | np.ndarray,
    targets: Sequence[Any] | np.ndarray,
    mask: Any = None,
    config: Any = None,
    callback: Callable[[State], str | None] | None = None,
    first: Any = None,
) -> DragResult:
    """Pull the content at ``handles`` to ``targets``.

    :param ws: (1, num_ws, w_dim), from ``generator.mapping``. :param handles: (N, 2), (x, y) in picture pixels, x to
        the right and y down, pixel centres at integers. :param targets: (N, 2), one for each handle.
    :param mask: (H, W) bools or numbers 0 … 1, 1 = may move, 0 = must stay; None: everything may move.
    :param config: settings of any engine, which choose it; None for ``default_config`` of the model: those of
        ``natural``, or of the first engine that can serve the model. With neither ``max_steps`` nor ``stall_steps``, as
        in ``DragConfig.official()``, the drag goes on until it arrives.
    :param callback: called with every state, the start included; a string it returns ends the drag, as its reason.
    :param first: settings of an engine that jumps, such as ``Predicted()``, which makes the first step; a jump that
        brings too little is dropped. None: no jump.
    :raises ValueError: for no points, positions outside the picture, or anything else that cannot be worked with.
    :raises DivergedError: if the optimisation leaves the finite numbers.
    """
    history = []
    for state in _states(_begin(generator, ws, handles, targets, mask, config), first):
        history.append(DragRecord.of(state))
        asked = callback(state) if callback is not None else None
        if isinstance(asked, str):
            return DragResult(generator, state, asked, tuple(history))
    return DragResult(generator, state, state.verdict or "", tuple(history))


def drag_steps(
    generator: Generator,
    ws: Tensor | np.ndarray,
    handles: Sequence[Any] | np.ndarray,
    targets: Sequence[Any] | np.ndarray,
    mask: Any = None,
    config: Any = None,
    first: Any = None,
) -> Iterator[State]:
    """The states of a drag one after the other, from the start to the one at which it is over.

    Takes and raises what ``drag`` does; what it is given is checked at once, not with the first state.
    """
    return _states(_begin(generator, ws, handles, targets, mask, config), first)


def _begin(generator: Generator, ws: Any, handles: Any, targets: Any, mask: Any, config: Any) -> State:
    points = check_pairs(handles, targets)
    if not points:
        raise ValueError("there are no points to drag; give at least one handle and its target")
    return begin_with(generator, ws, points, mask, config)


def _states(state: State, first: Any) -> Iterator[State]:
    yield state
    if first is not None and state.verdict is None and (jumped := state.jump(first)) is not state:
        yield (state := jumped)
    while state.verdict is None:
        for state in state.advance(None):  # noqa: B020 - the last of them is the next to begin from
            yield state
