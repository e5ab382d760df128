/** Where things are: css pixels of the stage ↔ pixels of the picture, and what a press is near to. Nothing else. */
import type { Xy } from "./protocol.ts";

/** A place on the stage in css pixels from its top left corner. A type of its own, so that the two never mix. */
export interface Css {
  readonly left: number;
  readonly top: number;
}

/** A place that a pointer passed, and how hard a pen was pressed there, 0 … 1; nothing else tells. */
export interface Place extends Css {
  readonly pressure?: number;
}

/** How big the picture is, how big it is shown, and where on the stage its top left corner is. */
export interface Scale {
  readonly width: number;
  readonly height: number;
  readonly shownWidth: number;
  readonly shownHeight: number;
  readonly left: number;
  readonly top: number;
}

/** Pixel centres are at integers, so the picture's left edge is at x = -0.5. Clamped to the outermost centres. */
export function toImage(scale: Scale, at: Css): Xy {
  return clamped(scale, beyond(scale, at));
}

/** The same without clamping: a brush may be outside the picture with its middle and still paint with its rim. */
export function beyond(scale: Scale, at: Css): Xy {
  return [
    ((at.left - scale.left) / scale.shownWidth) * scale.width - 0.5,
    ((at.top - scale.top) / scale.shownHeight) * scale.height - 0.5,
  ];
}

export function toCss(scale: Scale, [x, y]: Xy): Css {
  return {
    left: scale.left + ((x + 0.5) / scale.width) * scale.shownWidth,
    top: scale.top + ((y + 0.5) / scale.height) * scale.shownHeight,
  };
}

export function clamped(size: { width: number; height: number }, [x, y]: Xy): Xy {
  return [clamp(x, 0, size.width - 1), clamp(y, 0, size.height - 1)];
}

export function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}

export function apart(a: Css, b: Css): number {
  return Math.hypot(a.left - b.left, a.top - b.top);
}

export type Part = "handle" | "target";

/**
 * The point that a press means: the nearest target within reach, or else the nearest handle.
 * Targets come first because a handle that has arrived lies under its target, and pulling on means the target.
 */
export function nearest<P extends { readonly handle: Xy; readonly target: Xy }>(
  scale: Scale,
  points: readonly P[],
  at: Css,
  reach: number,
): { readonly point: P; readonly part: Part } | null {
  for (const part of ["target", "handle"] as const) {
    let best: P | null = null;
    let least = reach;
    for (const point of points) {
      const distance = apart(toCss(scale, point[part]), at);
      if (distance <= least) [best, least] = [point, distance];
    }
    if (best) return { point: best, part };
  }
  return null;
}

/**
 * The css size at which a picture is shown, before the notebook's width limits it. It is no higher than `tallest`, so
 * that a person need not scroll to pull from its top to its bottom.
 */
export function shownSize(width: number, height: number, tallest = 720): { width: number; height: number } {
  const longest = Math.max(width, height);
  const factor = Math.min(clamp(longest, 512, 720) / longest, tallest / height);
  return { width: Math.round(width * factor), height: Math.round(height * factor) };
}
