/** One view of the edit: it puts the parts together, hears the kernel, and shows what there is. */
import { Brush } from "./brush.ts";
import { type Channel, Coalescer, type Connection } from "./channel.ts";
import { nextFrame } from "./clock.ts";
import { Desk } from "./desk.ts";
import { make } from "./dom.ts";
import { type Frame, FrameQueue } from "./frames.ts";
import { type Part, toCss } from "./geometry.ts";
import { Hand } from "./hand.ts";
import { PointButtons } from "./handles.ts";
import { Help } from "./help.ts";
import { listenToKeys } from "./keyboard.ts";
import type { Focus } from "./keys.ts";
import { PointerInput } from "./pointer.ts";
import type { KernelMessage } from "./protocol.ts";
import { blobOf, download } from "./save.ts";
import { Settings } from "./settings.ts";
import { Stage } from "./stage.ts";
import { fileName, kind } from "./status.ts";
import { StatusLine } from "./statusline.ts";
import style from "./style.css";
import { Toolbar } from "./toolbar.ts";

export class View {
  readonly element: HTMLElement;
  readonly #stop = new AbortController();
  readonly #desk = new Desk();
  readonly #stage = new Stage();
  readonly #buttons = new PointButtons();
  readonly #status = new StatusLine();
  readonly #help = new Help(() => this.#showHelp(false));
  readonly #toolbar = new Toolbar((name) => this.#hand.actions[name]());
  readonly #settings: Settings;
  readonly #brush: Brush;
  readonly #hand: Hand;
  readonly #pointer: PointerInput;
  readonly #frames: FrameQueue<ImageBitmap>;
  readonly #connection: Connection;
  readonly #out: Coalescer;
  #drawn: Frame | null = null;
  /** What was just selected has no button yet, and is to have the focus as soon as there is one. */
  #focusing = false;
  #painting = false;
  /** What had the focus when the help was opened, and gets it back. */
  #helpFrom: HTMLElement | null = null;

  constructor(channel: Channel) {
    const { signal } = this.#stop;
    const update = () => this.#update();
    const aside = (text: string, milliseconds: number) => this.#status.aside(text, milliseconds);
    this.#connection = channel.connect({
      message: (message, buffers) => this.#receive(message, buffers),
      connected: (connected) => {
        this.#desk.connected = connected;
        update();
      },
    });
    this.#out = new Coalescer((message) => this.#connection.send(message), nextFrame);
    this.#frames = new FrameQueue<ImageBitmap>({
      decode: ({ data, format }) => createImageBitmap(blobOf(data, format)),
      draw: (picture, frame) => this.#draw(picture, frame),
      ack: (seq) => this.#connection.ack(seq),
      hidden: () => document.hidden,
      schedule: nextFrame,
    });
    this.#brush = new Brush(this.#stage, (message, buffers) => {
      this.#connection.send(message, buffers);
      update();
    });
    this.#hand = new Hand({
      desk: this.#desk,
      stage: this.#stage,
      brush: this.#brush,
      update,
      paint: () => this.#paintSoon(),
      aside,
      send: (message) => this.#out.push(message),
      press: (name) => this.#toolbar.press(name),
      focusSelected: () => {
        this.#focusing = true;
      },
      keepFocus: (change) => this.#keepFocus(change),
      busy: () => this.#pointer.active,
      cancel: () => this.#pointer.cancel(),
      believe: () => {
        this.#brush.believe();
        this.#settings.classes.believe();
      },
      help: (open) => this.#showHelp(open ?? this.#help.open),
      takeSeed: () => this.#settings.takeSeed(),
      save: () => void this.#save(),
    });
    this.#settings = new Settings(
      {
        newImage: (seed) => this.#hand.newImage(seed),
        truncation: (value) => this.#hand.truncate(value),
        label: (value) => this.#hand.label(value),
        askForModels: () => this.#out.push({ type: "models" }),
        load: (name) => this.#hand.load(name),
        brushSize: (size) => this.#hand.resizeBrush(size),
        hint: (text) => aside(text, 4000),
      },
      this.#toolbar,
    );
    this.#pointer = new PointerInput(this.#stage, this.#hand, signal);
    this.#stage.element.append(this.#buttons.element);
    this.element = make(
      "div",
      { class: "draggan-widget", role: "group", "aria-label": "DragGAN" },
      make("style", {}, style),
      this.#toolbar.element,
      make("div", { class: "dg-frame" }, this.#stage.element, this.#help.element),
      this.#status.element,
      this.#settings.brush,
      this.#settings.source,
      this.#settings.element,
    );
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
    this.#settings.models.close();
    this.element.remove();
  }

  #listen(signal: AbortSignal): void {
    listenToKeys(
      this.element,
      {
        focusOf: (target) => this.#focusOf(target),
        handle: this.#hand.handle,
        typed: (event) => this.#settings.typed(event),
        busy: () => this.#pointer.active,
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
      this.#paintSoon();
    });
    for (const element of [this.#stage.element, this.#toolbar.element]) sizes.observe(element);
    window.addEventListener("resize", () => this.#update(), { signal });
    signal.addEventListener("abort", () => sizes.disconnect());
  }

  #receive(message: KernelMessage, buffers: readonly ArrayBufferView[]): void {
    switch (message.type) {
      case "state":
        // What is being pulled is of a picture that is no more.
        if (this.#desk.receive(message)) {
          this.#pointer.drop();
          this.#brush.believe();
        }
        this.#update();
        break;
      case "frame":
        if (buffers[0]) this.#frames.push({ ...message, data: buffers[0] });
        break;
      case "mask":
        // The end of a stroke that is under way sends all of the mask anyhow.
        if (this.#desk.tool === "points" || !this.#pointer.active) this.#brush.receive(message, buffers[0]);
        this.#update();
        break;
      case "classes":
        this.#settings.classes.receive(message.names);
        break;
      case "models":
        this.#settings.models.receive(message);
        this.#update();
        break;
      case "notice":
        // Whatever was refused, it may be what was chosen.
        this.#settings.classes.believe();
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
    this.#stage.drawPicture(picture, frame);
    if (first) this.#update();
  }

  /** The kernel's own PNG where it is of this very picture; else what is on the canvas. */
  async #save(): Promise<void> {
    if (!this.#desk.state || !this.#drawn) return;
    const { format, data, step } = this.#drawn;
    const name = fileName(this.#desk.state, step);
    const blob = format === "png" ? blobOf(data, format) : await this.#stage.toBlob();
    if (blob) download(blob, name, this.element);
  }

  #select(found: { id: number; part: Part } | null): void {
    if (found) this.#desk.selected = found;
    this.#update();
  }

  #keepFocus(change: () => void): void {
    const focused = this.#active();
    change();
    if (this.element.contains(focused) && focused?.checkVisibility?.() === false) {
      this.#stage.element.focus({ preventScroll: true });
    }
  }

  #showHelp(open: boolean): boolean {
    if (open === this.#help.open) return open;
    const focused = this.#active();
    if (open) this.#helpFrom = focused instanceof HTMLElement && this.element.contains(focused) ? focused : null;
    const inside = this.#help.element.contains(focused);
    this.#help.show(open);
    if (inside && this.#helpFrom?.isConnected) this.#helpFrom.focus({ preventScroll: true });
    else if (inside) this.#toolbar.focus("Help");
    this.#update();
    return open;
  }

  /** Everything that a word or an attribute tells, at once; the drawing follows with the next frame. */
  #update(): void {
    const { state, connected, points, tool, hold } = this.#desk;
    this.#desk.selectOnlyWhatIs();
    this.element.dataset.status = connected ? (state?.status ?? "loading") : "disconnected";
    this.element.dataset.step = String(state?.step ?? 0);
    this.element.toggleAttribute("data-empty", state === null);
    this.element.toggleAttribute("data-loading", state?.loading != null);
    this.element.toggleAttribute("data-trouble", kind(state) === "trouble");
    this.#stage.show(state, connected);
    const wide = `${this.#stage.shownSize.width}px`;
    if (this.element.style.getPropertyValue("--dg-stage") !== wide) this.element.style.setProperty("--dg-stage", wide);
    this.#status.show(state, connected, hold);
    this.#settings.show(state);
    this.#settings.showBrush(tool !== "points", this.#brush.size);
    this.#toolbar.show({
      state,
      connected,
      points: points.shown().length,
      selected: this.#desk.selected !== null,
      tool,
      hold,
      painted: this.#brush.painted,
      help: this.#help.open,
      picture: this.#drawn !== null,
    });
    this.#paintSoon();
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
    const { state, points, selected } = this.#desk;
    const scale = this.#stage.scale;
    const shown = points.shown();
    const focused = this.#buttons.of(this.#active());
    this.#buttons.show(shown, scale);
    if (state?.status !== "running") this.#buttons.describe(shown);
    // The focus of a point that is gone goes to the picture, not out of the widget.
    if (focused && !points.find(focused.id)) this.#stage.element.focus({ preventScroll: true });
    if (this.#focusing && selected && this.#stage.element.contains(this.#active())) {
      this.#buttons.focus(selected.id, selected.part);
    }
    this.#focusing = false;
    this.#stage.drawMarks(
      shown.map(({ id, handle, target }) => ({
        id,
        handle: toCss(scale, handle),
        target: toCss(scale, target),
        selected: id === selected?.id,
      })),
    );
  }

  /** The focused element, also where the widget stands in a shadow root. */
  #active(): Element | null {
    return (this.element.getRootNode() as Document | ShadowRoot).activeElement;
  }

  #focusOf(target: EventTarget | undefined): Focus {
    if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement) return "input";
    if (this.#buttons.of(target)) return "point";
    return target instanceof HTMLButtonElement ? "button" : "picture";
  }
}
