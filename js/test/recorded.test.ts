import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { parse } from "../src/parse.ts";
import type { KernelMessage, StateMessage } from "../src/protocol.ts";
import { RECORDED, RecordedKernel } from "../src/recorded/kernel.ts";
import { aPoint, aState } from "./states.ts";

const STEPS = 4;
let told: { message: KernelMessage; bytes: number[][] }[];
let kernel: RecordedKernel;

const point = (step: number) => aPoint(1, [20 + step, 30], [23, 30]);
const states = () => told.flatMap(({ message }) => (message.type === "state" ? [message] : []));
const of = (type: string) => told.filter(({ message }) => message.type === type);
const last = () => states().at(-1) as StateMessage;

beforeEach(() => {
  vi.useFakeTimers();
  told = [];
  const steps = Array.from({ length: STEPS }, (_, step) => step);
  const state = aState({ status: "arrived", message: "Arrived.", step: 3, length: STEPS, points: [point(3)], edit: 5 });
  kernel = new RecordedKernel(
    {
      state: { ...state, can_undo: true, undo: "pull of point 1" },
      course: {
        type: "course",
        edit: 5,
        since: -1,
        steps,
        seconds: steps.map((step) => step / 10),
        ids: steps.map(() => [1]),
        distances: steps.map((step) => [3 - step]),
      },
      steps: steps.map((step) => ({ points: [point(step)], picture: btoa(String.fromCharCode(step)) })),
    },
    (message, buffers) => {
      // What is told is what a page takes.
      expect(parse(structuredClone(message), buffers)).toEqual(message);
      told.push({ message, bytes: buffers.map((each) => [...(each as Uint8Array)]) });
    },
  );
});
afterEach(() => {
  kernel.close();
  vi.useRealTimers();
});

it("shows the end of the edit first, with nothing to undo", () => {
  kernel.hear({ type: "ready", view: "a" });
  expect(last()).toMatchObject({ status: "arrived", length: STEPS, shown: null, can_undo: false, undo: "" });
  expect(of("frame").at(-1)?.bytes).toEqual([[3]]);
});

it("shows the picture and the handles of the step that is looked at", () => {
  kernel.hear({ type: "look", step: 1 });
  expect(last()).toMatchObject({ shown: 1, points: [point(1)], step: 3 });
  expect(of("frame").at(-1)).toMatchObject({ message: { step: 1 }, bytes: [[1]] });
  kernel.hear({ type: "look", step: null });
  expect(of("frame").at(-1)).toMatchObject({ message: { step: 3 }, bytes: [[3]] });
});

it("has the picture from before, small pictures and the rest of the course", () => {
  kernel.hear({ type: "before" });
  kernel.hear({ type: "thumbnails", steps: [0, 2, 9] });
  kernel.hear({ type: "course", since: 1 });
  expect(of("before").at(0)?.bytes).toEqual([[0]]);
  expect(of("thumbnails").at(0)).toMatchObject({ message: { steps: [0, 2] }, bytes: [[0], [2]] });
  expect(of("course").at(0)?.message).toMatchObject({ steps: [2, 3], distances: [[1], [0]], edit: 5 });
});

it("plays from the beginning to the end, as another edit whose course grows", () => {
  kernel.hear({ type: "start" });
  expect(last()).toMatchObject({ status: "running", length: 1, edit: 6, points: [point(0)] });
  vi.advanceTimersByTime(100);
  expect(last()).toMatchObject({ status: "running", step: 1, length: 2 });
  kernel.hear({ type: "course", since: -1 });
  expect(of("course").at(-1)?.message).toMatchObject({ steps: [0, 1], edit: 6 });
  vi.advanceTimersByTime(1000);
  expect(last()).toMatchObject({ status: "arrived", message: "Arrived.", length: STEPS });
  expect(of("frame").map(({ bytes }) => bytes[0]?.[0])).toEqual([0, 1, 2, 3]);
  expect(vi.getTimerCount()).toBe(0);
});

it("stays where it is stopped", () => {
  kernel.hear({ type: "start" });
  vi.advanceTimersByTime(200);
  kernel.hear({ type: "stop" });
  vi.advanceTimersByTime(1000);
  expect(last()).toMatchObject({ status: "stopped", step: 2, length: 3, message: "" });
});

it("takes back what is pulled, says that it is a recording, and plays once", () => {
  for (const x of [40, 41, 42]) kernel.hear({ type: "point", id: 2, target: [x, 9], pulling: true });
  expect(of("notice").map(({ message }) => message)).toEqual(Array(3).fill({ type: "notice", text: RECORDED }));
  expect(last().points).toEqual([point(0)]);
  expect(last().edit).toBe(6);
  const [other, same] = states().slice(0, 2);
  expect([other?.seed, same?.seed]).toEqual([null, 7]); // by this a page forgets what it laid over the points
});

it("refuses whatever else changes an edit, but not signs of life", () => {
  kernel.hear({ type: "undo" });
  kernel.hear({ type: "new_image", seed: 3 });
  expect(of("notice").length).toBe(2);
  kernel.hear({ type: "ping", view: "a" });
  kernel.hear({ type: "ack", view: "a", seq: 1, pull: false });
  expect(of("notice").length).toBe(2);
  expect(of("pong").length).toBe(1);
});
