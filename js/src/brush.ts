/** The brush in the hand: strokes on the mask, the veil that shows it, and the mask on its way to the kernel. */
import { type Css, clamp, type Scale } from "./geometry.ts";
import { Mask } from "./mask.ts";
import type { Gesture } from "./pointer.ts";
import type { MaskMessage, Xy } from "./protocol.ts";
import type { Stage } from "./stage.ts";

export const SMALLEST = 6;
export const LARGEST = 160;
/** After this the kernel is believed, even if it says something else than what was painted. */
const PATIENCE = 3000;

export class Brush {
  /** The brush's diameter in css pixels: it is as big as it looks, whatever the picture's resolution. */
  #size = 48;
  readonly #stage: Stage;
  readonly #send: (message: MaskMessage, buffers: readonly ArrayBufferView[]) => void;
  #mask: Mask | null = null;
  /** What the kernel is about to repeat: until then, what it says of earlier strokes is out of date. */
  #sent: { mask: Mask | null; at: number } | null = null;

  constructor(stage: Stage, send: (message: MaskMessage, buffers: readonly ArrayBufferView[]) => void) {
    this.#stage = stage;
    this.#send = send;
  }

  get size(): number {
    return this.#size;
  }

  resize(size: number): void {
    this.#size = Math.round(clamp(size, SMALLEST, LARGEST));
  }

  get painted(): boolean {
    return this.#mask !== null;
  }

  receive({ width, height }: MaskMessage, data: ArrayBufferView | undefined): void {
    const mask = data ? new Mask(width, height, data) : null;
    if (this.#sent && Date.now() - this.#sent.at < PATIENCE && !same(mask, this.#sent.mask)) return;
    this.believe();
    this.#mask = mask;
    this.#stage.drawMask(mask);
  }

  /** The next mask of the kernel holds, whatever was painted here. */
  believe(): void {
    this.#sent = null;
  }

  /** Nothing painted: everything may move. */
  clear(): void {
    const { width, height } = this.#stage.scale;
    this.#settle(new Mask(width, height), true);
  }

  begin(at: Css, erase: boolean): Gesture | null {
    if (erase && !this.#mask) return null;
    const scale = this.#stage.scale;
    const fits = this.#mask?.width === scale.width && this.#mask.height === scale.height;
    const mask = this.#mask && fits ? this.#mask : new Mask(scale.width, scale.height);
    this.#mask = mask;
    const before = mask.data.slice();
    const radius = ((this.size / 2) * scale.width) / scale.shownWidth;
    let last: Xy = beyond(scale, at);
    this.#stage.drawMask(mask);
    const move = (path: readonly Css[]) => {
      for (const place of path) {
        const next = beyond(scale, place);
        this.#stage.drawMask(mask, mask.stroke(last, next, radius, erase));
        last = next;
      }
      this.#stage.ring(path.at(-1) ?? null, this.size);
    };
    move([at]);
    return {
      move,
      end: () => this.#settle(mask, true),
      cancel: () => {
        mask.data.set(before);
        this.#settle(mask, false);
      },
    };
  }

  #settle(mask: Mask, send: boolean): void {
    const { width, height, painted } = mask;
    this.#mask = painted ? mask : null;
    this.#stage.drawMask(this.#mask);
    if (!send) return;
    this.#sent = { mask: this.#mask?.copy() ?? null, at: Date.now() };
    this.#send({ type: "mask", width, height }, painted ? [mask.data] : []);
  }
}

function same(a: Mask | null, b: Mask | null): boolean {
  if (!a || !b) return a === b;
  return a.data.length === b.data.length && a.data.every((value, at) => value === b.data[at]);
}

/** A brush may be outside the picture with its middle and still paint with its rim, so its place is not clamped. */
function beyond(scale: Scale, { left, top }: Css): [number, number] {
  return [(left / scale.shownWidth) * scale.width - 0.5, (top / scale.shownHeight) * scale.height - 0.5];
}
