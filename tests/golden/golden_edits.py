"""`.drag` files of format 2 of every kind: how each was made, and what is noted when it is loaded and goes on."""

from __future__ import annotations

import asyncio

import numpy as np
from golden_cases import (
    FACES_HANDLES,
    FACES_SEED,
    FACES_TARGETS,
    METHODS,
    RUNS,
    array_to_text,
    config_of,
    digest,
    label_of,
    middle_mask,
    pairs,
)

from draggan_widget import DragGAN

FILES = RUNS / "edits"
EDITS = {
    "idle": "skip",
    "idle_with_points_and_mask": "grey",
    "after_some_steps_default": "resnet",
    "after_some_steps_paper": "orig",
    "after_some_steps_official": "portrait",
    "arrived": "classes",
    "stalled": "orig",
    "capped": "grey",
    "with_classes": "classes",
    "given_latent": "resnet",
    "in_w_of_two_blocks": "skip",
    "from_an_earlier_step": "portrait",
    "after_reset": "grey",
    "stylegan3_t": "stylegan3_t",
    "stylegan3_r": "stylegan3_r",
    "faces": "faces",
}
"""Kinds of files, each with its network."""


LATER = {
    "on_stall": "stop",
    "blend": "none",
    "tracker": "own",
    "stay_near": 0.0,
    "truncate": 0.0,
    "typical": None,
    "window": "fixed",
    "several_blocks": "joined",
    "on_lost": "go_on",
}
"""Settings that there were not when the files were written, and what they are for such a file."""


def without_later(fields):
    """The settings that there were then, the later ones being as they are for a file of then."""
    assert {name: fields[name] for name in LATER} == LATER
    return {name: value for name, value in fields.items() if name not in LATER}


def file_of(kind):
    """The file of a kind."""
    return FILES / f"{kind}.drag"


def make_edit(kind, generators):
    """Write the file of a kind."""
    generator = generators(EDITS[kind])
    faces = EDITS[kind] == "faces"
    method = next((method for method in METHODS if kind.endswith(method)), "default")
    config = generator.drag_config if faces else config_of(method, stall_steps=None, max_steps=None)
    # By its name, so that the file says where its generator is to be found.
    editor = DragGAN(
        "faces-1" if faces else generator,  # files of the first edition call it "faces", and are found all the same
        seed=FACES_SEED,
        label=2 if generator.label_dim else None,
        config=config,
        device="cpu",
    )
    if faces:
        handles, targets = np.array(FACES_HANDLES), np.array(FACES_TARGETS)
    else:
        handles, targets = pairs(generator.resolution, 5)
    put = lambda n: {"id": n + 1, "handle": handles[n].tolist(), "target": targets[n].tolist()}  # noqa: E731
    mask = middle_mask(generator.resolution)

    def steps(count):
        for _ in range(count):
            editor.step_once()

    def points(*numbers):
        editor.points = [*editor.points, *map(put, numbers)]

    def run_until(reason, **settings):
        editor.config = config_of(method, **settings)
        editor.points = [put(0), put(1)] if reason != "arrived" else [put(0)]
        editor.start()
        assert asyncio.run(editor.finished()).reason == reason

    try:
        if kind == "idle_with_points_and_mask":
            points(0, 2)
            editor.mask = mask
        elif kind in ("arrived", "stalled", "capped"):
            run_until(
                kind,
                **{
                    "arrived": {"max_steps": 40},
                    "stalled": {"stall_steps": 2, "learning_rate": 1e-6},
                    "capped": {"max_steps": 3, "tolerance": 0.0},
                }[kind],
            )
        elif kind == "in_w_of_two_blocks":
            editor.config = config.replace(space="w", block=(2, 3))
            points(0, 1)
            steps(3)
        elif kind != "idle":
            if kind == "given_latent":
                random = np.random.RandomState(4).randn(*editor.latent.shape)
                editor.latent = editor.latent + 0.05 * random
            points(0)
            steps(2)
            if not kind.startswith(("faces", "stylegan3")):
                editor.mask = mask
                points(1, 2)
                steps(2)
                editor.points = [
                    {**point, "target": targets[4].tolist()} if point["id"] == 2 else point
                    for point in editor.points
                    if point["id"] != 3
                ]
                editor.config = editor.config.replace(learning_rate=0.02, mask_weight=5.0)
                steps(1)
            if kind == "from_an_earlier_step":
                editor.branch(3)
                steps(1)
            if kind == "after_reset":
                editor.reset()
        FILES.mkdir(parents=True, exist_ok=True)
        editor.save(file_of(kind))
    finally:
        editor.close()


def go_on(kind, generators):
    """What is noted of the loaded file, of going on from it, and of going on from an earlier step of it."""
    # The faces are found by the name in the file.
    given = {} if EDITS[kind] == "faces" else {"model": generators(EDITS[kind])}
    editor = DragGAN.load(file_of(kind), device="cpu", **given)
    notes = {"handles": [], "latents": []}

    def note():
        notes["latents"].append(digest(editor.latent))
        notes["handles"].append([[point["id"], *point["handle"]] for point in editor.points])

    def take_up(steps):
        if not editor.points:
            editor.points = [{"id": 1, "handle": [20, 30], "target": [26, 30]}]
        for _ in range(steps):
            editor.step_once()
            note()

    try:
        note()
        notes["loaded"] = {
            "step": editor.step,
            "seed": editor.seed,
            "truncation": editor.truncation,
            "label": editor.label,
            "targets": [point["target"] for point in editor.points],
            "mask": None if editor.mask is None else digest(editor.mask),
            "config": without_later(editor.config.to_dict()),
            "records": [
                [record.step, np.asarray(record.handles).tolist(), digest(record.ws)] for record in editor.history
            ],
        }
        take_up(2)
        notes["last"] = array_to_text(editor.latent)
        if editor.step > 3:
            editor.branch(1)
            note()
            take_up(2)
            editor.undo()  # the last step
            note()
        if kind not in ("faces", "stylegan3_t", "stylegan3_r"):
            editor.config = editor.config.replace(max_steps=4, tolerance=1.0)
            editor.start()
            notes["reason"] = asyncio.run(editor.finished()).reason
            note()
        editor.reset()
        note()
    finally:
        editor.close()
    assert label_of(generators(EDITS[kind])) is None or notes["loaded"]["label"] == 2
    return notes
