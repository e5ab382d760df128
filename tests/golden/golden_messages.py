"""Scripts of messages as the page sends them, and the states they lead to, played without a browser.

After each message the player waits until the edit rests: until no run is on and no model is read, or until a run has
come to the target that a pointer still holds. So the states depend on the messages alone, and not on how fast anything
is.
"""

from __future__ import annotations

import asyncio
import time

import numpy as np
from golden_cases import FACES_SEED, config_of, digest
from golden_models import FOLDER, network

from draggan_widget import DragGAN

VIEW = "golden00"
RESTS_AFTER = 0.25
"""Seconds without a step after which a run that a pointer holds has come to its target."""
LOOKS = 10
"""Looks at it in that time, at least."""
PING_EVERY = 2.0
"""Seconds between signs of life while a machine takes its time."""
ASK_EVERY = 0.25
"""Seconds between the asks of a view that asks for what there is."""
NOTED = ("course", "thumbnails", "before", "export", "classes", "models", "notice")
"""Answers that are noted; pictures and states are not, for how many there are depends on the clock."""
TRAITS = (
    *("step", "shown", "seed", "truncation", "label", "classes", "model"),
    *("learning_rate", "edit_layers", "max_steps", "mask_weight", "block"),
    *("supervision_radius", "tracking_radius", "space", "speed"),
)


class Player:
    """A page that keeps what it was told, and is too slow to have drawn any picture: they cost the steps little time.

    Nor does the editor take it for a slow line then, on which it would tell its traits more seldom.
    """

    def __init__(self, model, **settings):
        self.editor = DragGAN(model, models=FOLDER, device="cpu", **settings)
        self.told, self.state = [], {}
        self.asks = self.collecting = False
        self.editor.send = self._take
        self.say({"type": "ready", "view": VIEW})
        self._until(lambda: "models" in self.told and self.state)
        self.rest()

    def _take(self, content, buffers=None):
        if content["type"] == "state":
            self.state = content
        elif content["type"] in NOTED and not (self.collecting and content["type"] in self.told):
            self.told.append(content["type"])

    def say(self, message, buffers=()):
        """As ipywidgets hands over a message of the page."""
        self.editor._handle_custom_msg(message, list(buffers))

    def play(self, message, buffers=()):
        """Say a message, wait for rest, and note what it led to."""
        before = len(self.told)
        self._ping()
        self.asks |= bool(message.get("pull"))
        self.say(message, buffers)
        held = bool(message.get("pulling") or message.get("move", {}).get("pulling"))
        self.rest(held=held)
        answer = {"course": "course", "thumbnails": "thumbnails", "before": "before", "export": "export"}
        if message["type"] in answer:
            self._until(lambda: answer[message["type"]] in self.told[before:])
        note = {**self.note(), "told": self.told[before:]}
        if held and note["status"] == "running":
            note.pop("page")  # it hears of a run with pictures, so the last it heard depends on the clock
        return note

    def rest(self, *, held=False):
        """Wait until no run is on, or none makes steps any more where a pointer holds it."""
        if not held:
            asyncio.run(self._finished())
            self.editor.latent  # noqa: B018 - waits for all commands before it
            if self.editor._session.latest.loading is not None:  # a model is read beside the edit
                self._until(lambda: self.editor._session.latest.loading is None)
                self.editor.latent  # noqa: B018 - until the page has been told
            self._until(lambda: self.editor.status == self.state.get("status") != "running")
            return
        since, last, looks = time.monotonic(), None, 0
        # Between two looks the worker is free to step; on a busy machine it may miss that once, but not so often.
        pinged = since
        while time.monotonic() - since < RESTS_AFTER or looks < LOOKS:
            if time.monotonic() - pinged > PING_EVERY:
                self._ping()
                pinged = time.monotonic()
            now, looks = digest(self.editor.latent), looks + 1
            history = self.editor.history
            if now != last or (history and history[-1].step != self.editor.step):
                since, last, looks = time.monotonic(), now, 0
            time.sleep(0.02)
        # The page is told of a run with its next picture, which may be later than its last step.
        self._until(lambda: self.editor.status == self.state.get("status"))

    async def _finished(self):
        end = asyncio.ensure_future(self.editor.finished())
        while not (await asyncio.wait([end], timeout=PING_EVERY))[0]:
            self._ping()
        await end

    def _until(self, true):
        limit, pinged = time.monotonic() + 60, time.monotonic()
        while not true():
            assert time.monotonic() < limit, (self.editor.status, self.state.get("status"), self.told[-5:])
            time.sleep(0.005)
            if time.monotonic() - pinged > (ASK_EVERY if self.asks else PING_EVERY):
                if self.asks:  # for such a view messages are kept until it asks
                    self.collecting = True  # what is kept may have been told as well
                    self.say({"type": "ack", "view": VIEW, "seq": 0, "pull": True})
                    self.collecting = False
                self._ping()
                pinged = time.monotonic()

    def _ping(self):
        """A sign of life: to a view that gives none for long, nothing is told."""
        self.say({"type": "ping", "view": VIEW})

    def note(self):
        """The edit as Python and the page see it."""
        editor, state = self.editor, self.state
        latent, mask = editor.latent, editor.mask
        return {
            "status": state["status"],
            **{name: getattr(editor, name) for name in TRAITS},
            "points": [[point["id"], *point["handle"], *point["target"]] for point in editor.points],
            "mask": None if mask is None else digest(mask),
            "page": [state[name] for name in ("step", "seed", "can_undo", "can_redo", "edited", "length", "shown")],
            "latent": digest(latent),
            "double": latent.dtype == np.float64,
        }

    def close(self):
        self.editor.close()


def press(number, handle, target, **more):
    return {"type": "point", "id": number, "handle": handle, "target": target, "pulling": True, **more}


def pull(number, target):
    """The pointer moves on, with the answer to a picture."""
    return {
        "type": "ack",
        "view": VIEW,
        "seq": 0,
        "pull": True,
        "move": {"type": "point", "id": number, "target": target, "pulling": True},
    }


def move(number, target, *, pulling=True):
    return {"type": "point", "id": number, "target": target, "pulling": pulling}


def let_go(number):
    return {"type": "point", "id": number, "pulling": False}


def settings(**values):
    return {"type": "settings", "values": values}


def stroke(size, *box):
    """A mask with its buffer, as the brush and the eraser send it after each stroke; without a box, nothing painted."""
    width, height = size
    message = {"type": "mask", "width": width, "height": height}
    if not box:
        return message, []
    left, top, right, bottom = box
    mask = np.zeros((height, width), np.uint8)
    mask[top:bottom, left:right] = 255
    mask[top, left:right] = 128  # a soft edge
    return message, [mask.tobytes()]


def command(kind, **fields):
    return {"type": kind, **fields}


def scripts():
    """Scripts by name: what the player is made with, and messages, some with a buffer."""
    config = config_of("default", max_steps=12, stall_steps=4)
    large = (64, 64)
    pulls = [
        press(1, [32, 32], [33, 32.5]),
        press(1, [32, 32], [33, 32.5], start=True),
        pull(1, [36, 34]),
        move(1, [38.25, 36.5]),
        pull(1, [36, 36]),
        let_go(1),
        command("undo"),
        command("redo"),
        # Another point while the first one is there, then both at once.
        press(2, [20, 22], [21, 22]),
        move(2, [18, 26]),
        let_go(2),
        command("start"),
        command("step_once"),
        command("undo"),
        command("undo"),
        command("redo"),
        {"type": "point", "id": 1, "handle": [30, 40], "pulling": False},
        {"type": "point", "id": 1, "target": [34, 44], "pulling": False},
        command("start"),
        command("stop"),
        command("course", since=-1),
        command("thumbnails", steps=[0, 2]),
        command("before"),
        command("look", step=3),
        command("look", step=1),
        command("look", step=None),
        command("look", step=2),
        # To pull at a step that is looked at goes on from there.
        press(2, [20, 22], [24, 20], start=True),
        let_go(2),
        command("undo"),
        command("branch", step=2),
        command("step_once"),
        command("branch", step=99),
        command("remove", ids=[2]),
        command("remove", ids=[1, 7]),
        command("start"),
        command("undo"),
        command("reset"),
        command("undo"),
    ]
    masks = [
        stroke(large, 10, 10, 50, 40),
        press(1, [32, 32], [36, 34], start=True),
        let_go(1),
        stroke(large, 10, 10, 50, 60),
        command("start"),
        command("undo"),
        command("undo"),
        command("redo"),
        stroke(large),
        command("suggest_mask"),
        command("step_once"),
        command("undo"),
        stroke((32, 64), 1, 1, 9, 9),
    ]
    choices = [
        settings(learning_rate=0.02),
        settings(edit_layers=4, block=[2, 4], tracking_radius=20, supervision_radius=6),
        press(1, [32, 32], [37, 35], start=True),
        let_go(1),
        settings(space="w", mask_weight=5, max_steps=15),
        command("start"),
        settings(learning_rate=None, block=None, space=None),
        settings(learning_rate=-1),
        settings(wings=2),
        command("step_once"),
        command("new_image", seed=4),
        press(1, [30, 30], [33, 30], start=True),
        let_go(1),
        command("truncation", value=0.4),
        command("undo"),
        command("undo"),
        command("redo"),
        command("truncation", value=3),
        command("label", value=1),
        command("models"),
        {"type": "export", "kind": "latent", "handles": False},
        command("load", name="nothing.pkl"),
        command("load", name="classes.safetensors"),
        command("label", value=2),
        command("label", value=7),
        press(1, [32, 32], [36, 35], start=True),
        let_go(1),
        command("undo"),
        command("load", name="stylegan3_r.safetensors"),
        {"type": "point", "id": 2, "handle": [40, 4], "target": [3, 4], "pulling": False},
        command("jump"),
        command("load", name="portrait.safetensors"),
        command("new_image", seed=2),
    ]
    made = {"seed": FACES_SEED, "config": config}
    return {
        "pulls": ({"model": "resnet", **made}, pulls),
        "masks": ({"model": "grey", **made}, masks),
        "choices": ({"model": "skip", **made, "truncation": 0.9}, choices),
    }


def play(name):
    """The notes of a script, one after each of its messages."""
    settings, messages = scripts()[name]
    settings = dict(settings)
    player = Player(network(settings.pop("model")), **settings)
    try:
        return [player.play(*entry) if isinstance(entry, tuple) else player.play(entry) for entry in messages]
    finally:
        player.close()
