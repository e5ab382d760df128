"""Where things stand in the page: in narrow and wide rooms, in pages that are scaled, written from right to left, or
have rules of their own for buttons; and what moves when something is said."""

# ruff: noqa: F811
from __future__ import annotations

import pytest
from host import PLACES
from playwright.sync_api import expect
from test_page import editor, sent, tab  # noqa: F401 -- fixtures

pytestmark = pytest.mark.browser

CONTROLS = """root => {
    const there = element => element.checkVisibility({visibilityProperty: true}) && !element.closest('.dg-stage');
    const controls = [...root.querySelectorAll('button, input, select, output, .dg-field > span:not([class])')];
    const shown = controls.filter(each => there(each) && !each.matches('.dg-split') && !each.closest('.dg-card'));
    const name = element => element.getAttribute('aria-label') || element.textContent;
    const box = element => element.getBoundingClientRect();
    const found = [], edge = box(root);
    for (const [n, one] of shown.entries()) {
        const a = box(one);
        if (a.left < edge.left || a.right > edge.right + 0.5) found.push(`${name(one)} sticks out`);
        for (const other of shown.slice(n + 1)) {
            if (one.contains(other) || other.contains(one)) continue;
            const b = box(other);
            const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (width > 0.5 && height > 0.5) found.push(`${name(one)} over ${name(other)}`);
        }
    }
    if (root.scrollWidth > root.clientWidth) found.push('it scrolls sideways');
    return found;
}"""
"""What lies over something else or sticks out."""
ADVICE = "It swings to and fro. Try a nearer target, a larger mask, more rows, a lower learning rate, or undo."
POINT = "[{id: 1, handle: PLACE, target: [40, 30], distance: 20, confidence: 0.1, texture: TEXTURE}]"
HOST = """
button, input, select, label, p, span, canvas, output, #around button { margin: 9px; padding: 20px; min-height: 60px;
    min-width: 90px; letter-spacing: 4px; text-transform: uppercase; box-shadow: 0 0 9px red; float: left; width: 100%;
    transform: translate(30px, 30px); position: relative; top: 40px; border: 7px solid; display: block; }
body div.cell button.dg-button, #around .cell button:not(.other) { margin: 30px; padding: 30px; display: block; }
"""


@pytest.fixture
def room(editor):
    """Sets the size of the window, and waits until the page has taken it in; it is as before afterwards."""
    before = editor.page.viewport_size

    def resize(width, height=1000):
        editor.page.set_viewport_size({"width": width + 16, "height": height})
        editor.page.wait_for_function("([w, h]) => innerWidth === w && innerHeight === h", arg=[width + 16, height])
        for _ in range(2):  # the observers of sizes speak with the first of them
            editor.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    yield resize
    editor.page.set_viewport_size(before)


def boxes(editor, *names):
    return [editor.root.locator(name).bounding_box() for name in names]


def test_nothing_lies_over_anything_else_at_any_width(editor, room):
    editor.open_settings()
    for tool in ("Points", "Rectangle"):
        editor.click(tool)
        for width in (300, 320, 344, 370, 400, 430, 444, 470, 500, 534, 640, 800, 900, 1300):
            room(width)
            assert editor.root.evaluate(CONTROLS) == [], width
            assert boxes(editor, '[aria-label="Truncation"]')[0]["width"] >= 39
            if width == 534:  # where seed and truncation have always stood in one line
                seed, end = boxes(editor, ".dg-seed", ".dg-end")
                assert end["y"] < seed["y"] + seed["height"]


@pytest.mark.parametrize("name", ["Attributes", "Compare engines"])
def test_in_an_open_panel_nothing_lies_over_anything_else_at_any_width(editor, room, name):
    if name == "Compare engines":
        editor.click("All settings")
    editor.click(name)
    panel = editor.root.locator(".dg-more")
    if name == "Attributes":
        expect(panel.get_by_role("slider")).to_have_count(3)
        panel.get_by_role("button", name="Teach your own").click()
    else:
        panel.get_by_role("button", name="Compare", exact=True).click()
        expect(panel.get_by_role("button", name="Go on from")).to_have_count(3)
        panel.get_by_role("button", name="Which engines").click()
    panel.evaluate("panel => { panel.style.maxHeight = 'none'; }")  # what is scrolled away lies over nothing
    for width in (300, 344, 370, 400, 430, 470, 534, 640, 800, 900, 1300):
        room(width)
        assert editor.root.evaluate(CONTROLS) == [], width
        assert panel.evaluate("panel => panel.scrollWidth <= panel.clientWidth"), width


def test_an_open_panel_leaves_the_picture_in_view(editor, room):
    editor.click("Attributes")
    panel = editor.root.locator(".dg-more")
    expect(panel.get_by_role("slider")).to_have_count(3)
    for width in (400, 1000):
        room(width, 900)
        stage, beside = boxes(editor, ".dg-stage", ".dg-more")
        assert beside["y"] + beside["height"] - stage["y"] <= 900, "both are seen at once"
        assert beside["height"] >= 180


def test_on_a_small_screen_the_controls_stand_beside_the_picture_and_all_is_in_view(editor, room):
    room(934, 646)  # what a notebook leaves of 1366 × 768
    expect(editor.root).to_have_attribute("data-wide", "")
    stage, *others = boxes(editor, ".dg-stage", ".dg-toolbar", ".dg-status", ".dg-timeline", ".dg-seed")
    assert stage["height"] == 512
    assert stage["y"] + stage["height"] <= 646
    for box in others:
        assert box["x"] >= stage["x"] + stage["width"]
        assert box["y"] + box["height"] <= 646
    editor.open_settings()
    bottom = editor.root.bounding_box()
    assert bottom["y"] + bottom["height"] <= 646
    editor.click("All settings")
    room(600, 646)  # no width for that: the picture is lower instead
    expect(editor.root).not_to_have_attribute("data-wide", "")
    stage, *others = boxes(editor, ".dg-stage", ".dg-toolbar", ".dg-status", ".dg-timeline", ".dg-seed")
    assert stage["height"] > 360
    assert max(box["y"] + box["height"] for box in others) <= 646


@pytest.mark.parametrize("css", ["transform: scale(0.8); transform-origin: 0 0", "zoom: 1.25", "zoom: 0.7"])
def test_in_a_scaled_page_pulls_ring_and_buttons_are_where_they_are_seen(editor, css):
    editor.page.evaluate("css => { document.body.style.cssText = css; }", css)
    editor.click("Hold")
    editor.pull((10, 50), (50, 12))
    point = sent(editor, "point")[-1]
    assert point["target"] == pytest.approx([50, 12], abs=0.2)
    for part, place in (("handle", (10, 50)), ("target", (50, 12))):
        button = editor.button(f"Point {point['id']} {part}")
        editor.wait_until_drawn()
        box, at = button.bounding_box(), editor.at(place)
        assert (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) == pytest.approx(at, abs=1.5)
    editor.click("Brush")
    at = editor.at((44, 40))
    editor.page.mouse.move(*at)
    editor.wait_until_drawn()
    ring = editor.root.locator(".dg-ring").bounding_box()
    assert (ring["x"] + ring["width"] / 2, ring["y"] + ring["height"] / 2) == pytest.approx(at, abs=1.5)
    picture = editor.canvas.bounding_box()["width"] / editor.canvas.evaluate("canvas => canvas.offsetWidth")
    assert ring["width"] == pytest.approx(48 * picture, abs=1)
    editor.page.mouse.down()
    editor.page.mouse.up()
    layer = editor.root.locator('canvas[data-layer="mask"]')
    clear = "c => { const {data} = c.getContext('2d').getImageData(0, 40, 64, 1); let n = 0;"
    painted = layer.evaluate(f"{clear} for (let x = 3; x < data.length; x += 4) n += data[x] < 75; return n; }}")
    assert painted == pytest.approx(ring["width"] / editor.canvas.bounding_box()["width"] * 64, abs=1.5)


def test_in_a_page_from_right_to_left_the_timeline_runs_as_its_strip(editor):
    editor.page.evaluate("document.documentElement.dir = 'rtl'")
    box = editor.root.locator(".dg-timeline").bounding_box()
    editor.page.mouse.click(box["x"] + 0.2 * box["width"], box["y"] + 0.8 * box["height"])
    assert abs(int(editor.button("Timeline").input_value()) - 4) <= 1
    slider = editor.button("Truncation").bounding_box()
    label = editor.root.locator(".dg-end > span").bounding_box()
    assert label["x"] < slider["x"]


def test_no_rule_of_a_host_for_its_buttons_moves_ours(editor):
    editor.click("Brush")
    everything = """root => [...root.querySelectorAll('*')].filter(each => each.checkVisibility())
        .map(each => each.getBoundingClientRect())
        .map(({x, y, width, height}) => [x, y, width, height].map(Math.round))"""
    before = editor.root.evaluate(everything)
    editor.page.evaluate(
        "css => { document.body.id = 'around'; document.head.append(Object.assign(document.createElement('style'), "
        "{textContent: css})); document.querySelector('.draggan-widget').parentElement.className = 'cell'; }",
        HOST,
    )
    editor.page.wait_for_timeout(200)
    assert editor.root.evaluate(everything) == before


def test_no_advice_is_given_in_a_run_and_none_moves_or_covers_anything(editor, room):
    banner = editor.root.locator(".dg-banner")
    for n, width in enumerate((300, 400, 444, 600, 934)):
        room(width)
        points = POINT.replace("PLACE", f"[{20 + n * 9}, 30]")
        flat = points.replace("TEXTURE", "{flat: true, better: [26, 33]}")
        even = points.replace("TEXTURE", "null")
        editor.page.evaluate(f"kernel.put({{status: 'running', warning: '', points: {even}}})")
        expect(editor.root).to_have_attribute("data-status", "running")
        before, chip = editor.root.evaluate(PLACES), editor.root.locator(".dg-both").bounding_box()
        size = editor.root.bounding_box()
        advice = f"{width}: {ADVICE}"
        editor.page.evaluate(f"kernel.put({{warning: {advice!r}, points: {flat}}})")
        expect(banner).to_be_hidden()
        expect(editor.root.locator(".dg-icon-warning").first).not_to_be_visible()
        editor.page.evaluate("kernel.put({status: 'stalled'})")
        expect(editor.root.get_by_role("alert")).to_have_text(advice)
        assert editor.root.evaluate(PLACES) == before
        assert editor.root.bounding_box() == size
        assert editor.root.locator(".dg-both").bounding_box() == chip
        shown = banner.bounding_box()
        for other in boxes(editor, ".dg-stage", ".dg-status", ".dg-feedback", ".dg-timeline"):
            beside = shown["x"] >= other["x"] + other["width"]
            assert beside or shown["y"] >= other["y"] + other["height"]
        assert shown["y"] + shown["height"] <= size["y"] + size["height"]
        editor.click("Dismiss")  # and the next
        expect(editor.root.get_by_role("button", name="Move it to a better spot")).to_be_visible()
        assert banner.bounding_box()["y"] >= boxes(editor, ".dg-timeline")[0]["y"] + 72
        assert editor.root.bounding_box() == size
        editor.page.evaluate("kernel.put({status: 'arrived', warning: ''})")
        expect(banner).to_be_hidden()


def test_neither_a_further_point_nor_a_mask_tool_moves_anything(editor, room):
    point = "({{id: {0}, handle: [{0}0, 30], target: [40, 50], distance: 20, confidence: 0.9, texture: null}})"
    for width in (300, 320, 344, 400, 444, 480, 534, 600, 934):
        room(width)
        editor.page.evaluate("kernel.put({points: []})")
        expect(editor.root.locator(".dg-both")).to_have_count(0)
        before, size = editor.root.evaluate(PLACES), editor.root.bounding_box()
        for count in (1, 2, 3, 6):
            points = ", ".join(point.format(n + 1) for n in range(count))
            editor.page.evaluate(f"kernel.put({{points: [{points}]}})")
            expect(editor.root.locator(".dg-both")).to_have_count(count)
            assert (editor.root.evaluate(PLACES), editor.root.bounding_box()) == (before, size), (width, count)
        for tool in ("Brush", "Eraser", "Rectangle", "Points"):
            editor.click(tool)
            assert (editor.root.evaluate(PLACES), editor.root.bounding_box()) == (before, size), (width, tool)
            row = editor.root.locator(".dg-swap").bounding_box()
            for control in editor.root.locator(".dg-mask").locator("p, input, button").all():
                if box := control.bounding_box():
                    assert box["y"] >= row["y"] - 1, (width, tool)
                    assert box["y"] + box["height"] <= row["y"] + row["height"] + 1, (width, tool)
                    assert box["width"] >= 20


def test_of_many_points_every_chip_can_be_reached_and_the_chosen_one_is_in_view(editor, room):
    room(320)
    point = "({{id: {0}, handle: [{0}0, 30], target: [40, 50], distance: 20, confidence: 0.9, texture: null}})"
    points = ", ".join(point.format(n + 1) for n in range(6))
    editor.page.evaluate(f"kernel.put({{points: [{points}]}})")
    chips, last = editor.root.locator(".dg-chips"), editor.button("Delete point 6")
    expect(chips).to_have_attribute("data-after", "")
    expect(chips).not_to_have_attribute("data-before", "")
    expect(last).not_to_be_in_viewport()
    chips.hover()
    editor.page.mouse.wheel(0, 2000)
    expect(last).to_be_in_viewport(ratio=1)
    expect(chips).not_to_have_attribute("data-after", "")
    editor.button("Point 2 handle").focus()
    expect(editor.root.locator(".dg-both[data-selected]")).to_be_in_viewport(ratio=1)
    expect(editor.button("Delete point 2")).to_be_in_viewport(ratio=1)


def test_between_start_and_the_run_no_advice_flashes_and_what_was_said_stays_at_its_chip(editor):
    flat = POINT.replace("PLACE", "[20, 30]").replace("TEXTURE", "{flat: true, better: [26, 33]}")
    banner, mark = editor.root.locator(".dg-banner"), editor.root.locator(".dg-icon-warning").first
    editor.click("Start")
    editor.page.evaluate(f"kernel.put({{points: {flat}}})")  # the kernel has looked, and not begun yet
    expect(editor.root.locator(".dg-way")).to_have_text("20.0 px")
    expect(banner).to_be_hidden()
    expect(mark).not_to_be_visible()
    editor.page.evaluate("kernel.put({status: 'running', step: 21})")
    expect(editor.root).to_have_attribute("data-status", "running")
    expect(mark).not_to_be_visible()
    editor.page.evaluate("kernel.put({status: 'stalled', step: 22})")
    expect(banner).to_be_visible()
    expect(mark).to_be_visible()
    editor.click("Start")
    editor.page.evaluate("kernel.put({status: 'running', step: 23})")
    expect(banner).to_be_hidden()
    expect(mark).to_be_visible()  # it was read before, and does not vanish at Start
    editor.page.evaluate("kernel.put({status: 'arrived', step: 24})")
    expect(mark).not_to_be_visible()


def test_no_word_of_the_status_line_moves_anything(editor, room):
    long = "The model bedrooms.pkl could not be loaded: its mapping has eight layers of other widths than these. " * 3
    for width in (300, 444, 600, 934):
        room(width)
        editor.page.evaluate("kernel.put({status: 'stopped', trouble: ''})")
        expect(editor.root).not_to_have_attribute("data-trouble", "")
        before, size = editor.root.evaluate(PLACES), editor.root.bounding_box()
        editor.page.evaluate("text => kernel.put({trouble: text})", long)
        expect(editor.root.locator(".dg-sentence")).to_have_text(long)
        assert editor.root.evaluate(PLACES) == before
        assert editor.root.bounding_box() == size
        scrolled = "e => { e.scrollTop = 1e4; return e.scrollTop > 0 || e.scrollHeight <= e.clientHeight; }"
        assert editor.root.locator(".dg-sentence").evaluate(scrolled)  # and all of it can be read
    editor.page.evaluate("kernel.put({trouble: ''})")


def test_a_kernel_that_falls_silent_in_a_run_is_said_within_two_seconds_and_at_rest_at_the_first_press(
    editor,
):
    sentence = editor.root.locator(".dg-sentence")
    editor.page.evaluate("kernel.put({status: 'running'})")
    editor.page.evaluate("kernel.alive = false")
    expect(sentence).to_contain_text("The kernel does not answer", timeout=2000)
    editor.page.evaluate("kernel.alive = true")
    expect(sentence).to_contain_text("Pulling")
    editor.page.evaluate("kernel.put({status: 'stopped'}); kernel.alive = false")
    editor.click("Undo")
    editor.click("New image")
    expect(sentence).to_contain_text("The kernel does not answer", timeout=4000)
    editor.page.evaluate("kernel.alive = true")
    expect(sentence).to_contain_text("Stopped")


def test_from_before_the_editor_two_presses_of_tab_lead_to_the_picture_and_arrows_to_each_tool(editor):
    page = editor.page
    page.evaluate("document.body.prepend(Object.assign(document.createElement('button'), {id: 'cell'}))")
    page.locator("#cell").focus()
    focused = "document.activeElement.getAttribute('aria-label')"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Start"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Picture"
    page.keyboard.press("Shift+Tab")
    tools = editor.root.evaluate("""root => [...root.querySelectorAll('.dg-toolbar button:not([data-away])')]
        .map(each => each.getAttribute('aria-label'))""")
    reached = []
    for _ in tools:
        reached.append(page.evaluate(focused))
        page.keyboard.press("ArrowRight")
    assert reached == tools
    assert page.evaluate(focused) == tools[0]  # round and round
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(focused) == tools[-2]
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(focused) == tools[-2]  # where one was
    page.keyboard.press("Home")
    page.evaluate("kernel.put({status: 'running'})")
    expect(editor.button("Stop")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    expect(editor.button("Stop")).to_be_focused()
