"""What the golden runs do, and what they note of it: shared by the recorder and by the tests that replay them.

Nothing but public names of the package is used, so a recording outlives any change of what lies behind them.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
from golden_models import NAMES, label_of, network

from draggan_widget import DragConfig, DragGAN, drag, drag_steps, load_generator

RUNS = Path(__file__).parent / "runs"
METHODS = ("default", "paper", "official")
FACES_SEED = 9
# A face of 256 px: nose, corners of the mouth, outer corners of the eyes, a few pixels each way.
FACES_HANDLES = [(124, 137), (98, 174), (153, 174), (76, 104), (178, 104)]
FACES_TARGETS = [(124, 129), (92, 166), (160, 167), (78, 100), (176, 101)]
HANDLES = np.array([(0.5, 0.5), (0.3, 0.35), (0.7, 0.3), (0.35, 0.7), (0.65, 0.75)])
"""Of the small networks, in shares of the picture's width and height."""
WAYS = np.array([(0.09, 0.06), (-0.05, 0.08), (0.05, -0.06), (0.06, 0.05), (-0.08, -0.04)])


def digest(ws):
    """Three numbers that change with every number of a latent: products with fixed directions of length 1."""
    values = np.asarray(ws, np.float64).ravel()
    directions = np.random.RandomState(0).randn(3, values.size)
    return (directions / np.linalg.norm(directions, axis=1, keepdims=True) @ values).tolist()


def array_to_text(array):
    """An array as text: base64 of its bytes, with its type and shape."""
    array = np.ascontiguousarray(array)
    return {
        "dtype": str(array.dtype),
        "shape": list(array.shape),
        "base64": base64.b64encode(array.tobytes()).decode(),
    }


def text_to_array(text):
    """The array of ``array_to_text``."""
    return np.frombuffer(base64.b64decode(text["base64"]), text["dtype"]).reshape(text["shape"])


def write_lines(path, entries):
    """Entries by name as JSON, a line each, so that a difference shows which one changed."""
    lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def read_lines(name):
    """The entries of a recording."""
    return json.loads((RUNS / name).read_text())


# --- drags from start to end -----------------------------------------------------------------------------------------


def config_of(method, **changes):
    """A method with rates at which a small random network moves; λ is too small there to hold all of it."""
    made = {"default": DragConfig, "paper": DragConfig.paper, "official": DragConfig.official}[method]
    # What was recorded knew no other way than to go on alike where nothing came nearer.
    return made(
        **{"on_stall": "stop", "learning_rate": 0.05, "mask_weight": 0.5, "stall_steps": 6, "max_steps": 8, **changes}
    )


def pairs(resolution, count):
    """Handles and targets of a small network: ``count`` of them, whole pixels."""
    size = np.array(resolution[::-1])
    handles = np.round(HANDLES[:count] * size)
    return handles, np.round(handles + WAYS[:count] * size)


def middle_mask(resolution):
    """A mask (H, W) with a soft rim: the middle may move."""
    height, width = resolution
    mask = np.zeros(resolution, np.float32)
    mask[height // 6 : -(height // 6), width // 6 : -(width // 6)] = 0.5
    mask[height // 4 : -(height // 4), width // 4 : -(width // 4)] = 1
    return mask


def drag_cases():
    """Names of all recorded drags: network-method-points-mask."""
    every = [f"{n}-{m}-{p}-{k}" for n in NAMES for m in METHODS for p in (1, 5) for k in ("whole", "mask")]
    # A step of a StyleGAN3 takes ten times as long, so these do without half the combinations.
    small = [name for name in every if "stylegan3" not in name or name.endswith(("1-whole", "5-mask"))]
    extra = ["skip-default-1-blocks", "resnet-default-5-w", "classes-paper-1-lambda20", "orig-official-1-lambda5"]
    faces = [f"faces-{m}-{p}-{k}" for m in METHODS for p in (1, 5) for k in ("whole", "mask")]
    return [*small, *extra, *faces]


def drag_arguments(name, generators):
    """``(generator, ws, handles, targets, mask, config)`` of a case."""
    model, method, points, kind = name.split("-")
    generator = generators(model)
    if model == "faces":
        handles, targets = FACES_HANDLES[: int(points)], FACES_TARGETS[: int(points)]
        ws = generator.mapping(seed=FACES_SEED, truncation=0.7)
        # One of each method goes to its end; the others are as long as there is time for.
        changes = {"max_steps": 40 if (points, kind) == ("1", "whole") else 3 if kind == "mask" else 6}
        if method == "official":
            config = DragConfig.official(learning_rate=0.01, mask_weight=5.0, **changes)
        else:
            tolerance = 1.0 if method == "default" else None
            config = generator.drag_config.replace(method=method, tolerance=tolerance, **changes)
    else:
        handles, targets = pairs(generator.resolution, int(points))
        ws = generator.mapping(seed=3, label=label_of(generator), truncation=0.7)
        changes = {
            "blocks": {"block": (2, 4)},
            "w": {"space": "w"},
            "lambda20": {"mask_weight": 20.0},
            "lambda5": {"mask_weight": 5.0},
        }
        config = config_of(method, **changes.get(kind, {}))
        if model.startswith("stylegan3"):
            config = config.replace(max_steps=5, stall_steps=4)
    masked = kind in ("mask", "lambda20", "lambda5")
    return generator, ws, handles, targets, middle_mask(generator.resolution) if masked else None, config


def run_drag(name, generators):
    """What is noted of a drag: each state's handles and latent, why and where it ended."""
    arguments = drag_arguments(name, generators)
    states = []
    if name.endswith("default-1-mask"):
        states = list(drag_steps(*arguments))
        result = drag(*arguments)
        assert digest(result.ws.cpu().numpy()) == digest(states[-1].ws.cpu().numpy())
    else:
        result = drag(*arguments, callback=states.append)
    return {
        "reason": result.reason,
        "steps": result.steps,
        "handles": [np.asarray(state.handles).tolist() for state in states],
        "latents": [digest(state.ws.cpu().numpy()) for state in states],
        "loss": [[float(value) for value in state.loss.values()] for state in states],
        "last": array_to_text(result.ws.cpu().numpy()[:, : _edited(arguments)]),
    }


def _edited(arguments):
    """Rows of the latent that the drag may have changed."""
    generator, config = arguments[0], arguments[-1]
    return generator.num_ws if config.space == "w" else config.edit_layers


# --- points, mask and settings changed between the steps -------------------------------------------------------------


def change_cases():
    """Names of all recorded edits whose points change in mid-run: network-method."""
    left_out = ("stylegan3_t-paper", "stylegan3_r-official")
    every = [f"{model}-{method}" for model in (*NAMES, "faces") for method in METHODS]
    return [name for name in every if name not in left_out]


def run_changes(name, generators):
    """What is noted after each change, and after each of the steps that follow it."""
    model, method = name.split("-")
    generator = generators(model)
    faces = model == "faces"
    if faces:
        handles, targets = np.array(FACES_HANDLES), np.array(FACES_TARGETS)
        config = generator.drag_config.replace(
            method=method, mask_weight=5.0, learning_rate=0.01, tolerance=0.5, stall_steps=None
        )
    else:
        handles, targets = pairs(generator.resolution, 5)
        config = config_of(method, tolerance=0.5, stall_steps=None)
    put = lambda n: {"id": n + 1, "handle": handles[n].tolist(), "target": targets[n].tolist()}  # noqa: E731
    editor = DragGAN(generator, seed=FACES_SEED, truncation=0.7, label=label_of(generator), config=config)
    notes = {"handles": [], "latents": []}

    def note():
        notes["latents"].append(digest(editor.latent))
        notes["handles"].append([[point["id"], *point["handle"]] for point in editor.points])

    def moved(number, **parts):
        return [{**point, **(parts if point["id"] == number else {})} for point in editor.points]

    def changed(**settings):
        editor.config = editor.config.replace(**settings)

    steps = [
        lambda: setattr(editor, "points", [put(0)]),
        lambda: setattr(editor, "points", [*editor.points, put(1), put(2)]),
        lambda: setattr(editor, "points", moved(1, target=(targets[0] + (2, -3)).tolist())),
        lambda: setattr(editor, "points", moved(2, handle=(handles[1] + (3, 1)).tolist())),
        lambda: setattr(editor, "mask", None if method == "official" and faces else middle_mask(generator.resolution)),
        lambda: setattr(editor, "points", [point for point in editor.points if point["id"] != 1]),
        lambda: changed(learning_rate=0.02, tracking_radius=16.0, mask_weight=2.0),
        lambda: setattr(editor, "mask", None),
        lambda: setattr(editor, "points", [*editor.points, put(3)]),
        lambda: changed(space="w"),
    ]
    try:
        for step in steps:
            step()
            note()
            for _ in range(2 if method == "default" and not model.startswith(("faces", "stylegan3")) else 1):
                editor.step_once()
                note()
        notes["last"] = array_to_text(editor.latent)
    finally:
        editor.close()
    return notes


def generators_of():
    """A function from a name to its generator, each loaded once."""
    made = {}

    def generator(name):
        if name not in made:
            made[name] = load_generator("faces-1", "cpu") if name == "faces" else network(name)
        return made[name]

    return generator
