/** What a person should know before they go on, and what can be done about it: the most urgent of it, in words. */

import { advises, sitsBadly } from "./placement.ts";
import type { StateMessage, Xy } from "./protocol.ts";
import type { ViewState } from "./viewstate.ts";

export type Remedy =
  | { readonly do: "move handle"; readonly id: number; readonly to: Xy }
  | { readonly do: "save picture" | "copy points" };

export interface Concern {
  readonly text: string;
  readonly remedies: readonly (readonly [label: string, remedy: Remedy])[];
  /** By what it is known when somebody waves it away; null: it stays. */
  readonly key: string | null;
}

export function concern(view: ViewState): Concern | null {
  const { state, connected, dismissed } = view;
  if (!connected && state) {
    return {
      text: "The kernel does not answer. Keep what is here, then run the cell again.",
      remedies: [
        ["Save picture", { do: "save picture" }],
        ...(state.points.length > 0 ? ([["Copy points", { do: "copy points" }]] as const) : []),
      ],
      key: null,
    };
  }
  if (!state || view.looking !== null || view.starting.waits() || !advises(state)) return null;
  const found = [...(state.warning ? [told(state.warning)] : []), ...flat(state)];
  return found.find(({ key }) => key === null || !dismissed.has(key)) ?? null;
}

function told(warning: string): Concern {
  return { text: warning, remedies: [], key: warning };
}

function flat(state: StateMessage): Concern[] {
  return state.points
    .filter((point) => sitsBadly(state, point))
    .map(({ id, handle, texture }) => {
      const to = texture?.better ?? null;
      const where = `Point ${id} sits where the picture is too even to be followed surely.`;
      return {
        text: to ? where : `${where} Set it where there is an edge or a corner.`,
        remedies: to ? [["Move it to a better spot", { do: "move handle", id, to }]] : [],
        key: `flat ${id} ${Math.round(handle[0] / 8)} ${Math.round(handle[1] / 8)}`,
      };
    });
}

/** The points as Python takes them: what can be kept where there is no kernel to ask. */
export function asPython(points: readonly { readonly handle: Xy; readonly target: Xy }[]): string {
  const xy = ([x, y]: Xy) => `[${Math.round(x * 100) / 100}, ${Math.round(y * 100) / 100}]`;
  const lines = points.map(({ handle, target }) => `    {"handle": ${xy(handle)}, "target": ${xy(target)}},`);
  return ["editor.points = [", ...lines, "]"].join("\n");
}
