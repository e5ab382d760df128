"""The widget in a real kernel, its page played over the wire. ``tests/matrix.py`` runs this with other versions too."""

from __future__ import annotations

import queue
import time

import pytest
from ipykernel.kernelbase import Kernel
from jupyter_client.manager import start_new_kernel

SHOW = """
import sys, time, asyncio
from draggan_widget import DragConfig, DragGAN
from draggan_widget.models import StyleGAN2
import torch
torch.set_num_threads(1)
generator = StyleGAN2(64, z_dim=16, w_dim=16, channels={4: 16, 8: 16, 16: 8, 32: 8, 64: 4}, mapping_layers=2)
endless = DragConfig(learning_rate=0.01, tolerance=0.0, stall_steps=None, max_steps=None)
editor = DragGAN(generator, seed=3, config=endless)
editor
"""
VIEW = "application/vnd.jupyter.widget-view+json"


class WirePage:
    """A page that knows the kernel by its messages only."""

    def __init__(self, client) -> None:
        self.client, self.comm, self.subshell = client, None, None
        self.heard, self.ended, self.printed, self.shown = [], {}, "", {}

    def hear(self, timeout=0.2) -> None:
        """Takes in one message, if one comes in time; draws frames and says so."""
        try:
            message = self.client.get_iopub_msg(timeout=timeout)
        except queue.Empty:
            return
        kind, content = message["msg_type"], message["content"]
        if kind == "comm_open" and "_esm" in content["data"]["state"]:
            self.comm = content["comm_id"]
        elif kind == "comm_msg" and content["comm_id"] == self.comm and content["data"]["method"] == "custom":
            said = content["data"]["content"]
            self.heard.append(said)
            if said["type"] == "frame":
                assert len(message["buffers"][0]) > 100
                self.say("ack", view="wire", seq=said["seq"], pull=False)
        elif kind == "execute_result":
            self.shown.update(content["data"])
        elif kind == "stream":
            self.printed += content["text"]
        elif kind == "error":
            raise AssertionError("\n".join(content["traceback"]))
        elif kind == "status" and content["execution_state"] == "idle":
            self.ended[message["parent_header"]["msg_id"]] = time.monotonic()

    def until(self, condition, timeout=60) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, self.heard[-3:]
            self.hear()

    def run(self, code) -> str:
        """Begins a cell."""
        return self.client.execute(code)

    def say(self, kind, **fields) -> None:
        data = {"method": "custom", "content": {"type": kind, **fields}}
        message = self.client.session.msg("comm_msg", {"comm_id": self.comm, "data": data})
        if self.subshell is not None:
            message["header"]["subshell_id"] = self.subshell
        self.client.shell_channel.send(message)

    def take_subshell(self) -> None:
        """Sends on a shell of its own from now on, where the kernel has such, as JupyterLab does."""
        if not hasattr(Kernel, "create_subshell_request"):
            return
        self.client.control_channel.send(self.client.session.msg("create_subshell_request", {}))
        self.subshell = self.client.get_control_msg(timeout=20)["content"]["subshell_id"]

    def state(self) -> dict:
        return next((said for said in reversed(self.heard) if said["type"] == "state"), {})

    def frames(self) -> int:
        return sum(said["type"] == "frame" for said in self.heard)


@pytest.fixture
def page():
    manager, client = start_new_kernel(kernel_name="python3", startup_timeout=60)
    page = WirePage(client)
    cell = page.run(SHOW)
    page.until(lambda: cell in page.ended)
    yield page
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_in_a_real_kernel_it_shows_follows_stops_and_bears_busy_cells(page):
    assert page.comm is not None
    assert {VIEW, "image/jpeg", "text/plain"} <= {*page.shown}
    page.take_subshell()
    page.say("ready", view="wire")
    page.until(lambda: page.frames() > 0 and page.state())
    page.say("point", id=1, handle=[30, 30], target=[44, 30], pulling=False)
    for cell in (None, "await asyncio.sleep(6)", "time.sleep(6)"):
        page.say("start")
        page.until(lambda: page.state()["status"] == "running")
        seen, running = page.frames(), None
        if cell is not None:
            page.printed = ""
            running = page.run(f"print('busy', flush=True); {cell}")
            page.until(lambda: "busy" in page.printed)
        page.until(lambda seen=seen: page.frames() > seen + 2)
        assert running not in page.ended, "pictures follow while the cell runs"
        page.say("stop")
        page.until(lambda: page.state()["status"] == "stopped")
        if running is not None:
            if page.subshell is not None:
                assert running not in page.ended, "where there are subshells, Stop does not wait for the cell"
            page.until(lambda running=running: running in page.ended)
    page.say("ping", view="wire")
    page.until(lambda: page.heard[-1]["type"] == "pong")


def test_a_cell_that_is_run_again_lets_go_of_its_first_editor(page):
    again = page.run(SHOW)
    page.until(lambda: again in page.ended)
    held = "import gc; gc.collect(); print(sum(issubclass(type(each), DragGAN) for each in gc.get_objects()))"
    deadline = time.monotonic() + 60
    while True:
        page.printed = ""
        count = page.run(held)
        page.until(lambda count=count: count in page.ended)
        if page.printed.strip() == "1":
            break
        assert time.monotonic() < deadline, page.printed
