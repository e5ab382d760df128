/** How near the picture is looked at, and which part of it. Pure: a zoom goes in, a zoom comes out. */
import { type Css, clamp, type Scale } from "./geometry.ts";

/** `left` and `top` say where the picture's corner is on the stage, in parts of the stage: 0 … 1 - factor. */
export interface Zoom {
  readonly factor: number;
  readonly left: number;
  readonly top: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export const FIT: Zoom = { factor: 1, left: 0, top: 0 };
export const NEAREST = 16;

/** One press of + or -. */
export const STEP = 1.5;

/** Nearer or farther by a factor, while what is at `at` stays there. */
export function zoomed(zoom: Zoom, stage: Size, at: Css, by: number): Zoom {
  const wanted = clamp(zoom.factor * by, 1, NEAREST);
  const factor = wanted < 1.02 ? 1 : wanted; // as good as fitting is fitting
  const ratio = factor / zoom.factor;
  const [x, y] = [at.left / stage.width, at.top / stage.height];
  return inside({ factor, left: x - (x - zoom.left) * ratio, top: y - (y - zoom.top) * ratio });
}

/** Moved by css pixels, as far as there is picture. */
export function panned(zoom: Zoom, stage: Size, dx: number, dy: number): Zoom {
  return inside({ ...zoom, left: zoom.left + dx / stage.width, top: zoom.top + dy / stage.height });
}

/** Two fingers: what was under their middle stays under it, and what was between them stays between them. */
export function pinched(zoom: Zoom, stage: Size, from: readonly [Css, Css], to: readonly [Css, Css]): Zoom {
  const [was, is] = [middle(from), middle(to)];
  // Nearer first: there is room to move in then.
  const near = zoomed(zoom, stage, was, Math.max(1, spread(to)) / Math.max(1, spread(from)));
  return panned(near, stage, is.left - was.left, is.top - was.top);
}

/** So that a place is seen, with some room around it: where the keyboard goes, the picture follows. */
export function revealing(zoom: Zoom, stage: Size, at: Css): Zoom {
  const room = 24;
  const lack = (place: number, size: number) => Math.max(0, room - place) - Math.max(0, place - (size - room));
  return panned(zoom, stage, lack(at.left, stage.width), lack(at.top, stage.height));
}

export function scaleOf(zoom: Zoom, picture: Size, stage: Size): Scale {
  return {
    width: picture.width,
    height: picture.height,
    shownWidth: stage.width * zoom.factor,
    shownHeight: stage.height * zoom.factor,
    left: stage.width * zoom.left,
    top: stage.height * zoom.top,
  };
}

/**
 * How much one turn of the wheel zooms, whatever unit a browser counts in: a notch of a mouse by a fifth, a pinch on a
 * touchpad (many small turns with Ctrl) smoothly.
 */
export function wheelFactor(delta: number, mode: number): number {
  const pixels = mode === 1 ? delta * 33 : mode === 2 ? delta * 400 : delta;
  return Math.exp(-clamp(pixels, -100, 100) * (Math.abs(pixels) < 50 ? 0.01 : 0.002));
}

function inside({ factor, left, top }: Zoom): Zoom {
  return { factor, left: clamp(left, 1 - factor, 0), top: clamp(top, 1 - factor, 0) };
}

function middle([a, b]: readonly [Css, Css]): Css {
  return { left: (a.left + b.left) / 2, top: (a.top + b.top) / 2 };
}

function spread([a, b]: readonly [Css, Css]): number {
  return Math.hypot(a.left - b.left, a.top - b.top);
}
