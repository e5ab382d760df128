/** What a tool is: something that makes a gesture of a press. There is one module for each kind. */
import type { Desk } from "../desk.ts";
import type { Place } from "../geometry.ts";
import type { Tool } from "../keys.ts";
import type { Masking } from "../masking.ts";
import type { Gesture, Press } from "../pointer.ts";
import type { PageMessage } from "../protocol.ts";
import type { Stage } from "../stage.ts";
import { outlining } from "./area.ts";
import { painting } from "./painting.ts";
import { panning } from "./panning.ts";
import { pulling } from "./pulling.ts";

export interface Bench {
  readonly desk: Desk;
  readonly stage: Stage;
  readonly masking: Masking;
  /** To the kernel, as a change of the edit. */
  send(message: PageMessage): void;
  /** Something changed that is to be seen. */
  update(): void;
  /** Only a point moved on the picture: no word and no button depends on where it is. */
  paint(): void;
  /** A line for a moment. */
  aside(text: string, milliseconds: number): void;
  /** Puts the focus on what is selected, as soon as it is there. */
  focusSelected(): void;
}

export type Kind = (bench: Bench, press: Press) => Gesture | null;

export const TOOLS: Readonly<Record<Tool, Kind>> = {
  points: pulling,
  brush: (bench, press) => painting(bench, press, press.rubber),
  eraser: (bench, press) => painting(bench, press, true),
  rectangle: (bench, press) => outlining(bench, press, (path) => box(path[0], path.at(-1))),
  lasso: (bench, press) => outlining(bench, press, (path) => path),
  pan: panning,
};

function box<P extends Place>(from: P | undefined, to: P | undefined): Place[] {
  if (!from || !to) return [];
  return [from, { left: to.left, top: from.top }, to, { left: from.left, top: to.top }];
}
