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

  invert(): void {
    for (let at = 0; at < this.data.length; at++) this.data[at] = 255 - (this.data[at] ?? 0);
  }

  /**
   * One segment of a stroke with a round brush of `radius` image pixels, whose outer `soft` pixels fade, one at least;
   * erasing takes away what painting puts there. Answers the part of the picture that it may have changed.
   */
  stroke(from: Xy, to: Xy, radius: number, erase: boolean, soft = 1): Box {
    const fade = Math.max(1, soft);
    const box = this.#around([from, to], radius + 1);
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    const squared = dx * dx + dy * dy;
    for (let y = box.y; y < box.y + box.height; y++) {
      for (let x = box.x; x < box.x + box.width; x++) {
        const along = squared > 0 ? clamp(((x - from[0]) * dx + (y - from[1]) * dy) / squared, 0, 1) : 0;
        const distance = Math.hypot(x - from[0] - along * dx, y - from[1] - along * dy);
        this.#lay(x, y, Math.round(255 * clamp((radius + 0.5 - distance) / fade, 0, 1)), erase);
      }
    }
    return box;
  }

  /** An area with these corners, its edge `soft` pixels wide. */
  fill(corners: readonly Xy[], erase: boolean, soft = 1): Box {
    const blur = soft / 2;
    const box = this.#around(corners, blur + 1);
    if (corners.length < 3 || box.width === 0 || box.height === 0) return { ...box, width: 0, height: 0 };
    const cover = covered(corners, box);
    // Three boxes one after the other are as good as a bell; a width of zero leaves everything as it is.
    const radius = Math.round(blur / 3);
    for (let pass = 0; pass < 3 && radius > 0; pass++) smoothed(cover, box.width, box.height, radius);
    for (let y = 0; y < box.height; y++) {
      for (let x = 0; x < box.width; x++) {
        this.#lay(box.x + x, box.y + y, Math.round(255 * (cover[y * box.width + x] ?? 0)), erase);
      }
    }
    return box;
  }

  #lay(x: number, y: number, cover: number, erase: boolean): void {
    if (cover === 0) return;
    const at = y * this.width + x;
    const before = this.data[at] ?? 0;
    this.data[at] = erase ? Math.min(before, 255 - cover) : Math.max(before, cover);
  }

  #around(places: readonly Xy[], room: number): Box {
    const [xs, ys] = [places.map(([x]) => x), places.map(([, y]) => y)];
    const left = clamp(Math.floor(Math.min(...xs) - room), 0, this.width);
    const right = clamp(Math.ceil(Math.max(...xs) + room + 1), left, this.width);
    const top = clamp(Math.floor(Math.min(...ys) - room), 0, this.height);
    const bottom = clamp(Math.ceil(Math.max(...ys) + room + 1), top, this.height);
    return { x: left, y: top, width: right - left, height: bottom - top };
  }
}

/** How much of each pixel of the box lies inside the outline, 0 … 1: four lines a pixel, exact along each of them. */
function covered(corners: readonly Xy[], box: Box): Float32Array {
  const LINES = 4;
  const cover = new Float32Array(box.width * box.height);
  for (let line = 0; line < box.height * LINES; line++) {
    const y = box.y - 0.5 + (line + 0.5) / LINES;
    const row = Math.floor(line / LINES) * box.width;
    const cuts = crossings(corners, y);
    // Around an odd number of times is inside, as in every paint program.
    for (let n = 0; n + 1 < cuts.length; n += 2) {
      const left = clamp((cuts[n] ?? 0) + 0.5 - box.x, 0, box.width);
      const right = clamp((cuts[n + 1] ?? 0) + 0.5 - box.x, 0, box.width);
      for (let x = Math.floor(left); x < right; x++) {
        cover[row + x] = (cover[row + x] ?? 0) + (Math.min(right, x + 1) - Math.max(left, x)) / LINES;
      }
    }
  }
  return cover;
}

function crossings(corners: readonly Xy[], y: number): number[] {
  const cuts: number[] = [];
  let [x0, y0] = corners.at(-1) ?? [0, 0];
  for (const [x1, y1] of corners) {
    if (y0 < y !== y1 < y) cuts.push(x0 + ((y - y0) / (y1 - y0)) * (x1 - x0));
    [x0, y0] = [x1, y1];
  }
  return cuts.sort((a, b) => a - b);
}

/** Each value becomes the mean of those within `radius`, across and then down; what is outside is as at the edge. */
function smoothed(values: Float32Array, width: number, height: number, radius: number): void {
  const pass = (lines: number, length: number, across: number, along: number) => {
    const line = new Float32Array(length);
    for (let n = 0; n < lines; n++) {
      const value = (i: number) => values[n * across + clamp(i, 0, length - 1) * along] ?? 0;
      let sum = 0;
      for (let i = -radius; i <= radius; i++) sum += value(i);
      for (let i = 0; i < length; i++) {
        line[i] = sum / (2 * radius + 1);
        sum += value(i + radius + 1) - value(i - radius);
      }
      for (let i = 0; i < length; i++) values[n * across + i * along] = line[i] ?? 0;
    }
  };
  pass(height, width, width, 1);
  pass(width, height, 1, width);
}
