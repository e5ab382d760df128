"""DragBench's measures on a folder of pictures with points (Shi et al., *DragDiffusion*, CVPR 2024, section 4).

Image fidelity is 1 less the distance of the pulled picture from the one that was given; mean distance is how far the
content of the handles is from the targets, as DIFT finds it. Doing nothing has the best fidelity there is, so the
distance without an edit always stands beside.

A folder has its pictures, and ``points.json``: ``{"pictures": [{"file": "cat.png", "prompt": "a cat", "points":
[[x, y, to_x, to_y], …], "mask": "cat-mask.png"}]}``; positions are pixels of the picture, of the mask white may move.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from draggan_widget.analysis.experiments.distances import picture_distance
from draggan_widget.engines import DragDiffusion, drag
from draggan_widget.files import shown
from draggan_widget.models import Diffusion
from draggan_widget.models.diffusion import Identity, described, ended, found_again, inverted, learning
from draggan_widget.texts import read_json

POINTS = "points.json"
SIDE = 224
"""Pixels at which pictures are compared."""
FIELDS = {"file", "prompt", "points", "mask"}


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """A picture with points, at the size of a model."""

    name: str
    prompt: str
    picture: Tensor
    """(1, 3, H, W) in [-1, 1]."""
    handles: np.ndarray
    """(N, 2) pixels (x, y)."""
    targets: np.ndarray
    mask: np.ndarray | None
    """(H, W), 1 = may move."""


@dataclasses.dataclass(frozen=True)
class Row:
    """What one picture came to."""

    name: str
    fidelity: float
    """1 for the picture that was given."""
    distance: float
    """Pixels of the model's picture, on average, that content is from its target."""
    unedited: float
    """The same without an edit."""
    seconds: float
    """Of the pull and its picture, without learning and inversion."""
    steps: int
    reason: str


def read_cases(folder: Path, model: Diffusion) -> list[Case]:
    """Return the pictures of a folder, at the size of a model.

    :raises FileNotFoundError: without ``points.json`` or a file that it names. :raises ValueError: for what is no list
        of pictures with points.
    """
    index = folder / POINTS
    if not index.is_file():
        raise FileNotFoundError(
            f"{shown(folder)} holds no {POINTS}; see the measures of DragBench in docs/diffusion.md"
        )
    told = read_json(index.read_bytes())
    entries = told.get("pictures") if isinstance(told, dict) else None
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{shown(index)} has no list of pictures")
    return [_case(folder, number, entry, model) for number, entry in enumerate(entries, start=1)]


def measure(
    model: Diffusion,
    cases: Sequence[Case],
    *,
    settings: DragDiffusion | None = None,
    identity: Identity | None = None,
    tell: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> list[Row]:
    """Pull every picture, and measure what came of it. :param tell: called after each, as ``evaluate`` does."""
    _, away = picture_distance()
    rows = []
    for number, case in enumerate(cases, start=1):
        asked = model.sampled(prompt=case.prompt) if model.text is not None else model
        learnt = ended(learning(asked, case.picture.to(asked.scale), identity))
        latent = inverted(learnt, case.picture.to(asked.scale))
        began = time.perf_counter()
        result = drag(learnt, latent, case.handles, case.targets, case.mask, settings or DragDiffusion())
        with torch.no_grad():
            after = learnt.synthesize(result.ws).clamp(-1, 1)
        seconds = time.perf_counter() - began
        seen = [described(asked, each) for each in (case.picture.to(asked.scale), after)]
        places = found_again(seen[0], seen[1], case.handles, model.resolution)
        rows.append(
            Row(
                case.name,
                1 - away(_compared(case.picture), _compared(after)),
                _mean_distance(places, case.targets),
                _mean_distance(case.handles, case.targets),
                seconds,
                result.steps,
                result.reason,
            )
        )
        tell(number, len(cases), case.name)
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return the figures as Markdown, with their means."""
    name, _ = picture_distance()
    lines = [
        f"| picture | 1 - {name} | distance, px | without an edit | seconds | steps | |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        figures = f"{row.fidelity:.3f} | {row.distance:.2f} | {row.unedited:.2f} | {row.seconds:.1f} | {row.steps}"
        lines.append(f"| {row.name} | {figures} | {row.reason} |")
    means = [statistics.fmean(getattr(row, each) for row in rows) for each in ("fidelity", "distance", "unedited")]
    seconds, steps = (statistics.fmean(getattr(row, each) for row in rows) for each in ("seconds", "steps"))
    said = f"{means[0]:.3f} | {means[1]:.2f} | {means[2]:.2f} | {seconds:.1f} | {steps:.0f}"
    return "\n".join([*lines, f"| mean of {len(rows)} | {said} | |"])


def as_csv(rows: Sequence[Row]) -> str:
    """Return the rows as CSV."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([field.name for field in dataclasses.fields(Row)])
    writer.writerows(dataclasses.astuple(row) for row in rows)
    return file.getvalue()


def _mean_distance(places: np.ndarray, targets: np.ndarray) -> float:
    return float(np.linalg.norm(places - targets, axis=1).mean())


def _compared(picture: Tensor) -> Tensor:
    small = torch.nn.functional.interpolate(picture.float().cpu(), (SIDE, SIDE), mode="bilinear", antialias=True)
    return small.clamp(-1, 1)


def _case(folder: Path, number: int, entry: Any, model: Diffusion) -> Case:
    which = f"picture {number} of {POINTS}"
    if not isinstance(entry, dict) or not set(entry) <= FIELDS or not isinstance(entry.get("file"), str):
        raise ValueError(f"{which} must have a file and points, and may have a prompt and a mask")
    points, prompt = entry.get("points"), entry.get("prompt", "")
    array = np.array(points, dtype=np.float64) if _are_points(points) else None
    if array is None or not isinstance(prompt, str):
        raise ValueError(f"{which} needs points as [[x, y, to_x, to_y], …], and a text for a prompt")
    opened = _opened(folder, entry["file"]).convert("L" if model.channels == 1 else "RGB")
    height, width = model.resolution
    if array[:, ::2].min() < 0 or array[:, 1::2].min() < 0 or (array.reshape(-1, 2) > np.array(opened.size) - 1).any():
        raise ValueError(f"{which} has points outside its {opened.width} × {opened.height} pixels")
    scale = np.array([width / opened.width, height / opened.height] * 2)
    scaled = np.clip((array + 0.5) * scale - 0.5, 0, [width - 1, height - 1] * 2)
    small = np.asarray(opened.resize((width, height), Image.Resampling.LANCZOS), dtype=np.float32)
    picture = torch.from_numpy(small / 127.5 - 1).view(1, height, width, -1).permute(0, 3, 1, 2).contiguous()
    mask = None
    if entry.get("mask") is not None:
        painted = _opened(folder, str(entry["mask"])).convert("L").resize((width, height), Image.Resampling.BOX)
        mask = np.asarray(painted, dtype=np.float32) / 255
    return Case(Path(entry["file"]).stem, prompt, picture, scaled[:, :2], scaled[:, 2:], mask)


def _are_points(points: Any) -> bool:
    rows = isinstance(points, list) and bool(points) and all(isinstance(row, list) and len(row) == 4 for row in points)
    return rows and all(type(each) in (int, float) and np.isfinite(each) for row in points for each in row)


def _opened(folder: Path, name: str) -> Image.Image:
    """Return a picture of the folder.

    :raises FileNotFoundError: if there is no such file. :raises ValueError: if it is no picture.
    """
    file = folder / name
    if Path(name).name != name or not file.is_file():
        raise FileNotFoundError(f"{shown(folder)} holds no file {shown(name)}, which {POINTS} names")
    try:
        with Image.open(file) as opened:
            picture: Image.Image = opened.copy()
    except (OSError, UnidentifiedImageError) as error:
        raise ValueError(f"{shown(file)} is no picture that can be read") from error
    return picture
