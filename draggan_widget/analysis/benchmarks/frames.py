"""What a person waits for, without a browser: a moved target → steps → a picture encoded as the page gets it.

Only sharp pictures count. One that was made coarse to be in time is blurred, and is taken for none.
"""

from __future__ import annotations

import io
import statistics
import threading
import time
from typing import Any

import numpy as np

from draggan_widget.analysis.benchmarks.cases import SEED, Case, stepper
from draggan_widget.analysis.benchmarks.measure import MAKE_READY, timed
from draggan_widget.editing import Session, Snapshot
from draggan_widget.engines import default_config, engine_of
from draggan_widget.models import Generator, StyleGAN2, load_generator

GESTURES = 5
MOVES_A_SECOND = 60
PULL = 0.05
"""Length of the pull whose arrival is timed, as a part of the picture."""
SHOWN = 3
"""Pictures before the first gesture, as pages show some: from these it is known how long one takes."""
LATE = 2.0
"""Seconds after which the point is let go if no sharp picture has come, for then one is made."""


class _Screen:
    """Takes every picture that is not there yet, as a page would that draws at once; counts those that are sharp."""

    def __init__(self) -> None:
        self.changed = threading.Event()
        self.ended = threading.Event()
        self.frames = 0
        self.session: Session | None = None
        self._shown: Snapshot | None = None
        self._sharp = True

    def show(self, snapshot: Snapshot) -> None:
        # A latent's address names its picture: a target that moves changes none. What was shown is kept for its sake.
        address = snapshot.document.drag.ws.data_ptr()
        new = self._shown is None or self._shown.document.drag.ws.data_ptr() != address
        if (new or (snapshot.settled and not self._sharp)) and snapshot.step > 0 and self.session is not None:
            self._shown = snapshot
            picture, _, sharp = self.session.glimpse(snapshot.document, quick=not snapshot.settled)
            encode(picture)
            self._sharp = sharp
            if sharp:
                self.frames += 1
                self.changed.set()
        if snapshot.settled and snapshot.status in ("arrived", "near", "stalled", "capped", "stopped", "error"):
            self.ended.set()


def measure(model: str | Generator, seconds: float, device: str = "cpu", engine: str | None = None) -> dict[str, Any]:
    """First changed sharp frame, sharp frames and steps while pulling, and the arrival of a 5 % pull.


    :param model: a built-in generator's name, a checkpoint, or a ``Generator``. :param seconds: how long is pulled.
    :param engine: name of the one that pulls; None for that of ``default_config``.
    :returns: ``first_frame_s`` (median of gestures, without the very first, which is ``cold_first_frame_s``),
        ``frames_a_second``, ``steps_a_second``, ``arrival_s``, ``arrival_steps``, ``arrival_reason``, and
        ``engine``, its name.
    """
    generator = model if isinstance(model, Generator) else load_generator(model, device=device)
    screen = _Screen()
    session = Session(generator, seed=9, config=default_config(generator, engine), on_change=screen.show)
    screen.session = session
    try:
        for _ in range(SHOWN):
            session.glimpse(session.now(), quick=False)
        waits = [_first_frame(session, screen) for _ in range(GESTURES + 1)]
        session.reset().result()
        pulled = _pull(session, screen, seconds)
        session.reset().result()
        arrival = _arrive(session, screen)
    finally:
        session.close()
    return {
        "engine": engine_of(session.config).name,
        "cold_first_frame_s": waits[0],
        "first_frame_s": statistics.median(waits[1:]),
        **pulled,
        **arrival,
    }


def _place(generator: Generator, x: float, y: float) -> tuple[float, float]:
    height, width = generator.resolution
    return (round(x * (width - 1)), round(y * (height - 1)))


def _first_frame(session: Session, screen: _Screen) -> float:
    """Return the seconds from a target that is put to the first picture that differs."""
    for number in session.now().drag.ids:
        session.remove_points([number]).result()
    session.reset().result()
    handle = _place(session.generator, 0.4, 0.68)
    screen.changed.clear()
    screen.ended.clear()
    began = time.perf_counter()
    session.put_point(1, handle=handle, target=_place(session.generator, 0.36, 0.66), pulling=True)
    session.start(by_view=True)
    held = True
    while not screen.changed.wait(0.01):
        if held and time.perf_counter() - began > LATE:  # where the machine is busy, only what is at rest is sharp
            held = False
            session.put_point(1, pulling=False)
        if screen.ended.is_set() and not screen.changed.is_set():
            raise RuntimeError("a pull ended before any picture changed; measure with another model or engine")
        if time.perf_counter() - began > 120:
            raise RuntimeError("no picture came within two minutes of a pull")
    taken = time.perf_counter() - began
    session.put_point(1, pulling=False).result()
    session.stop().result()
    return taken


def _pull(session: Session, screen: _Screen, seconds: float) -> dict[str, float]:
    """Move a target that goes round and round the handle's first place, as fast as a pointer is told of."""
    x, y = _place(session.generator, 0.4, 0.68)
    radius = 0.06 * session.generator.resolution[1]
    session.put_point(1, handle=(x, y), target=(x + radius, y), pulling=True)
    session.start(by_view=True).result()
    frames, steps, began = screen.frames, session.now().drag.step, time.perf_counter()
    while (now := time.perf_counter() - began) < seconds:
        angle = now * 1.5
        target = (x + radius * np.cos(angle), y + radius * np.sin(angle))
        session.put_point(1, target=target, pulling=True)
        time.sleep(1 / MOVES_A_SECOND)
    done = {
        "frames_a_second": (screen.frames - frames) / seconds,
        "steps_a_second": (session.latest.step - steps) / seconds,
    }
    session.put_point(1, pulling=False).result()
    session.stop().result()
    session.remove_points([1]).result()
    return done


def _arrive(session: Session, screen: _Screen) -> dict[str, Any]:
    x, y = _place(session.generator, 0.4, 0.68)
    way = PULL * session.generator.resolution[1]
    screen.ended.clear()
    began = time.perf_counter()
    session.put_point(1, handle=(x, y), target=(x - 0.8 * way, y - 0.6 * way))
    session.start()
    if not screen.ended.wait(300):
        raise RuntimeError("a pull of 5 % did not end within five minutes")
    taken = time.perf_counter() - began
    latest = session.latest
    return {"arrival_s": taken, "arrival_steps": latest.step, "arrival_reason": latest.status}


def measure_edit(generator: StyleGAN2, steps: int) -> dict[str, Any]:
    """Time a run of so many steps with pictures as a page gets them, and the steps alone.

    :returns: ``steps``, ``with_frames_s``, ``frames``, and ``steps_a_second`` without any. All after a run that warms
        up, which is ``cold_s``.
    """
    device = next(generator.parameters()).device
    config = generator.drag_config.replace(max_steps=steps, stall_steps=None, tolerance=0.0)
    screen = _Screen()
    session = Session(generator, seed=SEED, truncation=0.7, config=config, on_change=screen.show)
    screen.session = session
    try:
        _, cold = _run(session, screen)
        frames, taken = _run(session, screen)
    finally:
        session.close()
    step = stepper("default", generator, Case(generator.resolution[0], 1, mask=False))
    for _ in range(MAKE_READY):
        step()
    alone = timed(step, device, steps)
    return {"steps": steps, "with_frames_s": taken, "cold_s": cold, "frames": frames, "steps_a_second": 1 / alone}


def _run(session: Session, screen: _Screen) -> tuple[int, float]:
    """Return the pictures and seconds of a run from the beginning to its end."""
    session.reset().result()
    screen.ended.clear()
    frames, began = screen.frames, time.perf_counter()
    session.put_point(1, handle=_place(session.generator, 0.4, 0.68), target=_place(session.generator, 0.34, 0.64))
    session.start()
    if not screen.ended.wait(600):
        raise RuntimeError("a run did not end within ten minutes")
    return screen.frames - frames, time.perf_counter() - began


def encode(picture: Any) -> bytes:
    """Return a picture as a JPEG like those a page gets in mid-run."""
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()
