import { beforeEach, describe, expect, it } from "vitest";
import { Course, nearestStep, stations } from "../src/course.ts";
import type { CourseMessage } from "../src/protocol.ts";

let course: Course;
const answer = (since: number, ...steps: number[]): CourseMessage => ({
  type: "course",
  since,
  steps,
  seconds: steps,
  ids: steps.map(() => [1, 3]),
  distances: steps.map((step) => [20 - step, step]),
});

beforeEach(() => {
  course = new Course();
});

describe("the course of an edit", () => {
  it("is asked for from its beginning, then only for what came since", () => {
    expect(course.wants(0, 0, 0)).toBeNull();
    expect(course.wants(2, 0, 1000)).toBe(-1);
    course.receive(answer(-1, 0, 1, 2));
    expect(course.wants(2, 1000, 3000)).toBeNull();
    expect(course.wants(5, 1000, 3000)).toBe(2);
    course.receive(answer(2, 3, 4, 5));
    expect(course.steps).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it("is not asked for again while an answer is due, nor more often than anybody can see", () => {
    expect(course.wants(2, 0, 1000)).toBe(-1);
    expect(course.wants(9, 1000, 1900)).toBeNull();
    course.receive(answer(-1, 0, 1, 2));
    expect(course.wants(9, 1000, 1950)).toBeNull();
    expect(course.wants(9, 0, 1950)).toBe(2);
    course.receive(answer(2, 3));
    expect(course.wants(9, 1000, 2000)).toBeNull();
    expect(course.wants(9, 1000, 2950)).toBe(3);
  });

  it("of a run is not asked for while its first picture is on its way", () => {
    expect(course.wants(1, 1000, 5000)).toBeNull();
    expect(course.wants(8, 1000, 5900)).toBeNull();
    expect(course.wants(9, 1000, 6000)).toBe(-1);
  });

  it("is asked for again where the answer was lost", () => {
    course.wants(2, 0, 0);
    expect(course.wants(2, 1000, 10_000)).toBe(-1);
  });

  it("is forgotten when the edit becomes shorter, and a late answer does not bring it back", () => {
    course.wants(9, 0, 0);
    course.receive(answer(-1, 0, 4, 9));
    expect(course.wants(12, 1000, 1100)).toBe(9);
    expect(course.wants(3, 0, 2000)).toBe(-1);
    course.receive(answer(9, 10, 11, 12));
    expect(course.last).toBe(-1);
    course.receive(answer(-1, 0, 3));
    expect(course.last).toBe(3);
  });

  it("knows the way of each point by its id", () => {
    course.wants(2, 0, 0);
    course.receive(answer(-1, 0, 2));
    expect(course.ways.get(3)).toEqual([
      [0, 0],
      [2, 2],
    ]);
  });
});

it.each([
  [0, 8, [0]],
  [1, 8, [0, 1]],
  [40, 5, [0, 10, 20, 30, 40]],
  [3, 12, [0, 1, 2, 3]],
])("of %d steps %d small pictures show %j", (newest, count, expected) => {
  expect(stations(newest, count)).toEqual(expected);
});

it("the nearest step that is there is shown until a nearer one comes", () => {
  expect(nearestStep([], 4)).toBeNull();
  expect(nearestStep([0, 10, 20], 14)).toBe(10);
});
