import { describe, expect, it } from "vitest";
import { Mask } from "../src/mask.ts";

const at = (mask: Mask, x: number, y: number) => mask.data[y * mask.width + x];

describe("a stroke", () => {
  it("paints a disc with a soft edge of one pixel", () => {
    const mask = new Mask(21, 21);
    mask.stroke([10, 10], [10, 10], 5, false);
    expect([at(mask, 10, 10), at(mask, 14, 10), at(mask, 15, 10), at(mask, 16, 10)]).toEqual([255, 255, 128, 0]);
    const sum = mask.data.reduce((all, value) => all + value, 0) / 255;
    expect(sum).toBeGreaterThan(Math.PI * 25 * 0.98);
    expect(sum).toBeLessThan(Math.PI * 25 * 1.02);
  });

  it("leaves no gaps however fast it is", () => {
    const mask = new Mask(100, 20);
    mask.stroke([5, 10], [95, 10], 3, false);
    for (let x = 5; x <= 95; x++) expect(at(mask, x, 10)).toBe(255);
  });

  it("erases what it painted, so that nothing is left", () => {
    const mask = new Mask(64, 64);
    mask.stroke([20, 20], [40, 33.3], 6.7, false);
    expect(mask.painted).toBe(true);
    mask.stroke([20, 20], [40, 33.3], 6.7, true);
    expect(mask.painted).toBe(false);
  });

  it("never paints less than there was, nor erases to more", () => {
    const mask = new Mask(16, 16);
    mask.stroke([8, 8], [8, 8], 4, false);
    const before = mask.copy().data;
    mask.stroke([11, 8], [11, 8], 4, false);
    expect(mask.data.every((value, index) => value >= (before[index] ?? 0))).toBe(true);
    const painted = mask.copy().data;
    mask.stroke([3, 8], [3, 8], 4, true);
    expect(mask.data.every((value, index) => value <= (painted[index] ?? 0))).toBe(true);
  });

  it("may begin and end outside of the picture", () => {
    const mask = new Mask(8, 8);
    expect(mask.stroke([-30, -30], [-20, -20], 4, false)).toMatchObject({ width: 0, height: 0 });
    mask.stroke([-3, 4], [-3, 4], 5, false);
    expect([at(mask, 0, 4), at(mask, 7, 4)]).toEqual([255, 0]);
  });

  it("says where it has been", () => {
    const mask = new Mask(100, 100);
    const box = mask.stroke([30, 40], [50, 45], 5, false);
    mask.data.forEach((value, index) => {
      const [x, y] = [index % 100, Math.floor(index / 100)];
      const inside = x >= box.x && x < box.x + box.width && y >= box.y && y < box.y + box.height;
      if (!inside) expect(value).toBe(0);
    });
  });
});

it.each([
  [40, 20],
  [20, 40],
])("a mask of %d × %d is painted to its corners, row by row", (width, height) => {
  const mask = new Mask(width, height);
  const box = mask.stroke([width - 1, height - 1], [width - 1, height - 1], 2, false);
  expect([at(mask, width - 1, height - 1), at(mask, width - 1, height - 4), at(mask, 0, 0)]).toEqual([255, 0, 0]);
  expect([box.x + box.width, box.y + box.height]).toEqual([width, height]);
  expect(mask.data.length).toBe(width * height);
});

it("a mask is read from a view into something bigger", () => {
  const bytes = Uint8Array.from([9, 9, 0, 255, 128, 0, 9]);
  const mask = new Mask(2, 2, new DataView(bytes.buffer, 2, 4));
  expect([...mask.data]).toEqual([0, 255, 128, 0]);
});

describe("an area", () => {
  const corners = [
    [10, 10],
    [30, 10],
    [30, 20],
    [10, 20],
  ] as const;

  it("is painted to the half pixel of its edges", () => {
    const mask = new Mask(64, 64);
    mask.fill(corners, false);
    expect([at(mask, 20, 15), at(mask, 10, 15), at(mask, 30, 15), at(mask, 9, 15)]).toEqual([255, 128, 128, 0]);
    const sum = mask.data.reduce((all, value) => all + value, 0) / 255;
    expect(sum).toBeCloseTo(20 * 10, -0.5);
  });

  it("with a soft edge fades over it and keeps its middle", () => {
    const mask = new Mask(64, 64);
    mask.fill(corners, false, 6);
    const across = [4, 8, 10, 12, 20].map((x) => at(mask, x, 15) ?? 0);
    expect(across[0]).toBe(0);
    expect(across[4]).toBe(255);
    for (let n = 1; n < across.length; n++) expect(across[n]).toBeGreaterThan(across[n - 1] ?? 0);
  });

  it("is taken away where erasing, and twice around is out again", () => {
    const mask = new Mask(64, 64);
    mask.fill(corners, false);
    mask.fill(corners, true);
    expect(mask.painted).toBe(false);
    mask.fill([...corners, ...corners], false);
    expect(mask.painted).toBe(false);
  });

  it("of a mere line or outside of the picture is nothing", () => {
    const mask = new Mask(16, 16);
    const line = [
      [2, 2],
      [9, 9],
    ] as const;
    expect(mask.fill(line, false)).toMatchObject({ width: 0 });
    mask.fill(
      corners.map(([x, y]) => [x - 60, y] as const),
      false,
    );
    expect(mask.painted).toBe(false);
  });
});

it("a soft brush fades towards its rim and is no wider for it", () => {
  const mask = new Mask(64, 64);
  mask.stroke([32, 32], [32, 32], 10, false, 10);
  expect(at(mask, 32, 32)).toBe(255);
  expect(at(mask, 37, 32)).toBeGreaterThan(100);
  expect(at(mask, 37, 32)).toBeLessThan(160);
  expect(at(mask, 43, 32)).toBe(0);
});

it("inverting twice gives back what was there", () => {
  const mask = new Mask(16, 16);
  mask.stroke([4, 4], [9, 4], 3, false);
  const before = mask.copy();
  mask.invert();
  expect(at(mask, 4, 4)).toBe(0);
  mask.invert();
  expect(mask.data).toEqual(before.data);
});
