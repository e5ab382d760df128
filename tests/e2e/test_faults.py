"""What goes wrong in a notebook, in JupyterLab: the editor stays calm, says what is so, and obeys Stop."""

from __future__ import annotations

import hashlib

import pytest
from playwright.sync_api import expect
from test_editing import MASK

pytestmark = pytest.mark.browser

SLOW = {"offline": False, "latency": 150, "downloadThroughput": 100_000, "uploadThroughput": 100_000}
FAST = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
DIGEST = "import hashlib; print(hashlib.md5(editor.image.tobytes()).hexdigest())"

WATCH_FRAMES = """canvas => {
    window.drawn = [];
    window.watcher?.disconnect();
    window.watcher = new MutationObserver(() => window.drawn.push(Number(canvas.dataset.seq)));
    window.watcher.observe(canvas, {attributeFilter: ['data-seq']});
}"""

LOSE_ACKS = """() => {
    // Of the acknowledgements each third is lost, and of the others each second one overtakes the one before it.
    const send = WebSocket.prototype.send;
    let count = 0, late = null;
    window.acks = {lost: 0, late: 0};
    WebSocket.prototype.send = function (data) {
        const text = typeof data === 'string' ? data : new TextDecoder().decode(data);
        if (!/"type":\\s*"ack"/.test(text)) return send.call(this, data);
        count += 1;
        if (count % 3 === 0) { window.acks.lost += 1; return; }
        if (late === null) { late = data; return; }
        send.call(this, data);
        send.call(this, late);
        late = null;
        window.acks.late += 1;
    };
    window.mendAcks = () => { WebSocket.prototype.send = send; };
}"""


def endless(notebook):
    """Runs no longer end by themselves."""
    notebook.execute("editor.config = endless")


def in_order(page):
    """Whether no frame was drawn that is older than one before it."""
    return page.evaluate("window.drawn.every((seq, n) => n === 0 || seq > window.drawn[n - 1])")


def test_on_a_slow_line_the_page_answers_no_older_frame_is_drawn_and_stop_reaches_the_worker(notebook):
    editor = notebook.editor()
    endless(notebook)
    editor.canvas.evaluate(WATCH_FRAMES)
    line = editor.page.context.new_cdp_session(editor.page)
    line.send("Network.enable")
    line.send("Network.emulateNetworkConditions", SLOW)
    try:
        editor.pull((30, 30), (44, 30))
        editor.wait_for_step(3)
        editor.click("Hold")  # what is the page's own does not wait for the kernel
        expect(editor.button("Hold")).to_have_attribute("aria-pressed", "true")
        editor.page.wait_for_function("window.drawn.length >= 4", timeout=60_000)
        stopped_at = editor.step
        editor.click("Stop")
        editor.wait_for_status("stopped")
        # What was under way when Stop was pressed: the picture does not play on for long.
        assert editor.page.evaluate("window.drawn.length") > 0
        under_way = notebook.execute("print(editor.step)")[0]
        print("stopped", stopped_at, under_way, editor.page.evaluate("window.drawn"))
        assert in_order(editor.page)
    finally:
        line.send("Network.emulateNetworkConditions", FAST)
    picture = editor.wait_for_lossless()
    assert notebook.execute(DIGEST)[0].strip() == hashlib.md5(picture.tobytes()).hexdigest()


def test_with_acknowledgements_lost_and_out_of_order_pictures_go_on_and_stop_works(notebook):
    editor = notebook.editor()
    endless(notebook)
    editor.canvas.evaluate(WATCH_FRAMES)
    editor.page.evaluate(LOSE_ACKS)
    try:
        editor.pull((30, 30), (44, 30))
        editor.page.wait_for_function("acks.lost >= 5 && acks.late >= 3 && drawn.length >= 15", timeout=60_000)
        editor.click("Stop")
        editor.wait_for_status("stopped")
        picture = editor.wait_for_lossless()
    finally:
        editor.page.evaluate("mendAcks()")
    assert in_order(editor.page)
    assert notebook.execute(DIGEST)[0].strip() == hashlib.md5(picture.tobytes()).hexdigest()


def test_an_interrupt_ends_the_cell_and_not_the_run(notebook):
    editor = notebook.editor()
    endless(notebook)
    editor.pull((30, 30), (44, 30))
    editor.wait_for_step(3)
    said = editor.page.evaluate(
        """async () => {
            const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            const future = kernel.requestExecute({code: "print('busy', flush=True)\\nimport time; time.sleep(60)"});
            future.onIOPub = ({header}) => { if (header.msg_type === 'stream') kernel.interrupt(); };
            return (await future.done).content.ename;
        }"""
    )
    assert said == "KeyboardInterrupt"
    editor.wait_for_step(editor.step + 3)
    editor.page.evaluate("jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()")
    editor.wait_for_step(editor.step + 3)
    assert editor.status == "running"
    editor.click("Stop")
    editor.wait_for_status("stopped")
    notebook.wait_for_output("print(editor.status)", "stopped")


def test_a_hundred_points_are_set_run_and_taken_away_while_the_page_stays_in_hand(notebook):
    editor = notebook.editor()
    before = editor.root.bounding_box()["height"]
    grid = "[{'handle': [x, y], 'target': [x + 2, y + 1]} for x in range(5, 60, 6) for y in range(5, 60, 6)]"
    notebook.execute(f"editor.config = endless; editor.points = {grid}")
    editor.button("Point 100 target").wait_for(state="attached")
    editor.expect_points(200)
    assert editor.root.bounding_box()["height"] <= before + 66  # as much as the list of points takes at most
    editor.click("Start")
    editor.wait_for_step(2)
    editor.root.locator('[aria-label^="Select point 1:"]').click()
    chip = editor.root.locator(".dg-both[data-selected]")
    expect(chip).to_have_count(1)
    editor.click("Stop")
    editor.wait_for_status("stopped")
    expect(editor.said).to_contain_text("px to go")
    editor.click("Remove all")
    expect(editor.root.locator(".dg-point")).to_have_count(0)
    notebook.wait_for_output("print(editor.points)", "[]")


def test_a_point_pulled_off_the_edge_in_mid_run_stays_at_the_edge(notebook):
    editor = notebook.editor()
    endless(notebook)
    editor.pull((50, 20), (58, 20), release=False)
    editor.wait_for_step(2)
    x, y = editor.at((63, 0))
    editor.page.mouse.move(x + 90, y - 60, steps=5)
    editor.wait_for_step(editor.step + 2)
    editor.page.mouse.up()
    editor.click("Stop")
    editor.wait_for_status("stopped")
    notebook.wait_for_output("print([round(x) for x in editor.points[0]['target']])", "[63, 0]")
    notebook.wait_for_output("print(all(0 <= each <= 63 for each in editor.points[0]['handle']))", "True")


def test_a_brush_that_leaves_the_picture_paints_up_to_its_edge_and_nothing_else(notebook):
    editor = notebook.editor()
    editor.click("Brush")
    editor.pull((56, 40), (75, 40), release=False)
    editor.page.mouse.move(*editor.at((75, 20)), steps=4)
    editor.page.mouse.move(*editor.at((56, 20)), steps=4)
    editor.page.mouse.up()
    notebook.wait_for_output(MASK.format("(63, 40), (63, 20), (63, 30), (30, 30)"), "[1.0, 1.0, 0.0, 0.0]")
    expect(editor.button("Undo")).to_have_attribute("title", "Undo: mask (Ctrl+Z)")  # the page has heard of it
    said = editor.said.inner_text()
    beside = editor.at((70, 50))
    editor.page.mouse.move(*beside)
    editor.page.mouse.down()
    editor.page.mouse.move(beside[0] + 30, beside[1], steps=4)
    editor.page.mouse.up()
    notebook.wait_for_output(MASK.format("(63, 50), (63, 40)"), "[0.0, 1.0]")
    expect(editor.said).to_have_text(said)


def test_start_without_points_and_undo_at_the_first_state_do_nothing_and_say_what_to_do(notebook):
    editor = notebook.editor()
    said, state = (
        "Press on the picture and pull, or open your own photo.",
        "print(editor.status, editor.step, editor.points, editor.seed)",
    )
    expect(editor.root.locator(".dg-sentence")).to_have_text(said)
    expect(editor.button("Start")).to_have_attribute("aria-disabled", "true")
    editor.root.locator(".dg-stage").focus()
    editor.page.keyboard.press("Space")
    assert "ValueError: there are no points yet" in notebook.execute("editor.start()")[0]
    assert notebook.execute(state)[0].strip() == "idle 0 [] 3"
    expect(editor.root.locator(".dg-sentence")).to_have_text(said)
    notebook.execute("while editor._session.newest().can_undo: editor.undo()")
    expect(editor.button("Undo")).to_have_attribute("aria-disabled", "true")
    first = notebook.execute(state)
    editor.page.keyboard.press("Control+z")
    assert notebook.execute(state)[0] == first[0]
    notebook.execute("editor.undo()")
    expect(editor.root.locator("[aria-live]")).to_have_text("nothing to undo yet: the edit is as it began")


HELD = """
import ctypes
names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]
libc = ctypes.CDLL("libc.so.6")
libc.mallinfo2.restype = Info
def held():
    found = libc.mallinfo2()
    return found.uordblks + found.hblkhd
"""
"""What malloc has given out and not got back. What the process has besides, free but in pieces, rises and falls by a
tenth from run to run."""


def test_fifty_runs_of_the_cell_leave_one_editor_one_thread_and_no_more_memory(lab):
    look = (
        "import gc, threading, ipywidgets.widgets.widget as w; gc.collect()\n"
        "print(len([e for e in w._instances.values() if isinstance(e, DragGAN)]),"
        " len([t for t in threading.enumerate() if t.name == 'draggan']))"
    )
    cell = 'from draggan_widget import DragGAN\neditor = DragGAN("faces", seed=9)\neditor'
    notebook = lab.open(lab.write("again.ipynb", cell))

    def run(times):
        for _ in range(times):
            notebook.page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
        notebook.editor()
        notebook.wait_for_output(look, "1 1")
        # IPython records each output, the still picture in it: that is its own to keep.
        notebook.execute("get_ipython().history_manager.outputs.clear()")
        return int(notebook.execute("gc.collect(); print(held())")[0])

    notebook.run_all()
    notebook.execute(HELD)
    warm = run(9)
    assert run(40) < 1.05 * warm
    expect(notebook.page.locator(".draggan-widget")).to_have_count(1)
    lab.close_pages()
