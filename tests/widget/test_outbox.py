"""Messages to views that are told, and to views that have to ask."""

from __future__ import annotations

import sys
import threading

import pytest

from draggan_widget import DragConfig, DragGAN
from draggan_widget.widget import outbox as post_module
from draggan_widget.widget import views as views_module
from draggan_widget.widget.outbox import MOST_KEPT, SILENT_AFTER, Outbox


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(post_module, "time", clock)
    return clock


@pytest.fixture
def views():
    return {"a"}


@pytest.fixture
def sent():
    return []


@pytest.fixture
def post(sent, views, clock):
    return Outbox(lambda message, buffers: sent.append((message["type"], message.get("n"), buffers)), lambda: views)


def put(post, kind, n=0, buffers=()):
    post.put({"type": kind, "n": n}, list(buffers))


def test_a_view_that_is_told_gets_everything_at_once(post, sent):
    for n in range(3):
        put(post, "frame", n, [b"x"])
    assert sent == [("frame", n, [b"x"]) for n in range(3)]
    assert not post.asked


def test_a_view_that_asks_gets_what_came_since_and_nothing_before(post, sent):
    put(post, "notice")
    sent.clear()
    assert post.collect("a") is False, "it is its first ask: whoever is asked sends everything anew"
    put(post, "notice", 1)
    put(post, "state", 2)
    assert sent == []
    assert post.collect("a") is True
    assert sent == [("notice", 1, []), ("state", 2, [])]
    post.collect("a")
    assert len(sent) == 2


def test_of_states_and_frames_only_the_newest_is_kept_and_of_the_rest_all(post, sent):
    post.collect("a")
    for n in range(5):
        put(post, "state", n)
        put(post, "frame", n, [bytes([n])])
        put(post, "notice", n)
    post.collect("a")
    assert sent == [("notice", n, []) for n in range(4)] + [
        ("state", 4, []),
        ("frame", 4, [b"\x04"]),
        ("notice", 4, []),
    ]


def test_a_view_that_never_comes_back_costs_no_more_than_so_much(post, sent, clock):
    post.collect("a")
    for n in range(3 * MOST_KEPT):
        put(post, "notice", n)
    put(post, "state", 1)
    post.collect("a")
    assert [n for kind, n, _ in sent if kind == "notice"] == list(range(2 * MOST_KEPT, 3 * MOST_KEPT))
    assert sent[-1][:2] == ("state", 1)


def test_what_is_kept_for_a_view_goes_with_it(post, sent, views):
    post.collect("a")
    put(post, "notice", 1)
    views.clear()
    put(post, "notice", 2)
    assert not post.asked
    views.add("a")
    assert post.collect("a") is False
    assert sent == []


def test_a_view_that_was_given_up_gets_nothing_until_it_says_that_it_is_there(post, sent, views):
    views.clear()
    assert post.collect("a") is True
    assert not post.asked


def test_two_views_that_ask_get_the_same_each_once(post, sent, views):
    views.add("b")
    post.collect("a")
    post.collect("b")
    put(post, "state", 1)
    post.collect("a")
    post.collect("b")
    assert sent == [("state", 1, []), ("state", 1, [])]


def test_beside_one_that_is_told_the_other_may_ask(post, sent, views):
    views.add("told")
    post.collect("a")
    put(post, "state", 1)
    assert sent == [("state", 1, [])]
    post.collect("a")
    assert len(sent) == 2


def test_while_asks_do_not_come_through_messages_are_pushed_too(post, sent, clock):
    post.collect("a")
    clock.now += SILENT_AFTER
    put(post, "frame", 1, [b"x"])
    assert sent == [("frame", 1, [b"x"])]
    post.collect("a")
    assert len(sent) == 2, "nobody knows whether it has come"


class Asking:
    """A page to which only comes what is sent by the thread that handles a message of it."""

    def __init__(self, editor):
        self.editor, self.told, self.pushed, self.newest = editor, [], 0, 0
        self.handling = None
        editor.send = self.take

    def take(self, content, buffers=None):
        if threading.get_ident() != self.handling:
            self.pushed += 1
            return
        self.told.append(content)
        if content["type"] == "frame":
            self.newest = content["seq"]

    def say(self, message, **fields):
        self.handling = threading.get_ident()
        self.editor._inbox.receive(self.editor, {"type": message, **fields}, [])
        self.handling = None

    def ask(self):
        self.say("ack", view="page", seq=self.newest, pull=True)

    def ask_until(self, condition):
        for _ in range(2000):
            if condition():
                return
            self.ask()
            self.editor._session.newest()  # the worker has done what it was given
        raise AssertionError(self.told[-5:])

    def of(self, kind):
        return [content for content in self.told if content["type"] == kind]


@pytest.fixture
def asking(generator):
    editor = DragGAN(
        generator, seed=3, config=DragConfig(learning_rate=0.05, tolerance=0, stall_steps=None, max_steps=None)
    )
    yield Asking(editor)
    editor.close()


def test_a_whole_edit_reaches_a_page_that_only_hears_answers(asking):
    asking.say("ready", view="page")
    assert [content["type"] for content in asking.told] == ["pong"]
    asking.ask_until(lambda: asking.newest > 0)
    assert asking.of("state")[0]["status"] == "idle"
    asking.say("point", id=1, handle=[30, 30], target=[36, 30], pulling=False)
    asking.say("start")
    asking.ask_until(lambda: asking.of("state")[-1]["step"] >= 5)
    asking.say("stop")
    asking.ask_until(
        lambda: asking.of("state")[-1]["status"] == "stopped" and asking.of("frame")[-1]["format"] == "png"
    )
    for question, answer in (("course", {"since": -1}), ("before", {}), ("thumbnails", {"steps": [0, 1]})):
        asking.say(question, **answer)
        asking.ask_until(lambda kind=question: asking.of(kind))
    asking.say("export", kind="code", handles=False)
    asking.ask_until(lambda: asking.of("export"))


def test_an_answer_names_the_newest_frame_that_was_sent(asking):
    asking.say("ready", view="page")
    asking.say("ping", view="page")
    asking.editor._session.newest()
    asking.say("ping", view="page")
    assert [content["sent"] for content in asking.of("pong")][-1] == 1


def test_moving_pictures_for_a_page_that_asks_are_small_and_the_settled_one_is_whole(asking, monkeypatch):
    monkeypatch.setattr(views_module, "PREVIEW", 32)
    editor = asking.editor
    document = editor._session.latest.document
    assert editor._views.glimpse(document, True)[0].size == (64, 64), "nobody asks yet"
    asking.say("ready", view="page")
    asking.ask()
    picture, whole = editor._views.glimpse(document, True)
    assert (picture.size, whole) == ((32, 32), False)
    picture, whole = editor._views.glimpse(document, False)
    assert (picture.size, whole) == ((64, 64), True)


def test_in_colab_a_page_is_told_at_once_that_it_has_to_ask(asking, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", object())
    asking.say("ping", view="page")
    assert asking.of("pong")[-1]["withheld"] is True
    monkeypatch.delitem(sys.modules, "google.colab")
    asking.say("ping", view="page")
    assert asking.of("pong")[-1]["withheld"] is False
