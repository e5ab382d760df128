"""A drag under way: a bound engine, the edit, and what the engine remembers, as one immutable value."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.base import Bound, Verdict
from draggan_widget.engines.edit import Edit, EditPoint, check_mask, check_xy
from draggan_widget.engines.finish import layers_of, picture_of
from draggan_widget.engines.losing import bare
from draggan_widget.engines.projection import check_held, check_wish
from draggan_widget.engines.registry import bind, engine_of, jumping_engines
from draggan_widget.engines.wishing import followed
from draggan_widget.models import guarded
from draggan_widget.settings import as_whole, shown

if TYPE_CHECKING:
    from PIL import Image

    from draggan_widget.models import Generator, Layer


@dataclasses.dataclass(frozen=True, eq=False)
class State:
    """The latent after some steps of an engine, and where the handles are in its picture.

    Every change gives another state; this one stays as it is and can be gone on from as well.
    """

    bound: Bound[Any]
    edit: Edit
    memory: Any
    loss: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """The terms that were minimised in the step that led here; empty at the start."""
    report: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What else the engine says of that step."""

    @classmethod
    @guarded
    def begin(cls, model: Generator, latent: Tensor | np.ndarray, settings: Any = None) -> State:
        """Return the state before the first step, without points.

        :param latent: for a StyleGAN ``ws`` (1, num_ws, w_dim). :param settings: of any engine, which chooses it;
            None for ``default_config`` of the model.
        :raises ValueError: for a latent that the model does not have, or if the engine cannot serve the model.
        :raises TypeError: for what holds no numbers or is no engine's settings.
        """
        bound = bind(model, settings)
        edit = Edit(origin := model.space.check(latent), origin)
        return cls(bound, edit, bound.begin(edit))

    # --- looking -----------------------------------------------------------------------------------------------------

    @property
    def model(self) -> Generator:
        """Whose latent this is."""
        return self.bound.model

    @property
    def resolution(self) -> tuple[int, int]:
        """(H, W) of the picture."""
        return self.bound.model.resolution

    @property
    def config(self) -> Any:
        """The settings of the engine."""
        return self.bound.settings

    @property
    def ws(self) -> Tensor:
        """The latent, detached; for a StyleGAN (1, num_ws, w_dim)."""
        return self.edit.latent

    @property
    def w0(self) -> Tensor:
        """The latent that the drag began with."""
        return self.edit.origin

    @property
    def points(self) -> tuple[EditPoint, ...]:
        """The points, in the order of ``handles``."""
        return self.edit.points

    @property
    def mask(self) -> np.ndarray | None:
        """(H, W), 1 = may move; None: everything may."""
        return self.edit.mask

    def point(self, number: int) -> EditPoint:
        """Return the point of that id. :raises ValueError: if there is none."""
        return self.edit.point(number)

    @property
    def ids(self) -> tuple[int, ...]:
        """The numbers of the points."""
        return self.edit.ids

    @property
    def handles(self) -> np.ndarray:
        """(N, 2) picture pixels (x, y): where the handles are now."""
        return self.edit.handles

    @property
    def targets(self) -> np.ndarray:
        """(N, 2) picture pixels (x, y)."""
        return self.edit.targets

    @property
    def distances(self) -> np.ndarray:
        """(N,) picture pixels that each handle has still to go."""
        return self.edit.distances

    @property
    def step(self) -> int:
        """Steps done since the drag began."""
        return self.edit.step

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What the picture is made of, from the lowest layer up, as the setting ``blend`` wants it.

        A model that is no ``Generator`` lets nobody blend features, so there it is the latent alone.
        """
        return layers_of(self.edit, self.config, self.model)

    @property
    def image(self) -> Image.Image:
        """The picture, made anew each time: L, RGB or RGBA by the model's channels."""
        return picture_of(self.model, self.layers)

    @property
    def verdict(self) -> Verdict | None:
        """Why the run is over: "arrived", "near", "stalled" or "capped"; None while it is not."""
        return self.bound.verdict(self.edit, self.memory) if self.edit.points else None

    def texture(self, number: int) -> tuple[bool, tuple[float, float] | None]:
        """Return whether that point's handle sits where it cannot be told from its surroundings, and a better spot."""
        return self.bound.texture(self.edit, self.memory, number)

    def content(self, number: int) -> object | None:
        """Return what that point is followed by, the same object for the same content; None if not yet taken."""
        return self.bound.content(self.edit, self.memory, number)

    @property
    def confidence(self) -> dict[int, float]:
        """How surely each point's content was found, 0 … 1, by id; nothing where the engine does not say."""
        return self.bound.confidence(self.edit, self.memory)

    @property
    def lost(self) -> tuple[int, ...]:
        """The ids of points that are lost, by which the run has ended; see the setting ``on_lost``."""
        return self.bound.lost(self.edit, self.memory)

    # --- changing ----------------------------------------------------------------------------------------------------

    def add_point(self, number: int, handle: Any, target: Any) -> State:
        """Return the state with a further point; positions are picture pixels (x, y).

        :raises ValueError: for an id that is taken or no whole number, or a position that is outside the picture.
        """
        if number in self.ids:
            raise ValueError(f"there is a point {number} already; give the new one another id")
        return self._changed(self.edit.with_point(self.make_point(number, handle, target)))

    def move_handle(self, number: int, handle: Any) -> State:
        """Return the state with that point on other content. :raises ValueError: as ``add_point``."""
        point = self.edit.point(number)
        start = self._placed(number, handle)
        return self._changed(self.edit.with_point(EditPoint(number, start, point.target, start)))

    def move_target(self, number: int, target: Any) -> State:
        """Return the state with that point pulled elsewhere. :raises ValueError: as ``move_handle``."""
        point = self.edit.point(number)
        end = check_xy(f"the target of point {number}", target, self.model.resolution)
        if end == point.target:
            return self.begin_run()
        return self._changed(self.edit.with_point(dataclasses.replace(point, target=end)))

    def remove_point(self, number: int) -> State:
        """Return the state without that point. :raises ValueError: if there is none of that id."""
        return self._changed(self.edit.without_point(number))

    def with_mask(self, mask: Any) -> State:
        """Return the state with another mask (H, W), 1 = may move, or with None: everything may.

        :raises ValueError: for another shape, NaN, or numbers outside 0 … 1. :raises TypeError: if it holds no numbers.
        """
        return self._changed(self.edit.with_mask(check_mask(mask, self.model.resolution)))

    @guarded
    def with_wish(self, change: Any, *, follow: bool = True) -> State:
        """Return the state with a change of the latent beside what points do; handles follow their content.

        :param change: of the shape of the latent, such as ``Directions(model).change({"smile": 1})``.
        :param follow: whether handles do; it takes as long as a picture, and is left to the end of a slider's way.
        :raises ValueError: for another shape, or numbers that are not finite. :raises TypeError: for no numbers.
        """
        edit = self.edit
        wished = check_wish(change, edit.latent)
        latent = self.model.space.check(edit.latent + wished)
        before = 0.0 if edit.wish is None else torch.from_numpy(edit.wish).to(latent)
        whole = (before + wished).cpu().numpy()
        points = followed(self.model, edit.latent, latent, edit.points, self.bound.place) if follow else edit.points
        return self._changed(dataclasses.replace(edit, latent=latent, wish=whole, points=points))

    @guarded
    def with_held(self, held: Any) -> State:
        """Return the state in which no step changes what some readings see, whatever points ask for.

        :param held: (n, numbers of a latent), such as ``Directions(model).held(["smile"])``; None: all may change.
        :raises ValueError: for another shape, or numbers that are not finite. :raises TypeError: for no numbers.
        """
        return self._changed(dataclasses.replace(self.edit, held=check_held(held, self.edit.latent)))

    @guarded
    def with_config(self, settings: Any) -> State:
        """Return the state with other settings, of this engine or another, which then takes over with a new memory.

        :raises ValueError: if the engine cannot serve the model with them. :raises TypeError: if they are no engine's.
        """
        if settings == self.config and type(settings) is type(self.config):
            return self
        bound = bind(self.model, settings)
        if type(settings) is type(self.config):
            memory = bound.adapt(self.edit, self.edit, bare(self.memory, bound))
            return dataclasses.replace(self, bound=bound, memory=memory)
        edit = self.edit
        for point in edit.points:
            edit = edit.with_point(dataclasses.replace(point, handle=bound.place(point.handle)))
        return State(bound, edit, bound.begin(edit))

    @guarded
    def begin_run(self) -> State:
        """Return the state at the beginning of a new run: stalling and the cap are counted from here."""
        return dataclasses.replace(self, memory=self.bound.adapt(self.edit, self.edit, self.memory))

    def preparing(self) -> Iterator[float] | None:
        """What is to be done once before the next step and may take long, in parts; see ``Bound``."""
        return self.bound.preparing(self.edit, self.memory)

    @guarded
    def advance(self, at_most: int | None = 1) -> list[State]:
        """Return the next states, at least one and up to ``at_most``; None for as many as the device likes at once.

        :raises ValueError: without points. :raises DivergedError: if the very next step is not finite.
        """
        if not self.edit.points:
            raise ValueError("there are no points to drag; add a handle and its target first")
        steps = self.bound.advance(self.edit, self.memory, at_most)
        return [State(self.bound, step.edit, step.memory, step.loss, step.report) for step in steps]

    @guarded
    def jump(self, settings: Any) -> State:
        """Return the state after a jump of another engine, from where this one goes on: one step, whose ``report`` says
        how much nearer it came. The very same state where the jump is dropped because it brings too little.

        :param settings: of an engine that jumps, such as ``Predicted()``.
        :raises ValueError: without points, if the engine does not jump, or cannot serve the model or so many points.
        :raises TypeError: if they are no engine's. :raises DivergedError: if it is not finite.
        """
        check_jump(settings)
        if not self.edit.points:
            raise ValueError("there are no points to drag; add a handle and its target first")
        bound = bind(self.model, settings)
        (step,) = bound.advance(self.edit, bound.begin(self.edit))
        if step.edit.latent is self.edit.latent:
            return self
        edit = step.edit
        for point in edit.points:
            edit = edit.with_point(dataclasses.replace(point, handle=self.bound.place(point.handle)))
        return dataclasses.replace(self._changed(edit), loss=step.loss, report=step.report)

    def steps(self, count: int) -> State:
        """Return the state after so many steps, whether or not the handles have arrived."""
        state = self
        for _ in range(count):
            (state,) = state.advance()
        return state

    def make_point(self, number: Any, handle: Any, target: Any) -> EditPoint:
        """Return a point, its handle where the engine can have it; the state has it not yet.

        :raises ValueError: for an id that is no whole number, or a position that is outside the picture.
        """
        whole = as_whole(number)
        if whole is None:
            raise ValueError(f"the id of a point is {shown(number)}; it must be a whole number")
        start = self._placed(whole, handle)
        return EditPoint(whole, start, check_xy(f"the target of point {whole}", target, self.model.resolution), start)

    def _placed(self, number: int, handle: Any) -> tuple[float, float]:
        return self.bound.place(check_xy(f"the handle of point {number}", handle, self.model.resolution))

    @guarded
    def _changed(self, edit: Edit) -> State:
        return dataclasses.replace(self, edit=edit, memory=self.bound.adapt(self.edit, edit, self.memory))


def check_jump(settings: Any) -> Any:
    """Return settings of an engine that jumps.

    :raises ValueError: if the engine does not. :raises TypeError: if they are no engine's.
    """
    engine = engine_of(settings)
    if not engine.jumps:
        known = ", ".join(jumping_engines())
        raise ValueError(f"the engine {engine.name} makes no jumps; choose one of {known}")
    return settings


@guarded
def begin_with(
    model: Generator,
    latent: Tensor | np.ndarray,
    points: Sequence[tuple[int, Any, Any]],
    mask: Any = None,
    settings: Any = None,
) -> State:
    """Return the state before the first step. :param points: ``(id, handle, target)`` each.

    Takes and raises what ``State.begin``, ``add_point`` and ``with_mask`` do.
    """
    state = State.begin(model, latent, settings)
    made: dict[int, EditPoint] = {}
    for number, handle, target in points:
        point = state.make_point(number, handle, target)
        if point.id in made:
            raise ValueError(f"two points have the id {point.id}; give each its own")
        made[point.id] = point
    edit = dataclasses.replace(state.edit, points=tuple(made.values()), mask=check_mask(mask, model.resolution))
    return dataclasses.replace(state, edit=edit, memory=state.bound.begin(edit))
