import { beforeEach, describe, expect, it } from "vitest";
import { Course, clearPlace, nearestStep, stations } from "../src/course.ts";
import type { CourseMessage } from "../src/protocol.ts";

let course: Course;
const answer = (since: number, ...steps: number[]): CourseMessage => ({
  type: "course",
  edit: 3,
  since,
  steps,
  seconds: steps,
  ids: steps.map(() => [1, 3]),
  distances: steps.map((step) => [20 - step, step]),
});

beforeEach(() => {
  course = new Course();
  course.begin(3);
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

describe("the course of another edit", () => {
  it("does not mix in: an answer that comes late, or before its state, is dropped and asked for again", () => {
    expect(course.wants(2, 0, 1000)).toBe(-1);
    expect(course.begin(3)).toBe(false);
    expect(course.begin(4)).toBe(true);
    course.receive(answer(-1, 0, 1, 2)); // of the edit before
    expect(course.steps).toEqual([]);
    expect(course.wants(2, 0, 1100)).toBe(-1);
    course.receive({ ...answer(-1, 0, 1, 2), edit: 5 }); // of an edit whose state is still to come
    expect(course.steps).toEqual([]);
    course.receive({ ...answer(-1, 0, 1, 2), edit: 4 });
    expect(course.steps).toEqual([0, 1, 2]);
  });
});

describe("the label of the course", () => {
  const [label, area] = [
    { width: 100, height: 15 },
    { width: 400, height: 31 },
  ];
  const line = (...places: [number, number][]) => places.map(([left, top]) => ({ left, top }));

  it("stands at the lower left under a way that begins high and falls", () => {
    expect(clearPlace([line([0, 2], [200, 20], [400, 28])], label, area)).toEqual({ left: 0, top: 16 });
  });

  it("goes where no way strikes it through, though one begins low or comes back", () => {
    const ways = [line([0, 30], [20, 2], [400, 29])];
    const place = clearPlace(ways, label, area);
    expect(place).toEqual({ left: 37.5, top: 16 });
    expect(clearPlace([line([0, 30], [400, 30])], label, area)).toEqual({ left: 0, top: 0 });
  });

  it("is left out where ways go everywhere, or where it is wider than all", () => {
    const saw = Array.from({ length: 41 }, (_, n): [number, number] => [10 * n, n % 2 ? 0 : 31]);
    expect(clearPlace([line(...saw)], label, area)).toBeNull();
    expect(clearPlace([], label, { width: 90, height: 31 })).toBeNull();
  });
});
