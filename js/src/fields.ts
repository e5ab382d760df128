/** The settings of the drag as a person reads and writes them, from the kernel's schema of them. Pure. */
import type { Field, Settings, SettingValue } from "./protocol.ts";

/** Whether it is chosen from a list. */
export function isList({ kind }: Field): boolean {
  return kind === "choice" || kind === "blocks";
}

/** What stands in the field, as text. */
export function written({ name }: Field, values: Settings): string {
  const value = values[name] ?? null;
  if (value === null) return "";
  if (typeof value === "number") return String(Number(value.toPrecision(6)));
  return typeof value === "string" ? value : value.join(", ");
}

/** The entries of a list: value and text. The present one is among them, whatever it is. */
export function options(field: Field, settings: Settings, defaults: Settings): (readonly [string, string])[] {
  const present = [written(field, settings), written(field, defaults)];
  const more = present.filter(
    (text, at) => present.indexOf(text) === at && !field.choices.some(([value]) => value === text),
  );
  return [...field.choices, ...more.map((text) => [text, text] as const)];
}

/** What was written, or what is wrong with it. `defaults` are the model's own settings. */
export function read(
  field: Field,
  text: string,
  defaults: Settings,
): { readonly value: SettingValue } | { readonly wrong: string } {
  const typed = text.trim();
  if (field.kind === "choice") return { value: typed };
  if (field.kind === "blocks") {
    const blocks = typed.split(",").map(Number);
    return { value: blocks.length > 1 ? blocks : (blocks[0] ?? null) };
  }
  // To the kernel, null is the model's own; where that is none as well, an empty field may stand for it.
  if (typed === "" && field.none !== null && defaults[field.name] === null) return { value: null };
  const number = Number(typed);
  const { least, most, above } = field;
  const whole = field.kind !== "number";
  const enough = above ? number > least : number >= least;
  const fits = typed !== "" && Number.isFinite(number) && enough && (most === null || number <= most);
  if (fits && (!whole || Number.isInteger(number))) return { value: number };
  return { wrong: `${whole ? "A whole number" : "A number"} ${range(field)}.` };
}

function range({ least, most, above }: Field): string {
  const said = (bound: number) => bound.toLocaleString("en");
  if (most === null) return above ? `above ${said(least)}` : `from ${said(least)} up`;
  return above ? `above ${said(least)} and up to ${said(most)}` : `from ${said(least)} to ${said(most)}`;
}
