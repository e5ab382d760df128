/** Which attributes somebody looks for. Pure. */
import type { Attribute } from "./told.ts";

/** Whether each word of a text begins a word of the attribute: of its name, its group, or what its ends are called. */
export function finds(text: string, { name, label, less, more }: Attribute, group: string): boolean {
  const words = [name, label, less, more, group]
    .join(" ")
    .toLowerCase()
    .split(/[\s_\-,/]+/);
  return wordsOf(text).every((wanted) => words.some((word) => word.startsWith(wanted)));
}

function wordsOf(text: string): string[] {
  return text
    .toLowerCase()
    .split(/[\s_\-,/]+/)
    .filter((word) => word !== "");
}

/** "+0.4", "−1.2", "0.0": what stands beside a slider. */
export function signed(value: number): string {
  const rounded = Math.abs(value).toFixed(1);
  return rounded === "0.0" ? rounded : `${value < 0 ? "−" : "+"}${rounded}`;
}

/** What a screen reader is told of a slider. */
export function told(value: number, { less, more }: Attribute): string {
  const towards = Math.abs(value) < 0.05 ? "as most are" : value < 0 ? `towards ${less}` : `towards ${more}`;
  return `${signed(value)} σ, ${towards}`;
}
