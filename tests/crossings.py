"""The files that a pull, a latent and a frame pass through: ``python tests/crossings.py [a checkout]``.

An editor of the built-in faces is given what a page would send. Every call from one module of the package into another
is counted, in both threads, for: the message of a pull (from the wire to what the worker does), a latent (one step of
the engine, from the runner's call to its return), and a frame (from the picture that is wanted to the bytes on the
wire). A call goes back when the module that it enters is among its callers already.

The figures in ``docs/architecture.md`` are printed by this; with a folder, those of the checkout in it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import FrameType

HOUSE = Path(sys.argv[1] if sys.argv[1:] else Path(__file__).parent.parent).resolve() / "draggan_widget"
LOW = ("models", "generators")
"""The rooms whose files are named, but whose calls among themselves are left out: they synthesise."""


ASIDE = "widget/traits:_adopt"
"""The traits follow what was published, beside the way; what happens in there is left out."""


class Calls:
    """What calls go from module to module while it records."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str, bool]] = []
        self.entry: tuple[str, ...] = ()
        """Names of functions inside of which calls count; none: all count."""

    def record(self, frame: FrameType, event: str, _: object) -> None:
        """Take a call into account; to be given to ``sys.setprofile``."""
        entered = module_of(frame)
        if event != "call" or entered is None:
            return
        callers, above, names = [], frame.f_back, [f"{entered}:{frame.f_code.co_name}"]
        while above is not None:
            if module := module_of(above):
                callers.append(module)
                names.append(f"{module}:{above.f_code.co_name}")
            above = above.f_back
        inside = (not self.entry or not {*self.entry}.isdisjoint(names)) and ASIDE not in names
        if inside and callers and callers[0] != entered:
            self.found.append((callers[0], entered, entered in callers))

    def say(self, what: str) -> None:
        """Print a line."""
        house = [call for call in self.found if not (call[0].startswith(LOW) and call[1].startswith(LOW))]
        modules = list(dict.fromkeys(module for call in house for module in call[:2]))
        print(f"{what}: {len(modules)} modules, {len(house)} calls between them, {sum(c[2] for c in house)} back")
        print("  " + " ".join(modules))


def module_of(frame: FrameType) -> str | None:
    """The module of a frame, as a path in the package; None outside of it."""
    path = Path(frame.f_code.co_filename)
    return path.relative_to(HOUSE).with_suffix("").as_posix() if path.is_relative_to(HOUSE) else None


def main() -> None:
    """Record and print all three."""
    sys.path.insert(0, str(HOUSE.parent))
    from draggan_widget import DragGAN

    editor = DragGAN("faces", seed=9)
    editor.config = editor.generator.drag_config  # the engine that every commit has
    editor.send = lambda *message: None
    session = editor._session
    corner, up = {"handle": [98, 174], "target": [82, 163]}, {"handle": [159, 174], "target": [175, 163]}

    def recorded(act: object, *entry: str) -> Calls:
        calls = Calls()
        calls.entry = entry
        session.read(lambda: sys.setprofile(calls.record))
        sys.setprofile(calls.record)
        try:
            act()
        finally:
            sys.setprofile(None)
            session.read(lambda: sys.setprofile(None))
        return calls

    def say(message: str, **fields: object) -> None:
        editor._handle_custom_msg({"type": message, **fields}, [])

    say("point", id=1, start=False, pulling=False, **corner)
    session.step_once().result(60)  # what is looked up once is looked up now
    pull = recorded(lambda: say("point", id=2, start=False, pulling=False, **up))
    pull.say("a pull")
    steps = ("engines/state:advance", "dragging/strides:stride")
    recorded(lambda: session.step_once().result(60), *steps).say("a latent")
    say("ready", view="page")
    session.read(lambda: None)
    time.sleep(0.5)
    recorded(lambda: session.step_once().result(60), "widget/stream:pump").say("a frame")
    editor.close()


if __name__ == "__main__":
    main()
