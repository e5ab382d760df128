/**
 * The messages between page and kernel, discriminated on `type`; its twin is `draggan_widget/widget/protocol.py`.
 *
 * Coordinates are image pixels, x to the right, y down, pixel centres at integers. What the kernel sends is checked
 * here and nowhere else: past `parse` every message is what its type says.
 */

export type Xy = readonly [x: number, y: number];

export const STATUSES = ["idle", "running", "paused", "arrived", "stalled", "capped", "stopped", "error"] as const;
export type Status = (typeof STATUSES)[number];

export interface PointState {
  readonly id: number;
  readonly handle: Xy;
  readonly target: Xy;
  readonly distance: number;
  /** How surely the tracker found the content, 0 … 1; null before it was looked for. */
  readonly confidence: number | null;
  /** Whether what is around the handle is too even to be tracked, and the nearest better spot; null while unknown. */
  readonly texture: Texture | null;
}

export interface Texture {
  readonly flat: boolean;
  readonly better: Xy | null;
}

export const SPACES = ["w_plus", "w"] as const;
export type Space = (typeof SPACES)[number];

export interface Settings {
  readonly edit_layers: number;
  readonly learning_rate: number;
  /** null: no cap. */
  readonly max_steps: number | null;
  readonly mask_weight: number;
  /** One synthesis block or several. */
  readonly block: number | readonly number[];
  readonly supervision_radius: number;
  readonly tracking_radius: number;
  readonly space: Space;
  /** Largest number of steps a second; null: as fast as it goes. */
  readonly speed: number | null;
}

export interface Limits {
  readonly num_ws: number;
  readonly blocks: readonly number[];
}

export interface StateMessage {
  readonly type: "state";
  readonly status: Status;
  readonly message: string;
  readonly step: number;
  readonly points: readonly PointState[];
  readonly seed: number | null;
  readonly truncation: number;
  /** The class of the picture; null where the model has none, or where the picture did not come from a seed. */
  readonly label: number | null;
  /** How many classes there are; 0 for none. */
  readonly classes: number;
  readonly width: number;
  readonly height: number;
  /** 1 (grey), 3 (RGB) or 4 (RGBA). */
  readonly channels: number;
  readonly generator: string;
  /** The model's name in the list of models; null where it came from elsewhere, or where there is no list. */
  readonly model: string | null;
  /** The model that is about to take this one's place. */
  readonly loading: string | null;
  /** How much of it has been read, 0 … 1; null while that is not known. */
  readonly progress: number | null;
  /** Why the last model that was asked for could not be loaded, or nothing. */
  readonly trouble: string;
  readonly can_undo: boolean;
  readonly can_redo: boolean;
  readonly edited: boolean;
  readonly rate: number | null;
  /** What goes wrong with the run and what to try, or nothing. */
  readonly warning: string;
  readonly settings: Settings;
  /** The model's own. */
  readonly defaults: Settings;
  readonly limits: Limits;
  /** Moments on the timeline: 0 … length - 1 are the steps that can be looked at. */
  readonly length: number;
  /** The step that is looked at, whose handles `points` has; null for the newest. `step` is the newest all the same. */
  readonly shown: number | null;
}

/** Frames of a run are JPEG, or WebP with alpha; a settled picture is PNG, exact to the bit. */
export const FORMATS = ["jpeg", "webp", "png"] as const;
export type Format = (typeof FORMATS)[number];

export interface FrameMessage {
  readonly type: "frame";
  readonly seq: number;
  readonly step: number;
  readonly format: Format;
  readonly width: number;
  readonly height: number;
}

/** One buffer of `width * height` bytes, 255 = may move, 0 = must stay; without a buffer everything may move. */
export interface MaskMessage {
  readonly type: "mask";
  readonly width: number;
  readonly height: number;
}

/** What the classes are called, in their order; nothing where they have only numbers. */
export interface ClassesMessage {
  readonly type: "classes";
  readonly names: readonly string[];
}

/** The models there are to choose from. Never sent where there is no choice. */
export interface ModelsMessage {
  readonly type: "models";
  readonly builtin: readonly string[];
  readonly files: readonly string[];
}

/** How far each point had to go after each step later than `since`; thinned evenly where there are many. */
export interface CourseMessage {
  readonly type: "course";
  readonly since: number;
  readonly steps: readonly number[];
  /** Spent optimising since the edit began. */
  readonly seconds: readonly number[];
  /** The points there were, and for each its distance in pixels. */
  readonly ids: readonly (readonly number[])[];
  readonly distances: readonly (readonly number[])[];
}

/** One JPEG of at most 64 px for each of these steps, which are some of those that were asked for. */
export interface ThumbnailsMessage {
  readonly type: "thumbnails";
  readonly steps: readonly number[];
}

/** The picture the edit began with. */
export interface BeforeMessage {
  readonly type: "before";
  readonly format: Format;
  readonly width: number;
  readonly height: number;
}

export const KINDS = ["png", "gif", "mp4", "drag", "latent", "code"] as const;
export type Kind = (typeof KINDS)[number];

/** What was asked for, as a file in the one buffer; code as text. */
export interface ExportMessage {
  readonly type: "export";
  readonly kind: Kind;
  readonly name: string;
  readonly mime: string;
  readonly text: string;
}

/** How much of an export is done, 0 … 1; null once it has ended, whatever its end. */
export interface ExportingMessage {
  readonly type: "exporting";
  readonly kind: Kind;
  readonly progress: number | null;
}

export type KernelMessage =
  | StateMessage
  | FrameMessage
  | MaskMessage
  | ClassesMessage
  | ModelsMessage
  | CourseMessage
  | ThumbnailsMessage
  | BeforeMessage
  | ExportMessage
  | ExportingMessage
  | { readonly type: "notice"; readonly text: string }
  | { readonly type: "pong" };

export interface PointMessage {
  readonly type: "point";
  readonly id: number;
  readonly handle?: Xy;
  readonly target?: Xy;
  readonly pulling: boolean;
}

export const COMMANDS = [
  "start",
  "stop",
  "step_once",
  "reset",
  "undo",
  "redo",
  /** Asks for the picture the edit began with. */
  "before",
  "suggest_mask",
  "cancel_export",
] as const;
export type Command = (typeof COMMANDS)[number];

export type PageMessage =
  | { readonly type: "ready" | "ping" | "bye"; readonly view: string }
  | { readonly type: "ack"; readonly view: string; readonly seq: number }
  | PointMessage
  | { readonly type: "remove"; readonly ids: readonly number[] }
  | { readonly type: Command }
  | { readonly type: "new_image"; readonly seed: number | null }
  | { readonly type: "truncation" | "label"; readonly value: number }
  /** Asks what models there are. */
  | { readonly type: "models" }
  | { readonly type: "load"; readonly name: string }
  /** Other settings from the next step on; null is the model's own. */
  | { readonly type: "settings"; readonly values: { readonly [Name in keyof Settings]?: Settings[Name] | null } }
  /** Shows the picture and the handles after that step, and changes nothing; null for the newest. */
  | { readonly type: "look"; readonly step: number | null }
  /** Goes on from that step; Undo brings back what came after it. */
  | { readonly type: "branch"; readonly step: number }
  /** Asks for the course after that step; -1 for all of it. */
  | { readonly type: "course"; readonly since: number }
  | { readonly type: "thumbnails"; readonly steps: readonly number[] }
  | { readonly type: "export"; readonly kind: Kind; readonly handles: boolean }
  | MaskMessage;

/** A point message with coordinates of a hundredth of a pixel: finer is noise, and shorter is easier to read. */
export function point(id: number, moved: { handle?: Xy; target?: Xy }, pulling: boolean): PointMessage {
  return {
    type: "point",
    id,
    ...(moved.handle && { handle: rounded(moved.handle) }),
    ...(moved.target && { target: rounded(moved.target) }),
    pulling,
  };
}

function rounded([x, y]: Xy): Xy {
  return [Math.round(x * 100) / 100, Math.round(y * 100) / 100];
}

/** What the kernel sent, or null for a type that this page does not know. Throws where a known type is malformed. */
export function parse(raw: unknown, buffers: readonly ArrayBufferView[]): KernelMessage | null {
  const fields = new Fields(raw);
  const type = fields.string("type");
  switch (type) {
    case "state":
      return parseState(fields);
    case "frame":
      fields.buffers(buffers, 1, 1);
      return {
        type,
        seq: fields.integer("seq"),
        step: fields.integer("step"),
        format: fields.oneOf("format", FORMATS),
        width: fields.integer("width"),
        height: fields.integer("height"),
      };
    case "mask": {
      const mask = { type, width: fields.integer("width"), height: fields.integer("height") } as const;
      fields.buffers(buffers, 0, 1);
      if (buffers[0] && buffers[0].byteLength !== mask.width * mask.height) throw fields.error("buffers");
      return mask;
    }
    case "classes":
      return { type, names: fields.strings("names") };
    case "models":
      return { type, builtin: fields.strings("builtin"), files: fields.strings("files") };
    case "course":
      return {
        type,
        since: fields.integer("since"),
        steps: fields.numbers("steps"),
        seconds: fields.numbers("seconds"),
        ids: fields.rows("ids"),
        distances: fields.rows("distances"),
      };
    case "thumbnails": {
      const steps = fields.numbers("steps");
      fields.buffers(buffers, steps.length, steps.length);
      return { type, steps };
    }
    case "before":
      fields.buffers(buffers, 1, 1);
      return {
        type,
        format: fields.oneOf("format", FORMATS),
        width: fields.integer("width"),
        height: fields.integer("height"),
      };
    case "export":
      fields.buffers(buffers, 0, 1);
      return {
        type,
        kind: fields.oneOf("kind", KINDS),
        name: fields.string("name"),
        mime: fields.string("mime"),
        text: fields.string("text"),
      };
    case "exporting":
      return {
        type,
        kind: fields.oneOf("kind", KINDS),
        progress: fields.orNull("progress", (name) => fields.number(name)),
      };
    case "notice":
      return { type, text: fields.string("text") };
    case "pong":
      return { type };
    default:
      return null;
  }
}

function parseState(fields: Fields): StateMessage {
  return {
    type: "state",
    status: fields.oneOf("status", STATUSES),
    message: fields.string("message"),
    step: fields.integer("step"),
    points: fields.list("points").map((raw) => {
      const each = new Fields(raw);
      return {
        id: each.integer("id"),
        handle: each.xy("handle"),
        target: each.xy("target"),
        distance: each.number("distance"),
        confidence: each.orNull("confidence", (name) => each.number(name)),
        texture: each.orNull("texture", (name) => {
          const texture = each.object(name);
          return { flat: texture.boolean("flat"), better: texture.orNull("better", (part) => texture.xy(part)) };
        }),
      };
    }),
    seed: fields.orNull("seed", (name) => fields.integer(name)),
    truncation: fields.number("truncation"),
    label: fields.orNull("label", (name) => fields.integer(name)),
    classes: fields.integer("classes"),
    width: fields.integer("width"),
    height: fields.integer("height"),
    channels: fields.integer("channels"),
    generator: fields.string("generator"),
    model: fields.orNull("model", (name) => fields.string(name)),
    loading: fields.orNull("loading", (name) => fields.string(name)),
    progress: fields.orNull("progress", (name) => fields.number(name)),
    trouble: fields.string("trouble"),
    can_undo: fields.boolean("can_undo"),
    can_redo: fields.boolean("can_redo"),
    edited: fields.boolean("edited"),
    rate: fields.orNull("rate", (name) => fields.number(name)),
    warning: fields.string("warning"),
    settings: parseSettings(fields.object("settings")),
    defaults: parseSettings(fields.object("defaults")),
    limits: parseLimits(fields.object("limits")),
    length: fields.integer("length"),
    shown: fields.orNull("shown", (name) => fields.integer(name)),
  };
}

function parseSettings(fields: Fields): Settings {
  return {
    edit_layers: fields.integer("edit_layers"),
    learning_rate: fields.number("learning_rate"),
    max_steps: fields.orNull("max_steps", (name) => fields.integer(name)),
    mask_weight: fields.number("mask_weight"),
    block: fields.is("block", Array.isArray) ? fields.numbers("block") : fields.integer("block"),
    supervision_radius: fields.number("supervision_radius"),
    tracking_radius: fields.number("tracking_radius"),
    space: fields.oneOf("space", SPACES),
    speed: fields.orNull("speed", (name) => fields.number(name)),
  };
}

function parseLimits(fields: Fields): Limits {
  return { num_ws: fields.integer("num_ws"), blocks: fields.numbers("blocks") };
}

/** Typed reading of an object that came over the wire. */
class Fields {
  readonly #raw: Record<string, unknown>;

  constructor(raw: unknown) {
    if (typeof raw !== "object" || raw === null) throw new TypeError(`not a message: ${JSON.stringify(raw)}`);
    this.#raw = raw as Record<string, unknown>;
  }

  orNull<T>(name: string, read: (name: string) => T): T | null {
    return this.#raw[name] === null ? null : read(name);
  }

  is(name: string, test: (value: unknown) => boolean): boolean {
    return test(this.#raw[name]);
  }

  object(name: string): Fields {
    const value = this.#raw[name];
    if (typeof value !== "object" || value === null) throw this.error(name);
    return new Fields(value);
  }

  error(name: string): TypeError {
    return new TypeError(`bad ${name} in message: ${JSON.stringify(this.#raw)}`);
  }

  string(name: string): string {
    const value = this.#raw[name];
    if (typeof value !== "string") throw this.error(name);
    return value;
  }

  number(name: string): number {
    const value = this.#raw[name];
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.error(name);
    return value;
  }

  integer(name: string): number {
    const value = this.number(name);
    if (!Number.isInteger(value)) throw this.error(name);
    return value;
  }

  boolean(name: string): boolean {
    const value = this.#raw[name];
    if (typeof value !== "boolean") throw this.error(name);
    return value;
  }

  list(name: string): unknown[] {
    const value = this.#raw[name];
    if (!Array.isArray(value)) throw this.error(name);
    return value;
  }

  strings(name: string): string[] {
    const value = this.list(name);
    if (!value.every((each) => typeof each === "string")) throw this.error(name);
    return value;
  }

  numbers(name: string): number[] {
    return numbersIn(this.list(name), () => this.error(name));
  }

  rows(name: string): number[][] {
    return this.list(name).map((row) => numbersIn(row, () => this.error(name)));
  }

  oneOf<const T extends string>(name: string, known: readonly T[]): T {
    const value = this.string(name);
    const found = known.find((each) => each === value);
    if (found === undefined) throw this.error(name);
    return found;
  }

  xy(name: string): Xy {
    const [x, y, ...more] = this.list(name);
    if (more.length > 0 || !Number.isFinite(x) || !Number.isFinite(y)) throw this.error(name);
    return [x as number, y as number];
  }

  buffers(given: readonly ArrayBufferView[], least: number, most: number): void {
    if (given.length < least || given.length > most) throw this.error("buffers");
  }
}

function numbersIn(values: unknown, error: () => TypeError): number[] {
  if (!Array.isArray(values) || !values.every((each) => Number.isFinite(each))) throw error();
  return values;
}
