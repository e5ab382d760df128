"""The natural drag as an engine: Gauss–Newton steps in the metric of the model's own latents.

A step asks for the least change of the latent, measured from where the edit began and in the metric of the model's own
samples, that takes all handles where they are wanted, to first order; then it tracks them and asks again. There is no
learning rate and no momentum. How far a step may go is learned from how far the handles went of what was predicted,
and a step that brings them no nearer is not taken: the latent is always the best so far.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from draggan_widget.engines.base import Bound, Engine, Step, Verdict, checked_places
from draggan_widget.engines.common.following import find_spots, read_spots, spot
from draggan_widget.engines.common.geometry import Frame, lengths, surroundings
from draggan_widget.engines.common.sampling import DivergedError, Reader
from draggan_widget.engines.draggan.engine import texture_of
from draggan_widget.engines.edit import XY, Edit
from draggan_widget.engines.natural.memory import Memory
from draggan_widget.engines.natural.metric import Metric, Unlikeness
from draggan_widget.engines.natural.motion import Reading
from draggan_widget.engines.natural.settings import Natural
from draggan_widget.engines.natural.solving import FEW, Linear, least_change, least_cost
from draggan_widget.engines.natural.sparing import Rest, prepared, rest_of
from draggan_widget.engines.natural.staying import Held, firmness, held_block, rows_of, view
from draggan_widget.engines.projection import ALIKE, Projection

if TYPE_CHECKING:
    from draggan_widget.models import Generator

PATIENCE = 4
"""Steps in a row that brought no handle nearer, after which no step will."""
LITTLE, IMPATIENCE = 0.1, 2
"""Of many points some never arrive: a step that brought less of what is left than that counts as so many of these."""
FIRMER, SOFTER = 0.01, 4.0
"""Times the damping of several points, and of many. What moves two apart is a hundredth of what moves both, so that the
damping of one keeps them short of their targets; landmarks of many end nearer and the latent goes less far for it."""
HARDLY = 0.01
"""Of what is left: a step that brought less than that is taken, and counts as one of these all the same."""
NEARER = 0.02
"""Pixels by which the handles must come nearer, root mean square, for a step to be taken."""
FAR, FARTHEST = 0.2, 100.0
"""Of how unlike each other two samples are, and at least, where latents differ in few directions: a step whose latent
is less like the first one than that is not taken."""
LESS = 0.9
"""Of what has changed outside the mask, or far from the points, to which a step must bring it to be taken for that."""
NEAR = 0.01
"""Of the picture's height: what is left when it counts as near."""
SHORTER = 0.4
"""Of what was asked for, how far the next step may go after one that brought nothing."""
GOOD, BAD = 0.75, 0.3
"""Parts of the predicted motion: from one on the next step may go farther, below the other less far."""
SHORTEST = 0.1
"""Pixels that a step may always go."""
MORE = 2
"""Rows that may change besides to keep what is outside a mask, as far as its block reads them."""
PARTLY = 0.3
"""The same where who is shown is dear: with more the latent goes so far that mouths tear."""
LEAST = 1e-3
"""Of the variance by which people differ, what is left however dear it is to change who is shown."""
DIFFERENT = 3.0
"""Times what a pull costs by how all latents differ, from which on those of one person are not asked: who is shown is
what it changes, as a wider nose does."""
ROOM = 2.0
"""Times the cost that a pull may have to be local, where people's differences are dear: what is left costs more."""
HALF = 0.5
"""Locality above which all that is far from the points is held as well, which takes as long as a mask."""
SPOT = 1.0
"""Cells of the map that motion is read of, around a handle, by which it is followed."""
SAME_SPOT = 0.5
"""Pixels within which two handles are on one spot."""
MARGIN = 2
"""Pixels beyond what is read for sure: around a place between pixels, and for handles a little off."""
_ANGLES = np.arange(16) * (2 * np.pi / 16)
RING = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
"""(16, 2), directions around a handle."""


class BoundNatural(Bound[Memory]):
    """The natural drag on one model."""

    settings: Natural

    def __init__(self, model: Generator, settings: Natural) -> None:
        super().__init__(model, settings)
        block, self._track = blocks_of(model, settings)
        self._frame = Frame.of(model.resolution, settings.supervision_radius, settings.tracking_radius)
        self._reading = Reading(model, block, self._frame)
        self._only_here = max(0.0, settings.locality - HALF) / (1 - HALF)
        self._stride = settings.stride * model.resolution[0] / 512
        self._spot = spot(round(SPOT * self._reading.cell))
        if self._reading.is_coarse:
            self._reading = dataclasses.replace(self._reading, followed=(self._track, self._spot))
        self._look: Callable[[Tensor], np.ndarray] | None = None
        self._unlike: dict[int | None, Unlikeness] = {}
        self._covariances: dict[tuple[int | None, float], Tensor] = {}
        self._held: tuple[tuple[Any, ...], Held | None] | None = None
        self._rest: tuple[tuple[Any, ...], Rest] | None = None
        self._solved: tuple[tuple[tuple[Any, ...], bytes], tuple[Tensor, np.ndarray, float | None]] | None = None

    # --- what an engine does -----------------------------------------------------------------------------------------

    def begin(self, edit: Edit) -> Memory:
        """Return the memory at the first step from ``edit``.

        :raises ValueError: if the latents of the model do not differ, so that nothing says what is natural.
        """
        covariance, same_person = self._covariance(edit)
        base = edit.origin
        if edit.held is not None:  # of the way so far nothing is to be taken back that is held from here on
            base = edit.latent
        elif edit.wish is not None:
            base = edit.origin + torch.from_numpy(edit.wish).to(edit.origin)
        there = torch.equal(edit.latent, base)
        home = {point.id: point.handle for point in edit.points} if there else {}
        return Memory(covariance, base, home, {}, {}, self._track, {}, self._stride, edit.step, same_person=same_person)

    def _covariance(self, edit: Edit) -> tuple[Tensor, float]:
        """Return how latents differ, those of one person as far as that is dear, and how dear it is: 0 if unknown.

        Where what is outside a mask or far from the points is held itself it is not, for that takes all the room there
        is; nor with many points, which say themselves what is to move.
        """
        dear = self._dear(edit)
        if not dear or self.model.space.within(self.model.space.label_of(edit.origin)) is None:
            dear = 0.0
        return self._how_latents_differ(edit, dear), dear

    def _how_latents_differ(self, edit: Edit, dear: float) -> Tensor:
        """Return the covariance at how dear it is to change who is shown, the very same one each time."""
        space = self.model.space
        label = space.label_of(edit.origin)
        if (label, dear) not in self._covariances:
            covariance, within = space.metric(label).covariance, space.within(label) if dear else None
            if within is not None:
                covariance = within.lerp(covariance, max(1 - dear, LEAST))
            self._covariances[label, dear] = covariance.to(edit.origin)
        return self._covariances[label, dear]

    def _dear(self, edit: Edit) -> float:
        """Return how dear it is to change who is shown, where that is known."""
        settings = self.settings
        held = bool(self._only_here) or (edit.mask is not None and settings.mask_weight > 0)
        return 0.0 if held or len(edit.points) > FEW else settings.same_person

    def preparing(self, edit: Edit, memory: Memory) -> Iterator[float] | None:
        """See ``Bound``: how the rest of the picture moves is computed once a model."""
        if not self._asks_for_rest(edit, memory):
            return None
        return prepared(self.model, self.model.space.label_of(edit.origin), self._reading.block)

    def adapt(self, before: Edit, after: Edit, memory: Memory) -> Memory:
        """Return the memory for ``after``: a target that moves changes nothing but that there is some way to go.

        What a point did stays when it is taken away or put elsewhere: changes are then measured from where it led to.
        """
        if after.latent is not before.latent or after.origin is not before.origin:
            return self.begin(after)
        same = {
            point.id
            for point in after.points
            if point.id in before.ids and (point is (was := before.point(point.id)) or _followed(was, point))
        }
        known = memory.blocks == self._track  # other settings may follow other features
        covariance, same_person = self._covariance(after)
        if same_person != memory.same_person:
            memory = dataclasses.replace(memory, covariance=covariance, same_person=same_person)
        memory = dataclasses.replace(
            memory,
            references={number: each for number, each in memory.references.items() if number in same and known},
            latest={number: each for number, each in memory.latest.items() if number in same and known},
            blocks=self._track,
            seen={number: xy for number, xy in memory.seen.items() if number in after.ids},
            home={number: xy for number, xy in memory.home.items() if number in same},
            reach=self._stride,
            first_step=after.step,
            idle=0,
            weight=None,
        )
        lost = bool(set(before.ids) - same) or after.held is not before.held
        if lost and not torch.equal(memory.base, after.latent):
            home = {point.id: point.handle for point in after.points}
            return dataclasses.replace(memory, base=after.latent, home=home)
        if torch.equal(memory.base, after.latent):
            added = {point.id: point.handle for point in after.points if point.id not in same}
            return dataclasses.replace(memory, home={**memory.home, **added})
        return memory

    def verdict(self, edit: Edit, memory: Memory) -> Verdict | None:
        """Return "arrived", "near", "stalled" or "capped", or None while steps bring the handles nearer."""
        if not edit.points:
            return None
        left = float(edit.distances.max())
        # Blended pictures show nothing of what further steps would change less outside the mask.
        unseen = edit.mask is not None and self.settings.blend != "none" and not self._only_here
        if left <= self.settings.tolerance and (memory.at_rest or unseen):
            return "arrived"
        if memory.idle >= PATIENCE:
            return "near" if left <= NEAR * self.model.resolution[0] else "stalled"
        return "capped" if edit.step - memory.first_step >= self.settings.max_steps else None

    def advance(self, edit: Edit, memory: Memory, at_most: int | None = 1) -> list[Step[Memory]]:  # noqa: ARG002
        """Return the next step. One that would bring the handles no nearer leaves the latent as it is.

        :raises ValueError: without points, or if two on one spot are pulled to different targets.
        :raises DivergedError: if it is not finite.
        """
        if not edit.points:
            raise ValueError("there are no points to drag; add a handle and its target first")
        self._check_spots(edit)
        with torch.inference_mode(mode=False):
            return [self._advance(edit, memory)]

    def advance_by(self, edit: Edit, memory: Memory, look: Callable[[Tensor], np.ndarray]) -> Step[Memory]:
        """Return the next step, judged by where ``look`` finds the handles; see ``Bound.advance_by``."""
        self._look = look
        try:
            (step,) = self.advance(edit, memory)
        finally:
            self._look = None
        return step

    # --- one step ----------------------------------------------------------------------------------------------------

    def _advance(self, edit: Edit, memory: Memory) -> Step[Memory]:
        if self._asks_for_rest(edit, memory):
            label = self.model.space.label_of(edit.origin)
            rest = rest_of(self.model, label, self._reading.block).to(edit.origin)
            memory = dataclasses.replace(memory, rest=rest)
        leaf, held = _leaf_of(edit, memory), self._what_stays(edit, memory)
        changed = None if held is None else held.change(self._view(leaf, held))
        ahead = self._ahead(np.array([memory.seen.get(point.id, point.handle) for point in edit.points]))
        memory = self._grabbed(edit, memory, leaf, ahead)
        to_go = edit.targets - edit.handles
        aim = to_go * np.minimum(1, self._stride / np.maximum(lengths(to_go), 1e-9))[:, None]
        # A shorter step goes less far on the same way. To ask for less would not do: the change is measured from the
        # base, so what handles do not see of it would all be asked for still.
        share = min(1.0, memory.reach / max(float(lengths(aim).max()), 1e-9))
        wanted = share * aim
        back = self._asks_for_the_beginning(edit, memory)
        if back:
            wanted, latent = to_go, memory.base.detach().clone()
        else:
            whole, moved, memory = self._least_change(edit, memory, leaf, ahead, held, aim)
            latent, wanted = edit.latent.lerp(memory.base + whole[None], share), share * moved
        if not bool(torch.isfinite(latent).all()):
            raise DivergedError(
                f"step {edit.step + 1} gave a latent that is not finite; the one before it, the best so far, is kept. "
                "Move the points apart or onto something that stands out, or begin from another latent"
            )
        expected = self._frame.clamp(edit.handles + wanted)
        tried = latent.detach().requires_grad_()
        spared = None
        if held is not None and changed is not None:
            spared = changed, held.change(self._view(tried, held))
        if back:  # where the content is in that picture is known
            found = np.array([memory.home[number] for number in edit.ids])
        else:
            found = self._follow(edit, memory, tried, expected, lengths(wanted))
        return self._judged(edit, memory, tried, wanted, expected, found, spared)

    def _least_change(
        self, edit: Edit, memory: Memory, leaf: Tensor, ahead: Mapping[int, Tensor], held: Held | None, aim: np.ndarray
    ) -> tuple[Tensor, np.ndarray, Memory]:
        """Return the whole change from the base that takes handles on by ``aim`` (N, 2), and how they move by it.

        And the memory with how much the rest weighs, and whether one person's latents are asked, of a pull all of whose
        steps are to ask alike.

        After a step that was not taken the same is asked again, and known.

        :raises ValueError: if a handle is where the picture is the same everywhere.
        """
        numbers = edit.handles.tobytes() + aim.tobytes()
        if self._solved is not None:
            (before, known), (whole, moved, weight) = self._solved
            asked = edit.latent, memory.base, memory.covariance, held, edit.held
            if numbers == known and all(a is b for a, b in zip(before, asked, strict=True)):
                return whole, moved, dataclasses.replace(memory, weight=weight)
        if held is None and len(edit.points) > FEW:
            # Many passes will go through what is read, so no more is read than what says how handles move.
            leaf, ahead = leaf.detach().clone().requires_grad_(), self._reading.ahead(edit.handles)
        motion = self._reading.motion(leaf, edit.handles, ahead)
        if bool(motion.flat.any()):
            number = edit.ids[int(motion.flat.int().argmax())]
            raise ValueError(
                f"around the handle of point {number} the picture is the same everywhere, so that nothing says how "
                "it moves; put it on something that stands out"
            )
        linear = Linear(motion, held, None if held is None else self._view(leaf, held))
        change = (edit.latent - memory.base)[0]
        onward = None
        if memory.weight is None and len(edit.points) <= FEW:  # of the whole way, so that no step undoes another
            rows = linear.jacobian
            onward = torch.from_numpy((edit.targets - edit.handles).reshape(-1)).to(rows.device)
            onward = onward + torch.einsum("krd,rd->k", rows, change).double()
        metric, damping = self._metric(edit, memory, held), self._damping(len(edit.points))
        if onward is not None and memory.same_person:
            covariance = self._how_latents_differ(edit, 0.0)
            plain = self._metric(edit, dataclasses.replace(memory, covariance=covariance), held)
            ways = [least_cost(linear.jacobian, each, onward, damping) for each in (metric, plain)]
            if ways[0] > DIFFERENT * ways[1]:
                memory = dataclasses.replace(memory, covariance=covariance, same_person=0.0)
                metric = self._metric(edit, memory, held)
        weight = None
        # Where all outside a mask is held, and shows, that is local enough, and leaves no room for more. What moves is
        # measured from the base, which a mask that was set later does not ask for.
        masked = edit.mask is not None and held is not None
        later = masked and bool(edit.below) and not torch.equal(edit.below[-1].latent, memory.base)
        spared = bool(self.settings.locality) and not (later or (masked and self.settings.blend == "none"))
        if memory.rest is not None and spared and len(edit.points) <= FEW:
            rest, weight = self._rest_in(edit, memory, metric), memory.weight
            if weight is None:
                assert onward is not None
                room = 1 + (ROOM - 1) * memory.same_person
                weight = rest.weight(linear.jacobian, onward, self.settings.locality, damping, room)
            metric = metric.sparing(rest.sparing, weight)
        whole, moved = least_change(linear, metric, aim, change, damping)
        asked = edit.latent, memory.base, memory.covariance, held, edit.held
        self._solved = (asked, numbers), (whole, moved, weight)
        return whole, moved, dataclasses.replace(memory, weight=weight)

    def _damping(self, points: int) -> float:
        """Return ε of so many points."""
        return self.settings.damping * (SOFTER if points > FEW else FIRMER if points > 1 else 1.0)

    def _metric(self, edit: Edit, memory: Memory, held: Held | None) -> Metric:
        """Return the metric of changes, before it spares what else moves."""
        own_rows, own, common = self.settings.own_rows, self.settings.own, self.settings.common
        if held is not None:  # rows beyond those that its block reads would change the picture unseen
            own_rows, common = min(own_rows + MORE, rows_of(self.model, held.block) or own_rows), 0.0
        elif edit.held is not None or memory.same_person:  # what they say was taken of latents whose rows are alike
            alike = ALIKE if edit.held is not None else PARTLY
            own, common = own * (1 - alike), common + own * alike
        metric = Metric.of(memory.covariance, self.model.num_ws, own_rows, own, common)
        if edit.held is not None:
            metric = dataclasses.replace(metric, allowed=Projection(edit.held, memory.covariance))
        return metric

    def _judged(
        self,
        edit: Edit,
        memory: Memory,
        tried: Tensor,
        wanted: np.ndarray,
        expected: np.ndarray,
        found: np.ndarray,
        spared: tuple[float, float] | None,
    ) -> Step[Memory]:
        """Return the step to ``tried``, where the handles are ``found``, if that is nearer; else one that stays.

        One to a latent so far from the first that the picture would fall apart stays too, unless it leads back.

        :param spared: how much of what is to stay has changed before the step, and after it. A step that changes less
            of it is taken too, where it leaves all handles at their targets or as near as they are.
        """
        asked = max(float(np.linalg.norm(wanted)), 1e-9)
        met = 1 - float(np.linalg.norm(found - edit.handles - wanted)) / asked
        before, after = _left(edit.targets - edit.handles), _left(edit.targets - found)
        report = {"reach": memory.reach, "met": met}
        there = float(lengths(edit.targets - found).max()) <= self.settings.tolerance
        far = self._is_far(edit, memory, tried)
        less = spared is not None and (there or after <= before) and spared[1] < LESS * spared[0]
        if far or (after > before - NEARER and not less):
            longest = min(memory.reach, float(lengths(edit.targets - edit.handles).max()))
            reach = max(SHORTER * longest, SHORTEST)
            idle = memory.idle + 1 if memory.reach > SHORTEST else PATIENCE  # the same would be tried again
            stayed = dataclasses.replace(memory, reach=reach, idle=idle, at_rest=True, leaf=None)
            return Step(dataclasses.replace(edit, step=edit.step + 1), stayed, {"left": before}, report)
        reach = memory.reach * (0.5 if met < BAD else 1.5 if met > GOOD else 1.0)
        points = tuple(
            dataclasses.replace(point, handle=(float(x), float(y)))
            for point, (x, y) in zip(edit.points, found, strict=True)
        )
        moved = dataclasses.replace(edit, latent=tried.detach(), points=points, step=edit.step + 1)
        seen = {point.id: (float(x), float(y)) for point, (x, y) in zip(edit.points, expected, strict=True)}
        reach = float(np.clip(reach, SHORTEST, max(SHORTEST, self._stride)))
        little = len(points) > FEW and before - after < min(LITTLE * before, BAD * memory.reach)
        hardly = before - after < HARDLY * before
        spots = self._spots(tried, found, self._ahead(expected))
        latest = {**memory.latest, **{point.id: each for point, each in zip(points, spots, strict=True)}}
        return Step(
            moved,
            dataclasses.replace(
                memory,
                reach=reach,
                idle=0 if less else memory.idle + IMPATIENCE if little else memory.idle + 1 if hardly else 0,
                at_rest=spared is None,
                seen=seen,
                latest=latest,
                leaf=tried,
            ),
            {"left": after},
            report,
        )

    def _is_far(self, edit: Edit, memory: Memory, tried: Tensor) -> bool:
        """Return whether a latent is farther from the first than the model's own pictures let one go."""
        space = self.model.space
        label = space.label_of(edit.origin)
        if label not in self._unlike:
            self._unlike[label] = Unlikeness(space.metric(label).covariance)
        unlike = self._unlike[label]
        rows = self.settings.own_rows
        gone = unlike((tried.detach() - memory.base)[0, :rows])
        return gone > max(FAR * unlike.typical, FARTHEST) and gone > unlike((edit.latent - memory.base)[0, :rows])

    def _check_spots(self, edit: Edit) -> None:
        handles, targets = edit.handles, edit.targets
        near = np.hypot(*(handles[:, None] - handles[None]).transpose(2, 0, 1)) < SAME_SPOT
        apart = np.hypot(*(targets[:, None] - targets[None]).transpose(2, 0, 1)) > 2 * self.settings.tolerance + 1
        clashes = np.argwhere(np.triu(near & apart, 1))
        if len(clashes):
            one, other = (edit.ids[number] for number in clashes[0])
            raise ValueError(
                f"points {one} and {other} have their handles on one spot and their targets apart, so both cannot "
                "arrive; move or remove one of them"
            )

    def _asks_for_the_beginning(self, edit: Edit, memory: Memory) -> bool:
        """Return whether every target is where its handle is in the picture of the base: then that is the answer."""
        if set(memory.home) != set(edit.ids):
            return False
        home = np.array([memory.home[number] for number in edit.ids])
        return float(lengths(edit.targets - home).max()) <= self.settings.tolerance / 2

    def _what_stays(self, edit: Edit, memory: Memory) -> Held | None:
        asked = self.settings
        masked = edit.mask is not None and bool(asked.mask_weight)
        if not self._only_here and not masked:
            return None
        block = held_block(self.model, self._reading.block, masked=masked)
        starts = np.array([point.start for point in edit.points])
        # Outside a mask the picture stays as it was when the mask was set.
        before = memory.base if edit.mask is None or not edit.below else edit.below[-1].latent
        key = before, edit.mask, starts.tobytes()
        if (
            self._held is None
            or any(a is not b for a, b in zip(self._held[0][:2], key[:2], strict=True))
            or self._held[0][2] != key[2]
        ):
            firm = firmness(self.model, block, starts, edit.mask, self._only_here, asked.mask_weight)
            self._held = key, None if firm is None else Held.of(self.model, before, block, firm, memory.covariance)
        return self._held[1]

    def _asks_for_rest(self, edit: Edit, memory: Memory) -> bool:
        """Return whether it is still to be found how the rest of a picture moves.

        A run that an older version began goes on as it did, without.
        """
        return bool(self.settings.locality) and memory.rest is None and edit.step == memory.first_step

    def _rest_in(self, edit: Edit, memory: Memory, metric: Metric) -> Rest:
        starts = np.array([point.start for point in edit.points])
        key = memory.covariance, memory.rest, edit.held, starts.tobytes(), metric.rows
        known = self._rest
        if known is not None and all(a is b for a, b in zip(known[0][:3], key[:3], strict=True)):  # noqa: SIM102
            if known[0][3] == key[3] and torch.equal(known[0][4], metric.rows):
                return known[1]
        assert memory.rest is not None
        self._rest = key, Rest(metric, memory.rest, self.model.resolution, starts)
        return self._rest[1]

    # --- features ----------------------------------------------------------------------------------------------------

    def _view(self, leaf: Tensor, held: Held) -> Tensor:
        """Return the view that is held; where whole maps make it up, all that is read of the latent is of these."""
        with torch.enable_grad():
            if not self.model.has_previews:
                self.model.maps(leaf, tuple(sorted({held.block, self._reading.block, *self._track})))
            return view(self.model, leaf, held.block)

    def _ahead(self, middles: np.ndarray) -> dict[int, Tensor]:
        """Return what is read of a latent in which handles are about ``middles`` (N, 2), by block."""
        reaches: dict[int, float] = dict.fromkeys(self._track, self._frame.tracking + float(self._spot.max()) + MARGIN)
        block = self._reading.block
        reaches[block] = max(reaches.get(block, 0), self._reading.reach + MARGIN)
        return {
            block: torch.from_numpy(surroundings(middles, reach, self.model.map_size(block), self._frame))
            for block, reach in reaches.items()
        }

    def _grabbed(self, edit: Edit, memory: Memory, leaf: Tensor, ahead: Mapping[int, Tensor]) -> Memory:
        new = [point for point in edit.points if point.id not in memory.references]
        if not new:
            return memory
        spots = self._spots(leaf, np.array([point.handle for point in new]), ahead)
        added = {point.id: each for point, each in zip(new, spots, strict=True)}
        return dataclasses.replace(memory, references={**memory.references, **added}, latest={**memory.latest, **added})

    def _spots(self, leaf: Tensor, places: np.ndarray, ahead: Mapping[int, Tensor]) -> list[Tensor]:
        found = read_spots(self._reader(leaf, ahead), places, self._spot, self._frame)
        return [each.clone() for each in found]

    def _reader(self, leaf: Tensor, ahead: Mapping[int, Tensor]) -> Reader:
        def read(xy: np.ndarray) -> Tensor:
            with torch.enable_grad():  # so that what is read serves the motion as well
                places = torch.from_numpy(np.ascontiguousarray(xy))
                return self.model.sample_features(leaf, self._track, places, ahead).detach()

        return read

    def _follow(self, edit: Edit, memory: Memory, leaf: Tensor, expected: np.ndarray, ways: np.ndarray) -> np.ndarray:
        """Return where the handles are (N, 2) with ``leaf``. :raises DivergedError: if it is not finite."""
        if self._look is not None:
            return self._frame.clamp(checked_places(self._look(leaf), len(edit.points)))
        read, ids = self._reader(leaf, self._ahead(expected)), edit.ids
        try:
            return find_spots(
                read,
                expected,
                [memory.references[number] for number in ids],
                [memory.latest[number] for number in ids],
                self._spot,
                self._frame,
                ways,
            )
        except DivergedError as error:
            raise DivergedError(
                f"the features after step {edit.step + 1} are not finite; the latent before it, the best so far, is "
                "kept. Begin from another latent"
            ) from error

    # --- what files, histories and people are told -------------------------------------------------------------------

    def pack(self, memory: Memory) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the covariance, the base, references, and the course of the run."""
        return memory.pack()

    def unpack(self, edit: Edit, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Memory:
        """Return the memory again. :raises ValueError: if something is missing or does not fit edit or model."""
        with torch.inference_mode(mode=False):
            return Memory.unpack(self.model, edit, self._track, len(self._spot), tensors, values)

    def compact(self, memory: Memory) -> Memory:
        """Return the memory without the tensor that features were read of, which is the edit's latent once more."""
        return dataclasses.replace(memory, leaf=None)

    def texture(self, edit: Edit, memory: Memory, number: int) -> tuple[bool, XY | None]:  # noqa: ARG002
        """Return whether a handle sits where features are too even, and the nearest spot that is better."""
        return texture_of(self.model, edit, number)

    def content(self, edit: Edit, memory: Memory, number: int) -> Tensor | None:  # noqa: ARG002
        """Return the features (K, C) of the spot that a point is followed by; None until they are taken."""
        return memory.references.get(number)

    def confidence(self, edit: Edit, memory: Memory) -> dict[int, float]:
        """Return how surely each point's content was found, by id.

        1 if its features are those it was grabbed with, 0 if they are no nearer to these than what is around at the
        radius r2.
        """
        points = [point for point in edit.points if point.id in memory.references]
        if not points:
            return {}
        middles = np.array([memory.seen.get(point.id, point.handle) for point in points])
        around = self._frame.clamp(middles[:, None] + self._frame.tracking * RING)
        handles = np.array([point.handle for point in points])
        places = torch.from_numpy(np.concatenate([handles[:, None], around], axis=1).reshape(-1, 2))
        with torch.inference_mode(mode=False), torch.no_grad():
            read = self.model.sample_features(_leaf_of(edit, memory), self._track, places, self._ahead(middles))
            references = torch.stack([memory.references[point.id][0] for point in points])
            away = (read.view(len(points), 1 + len(RING), -1) - references[:, None]).norm(dim=2).double().cpu()
        here, typical = away[:, 0], away[:, 1:].median(dim=1).values
        sure = (1 - here / typical.clamp(min=1e-30)).clamp(0, 1) * (typical > 0)
        return {point.id: float(each) for point, each in zip(points, sure, strict=True)}


class NaturalDrag(Engine):
    """The project's own method."""

    name = "natural"
    help = "The least change, measured as the model's own pictures differ, that takes the points there: a few steps"
    Settings = Natural
    takes_trackers = True
    needs = (
        *Engine.needs,
        *("sample_features", "maps", "views", "map_size", "blocks", "default_block", "num_ws", "w_dim"),
    )

    def check_model(self, model: Any) -> None:
        """Check that a model has what this engine needs, and that its latents differ."""
        super().check_model(model)
        model.space.check_metric()

    def bind(self, model: Generator, settings: Natural) -> BoundNatural:
        """Return the natural drag on a model. :raises ValueError: if the model lacks a block."""
        return BoundNatural(model, settings)

    def values(self, model: Generator, settings: Natural) -> dict[str, Any]:
        """Return the settings as they hold: blocks are named even where the settings leave them open."""
        block, track_blocks = blocks_of(model, settings)
        named = track_blocks[0] if len(track_blocks) == 1 else list(track_blocks)
        rows = min(settings.own_rows, model.num_ws)
        return {**settings.to_dict(), "block": block, "track_block": named, "own_rows": rows}


def blocks_of(model: Generator, settings: Natural) -> tuple[int, tuple[int, ...]]:
    """Return the block that motion is read of, and those that are followed. :raises ValueError: if one is not there."""
    blocks, asked = model.blocks, settings.block
    block = blocks[max(0, blocks.index(model.default_block()) - 1)] if asked is None else asked
    followed = settings.track_block
    if followed is None:
        followed = (
            tuple(blocks[max(0, blocks.index(block) - 1) : blocks.index(block) + 1]) if block in blocks else block
        )
    followed = (followed,) if isinstance(followed, int) else followed
    for number in (block, *followed):
        if number not in blocks:
            raise ValueError(f"there is no block {number}; this generator has blocks {blocks[0]} to {blocks[-1]}")
    assert isinstance(block, int)
    return block, followed


def _leaf_of(edit: Edit, memory: Memory) -> Tensor:
    """Return the latent of the edit as a tensor that takes gradients, the one that was read of where it is there."""
    if memory.leaf is not None and memory.leaf.data_ptr() == edit.latent.data_ptr():
        return memory.leaf
    return edit.latent.detach().clone().requires_grad_()


def _followed(before: Any, after: Any) -> bool:
    """Return whether a point is on the same content as before: only its target has moved."""
    return bool(before.handle == after.handle and before.start == after.start and before.target != after.target)


def _left(to_go: np.ndarray) -> float:
    """Return the pixels (N, 2) that handles have to go as one number: their root mean square."""
    return float(np.sqrt(np.square(to_go).sum(axis=1).mean()))
