"""The demo page of the site: the widget before a recording, without any kernel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

ROOT = Path(__file__).parent.parent.parent
SITE = ROOT / "docs" / "site"
STATIC = {
    "index.js": ROOT / "draggan_widget" / "widget" / "static" / "index.js",
    "recorded.js": SITE / "demo" / "recorded.js",
    "recording.json": SITE / "demo" / "recording.json",
    "demo.css": SITE / "demo" / "demo.css",
}
KINDS = {".js": "text/javascript", ".json": "application/json", ".css": "text/css"}

pytestmark = pytest.mark.browser


def body():
    """What the page of the site puts into HTML."""
    return re.search(r"^```\{raw\} html\n(.*?)^```", (SITE / "demo.md").read_text(), re.DOTALL | re.MULTILINE)[1]


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 800, "height": 1000}, reduced_motion="reduce")
    page = context.new_page()

    def answer(route):
        name = route.request.url.rpartition("/")[2]
        if name in STATIC:
            route.fulfill(body=STATIC[name].read_bytes(), content_type=KINDS[STATIC[name].suffix])
        else:
            style = '<link rel="stylesheet" href="../../_static/demo.css">'
            html = f'<!doctype html><meta charset="utf-8">{style}<body>{body()}'
            route.fulfill(body=html, content_type="text/html")

    page.route("**/*", answer)
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.goto("http://localhost:9/docs/site/demo.html")
    yield page
    assert errors == []
    context.close()


def shown(page):
    return page.locator("canvas[data-layer=image]")


def newest(page):
    """The last step of the recording, once that has come."""
    timeline = page.get_by_label("Timeline")
    expect(timeline).to_have_attribute("max", re.compile("[1-9]"))
    return int(timeline.get_attribute("max"))


def test_the_edit_is_scrubbed_and_compared_with_what_was_before(page):
    widget = page.locator(".draggan-widget")
    expect(widget).to_have_attribute("data-status", re.compile("arrived|near|stalled|capped"))
    last = newest(page)
    assert last > 5
    expect(shown(page)).to_have_attribute("data-step", str(last))
    page.get_by_label("Timeline").fill("2")
    expect(shown(page)).to_have_attribute("data-step", "2")
    expect(widget).to_contain_text(f"Looking at step 2 of {last}.")
    page.get_by_label("Before and after").click()
    expect(page.get_by_label("Split")).to_be_visible()
    expect(page.get_by_label("Brush")).to_be_hidden()
    expect(page.get_by_label("Undo")).to_be_hidden()


def test_a_pull_plays_the_recording_and_says_that_it_is_one(page):
    last = newest(page)
    expect(shown(page)).to_have_attribute("data-step", str(last))
    points = page.get_by_label(re.compile(r"^Point \d+ handle$"))
    expect(points).not_to_have_count(0)  # they are drawn after the picture
    before = points.count()
    box = shown(page).bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.3 * box["height"], steps=4)
    page.mouse.up()
    expect(page.locator(".draggan-widget")).to_contain_text("This is a recording")
    expect(page.locator(".draggan-widget")).to_have_attribute("data-status", "running")
    expect(shown(page)).to_have_attribute("data-step", str(last), timeout=30_000)
    expect(page.locator(".draggan-widget")).not_to_have_attribute("data-status", "running")
    expect(points).to_have_count(before)


def test_the_widget_takes_the_theme_that_the_site_was_given(page):
    ground = "getComputedStyle(document.querySelector('.draggan-widget')).colorScheme"
    expect(shown(page)).to_be_visible()
    for theme in ("dark", "light"):
        page.evaluate(f"document.body.dataset.theme = '{theme}'")
        page.wait_for_function(f"{ground} === '{theme}'")
