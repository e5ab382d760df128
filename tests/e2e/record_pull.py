"""Records a pull in the real widget for the README: ``python tests/e2e/record_pull.py docs/pull.gif``.

JupyterLab and Chromium are driven as in the tests. The pointer, which no screenshot shows, is drawn by the page.
"""

from __future__ import annotations

import io
import itertools
import sys
import tempfile
import time
from pathlib import Path

from conftest import FLAGS, TOKEN, chromium, serving
from host import Lab
from PIL import Image
from playwright.sync_api import sync_playwright

CELL = """
from draggan_widget import Editor

editor = Editor("faces", seed=9)
editor
"""
#: Picture pixels: what is pulled, and where to.
PULLS = [((98, 174), (86, 165)), ((141, 163), (155, 155))]
WIDTH = 420
#: Small and strong colours, which a palette of what there is most of would lose.
STRONG = ("#ff4f5e", "#2b8cff", "#1976d2", "#1669bb", "#d9e7f7", "#1a8f4c", "#d4737b", "#e08d90", "#b9555f")
MOST_FRAMES = 48
MOST_BYTES = 3_000_000
POINTER = """() => {
    const arrow = document.createElement('div');
    arrow.innerHTML = '<svg width="22" height="22" viewBox="0 0 22 22"><path d="M3 2l14 9-6.5 1L8 19z" ' +
        'fill="#fff" stroke="#111" stroke-width="1.5" stroke-linejoin="round"/></svg>';
    arrow.style.cssText = 'position:fixed;z-index:99999;pointer-events:none;left:-40px;top:0';
    document.body.append(arrow);
    window.addEventListener('pointermove', ({clientX, clientY}) => {
        arrow.style.left = clientX - 3 + 'px';
        arrow.style.top = clientY - 2 + 'px';
    }, true);
}"""


class Film:
    """Pictures of one part of the page and how long each was to be seen."""

    def __init__(self, page, clip: dict[str, float]) -> None:
        self.page, self.clip = page, clip
        self.frames: list[tuple[float, Image.Image]] = []

    def shoot(self) -> None:
        png = self.page.screenshot(clip=self.clip, animations="disabled", caret="hide")
        picture = Image.open(io.BytesIO(png)).convert("RGB")
        size = (WIDTH, round(picture.height * WIDTH / picture.width))
        self.frames.append((time.monotonic(), picture.resize(size, Image.Resampling.LANCZOS)))

    def save(self, path: Path, hold: float = 2.5) -> None:
        if len(self.frames) > MOST_FRAMES:  # a fast machine takes more than a README should load
            last = len(self.frames) - 1
            self.frames = [self.frames[round(n * last / (MOST_FRAMES - 1))] for n in range(MOST_FRAMES)]
        times = [at for at, _ in self.frames]
        seconds = [b - a for a, b in itertools.pairwise(times)] + [hold]
        # One palette for all, from the first, middle and last: colours that change from frame to frame flicker.
        chosen = [self.frames[n][1] for n in (0, len(self.frames) // 2, -1)]
        height = chosen[0].height
        sheet = Image.new("RGB", (WIDTH, len(chosen) * height + 40 * len(STRONG)))
        for n, each in enumerate(chosen):
            sheet.paste(each, (0, n * height))
        for n, colour in enumerate(STRONG):
            sheet.paste(colour, (0, len(chosen) * height + 40 * n, WIDTH, len(chosen) * height + 40 * (n + 1)))
        palette = sheet.quantize(256, method=Image.Quantize.MEDIANCUT)
        flat = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for _, picture in self.frames]
        durations = [max(20, round(1000 * each)) for each in seconds]
        flat[0].save(path, save_all=True, append_images=flat[1:], duration=durations, loop=0, optimize=False)


def record(lab: Lab, path: Path) -> None:
    notebook = lab.open(lab.write("pull.ipynb", CELL), width=1100, height=1250)
    notebook.run_all()
    editor = notebook.editor()
    page = editor.page
    page.evaluate(POINTER)
    editor.root.scroll_into_view_if_needed()
    box = editor.root.bounding_box()
    end = editor.root.locator(".dg-timeline").bounding_box()
    film = Film(page, {**box, "height": end["y"] + end["height"] + 5 - box["y"]})
    film.shoot()
    for start, goal in PULLS:
        (x0, y0), (x1, y1) = editor.at(start), editor.at(goal)
        page.mouse.move(x0, y0)
        film.shoot()
        page.mouse.down()
        for n in range(1, 7):
            page.mouse.move(x0 + (x1 - x0) * n / 6, y0 + (y1 - y0) * n / 6)
            film.shoot()
        page.mouse.up()
        deadline = time.monotonic() + 25
        while editor.status == "running" and time.monotonic() < deadline:
            film.shoot()
        film.shoot()
    page.mouse.move(*editor.at((250, 250)))
    page.wait_for_timeout(1200)  # the small pictures of the timeline come when all is still
    film.shoot()
    film.save(path)


def main(path: str) -> None:
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as home, serving(Path(home)) as (url, folder):
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        lab = Lab(browser, url, TOKEN, folder)
        record(lab, Path(path))
        lab.close_pages()
        browser.close()
    size = Path(path).stat().st_size
    print(f"{path}: {size / 1e6:.1f} MB")
    if size > MOST_BYTES:
        sys.exit("that is more than a README should load")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "docs/pull.gif")
