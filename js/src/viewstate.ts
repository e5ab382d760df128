/** What one view knows: the kernel's last word, and what the person has in hand. No DOM, no messages. */
import type { Part } from "./geometry.ts";
import type { Tool } from "./keys.ts";
import { Pending } from "./pending.ts";
import { sitsBadly } from "./placement.ts";
import { Points } from "./points.ts";
import type { Job, Kind, StateMessage, Xy } from "./protocol.ts";
import { FIT, type Zoom } from "./zoom.ts";

/** What makes two states ones of the same picture. */
const PICTURE = ["width", "height", "seed", "truncation", "label", "generator", "model"] as const;

/** The cards over the picture, of which there is one at a time, and the buttons that open them. */
export const OPENS = { help: "Help", results: "Results", showing: "Show and hide" } as const;
export type Card = keyof typeof OPENS;

export interface BrushSettings {
  /** The diameter in css pixels: it is as big as it looks, whatever the resolution and zoom. */
  readonly size: number;
  /** How much of its radius fades, 0 … 1. */
  readonly softness: number;
  /** Rectangle and lasso take away. */
  readonly takeAway: boolean;
}

/** What is laid over the picture. */
export interface Showing {
  readonly points: boolean;
  readonly mask: boolean;
  /** Of the mask's veil while a mask tool is in the hand, 0 … 1; with other tools it is much lighter. */
  readonly opacity: number;
}

export class ViewState {
  readonly points = new Points();
  state: StateMessage | null = null;
  connected = true;
  /** An answer that somebody waits for does not come. */
  late = false;
  tool: Tool = "points";
  /** Pulling only sets points, until Start. */
  hold = false;
  /** The point that "Delete point" and the arrow keys mean. */
  selected: { readonly id: number; readonly part: Part } | null = null;
  zoom: Zoom = FIT;
  brush: BrushSettings = { size: 48, softness: 0, takeAway: false };
  showing: Showing = { points: true, mask: true, opacity: 0.6 };
  /** What rectangle or lasso enclose so far, in picture pixels. */
  outline: readonly Xy[] | null = null;
  /** Where the keyboard's cross stands for the pointer, in picture pixels. */
  cross: Xy | null = null;
  /** Whether Enter holds it down there. */
  pressed = false;
  /** Space is held: the picture is taken hold of, not what is on it. */
  grasping = false;
  /** The picture from before the edit is looked at, for as long as a key is held. */
  peeking = false;
  /** Left of this part of the stage, 0 … 1, it is the picture from before; null: nowhere. */
  split: number | null = null;
  card: Card | null = null;
  drawer = false;
  /** The widget has the screen for itself. */
  full = false;
  /** The record that the person has just slid to, until the kernel shows it. */
  sliding: number | null = null;
  /** The photograph that is being sent, and how much of it is. */
  uploading: { readonly name: string; readonly share: number } | null = null;
  /** Whether it is known where in the photograph a square may be placed. */
  placeable = false;
  /** The square is to be placed, though the kernel did not ask. */
  placing = false;
  /** The files that this view has asked for and that did not come yet. */
  readonly exporting = new Set<Kind>();
  /** Warnings that were read and waved away. */
  readonly dismissed = new Set<string>();
  /** Points that sit badly, as it was known before a run began: what was said of them stays said until its end. */
  readonly badly = new Set<number>();
  /** The seed that was asked for: on a slow line, the next press goes on from here. */
  readonly sentSeed = new Pending<number>();
  /** A run was asked for and has not begun: what would be said now would be gone at once. */
  readonly starting = new Pending<StateMessage | null>();

  /** Long work beside the edit; what was asked for here and is not yet told of has no number. */
  get jobs(): readonly Job[] {
    const told = this.state?.jobs ?? [];
    const asked = [...this.exporting].filter((kind) => told.every(({ what }) => what !== kind));
    const rest = { id: 0, name: "", progress: null, note: "", stage: "" };
    const { name, share } = this.uploading ?? {};
    const sent =
      share === undefined ? [] : [{ ...rest, what: "opening" as const, progress: share, note: `Sending ${name}` }];
    return [...sent, ...told, ...asked.map((what) => ({ ...rest, what }))];
  }

  get running(): boolean {
    return this.state?.status === "running";
  }

  get seed(): number | null {
    return this.sentSeed.value ?? this.state?.seed ?? null;
  }

  /** Whether what the person does reaches the edit that they see. */
  get live(): boolean {
    return this.connected && this.state !== null;
  }

  /** The newest record of the edit; the first is 0. */
  get newest(): number {
    return Math.max(0, (this.state?.length ?? 1) - 1);
  }

  /** The record that is looked at, or null for the newest, on which alone one can work. */
  get looking(): number | null {
    const step = this.sliding ?? this.state?.shown ?? null;
    return step === null || step >= this.newest ? null : step;
  }

  /** Whether the picture from before the edit is to be seen. */
  get comparing(): boolean {
    return this.peeking || this.split !== null;
  }

  /** Whether the tool in the hand changes the mask. */
  get masking(): boolean {
    return this.tool !== "points" && this.tool !== "pan";
  }

  /** Nobody works on what they do not see. */
  showWhatIsWorkedOn(): void {
    if (this.tool === "points") this.showing = { ...this.showing, points: true };
    else if (this.masking) this.showing = { ...this.showing, mask: true };
  }

  /** True where this state is of another picture than the last. */
  receive(state: StateMessage): boolean {
    const last = this.state;
    this.state = state;
    this.points.receive(state.points, this.running);
    this.selectOnlyWhatIs();
    this.sentSeed.hears((seed) => seed === state.seed);
    this.starting.hears((was) => was?.status !== state.status || was?.step !== state.step);
    this.#judge(state);
    // What is no longer under way has come, or never will.
    for (const { id, what } of last?.jobs ?? [])
      if (state.jobs.every((job) => job.id !== id)) this.exporting.delete(what as Kind);
    const same = PICTURE.every((key) => state[key] === last?.[key]);
    if (!same) {
      this.points.restore();
      this.sliding = this.outline = null;
      if (last && (last.width !== state.width || last.height !== state.height)) this.zoom = FIT;
    }
    return !same;
  }

  #judge(state: StateMessage): void {
    if (this.running || this.starting.waits()) return;
    this.badly.clear();
    for (const point of state.points) if (sitsBadly(state, point)) this.badly.add(point.id);
  }

  selectOnlyWhatIs(): void {
    if (this.selected && !this.points.find(this.selected.id)) this.selected = null;
  }
}
