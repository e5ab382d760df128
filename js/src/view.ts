/** One view of the edit: it puts the parts together, hears the kernel, and shows what there is. */
import { Banner } from "./banner.ts";
import { BeforePicture } from "./before.ts";
import { Cards } from "./cards.ts";
import type { Channel } from "./channel.ts";
import { Coalescer } from "./coalescer.ts";
import { Compare } from "./compare.ts";
import { asPython, concern, type Remedy } from "./concerns.ts";
import type { Connection } from "./connection.ts";
import { Controller } from "./controller.ts";
import { make } from "./dom.ts";
import { Drawer } from "./drawer.ts";
import { DrawerHead } from "./drawerhead.ts";
import { Exports } from "./exports.ts";
import { Feedback } from "./feedback.ts";
import { FocusKeeper } from "./focus.ts";
import { type Frame, FrameQueue } from "./frames.ts";
import type { Part } from "./geometry.ts";
import { PointButtons } from "./handles.ts";
import { Help } from "./help.ts";
import { nextFrame } from "./hosts/clock.ts";
import { FullScreen } from "./hosts/fullscreen.ts";
import { StillPicture } from "./hosts/still.ts";
import themes from "./hosts/themes.css";
import { watchTheme } from "./hosts/themes.ts";
import { Inbox } from "./inbox.ts";
import { listenToKeys } from "./keyboard.ts";
import { Layout } from "./layout.ts";
import { Looker } from "./looking.ts";
import { MaskFiles } from "./maskfile.ts";
import { Masking } from "./masking.ts";
import { MaskRow } from "./maskrow.ts";
import { More } from "./more.ts";
import { Painter } from "./painter.ts";
import { PhotoOpener } from "./photo.ts";
import { PointerInput } from "./pointer.ts";
import type { Job, PageMessage } from "./protocol.ts";
import { Results } from "./results.ts";
import { blobOf } from "./save.ts";
import { Settings } from "./settings.ts";
import { ShowingCard } from "./showing.ts";
import { Stage } from "./stage.ts";
import { kind, NO_FULL_SCREEN, SETTINGS_RESET } from "./status.ts";
import { StatusLine } from "./statusline.ts";
import style from "./style.css";
import { Timeline } from "./timeline.ts";
import { button, Toolbar, wide } from "./toolbar.ts";
import { veilOf } from "./veil.ts";
import { ViewState } from "./viewstate.ts";
import { ZoomChip } from "./zoomchip.ts";

export class View {
  readonly element: HTMLElement;
  readonly #stop = new AbortController();
  readonly #view = new ViewState();
  readonly #stage = new Stage();
  readonly #buttons = new PointButtons();
  readonly #help = new Help(() => this.#cards.open(null));
  readonly #toolbar = new Toolbar((name) => this.#controller.actions[name]());
  readonly #status: StatusLine;
  readonly #settings: Settings;
  readonly #masking: Masking;
  readonly #maskRow: MaskRow;
  readonly #zoom: ZoomChip;
  readonly #compare: Compare;
  readonly #timeline: Timeline;
  readonly #looker: Looker;
  readonly #feedback: Feedback;
  readonly #banner: Banner;
  readonly #drawer: Drawer;
  readonly #drawerHead: DrawerHead;
  readonly #showing: ShowingCard;
  readonly #maskFiles: MaskFiles;
  readonly #results: Results;
  readonly #exports: Exports;
  readonly #photo: PhotoOpener;
  readonly #more: More;
  readonly #controller: Controller;
  readonly #pointer: PointerInput;
  readonly #full: FullScreen;
  readonly #layout: Layout;
  readonly #frames: FrameQueue<ImageBitmap>;
  readonly #connection: Connection;
  readonly #out: Coalescer;
  readonly #still = new StillPicture();
  readonly #before: BeforePicture;
  readonly #focus: FocusKeeper;
  readonly #cards: Cards;
  readonly #painter: Painter;
  readonly #inbox: Inbox;
  /** What shows what this view knows, and nothing else. */
  readonly #parts: readonly { show(view: ViewState): void }[];
  #drawn: Frame | null = null;

  constructor(channel: Channel) {
    const { signal } = this.#stop;
    const view = this.#view;
    const update = () => this.#update();
    const aside = (text: string, milliseconds: number) => this.#status.aside(text, milliseconds);
    const send = (message: PageMessage) => this.#out.push(message);
    const close = () => this.#cards.open(null);
    this.#masking = new Masking(this.#stage, (message, buffers) => {
      this.#controller.goOnWhereWeLook();
      this.#out.flush();
      this.#connection.send(message, buffers);
      update();
    });
    /** What most parts need. */
    const common = {
      view,
      stage: this.#stage,
      masking: this.#masking,
      within: () => this.element,
      aside,
      update,
      send,
    };
    this.#connection = channel.connect({
      message: (message, buffers) => this.#inbox.receive(message, buffers),
      connected: (connected) => {
        view.connected = connected;
        view.sliding = null;
        if (!connected) this.#photo.forget();
        update();
        const still = connected ? null : channel.still;
        if (still) void this.#still.show(still).then(update);
      },
      late: (late) => {
        view.late = late;
        update();
      },
    });
    this.#out = new Coalescer((message) => this.#connection.send(message), nextFrame);
    this.#frames = new FrameQueue<ImageBitmap>({
      decode: ({ data, format }) => createImageBitmap(blobOf(data, format)),
      draw: (picture, frame) => this.#draw(picture, frame),
      ack: (frame) => this.#connection.ack(frame, () => this.#out.take()),
      hidden: () => document.hidden,
      schedule: nextFrame,
    });
    this.#looker = new Looker(
      (step) => send({ type: "look", step }),
      () => {
        view.sliding = null;
        update();
      },
    );
    const look = (step: number | null) => {
      view.sliding = step ?? view.newest;
      this.#looker.look(step);
      update();
    };
    this.#timeline = new Timeline(send, (step) => look(step >= view.newest ? null : step));
    this.#controller = new Controller({
      ...common,
      paint: () => this.#painter.soon(),
      look,
      press: (name) => this.#toolbar.press(name),
      focusSelected: () => this.#painter.focusSelected(),
      keepFocus: (change) => this.#focus.keep(change),
      busy: () => this.#pointer.active,
      cancel: () => this.#pointer.cancel(),
      card: (card) => this.#cards.open(card),
      full: () => void this.#full.toggle(),
      believe: () => {
        this.#masking.believe();
        this.#settings.believe();
      },
      takeSeed: () => this.#settings.takeSeed(),
      save: () => this.#exports.save(this.#drawn),
      openPhoto: () => this.#photo.input.click(),
      loadMask: () => this.#showing.choose(),
      saveMask: () => void this.#maskFiles.save(),
    });
    this.#settings = new Settings(
      {
        newImage: (seed) => this.#controller.newImage(seed),
        truncation: (value) => this.#controller.truncate(value),
        label: (value) => this.#controller.label(value),
        askForModels: () => send({ type: "models" }),
        load: (name) => this.#controller.load(name),
        hint: (text) => aside(text, 4000),
      },
      this.#toolbar,
    );
    this.#maskRow = new MaskRow((brush) => this.#controller.changeBrush(brush), this.#toolbar);
    this.#maskFiles = new MaskFiles(common);
    this.#showing = new ShowingCard(
      {
        change: (showing) => this.#controller.show(showing),
        close,
        load: (file) => void this.#maskFiles.load(file),
      },
      this.#toolbar,
    );
    this.#zoom = new ZoomChip(this.#toolbar);
    this.#compare = new Compare((split) => {
      view.split = split;
      update();
    });
    this.#drawerHead = new DrawerHead(() => {
      send({ type: "reset_settings" });
      this.#drawer.believe();
      aside(SETTINGS_RESET, 4000);
    }, this.#toolbar);
    this.#drawer = new Drawer(send);
    this.#exports = new Exports({
      ...common,
      unsend: () => this.#photo.forget(),
      code: (text) => this.#results.showCode(text),
    });
    this.#results = new Results(this.#exports, close);
    this.#banner = new Banner(
      (remedy) => this.#remedy(remedy),
      (key) => {
        view.dismissed.add(key);
        this.#focus.keep(update);
      },
    );
    this.#feedback = new Feedback(
      { select: (id) => this.#controller.select(id), remove: (id) => this.#controller.remove([id]) },
      this.#toolbar.add(button("Remove all", "trash", "Remove all points")),
    );
    const cancel = (job: Job) => this.#exports.cancel(job);
    this.#status = new StatusLine(
      { ...common, cancel },
      this.#toolbar.add(wide("Go on from here", "Go on from here; undo leads back")),
      this.#toolbar.add(wide("Newest", "Back to the newest picture (Esc)")),
    );
    this.#pointer = new PointerInput(this.#stage, this.#controller, signal);
    this.#stage.element.append(this.#buttons.element);
    const post = (message: PageMessage, data: readonly ArrayBufferView[]) => this.#connection.send(message, data);
    this.#photo = new PhotoOpener({ ...common, name: this.#connection.view, post }, this.#stage.element);
    this.#more = new More({ ...common, cancel }, this.#toolbar);
    this.#parts = [
      ...[this.#status, this.#settings, this.#maskRow, this.#feedback, this.#timeline, this.#zoom],
      ...[this.#compare, this.#drawerHead, this.#showing, this.#more],
    ];
    const cards = [this.#help.element, this.#results.element, this.#showing.element];
    this.element = make(
      "div",
      { class: "draggan-widget", role: "group", named: "DragGAN" },
      make("style", {}, themes, style),
      this.#toolbar.element,
      make(
        "div",
        "dg-frame",
        this.#stage.element,
        this.#compare.element,
        this.#zoom.element,
        this.#more.over,
        ...cards,
      ),
      this.#photo.input,
      this.#status.element,
      make("div", "dg-swap", this.#feedback.element, this.#maskRow.element, this.#more.button, this.#showing.button),
      this.#more.element,
      this.#timeline.element,
      this.#settings.source,
      make("div", "dg-under", this.#settings.element, this.#banner.element),
      this.#drawerHead.element,
      this.#drawer.element,
      this.#still.element,
    );
    const rovings = [this.#toolbar.roving, this.#feedback.roving];
    this.#focus = new FocusKeeper(this.element, this.#stage.element, this.#buttons, rovings);
    const focus = this.#focus;
    this.#cards = new Cards({ ...common, focus, focusButton: (name) => this.#toolbar.focus(name) }, cards);
    this.#before = new BeforePicture(view, this.#stage, send);
    this.#painter = new Painter({ ...common, buttons: this.#buttons, focus }, signal);
    this.#inbox = new Inbox({
      ...common,
      pointer: this.#pointer,
      before: this.#before,
      looker: this.#looker,
      frames: this.#frames,
      settings: this.#settings,
      drawer: this.#drawer,
      timeline: this.#timeline,
      exports: this.#exports,
      photo: this.#photo,
      more: this.#more,
    });
    this.#full = new FullScreen(
      this.element,
      (on) => {
        // What is under way was begun at other places of the screen.
        this.#controller.giveUp();
        view.full = on;
        update();
      },
      () => aside(NO_FULL_SCREEN, 6000),
      signal,
    );
    const resized = () => {
      this.#timeline.redraw();
      update();
    };
    this.#layout = new Layout(this.element, this.#stage, this.#toolbar.element, resized, signal);
    this.#listen(signal);
    update();
    this.#connection.open();
  }

  close(): void {
    this.#pointer.finish();
    this.#stop.abort();
    this.#out.flush();
    this.#connection.close();
    this.#frames.close();
    this.#status.close();
    this.#looker.close();
    this.#timeline.close();
    this.#settings.models.close();
    this.element.remove();
  }

  #listen(signal: AbortSignal): void {
    listenToKeys(
      this.element,
      {
        focusOf: (target) => this.#focus.kindOf(target),
        handle: this.#controller.handle,
        hold: this.#controller.hold,
        go: (way) => this.#focus.go(way),
        typed: (event) => {
          this.#settings.typed(event);
          this.#drawer.typed(event);
          this.#more.typed(event);
          if (event.key === "Escape" && this.#cards.focused) this.#cards.open(null);
        },
        busy: () => this.#pointer.active,
        full: () => this.#view.full,
      },
      signal,
    );
    document.addEventListener("visibilitychange", () => document.hidden || this.#frames.reveal(), { signal });
    this.#buttons.element.addEventListener("focusin", (event) => this.#select(this.#buttons.of(event.target)), {
      signal,
    });
    // Scripts move the focus after a press; only somebody at the keyboard needs to be shown where it went.
    const pointing = (on: boolean) => () => this.element.toggleAttribute("data-pointing", on);
    this.element.addEventListener("pointerdown", pointing(true), { signal, capture: true });
    window.addEventListener("keydown", pointing(false), { signal, capture: true });
    this.element.addEventListener("paste", (event) => this.#photo.paste(event), { signal });
    watchTheme(() => this.#timeline.redraw(), signal);
  }

  #draw(picture: ImageBitmap, frame: Frame): void {
    const first = this.#drawn === null;
    this.#drawn = frame;
    this.#out.frame();
    this.#stage.drawPicture(picture, frame);
    if (first) this.#update();
  }

  #remedy(remedy: Remedy): void {
    if (remedy.do === "move handle") this.#controller.moveHandle(remedy.id, remedy.to);
    else if (remedy.do === "save picture") this.#exports.save(this.#drawn);
    else void this.#exports.copyText(asPython(this.#view.points.shown()));
  }

  #select(found: { id: number; part: Part } | null): void {
    if (found) this.#view.selected = found;
    this.#update();
  }

  /** Everything that a word or an attribute tells, at once; the drawing follows with the next frame. */
  #update(): void {
    const view = this.#view;
    const { state, connected, card } = view;
    view.selectOnlyWhatIs();
    this.element.dataset.status = connected ? (state?.status ?? "loading") : "disconnected";
    this.element.dataset.step = String(state?.step ?? 0);
    const attributes = {
      empty: state === null,
      still: this.#still.left && !connected && state === null,
      trouble: kind(state) === "trouble",
      late: view.late,
      full: view.full,
    };
    for (const [name, on] of Object.entries(attributes)) this.element.toggleAttribute(`data-${name}`, on);
    this.#stage.show(state, connected);
    this.#layout.arrange(view.full);
    this.#stage.zoom(view.zoom);
    this.#before.show();
    this.#stage.veil(veilOf(view));
    this.#buttons.element.hidden = !view.showing.points;
    for (const part of this.#parts) part.show(view);
    this.#feedback.element.hidden = !this.#maskRow.element.hidden;
    this.#banner.show(concern(view));
    this.#drawer.show(view.drawer === "settings", state);
    this.#help.show(card === "help");
    this.#results.show(view, this.#drawn !== null);
    this.#toolbar.show(view, this.#masking.painted, this.#drawn !== null);
    this.#painter.soon();
  }
}
