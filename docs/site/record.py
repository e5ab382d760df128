"""Records an edit for the demo of the site: ``python docs/site/record.py [EDIT.drag]``.

An editor is asked for every step as a page asks it, and what it answers is kept: the states, the course, and the
pictures as JPEG. Without a file the edit is made here: both corners of a mouth are pulled.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import sys
import threading
from pathlib import Path
from typing import Any

from PIL import Image

from draggan_widget import Editor

OUT = Path(__file__).parent / "demo" / "recording.json"
PULLS = [((98, 174), (86, 165)), ((160, 172), (172, 163))]
"""Picture pixels: what is pulled, and where to."""
QUALITY = 88
MOST_BYTES = 1_000_000
PATIENCE = 120.0
"""Seconds for an answer."""


class Asking:
    """A page that asks an editor, one thing after another."""

    def __init__(self, editor: Editor) -> None:
        self._editor = editor
        self._told: list[tuple[dict[str, Any], list[bytes]]] = []
        self._news = threading.Condition()
        editor.send = self._take  # type: ignore[method-assign]

    def _take(self, content: dict[str, Any], buffers: Any = None) -> None:
        with self._news:
            self._told.append((content, [bytes(each) for each in buffers or ()]))
            self._news.notify_all()
        if content["type"] == "frame":
            self.say("ack", view="recorder", seq=content["seq"], pull=False)

    def say(self, kind: str, **fields: Any) -> None:
        """Send a message of that type."""
        self._editor._handle_custom_msg({"type": kind, **fields}, [])

    def ask(self, kind: str, wanted: dict[str, dict[str, Any]], **fields: Any) -> dict[str, tuple[dict[str, Any], Any]]:
        """Send a message and return its answers by type, each with its buffers.

        :param wanted: types of answers, and fields that they have. :raises TimeoutError: if one does not come.
        """
        with self._news:
            self._told.clear()
        self.say(kind, **fields)
        with self._news:
            if not self._news.wait_for(lambda: len(self._found(wanted)) == len(wanted), PATIENCE):
                raise TimeoutError(f"the editor does not answer {kind} with {wanted}")
            return self._found(wanted)

    def _found(self, wanted: dict[str, dict[str, Any]]) -> dict[str, tuple[dict[str, Any], Any]]:
        return {
            told["type"]: (told, buffers)
            for told, buffers in self._told
            if told["type"] in wanted and wanted[told["type"]].items() <= told.items()
        }


def recorded(editor: Editor) -> dict[str, Any]:
    """Return what the page needs to play an edit that is at rest and has steps."""
    page = Asking(editor)
    state, _ = page.ask("ready", {"state": {}, "frame": {}}, view="recorder")["state"]
    course, _ = page.ask("course", {"course": {}}, since=-1)["course"]
    newest, steps = state["length"] - 1, []
    for step in range(newest + 1):
        looked_at = None if step == newest else step
        answers = page.ask("look", {"state": {"shown": looked_at}, "frame": {"step": step}}, step=looked_at)
        points = [plain(point) for point in answers["state"][0]["points"]]
        steps.append({"points": points, "picture": jpeg(answers["frame"][1][0])})
        print(f"step {step} of {newest}", flush=True)
    return {"state": {**state, "jobs": [], "model": None, "shown": None}, "course": course, "steps": steps}


def plain(point: dict[str, Any]) -> dict[str, Any]:
    """Return a point with numbers of no more digits than are seen."""
    told = {**point, "confidence": None, "texture": None}
    for name in ("handle", "target"):
        told[name] = [round(each, 2) for each in point[name]]
    return {**told, "distance": round(point["distance"], 2)}


def jpeg(data: bytes) -> str:
    """Return a picture of any format as JPEG, as base64."""
    file = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(file, "JPEG", quality=QUALITY, optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def smile() -> Editor:
    """Return an editor in which the paper's method has pulled both corners of a mouth."""
    editor = Editor("faces", seed=9, engine="draggan")
    editor.points = [{"handle": list(handle), "target": list(target)} for handle, target in PULLS]
    editor.start()
    return editor


async def ended(editor: Editor) -> None:
    """Wait for the run."""
    result = await editor.finished()
    print(f"{result.reason} after {result.steps} steps")


def main() -> int:
    """Make the file; returns the exit status."""
    editor = Editor.load(sys.argv[1]) if sys.argv[1:] else smile()
    asyncio.run(ended(editor))
    text = json.dumps(recorded(editor), separators=(",", ":")) + "\n"
    editor.close()
    if len(text) > MOST_BYTES:
        print(f"the recording has {len(text)} bytes, {MOST_BYTES} are allowed: choose a shorter edit", file=sys.stderr)
        return 1
    OUT.write_text(text, encoding="utf-8")
    print(f"{OUT.name}: {len(text)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
