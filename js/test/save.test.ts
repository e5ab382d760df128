import { expect, it } from "vitest";
import { FORMATS } from "../src/protocol.ts";
import { blobOf } from "../src/save.ts";

it.each(FORMATS)("a frame of %s is decoded as what it is, from a view into something bigger", async (format) => {
  const bytes = Uint8Array.from([9, 1, 2, 3, 9]);
  const blob = blobOf(new DataView(bytes.buffer, 1, 3), format);
  expect(blob.type).toBe(`image/${format}`);
  expect([...new Uint8Array(await blob.arrayBuffer())]).toEqual([1, 2, 3]);
});
