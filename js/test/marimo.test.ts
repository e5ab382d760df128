import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Settled } from "../src/hosts/marimo.ts";
import { aPoint, aState } from "./states.ts";

let changed: ReturnType<typeof vi.fn<() => void>>;
let settled: Settled;

beforeEach(() => {
  vi.useFakeTimers();
  changed = vi.fn();
  settled = new Settled(changed);
  settled.state(aState());
  vi.advanceTimersByTime(1000);
});

afterEach(() => {
  vi.useRealTimers();
});

it("says nothing of an edit as it was found, nor of the same again", () => {
  settled.state(aState({ message: "so" }));
  vi.advanceTimersByTime(1000);
  expect(changed).not.toHaveBeenCalled();
});

it("says once that a run has ended, and nothing of its steps", () => {
  for (let step = 1; step < 10; step++) {
    settled.state(aState({ status: "running", step }));
    vi.advanceTimersByTime(1000);
  }
  expect(changed).not.toHaveBeenCalled();
  settled.state(aState({ status: "arrived", step: 9 }));
  settled.state(aState({ status: "arrived", step: 9 }));
  vi.advanceTimersByTime(1000);
  expect(changed).toHaveBeenCalledTimes(1);
});

it("waits until points that are moved lie still", () => {
  for (let x = 0; x < 10; x++) {
    settled.state(aState({ points: [aPoint(1, [9, 9], [x, 9])] }));
    vi.advanceTimersByTime(100);
  }
  expect(changed).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1000);
  expect(changed).toHaveBeenCalledTimes(1);
});

it("says nothing once its page is gone", () => {
  settled.state(aState({ seed: 8 }));
  settled.close();
  vi.advanceTimersByTime(1000);
  expect(changed).not.toHaveBeenCalled();
});
