from __future__ import annotations

import dataclasses
import io
import threading

import numpy as np
import pytest
from PIL import Image
from random_stylegan2 import small_stylegan2

from draggan_widget.config import DragConfig
from draggan_widget.editing import Document, Model, Snapshot
from draggan_widget.engines import begin_with
from draggan_widget.widget import stream as stream_module
from draggan_widget.widget.stream import ASK_EVERY, LOST_AFTER, ON_TIME, SLOW_CLOCK, WINDOW, FrameStream, encode


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(stream_module, "time", clock)
    return clock


@pytest.fixture
def sent():
    return []


@pytest.fixture
def rendered():
    return []


@pytest.fixture
def stream(sent, rendered, clock):
    def render(document, quick):
        rendered.append(document)
        return Image.new("RGB", (8, 8), (document.drag.step,) * 3), True

    stream = FrameStream(lambda m, b: sent.append((m, b)), lambda s: {"type": "state", "step": s.step}, render)
    stream.seen("a")
    return stream


@pytest.fixture
def snapshots():
    """Snapshots of a run, one a step; keeps them apart as a session does."""
    generator = small_stylegan2(32)
    model = Model(generator)
    config = DragConfig(learning_rate=0.05)
    state = begin_with(generator, generator.mapping(seed=0), [(1, (9, 9), (20, 20))], None, config)
    found = []
    for _ in range(8):
        found.append(Snapshot("running", "", Document(model, state, None, 0, 0.7, ()), True, False, None))
        state = state.steps(1)
    return found


def frames(sent):
    return [message["step"] for message, _ in sent if message["type"] == "frame"]


def settled(snapshot):
    return dataclasses.replace(snapshot, status="stopped")


def test_no_more_than_the_window_goes_unacknowledged_and_the_newest_wins(stream, sent, rendered, snapshots):
    for snapshot in snapshots:
        stream.offer(snapshot)
    assert frames(sent) == list(range(WINDOW))
    assert len(rendered) == WINDOW
    stream.acknowledge("a", 1)
    assert stream.behind()
    stream.pump()
    assert frames(sent) == [*range(WINDOW), 7]
    stream.acknowledge("a", 3)
    assert not stream.behind()


def test_a_state_goes_before_its_frame_and_a_settled_one_goes_at_once(stream, sent, snapshots):
    for snapshot in snapshots:
        stream.offer(snapshot)
    kinds = [(message["type"], message["step"]) for message, _ in sent]
    assert kinds == [("state", 0), ("frame", 0), ("state", 1), ("frame", 1)]
    stream.offer(settled(snapshots[-1]))
    assert sent[-1][0] == {"type": "state", "step": 7}


def test_without_acknowledgements_frames_go_on_the_slow_clock(stream, sent, snapshots, clock):
    for snapshot in snapshots[:4]:
        stream.offer(snapshot)
    clock.now += SLOW_CLOCK
    for snapshot in snapshots[4:]:
        stream.offer(snapshot)
    assert frames(sent) == [0, 1, 4]


def test_on_a_line_that_takes_its_time_frames_do_not_queue_up(stream, sent, snapshots, clock):
    stream.offer(snapshots[0])
    clock.now += 4
    stream.acknowledge("a", 1)
    for snapshot in snapshots[1:7]:
        stream.offer(snapshot)
        clock.now += SLOW_CLOCK
    assert frames(sent) == [0, 1, 2]
    stream.acknowledge("a", 2)
    stream.pump()
    assert frames(sent) == [0, 1, 2, 6]


def test_acknowledgements_may_come_in_any_order_and_one_stands_for_those_before_it(stream, sent, snapshots, clock):
    for snapshot in snapshots[:2]:
        stream.offer(snapshot)
    stream.acknowledge("a", 2)  # the first was lost, or is late
    for snapshot in snapshots[2:5]:
        stream.offer(snapshot)
    assert frames(sent) == [0, 1, 2, 3]
    stream.acknowledge("a", 1)
    stream.pump()
    assert frames(sent) == [0, 1, 2, 3]  # it opens nothing that was open already, and closes nothing
    stream.acknowledge("a", 4)
    stream.acknowledge("a", 3)
    stream.offer(snapshots[5])
    stream.offer(snapshots[6])
    assert frames(sent) == [0, 1, 2, 3, 5, 6]


def asking(sent):
    """Steps of the frames that ask for an acknowledgement."""
    return [message["step"] for message, _ in sent if message["type"] == "frame" and message["ack"]]


@pytest.fixture
def fast(stream, sent, snapshots, clock):
    """The stream on a line that took a tenth of a second for its first frame, and that frame's time."""
    stream.offer(snapshots[0])
    clock.now += 0.1
    stream.acknowledge("a", 1)
    return stream


def test_on_a_fast_line_an_acknowledgement_is_asked_for_now_and_then(fast, sent, snapshots, clock):
    for snapshot in snapshots[1:]:
        fast.offer(snapshot)
        if sent[-1][0]["ack"]:
            clock.now += 0.04
            fast.acknowledge("a", sent[-1][0]["seq"])
            clock.now += 0.06
        else:
            clock.now += 0.1
    assert frames(sent) == list(range(8))
    assert asking(sent) == [0, 4]
    fast.offer(settled(snapshots[-1]))
    assert asking(sent) == [0, 4, 7], "a settled picture is to be there for certain"


def test_while_one_is_overdue_no_more_frames_go_than_on_a_slow_line(fast, sent, snapshots, clock):
    clock.now += ASK_EVERY
    for snapshot in snapshots[1:6]:
        fast.offer(snapshot)  # the first of them asks
        clock.now += 0.12
    assert frames(sent) == [0, 1, 2, 3]
    assert asking(sent) == [0, 1]
    clock.now += SLOW_CLOCK
    fast.offer(snapshots[6])
    assert asking(sent) == [0, 1, 6], "what goes on the slow clock asks again, for the question may be lost"
    fast.acknowledge("a", 5)
    fast.offer(snapshots[7])
    assert frames(sent) == [0, 1, 2, 3, 6, 7]


def test_a_line_that_becomes_slow_is_asked_with_every_frame(fast, sent, snapshots, clock):
    clock.now += ASK_EVERY
    fast.offer(snapshots[1])
    clock.now += ON_TIME + 0.1
    fast.acknowledge("a", 2)
    for snapshot in snapshots[2:]:
        fast.offer(snapshot)
    assert frames(sent) == asking(sent) == [0, 1, 2, 3]


def test_a_picture_that_settles_when_the_line_has_become_slow_does_not_wait_for_an_answer_that_nobody_owes(
    fast, sent, snapshots, clock
):
    clock.now += ASK_EVERY
    for snapshot in snapshots[1:4]:
        fast.offer(snapshot)  # the first of them asks
        clock.now += 0.1
    fast.acknowledge("a", 2)
    assert fast.way > ON_TIME
    fast.offer(settled(snapshots[4]))
    assert frames(sent) == [0, 1, 2, 3, 4]


def test_for_a_view_that_asks_no_more_is_made_than_it_sees(fast, sent, snapshots, clock):
    fast.acknowledge("a", 1, pull=True)
    for snapshot in snapshots[1:]:
        fast.offer(snapshot)
    assert frames(sent) == asking(sent) == [0, 1, 2]


def test_nothing_is_made_for_nobody_and_a_view_that_comes_gets_the_newest(stream, sent, rendered, snapshots, clock):
    stream.left("a")
    for snapshot in snapshots:
        stream.offer(snapshot)
    assert sent == rendered == []
    stream.seen("b")
    stream.again()
    stream.pump()
    assert frames(sent) == [7]


def test_a_view_that_falls_silent_in_a_run_counts_as_gone(stream, snapshots, clock):
    stream.offer(snapshots[0])
    assert stream.attended()
    clock.now += 9
    assert stream.attended()
    clock.now += 2
    assert not stream.attended()


def test_a_view_at_rest_owes_no_sign_of_life_and_is_there_though_it_is_silent_for_an_hour(stream, snapshots, clock):
    stream.offer(snapshots[0])
    stream.offer(settled(snapshots[1]))
    stream.acknowledge("a", 2)
    clock.now += 3600
    assert stream.attended()
    stream.offer(snapshots[2])  # a run begins: from now on it does
    clock.now += 9
    assert stream.attended()
    clock.now += 2
    assert not stream.attended()
    stream.acknowledge("a", 3)
    assert stream.attended()


def test_a_view_that_does_not_acknowledge_a_picture_counts_as_gone(stream, snapshots, clock):
    stream.offer(settled(snapshots[0]))
    clock.now += 11
    assert not stream.attended()


def test_of_views_that_never_said_bye_only_the_newest_hundred_are_remembered(stream):
    for number in range(300):
        stream.seen(f"view {number}")
    assert stream.views() == {f"view {number}" for number in range(200, 300)}


def test_a_settled_picture_goes_once_more_without_loss_and_then_never_again(stream, sent, snapshots):
    stream.offer(snapshots[0])
    stream.acknowledge("a", 1)
    for _ in range(3):
        stream.offer(settled(snapshots[0]))
    assert [m["format"] for m, _ in sent if m["type"] == "frame"] == ["jpeg", "png"]


def test_a_settled_picture_that_nobody_acknowledged_is_sent_again(stream, sent, snapshots, clock):
    stream.offer(settled(snapshots[0]))
    assert not stream.behind()
    clock.now += LOST_AFTER
    assert stream.behind()
    stream.pump()
    assert len(frames(sent)) == 2
    stream.acknowledge("a", 2)
    clock.now += LOST_AFTER
    assert not stream.behind()


def test_a_picture_that_settles_while_none_may_go_is_sent_by_a_clock_though_no_page_says_a_word(
    sent, snapshots, monkeypatch
):
    monkeypatch.setattr(stream_module, "SLOW_CLOCK", 0.05)
    woken = threading.Event()
    picture = Image.new("RGB", (8, 8))
    stream = FrameStream(
        lambda m, b: sent.append((m, b)),
        lambda s: {"type": "state"},
        lambda document, quick: (picture, True),
        woken.set,
    )
    stream.seen("a")
    for snapshot in snapshots[:WINDOW]:
        stream.offer(snapshot)
    stream.offer(settled(snapshots[WINDOW]))
    assert frames(sent) == list(range(WINDOW))
    assert woken.wait(30)
    assert stream.behind()
    stream.pump()
    assert frames(sent)[-1] == WINDOW
    assert sent[-1][0]["format"] == "png"
    woken.clear()
    stream.pump()
    assert not woken.wait(0.2)  # there is nothing left to send


def test_an_acknowledgement_does_not_bring_back_a_view_that_has_left(stream):
    stream.left("a")
    stream.acknowledge("a", 1)
    assert not stream.attended()


def test_points_alone_make_no_new_picture(stream, rendered, snapshots):
    first = settled(snapshots[0])
    stream.offer(first)
    moved = first.document.drag.move_target(1, (11, 11))
    stream.offer(dataclasses.replace(first, document=Document(first.model, moved, None, 0, 0.7, ())))
    assert len(rendered) == 1


def test_acknowledgements_of_frames_never_sent_do_not_open_the_window(stream, sent, snapshots):
    stream.acknowledge("a", 10**6)
    for snapshot in snapshots:
        stream.offer(snapshot)
    assert len(frames(sent)) == WINDOW


def test_frames_are_plain_bytes_of_the_right_kind():
    pixels = np.random.RandomState(0).randint(0, 256, (16, 24, 3), np.uint8)
    kind, data = encode(Image.fromarray(pixels), lossless=True)
    assert (kind, type(data)) == ("png", bytes)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)
    kind, data = encode(Image.fromarray(pixels), lossless=False)
    assert (kind, Image.open(io.BytesIO(data)).size) == ("jpeg", (24, 16))
    assert encode(Image.new("L", (4, 4)), lossless=False)[0] == "jpeg"


def test_a_picture_with_alpha_keeps_it_on_the_way_and_is_exact_when_it_settles():
    rows, columns = np.mgrid[:64, :32]
    pixels = np.stack([4 * rows, 8 * columns, 255 - 4 * rows, 3 * rows + columns], axis=2).astype(np.uint8)
    image = Image.fromarray(pixels)
    kind, data = encode(image, lossless=False)
    shown = Image.open(io.BytesIO(data))
    assert (kind, shown.mode, shown.size) == ("webp", "RGBA", (32, 64))
    np.testing.assert_array_equal(np.asarray(shown)[..., 3], pixels[..., 3])
    kind, data = encode(image, lossless=True)
    assert kind == "png"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)


def test_where_pillow_has_no_webp_a_picture_with_alpha_is_png(monkeypatch):
    monkeypatch.setattr(stream_module.features, "check", lambda feature: False)
    assert encode(Image.new("RGBA", (4, 4)), lossless=False)[0] == "png"


@pytest.mark.parametrize("lossless", [True, False])
def test_a_grey_picture_stays_grey(lossless):
    kind, data = encode(Image.new("L", (8, 4), 77), lossless=lossless)
    shown = Image.open(io.BytesIO(data))
    assert (kind, shown.mode, shown.size) == ("png" if lossless else "jpeg", "L", (8, 4))
    assert abs(shown.getpixel((3, 3)) - 77) <= 1


def test_another_model_leaves_nothing_of_the_one_before_behind(stream, sent, snapshots):
    stream.offer(settled(snapshots[0]))
    stream.left("a")
    other = Model(small_stylegan2(32))
    of_other = dataclasses.replace(snapshots[1].document, model=other)
    stream.offer(dataclasses.replace(settled(snapshots[1]), document=of_other))
    held = [snapshot for snapshot in (stream._told, stream._shown) if snapshot is not None]
    assert [snapshot for snapshot in held if snapshot.model is not other] == []


def test_a_run_that_begins_does_not_show_again_what_was_shown_without_loss(stream, sent, snapshots):
    stream.offer(settled(snapshots[0]))
    stream.acknowledge("a", 1)
    stream.offer(snapshots[0])
    assert [m["format"] for m, _ in sent if m["type"] == "frame"] == ["png"]
    assert sent[-1][0] == {"type": "state", "step": 0}, "that it runs is told at once"
    stream.offer(snapshots[1])
    assert frames(sent) == [0, 1]


def pulled(snapshot, target):
    drag = snapshot.document.drag.move_target(1, target)
    return dataclasses.replace(snapshot, document=dataclasses.replace(snapshot.document, drag=drag))


def test_a_target_that_moves_in_a_run_is_told_with_the_next_frame(stream, sent, snapshots):
    stream.offer(snapshots[0])
    stream.acknowledge("a", 1)
    before = len(sent)
    for x in range(5):
        stream.offer(pulled(snapshots[0], (x, 9)))
    assert len(sent) == before
    assert not stream.behind()
    stream.offer(snapshots[1])
    assert [m["type"] for m, _ in sent[before:]] == ["state", "frame"]


def test_what_else_changes_in_a_run_is_told_at_once(stream, sent, snapshots):
    stream.offer(snapshots[0])
    stream.acknowledge("a", 1)
    for change in ({"message": "so"}, {"can_undo": False}, {"trouble": "oh"}):
        before = len(sent)
        stream.offer(dataclasses.replace(snapshots[0], **change))
        assert [m["type"] for m, _ in sent[before:]] == ["state"]
    before = len(sent)
    drag = begin_with(
        snapshots[0].model.generator, snapshots[0].document.drag.ws, [(1, (9, 9), (20, 20)), (2, (3, 3), (5, 5))]
    )
    drag = dataclasses.replace(drag, edit=dataclasses.replace(drag.edit, latent=snapshots[0].document.drag.ws))
    stream.offer(dataclasses.replace(snapshots[0], document=dataclasses.replace(snapshots[0].document, drag=drag)))
    assert [m["type"] for m, _ in sent[before:]] == ["state"]


def test_a_target_moved_in_a_run_is_told_when_the_run_ends(stream, sent, snapshots):
    stream.offer(snapshots[0])
    stream.acknowledge("a", 1)
    moved = pulled(snapshots[0], (5, 9))
    stream.offer(moved)
    before = len(sent)
    stream.offer(settled(moved))
    assert [m["type"] for m, _ in sent[before:]] == ["state", "frame"]


def test_what_is_found_out_later_of_the_newest_picture_is_told_without_another_frame(stream, sent, snapshots):
    stream.offer(settled(snapshots[0]))
    stream.retell()
    assert [message["type"] for message, _ in sent] == ["state", "frame", "state"]
