import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Looker } from "../src/looking.ts";

let sent: (number | null)[];
let settled: number;
let looker: Looker;

beforeEach(() => {
  vi.useFakeTimers();
  [sent, settled] = [[], 0];
  looker = new Looker(
    (step) => sent.push(step),
    () => {
      settled += 1;
    },
  );
});
afterEach(() => vi.useRealTimers());

it("asks for one picture at a time, and next for the one that is wanted by then", () => {
  for (const step of [1, 2, 3, 4]) looker.look(step);
  expect(sent).toEqual([1]);
  looker.shows(null); // a state that has nothing to do with it
  expect(sent).toEqual([1]);
  looker.shows(1);
  expect(sent).toEqual([1, 4]);
  expect(settled).toBe(0);
  looker.shows(4);
  expect(settled).toBe(1);
});

it("does not wait for ever for a picture that does not come", () => {
  looker.look(7);
  looker.look(null);
  vi.advanceTimersByTime(1000);
  expect(sent).toEqual([7, null]);
  vi.advanceTimersByTime(1000);
  expect(settled).toBe(1);
});
