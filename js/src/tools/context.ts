/** What a tool is given to work with, whichever it is. */
import type { Masking } from "../masking.ts";
import type { PageMessage } from "../protocol.ts";
import type { Stage } from "../stage.ts";
import type { ViewState } from "../viewstate.ts";

export interface ToolContext {
  readonly view: ViewState;
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
