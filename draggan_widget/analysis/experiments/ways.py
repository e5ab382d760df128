"""The ways of dragging that are compared: settings, and who tracks."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from draggan_widget.config import DragConfig
from draggan_widget.engines import (
    BoundTracked,
    DragGAN,
    DragRecord,
    DragResult,
    NaturalDrag,
    Predicted,
    State,
    begin_with,
    bind,
    default_config,
    drag,
    engine_named,
    engine_names,
    engine_of,
    search_of,
    searched_by,
)
from draggan_widget.engines.predicted import METHODS
from draggan_widget.engines.trackers import Tracker, make
from draggan_widget.models import Generator
from draggan_widget.settings import OWN

NO_EDIT = "no edit"
LATER = {("tracker", OWN), ("window", "fixed"), ("several_blocks", "joined"), ("on_lost", "go_on")}
"""Settings and values by which an engine does what it did before it had them: what was measured then still holds."""


@dataclasses.dataclass(frozen=True)
class Way:
    """One way of dragging. :raises ValueError: for a tracker without settings to drag with."""

    name: str
    config: Any
    """Settings of an engine, which choose it; None: nothing is done, for comparison."""
    tracker: str | None = None
    """Who tracks, as ``trackers.make`` names it; None: the method itself."""
    first: Any = None
    """Settings of an engine that makes the first step, a jump; None: no jump."""

    def __post_init__(self) -> None:
        if self.config is None and self.tracker is not None:
            raise ValueError(f"{self.name} has a tracker, but no settings to drag with; give it a config")
        if self.first is not None and (self.config is None or self.tracker is not None):
            raise ValueError(f"{self.name} has a first jump; give it a config, and no tracker")
        if self.config is not None and self.tracker is not None and not engine_of(self.config).takes_trackers:
            name = engine_of(self.config).name
            raise ValueError(f"{self.name} has a tracker, but the engine {name} tracks nothing; choose another engine")

    def to_dict(self) -> dict[str, Any]:
        """Return the way as values that JSON can hold."""
        engine = None if self.config is None else engine_of(self.config).name
        return {
            "name": self.name,
            # Not for draggan, so that what was done before there were other engines is not done again.
            **({} if engine in (None, DragGAN.name) else {"engine": engine}),
            "config": None if self.config is None else _told(self.config),
            "tracker": self.tracker,
            **({} if self.first is None else {"first": [engine_of(self.first).name, self.first.to_dict()]}),
        }

    def drag(
        self, generator: Generator, ws: Tensor, handles: Any, targets: Any, most: int, trackers: dict[str, Tracker]
    ) -> DragResult | None:
        """Return the drag in this way, in ``most`` steps at most; None if nothing is done.

        :param trackers: by name, those made before; a new one is added.
        """
        if self.config is None:
            return None
        config = self.config
        if hasattr(config, "max_steps") and not engine_of(config).jumps:
            config = config.replace(max_steps=most if config.max_steps is None else min(most, config.max_steps))
        if self.tracker is None:
            return drag(generator, ws, handles, targets, config=config, first=self.first)
        return drag_tracked(generator, ws, handles, targets, config, self.tracker_in(trackers, generator))

    def tracker_in(self, made: dict[str, Tracker], model: Generator) -> Tracker:
        """Return who tracks on a model: one of those ``made`` before, or a new one, which is added to them.

        :raises ValueError: where the method itself does, or for an unknown name. :raises ModuleNotFoundError: where
            what it needs is not installed. :raises FileNotFoundError: where its files are not there.
        """
        if self.tracker is None or self.config is None:
            raise ValueError(f"{self.name} is tracked by the method itself")
        config = search_of(model, self.config)
        key = f"{self.tracker} by {searched_by(config)}"
        if key not in made:
            made[key] = make(self.tracker, config)
        return made[key]


def drag_tracked(
    generator: Generator, ws: Tensor, handles: Any, targets: Any, config: Any, tracker: Tracker
) -> DragResult:
    """Return a drag like that of ``engines.drag``, in which a copy of ``tracker`` says where the handles went.

    :param config: settings of an engine that takes trackers.
    """
    points = [(number, *pair) for number, pair in enumerate(zip(handles, targets, strict=True), start=1)]
    state = begin_with(generator, ws, points, None, config)
    bound = BoundTracked(state.bound, "another", tracker)
    state = State(bound, state.edit, bound.begin(state.edit))
    history = [DragRecord.of(state)]
    while (reason := state.verdict) is None:
        (state,) = state.advance()
        history.append(DragRecord.of(state))
    return DragResult(generator, state, reason, tuple(history))


def _told(config: Any) -> dict[str, Any]:
    """Return settings for the ledger; those that came later are left out where they do as it always was."""
    values: dict[str, Any] = config.to_dict()
    return {name: value for name, value in values.items() if (name, value) not in LATER}


def standard_ways(generator: Generator) -> list[Way]:
    """No edit; the default engine by its name; and of ``draggan``: ``official``; ``paper``; ``default``, which is the
    generator's own settings, with features and with optical flow; and ``official``'s formulas with the generator's own
    block, rows and rate, to tell formulas from settings.
    """
    usual = default_config(generator)
    name = engine_of(usual).name
    own = generator.drag_config
    fitted = DragConfig.official(
        block=own.block, edit_layers=own.edit_layers, learning_rate=own.learning_rate, space=own.space
    )
    return [
        Way(NO_EDIT, None),
        *([] if name == DragGAN.name else [Way(name, usual)]),
        Way("official", DragConfig.official()),
        Way("paper", DragConfig.paper()),
        Way("default", own),
        Way("optical flow", own, "flow"),
        Way("official, our settings", fitted),
    ]


def engine_ways(generator: Generator, trackers: Sequence[str] = ()) -> list[Way]:
    """Return no edit, and every engine that can serve the model by its name, with its own settings for the model.

    Of predictors each one that there is for the model, alone and as the first jump of ``natural`` and of ``draggan``.

    :param trackers: as ``trackers.make`` names them; ``draggan`` and ``natural`` are taken with each of them too.
    """
    ways = [Way(NO_EDIT, None)]
    for name in engine_names():
        if engine_named(name).jumps:
            continue
        with contextlib.suppress(ValueError):  # it cannot serve the model
            config = default_config(generator, name)
            bind(generator, config)
            ways.append(Way(name, config))
    pulling = [way for way in ways if way.name in (NaturalDrag.name, DragGAN.name)]
    for method, label in METHODS.items():
        with contextlib.suppress(ValueError):  # there is none for the model
            first = Predicted(method=method)  # type: ignore[arg-type]
            bind(generator, first)
            ways.append(Way(f"predicted: {label}", first))
            ways += [Way(f"{way.name} after {label}", way.config, first=first) for way in pulling]
    return [*ways, *tracker_ways(generator, trackers)[3:]]


def tracker_ways(generator: Generator, trackers: Sequence[str]) -> list[Way]:
    """Return no edit, ``draggan`` and ``natural`` by themselves, and each of them with each of ``trackers``."""
    own = [Way(name, default_config(generator, name)) for name in (DragGAN.name, NaturalDrag.name)]
    others = [Way(f"{way.name}, {tracker}", way.config, tracker) for way in own for tracker in trackers]
    return [Way(NO_EDIT, None), *own, *others]


def setting_ways(generator: Generator) -> list[Way]:
    """Return no edit, and ``draggan`` with each of the settings that engines share and that are off unless asked for:
    an adaptive window, several blocks as they are and all alike, the stop at a lost handle, and the three that hold
    the latent back.
    """
    config = default_config(generator, DragGAN.name)
    own = generator.default_block() if config.block is None else config.block
    first = own if isinstance(own, int) else own[0]
    two = tuple(block for block in (first, first + 1) if block in generator.blocks)
    said = "+".join(map(str, two))
    changes: dict[str, dict[str, Any]] = {
        "adaptive window": {"window": "adaptive"},
        f"blocks {said}": {"block": two},
        f"blocks {said}, all alike": {"block": two, "several_blocks": "scaled"},
        "stops at a loss": {"on_lost": "stop"},
        "typical 1.2": {"typical": 1.2},
        "truncate 0.005": {"truncate": 0.005},
        "stay_near 1": {"stay_near": 1.0},
    }
    ways = [Way(f"{DragGAN.name}, {name}", config.replace(**change)) for name, change in changes.items()]
    return [Way(NO_EDIT, None), Way(DragGAN.name, config), *ways]


def block_ways(generator: Generator) -> list[Way]:
    """Return the paper's ablation: features of other blocks, for supervision and for tracking, all else the generator's
    own.

    Where only one of the two changes, the other reads the generator's own block, or blocks.
    """
    config = generator.drag_config
    block = generator.default_block() if config.block is None else config.block
    own = (block,) if isinstance(block, int) else block
    said = "+".join(map(str, own))
    ways = [Way(NO_EDIT, None), Way(f"both {said} (own)", config)]
    for other in (4, 5, 6, 7):
        if other in generator.blocks and (other,) != own:
            ways.append(Way(f"supervision {other}", config.replace(block=other), f"features:{said}"))
            ways.append(Way(f"tracking {other}", config, f"features:{other}"))
            ways.append(Way(f"both {other}", config.replace(block=other)))
    for pair in ((5, 6), (6, 7)):
        if set(pair) <= set(generator.blocks) and pair != own:
            ways.append(Way(f"both {pair[0]}+{pair[1]}", config.replace(block=pair)))
    return ways
