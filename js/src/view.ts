/** One view of the edit: it puts the parts together, hears the kernel, and shows what there is. */
import { Banner } from "./banner.ts";
import { type Channel, Coalescer, type Connection } from "./channel.ts";
import { nextFrame } from "./clock.ts";
import { Compare } from "./compare.ts";
import { asPython, concern, type Remedy, sitsBadly } from "./concerns.ts";
import { type Card, Desk } from "./desk.ts";
import { make, putStyle } from "./dom.ts";
import { Drawer } from "./drawer.ts";
import { DrawerHead } from "./drawerhead.ts";
import { Exports } from "./exports.ts";
import { Feedback } from "./feedback.ts";
import { type Frame, FrameQueue } from "./frames.ts";
import { FullScreen } from "./fullscreen.ts";
import { arrange, type Part, toCss } from "./geometry.ts";
import { Hand } from "./hand.ts";
import { PointButtons } from "./handles.ts";
import { Help } from "./help.ts";
import { listenToKeys } from "./keyboard.ts";
import type { Focus } from "./keys.ts";
import { Looker } from "./looking.ts";
import { MaskFiles } from "./maskfile.ts";
import { Masking } from "./masking.ts";
import { MaskRow } from "./maskrow.ts";
import { PointerInput } from "./pointer.ts";
import type { BeforeMessage, KernelMessage, PageMessage } from "./protocol.ts";
import { Results } from "./results.ts";
import { Room } from "./room.ts";
import type { Roving } from "./roving.ts";
import { blobOf } from "./save.ts";
import { Settings } from "./settings.ts";
import { ShowingCard } from "./showing.ts";
import { Stage } from "./stage.ts";
import { kind, NO_FULL_SCREEN, SETTINGS_RESET, STILL } from "./status.ts";
import { StatusLine } from "./statusline.ts";
import style from "./style.css";
import { Timeline } from "./timeline.ts";
import { button, Toolbar, wide } from "./toolbar.ts";
import { veilOf } from "./veil.ts";
import { ZoomChip } from "./zoomchip.ts";

/** The buttons that open the cards. */
const OPENS = { help: "Help", results: "Results", showing: "Show and hide" } as const;

export class View {
  readonly element: HTMLElement;
  readonly #stop = new AbortController();
  readonly #desk = new Desk();
  readonly #stage = new Stage();
  readonly #buttons = new PointButtons();
  readonly #help = new Help(() => this.#card(null));
  readonly #toolbar = new Toolbar((name) => this.#hand.actions[name]());
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
  readonly #hand: Hand;
  readonly #pointer: PointerInput;
  readonly #full: FullScreen;
  readonly #room: Room;
  readonly #frames: FrameQueue<ImageBitmap>;
  readonly #connection: Connection;
  readonly #out: Coalescer;
  readonly #still = make("canvas", { class: "dg-still", role: "img", "aria-label": STILL });
  /** Whether that picture is there. */
  #left = false;
  #drawn: Frame | null = null;
  /** Whether the picture from before is there, and the edit of which it was asked for last. */
  #before: { there: boolean; asked: number | null } = { there: false, asked: null };
  /** What was just selected has no button yet, and is to have the focus as soon as there is one. */
  #focusing = false;
  #painting = false;
  /** What had the focus when a card was opened, and gets it back. */
  #cardFrom: HTMLElement | null = null;

  constructor(channel: Channel) {
    const { signal } = this.#stop;
    const desk = this.#desk;
    const update = () => this.#update();
    const aside = (text: string, milliseconds: number) => this.#status.aside(text, milliseconds);
    const send = (message: PageMessage) => this.#out.push(message);
    this.#connection = channel.connect({
      message: (message, buffers) => this.#receive(message, buffers),
      connected: (connected) => {
        desk.connected = connected;
        desk.sliding = null;
        update();
        const still = connected ? null : channel.still;
        if (still) void this.#showStill(still);
      },
      late: (late) => {
        desk.late = late;
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
    this.#masking = new Masking(this.#stage, (message, buffers) => {
      this.#hand.goOnWhereWeLook();
      this.#out.flush();
      this.#connection.send(message, buffers);
      update();
    });
    this.#looker = new Looker(
      (step) => send({ type: "look", step }),
      () => {
        desk.sliding = null;
        update();
      },
    );
    const look = (step: number | null) => {
      desk.sliding = step ?? desk.newest;
      this.#looker.look(step);
      update();
    };
    this.#timeline = new Timeline(send, (step) => look(step >= desk.newest ? null : step));
    this.#hand = new Hand({
      desk,
      stage: this.#stage,
      masking: this.#masking,
      update,
      paint: () => this.#paintSoon(),
      aside,
      send,
      look,
      press: (name) => this.#toolbar.press(name),
      focusSelected: () => {
        this.#focusing = true;
      },
      keepFocus: (change) => this.#keepFocus(change),
      busy: () => this.#pointer.active,
      cancel: () => this.#pointer.cancel(),
      card: (card) => this.#card(card),
      full: () => void this.#full.toggle(),
      believe: () => {
        this.#masking.believe();
        this.#settings.believe();
      },
      takeSeed: () => this.#settings.takeSeed(),
      save: () => this.#exports.save(this.#drawn),
      loadMask: () => this.#showing.choose(),
      saveMask: () => void this.#maskFiles.save(),
    });
    this.#settings = new Settings(
      {
        newImage: (seed) => this.#hand.newImage(seed),
        truncation: (value) => this.#hand.truncate(value),
        label: (value) => this.#hand.label(value),
        askForModels: () => send({ type: "models" }),
        load: (name) => this.#hand.load(name),
        hint: (text) => aside(text, 4000),
      },
      this.#toolbar,
    );
    this.#maskRow = new MaskRow((brush) => this.#hand.changeBrush(brush), this.#toolbar);
    this.#maskFiles = new MaskFiles({ desk, masking: this.#masking, within: () => this.element, aside, update });
    this.#showing = new ShowingCard(
      {
        change: (showing) => this.#hand.show(showing),
        close: () => this.#card(null),
        load: (file) => void this.#maskFiles.load(file),
      },
      this.#toolbar,
    );
    this.#zoom = new ZoomChip(this.#toolbar);
    this.#compare = new Compare((split) => {
      desk.split = split;
      update();
    });
    this.#drawerHead = new DrawerHead(() => {
      send({ type: "reset_settings" });
      this.#drawer.believe();
      aside(SETTINGS_RESET, 4000);
    });
    this.#drawer = new Drawer(send);
    this.#exports = new Exports({
      desk,
      within: () => this.element,
      send,
      aside,
      update,
      picture: () => this.#stage.toBlob(),
      code: (text) => this.#results.showCode(text),
    });
    this.#results = new Results({
      export: (what, handles) => this.#exports.ask(what, handles),
      cancel: () => this.#exports.cancel(),
      copyPicture: () => void this.#exports.copyPicture(),
      copyCode: (text) => void this.#exports.copyCode(text),
      close: () => this.#card(null),
    });
    this.#banner = new Banner(
      (remedy) => this.#remedy(remedy),
      (key) => {
        desk.dismissed.add(key);
        this.#keepFocus(update);
      },
    );
    this.#feedback = new Feedback(
      { select: (id) => this.#hand.select(id), remove: (id) => this.#hand.remove([id]) },
      this.#toolbar.add("Remove all", button("Remove all", "trash", "Remove all points")),
    );
    this.#status = new StatusLine(
      this.#toolbar.add("Go on from here", wide("Go on from here", "Go on from here; undo leads back")),
      this.#toolbar.add("Newest", wide("Newest", "Back to the newest picture (Esc)")),
    );
    this.#pointer = new PointerInput(this.#stage, this.#hand, signal);
    this.#stage.element.append(this.#buttons.element);
    this.element = make(
      "div",
      { class: "draggan-widget", role: "group", "aria-label": "DragGAN" },
      make("style", {}, style),
      this.#toolbar.element,
      make(
        "div",
        { class: "dg-frame" },
        this.#stage.element,
        this.#compare.element,
        this.#zoom.element,
        this.#help.element,
        this.#results.element,
        this.#showing.element,
      ),
      this.#status.element,
      make("div", { class: "dg-swap" }, this.#feedback.element, this.#maskRow.element, this.#showing.button),
      this.#timeline.element,
      this.#settings.source,
      make("div", { class: "dg-under" }, this.#settings.element, this.#banner.element),
      this.#drawerHead.element,
      this.#drawer.element,
      this.#still,
    );
    this.#full = new FullScreen(
      this.element,
      (on) => {
        // What is under way was begun at other places of the screen.
        this.#hand.giveUp();
        desk.full = on;
        update();
      },
      () => aside(NO_FULL_SCREEN, 6000),
      signal,
    );
    this.#room = new Room(this.element, update, signal);
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
        focusOf: (target) => this.#focusOf(target),
        handle: this.#hand.handle,
        hold: this.#hand.hold,
        go: (way) => this.#rovings.some((each) => each.go(way, this.#active())),
        typed: (event) => {
          this.#settings.typed(event);
          this.#drawer.typed(event);
          if (event.key === "Escape" && this.#cards.some((card) => card.contains(this.#active()))) this.#card(null);
        },
        busy: () => this.#pointer.active,
        full: () => this.#desk.full,
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
    const sizes = new ResizeObserver(() => {
      // Of the widget, not of the picture: a tall picture is narrow where there is room for everything.
      this.element.toggleAttribute("data-narrow", this.#toolbar.element.clientWidth < 440);
      this.#timeline.redraw();
      this.#update();
    });
    for (const element of [this.#stage.element, this.#toolbar.element]) sizes.observe(element);
    window.addEventListener("resize", () => this.#update(), { signal });
    const themes = new MutationObserver(() => this.#timeline.redraw());
    for (const element of [document.documentElement, document.body]) themes.observe(element, { attributes: true });
    signal.addEventListener("abort", () => {
      sizes.disconnect();
      themes.disconnect();
    });
  }

  #receive(message: KernelMessage, buffers: readonly ArrayBufferView[]): void {
    switch (message.type) {
      case "state":
        // What is being pulled is of a picture that is no more.
        if (this.#desk.receive(message)) {
          this.#pointer.drop();
          this.#masking.believe();
          this.#before = { there: false, asked: null };
        }
        this.#looker.shows(message.shown);
        this.#update();
        break;
      case "frame":
        if (buffers[0]) this.#frames.push({ ...message, data: buffers[0] });
        break;
      case "mask":
        // The end of a stroke that is under way sends all of the mask anyhow.
        if (this.#desk.tool === "points" || !this.#pointer.active) this.#masking.receive(message, buffers[0]);
        this.#update();
        break;
      case "classes":
        this.#settings.classes.receive(message.names);
        break;
      case "schema":
        this.#drawer.receive(message);
        break;
      case "models":
        this.#settings.models.receive(message);
        this.#update();
        break;
      case "course":
        this.#timeline.course(message);
        break;
      case "thumbnails":
        void this.#timeline.thumbnails(message, buffers);
        break;
      case "before":
        if (buffers[0]) void this.#receiveBefore(message, buffers[0]);
        break;
      case "export":
        this.#exports.receive(message, buffers[0]);
        break;
      case "exporting":
        this.#exports.progress(message);
        break;
      case "notice":
        // Whatever was refused, it may be what was chosen.
        this.#settings.believe();
        this.#desk.exporting.clear();
        this.#update();
        this.#status.aside(message.text, 6000);
        break;
      case "pong":
        break;
    }
  }

  #draw(picture: ImageBitmap, frame: Frame): void {
    const first = this.#drawn === null;
    this.#drawn = frame;
    this.#out.frame();
    this.#stage.drawPicture(picture, frame);
    if (first) this.#update();
  }

  /** Instead of an editor that nobody answers: the picture that was left for a page without a kernel. */
  async #showStill(png: ArrayBufferView): Promise<void> {
    const picture = await createImageBitmap(blobOf(png, "png")).catch(() => null);
    if (!picture) return;
    Object.assign(this.#still, { width: picture.width, height: picture.height });
    this.#still.getContext("2d")?.drawImage(picture, 0, 0);
    picture.close();
    this.#left = true;
    this.#update();
  }

  async #receiveBefore(size: BeforeMessage, data: ArrayBufferView): Promise<void> {
    const picture = await createImageBitmap(blobOf(data, size.format)).catch(() => null);
    if (!picture) return;
    // An answer that was long on its way may be of another picture.
    if (size.edit === this.#desk.state?.edit) {
      this.#stage.drawBefore(picture, size);
      this.#before.there = true;
    }
    picture.close();
    this.#update();
  }

  #remedy(remedy: Remedy): void {
    if (remedy.do === "move handle") this.#hand.moveHandle(remedy.id, remedy.to);
    else if (remedy.do === "save picture") this.#exports.save(this.#drawn);
    else void this.#exports.copyText(asPython(this.#desk.points.shown()));
  }

  #select(found: { id: number; part: Part } | null): void {
    if (found) this.#desk.selected = found;
    this.#update();
  }

  get #rovings(): readonly Roving[] {
    return [this.#toolbar.roving, this.#feedback.roving];
  }

  #keepFocus(change: () => void): void {
    const focused = this.#active();
    change();
    if (this.element.contains(focused) && focused?.checkVisibility?.() === false) {
      this.#stage.element.focus({ preventScroll: true });
    }
  }

  /** One card over the picture, or none; the focus goes back to where it came from. */
  #card(card: Card | null): void {
    const was = this.#desk.card;
    if (card === was) return;
    const focused = this.#active();
    const inside = this.#cards.some((each) => each.contains(focused));
    if (!inside) this.#cardFrom = focused instanceof HTMLElement && this.element.contains(focused) ? focused : null;
    this.#desk.card = card;
    this.#update();
    if (card !== null || !inside) return;
    if (this.#cardFrom?.isConnected) this.#cardFrom.focus({ preventScroll: true });
    else this.#toolbar.focus(OPENS[was ?? "help"]);
  }

  get #cards(): readonly HTMLElement[] {
    return [this.#help.element, this.#results.element, this.#showing.element];
  }

  /** Everything that a word or an attribute tells, at once; the drawing follows with the next frame. */
  #update(): void {
    const desk = this.#desk;
    const { state, connected, card } = desk;
    desk.selectOnlyWhatIs();
    this.element.dataset.status = connected ? (state?.status ?? "loading") : "disconnected";
    this.element.dataset.step = String(state?.step ?? 0);
    this.element.toggleAttribute("data-empty", state === null);
    this.element.toggleAttribute("data-still", this.#left && !connected && state === null);
    this.element.toggleAttribute("data-loading", state?.loading != null);
    this.element.toggleAttribute("data-trouble", kind(state) === "trouble");
    this.element.toggleAttribute("data-late", desk.late);
    this.element.toggleAttribute("data-full", desk.full);
    this.#stage.show(state, connected);
    this.#arrange();
    this.#stage.zoom(desk.zoom);
    this.#showBefore();
    this.#stage.veil(veilOf(desk));
    this.#buttons.element.hidden = !desk.showing.points;
    this.#status.show(desk);
    this.#settings.show(state);
    this.#maskRow.show(desk);
    this.#feedback.element.hidden = !this.#maskRow.element.hidden;
    this.#feedback.show(desk);
    this.#timeline.show(desk);
    this.#banner.show(concern(desk));
    this.#zoom.show(desk);
    this.#compare.show(desk);
    this.#drawerHead.show(desk);
    this.#showing.show(desk);
    this.#drawer.show(desk.drawer, state);
    this.#help.show(card === "help");
    this.#results.show(desk, this.#drawn !== null);
    this.#toolbar.show(desk, this.#masking.painted, this.#drawn !== null);
    this.#paintSoon();
  }

  /** Where the controls stand and how big the picture is, by the room there is. */
  #arrange(): void {
    const { full } = this.#desk;
    const room = full ? { width: window.innerWidth, height: window.innerHeight } : this.#room.size;
    const { wide, width, side } = arrange(this.#stage.picture, room, full);
    this.element.toggleAttribute("data-wide", wide);
    putStyle(this.element, "--dg-stage", `${width}px`);
    putStyle(this.element, "--dg-side", `${side}px`);
    putStyle(this.element, "--dg-room", `${Math.round(room.height)}px`);
  }

  /** The picture from before is asked for when somebody wants to see it, and shown when it is there. */
  #showBefore(): void {
    const { comparing, peeking, split, live, state } = this.#desk;
    if (comparing && live && state && this.#before.asked !== state.edit) {
      this.#before.asked = state.edit;
      this.#out.push({ type: "before" });
    }
    if (!comparing) this.#before = { there: false, asked: null }; // by the next time it may be another one
    this.#stage.compare(comparing && this.#before.there ? (peeking ? 1 : split) : null);
  }

  #paintSoon(): void {
    if (this.#painting) return;
    this.#painting = true;
    nextFrame(() => {
      this.#painting = false;
      if (!this.#stop.signal.aborted) this.#paint();
    });
  }

  #paint(): void {
    const { state, points, selected, outline, cross, peeking, showing } = this.#desk;
    const scale = this.#stage.scale;
    const shown = points.shown();
    const focused = this.#buttons.of(this.#active());
    this.#buttons.show(shown, scale, selected);
    if (state?.status !== "running") this.#buttons.describe(shown);
    // The focus of a point that is gone goes to the picture, not out of the widget.
    if (focused && !points.find(focused.id)) this.#stage.element.focus({ preventScroll: true });
    if (this.#focusing && selected && this.element.contains(this.#active())) {
      this.#buttons.focus(selected.id, selected.part);
    }
    this.#focusing = false;
    const better = (id: number) => {
      const point = state?.points.find((each) => each.id === id);
      const to = state && point && sitsBadly(state, point) ? point.texture?.better : null;
      return to ? toCss(scale, to) : null;
    };
    this.#stage.drawOverlay({
      marks:
        peeking || !showing.points
          ? []
          : shown.map(({ id, handle, target }) => ({
              id,
              handle: toCss(scale, handle),
              target: toCss(scale, target),
              selected: id === selected?.id,
              better: better(id),
            })),
      outline: outline?.map((place) => toCss(scale, place)) ?? null,
      cross: cross && toCss(scale, cross),
    });
  }

  /** The focused element, also where the widget stands in a shadow root. */
  #active(): Element | null {
    return (this.element.getRootNode() as Document | ShadowRoot).activeElement;
  }

  #focusOf(target: EventTarget | undefined): Focus {
    if (target instanceof HTMLInputElement) {
      return target.type === "range" ? "slider" : target.type === "checkbox" ? "button" : "input";
    }
    if (target instanceof HTMLSelectElement || target instanceof HTMLPreElement) return "input";
    if (this.#buttons.of(target)) return "point";
    if (target === this.#stage.element) return "picture";
    const many = target instanceof Node && this.#rovings.some(({ element }) => element.contains(target));
    return many ? "one of many" : "button";
  }
}
