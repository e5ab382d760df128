"""The benchmark as a whole: what is measured in which order, in processes of their own, and what has come of it."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import draggan_widget

QUICK = {"sizes": (512,), "rounds": 1, "memory_handles": (1,), "seconds": 2.0}
Progress = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is measured."""

    sizes: tuple[int, ...] = (256, 512, 1024)
    handles: tuple[int, ...] = (1, 5, 68)
    masks: tuple[bool, ...] = (False, True)
    rounds: int = 2
    """Turns of every side in a case; the median of the rounds' ratios is told."""
    device: str = "cpu"
    threads: int | None = None
    """Of torch; None for as many as it takes by itself."""
    width: int | None = None
    """Channels of every block; None for config F's."""
    original: bool = True
    memory_handles: tuple[int, ...] = (1, 68)
    """With how many handles memory is measured; with none, not at all."""
    model: str | None = "faces"
    """What is pulled while somebody looks; None: nothing."""
    seconds: float = 4.0
    """How long is pulled."""
    browser: bool = False
    edit_steps: int = 60
    """Steps of a whole edit with frames, on a GPU at the largest size; 0: none."""

    def __post_init__(self) -> None:
        for size in self.sizes:
            if size < 64 or size > 1024 or size & (size - 1):
                raise ValueError(f"sizes holds {size}; each must be a power of two from 64 to 1024")
        for number in (*self.handles, *self.memory_handles):
            if not 1 <= number <= 68:
                raise ValueError(f"handles holds {number}; each must be from 1 to 68")
        if self.rounds < 1:
            raise ValueError(f"steps is {self.rounds}; it must be at least 1")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads is {self.threads}; it must be at least 1")

    @property
    def sides(self) -> tuple[str, ...]:
        """The names of those that are compared."""
        return ("default", "official", "original") if self.original else ("default", "official")


def run(settings: Settings, results: dict[str, Any], progress: Progress = lambda text: None) -> None:
    """Measure, and fill ``results`` as figures come, so that whoever interrupts this has what is finished.

    ``results`` then holds ``draggan_widget``, ``torch``, ``python``, ``platform``, ``cpu``, ``device``,
    ``device_name``, ``dtype``, ``threads``, ``model``; ``cases``, each with ``case``, ``seconds``, ``all_seconds``,
    ``ratios`` and ``bytes``, as ``measure`` gives them; ``frames``, ``browser`` and ``edit`` where they were asked for;
    and ``left_out``, a sentence for each thing that could not be measured.
    """
    results.update(about(), device=settings.device, dtype="float32", model=settings.model, cases=[], left_out=[])
    common: dict[str, Any] = {"device": settings.device, "threads": settings.threads, "width": settings.width}
    for line in _child({**common, "kind": "about"}, results, progress):
        results.update(line)
    if "torch" not in results:
        return
    cases: list[dict[str, Any]] = results["cases"]
    for size in settings.sizes:
        for mask in settings.masks:
            drags: dict[str, Any] = {**common, "size": size, "masks": [mask]}
            # A child for each kind of drag: where the original's way takes more memory than there is, that ends there.
            timing: dict[str, Any] = {**drags, "kind": "time", "rounds": settings.rounds, "handles": settings.handles}
            cases.extend(_child({**timing, "sides": settings.sides}, results, progress))
            for handles in [number for number in settings.handles if number in settings.memory_handles]:
                for side in settings.sides:
                    job = {**drags, "kind": "memory", "handles": [handles], "sides": [side]}
                    for line in _child(job, results, progress):
                        _merge(cases, line)
    if settings.edit_steps and settings.device != "cpu":
        size = max(settings.sizes)
        progress(f"an edit of {settings.edit_steps} steps with frames at {size} px")
        for line in _child({**common, "kind": "edit", "size": size, "steps": settings.edit_steps}, results, progress):
            results["edit"] = {"size": size, **line["edit"]}
    if settings.model is not None:
        progress(f"pulls of {settings.model} in process")
        pulls: dict[str, Any] = {**common, "kind": "frames", "model": settings.model, "seconds": settings.seconds}
        for line in _child(pulls, results, progress):
            results.update(line)
    if settings.browser and settings.model is not None:
        from draggan_widget.analysis.benchmarks import browser

        progress(f"pulls of {settings.model} in JupyterLab and Chromium")
        try:
            results["browser"] = browser.measure(settings.model, settings.seconds, settings.device)
        except browser.NoBrowserError as error:
            results["left_out"].append(str(error))


def about() -> dict[str, Any]:
    """Return the versions and machine, as far as they are known without torch."""
    return {
        "draggan_widget": draggan_widget.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": f"{_processor()} ({os.cpu_count()} cores)",
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in names if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _merge(cases: list[dict[str, Any]], line: dict[str, Any]) -> None:
    for each in cases:
        if each["case"] == line["case"]:
            each["bytes"] = {**each.get("bytes", {}), **line["bytes"]}
            return
    cases.append(line)


def _child(job: dict[str, Any], results: dict[str, Any], progress: Progress) -> Iterator[dict[str, Any]]:
    """Yield the results of a job in a process of its own, as they come; what goes wrong there is noted as left out."""
    command = [sys.executable, "-m", "draggan_widget.analysis.benchmarks.worker", json.dumps(job)]
    doing = f"{job['kind']} of {job.get('size') or job.get('model') or 'the machine'}"
    told = False
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            for text in child.stdout:
                line = json.loads(text)
                if "begins" in line:
                    doing = line["begins"]
                    progress(doing)
                elif "error" in line:
                    results["left_out"].append(f"{doing}: {line['error']}")
                    told = True
                else:
                    yield line
        except BaseException:
            child.kill()
            raise
    if child.returncode and not told:
        killed = child.returncode == -9
        why = "the system ended it, for want of memory most likely" if killed else f"it ended with {child.returncode}"
        results["left_out"].append(f"{doing}: {why}")
