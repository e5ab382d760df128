import { beforeEach, describe, expect, it } from "vitest";
import { asPython, concern } from "../src/concerns.ts";
import { Desk } from "../src/desk.ts";
import type { StateMessage } from "../src/protocol.ts";
import { aPoint, aState } from "./states.ts";

let desk: Desk;
const flat = (better: readonly [number, number] | null) => ({
  ...aPoint(2, [40, 50], [60, 50]),
  texture: { flat: true, better },
});
const show = (changes: Partial<StateMessage>) => desk.receive(aState({ length: 5, ...changes }));

beforeEach(() => {
  desk = new Desk();
});

describe("what a person is told", () => {
  it("is nothing where all is well", () => {
    expect(concern(desk)).toBeNull();
    show({ points: [aPoint(1, [1, 2], [3, 4])] });
    expect(concern(desk)).toBeNull();
  });

  it("is that a handle sits where there is too little to follow, with a way to a better spot", () => {
    show({ points: [flat([44, 51])] });
    expect(concern(desk)?.text).toMatch(/^Point 2 sits/);
    expect(concern(desk)?.remedies[0]?.[1]).toEqual({ do: "move handle", id: 2, to: [44, 51] });
  });

  it.each([
    ["there is no better spot", null, "idle"],
    ["the handle is being pulled", [44, 51], "running"],
  ] as const)("has no such way where %s", (_, better, status) => {
    show({ points: [flat(better)], status });
    expect(concern(desk)?.remedies).toEqual([]);
  });

  it("is first what the kernel warns of, and once waved away the next", () => {
    show({ warning: "It comes no closer. Try a smaller learning rate.", points: [flat(null)] });
    const first = concern(desk);
    expect(first?.text).toMatch("no closer");
    desk.dismissed.add(first?.key ?? "");
    expect(concern(desk)?.text).toMatch(/^Point 2/);
    desk.dismissed.add(concern(desk)?.key ?? "");
    expect(concern(desk)).toBeNull();
  });

  it("is nothing of now while the past is looked at", () => {
    show({ warning: "It comes no closer.", shown: 2 });
    expect(concern(desk)).toBeNull();
  });

  it("is what can be kept where the kernel has gone, and cannot be waved away", () => {
    show({ points: [aPoint(1, [1, 2], [3, 4])] });
    desk.connected = false;
    expect(concern(desk)).toMatchObject({
      key: null,
      remedies: [
        ["Save picture", {}],
        ["Copy points", {}],
      ],
    });
  });
});

it("points are kept as Python takes them", () => {
  expect(asPython([{ handle: [1.004, 2], target: [3.25, 4] }])).toBe(
    'editor.points = [\n    {"handle": [1, 2], "target": [3.25, 4]},\n]',
  );
});
