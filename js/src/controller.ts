/** What the person does, by pointer, key or button, and the messages that come of it. */
import { Cross } from "./cross.ts";
import { type Css, clamp, clamped, nearest, type Part } from "./geometry.ts";
import type { Meaning, Tool } from "./keys.ts";
import { LARGEST, SMALLEST } from "./maskrow.ts";
import type { Gesture, Pinch, PointerHost, Press } from "./pointer.ts";
import { type PageMessage, point } from "./protocol.ts";
import { STOP_FIRST } from "./status.ts";
import type { ButtonName } from "./toolbar.ts";
import type { ToolContext } from "./tools/context.ts";
import { panning } from "./tools/panning.ts";
import { TOOLS } from "./tools/tools.ts";
import type { Card, Drawer, ViewState } from "./viewstate.ts";
import { FIT, STEP } from "./zoom.ts";
import { Zooming } from "./zooming.ts";

/** What the controller needs of the view around it. */
export interface ControllerHost extends ToolContext {
  /** Presses a button of the toolbar, if it is on. */
  press(name: ButtonName): void;
  /** Does something that may hide what has the focus, which then goes to the picture. */
  keepFocus(change: () => void): void;
  /** Whether a gesture is under way. */
  busy(): boolean;
  /** Cancels the gesture that is under way; false if there is none. */
  cancel(): boolean;
  card(card: Card | null): void;
  /** To full screen, or back from it. */
  full(): void;
  /** What was chosen and painted here holds no longer, only the kernel's next word does. */
  believe(): void;
  look(step: number | null): void;
  takeSeed(): number | null | undefined;
  save(): void;
  /** Lets the person choose a photograph. */
  openPhoto(): void;
  /** A mask out of a file that the person chooses, and into one. */
  loadMask(): void;
  saveMask(): void;
}

export class Controller implements PointerHost {
  readonly #host: ControllerHost;
  /** To the kernel, as it is; what changes the edit goes through `#change`. */
  readonly #send: (message: PageMessage) => void;
  readonly #zooming: Zooming;
  readonly #cross: Cross;
  #grasped = false;

  constructor(host: ControllerHost) {
    this.#send = host.send;
    this.#host = { ...host, send: (message) => this.#change(message) };
    this.#zooming = new Zooming(host);
    this.#cross = new Cross({ ...this.#host, hover: (at) => this.hover(at, 0) }, this.#zooming);
  }

  readonly actions: Record<ButtonName, () => void> = {
    Start: () => this.#change({ type: "start" }),
    Stop: () => this.#send({ type: "stop" }),
    "Step once": () => this.#change({ type: "step_once" }),
    Hold: () => this.#set({ hold: !this.#view.hold }),
    Points: () => this.#take("points"),
    Brush: () => this.#take("brush"),
    Eraser: () => this.#take("eraser"),
    Rectangle: () => this.#take("rectangle"),
    Lasso: () => this.#take("lasso"),
    Pan: () => this.#take(this.#view.tool === "pan" ? "points" : "pan"),
    Undo: () => this.#travel({ type: "undo" }),
    Redo: () => this.#travel({ type: "redo" }),
    Reset: () => this.#travel({ type: "reset" }),
    "Before and after": () => this.#set({ split: this.#view.split === null ? 0.5 : null }),
    "Save image": () => this.#host.save(),
    Results: () => this.#toggle("results"),
    "All settings": () => this.#drawer("settings"),
    Attributes: () => this.#drawer("attributes"),
    "Compare engines": () => this.#drawer("engines"),
    "Full screen": () => this.#host.full(),
    Help: () => this.#toggle("help"),
    "Remove all": () => this.remove(this.#view.points.shown().map(({ id }) => id)),
    "New image": () => this.newImage(this.#host.takeSeed()),
    "Open photo": () => this.#host.openPhoto(),
    "Previous seed": () => this.#otherSeed(-1),
    "Next seed": () => this.#otherSeed(1),
    "Show and hide": () => this.#toggle("showing"),
    "Load mask": () => this.#host.loadMask(),
    "Save mask": () => this.#host.saveMask(),
    "Clear mask": () => this.#host.masking.clear(),
    "Invert mask": () => this.#host.masking.invert(),
    "Suggest mask": () => this.#suggestMask(),
    "Take away": () => this.changeBrush({ takeAway: !this.#view.brush.takeAway }),
    "Go on from here": () => this.#goOn(),
    Newest: () => this.#host.look(null),
    "Zoom in": () => this.#zooming.by(STEP),
    "Zoom out": () => this.#zooming.by(1 / STEP),
    Fit: () => this.#zooming.to(FIT),
  };

  /** Does what a key means; false where there is nothing to do, and the notebook may have the key. */
  readonly handle = (meaning: Meaning): boolean => {
    const { press, busy } = this.#host;
    switch (meaning.do) {
      case "cancel":
        return this.#cancel();
      case "nudge":
        this.#nudge(meaning.dx, meaning.dy);
        break;
      case "cross":
        this.#cross.move(meaning.dx, meaning.dy);
        break;
      case "press":
        this.#cross.press();
        break;
      case "other point":
        return this.#otherPoint(meaning.by);
      case "zoom":
        press(meaning.to === "fit" ? "Fit" : meaning.to === "in" ? "Zoom in" : "Zoom out");
        break;
      case "remove":
        if (this.#view.live && this.#view.selected) this.remove([this.#view.selected.id]);
        break;
      case "undo":
      case "redo":
        if (!busy() && !this.#cross.active) press(meaning.do === "undo" ? "Undo" : "Redo");
        break;
      case "hold":
        press("Hold");
        break;
      case "full":
        if (!busy()) press("Full screen");
        break;
      case "help":
        press("Help");
        break;
      case "tool":
        if (!busy()) this.#take(meaning.tool);
        break;
      case "show":
        this.show({ [meaning.what]: !this.#view.showing[meaning.what] });
        break;
      case "brush size":
        this.changeBrush({ size: this.#view.brush.size * meaning.factor });
        break;
    }
    return true;
  };

  /** Space takes hold of the picture while it is held, and starts or stops where it was only pressed. */
  readonly hold = ({ do: what }: Meaning, down: boolean, lost: boolean): void => {
    const { stage, press, busy } = this.#host;
    if (what === "peek") this.#set({ peeking: down });
    if (what !== "run") return;
    this.#view.grasping = down && !busy();
    stage.cursor(this.#view.grasping ? "grasp" : "free");
    if (down) this.#grasped = false;
    else if (!lost && !this.#grasped) press(this.#view.running ? "Stop" : "Start");
  };

  begin(press: Press): Gesture | null {
    const { stage, card } = this.#host;
    const view = this.#view;
    card(null);
    this.#cross.end();
    view.cross = null;
    stage.element.focus({ preventScroll: true });
    if (press.middle || view.grasping) {
      this.#grasped = true;
      return panning(this.#host, press);
    }
    view.showWhatIsWorkedOn();
    if (!view.live && view.tool !== "pan") return null;
    // A pen turned round is an eraser, whatever is in the hand.
    return TOOLS[press.rubber && view.tool === "points" ? "eraser" : view.tool](this.#host, press);
  }

  pinch(): Pinch {
    return this.#zooming.pinch();
  }

  wheel(at: Css, event: WheelEvent): boolean {
    return this.#zooming.wheel(at, event);
  }

  twice(at: Css): void {
    const { tool, points } = this.#view;
    const free = tool === "points" && !nearest(this.#host.stage.scale, points.shown(), at, 14);
    if (free || tool === "pan") this.#zooming.twice(at);
  }

  hover(at: Css | null, reach: number): void {
    const { stage } = this.#host;
    const { tool, brush, points, grasping } = this.#view;
    if (grasping) stage.cursor("grasp");
    else if (tool === "pan") stage.cursor("grasp");
    else if (tool === "brush" || tool === "eraser") stage.ring(at, brush.size);
    else if (tool === "points" && at) stage.cursor(nearest(stage.scale, points.shown(), at, reach) ? "grab" : "free");
  }

  newImage(seed: number | null | undefined): void {
    if (seed === undefined) return;
    this.#travel({ type: "new_image", seed });
    if (seed !== null && this.#view.live) this.#view.sentSeed.expect(seed);
    this.#host.update();
  }

  truncate(value: number): void {
    this.#travel({ type: "truncation", value });
  }

  label(value: number): void {
    this.#travel({ type: "label", value });
  }

  load(name: string): void {
    this.#travel({ type: "load", name });
  }

  changeBrush(brush: Partial<ViewState["brush"]>): void {
    const { stage } = this.#host;
    const size = Math.round(clamp(brush.size ?? this.#view.brush.size, SMALLEST, LARGEST));
    this.#set({ brush: { ...this.#view.brush, ...brush, size } });
    if (stage.ringAt) stage.ring(stage.ringAt, size);
  }

  show(showing: Partial<ViewState["showing"]>): void {
    this.#set({ showing: { ...this.#view.showing, ...showing } });
  }

  select(id: number, part: Part = "handle"): void {
    this.#host.focusSelected();
    this.#set({ selected: { id, part }, showing: { ...this.#view.showing, points: true } });
    this.#reveal();
  }

  remove(ids: readonly number[]): void {
    if (ids.length === 0) return;
    this.#view.points.remove(ids);
    this.#change({ type: "remove", ids });
    this.#host.update();
  }

  /** A handle goes to a place, its target keeps the way to it. */
  moveHandle(id: number, to: readonly [number, number]): void {
    this.#view.points.move(id, { handle: to }, false);
    this.#change(point(id, { handle: to }, false));
    this.#host.update();
  }

  /** What is done to a picture of the past goes on from there; undo leads back. */
  goOnWhereWeLook(): void {
    const { looking } = this.#view;
    if (looking === null) return;
    this.#view.sliding = null;
    this.#send({ type: "branch", step: looking });
  }

  /** Takes back what is under way. */
  giveUp(): boolean {
    const byKeys = this.#cross.cancel();
    return this.#host.cancel() || byKeys;
  }

  get #view(): ViewState {
    return this.#host.view;
  }

  #set(
    change: Partial<Pick<ViewState, "hold" | "split" | "drawer" | "peeking" | "brush" | "selected" | "showing">>,
  ): void {
    Object.assign(this.#view, change);
    this.#host.keepFocus(() => this.#host.update());
  }

  #drawer(drawer: Drawer): void {
    this.#set({ drawer: this.#view.drawer === drawer ? null : drawer });
  }

  #toggle(card: Card): void {
    this.#host.card(this.#view.card === card ? null : card);
  }

  #nudge(dx: number, dy: number): void {
    const { busy, aside, update } = this.#host;
    const { selected, points, state, live, running } = this.#view;
    const found = selected && points.find(selected.id);
    if (!found || !state || !live || busy()) return;
    if (selected.part === "handle" && running) {
      aside(STOP_FIRST, 4000);
      return;
    }
    const [x, y] = found[selected.part];
    const moved = { [selected.part]: clamped(state, [x + dx, y + dy]) };
    points.move(found.id, moved, false);
    this.#change(point(found.id, moved, false));
    this.#reveal();
    update();
  }

  #reveal(): void {
    const { selected, points } = this.#view;
    const found = selected && points.find(selected.id);
    if (found) this.#zooming.reveal(found[selected.part]);
  }

  #cancel(): boolean {
    const { card, full, update } = this.#host;
    const view = this.#view;
    if (this.giveUp()) {
      // Nothing else: one press takes back one thing.
    } else if (view.full) full();
    else if (view.card) card(null);
    else if (view.looking !== null) this.#host.look(null);
    else if (view.split !== null) this.#set({ split: null });
    else if (view.cross) view.cross = null;
    else return false;
    update();
    return true;
  }

  #otherPoint(by: 1 | -1): boolean {
    const { points, selected } = this.#view;
    const stops = points.shown().flatMap(({ id }) => (["handle", "target"] as const).map((part) => ({ id, part })));
    if (stops.length === 0) return false;
    const at = stops.findIndex(({ id, part }) => id === selected?.id && part === selected.part);
    const next = stops[at < 0 ? (by > 0 ? 0 : stops.length - 1) : (at + by + stops.length) % stops.length];
    if (next) this.select(next.id, next.part);
    return true;
  }

  #otherSeed(by: number): void {
    const { seed } = this.#view;
    if (seed !== null) this.newImage(seed + by);
  }

  #suggestMask(): void {
    this.#host.believe();
    this.#change({ type: "suggest_mask" });
  }

  #goOn(): void {
    this.goOnWhereWeLook();
    // The button goes once the kernel has answered, and would take the focus with it.
    this.#host.stage.element.focus({ preventScroll: true });
    this.#host.update();
  }

  /** To another time or another picture: what was done here meanwhile holds no longer, only the kernel's word does. */
  #travel(message: PageMessage): void {
    const { believe, cancel, update, look } = this.#host;
    const view = this.#view;
    if (view.live) {
      cancel();
      this.#cross.forget();
      view.outline = null;
      view.sentSeed.forget();
      view.points.restore();
      believe();
      if (view.looking !== null) look(null);
      this.#send(message);
    }
    update();
  }

  #take(tool: Tool): void {
    const { stage, update, keepFocus } = this.#host;
    this.#cross.end();
    this.#view.tool = tool;
    stage.tool(tool);
    stage.cursor(tool === "pan" ? "grasp" : "free");
    keepFocus(update);
  }

  /** Something that changes the edit: it is done to what is looked at. */
  #change(message: PageMessage): void {
    this.goOnWhereWeLook();
    if (message.type === "start") this.#view.starting.expect(this.#view.state);
    this.#send(message);
  }
}
