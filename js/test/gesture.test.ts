import { beforeEach, describe, expect, it } from "vitest";
import { type Css, type Scale, toCss } from "../src/geometry.ts";
import { Pull, type Scene } from "../src/gesture.ts";
import { Points } from "../src/points.ts";
import type { Status } from "../src/protocol.ts";
import { aPoint } from "./states.ts";

const scale: Scale = { width: 256, height: 256, shownWidth: 512, shownHeight: 512, left: 0, top: 0 };
const css = (x: number, y: number): Css => toCss(scale, [x, y]);

let points: Points;
let status: Status;
let hold: boolean;
const scene = (): Scene => ({ points, scale, status, hold });
const press = (x: number, y: number, reach = 14) => new Pull(scene, css(x, y), reach);
const types = (messages: { type: string }[]) => messages.map(({ type }) => type);

beforeEach(() => {
  [points, status, hold] = [new Points(), "idle", false];
});

describe("a press on the picture", () => {
  it("that does not pull sends nothing and makes nothing", () => {
    const pull = press(100, 100);
    expect([pull.move(css(100.9, 100.9)), pull.end(), points.shown()]).toEqual([[], [], []]);
  });

  it("that pulls makes a handle where it began and a target under the pointer, and starts", () => {
    const pull = press(100, 100);
    expect(pull.move(css(110, 100))).toEqual([
      { type: "point", id: 1, handle: [100, 100], target: [110, 100], pulling: true },
      { type: "start" },
    ]);
    status = "running";
    expect(pull.move(css(120, 90))).toEqual([{ type: "point", id: 1, target: [120, 90], pulling: true }]);
    expect(pull.end()).toEqual([{ type: "point", id: 1, target: [120, 90], pulling: false }]);
  });

  it("starts once, though the kernel has not yet said that it runs", () => {
    const pull = press(100, 100);
    pull.move(css(110, 100));
    expect(types(pull.move(css(111, 100)))).toEqual(["point"]);
  });

  it("starts again where the run ended under the pointer", () => {
    const pull = press(100, 100);
    pull.move(css(110, 100));
    status = "running";
    pull.move(css(111, 100));
    status = "capped";
    expect(types(pull.move(css(112, 100)))).toEqual(["point", "start"]);
    expect(types(pull.move(css(113, 100)))).toEqual(["point"]);
  });

  it("does not start again what was stopped meanwhile", () => {
    const pull = press(100, 100);
    pull.move(css(110, 100));
    status = "running";
    pull.move(css(111, 100));
    status = "stopped";
    expect(types(pull.move(css(112, 100)))).toEqual(["point"]);
  });

  it("joins a run that is on", () => {
    status = "running";
    const pull = press(100, 100);
    expect(types(pull.move(css(110, 100)))).toEqual(["point"]);
  });

  it("only sets points while on hold", () => {
    hold = true;
    const pull = press(100, 100);
    expect(types([...pull.move(css(110, 100)), ...pull.move(css(111, 100)), ...pull.end()])).toEqual([
      "point",
      "point",
      "point",
    ]);
  });

  it("keeps its target inside the picture", () => {
    const pull = press(250, 250);
    expect(pull.move({ left: 900, top: -40 })[0]).toMatchObject({ target: [255, 0] });
  });
});

describe("a press on a target", () => {
  beforeEach(() => points.receive([aPoint(1, [100, 100], [140, 100])], false));

  it("moves it by as much as the pointer moves", () => {
    const pull = press(143, 102);
    expect(pull.move(css(153, 102))).toEqual([{ type: "point", id: 1, target: [150, 100], pulling: true }]);
    expect(points.find(1)).toEqual({ id: 1, handle: [100, 100], target: [150, 100] });
  });

  it.each(["idle", "stopped", "paused", "error"] as const)("starts nothing while %s", (now) => {
    status = now;
    const pull = press(140, 100);
    expect(types(pull.move(css(150, 100)))).toEqual(["point"]);
    expect(pull.waits).toBe(true);
  });

  it.each(["arrived", "near", "stalled", "capped"] as const)("goes on with a run that %s", (now) => {
    status = now;
    expect(types(press(140, 100).move(css(150, 100)))).toEqual(["point", "start"]);
  });

  it("starts nothing on hold, even where a run could go on", () => {
    [status, hold] = ["arrived", true];
    const pull = press(140, 100);
    expect(types(pull.move(css(150, 100)))).toEqual(["point"]);
    expect(pull.waits).toBe(false);
  });

  it("without pulling sends nothing", () => {
    status = "arrived";
    expect(press(140, 100).end()).toEqual([]);
  });
});

describe("a press on a handle", () => {
  beforeEach(() => points.receive([aPoint(1, [100, 100], [140, 100])], false));

  it.each(["stopped", "arrived", "idle"] as const)("moves it and starts nothing while %s", (now) => {
    status = now;
    const pull = press(100, 100);
    expect(pull.move(css(104, 100))).toEqual([{ type: "point", id: 1, handle: [104, 100], pulling: true }]);
    expect(pull.end()).toEqual([{ type: "point", id: 1, handle: [104, 100], pulling: false }]);
  });

  it("means the target while the kernel tracks the handle", () => {
    status = "running";
    expect(press(101, 100).move(css(120, 80))).toEqual([{ type: "point", id: 1, target: [120, 80], pulling: true }]);
  });
});

describe("escape", () => {
  it("stops and undoes what the pull started", () => {
    const pull = press(100, 100);
    pull.move(css(110, 100));
    expect(pull.cancel()).toEqual([{ type: "point", id: 1, pulling: false }, { type: "stop" }, { type: "undo" }]);
    expect(points.shown()).toEqual([]);
  });

  it("takes a point back that only was set", () => {
    hold = true;
    const pull = press(100, 100);
    pull.move(css(110, 100));
    expect(pull.cancel()).toEqual([{ type: "point", id: 1, pulling: false }, { type: "undo" }]);
    expect(points.shown()).toEqual([]);
  });

  it("takes back a point that joined a run, and leaves the run alone", () => {
    status = "running";
    const pull = press(100, 100);
    pull.move(css(110, 100));
    expect(pull.cancel()).toEqual([{ type: "remove", ids: [1] }]);
    expect(points.shown()).toEqual([]);
  });

  it("puts a moved target back, and leaves the run alone that it had joined", () => {
    points.receive([aPoint(1, [100, 100], [140, 100])], false);
    status = "running";
    const pull = press(140, 100);
    pull.move(css(150, 100));
    expect(pull.cancel()).toEqual([{ type: "point", id: 1, target: [140, 100], pulling: false }]);
    expect(points.find(1)?.target).toEqual([140, 100]);
  });

  it("before anything was pulled sends nothing", () => {
    expect(press(100, 100).cancel()).toEqual([]);
  });
});

it("a point that the kernel took away meanwhile is not mentioned at the end", () => {
  points.receive([aPoint(1, [100, 100], [140, 100])], false);
  const pull = press(140, 100);
  pull.move(css(150, 100));
  points.receive([], false);
  expect(pull.end()).toEqual([]);
});
