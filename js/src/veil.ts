/** How strongly a mask is shown over the picture: so that one can paint by it, or only be reminded of it. */
import type { ViewState } from "./viewstate.ts";

export interface Veil {
  /** Stripes show what must stay on a dark picture too, while one paints. */
  readonly striped: boolean;
  readonly opacity: number;
}

/** Of the veil that one paints by: a tint that leaves the picture to be judged. */
const TINT = 0.3;

/** Null: the mask is not to be seen. */
export function veilOf({ masking, showing }: ViewState): Veil | null {
  if (!showing.mask) return null;
  return { striped: masking, opacity: masking ? showing.opacity : TINT * showing.opacity };
}
