"""What an engine is: a method that turns points and a mask into another latent, step by step or in one go.

An ``Engine`` names a method and its settings. ``bind`` looks up once all that it needs of a model and returns a
``Bound``, which does the work. The state of an edit is an ``Edit``; what a method remembers besides, between two steps,
is its *memory*: an immutable value of its own, which the rest of the house carries along and never looks into.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from draggan_widget.engines.edit import XY, Edit
    from draggan_widget.models import Generator

M = TypeVar("M")
"""What an engine remembers between two steps."""
Verdict = Literal["arrived", "near", "stalled", "capped"]
VERDICTS: tuple[Verdict, ...] = ("arrived", "near", "stalled", "capped")
WORDS = {
    "space": "a space of latents",
    "synthesize": "pictures",
    **dict.fromkeys(("features", "sample_features", "feature_maps", "maps", "views", "map_size"), "features"),
    **dict.fromkeys(("blocks", "default_block", "block_of_row"), "blocks"),
    **dict.fromkeys(("num_ws", "w_dim"), "a latent of rows"),
    **dict.fromkeys(("moving", "paired", "schedule"), "a noisy picture as its latent"),
}
"""What people call the parts of a model that an engine may need."""


@dataclasses.dataclass(frozen=True, eq=False)
class Step(Generic[M]):
    """What one step of an engine left."""

    edit: Edit
    memory: M
    loss: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Terms of what was minimised, by name; empty where nothing was."""
    report: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What else there is to say, for people: plain numbers and texts by name."""


class Bound(abc.ABC, Generic[M]):
    """A method on one model, with its settings. It belongs to the thread that drags."""

    def __init__(self, model: Generator, settings: Any) -> None:
        self.model = model
        self.settings = settings

    @abc.abstractmethod
    def begin(self, edit: Edit) -> M:
        """Return the memory at the first step from ``edit``, which may be one that another engine has brought here."""

    def preparing(self, edit: Edit, memory: M) -> Iterator[float] | None:  # noqa: ARG002
        """Return what is to be done once before the next step and may take long, in parts; None if there is nothing.

        It yields how much is done, 0 … 1. ``advance`` does what is left of it without a word.
        """
        return None

    @abc.abstractmethod
    def advance(self, edit: Edit, memory: M, at_most: int | None = 1) -> list[Step[M]]:
        """Return the next steps, at least one and up to ``at_most``; the last is the first with a verdict.

        :param at_most: None for as many as are worth taking together on the model's device.
        :raises ValueError: without points. :raises draggan_widget.engines.DivergedError: if the very next step is not
            finite.
        """

    @abc.abstractmethod
    def verdict(self, edit: Edit, memory: M) -> Verdict | None:
        """Return why the run is over, or None while it is not.

        "arrived": all handles are at their targets. "near": no step brings them nearer, and little is left.
        "stalled": no step brings them nearer, and it falls short. "capped": the largest number of steps is done.
        """

    def place(self, handle: XY) -> XY:
        """Return where the method can have a handle that somebody set: there, or on the nearest whole pixel say."""
        return handle

    def adapt(self, before: Edit, after: Edit, memory: M) -> M:  # noqa: ARG002 - what changed, for those who care
        """Return the memory for ``after``, in which points, mask or latent differ from ``before``.

        ``memory`` is that of ``before``, and may be of the same method with other settings. Also called with
        ``after`` the very same as ``before``: then a new run begins.
        """
        return self.begin(after)

    def advance_by(self, edit: Edit, memory: M, look: Callable[[Tensor], np.ndarray]) -> Step[M]:
        """Return the next step, in which somebody else says where the handles are.

        Only of engines whose ``takes_trackers`` says so. :param look: a latent → where the handles are in its picture,
        (N, 2) pixels (x, y) in the order of the points. :raises ValueError: as ``advance`` and ``found``.
        """
        (step,) = self.advance(edit, memory)
        return self.found(memory, step, look(step.edit.latent))

    def found(self, memory: M, step: Step[M], handles: np.ndarray) -> Step[M]:
        """Return a step from ``memory`` with its handles (N, 2) where another tracker found them.

        Only of engines whose ``takes_trackers`` says so. :raises ValueError: for handles of another shape, or NaN.
        """
        raise NotImplementedError(f"{type(self).__name__} tracks by itself")

    def pack(self, memory: M) -> tuple[dict[str, Tensor], dict[str, Any]]:  # noqa: ARG002
        """Return the memory as tensors by name and values that JSON can hold, without what the edit has."""
        return {}, {}

    def unpack(self, edit: Edit, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> M:  # noqa: ARG002
        """Return the memory again; steps from it are those that would have followed.

        :raises ValueError: if something is missing or does not fit the edit or the model.
        """
        return self.begin(edit)

    def compact(self, memory: M) -> Any:
        """Return the memory in a form that a history of thousands of steps can keep."""
        return memory

    def expand(self, edit: Edit, kept: Any) -> M:  # noqa: ARG002
        """Return the memory again that ``compact`` made ``kept`` of."""
        memory: M = kept
        return memory

    def texture(self, edit: Edit, memory: M, number: int) -> tuple[bool, XY | None]:  # noqa: ARG002
        """Return whether the handle of a point sits where it cannot be told from its surroundings, and a better spot.

        The spot is the nearest one that is clearly better; None where there is none, or none is needed.
        """
        return False, None

    def content(self, edit: Edit, memory: M, number: int) -> object | None:  # noqa: ARG002
        """Return what a point is followed by: the same object as long as it is the same content; None if not yet."""
        return None

    def confidence(self, edit: Edit, memory: M) -> dict[int, float]:  # noqa: ARG002
        """Return how surely each point's content was found, 0 … 1, by id; nothing where that is not known."""
        return {}

    def lost(self, edit: Edit, memory: M) -> tuple[int, ...]:  # noqa: ARG002
        """Return the ids of points that are lost, by which the run has ended; see ``engines.losing``."""
        return ()


class Engine(abc.ABC):
    """A method: its name, its settings, and how it is bound to a model."""

    name: ClassVar[str]
    """By which it is chosen, in Python, in files and on the page."""
    help: ClassVar[str]
    """A line about it for people."""
    Settings: ClassVar[type]
    """A frozen dataclass that inherits from ``draggan_widget.settings.Settings``; no two engines share one."""
    family: ClassVar[str] = "gan"
    """Engines of one family pull on the same models, so people are offered each of them in the place of another."""
    needs: ClassVar[tuple[str, ...]] = ("space", "synthesize")
    """Names of what a model must have: parts of ``Model``, or what some models have besides."""
    takes_trackers: ClassVar[bool] = False
    """Whether another tracker can say where its handles went, by its setting ``tracker``; see ``Bound.advance_by``."""
    jumps: ClassVar[bool] = False
    """Whether a step of it is a jump, which other engines can go on from: it is dropped if it brings little."""

    def check_model(self, model: Any) -> None:
        """Check that a model has what the engine needs; ``bind`` does so first.

        :raises ValueError: in one sentence, naming what is missing.
        """
        check_parts(model, self.needs, f"the engine {self.name}", "choose another engine or model")

    @abc.abstractmethod
    def bind(self, model: Generator, settings: Any) -> Bound[Any]:
        """Return the method on a model, after ``check_model``.

        :raises ValueError: in one sentence, if the model cannot serve it, or not with these settings.
        """

    def check(self, model: Generator, settings: Any) -> None:
        """Check that ``bind`` would serve, for a list of what can be chosen: no weights are loaded for it.

        :raises ValueError: in one sentence, as ``bind``.
        """
        self.bind(model, settings)

    def values(self, model: Generator, settings: Any) -> dict[str, Any]:  # noqa: ARG002
        """Return the settings by name as they hold on a model, as values that JSON can hold."""
        values: dict[str, Any] = settings.to_dict()
        return values

    def defaults(self, model: Generator) -> Any:  # noqa: ARG002
        """Return the settings that suit a model best."""
        return self.Settings()

    def variants(self, settings: Any) -> dict[str, Any]:
        """Return what people choose among where the engine makes a jump, settings by what they are called.

        ``settings`` are among them, and the others are like them but for what they are called after.
        """
        return {self.name: settings}


def checked_places(found: Any, count: int) -> np.ndarray:
    """Return where a tracker found handles, as (N, 2). :raises ValueError: for another number of them, or NaN."""
    places = np.asarray(found, dtype=np.float64)
    if places.shape != (count, 2) or not np.isfinite(places).all():
        raise ValueError(f"the tracker gave {places.tolist()}; it must give {count} finite (x, y)")
    return places


def check_parts(model: Any, needs: Sequence[str], asker: str, remedy: str) -> None:
    """Check that a model has what somebody needs. :param needs: names of parts, as ``Engine.needs``.

    :raises ValueError: in one sentence, naming who asks, what is missing, and the remedy.
    """
    missing = dict.fromkeys(WORDS.get(name, name) for name in needs if not hasattr(model, name))
    if missing:
        *others, last = missing
        listed = f"{', '.join(others)} and {last}" if others else last
        raise ValueError(f"{asker} needs {listed}, which a model of the kind {type(model).__name__} has not; {remedy}")


def check_blocks(model: Any, blocks: Sequence[int], asked: str, remedy: str = "") -> None:
    """Check that a model has blocks. :param asked: who asks for them, such as "config.block is 9".

    :raises ValueError: in one sentence, naming those there are. :param remedy: what else its end says.
    """
    if not set(blocks) <= set(model.blocks):
        raise ValueError(f"{asked}; this generator has blocks {model.blocks[0]} to {model.blocks[-1]}{remedy}")
