/** The words under the picture. */
import type { Tool } from "./keys.ts";
import type { Job, Kind, StateMessage } from "./protocol.ts";

export const LOADING = "Loading the generator…";
export const DISCONNECTED = "Disconnected from the kernel — run the cell again.";
export const NO_ANSWER = "The kernel does not answer: it is busy with another cell, or was started again.";
export const STILL = "A still picture of the edit. Run its cell in a notebook to pull its points.";
export const PRESS_AND_PULL = "Press and pull.";
export const CROSS = "Arrows move the cross, with Shift farther. Enter presses there.";
export const PRESSED = "Pressed. Arrows pull, Enter lets go, Esc takes it back.";
export const MOVED = "Moved. Press Start and the picture follows.";
export const STOP_FIRST = "The handle follows the picture while it is pulled. Stop first to move it.";
const UNPAINTED = "may move; with nothing painted everything may move.";
export const MASK = `Painted ${UNPAINTED}`;
export const NOTHING_PAINTED = "Nothing is painted, so there is nothing to take away: everything may move.";
export const NO_FULL_SCREEN = "No full screen here: the editor fills the page. F or Esc leads back.";
export const COPIED = "Copied.";
export const CODE_COPIED = "The code is copied.";
const NO_CLIPBOARD = "The browser does not let this page use the clipboard.";
export const CODE_NOT_COPIED = `${NO_CLIPBOARD} Select the code and copy it.`;
export const saved = (name: string) => `${name} is saved.`;
export const SETTINGS_RESET = "All settings are the model's own again.";
export const NOT_OPENED =
  "This page forbids the code that opens this. All of it is there from Python: editor.change, editor.say, editor.engine.";
export const NOT_SAVED = "The browser could not make that file.";
export const NOT_COPIED = `${NO_CLIPBOARD} Save it as a file instead.`;
export const BAD_SEED = "A seed is a whole number from 0 to 4294967295.";
export const badClass = (classes: number) => `A class is a whole number from 0 to ${classes - 1}.`;

export const NOT_FETCHED = "Nothing is fetched from elsewhere: save the picture, then open its file.";
export const UNREADABLE = "The browser cannot read that file any more.";
export const STAYS_HERE = "The photo goes to the kernel and nowhere else.";
export const tooLarge = (bytes: number) =>
  `That file has ${Math.round(bytes / 1e6)} MB, and 100 can be sent. Make it smaller, or use editor.open_photo(path).`;

/** What is going on, in a sentence: the kernel's own words where it has any. `looking` is the record looked at. */
export function sentence(
  state: StateMessage | null,
  hold: boolean,
  looking: number | null = null,
  tool: Tool = "points",
): string {
  if (!state) return LOADING;
  if (looking !== null) return `Looking at step ${looking} of ${state.length - 1}.`;
  if (state.trouble) return state.trouble;
  if (state.message) return state.message;
  const steps = `${state.step} ${state.step === 1 ? "step" : "steps"}`;
  const toGo = farthest(state);
  const left = toGo === null ? "" : `, ${toGo.toFixed(1)} px to go`;
  switch (state.status) {
    case "idle":
      if (tool !== "points") return WHAT_TO_DO[tool];
      if (state.points.length > 0) return "Ready. Press Start and the picture follows.";
      if (hold) return "Press on the picture and pull to set points, then Start.";
      return `Press on the picture and pull${state.photo || state.edited ? "" : ", or open your own photo"}.`;
    case "running": {
      return `Pulling… step ${state.step}${left}`;
    }
    case "paused":
      return `Paused after ${steps}: nobody was looking.`;
    case "arrived":
      return `Arrived after ${steps}.`;
    case "near":
      return `As near as it gets${left}.`;
    case "stalled":
      return `No nearer after ${steps}${left}.`;
    case "capped":
      return `Reached the limit of ${steps}${left}.`;
    case "stopped":
      return `Stopped after ${steps}${left}.`;
    case "error":
      return "Something went wrong in the kernel.";
  }
}

/** What a tool is for, while nothing else is to be said. */
const WHAT_TO_DO: Readonly<Record<Exclude<Tool, "points">, string>> = {
  brush: `Paint over what ${UNPAINTED}`,
  eraser: "Rub out what was painted.",
  rectangle: "Draw a box around what may move.",
  lasso: "Draw around what may move.",
  pan: "Pull the picture about. P leads back to the points.",
};

const MADE: Readonly<Record<Kind, string>> = {
  png: "the picture",
  gif: "the GIF",
  mp4: "the MP4",
  drag: "the .drag file",
  latent: "the latent",
  code: "the code",
  photo: "the photograph",
};

/** What goes on beside the edit, and how much of it is done. */
export function working({ what, name, progress, note }: Job): string {
  const made = name ? `Loading ${name}` : `Making ${MADE[what as Kind]}`;
  const doing = note || (what === "compare" ? `Pulling with ${name}` : made);
  return `${doing}…${progress ? ` ${Math.round(100 * progress)} %` : ""}`;
}

/** What it is done to, how fast, and where there are several engines with which. */
export function about({ status, rate, generator, width, height, settings: { engine } }: StateMessage): string {
  const fast = status === "running" && rate !== null ? [`${perSecond(rate)} steps/s`] : [];
  return [...fast, generator, `${width} × ${height}`, ...(engine ? [engine] : [])].join(" · ");
}

/** What is looked at on the timeline. */
export function moment(step: number, newest: number): string {
  if (newest === 0) return "nothing yet";
  return step >= newest ? `step ${newest}, the newest` : `step ${step} of ${newest}`;
}

/** How surely a point is followed, in a word; nothing where that is not known. */
export function sureness(confidence: number | null): string {
  if (confidence === null) return "";
  const percent = `${Math.round(100 * confidence)} %`;
  return `${confidence < 0.35 ? "hardly found" : confidence < 0.65 ? "found" : "surely found"} (${percent})`;
}

/** What kind of thing that sentence is: a screen reader is told at once where it changes. */
export function kind(state: StateMessage | null): string {
  if (!state) return "loading";
  return state.trouble ? "trouble" : state.status;
}

/** The largest distance from a handle to its target, or null without points. */
export function farthest(state: StateMessage): number | null {
  return state.points.length > 0 ? Math.max(...state.points.map((point) => point.distance)) : null;
}

function perSecond(rate: number): string {
  return rate >= 9.95 ? rate.toFixed(0) : rate.toFixed(1).replace(/\.0$/, "");
}

export function fileName(state: StateMessage, step: number): string {
  const generator = state.generator.replace(/[^\w.-]+/g, "-").replace(/^[-.]+|[-.]+$/g, "") || "image";
  const seed = state.seed === null ? "" : `-seed${state.seed}`;
  const label = state.label === null ? "" : `-class${state.label}`;
  return `draggan-${generator}${label}${seed}-step${step}.png`;
}

/**
 * What a screen reader is told: every change of state at once, but progress only now and then, because a sentence a
 * step would drown everything else.
 */
export class Announcer {
  readonly #say: (text: string) => void;
  readonly #every: number;
  #kind = "";
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor(say: (text: string) => void, every = 5000) {
    this.#say = say;
    this.#every = every;
  }

  tell(kind: string, text: string): void {
    const now = Date.now();
    const progress = /running|loading|…/.test(kind);
    if (kind === this.#kind && progress && now - this.#saidAt < this.#every) return;
    this.#kind = kind;
    this.#saidAt = now;
    this.#say(text);
  }
}
