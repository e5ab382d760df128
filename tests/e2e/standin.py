"""A notebook in a stand-in for a host that cannot run here: its page, its kernel, its outputs."""

from __future__ import annotations

from pathlib import Path

from host import EDITOR, STATUS, Editor, Lab, wait_for_output

HERE = Path(__file__).parent


class Standin:
    """A notebook there, with a kernel of its own. ``script`` says what is like the host in it."""

    def __init__(self, lab: Lab, script: str, kernel: str, pages: dict[str, str] | None = None) -> None:
        """:param pages: further pages to serve, by their addresses."""
        self.page = lab.browser.new_context(viewport={"width": 900, "height": 1300}).new_page()
        self.token = lab.token
        for name in (script, "outputs.js", "frame.js"):
            text = (HERE / name).read_text()
            self._serve(f"{lab.url}/{name}", text, "text/javascript")
        for address, text in (pages or {}).items():
            self._serve(address, text, "text/html")
        # A page of the server, emptied: one that is only made up may not talk to this machine.
        self.page.goto(f"{lab.url}/login")
        self.page.set_content("<!doctype html><body>")
        self.page.add_script_tag(url=f"{lab.url}/{script}", type="module")
        self.page.wait_for_function("window.host")
        self.page.evaluate("([name, token]) => host.connect(name, token)", [kernel, lab.token])

    def _serve(self, address: str, text: str, kind: str) -> None:
        headers = {"access-control-allow-origin": "*"}
        self.page.route(address, lambda route: route.fulfill(body=text, content_type=kind, headers=headers))

    def run(self, code: str, cell: int = 1) -> str:
        """Run a cell, and wait for its end; what it printed."""
        return self.page.evaluate("([cell, code]) => host.run(cell, code)", [cell, code])

    def wait_for_output(self, code: str, said: str, timeout: float = 30) -> None:
        """Runs code in a cell of its own again and again until it prints ``said``."""
        wait_for_output(self.page, lambda: self.run(code, 2), said, timeout)

    def occupy(self, code: str) -> None:
        """Begin a cell that takes its time; ``wait_for_cell`` waits for its end."""
        script = """code => {
            window.cellDone = false;
            void host.run(9, code).then(said => Object.assign(window, {cellDone: true, cellSaid: said}));
        }"""
        self.page.evaluate(script, f"{code}\nprint({STATUS})")

    def wait_for_cell(self) -> str:
        """Until the cell that was begun has ended; what the edit was doing then."""
        self.page.wait_for_function("window.cellDone", timeout=30_000)
        return self.page.evaluate("window.cellSaid").split()[-1]

    def editor(self, index: int = 0) -> Editor:
        """The view in an output, once it shows a picture."""
        element = self.page.locator("iframe").nth(index)
        element.wait_for(timeout=30_000)
        frame = element.element_handle().content_frame()
        root = frame.locator(EDITOR)
        root.wait_for(timeout=60_000)
        editor = Editor(frame, root)
        editor.wait_for_picture()
        return editor

    def close(self) -> None:
        """Ends the kernel and the page."""
        end = (
            "token => fetch(`/api/kernels/${host.id}`, {method: 'DELETE', headers: {Authorization: `token ${token}`}})"
        )
        self.page.evaluate(end, self.token)
        self.page.context.close()
