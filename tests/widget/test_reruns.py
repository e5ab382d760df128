"""A cell that is run again, in IPython and marimo: what it made before goes, unless it is still needed."""

from __future__ import annotations

import asyncio
import threading
import weakref

import ipywidgets
import pytest
from IPython.core.interactiveshell import InteractiveShell
from marimo._plugins.ui._impl.anywidget.init import init_marimo_widget
from marimo._plugins.ui._impl.from_anywidget import from_anywidget
from page import Page
from random_stylegan2 import small_stylegan2

from draggan_widget import DragGAN
from draggan_widget.widget.hosts import reruns

CELL = "editor = DragGAN(generator(32))\neditor"


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    shell = InteractiveShell.instance(user_ns={"DragGAN": DragGAN, "generator": small_stylegan2})
    yield shell
    for each in editors():
        each.close()
    shell.reset()
    InteractiveShell.clear_instance()


def run(shell, cell, text=CELL):
    shell.run_cell(text, store_history=True, cell_id=cell).raise_error()


def editors():
    """Those that the notebook knows of."""
    return [widget for widget in reruns._registered().values() if isinstance(widget, DragGAN)]


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "draggan"]


def test_a_cell_that_is_run_again_leaves_one_editor_and_one_thread(shell):
    made = []
    for _ in range(4):
        run(shell, "a")
        made.append(weakref.ref(shell.user_ns["editor"]))
    assert editors() == [shell.user_ns["editor"]]
    assert shell.user_ns["Out"][1] is None
    assert shell.user_ns["Out"][4] is shell.user_ns["_"] is shell.user_ns["editor"]
    assert [reference() for reference in made] == [None, None, None, shell.user_ns["editor"]]
    assert len(threads()) <= 1


def test_a_list_of_its_history_does_not_keep_an_editor(shell):
    lists = "from draggan_widget.analysis import history_list\n" + CELL.replace("\neditor", "\nhistory_list(editor)")
    run(shell, "a", lists)
    first, rows = weakref.ref(shell.user_ns["editor"]), shell.user_ns["_"]
    run(shell, "a", lists)
    assert first() is None
    rows.options = [*rows.options, ("step 1", 1)]
    rows.value = 1  # there is nothing to show it any more
    assert editors() == [shell.user_ns["editor"]]


def test_where_no_cell_is_named_the_same_text_is_the_same_cell(shell):
    for _ in range(2):
        run(shell, None)
    assert len(editors()) == 1


def test_editors_of_other_cells_stay(shell):
    run(shell, "a")
    run(shell, "b", CELL.replace("editor", "other"))
    run(shell, "b", "5 * 5")
    assert len(editors()) == 2


def test_an_editor_that_somebody_holds_stays_as_it_was(shell):
    run(shell, "a")
    shell.user_ns["kept"] = [shell.user_ns["editor"]]
    run(shell, "a")
    run(shell, "a")
    kept = shell.user_ns["kept"][0]
    assert set(editors()) == {kept, shell.user_ns["editor"]}
    assert shell.user_ns["Out"][1] is shell.user_ns["_1"] is kept
    page = Page(kept)
    page.say("ready", view="page")
    page.wait_for(lambda p: p.of("frame"))


@pytest.fixture
def marimo():
    """Widgets get comms of marimo's."""
    if int(ipywidgets.__version__.split(".")[0]) < 8:
        pytest.skip("marimo's comms need ipywidgets 8")
    constructed = ipywidgets.Widget._widget_construction_callback
    ipywidgets.Widget.on_widget_constructed(init_marimo_widget)
    yield
    ipywidgets.Widget.on_widget_constructed(constructed)


def test_in_marimo_runs_of_a_cell_leave_one_editor_though_no_page_said_bye(marimo, monkeypatch):
    monkeypatch.setattr(reruns, "DELAYS", (0.0, 0.1, 0.5))
    generator = small_stylegan2(32)

    def run():
        editor = DragGAN(generator)
        from_anywidget(editor)
        Page(editor).say("ready", view="page")
        return weakref.ref(editor), editor.comm

    async def cells():
        made = []
        for _ in range(6):
            if made:
                made[-1][1].close()  # which is all that marimo does before a cell runs again, but for its variables
            made.append(run())
        while sum(reference() is not None for reference, _ in made) > 1:
            await asyncio.sleep(0.01)
        assert len(editors()) == 1
        assert len(threads()) <= 1
        editors()[0].close()

    asyncio.run(asyncio.wait_for(cells(), 60))


def test_in_marimo_an_editor_that_somebody_holds_can_still_be_used(marimo):
    editor = DragGAN(small_stylegan2(32), points=[{"handle": [9, 9], "target": [12, 9]}])
    editor.comm.close()
    editor.step_once()
    assert editor._session.now().drag.step == 1
    editor.close()
    assert editors() == []


def test_an_editor_that_a_page_still_shows_stays_until_its_view_leaves(shell, monkeypatch):
    monkeypatch.setattr(reruns, "DELAYS", (0.0, 0.1, 0.5))

    async def cells():
        run(shell, "a")
        page = Page(shell.user_ns["editor"])
        page.say("ready", view="page")
        run(shell, "a")
        assert page.editor in editors()
        page.say("bye", view="page")
        del page
        while len(editors()) > 1:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(cells(), 20))
