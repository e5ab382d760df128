"""The page, played by a list of messages."""

from __future__ import annotations

import asyncio
import threading
import time


async def until(condition, timeout=20):
    """Lets the loop go on until a condition holds; fails if it does not come."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not come"
        await asyncio.sleep(0.005)


class Page:
    """A page that shows the widget: answers frames, keeps what it is told."""

    def __init__(self, editor, *, acks=True):
        self.editor, self.acks = editor, acks
        self.told = []
        self.news = threading.Condition()
        editor.send = self.take

    def take(self, content, buffers=None):
        with self.news:
            self.told.append((content, buffers))
            self.news.notify_all()
        if content["type"] == "frame" and self.acks:
            self.say("ack", view="page", seq=content["seq"], pull=False)

    def say(self, message, buffers=(), **fields):
        self.editor._inbox.receive(self.editor, {"type": message, **fields}, list(buffers))

    def of(self, kind):
        return [content for content, _ in self.told if content["type"] == kind]

    def panel(self, name):
        """What a panel was told so far."""
        return [message["told"] for message in self.of("panel") if message["panel"] == name]

    def answer(self, number):
        """What was told of the question of that number, once it is."""
        self.wait_for(lambda page: any(each["id"] == number for each in page.panel("answer")))
        return next(each for each in self.panel("answer") if each["id"] == number)

    def masks(self):
        """Buffers of the masks told so far."""
        return [buffers for content, buffers in self.told if content["type"] == "mask"]

    def frames(self):
        """Formats and bytes of the frames told so far."""
        return [(content["format"], buffers[0]) for content, buffers in self.told if content["type"] == "frame"]

    def wait_for(self, condition, timeout=20):
        with self.news:
            assert self.news.wait_for(lambda: condition(self), timeout), [c for c, _ in self.told][-3:]

    def wait_for_status(self, status):
        self.wait_for(lambda page: page.of("state") and page.of("state")[-1]["status"] == status)

    def wait_for_state(self, **fields):
        """Until the newest state has these; returns it."""
        self.wait_for(
            lambda page: (
                page.of("state")
                and all(page.of("state")[-1].get(name, page) == value for name, value in fields.items())
            )
        )
        return self.of("state")[-1]
