import { describe, expect, it } from "vitest";
import { arrange, nearest, type Scale, toCss, toImage } from "../src/geometry.ts";

const scale: Scale = { width: 256, height: 128, shownWidth: 512, shownHeight: 256, left: 0, top: 0 };

describe("css pixels and image pixels", () => {
  it("have pixel centres at integers", () => {
    expect(toImage(scale, { left: 1, top: 1 })).toEqual([0, 0]);
    expect(toImage(scale, { left: 3, top: 201 })).toEqual([1, 100]);
    expect(toCss(scale, [0, 0])).toEqual({ left: 1, top: 1 });
  });

  it("clamp to the outermost centres", () => {
    expect(toImage(scale, { left: -50, top: 999 })).toEqual([0, 127]);
    expect(toImage(scale, { left: 512, top: 0 })).toEqual([255, 0]);
  });

  it.each([90, 300, 511.5, 720])("lead back where they came from at %d css pixels", (shown) => {
    const odd = { ...scale, shownWidth: shown, shownHeight: shown / 2 };
    for (const [x, y] of [
      [0, 0],
      [17.25, 99.5],
      [255, 127],
    ] as const) {
      const [backX, backY] = toImage(odd, toCss(odd, [x, y]));
      expect(backX).toBeCloseTo(x, 9);
      expect(backY).toBeCloseTo(y, 9);
    }
  });
});

describe("a picture that is no square", () => {
  it.each([
    ["wide", 64, 32, 512, 256],
    ["tall", 32, 64, 256, 512],
    ["tall and squeezed by the notebook", 512, 1024, 301, 602],
  ])("has the same scale both ways: %s", (_, width, height, shownWidth, shownHeight) => {
    const shape = { width, height, shownWidth, shownHeight, left: 0, top: 0 };
    const corner = toImage(shape, { left: shownWidth, top: shownHeight });
    expect(corner).toEqual([width - 1, height - 1]);
    const { left, top } = toCss(shape, [width / 2 - 0.5, height / 2 - 0.5]);
    expect([left, top]).toEqual([shownWidth / 2, shownHeight / 2]);
    const [a, b] = [toCss(shape, [3, 5]), toCss(shape, [7, 5 + 4])];
    expect(b.left - a.left).toBeCloseTo(b.top - a.top, 9);
  });
});

describe("a press", () => {
  const points = [
    { id: 1, handle: [50, 50], target: [80, 50] },
    { id: 2, handle: [53, 50], target: [90, 50] },
  ] as const;
  const at = (x: number, y = 50) => toCss(scale, [x, y]);

  it("means the nearest handle within reach", () => {
    expect(nearest(scale, points, at(52), 14)).toMatchObject({ part: "handle", point: { id: 2 } });
    expect(nearest(scale, points, at(51), 14)).toMatchObject({ part: "handle", point: { id: 1 } });
  });

  it("means the nearest target within reach", () => {
    expect(nearest(scale, points, at(86), 14)).toMatchObject({ part: "target", point: { id: 2 } });
  });

  it("means nothing out of reach, and more under a finger", () => {
    expect(nearest(scale, points, at(60), 12)).toBeNull();
    expect(nearest(scale, points, at(60), 22)).toMatchObject({ point: { id: 2 } });
  });

  it("means a target sooner than a handle, even a nearer one", () => {
    const arrived = [{ id: 1, handle: [80, 50], target: [81, 50] }] as const;
    expect(nearest(scale, arrived, at(80), 14)).toMatchObject({ part: "target" });
  });
});

describe("a picture is shown", () => {
  // A room in which nothing but the picture's own size counts, too narrow for controls beside it.
  const ample = { width: 850, height: 2000 };

  it.each([
    [128, 128, 512, 512],
    [256, 256, 512, 512],
    [512, 512, 512, 512],
    [640, 640, 640, 640],
    [1024, 1024, 720, 720],
    [64, 128, 256, 512],
    [1024, 512, 720, 360],
    [512, 1024, 360, 720],
  ])("%d × %d as %d × %d", (width, height, shownWidth, shownHeight) => {
    expect(arrange({ width, height }, ample)).toMatchObject({ width: shownWidth, height: shownHeight });
  });

  it.each([
    [512, 1024, 300, 600],
    [1024, 1024, 600, 600],
    [1024, 512, 618, 309],
    [32, 64, 256, 512],
  ])("%d × %d no higher than leaves the controls in view: %d × %d", (width, height, shownWidth, shownHeight) => {
    const found = arrange({ width, height }, { width: 640, height: 883 });
    expect(found).toMatchObject({ width: shownWidth, height: shownHeight });
  });

  it("no lower than 320, however low the room: then a person scrolls", () => {
    expect(arrange({ width: 256, height: 256 }, { width: 600, height: 300 }).height).toBe(320);
  });
});

describe("the controls", () => {
  const face = { width: 256, height: 256 };

  it("stand beside the picture in a notebook on a small screen, and all of it is in view", () => {
    const { wide, width, height, side } = arrange(face, { width: 934, height: 646 });
    expect({ wide, width, height, side }).toEqual({ wide: true, width: 512, height: 512, side: 380 });
  });

  it("stand beside it where that costs the picture nothing, and take no more width than they need", () => {
    expect(arrange(face, { width: 1500, height: 950 })).toEqual({ wide: true, width: 512, height: 512, side: 512 });
  });

  it.each([300, 344, 400, 444, 534, 800])("stand above and below it in %d pixels where the room is high", (width) => {
    expect(arrange(face, { width, height: 900 })).toMatchObject({ wide: false, width: Math.min(512, width - 22) });
  });

  it("are beside it in a room that is too low for both, as soon as the picture is bigger so", () => {
    expect(arrange(face, { width: 800, height: 646 })).toMatchObject({ wide: true, width: 438 });
    expect(arrange(face, { width: 640, height: 646 })).toMatchObject({ wide: false, width: 363 });
    expect(arrange(face, { width: 668, height: 435 })).toMatchObject({ wide: true, width: 306 });
  });

  it("leave the picture all of the height of a full screen", () => {
    expect(arrange(face, { width: 1920, height: 1080 }, true)).toMatchObject({ wide: true, height: 1054, side: 512 });
    expect(arrange(face, { width: 640, height: 1000 }, true)).toMatchObject({ wide: false, width: 618 });
  });
});
