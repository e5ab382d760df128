"""Seconds and bytes of steps. Sides take turns (A B C A B C …), for machines drift; each round gives its own ratio."""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from draggan_widget.analysis.benchmarks.cases import Case, stepper
from draggan_widget.models import StyleGAN2

MAKE_READY = 3
"""Calls of ours before the clock runs: references, the kept features and whatever is made once are no step's cost."""
SPELL = 0.5
"""Seconds that one turn of a fast side should last at least, so that the clock's grain does not count."""
MOST_STEPS = 200
"""Steps in one turn at the most: a drag that arrives would be measured standing still."""


def time_case(generator: StyleGAN2, case: Case, sides: Sequence[str], rounds: int) -> dict[str, Any]:
    """Return the seconds that a step of each side, and how many times as long the original's way takes.

    :param rounds: turns of each side.
    :returns: ``{"seconds": {side: median}, "all_seconds": {side: [one a round]}, "ratios": {side: median of the
        rounds' original / side}}``; no ratios without ``"original"`` among the sides.
    """
    device = next(generator.parameters()).device
    steppers, steps = {}, {}
    for side in sides:
        steppers[side] = stepper(side, generator, case)
        taken = 0.0
        for _ in range(1 if side == "original" else MAKE_READY):
            taken = timed(steppers[side], device)
        steps[side] = max(1, min(MOST_STEPS, round(SPELL / max(taken, 1e-6))))
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            seconds[side].append(timed(steppers[side], device, steps[side]))
    ratios = {
        side: statistics.median(theirs / ours for theirs, ours in zip(seconds["original"], seconds[side], strict=True))
        for side in sides
        if side != "original" and "original" in seconds
    }
    medians = {side: statistics.median(each) for side, each in seconds.items()}
    return {"seconds": medians, "all_seconds": seconds, "ratios": ratios}


def timed(step: Callable[[], int], device: torch.device, least: int = 1) -> float:
    """Return the seconds that a step takes, over at least so many steps, with all that was left to the device."""
    synchronize(device)
    began, done = time.perf_counter(), 0
    while done < least:
        done += step()
    synchronize(device)
    return (time.perf_counter() - began) / done


def synchronize(device: torch.device) -> None:
    """Wait for what was left to the device; a CPU leaves nothing."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_memory(generator: StyleGAN2, case: Case, side: str, steps: int = 2) -> int:
    """Return the bytes that the first steps of a drag hold at most, on top of what the loaded network does.

    To be called in a process that has done nothing else: the system notes only the highest mark of a whole process.

    :param steps: the second one has both the features of the start and its own.
    :raises OSError: where the system does not tell.
    """
    device = next(generator.parameters()).device
    with _peak(device) as peak:
        step = stepper(side, generator, case)
        for _ in range(steps):
            step()
        synchronize(device)
    return peak()


@contextlib.contextmanager
def _peak(device: torch.device) -> Iterator[Callable[[], int]]:
    """Return a function that says afterwards how far memory rose above where it stood."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield lambda: torch.cuda.max_memory_allocated(device) - before
    else:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # the mark falls to where memory stands
        resident = _high_water("VmRSS")
        yield lambda: _high_water("VmHWM") - resident


def _high_water(name: str) -> int:
    """Return the bytes of a process's memory: now (``VmRSS``), or at the most so far (``VmHWM``)."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:"))) * 1024
    # Elsewhere only the highest mark is told, which after loading stands near what is held. A child of a big process
    # inherits its mark where it was forked, so this is second best.
    if sys.platform == "win32":
        raise OSError("Windows does not tell the highest memory of a process here; leave memory out with --no-memory")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
