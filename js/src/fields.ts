/** The settings of the drag as a person reads and writes them. Pure. */
import type { StateMessage, Settings as Values } from "./protocol.ts";

export interface Field {
  readonly name: keyof Values;
  readonly label: string;
  readonly words: string;
  readonly kind: "choice" | "whole" | "number";
  readonly least: number;
  /** What an empty field means; where there is none, it may not be empty. */
  readonly empty?: string;
}

export const FIELDS: readonly Field[] = [
  {
    name: "space",
    label: "Latent space",
    words: "W+ changes each layer by itself and reaches farther; W stays nearer to pictures that the model knows.",
    kind: "choice",
    least: 0,
  },
  {
    name: "edit_layers",
    label: "Rows edited",
    words: "The first so many rows of the latent change: few move shapes, more change colours and texture too.",
    kind: "whole",
    least: 1,
  },
  {
    name: "learning_rate",
    label: "Learning rate",
    words: "How far a step goes. Larger is quicker; too large, and the picture breaks.",
    kind: "number",
    least: 0,
  },
  {
    name: "max_steps",
    label: "Step cap",
    words: "A run ends after so many steps.",
    kind: "whole",
    least: 0,
  },
  {
    name: "mask_weight",
    label: "Mask weight λ",
    words: "How strongly what is not painted is kept as it is.",
    kind: "number",
    least: 0,
  },
  {
    name: "block",
    label: "Feature block",
    words: "Which features are followed: low blocks see large shapes, high ones fine detail.",
    kind: "choice",
    least: 0,
  },
  {
    name: "supervision_radius",
    label: "Pull radius",
    words: "How much around a handle is pulled, in pixels of a picture of 512.",
    kind: "number",
    least: 0,
  },
  {
    name: "tracking_radius",
    label: "Search radius",
    words: "How far around itself a handle is looked for after a step, in pixels of a picture of 512.",
    kind: "number",
    least: 0,
  },
  {
    name: "speed",
    label: "Speed",
    words: "At most so many steps a second, to watch more calmly. Empty: as fast as it goes.",
    kind: "number",
    least: 0,
    empty: "fastest",
  },
];

/** What stands in the field, as text. */
export function written({ name }: Field, values: Values): string {
  const value = values[name];
  if (value === null) return "";
  if (typeof value === "number") return String(Number(value.toPrecision(6)));
  return typeof value === "string" ? value : value.join(", ");
}

/** The entries of a list: value and text. The present one is among them, whatever it is. */
export function options(field: Field, state: StateMessage): (readonly [string, string])[] {
  if (field.name === "space") {
    return [
      ["w_plus", "W+"],
      ["w", "W"],
    ];
  }
  const known = state.limits.blocks.map((block) => [String(block), String(block)] as const);
  const more = [written(field, state.settings), written(field, state.defaults)].filter(
    (text, at, all) => all.indexOf(text) === at && !known.some(([value]) => value === text),
  );
  return [...known, ...more.map((text) => [text, text] as const)];
}

/** What was written, or what is wrong with it. */
export function read(
  field: Field,
  text: string,
  state: StateMessage,
): { readonly value: string | number | readonly number[] | null } | { readonly wrong: string } {
  const typed = text.trim();
  if (field.name === "space") return { value: typed };
  if (field.name === "block") {
    const blocks = typed.split(",").map(Number);
    return { value: blocks.length > 1 ? blocks : (blocks[0] ?? null) };
  }
  if (typed === "" && field.empty !== undefined) return { value: null };
  const number = Number(typed);
  const most = field.name === "edit_layers" ? state.limits.num_ws : Number.POSITIVE_INFINITY;
  const above = field.name === "learning_rate" || field.name === "speed";
  const fits = typed !== "" && Number.isFinite(number) && number >= field.least && number <= most;
  if (fits && !(above && number === 0) && (field.kind !== "whole" || Number.isInteger(number)))
    return { value: number };
  const kind = field.kind === "whole" ? "a whole number" : "a number";
  const range =
    most < Number.POSITIVE_INFINITY ? `from ${field.least} to ${most}` : above ? "above 0" : `from ${field.least} up`;
  return { wrong: `${field.label} is ${kind} ${range}.` };
}
