/** What one view knows: the kernel's last word, and what the person has in hand. No DOM, no messages. */
import type { Part } from "./geometry.ts";
import type { Tool } from "./keys.ts";
import { Points } from "./points.ts";
import type { StateMessage } from "./protocol.ts";

/** What makes two states ones of the same picture. */
const PICTURE = ["width", "height", "seed", "truncation", "label", "generator", "model"] as const;

export class Desk {
  readonly points = new Points();
  state: StateMessage | null = null;
  connected = true;
  tool: Tool = "points";
  /** Pulling only sets points, until Start. */
  hold = false;
  /** The point that "Delete point" and the arrow keys mean. */
  selected: { readonly id: number; readonly part: Part } | null = null;

  get running(): boolean {
    return this.state?.status === "running";
  }

  /** Whether what the person does reaches the edit that they see: while a model is loaded it would reach another. */
  get live(): boolean {
    return this.connected && this.state?.loading === null;
  }

  /** True where this state is of another picture than the last. */
  receive(state: StateMessage): boolean {
    const last = this.state;
    this.state = state;
    this.points.receive(state.points, this.running);
    this.selectOnlyWhatIs();
    const same = PICTURE.every((key) => state[key] === last?.[key]);
    if (!same) this.points.restore();
    return !same;
  }

  selectOnlyWhatIs(): void {
    if (this.selected && !this.points.find(this.selected.id)) this.selected = null;
  }
}
