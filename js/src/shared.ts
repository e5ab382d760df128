/**
 * What the second bundle uses of the first: it is given all of it when it is loaded, and has none of it itself. The
 * build reads the names from here.
 */
export { isOff, make, on, put, putStyle, say, setOff } from "./dom.ts";
export { clamp } from "./geometry.ts";
export { flag, integer, list, number, object, oneOf, orNull, text, when } from "./parse.ts";
export { Pending } from "./pending.ts";
export { blobOf } from "./save.ts";
export { STAYS_HERE } from "./status.ts";
export { button, wide } from "./toolbar.ts";
