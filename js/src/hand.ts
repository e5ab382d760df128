/** What the person does, by pointer, key or button, and the messages that come of it. */
import type { Brush } from "./brush.ts";
import type { Desk } from "./desk.ts";
import { type Css, clamped, nearest } from "./geometry.ts";
import { Pull, type Scene } from "./gesture.ts";
import type { Meaning, Tool } from "./keys.ts";
import type { Gesture, PointerHost } from "./pointer.ts";
import { type PageMessage, point } from "./protocol.ts";
import type { Stage } from "./stage.ts";
import { MOVED, PRESS_AND_PULL, STOP_FIRST } from "./status.ts";
import type { ButtonName } from "./toolbar.ts";

/** What the hand needs of the view around it. */
export interface Surroundings {
  readonly desk: Desk;
  readonly stage: Stage;
  readonly brush: Brush;
  send(message: PageMessage): void;
  /** Something changed that is to be seen. */
  update(): void;
  /** Only a point moved on the picture: no word and no button depends on where it is. */
  paint(): void;
  /** A line for a moment. */
  aside(text: string, milliseconds: number): void;
  /** Presses a button of the toolbar, if it is on. */
  press(name: ButtonName): void;
  /** Puts the focus on what is selected, as soon as it is there. */
  focusSelected(): void;
  /** Does something that may hide what has the focus, which then goes to the picture. */
  keepFocus(change: () => void): void;
  /** Whether a gesture is under way. */
  busy(): boolean;
  /** Cancels the gesture that is under way; false if there is none. */
  cancel(): boolean;
  help(open?: boolean): boolean;
  /** What was chosen and painted here holds no longer, only the kernel's next word does. */
  believe(): void;
  takeSeed(): number | null | undefined;
  save(): void;
}

export class Hand implements PointerHost {
  readonly #around: Surroundings;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  readonly actions: Record<ButtonName, () => void> = {
    Start: () => this.#send({ type: "start" }),
    Stop: () => this.#send({ type: "stop" }),
    "Step once": () => this.#send({ type: "step_once" }),
    Hold: () => this.#toggleHold(),
    Points: () => this.#take("points"),
    Brush: () => this.#take("brush"),
    Eraser: () => this.#take("eraser"),
    Undo: () => this.#travel({ type: "undo" }),
    Redo: () => this.#travel({ type: "redo" }),
    Reset: () => this.#travel({ type: "reset" }),
    "Delete point": () => this.#remove(this.#around.desk.selected ? [this.#around.desk.selected.id] : []),
    "Remove all": () => this.#remove(this.#around.desk.points.shown().map(({ id }) => id)),
    "Clear mask": () => this.#around.brush.clear(),
    "New image": () => this.newImage(this.#around.takeSeed()),
    "Save image": () => this.#around.save(),
    Help: () => this.#around.help(!this.#around.help()),
  };

  /** Does what a key means; false where there is nothing to do, and the notebook may have the key. */
  readonly handle = (meaning: Meaning): boolean => {
    const { desk, press, busy, cancel, help } = this.#around;
    switch (meaning.do) {
      case "cancel":
        if (cancel()) break;
        if (!help()) return false;
        help(false);
        break;
      case "nudge":
        this.#nudge(meaning.dx, meaning.dy);
        break;
      case "run":
        press(desk.running ? "Stop" : "Start");
        break;
      case "remove":
        press("Delete point");
        break;
      case "undo":
      case "redo":
        if (!busy()) press(meaning.do === "undo" ? "Undo" : "Redo");
        break;
      case "hold":
        press("Hold");
        break;
      case "help":
        press("Help");
        break;
      case "tool":
        if (!busy()) this.#take(meaning.tool);
        break;
      case "brush size":
        this.resizeBrush(this.#around.brush.size * meaning.factor);
        break;
    }
    return true;
  };

  begin(at: Css, reach: number): Gesture | null {
    const { desk, stage, brush, help } = this.#around;
    help(false);
    stage.element.focus({ preventScroll: true });
    if (!desk.live) return null;
    return desk.tool === "points" ? this.#pull(at, reach) : brush.begin(at, desk.tool === "eraser");
  }

  hover(at: Css | null, reach: number): void {
    const { desk, stage, brush } = this.#around;
    if (desk.tool !== "points") stage.ring(at, brush.size);
    else if (at) stage.cursor(nearest(stage.scale, desk.points.shown(), at, reach) ? "grab" : "free");
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

  resizeBrush(size: number): void {
    const { stage, brush, update } = this.#around;
    brush.resize(size);
    stage.ring(stage.ringAt, brush.size);
    update();
  }

  #pull(at: Css, reach: number): Gesture {
    const { desk, stage, update, paint, aside } = this.#around;
    const pull = new Pull(() => this.#scene(), at, reach);
    const select = () => {
      desk.selected = { id: pull.id, part: pull.part };
      this.#around.focusSelected();
    };
    const step = (messages: readonly PageMessage[], cursor: "pulling" | "grab" | "free", show = update) => {
      for (const message of messages) this.#send(message);
      stage.cursor(cursor);
      show();
    };
    if (!pull.isNew) select();
    step([], "pulling");
    return {
      move: (path) => {
        const before = pull.pulled;
        const messages = pull.move(path.at(-1) ?? at);
        step(messages, "pulling", before ? paint : update);
        if (pull.isNew && pull.pulled && !before) {
          select();
          update();
        }
      },
      end: () => {
        if (!pull.pulled && pull.isNew) aside(PRESS_AND_PULL, 2500);
        else if (pull.waits) aside(MOVED, 4000);
        step(pull.end(), "grab");
      },
      cancel: () => step(pull.cancel(), "free"),
    };
  }

  #scene(): Scene {
    const { desk, stage } = this.#around;
    return { points: desk.points, scale: stage.scale, status: desk.state?.status ?? "idle", hold: desk.hold };
  }

  #nudge(dx: number, dy: number): void {
    const { desk, busy, aside, update } = this.#around;
    const selected = desk.selected;
    const found = selected && desk.points.find(selected.id);
    if (!found || !desk.state || !desk.live || busy()) return;
    if (selected.part === "handle" && desk.running) {
      aside(STOP_FIRST, 4000);
      return;
    }
    const [x, y] = found[selected.part];
    const moved = { [selected.part]: clamped(desk.state, [x + dx, y + dy]) };
    desk.points.move(found.id, moved, false);
    this.#send(point(found.id, moved, false));
    update();
  }

  #remove(ids: readonly number[]): void {
    if (ids.length === 0) return;
    this.#around.desk.points.remove(ids);
    this.#send({ type: "remove", ids });
    this.#around.update();
  }

  /** To another time or another picture: what was done here meanwhile holds no longer, only the kernel's word does. */
  #travel(message: PageMessage): void {
    const { desk, believe, cancel, update } = this.#around;
    if (desk.live) {
      cancel();
      desk.points.restore();
      believe();
      this.#send(message);
    }
    update();
  }

  #take(tool: Tool): void {
    const { desk, stage, update, keepFocus } = this.#around;
    desk.tool = tool;
    stage.tool(tool);
    keepFocus(update);
  }

  #toggleHold(): void {
    this.#around.desk.hold = !this.#around.desk.hold;
    this.#around.update();
  }

  #send(message: PageMessage): void {
    this.#around.send(message);
  }
}
