"""Named helpers for what tests do in JupyterLab and in the widget: no test knows a selector of the host."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Frame, Page, expect
from playwright.sync_api import TimeoutError as LateError

EDITOR = ".draggan-widget"
PLACES = """root => ['.dg-stage', '.dg-status', '.dg-timeline', '.dg-toolbar button:not([data-away])']
    .flatMap(found => [...root.querySelectorAll(found)])
    .map(element => element.getBoundingClientRect()).map(({x, y, width}) => [x, y, width].map(Math.round))"""
SHOW = """
import torch
from draggan_widget import DragConfig, DragGAN
from draggan_widget.models import StyleGAN2

torch.manual_seed(0)
torch.set_num_threads(1)
generator = StyleGAN2(64, z_dim=16, w_dim=16, channels={4: 16, 8: 16, 16: 8, 32: 8, 64: 4}, mapping_layers=2,
                      mapping_lr_multiplier=1.0)
fast = DragConfig(learning_rate=0.05, max_steps=40)
# Slow, or a handle comes to lie on its target to the last bit, and the run ends.
endless = fast.replace(learning_rate=0.001, tolerance=0.0, stall_steps=None, max_steps=None)
editor = DragGAN(generator, seed=3, config=fast)
editor
"""
"""A cell that shows the pictures of a small random network, whose edits take a moment."""
BUSY = {"awaits": "import asyncio; await asyncio.sleep(6)", "blocks": "import time; time.sleep(6)"}
"""What may keep the kernel from hearing that *Stop* was pressed."""
STATUS = "editor._session.latest.status"
"""What the edit is doing, asked in the kernel: at the end of a busy cell, whether *Stop* was heard before it."""


def wait_for_output(page: Page, run: Callable[[], str], said: str, timeout: float = 30) -> None:
    """Calls ``run`` again and again until it gives ``said``."""
    deadline = time.monotonic() + timeout
    while (found := run().strip()) != said:
        assert time.monotonic() < deadline, f"{found!r} instead of {said!r}"
        page.wait_for_timeout(50)


class Lab:
    """A running JupyterLab on a folder."""

    def __init__(self, browser: Browser, url: str, token: str, folder: Path) -> None:
        self.browser, self.url, self.token, self.folder = browser, url, token, folder
        self.pages: list[Page] = []
        self.share = folder.parent / "jupyter_path"
        """Where the server finds further kernels."""

    def write(self, name: str, *cells: str) -> str:
        """A notebook of code cells."""
        code = [
            {
                "cell_type": "code",
                "id": f"c{n}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": source,
            }
            for n, source in enumerate(cells)
        ]
        spec = {"display_name": "Python 3", "language": "python", "name": "python3"}
        notebook = {"cells": code, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}
        (self.folder / name).write_text(json.dumps(notebook))
        return name

    def open(
        self,
        name: str,
        *,
        width: int = 1100,
        height: int = 1000,
        scale: float = 1,
        page: Page | None = None,
        classic: bool = False,
        timeout: float = 60,
    ):
        """A notebook in a page, its kernel ready within so many seconds; ``classic``: in Notebook 7."""
        if page is None:
            context = self.browser.new_context(viewport={"width": width, "height": height}, device_scale_factor=scale)
            page = context.new_page()
            self.pages.append(page)
        place = f"notebooks/{name}?" if classic else f"lab/tree/{name}?reset&"
        page.goto(f"{self.url}/{place}token={self.token}")
        page.wait_for_function(
            "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel", timeout=1000 * timeout
        )
        return Notebook(page)

    def open_without_kernel(self, name: str, *, classic: bool = False) -> Page:
        """A notebook whose kernel is not to be had here, in a page; asked for another, it chooses none."""
        page = self.browser.new_context(viewport={"width": 1100, "height": 1000}).new_page()
        self.pages.append(page)
        place = f"notebooks/{name}?" if classic else f"lab/tree/{name}?reset&"
        page.goto(f"{self.url}/{place}token={self.token}")
        page.get_by_role("dialog").get_by_role("button", name="No Kernel").click(timeout=30_000)
        return page

    def close_pages(self) -> None:
        """Ends what tests opened, kernels included."""
        for page in self.pages:
            page.evaluate("window.jupyterapp?.serviceManager.sessions.shutdownAll()")
            page.context.close()
        self.pages.clear()


class Notebook:
    """A notebook that is open in a page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def run_all(self) -> None:
        """Run all cells; returns at once."""
        self.page.evaluate("void jupyterapp.commands.execute('notebook:run-all-cells')")

    def run_below_first(self) -> None:
        """Run the code cells after the first one again, and wait for their end."""
        self.page.evaluate(
            """async () => {
                const {content} = jupyterapp.shell.currentWidget;
                content.activeCellIndex = content.widgets.findIndex(cell => cell.model.type === 'code') + 1;
                await jupyterapp.commands.execute('notebook:run-all-below');
            }"""
        )

    def execute(self, code: str, timeout: float = 30) -> tuple[str, float]:
        """Run code in the kernel beside the notebook; what it printed, and the seconds until it had answered."""
        script = """async (code) => {
            const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            const began = performance.now();
            const future = kernel.requestExecute({code, store_history: false});
            let text = '';
            future.onIOPub = (message) => {
                const content = message.content;
                if (message.header.msg_type === 'stream') text += content.text;
                if (message.header.msg_type === 'error') text += content.ename + ': ' + content.evalue;
            };
            await future.done;
            return [text, (performance.now() - began) / 1000];
        }"""
        self.page.set_default_timeout(timeout * 1000)
        text, seconds = self.page.evaluate(script, code)
        return text, seconds

    def occupy(self, code: str) -> None:
        """Runs code in the kernel beside the notebook; returns when it has begun. ``wait_for_cell`` is for its end."""
        self.page.evaluate(
            """code => {
                window.cellDone = false;
                window.cellSaid = '';
                const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const future = kernel.requestExecute({code: "print('busy', flush=True)\\n" + code});
                future.done.then(() => { window.cellDone = true; });
                return new Promise(resolve => {
                    future.onIOPub = message => {
                        if (message.header.msg_type !== 'stream') return;
                        window.cellSaid += message.content.text;
                        resolve();
                    };
                });
            }""",
            f"{code}\nprint({STATUS})",
        )

    def wait_for_cell(self) -> str:
        """Until the cell that was begun has ended; what the edit was doing then."""
        self.page.wait_for_function("window.cellDone", timeout=30_000)
        return self.page.evaluate("window.cellSaid").split()[-1]

    def wait_for_output(self, code: str, said: str, timeout: float = 30) -> None:
        """Runs code in the kernel again and again until it prints ``said``."""
        wait_for_output(self.page, lambda: self.execute(code)[0], said, timeout)

    def wait_for_kernels_picture(self, editor: Editor) -> None:
        """Waits until a view shows the newest picture of ``editor``, to the bit, and not one from before."""
        data = "import base64; print(base64.b64encode(editor.image.tobytes()).decode())"
        picture = editor.picture()
        kernels = base64.b64decode(self.execute(data)[0])
        editor.wait_for_that_picture(Image.frombytes("RGB", picture.size, kernels))

    def set_theme(self, name: str) -> None:
        """ "JupyterLab Light" or "JupyterLab Dark"."""
        self.page.evaluate("name => jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name)
        light = "false" if "Dark" in name else "true"
        self.page.wait_for_function(f"document.body.dataset.jpThemeLight === '{light}'")

    def editor(self, index: int = 0) -> Editor:
        """A view of the widget, once it shows a picture."""
        root = self.page.locator(EDITOR).nth(index)
        root.wait_for(timeout=60_000)
        editor = Editor(self.page, root)
        editor.wait_for_picture()
        return editor


class Editor:
    """One view of the widget, in a page or in a frame of one."""

    def __init__(self, page: Page | Frame, root) -> None:
        self.page, self.root = page, root
        self.mouse = page.mouse if isinstance(page, Page) else page.page.mouse
        self.canvas = root.locator('canvas[data-layer="image"]')
        self.sentence = root.locator(".dg-sentence")
        """What the status line says for the eye. For the ear it is ``said``, of progress only now and then."""
        self.said = root.locator("[aria-live]").first

    # --- what it shows

    @property
    def status(self) -> str:
        return self.root.get_attribute("data-status")

    @property
    def step(self) -> int:
        return int(self.root.get_attribute("data-step"))

    def wait_for_status(self, *statuses: str, timeout: float = 60) -> str:
        """Waits until the status is one of these; returns it."""
        self.page.wait_for_function(
            "([root, wanted]) => wanted.includes(root.dataset.status)",
            arg=[self.root.element_handle(), list(statuses)],
            timeout=timeout * 1000,
        )
        return self.status

    def wait_for_exact_step(self, step: int) -> None:
        """Waits until just so many steps are done, after an undo say."""
        expect(self.root).to_have_attribute("data-step", str(step), timeout=30_000)

    def wait_for_step(self, step: int, timeout: float = 60) -> None:
        """Waits until so many steps are done."""
        self.page.wait_for_function(
            "([root, step]) => Number(root.dataset.step) >= step",
            arg=[self.root.element_handle(), step],
            timeout=timeout * 1000,
        )

    def wait_for_picture(self, timeout: float = 60) -> None:
        """Waits until the image layer holds a picture, not blankness."""
        self.page.wait_for_function(
            """canvas => {
                if (canvas.width < 16) return false;
                const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
                const first = data[0];
                for (let i = 0; i < data.length; i += 4) if (data[i + 3] === 255 && data[i] !== first) return true;
                return false;
            }""",
            arg=self.canvas.element_handle(),
            timeout=timeout * 1000,
        )

    def picture(self) -> Image.Image:
        """The pixels of the image layer."""
        data = self.canvas.evaluate("canvas => canvas.toDataURL('image/png')")
        return Image.open(io.BytesIO(base64.b64decode(data.split(",")[1]))).convert("RGB")

    def wait_for_other_picture(self, than: Image.Image, timeout: float = 30) -> Image.Image:
        """Waits until the image layer differs from ``than``."""
        deadline = time.monotonic() + timeout
        while (now := self.picture()).tobytes() == than.tobytes():
            assert time.monotonic() < deadline, "the picture stays as it is"
            self.page.wait_for_timeout(50)
        return now

    def wait_for_that_picture(self, picture: Image.Image, timeout: float = 30) -> None:
        """Waits until the image layer shows just that one."""
        deadline = time.monotonic() + timeout
        while self.picture().tobytes() != picture.tobytes():
            assert time.monotonic() < deadline, "it is another picture that is shown"
            self.page.wait_for_timeout(50)

    def wait_for_lossless(self) -> Image.Image:
        """Waits until the image layer shows the picture of the step that the widget has settled at, without loss."""
        self.page.wait_for_function(
            """([root, canvas]) => canvas.dataset.step === root.dataset.step && canvas.dataset.format === 'png'""",
            arg=[self.root.element_handle(), self.canvas.element_handle()],
            timeout=20_000,
        )
        return self.picture()

    def count_pictures(self) -> None:
        """From now on, note when the image layer first shows the picture of each step."""
        self.canvas.evaluate(
            """canvas => {
                window.seen = new Map();
                let last = null;
                const look = () => {
                    requestAnimationFrame(look);
                    if (canvas.dataset.seq === last) return; // looking costs time that the edit needs
                    last = canvas.dataset.seq;
                    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
                    let hash = 0;
                    for (let i = 0; i < data.length; i++) hash = (hash * 31 + data[i]) | 0;
                    const {step} = canvas.dataset;
                    const known = [...window.seen.values()].some(other => other.hash === hash);
                    if (!known && !window.seen.has(step)) window.seen.set(step, {hash, at: performance.now()});
                };
                look();
            }"""
        )

    def pictures_seen(self) -> list[tuple[int, float]]:
        """Step and milliseconds of each different picture that was seen since ``count_pictures``, one a step."""
        return self.page.evaluate("[...window.seen].map(([step, {at}]) => [Number(step), at])")

    def wait_for_pictures(self, count: int, timeout: float = 30) -> None:
        """Waits until so many different pictures were seen since ``count_pictures``.

        :raises AssertionError: if they do not come, with what the page shows instead.
        """
        try:
            self.page.wait_for_function("count => window.seen.size >= count", arg=count, timeout=timeout * 1000)
        except LateError as error:
            points = self.root.locator('[aria-label^="Point "]').evaluate_all("all => all.map(each => each.ariaLabel)")
            data = self.root.evaluate("root => ({...root.dataset})")
            raise AssertionError(
                f"{len(self.pictures_seen())} of {count} pictures came: {data}, {points}, {self.said.inner_text()!r}"
            ) from error

    def expect_points(self, count: int) -> None:
        """Waits until so many points, each a handle or a target, are there to be focused.

        The view hears of them after it has shown the picture, so they may come and go while a test looks.
        """
        expect(self.root.locator('[aria-label^="Point "]')).to_have_count(count, timeout=20_000)

    # --- what a person does

    def button(self, label: str):
        return self.root.get_by_label(label, exact=True).first

    def click(self, label: str) -> None:
        self.button(label).click()

    def open_settings(self) -> None:
        """Opens *All settings*, and waits until they are there: the kernel says what settings there are."""
        self.click("All settings")
        expect(self.root.locator(".dg-setting:visible").first).to_be_visible()

    def wait_until_drawn(self) -> None:
        """Waits until what the view knows is drawn over the picture: that is done with the next animation frame.

        What the words and the attributes tell does not wait for it.
        """
        self.root.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def place(self) -> dict[str, float]:
        """Where the picture is on the page, once nothing above it grows or scrolls any more."""
        self.canvas.scroll_into_view_if_needed()
        self.canvas.evaluate(
            """async canvas => {
                const until = performance.now() + 3000;
                const place = () => JSON.stringify(canvas.getBoundingClientRect());
                const frame = () => new Promise(requestAnimationFrame);
                for (let last = '', same = 0; same < 2 && performance.now() < until; ) {
                    const now = place();
                    same = now === last ? same + 1 : 0;
                    last = now;
                    await frame();
                }
            }"""
        )
        return self.canvas.bounding_box()

    def at(self, xy) -> tuple[float, float]:
        """Where an image pixel is on the page; see ``place``."""
        box = self.place()
        width, height = self.canvas.evaluate("canvas => [canvas.width, canvas.height]")
        return box["x"] + (xy[0] + 0.5) * box["width"] / width, box["y"] + (xy[1] + 0.5) * box["height"] / height

    def pull(self, start, end, *, steps: int = 8, release: bool = True) -> None:
        """Press on one image pixel, and move to another with the button down."""
        self.mouse.move(*self.at(start))
        self.mouse.down()
        self.mouse.move(*self.at(end), steps=steps)
        if release:
            self.mouse.up()

    def stop(self, timeout: float = 20) -> float:
        """Press *Stop*; the milliseconds until the view says that it has stopped. Fails after ``timeout`` seconds."""
        return self.root.evaluate(
            """(root, timeout) => new Promise((resolve, reject) => {
                const began = performance.now();
                const stopped = () => root.dataset.status === 'stopped' && resolve(performance.now() - began);
                new MutationObserver(stopped).observe(root, {attributes: true});
                root.querySelector('[aria-label="Stop"]').click();
                setTimeout(() => reject(new Error(`no stop within ${timeout} s`)), 1000 * timeout);
            })""",
            timeout,
        )

    def expect_status(self, status: str) -> None:
        expect(self.root).to_have_attribute("data-status", status, timeout=60_000)
