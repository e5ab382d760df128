/**
 * The messages between page and kernel, discriminated on `type`; its twin is `draggan_widget/widget/protocol.py`.
 *
 * Coordinates are image pixels, x to the right, y down, pixel centres at integers. `parse.ts` checks what the kernel
 * sends.
 */

export type Xy = readonly [x: number, y: number];

export const STATUSES = [
  "idle",
  "running",
  "paused",
  "arrived",
  "near",
  "stalled",
  "capped",
  "stopped",
  "error",
] as const;
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

/** One setting's value; null: what its field says for nothing, such as no cap. */
export type SettingValue = number | string | readonly number[] | null;
/** By name; `schema` says what there is. */
export type Settings = Readonly<Record<string, SettingValue>>;

export const FIELD_KINDS = ["number", "whole", "choice", "rows", "blocks"] as const;

/** A setting as its field in the drawer is drawn from it. */
export interface Field {
  readonly name: string;
  readonly kind: (typeof FIELD_KINDS)[number];
  readonly label: string;
  readonly help: string;
  readonly least: number;
  /** null: no bound. */
  readonly most: number | null;
  /** Whether `least` itself is too little. */
  readonly above: boolean;
  /** What null means, in a word or two; null where the setting is never null. */
  readonly none: string | null;
  /** Value and text of each entry of a list. */
  readonly choices: readonly (readonly [value: string, text: string])[];
  readonly advanced: boolean;
}

/** What settings there are for the model, in their order. */
export interface SchemaMessage {
  readonly type: "schema";
  readonly fields: readonly Field[];
}

/** Long work that goes on beside the edit, which nothing of it changes before it is done. */
export interface Job {
  readonly id: number;
  /**
   * "load": another model, "opening": a photograph, "compare": the pull by an engine, called `name`; "preparing": what
   * is done once before a pull.
   */
  readonly what: Kind | "load" | "opening" | "compare" | "preparing";
  readonly name: string;
  /** How much of it is done, 0 … 1; null while that is not known. */
  readonly progress: number | null;
  /** What is being done, in a few words; empty where the others say it all. */
  readonly note: string;
  /** Of a photograph: a square is waited for, or what can be ended as good enough; else nothing. */
  readonly stage: string;
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
  readonly jobs: readonly Job[];
  /** Whether a photograph is edited. */
  readonly photo: boolean;
  /** Why the last model that was asked for could not be loaded, or nothing. */
  readonly trouble: string;
  readonly can_undo: boolean;
  readonly can_redo: boolean;
  /** What undo would take back, and redo do again, in words such as "pull of point 2"; empty for nothing. */
  readonly undo: string;
  readonly redo: string;
  /** Number of the course that the steps belong to: while it stays, a step is the same picture. Answers carry it. */
  readonly edit: number;
  /** Whether the kernel has the package that writes MP4 films. */
  readonly mp4: boolean;
  readonly edited: boolean;
  readonly rate: number | null;
  /** What goes wrong with the run and what to try, or nothing. */
  readonly warning: string;
  readonly settings: Settings;
  /** The model's own. */
  readonly defaults: Settings;
  /** Moments on the timeline: 0 … length - 1 are the steps that can be looked at. */
  readonly length: number;
  /** The step that is looked at, whose handles `points` has; null for the newest. `step` is the newest all the same. */
  readonly shown: number | null;
  /** After which steps attributes were changed, and by how much, in words. */
  readonly amounts: readonly (readonly [step: number, words: string])[];
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
  /** Whether an acknowledgement is asked for, which stands for all frames before it as well. */
  readonly ack: boolean;
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
  readonly edit: number;
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
  readonly edit: number;
  readonly steps: readonly number[];
}

/** The picture the edit began with. */
export interface BeforeMessage {
  readonly type: "before";
  readonly edit: number;
  readonly format: Format;
  readonly width: number;
  readonly height: number;
}

export const KINDS = ["png", "gif", "mp4", "drag", "latent", "code", "photo"] as const;
export type Kind = (typeof KINDS)[number];

/** What was asked for, as a file in the one buffer; code as text. */
export interface ExportMessage {
  readonly type: "export";
  readonly kind: Kind;
  readonly name: string;
  readonly mime: string;
  readonly text: string;
}

/** Where a model's picture lies in a photograph, in pixels of that: its centre, its height, and its turn in degrees. */
export type Square = readonly number[];

/** A photograph, small, in which somebody may place the square; a face each, or the middle. */
export interface PlacingMessage {
  readonly type: "placing";
  /** Of the photograph itself. */
  readonly width: number;
  readonly height: number;
  /** Width by height of the model's pictures. */
  readonly shape: number;
  readonly squares: readonly Square[];
  readonly note: string;
}

/** What the kernel tells a panel of the second bundle, which knows what it is. */
export interface PanelMessage {
  readonly type: "panel";
  readonly panel: string;
  readonly told: object;
}

export type KernelMessage =
  | StateMessage
  /** The code of the second bundle, in the one buffer. */
  | { readonly type: "more" }
  | PanelMessage
  | PlacingMessage
  /** A view's photograph has arrived up to that byte, and its next part is wanted; -1: it is not. */
  | { readonly type: "part"; readonly view: string; readonly at: number }
  | FrameMessage
  | MaskMessage
  | ClassesMessage
  | ModelsMessage
  | CourseMessage
  | ThumbnailsMessage
  | BeforeMessage
  | SchemaMessage
  | ExportMessage
  | { readonly type: "notice"; readonly text: string }
  /** The answer to a sign of life: the newest frame's number, and whether this host withholds what is not asked for. */
  | { readonly type: "pong"; readonly sent: number; readonly withheld: boolean };

export interface PointMessage {
  readonly type: "point";
  readonly id: number;
  readonly handle?: Xy;
  readonly target?: Xy;
  readonly pulling: boolean;
  /** Then start, in the same message. */
  readonly start?: true;
}

/** The frame `seq` was drawn (0: none yet); with `pull`, what is new is asked for; `move` is what else has happened. */
interface AckMessage {
  readonly type: "ack";
  readonly view: string;
  readonly seq: number;
  readonly pull: boolean;
  readonly move?: PointMessage;
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
  /** All settings as the model has them. */
  "reset_settings",
] as const;
export type Command = (typeof COMMANDS)[number];

export type PageMessage =
  | { readonly type: "ready" | "ping" | "bye"; readonly view: string }
  | AckMessage
  | PointMessage
  | { readonly type: "remove"; readonly ids: readonly number[] }
  | { readonly type: Command }
  | { readonly type: "new_image"; readonly seed: number | null }
  | { readonly type: "truncation" | "label"; readonly value: number }
  /** Asks what models there are. */
  | { readonly type: "models" }
  | { readonly type: "load"; readonly name: string }
  /** Ends that job. */
  | { readonly type: "cancel"; readonly id: number }
  /** Other settings from the next step on; null is the model's own. */
  | { readonly type: "settings"; readonly values: Settings }
  /** Asks what settings there are. */
  | { readonly type: "schema" }
  /** Shows the picture and the handles after that step, and changes nothing; null for the newest. */
  | { readonly type: "look"; readonly step: number | null }
  /** Goes on from that step; Undo brings back what came after it. */
  | { readonly type: "branch"; readonly step: number }
  /** Asks for the course after that step; -1 for all of it. */
  | { readonly type: "course"; readonly since: number }
  | { readonly type: "thumbnails"; readonly steps: readonly number[] }
  /** The bytes of a photograph from `at` on, in one buffer. */
  | {
      readonly type: "photo";
      readonly view: string;
      readonly name: string;
      readonly size: number;
      readonly at: number;
    }
  | { readonly type: "place"; readonly x: number; readonly y: number; readonly size: number; readonly angle: number }
  /** That stage of a photograph is good enough; "": all of it. */
  | { readonly type: "enough"; readonly stage: string }
  | { readonly type: "export"; readonly kind: Kind; readonly handles: boolean }
  /** Asks for the second bundle; for what attributes there are, how much of each there is, what engines there are. */
  | { readonly type: "more" | "attributes" | "values" | "engines" }
  /** Brings attributes to values in σ; `pulling`: the slider is still held. Answered with the id. */
  | {
      readonly type: "change";
      readonly id: number;
      readonly values: Readonly<Record<string, number>>;
      readonly pulling: boolean;
    }
  | { readonly type: "say"; readonly id: number; readonly text: string }
  /** Makes the picture of another prompt. Answered with the id. */
  | { readonly type: "prompt"; readonly id: number; readonly text: string }
  /** Holds an attribute, a group or a set, or holds it no longer. */
  | { readonly type: "lock"; readonly name: string; readonly on: boolean }
  /** The picture is one with more or less of something; or takes the mark of that number away. */
  | { readonly type: "mark"; readonly side: "more" | "less" | null; readonly number: number | null }
  | { readonly type: "teach"; readonly id: number; readonly name: string }
  /** The same pull by these engines, beside the edit. */
  | { readonly type: "compare"; readonly engines: readonly string[] }
  /** Goes on from what that engine has come to. */
  | { readonly type: "take"; readonly engine: string }
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
