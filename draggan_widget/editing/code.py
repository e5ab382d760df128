"""The edit as Python code that makes it again."""

from __future__ import annotations

import base64
import dataclasses
import functools
import json
import textwrap
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from draggan_widget.config import DragConfig
from draggan_widget.directions import Directions
from draggan_widget.editing.document import Document
from draggan_widget.editing.finishing import RESIDUAL
from draggan_widget.editing.model import Model
from draggan_widget.editing.packing import packed
from draggan_widget.editing.script import Script
from draggan_widget.engines import Natural, engine_of
from draggan_widget.engines.draggan import has_arrived
from draggan_widget.models import Diffusion
from draggan_widget.models.checkpoints import best_device
from draggan_widget.models.diffusion import identity_of

LATENT_FILE = "latent.npz"
"""What code reads that cannot know a latent otherwise: the file of the latent, as ``export.latent`` gives it."""
STORED = f"# {LATENT_FILE} is the latent of this edit, as the editor saves it."
LAST_LINE = "image = engines.to_image(generator.synthesize(ws))"
PICTURES = ("ws", "result.image", "state.image")
"""What has the picture; the latter two where it is not that of ``ws`` alone."""
LAST_LINES = (
    LAST_LINE,
    *(f"image = {picture}" for picture in PICTURES[1:]),
    *(f"image = photo.with_residual({picture})" for picture in PICTURES),
)
"""With which code ends; with the latter three where the details of a photograph are carried along."""
READ_MASK = '''\
def read_mask(text, kind):
    """A mask (H, W) of numbers 0 to 1, 1 = may move."""
    values = np.frombuffer(zlib.decompress(base64.b64decode(text)), kind).reshape(generator.resolution)
    return values.astype(np.float32) / (255 if kind == "uint8" else 1)
'''
READ_NUMBERS = '''\
def read_numbers(text, shape):
    """An array (rows, n), of which one row is told where all are alike."""
    values = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<f4")
    return np.broadcast_to(values.reshape(-1, shape[1]), shape).copy()
'''


def code_of(document: Document, model: Model) -> str:
    """Python that makes the edit again and ends with its latent as ``ws`` and its picture as ``image``.

    The latent is the same to the bit on a processor; on a GPU, where steps of a run are taken several at once, and
    where two edits use one generator at the same time, to rounding. An edit that was one run is one call of ``drag``;
    one in which something was changed on the way is told step by step. Masks stand in the code. It expects a variable
    ``generator`` where the model was given as an object, and the file ``latent.npz`` of the latent where the edit did
    not begin with a seed; comments say so.
    """
    return _Program(document, model).text()


def is_code(path: Path) -> bool:
    """Whether a file ends as ``code`` does, so that nobody has gone on writing in it."""
    return path.read_bytes().endswith(tuple(f"\n{line}\n".encode() for line in LAST_LINES))


class _Program:
    def __init__(self, document: Document, model: Model) -> None:
        self._document, self._model, self._generator = document, model, model.generator
        self._imports: set[str] = set()
        self._modules: set[str] = set()
        self._lines: list[str] = []
        self._masks: dict[bytes, str] = {}
        self._mask_lines: list[str] = []
        self._picture = PICTURES[0]
        self._arrays: list[str] = []
        self._named = False

    def text(self) -> str:
        beginning = self._beginning()
        self._edit(self._document.script)
        beginning += self._first_latent()
        body = [*beginning, *self._masks_text(), *self._asked_text(), *self._lines, self._image()]
        return "\n".join([*self._head(), "", *body]) + "\n"

    # --- what comes before the edit --------------------------------------------------------------------------------

    def _head(self) -> list[str]:
        modules = [f"import {name}" for name in sorted(self._modules - {"numpy", "torch"})]
        others = [
            *(["import numpy as np"] if "numpy" in self._modules else []),
            *(["import torch"] if "torch" in self._modules else []),
        ]
        names = ", ".join(sorted(self._imports))
        return [
            *modules,
            *([""] if modules else []),
            *others,
            *([""] if others else []),
            f"from draggan_widget import {names}",
        ]

    def _beginning(self) -> list[str]:
        base, photo = self._model.untuned or self._model, self._model.photo
        beginning = self._load(base.source)
        if photo is None:
            return beginning
        self._imports.add("invert")
        square = ", ".join(f"{value:.2f}" for value in dataclasses.astuple(photo.square))
        label = f", label={self._document.label}" if base.classes else ""
        name = _text(self._model.given or "photograph")
        return [
            *beginning,
            "# The photograph is fitted again, which comes as near but not to the bit; its .drag file has the weights.",
            f"photo = invert(generator, {name}, square=({square}){label})",
            "generator = photo.model",
        ]

    def _load(self, source: str | None) -> list[str]:
        if source is None:
            return ["# `generator` is the one that was given to the editor.", *self._sampled()]
        self._imports.add("load_generator")
        device = next(self._generator.parameters()).device
        where = "" if device.type == best_device().type else f", device={str(device)!r}"
        return [f"generator = load_generator({_text(source)}{where})", *self._sampled()]

    def _sampled(self) -> list[str]:
        """Return how a diffusion model samples; nothing of any other model."""
        generator = self._generator
        if not isinstance(generator, Diffusion):
            return []
        told = ", ".join(f"{name}={value!r}" for name, value in dataclasses.asdict(generator.sampling).items())
        learnt = ["# What it has learnt of a picture is not in this code; a .drag file of the edit has it."]
        return [f"generator = generator.sampled({told})", *(learnt if identity_of(generator) else [])]

    def _first_latent(self) -> list[str]:
        document = self._document
        photo = self._model.photo
        if document.seed is None and photo is not None and torch.equal(document.drag.w0.cpu(), photo.latent.cpu()):
            return ["ws = photo.latent"]
        if document.seed is None:
            self._modules |= {"numpy", "torch"}
            return [STORED, f'ws = torch.from_numpy(np.load("{LATENT_FILE}")["w0"]).to(next(generator.parameters()))']
        label = "" if document.label is None else f", label={document.label}"
        return [f"ws = generator.mapping(seed={document.seed}{label}, truncation={document.truncation!r})"]

    def _masks_text(self) -> list[str]:
        if not self._mask_lines:
            return []
        self._modules |= {"numpy", "base64", "zlib"}
        return ["", "", *READ_MASK.splitlines(), "", "", *self._mask_lines]

    # --- the edit --------------------------------------------------------------------------------------------------

    def _edit(self, script: Script) -> None:
        first = next((place for place, op in enumerate(script) if op[0] in ("steps", "jump")), len(script))
        start = _Start.of(script[:first])
        if start is None:  # the order matters already
            first, start = 1, _Start(script[0][1], None, {})
        rest = script[first:]
        if not rest and not start.points:
            return
        config = self._one_run(start, rest)
        if config is not None:
            self._drag(start, config)
        else:
            self._steps(start, rest)

    def _one_run(self, start: _Start, rest: Script) -> Any:
        """The settings with which ``drag`` takes as many steps, if all that follows is one run; else None."""
        if len(rest) != 1 or rest[0][0] != "steps" or not start.points:
            return None
        steps, records = rest[0][1], self._document.records
        if [record.step for record in records] != list(range(steps + 1)):
            return None
        if not isinstance(start.config, DragConfig):
            return self._ended_by_itself(start.config)
        resolution = self._generator.resolution
        arrived = any(has_arrived(record.distances, start.config, resolution) for record in records[:-1])
        # The number of steps is what it took, whoever or whatever ended the run.
        return None if arrived else start.config.replace(max_steps=steps, stall_steps=None)

    def _ended_by_itself(self, config: Any) -> Any:
        """The settings, if they ended the run after its last step and not before, or can be made to; else None."""
        *before, last = [record.kept.state(self._generator, record.ws).verdict for record in self._document.records]
        if any(verdict is not None for verdict in before):
            return None
        if last is not None:
            return config
        return config.replace(max_steps=len(before)) if isinstance(config, Natural) else None

    def _drag(self, start: _Start, config: Any) -> None:
        self._imports.add("drag")
        handles, targets = zip(*start.points.values(), strict=True)
        self._add("result = drag(")
        self._add("    generator,")
        self._add("    ws,")
        self._add(f"    handles=[{', '.join(map(_xy, handles))}],")
        self._add(f"    targets=[{', '.join(map(_xy, targets))}],")
        if start.mask is not None:
            self._add(f"    mask={self._mask(start.mask)},")
        self._add(f"    config={self._config(config)},")
        self._add(")")
        self._end("result")

    def _steps(self, start: _Start, rest: Script) -> None:
        points = ", ".join(f"({number}, {_xy(one)}, {_xy(other)})" for number, (one, other) in start.points.items())
        mask = "None" if start.mask is None else self._mask(start.mask)
        self._add(f"config = {self._config(start.config)}")
        self._imports.add("engines")
        self._add(f"state = engines.begin_with(generator, ws, [{points}], {mask}, config)")
        for op in rest:
            match op:
                case ("config", config):
                    self._add(f"config = {self._config(config)}")
                    self._add("state = state.with_config(config)")
                case ("mask", mask):
                    named = "None" if mask is None else self._mask(mask)
                    self._add(f"state = state.with_mask({named})")
                case ("add", number, handle, target):
                    place = f"{number}, {_xy(handle)}, {_xy(target)}"
                    self._add(f"state = state.add_point({place})")
                case ("handle", number, xy):
                    self._add(f"state = state.move_handle({number}, {_xy(xy)})")
                case ("target", number, xy):
                    self._add(f"state = state.move_target({number}, {_xy(xy)})")
                case ("remove", number):
                    self._add(f"state = state.remove_point({number})")
                case ("change", amounts, change):
                    self._add(f"state = state.with_wish({self._change(dict(amounts), change)})")
                case ("hold", names, held):
                    self._add(f"state = state.with_held({self._held(names, held)})")
                case ("jump", settings):
                    self._add(f"state = state.jump({self._settings(settings)})")
                case ("steps", count):
                    self._add(f"state = state.steps({count})")
        self._end("state")

    def _end(self, name: str) -> None:
        """Take latent and picture of what is called ``name``."""
        self._add(f"ws = {name}.ws")
        if len(self._document.drag.layers) > 1:
            self._picture = f"{name}.image"

    def _image(self) -> str:
        """Return the last line, which makes the picture."""
        if RESIDUAL in self._document.finish:
            return f"image = photo.with_residual({self._picture})"
        if self._picture != PICTURES[0]:
            return f"image = {self._picture}"
        self._imports.add("engines")
        return LAST_LINE

    def _config(self, config: Any) -> str:
        if not isinstance(config, DragConfig):
            return self._settings(config)
        own = self._generator.drag_config
        changes = [
            f"{field.name}={getattr(config, field.name)!r}"
            for field in dataclasses.fields(config)
            if getattr(config, field.name) != getattr(own, field.name)
        ]
        return f"generator.drag_config.replace({', '.join(changes)})" if changes else "generator.drag_config"

    def _settings(self, settings: Any) -> str:
        self._imports.add("engines")
        name, values = engine_of(settings).name, settings.to_dict()
        if isinstance(settings, Natural):
            usual = Natural().to_dict()
            changes = [f"{key}={value!r}" for key, value in values.items() if value != usual[key]]
            return f"engines.Natural({', '.join(changes)})"
        told = ", ".join(f"{key}={value!r}" for key, value in values.items())
        return f"engines.engine_named({name!r}).Settings({told})"

    @functools.cached_property
    def _known(self) -> Directions:
        return Directions(self._generator)

    def _change(self, amounts: dict[str, float], change: np.ndarray) -> str:
        """What makes a change of the latent: by names where these make it again, else in numbers."""
        known = self._known
        if all(name in known for name in amounts):
            made = known.change(amounts)[0].cpu().numpy()
            if np.array_equal(made, change):
                self._named = True
                return f"known.change({amounts!r})"
        return self._numbers("change", change)

    def _held(self, names: tuple[str, ...], held: np.ndarray | None) -> str:
        if held is None:
            return "None"
        known = self._known
        if all(name in known or name in known.groups for name in names):
            made = known.held(names)
            if made is not None and np.array_equal(made, held):
                self._named = True
                return f"known.held({list(names)!r})"
        return self._numbers("held", held)

    def _numbers(self, name: str, array: np.ndarray) -> str:
        """The name of a variable that holds an array."""
        self._modules |= {"numpy", "base64", "zlib"}
        *_, text = packed(array) or ("",)
        number = sum(line.startswith(f"{name}_") for line in self._arrays) + 1
        lines = [f'    "{line}"' for line in textwrap.wrap(text, 100)]
        self._arrays += [f"{name}_{number} = read_numbers(", *lines[:-1], f"{lines[-1]},", f"    {array.shape},", ")"]
        return f"{name}_{number}"

    def _asked_text(self) -> list[str]:
        known = ["known = directions.Directions(generator)"] if self._named else []
        if self._named:
            self._imports.add("directions")
        arrays = ["", "", *READ_NUMBERS.splitlines(), "", "", *self._arrays] if self._arrays else []
        return [*arrays, *known]

    def _mask(self, mask: np.ndarray) -> str:
        """The name of a variable that holds it."""
        mask = np.ascontiguousarray(mask, dtype=np.float32)
        key = mask.tobytes()
        if key not in self._masks:
            self._masks[key] = name = f"mask_{len(self._masks) + 1}"
            bytes_ = np.round(mask * 255).astype(np.uint8)
            kind = "uint8" if np.array_equal(bytes_.astype(np.float32) / 255, mask) else "float32"
            packed = zlib.compress((bytes_ if kind == "uint8" else mask).tobytes(), 9)
            lines = textwrap.wrap(base64.b64encode(packed).decode(), 100)
            self._mask_lines += [f"{name} = read_mask(", *(f'    "{line}"' for line in lines)]
            self._mask_lines[-1] += ","
            self._mask_lines += [f'    "{kind}",', ")"]
        return self._masks[key]

    def _add(self, line: str) -> None:
        self._lines.append(line)


@dataclasses.dataclass
class _Start:
    """What was set before the first step, whose order makes no difference."""

    config: Any
    mask: np.ndarray | None
    points: dict[int, tuple[Any, Any]]
    """Id → handle and target."""

    @classmethod
    def of(cls, script: Script) -> _Start | None:
        """That of the ops before the first step; None where their order does make a difference."""
        start = cls(script[0][1], None, {})
        for op in script[1:]:
            match op:
                case ("config", config):
                    if start.points and getattr(config, "method", config) != getattr(start.config, "method", None):
                        return None  # each method puts handles where it wants them
                    start.config = config
                case ("mask", mask):
                    start.mask = mask
                case ("add", number, handle, target):
                    start.points[number] = (handle, target)
                case ("handle", number, xy):
                    start.points[number] = (xy, start.points[number][1])
                case ("target", number, xy):
                    start.points[number] = (start.points[number][0], xy)
                case ("remove", number):
                    del start.points[number]
                case ("change" | "hold", *_):
                    return None  # what points sit on depends on it
        return start


def _text(source: str) -> str:
    """Return a literal. In what is no text to show (a lone surrogate of an odd file name, say) all odd is an escape."""
    return json.dumps(source, ensure_ascii=False) if source.isprintable() else repr(source)


def _xy(xy: Any) -> str:
    x, y = (float(number) for number in xy)
    return f"({_number(x)}, {_number(y)})"


def _number(value: float) -> str:
    return repr(int(value)) if value.is_integer() else repr(value)
