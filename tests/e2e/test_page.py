"""The page alone, with a kernel of a few lines: slow lines, silence, late frames, and what the page asks for."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import pytest
from host import PLACES, Editor
from PIL import Image
from playwright.sync_api import expect

import draggan_widget
from draggan_widget.editing.settings import SETTINGS
from draggan_widget.settings import Limits

pytestmark = pytest.mark.browser

BUNDLE = Path(draggan_widget.__file__).parent / "widget" / "static" / "index.js"
MORE = BUNDLE.with_name("more.js")
KERNEL = Path(__file__).parent / "fake_kernel.js"
STEPS = 21


def picture(step):
    """What the kernel shows of a step, as base64."""
    data = io.BytesIO()
    Image.new("RGB", (64, 64), (10 * step, 90, 160)).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


FIELDS = [setting.schema(Limits(14, (1, 2, 3, 4, 5, 6))) for setting in SETTINGS.values()]
HTML = f"""<!doctype html><meta charset="utf-8"><body>
<script>window.pictures = {[picture(step) for step in range(STEPS)]}; window.fields = {json.dumps(FIELDS)};</script>
<script src="more_text.js"></script>
<script type="module" src="fake_kernel.js"></script>"""


SERVED = {
    "/": ("text/html", HTML),
    "/index.js": ("text/javascript", BUNDLE.read_text()),
    "/more_text.js": ("text/javascript", f"window.more = {json.dumps(MORE.read_text())};"),
    "/fake_kernel.js": ("text/javascript", KERNEL.read_text()),
}


def serve(page, policy=""):
    """Have the page and its kernel served. :param policy: what its content-security policy says of scripts."""
    headers = {"content-security-policy": f"script-src 'self' 'unsafe-inline' 'unsafe-eval' {policy}"} if policy else {}

    def answer(route):
        kind, body = SERVED.get(route.request.url.removeprefix("http://localhost:9"), ("text/plain", ""))
        route.fulfill(body=body, content_type=kind, headers=headers)

    page.route("**/*", answer)


def opened(page):
    """The view, once it shows a picture."""
    page.goto("http://localhost:9/")
    page.wait_for_function("window.kernel && document.querySelector('canvas[data-layer=image]').dataset.step === '20'")
    return Editor(page, page.locator(".draggan-widget"))


@pytest.fixture(scope="module")
def tab(browser):
    context = browser.new_context(
        viewport={"width": 640, "height": 1000}, permissions=["clipboard-read", "clipboard-write"]
    )
    page = context.new_page()
    serve(page)
    yield page
    context.close()


@pytest.fixture
def editor(tab):
    return opened(tab)


@pytest.fixture
def strict(browser):
    """A function that opens the page under a content-security policy."""
    context = browser.new_context(viewport={"width": 640, "height": 1000})

    def strict(policy):
        page = context.new_page()
        serve(page, policy)
        return opened(page)

    yield strict
    context.close()


def shown(editor):
    """The step whose picture is on the canvas."""
    return round(editor.picture().getpixel((5, 5))[0] / 10)


def sent(editor, kind):
    return editor.page.evaluate("kind => kernel.sent.filter(({type}) => type === kind)", kind)


def test_a_frame_that_comes_late_is_acknowledged_and_not_drawn(editor):
    editor.page.evaluate("kernel.frame(7, 100); kernel.frame(3, 99)")
    editor.page.wait_for_function("kernel.sent.filter(({type}) => type === 'ack').some(({seq}) => seq === 99)")
    editor.page.wait_for_function("document.querySelector('canvas[data-layer=image]').dataset.seq === '100'")
    assert shown(editor) == 7


def test_on_a_slow_line_the_slider_asks_for_one_picture_at_a_time_and_ends_where_it_was_let_go(editor):
    editor.page.evaluate("kernel.lag = 150")
    slider = editor.button("Timeline")
    slider.focus()
    for _ in range(15):
        editor.page.keyboard.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuetext", "step 5 of 20")  # the slider does not wait for the picture
    editor.page.wait_for_function("document.querySelector('canvas[data-layer=image]').dataset.step === '5'")
    assert shown(editor) == 5
    asked = [message["step"] for message in sent(editor, "look")]
    assert asked[-1] == 5
    assert len(asked) < 10
    editor.page.keyboard.press("Escape")
    editor.page.wait_for_function("document.querySelector('canvas[data-layer=image]').dataset.step === '20'")


def test_what_is_done_while_the_past_is_looked_at_goes_on_from_there(editor):
    slider = editor.button("Timeline")
    slider.fill("8")
    editor.page.wait_for_function("document.querySelector('canvas[data-layer=image]').dataset.step === '8'")
    editor.page.evaluate("kernel.sent.length = 0")
    editor.click("Start")
    editor.page.wait_for_function("kernel.sent.some(({type}) => type === 'start')")
    assert [m["type"] for m in editor.page.evaluate("kernel.sent") if m["type"] in ("branch", "start", "look")] == [
        "branch",
        "start",
    ]
    expect(slider).to_have_attribute("max", "8")


def test_before_is_seen_while_its_key_is_held_and_left_of_the_split(editor):
    before = editor.root.locator('canvas[data-layer="before"]')
    curtain = editor.root.locator(".dg-curtain")
    editor.root.locator(".dg-stage").focus()
    editor.page.keyboard.down("\\")
    expect(curtain).to_be_visible()
    assert before.evaluate("c => c.getContext('2d').getImageData(3, 3, 1, 1).data[0]") == 0
    editor.page.keyboard.up("\\")
    expect(curtain).to_be_hidden()
    editor.click("Before and after")
    expect(editor.button("Split")).to_be_focused()
    editor.page.keyboard.press("ArrowRight")
    expect(editor.button("Split")).to_have_value("0.51")
    expect(curtain).to_have_attribute("style", re.compile("49%"))  # drawn with the next frame


def test_a_badly_set_handle_is_told_in_words_and_moved_by_a_button(editor):
    flat = "[{id: 1, handle: [20, 30], target: [40, 30], distance: 20, confidence: 0.1, texture: {}}]"
    editor.page.evaluate(f"kernel.put({{points: {flat.replace('{}', '{flat: true, better: [26, 33]}')}}})")
    editor.root.get_by_role("button", name="Move it to a better spot").click()
    assert sent(editor, "point")[-1]["handle"] == [26, 33]
    expect(editor.root.locator(".dg-banner")).to_be_hidden()


def test_a_warning_is_read_once_and_waved_away(editor):
    editor.page.evaluate("kernel.put({warning: 'It swings to and fro. Try half the learning rate.'})")
    expect(editor.root.get_by_role("alert")).to_have_text("It swings to and fro. Try half the learning rate.")
    editor.click("Dismiss")
    expect(editor.root.locator(".dg-banner")).to_be_hidden()
    editor.page.evaluate("kernel.put({step: 21})")
    expect(editor.root.locator(".dg-banner")).to_be_hidden()


def test_results_come_as_files_and_as_code(editor):
    editor.click("Results")
    with editor.page.expect_download() as download:
        editor.click("Film as GIF")
    assert download.value.suggested_filename == "edit.gif"
    editor.click("Show code")
    expect(editor.root.locator(".dg-code")).to_have_text('DragGAN("fake", seed=9)')
    editor.page.keyboard.press("Escape")
    expect(editor.root.locator(".dg-code")).to_be_hidden()


def test_a_setting_is_sent_refused_and_reset(editor):
    editor.click("All settings")
    field = editor.button("Learning rate")
    field.fill("0.03")
    field.press("Enter")
    assert sent(editor, "settings")[-1]["values"] == {"learning_rate": 0.03}
    field.fill("-1")
    field.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    field.press("Escape")
    expect(field).to_have_value("0.03")
    editor.click("Reset Learning rate")
    assert sent(editor, "settings")[-1]["values"] == {"learning_rate": None}
    expect(field).to_have_value("0.002")


def test_an_error_in_the_drawer_stands_at_its_field_and_goes_when_the_value_is_right_again(editor):
    editor.click("All settings")
    field = editor.button("Learning rate")
    wrong = editor.root.get_by_role("alert").filter(has_text="A number above 0 and up to 1.")
    for bad in ("1000", "0", "1e99"):
        field.fill(bad)
        field.press("Enter")
        expect(wrong).to_be_in_viewport()
        expect(field).to_have_attribute("aria-invalid", "true")
        below = wrong.bounding_box()["y"] - field.bounding_box()["y"] - field.bounding_box()["height"]
        assert 0 <= below <= 12
        field.fill("0.5")  # not yet sent, but no error any more
        expect(wrong).to_be_hidden()
        expect(field).not_to_have_attribute("aria-invalid", "true")
    field.fill("2")
    field.press("Enter")
    expect(wrong).to_be_visible()
    editor.click("Reset Learning rate")
    expect(wrong).to_be_hidden()
    expect(field).to_have_value("0.002")
    assert [message["values"] for message in sent(editor, "settings")] == [{"learning_rate": None}]
    field.fill("2")
    field.press("Enter")
    field.press("Escape")
    expect(wrong).to_be_hidden()


def test_the_settings_for_people_who_know_the_method_are_folded_away(editor):
    editor.click("All settings")
    tolerance = editor.button("Arrived within")
    expect(tolerance).to_be_hidden()
    editor.root.get_by_text("More settings").click()
    tolerance.fill("3")
    tolerance.press("Enter")
    assert sent(editor, "settings")[-1]["values"] == {"tolerance": 3}


def test_a_kernel_that_falls_silent_is_noticed_and_what_can_be_kept_is_offered(editor):
    editor.page.evaluate("kernel.alive = false")
    editor.click("Start")  # at rest nobody asks, so that an idle kernel can be culled
    editor.wait_for_status("disconnected", timeout=20)
    with editor.page.expect_download() as download:
        editor.root.get_by_role("button", name="Save picture").click()
    assert Image.open(download.value.path()).size == (64, 64)
    editor.root.get_by_role("button", name="Copy points").click()
    expect(editor.root.locator(".dg-sentence")).to_have_text("Copied.")
    editor.page.evaluate("kernel.alive = true")
    editor.wait_for_status("stopped")
    expect(editor.root.locator(".dg-banner")).to_be_hidden()


CONTRAST = """(root, selectors) => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const rgb = (colour, ground) => {
        canvas.fillStyle = ground;
        canvas.fillRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = channels => channels
        .map(value => value / 255)
        .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
        .reduce((sum, value, n) => sum + value * [0.2126, 0.7152, 0.0722][n], 0);
    return selectors.map(selector => {
        const element = root.querySelector(selector);
        const ground = getComputedStyle(root).backgroundColor;
        const back = rgb(getComputedStyle(element).backgroundColor, ground);
        const [a, b] = [light(rgb(getComputedStyle(element).color, `rgb(${back})`)), light(back)];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    });
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_can_be_read_in_the_theme(editor, theme):
    editor.page.emulate_media(color_scheme=theme)
    editor.open_settings()
    texts = [".dg-sentence", ".dg-about", ".dg-way", ".dg-words", ".dg-setting small", ".dg-name", ".dg-result small"]
    found = editor.root.evaluate(CONTRAST, texts)
    assert min(found) >= 4.5, dict(zip(texts, found, strict=True))
    # Icons, and white on the button that starts.
    assert (
        min(editor.root.evaluate(CONTRAST, ['[aria-label="Hold"]', '[aria-label="Start"]', '[aria-label="Brush"]']))
        >= 3
    )
    editor.page.emulate_media(color_scheme=None)


def test_nothing_sticks_out_at_300_pixels_and_everything_is_there(editor):
    editor.root.evaluate("root => { document.body.style.width = '300px'; }")
    editor.open_settings()
    editor.click("Brush")
    out = """root => [...root.querySelectorAll('button, input, select, small, span')]
        .filter(e => e.checkVisibility() && !e.matches('.dg-spoken, .dg-point, .dg-split'))
        .map(e => e.getBoundingClientRect().right - root.getBoundingClientRect().right).filter(by => by > 0).length"""
    assert editor.root.evaluate(out) == 0
    for name in (
        "Start",
        "Lasso",
        "Results",
        "Timeline",
        "Seed",
        "Truncation",
        "Stroke width",
        "Suggest mask",
        "Speed",
    ):
        expect(editor.button(name)).to_be_visible()


@pytest.mark.parametrize("width", [420, 1000])
def test_who_has_no_photograph_open_sees_where_to_open_one_and_where_to_drop_it(editor, width):
    editor.root.evaluate(f"root => {{ document.body.style.width = '{width}px'; }}")
    editor.page.evaluate("kernel.put({status: 'idle', message: '', step: 0, edited: false, points: [], photo: false})")
    sentence = editor.root.locator(".dg-sentence")
    expect(sentence).to_have_text("Press on the picture and pull, or open your own photo.")
    expect(editor.button("Open photo").locator("span")).to_be_visible()
    expect(editor.button("Open photo")).to_have_attribute("title", re.compile("drop it on the picture, or paste it"))
    hint = "root => getComputedStyle(root.querySelector('.dg-stage'), '::after').content"
    over = "root => root.querySelector('.dg-stage').dispatchEvent(new DragEvent({!r}, {{bubbles: true}}))"
    editor.root.evaluate(over.format("dragover"))
    assert editor.root.evaluate(hint) == '"Drop your photo here"'
    editor.root.evaluate(over.format("dragleave"))
    assert editor.root.evaluate(hint) == "none"
    editor.page.evaluate("kernel.put({photo: true})")
    expect(sentence).to_have_text("Press on the picture and pull.")


def test_at_300_pixels_the_status_has_no_empty_line_and_a_run_moves_nothing(editor):
    editor.root.evaluate("root => { document.body.style.width = '300px'; }")
    expect(editor.root).to_have_attribute("data-narrow", "")
    filled = """root => {
        const box = name => root.querySelector(name).getBoundingClientRect();
        const [all, first, second] = ['.dg-status', '.dg-sentence', '.dg-about'].map(box);
        const lines = Math.round(first.height / 18);
        return lines === 2 || (lines === 1 && second.top >= first.bottom - 1 && second.bottom <= all.bottom + 1);
    }"""
    before = editor.root.evaluate(PLACES)
    for step, rate, distance in ((1, "null", 20), (9, 8.25, 9.9), (123, 41.5, 128.4), (1234, 0.25, 3.1)):
        point = f"{{id: 1, handle: [20, 30], target: [40, 30], distance: {distance}, confidence: 0.9, texture: null}}"
        editor.page.evaluate(f"kernel.put({{status: 'running', step: {step}, rate: {rate}, points: [{point}]}})")
        editor.wait_for_exact_step(step)
        assert editor.root.evaluate(PLACES) == before
        assert editor.root.evaluate(filled)
    editor.button("Timeline").fill("8")
    expect(editor.button("Newest")).to_be_visible()
    assert editor.root.evaluate(PLACES) == before


def test_where_full_screen_is_refused_the_page_is_filled_and_escape_leaves_it_before_anything_else(editor):
    page = editor.page
    page.evaluate("() => { Element.prototype.requestFullscreen = () => Promise.reject(new TypeError('no')); }")
    page.evaluate("document.body.append(Object.assign(document.createElement('p'), {id: 'below', textContent: 'x'}))")
    places = "[document.querySelector('#below').offsetTop, document.body.scrollHeight]"
    below, before = page.evaluate(places), editor.root.bounding_box()
    editor.button("Help").click()
    editor.click("Full screen")
    expect(editor.button("Full screen")).to_have_attribute("aria-pressed", "true")
    assert editor.root.bounding_box() == {"x": 0, "y": 0, **page.viewport_size}
    expect(editor.sentence).to_contain_text("the editor fills the page")
    assert page.evaluate(places) == below
    page.keyboard.press("Escape")
    expect(editor.button("Full screen")).to_have_attribute("aria-pressed", "false")
    assert editor.root.bounding_box() == before
    expect(editor.root.get_by_role("dialog", name="Gestures and keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(editor.root.get_by_role("dialog", name="Gestures and keys")).to_be_hidden()
    page.keyboard.press("f")
    page.mouse.click(5, 5)  # beside everything: all keys are the editor's all the same
    page.keyboard.press("h")
    expect(editor.button("Hold")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("f")
    assert editor.root.bounding_box() == before
    assert page.evaluate(places) == below


def test_the_picture_goes_to_the_clipboard(editor):
    editor.click("Results")
    editor.click("Copy picture")
    expect(editor.root.locator(".dg-sentence")).to_have_text("Copied.")
    types = editor.page.evaluate("navigator.clipboard.read().then(items => items[0].types)")
    assert types == ["image/png"]


def test_every_control_has_a_name_and_the_keyboard_reaches_the_tools(editor):
    nameless = """root => [...root.querySelectorAll('button, input, select, [role=dialog]')]
        .filter(e => !e.getAttribute('aria-label') && !e.textContent.trim() && !e.closest('label')).length"""
    assert editor.root.evaluate(nameless) == 0
    stops = editor.root.evaluate("root => [...root.querySelectorAll('.dg-point')].filter(e => e.tabIndex === 0).length")
    assert stops == 1  # of all points one is a stop of the Tab key
    editor.button("Start").focus()
    reached = set()
    for key in ["ArrowRight"] * 20 + ["Tab"] * 20:  # the tools are one stop of the Tab key
        editor.page.keyboard.press(key)
        reached.add(editor.page.evaluate("document.activeElement.getAttribute('aria-label')"))
    assert {
        "Step once",
        "Lasso",
        "Undo",
        "Results",
        "Picture",
        "Timeline",
        "Seed",
        "New image",
        "Truncation",
    } <= reached


def of_one_colour(colour):
    data = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


def another_edit(editor, number, seed, colour):
    """The kernel goes on to another edit, whose pictures are all of one colour; its answers wait to be let go."""
    picture = of_one_colour(colour)
    editor.page.evaluate(
        """([edit, seed, picture]) => {
            window.pictures = window.pictures.map(() => picture);
            kernel.late = [];
            kernel.put({edit, seed});
        }""",
        [number, seed, picture],
    )
    editor.page.wait_for_function("kernel.late.length > 0")


FILM_IS = """wanted => {
    const film = document.querySelector('.dg-film');
    const middle = [film.width / 2, film.height * 0.75, 1, 1].map(Math.floor);
    const found = film.getContext('2d').getImageData(...middle).data;
    return wanted.every((value, at) => Math.abs(found[at] - value) < 12);
}"""
"""Whether small pictures of that colour are in the middle of the timeline."""


def test_small_pictures_of_an_edit_that_is_gone_do_not_come_into_the_timeline_of_another(editor):
    red, blue = (200, 10, 10), (10, 10, 200)
    another_edit(editor, 2, 3, red)
    editor.page.evaluate("window.gone = kernel.late")
    another_edit(editor, 3, 9, blue)
    editor.page.evaluate("gone.splice(0).forEach(answer => answer())")
    editor.page.wait_for_timeout(150)  # in which they would be decoded and drawn
    assert not editor.page.evaluate(FILM_IS, red)
    editor.page.evaluate("kernel.late.splice(0).forEach(answer => answer())")
    editor.page.wait_for_function(FILM_IS, arg=blue)


def test_the_picture_from_before_is_never_that_of_another_edit(editor):
    curtain = editor.root.locator(".dg-curtain")
    another_edit(editor, 2, 3, (200, 10, 10))
    editor.click("Before and after")
    editor.page.evaluate("window.gone = kernel.late")
    another_edit(editor, 3, 9, (10, 10, 200))
    editor.page.evaluate("gone.splice(0).forEach(answer => answer())")
    editor.page.wait_for_timeout(150)
    expect(curtain).to_be_hidden()
    editor.page.evaluate("kernel.late.splice(0).forEach(answer => answer())")
    expect(curtain).to_be_visible()
    before = editor.root.locator("canvas[data-layer=before]")
    pixel = before.evaluate("canvas => [...canvas.getContext('2d').getImageData(5, 5, 1, 1).data]")
    assert pixel == [10, 10, 200, 255]


def test_a_film_that_the_kernel_cannot_write_is_not_offered_but_says_what_it_needs(editor):
    editor.page.evaluate("kernel.put({mp4: false})")
    editor.click("Results")
    film = editor.button("Film as MP4")
    expect(film).to_have_attribute("aria-disabled", "true")
    expect(film).to_contain_text("pip install 'draggan_widget[video]'")
    expect(editor.button("Latent as .npz")).to_be_visible()
    editor.page.evaluate("kernel.put({mp4: true})")
    expect(film).to_have_attribute("aria-disabled", "false")


def test_the_line_says_what_is_being_made_until_it_is_saved(editor):
    editor.page.evaluate("kernel.lag = 400")
    work = editor.root.locator(".dg-job")
    with editor.page.expect_download():
        editor.click("Save image")
        expect(work).to_contain_text("Making the picture…")
    expect(work).to_be_hidden()
    expect(editor.root.locator(".dg-sentence")).to_have_text("edit.png is saved.")


def test_work_beside_the_edit_is_told_under_the_picture_moves_nothing_and_is_cancelled_there(editor):
    height = editor.root.bounding_box()["height"]
    rest = {"note": "", "stage": ""}
    jobs = [{"id": 4, "what": "load", "name": "dogs.pkl", "progress": 0.25, **rest}]
    jobs += [{"id": 5, "what": "gif", "name": "", "progress": None, **rest}]
    editor.page.evaluate("jobs => kernel.put({jobs, status: 'running'})", jobs)
    work = editor.root.locator(".dg-job")
    expect(work).to_contain_text("Loading dogs.pkl… 25 %")
    expect(editor.root.locator(".dg-sentence")).to_contain_text("Pulling…")
    expect(editor.button("Stop")).to_be_enabled()
    assert editor.root.bounding_box()["height"] == height
    work.get_by_role("button", name="Cancel").click()
    assert {"type": "cancel", "id": 4} in editor.page.evaluate("kernel.sent")
    editor.page.evaluate("jobs => kernel.put({jobs})", jobs[1:])
    expect(work).to_contain_text("Making the GIF…")
    editor.page.evaluate("kernel.put({jobs: [], status: 'stopped'})")
    expect(work).to_be_hidden()


def test_what_was_said_for_a_moment_goes_when_something_else_is_done(editor):
    line = editor.root.locator(".dg-sentence")
    editor.page.mouse.click(*editor.at((50, 10)))
    expect(line).to_have_text("Press and pull.")
    editor.page.wait_for_timeout(300)
    says = "(kernel.put({status: 'running'}), document.querySelector('.dg-sentence').textContent)"
    assert "Pulling…" in editor.page.evaluate(says)  # at once, and not when its time is over


def test_help_says_that_it_goes_on_below_and_no_longer_at_its_end(editor):
    editor.page.set_viewport_size({"width": 360, "height": 1000})
    try:
        editor.click("Help")
        card = editor.root.get_by_role("dialog", name="Gestures and keys")
        expect(card).to_have_attribute("data-more", "")
        card.evaluate("card => card.scrollTo(0, card.scrollHeight)")
        expect(card).not_to_have_attribute("data-more", "")
        expect(card.get_by_label("Close")).to_be_in_viewport()
    finally:
        editor.page.set_viewport_size({"width": 640, "height": 1000})


def test_all_settings_go_back_to_the_models_own_at_once(editor):
    editor.click("All settings")
    reset, rate = editor.button("Reset all settings"), editor.button("Learning rate")
    expect(reset).to_have_attribute("aria-disabled", "true")
    editor.page.evaluate("kernel.put({settings: {...kernel.state.settings, learning_rate: 0.03, mask_weight: 1}})")
    expect(rate).to_have_value("0.03")
    reset.click()
    expect(rate).to_have_value("0.002")
    assert len(sent(editor, "reset_settings")) == 1
    expect(reset).to_have_attribute("aria-disabled", "true")


def near_the_middle(editor):
    """How many pixels of what is drawn over the picture are near its middle, where nothing else is."""
    return editor.root.locator("canvas[data-layer=overlay]").evaluate(
        """async canvas => {
            await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
            const [x, y] = [canvas.width / 2 - 25, canvas.height / 2 - 25].map(Math.round);
            const {data} = canvas.getContext('2d').getImageData(x, y, 50, 50);
            return data.filter((value, at) => at % 4 === 3 && value > 0).length;
        }"""
    )


def test_enter_on_the_picture_shows_the_cross_at_once_and_again_that_it_is_pressed(editor):
    editor.page.evaluate("kernel.put({points: [], status: 'idle'})")
    line = editor.root.locator(".dg-sentence")
    editor.root.locator(".dg-stage").focus()
    assert near_the_middle(editor) == 0
    editor.page.keyboard.press("Enter")
    cross = near_the_middle(editor)
    assert cross > 50
    expect(line).to_contain_text("Enter presses there")
    editor.page.keyboard.press("Enter")
    assert near_the_middle(editor) > cross + 100
    expect(line).to_contain_text("Arrows pull")
    assert sent(editor, "point") == []  # it is only pressed yet
    editor.page.keyboard.press("ArrowRight")
    message = sent(editor, "point")[-1]
    assert (message["handle"], message["target"], message["start"]) == ([32, 32], [33, 32], True)
    editor.page.keyboard.press("Escape")
    told = [m["type"] for m in editor.page.evaluate("kernel.sent")]
    assert [kind for kind in told if kind != "thumbnails"][-2:] == ["stop", "undo"]  # the timeline asks when it likes
    near_the_middle(editor)
    editor.page.keyboard.press("ArrowRight")
    assert near_the_middle(editor) <= cross + 10  # not pressed any longer


def test_on_a_slow_line_seeds_are_counted_from_the_one_that_was_asked_for(editor):
    editor.page.evaluate("kernel.lag = 60_000")
    field = editor.button("Seed")
    for _ in range(3):
        editor.click("Next seed")
    expect(field).to_have_value("12")
    field.fill("70")
    field.press("Enter")
    expect(field).to_have_value("70")  # not the one of before, until the kernel is there
    editor.click("Previous seed")
    assert [message["seed"] for message in sent(editor, "new_image")] == [10, 11, 12, 70, 69]
    editor.page.evaluate("kernel.put({seed: 69, edit: 2})")
    editor.page.evaluate("kernel.put({seed: 3, edit: 3})")
    expect(field).to_have_value("3")


GIVE = """(root, [bytes, kind]) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes)], 'me.jpg', {type: 'image/jpeg'}));
    const drop = new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: data});
    root.querySelector('.dg-stage').dispatchEvent(drop);
    return drop.defaultPrevented;
}"""
OPENING = {"id": 6, "what": "opening", "name": "me.jpg", "progress": 0.0, "note": "Waiting", "stage": "placing"}


def test_a_photograph_is_sent_in_parts_each_when_the_one_before_has_come_and_one_too_large_is_refused(editor):
    work = editor.root.locator(".dg-job")
    assert editor.root.evaluate(GIVE, [1, "dragover"])
    expect(editor.root.locator(".dg-stage")).to_have_attribute("data-over", "")
    editor.page.evaluate("kernel.lag = 100")
    editor.root.evaluate(GIVE, [2_500_000, "drop"])
    expect(work).to_contain_text("Sending me.jpg…")
    expect(work).to_be_hidden()
    assert [(part["size"], part["at"]) for part in sent(editor, "photo")] == [(2_500_000, at << 20) for at in range(3)]
    editor.page.evaluate("kernel.lag = 10000")  # so that it is still under way, however long a click takes
    editor.root.evaluate(GIVE, [2_500_000, "drop"])
    expect(work).to_contain_text("Sending me.jpg…")
    work.get_by_label("Cancel").click()
    expect(work).to_be_hidden()
    count = len(sent(editor, "photo"))
    editor.root.evaluate(GIVE, [100_000_001, "drop"])
    expect(editor.root.locator(".dg-sentence")).to_contain_text("100 MB, and 100 can be sent")
    assert len(sent(editor, "photo")) == count < 6


def test_the_square_is_pulled_sized_and_used_and_of_several_faces_one_is_chosen(editor):
    placer, square = editor.root.get_by_role("dialog", name="Place the square"), editor.root.locator(".dg-square")
    editor.page.evaluate(
        "job => (kernel.put({jobs: [job]}), kernel.place([[320, 240, 200, 0], [100, 100, 80, 5]]))", OPENING
    )
    expect(placer).to_contain_text("A note. Pull the square over the head")
    placer.get_by_label("Face 2").click()
    placer.get_by_label("Face 1").click()
    scale = 640 / placer.locator("canvas").bounding_box()["width"]
    box = square.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    editor.mouse.move(*middle)
    editor.mouse.down()
    editor.mouse.move(middle[0] + 30, middle[1] - 20, steps=4)
    editor.mouse.up()
    corner = box["x"] + box["width"] + 30, box["y"] + box["height"] - 20
    editor.mouse.move(*corner)
    editor.mouse.down()
    editor.mouse.move(corner[0] + 10, corner[1] + 10, steps=4)
    editor.mouse.up()
    for name in ("Across", "Down", "Size"):
        expect(placer.get_by_text(name, exact=True)).to_be_visible()
    expect(placer).to_contain_text("its corner sizes it. The photo goes to the kernel and nowhere else.")
    placer.get_by_label("Across").focus()
    editor.page.keyboard.press("ArrowLeft")
    editor.click("Use this square")
    expect(placer).to_be_hidden()
    (used,) = sent(editor, "place")
    assert used["y"] == pytest.approx(240 - 20 * scale, abs=2)
    assert used["size"] == pytest.approx(200 + 20 * scale, abs=2)
    assert used["x"] < 320 + 30 * scale
    editor.page.evaluate("job => kernel.put({jobs: [job]})", {**OPENING, "stage": "tuning"})
    expect(placer).to_be_hidden()
    editor.root.locator(".dg-job").get_by_label("Square").click()  # thought better of
    expect(placer).to_be_visible()
    placer.get_by_label("Cancel").click()
    expect(placer).to_be_hidden()
    assert not sent(editor, "cancel")
    editor.click("Good enough")
    assert sent(editor, "enough") == [{"type": "enough", "stage": "tuning"}]
    editor.page.evaluate("job => (kernel.put({jobs: [job]}), kernel.place([[320, 240, 200, 0]]))", OPENING)
    expect(placer).to_be_visible()
    editor.page.keyboard.press("Escape")
    assert sent(editor, "cancel") == [{"type": "cancel", "id": 6}]


def test_a_panel_is_loaded_when_it_is_first_opened_and_only_then(editor):
    assert sent(editor, "more") == []
    editor.click("Attributes")
    expect(editor.root.get_by_role("group", name="Attributes", exact=True)).to_be_visible()
    editor.click("Attributes")
    editor.click("All settings")
    editor.click("Compare engines")
    expect(editor.root.get_by_role("group", name="Engines", exact=True)).to_be_visible()
    assert len(sent(editor, "more")) == 1
    assert len(sent(editor, "attributes")) == 1


def test_where_blobs_are_forbidden_the_panel_comes_by_a_data_address(strict):
    editor = strict("data:")
    editor.click("Attributes")
    expect(editor.root.get_by_role("group", name="Attributes", exact=True)).to_be_visible()


def test_where_the_page_forbids_the_panels_code_it_says_so_and_the_edit_goes_on(strict):
    editor = strict("https://nowhere.invalid")
    editor.click("Attributes")
    expect(editor.root.locator(".dg-sentence")).to_contain_text("forbids the code that opens this")
    expect(editor.button("Attributes")).to_have_attribute("aria-pressed", "false")
    editor.page.evaluate("kernel.frame(7)")
    editor.page.wait_for_function("document.querySelector('canvas[data-layer=image]').dataset.step === '7'")
    # A photograph does not wait for a square that nobody can place: it gets the likeliest.
    editor.page.evaluate("job => (kernel.put({jobs: [job]}), kernel.place([[320, 240, 200, 5]]))", OPENING)
    editor.page.wait_for_function("kernel.sent.some(({type}) => type === 'place')")
    assert sent(editor, "place") == [{"type": "place", "x": 320, "y": 240, "size": 200, "angle": 5}]


def test_where_attributes_were_changed_the_timeline_says_so(editor):
    slider = editor.button("Timeline")
    editor.page.evaluate("kernel.put({amounts: [[5, 'smile +1 σ'], [20, 'age -0.5 σ']]})")
    expect(slider).to_have_attribute("aria-valuetext", "step 20, the newest; age -0.5 σ")
    expect(slider).to_have_attribute("title", "Step 5: smile +1 σ\nStep 20: age -0.5 σ")
    slider.fill("5")
    expect(slider).to_have_attribute("aria-valuetext", "step 5 of 20; smile +1 σ")
    slider.fill("6")
    expect(slider).to_have_attribute("aria-valuetext", "step 6 of 20")
