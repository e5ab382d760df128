import { describe, expect, it } from "vitest";
import { toCss, toImage } from "../src/geometry.ts";
import { FIT, NEAREST, panned, pinched, revealing, scaleOf, wheelFactor, type Zoom, zoomed } from "../src/zoom.ts";

const stage = { width: 512, height: 256 };
const picture = { width: 1024, height: 512 };
const scale = (zoom: Zoom) => scaleOf(zoom, picture, stage);

describe("zooming", () => {
  it.each([1.1, 1.5, 3, 7.3])("by %f keeps what is under the pointer under it", (by) => {
    const at = { left: 130, top: 77 };
    const zoom = zoomed(zoomed(FIT, stage, at, 2), stage, at, by);
    const [before, after] = [toImage(scale(FIT), at), toImage(scale(zoom), at)];
    expect(after[0]).toBeCloseTo(before[0], 9);
    expect(after[1]).toBeCloseTo(before[1], 9);
  });

  it("goes from css to picture and back without loss at any zoom", () => {
    let zoom = FIT;
    for (let n = 0; n < 12; n++) {
      zoom = zoomed(zoom, stage, { left: 37 * n, top: 11 * n }, 1.4);
      for (const [x, y] of [
        [0, 0],
        [1023, 511],
        [400.25, 77.5],
      ] as const) {
        const back = toImage(scale(zoom), toCss(scale(zoom), [x, y]));
        expect(back[0]).toBeCloseTo(x, 8);
        expect(back[1]).toBeCloseTo(y, 8);
      }
    }
  });

  it("ends at all of the picture and at the nearest", () => {
    expect(zoomed(zoomed(FIT, stage, { left: 9, top: 9 }, 4), stage, { left: 500, top: 200 }, 0.01)).toEqual(FIT);
    expect(zoomed(FIT, stage, { left: 9, top: 9 }, 1000).factor).toBe(NEAREST);
  });

  it("never shows what is beside the picture", () => {
    let zoom = zoomed(FIT, stage, { left: 512, top: 256 }, 3);
    for (const [dx, dy] of [
      [900, 0],
      [0, -900],
      [-5000, 5000],
    ] as const) {
      zoom = panned(zoom, stage, dx, dy);
      const { left, top, shownWidth, shownHeight } = scale(zoom);
      expect(left).toBeLessThanOrEqual(0);
      expect(top).toBeLessThanOrEqual(0);
      expect(left + shownWidth).toBeGreaterThanOrEqual(stage.width - 1e-9);
      expect(top + shownHeight).toBeGreaterThanOrEqual(stage.height - 1e-9);
    }
  });
});

it("a pinch keeps what was between the fingers between them", () => {
  const from = [
    { left: 200, top: 100 },
    { left: 300, top: 140 },
  ] as const;
  const to = [
    { left: 150, top: 85 },
    { left: 350, top: 165 },
  ] as const;
  const zoom = pinched(FIT, stage, from, to);
  expect(zoom.factor).toBeCloseTo(2, 9);
  for (const n of [0, 1] as const) {
    const [was, is] = [toImage(scale(FIT), from[n]), toImage(scale(zoom), to[n])];
    expect(is[0]).toBeCloseTo(was[0], 6);
    expect(is[1]).toBeCloseTo(was[1], 6);
  }
});

it("where the keyboard goes the picture follows, and stays where it need not", () => {
  const zoom = zoomed(FIT, stage, { left: 0, top: 0 }, 4);
  const far = revealing(zoom, stage, toCss(scale(zoom), [900, 400]));
  const seen = toCss(scale(far), [900, 400]);
  expect(seen.left).toBeLessThanOrEqual(stage.width);
  expect(seen.top).toBeLessThanOrEqual(stage.height);
  expect(revealing(zoom, stage, { left: 200, top: 100 })).toEqual(zoom);
});

it("the wheel zooms in upwards and out downwards, in whatever unit it counts", () => {
  expect(wheelFactor(-100, 0)).toBeCloseTo(1 / wheelFactor(100, 0), 9);
  expect(wheelFactor(-100, 0)).toBeGreaterThan(1);
  expect(wheelFactor(3, 1)).toBeCloseTo(wheelFactor(99, 0), 9);
  expect(wheelFactor(100_000, 0)).toBeGreaterThan(0.5);
});
