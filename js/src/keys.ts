/** What a key means, by where the focus is. Pure, so that the whole keyboard can be read (and tested) in one place. */

export interface Key {
  readonly key: string;
  readonly shiftKey: boolean;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
}

/**
 * What has the focus: a point of the edit, a text input or list, a slider, a button, one of many that are one stop of
 * the Tab key, or the picture itself.
 */
export type Focus = "point" | "input" | "slider" | "button" | "one of many" | "picture";

/** From one of many buttons to another. */
export type Way = "next" | "before" | "first" | "last";

export const TOOLS = ["points", "brush", "eraser", "rectangle", "lasso", "pan"] as const;
export type Tool = (typeof TOOLS)[number];

export type Meaning =
  /** A point moves, or the cross that stands for the pointer. */
  | { readonly do: "nudge" | "cross"; readonly dx: number; readonly dy: number }
  | { readonly do: "other point"; readonly by: 1 | -1 }
  | { readonly do: "go"; readonly way: Way }
  | { readonly do: "zoom"; readonly to: "in" | "out" | "fit" }
  | { readonly do: "tool"; readonly tool: Tool }
  | { readonly do: "brush size"; readonly factor: number }
  /** Run and peek are held: a run starts and stops at the release, unless the key held the picture meanwhile. */
  | { readonly do: "remove" | "run" | "peek" | "press" | "cancel" | "hold" | "undo" | "redo" | "full" | "help" }
  | { readonly do: "show"; readonly what: "points" | "mask" }
  /** The browser does something with it here, so the notebook must not see it. */
  | { readonly do: "keep" };

const ARROWS: Record<string, readonly [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

const WAYS: Record<string, Way> = {
  ArrowLeft: "before",
  ArrowUp: "before",
  ArrowRight: "next",
  ArrowDown: "next",
  Home: "first",
  End: "last",
};

const LETTERS: Record<string, Meaning> = {
  b: { do: "tool", tool: "brush" },
  e: { do: "tool", tool: "eraser" },
  p: { do: "tool", tool: "points" },
  r: { do: "tool", tool: "rectangle" },
  l: { do: "tool", tool: "lasso" },
  g: { do: "tool", tool: "pan" },
  v: { do: "show", what: "points" },
  m: { do: "show", what: "mask" },
  h: { do: "hold" },
  f: { do: "full" },
  o: { do: "peek" },
  "\\": { do: "peek" },
  "+": { do: "zoom", to: "in" },
  "=": { do: "zoom", to: "in" },
  "-": { do: "zoom", to: "out" },
  "0": { do: "zoom", to: "fit" },
  "?": { do: "help" },
  "[": { do: "brush size", factor: 1 / 1.25 },
  "]": { do: "brush size", factor: 1.25 },
};

/** What a slider does by itself. */
const SLIDING = [...Object.keys(ARROWS), "Home", "End", "PageUp", "PageDown"];

export function meaning(key: Key, focus: Focus): Meaning | null {
  if (focus === "input") return { do: "keep" };
  if ((key.ctrlKey || key.metaKey) && !key.altKey) return history(key);
  if (key.altKey || key.ctrlKey || key.metaKey) return null;
  if (key.key === "Escape") return { do: "cancel" };
  const way = focus === "one of many" ? WAYS[key.key] : undefined;
  if (way) return { do: "go", way };
  if (key.key === " ") return focus === "button" || focus === "one of many" ? { do: "keep" } : { do: "run" };
  if (key.key === "Enter") {
    if (key.shiftKey) return null;
    return focus === "picture" ? { do: "press" } : { do: "keep" };
  }
  if (focus === "slider" && SLIDING.includes(key.key)) return { do: "keep" };
  const arrow = ARROWS[key.key];
  const far = key.shiftKey ? 10 : 1;
  if (arrow && focus === "point") return { do: "nudge", dx: arrow[0] * far, dy: arrow[1] * far };
  if (arrow && focus === "button") return { do: "keep" }; // a notebook would go to its next cell
  if (arrow && focus === "picture") return { do: "cross", dx: arrow[0] * far, dy: arrow[1] * far };
  if (focus === "point" && (key.key === "Delete" || key.key === "Backspace")) return { do: "remove" };
  if (key.key.toLowerCase() === "n") return { do: "other point", by: key.shiftKey ? -1 : 1 };
  // In a notebook, letters cut, copy and delete whole cells: one that means nothing here must not mean that.
  return LETTERS[key.key.toLowerCase()] ?? (key.key.length === 1 ? { do: "keep" } : null);
}

function history({ key, shiftKey }: Key): Meaning | null {
  const letter = key.toLowerCase();
  if (letter === "z") return { do: shiftKey ? "redo" : "undo" };
  if (letter === "y" && !shiftKey) return { do: "redo" };
  return null;
}
