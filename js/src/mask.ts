/** What may move, painted by hand: one byte a pixel, 255 = may move, 0 = must stay. Nothing painted: everything may. */
import { clamp } from "./geometry.ts";
import type { Xy } from "./protocol.ts";

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export class Mask {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array<ArrayBuffer>;

  constructor(width: number, height: number, from?: ArrayBufferView) {
    this.width = width;
    this.height = height;
    this.data = new Uint8Array(width * height);
    if (from) this.data.set(new Uint8Array(from.buffer, from.byteOffset, from.byteLength));
  }

  /** Whether anything may move. What erasing leaves of a soft rim is less than half a pixel, and nothing. */
  get painted(): boolean {
    return this.data.some((value) => value > 127);
  }

  copy(): Mask {
    return new Mask(this.width, this.height, this.data);
  }

  /**
   * One segment of a stroke with a round brush of `radius` image pixels, its edge one pixel soft; erasing takes
   * away what painting puts there. Answers the part of the picture that it may have changed.
   */
  stroke(from: Xy, to: Xy, radius: number, erase: boolean): Box {
    const left = clamp(Math.floor(Math.min(from[0], to[0]) - radius - 1), 0, this.width);
    const right = clamp(Math.ceil(Math.max(from[0], to[0]) + radius + 2), left, this.width);
    const top = clamp(Math.floor(Math.min(from[1], to[1]) - radius - 1), 0, this.height);
    const bottom = clamp(Math.ceil(Math.max(from[1], to[1]) + radius + 2), top, this.height);
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    const squared = dx * dx + dy * dy;
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        const along = squared > 0 ? clamp(((x - from[0]) * dx + (y - from[1]) * dy) / squared, 0, 1) : 0;
        const distance = Math.hypot(x - from[0] - along * dx, y - from[1] - along * dy);
        const cover = Math.round(255 * clamp(radius + 0.5 - distance, 0, 1));
        if (cover === 0) continue;
        const at = y * this.width + x;
        const before = this.data[at] ?? 0;
        this.data[at] = erase ? Math.min(before, 255 - cover) : Math.max(before, cover);
      }
    }
    return { x: left, y: top, width: right - left, height: bottom - top };
  }
}
