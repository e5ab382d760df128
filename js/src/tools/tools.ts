/** What a tool is: something that makes a gesture of a press. There is one module for each kind. */
import type { Place } from "../geometry.ts";
import type { Tool } from "../keys.ts";
import type { Gesture, Press } from "../pointer.ts";
import { outlining } from "./area.ts";
import type { ToolContext } from "./context.ts";
import { painting } from "./painting.ts";
import { panning } from "./panning.ts";
import { pulling } from "./pulling.ts";

export type Kind = (context: ToolContext, press: Press) => Gesture | null;

export const TOOLS: Readonly<Record<Tool, Kind>> = {
  points: pulling,
  brush: (context, press) => painting(context, press, press.rubber),
  eraser: (context, press) => painting(context, press, true),
  rectangle: (context, press) => outlining(context, press, (path) => box(path[0], path.at(-1))),
  lasso: (context, press) => outlining(context, press, (path) => path),
  pan: panning,
};

function box<P extends Place>(from: P | undefined, to: P | undefined): Place[] {
  if (!from || !to) return [];
  return [from, { left: to.left, top: from.top }, to, { left: from.left, top: to.top }];
}
