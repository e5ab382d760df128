/** What the kernel tells the panels: checked here, as `parse.ts` checks the rest. Its twin is `panel_protocol.py`. */
import type { Fields, Reader } from "../parse.ts";
import { flag, integer, list, number, object, oneOf, orNull, text, when } from "../shared.ts";

export interface Attribute {
  readonly name: string;
  readonly label: string;
  /** The name of its group. */
  readonly group: string;
  /** What people call much less and much more of it. */
  readonly less: string;
  readonly more: string;
  /** Its range in σ. */
  readonly least: number;
  readonly most: number;
  /** R² or AUC; null where there is nothing to compare with. */
  readonly score: number | null;
  readonly source: string;
}

export type Amounts = Readonly<Record<string, number>>;

export const OUTCOMES = ["waits", "runs", "done", "failed", "cancelled"] as const;

export interface Told {
  attributes: {
    readonly attributes: readonly Attribute[];
    readonly groups: readonly { readonly name: string; readonly label: string }[];
    /** Groups, or several of them, that are one thing to people, such as "identity". */
    readonly sets: readonly { readonly name: string; readonly members: readonly string[] }[];
    /** Why there are none, or nothing. */
    readonly why: string;
  };
  values: { readonly values: Amounts; readonly began: Amounts; readonly held: readonly string[] };
  /** null where the model reads none; `words`: all that it may have, where these are few. */
  prompt: { readonly prompt: string | null; readonly words: readonly string[]; readonly learnt: boolean };
  marks: { readonly sides: readonly ("more" | "less")[] };
  answer: { readonly id: number; readonly done: boolean; readonly notes: readonly string[] };
  engines: {
    readonly engines: readonly { readonly name: string; readonly help: string; readonly refusal: string }[];
    readonly present: string;
  };
  /** A comparison begins, by these engines. */
  round: { readonly engines: readonly string[] };
  refused: { readonly why: string };
  compared: {
    readonly round: number;
    readonly engine: string;
    readonly status: (typeof OUTCOMES)[number];
    readonly why: string;
    readonly reason: string | null;
    readonly step: number;
    readonly seconds: number;
    readonly distance: number | null;
  };
}

const texts = list(text);
const amounts: Reader<Amounts> = when(
  (value) => typeof value === "object" && value !== null && Object.values(value).every(Number.isFinite),
);
const TOLD: { readonly [Panel in keyof Told]: Fields<Told[Panel]> } = {
  attributes: {
    attributes: list(
      object<Attribute>({
        name: text,
        label: text,
        group: text,
        less: text,
        more: text,
        least: number,
        most: number,
        score: orNull(number),
        source: text,
      }),
    ),
    groups: list(object({ name: text, label: text })),
    sets: list(object({ name: text, members: texts })),
    why: text,
  },
  values: { values: amounts, began: amounts, held: texts },
  prompt: { prompt: orNull(text), words: texts, learnt: flag },
  marks: { sides: list(oneOf(["more", "less"])) },
  answer: { id: integer, done: flag, notes: texts },
  engines: { engines: list(object({ name: text, help: text, refusal: text })), present: text },
  round: { engines: texts },
  refused: { why: text },
  compared: {
    round: integer,
    engine: text,
    status: oneOf(OUTCOMES),
    why: text,
    reason: orNull(text),
    step: integer,
    seconds: number,
    distance: orNull(number),
  },
};

/** What a panel is told, or null for a panel that this page does not know. Throws where it is malformed. */
export function read<P extends keyof Told>(panel: P, told: object): Told[P] | null {
  if (!Object.hasOwn(TOLD, panel)) return null;
  const fields: Fields<object> = TOLD[panel];
  return object(fields)(told) as Told[P];
}
