/** What a key means, by where the focus is. Pure, so that the whole keyboard can be read (and tested) in one place. */

export interface Key {
  readonly key: string;
  readonly shiftKey: boolean;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
}

/** What has the focus: a point of the edit, a text or slider input, a button, or the picture itself. */
export type Focus = "point" | "input" | "button" | "picture";

export type Tool = "points" | "brush" | "eraser";

export type Meaning =
  | { readonly do: "nudge"; readonly dx: number; readonly dy: number }
  | { readonly do: "tool"; readonly tool: Tool }
  | { readonly do: "brush size"; readonly factor: number }
  | { readonly do: "remove" | "run" | "cancel" | "hold" | "undo" | "redo" | "help" }
  /** The browser does something with it here, so the notebook must not see it. */
  | { readonly do: "keep" };

const ARROWS: Record<string, readonly [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

const LETTERS: Record<string, Meaning> = {
  b: { do: "tool", tool: "brush" },
  e: { do: "tool", tool: "eraser" },
  p: { do: "tool", tool: "points" },
  h: { do: "hold" },
  "?": { do: "help" },
  "[": { do: "brush size", factor: 1 / 1.25 },
  "]": { do: "brush size", factor: 1.25 },
};

export function meaning(key: Key, focus: Focus): Meaning | null {
  if (focus === "input") return { do: "keep" };
  if ((key.ctrlKey || key.metaKey) && !key.altKey) return history(key);
  if (key.altKey || key.ctrlKey || key.metaKey) return null;
  if (key.key === "Escape") return { do: "cancel" };
  if (key.key === " ") return focus === "button" ? { do: "keep" } : { do: "run" };
  if (key.key === "Enter") return focus === "picture" || key.shiftKey ? null : { do: "keep" };
  if (focus === "point") {
    const arrow = ARROWS[key.key];
    const far = key.shiftKey ? 10 : 1;
    if (arrow) return { do: "nudge", dx: arrow[0] * far, dy: arrow[1] * far };
    if (key.key === "Delete" || key.key === "Backspace") return { do: "remove" };
  }
  // In a notebook, letters cut, copy and delete whole cells: one that means nothing here must not mean that.
  return LETTERS[key.key.toLowerCase()] ?? (key.key.length === 1 ? { do: "keep" } : null);
}

function history({ key, shiftKey }: Key): Meaning | null {
  const letter = key.toLowerCase();
  if (letter === "z") return { do: shiftKey ? "redo" : "undo" };
  if (letter === "y" && !shiftKey) return { do: "redo" };
  return null;
}
