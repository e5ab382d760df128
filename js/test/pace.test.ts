import { beforeEach, describe, expect, it } from "vitest";
import { Pace } from "../src/pace.ts";

let pace: Pace;

beforeEach(() => {
  pace = new Pace();
});

describe("what the kernel pushes", () => {
  it("comes, as long as no answer tells of a frame that has not", () => {
    pace.answer(40);
    for (let seq = 41; seq < 60; seq++) {
      pace.frame(seq);
      pace.answer(seq);
    }
    expect(pace.pulls).toBe(false);
  });

  it("does not come, when two answers in a row tell of such frames", () => {
    pace.answer(40);
    pace.answer(41);
    expect(pace.pulls).toBe(false);
    pace.answer(41);
    expect(pace.pulls).toBe(true);
  });

  it("comes, though an answer overtook a frame", () => {
    pace.answer(0);
    pace.answer(1);
    pace.frame(1);
    pace.answer(2);
    pace.frame(2);
    pace.answer(2);
    expect(pace.pulls).toBe(false);
  });

  it("is not missed by a view that has come after it", () => {
    pace.answer(1000);
    pace.answer(1000);
    pace.answer(1000);
    expect(pace.pulls).toBe(false);
  });

  it("is found missing also by a view that heard frames while its cell ran", () => {
    pace.frame(3);
    pace.answer(3);
    pace.answer(5);
    pace.answer(5);
    expect(pace.pulls).toBe(true);
  });
});

describe("a view that asks", () => {
  const asks = (from: number, to: number, busy = false) => {
    let count = 0;
    for (let now = from; now < to; now += 10) {
      if (pace.next(busy) > now) continue;
      pace.asked(now);
      count += 1;
    }
    return count;
  };

  it("asks ten times a second while something moves, and once a second while something goes on", () => {
    for (const sent of [0, 1, 1]) pace.answer(sent);
    pace.lively(0);
    expect(asks(0, 2000)).toBe(20);
    expect(asks(2000, 7000, true)).toBe(5);
    pace.lively(7000);
    expect(asks(7000, 8000)).toBe(10);
  });

  it("asks ever more seldom at rest, after a minute at most every thirty seconds", () => {
    for (const sent of [0, 1, 1]) pace.answer(sent);
    pace.lively(0);
    asks(0, 2000);
    expect(asks(2000, 22_000)).toBeLessThanOrEqual(7);
    expect(asks(22_000, 60_000)).toBe(3);
    expect(asks(80_000, 680_000)).toBe(20);
    pace.lively(680_000);
    expect(asks(680_000, 681_000)).toBe(10);
  });

  it("does so only where it has to", () => {
    pace.lively(0);
    expect(asks(0, 5000)).toBe(0);
  });
});
