/** A mask as a picture in a file, which any paint program can make or change: white may move, black must stay. */

import { make } from "./dom.ts";
import { Mask } from "./mask.ts";
import type { Masking } from "./masking.ts";
import { download } from "./save.ts";
import { fileName, NOT_SAVED, saved } from "./status.ts";
import type { ViewState } from "./viewstate.ts";
import type { Size } from "./zoom.ts";

/** By so much of it the shape of a mask's picture may differ from that of the picture: sizes are rounded. */
const SHAPES_DIFFER = 0.02;

export const NO_PICTURE = "That file is no picture that this browser can read. A mask is a PNG or JPEG.";
export const NOTHING_WHITE = "That picture is white nowhere, so nothing could move. Paint white what may move.";
export const otherShape = (mask: Size, picture: Size) =>
  `That mask is ${mask.width} × ${mask.height} and the picture ${picture.width} × ${picture.height}, another shape. ` +
  "Crop it to the same.";

export interface MaskFilesHost {
  readonly view: ViewState;
  readonly masking: Masking;
  within(): HTMLElement;
  aside(text: string, milliseconds: number): void;
  update(): void;
}

export class MaskFiles {
  readonly #host: MaskFilesHost;

  constructor(host: MaskFilesHost) {
    this.#host = host;
  }

  /** Takes a file as the mask; what is wrong with it is said, and the mask stays. Undo takes it back. */
  async load(file: Blob): Promise<void> {
    const { view, masking, aside, update } = this.#host;
    if (!view.state || !view.live) return;
    const { width, height } = view.state;
    const mask = await readMask(file, { width, height });
    if (typeof mask === "string") aside(mask, 8000);
    else if (view.state.width === width && view.state.height === height) {
      view.showing = { ...view.showing, mask: true };
      masking.replace(mask);
      update();
    }
  }

  async save(): Promise<void> {
    const { view, masking, within, aside } = this.#host;
    if (!view.state || !masking.mask) return;
    const name = fileName(view.state, view.state.step).replace(/-step\d+\.png$/, "-mask.png");
    const blob = await writeMask(masking.mask);
    if (blob) download(blob, name, within());
    aside(blob ? saved(name) : NOT_SAVED, 4000);
  }
}

/** The picture that a person chose as the mask of a picture of that size, or why it is none. */
export async function readMask(file: Blob, { width, height }: Size): Promise<Mask | string> {
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) return NO_PICTURE;
  const said = sameShape(picture, { width, height }) ? null : otherShape(picture, { width, height });
  const context = make("canvas", { width, height }).getContext("2d", { willReadFrequently: true });
  // What is transparent is black.
  context?.fillRect(0, 0, width, height);
  context?.drawImage(picture, 0, 0, width, height);
  picture.close();
  if (said || !context) return said ?? NO_PICTURE;
  const mask = new Mask(width, height, brightness(context.getImageData(0, 0, width, height).data));
  return mask.painted ? mask : NOTHING_WHITE;
}

/** A grey PNG. */
export function writeMask({ width, height, data }: Mask): Promise<Blob | null> {
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d");
  if (!context) return Promise.resolve(null);
  const picture = context.createImageData(width, height);
  data.forEach((value, at) => {
    picture.data.set([value, value, value, 255], 4 * at);
  });
  context.putImageData(picture, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

export function sameShape(one: Size, other: Size): boolean {
  return Math.abs((one.width * other.height) / (one.height * other.width) - 1) <= SHAPES_DIFFER;
}

/** Of each pixel of RGBA, as television has it (and Pillow). */
export function brightness(rgba: Uint8ClampedArray): Uint8Array {
  return Uint8Array.from({ length: rgba.length / 4 }, (_, at) => {
    const [red = 0, green = 0, blue = 0] = rgba.subarray(4 * at, 4 * at + 3);
    return Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
  });
}
