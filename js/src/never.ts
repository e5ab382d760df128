/** What the build puts for `Number.NEGATIVE_INFINITY`, which is long. */
export const NEVER = -Infinity;
