"""The way of states and pictures to the page: newest wins.

When a frame goes. A picture is synthesised and encoded only when somebody wants one: a view lives, and fewer than
``WINDOW`` frames are unacknowledged. With nobody there, none go. What cannot be sent is not queued: the next chance
sends whatever is newest by then.

Acknowledgements. Each costs JupyterLab as much as a picture, since it shows for every message that the kernel is busy.
So on a fast line one is asked for only now and then, and frames go while none is overdue. A cell that blocks the
kernel's main thread keeps acknowledgements away. Then frames go at 2 Hz, or slower if the line takes longer for one:
else they would queue up, and the page would see an ever older past.

States. That of a run's step goes just before its frame, a settled one at once. A target that moves in a run is told
with the next frame: the page that pulls it knows where it is.

Pictures. In a run they are JPEG, or WebP where the picture has alpha, which JPEG cannot hold. When the edit settles,
the picture goes once more as PNG, exact to the bit. If it cannot go then, a clock sends it: a page at rest is silent,
so no message of the page would.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from typing import Any

from PIL import Image, features

from draggan_widget.editing import PHOTO, Document, Snapshot
from draggan_widget.widget.protocol import frame_message

WINDOW = 2
SLOW_CLOCK = 0.5
"""Seconds without an acknowledgement after which a frame is sent anyway, where the line is fast enough."""
LOST_AFTER = 3.0
"""Seconds after which a settled picture that nobody acknowledged is sent again."""
ON_TIME = 0.25
"""Seconds in which an acknowledgement comes on a fast line; one that takes longer is overdue."""
ASK_EVERY = 0.4
"""Seconds between two acknowledgements that are asked for on such a line."""
AWAY_AFTER = 10.0
"""Seconds for which a view may owe an answer; then it counts as gone, until it gives a sign of life."""
MOST_VIEWS = 100
"""Views that are remembered, those that count as gone included; those silent for longest are forgotten."""


class FrameStream:
    """The way of the newest snapshot of a session to its views. ``offer`` and ``pump`` belong to the worker thread.

    :param send: takes a message and its buffers.
    :param describe: makes the state message of a snapshot.
    :param render: makes the picture of a moment, quickly or not, and says whether it is the whole one.
    :param wake: called from a thread of its own when a settled picture that had to wait may go; has ``pump`` called.
    """

    def __init__(
        self,
        send: Callable[[dict[str, Any], list[bytes]], None],
        describe: Callable[[Snapshot], dict[str, Any]],
        render: Callable[[Document, bool], tuple[Image.Image, bool]],
        wake: Callable[[], object] = lambda: None,
    ) -> None:
        self._send = send
        self._describe = describe
        self._render = render
        self._wake = wake
        self._clock: threading.Timer | None = None
        self._lock = threading.Lock()
        self._views: dict[str, float | None] = {}
        """View → since when it owes an answer; None: it owes none. Those that spoke last are last."""
        self._busy = False
        self._newest: Snapshot | None = None
        self._told: Snapshot | None = None
        self._shown: Snapshot | None = None
        self._whole = True
        self._seq = 0
        self._acked = 0
        self._asked = 0
        self._pulled = False
        self._asked_at = 0.0
        self._sent_at = 0.0
        self._under_way: dict[int, float] = {}
        self.way = 0.0
        """Seconds that the last frame took to the page and back."""
        self.bytes_sent = 0
        self.sent = 0
        """Number of the newest frame that has gone out, for a page that wonders whether frames reach it."""

    @property
    def frames_sent(self) -> int:
        """How many frames were sent so far, for whoever measures the stream."""
        return self._seq

    def attended(self) -> bool:
        """Return whether there is a view, as far as is known."""
        return bool(self.views())

    def views(self) -> set[str]:
        """Return the views that are there, as far as is known.

        A page pings while a run or a job goes, and acknowledges what it is asked to. At rest it owes nothing and is
        silent, so nobody's silence means that they have gone.
        """
        with self._lock:
            limit = time.monotonic() - AWAY_AFTER
            return {view for view, owes in self._views.items() if owes is None or owes > limit}

    def seen(self, view: str) -> None:
        """Note a sign of life of a view."""
        with self._lock:
            self._spoke(view)

    def _spoke(self, view: str) -> None:
        self._views.pop(view, None)
        self._views[view] = time.monotonic() if self._busy else None
        for old in list(self._views)[:-MOST_VIEWS]:
            del self._views[old]

    def _owed(self) -> None:
        """Note that views owe an answer from now on, if they do not already."""
        now = time.monotonic()
        self._views = {view: now if owes is None else owes for view, owes in self._views.items()}

    def left(self, view: str) -> None:
        """Forget a view that says it is gone."""
        with self._lock:
            self._views.pop(view, None)

    def left_by_all(self) -> None:
        """Forget all views: none can be there any more."""
        with self._lock:
            self._views.clear()

    def acknowledge(self, view: str, seq: int, *, pull: bool = False) -> None:
        """Note that a view has drawn a frame. With ``pull`` it asks for the next one, and skips those in between."""
        with self._lock:
            if view in self._views:  # what a view that has left still had under way does not bring it back
                self._spoke(view)
            sent_at = self._under_way.get(seq)
            if sent_at is not None:
                self.way = time.monotonic() - sent_at
            self._under_way = {each: at for each, at in self._under_way.items() if each > seq}
            self._acked = max(self._acked, min(seq, self._seq))
            self._pulled = pull
            if self._acked >= self._asked:
                self._acked = self._seq  # nobody was asked for those since

    @property
    def pace(self) -> float:
        """Seconds between two frames, while no acknowledgement comes, that do not queue up."""
        return max(SLOW_CLOCK, 2 * self.way)

    def behind(self) -> bool:
        """Return whether views lack something, so that ``pump`` is worth a job."""
        with self._lock:
            newest = self._newest
            if newest is None:
                return False
            if newest.settled and self._acked < self._seq and time.monotonic() - self._sent_at >= LOST_AFTER:
                self._shown = None
                self._acked = self._seq
            return not (self._is_told(newest) and self._is_shown(newest))

    def again(self) -> None:
        """Have the next ``pump`` send everything once more, for a view that has just come."""
        with self._lock:
            self._told = self._shown = None
            self._acked = self._seq

    def retell(self) -> None:
        """Have the state of the newest snapshot sent again: there is more to say of it."""
        with self._lock:
            self._told = None
        self.pump()

    def offer(self, snapshot: Snapshot) -> None:
        """Take a newer snapshot than any before."""
        if self._newest is not None and self._newest.model is not snapshot.model:
            with self._lock:
                self._told = self._shown = None  # or they would keep the model before alive until somebody looks
        self._newest = snapshot
        busy = not snapshot.settled or bool(snapshot.jobs)
        if busy != self._busy:
            with self._lock:
                self._busy = busy
                if busy:
                    self._owed()
                else:  # what pings were owed is no longer
                    limit = time.monotonic() - AWAY_AFTER
                    self._views = {v: None if owes and owes > limit else owes for v, owes in self._views.items()}
        self.pump()

    def pump(self) -> None:
        """Send the newest state and picture, if they were not sent and somebody wants them."""
        snapshot = self._newest
        if snapshot is None or not self.attended():
            return
        with self._lock:
            free = self._free()
            show = free and not self._is_shown(snapshot)
            due = free and not self._is_told(snapshot)
            tell = self._told is not snapshot and (show or due or snapshot.settled or bool(snapshot.jobs))
            if tell:
                self._told = snapshot
        if tell:
            self._send(self._describe(snapshot), [])
        if show:
            self._send_frame(snapshot)
        elif snapshot.settled and not free and not self._is_shown(snapshot):
            self._pump_later()

    def _pump_later(self) -> None:
        """Have ``pump`` called when the next frame may go, even if nothing is acknowledged till then."""
        if self._clock is not None and self._clock.is_alive():
            return
        self._clock = threading.Timer(max(0.0, self._sent_at + self.pace - time.monotonic()), self._wake)
        self._clock.daemon = True
        self._clock.start()

    def _fast(self) -> bool:
        return 0 < self.way <= ON_TIME and not self._pulled

    def _free(self) -> bool:
        """Return whether another frame may go: it will not queue up, as far as is known."""
        now = time.monotonic()
        if self._seq - self._acked < WINDOW or now - self._sent_at >= self.pace:
            return True
        return self._fast() and (self._acked >= self._asked or now - self._asked_at < ON_TIME)

    def _send_frame(self, snapshot: Snapshot) -> None:
        picture, whole = self._render(snapshot.seen, not (snapshot.settled or snapshot.resting))
        encoding, data = encode(picture, lossless=_lossless(snapshot))
        with self._lock:
            self._seq += 1
            self._shown, self._whole = snapshot, whole
            self._sent_at = now = self._under_way[self._seq] = time.monotonic()
            ask = snapshot.settled or not self._fast() or now - self._asked_at >= ASK_EVERY
            if ask:
                self._asked, self._asked_at = self._seq, now
                self._owed()
            self.bytes_sent += len(data)
        self._send(frame_message(self._seq, snapshot.seen.drag.step, encoding, picture.size, ask), [data])
        self.sent = self._seq

    def _is_shown(self, snapshot: Snapshot) -> bool:
        # What was shown without loss need not be shown again when a run begins: its first step would wait for it.
        shown = self._shown
        if shown is None or not _same_picture(shown, snapshot):
            return False
        sharp = self._whole or not (snapshot.settled or snapshot.resting)
        return sharp and _lossless(shown) >= _lossless(snapshot)

    def _is_told(self, snapshot: Snapshot) -> bool:
        """Return whether views know all of it, apart from targets in a run: the next frame tells those."""
        told = self._told
        if told is snapshot or told is None or told.settled or not _same_picture(told, snapshot):
            return told is snapshot
        known, now = ([(point.id, point.handle) for point in each.document.drag.points] for each in (told, snapshot))
        words = [
            "status",
            "message",
            "can_undo",
            "can_redo",
            "undo",
            "redo",
            "edit",
            "model",
            "jobs",
            "trouble",
            "look",
            "speed",
        ]
        return known == now and all(getattr(told, word) == getattr(snapshot, word) for word in words)


def _same_picture(one: Snapshot, other: Snapshot) -> bool:
    # A latent's address names its picture, points do not change it; a snapshot that is kept keeps the address taken.
    return _address(one) == _address(other) and one.seen.finish == other.seen.finish


def _address(snapshot: Snapshot) -> list[tuple[int, int, bool]]:
    return [(layer.latent.data_ptr(), id(layer.mask), layer.faded) for layer in snapshot.seen.drag.layers]


def _lossless(snapshot: Snapshot) -> bool:
    # A timeline is scrubbed, and an attribute slid: what is looked at on the way must come fast.
    # What a photograph is like while it is tuned is looked at for a moment.
    return (
        snapshot.settled
        and not snapshot.sliding
        and snapshot.look is None
        and all(job.what != PHOTO for job in snapshot.jobs)
    )


def encode(image: Image.Image, *, lossless: bool) -> tuple[str, bytes]:
    """Return a picture (L, RGB or RGBA) as ("jpeg" | "webp" | "png", bytes)."""
    buffer = io.BytesIO()
    if lossless or (image.mode == "RGBA" and not features.check("webp")):
        image.save(buffer, "PNG", compress_level=1)
        return "png", buffer.getvalue()
    if image.mode == "RGBA":
        image.save(buffer, "WEBP", quality=90, method=0)
        return "webp", buffer.getvalue()
    image.save(buffer, "JPEG", quality=92, subsampling=0)
    return "jpeg", buffer.getvalue()
