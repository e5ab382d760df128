/** What the first bundle and the second one know of each other. Types, and nothing else. */
import type { Job, PageMessage, PlacingMessage } from "./protocol.ts";
import type { ViewState } from "./viewstate.ts";

/** What panels need of the view around them. */
export interface PanelHost {
  readonly view: ViewState;
  send(message: PageMessage): void;
  /** Ends long work. */
  cancel(job: Job): void;
  /** Does what a button of the toolbar does. */
  press(name: "New image" | "Attributes" | "Compare engines"): void;
  update(): void;
}

/** What is loaded when it is first opened. */
export interface Panels {
  /** Under the points, of which one is shown at a time. */
  readonly beside: readonly Node[];
  /** Over the picture. */
  readonly over: Node;
  show(view: ViewState): void;
  /** What the kernel tells a panel of that name. */
  hear(panel: string, told: object, buffers: readonly ArrayBufferView[]): void;
  /** Where in a photograph a square may be placed. */
  place(message: PlacingMessage, data: ArrayBufferView): Promise<void>;
  /** A key in one of the inputs. */
  typed(event: KeyboardEvent): void;
}
