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

interface Extent {
  readonly width: number;
  readonly height: number;
}

/** Where the controls stand, and how big the picture is shown, in css pixels. */
export interface Layout extends Extent {
  /** The controls stand beside the picture, not above and below it. */
  readonly wide: boolean;
  /** How wide they are there. */
  readonly side: number;
}

/** Padding and border of the widget, of both sides together. */
const RIM = 22;
/** Between the picture and the controls beside it. */
const GAP = 20;
/** How wide the controls beside the picture are. */
const SIDE = { least: 320, most: 512 } as const;
/** How much height the controls above and below the picture take: in few lines where there is width, in more if not. */
const CONTROLS = { broad: 283, narrow: 350, from: 440 + RIM } as const;
/** A picture is no lower than this for the height of the room: in one that is lower still, a person scrolls. */
const LEAST = 320;
/** The longer side of a picture beside which controls may stand, at least. */
const WORTH = 280;

/**
 * How the widget makes the best of its room: everything is in view at once, and the picture as big as it can be then,
 * up to its usual size; with `full`, up to any size. Where both ways show it equally big, the controls are beside it.
 *
 * @param picture its size in pixels.
 * @param room how wide the widget may be, and the height that is seen at once.
 */
export function arrange(picture: Extent, room: Extent, full = false): Layout {
  const longest = Math.max(picture.width, picture.height);
  const usual = full ? Number.POSITIVE_INFINITY : clamp(longest, 512, 720) / longest;
  const within = (width: number, height: number) =>
    Math.max(0, Math.min(usual, width / picture.width, height / picture.height));
  const controls = room.width < CONTROLS.from ? CONTROLS.narrow : CONTROLS.broad;
  const below = (least: number) => within(room.width - RIM, Math.max(least, room.height - controls));
  const beside = within(room.width - RIM - GAP - SIDE.least, Math.max(LEAST, room.height - RIM - 4));
  const wide = beside >= below(0) && beside * longest >= WORTH;
  const factor = wide ? beside : below(LEAST);
  const [width, height] = [Math.round(picture.width * factor), Math.round(picture.height * factor)];
  return { wide, width, height, side: clamp(room.width - RIM - GAP - width, SIDE.least, SIDE.most) };
}
