"""A stand-in for VS Code on a real kernel; ``vscode_host.js`` says what is like VS Code in it."""

from __future__ import annotations

from host import Lab
from standin import HERE, Standin

WEBVIEW = """<!doctype html><meta charset="utf-8">
<style>
  body { background: transparent; color: var(--vscode-editor-foreground); margin: 0; padding: 0 20px; }
</style>
<body>
<script>
  addEventListener("keydown", (event) => {
    const {key, ctrlKey, metaKey, shiftKey, code} = event;
    if ((ctrlKey || metaKey) && ["z", "y", "p", "f", "s"].includes(key.toLowerCase())) event.preventDefault();
    parent.postMessage({key, ctrl: ctrlKey || metaKey, shift: shiftKey, code}, "*");
  });
  addEventListener("message", ({data}) => {
    if (!data.theme) return;
    document.body.className = `vscode-${data.theme}`;
    if (data.theme === "high-contrast-light") document.body.classList.add("vscode-high-contrast"); // as VS Code does
    document.documentElement.style.cssText = "";
    for (const [name, value] of Object.entries(data.styles))
      document.documentElement.style.setProperty(`--vscode-${name}`, value);
  });
</script>
<script type="module" src="/frame.js"></script>"""


class VSCode(Standin):
    """A notebook there."""

    def __init__(self, lab: Lab) -> None:
        frame = (HERE / "frame.js").read_text()
        pages = {"http://webview.localhost/": WEBVIEW.replace(' src="/frame.js">', f">{frame}")}
        super().__init__(lab, "vscode_host.js", "python3", pages)

    def expect_keys(self, *keys: str) -> None:
        """Waits until these keys, and no others, have come to the notebook since it was last asked."""
        self._expect("keys", keys)

    def expect_commands(self, *commands: str) -> None:
        """Waits until these commands, and no others, have run since it was last asked."""
        self._expect("ran", commands)

    def forget_keys(self) -> None:
        """What was pressed so far is asked for no more."""
        self._come("keys")
        self._come("ran")

    def _expect(self, name: str, wanted: tuple[str, ...]) -> None:
        self.page.wait_for_function("([name, count]) => host[name].length >= count", arg=[name, len(wanted)])
        assert self._come(name) == list(wanted)

    def _come(self, name: str) -> list[str]:
        # What the webview tells comes a moment later.
        script = "name => new Promise(resolve => setTimeout(() => resolve(host[name].splice(0)), 100))"
        return self.page.evaluate(script, name)

    def set_theme(self, name: str) -> None:
        """ "light", "dark", "high-contrast" or "high-contrast-light"."""
        self.page.evaluate("name => host.setTheme(name)", name)
