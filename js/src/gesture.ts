/**
 * One press on the picture, as a state machine from pointer positions to messages.
 *
 * Pulling makes a handle where it began and a target under the pointer, and the edit runs. Pulling an existing target
 * moves that; pulling an existing handle moves it while nothing runs, and means its target while something does, since
 * then the handle is the kernel's. A press that does not pull does nothing to the edit.
 */
import { apart, type Css, clamped, nearest, type Part, type Scale, toImage } from "./geometry.ts";
import type { Points } from "./points.ts";
import { type PageMessage, point, type Status, type Xy } from "./protocol.ts";

/** So far a hand trembles, in css pixels. */
const PULL = 3;

/** What a gesture has to know about the world; read anew at every move, because the world moves on meanwhile. */
export interface Scene {
  readonly points: Points;
  readonly scale: Scale;
  readonly status: Status;
  /** Pulling only sets points, and nothing starts. */
  readonly hold: boolean;
}

/** A run that ended by itself goes on when its target is pulled further. One that a person stopped waits for them. */
const ENDED: readonly Status[] = ["arrived", "near", "stalled", "capped"];

export class Pull {
  readonly id: number;
  readonly part: Part;
  readonly isNew: boolean;
  readonly #scene: () => Scene;
  readonly #from: Css;
  readonly #origin: Xy;
  readonly #offset: Xy;
  readonly #slack: number;
  #pulled = false;
  #started = false;
  #ran: boolean;

  constructor(scene: () => Scene, at: Css, reach: number, slack = PULL) {
    const { points, scale, status } = scene();
    const place = toImage(scale, at);
    const found = nearest(scale, points.shown(), at, reach);
    this.#scene = scene;
    this.#from = at;
    this.#slack = slack;
    this.#ran = status === "running";
    this.isNew = found === null;
    this.id = found?.point.id ?? points.newId();
    this.part = found?.part === "handle" && status !== "running" ? "handle" : "target";
    this.#origin = found?.point[this.part] ?? place;
    // A grabbed dot keeps its distance from the pointer, so that it does not jump; a handle that stands for its target does.
    const grip = found && found.part === this.part ? this.#origin : place;
    this.#offset = [grip[0] - place[0], grip[1] - place[1]];
  }

  /** Whether this has become a pull, or is still a press. */
  get pulled(): boolean {
    return this.#pulled;
  }

  /** Whether the point was moved for a run that has still to be started. */
  get waits(): boolean {
    const { status, hold } = this.#scene();
    return this.#pulled && !this.#started && !hold && status !== "running";
  }

  move(at: Css): PageMessage[] {
    const { points, scale } = this.#scene();
    const [x, y] = toImage(scale, at);
    const place = clamped(scale, [x + this.#offset[0], y + this.#offset[1]]);
    const moved = apart(this.#from, at);
    if (!this.#pulled && (moved === 0 || moved < this.#slack)) return [];
    const first = !this.#pulled;
    this.#pulled = true;
    if (first && this.isNew) {
      points.make(this.id, this.#origin, place);
      return [point(this.id, { handle: this.#origin, target: place }, true), ...this.#run()];
    }
    points.move(this.id, { [this.part]: place }, true);
    return [point(this.id, { [this.part]: place }, true), ...this.#run()];
  }

  end(): PageMessage[] {
    if (!this.#pulled) return [];
    const { points } = this.#scene();
    points.release(this.id);
    const place = points.find(this.id)?.[this.part];
    return place ? [point(this.id, { [this.part]: place }, false)] : [];
  }

  /** As if it had never been. What it started is stopped and undone, which takes its point back as well. */
  cancel(): PageMessage[] {
    if (!this.#pulled) return [];
    const { points, status } = this.#scene();
    if (this.#started || status !== "running") {
      // To the kernel the gesture, with the run it started, is one step of undo.
      points.restore(this.id);
      const end = point(this.id, {}, false);
      return this.#started ? [end, { type: "stop" }, { type: "undo" }] : [end, { type: "undo" }];
    }
    // A run that was on before is left alone.
    if (this.isNew) {
      points.remove([this.id]);
      return [{ type: "remove", ids: [this.id] }];
    }
    points.move(this.id, { [this.part]: this.#origin }, false);
    return [point(this.id, { [this.part]: this.#origin }, false)];
  }

  /** Start the edit once, and again only where it ended by itself under the pointer. */
  #run(): PageMessage[] {
    const { status, hold } = this.#scene();
    if (status === "running") this.#ran = true;
    if (hold || this.part === "handle" || status === "running") return [];
    if (this.#started && !this.#ran) return [];
    const first = this.isNew && !this.#started && !this.#ran;
    if (!first && !ENDED.includes(status)) return [];
    this.#started = true;
    this.#ran = false;
    return [{ type: "start" }];
  }
}
