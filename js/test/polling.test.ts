import { beforeEach, describe, expect, it } from "vitest";
import { Polling } from "../src/hosts/polling.ts";

let polling: Polling;

beforeEach(() => {
  polling = new Polling();
});

describe("what the kernel pushes", () => {
  it("asks from the first answer on where the kernel knows that its host withholds what is not asked for", () => {
    polling.answer(0, true);
    expect(polling.pulls).toBe(true);
  });

  it("comes, as long as no answer tells of a frame that has not", () => {
    polling.answer(40);
    for (let seq = 41; seq < 60; seq++) {
      polling.frame(seq);
      polling.answer(seq);
    }
    expect(polling.pulls).toBe(false);
  });

  it("does not come, when two answers in a row tell of such frames", () => {
    polling.answer(40);
    polling.answer(41);
    expect(polling.pulls).toBe(false);
    polling.answer(41);
    expect(polling.pulls).toBe(true);
  });

  it("comes, though an answer overtook a frame", () => {
    polling.answer(0);
    polling.answer(1);
    polling.frame(1);
    polling.answer(2);
    polling.frame(2);
    polling.answer(2);
    expect(polling.pulls).toBe(false);
  });

  it("is not missed by a view that has come after it", () => {
    polling.answer(1000);
    polling.answer(1000);
    polling.answer(1000);
    expect(polling.pulls).toBe(false);
  });

  it("is found missing also by a view that heard frames while its cell ran", () => {
    polling.frame(3);
    polling.answer(3);
    polling.answer(5);
    polling.answer(5);
    expect(polling.pulls).toBe(true);
  });
});

describe("a view that asks", () => {
  const asks = (from: number, to: number, busy = false) => {
    let count = 0;
    for (let now = from; now < to; now += 10) {
      if (polling.next(busy) > now) continue;
      polling.asked(now);
      count += 1;
    }
    return count;
  };

  it("asks ten times a second while something moves, and once a second while something goes on", () => {
    for (const sent of [0, 1, 1]) polling.answer(sent);
    polling.lively(0);
    expect(asks(0, 2000)).toBe(20);
    expect(asks(2000, 7000, true)).toBe(5);
    polling.lively(7000);
    expect(asks(7000, 8000)).toBe(10);
  });

  it("asks ever more seldom at rest, after a minute at most every thirty seconds", () => {
    for (const sent of [0, 1, 1]) polling.answer(sent);
    polling.lively(0);
    asks(0, 2000);
    expect(asks(2000, 22_000)).toBeLessThanOrEqual(7);
    expect(asks(22_000, 60_000)).toBe(3);
    expect(asks(80_000, 680_000)).toBe(20);
    polling.lively(680_000);
    expect(asks(680_000, 681_000)).toBe(10);
  });

  it("does so only where it has to", () => {
    polling.lively(0);
    expect(asks(0, 5000)).toBe(0);
  });
});
