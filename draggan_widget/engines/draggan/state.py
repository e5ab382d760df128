"""The state between two steps of a drag: an immutable value from which the drag goes on exactly."""

from __future__ import annotations

import dataclasses
import reprlib
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.config import DragConfig
from draggan_widget.engines.common.geometry import lengths
from draggan_widget.engines.common.running import Anchor, Course, Moments
from draggan_widget.engines.edit import XY

if TYPE_CHECKING:
    from collections.abc import Mapping


VERSION = 1
"""Of what ``DragState.to_tensors`` writes."""
LARGEST_WHOLE = 2**53
"""Of steps and ids: above it, the page's numbers are no longer exact."""


@dataclasses.dataclass(frozen=True, eq=False)
class Point:
    """One handle and its target; positions are picture pixels (x, y), pixel centres at integers."""

    id: int
    handle: XY
    """Where the handle is now."""
    target: XY
    start: XY
    """Where somebody put the handle."""
    seen: XY
    """The middle of what was read of the latent around it: where the handle was before it was tracked."""
    reference: Tensor | None = None
    """Features (C,) that tracking looks for. None: to be taken at the handle, from the latent of the next step."""


@dataclasses.dataclass(frozen=True)
class Pace:
    """How far the rate was lowered where nothing came nearer, by the points and the rate that it was counted for.

    For other ones the next step counts anew. A new run alone does not: when somebody starts and stops is no part of how
    an edit is done again.
    """

    of: int = 0
    """Tells points and rate from others; see ``DragState.pull``."""
    nearest: tuple[float, ...] = ()
    """As that of ``Course``, with ``idle``."""
    idle: int = 0
    """Trackings since any of these fell, or since the rate was last halved."""
    lost: bool = False
    """Whether in one of these a handle was markedly farther than it had been: it swung, or was taken away."""
    halvings: int = 0
    """Times that it was."""


@dataclasses.dataclass(frozen=True, eq=False)
class DragState:
    """The latent after some steps, and where the handles are in its picture.

    Made by ``init``, ``step`` and the functions that edit a drag; never changed. States share tensors: do not write
    into them.
    """

    config: DragConfig
    resolution: tuple[int, int]
    """(H, W) of the picture."""
    points: tuple[Point, ...]
    mask: Tensor | None
    """(H, W), 1 = may move; None = everything may."""
    latent: Tensor
    """(1, num_ws, w_dim), a leaf that takes gradients. The generator remembers feature maps by this very tensor, which
    is why tracking and the next supervision must hand it the same one. To look at the latent, use ``ws``."""
    w0: Tensor
    """(1, num_ws, w_dim), the latent the drag began with."""
    anchor: Anchor
    moments: Moments
    step: int = 0
    """Steps done since the drag began."""
    course: Course = dataclasses.field(default_factory=Course)
    pace: Pace = Pace()
    loss: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """The terms whose gradient led here, ``"motion"`` and ``"mask"`` (before its weight); empty at the start."""

    @property
    def ws(self) -> Tensor:
        """The latent (1, num_ws, w_dim), detached."""
        return self.latent.detach()

    @property
    def ids(self) -> tuple[int, ...]:
        """The numbers of the points, in the order of ``handles``."""
        return tuple(point.id for point in self.points)

    @property
    def handles(self) -> np.ndarray:
        """(N, 2) picture pixels (x, y): where the handles are now."""
        return np.array([point.handle for point in self.points], dtype=np.float64).reshape(-1, 2)

    @property
    def targets(self) -> np.ndarray:
        """(N, 2) picture pixels (x, y)."""
        return np.array([point.target for point in self.points], dtype=np.float64).reshape(-1, 2)

    @property
    def distances(self) -> np.ndarray:
        """(N,) picture pixels that each handle has still to go."""
        return lengths(self.targets - self.handles)

    @property
    def pull(self) -> int:
        """A number that changes with the points, where they were put and are pulled, and with the rate."""
        points = [(point.id, *point.start, *point.target) for point in self.points]
        return zlib.crc32(repr((self.config.learning_rate, points)).encode())

    def point(self, number: int) -> Point:
        """Return the point of that id. :raises ValueError: if there is none."""
        for point in self.points:
            if point.id == number:
                return point
        raise ValueError(f"there is no point {number}; there are {list(self.ids)}")

    def to_tensors(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the state as tensors by name and a dict that JSON can hold; ``DragState.from_tensors`` is the way
        back.

        Features of the anchor are left out: they are computed again from its latent.
        """
        tensors, description = self.to_parts()
        # Clones: a file format may refuse tensors that share memory, and nothing done to these must reach the state.
        return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}, description

    def to_parts(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the same with the tensors of the state itself, some of which other states may have as well."""
        tensors = {
            "ws": self.ws,
            "w0": self.w0,
            "anchor": self.anchor.latent,
            "adam.first": self.moments.first,
            "adam.second": self.moments.second,
        }
        if self.mask is not None:
            tensors["mask"] = self.mask
        for point in self.points:
            if point.reference is not None:
                tensors[f"reference.{point.id}"] = point.reference
        description = {
            "version": VERSION,
            "config": self.config.to_dict(),
            "resolution": list(self.resolution),
            "points": [
                {
                    "id": p.id,
                    "handle": list(p.handle),
                    "target": list(p.target),
                    "start": list(p.start),
                    "seen": list(p.seen),
                }
                for p in self.points
            ],
            "step": self.step,
            "adam_steps": self.moments.count,
            "course": dataclasses.asdict(self.course),
            "loss": dict(self.loss),
        }
        if self.config.on_stall == "halve":
            description["pace"] = dataclasses.asdict(self.pace)
        return tensors, description

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], description: Mapping[str, Any], device: torch.device | str = "cpu"
    ) -> DragState:
        """Return the state that ``to_tensors`` described; steps from it are those that would have followed, bit for
        bit.

        :param device: of the generator that is to go on.
        :raises ValueError: if something is missing, or it was written by a version this one does not know.
        """
        return cls.from_parts(
            {name: each.detach().to(device, copy=True) for name, each in tensors.items()}, description
        )

    @classmethod
    def from_parts(cls, tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> DragState:
        """Return the same with the very ``tensors``, which states may share.

        :raises ValueError: as ``from_tensors``.
        """
        if isinstance(description.get("version"), bool) or description.get("version") != VERSION:
            raise ValueError(
                f"this drag state has version {description.get('version')!r}; this program reads version {VERSION}"
            )
        try:
            latent = tensors["ws"].requires_grad_()
            # At the start both are one tensor, so that the generator computes one map for them.
            same = torch.equal(tensors["anchor"], latent)
            height, width = description["resolution"]
            step = whole_number("step", description["step"])
            return cls(
                config=DragConfig.from_dict(description["config"]),
                resolution=(whole_number("height", height, 1), whole_number("width", width, 1)),
                points=_points(description["points"], tensors),
                mask=tensors.get("mask"),
                latent=latent,
                w0=tensors["w0"],
                anchor=Anchor(latent if same else tensors["anchor"].requires_grad_()),
                moments=Moments(
                    tensors["adam.first"], tensors["adam.second"], whole_number("adam_steps", description["adam_steps"])
                ),
                step=step,
                course=_course(description["course"], step),
                pace=_pace(description["pace"]) if "pace" in description else Pace(),
                loss={str(name): real_number(f"loss {name}", value) for name, value in description["loss"].items()},
            )
        except (LookupError, TypeError, AttributeError, ArithmeticError) as error:
            raise ValueError(f"this is no complete drag state: {reprlib.repr(error)}") from error


def _points(described: Any, tensors: Mapping[str, Tensor]) -> tuple[Point, ...]:
    points = tuple(
        Point(
            id=whole_number("the id of a point", point["id"], 1),
            handle=_pair("a handle", point["handle"]),
            target=_pair("a target", point["target"]),
            start=_pair("a start", point["start"]),
            seen=_pair("a place seen", point.get("seen", point["handle"])),
            reference=tensors.get(f"reference.{point['id']}"),
        )
        for point in described
    )
    if len({point.id for point in points}) < len(points):
        raise ValueError("two points have one id")
    return points


def _course(described: Any, step: int) -> Course:
    nearest = tuple(real_number("the nearest distance", each) for each in described["nearest"])
    return Course(
        whole_number("the first step", described["first_step"], most=step),
        nearest,
        whole_number("idle", described["idle"]),
    )


def _pace(described: Any) -> Pace:
    nearest = tuple(real_number("the nearest distance", each) for each in described["nearest"])
    of, idle, halvings = (whole_number(name, described[name]) for name in ("of", "idle", "halvings"))
    lost = described["lost"]
    if not isinstance(lost, bool):
        raise ValueError(f"lost is {reprlib.repr(lost)}; it must be true or false")
    return Pace(of, nearest, idle, lost, halvings)


def whole_number(name: str, value: Any, least: int = 0, most: int = LARGEST_WHOLE) -> int:
    """Return a whole number out of a file. :raises ValueError: if it is none, or out of its range."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} is {reprlib.repr(value)}; it must be a whole number from {least} to {most}")
    return value


def real_number(name: str, value: Any) -> float:
    """Return a number out of a file. :raises ValueError: if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} is {reprlib.repr(value)}; it must be a number")
    return float(value)


def _pair(name: str, values: Any) -> XY:
    x, y = values
    return real_number(name, x), real_number(name, y)
