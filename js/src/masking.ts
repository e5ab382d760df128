/** The one owner of the mask in the page: what is painted on, the veil that shows it, and its way to the kernel. */
import { type Box, Mask } from "./mask.ts";
import { Pending } from "./pending.ts";
import type { MaskMessage } from "./protocol.ts";
import type { Stage } from "./stage.ts";

/** One change of the mask, from the press to the release. */
export interface MaskEdit {
  readonly mask: Mask;
  /** Shows what was changed so far. */
  show(box: Box): void;
  end(): void;
  cancel(): void;
}

export class Masking {
  readonly #stage: Stage;
  readonly #send: (message: MaskMessage, buffers: readonly ArrayBufferView[]) => void;
  #mask: Mask | null = null;
  /** What the kernel is about to repeat: until then, what it says of earlier strokes is out of date. */
  readonly #sent = new Pending<Mask | null>();

  constructor(stage: Stage, send: (message: MaskMessage, buffers: readonly ArrayBufferView[]) => void) {
    this.#stage = stage;
    this.#send = send;
  }

  get painted(): boolean {
    return this.#mask !== null;
  }

  /** What is painted, or null for nothing. */
  get mask(): Mask | null {
    return this.#mask;
  }

  /** All of another mask. */
  replace(mask: Mask): void {
    this.#settle(mask, true);
  }

  receive({ width, height }: MaskMessage, data: ArrayBufferView | undefined): void {
    const mask = data ? new Mask(width, height, data) : null;
    if (!this.#sent.hears((sent) => same(mask, sent))) return;
    this.#mask = mask;
    this.#stage.drawMask(mask);
  }

  /** The next mask of the kernel holds, whatever was painted here. */
  believe(): void {
    this.#sent.forget();
  }

  begin(): MaskEdit {
    const mask = this.#fitting();
    const before = mask.data.slice();
    const restore = () => mask.data.set(before);
    this.#mask = mask;
    this.#stage.drawMask(mask);
    return {
      mask,
      show: (box) => this.#stage.drawMask(mask, box),
      end: () => this.#settle(mask, true),
      cancel: () => {
        restore();
        this.#settle(mask, false);
      },
    };
  }

  /** Nothing painted: everything may move. */
  clear(): void {
    const { width, height } = this.#stage.scale;
    this.#settle(new Mask(width, height), true);
  }

  invert(): void {
    const { mask, end } = this.begin();
    mask.invert();
    end();
  }

  #fitting(): Mask {
    const { width, height } = this.#stage.scale;
    const mask = this.#mask;
    return mask?.width === width && mask.height === height ? mask : new Mask(width, height);
  }

  #settle(mask: Mask, send: boolean): void {
    const { width, height, painted } = mask;
    this.#mask = painted ? mask : null;
    this.#stage.drawMask(this.#mask);
    if (!send) return;
    this.#sent.expect(this.#mask?.copy() ?? null);
    this.#send({ type: "mask", width, height }, painted ? [mask.data] : []);
  }
}

function same(a: Mask | null, b: Mask | null): boolean {
  if (!a || !b) return a === b;
  return a.data.length === b.data.length && a.data.every((value, at) => value === b.data[at]);
}
