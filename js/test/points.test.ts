import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Points } from "../src/points.ts";
import { aPoint } from "./states.ts";

let points: Points;

beforeEach(() => {
  vi.useFakeTimers();
  points = new Points();
  points.receive([aPoint(1, [10, 10], [20, 10])], false);
});
afterEach(() => void vi.useRealTimers());

it("without the person's doing the kernel's word is shown", () => {
  expect(points.shown()).toEqual([{ id: 1, handle: [10, 10], target: [20, 10] }]);
});

describe("a target under the pointer", () => {
  it("stays there whatever the kernel says, while its handle moves on", () => {
    points.move(1, { target: [40, 40] }, true);
    vi.advanceTimersByTime(60_000);
    points.receive([aPoint(1, [12, 11], [20, 10])], true);
    expect(points.find(1)).toEqual({ id: 1, handle: [12, 11], target: [40, 40] });
  });

  it("stays after it is let go until the kernel has heard of it", () => {
    points.move(1, { target: [40, 40] }, true);
    points.release(1);
    points.receive([aPoint(1, [12, 11], [20, 10])], true);
    expect(points.find(1)?.target).toEqual([40, 40]);
    points.receive([aPoint(1, [12, 11], [40, 40])], true);
    points.receive([aPoint(1, [12, 11], [5, 5])], true);
    expect(points.find(1)?.target).toEqual([5, 5]);
  });

  it("gives way to the kernel in the end, for it may have refused", () => {
    points.move(1, { target: [40, 40] }, false);
    vi.advanceTimersByTime(3001);
    points.receive([aPoint(1, [12, 11], [20, 10])], true);
    expect(points.find(1)?.target).toEqual([20, 10]);
  });
});

describe("a new point", () => {
  it("gets the next number, and is shown before the kernel knows it", () => {
    expect(points.newId()).toBe(2);
    points.make(2, [50, 50], [60, 60]);
    expect(points.newId()).toBe(3);
    expect(points.shown().map(({ id }) => id)).toEqual([1, 2]);
  });

  it("leaves its handle to the kernel as soon as that tracks it", () => {
    points.make(2, [50, 50], [60, 60]);
    points.receive([aPoint(1, [10, 10], [20, 10]), aPoint(2, [51, 51], [55, 55])], true);
    expect(points.find(2)).toEqual({ id: 2, handle: [51, 51], target: [60, 60] });
  });
});

describe("a handle moved by the person", () => {
  it("is shown until the kernel agrees", () => {
    points.move(1, { handle: [11, 10] }, false);
    points.receive([aPoint(1, [10, 10], [20, 10])], false);
    expect(points.find(1)?.handle).toEqual([11, 10]);
  });

  it("is the kernel's again when a run begins", () => {
    points.move(1, { handle: [11, 10] }, false);
    points.receive([aPoint(1, [11.7, 10], [20, 10])], true);
    expect(points.find(1)?.handle).toEqual([11.7, 10]);
  });
});

describe("a removed point", () => {
  it("does not come back with a state that was under way", () => {
    points.remove([1]);
    points.receive([aPoint(1, [10, 10], [20, 10])], false);
    expect(points.shown()).toEqual([]);
  });

  it("does come back when an undo says so", () => {
    points.remove([1]);
    points.restore();
    expect(points.shown()).toHaveLength(1);
  });
});
