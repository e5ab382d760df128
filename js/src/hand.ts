/** What the person does, by pointer, key or button, and the messages that come of it. */
import type { Card, Desk } from "./desk.ts";
import { beyond, type Css, clamp, clamped, nearest, type Part, toCss } from "./geometry.ts";
import type { Meaning, Tool } from "./keys.ts";
import { LARGEST, SMALLEST } from "./maskrow.ts";
import type { Gesture, Pinch, PointerHost, Press } from "./pointer.ts";
import { type PageMessage, point } from "./protocol.ts";
import { STOP_FIRST } from "./status.ts";
import type { ButtonName } from "./toolbar.ts";
import { panning } from "./tools/panning.ts";
import { type Bench, TOOLS } from "./tools/tool.ts";
import { FIT, panned, pinched, revealing, STEP, wheelFactor, type Zoom, zoomed } from "./zoom.ts";

/** What the hand needs of the view around it. */
export interface Surroundings extends Bench {
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
  /** A mask out of a file that the person chooses, and into one. */
  loadMask(): void;
  saveMask(): void;
}

export class Hand implements PointerHost {
  readonly #around: Surroundings;
  /** To the kernel, as it is; what changes the edit goes through `#change`. */
  readonly #send: (message: PageMessage) => void;
  /** The gesture that the keyboard makes: begun by Enter, moved by arrows, ended by Enter. */
  #byKeys: Gesture | null = null;
  #grasped = false;

  constructor(around: Surroundings) {
    this.#send = around.send;
    this.#around = { ...around, send: (message) => this.#change(message) };
  }

  readonly actions: Record<ButtonName, () => void> = {
    Start: () => this.#change({ type: "start" }),
    Stop: () => this.#send({ type: "stop" }),
    "Step once": () => this.#change({ type: "step_once" }),
    Hold: () => this.#set({ hold: !this.#desk.hold }),
    Points: () => this.#take("points"),
    Brush: () => this.#take("brush"),
    Eraser: () => this.#take("eraser"),
    Rectangle: () => this.#take("rectangle"),
    Lasso: () => this.#take("lasso"),
    Pan: () => this.#take(this.#desk.tool === "pan" ? "points" : "pan"),
    Undo: () => this.#travel({ type: "undo" }),
    Redo: () => this.#travel({ type: "redo" }),
    Reset: () => this.#travel({ type: "reset" }),
    "Before and after": () => this.#set({ split: this.#desk.split === null ? 0.5 : null }),
    "Save image": () => this.#around.save(),
    Results: () => this.#around.card(this.#desk.card === "results" ? null : "results"),
    "All settings": () => this.#set({ drawer: !this.#desk.drawer }),
    "Full screen": () => this.#around.full(),
    Help: () => this.#around.card(this.#desk.card === "help" ? null : "help"),
    "Remove all": () => this.remove(this.#desk.points.shown().map(({ id }) => id)),
    "New image": () => this.newImage(this.#around.takeSeed()),
    "Previous seed": () => this.#otherSeed(-1),
    "Next seed": () => this.#otherSeed(1),
    "Show and hide": () => this.#around.card(this.#desk.card === "showing" ? null : "showing"),
    "Load mask": () => this.#around.loadMask(),
    "Save mask": () => this.#around.saveMask(),
    "Clear mask": () => this.#around.masking.clear(),
    "Invert mask": () => this.#around.masking.invert(),
    "Suggest mask": () => this.#suggestMask(),
    "Take away": () => this.changeBrush({ takeAway: !this.#desk.brush.takeAway }),
    "Go on from here": () => this.#goOn(),
    Newest: () => this.#around.look(null),
    "Zoom in": () => this.#zoomBy(STEP),
    "Zoom out": () => this.#zoomBy(1 / STEP),
    Fit: () => this.#zoom(FIT),
  };

  /** Does what a key means; false where there is nothing to do, and the notebook may have the key. */
  readonly handle = (meaning: Meaning): boolean => {
    const { press, busy } = this.#around;
    switch (meaning.do) {
      case "cancel":
        return this.#cancel();
      case "nudge":
        this.#nudge(meaning.dx, meaning.dy);
        break;
      case "cross":
        this.#moveCross(meaning.dx, meaning.dy);
        break;
      case "press":
        this.#pressCross();
        break;
      case "other point":
        return this.#otherPoint(meaning.by);
      case "zoom":
        press(meaning.to === "fit" ? "Fit" : meaning.to === "in" ? "Zoom in" : "Zoom out");
        break;
      case "remove":
        if (this.#desk.live && this.#desk.selected) this.remove([this.#desk.selected.id]);
        break;
      case "undo":
      case "redo":
        if (!busy() && !this.#byKeys) press(meaning.do === "undo" ? "Undo" : "Redo");
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
        this.show({ [meaning.what]: !this.#desk.showing[meaning.what] });
        break;
      case "brush size":
        this.changeBrush({ size: this.#desk.brush.size * meaning.factor });
        break;
    }
    return true;
  };

  /** Space takes hold of the picture while it is held, and starts or stops where it was only pressed. */
  readonly hold = ({ do: what }: Meaning, down: boolean, lost: boolean): void => {
    const { stage, press, busy } = this.#around;
    if (what === "peek") this.#set({ peeking: down });
    if (what !== "run") return;
    this.#desk.grasping = down && !busy();
    stage.cursor(this.#desk.grasping ? "grasp" : "free");
    if (down) this.#grasped = false;
    else if (!lost && !this.#grasped) press(this.#desk.running ? "Stop" : "Start");
  };

  begin(press: Press): Gesture | null {
    const { stage, card } = this.#around;
    const desk = this.#desk;
    card(null);
    this.#endKeys();
    desk.cross = null;
    stage.element.focus({ preventScroll: true });
    if (press.middle || desk.grasping) {
      this.#grasped = true;
      return panning(this.#around, press);
    }
    desk.showWhatIsWorkedOn();
    if (!desk.live && desk.tool !== "pan") return null;
    // A pen turned round is an eraser, whatever is in the hand.
    return TOOLS[press.rubber && desk.tool === "points" ? "eraser" : desk.tool](this.#around, press);
  }

  pinch(): Pinch {
    const { stage } = this.#around;
    const before = this.#desk.zoom;
    return (from, to) => this.#zoom(pinched(before, stage.size, from, to));
  }

  wheel(at: Css, { ctrlKey, metaKey, deltaX, deltaY, deltaMode }: WheelEvent): boolean {
    const { stage, busy } = this.#around;
    const { zoom } = this.#desk;
    if (ctrlKey || metaKey) {
      if (!busy()) this.#zoom(zoomed(zoom, stage.size, at, wheelFactor(deltaY, deltaMode)));
      return true;
    }
    if (zoom.factor === 1 || busy()) return false;
    const unit = deltaMode === 1 ? 33 : 1;
    const moved = panned(zoom, stage.size, -deltaX * unit, -deltaY * unit);
    // At the end of the picture the page goes on scrolling.
    if (moved.left === zoom.left && moved.top === zoom.top) return false;
    this.#zoom(moved);
    return true;
  }

  twice(at: Css): void {
    const { stage } = this.#around;
    const { zoom, tool, points } = this.#desk;
    const free = tool === "points" && !nearest(stage.scale, points.shown(), at, 14);
    if (!free && tool !== "pan") return;
    this.#zoom(zoom.factor > 1 ? FIT : zoomed(zoom, stage.size, at, 2.5));
  }

  hover(at: Css | null, reach: number): void {
    const { stage } = this.#around;
    const { tool, brush, points, grasping } = this.#desk;
    if (grasping) stage.cursor("grasp");
    else if (tool === "pan") stage.cursor("grasp");
    else if (tool === "brush" || tool === "eraser") stage.ring(at, brush.size);
    else if (tool === "points" && at) stage.cursor(nearest(stage.scale, points.shown(), at, reach) ? "grab" : "free");
  }

  newImage(seed: number | null | undefined): void {
    if (seed !== undefined) this.#travel({ type: "new_image", seed });
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

  changeBrush(brush: Partial<Desk["brush"]>): void {
    const { stage } = this.#around;
    const size = Math.round(clamp(brush.size ?? this.#desk.brush.size, SMALLEST, LARGEST));
    this.#set({ brush: { ...this.#desk.brush, ...brush, size } });
    if (stage.ringAt) stage.ring(stage.ringAt, size);
  }

  show(showing: Partial<Desk["showing"]>): void {
    this.#set({ showing: { ...this.#desk.showing, ...showing } });
  }

  select(id: number, part: Part = "handle"): void {
    this.#around.focusSelected();
    this.#set({ selected: { id, part }, showing: { ...this.#desk.showing, points: true } });
    this.#reveal();
  }

  remove(ids: readonly number[]): void {
    if (ids.length === 0) return;
    this.#desk.points.remove(ids);
    this.#change({ type: "remove", ids });
    this.#around.update();
  }

  /** A handle goes to a place, its target keeps the way to it. */
  moveHandle(id: number, to: readonly [number, number]): void {
    this.#desk.points.move(id, { handle: to }, false);
    this.#change(point(id, { handle: to }, false));
    this.#around.update();
  }

  /** What is done to a picture of the past goes on from there; undo leads back. */
  goOnWhereWeLook(): void {
    const { looking } = this.#desk;
    if (looking === null) return;
    this.#desk.sliding = null;
    this.#send({ type: "branch", step: looking });
  }

  /** Takes back what is under way. */
  giveUp(): boolean {
    const byKeys = this.#byKeys;
    this.#byKeys = null;
    byKeys?.cancel();
    return this.#around.cancel() || byKeys !== null;
  }

  get #desk(): Desk {
    return this.#around.desk;
  }

  #set(change: Partial<Pick<Desk, "hold" | "split" | "drawer" | "peeking" | "brush" | "selected" | "showing">>): void {
    Object.assign(this.#desk, change);
    this.#around.keepFocus(() => this.#around.update());
  }

  #nudge(dx: number, dy: number): void {
    const { busy, aside, update } = this.#around;
    const { selected, points, state, live, running } = this.#desk;
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
    const { stage } = this.#around;
    const { selected, points, zoom } = this.#desk;
    const found = selected && points.find(selected.id);
    if (found) this.#zoom(revealing(zoom, stage.size, toCss(stage.scale, found[selected.part])));
  }

  #moveCross(dx: number, dy: number): void {
    const { stage } = this.#around;
    const desk = this.#desk;
    if (!desk.state) return;
    const middle = beyond(stage.scale, { left: stage.size.width / 2, top: stage.size.height / 2 });
    const [x, y] = desk.cross ?? [Math.round(middle[0]), Math.round(middle[1])];
    desk.cross = clamped(desk.state, desk.cross ? [x + dx, y + dy] : [x, y]);
    this.#zoom(revealing(desk.zoom, stage.size, toCss(stage.scale, desk.cross)));
    const at = toCss(stage.scale, desk.cross);
    this.#byKeys?.move([at]);
    if (!this.#byKeys) this.hover(at, 0);
    this.#around.update();
  }

  #pressCross(): void {
    const { stage, busy } = this.#around;
    const desk = this.#desk;
    if (busy() || !desk.live) return;
    if (!desk.cross) {
      this.#moveCross(0, 0);
      return;
    }
    if (this.#byKeys) {
      this.#endKeys();
      // From here the arrows move the target of what was just made.
      if (desk.tool === "points" && desk.selected) this.#around.focusSelected();
      desk.cross = null;
      this.#around.update();
      return;
    }
    const press = { at: toCss(stage.scale, desk.cross), reach: 8, alt: false, middle: false, rubber: false };
    desk.showWhatIsWorkedOn();
    // The focus stays on the picture, or the arrows would move the point that is being made.
    this.#byKeys = TOOLS[desk.tool]({ ...this.#around, focusSelected: () => {} }, press);
    this.#around.update();
  }

  #endKeys(): void {
    const gesture = this.#byKeys;
    this.#byKeys = null;
    gesture?.end();
  }

  #cancel(): boolean {
    const { card, full, update } = this.#around;
    const desk = this.#desk;
    if (this.giveUp()) {
      // Nothing else: one press takes back one thing.
    } else if (desk.full) full();
    else if (desk.card) card(null);
    else if (desk.looking !== null) this.#around.look(null);
    else if (desk.split !== null) this.#set({ split: null });
    else if (desk.cross) desk.cross = null;
    else return false;
    update();
    return true;
  }

  #otherPoint(by: 1 | -1): boolean {
    const { points, selected } = this.#desk;
    const stops = points.shown().flatMap(({ id }) => (["handle", "target"] as const).map((part) => ({ id, part })));
    if (stops.length === 0) return false;
    const at = stops.findIndex(({ id, part }) => id === selected?.id && part === selected.part);
    const next = stops[at < 0 ? (by > 0 ? 0 : stops.length - 1) : (at + by + stops.length) % stops.length];
    if (next) this.select(next.id, next.part);
    return true;
  }

  #zoomBy(factor: number): void {
    const { stage } = this.#around;
    const { cross, zoom } = this.#desk;
    const { width, height } = stage.size;
    const at = cross ? toCss(stage.scale, cross) : { left: width / 2, top: height / 2 };
    this.#zoom(zoomed(zoom, stage.size, at, factor));
  }

  #zoom(zoom: Zoom): void {
    this.#desk.zoom = zoom;
    this.#around.stage.zoom(zoom);
    this.#around.keepFocus(() => this.#around.update());
  }

  #otherSeed(by: number): void {
    const seed = this.#desk.state?.seed;
    if (seed != null) this.newImage(seed + by);
  }

  #suggestMask(): void {
    this.#around.believe();
    this.#change({ type: "suggest_mask" });
  }

  #goOn(): void {
    this.goOnWhereWeLook();
    // The button goes once the kernel has answered, and would take the focus with it.
    this.#around.stage.element.focus({ preventScroll: true });
    this.#around.update();
  }

  /** To another time or another picture: what was done here meanwhile holds no longer, only the kernel's word does. */
  #travel(message: PageMessage): void {
    const { believe, cancel, update, look } = this.#around;
    const desk = this.#desk;
    if (desk.live) {
      cancel();
      this.#byKeys = null;
      desk.outline = null;
      desk.points.restore();
      believe();
      if (desk.looking !== null) look(null);
      this.#send(message);
    }
    update();
  }

  #take(tool: Tool): void {
    const { stage, update, keepFocus } = this.#around;
    this.#endKeys();
    this.#desk.tool = tool;
    stage.tool(tool);
    stage.cursor(tool === "pan" ? "grasp" : "free");
    keepFocus(update);
  }

  /** Something that changes the edit: it is done to what is looked at. */
  #change(message: PageMessage): void {
    this.goOnWhereWeLook();
    this.#send(message);
  }
}
